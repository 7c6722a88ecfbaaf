"""What a search space is: the one interface behind which all of them stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from a2v_core.cells import Cells


class SearchSpace(ABC):
    """A set of cells with a fixed order, an isomorphism-invariant key and a validity test.

    Subclasses set `name`, `n_nodes` (N, rows of the padded matrices) and `vocabulary` (K operation
    names; the index of a name is its code in ``Cells.ops``).
    """

    name: ClassVar[str]
    n_nodes: ClassVar[int]
    vocabulary: ClassVar[tuple[str, ...]]

    @abstractmethod
    def cells(self) -> Cells:
        """All cells of the space (or its standard sample) in their fixed order; cached."""

    @abstractmethod
    def is_valid(self, cells: Cells) -> np.ndarray:
        """Strict validity, bool [M]: the cell is a member of the space (paper, Appendix B)."""

    @abstractmethod
    def released_is_valid(self, cells: Cells) -> np.ndarray:
        """Validity as the authors' released code tests it, bool [M]."""

    @abstractmethod
    def keys(self, cells: Cells) -> np.ndarray:
        """Identity of each cell, fixed-length bytes [M]: equal exactly when two valid cells are the same
        architecture (up to isomorphism, after pruning where the space prunes)."""

    @abstractmethod
    def released_keys(self, cells: Cells) -> np.ndarray:
        """Identity as the released code takes it (hash of the matrices as they are), bytes [M]."""

    @abstractmethod
    def neighbours(self, cell: Cells) -> Cells:
        """All distinct valid cells one elementary edit away from the one given cell, itself excluded."""

    @abstractmethod
    def to_native(self, cells: Cells) -> list[Any]:
        """The space's own notation of each cell (a spec, an architecture string, a genotype)."""

    @abstractmethod
    def from_native(self, natives: Sequence[Any]) -> Cells:
        """Inverse of :meth:`to_native`.

        Raises:
            SpaceError: a notation is malformed; the message quotes it.
        """
