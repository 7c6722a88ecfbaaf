"""Which searches the pages of Table 2 (with Figure 6) and Table 3 make, and how many runs of each, by profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from a2v_core.results import of_profile
from a2v_core.search.blocks import Arm, publish, run_study
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method
from a2v_core.search.objectives import get_objective, usual_seconds
from a2v_core.search.runs import Budget, Trajectories
from a2v_core.search.trajectories import Outcomes


@dataclass(frozen=True)
class Scale:
    """Size of the pages.

    Attributes:
        runs: of the methods that the paper compares, and of the released and the literal arch2vec.
        controls: runs of every other arm.
        supervised: runs of the supervised counterparts, which learn an encoder in every round; 0 leaves them out.
        encoders: pre-trainings over which the runs are spread, by space.
        part: share of the paper's budgets, in queries and in seconds.
    """

    runs: int
    controls: int
    supervised: int
    encoders: Mapping[str, int]
    part: float


SCALES = {
    "smoke": Scale(4, 2, 0, {"nasbench101": 1, "nasbench201": 1}, 1 / 10),
    "quick": Scale(20, 10, 2, {"nasbench101": 1, "nasbench201": 2}, 1 / 5),
    "full": Scale(500, 100, 100, {"nasbench101": 5, "nasbench201": 5}, 1.0),
}
#: Table 2: queries after which methods on embeddings, and on the discrete encoding, are read; Figure 6: seconds.
QUERIES, DISCRETE_QUERIES, SECONDS = 400, 1000, 1e6
#: Figure 6, left: arch2vec is said to be ahead from here on.
AHEAD_FROM = 5e4
# Simulated seconds in which every run makes these queries as well: a uniform cell takes 1,925 s, those that a run of
# REINFORCE settles on up to 3,600 s.
_ENOUGH = {"random": 2.6e6, "rl": 2.6e6, "re": 3.2e6, "arch2vec_rl": 1.5e6, "frozen_policy": 1.5e6,
           "random_retrieval": 1.5e6}
_ENOUGH_OTHERWISE = 1.15e6
#: Recipe of the search → of the pre-training whose embedding it sees. The pre-training `paper` reconstructs no cell and
#: may put all of them on one point, so the literal search is run on the embedding that the authors had; other pairs are
#: arms of their own.
EMBEDDINGS = {"released": "released", "paper": "released", "corrected": "corrected"}
#: Methods whose runs are made again sooner than they are stored.
CHEAP = ("random", "re", "rl", "bohb")
#: The three data sets of Table 3, with the seconds of A.2 for each.
DATASETS = ("cifar10", "cifar100", "imagenet16_120")


@dataclass(frozen=True)
class Group:
    """Runs of one method under one recipe: one row of a table, one line of a figure.

    Attributes:
        name: identity on a page.
        method, recipe, objective: see :class:`a2v_core.search.blocks.Arm`.
        arms: one for each pre-training over which the runs are spread; one alone where there is none.
        note: what is changed against the recipe, in words.
    """

    name: str
    method: str
    recipe: str
    objective: str
    arms: tuple[Arm, ...]
    note: str = ""

    @property
    def label(self) -> str:
        """Name on a page."""
        recipe = f", {self.recipe}" if len(get_method(self.method).recipes) > 1 else ""
        return get_method(self.method).label + recipe + (f": {self.note}" if self.note else "")


@dataclass(frozen=True)
class Plan:
    """The groups of a page by the part of the page that reads them."""

    scale: Scale
    groups: dict[str, list[Group]] = field(default_factory=dict)

    def all(self) -> list[Group]:
        """Every group once."""
        return list({group.name: group for groups in self.groups.values() for group in groups}.values())


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def make_group(scale: Scale, space: str, objective: str, method: str, recipe: str, runs: int, seconds: float, *,
               seed: int = 0, changes: Mapping[str, Any] | None = None, embedding: str | None = None, note: str = ""
               ) -> Group:
    """A group with its runs spread evenly over the pre-trainings, run seeds consecutive from `seed`.

    Args:
        seconds: simulated budget of a run at full scale.
        embedding: recipe of the pre-training; :data:`EMBEDDINGS` when None.
    """
    arm = Arm(space, objective, method, Budget(seconds=seconds * scale.part), recipe, changes or {}, runs=runs,
              first_seed=seed)
    return spread(arm, scale.encoders.get(space, 1), embedding, note)


def spread(arm: Arm, encoders: int, embedding: str | None = None, note: str = "") -> Group:
    """A group with the runs of `arm`, spread evenly over so many pre-trainings if its method sees an embedding; that of
    recipe `embedding`, or of :data:`EMBEDDINGS` when None."""
    arms = [arm]
    if get_method(arm.method).features == "arch2vec":
        n = min(encoders, arm.runs)
        bounds = [arm.first_seed + arm.runs * i // n for i in range(n + 1)]
        seen = embedding or EMBEDDINGS[arm.recipe]
        arms = [replace(arm, features=Features("arch2vec", seen, encoder), first_seed=bounds[encoder],
                        runs=bounds[encoder + 1] - bounds[encoder]) for encoder in range(n)]
    name = "/".join([arm.objective, arm.method, arm.recipe, *([note] if note else [])])
    return Group(name, arm.method, arm.recipe, arm.objective, tuple(arms), note)


def table2(profile: str, seed: int = 0, signal: str = "imputed") -> Plan:
    """The searches of Table 2 and Figure 6, on the signal that a query pays in the main comparison."""
    scale, space = scale_of(profile), "nasbench101"
    plan = Plan(scale)

    def group(method: str, recipe: str, runs: int, objective: str = signal, **options: Any) -> Group:
        return make_group(scale, space, objective, method, recipe, runs, _ENOUGH.get(method, _ENOUGH_OTHERWISE),
                          seed=seed, **options)

    everywhere = [group(method, "released", scale.runs) for method in ("random", "re", "rl", "bohb")]
    arch2vec = [group(f"arch2vec_{agent}", recipe, scale.controls if recipe == "corrected" else scale.runs)
                for agent in ("rl", "bo") for recipe in ("released", "paper", "corrected")]
    supervised = [group(f"supervised_{agent}", recipe, scale.supervised)
                  for agent in ("rl", "bo") for recipe in ("released", "paper") if scale.supervised]
    plan.groups["main"] = [*everywhere, *supervised, *arch2vec]
    plan.groups["discrete"] = [group("random", "corrected", scale.runs), group("re", "corrected", scale.controls),
                               group("bohb", "paper", scale.controls), group("bo", "released", scale.controls),
                               group("bo", "corrected", scale.controls), group("bananas", "released", scale.controls)]
    plan.groups["controls"] = [group(method, "released", scale.controls)
                               for method in ("frozen_policy", "random_retrieval")]
    plan.groups["factors"] = [
        group(f"arch2vec_{agent}", "released", scale.controls, changes=changes, note=note)
        for agent, factors in (("rl", RL_FACTORS), ("bo", BO_FACTORS)) for note, changes in factors.items()]
    plan.groups["embeddings"] = [
        group(f"arch2vec_{agent}", "released", scale.controls, embedding=embedding, note=f"embedding {embedding}")
        for agent in ("rl", "bo") for embedding in ("corrected", "paper")]
    plan.groups["signals"] = [
        group(method, recipe, scale.controls, objective=objective)
        for objective, methods in (("mean_test", ("random", "re", "rl", "bohb", "arch2vec_rl", "arch2vec_bo")),
                                   ("measured", ("arch2vec_rl", "arch2vec_bo")))
        for method, recipe in (("random", "corrected"), *((method, "released") for method in methods))]
    return plan


#: Single settings of arch2vec-RL, from the released code towards the text and to our own choices.
RL_FACTORS: dict[str, dict[str, Any]] = {
    "discounted returns": {"returns": "to_go"},
    "running baseline": {"baseline": "running"},
    "standardised embeddings": {"standardise": True},
}
#: Single settings of arch2vec-BO, likewise.
BO_FACTORS: dict[str, dict[str, Any]] = {
    "standard deviation in EI": {"sigma": "deviation"},
    "exact evidence": {"likelihood": "evidence"},
    "no repeats": {"repeats": False},
    "incumbent best so far": {"incumbent": None},
}


def table3(profile: str, seed: int = 0) -> Plan:
    """The searches of Table 3: six methods on three data sets by the paper's signal, the arms that explain them, and
    the same methods on other signals."""
    scale, space = scale_of(profile), "nasbench201"
    plan = Plan(scale)

    def group(objective: str, method: str, recipe: str, runs: int, **options: Any) -> Group:
        return make_group(scale, space, objective, method, recipe, runs, usual_seconds(space, objective), seed=seed,
                          **options)

    for dataset in DATASETS:
        plan.groups[dataset] = [
            *(group(dataset, method, "released", scale.runs) for method in ("random", "re", "rl", "bohb")),
            *(group(dataset, f"arch2vec_{agent}", recipe,
                    scale.controls if (agent, recipe) == ("bo", "corrected") else scale.runs)
              for agent in ("rl", "bo") for recipe in ("released", "paper", "corrected"))]
        plan.groups[f"{dataset}: controls"] = [
            *(group(dataset, method, "released", scale.controls) for method in ("frozen_policy", "random_retrieval")),
            group(dataset, "bo", "corrected", scale.controls),
            *(group(dataset, f"arch2vec_{agent}", "released", scale.controls, embedding=embedding,
                    note=f"embedding {embedding}") for agent in ("rl", "bo") for embedding in ("corrected", "paper"))]
        plan.groups[f"{dataset}: signals"] = [
            group(dataset + ending, method, "released", scale.controls)
            for ending in ("_mean", "_repeats") for method in ("random", "re", "rl", "arch2vec_rl", "arch2vec_bo")]
    return plan


def run(groups: Iterable[Group], *, data_dir: str = "", scheduler: str = "", device: str = "auto",
        n_jobs: int | None = None, only_existing: bool = False) -> dict[str, Outcomes]:
    """The runs of the groups by name, read where they exist and computed where they do not; see
    :func:`a2v_core.search.blocks.run_study`. With `only_existing`, groups without any run are left out."""
    groups = list(groups)
    arms = [arm for group in groups for arm in group.arms]
    made = iter(run_study(arms, data_dir=data_dir, scheduler=scheduler, device=device, n_jobs=n_jobs,
                          only_existing=only_existing))
    found = [(group, [runs for _ in group.arms if (runs := next(made)) is not None]) for group in groups]
    return {group.name: Outcomes(Trajectories.concatenate(runs),
                                 get_objective(group.arms[0].space, group.objective, data_dir))
            for group, runs in found if runs}


def unfinished(groups: Iterable[Group], runs: Mapping[str, Outcomes]) -> list[str]:
    """A line for each group that has fewer runs than planned: its label and how many there are."""
    lines = []
    for group in groups:
        planned = sum(arm.runs for arm in group.arms)
        there = runs[group.name].n_runs if group.name in runs else 0
        if there < planned:
            lines.append(f"{group.label}, signal {group.objective}: {there} of {planned}")
    return lines


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy the finished blocks of the full pages to the folder under version control. The searches on the discrete
    encoding are left out: their runs are minutes of work and many megabytes. Returns the files written."""
    groups = [*table2("full", seed).all(), *table3("full", seed).all()]
    return publish([arm for group in groups if group.method not in CHEAP for arm in group.arms], data_dir)
