"""Numbers and tables of the search pages, from the runs of a plan's groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from a2v_core.artifacts import ArtifactStore
from a2v_core.results import Page
from a2v_core.search.features import Features
from a2v_core.search.plan import AHEAD_FROM, DISCRETE_QUERIES, QUERIES, SECONDS, Group, Scale
from a2v_core.search.trajectories import Outcomes, regret_after
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.stats import (
    Estimate,
    bootstrap_interval,
    paired_difference,
    probability_of_superiority,
    t_interval,
)

#: Methods on the discrete encoding, which Table 2 reads after more queries.
DISCRETE = ("random", "re", "rl", "bohb")
#: Name of each method in the identities of Table 2, Figure 6 and Table 3, and in the authors' curves. Table 2 says BO
#: where the text and Figure 6 have BOHB.
TABLE2 = {"random": "random", "re": "re", "rl": "rl", "bohb": "bo", "supervised_rl": "supervised_rl",
          "supervised_bo": "supervised_bo", "arch2vec_rl": "arch2vec_rl", "arch2vec_bo": "arch2vec_bo"}
FIGURE6 = TABLE2 | {"bohb": "bohb"}
TABLE3 = {"random": "random", "re": "re", "rl": "reinforce", "bohb": "bohb", "arch2vec_rl": "arch2vec_rl",
          "arch2vec_bo": "arch2vec_bo"}
AUTHORS = {"random": "random", "re": "evolution", "rl": "discrete-rl", "bohb": "bohb", "supervised_rl": "supervised-rl",
           "supervised_bo": "supervised-bo", "arch2vec_rl": "arch2vec-rl", "arch2vec_bo": "arch2vec-bo"}
# Fewer runs than this have Student's interval for their mean, others the bootstrap, which needs ten of them.
_FEW_RUNS, _LEAST_RESAMPLED = 30, 10


def held(outcomes: Outcomes, quantity: str, queries: float = np.inf, seconds: float = np.inf) -> np.ndarray:
    """What each run holds when the first of the bounds is reached, float64 [R]; a run whose budget ended before holds
    what it had at its end."""
    completed = outcomes.completed(queries, seconds)
    return outcomes.values(quantity, np.where(completed < 0, outcomes.trajectories.counts[:, None], completed))[:, 0]


def missing_table(error: Exception) -> str:
    """A box, in the book's Markdown, that says which table is not here and how to get it."""
    return f":::{{admonition}} A table is not here\n:class: warning\n{error}\n\nWhat needs it is left out below.\n:::"


def unfinished_table(lines: Sequence[str]) -> str:
    """A box, in the book's Markdown, with the lines of :func:`a2v_core.search.plan.unfinished`."""
    listed = "\n".join(f"- {line}" for line in lines)
    return f":::{{admonition}} Fewer runs than planned\n:class: note dropdown\n{listed}\n:::"


def estimate(runs: np.ndarray, statistic: str = "mean") -> Estimate:
    """A statistic over runs (mean, sd, or q90, the 90th percentile) with its 95 % interval, whose ends are NaN where
    the runs are too few to tell; those of one run are its value."""
    compute = {"mean": np.mean, "sd": lambda x, axis=-1: np.std(x, axis=axis, ddof=1),
               "q90": lambda x, axis=-1: np.quantile(x, 0.9, axis=axis)}[statistic]
    if len(runs) == 1:
        value = float(runs[0]) if statistic != "sd" else 0.0
        return Estimate(value, value, value, 1)
    if statistic == "mean" and len(runs) < _FEW_RUNS:
        return t_interval(runs)
    if len(runs) < _LEAST_RESAMPLED:
        return Estimate(float(compute(runs)), np.nan, np.nan, len(runs))
    return bootstrap_interval(runs, 0, compute, method="percentile", resamples=2000)


def show(found: Estimate, digits: int = 2) -> str:
    """``value [low, high]``, or the value alone where it has no interval."""
    if not _has_interval(found):
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def signed(gap: Estimate) -> str:
    """A difference as ``+value [low, high]``, all with their signs."""
    return f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"


def _has_interval(found: Estimate) -> bool:
    return found.n > 1 and bool(np.isfinite(found.low))


def queries_read(group: Group, scale: Scale) -> int:
    """After how many queries Table 2 reads a group."""
    whole = DISCRETE_QUERIES if group.method in DISCRETE else QUERIES
    return max(1, round(whole * scale.part))


def recorded_recipe(group: Group) -> str:
    """Recipe in the results: a search on the discrete encoding as its authors run it has none, so that it stands beside
    every recipe of arch2vec."""
    return "" if group.method in DISCRETE and group.recipe == "released" else group.recipe


def table2(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale, paper: Mapping[str, float],
           authors: pd.DataFrame) -> pd.DataFrame:
    """One row a group: queries, the paper's test accuracy, that of the authors' released curve at as many queries (or
    at its end, with the number of queries there), ours with interval, runs, different cells queried; percent."""
    rows = {}
    for group in groups:
        found, queries = runs[group.name], queries_read(group, scale)
        curve = authors[authors["method"] == AUTHORS.get(group.method)]
        at = curve[curve["step"] < queries]["test_regret"]
        ended = f" ({len(at)})" if len(at) < queries else ""
        printed = paper.get(f"table2/{TABLE2.get(group.method)}/test_accuracy")
        rows[group.label] = {
            "queries": queries, "paper": "" if printed is None else f"{printed:.2f}",
            "authors' curve": "" if at.empty else f"{100 * (found.objective.best_test - at.iloc[-1]):.2f}{ended}",
            "ours": show(estimate(100 * held(found, "test", queries=queries))), "runs": found.n_runs,
            "different cells": f"{distinct(found, queries):.0f}"}
    return pd.DataFrame.from_dict(rows, orient="index")


def distinct(outcomes: Outcomes, queries: int) -> float:
    """Mean number of different cells among the first queries of a run."""
    chosen = outcomes.trajectories.query <= queries
    pairs = np.unique(np.stack([outcomes.trajectories.run[chosen], outcomes.queried[chosen]]), axis=1)
    return pairs.shape[1] / outcomes.n_runs


def best_queried(outcomes: Outcomes, queries: float = np.inf) -> np.ndarray:
    """Test accuracy of the best cell, by test accuracy, among the first queries of each run, float64 [R]: what a run
    would report if it chose without error."""
    chosen = outcomes.trajectories.query <= queries
    best = np.full(outcomes.n_runs, -np.inf)
    np.maximum.at(best, outcomes.trajectories.run[chosen], outcomes.objective.test[outcomes.queried[chosen]])
    return best


def two_regrets(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale, authors: pd.DataFrame
                ) -> pd.DataFrame:
    """One row a group: validation and test regret after the queries of Table 2, of the authors' curves (or at their
    end) and ours, and the test regret that the best queried cell would have; percentage points."""
    rows = {}
    for group in groups:
        found, queries = runs[group.name], queries_read(group, scale)
        curve = authors[(authors["method"] == AUTHORS.get(group.method)) & (authors["step"] < queries)]
        theirs = {} if curve.empty else 100 * curve.iloc[-1][["validation_regret", "test_regret"]].astype(float)
        ours = [100 * held(found, f"regret_{split}", queries=queries).mean() for split in ("validation", "test")]
        rows[group.label] = {
            **{f"authors, {split}": f"{theirs[f'{split}_regret']:.3f}" if len(theirs) else ""
               for split in ("validation", "test")},
            "ours, validation": f"{ours[0]:.3f}", "ours, test": f"{ours[1]:.3f}",
            "ours, best queried": f"{100 * (found.objective.best_test - best_queried(found, queries)).mean():.3f}"}
    return pd.DataFrame.from_dict(rows, orient="index")


def regrets(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale) -> pd.DataFrame:
    """One row a group at the end of Figure 6: queries made, test regret (mean with interval, 90th percentile), mean
    regret from 50,000 s on; regrets in percentage points."""
    rows = {}
    for group in groups:
        found, end = runs[group.name], SECONDS * scale.part
        final = 100 * held(found, "regret_test", seconds=end)
        made, after = found.completed(seconds=end)[:, 0], _after(found, scale)
        rows[group.label] = {
            "queries": f"{made[made >= 0].mean():.0f}" if (made >= 0).any() else "",
            "final regret": show(estimate(final), 3),
            "90 % of runs below": f"{np.quantile(final, 0.9):.3f}",
            "mean from 50,000 s on": show(estimate(100 * after), 3) if len(after) else "", "runs": found.n_runs}
    return pd.DataFrame.from_dict(rows, orient="index")


def _after(outcomes: Outcomes, scale: Scale) -> np.ndarray:
    """Mean regret of each run over the later part of Figure 6; runs whose first query takes longer than the earlier
    part (in shortened profiles only) are left out."""
    found = regret_after(outcomes, AHEAD_FROM * scale.part, SECONDS * scale.part)
    return found[np.isfinite(found)]


def differences(first: Sequence[Group], second: Sequence[Group], runs: Mapping[str, Outcomes], quantity: str,
                bounds: Mapping[str, float]) -> pd.DataFrame:
    """Every group of `first` against every group of `second`: difference of means in percentage points (runs paired by
    their seed), and the chance that a run of the first ends above one of the second.

    Args:
        quantity: of the incumbent, see :data:`a2v_core.search.trajectories.QUANTITIES`.
        bounds: name of a group → queries at which it is read.
    """
    rows = []
    for a in first:
        for b in second:
            x, y = (100 * held(runs[g.name], quantity, queries=bounds[g.name]) for g in (a, b))
            seeds, of_x, of_y = np.intersect1d(*(runs[g.name].trajectories.seeds for g in (a, b)), return_indices=True)
            if len(seeds) < 2:
                continue
            gap = paired_difference(x[of_x], y[of_y])
            rows.append({"method": a.label, "against": b.label, "difference": show(gap),
                         "chance to be above": f"{probability_of_superiority(x, y):.2f}", "pairs": len(seeds)})
    return pd.DataFrame(rows)


def embeddings(seen: Sequence[Features], space: SearchSpace, data_dir: str = "") -> pd.DataFrame:
    """One row an embedding of the space: how many different points it has, and the largest distance to their mean."""
    rows, store = {}, ArtifactStore(data_dir)
    for features in seen:
        points = features.build(space, store).astype(np.float64)
        distance = np.linalg.norm(points - points.mean(0), axis=1).max()
        rows[f"{features.recipe}, pre-training {features.seed}"] = {
            "different points": len(np.unique(points, axis=0)), "radius": float(distance)}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_pretraining(group: Group, values: np.ndarray, seeds: np.ndarray) -> list[np.ndarray]:
    """The values of the runs of each pre-training, in the order of the group's arms; empty where none was run.

    Args:
        values, seeds: of each run, [R].
    """
    return [values[(seeds >= arm.first_seed) & (seeds < arm.first_seed + arm.runs)] for arm in group.arms]


def by_encoder(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale) -> pd.DataFrame:
    """Mean test accuracy by pre-training, percent: how much of the result hangs on the one encoder that is used."""
    rows = {}
    for group in groups:
        values = 100 * held(runs[group.name], "test", queries=queries_read(group, scale))
        parts = by_pretraining(group, values, runs[group.name].trajectories.seeds)
        rows[group.label] = {f"pre-training {arm.seen.seed}": show(estimate(part)) if len(part) else ""
                             for arm, part in zip(group.arms, parts, strict=True)}
    return pd.DataFrame.from_dict(rows, orient="index")


def pretraining_seconds(group: Group, data_dir: str = "") -> float:
    """Wall time of one pre-training that the runs of a group rest on, seconds, mean over its pre-trainings; stacked
    seeds share their time equally."""
    from a2v_core.pretraining import pretrain

    seconds = []
    for seen in {arm.seen for arm in group.arms}:
        space = get_space(group.arms[0].space)
        (trained,) = pretrain(space.cells(), len(space.vocabulary), seen.settings(space), [seen.seed],
                              store=ArtifactStore(data_dir))
        seconds.append(trained.record["seconds_of_stack"] / len(trained.record["stacked_seeds"]))
    return float(np.mean(seconds))


def record_table2(page: Page, groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale,
                  definition: str = "exact") -> None:
    """Put Table 2 and Figure 6 on the page: identities as at the head of the register of claims."""
    for group in groups:
        found, options = runs[group.name], {"recipe": recorded_recipe(group), "definition": definition}
        if group.method in TABLE2:
            mean = estimate(100 * held(found, "test", queries=queries_read(group, scale)))
            page.add_estimate(f"table2/{TABLE2[group.method]}/test_accuracy", mean, unit="%", **options)
            final, stem = held(found, "regret_test", seconds=SECONDS * scale.part), f"fig6/{FIGURE6[group.method]}"
            page.add_estimate(f"{stem}/final_regret", estimate(final), unit="fraction", **options)
            page.add_estimate(f"{stem}/final_regret_q90", estimate(final, "q90"), unit="fraction", **options)
            if len(after := _after(found, scale)):
                page.add_estimate(f"{stem}/regret_after_5e4", estimate(after), unit="fraction", **options)


def record_accuracy(page: Page, id: str, group: Group, outcomes: Outcomes, queries: float = np.inf) -> None:
    """Put the mean test accuracy of a group that no claim is about on the page, percent."""
    found = estimate(100 * held(outcomes, "test", queries=queries))
    page.add_estimate(id, found, unit="%", **{"recipe": group.recipe, "definition": "exact"})


def record_table3(page: Page, dataset: str, groups: Sequence[Group], runs: Mapping[str, Outcomes],
                  definition: str = "exact") -> None:
    """Put one data set of Table 3 on the page."""
    for group in groups:
        if group.method not in TABLE3:
            continue
        for split in ("validation", "test"):
            values = 100 * held(runs[group.name], split)
            options = {"recipe": recorded_recipe(group), "definition": definition}
            stem = f"table3/{dataset}/{TABLE3[group.method]}/{split}"
            page.add_estimate(stem, estimate(values), unit="%", **options)
            page.add_estimate(f"{stem}_sd", estimate(values, "sd"), unit="%", **options)


def table3(dataset: str, groups: Sequence[Group], runs: Mapping[str, Outcomes], paper: Mapping[str, float]
           ) -> pd.DataFrame:
    """One row a group: the paper's mean ± sd of validation and test beside ours, the interval of our mean, queries;
    percent."""
    rows = {}
    for group in groups:
        row: dict[str, str | int] = {}
        for split in ("validation", "test"):
            values, stem = 100 * held(runs[group.name], split), f"table3/{dataset}/{TABLE3.get(group.method)}/{split}"
            if stem in paper:
                row[f"{split}, paper"] = f"{paper[stem]:.2f} ± {paper[f'{stem}_sd']:.2f}"
            deviation = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
            mean, *interval = show(estimate(values)).partition(" ")
            row[f"{split}, ours"] = mean + deviation + "".join(interval)
        row |= {"queries": f"{runs[group.name].trajectories.counts.mean():.0f}", "runs": runs[group.name].n_runs}
        rows[group.label] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")
