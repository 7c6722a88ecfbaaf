"""Figures of the search pages: regret against queries and seconds, distributions of final regret, effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from a2v_core.errors import SettingsError
from a2v_core.plotting import COLOURS, TEXT_WIDTH, legend_below, panel_grid, plot_intervals
from a2v_core.search.estimates import difference, held, percent, samples
from a2v_core.search.plan import SECONDS, Group, Scale
from a2v_core.search.tables import AUTHORS
from a2v_core.search.trajectories import Outcomes, mean_band
from a2v_core.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour and line of each method: the encoding by colour, its two strategies by line.
_STYLES = {
    "random": ("grey", "-"), "re": ("green", "-"), "rl": ("green", "--"), "bohb": ("green", ":"),
    "bo": ("sky", "-"), "bananas": ("purple", "-"), "supervised_rl": ("orange", "--"), "supervised_bo": ("orange", "-"),
    "arch2vec_rl": ("blue", "--"), "arch2vec_bo": ("blue", "-"), "frozen_policy": ("vermilion", "--"),
    "random_retrieval": ("vermilion", ":"), "local_search": ("purple", "--"), "neighbour_re": ("purple", ":"),
    "wl_gp": ("vermilion", "-"),
}
# What the colour of a method is mixed with where it runs by another recipe than `released`.
_MIXED_WITH = {"paper": "white", "corrected": "black"}
_POINTS = 200
# More would be illegible on a telephone.
_COLUMNS = 2


def style(group: Group) -> dict[str, str]:
    """Colour and line of a group: those of its method, lighter for recipe `paper`, darker for `corrected`."""
    from matplotlib.colors import to_hex, to_rgb

    name, line = _STYLES.get(group.method, ("black", "-"))
    colour = COLOURS[name]
    if group.recipe in _MIXED_WITH:
        colour = to_hex(np.add(to_rgb(colour), to_rgb(_MIXED_WITH[group.recipe])) / 2)
    return {"color": colour, "linestyle": line}


def group_curve(group: Group, outcomes: Outcomes, axis: str, grid: np.ndarray, quantity: str = "regret_test"
                ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and the ends of its 95 % interval over the samples of a group at the points of `grid` [G] of `axis`,
    "queries" or "seconds", [G] each; NaN where not all runs have a value."""
    values = outcomes.values(quantity, outcomes.completed(**{axis: grid}))
    return mean_band(samples(group, values, outcomes.trajectories.seeds).values)


def plot_against_seconds(ax: Axes, groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale,
                         authors: pd.DataFrame | None = None, charged: Mapping[str, float] | None = None) -> None:
    """Mean test regret against simulated seconds, both logarithmic, with 95 % bands; a curve begins where all of its
    runs have an incumbent. `authors`, their released curves, are drawn thin; `charged` are seconds by name of a group
    that pass before its first query."""
    grid = np.geomspace(SECONDS * scale.part / 1e3, SECONDS * scale.part, _POINTS)
    for group in groups:
        mean, low, high = group_curve(group, runs[group.name], "seconds", grid)
        seconds = grid + (charged or {}).get(group.name, 0.0)
        ax.plot(seconds, mean, label=group.label, **style(group))
        ax.fill_between(seconds, low, high, color=style(group)["color"], alpha=0.15,
                        linewidth=0)
        if authors is not None and group.method in AUTHORS:
            theirs = authors[authors["method"] == AUTHORS[group.method]]
            ax.plot(theirs["seconds"], theirs["test_regret"], linewidth=0.8, alpha=0.8, **style(group))
    ax.set(xscale="log", yscale="log", xlabel="simulated seconds", ylabel="mean test regret",
           xlim=(grid[0] * 5, grid[-1]))


def plot_against_queries(ax: Axes, groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: int) -> None:
    """Mean test regret against queries, with 95 % bands; what a band has far below all means is cut off, since its
    lower end may be zero or less."""
    made = np.arange(1, queries + 1)
    lowest = np.inf
    for group in groups:
        mean, low, high = group_curve(group, runs[group.name], "queries", made)
        lowest = min(lowest, np.nanmin(mean, initial=np.inf, where=mean > 0))
        ax.plot(made, mean, label=group.label, **style(group))
        ax.fill_between(made, low, high, color=style(group)["color"], alpha=0.15, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="queries", ylabel="mean test regret")
    if np.isfinite(lowest):
        ax.set_ylim(bottom=lowest / 2)


def plot_distribution(ax: Axes, groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale) -> None:
    """Empirical distribution over runs of the test regret at the end of the budget."""
    for group in groups:
        final = np.sort(held(runs[group.name], "regret_test", seconds=SECONDS * scale.part))
        ax.step(final, np.arange(1, len(final) + 1) / len(final), where="post", label=group.label, **style(group))
    ax.set(xlabel="final test regret", ylabel="share of runs at or below", ylim=(0, 1.02))


def figure6(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale, authors: pd.DataFrame | None = None
            ) -> Figure:
    """Both panels of Figure 6."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, _COLUMNS, figsize=(TEXT_WIDTH, 5.4))
    plot_against_seconds(left, groups, runs, scale, authors)
    plot_distribution(right, groups, runs, scale)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=_COLUMNS)
    return figure


def plot_queries(panels: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: int) -> Figure:
    """Test regret against queries, a panel a name.

    Raises:
        SettingsError: no panel.
    """
    if not panels:
        raise SettingsError("no panel to draw: give at least one name with its groups")
    figure, axes = panel_grid(len(panels), min(_COLUMNS, len(panels)), 3.2, 1.8)
    for ax, (title, groups) in zip(axes, panels.items(), strict=True):
        shortest = min(int(runs[group.name].trajectories.counts.min()) for group in groups)
        plot_against_queries(ax, groups, runs, min(queries, shortest))
        ax.set_title(title)
    legend_below(figure, _COLUMNS)
    return figure


def plot_action_distances(measured: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean distance from action to cell, and norm of the policy's mean, against queries.

    Args:
        measured: label → a table of :func:`a2v_core.search.action_distances.action_distances`.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, _COLUMNS, figsize=(TEXT_WIDTH, 4.0))
    colours = [COLOURS[name] for name in ("blue", "orange", "vermilion", "green", "purple", "sky")]
    for (label, table), colour in zip(measured.items(), colours, strict=False):
        for ax, column in zip(axes, ("distance", "mean_norm"), strict=True):
            ax.plot(table["query"], table[column], label=label, color=colour)
        axes[0].axhline(table["radius"].iloc[0], color=colour, linestyle=":", linewidth=1)
    axes[0].set(xlabel="queries", ylabel="distance from action to cell", ylim=(0, None))
    axes[1].set(xlabel="queries", ylabel="norm of the policy's mean", ylim=(0, None))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def effects(base: Group, changed: Sequence[Group], runs: Mapping[str, Outcomes], quantity: str, queries: float
            ) -> dict[str, Estimate]:
    """Note of each changed group → difference of a quantity to the base, percentage points, where there are samples
    enough."""
    reference = percent(base, runs, quantity, queries)
    gaps = {g.note or g.label: difference(percent(g, runs, quantity, queries), reference) for g in changed}
    return {name: gap for name, gap in gaps.items() if gap}


def plot_effects(found: Mapping[str, Mapping[str, Estimate]], xlabel: str) -> Figure:
    """One panel a name: differences with intervals around zero."""
    import matplotlib.pyplot as plt

    rows = [len(each) for each in found.values()]
    figure, axes = plt.subplots(len(found), 1, figsize=(TEXT_WIDTH, sum(1.1 + 0.36 * n for n in rows)), squeeze=False,
                                height_ratios=[2 + n for n in rows], sharex=True)
    for ax, (title, each) in zip(axes[:, 0], found.items(), strict=True):
        plot_intervals({"effect": dict(each)}, xlabel=xlabel, title=title, ax=ax)
        ax.get_legend().remove()
        ax.axvline(0, color=COLOURS["black"], linewidth=0.8)
    return figure
