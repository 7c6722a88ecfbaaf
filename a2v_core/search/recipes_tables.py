"""Effects of single differences between recipes, as numbers, tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from a2v_core.results import Page
from a2v_core.search.estimates import Samples, difference, percent, signed
from a2v_core.search.estimates import estimate as run_estimate
from a2v_core.search.estimates import show as show_runs
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method
from a2v_core.search.recipes_plan import AGENTS, DIFFERENCES, PRETRAINING, WHOLE, Comparison, Pretraining
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import Estimate, paired_difference, unpaired_difference
from a2v_core.table1_tables import METRICS, SPACE_NAMES, estimate, select, show

#: Where final regrets are from: space, agent → name on the page.
SEARCHES = {(space, agent): f"{get_method(agent).label}, {SPACE_NAMES[space]}"
            for agent in AGENTS for space in ("nasbench201", "nasbench101")}
_COLUMNS = ["id", "measure", "space", "agent", *Estimate._fields]
_WORDS = {row.id: row.words for row in DIFFERENCES}


def effects(frame: pd.DataFrame, pairs: Sequence[Comparison], runs: Mapping[str, Outcomes]) -> pd.DataFrame:
    """Change by each difference of the exact measures of Table 1 and of the final test regret, percentage points; what
    was not run is left out.

    Measures of Table 1 are paired by seed where the held-out cells are the same, with Welch's interval where they are
    not, cut to what a change of a percentage can be. Regrets are compared within each pre-training, or between
    pre-trainings of one seed where the pre-training is what is changed.

    Args:
        frame: :func:`a2v_core.table1_plan.metrics`.
        pairs: of searches.
        runs: by name of a group.

    Returns:
        Columns id, measure (one of Table 1's, or "regret"), space, agent (empty for Table 1), value, low, high, n.
    """
    return pd.DataFrame([*_of_models(frame), *_of_searches(pairs, runs)], columns=_COLUMNS)


def _of_models(frame: pd.DataFrame) -> Iterator[list]:
    for row in PRETRAINING:
        for measure in METRICS:
            if gap := _gap(row, *(_by_seed(frame, arm.label, measure) for arm in (row.arm, row.base_arm))):
                cut = gap._replace(low=max(gap.low, -100.0), high=min(gap.high, 100.0))
                yield [row.id, measure, row.arm.space, "", *cut]


def _of_searches(pairs: Sequence[Comparison], runs: Mapping[str, Outcomes]) -> Iterator[list]:
    for pair in pairs:
        if pair.changed.name in runs and pair.base.name in runs:
            both = [percent(group, runs, "regret_test", _bound(pair)) for group in (pair.changed, pair.base)]
            if pair.id.startswith("pretraining/"):
                both = [_of_seeds(each) for each in both]
            if gap := difference(*both):
                yield [pair.id, "regret", pair.space, pair.changed.method, *gap]


def record(page: Page, effects: pd.DataFrame) -> None:
    """Put each effect on the page, percentage points."""
    for row in effects.itertuples():
        where = f"/{row.space}/{row.agent}" if row.agent else ""
        page.add_estimate(f"beyond/recipes/{row.id}/{row.measure}{where}", _estimate(row), unit="percentage points",
                          definition="" if row.agent else "exact")


def levels_table(frame: pd.DataFrame, pairs: Sequence[Comparison], runs: Mapping[str, Outcomes]) -> pd.DataFrame:
    """What the recipe `released` has by itself: the measures of Table 1, percent, and the final test regrets,
    percentage points."""
    values = {}
    for measure in METRICS:
        if not (chosen := _by_seed(frame, "arch2vec-released", measure)).empty:
            values[f"{measure}, %"] = show(estimate(chosen))
    for (space, agent), name in SEARCHES.items():
        pair = next((p for p in pairs if (p.space, p.base.method) == (space, agent) and p.base.name in runs), None)
        if pair:
            found = run_estimate(percent(pair.base, runs, "regret_test", _bound(pair)).values)
            values[f"final test regret of {name}, points"] = show_runs(found)
    return pd.DataFrame({"as released": values})


def table(effects: pd.DataFrame, columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    """One row a difference, in the order of the page, and one column a name, each ``+value [low, high]``.

    Args:
        columns: name → which rows of `effects` belong to it.
    """
    cells = {name: {row.id: signed(_estimate(row)) for row in effects[chosen].itertuples()}
             for name, chosen in columns.items()}
    there = [row for row in DIFFERENCES if any(row.id in column for column in cells.values())]
    index = pd.MultiIndex.from_tuples([(row.part, row.words) for row in there], names=["", "changed"])
    return pd.DataFrame({name: [column.get(row.id, "") for row in there] for name, column in cells.items()
                         if column}, index=index)


def columns_of(effects: pd.DataFrame) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """The columns of the table of Table 1's measures, and of that of regrets, for :func:`table`."""
    return ({measure: effects["measure"] == measure for measure in METRICS},
            {name: (effects["space"] == space) & (effects["agent"] == agent)
             for (space, agent), name in SEARCHES.items()})


def findings(effects: pd.DataFrame) -> list[str]:
    """Sentences: for each measure, which single differences are told from zero, the largest first, and which are not;
    how single effects add up to the recipe `paper`; what has no effect anywhere; how many intervals there are."""
    sentences = []
    for measures in columns_of(effects):
        for name, chosen in measures.items():
            here = _single(effects[chosen])
            title = f"**Exact {name}**" if name in METRICS else f"**Final test regret, {name}**"
            if not here.empty:
                told = here[_told(here)].sort_values("value", key=abs, ascending=False)
                rest = here[~_told(here)]
                moved = "; ".join(f"{_WORDS[row.id]} {signed(_estimate(row))}" for row in told.itertuples())
                sentence = f"{title} is changed by {moved} points" if moved else f"{title} is changed by nothing"
                left = "; ".join(_WORDS[each] for each in rest["id"])
                sentences.append(f"{sentence}. Not told from zero: {left}." if left else f"{sentence}.")
    sentences += _sums(effects)
    single = _single(effects)
    silent = [each for each, rows in single.groupby("id", sort=False) if not _told(rows).any()]
    if silent:
        sentences.append(f"**No effect that is told from zero, wherever it was measured**: "
                         f"{'; '.join(_named(each) for each in silent)}.")
    if len(effects):
        sentences.append(f"**How many intervals.** {int(_told(effects).sum())} of {len(effects)} leave out zero; with "
                         f"no effect at all, {len(effects) / 20:.0f} would be expected to.")
    return sentences


def _sums(effects: pd.DataFrame) -> list[str]:
    """Whether the single effects on the measures of Table 1 add up to that of the whole recipe `paper`."""
    towards = [row.id for row in PRETRAINING if row.base == row.recipe == "released"]
    parts = []
    for measure in METRICS:
        here = effects[effects["measure"] == measure].set_index("id")["value"]
        if {*towards, "pretraining/recipe_paper"} <= set(here.index):
            parts.append(f"{measure} {here[towards].sum():+.1f} against {here['pretraining/recipe_paper']:+.1f}")
    if not parts:
        return []
    return [f"**Sum of all single effects, against all settings changed at once** (recipe paper), points: "
            f"{'; '.join(parts)}."]


def _named(id: str) -> str:
    """A difference in words, with its agent where there are two of the name."""
    agent = id.partition("/")[0]
    return _WORDS[id] + (f" ({get_method(agent).label})" if agent in AGENTS else "")


def _single(effects: pd.DataFrame) -> pd.DataFrame:
    """Effects of differences of `released` that are no whole recipe."""
    whole = [row.id for row in PRETRAINING if row.part == WHOLE or row.base != "released"]
    return effects[~effects["id"].isin(whole) & ~effects["id"].str.contains("/recipe_")]


def _told(effects: pd.DataFrame) -> pd.Series:
    """Whether the intervals leave out zero."""
    return (effects["low"] > 0) | (effects["high"] < 0)


def _by_seed(frame: pd.DataFrame, label: str, measure: str) -> pd.Series:
    """Exact values by seed, percent; empty without such models."""
    if frame.empty:
        return pd.Series(dtype=float)
    chosen = select(frame, space=PRETRAINING[0].arm.space, label=label, metric=measure, definition="exact")
    return chosen.sort_values("seed").set_index("seed")["value"]


def _gap(row: Pretraining, changed: pd.Series, base: pd.Series) -> Estimate | None:
    """None for fewer than two models on a side."""
    if row.arm.settings().split == row.base_arm.settings().split:
        seeds = changed.index.intersection(base.index)
        return paired_difference(*(each[seeds].to_numpy() for each in (changed, base))) if len(seeds) > 1 else None
    return unpaired_difference(changed.to_numpy(), base.to_numpy()) if min(len(changed), len(base)) > 1 else None


def _of_seeds(samples: Samples) -> Samples:
    """The samples, so that pre-trainings of one seed are a pair whatever their settings."""
    return replace(samples, seen=tuple(Features("arch2vec", seed=seen.seed) for seen in samples.seen))


def _bound(pair: Comparison) -> float:
    return np.inf if pair.queries is None else pair.queries


def _estimate(row: object) -> Estimate:
    return Estimate(*(getattr(row, name) for name in Estimate._fields))
