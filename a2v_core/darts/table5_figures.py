"""Figures of the Table 5 page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from a2v_core import plotting
from a2v_core.darts.mobile_setting import MobileCosts
from a2v_core.darts.published_cells import PUBLISHED
from a2v_core.darts.published_costs import TABLE5_METHODS, built_cost
from a2v_core.spaces.darts_cost import CONVENTIONS, MOBILE_LIMIT
from a2v_core.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MILLION = 1e6
#: As wide as the usual difference between two cells: finer bins would show a comb.
_BINS = np.arange(200, 801, 25)


def plot_multiply_adds(paper: Mapping[str, float]) -> Axes:
    """Multiply-adds of the rows of Table 5: ours by both conventions, and the paper's."""
    ours = {}
    for convention in CONVENTIONS:
        values = {PUBLISHED[n].label: built_cost(n).multiply_adds(convention) / _MILLION for n in TABLE5_METHODS}
        ours[convention] = {label: Estimate(value, value, value, 1) for label, value in values.items()}
    printed = {PUBLISHED[n].label: paper[f"table5/{n}/multiply_adds"] for n in TABLE5_METHODS}
    ax = plotting.plot_intervals(ours, printed, xlabel="multiply-adds, millions")
    ax.axvline(MOBILE_LIMIT / _MILLION, color=plotting.COLOURS["grey"], linestyle="--", linewidth=1)
    return ax


def plot_mobile_setting(costs: MobileCosts, found: Mapping[str, float]) -> Axes:
    """Histogram of the multiply-adds (released convention) of unrestricted draws and of the sample, with the rows of
    Table 5 that are cells of this space and the cells of our own searches.

    Args:
        costs: of the sample and of unrestricted draws.
        found: multiply-adds, by the same convention, of the cells of our own searches.
    """
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(6.4, 4.0))
    drawn, sampled = (part["released"] / _MILLION for part in (costs.drawn, costs.sampled))
    ax.hist(sampled, _BINS, weights=np.full(len(sampled), 100 / len(sampled)), color=plotting.COLOURS["sky"],
            label="the sample")
    ax.hist(drawn, _BINS, weights=np.full(len(drawn), 100 / len(drawn)), histtype="step", linewidth=1.4,
            color=plotting.COLOURS["black"], label="uniform draws")
    ax.axvline(MOBILE_LIMIT / _MILLION, color=plotting.COLOURS["grey"], linestyle="--", label="limit, 600 M")
    marks = {PUBLISHED[n].label: built_cost(n).multiply_adds("released") for n in TABLE5_METHODS
             if PUBLISHED[n].in_darts_space} | dict(found)
    height = ax.get_ylim()[1]
    for i, (name, value) in enumerate(sorted(marks.items(), key=lambda item: item[1])):
        # Names are close to each other: each stands on a step of its own.
        top = height * (1.08 + 0.09 * i)
        ax.plot([value / _MILLION] * 2, [0, top], color=plotting.COLOURS["vermilion"], linewidth=1)
        ax.annotate(name, (value / _MILLION, top), xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
                    fontsize=9)
    ax.set(xlabel="multiply-adds as the released code counts, millions", ylabel="cells, %", xlim=(_BINS[0], _BINS[-1]),
           ylim=(0, height * (1.15 + 0.09 * len(marks))))
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.75))
    return ax
