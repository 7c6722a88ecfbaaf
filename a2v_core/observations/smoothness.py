"""How smooth accuracy is over a latent space: numbers for what Figure 4 is meant to show.

Nearest neighbours are by L2 distance. Where all vectors lie on one point there are no neighbours, and every number that
needs them is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import rankdata, spearmanr

from a2v_core.errors import SettingsError
from a2v_core.observations.collapse import is_collapsed, mean_distance

#: Two vectors are one where their distance is below this share of the mean distance of random pairs. Those of cells
#: that the encoder cannot tell apart differ by some 1e-7 of it, by rounding.
SAME = 1e-5


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k vectors nearest to each of Q chosen ones, the nearest first.

    Attributes:
        of: rows of the chosen vectors, int64 [Q].
        rows: of their neighbours, int64 [Q, k]; the chosen vector itself is never among them.
        distances: float64 [Q, k].
    """

    of: np.ndarray
    rows: np.ndarray
    distances: np.ndarray


def nearest(points: np.ndarray, of: np.ndarray, k: int) -> Neighbours | None:
    """The `k` vectors of `points` [M, D] nearest to each of the rows `of`; None where all lie on one point.

    Raises:
        SettingsError: not more than k vectors.
    """
    if not 0 < k < len(points):
        raise SettingsError(f"k={k} neighbours among {len(points)} vectors: give at least 1 and fewer than there are")
    if is_collapsed(points):
        return None
    points, of = points.astype(np.float64), np.asarray(of)
    distances, rows = cKDTree(points).query(points[of], k + 1)
    # Among several vectors on one point the vector itself need not come first, nor be among the k + 1.
    itself = rows == of[:, None]
    itself[~itself.any(1), k] = True
    return Neighbours(of, rows[~itself].reshape(-1, k), distances[~itself].reshape(-1, k))


def neighbour_correlation(values: np.ndarray, near: Neighbours) -> tuple[float, float]:
    """Pearson's and Spearman's correlation of the value of a cell with the mean value of its neighbours. The first
    hangs on the few cells of very low accuracy, the second does not. NaN where either side is constant."""
    own, others = values[near.of], values[near.rows].mean(1)
    if np.ptp(own) == 0 or np.ptp(others) == 0:
        return float("nan"), float("nan")
    return float(np.corrcoef(own, others)[0, 1]), float(spearmanr(own, others).statistic)


def variance_ratio(values: np.ndarray, near: Neighbours) -> float:
    """Mean squared difference of a cell and its neighbours over that of random pairs (twice the variance of `values`):
    0 where neighbours are equal, 1 where they are no closer than chance. With all cells chosen it is Geary's C, up to
    its factor (n - 1) / n."""
    differences = values[near.of][:, None] - values[near.rows]
    return float((differences**2).mean() / (2 * values.var()))


def neighbour_difference(values: np.ndarray, near: Neighbours) -> float:
    """Mean absolute difference of the value of a cell and that of its nearest neighbour."""
    return float(np.abs(values[near.of] - values[near.rows[:, 0]]).mean())


def morans_i(values: np.ndarray, near: Neighbours, ranks: bool = False) -> float:
    """Moran's I of `values` [n], or of their ranks, on the directed graph that joins each cell to its k neighbours,
    weights 1: (n / sum of weights) * sum_ij w_ij z_i z_j / sum_i z_i^2 with z the deviations from the mean. Its
    expectation under independence is -1 / (n - 1).

    Raises:
        SettingsError: `near` does not hold the neighbours of every cell once.
    """
    if not np.array_equal(np.sort(near.of), np.arange(len(values))):
        raise SettingsError(f"Moran's I of {len(values)} values needs the neighbours of each of them, got those of "
                            f"{len(near.of)}: call nearest with of=np.arange(n)")
    values = rankdata(values) if ranks else values
    z = values - values.mean()
    joined = (z[near.of][:, None] * z[near.rows]).sum()
    return float(len(z) / near.rows.size * joined / (z**2).sum())


def distinct_share(points: np.ndarray, near: Neighbours | None) -> float:
    """Percentage of the chosen cells whose vector no other cell shares (:data:`SAME`); 0 where all lie on one point."""
    return 0.0 if near is None else 100 * float((near.distances[:, 0] > SAME * mean_distance(points)).mean())


def effective_dimensions(points: np.ndarray) -> float:
    """Participation ratio of the variances along the principal axes, (sum v)^2 / sum v^2: D where the vectors [M, D]
    spread evenly in all directions, 1 where they lie on a line; NaN on one point."""
    if is_collapsed(points):
        return float("nan")
    variances = np.linalg.eigvalsh(np.cov(points.astype(np.float64), rowvar=False))
    return float(variances.sum() ** 2 / (variances**2).sum())


def principal_plane(points: np.ndarray) -> np.ndarray:
    """First two principal components of the vectors [n, D], float64 [n, 2]: the map that bends nothing."""
    centred = points.astype(np.float64) - points.mean(0, dtype=np.float64)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
