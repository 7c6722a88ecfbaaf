"""Figures of the page of Table 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core.darts.surrogate_quality import Agreement
from a2v_core.darts.table4_tables import label
from a2v_core.encoding_figures import darts_edges, draw_operations_on_edges
from a2v_core.plotting import COLOURS, legend_below, panel_grid, plot_intervals
from a2v_core.search.estimates import estimate, percent
from a2v_core.search.figures import group_curve
from a2v_core.search.objective import Objective
from a2v_core.search.plan import Group
from a2v_core.search.trajectories import Outcomes
from a2v_core.spaces.darts_genotypes import Genotype

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour, line and marker of each method.
_STYLES = {
    "random": ("grey", "-"), "neighbour_re": ("green", "-"), "local_search": ("purple", "-"),
    "supervised_bo": ("orange", "-"), "arch2vec_rl": ("blue", "--"), "arch2vec_bo": ("blue", "-"),
    "frozen_policy": ("vermilion", "--"), "random_retrieval": ("vermilion", ":"),
}
_BINS = 80


def plot_agreement(predicted: np.ndarray, trained: np.ndarray, found: Agreement) -> Axes:
    """Predicted validation accuracy against trained test accuracy, percent, with the line on which they differ by their
    mean difference."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(5.2, 4.2))
    ax.plot(100 * trained, 100 * predicted, "o", color=COLOURS["blue"], alpha=0.6, markersize=5)
    ends = np.array([100 * trained.min() - 0.1, 100 * trained.max() + 0.1])
    ax.plot(ends, ends + found.shift.value, color=COLOURS["vermilion"], linewidth=1)
    ax.set(xlabel="trained: test accuracy after 600 epochs, %", ylabel="surrogate: validation accuracy, %",
           title=f"214 networks, rank correlation {found.spearman.value:.2f}")
    return ax


def plot_sample(searched: Mapping[str, Objective], marks: Mapping[str, float]) -> Axes:
    """Distribution of the predicted accuracy over the candidates (percent, logarithmic counts), and marks above it."""
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(7.2, 3.8))
    names = {"surrogate": "without zero", "surrogate_all": "all cells"}
    every = np.concatenate([100 * objective.validation for objective in searched.values()])
    bins = np.linspace(np.quantile(every, 0.0005), every.max(), _BINS)
    for (name, objective), colour in zip(searched.items(), ("blue", "grey"), strict=True):
        ax.hist(100 * objective.validation, bins, histtype="step", linewidth=1.6, color=COLOURS[colour],
                label=f"{names[name]}: {len(objective):,}")
    for (name, value), (colour, line) in zip(marks.items(), (("vermilion", "--"), ("green", "-."), ("orange", ":"),
                                                              ("black", "-")), strict=False):
        ax.axvline(value, color=COLOURS[colour], linestyle=line, linewidth=1.4, label=name)
    ax.set(yscale="log", xlabel="accuracy by the surrogate, %", ylabel="cells")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax


def plot_queries(panels: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: int) -> Figure:
    """Mean distance to the surrogate's best cell (percentage points) against queries, with 95 % bands."""
    columns = min(2, len(panels))
    figure, axes = panel_grid(len(panels), columns, 3.2, 1.8, sharey=True)
    made = np.arange(1, queries + 1)
    for ax, (title, groups) in zip(axes, panels.items(), strict=True):
        for group in groups:
            mean, low, high = group_curve(group, runs[group.name], "queries", made, "regret_validation")
            name, line = _STYLES[group.method]
            ax.plot(made, 100 * mean, color=COLOURS[name], linestyle=line, label=label(group))
            ax.fill_between(made, 100 * low, 100 * high, color=COLOURS[name], alpha=0.15, linewidth=0)
        ax.set(xscale="log", xlabel="queries", title=title)
    for ax in axes[::columns]:
        ax.set_ylabel("to the surrogate's best, points")
    legend_below(figure, 2)
    return figure


def plot_reached(groups: Sequence[Group], runs: Mapping[str, Outcomes], best: float) -> Axes:
    """Mean predicted accuracy that the runs end with, percent, with its interval, and the best of the candidates."""
    import matplotlib.pyplot as plt

    ours = {label(group): estimate(percent(group, runs, "validation").values) for group in groups}
    _, ax = plt.subplots(figsize=(7.2, 1.0 + 0.34 * len(ours)))
    plot_intervals({"mean": ours}, xlabel="accuracy by the surrogate, %", names=list(ours), ax=ax)
    ax.axvline(100 * best, color=COLOURS["black"], linestyle="--", linewidth=1)
    ax.get_legend().remove()
    return ax


def figure10(cells: Mapping[str, Genotype]) -> Figure:
    """Cells by title, two in a row, operations on their edges."""
    import matplotlib.pyplot as plt

    rows = -(-len(cells) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(7.6, 3.4 * rows), squeeze=False)
    for ax in axes.flat[len(cells):]:
        ax.set_axis_off()
    for ax, (title, genotype) in zip(axes.flat, cells.items(), strict=False):
        draw_operations_on_edges(darts_edges(genotype), title, ax)
    return figure
