"""Observation 2: the accuracies of all cells, predicted from their vectors and a few known accuracies, and how well.

The paper says "a Gaussian Process model" and no more. Here it is scikit-learn's, on standardised accuracies, with the
kernel c k(d / l) + noise: k is a radial basis function, exp(-d²/2), or Matérn's of smoothness 5/2, d the Euclidean
distance of two vectors. c, l and the noise maximise the marginal likelihood from one start, l = the median distance of
the known cells; more starts end at the same place. The authors' script for Figure 2 has DNGO (§3.3.2) instead, so that
is a predictor, too.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from a2v_core.errors import SettingsError

#: Gaussian processes by their kernel; DNGO as the released code has it.
PREDICTORS = ("rbf", "matern", "dngo")
#: Which of the unseen cells count: those whose true accuracy is above the threshold (the paper's words); those whose
#: predicted accuracy is, too (the authors' script); all.
FILTERS = ("exact", "released", "all")
#: Cells along each axis of a joint density.
BINS = 72
# Cells predicted at a time: their distances to 250 known cells fit into the processor's cache.
_ROWS = 4096
# Predictions that differ by less than this share of the accuracies' spread are rounding errors of a constant.
_CONSTANT = 1e-9


def predict(predictor: str, vectors: np.ndarray, known: np.ndarray, answers: np.ndarray, seed: int) -> np.ndarray:
    """Predicted accuracies of all cells.

    Args:
        predictor: one of :data:`PREDICTORS`.
        vectors: of all cells, [M, D].
        known: rows whose accuracies are known, [n].
        answers: their accuracies, [n].
        seed: of what is random in DNGO.

    Returns:
        float64 [M].

    Raises:
        SettingsError: unknown predictor.
    """
    if predictor not in PREDICTORS:
        raise SettingsError(f"unknown predictor {predictor!r}: choose one of {', '.join(PREDICTORS)}")
    seen = vectors[known].astype(np.float64)
    if predictor == "dngo":
        return _dngo(vectors, seen, answers, seed)
    return _gaussian_process(predictor, vectors, seen, answers)


def _gaussian_process(kernel: str, vectors: np.ndarray, seen: np.ndarray, answers: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import pdist
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    mean, deviation = answers.mean(), answers.std() or 1.0
    start = float(np.median(pdist(seen))) or 1.0
    bounds = (start / 100, start * 100)
    shape = RBF(start, bounds) if kernel == "rbf" else Matern(start, bounds, nu=2.5)
    process = GaussianProcessRegressor(ConstantKernel(1.0, (1e-3, 1e3)) * shape + WhiteKernel(0.1, (1e-5, 1e1)))
    with warnings.catch_warnings():
        # A parameter at its bound (no noise, or nothing but noise) is an answer as well.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(seen, (answers - mean) / deviation)
    found = process.kernel_.k1
    scale = found.k2.length_scale
    nodes, predicted = seen / scale, np.empty(len(vectors))
    weights, norms = process.alpha_ * found.k1.constant_value, np.einsum("nd,nd->n", nodes, nodes)
    # The mean alone, by matrix products: several times as fast as the library's distances, one pair at a time.
    for start_row in range(0, len(vectors), _ROWS):
        rows = vectors[start_row:start_row + _ROWS] / scale
        squares = rows @ (-2 * nodes.T)
        squares += norms
        squares += np.einsum("md,md->m", rows, rows)[:, None]
        np.maximum(squares, 0, out=squares)
        predicted[start_row:start_row + _ROWS] = _shape(kernel, squares) @ weights
    return predicted * deviation + mean


def _shape(kernel: str, squares: np.ndarray) -> np.ndarray:
    """The kernel's k at squared distances in length scales."""
    if kernel == "rbf":
        return np.exp(-0.5 * squares)
    distance = np.sqrt(5 * squares)
    return (1 + distance + 5 / 3 * squares) * np.exp(-distance)


def _dngo(vectors: np.ndarray, seen: np.ndarray, answers: np.ndarray, seed: int) -> np.ndarray:
    """One tanh layer of 128, 100 epochs, then a Bayesian linear regression fitted as the released code does."""
    from a2v_core.search.basis_network import train_basis_networks
    from a2v_core.search.bayesian_linear import fit_released

    rng = np.random.default_rng(seed)
    networks = train_basis_networks(seen[None], answers[None], [rng])
    posterior = fit_released(networks.hidden(0, seen)[None], answers[None], [rng])
    return np.concatenate([networks.hidden(0, vectors[start:start + _ROWS]) @ posterior.weights[0]
                           for start in range(0, len(vectors), _ROWS)])


def score(truth: np.ndarray, predicted: np.ndarray, threshold: float | None) -> dict[str, float]:
    """How near the predictions are, by ``<filter>/<measure>``: rmse, pearson and cells for each of :data:`FILTERS`, and
    ``exact/kendall`` (tau-b). A correlation with predictions that are all equal is NaN, and so is every measure where
    no cell passes the filter.

    Args:
        truth, predicted: accuracies of the unseen cells, [M].
        threshold: of the filters; None for all cells.
    """
    above = np.ones(len(truth), bool) if threshold is None else truth > threshold
    also = above if threshold is None else above & (predicted > threshold)
    found: dict[str, float] = {}
    for name, taken in (("exact", above), ("released", also), ("all", np.ones(len(truth), bool))):
        x, y = truth[taken], predicted[taken]
        found[f"{name}/cells"] = float(len(x))
        found[f"{name}/rmse"] = float(np.sqrt(np.square(x - y).mean())) if len(x) else np.nan
        varies = len(x) > 1 and np.ptp(y) > _CONSTANT * np.ptp(x) > 0
        found[f"{name}/pearson"] = float(stats.pearsonr(x, y)[0]) if varies else np.nan
        if name == "exact":
            found["exact/kendall"] = float(stats.kendalltau(x, y)[0]) if varies else np.nan
    return found


def joint_density(truth: np.ndarray, predicted: np.ndarray, threshold: float | None
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many cells above the threshold lie where in the plane of true and predicted accuracy.

    Predictions beyond the axis, which is the range of the true accuracies and half of it more on both sides, count in
    its first or last row.

    Returns:
        counts int64 [true, predicted], edges of the true and of the predicted accuracies, float64 [BINS + 1] each.
    """
    above = truth > (-np.inf if threshold is None else threshold)
    truth, predicted = truth[above], predicted[above]
    low = float(truth.min()) if threshold is None else threshold
    high = float(truth.max())
    margin = (high - low) / 2
    edges = np.linspace(low, high, BINS + 1), np.linspace(low - margin, high + margin, BINS + 1)
    counts, *_ = np.histogram2d(truth, np.clip(predicted, edges[1][0], edges[1][-1]), edges)
    return counts.astype(np.int64), *edges
