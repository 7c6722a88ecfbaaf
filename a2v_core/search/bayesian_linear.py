"""Bayesian linear regression on fixed basis functions: the second half of DNGO (Snoek et al. 2015; paper, §3.3.2).

Targets y [n] are normal with mean Phi w and variance 1 / beta, the weights w [D] are normal with mean 0 and variance
1 / alpha. Bishop (2006), §3.3 and §3.5, has the posterior and the evidence. Two ways to choose alpha and beta:

- :func:`fit_evidence` maximises the exact evidence;
- :func:`fit_released` repeats the released code: a simplex search on a likelihood with two faults.

Both keep the logarithms of alpha and beta within ±10, the released code's range, so that the noise has a standard
deviation of at least 0.0067 targets. Without a bound the evidence of a network that was trained on the very same
targets often grows for ever as the noise vanishes. Runs are a leading axis; no result depends on the other runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from a2v_core.errors import DataError

#: Largest absolute value of log alpha and of log beta.
LOG_BOUND = 10.0
#: Mean of (log alpha, -log beta) where the released simplex starts; both have standard deviation 1.
RELEASED_START = (0.0, -3.0)

# The released arithmetic is in single precision: above this logarithm a determinant is infinite.
_LOG_LARGEST_SINGLE = float(np.log(np.finfo(np.float32).max))
# What the released code adds to the determinant before it takes the logarithm.
_LOG_ADDED_TO_DETERMINANT = float(np.log(1e-10))
# Evaluations after which a simplex that has met no finite value is smaller than 1e-6 of its start: it stays there.
_HOPELESS_EVALUATIONS = 60
# Spacing in log(alpha / beta) of the first search for the maximum of the evidence.
_GRID_STEP = 0.25
# Halvings of one spacing down to the last digits.
_BISECTIONS = 50


@dataclass(frozen=True, eq=False)
class LinearPosterior:
    """R independent regressions after their data.

    Attributes:
        weights: posterior mean, float64 [R, D].
        covariance: of the weights, float64 [R, D, D].
        noise: variance of an observation, 1 / beta, float64 [R].
        alpha, beta: precision of the weights' prior and of the noise, float64 [R].
    """

    weights: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray

    def predict(self, run: int, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of a new observation (its noise included) at each row of `basis` [M, D], float64 [M] each.
        The variance is positive."""
        basis = np.asarray(basis, np.float64)
        spread = ((basis @ self.covariance[run]) * basis).sum(1)
        return basis @ self.weights[run], np.maximum(self.noise[run] + spread, np.finfo(np.float64).eps)


def log_evidence(basis: np.ndarray, targets: np.ndarray, log_alpha: np.ndarray, log_beta: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
    """log N(y | 0, Phi Phi^T / alpha + I / beta) and its gradient by (log alpha, log beta).

    Shapes: basis [R, n, D], targets [R, n], log_alpha and log_beta [R]; returns float64 [R] and [R, 2].

    Raises:
        DataError: there is no row, or a value is not finite.
    """
    data = _decompose(basis, targets)
    value, by_alpha, by_beta = data.evidence(np.asarray(log_alpha)[:, None], np.asarray(log_beta)[:, None])
    return value[:, 0], np.stack([by_alpha[:, 0], by_beta[:, 0]], axis=1)


def fit_evidence(basis: np.ndarray, targets: np.ndarray) -> LinearPosterior:
    """The regression whose alpha and beta maximise the exact evidence within the bounds.

    For a fixed ratio alpha / beta the best beta has a closed form, so the search is over the ratio alone: a grid over
    all ratios, then bisection on the derivative around the best point. Constant targets and fewer rows than basis
    functions are no special cases; targets that are all zero give weights of zero and the least noise.

    Args:
        basis: [R, n, D], n >= 1.
        targets: [R, n].

    Raises:
        DataError: there is no row, or a value is not finite.
    """
    data = _decompose(basis, targets)
    grid = np.arange(-2 * LOG_BOUND, 2 * LOG_BOUND + _GRID_STEP / 2, _GRID_STEP)
    value = data.along_ratio(np.broadcast_to(grid, (len(data.n_rows), len(grid))))[1]
    best = np.argmax(value, axis=1)
    low, high = (grid[np.clip(best + step, 0, len(grid) - 1)][:, None] for step in (-1, 1))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        rising = data.along_ratio(middle)[2] > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    log_ratio = (low + high) / 2
    log_beta = data.along_ratio(log_ratio)[0]
    return data.posterior((log_ratio + log_beta)[:, 0], log_beta[:, 0])


def fit_released(basis: np.ndarray, targets: np.ndarray, seeds: Sequence[int | np.random.Generator]) -> LinearPosterior:
    """The regression whose alpha and beta come out of the released code's search.

    Its likelihood has the norm of the residuals where their squared norm belongs, and is minus infinity wherever the
    determinant exceeds single precision, which with 128 basis functions is nearly everywhere from some 40 rows on. The
    Nelder-Mead simplex starts at a random point, and where all around it is infinite it ends there as well.

    Args:
        basis, targets: as in :func:`fit_evidence`.
        seeds: of the start of each run; a generator is used as it stands.

    Raises:
        DataError: there is no row, or a value is not finite.
    """
    data = _decompose(basis, targets)
    found = np.empty((len(seeds), 2))
    for run, seed in enumerate(seeds):
        start = np.random.default_rng(seed).normal(RELEASED_START, 1.0)
        with np.errstate(invalid="ignore"):
            result = minimize(data.released_loss, start, (run,), "Nelder-Mead",
                              options={"maxfev": _HOPELESS_EVALUATIONS})
            if np.isfinite(result.fun):
                result = minimize(data.released_loss, start, (run,), "Nelder-Mead")
        found[run] = result.x
    return data.posterior(found[:, 0], -found[:, 1])


@dataclass(frozen=True, eq=False)
class _Decomposed:
    """Regressions in the coordinates of the eigenvectors of Phi^T Phi, where everything is a sum over D terms.

    Attributes:
        values, vectors: eigenvalues [R, D], zero where they are rounding, and eigenvectors [R, D, D].
        products: Phi^T y in these coordinates, [R, D].
        explained: squared length of y along each direction, [R, D].
        unexplained: squared length of y outside all directions, [R].
        n_rows: n, once for each run, [R].
    """

    values: np.ndarray
    vectors: np.ndarray
    products: np.ndarray
    explained: np.ndarray
    unexplained: np.ndarray
    n_rows: np.ndarray

    def evidence(self, log_alpha: np.ndarray, log_beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value and derivatives by log alpha and log beta, [R, G] each, at G points a run."""
        n = self.n_rows[:, None]
        beta = np.exp(log_beta)
        gain = self.values[:, None] * np.exp(log_beta - log_alpha)[..., None]
        left = 1 / (1 + gain)
        along = self.explained[:, None] * left
        misfit = beta * (self.unexplained[:, None] + along.sum(-1))
        effective = (gain * left).sum(-1)
        value = 0.5 * (n * (log_beta - np.log(2 * np.pi)) - np.log1p(gain).sum(-1) - misfit)
        by_alpha = 0.5 * (effective - beta * (along * gain * left).sum(-1))
        by_beta = 0.5 * (n - effective - beta * (self.unexplained[:, None] + (along * left).sum(-1)))
        return value, by_alpha, by_beta

    def along_ratio(self, log_ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each log(alpha / beta) the best log beta within the bounds, the evidence there and its derivative by
        log(alpha / beta) along that curve, [R, G] each."""
        ratio = np.exp(log_ratio)[..., None]
        misfit = self.unexplained[:, None] + (self.explained[:, None] * ratio / (ratio + self.values[:, None])).sum(-1)
        with np.errstate(divide="ignore"):
            log_beta = np.log(self.n_rows[:, None]) - np.log(misfit)
        log_beta = np.clip(log_beta, np.maximum(-LOG_BOUND, -LOG_BOUND - log_ratio),
                           np.minimum(LOG_BOUND, LOG_BOUND - log_ratio))
        value, by_alpha, by_beta = self.evidence(log_ratio + log_beta, log_beta)
        # Where beta is free its derivative is zero; along the edge of alpha only beta moves, against the ratio.
        alpha_bound = np.abs(log_ratio + log_beta) >= LOG_BOUND
        return log_beta, value, np.where(alpha_bound, -by_beta, by_alpha)

    def released_loss(self, point: np.ndarray, run: int) -> float:
        """Negative of the released code's likelihood of one run at (log alpha, -log beta)."""
        if np.abs(point).max() > LOG_BOUND:
            return np.inf
        values, n = self.values[run], self.n_rows[run]
        log_alpha, log_beta = point[0], -point[1]
        alpha, beta = np.exp(log_alpha), np.exp(log_beta)
        precision = alpha + beta * values
        log_determinant = np.log(precision).sum()
        if log_determinant > _LOG_LARGEST_SINGLE:
            return np.inf
        left = alpha / precision
        norm = np.sqrt(self.unexplained[run] + (self.explained[run] * left * left).sum())
        squared_weights = (np.square(beta * self.products[run] / precision)).sum()
        return -0.5 * (len(values) * log_alpha + n * (log_beta - np.log(2 * np.pi)) - beta * norm
                       - alpha * squared_weights - np.logaddexp(log_determinant, _LOG_ADDED_TO_DETERMINANT))

    def posterior(self, log_alpha: np.ndarray, log_beta: np.ndarray) -> LinearPosterior:
        """The weights' distribution at one (log alpha, log beta) a run."""
        alpha, beta = np.exp(log_alpha), np.exp(log_beta)
        variances = 1 / (alpha[:, None] + beta[:, None] * self.values)
        weights = self.vectors @ (beta[:, None] * self.products * variances)[..., None]
        covariance = (self.vectors * variances[:, None]) @ self.vectors.transpose(0, 2, 1)
        return LinearPosterior(weights[..., 0], covariance, 1 / beta, alpha, beta)


def _decompose(basis: np.ndarray, targets: np.ndarray) -> _Decomposed:
    basis, targets = np.asarray(basis, np.float64), np.asarray(targets, np.float64)
    if basis.shape[1] == 0:
        raise DataError("a regression needs at least one row: query a cell first")
    if not (np.isfinite(basis).all() and np.isfinite(targets).all()):
        raise DataError("a regression met values that are not finite: leave out failed queries, and see whether the "
                        "features or the basis network overflowed")
    transposed = basis.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(transposed @ basis)
    rounding = values.max(1, keepdims=True) * basis.shape[2] * np.finfo(np.float64).eps
    counts = values > rounding
    values = np.where(counts, values, 0)
    products = np.where(counts, (vectors.transpose(0, 2, 1) @ (transposed @ targets[..., None]))[..., 0], 0)
    inverse = np.where(counts, 1 / np.where(counts, values, 1), 0)
    residual = targets - (basis @ (vectors @ (products * inverse)[..., None]))[..., 0]
    return _Decomposed(values, vectors, products, products * products * inverse, (residual * residual).sum(1),
                       np.full(len(basis), basis.shape[1]))
