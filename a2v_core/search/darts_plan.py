"""Which searches the page of Table 4 makes on the DARTS space, and how many runs of each, by profile.

The objective is a surrogate (:mod:`a2v_core.search.darts_objectives`). At full scale runs are stored in blocks as those
of the other pages are (:mod:`a2v_core.search.blocks`). The shorter profiles search the beginning of the sample alone,
embed no more than that, and store nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from a2v_core.artifacts import ArtifactStore
from a2v_core.results import of_profile
from a2v_core.search import plan as search_plan
from a2v_core.search.blocks import Arm, publish
from a2v_core.search.darts_objectives import sample_objective
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method
from a2v_core.search.objective import Objective
from a2v_core.search.plan import Group, Plan
from a2v_core.search.runs import Budget, Trajectories, run_searches
from a2v_core.search.trajectories import Outcomes

#: Queries of a run (§4.2), by any method.
QUERIES = 100
#: Candidates with the operation zero left out (the main comparison), and all 600,000.
MAIN, WHOLE = "surrogate", "surrogate_all"


@dataclass(frozen=True)
class Scale:
    """Size of the page.

    Attributes:
        cells: length of the beginning of the sample that is searched; None for all 600,000.
        queries: of each run.
        runs: of the methods that are compared.
        bayesian: runs of Bayesian optimisation apart from recipe `released` on the main objective: they take twenty
            times as long.
        supervised: runs of the supervised counterpart, which embeds all candidates anew in every round.
        encoders: pre-trainings over which the runs of arch2vec are spread.
    """

    cells: int | None
    queries: int
    runs: int
    bayesian: int
    supervised: int
    encoders: int


SCALES = {
    "smoke": Scale(4_000, 26, 6, 2, 1, 1),
    "quick": Scale(50_000, QUERIES, 30, 5, 2, 2),
    "full": Scale(None, QUERIES, 500, 100, 10, 3),
}


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def make_group(scale: Scale, objective: str, method: str, recipe: str, runs: int, *, seed: int = 0,
               changes: Mapping[str, Any] | None = None, note: str = "", embedding: str | None = None) -> Group:
    """A group of runs of :data:`QUERIES` queries, spread evenly over the pre-trainings, seeds consecutive from `seed`.

    Args:
        embedding: recipe of the pre-training; that of :data:`~a2v_core.search.plan.EMBEDDINGS` when None.
    """
    arm = Arm("darts", objective, method, Budget(queries=scale.queries), recipe, changes or {}, runs=runs,
              first_seed=seed)
    return search_plan.spread(arm, scale.encoders, embedding, note)


def table4(profile: str, seed: int = 0) -> Plan:
    """The searches of Table 4: the main comparison, the same on all 600,000 cells, and controls."""
    scale = scale_of(profile)

    def group(objective: str, method: str, recipe: str, runs: int, **options: Any) -> Group:
        return make_group(scale, objective, method, recipe, runs, seed=seed, **options)

    plan = Plan(scale)
    for objective in (MAIN, WHOLE):
        main = objective == MAIN
        plan.groups[objective] = [
            group(objective, "random", "corrected", scale.runs),
            group(objective, "neighbour_re", "corrected", scale.runs),
            group(objective, "local_search", "corrected", scale.runs),
            *(group(objective, "arch2vec_rl", recipe, scale.runs)
              for recipe in (("released", "paper", "corrected") if main else ("released",))),
            *(group(objective, "arch2vec_bo", recipe, scale.runs if main and recipe == "released" else scale.bayesian)
              for recipe in (("released", "paper", "corrected") if main else ("released",)))]
    plan.groups[MAIN] += [group(MAIN, "supervised_bo", recipe, scale.supervised) for recipe in ("released", "paper")]
    plan.groups["controls"] = [
        *(group(MAIN, method, "released", scale.runs) for method in ("frozen_policy", "random_retrieval")),
        group(MAIN, "local_search", "corrected", scale.runs, changes={"move": "first"}, note="first better neighbour")]
    return plan


def objectives(scale: Scale, data_dir: str = "") -> dict[str, Objective]:
    """The two objectives that are searched at this scale. Raises MissingDataError where the surrogate cannot run."""
    if scale.cells is None:
        from a2v_core.search.objectives import get_objective

        return {name: get_objective("darts", name, data_dir) for name in (MAIN, WHOLE)}
    return {name: sample_objective(name, scale.cells, data_dir) for name in (MAIN, WHOLE)}


def run(groups: Iterable[Group], scale: Scale, searched: Mapping[str, Objective], *, data_dir: str = "",
        scheduler: str = "", device: str = "auto", n_jobs: int | None = None, only_existing: bool = False
        ) -> dict[str, Outcomes]:
    """The runs of the groups by name: stored ones are read at full scale, all others are computed.

    Args:
        searched: the objectives of :func:`objectives`.
        only_existing: at full scale, compute nothing and leave out groups without any run.
    """
    groups = list(groups)
    if scale.cells is None:
        return search_plan.run(groups, data_dir=data_dir, scheduler=scheduler, device=device, n_jobs=n_jobs,
                               only_existing=only_existing)
    arms = [(group, arm) for group in groups for arm in group.arms]
    made: dict[str, list[Trajectories]] = {}
    for group, arm in tqdm(arms, desc="searches", leave=False, disable=len(arms) < 2):
        objective = searched[group.objective]
        made.setdefault(group.name, []).append(search(objective, arm, data_dir, device))
    return {name: Outcomes(Trajectories.concatenate(parts), searched[name.split("/")[0]])
            for name, parts in made.items()}


def search(objective: Objective, arm: Arm, data_dir: str = "", device: str = "auto") -> Trajectories:
    """The runs of an arm on an objective that is at hand; only the candidates are embedded, and nothing is stored.

    The objective may be any that :func:`a2v_core.search.runs.run_searches` takes; that of the arm is not looked up.
    """
    problem = objective.problem(features_of(arm.seen, objective, data_dir, device))
    seeds = range(arm.first_seed, arm.first_seed + arm.runs)
    method = get_method(arm.method)
    searcher = method.searcher_of(problem, seeds, method.settings_of(arm.recipe, arm.space, arm.changes), device)
    return run_searches(searcher, objective, arm.budget, progress=False)


def features_of(seen: Features, objective: Objective, data_dir: str = "", device: str = "auto") -> np.ndarray | None:
    """A vector for each candidate, float32 [M, D]; None for none. Where the candidates are all cells of the space, the
    stored embedding is used."""
    space = objective.space
    if seen.kind != "arch2vec" or len(objective.rows) == len(space.cells()):
        vectors = seen.build(space, ArtifactStore(data_dir), device)
        return None if vectors is None else vectors[objective.rows]
    from a2v_core.pretraining import embed, pretrain
    from a2v_core.recipes import pretraining_settings

    (trained,) = pretrain(space.cells(), len(space.vocabulary), pretraining_settings(seen.recipe, "arch2vec",
                          space.name), [seen.seed], store=ArtifactStore(data_dir), device=device)
    return embed(trained, objective.cells)


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy the finished blocks of the full page that took more than some seconds to the folder under version control.
    Returns the files written."""
    groups = table4("full", seed).all()
    expensive = [group for group in groups if get_method(group.method).features == "arch2vec"
                 or group.method == "supervised_bo"]
    return publish([arm for group in expensive for arm in group.arms], data_dir)
