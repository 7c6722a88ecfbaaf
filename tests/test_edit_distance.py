"""Edit distances against networkx, all orders of the nodes, hand-computed pairs and the axioms of a metric."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cells import random_cells, relabelled
from small_graphs import graph, together

from a2v_core import edit_distance as module
from a2v_core.cells import PAD, Cells
from a2v_core.edit_distance import edit_distance, padded_matrix_distance
from a2v_core.errors import SpaceError
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells


def by_networkx(first, second, upper_bound=None):
    """The distance of each pair; NaN where `upper_bound` [pairs] is too low."""
    found = []
    for i in range(len(first)):
        graphs = []
        for cells in (first, second):
            rows = np.flatnonzero(cells.ops[i] != PAD)
            one = nx.DiGraph()
            one.add_nodes_from((int(v), {"op": int(cells.ops[i, v])}) for v in rows)
            one.add_edges_from((int(u), int(v)) for u in rows for v in rows if cells.adjacency[i, u, v])
            graphs.append(one)
        bound = None if upper_bound is None else float(upper_bound[i])
        distance = nx.graph_edit_distance(*graphs, node_match=lambda a, b: a["op"] == b["op"], upper_bound=bound)
        found.append(np.nan if distance is None else distance)
    return np.array(found)


def by_all_orders(first, second, held_first=0, held_last=0):
    """The least cost over all assignments of rows to rows; the given numbers of rows at either end stay in place."""
    n = first.ops.shape[1]
    least = np.full(len(first), 1000)
    for inner in itertools.permutations(range(held_first, n - held_last)):
        order = np.array([*range(held_first), *inner, *range(n - held_last, n)])
        edges = first.adjacency != second.adjacency[:, order[:, None], order]
        least = np.minimum(least, edges.sum((1, 2)) + (first.ops != second.ops[:, order]).sum(1))
    return least


def pairs_of(cells, m, seed):
    i, j = np.random.default_rng(seed).integers(0, len(cells), (2, m))
    return cells[i], cells[j]


@pytest.mark.parametrize(("n", "m"), [(3, 60), (4, 200), (5, 150), (6, 40)])
def test_equals_networkx(n, m):
    first, second = random_cells(m, n, 3, seed=n), random_cells(m, n, 3, seed=n + 10)
    assert (edit_distance(first, second) == by_networkx(first, second)).all()


def test_equals_networkx_on_cells_of_seven_vertices():
    # With the distance as its upper bound networkx takes tenths of a second a pair, not seconds; it gives no
    # answer when the bound is too low, so both directions are checked.
    cells = enumerate_cells()
    first, second = pairs_of(cells[cells.n_nodes == 7], 4, seed=3)
    distance = edit_distance(first, second)
    assert (by_networkx(first, second, distance) == distance).all()
    assert np.isnan(by_networkx(first, second, distance - 1)).all()


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
def test_equals_the_least_over_all_orders(name):
    cells = enumerate_cells() if name == "nasbench101" else get_space(name).cells()
    first, second = pairs_of(cells, 150 if name == "nasbench101" else 30, seed=5)
    assert (edit_distance(first, second) == by_all_orders(first, second)).all()


def test_darts_is_at_most_the_least_with_inputs_and_output_in_place():
    first, second = pairs_of(DARTS(300, seed=1).cells(), 12, seed=2)
    ends = (0, 1, first.ops[0, -1])
    held = by_all_orders(first, second, held_first=2, held_last=1)
    assert (edit_distance(first, second, ends) == held).all()
    distance = edit_distance(first, second)
    assert (distance <= held).all()
    assert (distance == held).mean() > 0.5


def test_by_hand():
    chain = graph([(0, 1), (1, 2)], 4, [0, 1, 2, PAD])
    relabelled_end = graph([(0, 1), (1, 2)], 4, [0, 1, 1, PAD])
    with_shortcut = graph([(0, 1), (1, 2), (0, 2)], 4, [0, 1, 2, PAD])
    longer = graph([(0, 1), (1, 3), (3, 2)], 4, [0, 1, 2, 1])
    reversed_edge = graph([(0, 1), (2, 1)], 4, [0, 1, 2, PAD])
    empty = graph([], 4, [PAD] * 4)
    others = together(chain, relabelled_end, with_shortcut, longer, reversed_edge, empty)
    first = together(*[chain] * 6)
    # The longer chain: the end relabelled, a node and an edge behind it; a node on the edge would cost 4.
    assert edit_distance(first, others).tolist() == [0, 1, 1, 3, 2, 5]


def test_holding_input_and_output_in_place_can_cost_more():
    one = Cells(np.zeros((1, 7, 7), np.uint8), np.array([[0, 2, 1, 2, 2, 3, 4]], np.uint8))
    other = Cells(np.zeros((1, 7, 7), np.uint8), np.array([[0, 3, 1, 1, 3, 1, 4]], np.uint8))
    for cell, edges in ((one, [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4), (4, 5), (5, 6)]),
                        (other, [(0, 1), (0, 6), (1, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 5), (5, 6)])):
        cell.adjacency[0][tuple(np.transpose(edges))] = 1
    assert edit_distance(one, other).tolist() == by_all_orders(one, other).tolist() == [8]
    assert by_all_orders(one, other, 1, 1).tolist() == edit_distance(one, other, held=(0, 4)).tolist() == [9]


def test_held_ends_of_cells_of_different_sizes():
    cells = enumerate_cells()
    first, second = pairs_of(cells[cells.n_nodes <= 5], 60, seed=8)
    held, free = edit_distance(first, second, held=(0, 4)), edit_distance(first, second)
    assert (held >= free).all()
    least = []
    for i in range(len(first)):
        n, m = int(first.n_nodes[i]), int(second.n_nodes[i])
        one, other, size = first[i], second[i], max(n, m)
        # Both cells with their output in the last of `size` rows, padded rows before it.
        placed = []
        for cell, nodes in ((one, n), (other, m)):
            rows = np.array([*range(nodes - 1), *range(nodes, size), nodes - 1])
            placed.append(Cells(cell.adjacency[:, rows[:, None], rows], cell.ops[:, rows]))
        least.append(by_all_orders(*placed, 1, 1)[0])
    assert held.tolist() == least


@st.composite
def small_cells(draw, n=5):
    """Directed acyclic graphs of up to n nodes, rows in any order, padding anywhere."""
    edges = draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    ops = np.array([draw(st.lists(st.sampled_from([0, 1, 2, PAD]), min_size=n, max_size=n))], np.uint8)
    adjacency = np.triu(np.array(edges).reshape(1, n, n), 1).astype(np.uint8)
    node = ops != PAD
    return Cells(adjacency * node[:, :, None] * node[:, None, :], ops)


@settings(max_examples=60, deadline=None)
@given(small_cells(), small_cells(), small_cells(), st.integers(0, 1000))
def test_is_a_metric_on_graphs(x, y, z, seed):
    forth, back, xz, yz = edit_distance(together(x, y, x, y), together(y, x, z, z))
    assert forth == back
    assert xz <= forth + yz
    moved = relabelled(x, seed)
    assert edit_distance(x, moved).tolist() == [0]
    assert edit_distance(moved, y)[0] == forth
    assert forth == by_all_orders(x, y)[0]
    assert forth <= padded_matrix_distance(x, y)[0]


def test_zero_only_for_the_same_architecture():
    cells = enumerate_cells()
    first, second = pairs_of(cells[cells.n_nodes <= 5], 4000, seed=1)
    same = (first.ops == second.ops).all(1) & (first.adjacency == second.adjacency).all((1, 2))
    assert ((edit_distance(first, second) == 0) == same).all()


def test_no_more_than_the_changed_operations_on_nasbench201():
    first, second = pairs_of(get_space("nasbench201").cells(), 5000, seed=0)
    changed, distance = (first.ops != second.ops).sum(1), edit_distance(first, second)
    assert (distance <= changed).all()
    assert (padded_matrix_distance(first, second) == changed).all()
    assert 0 < (distance < changed).sum() < 50


def test_does_not_depend_on_the_sizes_of_the_pieces(monkeypatch):
    first, second = pairs_of(enumerate_cells(), 200, seed=4)
    whole = edit_distance(first, second)
    for name, value in (("_PAIRS", 7), ("_STATES", 50), ("_BEAM", 1)):
        monkeypatch.setattr(module, name, value)
        assert (edit_distance(first, second) == whole).all()
    assert edit_distance(first[:0], second[:0]).shape == (0,)


def test_padded_matrix_distance_by_hand():
    one, other = graph([(0, 1)], 3, [0, 1, PAD]), graph([(0, 1), (1, 2)], 3, [0, 2, 1])
    assert padded_matrix_distance(one, other).tolist() == [3]


def test_bad_input():
    one = random_cells(2, 4, 2)
    for distance in (edit_distance, padded_matrix_distance):
        with pytest.raises(SpaceError, match="equal shapes"):
            distance(one, random_cells(3, 4, 2))
    large = Cells(np.zeros((1, 17, 17), np.uint8), np.zeros((1, 17), np.uint8))
    with pytest.raises(SpaceError, match="limit is 16"):
        edit_distance(large, large)
    loop = Cells(np.eye(3, dtype=np.uint8)[None], np.zeros((1, 3), np.uint8))
    with pytest.raises(SpaceError, match="cell 0 has an edge from a node to itself"):
        edit_distance(loop, loop)
    chain, other = graph([(0, 1)], 2, [0, 1]), graph([(0, 1)], 2, [1, 1])
    with pytest.raises(SpaceError, match="operation 0 cannot be held: the cells of pair 0"):
        edit_distance(chain, other, held=(0,))
