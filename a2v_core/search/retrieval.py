"""From an action to a cell: the nearest candidate that a run has not visited yet (§3.3.1), exactly.

A query among hundreds of thousands of candidates is a matrix product in float32 over blocks of candidates that stay in
the processor's cache; the few candidates within its rounding error of the best are compared again in float64. Hence
the answer does not depend on how many queries are asked together, nor on the library that multiplies. (In 16 dimensions
and with actions outside the cloud a k-d tree visits most of its leaves: some fifty times slower.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from a2v_core.errors import DataError
from a2v_core.search.protocol import NO_CELL

# Queries x candidates of one matrix product: its result, 256 kB, should stay in the second-level cache.
_QUERIES = 16
_CANDIDATES = 4096
# Score of a candidate that does not count; an infinity would turn into NaN inside some matrix products.
_FAR = np.float32(1e38)


class NearestPoints:
    """Exact search for the nearest of M points by Euclidean distance; the lowest row wins a tie.

    Args:
        points: float32 [M, D].

    Raises:
        DataError: the points are not a matrix of finite numbers.
    """

    def __init__(self, points: np.ndarray) -> None:
        if points.ndim != 2 or not np.isfinite(points).all():
            raise DataError(f"retrieval needs finite points [M, D], got shape {points.shape} with "
                            f"{(~np.isfinite(points)).sum()} not finite: check the embeddings")
        m, d = points.shape
        squares = np.einsum("md,md->m", points, points, dtype=np.float64)
        self._radius = float(np.sqrt(squares.max(initial=0)))
        n_blocks = max(1, -(-m // _CANDIDATES))
        # Half the squared distance, without the part that all candidates share, is the product of the query (negated,
        # and 1) with a point and half its squared norm. Padded candidates are infinitely far.
        augmented = np.zeros((n_blocks * _CANDIDATES, d + 1), np.float32)
        augmented[:m, :d] = points
        augmented[:, d] = _FAR
        augmented[:m, d] = squares / 2
        self._blocks = np.ascontiguousarray(augmented.reshape(n_blocks, _CANDIDATES, d + 1).transpose(0, 2, 1))

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Points of these rows, float32 [Q, D]."""
        return self._blocks[rows // _CANDIDATES, :-1, rows % _CANDIDATES]

    def query(self, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        """Row of the nearest point that is not excluded, int64 [Q]; :data:`NO_CELL` where all are.

        Args:
            queries: float32 [Q, D].
            excluded: rows that do not count for each query, int64 [Q, V], in any order; :data:`NO_CELL` for none.

        Raises:
            DataError: a query is not finite.
        """
        if not np.isfinite(queries).all():
            raise DataError("a query is not finite: the policy has diverged, lower its learning rate")
        parts = [self._query(queries[i:i + _QUERIES], excluded[i:i + _QUERIES])
                 for i in range(0, len(queries), _QUERIES)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def distance(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Distance of each query to one point, float32 [Q]; NaN where the row is :data:`NO_CELL`."""
        squares = _squared_distances(queries, self.take(rows))
        return np.where(rows == NO_CELL, np.nan, np.sqrt(squares)).astype(np.float32)

    def _query(self, queries: np.ndarray, excluded: np.ndarray) -> np.ndarray:
        left = np.concatenate([-queries, np.ones((len(queries), 1))], 1).astype(np.float32)
        who, where = np.nonzero(excluded != NO_CELL)
        out = excluded[who, where]
        order = np.argsort(out)
        who, out = who[order], out[order]
        bounds = np.searchsorted(out, np.arange(len(self._blocks) + 1) * _CANDIDATES)
        scores = np.empty((len(left), _CANDIDATES), np.float32)
        minima = np.empty((len(left), len(self._blocks)), np.float32)
        for b, block in enumerate(self._blocks):
            np.matmul(left, block, out=scores)
            here = slice(bounds[b], bounds[b + 1])
            scores[who[here], out[here] - b * _CANDIDATES] = _FAR
            scores.min(1, out=minima[:, b])
        # A score is off by at most D + 2 roundings of a sum of terms whose moduli add up to no more than `size`; the
        # nearest point and the one of the best score may be off in opposite directions. (One more factor 2 is spare.)
        size = np.linalg.norm(queries.astype(np.float64), axis=1) * self._radius + self._radius ** 2 / 2
        limit = minima.min(1) + 4 * (queries.shape[1] + 2) * 2.0 ** -24 * size
        return np.array([self._nearest_of(left[i], minima[i], limit[i], out[who == i]) for i in range(len(left))])

    def _nearest_of(self, left: np.ndarray, minima: np.ndarray, limit: float, excluded: np.ndarray) -> int:
        """The exact answer among the candidates whose score does not exceed `limit`."""
        if limit >= _FAR:
            return NO_CELL
        close = [b * _CANDIDATES + np.flatnonzero(left @ self._blocks[b] <= limit)
                 for b in np.flatnonzero(minima <= limit)]
        rows = np.setdiff1d(np.concatenate(close), excluded)
        return int(rows[_squared_distances(-left[None, :-1], self.take(rows)).argmin()])


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances of paired rows, float64, summed in the order of the columns so that equal rows give equal
    sums however many there are."""
    squares = np.square(a.astype(np.float64) - b)
    total = np.zeros(len(squares))
    for column in range(squares.shape[1]):
        total += squares[:, column]
    return total


class Visited:
    """Which of M candidates each of R runs has visited."""

    def __init__(self, n_runs: int, n_candidates: int) -> None:
        self._n_candidates = n_candidates
        self._rows = np.full((n_runs, 0), NO_CELL)

    def rows(self, runs: np.ndarray) -> np.ndarray:
        """What these runs have visited, int64 [Q, V], :data:`NO_CELL` in empty places."""
        return self._rows[runs]

    def mark(self, runs: np.ndarray, rows: np.ndarray) -> None:
        """Run ``runs[i]`` visits ``rows[i]`` (or nothing: :data:`NO_CELL`)."""
        column = np.full((len(self._rows), 1), NO_CELL)
        column[runs, 0] = rows
        self._rows = np.concatenate([self._rows, column], 1)

    def draw(self, run: int, rng: np.random.Generator) -> int:
        """An unvisited candidate of one run, uniformly at random; :data:`NO_CELL` when there is none."""
        taken = np.sort(self._rows[run][self._rows[run] != NO_CELL])
        if len(taken) == self._n_candidates:
            return NO_CELL
        nth = rng.integers(self._n_candidates - len(taken))
        return int(nth + np.searchsorted(taken - np.arange(len(taken)), nth, side="right"))


def retrieve(how: str, nearest: NearestPoints, actions: np.ndarray, visited: Visited, runs: np.ndarray,
             rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """The unvisited cell that each action stands for, int64 [Q]; :data:`NO_CELL` when none is left.

    Args:
        how: ``nearest`` (§3.3.1); ``second``, the nearest apart from the one that would be nearest were nothing visited
            (the released code on NAS-Bench-201), which itself comes last; ``random``, the action is ignored.
        nearest: search among the candidates.
        actions: float32 [Q, D].
        visited: of all runs.
        runs: the run of each action, int64 [Q].
        rngs: a generator for each run (of all runs), used by ``random``.
    """
    if how == "random":
        return np.array([visited.draw(run, rngs[run]) for run in runs], np.int64)
    excluded = visited.rows(runs)
    if how == "nearest":
        return nearest.query(actions, excluded)
    first = nearest.query(actions, excluded[:, :0])
    rows = nearest.query(actions, np.column_stack([excluded, first]))
    only_first = (rows == NO_CELL) & (excluded != first[:, None]).all(1)
    return np.where(only_first, first, rows)
