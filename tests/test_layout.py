"""Layered drawings: layers, distances, routes and crossings, on graphs with a known best drawing and on random ones."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from made_cells import random_cells

from a2v_core.errors import SettingsError
from a2v_core.layout import layered_layout


def graph(n, *edges):
    adjacency = np.zeros((n, n), np.uint8)
    adjacency[tuple(zip(*edges, strict=True))] = 1
    return adjacency


def test_layers_follow_the_longest_path():
    diamond = layered_layout(graph(4, (0, 1), (0, 2), (1, 3), (2, 3)))
    assert diamond.positions.tolist() == [[0, 0], [-0.5, -1], [0.5, -1], [0, -2]]
    chain = layered_layout(graph(5, (0, 1), (1, 2), (2, 3), (3, 4), (0, 4)))
    assert chain.positions[:, 1].tolist() == [0, -1, -2, -3, -4]


def test_a_cycle_has_no_layers():
    with pytest.raises(SettingsError, match="cycle"):
        layered_layout(np.array([[0, 1], [1, 0]]))


def test_a_long_edge_runs_beside_the_nodes_between():
    layout = layered_layout(graph(4, (0, 1), (1, 2), (2, 3), (0, 3)))
    route = layout.routes[0, 3]
    assert route[:, 1].tolist() == [0, -1, -2, -3]
    assert (np.abs(route[1:3, 0] - layout.positions[1:3, 0]) >= 0.7 - 1e-5).all()


def test_crossings_that_can_be_avoided_are_avoided():
    # As the rows are numbered, each of the two paths would change sides.
    crossed = layered_layout(graph(6, (0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)))
    assert crossed.crossings == 0
    # Two nodes that both feed two others cross once, whatever the order.
    assert layered_layout(graph(6, (0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 5), (4, 5))).crossings == 1


def test_every_drawing_keeps_its_distances_and_draws_every_edge():
    cells = random_cells(60, 7, 5, seed=0)
    for adjacency in cells.adjacency:
        layout = layered_layout(adjacency)
        assert set(layout.routes) == {(int(i), int(j)) for i, j in np.argwhere(adjacency)}
        places = {tuple(point) for point in layout.positions}
        places |= {tuple(point) for route in layout.routes.values() for point in route}
        nodes = {tuple(point) for point in layout.positions}
        for y in {y for _, y in places}:
            row = sorted(place for place in places if place[1] == y)
            for a, b in itertools.pairwise(row):
                least = sum(0.5 if place in nodes else 0.2 for place in (a, b))
                assert b[0] - a[0] >= least - 1e-5
        for (i, j), route in layout.routes.items():
            assert route[0].tolist() == layout.positions[i].tolist()
            assert route[-1].tolist() == layout.positions[j].tolist()
            assert (np.diff(route[:, 1]) == -1).all()
        depth = -layout.positions[:, 1]
        assert depth.max(initial=0) == nx.dag_longest_path_length(nx.from_numpy_array(adjacency,
                                                                                      create_using=nx.DiGraph))


def test_the_same_graph_is_drawn_in_the_same_way():
    adjacency = random_cells(1, 7, 5, seed=1, padded=False).adjacency[0]
    first, second = layered_layout(adjacency), layered_layout(adjacency)
    assert (first.positions == second.positions).all()
    assert all((first.routes[edge] == second.routes[edge]).all() for edge in first.routes)


def test_no_node_and_one_node_can_be_drawn():
    assert layered_layout(np.zeros((0, 0), np.uint8)).positions.shape == (0, 2)
    assert layered_layout(np.zeros((1, 1), np.uint8)).positions.tolist() == [[0, 0]]
