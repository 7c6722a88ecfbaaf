"""Points, chains, changes of cells, and what is measured on them, against plain loops and networkx."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from made_cells import random_cells, relabelled

from a2v_core.cells import PAD, Cells
from a2v_core.edit_distance import edit_distance
from a2v_core.errors import SettingsError
from a2v_core.observations.cell_changes import cell_changes, has_skips, is_straight
from a2v_core.observations.chains import find_points, greedy_chains, nearest_cells
from a2v_core.observations.chains_measure import draw_starts, measure, measure_random, step_changes
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.retrieval import NearestPoints
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.nasbench201 import NASBench201


def chains(vectors, starts, steps, **options):
    points = find_points(np.asarray(vectors, np.float32))
    return greedy_chains(points, np.asarray(starts), steps, NearestPoints(points.vectors), **options)


def line(*numbers):
    return np.array(numbers, np.float32)[:, None]


def cell(ops, edges, n=7):
    adjacency, codes = np.zeros((1, n, n), np.uint8), np.full((1, n), PAD, np.uint8)
    codes[0, :len(ops)] = ops
    adjacency[(0, *zip(*edges, strict=True))] = 1
    return Cells(adjacency, codes)


def test_a_chain_goes_to_the_nearest_unvisited_cell():
    rows, lengths = chains(line(0, 1, 3, 3.5, 10), [2, 4], 4)
    assert rows.tolist() == [[2, 3, 1, 0, 4], [4, 3, 2, 1, 0]]
    assert lengths[0].tolist() == [0.5, 2.5, 1, 10]


def test_cells_on_one_point_come_first_in_their_order_and_equal_distances_go_to_the_lowest_row():
    vectors = line(2, 0, 1, 0, 2, 0)
    rows, lengths = chains(vectors, [3], 5)
    assert rows.tolist() == [[3, 1, 5, 2, 0, 4]]
    assert lengths.tolist() == [[0, 0, 1, 1, 0]]
    assert chains(line(1, 0, 2), [0], 1)[0].tolist() == [[0, 1]]
    assert chains(line(2, 1, 0), [1], 1)[0].tolist() == [[1, 0]]


def test_one_cell_a_point_leaves_no_step_of_length_zero_and_a_chain_may_end():
    rows, lengths = chains(line(2, 0, 1, 0, 2, 0), [3], 4, one_a_point=True)
    assert rows.tolist() == [[3, 2, 0, NO_CELL, NO_CELL]]
    assert lengths[0, :2].tolist() == [1, 1]
    assert np.isnan(lengths[0, 2:]).all()
    rows, lengths = chains(line(5, 5, 5), [1], 3)
    assert rows.tolist() == [[1, 0, 2, NO_CELL]]
    assert lengths[0, :2].tolist() == [0, 0]


def test_chains_equal_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 4)).astype(np.float32)
    starts = np.array([0, 17, 299])
    rows, lengths = chains(vectors, starts, 20)
    for start, found, steps in zip(starts, rows, lengths, strict=True):
        visited = [start]
        for length in steps:
            distance = np.linalg.norm(vectors.astype(float) - vectors[visited[-1]], axis=1)
            distance[visited] = np.inf
            visited.append(int(distance.argmin()))
            assert length == pytest.approx(distance.min(), rel=1e-5)
        assert found.tolist() == visited


def test_points_are_vectors_that_differ_by_more_than_rounding():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(2000, 16))
    label = np.concatenate([np.arange(2000), rng.integers(2000, size=3000)])
    vectors = (centres[label] * (1 + 1e-7 * rng.normal(size=(5000, 16)))).astype(np.float32)
    points = find_points(vectors)
    assert len(points) == 2000
    assert (points.label == label).all()
    assert (points.vectors == vectors[:2000]).all()
    assert points.sizes.sum() == 5000
    assert points.share_alone == 100 * (np.bincount(label) == 1).sum() / 5000
    assert all((np.diff(points.rows(p)) > 0).all() for p in range(2000))
    # Different magnitudes do not change what one point is; all on one point is one point.
    assert len(find_points(vectors * 1000)) == 2000
    assert len(find_points(np.zeros((5, 3), np.float32))) == 1


@pytest.mark.parametrize(("starts", "steps"), [([0], 0), ([3], 1), ([-1], 1), ([], 1)])
def test_bad_chains_are_refused(starts, steps):
    with pytest.raises(SettingsError):
        chains(line(0, 1, 2), starts, steps)


def test_nearest_cells_are_sorted_by_distance_and_leave_out_the_start():
    rng = np.random.default_rng(2)
    vectors = rng.integers(0, 3, size=(60, 3)).astype(np.float32)
    points = find_points(vectors)
    starts = np.array([0, 5, 59])
    found = nearest_cells(points, starts, 12, NearestPoints(points.vectors))
    for start, rows in zip(starts, found, strict=True):
        distance = np.linalg.norm(vectors - vectors[start], axis=1)
        assert np.allclose(distance[rows], np.sort(np.delete(distance, start))[:12])
        assert start not in rows
        assert len(set(rows)) == 12
    few = nearest_cells(points, starts[:1], 70, NearestPoints(points.vectors))
    assert (few >= 0).sum() == 59


def test_changes_on_nasbench101_add_up_to_the_edit_distance():
    first, second = random_cells(40, 7, 5, seed=3), random_cells(40, 7, 5, seed=4)
    changes = cell_changes("nasbench101", first, second)
    assert (changes.operations + changes.edges == edit_distance(first, second)).all()
    same = cell_changes("nasbench101", first, relabelled(first, seed=5))
    assert not any(array.any() for array in (same.operations, same.edges, same.new_nodes, same.new_edges))


def test_what_is_new_is_marked_whatever_the_rows():
    before = cell([0, 1, 2, 4], [(0, 1), (1, 2), (2, 3)])
    after = cell([0, 2, 1, 3, 4], [(0, 2), (0, 3), (2, 1), (1, 4), (3, 4)])
    changes = cell_changes("nasbench101", before, after)
    assert (changes.operations[0], changes.edges[0]) == (1, 2)
    assert np.flatnonzero(changes.new_nodes[0]).tolist() == [3]
    assert np.argwhere(changes.new_edges[0]).tolist() == [[0, 3], [3, 4]]
    assert not changes.same_edges[0]


def test_changes_on_nasbench201_are_those_of_the_architecture_string():
    space = NASBench201()
    rows = np.random.default_rng(6).integers(15625, size=(2, 50))
    first, second = space.cells()[rows[0]], space.cells()[rows[1]]
    changes = cell_changes("nasbench201", first, second)
    fields = [[[f for f in text.replace("+", "").split("|") if f] for text in space.to_native(c)]
              for c in (first, second)]
    assert changes.operations.tolist() == [sum(a != b for a, b in zip(*pair, strict=True))
                                           for pair in zip(*fields, strict=True)]
    assert changes.same_edges.all()
    assert not changes.edges.any()


def test_changes_on_darts_do_not_depend_on_how_a_cell_is_written():
    cells = DARTS(20).cells()
    order = np.array([0, 1, 3, 2, 4, 5, 7, 6, 8, 9, 10])
    swapped = Cells(cells.adjacency[:, order][:, :, order], cells.ops[:, order])
    changes = cell_changes("darts", cells, swapped)
    assert not any(array.any() for array in (changes.operations, changes.edges))
    other = swapped.ops.copy()
    other[:, 5] = np.where(other[:, 5] == 4, 5, 4)
    changes = cell_changes("darts", cells, Cells(swapped.adjacency, other))
    assert (changes.operations <= 1).all()
    assert changes.same_edges.all()
    apart = cell_changes("darts", cells[:10], cells[10:])
    assert (apart.operations + apart.edges >= edit_distance(cells[:10], cells[10:])).all()


def test_straight_networks_and_skip_connections():
    straight = cell([0, 1, 2, 4], [(0, 1), (1, 2), (2, 3)])
    skip = cell([0, 1, 2, 4], [(0, 1), (1, 2), (2, 3), (0, 2)])
    branches = cell([0, 1, 2, 4], [(0, 1), (0, 2), (1, 3), (2, 3)])
    whole = cell([0, 1, 1, 1, 1, 1, 4], list(itertools.pairwise(range(7))))
    padding = Cells(np.zeros((1, 7, 7), np.uint8), np.full((1, 7), PAD, np.uint8))
    assert [is_straight(c)[0] for c in (straight, skip, branches, whole, padding)] == [True, False, False, True, False]
    assert [has_skips(c)[0] for c in (straight, skip, branches, whole, padding)] == [False, True, False, False, False]
    for c in (straight, skip, branches, whole):
        rows = np.flatnonzero(c.ops[0] != PAD)
        graph = nx.from_numpy_array(c.adjacency[0][np.ix_(rows, rows)], create_using=nx.DiGraph)
        path = nx.dag_longest_path_length(graph) == len(rows) - 1
        assert is_straight(c)[0] == (path and graph.number_of_edges() == len(rows) - 1)
        assert has_skips(c)[0] == (path and graph.number_of_edges() > len(rows) - 1)


def test_measured_chains_of_the_raw_operations_change_one_operation_a_step():
    space = NASBench201()
    cells = space.cells()
    vectors = cells.one_hot(7).reshape(len(cells), -1).astype(np.float32)
    starts = draw_starts(len(cells), 4, seed=0)
    found = measure("nasbench201", cells, vectors, starts, 5, 0, 0)
    assert (found["all/operations"] == 1).all()
    assert (found["points/rows"] == found["all/rows"]).all()
    assert found["share_alone"] == 100
    assert np.allclose(found["all/lengths"], np.sqrt(2))
    again = measure("nasbench201", cells, vectors, starts[:2], 5, 0, 0)
    assert (again["all/rows"] == found["all/rows"][:2]).all()
    random = measure_random("nasbench201", cells, draw_starts(len(cells), 200, seed=0), 5, 0)
    # Two random cells differ in each of six operations with probability 4/5.
    assert random["all/operations"].mean() == pytest.approx(4.8, abs=4 * np.sqrt(6 * 0.16 / 1000))


def test_starts_of_a_seed_are_different_and_the_shorter_list_begins_the_longer():
    assert (draw_starts(100, 10, 3) == draw_starts(100, 50, 3)[:10]).all()
    assert len(set(draw_starts(100, 100, 3))) == 100
    assert (draw_starts(100, 10, 3) != draw_starts(100, 10, 4)).any()


def test_a_chain_that_ended_has_no_changes():
    cells = NASBench201().cells()
    found = step_changes("nasbench201", cells, np.array([[0, 1, NO_CELL], [3, 3, 3]]))
    assert np.isnan(found["operations"]).tolist() == [[False, True], [False, False]]
    assert found["operations"][1].tolist() == [0, 0]
