"""Codes, automorphisms and numbers of encodings against brute force over all orders of the nodes."""

from itertools import permutations

import numpy as np
import pytest
from small_graphs import graph, random_cells, relabelled, same_partition, together

from a2v_core.cells import PAD
from a2v_core.errors import SpaceError
from a2v_core.graph_codes import canonical_codes, upper_triangular_encodings
from a2v_core.identifiability import isomorphism_classes, refinement_classes
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells


def brute_force_forms(cells, directed):
    """Least (operations, matrix) over all orders of the nodes, and how often it is attained, padded rows in place."""
    forms, counts = [], []
    for adjacency, ops, n in zip(cells.adjacency, cells.ops, cells.n_nodes, strict=True):
        a = adjacency[:n, :n] if directed else adjacency[:n, :n] | adjacency[:n, :n].T
        every = [(tuple(ops[list(p)]), a[np.ix_(p, p)].tobytes()) for p in permutations(range(n))]
        forms.append((n, min(every)))
        counts.append(every.count(min(every)))
    return forms, counts


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
    chain = graph([(0, 1), (1, 2), (2, 3)], 4, [0, 1, 1, 4])
    twins = graph([(0, 1), (0, 2), (1, 3), (2, 3)], 4, [0, 1, 1, 4])
    differing = graph([(0, 1), (0, 2), (1, 3), (2, 3)], 4, [0, 1, 2, 4])
    padded = graph([(0, 1)], 4, [0, 4, PAD, PAD])
    assert upper_triangular_encodings(together(chain, twins, differing, padded)).tolist() == [1, 1, 2, 1]


def test_encodings_agree_with_brute_force():
    cells = random_cells(8, 60, 5)
    for i, count in enumerate(upper_triangular_encodings(cells)):
        n = int(cells.n_nodes[i])
        a, ops = cells.adjacency[i, :n, :n], cells.ops[i, :n]
        orders = [list(p) for p in permutations(range(n)) if not np.tril(a[np.ix_(p, p)]).any()]
        assert count == len({(a[np.ix_(p, p)].tobytes(), ops[p].tobytes()) for p in orders})


def test_encodings_of_nasbench101_agree_with_the_count_of_patterns():
    space = enumerate_cells()
    cells = space[np.flatnonzero(space.n_nodes <= 6)]
    assert upper_triangular_encodings(cells).sum() == count_of_encodings(6)


def test_unacceptable_cells_are_refused():
    with pytest.raises(SpaceError, match="at most 11"):
        canonical_codes(random_cells(0, 2, 12))
    with pytest.raises(SpaceError, match="padded row"):
        canonical_codes(graph([(0, 1)], 3, [0, PAD, PAD]))
    with pytest.raises(SpaceError, match="upper-triangular"):
        upper_triangular_encodings(graph([(1, 0)], 2))
