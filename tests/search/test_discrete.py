from itertools import product
from math import comb

import numpy as np
import pytest
from made_landscapes import problem
from scipy import stats

from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.search.discrete import CandidateEncoding, discrete_encoding, drawn, mutated
from a2v_core.search.protocol import NO_CELL
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS


def nasbench101_cells(encodings):
    """The matrices that encodings stand for, written down from the definition."""
    cells = Cells(np.zeros((len(encodings), 7, 7), np.uint8), np.zeros((len(encodings), 7), np.uint8))
    for adjacency, ops, encoding in zip(cells.adjacency, cells.ops, encodings, strict=True):
        adjacency[np.triu_indices(7, 1)] = encoding[:21]
        ops[:] = [0, *(encoding[21:] + 1), 4]
    return cells


@pytest.fixture(scope="module")
def nasbench101():
    return discrete_encoding(get_space("nasbench101"))


def test_nasbench101_encodings_are_decoded_as_by_the_module_hash(nasbench101):
    assert nasbench101.choices.tolist() == [2] * 21 + [3] * 5
    space, rng = get_space("nasbench101"), np.random.default_rng(0)
    sparse = rng.random((1500, 26)) < rng.uniform(0.2, 0.6, (1500, 1))  # around the limit of 9 edges
    encodings = np.concatenate([np.column_stack([sparse[:, :21], rng.integers(0, 3, (1500, 5))]).astype(np.uint8),
                                drawn(nasbench101.choices, rng.random((500, 26)))])
    expected = np.where(encodings[:, :21].sum(1) <= 9, space.rows(nasbench101_cells(encodings)), -1)
    assert len(np.unique(expected)) > 200  # of them -1
    np.testing.assert_array_equal(nasbench101.rows(encodings), expected)
    np.testing.assert_array_equal(nasbench101.rows(encodings.reshape(4, 500, 26)), expected.reshape(4, 500))


def test_nasbench101_counts_edges_before_pruning(nasbench101):
    space = get_space("nasbench101")
    edges = np.zeros((7, 7), np.uint8)
    edges[0, 6] = 1
    edges[1:6, 1:6] = np.triu(np.ones((5, 5)), 1)  # ten edges that lead nowhere
    encoding = np.concatenate([edges[np.triu_indices(7, 1)], np.zeros(5)]).astype(np.uint8)[None]
    assert space.is_valid(nasbench101_cells(encoding)).all()
    assert nasbench101.rows(encoding) == [-1]
    fewer = encoding.copy()
    fewer[0, np.flatnonzero(encoding[0, :21])[-2:]] = 0
    assert nasbench101.rows(fewer)[0] == space.rows(nasbench101_cells(fewer))[0] >= 0


def test_nasbench101_every_cell_has_encodings_as_many_as_are_counted(nasbench101):
    space, n = get_space("nasbench101"), 200_000
    multiplicity = nasbench101.multiplicity()
    assert multiplicity.shape == (423_624,)
    assert multiplicity.min() == 1
    # 573,494 graphs of at most 9 edges have a path, each with 3^5 operations.
    assert multiplicity.sum() == 573_494 * 3**5
    rows = nasbench101.rows(drawn(nasbench101.choices, np.random.default_rng(1).random((n, 26))))
    rows = rows[rows >= 0]
    assert stats.binomtest(len(rows), n, 573_494 / 2**21).pvalue > 1e-4
    size = space.cells().n_nodes
    expected = np.bincount(size, multiplicity)[2:] / multiplicity.sum()
    assert stats.chisquare(np.bincount(size[rows])[2:], expected * len(rows)).pvalue > 1e-4
    often = np.argsort(multiplicity)[-50:]
    seen = (rows[:, None] == often).sum(0)
    share = multiplicity[often] / multiplicity.sum()
    observed, wanted = [*seen, len(rows) - seen.sum()], np.append(share, 1 - share.sum()) * len(rows)
    assert stats.chisquare(observed, wanted).pvalue > 1e-4


def test_nasbench101_the_cell_without_operations_has_counted_encodings(nasbench101):
    # Brute force over the graphs with an edge from input to output and no vertex on any other path: no interior vertex
    # that is reached from the input reaches the output.
    total = 0
    inner = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    for graph in range(1 << 10):
        edges = [inner[e] for e in range(10) if graph >> e & 1]
        reach = np.eye(5, dtype=bool)
        for i, j in reversed(edges):
            reach[i] |= reach[j]
        for first in product([0, 1], repeat=5):
            room, free = 9 - 1 - len(edges) - sum(first), 5 - reach[np.flatnonzero(first)].any(0).sum()
            total += sum(comb(free, n) for n in range(room + 1))  # edges of n vertices that are not reached
    assert nasbench101.multiplicity()[get_space("nasbench101").cells().n_nodes == 2].tolist() == [total * 3**5]


def test_nasbench201_encodings_are_the_operations_in_order():
    space, encoding = get_space("nasbench201"), discrete_encoding(get_space("nasbench201"))
    assert encoding.choices.tolist() == [5] * 6
    cells = space.cells()
    np.testing.assert_array_equal(encoding.rows(cells.ops[:, 1:7] - 1), np.arange(len(cells)))
    assert (encoding.multiplicity() == 1).all()


def test_candidates_of_a_part_of_the_space():
    rows = np.array([500, 3, 9000, 42])
    encoding = CandidateEncoding(problem("nasbench201", rows))
    ops = get_space("nasbench201").cells().ops[:, 1:7] - 1
    candidates, valid = encoding.decode(ops[[42, 500, 4, 9000, 3]])
    assert candidates.tolist() == [3, 0, NO_CELL, 2, 1]
    assert valid.all()
    assert encoding.multiplicity.tolist() == [1, 1, 1, 1]


def test_an_invalid_encoding_is_told_from_a_cell_that_is_no_candidate():
    encoding = CandidateEncoding(problem("nasbench101", np.array([0])))
    nothing = np.zeros(26, np.uint8)
    other = nothing.copy()
    other[5] = 1  # the edge from input to output
    candidates, valid = encoding.decode(np.stack([nothing, other]))
    assert candidates.tolist() == [NO_CELL, NO_CELL]
    assert valid.tolist() == [False, True]


def test_too_few_candidates_are_refused():
    CandidateEncoding(problem("nasbench201", np.arange(16))).require_candidates()
    with pytest.raises(SpaceError, match=r"only 0\.00096 of all encodings give one of the 15 candidates"):
        CandidateEncoding(problem("nasbench201", np.arange(15))).require_candidates()


def test_a_space_without_encoding_is_refused():
    with pytest.raises(SpaceError, match="'darts' has no discrete encoding, only nasbench101, nasbench201 have"):
        discrete_encoding(DARTS(n_cells=10))


def test_drawn_encodings_are_uniform_and_stay_in_range():
    choices = np.array([2, 3, 5])
    encodings = drawn(choices, np.random.default_rng(2).random((30_000, 3)))
    counts = np.bincount(encodings @ [15, 5, 1], minlength=30)
    assert len(counts) == 30
    assert stats.chisquare(counts).pvalue > 1e-4
    assert drawn(choices, np.full((1, 3), np.nextafter(1, 0))).tolist() == [[1, 2, 4]]


def test_a_mutation_changes_one_variable_to_another_value_all_alike():
    choices = np.array([2, 3, 5])
    parents = np.tile(np.array([1, 0, 3], np.uint8), (30_000, 1))
    children = mutated(parents, choices, np.random.default_rng(3).random((30_000, 2)))
    assert (parents == [1, 0, 3]).all()
    assert ((children != parents).sum(1) == 1).all()
    different, counts = np.unique(children, axis=0, return_counts=True)
    share = {0: 1 / 3, 1: 1 / 6, 2: 1 / 12}
    expected = [share[int(np.flatnonzero(child != [1, 0, 3])[0])] for child in different]
    assert len(different) == 1 + 2 + 4
    assert stats.chisquare(counts, np.array(expected) * 30_000).pvalue > 1e-4
