"""Vectors that stand beside a pre-trained embedding and owe nothing to its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.search.features import Features, one_hot
from a2v_core.spaces.base import SearchSpace

#: Principal components that are kept: as many as arch2vec's embedding has dimensions.
COMPONENTS = 16


@dataclass(frozen=True)
class PrincipalComponents(Features):
    """The first :data:`COMPONENTS` principal components of the one-hot matrices of all cells."""

    kind: str = "one_hot"

    @property
    def label(self) -> str:
        return f"pca{COMPONENTS}"

    def identity(self, space: SearchSpace) -> dict[str, Any]:
        return super().identity(space) | {"components": COMPONENTS, "projection": code_digest(__name__)}

    def build(self, space: SearchSpace, store: ArtifactStore, device: str = "auto") -> np.ndarray:
        """Projections, float32 [cells, 16], in the order of their variance; the largest weight of each is positive."""
        return store.arrays("embeddings", artifact_key(self.identity(space)),
                            lambda: {"embedding": _project(one_hot(space))})["embedding"]

    def prepare(self, space: SearchSpace, store: ArtifactStore, device: str = "auto") -> None:
        self.build(space, store, device)


@dataclass(frozen=True)
class ScaledUntrained(Features):
    """The untrained encoder's embedding, moved and scaled as a whole to the centre and the spread of the embedding that
    the training from these weights ends with: the unit noise of arch2vec-RL, and the network of arch2vec-BO, then see
    numbers of the same size."""

    kind: str = "untrained"

    @property
    def label(self) -> str:
        return f"{super().label}-scaled"

    def identity(self, space: SearchSpace) -> dict[str, Any]:
        return super().identity(space) | {"scaled_as": self._plain("arch2vec").identity(space),
                                          "scaling": code_digest(__name__)}

    def build(self, space: SearchSpace, store: ArtifactStore, device: str = "auto") -> np.ndarray:
        """float32 [cells, D]."""
        moved, model = (self._plain(kind).build(space, store, device).astype(np.float64) for kind in
                        ("untrained", "arch2vec"))
        scale = _spread(model) / _spread(moved)
        return (model.mean(0) + scale * (moved - moved.mean(0))).astype(np.float32)

    def _plain(self, kind: str) -> Features:
        return Features(kind, self.recipe, self.seed, self.epochs)


def _project(matrices: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    # The eigenvectors of a covariance of some 40 columns are exact, quick for any number of cells, and free of chance.
    projection = PCA(COMPONENTS, svd_solver="covariance_eigh")
    return projection.fit_transform(matrices.astype(np.float64)).astype(np.float32)


def _spread(points: np.ndarray) -> float:
    """Root mean square distance of points [M, D] to their mean."""
    return float(np.sqrt(points.var(0).sum()))
