"""Figures, tables and recorded numbers of Observation 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from a2v_core import plotting
from a2v_core.edit_distance import edit_distance
from a2v_core.observations.distance_growth import (
    Growth,
    crossed_difference,
    crossed_interval,
    growth,
    rank_correlations,
    smallest_step,
)
from a2v_core.observations.distances_plan import Distances, Group
from a2v_core.results import Page
from a2v_core.search.estimates import show
from a2v_core.stats import Estimate
from a2v_core.table1_tables import SPACE_NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Kinds of pairs, as pages name them and as results define them.
KIND_NAMES = {"walk": "1 to 8 steps of a walk", "random": "random pairs"}
DEFINITIONS = {"walk": "exact", "random": "random_pairs"}
#: Groups that are drawn at each edit distance, and their colours and markers.
SHOWN = dict(zip(("arch2vec-released", "supervised-released", "untrained-released", "one_hot", "pca",
                  "arch2vec-corrected"), plotting.SERIES, strict=True))
# Two cells are on one point when their distance is below this share of the mean: rounding.
_SAME_POINT = 1e-4
#: Operation codes of inputs and output.
ENDS = {"nasbench101": (0, 4), "nasbench201": (0, 6), "darts": (0, 1, 10)}
_HELD_PAIRS = 1000
# Pairs of each distance that a violin is drawn from.
_DRAWN = 3000


class Summary(NamedTuple):
    """One group on one kind of pairs.

    Attributes:
        correlations: Spearman's, L2 and edit distance, [S, W]; NaN for a collapsed pre-training.
        correlation: their mean with interval.
        with_steps: as `correlation`, L2 and number of steps; NaN between random cells.
        growth: L2 distances over their mean over all pairs.
        step: smallest rise from one edit distance to the next, in the same unit.
        step_from: the edit distance where it starts.
        same_point: share of pairs of different cells that lie on one point, in percent.
        collapsed: representations that put all cells on one point.
    """

    correlations: np.ndarray
    correlation: Estimate
    with_steps: Estimate
    growth: Growth
    step: Estimate
    step_from: int
    same_point: float
    collapsed: int

    @property
    def mean_growth(self) -> np.ndarray:
        """Mean relative L2 distance at each edit distance, [D]; NaN when all collapsed."""
        kept = self.growth.means[np.isfinite(self.growth.means).all((1, 2))]
        return kept.mean((0, 1)) if len(kept) else np.full(len(self.growth.edits), np.nan)

    @property
    def rises(self) -> tuple[int, int]:
        """Steps at which the mean grows, and all steps."""
        steps = np.diff(self.mean_growth)
        return int((steps > 0).sum()), len(steps)


def summarise(distances: Distances) -> dict[str, Summary]:
    """Every measured group by its name."""
    pairs, found = distances.pairs, {}
    for name, l2 in distances.l2.items():
        scaled, collapsed = relative(l2)
        correlations = rank_correlations(l2, pairs.edits, pairs.edits)
        correlations[collapsed] = np.nan
        steps = rank_correlations(l2, pairs.steps, pairs.edits)
        steps[collapsed] = np.nan
        grown = growth(scaled, pairs.edits)
        step, start = smallest_step(grown)
        different = (pairs.edits > 0) & ~collapsed[:, None, None]
        same = 100 * float((scaled[different] < _SAME_POINT).mean()) if different.any() else 100.0
        found[name] = Summary(correlations, crossed_interval(correlations), crossed_interval(steps), grown, step, start,
                              same, int(collapsed.sum()))
    return found


def relative(l2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L2 distances [S, W, P] over their mean over all pairs, float64 [S, W, P], and which of the S representations have
    collapsed, bool [S]: theirs are NaN."""
    mean = l2.mean((1, 2), dtype=np.float64)
    collapsed = mean == 0
    return l2 / np.where(collapsed, np.nan, mean)[:, None, None], collapsed


def plot_distributions(distances: Distances, groups: Sequence[Group], names: Sequence[str]) -> Figure:
    """Figure 3: distribution of the L2 distance by edit distance, one panel for each of the groups of those `names` (of
    :data:`SHOWN`) that was measured; the line joins the means."""
    import matplotlib.pyplot as plt

    groups = [group for group in groups if group.name in distances.l2 and group.name in names]
    figure, axes = plt.subplots(1, len(groups), figsize=(3.4 * len(groups), 3.4), sharey=True, squeeze=False)
    for ax, group in zip(axes[0], groups, strict=True):
        colour, marker = SHOWN[group.name]
        scaled, collapsed = relative(distances.l2[group.name])
        scaled = scaled[~collapsed]
        ax.set(title=group.label, xlabel="edit distance")
        if not len(scaled):
            ax.text(0.5, 0.5, "all cells on one point", transform=ax.transAxes, ha="center")
            continue
        grown = growth(scaled, distances.pairs.edits)
        values = [np.concatenate([one[distances.pairs.edits == d] for one in scaled]) for d in grown.edits]
        drawn = [np.random.default_rng(0).permutation(v)[:_DRAWN] for v in values]
        for d, v in zip(grown.edits, drawn, strict=True):
            if np.ptp(v) > 0:  # what is on one point has no density to draw
                (body,) = ax.violinplot([v], positions=[d], widths=0.85, showextrema=False)["bodies"]
                body.set(facecolor=colour, alpha=0.35)
        ax.plot(grown.edits, [v.mean() for v in values], marker=marker, color=colour, markersize=5)
        ax.set_xticks(grown.edits)
    axes[0, 0].set(ylabel="L2 distance / its mean", ylim=(0, None))
    return figure


def plot_growth(summaries: Mapping[str, Mapping[str, Mapping[str, Summary]]], groups: Mapping[str, Sequence[Group]],
                kind: str) -> Figure:
    """Mean relative L2 distance of the groups of :data:`SHOWN` at each edit distance, one panel a space.

    Args:
        summaries: space → kind of pairs → group → summary.
        groups: space → groups.
        kind: of the pairs.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(summaries), figsize=(3.5 * len(summaries), 3.8), sharey=True, squeeze=False)
    labels = {group.name: group.label for part in groups.values() for group in part}
    for ax, (space, kinds) in zip(axes[0], summaries.items(), strict=True):
        for name, (colour, marker) in SHOWN.items():
            if name in labels:
                # An entry of the legend also where this space lacks the group.
                summary = kinds[kind].get(name)
                x, y = (summary.growth.edits, summary.mean_growth) if summary else ([], [])
                ax.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.4, label=labels[name])
        ax.set(title=SPACE_NAMES[space], xlabel="edit distance")
    axes[0, 0].set(ylabel="mean L2 distance / its mean")
    axes[0, 0].set_ylim(bottom=0)
    figure.suptitle(KIND_NAMES[kind], x=0.01, ha="left")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def plot_correlations(summaries: Mapping[str, Mapping[str, Mapping[str, Summary]]],
                      groups: Mapping[str, Sequence[Group]]) -> Figure:
    """Rank correlations with intervals, one panel a space, one row a group, one series a kind of pairs.

    Args:
        summaries: space → kind of pairs → group → summary.
        groups: space → groups.
    """
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(group.label for part in groups.values() for group in part))
    figure, axes = plt.subplots(1, len(summaries), figsize=(2.3 + 2.6 * len(summaries), 1.2 + 0.32 * len(names)),
                                sharey=True, squeeze=False)
    for ax, (space, kinds) in zip(axes[0], summaries.items(), strict=True):
        ours = {KIND_NAMES[kind]: {group.label: found[group.name].correlation for group in groups[space]
                                   if group.name in found and np.isfinite(found[group.name].correlation.value)}
                for kind, found in kinds.items()}
        plotting.plot_intervals(ours, xlabel="rank correlation", title=SPACE_NAMES[space], ax=ax, names=names)
        ax.get_legend().remove()
        ax.axvline(0, color=plotting.COLOURS["grey"], linewidth=0.8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def table(groups: Sequence[Group], kinds: Mapping[str, Mapping[str, Summary]]) -> pd.DataFrame:
    """One row a group: rank correlations of L2 and edit distance, how the mean grows along the walks, and how many
    representations are behind it."""
    rows = {}
    for group in _measured(groups, kinds):
        walk, random = (found[group.name] for found in kinds.values())
        up, steps = walk.rises
        grows = f"{up} of {steps}" if np.isfinite(walk.step.value) else "undefined"
        rows[group.label] = {"walk": _shown(walk.correlation), "random pairs": _shown(random.correlation),
                             "mean grows": grows, "smallest step": _shown(walk.step, 3),
                             "n": len(walk.correlations) - walk.collapsed}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_space(groups: Mapping[str, Sequence[Group]], summaries: Mapping[str, Mapping[str, Mapping[str, Summary]]],
             quantity: str) -> pd.DataFrame:
    """One row a group, one column a space, along the walks: rank correlation of the L2 distance with the number of
    steps (`quantity` ``with_steps``), or the share of pairs of different cells on one point (``same_point``)."""
    rows: dict[str, dict[str, str]] = {}
    for space, part in groups.items():
        for group in _measured(part, summaries[space]):
            value = getattr(summaries[space]["walk"][group.name], quantity)
            text = _shown(value) if isinstance(value, Estimate) else f"{value:.1f} %"
            rows.setdefault(group.label, {})[SPACE_NAMES[space]] = text
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def differences(groups: Sequence[Group], kinds: Mapping[str, Mapping[str, Summary]], first: str = "arch2vec-released"
                ) -> pd.DataFrame:
    """Rank correlation of one group minus that of each other one, on the same pairs; one column a kind of pairs."""
    rows = {group.label: {KIND_NAMES[kind]: _shown(crossed_difference(found[first].correlations,
                                                                      found[group.name].correlations))
                          for kind, found in kinds.items()}
            for group in _measured(groups, kinds) if group.name != first}
    return pd.DataFrame.from_dict(rows, orient="index")


def edit_distance_table(distances: Mapping[str, Mapping[str, Distances]]) -> pd.DataFrame:
    """One row a space and kind of pairs: exact edit distances, and how the padded-matrix distance differs."""
    rows = {}
    for space, kinds in distances.items():
        for kind, found in kinds.items():
            edits, padded = (x[found.pairs.edits > 0] for x in (found.pairs.edits, found.pairs.padded))
            rows[f"{SPACE_NAMES[space]}, {KIND_NAMES[kind]}"] = {
                "pairs": f"{edits.size:,}", "mean": f"{edits.mean():.2f}", "largest": int(edits.max()),
                "mean, padded matrices": f"{padded.mean():.2f}",
                "padded is larger, %": f"{100 * (padded > edits).mean():.1f}"}
    return pd.DataFrame.from_dict(rows, orient="index")


def held_ends_table(distances: Mapping[str, Mapping[str, Distances]]) -> pd.DataFrame:
    """One row a space and kind of pairs: how often, and by how much, the edit distance is larger when inputs and output
    are assigned to each other; of the first pairs."""
    rows = {}
    for space, kinds in distances.items():
        for kind, found in kinds.items():
            pairs = found.pairs
            first, second, edits = (x.ravel()[:_HELD_PAIRS] for x in (pairs.first, pairs.second, pairs.edits))
            more = edit_distance(pairs.cells[first], pairs.cells[second], held=ENDS[space]) - edits
            rows[f"{SPACE_NAMES[space]}, {KIND_NAMES[kind]}"] = {
                "pairs": f"{len(more):,}", "larger when held, %": f"{100 * (more > 0).mean():.1f}",
                "by at most": int(more.max())}
    return pd.DataFrame.from_dict(rows, orient="index")


def record(page: Page, space: str, groups: Sequence[Group], kinds: Mapping[str, Mapping[str, Summary]]) -> None:
    """Put the numbers of a space on the page: identities as at the head of the register of claims on NAS-Bench-101,
    with the space after ``obs3`` on the others."""
    for kind, found in kinds.items():
        for group in groups:
            if group.name not in found:
                continue
            one, summary = group.members[0], found[group.name]
            stem = f"obs3/{one.kind}" if space == "nasbench101" else f"obs3/{space}/{one.kind}"
            options = {"recipe": one.recipe if one.has_seed else "", "definition": DEFINITIONS[kind]}
            _add(page, f"{stem}/rank_correlation", summary.correlation, "", options)
            _add(page, f"{stem}/smallest_step", summary.step, "of the mean L2 distance", options)


def _measured(groups: Sequence[Group], kinds: Mapping[str, Mapping[str, Summary]]) -> list[Group]:
    return [group for group in groups if all(group.name in found for found in kinds.values())]


def _add(page: Page, id: str, found: Estimate, unit: str, options: Mapping[str, str]) -> None:
    value, low, high = (float(x) if np.isfinite(x) else None for x in found[:3])
    page.add(id, value, low=low, high=high, n=found.n, unit=unit, **options)


def _shown(found: Estimate, digits: int = 2) -> str:
    return show(found, digits) if np.isfinite(found.value) else "undefined"
