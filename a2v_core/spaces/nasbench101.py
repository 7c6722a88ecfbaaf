"""NAS-Bench-101 (Ying et al. 2019; paper, Appendix A.1): 423,624 cells of 2 to 7 vertices and at most 9 edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import PAD, Cells, is_strictly_upper_triangular, prune
from a2v_core.errors import SpaceError
from a2v_core.hashing import HASH_DTYPE, module_hash
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.checks import require_nodes, require_one_valid
from a2v_core.spaces.nasbench101_enumeration import (
    INPUT,
    MAX_EDGES,
    MAX_VERTICES,
    OUTPUT,
    canonical_form,
    enumerate_cells,
)


class NASBench101(SearchSpace):
    """The cells in ascending order of their module hash, which is the row order of the benchmark's tables.

    Args:
        store: where the order of the cells is kept between processes (default: the data folder).
    """

    name = "nasbench101"
    n_nodes = MAX_VERTICES
    vocabulary = ("input", "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", "output")
    #: Label of each vocabulary code under the benchmark's module hash.
    hash_labels: ClassVar[tuple[int, ...]] = (-1, 1, 0, 2, -2)

    def __init__(self, store: ArtifactStore | None = None) -> None:
        self._store = store

    @cached_property
    def _ordered(self) -> tuple[Cells, np.ndarray]:
        """Cells and their hashes, by ascending hash."""
        cells = enumerate_cells()

        def build() -> dict[str, np.ndarray]:
            hashes = module_hash(cells, self.hash_labels, progress=True)
            return {"order": np.argsort(hashes).astype(np.int32), "hashes": np.sort(hashes)}

        code = code_digest("a2v_core.hashing", "a2v_core.md5", "a2v_core.spaces.nasbench101_enumeration")
        key = artifact_key({"space": self.name, "labels": self.hash_labels, "code": code})
        found = (self._store or ArtifactStore()).arrays("spaces", key, build)
        cells, hashes = cells[found["order"]], found["hashes"]
        for array in (cells.adjacency, cells.ops, hashes):
            array.setflags(write=False)
        return cells, hashes

    def cells(self) -> Cells:
        """All cells by ascending module hash; the arrays are read-only.

        Of each isomorphism class the representative is the one that the benchmark itself keeps. The first call on a
        machine hashes the space (well under a minute) and stores the order.
        """
        return self._ordered[0]

    def is_valid(self, cells: Cells) -> np.ndarray:
        """The rule of the official programming interface: strictly upper triangular; and after pruning a path, at
        most 7 vertices and 9 edges, input first, output last, the three operations between them."""
        require_nodes(self, cells)
        pruned, has_path = prune(cells)
        rows, last = np.arange(len(cells)), np.maximum(pruned.n_nodes - 1, 0)
        ends = (pruned.ops[:, 0] == INPUT) & (pruned.ops[rows, last] == OUTPUT)
        column = np.arange(self.n_nodes)
        interior = (column > 0) & (column < last[:, None])
        known = (pruned.ops > INPUT) & (pruned.ops < OUTPUT)
        few_edges = pruned.adjacency.sum((1, 2)) <= MAX_EDGES
        return is_strictly_upper_triangular(cells) & has_path & ends & (known | ~interior).all(1) & few_edges

    def released_is_valid(self, cells: Cells) -> np.ndarray:
        """As :meth:`is_valid`: the released code asks the official interface."""
        return self.is_valid(cells)

    def keys(self, cells: Cells) -> np.ndarray:
        """Module hash after pruning, bytes "S32" [M]; one value for all cells without a path."""
        require_nodes(self, cells)
        return module_hash(prune(cells)[0], self.hash_labels)

    def released_keys(self, cells: Cells) -> np.ndarray:
        """Module hash of the matrices as they are, vertices on no path included, bytes "S32" [M]."""
        require_nodes(self, cells)
        return module_hash(cells, self.hash_labels)

    def rows(self, cells: Cells) -> np.ndarray:
        """Row in :meth:`cells` of the architecture of each cell, int64 [M]; -1 where the cell is not valid."""
        rows = np.full(len(cells), -1, np.int64)
        valid = self.is_valid(cells)
        rows[valid] = self.rows_of_keys(self.keys(cells[valid]))
        return rows

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        """Row in :meth:`cells` of each module hash (bytes "S32" [M]), int64 [M]; -1 for an unknown one."""
        hashes = self._ordered[1]
        keys = np.asarray(keys, HASH_DTYPE)
        place = np.minimum(np.searchsorted(hashes, keys), len(hashes) - 1)
        return np.where(hashes[place] == keys, place, -1)

    def neighbours(self, cell: Cells) -> Cells:
        """Architectures one edit away: an edge added or removed, or an operation changed, every vertex still on a path.

        The edit is one of the graph, not of the matrix: an edge may be added in any direction that closes no cycle,
        so being neighbours does not depend on the order of the vertices and is symmetric. Each neighbour is the
        representative that :meth:`cells` lists. A cell with vertices on no path is pruned first.

        Raises:
            SpaceError: not exactly one cell, or not a valid one.
        """
        require_one_valid(self, cell)
        cell = prune(cell)[0]
        edited = _one_edit_away(cell)
        pruned, _ = prune(edited)
        edited = _in_topological_order(edited[pruned.n_nodes == cell.n_nodes])
        edited = canonical_form(edited[self.is_valid(edited)])
        flat = np.hstack([edited.ops, edited.adjacency.reshape(len(edited), -1)])
        _, first = np.unique(flat, axis=0, return_index=True)
        distinct, itself = edited[np.sort(first)], canonical_form(cell)
        differs = (distinct.ops != itself.ops).any(1) | (distinct.adjacency != itself.adjacency).any((1, 2))
        return distinct[differs]

    def to_native(self, cells: Cells) -> list[dict[str, list]]:
        """The two arguments of the benchmark's `ModelSpec`: {"matrix": 0/1 lists, "ops": names}, without padding.

        Raises:
            SpaceError: an operation code is not in the vocabulary.
        """
        require_nodes(self, cells)
        unknown = (cells.ops >= len(self.vocabulary)) & (cells.ops != PAD)
        if unknown.any():
            raise SpaceError(f"operation code {cells.ops[unknown][0]} is not in the vocabulary of {self.name}, which "
                             f"has codes 0 to {len(self.vocabulary) - 1} and {PAD} for padding")
        return [
            {"matrix": a[:n, :n].tolist(), "ops": [self.vocabulary[code] for code in ops[:n]]}
            for a, ops, n in zip(cells.adjacency, cells.ops, cells.n_nodes, strict=True)
        ]

    def from_native(self, natives: Sequence[Mapping[str, Any]]) -> Cells:
        """Cells of {"matrix": ..., "ops": ...}; whether they are valid is for :meth:`is_valid` to say.

        Raises:
            SpaceError: a notation is malformed; the message quotes it.
        """
        n = self.n_nodes
        cells = Cells(np.zeros((len(natives), n, n), np.uint8), np.full((len(natives), n), PAD, np.uint8))
        for row, native in enumerate(natives):
            matrix, names = _matrix_and_names(native)
            unknown = [name for name in names if name not in self.vocabulary]
            if unknown:
                raise SpaceError(f"unknown operation {unknown[0]!r} in {native!r}: use {', '.join(self.vocabulary)}")
            square = matrix.shape == (len(names), len(names))
            if not 1 <= len(names) <= n or not square or not np.isin(matrix, (0, 1)).all():
                raise SpaceError(f"{native!r} is no {self.name} cell: it needs a square matrix of 0 and 1 and as many "
                                 f"operations as rows, at most {n}")
            cells.adjacency[row, : len(names), : len(names)] = matrix
            cells.ops[row, : len(names)] = [self.vocabulary.index(name) for name in names]
        return cells


def _matrix_and_names(native: Any) -> tuple[np.ndarray, list[str]]:
    try:
        return np.array(native["matrix"]), list(native["ops"])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise SpaceError(f"{native!r} is no nasbench101 cell: give a mapping with 'matrix', a square list of lists "
                         "of 0 and 1, and 'ops', a list of names") from error


def _one_edit_away(cell: Cells) -> Cells:
    """Every matrix with one edge or one interior operation changed; cyclic and disconnected ones included."""
    n = int(cell.n_nodes[0])
    edges = [(u, v) for u in range(n - 1) for v in range(1, n) if u != v]
    changes = [(v, code) for v in range(1, n - 1) for code in range(INPUT + 1, OUTPUT) if code != cell.ops[0, v]]
    count = len(edges) + len(changes)
    edited = Cells(np.repeat(cell.adjacency, count, axis=0), np.repeat(cell.ops, count, axis=0))
    for row, (u, v) in enumerate(edges):
        edited.adjacency[row, u, v] ^= 1
    for row, (v, code) in enumerate(changes, start=len(edges)):
        edited.ops[row, v] = code
    return edited


def _in_topological_order(cells: Cells) -> Cells:
    """The acyclic ones of full cells, their vertices in the order of the longest path from the input."""
    n = cells.ops.shape[1]
    depth = np.where(cells.ops == PAD, n, 0)
    for _ in range(n):
        depth = np.maximum(depth, ((depth[:, :, None] + 1) * cells.adjacency).max(1))
    acyclic = np.where(cells.ops == PAD, 0, depth).max(1, initial=0) < n
    order = np.argsort(depth[acyclic], axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    chosen = cells[acyclic]
    return Cells(chosen.adjacency[rows[:, :, None], order[:, :, None], order[:, None, :]], chosen.ops[rows, order])
