"""Classes of cells against brute force over all orders of the nodes, networkx, and a plain colour refinement."""

from collections import Counter
from itertools import permutations

import networkx as nx
import numpy as np
import pytest

from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.identifiability import (
    Classes,
    blindness,
    canonical_codes,
    distances,
    isomorphism_classes,
    refinement_classes,
    stored_classes,
    upper_triangular_encodings,
)
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells


def random_cells(seed, m, n, n_ops=2, density=0.4, padding=True):
    """Random DAGs whose rows are in a random order, some of them with padded rows."""
    rng = np.random.default_rng(seed)
    adjacency = np.triu(rng.random((m, n, n)) < density, 1)
    sizes = rng.integers(max(n - 2, 1), n + 1, m) if padding else np.full(m, n)
    real = np.arange(n) < sizes[:, None]
    adjacency &= real[:, :, None] & real[:, None, :]
    ops = np.where(real, rng.integers(0, n_ops, (m, n)), PAD)
    return Cells(adjacency.astype(np.uint8), ops.astype(np.uint8))


def relabelled(cells, seed):
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(cells.ops.shape[1]), (len(cells), 1)), axis=1)
    rows = np.arange(len(cells))[:, None, None]
    return Cells(cells.adjacency[rows, order[:, :, None], order[:, None, :]],
                 np.take_along_axis(cells.ops, order, axis=1))


def brute_force_forms(cells, directed):
    """Least (operations, matrix) over all orders of the nodes, and how often it is attained, padded rows in place."""
    forms, counts = [], []
    for adjacency, ops, n in zip(cells.adjacency, cells.ops, cells.n_nodes, strict=True):
        a = adjacency[:n, :n] if directed else adjacency[:n, :n] | adjacency[:n, :n].T
        every = [(tuple(ops[list(p)]), a[np.ix_(p, p)].tobytes()) for p in permutations(range(n))]
        forms.append((n, min(every)))
        counts.append(every.count(min(every)))
    return forms, counts


def same_partition(labels, things):
    pairs = set(zip(labels.tolist(), things, strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(things))


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


def undirected(edges, n, ops=None):
    adjacency = np.zeros((1, n, n), np.uint8)
    for i, j in edges:
        adjacency[0, i, j] = 1
    return Cells(adjacency, np.zeros((1, n), np.uint8) if ops is None else np.array([ops], np.uint8))


def together(*cells):
    return Cells(np.concatenate([c.adjacency for c in cells]), np.concatenate([c.ops for c in cells]))


HEXAGON = undirected([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)], 6)
TRIANGLES = undirected([(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)], 6)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_classes_and_automorphisms_agree_with_brute_force(n, directed):
    cells = random_cells(n, 400, n)
    forms, counts = brute_force_forms(cells, directed)
    assert same_partition(isomorphism_classes(cells, directed).labels, forms)
    assert canonical_codes(cells, directed)[1].tolist() == counts
    assert n < 4 or len(set(forms)) > 30


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("n", [7, 11])
def test_codes_do_not_depend_on_the_order_of_the_rows(n, directed):
    cells = random_cells(n, 300, n, n_ops=3)
    codes, automorphisms = canonical_codes(cells, directed)
    other_codes, other_automorphisms = canonical_codes(relabelled(cells, 5), directed)
    np.testing.assert_array_equal(codes, other_codes)
    np.testing.assert_array_equal(automorphisms, other_automorphisms)
    assert (automorphisms > 1).any()
    np.testing.assert_array_equal(refinement_classes(together(cells, relabelled(cells, 6)), directed).labels[:300],
                                  refinement_classes(together(cells, relabelled(cells, 6)), directed).labels[300:])


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
    forward = undirected([(0, 1), (1, 2)], 3, [0, 1, 1])
    backward = undirected([(0, 1), (2, 1)], 3, [0, 1, 1])
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
    # The other count of the same thing: full upper-triangular patterns times labellings.
    assert upper_triangular_encodings(cells).sum() == count_of_encodings(6)


def count_of_encodings(largest):
    total = 0
    for n in range(2, largest + 1):
        edges = [(i, j) for j in range(n) for i in range(j)]
        bits = np.arange(1 << len(edges))[:, None] >> np.arange(len(edges)) & 1
        full = bits.sum(1) <= 9
        for v in range(n):
            leaving, entering = ([k for k, edge in enumerate(edges) if edge[side] == v] for side in (0, 1))
            full &= (v == n - 1) | bits[:, leaving].any(1)
            full &= (v == 0) | bits[:, entering].any(1)
        total += int(full.sum()) * 3 ** (n - 2)
    return total


def test_encodings_of_small_cells_by_hand():
    chain = undirected([(0, 1), (1, 2), (2, 3)], 4, [0, 1, 1, 4])
    twins = undirected([(0, 1), (0, 2), (1, 3), (2, 3)], 4, [0, 1, 1, 4])
    differing = undirected([(0, 1), (0, 2), (1, 3), (2, 3)], 4, [0, 1, 2, 4])
    padded = undirected([(0, 1)], 4, [0, 4, PAD, PAD])
    assert upper_triangular_encodings(together(chain, twins, differing, padded)).tolist() == [1, 1, 2, 1]


def test_encodings_agree_with_brute_force():
    cells = random_cells(8, 60, 5)
    for i, count in enumerate(upper_triangular_encodings(cells)):
        n = int(cells.n_nodes[i])
        a, ops = cells.adjacency[i, :n, :n], cells.ops[i, :n]
        orders = [list(p) for p in permutations(range(n)) if not np.tril(a[np.ix_(p, p)]).any()]
        assert count == len({(a[np.ix_(p, p)].tobytes(), ops[p].tobytes()) for p in orders})


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


def test_unacceptable_cells_are_refused():
    with pytest.raises(SpaceError, match="at most 11"):
        isomorphism_classes(random_cells(0, 2, 12))
    edge_to_padding = undirected([(0, 1)], 3, [0, PAD, PAD])
    with pytest.raises(SpaceError, match="padded row"):
        refinement_classes(edge_to_padding)
    with pytest.raises(SpaceError, match="upper-triangular"):
        upper_triangular_encodings(undirected([(1, 0)], 2))
