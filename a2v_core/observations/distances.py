"""L2 distance of the vectors that stand for the two cells of a pair (Observation 3, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import Cells
from a2v_core.errors import SettingsError
from a2v_core.observations.cell_pairs import Pairs, PairSpec
from a2v_core.observations.collapse import is_collapsed
from a2v_core.observations.representations import SIZE, Representation
from a2v_core.spaces.base import SearchSpace

# Cells whose principal components are taken: walks on DARTS leave the standard sample.
_PCA_CELLS = 20_000


def l2_distances(representation: Representation, space: SearchSpace, spec: PairSpec, pairs: Pairs, data_dir: str = "",
                 device: str = "auto") -> np.ndarray:
    """L2 distance of the vectors of each pair, float32 [W, P]; stored. All are 0 where the vectors have collapsed on
    one point up to rounding.

    Raises:
        SettingsError: the representation does not exist for the space.
        MissingDataError: a supervised network needs accuracies that are not there.
    """
    key = artifact_key({"of": representation.identity(space, data_dir), "pairs": asdict(spec), "space": space.name,
                        "cells": pairs.cells.digest(), "code": code_digest(__name__, "a2v_core.observations.collapse")})

    def compute() -> dict[str, np.ndarray]:
        vectors = vectors_of(representation, space, pairs.cells, data_dir, device)
        if is_collapsed(vectors):
            return {"l2": np.zeros(pairs.first.shape, np.float32)}
        return {"l2": np.stack([np.linalg.norm(vectors[one] - vectors[other], axis=1).astype(np.float32)
                                for one, other in zip(pairs.first, pairs.second, strict=True)])}

    return ArtifactStore(data_dir).arrays("l2_distances", key, compute)["l2"]


def vectors_of(representation: Representation, space: SearchSpace, cells: Cells, data_dir: str = "",
               device: str = "auto") -> np.ndarray:
    """Vectors of any valid cells, also of those that are not in the space's standard sample, float64 [M, D].

    Entries that are equal in all cells of the space are kept: they do not change a distance. Principal components
    are those of 20,000 random cells.

    Raises:
        SettingsError: the path encoding of a space with two inputs, or a supervised network without a table.
        MissingDataError: the accuracies are not there.
    """
    kind = representation.kind
    if kind in ("arch2vec", "untrained"):
        return _embedding(representation, space, cells, data_dir, device).astype(np.float64)
    if kind == "supervised":
        known = representation.build(space, data_dir=data_dir, device=device)
        return known[space.rows(cells)].astype(np.float64)
    if kind == "path":
        from a2v_core.search.feature_encodings import path_encoding

        if space.name == "darts":
            raise SettingsError("the path encoding counts paths from one input, and a DARTS cell has two: leave it out")
        return path_encoding(space, cells).astype(np.float64)
    matrices = _one_hot(space, cells)
    if kind == "one_hot":
        return matrices
    from sklearn.decomposition import PCA

    everything = space.cells()
    chosen = np.random.default_rng(0).permutation(len(everything))[:_PCA_CELLS]
    return PCA(SIZE, svd_solver="covariance_eigh").fit(_one_hot(space, everything[chosen])).transform(matrices)


def existing_seeds(kind: str, recipe: str, space: SearchSpace, seeds: Sequence[int], data_dir: str = "") -> list[int]:
    """Those of `seeds` whose pre-trained model exists; all of them for what is trained in seconds or not at all. Where
    none exists, the first: its model is then trained."""
    if kind != "arch2vec":
        return list(seeds)
    from a2v_core.pretraining import is_trained, training_key
    from a2v_core.recipes import pretraining_settings

    settings, store = pretraining_settings(recipe, "arch2vec", space.name), ArtifactStore(data_dir)
    cells = space.cells()
    return [seed for seed in seeds if is_trained(store, training_key(cells, settings, seed))] or list(seeds[:1])


def _one_hot(space: SearchSpace, cells: Cells) -> np.ndarray:
    edges = cells.adjacency[:, *np.triu_indices(cells.ops.shape[1], 1)]
    return np.hstack([edges, cells.one_hot(len(space.vocabulary)).reshape(len(cells), -1)]).astype(np.float64)


def _embedding(representation: Representation, space: SearchSpace, cells: Cells, data_dir: str, device: str
               ) -> np.ndarray:
    """Embeddings of arch2vec's encoder, trained or with its initial weights, float32 [M, 16]."""
    import torch

    from a2v_core.models.dense import StackedAutoencoder
    from a2v_core.pretraining import Pretrained, embed, pretrain
    from a2v_core.recipes import pretraining_settings
    from a2v_core.training import resolve_device

    settings = pretraining_settings(representation.recipe, "arch2vec", space.name)
    n_operations, seeds = len(space.vocabulary), [representation.seed]
    if representation.kind == "untrained":
        model = StackedAutoencoder(n_operations, settings, seeds, resolve_device(device))
        return embed(Pretrained(model, torch.zeros(0), torch.zeros(0), {}, ""), cells)
    (trained,) = pretrain(space.cells(), n_operations, settings, seeds, store=ArtifactStore(data_dir), device=device)
    return embed(trained, cells)
