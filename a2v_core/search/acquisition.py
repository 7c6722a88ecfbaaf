"""Expected improvement (Jones et al. 1998; paper, §3.3.2), and the two misreadings of it in the released code.

The improvement of a Gaussian prediction over the value `best_f` is sigma h(u) on average, u = (mean - best_f) / sigma
and h(u) = pdf(u) + u cdf(u). It grows with the mean and with sigma. Far below the incumbent it is smaller than any
float: there its logarithm, which is what is computed here, still tells the candidates apart (Ament et al. 2023; botorch
0.18.1 computes the same to 3e-15 of the value, on 100,000 predictions).
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from a2v_core.errors import SettingsError

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)
# Below -1 the two terms of h cancel, and it is taken from the scaled complementary error function; below the second
# bound that cancels too, and four terms of the asymptotic series are exact to 1e-11.
_CANCELS_BELOW, _SERIES_BELOW = -1.0, -100.0


def log_expected_improvement(mean: np.ndarray, sigma: np.ndarray, best_f: float | np.ndarray) -> np.ndarray:
    """Logarithm of the expected improvement over `best_f`, for maximisation; finite wherever u * u is.

    Args:
        mean, sigma: of the prediction, any shapes that broadcast. `sigma` is the standard deviation; the released
            code of arch2vec-BO puts the variance here.
        best_f: the value to improve on.

    Raises:
        SettingsError: a sigma is not positive.
    """
    sigma = np.asarray(sigma, np.float64)
    if not (sigma > 0).all():
        raise SettingsError("expected improvement needs sigma > 0 everywhere: clamp the variance before its root")
    return np.log(sigma) + _log_h((np.asarray(mean, np.float64) - best_f) / sigma)


def expected_improvement(mean: np.ndarray, sigma: np.ndarray, best_f: float | np.ndarray) -> np.ndarray:
    """Expected improvement; see :func:`log_expected_improvement`, of which it is the exponential."""
    return np.exp(log_expected_improvement(mean, sigma, best_f))


def log_improvement_without_parentheses(mean: np.ndarray, variance: np.ndarray, best_f: float | np.ndarray
                                        ) -> np.ndarray:
    """What the released code of the supervised search ranks by: variance h(u) with u = mean - best_f / variance, where
    (mean - best_f) / sigma is meant; its logarithm.

    Raises:
        SettingsError: a variance is not positive.
    """
    variance = np.asarray(variance, np.float64)
    if not (variance > 0).all():
        raise SettingsError("this needs a variance > 0 everywhere: clamp it before")
    return np.log(variance) + _log_h(mean - best_f / variance)


def _log_h(u: np.ndarray) -> np.ndarray:
    """log(pdf(u) + u cdf(u)) of the standard normal, accurate for any u."""
    u = np.asarray(u, np.float64)
    result = np.empty_like(u)
    near, far = u >= _CANCELS_BELOW, u < _SERIES_BELOW
    x = u[near]
    result[near] = np.log(np.exp(-0.5 * x * x - _LOG_SQRT_2PI) + x * ndtr(x))
    middle = ~near & ~far
    x = -u[middle]
    tail = np.log1p(-x * np.sqrt(np.pi / 2) * erfcx(x / np.sqrt(2)))
    result[middle] = tail - 0.5 * x * x - _LOG_SQRT_2PI
    x = u[far]
    square = x * x
    tail = np.log1p((-3 + (15 - 105 / square) / square) / square) - np.log(square)
    result[far] = tail - 0.5 * square - _LOG_SQRT_2PI
    return result
