"""Which chains the page of Observation 5 makes, how many by profile, and where the made ones lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import Cells
from a2v_core.errors import MissingDataError
from a2v_core.observations.accuracies import accuracies, accuracy_digest
from a2v_core.observations.chains import TOLERANCE
from a2v_core.observations.chains_measure import COMPUTING_MODULES, draw_starts, measure, measure_random
from a2v_core.observations.representations import Representation
from a2v_core.results import of_profile
from a2v_core.spaces import get_space

SPACES = ("nasbench101", "nasbench201", "darts")
RECIPES = ("released", "paper", "corrected")
#: Chains without an embedding: the next cell is any cell; the next cell is the one with the nearest test accuracy.
WITHOUT_EMBEDDING = ("random", "accuracy")
# Accuracies are means of three over 9,984 images: two different ones lie 3e-5 apart.
_ACCURACY_TOLERANCE = 1e-6
_LABELS = {"random": "random cells", "accuracy": "test accuracy alone"}
#: The supervised counterpart with its network left in training mode (:mod:`a2v_core.observations.chains_variants`).
TRAINING_MODE = "supervised_training_mode"


@dataclass(frozen=True)
class Arm:
    """The chains of one embedding.

    Attributes:
        space: name of the search space.
        kind: one of :data:`a2v_core.observations.representations.KINDS` or of :data:`WITHOUT_EMBEDDING`, or
            :data:`TRAINING_MODE`.
        recipe: of the training; empty where there is none.
        seed: of the training (where there is one) and of the starts, so that arms of a seed share their starts.
        labels: labelled cells of a supervised network.
    """

    space: str
    kind: str
    recipe: str
    seed: int
    labels: int = 250

    @property
    def label(self) -> str:
        """Name in tables and figures, without the seed."""
        label = _LABELS.get(self.kind) or self.representation.label
        return label + (", training mode" if self.kind == TRAINING_MODE else "")

    @property
    def representation(self) -> Representation:
        """The embedding. Raises SettingsError where there is none."""
        kind = "supervised" if self.kind == TRAINING_MODE else self.kind
        return Representation(kind, self.recipe or "released", self.seed if self._is_trained else 0, self.labels)

    @property
    def _is_trained(self) -> bool:
        return self.kind in ("arch2vec", "supervised", "untrained", TRAINING_MODE)


@dataclass(frozen=True)
class Scale:
    """Size of the page.

    Attributes:
        starts, steps: chains of each arm, and steps of each chain.
        families: straight networks, and networks with skip connections, whose neighbours are counted.
        seeds: trainings (and draws of the starts) by space.
        recipes: of arch2vec and its supervised counterpart, by space.
        controls: other arms by space.
        labels: labelled cells of the supervised counterpart at most.
        other_labels: other numbers of them that are tried on NAS-Bench-101.
        training_mode: seeds of the supervised counterpart in training mode.
        darts_cells: cells of the DARTS sample that are looked at; None for all.
    """

    starts: int
    steps: int
    families: int
    seeds: dict[str, int]
    recipes: dict[str, tuple[str, ...]]
    controls: dict[str, tuple[str, ...]]
    labels: int | None
    other_labels: tuple[int, ...]
    training_mode: int
    darts_cells: int | None


_CONTROLS = ("untrained", "one_hot", "pca", "path", "accuracy", "random")
_FIRST = ("released",)
SCALES = {
    "smoke": Scale(10, 6, 20, dict.fromkeys(SPACES, 1), dict.fromkeys(SPACES, _FIRST),
                   {"nasbench101": ("random",), "nasbench201": ("one_hot", "random"), "darts": ("random",)},
                   20, (), 0, 20_000),
    "quick": Scale(50, 15, 100, dict.fromkeys(SPACES, 2) | {"darts": 1},
                   {"nasbench101": _FIRST, "nasbench201": RECIPES, "darts": _FIRST},
                   {"nasbench101": ("one_hot", "accuracy", "random"), "nasbench201": _CONTROLS, "darts": ("random",)},
                   None, (50,), 1, 100_000),
    "full": Scale(100, 15, 200, dict.fromkeys(SPACES, 5), dict.fromkeys(SPACES, RECIPES),
                  {"nasbench101": _CONTROLS, "nasbench201": _CONTROLS, "darts": ("untrained", "one_hot", "random")},
                  None, (50, 1000), 3, None),
}


@dataclass(frozen=True, eq=False)
class Chains:
    """An arm with its arrays, see :func:`a2v_core.observations.chains_measure.measure`."""

    arm: Arm
    arrays: dict[str, np.ndarray] = field(repr=False)


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def study_cells(space_name: str, scale: Scale) -> Cells:
    """The cells of a space that chains may visit."""
    cells = get_space(space_name).cells()
    return cells[:scale.darts_cells] if space_name == "darts" and scale.darts_cells else cells


def planned_arms(profile: str, space_name: str, seed: int = 0, labels: int = 250, data_dir: str = "") -> list[Arm]:
    """The arms of a space. Of arch2vec only pre-trainings that exist are taken, so that no page trains for hours; if
    there is none at all, the first is trained."""
    scale = scale_of(profile)
    seeds, labels = range(seed, seed + scale.seeds[space_name]), min(labels, scale.labels or labels)
    kinds = ("arch2vec",) if space_name == "darts" else ("arch2vec", "supervised")
    arms = []
    for kind in kinds:
        for recipe in scale.recipes[space_name]:
            planned = [Arm(space_name, kind, recipe, s, labels) for s in seeds]
            arms += planned if kind == "supervised" else (
                [arm for arm in planned if _exists(arm, data_dir)] or planned[:1])
    for kind in scale.controls[space_name]:
        arms += [Arm(space_name, kind, "released" if kind == "untrained" else "", s) for s in seeds]
    return arms


def planned_variants(profile: str, seed: int = 0, labels: int = 250) -> list[Arm]:
    """Other ways to get the supervised counterpart's embedding of NAS-Bench-101."""
    scale = scale_of(profile)
    most = min(3, scale.seeds["nasbench101"])
    return [*(Arm("nasbench101", "supervised", "released", s, other)
              for other in scale.other_labels for s in range(seed, seed + most)),
            *(Arm("nasbench101", TRAINING_MODE, "released", s, labels)
              for s in range(seed, seed + scale.training_mode))]


def run(profile: str, arms: Sequence[Arm], *, device: str = "auto", data_dir: str = ""
        ) -> tuple[list[Chains], list[str]]:
    """The chains of the arms, read where they exist and made where they do not.

    Returns:
        The chains, and the messages of missing tables: an arm that needs one is left out.
    """
    scale, made, missing = scale_of(profile), [], []
    last: tuple[Arm | None, np.ndarray | None] = (None, None)
    for arm in tqdm(arms, desc="chains", unit="arm", disable=not arms):
        try:
            key = artifact_key(_identity(arm, scale, data_dir))
        except MissingDataError as error:
            missing.append(str(error))
            continue
        store = ArtifactStore(data_dir)
        if (arrays := store.load_arrays("chains", key)) is None:
            # Arms that differ by their starts alone follow each other and share their vectors.
            same = last[0] is not None and replace(last[0], seed=arm.seed) == arm and not arm._is_trained
            last = (arm, last[1] if same else _vectors(arm, scale, data_dir, device))
            arrays = _measured(arm, scale, last[1])
            store.arrays("chains", key, lambda arrays=arrays: arrays)
        made.append(Chains(arm, arrays))
    return made, list(dict.fromkeys(missing))


def _measured(arm: Arm, scale: Scale, vectors: np.ndarray | None) -> dict[str, np.ndarray]:
    cells = study_cells(arm.space, scale)
    starts = draw_starts(len(cells), scale.starts, arm.seed)
    if arm.kind == "random":
        return measure_random(arm.space, cells, starts, scale.steps, arm.seed)
    tolerance = _ACCURACY_TOLERANCE if arm.kind == "accuracy" else TOLERANCE
    return measure(arm.space, cells, vectors, starts, scale.steps, scale.families, arm.seed, tolerance)


def _identity(arm: Arm, scale: Scale, data_dir: str) -> dict[str, Any]:
    """What the chains of an arm depend on."""
    space = get_space(arm.space)
    if arm.kind == "random":
        seen = {"kind": "random", "cells": space.cells().digest()}
    elif arm.kind == "accuracy":
        seen = {"kind": "accuracy", "of": accuracy_digest(arm.space, data_dir=data_dir)}
    else:
        seen = arm.representation.identity(space, data_dir)
        if arm.kind == TRAINING_MODE:
            seen = {"mode": "training", "of": seen, "code": code_digest("a2v_core.observations.chains_variants")}
    return {"seen": seen, "starts": scale.starts, "steps": scale.steps, "families": scale.families, "seed": arm.seed,
            "cells": len(study_cells(arm.space, scale)), "code": code_digest(*COMPUTING_MODULES)}


def _vectors(arm: Arm, scale: Scale, data_dir: str, device: str) -> np.ndarray | None:
    """The embedding of the cells that chains may visit, float32 [M, D]."""
    space = get_space(arm.space)
    if arm.kind == "random":
        return None
    if arm.kind == "accuracy":
        return accuracies(arm.space, data_dir=data_dir)[:, None].astype(np.float32)
    if arm.kind == TRAINING_MODE:
        from a2v_core.observations.chains_variants import embed_in_training_mode

        return embed_in_training_mode(arm.space, arm.recipe, arm.seed, arm.labels, data_dir, device)
    cells = study_cells(arm.space, scale)
    if arm.kind != "arch2vec" or len(cells) == len(space.cells()):
        return arm.representation.build(space, data_dir=data_dir, device=device)[:len(cells)]
    # A part of a large sample is embedded alone: the whole takes a minute.
    from a2v_core.pretraining import embed, pretrain
    from a2v_core.recipes import pretraining_settings

    settings = pretraining_settings(arm.recipe, "arch2vec", arm.space)
    (trained,) = pretrain(space.cells(), len(space.vocabulary), settings, [arm.seed], store=ArtifactStore(data_dir),
                          device=device)
    return embed(trained, cells)


def _exists(arm: Arm, data_dir: str) -> bool:
    """Whether the model of an arm of arch2vec is on this machine."""
    from a2v_core.pretraining import is_trained, training_key
    from a2v_core.recipes import pretraining_settings

    settings = pretraining_settings(arm.recipe, "arch2vec", arm.space)
    return is_trained(ArtifactStore(data_dir), training_key(get_space(arm.space).cells(), settings, arm.seed))
