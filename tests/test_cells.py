import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2v_core.cells import PAD, Cells, is_strictly_upper_triangular, prune
from a2v_core.errors import SpaceError


def cell(n: int, edges: list[tuple[int, int]], ops: list[int]) -> Cells:
    adjacency = np.zeros((1, n, n), np.uint8)
    for i, j in edges:
        adjacency[0, i, j] = 1
    return Cells(adjacency, np.array([ops + [PAD] * (n - len(ops))], np.uint8))


@st.composite
def garbage(draw, n=6):
    """Cells as an untrained decoder may give them: any edges, any operation codes, padding anywhere."""
    edges = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=14))
    codes = st.one_of(st.integers(0, 4), st.just(PAD))
    return cell(n, edges, draw(st.lists(codes, min_size=n, max_size=n)))


def reachable(start: int, edges: set[tuple[int, int]]) -> set[int]:
    found, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [j for i, j in edges if i == node]
    return found


@given(garbage())
def test_prune_keeps_exactly_the_nodes_on_paths(one):
    present = [v for v in range(6) if one.ops[0, v] != PAD]
    edges = {(i, j) for i in present for j in present if one.adjacency[0, i, j]}
    kept: list[int] = []
    if present and present[0] == 0 and present[-1] != 0 and present[-1] in reachable(0, edges):
        backward = {(j, i) for i, j in edges}
        kept = sorted(reachable(0, edges) & reachable(present[-1], backward))
    pruned, has_path = prune(one)
    assert has_path.tolist() == [bool(kept)]
    assert pruned.ops[0].tolist() == [one.ops[0, v] for v in kept] + [PAD] * (6 - len(kept))
    expected = np.zeros((6, 6), np.uint8)
    expected[: len(kept), : len(kept)] = one.adjacency[0][np.ix_(kept, kept)]
    assert (pruned.adjacency[0] == expected).all()


@given(garbage())
def test_pruning_twice_changes_nothing(one):
    once, has_path = prune(one)
    twice, still = prune(once)
    assert (once.adjacency == twice.adjacency).all()
    assert (once.ops == twice.ops).all()
    assert (has_path == still).all()


def test_prune_by_hand():
    # 1 is a dead end, 2 has no predecessor, 0 > 3 > 4 is the path.
    pruned, has_path = prune(cell(6, [(0, 1), (2, 3), (0, 3), (3, 4)], [0, 1, 2, 3, 4]))
    assert has_path.tolist() == [True]
    assert pruned.ops[0].tolist() == [0, 3, 4, PAD, PAD, PAD]
    assert np.argwhere(pruned.adjacency[0]).tolist() == [[0, 1], [1, 2]]


def test_prune_takes_the_last_node_before_the_padding_as_output():
    _, has_path = prune(cell(5, [(0, 1), (1, 2)], [0, 1, 4]))
    assert has_path.tolist() == [True]
    _, has_path = prune(cell(5, [(0, 1), (1, 2)], [0, 1, 4, 4, 4]))
    assert has_path.tolist() == [False]


def test_prune_leaves_its_argument_alone_and_takes_no_cells():
    one = cell(5, [(0, 1), (0, 2)], [0, 1, 4])
    before = one.digest()
    prune(one)
    assert one.digest() == before
    pruned, has_path = prune(one[np.zeros(0, int)])
    assert len(pruned) == 0
    assert has_path.shape == (0,)


def test_strictly_upper_triangular():
    triangular = is_strictly_upper_triangular
    assert triangular(cell(3, [(0, 1), (0, 2), (1, 2)], [0, 1, 4])).tolist() == [True]
    assert triangular(cell(3, [(1, 1)], [0, 1, 4])).tolist() == [False]
    assert triangular(cell(3, [(2, 1)], [0, 1, 4])).tolist() == [False]
    weighted = cell(3, [(0, 1)], [0, 1, 4])
    weighted.adjacency[0, 0, 1] = 2
    assert triangular(weighted).tolist() == [False]


def test_cells_refuse_arrays_that_do_not_fit():
    with pytest.raises(SpaceError, match="uint8"):
        Cells(np.zeros((1, 3, 3)), np.zeros((1, 3), np.uint8))
    with pytest.raises(SpaceError, match=r"\[M, N, N\]"):
        Cells(np.zeros((1, 3, 4), np.uint8), np.zeros((1, 3), np.uint8))
    with pytest.raises(SpaceError, match=r"\[M, N, N\]"):
        Cells(np.zeros((2, 3, 3), np.uint8), np.zeros((1, 3), np.uint8))


def test_indexing_counts_and_one_hot():
    cells = Cells(np.zeros((3, 2, 2), np.uint8), np.array([[0, 1], [0, 2], [0, PAD]], np.uint8))
    assert [len(cells[1]), len(cells[-1]), len(cells[1:]), len(cells[np.array([0, 2])])] == [1, 1, 2, 2]
    assert cells[-1].ops.tolist() == [[0, PAD]]
    assert cells.n_nodes.tolist() == [2, 2, 1]
    assert cells.one_hot(3)[2].tolist() == [[1, 0, 0], [0, 0, 0]]
    assert cells.digest() != cells[:2].digest()
