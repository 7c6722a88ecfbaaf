"""Figures of Observation 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2v_core import plotting
from a2v_core.observations.prediction_pieces import Outcome
from a2v_core.observations.prediction_plan import Result
from a2v_core.observations.prediction_tables import MEASURES, mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Runs of a point of a learning curve that are drawn.
_DOTS = 3


def median_run(result: Result) -> Outcome:
    """The run whose Pearson's r is the median of all (the lower of two in the middle); a run without r counts as 0."""
    order = np.argsort(np.nan_to_num(result.values("exact/pearson")), kind="stable")
    return result.outcomes[order[(len(order) - 1) // 2]]


def plot_densities(results: Sequence[Result]) -> Figure:
    """Joint density of true and predicted accuracy in the median run of each result, two panels a row."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    rows = -(-len(results) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(7, 3.1 * rows), sharex=True, sharey=True, squeeze=False)
    outcomes = [median_run(result) for result in results]
    norm = LogNorm(1, max(int(outcome.density[0].max()) for outcome in outcomes))
    for ax, result, outcome in zip(axes.flat, results, outcomes, strict=False):
        counts, true, predicted = outcome.density
        # Rasterised: thousands of tiny rectangles would make a vector graphic of megabytes.
        mesh = ax.pcolormesh(true, predicted, np.ma.masked_equal(counts, 0).T, norm=norm, cmap=plotting.SEQUENTIAL,
                             rasterized=True)
        ends = [true[0], true[-1]]
        ax.plot(ends, ends, color=plotting.COLOURS["vermilion"], linewidth=1.2, linestyle="--")
        ax.set(xlim=ends, ylim=(predicted[0], predicted[-1]))
        ax.set_title(result.group.label, fontsize=10)
        ax.text(0.03, 0.96, f"RMSE {outcome.scores['exact/rmse']:.3f}\nr {outcome.scores['exact/pearson']:.2f}",
                transform=ax.transAxes, va="top", fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2})
    for ax in axes.flat[len(results):]:
        ax.set_axis_off()
    figure.supxlabel("true test accuracy", fontsize=11)
    figure.supylabel("predicted", fontsize=11)
    figure.colorbar(mesh, ax=axes, label="cells", fraction=0.05)
    return figure


def plot_measures(results: Sequence[Result], paper: Mapping[str, float], measures: Sequence[str] = ("rmse", "pearson")
                  ) -> Figure:
    """Mean of each measure by group, and the paper's beside the first group of each kind that it has."""
    import matplotlib.pyplot as plt

    names = [result.group.label for result in results]
    figure, axes = plt.subplots(1, len(measures), figsize=(8, 1.2 + 0.34 * len(names)), sharey=True, squeeze=False)
    for ax, measure in zip(axes.flat, measures, strict=True):
        ours = {result.group.label: found for result in results if (found := mean(result, measure))}
        printed = {}
        for kind in ("arch2vec", "supervised"):
            first = next((r.group.label for r in results if r.group.first.representation.kind == kind), None)
            if first and (value := paper.get(f"footnote1/{kind}/{measure}")) is not None:
                printed[first] = value
        plotting.plot_intervals({"ours": ours}, printed, xlabel=MEASURES[measure][0], ax=ax, names=names)
        ax.get_legend().remove()
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def plot_curves(curves: Mapping[str, Sequence[Result]], measures: Sequence[str] = ("pearson", "kendall")) -> Figure:
    """Mean of each measure against the number of known cells, one line a name, and a dot for each of the first runs;
    intervals of ten lines would hide each other."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(measures), figsize=(8, 4.6), squeeze=False)
    styles = [(colour, marker, line) for line in ("-", "--") for colour, marker in plotting.SERIES]
    for ax, measure in zip(axes.flat, measures, strict=True):
        for (name, results), (colour, marker, line) in zip(curves.items(), styles, strict=False):
            points = [(result.group.first.labels, found) for result in results if (found := mean(result, measure))]
            labels, values = [x for x, _ in points], [found.value for _, found in points]
            ax.plot(labels, values, line, marker=marker, color=colour, label=name, markersize=5)
            for result in results:
                runs = result.values(f"exact/{measure}")[:_DOTS]
                ax.plot([result.group.first.labels] * len(runs), runs, ".", color=colour, alpha=0.35, markersize=4)
        _labels_axis(ax, sorted({result.group.first.labels for results in curves.values() for result in results}))
        ax.set(ylabel=MEASURES[measure][0], ylim=(0, None))
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _labels_axis(ax: Axes, labels: Sequence[int]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(labels, [f"{label:,}" for label in labels])
    ax.minorticks_off()
    ax.set_xlabel("known cells")


def plot_datasets(results: Mapping[str, Sequence[Result]], measure: str = "kendall") -> Figure:
    """A panel for each data set: mean of a measure by group."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(result.group.label for part in results.values() for result in part))
    figure, axes = plt.subplots(1, len(results), figsize=(8, 1.2 + 0.34 * len(names)), sharey=True, squeeze=False)
    for ax, (title, part) in zip(axes.flat, results.items(), strict=True):
        ours = {result.group.label: found for result in part if (found := mean(result, measure))}
        plotting.plot_intervals({"ours": ours}, xlabel=MEASURES[measure][0], title=title, ax=ax, names=names)
        ax.get_legend().remove()
    return figure
