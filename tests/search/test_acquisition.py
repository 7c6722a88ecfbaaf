"""Expected improvement against integrals, random draws and high-precision tails."""

import numpy as np
import pytest
from scipy import integrate, stats

from a2v_core.errors import SettingsError
from a2v_core.search.acquisition import (
    expected_improvement,
    log_expected_improvement,
    log_improvement_without_parentheses,
)


@pytest.mark.parametrize(("mean", "sigma", "best_f"), [(0.9, 0.02, 0.95), (0.94, 0.3, 0.95), (1.2, 0.1, 0.95),
                                                       (0.0, 1.0, 0.0), (-3.0, 1.5, 0.95)])
def test_equals_the_integral_that_defines_it(mean, sigma, best_f):
    density = stats.norm(mean, sigma).pdf
    integral, _ = integrate.quad(lambda y: (y - best_f) * density(y), best_f, max(mean, best_f) + 40 * sigma,
                                 points=[max(mean, best_f)], epsabs=1e-14, epsrel=1e-11)
    assert expected_improvement(mean, sigma, best_f) == pytest.approx(integral, rel=1e-8)


def test_equals_the_mean_improvement_of_random_draws():
    mean, sigma = np.array([0.90, 0.93, 0.96]), np.array([0.05, 0.02, 0.01])
    draws = np.random.default_rng(0).normal(mean, sigma, (400_000, 3))
    improvement = np.maximum(draws - 0.95, 0)
    error = improvement.std(0) / np.sqrt(len(draws))
    assert (np.abs(improvement.mean(0) - expected_improvement(mean, sigma, 0.95)) < 4 * error).all()


def test_closed_form_where_it_does_not_cancel():
    u = np.linspace(-3, 8, 200)
    closed = stats.norm.pdf(u) + u * stats.norm.cdf(u)
    np.testing.assert_allclose(expected_improvement(u, 1.0, 0.0), closed, rtol=1e-11)


@pytest.mark.parametrize("u", [-0.999, -1.0, -1.001, -1.5, -5.0, -30.0, -99.9, -100.0, -100.1, -1000.0, -1e6])
def test_tail_has_the_values_of_an_integral_without_cancellation(u):
    # h(u) = pdf(u) / u^2 times the integral of t exp(-t - t^2 / 2u^2) over t > 0.
    integral, _ = integrate.quad(lambda t: t * np.exp(-t - (t / u) ** 2 / 2), 0, 60, epsabs=0, epsrel=1e-13)
    exact = stats.norm.logpdf(u) + np.log(integral) - 2 * np.log(-u)
    assert log_expected_improvement(u, 1.0, 0.0) == pytest.approx(exact, rel=1e-14, abs=2e-11)


def test_order_survives_where_the_improvement_itself_is_zero():
    u = -np.geomspace(50, 1e6, 500)
    assert (expected_improvement(u, 1.0, 0.0) == 0).all()
    value = log_expected_improvement(u, 1.0, 0.0)
    assert np.isfinite(value).all()
    assert (np.diff(value) < 0).all()


def test_grows_with_the_mean_and_with_sigma():
    mean = np.sort(np.random.default_rng(1).uniform(-2, 2, 3000))
    assert (np.diff(log_expected_improvement(mean, 0.05, 0.95)) > 0).all()
    sigma = np.geomspace(1e-4, 10, 3000)
    for centre in (0.5, 0.95, 1.2):
        assert (np.diff(log_expected_improvement(centre, sigma, 0.95)) > -1e-12).all()
    assert (np.diff(log_expected_improvement(0.5, sigma, 0.95)) > 0).all()


def test_without_parentheses_is_what_the_released_line_computes():
    mean, variance = np.array([0.9, 0.5, 0.93]), np.array([0.5, 2.0, 1.0])
    u = mean - 0.95 / variance
    np.testing.assert_allclose(np.exp(log_improvement_without_parentheses(mean, variance, 0.95)),
                               variance * (stats.norm.pdf(u) + u * stats.norm.cdf(u)), rtol=1e-12)


def test_without_parentheses_ignores_nearly_everything_but_the_variance():
    mean, variance = np.random.default_rng(2).uniform(0.8, 0.95, 200), np.geomspace(0.01, 0.1, 200)
    value = log_improvement_without_parentheses(mean, variance, 0.95)
    assert stats.spearmanr(value, variance)[0] > 0.999
    assert stats.spearmanr(value, mean)[0] < 0.2


def test_scalars_and_broadcasting():
    assert log_expected_improvement(0.9, 0.1, 0.95).shape == ()
    assert expected_improvement(np.zeros((3, 1)), np.ones(4), 0.5).shape == (3, 4)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_sigma_must_be_positive(bad):
    for function in (log_expected_improvement, log_improvement_without_parentheses):
        with pytest.raises(SettingsError, match="clamp"):
            function(np.zeros(2), np.array([1.0, bad]), 0.95)


def test_it_is_what_botorch_computes():
    """Ament et al. (2023); `pip install botorch` brings the test to life."""
    analytic = pytest.importorskip("botorch.acquisition.analytic", reason="botorch is not installed")
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    u = np.concatenate([generator.normal(scale=3, size=50_000), -(10 ** generator.uniform(-2, 4, 50_000))])
    sigma = 10 ** generator.uniform(-6, 1, u.size)
    ours = log_expected_improvement(0.95 + u * sigma, sigma, 0.95)
    theirs = analytic._log_ei_helper(torch.from_numpy((0.95 + u * sigma - 0.95) / sigma)).numpy() + np.log(sigma)
    assert ours == pytest.approx(theirs, rel=1e-13, abs=1e-13)
