"""Maps of a latent space in two dimensions: t-SNE (van der Maaten and Hinton 2008), as Figure 4 has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from a2v_core.errors import SettingsError
from a2v_core.observations.collapse import is_collapsed

#: Cells at most, and neighbours of each, over which the trustworthiness of a map is taken: it needs all pairs of them.
TRUSTED, TRUSTED_NEIGHBOURS = 3000, 10


@dataclass(frozen=True)
class MapSettings:
    """Settings of scikit-learn's t-SNE.

    The paper names no value. The defaults are scikit-learn's in 2020, when it was written, as is all else: step size
    200, early exaggeration 12, 1,000 iterations, angle 0.5. Later versions start from principal components.

    Attributes:
        perplexity: effective number of neighbours of a cell.
        start: initial positions, "random" or "pca".
        seed: of the random start.

    Raises:
        SettingsError: a perplexity below 1, or an unknown start.
    """

    perplexity: float = 30.0
    start: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.perplexity < 1 or self.start not in ("random", "pca"):
            raise SettingsError(f"t-SNE with perplexity {self.perplexity} and start {self.start!r}: give a perplexity "
                                "of at least 1, and start 'random' or 'pca'")


def tsne_map(points: np.ndarray, settings: MapSettings) -> np.ndarray:
    """Positions of the vectors [n, D] on the map, float32 [n, 2]; NaN where all vectors lie on one point.

    One thread, so that sums are taken in one order and the same bits come out everywhere.

    Raises:
        SettingsError: not more vectors than the perplexity.
    """
    from sklearn.manifold import TSNE

    if len(points) <= settings.perplexity:
        raise SettingsError(f"{len(points)} vectors with perplexity {settings.perplexity:g}: give more vectors, or a "
                            "smaller perplexity")
    if is_collapsed(points):
        return np.full((len(points), 2), np.nan, np.float32)
    model = TSNE(perplexity=settings.perplexity, init=settings.start, learning_rate=200.0, random_state=settings.seed,
                 n_jobs=1)
    with threadpool_limits(1):
        return model.fit_transform(points.astype(np.float32)).astype(np.float32)


def map_trustworthiness(points: np.ndarray, plane: np.ndarray) -> float:
    """Trustworthiness (Venna and Kaski 2001) of the map: 1 where the cells that are nearest on it are nearest in the
    latent space as well, 0.5 to be expected of a random map. Over the first :data:`TRUSTED` cells; NaN without a map.

    Args:
        points: vectors [n, D].
        plane: their positions [n, 2].
    """
    from sklearn.manifold import trustworthiness

    points, plane = points[:TRUSTED].astype(np.float64), plane[:TRUSTED].astype(np.float64)
    if not np.isfinite(plane).all():
        return float("nan")
    with threadpool_limits(1):
        return float(trustworthiness(points, plane, n_neighbors=TRUSTED_NEIGHBOURS))
