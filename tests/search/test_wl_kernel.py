"""Subtree counts against networkx's Weisfeiler-Lehman hashes and against counts made by hand."""

from collections import Counter

import networkx as nx
import numpy as np
import pytest

from a2v_core.cells import PAD, Cells
from a2v_core.search.wl_kernel import SubtreeCounts
from a2v_core.spaces import get_space

#: input -> a -> output; the same with a second a beside the first; input -> b -> output. The last row may be padding.
ADJACENCY = np.zeros((3, 4, 4), np.uint8)
ADJACENCY[0, [0, 1], [1, 2]] = ADJACENCY[2, [0, 1], [1, 2]] = 1
ADJACENCY[1, [0, 0, 1, 2], [1, 2, 3, 3]] = 1
OPS = np.array([[0, 1, 9, PAD], [0, 1, 1, 9], [0, 2, 9, PAD]], np.uint8)
SMALL = Cells(ADJACENCY, OPS)


def by_hand(first, second):
    """Scaled product of two lists of labels."""
    a, b = Counter(first), Counter(second)

    def dot(x, y):
        return sum(x[label] * y[label] for label in x)

    return dot(a, b) / np.sqrt(dot(a, a) * dot(b, b))


def test_kernels_of_three_small_graphs():
    kernel = SubtreeCounts(SMALL, 1).kernel(np.arange(3), np.arange(3))
    operations = ["iao", "iaao", "ibo"]
    # A node and, sorted, what lies beside it.
    surroundings = [["i(a)", "a(io)", "o(a)"], ["i(aa)", "a(io)", "a(io)", "o(aa)"], ["i(b)", "b(io)", "o(b)"]]
    for a in range(3):
        for b in range(3):
            assert kernel[0, a, b] == pytest.approx(by_hand(operations[a], operations[b]))
            both = [[*operations[c], *surroundings[c]] for c in (a, b)]
            assert kernel[1, a, b] == pytest.approx(by_hand(*both))


def test_directed_messages_come_from_what_a_node_feeds():
    counts = SubtreeCounts(SMALL, 1, "directed")
    # In the first two cells the nodes a feed the output alone; the outputs are fed by no message at all.
    surroundings = [["i(a)", "a(o)", "o()"], ["i(aa)", "a(o)", "a(o)", "o()"]]
    both = [[*"iao", *surroundings[0]], [*"iaao", *surroundings[1]]]
    assert counts.kernel(np.array([0]), np.array([1]))[1, 0, 0] == pytest.approx(by_hand(*both))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_classes_are_those_of_networkx(depth):
    cells = get_space("nasbench201").cells()[:60]
    counts = SubtreeCounts(cells, depth)
    labels = []
    for adjacency, ops in zip(cells.adjacency, cells.ops, strict=True):
        graph = nx.from_numpy_array(adjacency | adjacency.T)
        nx.set_node_attributes(graph, {i: str(op) for i, op in enumerate(ops)}, "op")
        hashes = nx.weisfeiler_lehman_subgraph_hashes(graph, node_attr="op", iterations=depth)
        labels.append([[str(op) for op in ops], *np.transpose([hashes[i] for i in range(len(ops))]).tolist()])
    kernel = counts.kernel(np.arange(60), np.arange(60))
    for rounds in range(depth + 1):
        upto = [[(r, label) for r in range(rounds + 1) for label in cell[r]] for cell in labels]
        for a, b in ((0, 1), (5, 5), (7, 40), (59, 13)):
            assert kernel[rounds, a, b] == pytest.approx(by_hand(upto[a], upto[b]))
        assert counts.n_features()[rounds] == len({label for cell in labels for label in cell[rounds]})
        told_apart = {tuple(sorted(cell[rounds])) for cell in labels}
        assert counts.n_told_apart()[rounds] == len(told_apart)


def test_padding_counts_for_nothing():
    assert (SubtreeCounts(SMALL, 2).classes == -1).sum() == 3 * 2
    longer = Cells(np.pad(ADJACENCY, ((0, 0), (0, 1), (0, 1))), np.pad(OPS, ((0, 0), (0, 1)), constant_values=PAD))
    kernels = [SubtreeCounts(cells, 2).kernel(np.arange(3), np.arange(3)) for cells in (longer, SMALL)]
    np.testing.assert_allclose(*kernels)


def test_the_kernel_is_one_on_the_diagonal_and_positive_semidefinite():
    counts = SubtreeCounts(get_space("nasbench201").cells(), 2)
    some = np.random.default_rng(0).permutation(15_625)[:80]
    kernel = counts.kernel(some, some)
    np.testing.assert_allclose(kernel[:, range(80), range(80)], 1.0)
    np.testing.assert_allclose(kernel, kernel.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
    # A row does not depend on what else is asked for.
    np.testing.assert_array_equal(counts.kernel(some[:3], some[40:])[:, :, :2], kernel[:, :3, 40:42])
