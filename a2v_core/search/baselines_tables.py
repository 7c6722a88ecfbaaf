"""Numbers, tables, sentences and a figure of the page on stronger baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from a2v_core.plotting import COLOURS, legend_below, panel_grid, plot_intervals
from a2v_core.results import Page
from a2v_core.search.baselines_plan import NASBENCH101, SINCE
from a2v_core.search.estimates import difference as difference_of
from a2v_core.search.estimates import estimate, held, percent, samples, show, signed
from a2v_core.search.findings import AGENTS, DATASET_NAMES
from a2v_core.search.plan import Group
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import Estimate, against_zero

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Parts of the page as they are shown.
PART_NAMES = {**DATASET_NAMES, NASBENCH101: "NAS-Bench-101"}
# What the tuned evolution is called in the identities of results.
_TUNED = "re_tuned"
# Searches that are compared with others, and what they are compared with.
_COMPARED = (("random", "released"), *((agent, "released") for agent in AGENTS), (_TUNED, ""),
             *((name, "released") for name in SINCE), ("arch2vec_bo", "corrected"))
_EVOLUTION, _BETTER, _ITSELF = "regularized evolution", "the better arch2vec as released", "itself as released"


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


def highest(parts: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: Mapping[str, float]) -> str:
    """A sentence: the search with the highest mean of each part; empty without any part."""
    first = [f"{PART_NAMES[part]}, {best.label} ({_shown(best, runs, 'test', queries.get(part, np.inf))} %)"
             for part, groups in parts.items() if (best := _best(groups, runs, queries.get(part, np.inf)))]
    return f"**The highest mean test accuracy**: {'; '.join(first)}." if first else ""


def comparisons(parts: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: Mapping[str, float]
                ) -> dict[str, dict[str, dict[str, Estimate]]]:
    """What a search is measured against → name of a part → label of the search → :func:`difference` to it: to
    regularized evolution, to the better arch2vec as released, and of arch2vec-BO with a usual expected improvement to
    itself as released."""
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for part, groups in parts.items():
        bound = queries.get(part, np.inf)
        agents = [group for group in groups if group.method in AGENTS and group.recipe == "released"]
        for name, recipe in _COMPARED:
            if not (group := find(groups, name, recipe)):
                continue
            others = {_EVOLUTION: find(groups, "re"), _BETTER: None if group in agents else _best(agents, runs, bound),
                      _ITSELF: find(groups, name) if recipe == "corrected" else None}
            for words, other in others.items():
                if other and (gap := difference(group, other, runs, bound)):
                    found.setdefault(words, {}).setdefault(PART_NAMES[part], {})[group.label] = gap
    return found


def comparison_table(gaps: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    """One row a search, one column a part: the difference, its interval, and whether this leaves 0 out."""
    labels = list(dict.fromkeys(label for each in gaps.values() for label in each))
    return pd.DataFrame({part: {label: told(each[label]) if label in each else "" for label in labels}
                         for part, each in gaps.items()}, index=labels)


def plot_comparisons(found: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> Figure | None:
    """:func:`comparisons` with regularized evolution and with the better arch2vec, a panel a part; None without any."""
    shown = {words: found[words] for words in (_EVOLUTION, _BETTER) if words in found}
    titles = list(dict.fromkeys(part for gaps in shown.values() for part in gaps))
    if not titles:
        return None
    labels = list(dict.fromkeys(label for gaps in shown.values() for each in gaps.values() for label in each))
    figure, axes = panel_grid(len(titles), 1, 1.0 + 0.42 * len(labels), 0.4, sharey=True)
    for ax, title in zip(axes, titles, strict=True):
        plot_intervals({f"minus {words}": dict(gaps.get(title, {})) for words, gaps in shown.items()}, title=title,
                       names=labels, ax=ax, xlabel="difference of mean test accuracy, points")
        ax.axvline(0, color=COLOURS["black"], linewidth=0.8)
        ax.get_legend().remove()
    legend_below(figure, 1)
    return figure


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


def told(gap: Estimate) -> str:
    """A difference and whether it is told from zero."""
    return f"{signed(gap)}, {against_zero(gap)}"
