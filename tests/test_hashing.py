import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2v_core import hashing
from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError
from a2v_core.hashing import module_hash

LABELS = (-1, 1, 0, 2, -2)


def digest(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def hash_by_definition(edges: set[tuple[int, int]], labels: list[int]) -> bytes:
    """The module hash of one graph, read off its definition."""
    nodes = range(len(labels))
    before = {v: [u for u in nodes if (u, v) in edges] for v in nodes}
    after = {v: [w for w in nodes if (v, w) in edges] for v in nodes}
    state = {v: digest(str((len(after[v]), len(before[v]), labels[v]))) for v in nodes}
    for _ in nodes:
        state = {
            v: digest("|".join(["".join(sorted(state[u] for u in before[v])),
                                "".join(sorted(state[w] for w in after[v])), state[v]]))
            for v in nodes
        }
    return digest(str(sorted(state.values()))).encode()


@st.composite
def batches(draw, max_nodes=8):
    """A few cells with any edges, cycles and self-loops included, and any number of trailing padded rows."""
    n = draw(st.integers(1, max_nodes))
    cells = draw(st.lists(st.tuples(st.integers(0, 2 ** (n * n) - 1), st.lists(st.integers(0, 4), max_size=n)),
                          min_size=1, max_size=4))
    adjacency = np.zeros((len(cells), n, n), np.uint8)
    ops = np.full((len(cells), n), PAD, np.uint8)
    for row, (bits, codes) in enumerate(cells):
        adjacency[row] = np.array([bits >> k & 1 for k in range(n * n)]).reshape(n, n)
        ops[row, : len(codes)] = codes
    return Cells(adjacency, ops)


@given(batches())
def test_equals_the_definition_on_any_graph(cells):
    for row, key in enumerate(module_hash(cells, LABELS)):
        n = int(cells.n_nodes[row])
        edges = {(i, j) for i in range(n) for j in range(n) if cells.adjacency[row, i, j]}
        assert key == hash_by_definition(edges, [LABELS[code] for code in cells.ops[row, :n]])


@given(batches(), st.randoms(use_true_random=False))
def test_does_not_change_with_the_order_of_nodes(cells, random):
    n = int(cells.n_nodes.min())
    order = np.arange(cells.ops.shape[1])
    order[:n] = random.sample(range(n), n)
    moved = Cells(cells.adjacency[:, order][:, :, order], cells.ops[:, order])
    assert (module_hash(moved, LABELS) == module_hash(cells, LABELS)).all()


def test_is_the_same_in_one_batch_and_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    cells = Cells(np.triu(rng.integers(0, 2, (900, 7, 7), np.uint8), 1), rng.integers(0, 5, (900, 7), np.uint8))
    together = module_hash(cells, LABELS)
    assert len(set(together.tolist())) > 800
    assert (together[::97] == [module_hash(cells[row], LABELS)[0] for row in range(0, 900, 97)]).all()
    monkeypatch.setattr(hashing, "_CHUNK", 11)
    assert (module_hash(cells, LABELS) == together).all()


def test_stays_exact_when_fingerprints_collide(monkeypatch):
    rng = np.random.default_rng(1)
    cells = Cells(np.triu(rng.integers(0, 2, (50, 6, 6), np.uint8), 1), rng.integers(0, 5, (50, 6), np.uint8))
    expected = module_hash(cells, LABELS)
    monkeypatch.setattr(hashing, "_scrambled", np.zeros_like)
    assert (module_hash(cells, LABELS) == expected).all()


def test_a_code_without_label_is_named():
    cells = Cells(np.zeros((1, 3, 3), np.uint8), np.array([[0, 9, 4]], np.uint8))
    with pytest.raises(SpaceError, match="operation code 9 has no label"):
        module_hash(cells, LABELS)
    between = Cells(np.zeros((1, 3, 3), np.uint8), np.array([[0, PAD, 4]], np.uint8))
    with pytest.raises(SpaceError, match="padding"):
        module_hash(between, LABELS)


def test_no_cells_and_cells_without_nodes():
    assert module_hash(Cells(np.zeros((0, 7, 7), np.uint8), np.zeros((0, 7), np.uint8)), LABELS).shape == (0,)
    nothing = Cells(np.zeros((2, 7, 7), np.uint8), np.full((2, 7), PAD, np.uint8))
    assert module_hash(nothing, LABELS).tolist() == [hash_by_definition(set(), [])] * 2
