"""Classes of nodes against plain message passing, colour refinement in plain Python, and small cells by hand."""

from collections import Counter

import numpy as np
import pytest
import torch
from made_cells import random_cells, relabelled

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search.message_classes import GRAPHS, message_classes, neighbours
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS

ROUNDS = 4
SPACES = ("nasbench101", "nasbench201", "darts")


def some_cells(name, m=300):
    if name == "darts":
        return DARTS(n_cells=m).cells()
    cells = get_space(name).cells()
    return cells[np.random.default_rng(1).choice(len(cells), m, replace=False)]


def drawn_weights(n_operations, rounds=ROUNDS, width=12):
    """A network of three matrices a round: of the node itself, of its neighbours, and of both."""
    rng, n_in, weights = np.random.default_rng(2), n_operations, []
    for _ in range(rounds):
        weights.append([rng.normal(0, 0.4, shape) for shape in ((n_in, width), (n_in, width), (width, width))])
        n_in = width
    return weights


def one_round(own, gathered, weights):
    """The next state of nodes, of their own state and the sum of their neighbours'; not the same in both."""
    return np.tanh(np.tanh(own @ weights[0] + gathered @ weights[1]) @ weights[2])


def densely(cells, graph, weights):
    """Mean of the last states over all rows of each cell, node by node, float64 [M, width]."""
    a = cells.adjacency.astype(np.float64)
    a = a if graph == "directed" else a + a.transpose(0, 2, 1)
    h = cells.one_hot(len(weights[0][0])).astype(np.float64)
    for of_round in weights:
        h = one_round(h, a @ h, of_round)
    return h.mean(1)


def through_classes(cells, graph, weights):
    """The same, a row for each class."""
    classes, k = message_classes(cells, len(weights), graph), len(weights[0][0])
    table = (classes.ops.numpy()[:, None] == np.arange(k)).astype(np.float64)
    for layer, of_round in zip(classes.layers, weights, strict=True):
        members, starts = table[layer.members.numpy()], layer.starts.numpy()
        assert starts[-1] == len(members)
        own = members[starts[:-1]]
        table = one_round(own, np.add.reduceat(members, starts[:-1]) - own, of_round)
    return table[classes.nodes.numpy()].mean(1)


def refined(cells, rounds, graph):
    """Colour of each node after each round, by a dictionary of (own colour, colours of the neighbours)."""
    edge = cells.adjacency != 0
    edge = edge if graph == "directed" else edge | edge.transpose(0, 2, 1)
    colours, history = cells.ops.tolist(), []
    for _ in range(rounds):
        names = {}
        colours = [[names.setdefault((own, tuple(sorted(before[j] for j in np.flatnonzero(row)))), len(names))
                    for own, row in zip(before, rows, strict=True)] for before, rows in zip(colours, edge, strict=True)]
        history.append(colours)
    return history


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", SPACES)
def test_a_network_on_classes_is_the_network_on_nodes(name, graph):
    cells = some_cells(name)
    weights = drawn_weights(int(cells.ops[cells.ops != PAD].max()) + 1)
    expected = densely(cells, graph, weights)
    np.testing.assert_allclose(through_classes(cells, graph, weights), expected, rtol=0, atol=1e-14)
    # The cells differ by much more than the tolerance.
    assert np.median(expected.std(0)) > 1e-3


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("rounds", [1, 3])
def test_any_cells_and_any_number_of_rounds(graph, padded, rounds):
    cells = random_cells(200, 7, 3, padded=padded)
    weights = drawn_weights(3, rounds)
    np.testing.assert_allclose(through_classes(cells, graph, weights), densely(cells, graph, weights), rtol=0,
                               atol=1e-14)


# --- classes ---------------------------------------------------------------------------------------------------------


def check_by_colours(cells, graph):
    classes, history = message_classes(cells, ROUNDS, graph), refined(cells, ROUNDS, graph)
    assert classes.ops.tolist() == sorted(set(cells.ops.ravel().tolist()))
    for layer, colours in zip(classes.layers, history, strict=True):
        counts = Counter(colour for of_cell in colours for colour in of_cell)
        assert sorted(layer.multiplicity.tolist()) == sorted(counts.values())
    # Cells have the same classes exactly when they have the same colours.
    pairs = {(tuple(nodes), tuple(sorted(colours)))
             for nodes, colours in zip(classes.nodes.tolist(), history[-1], strict=True)}
    assert len(pairs) == len({nodes for nodes, _ in pairs}) == len({colours for _, colours in pairs})


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(("m", "n", "k"), [(300, 5, 2), (1000, 11, 11)])
def test_there_is_one_class_for_each_colour(m, n, k, graph):
    check_by_colours(random_cells(m, n, k), graph)


@pytest.mark.parametrize("graph", GRAPHS)
def test_nodes_that_differ_in_the_last_neighbour_alone(graph):
    # Stars of ten leaves with 40 operations, 6 bits each: the smallest one is the eleventh number of its row, and the
    # first that is not in the row's first word.
    rng, m = np.random.default_rng(0), 400
    adjacency = np.zeros((m, 11, 11), np.uint8)
    adjacency[:, 0, 1:] = 1
    ops = rng.integers(38, 40, (m, 11)).astype(np.uint8)
    ops[:, 10] = rng.integers(0, 38, m)
    check_by_colours(Cells(adjacency, ops), graph)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", SPACES)
def test_multiplicities_add_up(name, graph):
    cells = some_cells(name)
    classes = message_classes(cells, ROUNDS, graph)
    before = np.unique(cells.ops, return_counts=True)[1]
    for layer in classes.layers:
        own = layer.members[layer.starts[:-1].long()].numpy()
        # Each class is a part of the class that its nodes had.
        assert np.array_equal(np.bincount(own, layer.multiplicity, len(before)), before)
        before = layer.multiplicity.numpy()
        assert before.sum() == cells.ops.size
        assert (before > 0).all()
    assert np.array_equal(np.bincount(classes.nodes.numpy().ravel()), before)
    assert len(classes.ops) < len(classes.layers[0]) < len(classes.layers[-1]) <= cells.ops.size


def test_chain_by_hand():
    # 0 -> 1 -> 2 with operations 0, 1, 0, and one padded row, whose operation comes last.
    adjacency = np.zeros((1, 4, 4), np.uint8)
    adjacency[0, 0, 1] = adjacency[0, 1, 2] = 1
    cells = Cells(adjacency, np.array([[0, 1, 0, PAD]], np.uint8))

    directed = message_classes(cells, 1, "directed")
    assert directed.ops.tolist() == [0, 1, PAD]
    (layer,) = directed.layers
    # The end (0 alone), the beginning (0 hears 1), the middle (1 hears 0), the padded row.
    assert layer.members.tolist() == [0, 0, 1, 1, 0, 2]
    assert layer.starts.tolist() == [0, 1, 3, 5, 6]
    assert layer.multiplicity.tolist() == [1, 1, 1, 1]
    assert directed.nodes.tolist() == [[0, 1, 2, 3]]

    undirected = message_classes(cells, 1, "undirected")
    (layer,) = undirected.layers
    # Both ends (0 hears 1), the middle (1 hears 0 and 0), the padded row.
    assert layer.members.tolist() == [0, 1, 1, 0, 0, 2]
    assert layer.starts.tolist() == [0, 2, 5, 6]
    assert layer.multiplicity.tolist() == [2, 1, 1]
    assert undirected.nodes.tolist() == [[0, 0, 1, 2]]


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_order_of_the_rows_does_not_matter(graph):
    cells = random_cells(100, 6, 3)
    other = relabelled(cells)
    both = Cells(np.concatenate([cells.adjacency, other.adjacency]), np.concatenate([cells.ops, other.ops]))
    nodes = message_classes(both, 3, graph).nodes
    assert torch.equal(nodes[:100], nodes[100:])
    assert (nodes.diff(dim=1) >= 0).all()


def test_padded_rows_are_one_class_apart():
    cells = random_cells(100, 6, 3)
    classes = message_classes(cells, ROUNDS, "undirected")
    # The operation of a padded row sorts last, so its class does, too.
    assert all(layer.multiplicity[-1] == (cells.ops == PAD).sum() for layer in classes.layers)
    assert np.array_equal((classes.nodes == len(classes.layers[-1]) - 1).sum(1).numpy(), 6 - cells.n_nodes)


def test_a_cell_without_edges_has_a_class_for_each_operation():
    cells = Cells(np.zeros((2, 3, 3), np.uint8), np.array([[0, 4, 4], [4, 0, 2]], np.uint8))
    for layer in message_classes(cells, 2, "directed").layers:
        assert layer.members.tolist() == [0, 1, 2]
        assert layer.multiplicity.tolist() == [2, 1, 3]


def test_everything_moves_to_a_device():
    classes = message_classes(random_cells(5, 4, 2), 2, "directed")
    moved = classes.to("meta")
    tensors = [moved.ops, moved.nodes, *(getattr(layer, name) for layer in moved.layers
                                         for name in ("members", "starts", "multiplicity"))]
    assert len(tensors) == 8
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert [len(layer) for layer in moved.layers] == [len(layer) for layer in classes.layers]


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_a_node_hears_those_that_it_feeds_or_all_that_share_an_edge():
    adjacency = np.zeros((3, 3), np.uint8)
    adjacency[0, 1] = adjacency[0, 2] = 1
    directed, undirected = (neighbours(adjacency, graph) for graph in GRAPHS)
    assert directed.tolist() == [[False, True, True], [False] * 3, [False] * 3]
    assert undirected.tolist() == [[False, True, True], [True, False, False], [True, False, False]]


@pytest.mark.parametrize("edges", [[(0, 1), (1, 0)], [(1, 1)]])
@pytest.mark.parametrize("graph", GRAPHS)
def test_edges_both_ways_and_loops_are_refused(edges, graph):
    adjacency = np.zeros((2, 3, 3), np.uint8)
    for edge in edges:
        adjacency[(1, *edge)] = 1
    with pytest.raises(SpaceError, match="both ways or to itself"):
        message_classes(Cells(adjacency, np.zeros((2, 3), np.uint8)), 1, graph)


def test_unknown_graphs_and_no_rounds_are_refused():
    cells = random_cells(3, 4, 2)
    with pytest.raises(SettingsError, match="graph='both' is unknown: choose one of directed, undirected"):
        message_classes(cells, 1, "both")
    with pytest.raises(SettingsError, match="n_layers=0 must be positive"):
        message_classes(cells, 0, "directed")
