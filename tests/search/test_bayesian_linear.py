"""The regression against a dense Gaussian process, scikit-learn, a general optimiser, and the released arithmetic."""

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.linear_model import BayesianRidge

from a2v_core.errors import DataError
from a2v_core.search.bayesian_linear import (
    LOG_BOUND,
    LinearPosterior,
    fit_evidence,
    fit_released,
    log_evidence,
)


def data(r=3, n=40, d=8, noise=0.1, seed=0, width=1.0):
    """Basis values and targets of r linear functions, [r, n, d] and [r, n]."""
    rng = np.random.default_rng(seed)
    basis = np.tanh(rng.normal(0, width, (r, n, d)))
    weights = rng.normal(0, 1, (r, d, 1))
    return basis, (basis @ weights)[..., 0] + rng.normal(0, noise, (r, n))


def dense(basis, targets, alpha, beta):
    """Log density of the targets as one draw of a Gaussian process."""
    return stats.multivariate_normal.logpdf(targets, np.zeros(len(targets)),
                                            basis @ basis.T / alpha + np.eye(len(targets)) / beta)


# --- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(40, 8), (5, 20), (1, 3), (30, 30)])
def test_evidence_is_the_density_of_a_dense_gaussian_process(n, d):
    basis, targets = data(3, n, d)
    alpha, beta = np.array([0.3, 2.0, 40.0]), np.array([500.0, 10.0, 0.7])
    value, _ = log_evidence(basis, targets, np.log(alpha), np.log(beta))
    expected = [dense(*one) for one in zip(basis, targets, alpha, beta, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(40, 8), (5, 20)])
def test_gradient_is_that_of_finite_differences(n, d):
    basis, targets = data(1, n, d)
    for point in ([0.4, 2.0], [-3.0, 5.0], [4.0, -1.0]):
        def value(x):
            return log_evidence(basis, targets, x[:1], x[1:])[0][0]
        gradient = log_evidence(basis, targets, np.array(point[:1]), np.array(point[1:]))[1][0]
        np.testing.assert_allclose(gradient, optimize.approx_fprime(point, value, 1e-6), rtol=1e-4, atol=1e-4)


def test_single_weight_by_hand():
    basis, targets = np.array([[[1.0], [2.0]]]), np.array([[1.0, 3.0]])
    posterior = fit_evidence(basis, targets)
    precision = posterior.alpha[0] + posterior.beta[0] * 5
    assert posterior.weights[0, 0] == pytest.approx(posterior.beta[0] * 7 / precision)
    assert posterior.covariance[0, 0, 0] == pytest.approx(1 / precision)
    mean, variance = posterior.predict(0, np.array([[3.0]]))
    assert mean[0] == pytest.approx(3 * posterior.weights[0, 0])
    assert variance[0] == pytest.approx(posterior.noise[0] + 9 / precision)


def test_fit_agrees_with_bayesian_ridge():
    basis, targets = data(3, 60, 8, noise=0.3)
    posterior = fit_evidence(basis, targets)
    new = np.tanh(np.random.default_rng(9).normal(size=(20, 8)))
    for run in range(3):
        ridge = BayesianRidge(max_iter=5000, tol=1e-14, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0,
                              fit_intercept=False).fit(basis[run], targets[run])
        assert posterior.alpha[run] == pytest.approx(ridge.lambda_, rel=1e-5)
        assert posterior.beta[run] == pytest.approx(ridge.alpha_, rel=1e-5)
        np.testing.assert_allclose(posterior.weights[run], ridge.coef_, rtol=1e-5)
        np.testing.assert_allclose(posterior.covariance[run], ridge.sigma_, rtol=1e-4, atol=1e-10)
        mean, deviation = ridge.predict(new, return_std=True)
        ours = posterior.predict(run, new)
        np.testing.assert_allclose(ours[0], mean, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(np.sqrt(ours[1]), deviation, rtol=1e-5)


def test_prediction_is_that_of_the_gaussian_process():
    basis, targets = data(2, 12, 30)
    posterior = fit_evidence(basis, targets)
    new = np.tanh(np.random.default_rng(3).normal(size=(7, 30)))
    for run in range(2):
        alpha, noise = posterior.alpha[run], posterior.noise[run]
        gram = basis[run] @ basis[run].T / alpha + noise * np.eye(12)
        cross = new @ basis[run].T / alpha
        mean, variance = posterior.predict(run, new)
        np.testing.assert_allclose(mean, cross @ np.linalg.solve(gram, targets[run]), rtol=1e-6)
        inside = (cross @ np.linalg.inv(gram) * cross).sum(1)
        np.testing.assert_allclose(variance, (new * new).sum(1) / alpha + noise - inside, rtol=1e-6)


@pytest.mark.parametrize(("n", "d", "noise", "scale"), [(60, 8, 0.3, 1.0), (10, 40, 0.1, 1.0), (30, 30, 0.0, 1.0),
                                                        (25, 50, 0.01, 1e-3), (80, 16, 2.0, 30.0)])
def test_no_optimiser_finds_more_evidence_within_the_bounds(n, d, noise, scale):
    basis, targets = data(3, n, d, noise=noise)
    targets = scale * targets
    posterior = fit_evidence(basis, targets)
    found = log_evidence(basis, targets, np.log(posterior.alpha), np.log(posterior.beta))[0]
    for run in range(3):
        def loss(x, run=run):
            value, gradient = log_evidence(basis[[run]], targets[[run]], x[:1], x[1:])
            return -value[0], -gradient[0]
        best = max(-optimize.minimize(loss, start, jac=True, bounds=[(-LOG_BOUND, LOG_BOUND)] * 2).fun
                   for start in ((0, 0), (5, 5), (-5, 5), (5, -5), (9, 9)))
        assert found[run] >= best - 1e-6 * max(1, abs(best))


def test_noise_and_weights_are_recovered_from_many_rows():
    basis, targets = data(1, 3000, 20, noise=0.2, seed=5)
    posterior = fit_evidence(basis, targets)
    assert posterior.noise[0] == pytest.approx(0.04, rel=0.1)
    assert posterior.alpha[0] == pytest.approx(1.0, rel=0.8)


def test_constant_targets_fewer_rows_than_functions_and_repeated_rows():
    basis = np.abs(data(1, 6, 30)[0])
    constant = fit_evidence(basis, np.full((1, 6), 0.9))
    mean, variance = constant.predict(0, basis[0])
    np.testing.assert_allclose(mean, 0.9, atol=0.02)
    assert (variance > 0).all()
    assert constant.noise[0] >= np.exp(-LOG_BOUND) * (1 - 1e-12)
    repeated = fit_evidence(np.repeat(basis, 3, axis=1), np.full((1, 18), 0.9))
    assert repeated.predict(0, basis[0])[1].max() < variance.max()
    # Two different answers for one row: the mean lies between them.
    twice = fit_evidence(np.repeat(basis[:, :1], 2, axis=1), np.array([[0.4, 0.8]]))
    assert 0.4 < twice.predict(0, basis[0, :1])[0][0] < 0.8


def test_zero_targets_and_a_zero_basis_have_a_defined_result():
    basis, _ = data(1, 6, 4)
    nothing = fit_evidence(basis, np.zeros((1, 6)))
    assert (nothing.weights == 0).all()
    assert nothing.noise[0] == pytest.approx(np.exp(-LOG_BOUND))
    blind = fit_evidence(np.zeros((1, 6, 4)), np.full((1, 6), 0.5))
    mean, variance = blind.predict(0, np.zeros((2, 4)))
    assert (mean == 0).all()
    np.testing.assert_allclose(variance, 0.25, rtol=1e-6)


def test_variance_is_clamped_to_be_positive():
    broken = LinearPosterior(np.zeros((1, 1)), -np.ones((1, 1, 1)), np.full(1, 0.5), np.ones(1), np.full(1, 2.0))
    assert broken.predict(0, np.array([[0.0], [2.0]]))[1].tolist() == [0.5, np.finfo(np.float64).eps]


@pytest.mark.parametrize("fit", [fit_evidence, lambda b, t: fit_released(b, t, range(len(b)))])
def test_a_run_does_not_depend_on_the_others(fit):
    basis, targets = data(5, 20, 16)
    together = fit(basis, targets)
    for run in (0, 3):
        alone = fit_evidence(basis[[run]], targets[[run]]) if fit is fit_evidence else \
            fit_released(basis[[run]], targets[[run]], [run])
        for name in ("weights", "covariance", "noise", "alpha", "beta"):
            assert np.array_equal(getattr(together, name)[run], getattr(alone, name)[0])


@pytest.mark.parametrize("fit", [fit_evidence, lambda b, t: fit_released(b, t, range(len(b)))])
def test_values_that_are_no_numbers_are_refused(fit):
    basis, targets = data(2, 6, 4)
    basis[1, 2, 3] = np.nan
    with pytest.raises(DataError, match="not finite"):
        fit(basis, targets)
    with pytest.raises(DataError, match="at least one row"):
        fit(basis[:, :0], targets[:, :0])


# --- the released search ----------------------------------------------------------------------------------------------


def released_loss(basis, targets):
    """The released likelihood, negative, from its description: norm not squared, determinant in single precision."""
    n, d = basis.shape

    def loss(point):
        if (np.abs(point) > 10).any():
            return np.inf
        alpha, beta = np.exp(point[0]), np.exp(-point[1])
        precision = beta * (basis.T @ basis) + alpha * np.eye(d)
        weights = beta * np.linalg.solve(precision, basis.T @ targets)
        determinant = np.float32(np.linalg.det(precision))
        value = (d * point[0] - n * point[1] - n * np.log(2 * np.pi) - beta * np.linalg.norm(targets - basis @ weights)
                 - alpha * weights @ weights - np.log(determinant + 1e-10)) / 2
        return -float(value)
    return loss


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_released_fit_is_the_simplex_on_the_released_likelihood():
    basis, targets = data(4, 25, 16, noise=0.05)
    posterior = fit_released(basis, targets, [4, 5, 6, 8])
    stayed = []
    for run, seed in enumerate((4, 5, 6, 8)):
        start = np.random.default_rng(seed).normal([0, -3], 1)
        found = optimize.fmin(released_loss(basis[run], targets[run]), start, disp=False)
        assert posterior.alpha[run] == pytest.approx(np.exp(found[0]), rel=1e-3)
        assert posterior.noise[run] == pytest.approx(np.exp(found[1]), rel=1e-3)
        stayed.append(np.array_equal(found, start))
    assert set(stayed) == {True, False}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_released_fit_stays_where_it_starts_when_the_determinant_overflows():
    basis, targets = data(2, 200, 128, width=3.0)
    posterior = fit_released(basis, targets, range(2))
    starts = np.stack([np.random.default_rng(seed).normal([0, -3], 1) for seed in range(2)])
    in_full = [optimize.fmin(released_loss(basis[run], targets[run]), starts[run], disp=False) for run in range(2)]
    np.testing.assert_allclose(in_full, starts, atol=1e-12)
    np.testing.assert_allclose(np.log(posterior.alpha), starts[:, 0], atol=1e-12)
    np.testing.assert_allclose(np.log(posterior.noise), starts[:, 1], atol=1e-12)


def test_released_noise_is_larger_than_that_of_the_evidence():
    basis, targets = data(1, 60, 8, noise=0.02)
    assert fit_released(basis, targets, [0]).noise[0] > 3 * fit_evidence(basis, targets).noise[0]


def test_released_fit_takes_generators_as_they_stand():
    basis, targets = data(1, 25, 16)
    generator = np.random.default_rng(3)
    first, second = fit_released(basis, targets, [generator]), fit_released(basis, targets, [generator])
    assert np.array_equal(first.alpha, fit_released(basis, targets, [3]).alpha)
    assert first.alpha != second.alpha
