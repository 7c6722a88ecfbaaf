"""Vectors that stand for the cells of a search space: arch2vec, its supervised counterpart, and the controls."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.errors import SettingsError
from a2v_core.observations.accuracies import accuracies, accuracy_digest
from a2v_core.search.features import Features
from a2v_core.spaces.base import SearchSpace

#: arch2vec after pre-training; the network that learns from accuracies; arch2vec's encoder with its initial weights;
#: the raw one-hot matrices; as many principal components of them as arch2vec's embedding has numbers; the path encoding
#: of BANANAS.
KINDS = ("arch2vec", "supervised", "untrained", "one_hot", "pca", "path")
#: Size of arch2vec's embedding, and number of principal components.
SIZE = 16
_LABELS = {"arch2vec": "arch2vec", "untrained": "untrained GIN", "one_hot": "one-hot matrices",
           "pca": f"PCA of one-hot, {SIZE}", "path": "path encoding"}


@dataclass(frozen=True)
class Representation:
    """Vectors that stand for the cells of a space.

    Attributes:
        kind: one of :data:`KINDS`.
        recipe: of the pre-training, or of the supervised training; for untrained, that of the network's shape.
        seed: of the pre-training, or of the initial weights (supervised: and of the choice of labelled cells).
        labels: number of labelled cells that a supervised network is trained on (supervised only).
        dataset: whose test accuracies label the cells (supervised only).

    Raises:
        SettingsError: unknown kind.
    """

    kind: str
    recipe: str = "released"
    seed: int = 0
    labels: int = 250
    dataset: str = "cifar10"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"unknown representation {self.kind!r}: choose one of {', '.join(KINDS)}")

    @property
    def label(self) -> str:
        """Name in figures: without the seed."""
        if self.kind == "supervised":
            return f"supervised, {self.recipe}, {self.labels:,} labels"
        return _LABELS[self.kind] + (f", {self.recipe}" if self.kind in ("arch2vec", "untrained") else "")

    @property
    def has_seed(self) -> bool:
        """Whether another seed gives other vectors."""
        return self.kind in ("arch2vec", "supervised", "untrained")

    def identity(self, space: SearchSpace, data_dir: str = "") -> dict[str, Any]:
        """What the vectors depend on, JSON-able and the same on every machine; nothing is trained or embedded.

        Raises:
            MissingDataError: the accuracies that a supervised network learns from are not there.
        """
        if self.kind == "pca":
            return {"kind": "pca", "of": Features("one_hot").identity(space), "code": code_digest(__name__)}
        if self.kind != "supervised":
            return self._features().identity(space)
        from a2v_core.observations.supervised import COMPUTING_MODULES, counterpart_settings

        return {"kind": "supervised", "settings": asdict(counterpart_settings(self.recipe)), "seed": self.seed,
                "labels": self.labels, "dataset": self.dataset, "cells": space.cells().digest(),
                "accuracies": accuracy_digest(space.name, self.dataset, data_dir),
                "code": code_digest(*COMPUTING_MODULES)}

    def build(self, space: SearchSpace, *, data_dir: str = "", device: str = "auto") -> np.ndarray:
        """A vector for each cell of the space, float32 [cells, D]; what had to be trained or embedded is stored.

        Raises:
            SettingsError: a supervised network for a space without accuracies, or an unknown recipe or data set.
            MissingDataError: the accuracies that a supervised network learns from are not there.
        """
        store = ArtifactStore(data_dir)
        if self.kind not in ("pca", "supervised"):
            return self._features().build(space, store, device)
        make = self._principal if self.kind == "pca" else self._supervised
        key = artifact_key(self.identity(space, data_dir))
        return store.arrays("embeddings", key, lambda: {"embedding": make(space, data_dir, device)})["embedding"]

    def _features(self) -> Features:
        return Features(self.kind, self.recipe, self.seed)

    def _principal(self, space: SearchSpace, data_dir: str, device: str) -> np.ndarray:
        from sklearn.decomposition import PCA

        # Single precision would lose the smaller components among hundreds of thousands of rows.
        matrices = Features("one_hot").build(space, ArtifactStore(data_dir), device).astype(np.float64)
        return PCA(SIZE, svd_solver="covariance_eigh").fit_transform(matrices).astype(np.float32)

    def _supervised(self, space: SearchSpace, data_dir: str, device: str) -> np.ndarray:
        from a2v_core.observations.supervised import train_counterpart

        known = accuracies(space.name, self.dataset, data_dir)
        return train_counterpart(space.name, known, self.recipe, [self.seed], self.labels, device).embedding(0)

