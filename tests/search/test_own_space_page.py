"""The search space that the page "A space of one's own" defines fulfils what a space promises."""

from functools import cached_property
from itertools import permutations, product
from pathlib import Path

import nbformat
import numpy as np
import pytest

from a2v_core.cells import PAD, Cells, is_strictly_upper_triangular, prune
from a2v_core.edit_distance import edit_distance
from a2v_core.errors import SpaceError
from a2v_core.graph_codes import canonical_codes
from a2v_core.spaces import SearchSpace
from a2v_core.spaces.checks import require_nodes, require_one_valid

PAGE = Path(__file__).resolve().parents[2] / "notebooks" / "beyond_own_space.ipynb"
#: What the page has imported before its class.
IMPORTED = {"np": np, "cached_property": cached_property, "permutations": permutations, "product": product, "PAD": PAD,
            "Cells": Cells, "is_strictly_upper_triangular": is_strictly_upper_triangular, "prune": prune,
            "canonical_codes": canonical_codes, "SearchSpace": SearchSpace, "require_nodes": require_nodes,
            "require_one_valid": require_one_valid}


@pytest.fixture(scope="module")
def space():
    (source,) = [cell.source for cell in nbformat.read(PAGE, as_version=4).cells if "class DigitCells" in cell.source]
    names = {**IMPORTED, "__name__": "page"}
    exec(compile(source, str(PAGE), "exec"), names)
    return names["DigitCells"]()


def same(left, right):
    return bool((left.adjacency == right.adjacency).all() and (left.ops == right.ops).all())


def test_every_architecture_is_there_once(space):
    cells = space.cells()
    assert cells is space.cells()
    assert space.is_valid(cells).all()
    assert len(np.unique(space.keys(cells))) == len(cells)
    # One operation: on one of three, with or without an edge past it; none: input to output.
    assert np.bincount(cells.n_nodes).tolist()[:4] == [0, 0, 1, 6]
    # Two: either all three wirings in a row (with or without each of three shortcuts), or side by side.
    in_a_row, side_by_side = 9 * 2**3, 6 * 2
    assert (cells.n_nodes == 4).sum() == in_a_row + side_by_side


def test_keys_do_not_depend_on_the_order_of_nodes(space):
    rng, cells = np.random.default_rng(0), space.cells()
    for number in rng.integers(len(cells), size=30):
        cell = cells[int(number)]
        n = int(cell.n_nodes[0])
        order = np.r_[0, 1 + rng.permutation(n - 2), n - 1:space.n_nodes]
        moved = Cells(cell.adjacency[:, order][:, :, order], cell.ops[:, order])
        assert space.keys(moved)[0] == space.keys(cell)[0]
        assert space.is_valid(moved)[0] == is_strictly_upper_triangular(moved)[0]


def test_matrices_that_are_no_cell(space):
    cell = space.cells()[len(space.cells()) - 1]
    cut, loop, other, longer = (Cells(cell.adjacency.copy(), cell.ops.copy()) for _ in range(4))
    cut.adjacency[0, :, 1] = 0
    loop.adjacency[0, 4, 0] = 1
    other.ops[0, 2] = 4
    longer.ops[0, 4] = PAD
    for wrong in (cut, loop, other, longer):
        assert not space.is_valid(wrong)[0]
    with pytest.raises(SpaceError):
        space.is_valid(Cells(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4), np.uint8)))


def test_neighbours_are_all_cells_at_edit_distance_one(space):
    cells = space.cells()
    keys = space.keys(cells)
    for number in (0, 3, 50, 1000, 2500):
        cell = cells[number]
        beside = space.keys(space.neighbours(cell))
        assert len(set(beside.tolist())) == len(beside)
        distance = edit_distance(Cells(*(a.repeat(len(cells), axis=0) for a in (cell.adjacency, cell.ops))), cells)
        assert set(beside.tolist()) == set(keys[distance == 1].tolist())
    with pytest.raises(SpaceError):
        space.neighbours(cells[:2])


def test_own_notation_there_and_back(space):
    cells = space.cells()[::17]
    natives = space.to_native(cells)
    assert same(space.from_native(natives), cells)
    assert natives[0] == (("input", "output"), ((0, 1),))
