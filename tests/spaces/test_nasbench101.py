import gzip
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2v_core.artifacts import ArtifactStore
from a2v_core.benchmarks.sources import verified_bytes
from a2v_core.benchmarks.unpickle import frame_columns
from a2v_core.cells import Cells, prune
from a2v_core.errors import SpaceError
from a2v_core.hashing import module_hash
from a2v_core.paths import MIRROR_VARIABLE
from a2v_core.spaces import get_space, nasbench101
from a2v_core.spaces.nasbench101 import NASBench101
from a2v_core.spaces.nasbench101_enumeration import canonical_form, enumerate_cells
from a2v_core.spaces.nasbench101_parameters import trainable_parameters, vertex_channels

#: The benchmark's labels in the order in which its generator tries them.
LABELS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")


@pytest.fixture(scope="module")
def space() -> NASBench101:
    return get_space("nasbench101")


@pytest.fixture(scope="module")
def enumerated() -> Cells:
    return enumerate_cells()


@pytest.fixture
def mirror() -> Path:
    if not os.environ.get(MIRROR_VARIABLE):
        pytest.skip(f"needs the upstream files: set {MIRROR_VARIABLE}")
    return Path(os.environ[MIRROR_VARIABLE])


def cell_of(edges, *labels: str) -> dict:
    """A cell with the given interior operations."""
    n = len(labels) + 2
    matrix = [[int((i, j) in edges) for j in range(n)] for i in range(n)]
    return {"matrix": matrix, "ops": ["input", *labels, "output"]}


def generated(n: int) -> list[tuple[frozenset, tuple]]:
    """Every full cell of n vertices, in the order of the benchmark's generator: edges as bits, then labellings."""
    bits = [(i, j) for j in range(n) for i in range(j)]
    cells = []
    for pattern in range(2 ** len(bits)):
        edges = frozenset(edge for bit, edge in enumerate(bits) if pattern >> bit & 1)
        if {i for i, _ in edges} == set(range(n - 1)) and {j for _, j in edges} == set(range(1, n)) and len(edges) <= 9:
            cells += [(edges, labels) for labels in itertools.product(range(3), repeat=n - 2)]
    return cells


def isomorphism_class(edges: frozenset, labels: tuple) -> tuple:
    """Smallest relabelled form over all orders of the interior vertices, tried one by one."""
    n = len(labels) + 2
    forms = []
    for order in itertools.permutations(range(1, n - 1)):
        new = (0, *order, n - 1)
        moved_labels = [0] * (n - 2)
        for vertex, label in enumerate(labels, start=1):
            moved_labels[new[vertex] - 1] = label
        forms.append((sorted((new[i], new[j]) for i, j in edges), moved_labels))
    smallest = min(forms)
    return tuple(smallest[0]), tuple(smallest[1])


def test_counts_by_number_of_vertices(enumerated):
    sizes, counts = np.unique(enumerated.n_nodes, return_counts=True)
    assert dict(zip(sizes.tolist(), counts.tolist(), strict=True)) == {
        2: 1, 3: 6, 4: 84, 5: 2441, 6: 62010, 7: 359082,
    }


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_brute_force_isomorphism_agrees(space, enumerated, n):
    """Classes, their representatives and their keys, against trying every permutation."""
    cells = generated(n)
    first_of_class: dict[tuple, int] = {}
    class_of = [isomorphism_class(*cell) for cell in cells]
    for row, name in enumerate(class_of):
        first_of_class.setdefault(name, row)
    everything = space.from_native([cell_of(edges, *(LABELS[k] for k in labels)) for edges, labels in cells])

    kept = everything[np.array(list(first_of_class.values()))]
    ours = enumerated[enumerated.n_nodes == n]
    assert (kept.adjacency == ours.adjacency).all()
    assert (kept.ops == ours.ops).all()

    keys = space.keys(everything).tolist()
    assert len(set(keys)) == len(set(class_of)) == len(set(zip(keys, class_of, strict=True)))
    canonical = canonical_form(everything)
    representative = everything[np.array([first_of_class[name] for name in class_of])]
    assert (canonical.adjacency == representative.adjacency).all()
    assert (canonical.ops == representative.ops).all()


def test_representatives_are_their_own_canonical_form(enumerated):
    again = canonical_form(enumerated)
    assert (again.adjacency == enumerated.adjacency).all()
    assert (again.ops == enumerated.ops).all()


def test_order_is_that_of_the_hash(space):
    cells = space.cells()
    rows = np.sort(np.random.default_rng(0).permutation(len(cells))[:3000])
    keys = module_hash(cells[rows], NASBench101.hash_labels)
    assert (np.sort(keys) == keys).all()
    assert (space.rows(cells[rows]) == rows).all()
    assert (space.rows_of_keys(keys) == rows).all()
    assert space.rows_of_keys(np.array([b"0" * 32, b"f" * 32, keys[0]])).tolist() == [-1, -1, rows[0]]


def test_order_is_stored_and_found_again(tmp_path, monkeypatch, space):
    few = enumerate_cells()[:2000]
    monkeypatch.setattr(nasbench101, "enumerate_cells", lambda: few)
    first = NASBench101(ArtifactStore(tmp_path)).cells()
    monkeypatch.setattr(nasbench101, "module_hash", lambda *a, **k: pytest.fail("hashed again"))
    second = NASBench101(ArtifactStore(tmp_path)).cells()
    assert first.digest() == second.digest()
    assert len(first) == 2000
    with pytest.raises(ValueError, match="read-only"):
        second.ops[0, 0] = 1


# Validity: the rule of the official interface, read off its documentation, one cell at a time.

def officially_valid(cell: Cells) -> bool:
    matrix, ops = cell.adjacency[0].tolist(), cell.ops[0].tolist()
    n = len(ops)
    if any(matrix[i][j] for i in range(n) for j in range(i + 1)):
        return False
    ahead, behind = {0}, {n - 1}
    for i in range(n):
        ahead |= {j for j in range(n) if i in ahead and matrix[i][j]}
    for j in reversed(range(n)):
        behind |= {i for i in range(n) if j in behind and matrix[i][j]}
    kept = sorted(ahead & behind)
    if not {0, n - 1} <= set(kept):
        return False
    n_edges = sum(matrix[i][j] for i in kept for j in kept)
    names = [NASBench101.vocabulary[ops[v]] for v in kept]
    return n_edges <= 9 and names[0] == "input" and names[-1] == "output" and set(names[1:-1]) <= set(LABELS)


@st.composite
def decoded(draw):
    pairs = [(i, j) for i in range(7) for j in range(i + 1, 7)]
    edges = draw(st.sets(st.sampled_from([*pairs, (3, 3), (5, 1)]) if draw(st.booleans()) else st.sampled_from(pairs)))
    adjacency = np.zeros((1, 7, 7), np.uint8)
    for i, j in edges:
        adjacency[0, i, j] = 1
    inner = draw(st.lists(st.integers(1, 3) if draw(st.booleans()) else st.integers(0, 4), min_size=5, max_size=5))
    ends = draw(st.sampled_from([(0, 4), (0, 4), (0, 4), (4, 0), (0, 1)]))
    return Cells(adjacency, np.array([[ends[0], *inner, ends[1]]], np.uint8))


@settings(max_examples=400, deadline=None)
@given(cell=decoded())
def test_validity_is_the_official_rule(cell):
    space = NASBench101()
    assert space.is_valid(cell)[0] == space.released_is_valid(cell)[0] == officially_valid(cell)


@pytest.mark.parametrize(
    ("edges", "labels", "valid"),
    [
        ({(0, 1)}, (), True),
        ({(0, 2), (1, 2)}, ("maxpool3x3",), True),  # a vertex that nothing feeds is pruned
        ({(0, 2), (1, 2)}, ("output",), True),  # ... whatever its operation
        ({(0, 1), (1, 2)}, ("output",), False),
        ({(0, 1)}, ("maxpool3x3",), False),  # no path
        ({(0, k) for k in range(1, 6)} | {(k, 6) for k in range(1, 5)}, (LABELS[0],) * 5, True),  # ten edges less two
        ({(0, k) for k in range(1, 6)} | {(k, 6) for k in range(1, 6)}, (LABELS[0],) * 5, False),
    ],
)
def test_validity_by_hand(edges, labels, valid):
    space = NASBench101()
    assert space.is_valid(space.from_native([cell_of(edges, *labels)])).tolist() == [valid]


def test_keys_prune_and_released_keys_do_not():
    space = NASBench101()
    pair = space.from_native([cell_of({(0, 1)}), cell_of({(0, 2), (0, 1)}, "maxpool3x3")])
    assert len(set(space.keys(pair).tolist())) == 1
    assert len(set(space.released_keys(pair).tolist())) == 2


def test_neighbours_by_hand(space):
    """Input, one operation, output: without the skip edge, and with it."""
    chain = space.from_native([cell_of({(0, 1), (1, 2)}, LABELS[0])])
    expected = [cell_of({(0, 1), (1, 2)}, LABELS[1]), cell_of({(0, 1), (1, 2)}, LABELS[2]),
                cell_of({(0, 1), (1, 2), (0, 2)}, LABELS[0])]
    found = space.to_native(space.neighbours(chain))
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_neighbours_may_need_another_order_of_vertices():
    """Two parallel operations: an edge between them may go either way."""
    space = NASBench101()
    parallel = space.from_native([cell_of({(0, 1), (0, 2), (1, 3), (2, 3)}, LABELS[0], LABELS[2])])
    wanted = space.from_native([
        cell_of({(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)}, first, second)
        for first, second in [(LABELS[0], LABELS[2]), (LABELS[2], LABELS[0])]
    ])
    assert set(space.keys(wanted).tolist()) <= set(space.keys(space.neighbours(parallel)).tolist())


@settings(max_examples=25, deadline=None)
@given(row=st.integers(0, 423_623))
def test_neighbours_are_full_cells_of_the_list(row):
    space = get_space("nasbench101")
    found = space.neighbours(space.cells()[row])
    rows = space.rows(found)
    assert (rows >= 0).all()
    assert (space.cells().adjacency[rows] == found.adjacency).all()
    assert (space.cells().ops[rows] == found.ops).all()
    assert (prune(found)[0].ops == found.ops).all()
    sizes = np.abs(found.adjacency.sum((1, 2), dtype=int) - space.cells().adjacency[row].sum(dtype=int))
    assert set(sizes.tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("native", "told"),
    [
        ({"matrix": [[0, 1], [0, 0]], "ops": ["input", "conv5x5"]}, "unknown operation 'conv5x5'"),
        ({"matrix": [[0, 1]], "ops": ["input", "output"]}, "square"),
        ({"matrix": [[0, 2], [0, 0]], "ops": ["input", "output"]}, "0 and 1"),
        ({"matrix": [[0, 1], [0]], "ops": ["input", "output"]}, "list of lists"),
        ({"matrix": np.zeros((8, 8)).tolist(), "ops": ["input"] * 8}, "at most 7"),
        ({"ops": ["input", "output"]}, "'matrix'"),
    ],
)
def test_malformed_cells(native, told):
    with pytest.raises(SpaceError, match=told):
        NASBench101().from_native([native])


def test_a_foreign_code_has_no_notation():
    cell = Cells(np.zeros((1, 7, 7), np.uint8), np.full((1, 7), 9, np.uint8))
    with pytest.raises(SpaceError, match="operation code 9"):
        NASBench101().to_native(cell)
    assert not NASBench101().is_valid(cell)[0]


def test_a_cell_outside_the_space_has_no_row(space):
    cells = space.cells()[np.array([3, 4, 5])]
    ops = cells.ops.copy()
    ops[1, 0] = 9
    assert space.rows(Cells(cells.adjacency, ops)).tolist() == [3, -1, 5]


# Parameters of the network.

def test_channels_are_divided_among_the_feeders_of_the_output():
    """Three feeders of 128 channels: 43, 43, 42; vertex 1 feeds vertices 2 and 4 and is as wide as the wider."""
    space = NASBench101()
    edges = {(0, 1), (1, 2), (1, 4), (0, 3), (2, 5), (3, 5), (4, 5)}
    cell = space.from_native([cell_of(edges, *LABELS[:1] * 4)])
    channels, feeds = vertex_channels(cell, 128)
    assert channels[0].tolist() == [0, 43, 43, 43, 42, 0, 0]
    assert np.flatnonzero(feeds[0]).tolist() == [2, 3, 4]


def test_parameters_by_hand():
    """Input to output directly: the stem, nine projections and the classifier."""
    space = NASBench101()
    direct = space.from_native([cell_of({(0, 1)})])
    pairs = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    expected = 27 * 128 + 256 + sum(a * b + 2 * b for a, b in pairs) + 512 * 10 + 10
    assert trainable_parameters(direct).tolist() == [expected]


def test_parameters_want_pruned_cells():
    space = NASBench101()
    dangling = space.from_native([cell_of({(0, 1), (0, 2)}, LABELS[0])])
    with pytest.raises(SpaceError, match="prune"):
        trainable_parameters(dangling)


# Against the published files.

def test_every_published_key_is_found_at_its_rank(space, mirror):
    for name, ranks in (("data-20k.json", range(20_001)), ("data-10k.json", range(36_202, 46_202))):
        published = json.loads((mirror / "nasbench-vis" / name).read_text())
        keys = np.array([key.encode() for key in published["key"]], "S32")
        rows = space.rows_of_keys(keys)
        assert np.sort(rows).tolist() == list(ranks)
        assert (trainable_parameters(space.cells()[rows]) == published["trainable_parameters"]).all()


def test_row_order_reproduces_the_published_parameters_of_every_cell(space, mirror):
    content = gzip.decompress(verified_bytes("nb101-parameters"))
    published = frame_columns(content, "nb101-parameters", ["params"])["params"]
    counted = trainable_parameters(space.cells())
    assert len(published) == len(counted)
    assert (np.rint(published * 1e6) == counted).all()
