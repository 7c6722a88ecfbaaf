import numpy as np
import pytest
from scipy.spatial import cKDTree

from a2v_core.errors import DataError
from a2v_core.search import retrieval
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.retrieval import NearestPoints, Visited, retrieve

NOTHING = np.zeros((1, 0), np.int64)


def brute_force(points, queries, excluded):
    """Nearest row by distances in float64, the first of equal ones."""
    squares = ((points.astype(float)[None] - queries.astype(float)[:, None]) ** 2).sum(-1)
    for i, rows in enumerate(excluded):
        squares[i, rows[rows != NO_CELL]] = np.inf
    return np.where(np.isinf(squares).all(1), NO_CELL, squares.argmin(1))


@pytest.fixture(params=[7, 64, 4096], ids="blocks of {}".format)
def block_size(request, monkeypatch):
    monkeypatch.setattr(retrieval, "_CANDIDATES", request.param)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_answer_is_that_of_brute_force(block_size, scale):
    rng = np.random.default_rng(0)
    points = rng.normal(0.3, 0.2, (500, 5)).astype(np.float32)
    queries = rng.normal(0, scale, (40, 5)).astype(np.float32)
    excluded = rng.integers(0, 500, (40, 300))
    excluded[rng.random(excluded.shape) < 0.2] = NO_CELL
    nearest = NearestPoints(points)
    assert np.array_equal(nearest.query(queries, excluded), brute_force(points, queries, excluded))


def test_the_answer_is_that_of_a_tree():
    rng = np.random.default_rng(1)
    points, queries = (rng.normal(size=(n, 16)).astype(np.float32) for n in (20_000, 50))
    nearest = NearestPoints(points)
    rows = nearest.query(queries, np.full((50, 0), NO_CELL))
    distances, expected = cKDTree(points.astype(float)).query(queries.astype(float))
    assert np.array_equal(rows, expected)
    np.testing.assert_allclose(nearest.distance(queries, rows), distances, rtol=1e-6)


def test_points_that_differ_by_less_than_the_rounding_of_a_product_are_told_apart():
    # All at distance 30 but for the last digit: in float32 the scores of most of them are equal.
    rng = np.random.default_rng(2)
    points = (1 + 1e-6 * rng.random((3000, 16))).astype(np.float32)
    queries = np.concatenate([np.full((1, 16), -7.0), 8 * rng.normal(size=(20, 16))]).astype(np.float32)
    rows = NearestPoints(points).query(queries, np.full((21, 0), NO_CELL))
    assert np.array_equal(rows, brute_force(points, queries, np.full((21, 0), NO_CELL)))


def test_the_lowest_row_wins_a_tie_and_visited_rows_pass_it_on(block_size):
    points = np.zeros((30, 2), np.float32)
    points[[3, 12, 25]] = 1
    nearest, query = NearestPoints(points), np.ones((1, 2), np.float32)
    assert nearest.query(query, NOTHING) == 3
    assert nearest.query(query, np.array([[12, 3, NO_CELL]])) == 25
    assert nearest.query(query, np.array([[25, 3]])) == 12
    assert nearest.query(query, np.array([[25, 3, 12, 12]])) == 0


def test_no_cell_where_all_are_visited(block_size):
    nearest = NearestPoints(np.zeros((9, 2), np.float32))
    excluded = np.stack([np.arange(9), np.full(9, NO_CELL)])
    rows = nearest.query(np.ones((2, 2), np.float32), excluded)
    assert rows.tolist() == [NO_CELL, 0]
    np.testing.assert_array_equal(nearest.distance(np.ones((2, 2)), rows), np.float32([np.nan, np.sqrt(2)]))


def test_an_answer_does_not_depend_on_its_company():
    rng = np.random.default_rng(3)
    # Every point three times, in float32 close to each other.
    points = np.repeat(rng.normal(size=(2000, 16)), 3, axis=0).astype(np.float32)
    queries, excluded = rng.normal(size=(37, 16)).astype(np.float32), rng.integers(0, 6000, (37, 50))
    nearest = NearestPoints(points)
    together = nearest.query(queries, excluded)
    assert np.array_equal(together, np.concatenate([nearest.query(queries[[i]], excluded[[i]]) for i in range(37)]))
    assert np.array_equal(together, brute_force(points, queries, excluded))


def test_bad_numbers_are_refused():
    with pytest.raises(DataError, match="finite points"):
        NearestPoints(np.array([[0.0], [np.nan]], np.float32))
    with pytest.raises(DataError, match="finite points"):
        NearestPoints(np.zeros(4, np.float32))
    with pytest.raises(DataError, match="diverged"):
        NearestPoints(np.zeros((3, 1), np.float32)).query(np.array([[np.inf]], np.float32), NOTHING)


def test_no_queries_no_answers():
    assert NearestPoints(np.zeros((3, 1), np.float32)).query(np.zeros((0, 1), np.float32), NOTHING[:0]).shape == (0,)


def test_draws_are_uniform_among_the_unvisited():
    visited = Visited(2, 6)
    for row in (4, 0, 1):
        visited.mark(np.array([1]), np.array([row]))
    rng = np.random.default_rng(0)
    counts = np.bincount([visited.draw(1, rng) for _ in range(3000)], minlength=6)
    assert counts[[0, 1, 4]].sum() == 0
    assert np.abs(counts[[2, 3, 5]] - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)
    assert set(visited.draw(0, rng) for _ in range(100)) == set(range(6))


def test_nothing_is_drawn_when_all_is_visited():
    visited = Visited(1, 2)
    for row in (1, NO_CELL, 0):
        visited.mark(np.array([0]), np.array([row]))
    assert visited.draw(0, np.random.default_rng(0)) == NO_CELL


def _take(how, nearest, visited, action, n):
    """What one run gets when it repeats an action n times."""
    rngs, run, taken = [np.random.default_rng(0)], np.array([0]), []
    for _ in range(n):
        rows = retrieve(how, nearest, np.float32([[action]]), visited, run, rngs)
        visited.mark(run, rows)
        taken.append(int(rows[0]))
    return taken


def test_nearest_takes_the_unvisited_in_order_of_their_distance():
    nearest, visited = NearestPoints(np.float32([[0], [3], [1], [2]])), Visited(1, 4)
    visited.mark(np.array([0]), np.array([2]))
    assert _take("nearest", nearest, visited, -1, 4) == [0, 3, 1, NO_CELL]


def test_second_leaves_the_nearest_of_all_to_the_end():
    nearest, visited = NearestPoints(np.float32([[0], [3], [1], [2]])), Visited(1, 4)
    assert _take("second", nearest, visited, -1, 2) == [2, 3]
    # From 4, row 1 is the nearest of all; row 0 is the only other one left.
    assert _take("second", nearest, visited, 4, 3) == [0, 1, NO_CELL]


def test_second_where_the_nearest_of_all_was_visited():
    nearest, visited = NearestPoints(np.float32([[0], [1], [2]])), Visited(1, 3)
    visited.mark(np.array([0]), np.array([0]))
    assert _take("second", nearest, visited, -1, 3) == [1, 2, NO_CELL]


def test_random_visits_every_cell_once():
    nearest, visited = NearestPoints(np.zeros((50, 1), np.float32)), Visited(1, 50)
    taken = _take("random", nearest, visited, 0, 51)
    assert sorted(taken) == [NO_CELL, *range(50)]
    assert taken[:-1] != list(range(50))


def test_runs_have_visited_what_they_visited_themselves():
    nearest, visited = NearestPoints(np.float32([[0], [1], [2]])), Visited(3, 3)
    visited.mark(np.arange(3), np.array([0, 1, NO_CELL]))
    rows = retrieve("nearest", nearest, np.float32([[0], [0]]), visited, np.array([0, 2]), [])
    assert rows.tolist() == [1, 0]
    visited.mark(np.array([0, 2]), rows)
    assert visited.rows(np.arange(3)).tolist() == [[0, 1], [1, NO_CELL], [NO_CELL, 0]]
