"""Cells as networks need them: any number of intermediate nodes, any of their outputs concatenated.

The search space of the study (:mod:`a2v_core.spaces.darts_genotypes`) has four intermediate nodes that read two
different states each, all of them concatenated. Cells of other spaces that the paper compares with have five, may read
one state twice and leave nodes out of the output; an edge is written in the same way, ``(operation, state)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from a2v_core.errors import SpaceError
from a2v_core.spaces.darts_genotypes import OPERATIONS, Genotype, NetworkGenotype, parse_genotype

#: Operations of all cells here: the eight of the DARTS space, and what only NASNet, AmoebaNet and PNAS have.
ALL_OPERATIONS = (*OPERATIONS, "sep_conv_7x7", "conv_7x1_1x7")


@dataclass(frozen=True)
class CellPlan:
    """One cell.

    Attributes:
        edges: two ``(operation, state)`` for each intermediate node in order; state 0 is c_{k-2}, 1 is c_{k-1}, 2 + j
            is intermediate node j.
        concatenated: the states that make up the output.

    Raises:
        SpaceError: an edge reads a state that does not exist yet, an operation is unknown, or the output is empty.
    """

    edges: tuple[tuple[str, int], ...]
    concatenated: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.edges or len(self.edges) % 2:
            raise SpaceError(f"a cell has two edges for each intermediate node, got {len(self.edges)} edges")
        for i, (operation, state) in enumerate(self.edges):
            if operation not in ALL_OPERATIONS:
                raise SpaceError(f"edge {i}: unknown operation {operation!r}: choose from {', '.join(ALL_OPERATIONS)}")
            if not 0 <= state < 2 + i // 2:
                raise SpaceError(f"edge {i} ({operation}) reads state {state}: it can read 0 to {1 + i // 2}")
        if not self.concatenated or not all(0 <= state < 2 + self.n_nodes for state in self.concatenated):
            raise SpaceError(f"the output concatenates {self.concatenated}: name states from 0 to {1 + self.n_nodes}")

    @property
    def n_nodes(self) -> int:
        """Number of intermediate nodes."""
        return len(self.edges) // 2


class NetworkPlan(NamedTuple):
    """The two kinds of cells of a network."""

    normal: CellPlan
    reduction: CellPlan


def network_plan(genotype: NetworkPlan | NetworkGenotype | Genotype | str) -> NetworkPlan:
    """The plan of a network; a single genotype serves as both kinds of cell, a text is read as
    :func:`~a2v_core.spaces.darts_genotypes.parse_genotype` reads it.

    Raises:
        SpaceError: the argument is none of these.
    """
    if isinstance(genotype, NetworkPlan):
        return genotype
    if isinstance(genotype, str):
        genotype = parse_genotype(genotype)
    if isinstance(genotype, Genotype):
        genotype = NetworkGenotype(genotype, genotype)
    if not isinstance(genotype, NetworkGenotype):
        raise SpaceError(f"a network is built from a genotype, a pair of them or its text, got {genotype!r}")
    return NetworkPlan(*(CellPlan(cell.edges, tuple(range(2, 2 + len(cell.edges) // 2))) for cell in genotype))
