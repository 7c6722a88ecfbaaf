"""The path encoding of BANANAS (White, Neiswanger & Savani 2021): which sequences of operations lead through a cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np

from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.spaces.base import SearchSpace


def path_encoding(space: SearchSpace, cells: Cells) -> np.ndarray:
    """One bit for each sequence of operations: whether a path from the input to the output meets just these.

    Sequences are in order of their length, and of one length in lexicographic order of their codes, so that the
    truncated encoding, the paths of at most so many operations, is the first columns. Columns depend on the space
    alone: lengths 0 to 5 on NAS-Bench-101 (3 operations: 364 columns, 40 up to length 3), 1 to 3 on NAS-Bench-201
    (5 operations: 155 columns, 30 up to length 2).

    Args:
        space: a space whose vocabulary begins with the input and ends with the output.
        cells: M valid cells.

    Returns:
        uint8 [M, P].

    Raises:
        SpaceError: a node between input and output has no operation, as in cells that are not valid, or the space has
            several inputs.
    """
    m, output = len(cells), cells.n_nodes - 1
    base = len(space.vocabulary) - 2
    place = np.arange(space.n_nodes)
    between = (place > 0) & (place < output[:, None])
    if (between & ((cells.ops == 0) | (cells.ops > base))).any():
        raise SpaceError(f"a path needs an operation at each node between input and output, which some of these {m} "
                         f"cells of {space.name} lack: encode valid cells of a space with one input")
    digits = np.where(between, cells.ops - 1, 0).astype(np.int64)
    found: dict[int, np.ndarray] = {}
    possible = _edges_somewhere(space)
    for nodes in _possible_paths(possible):
        bits = found.setdefault(len(nodes), np.zeros((m, base ** len(nodes)), np.uint8))
        exists, code, last = np.ones(m, bool), np.zeros(m, np.int64), 0
        for node in nodes:
            exists &= between[:, node] & (cells.adjacency[:, last, node] != 0)
            code, last = code * base + digits[:, node], node
        exists &= cells.adjacency[np.arange(m), last, output] != 0
        bits[exists, code[exists]] = 1
    return np.concatenate([found[length] for length in sorted(found)], axis=1)


def _edges_somewhere(space: SearchSpace) -> tuple[np.ndarray, np.ndarray]:
    """Edges between nodes that some cell of the space has, and nodes from which some cell has an edge to its output,
    bool [N, N] and [N]."""
    cells = space.cells()
    to_output = cells.adjacency[np.arange(len(cells)), :, cells.n_nodes - 1]
    return cells.adjacency.any(0), to_output.any(0)


def _possible_paths(possible: tuple[np.ndarray, np.ndarray]) -> Iterator[tuple[int, ...]]:
    """Nodes between input and output of each path that the edges allow."""
    edges, to_output = possible
    between = range(1, len(edges) - 1)
    for length in range(len(between) + 1):
        for nodes in combinations(between, length):
            path = (0, *nodes)
            if to_output[path[-1]] and all(edges[a, b] for a, b in pairwise(path)):
                yield nodes
