"""What the page of Observation 5 found, as sentences made from its chains; what was not made is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from a2v_core.cells import Cells
from a2v_core.observations.chains_plan import RECIPES, Chains
from a2v_core.observations.chains_tables import (
    QUANTITY,
    by_label,
    estimate,
    same_operations,
    seed_means,
    select,
)
from a2v_core.search.estimates import show
from a2v_core.stats import Estimate, paired_difference
from a2v_core.table1_tables import SPACE_NAMES


def chain_means(group: Sequence[Chains], array: str) -> np.ndarray:
    """Mean over the steps of each chain of all seeds, float64 [chains]; chains without a step are left out."""
    means = np.concatenate([np.nanmean(v, axis=1) for made in group if np.isfinite(v := made.arrays[array]).any()]
                           or [np.zeros(0)])
    return means[np.isfinite(means)]


def findings(chains: Mapping[str, Sequence[Chains]], cells: Mapping[str, Cells], paper: Mapping[str, float]
             ) -> list[str]:
    """Sentences on all three spaces.

    Args:
        chains: by space.
        cells: that the chains visit, by space.
        paper: the paper's mean edit distance by kind, arch2vec and supervised.
    """
    return [*_nasbench101(chains["nasbench101"], paper), *_straight(chains["nasbench101"]),
            *_nasbench201(chains["nasbench201"]), *_darts(chains["darts"]), *_operations(chains, cells)]


def variants(made: Sequence[Chains], paper: Mapping[str, float]) -> list[str]:
    """A sentence on the other ways to get the supervised embedding."""
    parts = [f"{label} {show(found)}" for label, group in by_label(made).items()
             if (found := estimate(group, "all/edits"))]
    return [f"**Other supervised networks** (edits a step; the paper's chain: {paper['supervised']}): "
            f"{'; '.join(parts)}."] if parts else []


def gap(first: Sequence[Chains], second: Sequence[Chains], array: str) -> Estimate | None:
    """Mean of `first` minus mean of `second`, paired by the seed whose starts they share; None where they share none.
    One seed alone has no interval."""
    a, b = ({c.arm.seed: float(seed_means([c], array)[0]) for c in group} for group in (first, second))
    shared = [s for s in a if s in b and np.isfinite([a[s], b[s]]).all()]
    if not shared:
        return None
    x, y = np.array([a[s] for s in shared]), np.array([b[s] for s in shared])
    return paired_difference(x, y) if len(x) > 1 else Estimate(float(x[0] - y[0]), np.nan, np.nan, 1)


def relation(found: Estimate, fewer: str, more: str, equal: str) -> str:
    """The word for a difference: that of its sign where its interval excludes 0 (or where there is none)."""
    if found.n > 1 and found.low <= 0 <= found.high:
        return equal
    return fewer if found.value < 0 else more


def _nasbench101(made: Sequence[Chains], paper: Mapping[str, float]) -> list[str]:
    array, sentences = "all/edits", []
    ours, supervised, random = (select(made, k, r) for k, r in (("arch2vec", "released"), ("supervised", "released"),
                                                                ("random", "")))
    if found := estimate(ours, array):
        zero = 100 * np.mean([(c.arrays["all/lengths"] == 0).mean() for c in ours])
        points = estimate(ours, "points/edits")
        sentences.append(
            f"**NAS-Bench-101, arch2vec as released.** {show(found)} edits a step (paper: {paper['arch2vec']} on one "
            f"chain). {zero:.0f} % of the steps go nowhere in the latent space, between cells with one embedding; with "
            f"one cell a point the mean is {show(points)}.")
    if (found := estimate(supervised, array)) and random:
        least = paper["supervised"]
        share = {name: 100 * (chain_means(group, array) >= least).mean()
                 for name, group in (("supervised", supervised), ("random", random))}
        sentences.append(
            f"**The supervised counterpart** changes {show(found)} edits a step (paper: {least} on one chain); cells "
            f"at random differ by {show(estimate(random, array))}. A mean of {least} or more is found on "
            f"{share['supervised']:.0f} % of our supervised chains and on {share['random']:.0f} % of the chains of "
            "random cells.")
    if ours and supervised and (found := gap(ours, supervised, array)):
        sentences.append(f"arch2vec takes {relation(found, 'shorter', 'longer', 'neither shorter nor longer')} steps "
                         f"than its supervised counterpart: difference {show(found)} edits.")
    controls = [(c, select(made, c)) for c in ("untrained", "one_hot", "pca", "path", "accuracy")]
    parts = [f"{group[0].arm.label} {show(found)}" for _, group in controls if group
             and (found := estimate(group, array))]
    if parts:
        means = {group[0].arm.label: found.value for group in (ours, supervised, *(g for _, g in controls))
                 if group and (found := estimate(group, array))}
        sentences.append(f"**Without pre-training** (edits a step): {'; '.join(parts)}. The shortest steps of all: "
                         f"{min(means, key=means.get)}.")
    if (untrained := select(made, "untrained")) and (found := gap(ours, untrained, array)):
        sentences.append(f"Against the encoder with its initial weights, pre-training makes the steps "
                         f"{relation(found, 'shorter', 'longer', 'neither shorter nor longer')}: {show(found)} edits.")
    sentences += _recipes(made, array, "NAS-Bench-101", "edits")
    return sentences


def _recipes(made: Sequence[Chains], array: str, name: str, unit: str) -> list[str]:
    """A sentence on the other recipes of arch2vec and of the supervised network."""
    parts = []
    for kind in ("arch2vec", "supervised"):
        for recipe in RECIPES[1:]:
            group = select(made, kind, recipe)
            if not group:
                continue
            lost = int(np.isnan(seed_means(group, array)).sum())
            found = estimate(group, array)
            parts.append(f"{group[0].arm.label} {'no step' if found is None else show(found)}"
                         + (f" ({lost} of {len(group)} pre-trainings put all cells on one point)" if lost else ""))
    return [f"**{name}, other recipes** ({unit} a step): {'; '.join(parts)}."] if parts else []


def _straight(made: Sequence[Chains]) -> list[str]:
    parts = [f"{label} {show(found, 1)} %" for label, group in by_label(made).items()
             if group[0].arm.recipe in ("released", "") and (found := estimate(group, "straight/straight"))]
    text = "; ".join(parts)
    return [f"**Straight networks** among the ten nearest cells of straight networks: {text}."] if parts else []


def _nasbench201(made: Sequence[Chains]) -> list[str]:
    array = f"all/{QUANTITY['nasbench201']}"
    parts = [f"{label} {show(found)}" for label, group in by_label(made).items()
             if group[0].arm.recipe in ("released", "") and (found := estimate(group, array))]
    sentences = [f"**NAS-Bench-201**, operations changed a step, of six: {'; '.join(parts)}."] if parts else []
    ours, supervised = select(made, "arch2vec", "released"), select(made, "supervised", "released")
    if ours and supervised and (found := gap(ours, supervised, array)):
        word = relation(found, "fewer", "more", "neither fewer nor more")
        sentences.append(f"arch2vec changes {word} operations than its supervised counterpart: {show(found)} a step.")
    return sentences + _recipes(made, array, "NAS-Bench-201", "operations")


def _darts(made: Sequence[Chains]) -> list[str]:
    array = f"all/{QUANTITY['darts']}"
    parts = []
    for label, group in by_label(made).items():
        if (found := estimate(group, array)) is not None:
            same = 100 * np.nanmean(seed_means(group, "all/same_edges"))
            parts.append(f"{label} {show(found)}, the edges unchanged in {same:.0f} % of the steps")
    return [f"**DARTS**, operations changed a step, of eight: {'; '.join(parts)}."] if parts else []


def _operations(chains: Mapping[str, Sequence[Chains]], cells: Mapping[str, Cells]) -> list[str]:
    """What kind of cells are near for arch2vec: those with the same operations in other places."""
    parts = []
    for space, name in SPACE_NAMES.items():
        shares = []
        for kind, word in (("arch2vec", "for arch2vec"), ("supervised", "for the supervised network"),
                           ("random", "between random cells")):
            group = [c for c in chains[space] if c.arm.kind == kind and c.arm.recipe in ("released", "")]
            if np.isfinite(share := same_operations(group, cells[space])):
                shares.append(f"{share:.0f} % {word}")
        if shares:
            parts.append(f"{name} {', '.join(shares)}")
    return [f"**Steps that keep a cell's operations** and only move them or change edges: {'; '.join(parts)}."
            ] if parts else []
