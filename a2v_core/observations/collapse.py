"""Whether vectors have collapsed on one point, as those of a pre-training that reconstructs nothing may."""

from __future__ import annotations

import numpy as np

_PAIRS = 20_000


def mean_distance(points: np.ndarray, seed: int = 0) -> float:
    """Mean L2 distance of random pairs of the vectors [M, D]."""
    first, second = np.random.default_rng(seed).integers(len(points), size=(2, _PAIRS))
    return float(np.linalg.norm(points[first].astype(np.float64) - points[second], axis=1).mean())


def is_collapsed(points: np.ndarray) -> bool:
    """Whether the vectors [M, D] all lie on one point, up to single precision."""
    size = float(np.linalg.norm(points.astype(np.float64), axis=1).mean())
    return mean_distance(points) <= 1e-6 * size
