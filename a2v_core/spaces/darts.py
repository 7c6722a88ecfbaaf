"""The DARTS search space (Liu et al. 2019) as the paper encodes it: one cell, used as normal and as reduction cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.hashing import module_hash
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.darts_cost import CONVENTIONS, Convention, in_mobile_setting
from a2v_core.spaces.darts_encoding import (
    FIRST_OPERATION,
    N_NODES,
    NODE_OF_EDGE,
    OUTPUT,
    VOCABULARY,
    Edges,
    cell_keys,
    cells_to_edges,
    check_shape,
    edge_keys,
    edges_to_cells,
    is_genotype,
)
from a2v_core.spaces.darts_genotypes import N_EDGES, Genotype, NetworkGenotype, parse_genotype
from a2v_core.spaces.darts_sampling import sample_edges

#: More cells than this are refused: their matrices would take over a gigabyte.
_MOST_CELLS = 10_000_000


class DARTS(SearchSpace):
    """Unique cells in the mobile setting, sampled uniformly (paper, §4 and Appendix A.3).

    A cell is in the sample when it is new up to isomorphism of its 11-node graph and the ImageNet network made of it
    (48 channels, 14 cells, no auxiliary head) has under 600 M multiply-adds. The default counts them as the authors'
    code does, batch normalisation and pooling included: that is what drew the paper's sample, and as the stricter
    convention it leaves only cells that are in the mobile setting under both.

    Args:
        n_cells: size of the sample, at least 1.
        seed: of the sample; a smaller sample is the beginning of a larger one.
        convention: how multiply-adds are counted, see :mod:`a2v_core.spaces.darts_cost`.

    Raises:
        SettingsError: an argument is out of range.
    """

    name: ClassVar[str] = "darts"
    n_nodes: ClassVar[int] = N_NODES
    vocabulary: ClassVar[tuple[str, ...]] = VOCABULARY

    def __init__(self, n_cells: int = 600_000, seed: int = 0, convention: Convention = "released") -> None:
        if not 1 <= n_cells <= _MOST_CELLS:
            raise SettingsError(f"n_cells must be from 1 to {_MOST_CELLS}, got {n_cells}")
        if seed < 0:
            raise SettingsError(f"seed must not be negative, got {seed}")
        if convention not in CONVENTIONS:
            raise SettingsError(f"convention {convention!r} is unknown: choose one of {', '.join(CONVENTIONS)}")
        self.n_cells, self.seed, self.convention = n_cells, seed, convention

    @cached_property
    def edges(self) -> Edges:
        """The sample as genotypes, uint8 [n_cells, 8] each: the form that costs are computed from."""
        return sample_edges(self.n_cells, self.seed, self.convention, progress=self.n_cells > 10_000)

    @cached_property
    def _cells(self) -> Cells:
        return edges_to_cells(self.edges)

    def cells(self) -> Cells:
        """The sample in the order of drawing, [n_cells, 11, 11] and [n_cells, 11]; drawn once in about two seconds."""
        return self._cells

    def is_valid(self, cells: Cells) -> np.ndarray:
        """Strict validity, bool [M]: all six conditions of Appendix B (see
        :func:`~a2v_core.spaces.darts_encoding.appendix_b` for how each is read), inner labels that are operations, and
        an output that reads all intermediate nodes; such a matrix maps back to exactly one genotype. The limit of
        600 M multiply-adds is not a matter of validity."""
        return is_genotype(cells)

    def released_is_valid(self, cells: Cells) -> np.ndarray:
        """Validity as the authors' code tests it, bool [M]. Checked are the labels (the two inputs, operations, output)
        and, for each operation node, that some node before its own intermediate node feeds it and none after its own
        does (not tested for the last intermediate node). Not checked: how many states it reads, edges inside a pair,
        successors, and the column of the output."""
        check_shape(cells)
        ops, a = cells.ops, cells.adjacency != 0
        inner = ops[:, 2:-1]
        valid = (ops[:, 0] == 0) & (ops[:, 1] == 1) & (ops[:, -1] == OUTPUT)
        valid &= ((inner >= FIRST_OPERATION) & (inner < OUTPUT)).all(1)
        for edge, node in enumerate(NODE_OF_EDGE):
            own = 2 + 2 * node
            valid &= a[:, :own, 2 + edge].any(1)
            if own + 2 < N_NODES - 1:
                valid &= ~a[:, own + 2 :, 2 + edge].any(1)
        return valid

    def keys(self, cells: Cells) -> np.ndarray:
        """Identity of each cell, bytes "S8" [M]: equal exactly when the labelled 11-node graphs are isomorphic,
        whatever the order of rows. Cells that differ in how the edges of unread intermediate nodes are paired are one
        graph, hence one key (the authors' hash does not tell them apart either), though their networks add
        different pairs of operations. A matrix that is no relabelled genotype gets a digest of its bytes."""
        return cell_keys(cells)

    def released_keys(self, cells: Cells) -> np.ndarray:
        """The module hash of the matrices as they are, labels 0 … 10, bytes "S32" [M]."""
        check_shape(cells)
        return module_hash(cells, range(PAD + 1))  # a label for every code that garbage may hold

    def neighbours(self, cell: Cells) -> Cells:
        """All cells that differ from the given one by one operation or one input, one of each key, itself excluded, in
        the mobile setting under this space's convention; they need not be in the sample.

        Raises:
            SpaceError: not exactly one cell is given, or it is not strictly valid.
        """
        if len(cell) != 1:
            raise SpaceError(f"neighbours of one cell are asked for, got {len(cell)} cells: pass cells[i]")
        start = cells_to_edges(cell)
        ops, inputs = start.ops[0], start.inputs[0]
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for edge in range(N_EDGES):
            for op in range(FIRST_OPERATION, OUTPUT):
                if op != ops[edge]:
                    found.append((_replaced(ops, edge, op), inputs))
            for state in range(2 + NODE_OF_EDGE[edge]):
                if state not in (inputs[edge], inputs[edge ^ 1]):
                    found.append((ops, _replaced(inputs, edge, state)))
        edges = Edges(np.stack([o for o, _ in found]), np.stack([i for _, i in found]))
        keys = edge_keys(edges)
        keep = np.zeros(len(found), dtype=bool)
        keep[np.unique(keys, return_index=True)[1]] = True
        keep &= (keys != edge_keys(start)[0]) & in_mobile_setting(edges, self.convention)
        return edges_to_cells(Edges(edges.ops[keep], edges.inputs[keep]))

    def to_native(self, cells: Cells) -> list[Genotype]:
        """The genotype of each cell; ``str`` of it is the text form.

        Raises:
            SpaceError: a cell is not strictly valid.
        """
        edges = cells_to_edges(cells)
        return [
            Genotype(tuple((VOCABULARY[op], source) for op, source in zip(ops, inputs, strict=True)))
            for ops, inputs in zip(edges.ops.tolist(), edges.inputs.tolist(), strict=True)
        ]

    def from_native(self, natives: Sequence[Genotype | NetworkGenotype | str]) -> Cells:
        """Cells of genotypes, of pairs of equal cells, or of their text forms.

        Raises:
            SpaceError: a notation is malformed, or its normal and reduction cells differ.
        """
        return edges_to_cells(genotype_edges([_one_cell(native) for native in natives]))


def genotype_edges(genotypes: Sequence[Genotype]) -> Edges:
    """Genotypes as arrays, uint8 [M, 8] each; for separate normal and reduction cells call it once for each kind."""
    ops = [[VOCABULARY.index(operation) for operation, _ in genotype.edges] for genotype in genotypes]
    inputs = [[source for _, source in genotype.edges] for genotype in genotypes]
    return Edges(*(np.array(part, dtype=np.uint8).reshape(-1, N_EDGES) for part in (ops, inputs)))


def _replaced(values: np.ndarray, at: int, value: int) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


def _one_cell(native: Genotype | NetworkGenotype | str) -> Genotype:
    if isinstance(native, Genotype):
        return native
    pair = parse_genotype(native) if isinstance(native, str) else native
    if not isinstance(pair, NetworkGenotype):
        raise SpaceError(f"a genotype or its text is needed, got {native!r}")
    if pair.normal != pair.reduction:
        raise SpaceError(f"normal and reduction cell differ in {pair}: in this space one cell serves as both")
    return pair.normal
