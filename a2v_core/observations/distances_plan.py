"""Which representations and which pairs the page of Observation 3 compares, by profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from a2v_core.errors import MissingDataError
from a2v_core.observations.cell_pairs import Pairs, PairSpec, make_pairs
from a2v_core.observations.distances import existing_seeds, l2_distances
from a2v_core.observations.representations import Representation
from a2v_core.results import of_profile
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace

SPACES = ("nasbench101", "nasbench201", "darts")


@dataclass(frozen=True)
class Scale:
    """Size of the page.

    Attributes:
        walks, length: number of random walks, and cells of each; as many samples of random cells, as large.
        pairs: random pairs of each sample.
        recipes: of arch2vec.
        supervised: recipes of the supervised counterpart by space; it needs accuracies, which DARTS has none of, and
            takes half a minute on NAS-Bench-101.
        seeds: pre-trainings (and supervised and initial weights) of each space.
    """

    walks: int
    length: int
    pairs: int
    recipes: tuple[str, ...]
    supervised: dict[str, tuple[str, ...]]
    seeds: dict[str, int]


_RECIPES = ("released", "paper", "corrected")
SCALES = {
    "smoke": Scale(2, 100, 400, ("released",), {"nasbench201": ("released",)}, dict.fromkeys(SPACES, 1)),
    "quick": Scale(4, 200, 1200, _RECIPES, {"nasbench101": ("released",), "nasbench201": ("released",)},
                   dict.fromkeys(SPACES, 2)),
    "full": Scale(20, 1000, 5000, _RECIPES, {"nasbench101": _RECIPES, "nasbench201": _RECIPES},
                  dict.fromkeys(SPACES, 5)),
}


class Group(NamedTuple):
    """Representations of one kind and recipe, one for each seed."""

    name: str
    label: str
    members: tuple[Representation, ...]


@dataclass(frozen=True, eq=False)
class Distances:
    """What was measured on one space and one kind of pairs.

    Attributes:
        pairs: with their edit distances [W, P].
        l2: name of a group → float32 [S, W, P].
    """

    pairs: Pairs
    l2: dict[str, np.ndarray]


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def pair_specs(scale: Scale, seed: int = 0) -> dict[str, PairSpec]:
    """The two kinds of pairs."""
    return {"walk": PairSpec("walk", scale.walks, scale.length, seed=seed),
            "random": PairSpec("random", scale.walks, scale.length, scale.pairs, seed=seed)}


def groups_of(scale: Scale, space: SearchSpace, seed: int = 0, data_dir: str = "") -> list[Group]:
    """The representations that are compared on a space: arch2vec by recipe, its supervised counterpart, and the
    controls. Only pre-trainings that exist are taken."""
    wanted = range(seed, seed + scale.seeds[space.name])
    found = []
    for recipe in scale.recipes:
        found.append(_group("arch2vec", recipe, existing_seeds("arch2vec", recipe, space, wanted, data_dir)))
    found += [_group("supervised", recipe, wanted) for recipe in scale.supervised.get(space.name, ())]
    found.append(_group("untrained", "released", wanted))
    return found + [_group(kind, "released", (0,)) for kind in ("one_hot", "pca", "path")
                    if (space.name, kind) != ("darts", "path")]


def _group(kind: str, recipe: str, seeds: Iterable[int]) -> Group:
    first = Representation(kind, recipe)
    name = f"{kind}-{recipe}" if first.has_seed else kind
    return Group(name, first.label, tuple(replace(first, seed=seed) for seed in seeds))


def measure(space_name: str, groups: Iterable[Group], spec: PairSpec, data_dir: str = "", device: str = "auto"
            ) -> tuple[Distances, list[MissingDataError]]:
    """Edit and L2 distances of all pairs. Groups that need a table that is not here are left out; their errors are
    returned."""
    space, missing = get_space(space_name), []
    pairs = make_pairs(space, spec, data_dir)
    l2 = {}
    for group in tqdm(list(groups), desc=f"L2 distances, {space_name}, {spec.kind} pairs", leave=False):
        try:
            l2[group.name] = np.stack([l2_distances(one, space, spec, pairs, data_dir, device)
                                       for one in group.members])
        except MissingDataError as error:
            missing.append(error)
    return Distances(pairs, l2), missing
