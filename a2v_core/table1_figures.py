"""Figures of the Table 1 page, from the tidy tables of :mod:`a2v_core.table1_plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from a2v_core.plotting import COLOURS, SERIES, plot_intervals
from a2v_core.stats import Estimate
from a2v_core.table1_tables import METHOD_NAMES, METRICS, SPACE_NAMES, clipped, estimate, select

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_main(frame: pd.DataFrame, paper: dict[str, float], ceiling: pd.Series, recipe: str = "released") -> Figure:
    """One panel a space and metric: the paper's value, ours exact and as the released code counts, by method.

    `ceiling` is the largest possible exact accuracy by name of the space, drawn as a dashed line.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(10, 7.2), sharex=True, sharey=True)
    for row, (space, space_name) in zip(axes, SPACE_NAMES.items(), strict=True):
        for ax, metric in zip(row, METRICS, strict=True):
            series: dict[str, dict[str, Estimate]] = {"exact": {}, "as released code counts": {}}
            for method, name in METHOD_NAMES.items():
                chosen = select(frame, space=space, label=f"{method}-{recipe}", metric=metric)
                for definition, key in (("exact", "exact"), ("released", "as released code counts")):
                    if chosen.empty:
                        continue
                    series[key][name] = clipped(estimate(select(chosen, definition=definition)["value"]))
            plot_intervals(series, {name: paper[f"table1/{space}/{method}/{metric}"]
                                    for method, name in METHOD_NAMES.items()}, ax=ax, names=list(METHOD_NAMES.values()))
            ax.get_legend().remove()
            ax.set(xlim=(-4, 104), title=f"{space_name}: {metric}")
        row[0].axvline(ceiling[space_name], color=COLOURS["blue"], linestyle="--", linewidth=1.2,
                       label="ceiling of exact accuracy")
    for ax in axes[-1]:
        ax.set_xlabel("percent")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def plot_recipes(frame: pd.DataFrame, paper: dict[str, float]) -> Figure:
    """arch2vec by the three recipes, exact definitions, beside the paper's value."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharex=True, sharey=True)
    for ax, metric in zip(axes, METRICS, strict=True):
        series = {}
        for recipe in ("released", "paper", "corrected"):
            chosen = select(frame, label=f"arch2vec-{recipe}", metric=metric, definition="exact")
            series[f"recipe {recipe}"] = {name: clipped(estimate(here["value"])) for space, name in SPACE_NAMES.items()
                              if not (here := select(chosen, space=space)).empty}
        plot_intervals(series, {name: paper[f"table1/{space}/arch2vec/{metric}"]
                                for space, name in SPACE_NAMES.items()}, ax=ax, names=list(SPACE_NAMES.values()))
        ax.get_legend().remove()
        ax.set(xlim=(-4, 104), title=metric, xlabel="percent")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def plot_curves(curves: pd.DataFrame) -> Figure:
    """Exact measures after each epoch: the four methods as released, arch2vec by the other recipes as well."""
    import matplotlib.pyplot as plt

    arms = {**{f"{method}-released": f"{name}" for method, name in METHOD_NAMES.items()},
            "arch2vec-paper": "arch2vec, recipe paper", "arch2vec-corrected": "arch2vec, recipe corrected"}
    figure, axes = plt.subplots(3, 3, figsize=(10, 7.6), sharex="row", sharey=True)
    for row, (space, space_name) in zip(axes, SPACE_NAMES.items(), strict=True):
        for ax, metric in zip(row, METRICS, strict=True):
            for (label, name), (colour, marker) in zip(arms.items(), SERIES, strict=True):
                by_epoch = select(curves, space=space, label=label).groupby("epoch")[metric]
                mean = 100 * by_epoch.mean()
                ax.plot(mean.index, mean, color=colour, marker=marker, markersize=4, label=name)
                ax.fill_between(mean.index, 100 * by_epoch.min(), 100 * by_epoch.max(), color=colour, alpha=0.15)
            ax.axvspan(0.5, 1.5, color=COLOURS["grey"], alpha=0.12, linewidth=0)
            ax.set(title=f"{space_name}: {metric}", ylim=(-4, 104))
        row[0].set_ylabel("percent")
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def plot_factors(effects: pd.DataFrame) -> Figure:
    """The effects of :func:`factor_effects`, one panel a metric."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(effects["factor"]))
    figure, axes = plt.subplots(1, 3, figsize=(10, 1.2 + 0.34 * len(names)), sharey=True)
    for ax, metric in zip(axes, METRICS, strict=True):
        chosen = select(effects, metric=metric).set_index("factor")
        effect = {name: Estimate(*chosen.loc[name, list(Estimate._fields)]) for name in names}
        plot_intervals({"effect": effect}, ax=ax, names=names)
        ax.get_legend().remove()
        ax.axvline(0, color=COLOURS["black"], linewidth=0.8)
        ax.set(title=metric, xlabel="percentage points")
    return figure
