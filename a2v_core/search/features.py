"""Which vector stands for each cell while a method searches: an embedding, the raw matrices, or none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.errors import SettingsError
from a2v_core.spaces.base import SearchSpace

if TYPE_CHECKING:
    from a2v_core.recipes import PretrainingSettings

#: No vectors; arch2vec after pre-training; the same encoder with its initial weights; the raw one-hot matrices; the
#: path encoding of BANANAS.
KINDS = ("none", "arch2vec", "untrained", "one_hot", "path")
_DISCRETE = ("one_hot", "path")
# Modules whose code decides an embedding, apart from those that decide the weights.
_EMBEDDING_MODULES = ("a2v_core.pretraining", "a2v_core.models.folded")


@dataclass(frozen=True)
class Features:
    """Vectors for the cells of a space.

    Attributes:
        kind: one of :data:`KINDS`.
        recipe: of the pre-training (:mod:`a2v_core.recipes`); for arch2vec and untrained.
        seed: of the pre-training, or of the initial weights.
        epochs: of the pre-training; None for the recipe's.

    Raises:
        SettingsError: unknown kind.
    """

    kind: str = "none"
    recipe: str = "released"
    seed: int = 0
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"unknown features {self.kind!r}: choose one of {', '.join(KINDS)}")

    @property
    def label(self) -> str:
        """Name in files and figures."""
        if self.kind in ("none", *_DISCRETE):
            return self.kind
        return f"{self.kind}-{self.recipe}-{self.seed}" + (f"-{self.epochs}epochs" if self.epochs else "")

    def identity(self, space: SearchSpace) -> dict[str, Any]:
        """What the vectors depend on, JSON-able and the same on every machine; nothing is trained or embedded."""
        if self.kind == "none":
            return {"kind": "none"}
        if self.kind in _DISCRETE:
            return {"kind": self.kind, "cells": space.cells().digest(),
                    "code": code_digest(__name__, "a2v_core.search.feature_encodings")}
        from a2v_core.pretraining import training_key

        return asdict(self) | {"model": training_key(space.cells(), self.settings(space), self.seed),
                               "code": code_digest(*_EMBEDDING_MODULES)}

    def build(self, space: SearchSpace, store: ArtifactStore, device: str = "auto") -> np.ndarray | None:
        """A vector for each cell of the space, float32 [cells, D]; None for none. A missing model is trained first;
        an embedding is stored."""
        if self.kind == "none":
            return None
        if self.kind in _DISCRETE:
            return one_hot(space) if self.kind == "one_hot" else paths(space)
        key = artifact_key(self.identity(space))
        return store.arrays("embeddings", key, lambda: {"embedding": self._embed(space, store, device)})["embedding"]

    def prepare(self, space: SearchSpace, store: ArtifactStore, device: str = "auto") -> None:
        """Train and embed what :meth:`build` would otherwise have to, so that several processes find it."""
        if self.kind in ("arch2vec", "untrained"):
            self.build(space, store, device)

    def settings(self, space: SearchSpace) -> PretrainingSettings:
        """Settings of the pre-training, or of the model that is not trained."""
        from a2v_core.recipes import pretraining_settings

        changes = {} if self.epochs is None else {"epochs": self.epochs}
        return pretraining_settings(self.recipe, "arch2vec", space.name, **changes)

    def _embed(self, space: SearchSpace, store: ArtifactStore, device: str) -> np.ndarray:
        from a2v_core.pretraining import embed, pretrain

        settings, cells, n_operations = self.settings(space), space.cells(), len(space.vocabulary)
        if self.kind == "untrained":
            return embed(_untrained(n_operations, settings, self.seed, device), cells, progress=True)
        # Compiling takes longer than a short training.
        compiled = None if self.epochs is None else False
        (trained,) = pretrain(cells, n_operations, settings, [self.seed], store=store, device=device, compiled=compiled)
        return embed(trained, cells, progress=True)


def one_hot(space: SearchSpace) -> np.ndarray:
    """Upper triangle of the adjacency matrix and one-hot operations of each cell, float32 [cells, D]. Entries that are
    equal in all cells tell nothing and are left out."""
    cells = space.cells()
    edges = cells.adjacency[:, *np.triu_indices(cells.ops.shape[1], 1)]
    operations = cells.one_hot(len(space.vocabulary)).reshape(len(cells), -1)
    return _varying(np.concatenate([edges, operations], axis=1)).astype(np.float32)


def paths(space: SearchSpace) -> np.ndarray:
    """All paths of each cell (:func:`a2v_core.search.feature_encodings.path_encoding`), float32 [cells, D]; again
    without entries that are equal in all cells."""
    from a2v_core.search.feature_encodings import path_encoding

    return _varying(path_encoding(space, space.cells())).astype(np.float32)


def _varying(columns: np.ndarray) -> np.ndarray:
    return columns[:, columns.min(0) != columns.max(0)]


def _untrained(n_operations: int, settings: PretrainingSettings, seed: int, device: str) -> Any:
    """A model with the weights that a training of this seed starts from."""
    import torch

    from a2v_core.models.dense import StackedAutoencoder
    from a2v_core.pretraining import Pretrained
    from a2v_core.training import resolve_device

    model = StackedAutoencoder(n_operations, settings, [seed], resolve_device(device))
    return Pretrained(model, torch.zeros(0), torch.zeros(0), {"seed": seed}, "")
