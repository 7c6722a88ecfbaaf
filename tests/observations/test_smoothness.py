"""Smoothness of accuracy over a latent space: by hand, by explicit matrices, and against scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from a2v_core.errors import SettingsError
from a2v_core.observations import areas, smoothness
from a2v_core.observations.collapse import is_collapsed, mean_distance
from a2v_core.observations.smoothness import Neighbours, nearest

RNG = np.random.default_rng(5)
POINTS = RNG.normal(size=(300, 6)).astype(np.float32)
VALUES = RNG.uniform(0.1, 0.94, 300)
#: Four cells on a line at 0, 1, 3, 7: the nearest are 1, 0, 1, 2.
LINE, LINE_VALUES = np.array([[0.0], [1], [3], [7]]), np.array([1.0, 2, 4, 5])
LINE_NEAR = nearest(LINE, np.arange(4), 1)


def test_nearest_are_those_of_scikit_learn():
    of = np.array([7, 0, 299, 41])
    near = nearest(POINTS, of, 5)
    brute = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(POINTS.astype(float))
    distances, rows = brute.kneighbors(POINTS[of])
    np.testing.assert_array_equal(near.rows, rows[:, 1:])
    np.testing.assert_allclose(near.distances, distances[:, 1:], rtol=1e-5)
    np.testing.assert_array_equal(near.of, of)


def test_a_cell_is_never_its_own_neighbour_even_among_many_on_its_point():
    points = np.concatenate([np.zeros((20, 3)), RNG.normal(size=(30, 3)) + 9])
    near = nearest(points, np.arange(50), 4)
    assert (near.rows != np.arange(50)[:, None]).all()
    assert (near.rows[:20] < 20).all()
    assert (near.distances[:20] == 0).all()
    assert all(len(set(rows)) == 4 for rows in near.rows.tolist())


@pytest.mark.parametrize("k", [0, 300])
def test_impossible_numbers_of_neighbours_are_refused(k):
    with pytest.raises(SettingsError, match=f"k={k} neighbours among 300"):
        nearest(POINTS, np.arange(3), k)


def test_one_point_has_no_neighbours_and_no_directions():
    points = np.full((40, 16), 0.3, np.float32)
    points[3] += np.float32(1e-9)
    assert is_collapsed(points)
    assert nearest(points, np.arange(5), 2) is None
    assert smoothness.distinct_share(points, None) == 0
    assert np.isnan(smoothness.effective_dimensions(points))
    assert not is_collapsed(points + RNG.normal(size=points.shape).astype(np.float32) * 1e-3)
    assert is_collapsed(np.zeros((40, 16)))


def test_mean_distance_of_random_pairs():
    ends = np.array([[0.0, 0.0], [3.0, 4.0]])  # half of the pairs are of one cell with itself
    assert mean_distance(ends) == pytest.approx(2.5, abs=0.1)
    assert mean_distance(ends, seed=1) != mean_distance(ends)


def test_neighbours_on_a_line_by_hand():
    assert LINE_NEAR.rows[:, 0].tolist() == [1, 0, 1, 2]
    assert LINE_NEAR.distances[:, 0].tolist() == [1, 1, 2, 4]
    others = np.array([2.0, 1, 2, 4])
    pearson, rank = smoothness.neighbour_correlation(LINE_VALUES, LINE_NEAR)
    assert pearson == pytest.approx(stats.pearsonr(LINE_VALUES, others).statistic)
    assert rank == pytest.approx(stats.spearmanr(LINE_VALUES, others).statistic)
    # Differences 1, 1, 2, 1; the variance of 1, 2, 4, 5 is 2.5.
    assert smoothness.variance_ratio(LINE_VALUES, LINE_NEAR) == pytest.approx((1 + 1 + 4 + 1) / 4 / 5)
    assert smoothness.neighbour_difference(LINE_VALUES, LINE_NEAR) == pytest.approx(5 / 4)
    # Deviations -2, -1, 1, 2: products 2, 2, -1, 2 over squares 10.
    assert smoothness.morans_i(LINE_VALUES, LINE_NEAR) == pytest.approx(5 / 10)
    assert smoothness.distinct_share(LINE, LINE_NEAR) == 100


def test_several_neighbours_count_by_their_mean_and_the_nearest_alone():
    near = Neighbours(np.array([0]), np.array([[1, 3]]), np.array([[1.0, 7.0]]))
    assert smoothness.neighbour_difference(LINE_VALUES, near) == 1
    assert smoothness.variance_ratio(LINE_VALUES, near) == pytest.approx((1 + 16) / 2 / 5)


def test_morans_i_and_gearys_c_by_explicit_weights():
    near, n = nearest(POINTS, RNG.permutation(300), 7), 300
    weights = np.zeros((n, n))
    weights[near.of[:, None], near.rows] = 1
    z = VALUES - VALUES.mean()
    moran = n / weights.sum() * (z @ weights @ z) / (z @ z)
    differences = (VALUES[:, None] - VALUES) ** 2
    geary = (n - 1) / (2 * weights.sum()) * (weights * differences).sum() / (z @ z)
    assert smoothness.morans_i(VALUES, near) == pytest.approx(moran)
    assert smoothness.variance_ratio(VALUES, near) == pytest.approx(geary * n / (n - 1))
    assert smoothness.morans_i(VALUES, near, ranks=True) == smoothness.morans_i(stats.rankdata(VALUES), near)
    assert smoothness.morans_i(np.exp(9 * VALUES), near, ranks=True) == smoothness.morans_i(VALUES, near, ranks=True)


def test_shuffled_values_are_at_chance_and_smooth_values_are_not():
    near = nearest(POINTS, np.arange(300), 7)
    found = [smoothness.morans_i(RNG.permutation(VALUES), near) for _ in range(200)]
    error = np.std(found) / np.sqrt(200)
    assert np.mean(found) == pytest.approx(-1 / 299, abs=4 * error)
    smooth = POINTS[:, 0].astype(float)
    assert smoothness.morans_i(smooth, near) > 0.4
    assert smoothness.variance_ratio(smooth, near) < 0.6
    assert min(smoothness.neighbour_correlation(smooth, near)) > 0.6


def test_morans_i_needs_the_whole_graph():
    with pytest.raises(SettingsError, match="neighbours of each of them"):
        smoothness.morans_i(VALUES, nearest(POINTS, np.arange(10), 3))


def test_constant_values_have_no_correlation():
    assert np.isnan(smoothness.neighbour_correlation(np.ones(4), LINE_NEAR)).all()


def test_vectors_that_differ_by_rounding_count_as_one():
    points = RNG.normal(size=(100, 16)).astype(np.float32)
    points[60:] = points[20:60] * (1 + np.float32(1e-7))
    near = nearest(points, np.arange(100), 3)
    assert smoothness.distinct_share(points, near) == 20


def test_effective_dimensions_by_hand_and_under_rotation():
    # Two values with equal variance and one with a third of it: (1 + 1 + 1/3)^2 / (1 + 1 + 1/9).
    corners = np.array([[a, b, c / np.sqrt(3)] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    expected = (7 / 3) ** 2 / (19 / 9)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    assert smoothness.effective_dimensions(corners) == pytest.approx(expected)
    assert smoothness.effective_dimensions(corners @ turn + 5) == pytest.approx(expected)
    assert smoothness.effective_dimensions(np.linspace(0, 1, 9)[:, None] * [1, 2, 3]) == pytest.approx(1)


def test_principal_plane_is_that_of_scikit_learn():
    ours, theirs = smoothness.principal_plane(POINTS), PCA(2).fit_transform(POINTS.astype(float))
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-6)


def test_area_means_are_those_of_scipy():
    plane = RNG.normal(size=(300, 2))
    binned = stats.binned_statistic_2d(plane[:, 1], plane[:, 0], VALUES, "mean", bins=9)
    np.testing.assert_allclose(areas.area_means(plane, VALUES, 9), binned.statistic)


def test_areas_by_hand():
    # Two cells in the lower left, one in the lower right, one in the upper right of four areas.
    plane, values = np.array([[0.0, 0], [0.4, 0.4], [1, 0.2], [1, 1]]), np.array([0.8, 0.6, 0.9, 0.4])
    means = areas.area_means(plane, values, 2)
    np.testing.assert_allclose(means, [[0.7, 0.9], [np.nan, 0.4]])
    assert areas.occupied_share(means) == 75
    assert areas.roughness(means) == pytest.approx((0.2 + 0.5) / 2)


def test_the_colours_do_not_tell_how_low_an_accuracy_is():
    means = np.array([[0.10, 0.90], [0.95, 0.93]])
    assert areas.roughness(means) == pytest.approx((0.80 + 0.02 + 0.85 + 0.03) / 4)
    assert areas.roughness(means, coloured=True) == pytest.approx((0.08 + 0 + 0.10 + 0.02) / 4)


@pytest.mark.parametrize("plane", [np.full((5, 2), np.nan), np.zeros((5, 2)), np.array([[0.0, 1], [2, 1]])])
def test_a_map_without_extent_has_no_numbers(plane):
    means = areas.area_means(plane, np.ones(len(plane)), 3)
    assert np.isnan([areas.occupied_share(means), areas.roughness(means)]).all()


def test_areas_apart_have_no_roughness():
    assert np.isnan(areas.roughness(np.array([[1.0, np.nan], [np.nan, 2.0]])))


def test_relative_roughness_by_plain_loops():
    means = RNG.uniform(0.7, 0.95, (5, 5))
    means[RNG.uniform(size=(5, 5)) < 0.3] = np.nan
    for coloured, shown in ((False, means), (True, np.clip(means, 0.82, 0.92))):
        values = shown[np.isfinite(shown)]
        pairs = [abs(a - b) for i, a in enumerate(values) for b in values[:i]]
        expected = areas.roughness(means, coloured) / np.mean(pairs)
        assert areas.relative_roughness(means, coloured) == pytest.approx(expected)


def test_relative_roughness_is_one_by_chance_and_small_on_a_slope():
    slope = np.add.outer(np.arange(30.0), np.arange(30.0))
    assert areas.relative_roughness(slope) < 0.1
    assert areas.relative_roughness(RNG.permutation(slope.ravel()).reshape(30, 30)) == pytest.approx(1, abs=0.05)
    assert np.isnan(areas.relative_roughness(np.ones((4, 4))))
    assert np.isnan(areas.relative_roughness(np.full((4, 4), np.nan)))
