"""Which searches the page on stronger baselines makes: those of Tables 2 and 3 again, and what was proposed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2v_core.search import plan
from a2v_core.search.blocks import Arm, publish
from a2v_core.search.estimates import held
from a2v_core.search.methods import get_method
from a2v_core.search.objectives import usual_seconds
from a2v_core.search.plan import DATASETS, QUERIES, Group, Plan, make_group, scale_of, spread
from a2v_core.search.runs import Budget
from a2v_core.search.trajectories import Outcomes

#: The grid of regularized evolution; (10, 3) is what NAS-Bench-201's authors run.
POPULATIONS, TOURNAMENTS = (5, 10, 20, 50), (3, 5, 10)
#: Where it is tuned, and the first seed of the runs that tune it, far from those that are reported.
TUNED_ON, TUNING_SEED = "cifar10", 1_000_000
#: The part of the page on NAS-Bench-101, which stands beside :data:`a2v_core.search.plan.DATASETS`.
NASBENCH101 = "nasbench101"
#: Methods that were not in the paper; they need no embedding.
SINCE = ("local_search", "neighbour_re", "wl_gp")
# Rows of Tables 2 and 3 that stand beside them: method, recipe.
_BESIDE = (("random", "released"), ("re", "released"), ("arch2vec_rl", "released"), ("arch2vec_bo", "released"),
           ("arch2vec_bo", "corrected"))


@dataclass(frozen=True)
class Baseline(Group):
    """A group that Tables 2 and 3 do not have: all recipes of its method agree, or it is tuned."""

    @property
    def label(self) -> str:
        return get_method(self.method).label + (", tuned" if self.note else "")


def tuning(profile: str, seed: int = 0) -> list[Group]:
    """Regularized evolution by every setting of the grid, on the data set that it is tuned on."""
    scale = scale_of(profile)
    return [_evolution(scale, TUNED_ON, scale.runs, TUNING_SEED + seed,
                       {"population": population, "tournament": tournament})
            for population in POPULATIONS for tournament in TOURNAMENTS if tournament <= population]


def chosen(groups: Sequence[Group], runs: Mapping[str, Outcomes]) -> dict[str, Any]:
    """Settings of the group with the highest mean validation accuracy, the first of equals; none when nothing ran."""
    there = [group for group in groups if group.name in runs]
    best = max(there, key=lambda group: held(runs[group.name], "validation").mean(), default=None)
    return dict(best.arms[0].changes) if best else {}


def baselines(profile: str, seed: int = 0, tuned: Mapping[str, Any] | None = None) -> Plan:
    """The searches on each data set of NAS-Bench-201, by Table 3's signals and budgets, and on NAS-Bench-101, by Table
    2's signal and number of queries. What Tables 2 and 3 have is the same runs.

    Args:
        tuned: settings of the tuned evolution; it is left out without.
    """
    scale = scale_of(profile)
    found, table2, table3 = Plan(scale), plan.table2(profile, seed), plan.table3(profile, seed)
    for dataset in DATASETS:
        seconds = usual_seconds("nasbench201", dataset)
        found.groups[dataset] = [
            *(row_of(table3.groups[dataset], *row) for row in _BESIDE),
            *([_baseline(_evolution(scale, dataset, scale.controls, seed, tuned))] if tuned else []),
            *(_baseline(make_group(scale, "nasbench201", dataset, method, "released", scale.controls, seconds,
                                   seed=seed)) for method in SINCE)]
    rows = [*table2.groups["main"], *table2.groups["discrete"]]
    queries = Budget(queries=queries_read(profile))
    found.groups[NASBENCH101] = [
        *(row_of(rows, *row) for row in (("random", "corrected"), *_BESIDE)),
        *([_baseline(spread(Arm(NASBENCH101, "imputed", "re", queries, "corrected", tuned, runs=scale.controls,
                                first_seed=seed), 1, note=words(tuned)))] if tuned else []),
        # To list the neighbours among 423,624 cells takes as long as all else at this scale.
        *(_baseline(spread(Arm(NASBENCH101, "imputed", method, queries, runs=scale.controls, first_seed=seed), 1))
          for method in SINCE if profile != "smoke")]
    return found


def queries_read(profile: str) -> int:
    """After how many queries NAS-Bench-101 is read."""
    return max(1, round(QUERIES * scale_of(profile).part))


def words(settings: Mapping[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy the finished blocks that the full page alone has to the folder under version control; evolution is left out,
    whose runs are made again sooner than they are stored. Returns the files written."""
    groups = [group for part in baselines("full", seed).groups.values() for group in part if group.method in SINCE]
    return publish([arm for group in groups for arm in group.arms], data_dir)


def _evolution(scale: plan.Scale, dataset: str, runs: int, seed: int, changes: Mapping[str, Any]) -> Group:
    return make_group(scale, "nasbench201", dataset, "re", "corrected", runs, usual_seconds("nasbench201", dataset),
                      seed=seed, changes=changes, note=words(changes))


def _baseline(group: Group) -> Baseline:
    return Baseline(**vars(group))


def row_of(groups: Sequence[Group], method: str, recipe: str) -> Group:
    """The group of a method by a recipe of which nothing is changed."""
    return next(g for g in groups if (g.method, g.recipe, g.note) == (method, recipe, ""))
