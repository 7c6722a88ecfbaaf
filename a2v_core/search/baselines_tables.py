"""Numbers, tables and sentences of the page on stronger baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from a2v_core.results import Page
from a2v_core.search.baselines_plan import NASBENCH101, SINCE
from a2v_core.search.estimates import difference as difference_of
from a2v_core.search.estimates import estimate, held, percent, samples, show, signed
from a2v_core.search.findings import AGENTS, DATASET_NAMES
from a2v_core.search.plan import Group
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import Estimate

#: Parts of the page as they are shown.
PART_NAMES = {**DATASET_NAMES, NASBENCH101: "NAS-Bench-101"}
# What the tuned evolution is called in the identities of results.
_TUNED = "re_tuned"


def name_of(group: Group) -> str:
    """Name of a group in the identities of results."""
    return _TUNED if group.note else group.method


def tuning_table(groups: Sequence[Group], runs: Mapping[str, Outcomes]) -> pd.DataFrame:
    """Mean validation accuracy with its interval, percent, by population (rows) and tournament."""
    cells = {(g.arms[0].changes["population"], g.arms[0].changes["tournament"]):
             show(estimate(100 * held(runs[g.name], "validation"))) for g in groups if g.name in runs}
    table = pd.Series(cells, dtype=object).unstack().fillna("")
    return table.rename_axis(index="population", columns="tournament")


def table(groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: float = np.inf) -> pd.DataFrame:
    """One row a group: test accuracy (mean with interval, and deviation over runs), validation accuracy, test regret
    that nine of ten runs stay below; percent and percentage points; queries made, runs."""
    rows = {}
    for group in groups:
        found, test = runs[group.name], _test(group, runs, queries)
        regret = 100 * held(found, "regret_test", queries=queries)
        rows[group.label] = {
            "test": _shown(group, runs, "test", queries),
            "deviation": f"{test.std(ddof=1):.2f}" if len(test) > 1 else "",
            "validation": _shown(group, runs, "validation", queries),
            "90 % of regrets below": f"{np.quantile(regret, 0.9):.2f}",
            "queries": f"{np.minimum(found.trajectories.counts, queries).mean():.0f}", "runs": found.n_runs}
    return pd.DataFrame.from_dict(rows, orient="index")


def difference(first: Group, second: Group, runs: Mapping[str, Outcomes], queries: float = np.inf) -> Estimate | None:
    """:func:`a2v_core.search.estimates.difference` of test accuracy, percentage points."""
    return difference_of(*(percent(group, runs, "test", queries) for group in (first, second)))


def difference_table(groups: Sequence[Group], against: Sequence[Group], runs: Mapping[str, Outcomes],
                     queries: float = np.inf) -> pd.DataFrame:
    """:func:`difference` of each group (rows) to each of `against` (columns) with its interval; empty for itself."""
    rows = {}
    for group in groups:
        gaps = {other.label: difference(group, other, runs, queries) if group is not other else None
                for other in against}
        rows[group.label] = {label: show(gap) if gap else "" for label, gap in gaps.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def charged(outcomes: Outcomes, seconds: float, queries: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Test accuracy, percent, float64 [R], and queries, int64 [R], of runs that spend so many simulated seconds before
    their first query: NaN and 0 for a run that has none left. The end of a run stays where it was: its budget of
    seconds, or the moment of its last counted query."""
    budget = outcomes.trajectories.budget.seconds
    counts = np.minimum(outcomes.trajectories.counts, queries).astype(np.int64)
    last = outcomes.values("seconds", counts[:, None])[:, 0]
    end = last if np.isfinite(queries) or budget is None else np.full(len(counts), budget)
    made = np.minimum((outcomes.seconds <= (end - seconds)[:, None]).sum(1), counts)
    return 100 * outcomes.values("test", made[:, None])[:, 0], made


def charged_table(groups: Sequence[Group], runs: Mapping[str, Outcomes], seconds: Mapping[str, float],
                  queries: float = np.inf) -> pd.DataFrame:
    """One row a group that rests on a pre-training: its seconds (by name of the group), the queries that they cost a
    run, test accuracy before and after, percent."""
    rows = {}
    for group in groups:
        if group.name in seconds:
            after, made = charged(runs[group.name], seconds[group.name], queries)
            lost = np.minimum(runs[group.name].trajectories.counts, queries) - made
            rows[group.label] = {
                "pre-training, s": f"{seconds[group.name]:,.0f}", "queries lost": f"{lost.mean():.1f}",
                "test": _shown(group, runs, "test", queries),
                "test, charged": show(found) if (found := _charged_mean(group, runs, after)) else "none left"}
    return pd.DataFrame.from_dict(rows, orient="index")


def record(page: Page, part: str, groups: Sequence[Group], runs: Mapping[str, Outcomes],
           seconds: Mapping[str, float], queries: float = np.inf) -> None:
    """Put the test accuracy of each group, percent, its difference to regularized evolution, percentage points, and
    with the pre-training charged, percent, on the page."""
    reference = find(groups, "re")
    for group in groups:
        stem, options = f"beyond/baselines/{part}/{name_of(group)}", {"recipe": group.recipe}
        page.add_estimate(f"{stem}/test", estimate(percent(group, runs, "test", queries).values), unit="%", **options)
        if reference and group is not reference and (gap := difference(group, reference, runs, queries)):
            page.add_estimate(f"{stem}/test_minus_re", gap, unit="percentage points", **options)
        if group.name in seconds:
            after, _ = charged(runs[group.name], seconds[group.name], queries)
            page.add_estimate(f"{stem}/test_charged", _charged_mean(group, runs, after), unit="%", **options)


def find(groups: Sequence[Group], name: str, recipe: str = "released") -> Group | None:
    """The group of this name (:func:`name_of`); the recipe of a tuned evolution is not asked for."""
    return next((g for g in groups if name_of(g) == name and (name == _TUNED or g.recipe == recipe)), None)


def findings(parts: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: Mapping[str, float]
             ) -> list[str]:
    """Sentences: the highest mean of each part, then each baseline against regularized evolution and against the better
    arch2vec on all parts, and arch2vec-BO with a usual expected improvement against itself."""
    first = [f"{PART_NAMES[part]}, {best.label} ({_shown(best, runs, 'test', queries.get(part, np.inf))} %)"
             for part, groups in parts.items() if (best := _best(groups, runs, queries.get(part, np.inf)))]
    sentences = [f"**The highest mean test accuracy**: {'; '.join(first)}."] if first else []
    names = (*((name, "released") for name in (_TUNED, *SINCE)), ("arch2vec_bo", "corrected"))
    for name, recipe in names:
        against: dict[str, list[str]] = {}
        label = ""
        for part, groups in parts.items():
            if not (group := find(groups, name, recipe)):
                continue
            label, bound = group.label, queries.get(part, np.inf)
            agents = [g for g in groups if g.method in AGENTS and g.recipe == "released"]
            others = {"regularized evolution": find(groups, "re"),
                      "the better arch2vec as released": _best(agents, runs, bound),
                      "itself as released": find(groups, name) if recipe == "corrected" else None}
            for words, other in others.items():
                if other:
                    gap = _told(difference(group, other, runs, bound))
                    against.setdefault(words, []).append(f"{PART_NAMES[part]} {gap}")
        sentences += [f"**{label}** against {words}, points: {'; '.join(gaps)}." for words, gaps in against.items()]
    return sentences


def _test(group: Group, runs: Mapping[str, Outcomes], queries: float) -> np.ndarray:
    """Test accuracy of each run, percent."""
    return 100 * held(runs[group.name], "test", queries=queries)


def _shown(group: Group, runs: Mapping[str, Outcomes], quantity: str, queries: float) -> str:
    return show(estimate(percent(group, runs, quantity, queries).values))


def _charged_mean(group: Group, runs: Mapping[str, Outcomes], after: np.ndarray) -> Estimate | None:
    """Mean of what :func:`charged` gives; None where a run has nothing left."""
    if not np.isfinite(after).all():
        return None
    return estimate(samples(group, after, runs[group.name].trajectories.seeds).values)


def _best(groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: float) -> Group | None:
    """The group with the highest mean test accuracy."""
    return max(groups, key=lambda group: _test(group, runs, queries).mean(), default=None)


def _told(gap: Estimate | None) -> str:
    """A difference and whether it is told from zero: whether its 95 % interval leaves 0 out."""
    if gap is None:
        return "too few runs"
    word = "above" if gap.low > 0 else "below" if gap.high < 0 else "not told apart"
    return f"{signed(gap)}, {word}"
