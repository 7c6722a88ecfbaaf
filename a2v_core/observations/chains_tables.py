"""Numbers, tables and sentences of the page of Observation 5, from its chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from a2v_core.cells import Cells
from a2v_core.observations.chains_plan import TRAINING_MODE, Chains
from a2v_core.results import Page
from a2v_core.search.estimates import show
from a2v_core.search.protocol import NO_CELL
from a2v_core.stats import Estimate, bootstrap_interval, t_interval

#: What a step is measured by in each space.
QUANTITY = {"nasbench101": "edits", "nasbench201": "operations", "darts": "operations"}
# A single training has an interval over its starts, where these are enough for the bootstrap.
_LEAST_STARTS = 10


def by_label(chains: Sequence[Chains]) -> dict[str, list[Chains]]:
    """The chains of each arm, all its seeds together, in the order of the plan."""
    groups: dict[str, list[Chains]] = {}
    for made in chains:
        groups.setdefault(made.arm.label, []).append(made)
    return groups


def select(chains: Sequence[Chains], kind: str, recipe: str | None = None) -> list[Chains]:
    """Those of one kind, and of one recipe where given."""
    return [c for c in chains if c.arm.kind == kind and recipe in (None, c.arm.recipe)]


def seed_means(group: Sequence[Chains], array: str) -> np.ndarray:
    """Mean of an array over all starts and steps, one a seed, float64 [seeds]; NaN where a seed's chains have no step,
    because all its embeddings are one point."""
    values = [made.arrays[array] for made in group if array in made.arrays]
    return np.array([np.nanmean(v) if np.isfinite(v).any() else np.nan for v in values])


def estimate(group: Sequence[Chains], array: str) -> Estimate | None:
    """Mean with its 95 % interval: over the seeds, each of which has its own training and starts; where there is one
    seed only, over the starts, which are then the `n`. Seeds without a step do not count; None where nothing does."""
    means = seed_means(group, array)
    means = means[np.isfinite(means)]
    if len(means) > 1:
        return t_interval(means)
    if not len(means):
        return None
    (values,) = (v for made in group if np.isfinite(v := made.arrays.get(array, np.array([np.nan]))).any())
    of_starts = np.nanmean(values, axis=1) if values.ndim == 2 else values
    of_starts = of_starts[np.isfinite(of_starts)]
    if len(of_starts) < _LEAST_STARTS:
        return Estimate(float(means[0]), np.nan, np.nan, 1)
    return bootstrap_interval(of_starts, 0)


def same_operations(group: Sequence[Chains], cells: Cells) -> float:
    """Percentage of steps that keep the operations of a cell, counted without their places; NaN where there is no
    step."""
    shares = []
    for made in group:
        rows = made.arrays["all/rows"]
        there = (rows[:, 1:] != NO_CELL) & (rows[:, :-1] != NO_CELL)
        first, second = (np.sort(cells.ops[part[there]], axis=1) for part in (rows[:, :-1], rows[:, 1:]))
        if len(first):
            shares.append((first == second).all(1).mean())
    return 100 * float(np.mean(shares)) if shares else np.nan


def steps_table(chains: Sequence[Chains], space: str, cells: Cells, paper: Mapping[str, float] | None = None
                ) -> pd.DataFrame:
    """One row an arm: the paper's value by kind, ours over all cells and over one cell a point, the share of steps that
    keep the operations (:func:`same_operations`), the share of length zero, the share of cells alone on their point,
    seeds."""
    rows = {}
    for label, group in by_label(chains).items():
        quantity, first = QUANTITY[space], group[0].arm
        row: dict[str, str | int] = {}
        if paper:
            row["paper"] = f"{paper[first.kind]:.1f}" if first.kind in paper and first.recipe == "released" else ""
        for variant, name in (("all", "ours"), ("points", "one cell a point")):
            found = estimate(group, f"{variant}/{quantity}")
            row[name] = "" if found is None else show(found)
        if space == "darts":
            row["edges unchanged, %"] = f"{100 * np.nanmean(seed_means(group, 'all/same_edges')):.0f}"
        row["same operations, %"] = f"{same_operations(group, cells):.0f}"
        has_lengths = "all/lengths" in group[0].arrays
        zero = [100 * (c.arrays["all/lengths"] == 0).mean() for c in group if has_lengths]
        row["steps of length 0, %"] = f"{np.mean(zero):.0f}" if zero else ""
        row["cells alone, %"] = f"{seed_means(group, 'share_alone').mean():.0f}" if has_lengths else ""
        row["seeds"] = len(group)
        rows[label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def families_table(chains: Sequence[Chains]) -> pd.DataFrame:
    """One row an arm: percentage of straight networks and of networks with skip connections among the nearest cells of
    each family, and along the chains that start in it."""
    rows = {}
    for label, group in by_label(chains).items():
        found = {name: estimate(group, array) for name, array in {
            "straight: straight": "straight/straight", "straight: skips": "straight/skips",
            "straight, chain: straight": "straight/chain_straight", "skips: skips": "skips/skips",
            "skips, chain: skips": "skips/chain_skips"}.items()}
        rows[label] = {name: "" if f is None else show(f, 1) for name, f in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def record(page: Page, chains: Mapping[str, Sequence[Chains]]) -> None:
    """Put the numbers of the figures and of all arms on the page. `chains` by space."""
    for space, made in chains.items():
        for group in by_label(made).values():
            kind = group[0].arm.kind
            for variant, definition in _DEFINITIONS.items():
                name = "mean_edit_distance" if space == "nasbench101" else "operation_changes"
                ids = [f"obs5/{space}/{kind}/{name}"]
                if (space, kind) in _FIGURE:
                    ids.append(f"{_FIGURE[space, kind]}/{kind}/{name}")
                for id in ids:
                    _add(page, id, group, f"{variant}/{QUANTITY[space]}", definition)
            if space == "nasbench101" and kind in ("arch2vec", "supervised"):
                _add(page, f"fig11/{kind}/straight_neighbours", group, "straight/straight", "exact", "%")
            if (space, kind) == ("darts", "arch2vec"):
                _add(page, "fig13/arch2vec/edges_unchanged", group, "all/same_edges", "exact", "%", 100)


def record_variants(page: Page, chains: Sequence[Chains]) -> None:
    """Put the other ways to get the supervised embedding on the page."""
    for group in by_label(chains).values():
        arm = group[0].arm
        definition = "training_mode" if arm.kind == TRAINING_MODE else f"{arm.labels}_labels"
        _add(page, "obs5/nasbench101/supervised/mean_edit_distance", group, "all/edits", definition)


#: Figure that an arm's steps belong to, by space and kind.
_FIGURE = {("nasbench101", "arch2vec"): "fig5", ("nasbench101", "supervised"): "fig5",
           ("nasbench201", "arch2vec"): "fig12", ("nasbench201", "supervised"): "fig12",
           ("darts", "arch2vec"): "fig13", ("darts", "random"): "fig13"}
_DEFINITIONS = {"all": "exact", "points": "one_cell_a_point"}


def _add(page: Page, id: str, group: Sequence[Chains], array: str, definition: str, unit: str = "", factor: float = 1.0
         ) -> None:
    found = estimate(group, array)
    if found is None:
        return
    ends = {"low": factor * found.low, "high": factor * found.high} if np.isfinite(found.low) else {}
    page.add(id, factor * found.value, **ends, n=found.n, unit=unit, recipe=group[0].arm.recipe, definition=definition)
