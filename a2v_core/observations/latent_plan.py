"""What the page on the latent space computes: its representations, measures and maps, by profile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.observations import areas as of_areas
from a2v_core.observations.accuracies import DATASETS, accuracies
from a2v_core.observations.distances import existing_seeds
from a2v_core.observations.latent_measures import Measures, measure, random_rows
from a2v_core.observations.representations import SIZE, Representation
from a2v_core.observations.tsne import MapSettings, map_trustworthiness, tsne_map
from a2v_core.parallel import run_tasks
from a2v_core.results import of_profile
from a2v_core.spaces import get_space

SOURCES = ("arch2vec", "supervised")
#: Kind and recipe of a representation; no recipe where there is none.
Arm = tuple[str, str]
_MAPPING = ("a2v_core.observations.tsne", "a2v_core.observations.collapse")


@dataclass(frozen=True)
class Scale:
    """Size of the page.

    Attributes:
        cells: of a large map, and of the graph of Moran's I.
        few_cells: of a small map.
        queries: cells whose neighbours in the whole space are looked up.
        seeds: trainings of each arm; of arch2vec as many of them as exist, see :func:`trainings`.
        recipes: of the trainings.
        labels: accuracies that a supervised network is trained on at most.
        controls: initial weights of the untrained network.
        datasets: of NAS-Bench-201, whose cells are measured without a map.
        perplexities, starts: of the small maps that show how much the picture depends on them.
        areas: along each side of a large map, and of a small one, so that an area has as many cells on average.
    """

    cells: int
    few_cells: int
    queries: int
    seeds: int
    labels: int
    recipes: tuple[str, ...]
    controls: int
    datasets: tuple[str, ...]
    perplexities: tuple[float, ...]
    starts: tuple[tuple[str, int], ...]
    areas: tuple[int, int]


SCALES = {
    "smoke": Scale(300, 150, 300, 1, 40, ("released",), 0, (), (30.0,), (("random", 1),), (9, 6)),
    "quick": Scale(1000, 300, 1000, 2, 100, ("released",), 1, (), (5.0, 30.0), (("random", 0), ("random", 1)),
                   (16, 9)),
    "full": Scale(10_000, 2000, 5000, 5, 100_000, ("released", "paper", "corrected"), 5, DATASETS["nasbench201"],
                  (5.0, 30.0, 100.0), (("random", 0), ("random", 1), ("pca", 0)), (of_areas.AREAS, 23)),
}


@dataclass(frozen=True, eq=False)
class Map:
    """A map of random cells of NAS-Bench-101.

    Attributes:
        rows: of the cells in the space, int64 [n].
        plane: their positions, float32 [n, 2]; NaN where the vectors have collapsed.
        trustworthiness: of the map.
        values: test accuracies, fractions, [n].
        areas: along each side, for the numbers and figures.
    """

    rows: np.ndarray
    plane: np.ndarray
    trustworthiness: float
    values: np.ndarray
    areas: int

    @property
    def means(self) -> np.ndarray:
        """Mean accuracy of each area, [areas, areas]."""
        return of_areas.area_means(self.plane, self.values, self.areas)

    @property
    def occupied_share(self) -> float:
        return of_areas.occupied_share(self.means)

    @property
    def roughness(self) -> float:
        """Between adjacent areas, a fraction, like the accuracies."""
        return of_areas.roughness(self.means)

    @property
    def relative_roughness(self) -> float:
        """Roughness over the difference of any two areas."""
        return of_areas.relative_roughness(self.means)

    @property
    def coloured_roughness(self) -> float:
        """Roughness of what the colours show."""
        return of_areas.roughness(self.means, coloured=True)

    @property
    def relative_coloured_roughness(self) -> float:
        """Likewise over the difference of any two areas."""
        return of_areas.relative_roughness(self.means, coloured=True)


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def trainings(space: str, dataset: str, kind: str, recipe: str, scale: Scale, labels: int, seed: int,
              data_dir: str = "") -> list[Representation]:
    """The trainings of an arm, seeds from `seed` on; pre-trainings that do not exist yet, hours each, are left out, but
    for the first where there is none."""
    n = scale.controls if kind == "untrained" else scale.seeds
    seeds = existing_seeds(kind, recipe, get_space(space), range(seed, seed + n), data_dir)
    labelled_by = dataset if kind == "supervised" else "cifar10"
    return [Representation(kind, recipe, one, labels, labelled_by) for one in seeds]


def arms(scale: Scale, space: str, dataset: str, labels: int, seed: int, data_dir: str = ""
         ) -> dict[Arm, list[Representation]]:
    """The representations that are measured, one for each training of an arm; recipes other than the first only on
    the first data set of a space."""
    recipes = scale.recipes if dataset == DATASETS[space][0] else scale.recipes[:1]
    wanted = [(kind, recipe) for recipe in recipes for kind in SOURCES]
    wanted += [("untrained", scale.recipes[0])] if scale.controls else []
    found = {arm: trainings(space, dataset, *arm, scale, labels, seed, data_dir) for arm in wanted}
    # The matrices of NAS-Bench-201 vary by the same amount in all directions: none of them is principal.
    control = "one_hot" if space == "nasbench201" else "pca"
    return found | ({(control, ""): [Representation(control)]} if scale.controls else {})


def make_map(representation: Representation | None, cells: int, areas: int, settings: MapSettings, sample: int, *,
             data_dir: str = "", device: str = "auto") -> Map:
    """A map of random cells of NAS-Bench-101, its positions stored.

    Args:
        representation: of the cells; None for vectors drawn from a normal distribution, which mean nothing.
        sample: seed of the choice of cells.

    Raises:
        MissingDataError: the accuracies are not there.
    """
    space = get_space("nasbench101")
    values = accuracies(space.name, "cifar10", data_dir)
    rows = random_rows(len(values), cells, sample)
    identity = representation.identity(space, data_dir) if representation else {"normal": SIZE}
    key = artifact_key({"representation": identity, "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
                        "sample": sample, "settings": asdict(settings), "code": code_digest(*_MAPPING)})

    def build() -> dict[str, np.ndarray]:
        if representation:
            points = representation.build(space, data_dir=data_dir, device=device)[rows]
        else:
            points = np.random.default_rng(sample).normal(size=(len(rows), SIZE)).astype(np.float32)
        plane = tsne_map(points, settings)
        return {"plane": plane, "trustworthiness": np.array(map_trustworthiness(points, plane))}

    found = ArtifactStore(data_dir).arrays("maps", key, build)
    return Map(rows, found["plane"], float(found["trustworthiness"]), values[rows], areas)


def all_measures(scale: Scale, labels: int, seed: int, *, data_dir: str = "", device: str = "auto",
                 scheduler: str = "", n_jobs: int | None = None
                 ) -> dict[tuple[str, str], dict[Arm, dict[int, Measures]]]:
    """(space, data set) → arm → seed of a training → its measures.

    Raises:
        MissingDataError: the accuracies are not there.
    """
    grounds = [("nasbench101", "cifar10"), *(("nasbench201", dataset) for dataset in scale.datasets)]
    found: dict[tuple[str, str], dict[Arm, dict[int, Measures]]] = {}
    for space, dataset in grounds:
        chosen = arms(scale, space, dataset, labels, seed, data_dir)
        tasks = [{"space": space, "dataset": dataset, "representation": one, "cells": scale.cells,
                  "queries": scale.queries, "data_dir": data_dir, "device": device}
                 for of_arm in chosen.values() for one in of_arm]
        made = iter(run_tasks(measure, tasks, scheduler=scheduler, n_jobs=n_jobs, description=f"{space}, {dataset}"))
        found[space, dataset] = {arm: {one.seed: next(made) for one in of_arm} for arm, of_arm in chosen.items()}
    return found


def large_maps(scale: Scale, labels: int, seed: int, data_dir: str = "") -> dict[Arm, list[dict]]:
    """Arguments of :func:`make_map` by arm: both sources by the first recipe, a map for each training, of cells and
    from a start of its own; then the controls, one map each, the last of them ("normal", "") of meaningless vectors."""
    recipe, chosen = scale.recipes[0], {}
    for kind in SOURCES:
        chosen[kind, recipe] = trainings("nasbench101", "cifar10", kind, recipe, scale, labels, seed, data_dir)
    if scale.controls:
        chosen |= {("untrained", recipe): [Representation("untrained", recipe, seed)],
                   ("pca", ""): [Representation("pca", seed=seed)]}
    chosen["normal", ""] = [None]
    return {arm: [_of_training(one, one.seed if one else seed, scale.cells, scale.areas[0]) for one in of_arm]
            for arm, of_arm in chosen.items()}


def small_maps(scale: Scale, labels: int, seed: int, data_dir: str = "") -> dict[Arm, list[dict]]:
    """Likewise for small maps of both sources by every recipe: arm → a map for each training."""
    return {(kind, recipe): [
        _of_training(one, one.seed, scale.few_cells, scale.areas[1])
        for one in trainings("nasbench101", "cifar10", kind, recipe, scale, labels, seed, data_dir)]
        for recipe in scale.recipes for kind in SOURCES}


def setting_maps(scale: Scale, source: str, labels: int, seed: int) -> dict[tuple[float, str], list[dict]]:
    """Likewise for one source, the same cells and the same training: (perplexity, start in words) → one small map."""
    one = Representation(source, scale.recipes[0], seed, labels)
    return {(perplexity, f"random start {number + 1}" if start == "random" else "principal components"): [
        _of_training(one, seed, scale.few_cells, scale.areas[1])
        | {"settings": MapSettings(perplexity, start, seed + number if start == "random" else 0)}]
        for perplexity in scale.perplexities for start, number in scale.starts}


def make_maps(wanted: Mapping[Any, list[dict]], *, data_dir: str = "", device: str = "auto", scheduler: str = "",
              n_jobs: int | None = None) -> dict[Any, dict[int, Map]]:
    """The maps by the names of their arguments and the seed of the cells."""
    tasks = [{**task, "data_dir": data_dir, "device": device} for of_name in wanted.values() for task in of_name]
    made = iter(run_tasks(make_map, tasks, scheduler=scheduler, n_jobs=n_jobs, description="maps"))
    return {name: {task["sample"]: next(made) for task in of_name} for name, of_name in wanted.items()}


def _of_training(representation: Representation | None, seed: int, cells: int, areas: int) -> dict:
    return {"representation": representation, "cells": cells, "areas": areas, "sample": seed,
            "settings": MapSettings(seed=seed)}
