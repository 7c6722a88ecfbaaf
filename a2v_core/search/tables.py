"""Numbers and tables of the search pages, from the runs of a plan's groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

import numpy as np
import pandas as pd

from a2v_core import point_clouds
from a2v_core.artifacts import ArtifactStore
from a2v_core.results import Page
from a2v_core.search.estimates import by_pretraining, difference, estimate, group_estimate, held, percent, show
from a2v_core.search.features import Features
from a2v_core.search.plan import AHEAD_FROM, DISCRETE_QUERIES, QUERIES, SECONDS, Group, Scale
from a2v_core.search.trajectories import Outcomes, regret_after
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.stats import Estimate, probability_of_superiority

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


def missing_table(error: Exception) -> str:
    """A box, in the book's Markdown, that says which table is not here and how to get it."""
    return f":::{{admonition}} A table is not here\n:class: warning\n{error}\n\nWhat needs it is left out below.\n:::"


def unfinished_table(lines: Sequence[str]) -> str:
    """A box, in the book's Markdown, with the lines of :func:`a2v_core.search.plan.unfinished`."""
    listed = "\n".join(f"- {line}" for line in lines)
    return f":::{{admonition}} Fewer runs than planned\n:class: note dropdown\n{listed}\n:::"


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
            "ours": show(estimate(percent(group, runs, "test", queries).values)), "runs": found.n_runs,
            "pre-trainings": pretrainings(group, found), "different cells": f"{distinct(found, queries):.0f}"}
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
        final, seeds = 100 * held(found, "regret_test", seconds=end), found.trajectories.seeds
        made, after = found.completed(seconds=end)[:, 0], _after(group, found, scale)
        rows[group.label] = {
            "queries": f"{made[made >= 0].mean():.0f}" if (made >= 0).any() else "",
            "final regret": show(group_estimate(group, final, seeds), 3),
            "90 % of runs below": f"{group_estimate(group, final, seeds, 'q90').value:.3f}",
            "mean from 50,000 s on": _points(after) if after else "", "runs": found.n_runs}
    return pd.DataFrame.from_dict(rows, orient="index")


def _points(fraction: Estimate) -> str:
    return show(Estimate(*(100 * end for end in fraction[:3]), fraction.n), 3)


def _after(group: Group, outcomes: Outcomes, scale: Scale) -> Estimate | None:
    """Mean regret, a fraction, over the later part of Figure 6; runs whose first query takes longer than the earlier
    part (in shortened profiles only) are left out. None when no run is left."""
    found = regret_after(outcomes, AHEAD_FROM * scale.part, SECONDS * scale.part)
    there = np.isfinite(found)
    return group_estimate(group, found[there], outcomes.trajectories.seeds[there]) if there.any() else None


def differences(first: Sequence[Group], second: Sequence[Group], runs: Mapping[str, Outcomes], quantity: str,
                bounds: Mapping[str, float]) -> pd.DataFrame:
    """Every group of `first` against every group of `second`: difference of means in percentage points with its
    interval (:func:`a2v_core.search.estimates.difference`), the chance that a run of the first ends above one of the
    second, and how many samples each side has.

    Args:
        quantity: of the incumbent, see :data:`a2v_core.search.trajectories.QUANTITIES`.
        bounds: name of a group → queries at which it is read.
    """
    rows = []
    for a in first:
        for b in second:
            both = [percent(g, runs, quantity, bounds[g.name]) for g in (a, b)]
            if gap := difference(*both):
                above = probability_of_superiority(*(held(runs[g.name], quantity, bounds[g.name]) for g in (a, b)))
                rows.append({"method": a.label, "against": b.label, "difference": show(gap),
                             "chance to be above": f"{above:.2f}",
                             "samples": " and ".join(str(len(each.values)) for each in both)})
    return pd.DataFrame(rows)


def pretrainings(group: Group, outcomes: Outcomes) -> str:
    """How many pre-trainings the runs of a group rest on; empty for a method without an embedding."""
    there = by_pretraining(group, outcomes.trajectories.seeds, outcomes.trajectories.seeds)
    return str(sum(len(part) > 0 for part in there)) if group.arms[0].seen.kind == "arch2vec" else ""


def embeddings(seen: Sequence[Features], space: SearchSpace, data_dir: str = "") -> pd.DataFrame:
    """One row an embedding of the space: how many different points it has, and the largest distance to their mean."""
    rows, store = {}, ArtifactStore(data_dir)
    for features in seen:
        points = features.build(space, store)
        rows[f"{features.recipe}, pre-training {features.seed}"] = {
            "different points": point_clouds.n_different(points), "radius": point_clouds.radius(points)}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_encoder(groups: Sequence[Group], runs: Mapping[str, Outcomes], scale: Scale,
               name: Callable[[Group], str] = attrgetter("label")) -> pd.DataFrame:
    """Mean test accuracy by pre-training, percent: how much of the result hangs on the one encoder that is used. Rows
    have the labels of the groups, or other names."""
    rows = {}
    for group in groups:
        values = 100 * held(runs[group.name], "test", queries=queries_read(group, scale))
        parts = by_pretraining(group, values, runs[group.name].trajectories.seeds)
        rows[name(group)] = {f"pre-training {arm.seen.seed}": show(estimate(part)) if len(part) else ""
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
            mean = estimate(percent(group, runs, "test", queries_read(group, scale)).values)
            page.add_estimate(f"table2/{TABLE2[group.method]}/test_accuracy", mean, unit="%", **options)
            final, stem = held(found, "regret_test", seconds=SECONDS * scale.part), f"fig6/{FIGURE6[group.method]}"
            for ending, statistic in (("", "mean"), ("_q90", "q90")):
                regret = group_estimate(group, final, found.trajectories.seeds, statistic)
                page.add_estimate(f"{stem}/final_regret{ending}", regret, unit="fraction", **options)
            if after := _after(group, found, scale):
                page.add_estimate(f"{stem}/regret_after_5e4", after, unit="fraction", **options)


def record_accuracy(page: Page, id: str, group: Group, runs: Mapping[str, Outcomes], queries: float = np.inf) -> None:
    """Put the mean test accuracy of a group that no claim is about on the page, percent."""
    found = estimate(percent(group, runs, "test", queries).values)
    page.add_estimate(id, found, unit="%", **{"recipe": group.recipe, "definition": "exact"})


def record_table3(page: Page, dataset: str, groups: Sequence[Group], runs: Mapping[str, Outcomes],
                  definition: str = "exact") -> None:
    """Put one data set of Table 3 on the page."""
    for group in groups:
        if group.method not in TABLE3:
            continue
        for split in ("validation", "test"):
            values, seeds = 100 * held(runs[group.name], split), runs[group.name].trajectories.seeds
            options = {"recipe": recorded_recipe(group), "definition": definition}
            for ending, statistic in (("", "mean"), ("_sd", "sd")):
                found = group_estimate(group, values, seeds, statistic)
                page.add_estimate(f"table3/{dataset}/{TABLE3[group.method]}/{split}{ending}", found, unit="%",
                                  **options)


def table3(dataset: str, groups: Sequence[Group], runs: Mapping[str, Outcomes], paper: Mapping[str, float]
           ) -> pd.DataFrame:
    """One row a group: the paper's mean ± sd of validation and test beside ours (the deviation between the runs of one
    pre-training), the interval of our mean, queries; percent."""
    rows = {}
    for group in groups:
        row: dict[str, str | int] = {}
        for split in ("validation", "test"):
            values, stem = 100 * held(runs[group.name], split), f"table3/{dataset}/{TABLE3.get(group.method)}/{split}"
            if stem in paper:
                row[f"{split}, paper"] = f"{paper[stem]:.2f} ± {paper[f'{stem}_sd']:.2f}"
            seeds = runs[group.name].trajectories.seeds
            deviation = f" ± {group_estimate(group, values, seeds, 'sd').value:.2f}" if len(values) > 1 else ""
            mean, *interval = show(group_estimate(group, values, seeds)).partition(" ")
            row[f"{split}, ours"] = mean + deviation + "".join(interval)
        row |= {"queries": f"{runs[group.name].trajectories.counts.mean():.0f}", "runs": runs[group.name].n_runs,
                "pre-trainings": pretrainings(group, runs[group.name])}
        rows[group.label] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")
