"""Which models and searches the page on single differences between recipes compares, and with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from a2v_core.artifacts import ArtifactStore
from a2v_core.parallel import run_tasks
from a2v_core.search import plan
from a2v_core.search.blocks import publish
from a2v_core.search.changed_features import ChangedFeatures
from a2v_core.search.findings import AGENTS
from a2v_core.search.methods import get_method
from a2v_core.search.objectives import usual_seconds
from a2v_core.search.plan import BO_FACTORS, QUERIES, RL_FACTORS, Group, make_group, scale_of
from a2v_core.spaces import get_space
from a2v_core.table1 import Arm, factor_arms
from a2v_core.table1 import publish as publish_records
from a2v_core.table1_plan import FACTOR_SPACE, run_planned_arm, study_cells
from a2v_core.table1_plan import plan as table1_plan

#: The space and the data set of the searches that this page adds.
SPACE, DATASET = FACTOR_SPACE, "cifar10"
#: Groups of rows, from top to bottom.
MODEL, TRAINING, WHOLE, OTHERS = "Model and loss", "Training", "Whole recipes of pre-training", "From other recipes"
OF_AGENT = {agent: f"Search: {get_method(agent).label}" for agent in AGENTS}
PARTS = (MODEL, TRAINING, WHOLE, OTHERS, *OF_AGENT.values())


@dataclass(frozen=True)
class Difference:
    """One row: what is changed.

    Attributes:
        id: in the identities of results.
        words: on the page.
        part: one of :data:`PARTS`.
    """

    id: str
    words: str
    part: str


@dataclass(frozen=True)
class Pretraining(Difference):
    """A difference between two pre-trainings of arch2vec.

    Attributes:
        base: the recipe that is compared with.
        recipe, changes: the recipe of the other pre-training, and its changed settings.
    """

    base: str = "released"
    recipe: str = "released"
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arm(self) -> Arm:
        """The changed model."""
        return Arm(FACTOR_SPACE, self.recipe, "arch2vec", dict(self.changes))

    @property
    def base_arm(self) -> Arm:
        """The model that it is compared with."""
        return Arm(FACTOR_SPACE, self.base, "arch2vec")


def _released(part: str, words: str, **change: Any) -> Pretraining:
    return Pretraining(f"pretraining/{'_'.join(change)}", words, part, changes=change)


#: `released` towards `paper`, setting by setting; then whole recipes; then what was varied in the other recipes.
PRETRAINING = (
    _released(MODEL, "operations by one softmax, not sigmoids", operations="softmax"),
    _released(MODEL, "all N x N edges, not the upper triangle", adjacency="full"),
    _released(MODEL, "loss summed over a graph, not averaged", reduction="graph"),
    _released(MODEL, "KL term not divided again (x 256)", kl_divided_again=False),
    _released(MODEL, "a fifth graph layer, of width 16", hidden=(128, 128, 128, 128, 16)),
    _released(MODEL, "a cell is the sum of its nodes, not the mean", readout="sum"),
    _released(TRAINING, "training mode in all epochs", eval_after_first_epoch=False),
    _released(TRAINING, "no dropout", dropout=0.0),
    _released(TRAINING, "a new order in each epoch", reshuffle=True),
    _released(TRAINING, "held-out cells at random", split="random"),
    _released(TRAINING, "gradients not clipped", clip_norm=0.0),
    Pretraining("pretraining/recipe_paper", "recipe paper", WHOLE, recipe="paper"),
    Pretraining("pretraining/recipe_corrected", "recipe corrected", WHOLE, recipe="corrected"),
    *(Pretraining(f"pretraining/paper/beta_{beta}", f"paper: KL weight {beta:g}, not 1", OTHERS, "paper", "paper",
                  {"beta": beta}) for beta in (0.3, 0.05, 0.005, 0.0)),
    Pretraining("pretraining/corrected/direction", "corrected: in- and out-edges apart", OTHERS, "corrected",
                "corrected", {"direction": "split"}),
)

#: Single settings of REINFORCE that differ on NAS-Bench-201 alone: the nearest cell is the text's, discounting by 0.4
#: one reading of A.2, the baseline that of NAS-Bench-101.
ONLY_NASBENCH201: dict[str, dict[str, Any]] = {
    "nearest cell, not the second": {"retrieval": "nearest"},
    "discounted returns, by 0.4": {"returns": "to_go", "discount": 0.4},
    "baseline 0.95, not 0.4": {"baseline_value": 0.95},
}
_FACTORS = {"arch2vec_rl": RL_FACTORS | ONLY_NASBENCH201, "arch2vec_bo": BO_FACTORS}
# Notes of what stands neither in the paper nor in the released code.
_OURS = ("running baseline", "standardised embeddings", "incumbent best so far")


def _factor_id(agent: str, changes: Mapping[str, Any]) -> str:
    return f"{agent}/{'_'.join(changes)}"


SEARCH = tuple(
    Difference(*row, OF_AGENT[agent]) for agent, factors in _FACTORS.items() for row in (
        *((_factor_id(agent, changes), note + (" (ours)" if note in _OURS else "")) for note, changes in
          factors.items()),
        (f"{agent}/recipe_paper", "recipe paper"),
        (f"{agent}/recipe_corrected", "recipe corrected, with its embedding")))
DIFFERENCES: tuple[Difference, ...] = (*PRETRAINING, *SEARCH)


@dataclass(frozen=True)
class Comparison:
    """Two groups of runs that differ by one row.

    Attributes:
        id: of the :class:`Difference`.
        changed, base: the runs.
        queries: after which both are read; None for their end.
    """

    id: str
    changed: Group
    base: Group
    queries: int | None = None

    @property
    def space(self) -> str:
        return self.changed.arms[0].space


def models(profile: str) -> list[Arm]:
    """The models of NAS-Bench-201 that the page measures: at smaller profiles those that the page of Table 1 has."""
    labels = table1_plan(profile).factor_labels
    wanted = [arm for row in PRETRAINING for arm in (row.base_arm, row.arm)
              if labels is None or not arm.changes or arm.label in labels]
    return list({arm.label: arm for arm in wanted}.values())


def run_models(profile: str, *, seed: int = 0, device: str = "auto", data_dir: str = "", scheduler: str = "",
               only_existing: bool = False) -> list[dict[str, Any]]:
    """Records of the models; arguments as in :func:`a2v_core.table1_plan.run_plan`."""
    tasks = [{"arm": arm, "profile": profile, "seed": seed, "device": device, "data_dir": data_dir,
              "only_existing": only_existing} for arm in models(profile)]
    n_jobs = 1 if profile == "smoke" or device.startswith("cuda") else None
    results = run_tasks(run_planned_arm, tasks, scheduler=scheduler, n_jobs=n_jobs, description="models")
    return [record for records in results for record in records]


def comparisons(profile: str, seed: int = 0) -> list[Comparison]:
    """Every pair of searches. Those of Tables 2 and 3 are the same runs; on NAS-Bench-101, the signal is the imputed
    one. Changed pre-trainings are searched at full scale only, since each is trained on the whole space; the smallest
    scale leaves out NAS-Bench-101, whose tables and embeddings alone take longer than all else there."""
    return [*_of_search(SPACE, profile, seed),
            *(_of_search("nasbench101", profile, seed) if profile != "smoke" else []),
            *(_of_pretraining(profile, seed) if profile == "full" else [])]


def added(profile: str, seed: int = 0) -> list[Group]:
    """Groups of runs that no other page makes."""
    theirs = plan.table3(profile, seed).all()
    return [pair.changed for pair in comparisons(profile, seed) if pair.space == SPACE and pair.changed not in theirs]


def groups_of(pairs: Sequence[Comparison]) -> list[Group]:
    """Every group of the comparisons once."""
    return list({group.name: group for pair in pairs for group in (pair.changed, pair.base)}.values())


def lacking(profile: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each model of which fewer seeds are there than planned."""
    planned, there = table1_plan(profile).seeds[FACTOR_SPACE], Counter(r["arm"]["label"] for r in records)
    return [f"model {arm.label}: {there[arm.label]} of {planned}" for arm in models(profile)
            if there[arm.label] < planned]


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy what the full page alone has measured and searched to the folder under version control. Returns the files
    written."""
    size, space, store, written = table1_plan("full"), get_space(FACTOR_SPACE), ArtifactStore(data_dir), []
    known = {arm.label for arm in factor_arms(FACTOR_SPACE)}
    for arm in models("full"):
        if arm.changes and arm.label not in known:
            written += publish_records(arm, space, study_cells(arm.space, None),
                                       range(seed, seed + size.seeds[arm.space]), store, with_weights=False)
    return written + publish([arm for group in added("full", seed) for arm in group.arms], data_dir)


def _of_search(space: str, profile: str, seed: int) -> list[Comparison]:
    """Single settings and whole recipes of the searches, and the embeddings of the other recipes."""
    if space == SPACE:
        groups, scale = plan.table3(profile, seed).groups, scale_of(profile)
        main, other, queries = groups[DATASET], groups[f"{DATASET}: controls"], None
        factors = [_factor(scale, agent, note, changes, seed)
                   for agent, changed in _FACTORS.items() for note, changes in changed.items()]
    else:
        groups = plan.table2(profile, seed).groups
        main, other, factors = groups["main"], groups["embeddings"], groups["factors"]
        queries = max(1, round(QUERIES * scale_of(profile).part))
    found = []
    for agent in AGENTS:
        of_recipe = {group.recipe: group for group in main if group.method == agent}
        base = of_recipe["released"]
        found += [Comparison(_factor_id(agent, group.arms[0].changes), group, base, queries)
                  for group in factors if group.method == agent]
        found += [Comparison(f"{agent}/recipe_{recipe}", of_recipe[recipe], base, queries)
                  for recipe in ("paper", "corrected")]
        found += [Comparison(f"pretraining/recipe_{group.arms[0].seen.recipe}", group, base, queries)
                  for group in other if group.method == agent and group.note]
    return found


def _factor(scale: plan.Scale, agent: str, note: str, changes: Mapping[str, Any], seed: int) -> Group:
    return make_group(scale, SPACE, DATASET, agent, "released", scale.controls, usual_seconds(SPACE, DATASET),
                      seed=seed, changes=changes, note=note)


def _of_pretraining(profile: str, seed: int) -> list[Comparison]:
    """The search `released` on the embeddings of changed pre-trainings, against that on the embedding `released`."""
    scale, found = scale_of(profile), []
    main = plan.table3(profile, seed).groups[DATASET]
    for agent in AGENTS:
        base = next(g for g in main if (g.method, g.recipe) == (agent, "released"))
        for row in PRETRAINING:
            if row.base == row.recipe == "released":
                group = _factor(scale, agent, row.words, {}, seed)
                arms = [replace(arm, features=ChangedFeatures(seed=arm.seen.seed, changes=tuple(row.changes.items())))
                        for arm in group.arms]
                found.append(Comparison(row.id, replace(group, arms=tuple(arms)), base))
    return found

