"""Measures of one representation of a search space, stored: what :mod:`a2v_core.observations.smoothness` says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.observations import smoothness
from a2v_core.observations.accuracies import accuracies, accuracy_digest
from a2v_core.observations.areas import area_means, occupied_share
from a2v_core.observations.representations import Representation
from a2v_core.spaces import get_space

#: Neighbours of a cell in every measure.
NEIGHBOURS = 10
_COMPUTING = (__name__, "a2v_core.observations.smoothness", "a2v_core.observations.areas",
              "a2v_core.observations.collapse")


@dataclass(frozen=True)
class Measures:
    """Numbers about one latent space of all cells of a search space and one data set; NaN where vectors have collapsed.

    Attributes:
        neighbour_correlation, neighbour_rank_correlation, variance_ratio, neighbour_difference (fraction): see
            :mod:`a2v_core.observations.smoothness`; between random cells and their neighbours in the whole space.
        morans_i, morans_i_of_ranks: over a random sample and its own neighbour graph.
        distinct_embeddings, effective_dimensions: likewise, of the whole space.
        principal_share: percentage of areas with a cell of the sample in the plane of its two principal components.
    """

    neighbour_correlation: float
    neighbour_rank_correlation: float
    variance_ratio: float
    neighbour_difference: float
    morans_i: float
    morans_i_of_ranks: float
    distinct_embeddings: float
    effective_dimensions: float
    principal_share: float


def random_rows(n_cells: int, n: int, seed: int) -> np.ndarray:
    """Different random rows of a space in random order, int64 [min(n, n_cells)]; more rows include the fewer of a
    seed."""
    return np.random.default_rng([seed, 4]).permutation(n_cells)[:n]


def measure(space: str, dataset: str, representation: Representation, cells: int, queries: int, *, data_dir: str = "",
            device: str = "auto") -> Measures:
    """Measures of one representation, stored. Random cells are drawn by its seed.

    Raises:
        MissingDataError: the accuracies are not there.
    """
    searched, store = get_space(space), ArtifactStore(data_dir)
    key = artifact_key({"representation": representation.identity(searched, data_dir), "space": space,
                        "accuracies": accuracy_digest(space, dataset, data_dir), "dataset": dataset, "cells": cells,
                        "queries": queries, "seed": representation.seed,
                        "code": code_digest(*_COMPUTING)})
    if (found := store.load_json("latent_measures", key)) is None:
        points = representation.build(searched, data_dir=data_dir, device=device)
        made = _measures(points, accuracies(space, dataset, data_dir), cells, queries, representation.seed)
        # JSON has no NaN.
        found = {name: value if np.isfinite(value) else None for name, value in asdict(made).items()}
        store.save_json("latent_measures", key, found)
    return Measures(**{name: float("nan") if value is None else value for name, value in found.items()})


def _measures(points: np.ndarray, values: np.ndarray, cells: int, queries: int, seed: int) -> Measures:
    rows = random_rows(len(points), cells, seed)
    sample, sampled = points[rows], values[rows]
    near = smoothness.nearest(points, rows[:queries], NEIGHBOURS)
    among = smoothness.nearest(sample, np.arange(len(rows)), NEIGHBOURS)
    lost = float("nan")
    correlation, rank_correlation = smoothness.neighbour_correlation(values, near) if near else (lost, lost)
    return Measures(
        neighbour_correlation=correlation, neighbour_rank_correlation=rank_correlation,
        variance_ratio=smoothness.variance_ratio(values, near) if near else lost,
        neighbour_difference=smoothness.neighbour_difference(values, near) if near else lost,
        morans_i=smoothness.morans_i(sampled, among) if among else lost,
        morans_i_of_ranks=smoothness.morans_i(sampled, among, ranks=True) if among else lost,
        distinct_embeddings=smoothness.distinct_share(points, near),
        effective_dimensions=smoothness.effective_dimensions(points),
        principal_share=occupied_share(area_means(smoothness.principal_plane(sample), sampled)) if near else lost)
