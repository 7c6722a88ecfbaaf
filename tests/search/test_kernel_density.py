"""Categorical kernel densities against statsmodels, against sums over the whole space, and alone against in a batch."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from a2v_core.search.kernel_density import KernelDensities

CHOICES = np.array([2, 2, 3, 5, 2])


def made(r=4, n=70, seed=0, choices=CHOICES):
    """Data sets of different sizes, the rows behind their end not empty."""
    rng = np.random.default_rng(seed)
    data = (rng.random((r, n, len(choices))) ** 2 * choices).astype(np.uint8)
    return data, rng.integers(len(choices) + 1, n + 1, r)


def every_point(choices):
    return np.array(list(itertools.product(*map(range, choices))), np.uint8)


def by_statsmodels(choices, data, minimum, points):
    nonparametric = pytest.importorskip("statsmodels.nonparametric.kernel_density", reason="statsmodels is missing")
    with np.errstate(all="ignore"):
        density = nonparametric.KDEMultivariate(data.astype(float), "u" * len(choices), bw="normal_reference")
        density.bw = np.clip(density.bw, minimum, None)
        return density.bw, density.pdf(points.astype(float))


@pytest.mark.parametrize("choices", [CHOICES, np.array([2] * 21 + [3] * 5), np.array([2])])
def test_bandwidths_and_densities_are_those_of_statsmodels(choices):
    data, counts = made(choices=choices)
    points = np.random.default_rng(1).integers(0, choices, (4, 40, len(choices)), dtype=np.uint8)
    fitted = KernelDensities.fit(choices, data, counts, 1e-3, proper=False)
    density = fitted.at(points)
    for r in range(4):
        bandwidths, expected = by_statsmodels(choices, data[r, : counts[r]], 1e-3, points[r])
        np.testing.assert_allclose(fitted.bandwidths[r], bandwidths, rtol=1e-13)
        np.testing.assert_allclose(density[r], expected, rtol=2e-5)


def test_negative_kernels_are_those_of_statsmodels():
    """With codes 0 to 4 the rule of thumb gives bandwidths above 1, where the kernel of what agrees is negative."""
    choices = np.full(6, 5)
    data = np.random.default_rng(0).integers(0, 5, (1, 20, 6), dtype=np.uint8)
    fitted = KernelDensities.fit(choices, data, np.array([20]), 1e-3, proper=False)
    points = every_point(choices)[::37]
    _, expected = by_statsmodels(choices, data[0], 1e-3, points)
    assert (fitted.bandwidths > 1).any()
    assert (expected < 0).any()
    np.testing.assert_allclose(fitted.at(points[None])[0], expected, rtol=2e-5, atol=2e-10)


def test_a_value_that_a_constant_variable_never_takes_has_an_infinite_density_as_in_statsmodels():
    choices = np.array([2, 3])
    data = np.array([[[0, 1], [0, 2], [0, 1]]], np.uint8)
    fitted = KernelDensities.fit(choices, data, np.array([3]), 0.3, proper=False)
    np.testing.assert_array_equal(fitted.levels, [[1, 2]])
    points = every_point(choices)
    _, expected = by_statsmodels(choices, data[0], 0.3, points)
    np.testing.assert_array_equal(np.isinf(expected), points[:, 0] == 1)
    np.testing.assert_allclose(fitted.at(points[None])[0], expected, rtol=1e-6)


def test_by_hand():
    """Two binary variables, data 00 and 01: the second one's kernels of the two data add up to 1 at every point."""
    data, counts = np.array([[[0, 0], [0, 1]]], np.uint8), np.array([2])
    fitted = KernelDensities.fit(np.array([2, 2]), data, counts, 0.3, proper=True)
    h = 1.06 * 0.5 * 2 ** (-1 / 6)
    np.testing.assert_allclose(fitted.bandwidths, [[0.3, h]])
    np.testing.assert_allclose(fitted.at(every_point([2, 2])[None]), [[0.35, 0.35, 0.15, 0.15]], rtol=1e-6)


def test_a_proper_density_is_a_distribution():
    data, counts = made()
    data[:, :, 0] = 1  # constant
    fitted = KernelDensities.fit(CHOICES, data, counts, 1e-3, proper=True)
    density = fitted.at(np.repeat(every_point(CHOICES)[None], 4, axis=0))
    assert (density > 0).all()
    np.testing.assert_allclose(density.sum(1), 1, rtol=1e-6)
    assert (fitted.bandwidths <= (CHOICES - 1) / CHOICES).all()


@pytest.mark.parametrize("proper", [False, True])
def test_a_data_set_alone_gives_the_same_bits(proper):
    data, counts = made(9, 150, seed=3)
    points = np.random.default_rng(1).integers(0, CHOICES, (9, 64, 5), dtype=np.uint8)
    uniform = np.random.default_rng(2).random((9, 64, 6))
    fitted = KernelDensities.fit(CHOICES, data, counts, 0.3, proper)
    together, drawn = fitted.at(points), fitted.sample(uniform)
    for r in range(9):
        alone = KernelDensities.fit(CHOICES, data[r : r + 1, : counts[r]], counts[r : r + 1], 0.3, proper)
        np.testing.assert_array_equal(alone.bandwidths[0], fitted.bandwidths[r])
        np.testing.assert_array_equal(alone.at(points[r : r + 1])[0], together[r])
        np.testing.assert_array_equal(alone.sample(uniform[r : r + 1])[0], drawn[r])


def test_samples_keep_a_value_with_the_probability_of_the_bandwidth():
    choices = np.array([2, 5])
    data, counts = np.array([[[1, 3], [1, 3]], [[0, 0], [1, 1]]], np.uint8), np.array([2, 2])
    fitted = replace(KernelDensities.fit(choices, data, counts, 1e-3, proper=False),
                     bandwidths=np.array([[0.4, 0.25], [1e-3, 1.2]]))
    drawn = fitted.sample(np.random.default_rng(0).random((2, 40_000, 3)))
    share = [np.bincount(drawn[r, :, v], minlength=c) / 40_000 for r in range(2) for v, c in enumerate(choices)]
    np.testing.assert_allclose(share[0], [0.2, 0.8], atol=0.01)
    np.testing.assert_allclose(share[1], [0.05, 0.05, 0.05, 0.8, 0.05], atol=0.01)
    np.testing.assert_allclose(share[2], [0.5, 0.5], atol=0.01)
    np.testing.assert_allclose(share[3], np.full(5, 0.2), atol=0.01)  # a bandwidth above 1 keeps nothing
