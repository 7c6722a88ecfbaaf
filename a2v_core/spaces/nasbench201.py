"""NAS-Bench-201 (Dong & Yang 2020; paper, Appendix A.2): 15,625 cells with one fixed graph.

The benchmark puts an operation on each of the six edges between four nodes. Here each operation is a node between
an input and an output node, in the order of the architecture string, which gives 8 nodes and 10 fixed edges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from random import Random
from typing import ClassVar

import numpy as np

from a2v_core.cells import Cells
from a2v_core.errors import SpaceError
from a2v_core.hashing import module_hash
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.checks import require_nodes, require_one_valid

#: Edges between the 8 nodes.
EDGES = ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7))
#: Operations in the benchmark's own order: the digits 0 to 4 of its opcodes.
OPCODE_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: The benchmark's source node of each of the six operations, by target node 1, 2, 3.
SOURCES = ((0,), (0, 1), (0, 1, 2))
#: The official index of a cell is its place in the lexicographic list of opcodes shuffled with this seed.
OFFICIAL_SEED = 88

_FIELD = re.compile(r"\|([a-z0-9_]+)~([0-9]+)")


class NASBench201(SearchSpace):
    """The 15,625 cells in the order of the official index (as NAS-Bench-201 and NATS-Bench number them)."""

    name = "nasbench201"
    n_nodes = 8
    vocabulary = ("input", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", "output")
    #: Labels of the vocabulary under the module hash: input -1, output -2, operations from 0.
    hash_labels: ClassVar[tuple[int, ...]] = (-1, 0, 1, 2, 3, 4, -2)

    @cached_property
    def _adjacency(self) -> np.ndarray:
        matrix = np.zeros((8, 8), np.uint8)
        matrix[tuple(np.transpose(EDGES))] = 1
        return matrix

    @cached_property
    def _code(self) -> dict[str, int]:
        return {operation: self.vocabulary.index(operation) for operation in OPCODE_OPERATIONS}

    @cached_property
    def _cells(self) -> Cells:
        opcodes = list(product([self._code[operation] for operation in OPCODE_OPERATIONS], repeat=6))
        Random(OFFICIAL_SEED).shuffle(opcodes)
        cells = self._with_operations(np.array(opcodes, np.uint8))
        cells.adjacency.setflags(write=False)
        cells.ops.setflags(write=False)
        return cells

    def _with_operations(self, operations: np.ndarray) -> Cells:
        """Cells with the fixed graph; operations uint8 [M, 6]."""
        ops = np.empty((len(operations), 8), np.uint8)
        ops[:, 0], ops[:, 1:7], ops[:, 7] = 0, operations, 6
        return Cells(np.repeat(self._adjacency[None], len(ops), axis=0), ops)

    def cells(self) -> Cells:
        """All cells, row = official index; the arrays are read-only."""
        return self._cells

    def is_valid(self, cells: Cells) -> np.ndarray:
        """Input first, output last, the five operations between them, and exactly the fixed edges."""
        require_nodes(self, cells)
        ends = (cells.ops[:, 0] == 0) & (cells.ops[:, 7] == 6)
        middle = cells.ops[:, 1:7]
        return ends & ((middle >= 1) & (middle <= 5)).all(1) & (cells.adjacency == self._adjacency).all((1, 2))

    def released_is_valid(self, cells: Cells) -> np.ndarray:
        """First, last and middle operations only: the edges are not looked at, and the check of the middle begins one
        node late, so that any code passes in node 1."""
        require_nodes(self, cells)
        middle = cells.ops[:, 2:7]
        return (cells.ops[:, 0] == 0) & (cells.ops[:, 7] == 6) & ((middle >= 1) & (middle <= 5)).all(1)

    def keys(self, cells: Cells) -> np.ndarray:
        """Module hash, bytes "S32" [M]; the fixed graph has no symmetry, so all 15,625 differ."""
        require_nodes(self, cells)
        return module_hash(cells, self.hash_labels)

    def released_keys(self, cells: Cells) -> np.ndarray:
        """As :meth:`keys`: this space prunes nothing."""
        return self.keys(cells)

    def rows(self, cells: Cells) -> np.ndarray:
        """Official index of each cell, int64 [M]; -1 where the cell is not a member of the space."""
        member = self.is_valid(cells)
        place = 5 ** np.arange(5, -1, -1)
        index_of_rank = np.empty(5**6, np.int64)
        index_of_rank[(self._cells.ops[:, 1:7] - 1) @ place] = np.arange(5**6)
        rank = np.where(member, np.where(member[:, None], cells.ops[:, 1:7] - 1, 0) @ place, 0)
        return np.where(member, index_of_rank[rank], -1)

    def neighbours(self, cell: Cells) -> Cells:
        """The 24 cells with one operation changed.

        Raises:
            SpaceError: not exactly one cell, or not a valid one.
        """
        require_one_valid(self, cell)
        edits = [(slot, code) for slot in range(6) for code in range(1, 6) if cell.ops[0, slot + 1] != code]
        operations = np.repeat(cell.ops[:, 1:7], len(edits), axis=0)
        slots, codes = np.transpose(edits)
        operations[np.arange(len(edits)), slots] = codes
        return self._with_operations(operations)

    def to_native(self, cells: Cells) -> list[str]:
        """Architecture strings, such as "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|".

        Raises:
            SpaceError: a cell is not valid.
        """
        valid = self.is_valid(cells)
        if not valid.all():
            raise SpaceError(f"cell {int(np.argmin(valid))} of the batch is no {self.name} cell, so it has no "
                             "architecture string: select the valid ones with is_valid first")
        strings = []
        for codes in cells.ops[:, 1:7].tolist():
            names = iter(self.vocabulary[code] for code in codes)
            strings.append("+".join("".join(f"|{next(names)}~{s}" for s in group) + "|" for group in SOURCES))
        return strings

    def from_native(self, natives: Sequence[str]) -> Cells:
        """Cells of architecture strings.

        Raises:
            SpaceError: a string is malformed; the message quotes it.
        """
        return self._with_operations(np.array([self._parse(text) for text in natives], np.uint8).reshape(-1, 6))

    def _parse(self, text: str) -> list[int]:
        pattern = "+".join("".join(f"|{{}}~{s}" for s in group) + "|" for group in SOURCES)
        names = [name for name, _ in _FIELD.findall(text)] if isinstance(text, str) else []
        if len(names) != 6 or text != pattern.format(*names) or not set(names) <= set(OPCODE_OPERATIONS):
            raise SpaceError(f"{text!r} is no {self.name} architecture string: it must read "
                             f"{pattern.format(*['OP'] * 6)!r} with OP one of {', '.join(OPCODE_OPERATIONS)}")
        return [self._code[name] for name in names]
