"""Classes of cells against brute force over all orders of the nodes, networkx, and a plain colour refinement."""

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from small_graphs import graph, random_cells, same_partition, together

from a2v_core.artifacts import ArtifactStore
from a2v_core.errors import SettingsError
from a2v_core.graph_codes import canonical_codes
from a2v_core.identifiability import (
    Classes,
    blindness,
    distances,
    isomorphism_classes,
    refinement_classes,
    share_alone,
    stored_classes,
)
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells


def plain_refinement(cells, directed, rounds):
    """Multisets of colours that are nested tuples, one node at a time."""
    things = []
    for adjacency, ops in zip(cells.adjacency, cells.ops, strict=True):
        into, out = adjacency.T, adjacency
        colour = [int(op) for op in ops]
        for _ in range(rounds):
            near = [(sorted(repr(colour[j]) for j in np.flatnonzero(into[i])),
                     sorted(repr(colour[j]) for j in np.flatnonzero(out[i]))) for i in range(len(ops))]
            colour = [(colour[i], *near[i]) if directed else (colour[i], sorted(near[i][0] + near[i][1]))
                      for i in range(len(ops))]
        things.append(repr(sorted(map(repr, colour))))
    return things


HEXAGON = graph([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)], 6)
TRIANGLES = graph([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)], 6)


def test_networkx_agrees_on_pairs_of_nasbench101():
    space = enumerate_cells()
    rows = np.flatnonzero(space.n_nodes == 6)[::60]
    cells = space[rows]
    labels = isomorphism_classes(cells).labels
    rng = np.random.default_rng(0)
    order = np.argsort(labels, kind="stable")
    alike = [(order[k], order[k + 1]) for k in range(len(order) - 1) if labels[order[k]] == labels[order[k + 1]]]
    # Pairs with equal operations and equally many edges are those that a coarse comparison would not separate.
    coarse = [(tuple(sorted(o)), int(a.sum())) for a, o in zip(cells.adjacency, cells.ops, strict=True)]
    different = [(i, j) for i, j in rng.integers(len(cells), size=(20_000, 2)) if i != j and coarse[i] == coarse[j]]
    assert len(alike) > 20
    assert len(different) > 50
    for i, j in alike[:150] + different[:150]:
        graphs = []
        for row in (i, j):
            graph = nx.from_numpy_array(cells.adjacency[row] | cells.adjacency[row].T)
            nx.set_node_attributes(graph, dict(enumerate(cells.ops[row].tolist())), "op")
            graphs.append(graph)
        same = nx.is_isomorphic(*graphs, node_match=lambda a, b: a["op"] == b["op"])
        assert same == (labels[i] == labels[j])


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_refinement_agrees_with_nested_colours(directed, rounds):
    cells = random_cells(3, 300, 6)
    assert same_partition(refinement_classes(cells, directed, rounds).labels, plain_refinement(cells, directed, rounds))


def test_refinement_goes_on_until_nothing_changes():
    cells = random_cells(4, 300, 6, n_ops=1)
    np.testing.assert_array_equal(refinement_classes(cells).labels, refinement_classes(cells, rounds=6).labels)
    assert refinement_classes(cells, rounds=1).n < refinement_classes(cells).n


def test_refinement_misses_what_it_is_known_to_miss():
    both = together(HEXAGON, TRIANGLES)
    assert refinement_classes(both).n == 1
    assert isomorphism_classes(both).n == 2
    assert canonical_codes(both)[1].tolist() == [12, 72]


def test_direction_separates_what_the_undirected_graph_does_not():
    forward = graph([(0, 1), (1, 2)], 3, [0, 1, 1])
    backward = graph([(0, 1), (2, 1)], 3, [0, 1, 1])
    both = together(forward, backward)
    assert isomorphism_classes(both).n == refinement_classes(both).n == 1
    assert isomorphism_classes(both, directed=True).n == refinement_classes(both, directed=True).n == 2


def test_the_whole_of_nasbench101_up_to_six_vertices():
    space = enumerate_cells()
    cells = space[np.flatnonzero(space.n_nodes <= 6)]
    exact, refined = isomorphism_classes(cells), refinement_classes(cells)
    assert isomorphism_classes(cells, directed=True).n == len(cells)
    assert exact.n < len(cells)
    assert exact.n_sharing == sum(size for size in Counter(exact.labels.tolist()).values() if size > 1)
    assert exact.largest == max(Counter(exact.labels.tolist()).values())
    # Equal graphs are never separated by refinement.
    assert len(set(zip(exact.labels.tolist(), refined.labels.tolist(), strict=True))) == exact.n


def test_classes_among_chosen_cells():
    chosen = Classes(np.array([3, 0, 1, 3, 2, 1])).among(np.array([0, 2, 3, 4]))
    assert (chosen.n, chosen.n_sharing, chosen.largest) == (3, 2, 2)
    assert chosen.labels[0] == chosen.labels[2]


def test_blindness_by_hand():
    values = np.array([1.0, 3.0, 10.0, np.nan, 4.0])
    found = blindness(Classes(np.array([0, 0, 1, 1, 2])), values)
    # Inside: 1 + 1 + 0 + 0; around the mean 4.5: 12.25 + 2.25 + 30.25 + 0.25.
    assert found.share == pytest.approx(2 / 45)
    assert found.rmse == pytest.approx(np.sqrt(0.5))
    assert (found.pair, found.gap, found.n_values) == ((0, 1), 2.0, 4)
    alone = blindness(Classes(np.arange(5)), values)
    assert (alone.share, alone.rmse, alone.gap) == (0, 0, 0)
    with pytest.raises(SettingsError, match="without any spread"):
        blindness(Classes(np.arange(5)), np.array([np.nan, 1, 1, 1, 1]))


def test_a_predictor_that_says_the_mean_of_the_class_attains_the_floor():
    rng = np.random.default_rng(1)
    labels, values = rng.integers(0, 20, 500), rng.normal(size=500)
    means = np.array([values[labels == k].mean() for k in range(20)])
    error = np.sqrt(((values - means[labels]) ** 2).mean())
    assert blindness(Classes(labels), values).rmse == pytest.approx(error)


def test_distances_by_hand():
    embeddings = np.array([[0.0, 0], [3, 4], [0, 0], [6, 8]], np.float32)
    found = distances(Classes(np.array([0, 0, 1, 1])), embeddings, seed=0, n_pairs=1000)
    assert sorted(found.inside.tolist()) == [5.0, 10.0]
    assert set(np.round(found.between, 6)) == {0.0, 5.0, 10.0}
    with pytest.raises(SettingsError, match="at least two classes"):
        distances(Classes(np.zeros(4, np.int64)), embeddings, seed=0)


def test_share_alone_by_hand():
    embeddings = np.array([[0.0, 0], [0, 1e-6], [1, 0], [5, 5]])
    assert share_alone(embeddings, 1e-5) == 50
    assert share_alone(embeddings, 2) == 25
    assert share_alone(embeddings, 1e-7) == 100


def test_an_encoder_is_blind_exactly_to_its_classes():
    from a2v_core.generation import encode_cells
    from a2v_core.models.dense import StackedAutoencoder
    from a2v_core.recipes import pretraining_settings

    space = enumerate_cells()
    cells = space[np.flatnonzero(space.n_nodes == 6)[::30]]
    classes = isomorphism_classes(cells)
    assert classes.n < len(cells)
    for direction, blind in (("undirected", True), ("split", False)):
        settings = pretraining_settings("released", direction=direction)
        embeddings = encode_cells(StackedAutoencoder(5, settings, [0]), cells).numpy().mean(1)
        found = distances(classes, embeddings, seed=0)
        assert (found.inside.max() < 1e-4 * np.median(found.between)) == blind


def test_stored_classes_are_computed_once(tmp_path, monkeypatch):
    cells = random_cells(2, 50, 5)
    first = stored_classes(cells, ArtifactStore(tmp_path))
    monkeypatch.setattr("a2v_core.identifiability.isomorphism_classes", None)
    again = stored_classes(cells, ArtifactStore(tmp_path))
    for name, classes in first.items():
        np.testing.assert_array_equal(classes.labels, again[name].labels)
    np.testing.assert_array_equal(first["undirected graph"].labels, isomorphism_classes(cells).labels)
