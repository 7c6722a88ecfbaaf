"""The path encoding by hand, against a search for paths one by one, and its size on both spaces."""

import networkx as nx
import numpy as np
import pytest

from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.search.feature_encodings import path_encoding
from a2v_core.spaces import get_space

NB101, NB201 = get_space("nasbench101"), get_space("nasbench201")


def cell(edges, ops, n):
    adjacency, codes = np.zeros((1, n, n), np.uint8), np.full((1, n), 255, np.uint8)
    for a, b in edges:
        adjacency[0, a, b] = 1
    codes[0, :len(ops)] = ops
    return Cells(adjacency, codes)


def paths(cells, row):
    """Operations along every path of one cell, by networkx."""
    graph = nx.from_numpy_array(cells.adjacency[row], create_using=nx.DiGraph)
    output = int(cells.n_nodes[row]) - 1
    return {tuple(int(cells.ops[row, node]) for node in path[1:-1])
            for path in nx.all_simple_paths(graph, 0, output)}


def sequences(base, lengths):
    """All sequences of operation codes in the order of the columns."""
    return [tuple(1 + code // base**k % base for k in reversed(range(length)))
            for length in lengths for code in range(base**length)]


def test_a_cell_by_hand():
    # input -> output; input -> conv3x3 (2) -> output; input -> conv3x3 -> maxpool (3) -> output.
    found = path_encoding(NB101, cell([(0, 1), (0, 3), (1, 2), (1, 3), (2, 3)], [0, 2, 3, 4], 7))
    assert found.shape == (1, 364)
    assert found.dtype == np.uint8
    # Column 0 is the direct edge, 1 to 3 one operation, 4 to 12 two: (2, 3) is 4 + 1 * 3 + 2.
    assert np.flatnonzero(found[0]).tolist() == [0, 2, 9]


@pytest.mark.parametrize(("space", "lengths"), [(NB101, range(6)), (NB201, range(1, 4))])
def test_equals_a_search_for_paths(space, lengths):
    rows = np.random.default_rng(0).choice(len(space.cells()), 150, replace=False)
    cells = space.cells()[rows]
    found, columns = path_encoding(space, cells), sequences(len(space.vocabulary) - 2, lengths)
    assert found.shape == (150, len(columns))
    for row in range(150):
        assert {columns[i] for i in np.flatnonzero(found[row])} == paths(cells, row)


def test_columns_do_not_depend_on_the_cells():
    assert path_encoding(NB101, NB101.cells()[:1]).shape == (1, 364)
    assert path_encoding(NB201, NB201.cells()[:0]).shape == (0, 155)


def test_nasbench201_is_encoded_one_to_one_up_to_exchanged_paths():
    found = path_encoding(NB201, NB201.cells())
    assert (found[:, :5].sum(1) == 1).all()
    assert set(np.unique(found[:, 5:30].sum(1))) == {1, 2}
    assert (found[:, 30:].sum(1) == 1).all()


def test_cells_without_operations_between_are_refused():
    with pytest.raises(SpaceError, match="valid cells"):
        path_encoding(NB101, cell([(0, 1), (1, 2)], [0, 4, 4], 7))
    with pytest.raises(SpaceError, match="valid cells"):
        path_encoding(NB101, cell([(0, 1), (1, 2)], [0, 0, 4], 7))
