"""Which searches the page on pre-training makes: those of arch2vec on its embedding, on vectors that owe nothing to a
training, and on embeddings of other trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from a2v_core.artifacts import ArtifactStore
from a2v_core.search import plan
from a2v_core.search.baselines_plan import NASBENCH101, queries_read, row_of
from a2v_core.search.blocks import Arm, publish
from a2v_core.search.changed_features import ChangedFeatures, train_together
from a2v_core.search.control_features import PrincipalComponents, ScaledUntrained
from a2v_core.search.features import Features
from a2v_core.search.findings import AGENTS
from a2v_core.search.objectives import usual_seconds
from a2v_core.search.plan import DATASETS, Group, Plan, scale_of, spread
from a2v_core.search.runs import Budget
from a2v_core.search.trajectories import Outcomes
from a2v_core.spaces import get_space

#: Vectors that owe nothing to a training, by the note of their groups: from a seed, which decides the weights of an
#: encoder; of the others there is one alone.
CONTROLS: dict[str, Callable[[int], Features]] = {
    "untrained": lambda seed: Features("untrained", seed=seed),
    "untrained_scaled": lambda seed: ScaledUntrained(seed=seed),
    "pca": lambda _: PrincipalComponents(),
    "one_hot": lambda _: Features("one_hot"),
    "path": lambda _: Features("path"),
}
_ALONE = ("pca", "one_hot", "path")
#: The part of the page with other trainings, and the data set that it searches.
VARIED, VARIED_ON = "varied", "cifar10"
#: Settings of the pre-training that are changed one at a time, by profile. The released code divides the KL term by
#: batch x nodes = 256 once more than Eq. 5: weight 256 undoes it.
CHANGES: dict[str, dict[str, Sequence[float]]] = {
    "smoke": {"epochs": (1,)},
    "quick": {"epochs": (1, 2), "beta": (0.0,), "latent": (4,)},
    "full": {"epochs": (1, 2, 5), "beta": (0.0, 16.0, 256.0), "latent": (4, 8, 32, 64)},
}
# DNGO on all of NAS-Bench-101 takes ten seconds a run: so many times fewer runs.
_FEWER = 2


def pretraining(profile: str, seed: int = 0) -> Plan:
    """The searches on each data set of NAS-Bench-201, by Table 3's signals and budgets, on NAS-Bench-101, by Table 2's
    signal and number of queries, and those on other trainings. The rows on the pre-trained embedding are the runs of
    these tables. At the smallest scale arch2vec-RL searches one data set and some vectors of NAS-Bench-101."""
    scale, smoke = scale_of(profile), profile == "smoke"
    found, table2, table3 = Plan(scale), plan.table2(profile, seed), plan.table3(profile, seed)
    agents = AGENTS[:1] if smoke else AGENTS

    def arm(dataset: str, method: str) -> Arm:
        budget = Budget(seconds=usual_seconds("nasbench201", dataset) * scale.part)
        return Arm("nasbench201", dataset, method, budget, runs=scale.controls, first_seed=seed)

    for dataset in DATASETS[:1] if smoke else DATASETS:
        found.groups[dataset] = [
            group for method in agents for group in (
                row_of(table3.groups[dataset], method, "released"),
                *_controls(arm(dataset, method), scale.encoders["nasbench201"], CONTROLS))]
    # An encoder that is not trained needs minutes to embed 423,624 cells, and their paths fill a gigabyte.
    queries, notes = Budget(queries=queries_read(profile)), ("pca", "one_hot") if smoke else CONTROLS
    found.groups[NASBENCH101] = [
        group for method in agents for group in (
            row_of(table2.groups["main"], method, "released"),
            *_controls(Arm(NASBENCH101, "imputed", method, queries, first_seed=seed,
                           runs=scale.controls // (_FEWER if method == "arch2vec_bo" else 1)),
                       scale.encoders[NASBENCH101], notes))]
    found.groups[VARIED] = [
        group for method in agents for group in (
            row_of(table3.groups[VARIED_ON], method, "released"),
            *(_varied(arm(VARIED_ON, method), scale.encoders["nasbench201"], name, value)
              for name, values in CHANGES[profile].items() for value in values))]
    return found


def run(groups: Iterable[Group], *, data_dir: str = "", device: str = "auto", only_existing: bool = False,
        **options: Any) -> dict[str, Outcomes]:
    """As :func:`a2v_core.search.plan.run`; trainings that missing runs need are made first, the seeds of one setting
    together."""
    groups = list(groups)
    if not only_existing:
        there = plan.run(groups, data_dir=data_dir, only_existing=True)
        for group in groups:
            if isinstance(group.arms[0].seen, ChangedFeatures) and plan.unfinished([group], there):
                train_together([arm.seen for arm in group.arms], get_space(group.arms[0].space),
                               ArtifactStore(data_dir), device)
    return plan.run(groups, data_dir=data_dir, device=device, only_existing=only_existing, **options)


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy the finished blocks of the full page, and the models that they rest on, to the folders under version
    control. What Tables 2 and 3 have is published with them. Returns the files written."""
    from a2v_core import table1

    groups = [group for group in pretraining("full", seed).all() if group.note]
    written = publish([arm for group in groups for arm in group.arms], data_dir)
    store = ArtifactStore(data_dir)
    for seen in dict.fromkeys(arm.seen for group in groups for arm in group.arms):
        if isinstance(seen, ChangedFeatures):
            space = get_space("nasbench201")
            model = table1.Arm(space.name, seen.recipe, seen.kind, dict(seen.changes))
            written += table1.publish(model, space, space.cells(), [seen.seed], store, with_weights=True)
    return written


def _controls(arm: Arm, encoders: int, notes: Iterable[str]) -> list[Group]:
    return [_seeing(arm, 1 if note in _ALONE else encoders, note, CONTROLS[note]) for note in notes]


def _varied(arm: Arm, encoders: int, name: str, value: float) -> Group:
    return _seeing(arm, encoders, f"{name}={value:g}",
                   lambda seed: ChangedFeatures(seed=seed, changes=((name, value),)))


def _seeing(arm: Arm, encoders: int, note: str, features: Callable[[int], Features]) -> Group:
    """The runs of an arm, spread over so many seeds of other vectors than the pre-trained ones."""
    group = spread(arm, encoders, note=note)
    return replace(group, arms=tuple(replace(each, features=features(each.seen.seed)) for each in group.arms))
