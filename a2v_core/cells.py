"""Labelled directed acyclic graphs as arrays: the form in which every search space is handled.

A batch of M cells with at most N nodes is a pair of arrays, never M Python objects:

- ``adjacency`` uint8 [M, N, N], strictly upper triangular for a valid cell, 1 where row i feeds column j;
- ``ops`` uint8 [M, N], index into the space's vocabulary, :data:`PAD` on the trailing rows of a cell
  that has fewer than N nodes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from a2v_core.errors import SpaceError

#: Operation code of a padded row (a row that belongs to no node).
PAD = 255


@dataclass(frozen=True, eq=False)
class Cells:
    """A batch of M cells.

    Shapes: `adjacency` uint8 [M, N, N], `ops` uint8 [M, N].

    Raises:
        SpaceError: the shapes or types do not fit each other.
    """

    adjacency: np.ndarray
    ops: np.ndarray

    def __post_init__(self) -> None:
        a, o = self.adjacency, self.ops
        if a.dtype != np.uint8 or o.dtype != np.uint8:
            raise SpaceError(f"cells need uint8 arrays, got {a.dtype} and {o.dtype}: convert with .astype('uint8')")
        if a.ndim != 3 or o.ndim != 2 or a.shape != (*o.shape, o.shape[1]):
            raise SpaceError(f"cells need adjacency [M, N, N] and ops [M, N], got {a.shape} and {o.shape}")

    def __len__(self) -> int:
        return len(self.ops)

    def __getitem__(self, index: int | slice | np.ndarray) -> Cells:
        """A batch of the chosen cells; an integer gives a batch of one."""
        if isinstance(index, (int, np.integer)):
            index = slice(index, index + 1) if index != -1 else slice(-1, None)
        return Cells(self.adjacency[index], self.ops[index])

    @property
    def n_nodes(self) -> np.ndarray:
        """Number of nodes of each cell, int64 [M]."""
        return (self.ops != PAD).sum(1)

    def one_hot(self, n_operations: int) -> np.ndarray:
        """Operations as rows of a unit matrix, uint8 [M, N, n_operations]; padded rows are zero."""
        return (self.ops[:, :, None] == np.arange(n_operations, dtype=np.uint8)).astype(np.uint8)

    def digest(self) -> str:
        """SHA-256 over both arrays: the identity of this batch in provenance and in artifact keys."""
        h = hashlib.sha256(repr(self.adjacency.shape).encode())
        h.update(np.ascontiguousarray(self.adjacency))
        h.update(np.ascontiguousarray(self.ops))
        return h.hexdigest()


def is_strictly_upper_triangular(cells: Cells) -> np.ndarray:
    """Whether each adjacency matrix holds only 0 and 1 and only edges from a lower to a higher row, bool [M]."""
    below = np.tril_indices(cells.ops.shape[1])
    no_edge_down = ~cells.adjacency[:, below[0], below[1]].any(1)
    return no_edge_down & (cells.adjacency <= 1).all((1, 2))


def prune(cells: Cells) -> tuple[Cells, np.ndarray]:
    """Remove the nodes that lie on no path from the input (first row) to the output (last row that is not padding).

    The nodes that stay keep their order and move to the front; the rows behind them are padding. Any matrices are
    accepted, acyclic or not, and any operation codes.

    Returns:
        The pruned cells, and bool [M]: the cell has a path. One without is pruned to nothing (padding only).
    """
    m, n = cells.ops.shape
    present = cells.ops != PAD
    output = n - 1 - np.argmax(present[:, ::-1], axis=1)
    edge = (cells.adjacency != 0) & present[:, :, None] & present[:, None, :]
    from_input = np.zeros((m, n), bool)
    from_input[:, 0] = present[:, 0]
    to_output = np.zeros((m, n), bool)
    to_output[np.arange(m), output] = True
    for _ in range(n - 1):
        from_input |= (edge & from_input[:, :, None]).any(1)
        to_output |= (edge & to_output[:, None, :]).any(2)
    has_path = from_input[np.arange(m), output] & (output > 0)
    kept = from_input & to_output & has_path[:, None]

    order = np.argsort(~kept, axis=1, kind="stable")
    stays = np.take_along_axis(kept, order, axis=1)
    adjacency = cells.adjacency[np.arange(m)[:, None, None], order[:, :, None], order[:, None, :]]
    adjacency = adjacency * (stays[:, :, None] & stays[:, None, :])
    ops = np.where(stays, np.take_along_axis(cells.ops, order, axis=1), np.uint8(PAD))
    return Cells(adjacency, ops), has_path
