"""Pairs of cells with their exact edit distance (Observation 3, Figure 3): from random walks, and random ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import Cells
from a2v_core.edit_distance import edit_distance, padded_matrix_distance
from a2v_core.errors import SettingsError
from a2v_core.random_walks import lag_pairs, random_walk
from a2v_core.spaces.base import SearchSpace

#: Steps between the two cells of a pair of a walk, as the released code has them.
LAGS = tuple(range(1, 9))
#: "walk": pairs of a random walk at each of :data:`LAGS`; "random": random pairs of random cells of the space.
KINDS = ("walk", "random")
_CODE = (__name__, "a2v_core.edit_distance", "a2v_core.random_walks")


@dataclass(frozen=True)
class PairSpec:
    """Which pairs: `sets` sets (walks, or samples of random cells) of `cells` cells each.

    Attributes:
        kind: one of :data:`KINDS`.
        sets: number of walks or samples.
        cells: cells of each.
        pairs: pairs of each sample; a walk has all pairs at the lags.
        seed: of the first set; the others follow.

    Raises:
        SettingsError: unknown kind.
    """

    kind: str
    sets: int
    cells: int
    pairs: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"unknown pairs {self.kind!r}: choose one of {', '.join(KINDS)}")


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of cells in each of W sets.

    Attributes:
        cells: the C cells of each set, one set after the other, [W * C].
        first, second: rows of `cells`, int64 [W, P].
        steps: of the walk from one to the other, int64 [W, P]; 0 between random cells.
        edits: exact edit distance, int64 [W, P].
        padded: padded-matrix distance, int64 [W, P].
    """

    cells: Cells
    first: np.ndarray
    second: np.ndarray
    steps: np.ndarray
    edits: np.ndarray
    padded: np.ndarray


def make_pairs(space: SearchSpace, spec: PairSpec, data_dir: str = "") -> Pairs:
    """The pairs of a specification, each set stored on its own and found again."""
    store, sets = ArtifactStore(data_dir), []
    depends = {"space": space.name, "kind": spec.kind, "cells": spec.cells, "pairs": spec.pairs, "lags": LAGS,
               "sample": space.cells().digest(), "code": code_digest(*_CODE, type(space).__module__)}
    for seed in tqdm(range(spec.seed, spec.seed + spec.sets), desc=f"{space.name}: {spec.kind} pairs", leave=False):
        key = artifact_key(depends | {"seed": seed})
        sets.append(store.arrays("edit_distances", key, lambda seed=seed: _make_set(space, spec, seed)))
    offsets = spec.cells * np.arange(spec.sets)[:, None]
    columns = {name: np.stack([one[name] for one in sets]) for name in ("first", "second", "steps", "edits", "padded")}
    cells = Cells(*(np.concatenate([one[name] for one in sets]) for name in ("adjacency", "ops")))
    return Pairs(cells, columns["first"] + offsets, columns["second"] + offsets, columns["steps"], columns["edits"],
                 columns["padded"])


def _make_set(space: SearchSpace, spec: PairSpec, seed: int) -> dict[str, np.ndarray]:
    if spec.kind == "walk":
        cells = random_walk(space, spec.cells, seed)
        first, second, steps = lag_pairs(spec.cells, LAGS)
    else:
        # A stream apart from that of the walk with this seed.
        rng, everything = np.random.default_rng([seed, 1]), space.cells()
        cells = everything[rng.choice(len(everything), spec.cells, replace=False)]
        first = rng.integers(0, spec.cells, spec.pairs)
        second = (first + rng.integers(1, spec.cells, spec.pairs)) % spec.cells
        steps = np.zeros(spec.pairs, np.int64)
    one, other = cells[first], cells[second]
    return {"adjacency": cells.adjacency, "ops": cells.ops, "first": first, "second": second, "steps": steps,
            "edits": edit_distance(one, other), "padded": padded_matrix_distance(one, other)}
