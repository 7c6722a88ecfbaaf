"""The forest plot of the page on single differences between recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from a2v_core.plotting import COLOURS
from a2v_core.search.recipes_plan import DIFFERENCES, PARTS, Comparison, Difference, Pretraining
from a2v_core.search.recipes_tables import SEARCHES
from a2v_core.table1_tables import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Narrow enough that its text stays legible on a telephone, which shrinks a figure to its width. Names stand above
# their intervals, so that the panels have all of it, or beside them where the panels of Table 1 have nothing to show.
_WIDTH = 5.6
# Heights, inches: the name of a row, one interval, the space below a row, the name of a group of rows.
_NAME, _LINE, _GAP, _PART = 0.17, 0.11, 0.05, 0.32
_TITLES = {"accuracy": "exact\naccuracy", "validity": "validity", "uniqueness": "uniqueness",
           "regret": "final test\nregret"}
# Colour and marker tell the agent, a white marker NAS-Bench-101.
_AGENTS = {"arch2vec_rl": ("blue", "o"), "arch2vec_bo": ("vermilion", "s")}


def forest(effects: pd.DataFrame, planned: list[Comparison]) -> Figure:
    """One row a difference, one panel a measure: effects with intervals around zero, percentage points.

    Args:
        effects: of :func:`a2v_core.search.recipes_tables.effects`.
        planned: the comparisons of searches, so that what was not run is told from what there is not.
    """
    import matplotlib.pyplot as plt

    rows = [(row, _wanted(row, planned)) for row in DIFFERENCES]
    height = sum(_height(wanted) for _, wanted in rows) + _PART * len(PARTS)
    figure, axes = plt.subplots(1, 4, figsize=(_WIDTH, height + 1.15), sharey=True, width_ratios=[1, 1, 1, 1.25])
    top, part = 0.0, ""
    for row, wanted in rows:
        if row.part != part:
            part, top = row.part, top + _PART
            axes[0].text(0, top - 0.06, part, transform=axes[0].get_yaxis_transform(), fontsize=10, fontweight="bold")
        below = top + _NAME * _is_above(wanted)
        axes[0].text(0, below - 0.04 if _is_above(wanted) else top + _NAME - 0.04, row.words, fontsize=9.5,
                     transform=axes[0].get_yaxis_transform())
        for measure, ax in zip(_TITLES, axes, strict=True):
            _draw(ax, effects[(effects["id"] == row.id) & (effects["measure"] == measure)], wanted[measure], below)
        top += _height(wanted)
    for text in axes[0].texts:
        text.set_in_layout(False)
    for measure, ax in zip(_TITLES, axes, strict=True):
        _finish(ax, measure, top)
    handles = [plt.Line2D([], [], color=COLOURS[colour], marker=marker, linewidth=1.2, markersize=5,
                          markerfacecolor=_face(space, agent), label=name)
               for (space, agent), name in SEARCHES.items() for colour, marker in [_AGENTS[agent]]]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=8.5, handlelength=1.4, columnspacing=1.0)
    figure.supxlabel("change, percentage points", fontsize=9.5)
    return figure


def _wanted(row: Difference, planned: list[Comparison]) -> dict[str, list[tuple[str, str]]]:
    """Space and agent of each interval that a row can have, by measure."""
    of_model = [("", "")] if isinstance(row, Pretraining) else []
    there = {(pair.space, pair.changed.method) for pair in planned if pair.id == row.id}
    return {**dict.fromkeys(METRICS, of_model), "regret": [key for key in SEARCHES if key in there]}


def _is_above(wanted: dict[str, list[tuple[str, str]]]) -> bool:
    """Whether the name of a row stands above its intervals."""
    return any(wanted[measure] for measure in METRICS)


def _height(wanted: dict[str, list[tuple[str, str]]]) -> float:
    lines = _LINE * max(1, *map(len, wanted.values()))
    return (_NAME + lines if _is_above(wanted) else max(_NAME, lines)) + _GAP


def _draw(ax: Axes, found: pd.DataFrame, wanted: list[tuple[str, str]], top: float) -> None:
    """The intervals of a row in one panel, on a tinted band with its piece of the line at zero."""
    if not wanted:
        return
    bottom = top + _LINE * len(wanted)
    ax.axhspan(top, bottom, color="#F0F0F0", linewidth=0)
    ax.plot([0, 0], [top, bottom], color=COLOURS["black"], linewidth=0.9, zorder=1)
    for i, (space, agent) in enumerate(wanted):
        middle = top + _LINE * (i + 0.5)
        chosen = found[(found["agent"] == agent) & (found["space"] == space)] if agent else found
        if chosen.empty:
            ax.text(0.97, middle, "not run", transform=ax.get_yaxis_transform(), fontsize=7, color="#555555",
                    ha="right", va="center")
        for effect in chosen.itertuples():
            name, marker = _AGENTS.get(agent, ("black", "D"))
            ax.errorbar(effect.value, middle, xerr=[[effect.value - effect.low], [effect.high - effect.value]],
                        fmt=marker, color=COLOURS[name], markerfacecolor=_face(space, agent), markersize=4,
                        elinewidth=1.2, capsize=2, zorder=3)


def _face(space: str, agent: str) -> str:
    if space == "nasbench101":
        return "white"
    return COLOURS[_AGENTS[agent][0]] if agent else COLOURS["black"]


def _finish(ax: Axes, measure: str, bottom: float) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.patch.set_visible(False)
    ax.grid(visible=False)
    ax.set_ylim(bottom, 0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if measure in METRICS:
        ax.set(xlim=(-112, 112), xticks=(-100, 0, 100))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    ax.tick_params(axis="x", labelsize=8.5, length=0, labeltop=True)
    ax.set_title(_TITLES[measure], fontsize=10)
