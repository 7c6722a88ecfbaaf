"""The candidates with the largest expected improvement, exactly, without computing all of them exactly.

A round of DNGO asks for mean and variance of every candidate: on NAS-Bench-101, 423,624 x 128 basis functions times a
128 x 128 covariance. Expected improvement grows with the mean and with sigma, so bounds on these two bound it. Here
every candidate gets a cheap upper bound in single precision, rounding errors included, and float64 is spent, best bound
first, on those alone whose bound reaches the k-th best improvement found. The result is that of the full evaluation.

The bound on the variance: of the covariance's eigenvectors those with the smallest eigenvalues, the directions that the
data have determined, are followed; all others count with the largest eigenvalue. Embeddings of 16 dimensions leave
little outside some twenty directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from a2v_core.errors import DataError
from a2v_core.search.acquisition import log_expected_improvement
from a2v_core.search.basis_network import BasisNetworks
from a2v_core.search.bayesian_linear import LinearPosterior

# Directions that are followed; with the mean they make the columns of one matrix product.
_DIRECTIONS = 23
# Rows of one product while bounding: the hidden layer stays in the processor's cache.
_BOUNDED_ROWS = 4096
# Rows that are computed exactly at a time. Always as many, the last one repeated, so that a row's result does not
# depend on which rows are computed with it.
_EXACT_ROWS = 256
# With more open candidates than this, their bounds are made tighter before any is computed exactly.
_MANY_OPEN = 1024
# Unit roundoff of single precision, and the error of its sigmoid in these units (some two are measured).
_ROUNDOFF = 2.0**-24
_SIGMOID_ERROR = 8
# Steps per unit and ends of the table of log(pdf(u) + u cdf(u)).
_TABLE_STEPS, _TABLE_FROM, _TABLE_TO = 64, -200, 20
_TABLE = np.append(log_expected_improvement(np.arange(_TABLE_FROM, _TABLE_TO + 0.5 / _TABLE_STEPS, 1 / _TABLE_STEPS),
                                            1.0, 0.0), np.inf)
# Relative excess that covers the float64 rounding of a bound and of what it bounds.
_SLACK = 1e-9


class Candidates:
    """The feature vectors of all candidates; equal vectors make a group that is held and computed once.

    Args:
        features: float32 [M, F].
        device: where bounds are computed.

    Attributes:
        features: of each group, float32 [G, F].
        group_of: group of each candidate, int64 [M].
        largest: largest magnitude of each feature, float64 [F].

    Raises:
        DataError: a feature is not finite.
    """

    def __init__(self, features: np.ndarray, device: torch.device | str = "cpu") -> None:
        # Adding zero makes a negative zero the same bits as a positive one.
        features = np.ascontiguousarray(features, np.float32) + np.float32(0)
        if not np.isfinite(features).all():
            raise DataError(f"the features of candidate {np.argwhere(~np.isfinite(features))[0, 0]} are not finite: "
                            "see whether their model was trained to the end")
        bits = features.view(f"V{4 * features.shape[1]}")[:, 0]
        _, first, self.group_of = np.unique(bits, return_index=True, return_inverse=True)
        self.features = features[first]
        self.largest = np.abs(self.features).max(0).astype(np.float64)
        self._members = np.argsort(self.group_of, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(self.group_of))])
        self._on_device = torch.from_numpy(self.features).to(device)

    def left(self, excluded: np.ndarray) -> np.ndarray:
        """Candidates of each group that are not among the (distinct) excluded ones, int64 [G]."""
        return np.diff(self._starts) - np.bincount(self.group_of[excluded], minlength=len(self.features))

    def members(self, group: int, excluded: np.ndarray) -> np.ndarray:
        """Candidates of a group that are not among the excluded ones, ascending."""
        members = self._members[self._starts[group]:self._starts[group + 1]]
        return members[~np.isin(members, excluded)]

    def project(self, first: np.ndarray, bias: np.ndarray, second: np.ndarray, weights: np.ndarray,
                groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the hidden units h = 2 sigmoid(features first + bias) - 1 of the given groups (None for all): their
        product with the first column of `second` [H, 1 + C], the sum over the other columns of weights [C] times
        squared product, and their norm, in single precision [G] each."""
        device = self._on_device.device
        first, bias, second, weights = (torch.from_numpy(x.astype(np.float32)).to(device)
                                        for x in (first, bias, 2 * second, weights))
        features = self._on_device if groups is None else self._on_device[torch.from_numpy(groups).to(device)]
        found = torch.empty(3, len(features), device=device)
        for rows, (value, squares, norm) in zip(features.split(_BOUNDED_ROWS), zip(
                *(part.split(_BOUNDED_ROWS) for part in found), strict=True), strict=True):
            half = torch.addmm(bias, rows, first).sigmoid_().sub_(0.5)
            products = half @ second
            value.copy_(products[:, 0])
            torch.mv(products[:, 1:].square_(), weights, out=squares)
            torch.linalg.vector_norm(half, dim=1, out=norm).mul_(2)
        return tuple(found.numpy(force=True))


@dataclass(frozen=True)
class Acquisition:
    """Expected improvement under the model of one run.

    Attributes:
        networks, posterior, run: the model: basis functions, and the regression on them.
        best_f: the value to improve on, in units of the regression's targets.
        variance_as_sigma: the variance takes the place of its root.
    """

    networks: BasisNetworks
    posterior: LinearPosterior
    run: int
    best_f: float
    variance_as_sigma: bool

    def exact(self, features: np.ndarray) -> np.ndarray:
        """Logarithm of the expected improvement at feature vectors [M, F], float64 [M]."""
        found = np.empty(len(features))
        for start in range(0, len(features), _EXACT_ROWS):
            rows = np.minimum(np.arange(start, start + _EXACT_ROWS), len(features) - 1)
            mean, variance = self.posterior.predict(self.run, self.networks.hidden(self.run, features[rows]))
            value = log_expected_improvement(mean, self._sigma(variance), self.best_f)
            found[start:start + _EXACT_ROWS] = value[:len(features) - start]
        return found

    def upper_bound(self, candidates: Candidates, groups: np.ndarray | None = None) -> np.ndarray:
        """What :meth:`exact` does not exceed, float64 [G]: for all groups of candidates, or a tighter bound, at three
        times the cost, for each of the given ones."""
        mean, variance = self.coarse_moments(candidates) if groups is None else self.fine_moments(candidates, groups)
        sigma = self._sigma(variance)
        # The next higher entry of the table bounds what lies below it.
        place = np.ceil(((mean - self.best_f) / sigma - _TABLE_FROM) * _TABLE_STEPS + _SLACK)
        bound = np.log(sigma) + _TABLE[np.clip(place, 0, len(_TABLE) - 1).astype(np.int64)]
        return bound + _SLACK * (1 + np.abs(bound))

    def coarse_moments(self, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of mean and variance of all groups, float64 [G] each, from some directions: the variance is that
        of the largest eigenvalue in all directions, less what the followed ones fall short of it."""
        eigenvalues, vectors = np.linalg.eigh(self.posterior.covariance[self.run])
        followed = min(_DIRECTIONS, len(eigenvalues) - 1)
        rest = eigenvalues[-1]
        mean, gained, norm, errors = self._project(candidates, vectors[:, :followed], rest - eigenvalues[:followed])
        error = np.linalg.norm(errors)
        uncertain = 2 * error * (norm + error) + (followed + 4) * _ROUNDOFF * norm * norm
        return mean, self._variance(rest * (norm * norm + uncertain) - gained)

    def fine_moments(self, candidates: Candidates, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of mean and variance of the given groups, float64 [G] each, from all directions: a sum without
        cancellation, exact up to rounding."""
        eigenvalues, vectors = np.linalg.eigh(self.posterior.covariance[self.run])
        eigenvalues = np.maximum(eigenvalues, 0)
        mean, spread, _, errors = self._project(candidates, vectors, eigenvalues, groups)
        deviation = np.sqrt(spread * (1 + (len(eigenvalues) + 4) * _ROUNDOFF))
        return mean, self._variance((deviation + np.sqrt(eigenvalues @ errors**2)) ** 2)

    def _project(self, candidates: Candidates, directions: np.ndarray, weights: np.ndarray,
                 groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Upper bound of the mean, weighted sum of squares along the directions [H, C] (as computed), and upper bound
        of the hidden units' norm, float64 [G] each; largest error of the product with each direction, [C]."""
        networks, run = self.networks, self.run
        # The first layer standardises the inputs itself, and its factor 2 makes 2 sigmoid - 1 a tanh.
        first = 2 * networks.weights[run] / networks.scale[run][:, None]
        bias = 2 * networks.bias[run] - networks.centre[run] @ first
        second = np.column_stack([self.posterior.weights[run], directions])
        value, squares, norm = (x.astype(np.float64) for x in candidates.project(first, bias, second, weights, groups))
        # A sum of n products is off by n roundoffs of the sum of their magnitudes.
        magnitude = candidates.largest @ np.abs(first) + np.abs(bias)
        of_units = (0.5 * (len(first) + 3) * magnitude + 2 * _SIGMOID_ERROR + 1) * _ROUNDOFF
        of_products = (of_units + (len(second) + 2) * _ROUNDOFF) @ np.abs(second)
        norm = norm * (1 + (len(second) + 4) * _ROUNDOFF) + np.linalg.norm(of_units)
        return value + of_products[0], squares, norm, of_products[1:]

    def _variance(self, spread: np.ndarray) -> np.ndarray:
        return np.maximum((self.posterior.noise[self.run] + spread) * (1 + _SLACK), np.finfo(np.float64).eps)

    def _sigma(self, variance: np.ndarray) -> np.ndarray:
        return variance if self.variance_as_sigma else np.sqrt(variance)


def best_candidates(acquisition: Acquisition, candidates: Candidates, k: int, excluded: np.ndarray) -> np.ndarray:
    """The k candidates with the largest expected improvement, best first; of equal ones the lowest row counts as the
    better. Fewer where fewer are left, int64 [<= k].

    Args:
        excluded: candidates that are left out, distinct, int64 [E].
    """
    left = candidates.left(excluded)
    bound = np.where(left > 0, acquisition.upper_bound(candidates), -np.inf)
    size = min(_EXACT_ROWS, len(bound))
    groups = np.argpartition(-bound, size - 1)[:size]
    values = acquisition.exact(candidates.features[groups])
    values[left[groups] == 0] = -np.inf
    bound[groups] = -np.inf
    threshold = _kth_best(values, left[groups], k)
    open_groups = np.flatnonzero((bound >= threshold) & (bound > -np.inf))
    if len(open_groups) > _MANY_OPEN:
        bound[open_groups] = acquisition.upper_bound(candidates, open_groups)
        open_groups = open_groups[bound[open_groups] >= threshold]
    open_groups = open_groups[np.argsort(-bound[open_groups], kind="stable")]
    for start in range(0, len(open_groups), _EXACT_ROWS):
        some = open_groups[start:start + _EXACT_ROWS]
        if bound[some[0]] < threshold:
            break
        groups = np.concatenate([groups, some])
        values = np.concatenate([values, acquisition.exact(candidates.features[some])])
        threshold = _kth_best(values, left[groups], k)
    members = [candidates.members(group, excluded)[:k] for group in groups[values >= threshold]]
    value = np.repeat(values[values >= threshold], [len(rows) for rows in members])
    rows = np.concatenate(members)
    return rows[np.lexsort((rows, -value))[:k]]


def _kth_best(values: np.ndarray, counts: np.ndarray, k: int) -> float:
    """The k-th largest of values that occur `counts` times each; minus infinity where there are fewer than k."""
    order = np.argsort(-values, kind="stable")
    place = np.searchsorted(np.cumsum(counts[order]), k)
    return values[order[place]] if place < len(values) else -np.inf
