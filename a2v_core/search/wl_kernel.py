"""The Weisfeiler-Lehman subtree kernel on cells (Shervashidze et al. 2011), from exact classes of nodes.

After l rounds of message passing every node has a class, the same for nodes with equal surroundings up to l edges away
(:mod:`a2v_core.search.message_classes`). A cell is the counts of its nodes' classes after 0, 1, … rounds, and the
kernel of two cells is the product of their counts, scaled so that every cell has 1 with itself. What arch2vec's encoder
can tell apart at all, these counts tell apart, without any training.
"""

from __future__ import annotations

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.search.message_classes import MessageClasses, message_classes


class SubtreeCounts:
    """Classes of the nodes of M cells after 0 … `depth` rounds.

    Args:
        cells: the M cells.
        depth: rounds of message passing, at least 1.
        graph: whose messages reach a node, see :data:`a2v_core.search.message_classes.GRAPHS`.

    Attributes:
        classes: class of each node by number of rounds, int32 [depth + 1, M, N], the nodes in an order of their own;
            -1 where a row is padding, which counts for nothing.
    """

    def __init__(self, cells: Cells, depth: int = 2, graph: str = "undirected") -> None:
        self.classes = _classes_by_round(message_classes(cells, depth, graph))
        self._norms = np.sqrt(np.cumsum([_self_products(classes) for classes in self.classes], axis=0))

    def n_features(self) -> list[int]:
        """Number of different classes after 0, 1, … rounds."""
        return [len(np.setdiff1d(classes, [-1])) for classes in self.classes]

    def n_told_apart(self) -> list[int]:
        """Number of different cells by their counts after 0, 1, … rounds; cells with equal counts have kernel 1."""
        return [len(np.unique(np.sort(classes, axis=1), axis=0)) for classes in self.classes]

    def kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Kernel of cells `a` [A] against cells `b` [B] when counts after 0, up to 1, …, up to `depth` rounds are used,
        float64 [depth + 1, A, B]; entries lie in [0, 1]."""
        products = np.cumsum([_products(classes[a], classes[b]) for classes in self.classes], axis=0)
        return products / (self._norms[:, a, None] * self._norms[:, None, b])


def _classes_by_round(found: MessageClasses) -> np.ndarray:
    """Trace each node's class after the last round back to its classes before: they begin the members of a class."""
    nodes = [found.nodes.numpy()]
    for layer in reversed(found.layers):
        nodes.append(layer.members.numpy()[layer.starts.numpy()[:-1]][nodes[-1]])
    padded = found.ops.numpy()[nodes[-1]] == PAD
    return np.where(padded, -1, np.stack(nodes[::-1])).astype(np.int32)


def _self_products(classes: np.ndarray) -> np.ndarray:
    """Product of the counts of each cell with themselves, int64 [M], of classes [M, N]: pairs of nodes that agree."""
    real, total = classes >= 0, np.zeros(len(classes), np.int64)
    for node in range(classes.shape[1]):
        total += ((classes == classes[:, node, None]) & real).sum(1) * real[:, node]
    return total


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of counts, float32 [A, B], of classes [A, N] and [B, N]; exact, they are small whole numbers."""
    known, place = np.unique(b, return_inverse=True)
    counts = np.zeros((len(known) + 1, len(b)), np.float32)  # the last row is that of all classes unknown to b
    np.add.at(counts, (place.reshape(b.shape), np.arange(len(b))[:, None]), 1)
    counts[:-1][known < 0] = 0
    row = np.minimum(np.searchsorted(known, a), len(known) - 1)
    row[known[row] != a] = len(known)
    total = np.zeros((len(a), len(b)), np.float32)
    for node in range(a.shape[1]):
        total += counts[row[:, node]]
    return total
