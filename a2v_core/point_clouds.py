"""How many different points a set of vectors has, where equal in exact arithmetic is not equal to the last bit."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from a2v_core.errors import DataError

#: Two vectors within this share of the cloud's radius are one point: single precision leaves some 1e-6 of it between
#: the embeddings of cells that a graph network cannot tell apart.
SAME_WITHIN = 1e-5


def radius(points: np.ndarray) -> float:
    """Largest L2 distance of points [M, D] to their mean."""
    points = points.astype(np.float64)
    return float(np.linalg.norm(points - points.mean(0), axis=1).max())


def n_different(points: np.ndarray, within: float = SAME_WITHIN) -> int:
    """Different points among vectors [M, D]: chains of vectors that are closer than `within` radii count as one; whole
    numbers are told apart exactly.

    Raises:
        DataError: a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise DataError(f"the vector of row {np.argwhere(~np.isfinite(points))[0, 0]} is not finite: "
                        "see whether its model was trained to the end")
    # The same bits are the same point; -0 and 0 are one number.
    points = points[_first_rows(points + np.zeros((), points.dtype))]
    if (points == np.round(points)).all():  # Encodings without rounding, in more dimensions than a tree can search.
        return len(points)
    size = radius(points)
    if size == 0:
        return 1
    # In units of the largest distance of two that are one. Vectors in one box of that diagonal surely are: a cloud
    # whose vectors nearly all coincide has few boxes, where it has too many pairs.
    scaled = (points.astype(np.float64) - points.mean(0, dtype=np.float64)) / (within * size)
    first = _first_rows(np.floor(scaled * np.sqrt(points.shape[1])).astype(np.int32))
    pairs = cKDTree(scaled[first]).query_pairs(1.0, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(first), len(first)))
    return int(connected_components(graph, directed=False)[0])


def _first_rows(rows: np.ndarray) -> np.ndarray:
    """Where each different row stands first; rows of bytes sort faster than rows of numbers."""
    packed = np.ascontiguousarray(rows).view(f"V{rows.shape[1] * rows.itemsize}")[:, 0]
    return np.unique(packed, return_index=True)[1]
