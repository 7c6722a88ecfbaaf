"""Checks of arguments that the search spaces share."""

from __future__ import annotations

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError
from a2v_core.spaces.base import SearchSpace


def require_nodes(space: SearchSpace, cells: Cells) -> None:
    """Check that the matrices have the size of the space.

    Raises:
        SpaceError: N differs from `space.n_nodes`.
    """
    n = cells.ops.shape[1]
    if n != space.n_nodes:
        raise SpaceError(f"{space.name} needs cells with N = {space.n_nodes} rows, got N = {n}: pad smaller cells with "
                         f"rows of operation code {PAD}, or take the space that these cells belong to")


def require_one_valid(space: SearchSpace, cell: Cells) -> None:
    """Check that a batch is a single cell of the space.

    Raises:
        SpaceError: it is not.
    """
    if len(cell) != 1:
        raise SpaceError(f"one {space.name} cell is needed, got a batch of {len(cell)}: choose one with cells[i]")
    if not space.is_valid(cell)[0]:
        raise SpaceError(f"a valid {space.name} cell is needed, got adjacency {cell.adjacency[0].tolist()} with "
                         f"operations {cell.ops[0].tolist()}: select valid ones with is_valid")
