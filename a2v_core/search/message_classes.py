"""A graph network on a whole search space, computed once for every distinct message instead of once for every node.

After l rounds of message passing the state of a node is a function of its own state before the last round and of the
multiset of its neighbours' states, so nodes of one Weisfeiler-Lehman class share it, whatever the weights (Xu et al.
2019, "How powerful are graph neural networks?"). The classes of a space are found once. A forward pass then computes a
row for each class, and a cell is read out from the classes of its nodes. This is exact: nothing is sampled or hashed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from a2v_core.cells import Cells
from a2v_core.errors import SettingsError, SpaceError

#: Whose messages reach a node: the nodes that it feeds (rows of A), or all that share an edge with it (A + A^T).
GRAPHS = ("directed", "undirected")


@dataclass(frozen=True, eq=False)
class ClassLayer:
    """The C classes of nodes after one round.

    Attributes:
        members: what each class adds up: the class of the node itself before the round, then those of its neighbours,
            class after class, int32 [E].
        starts: where each class begins in `members`, and the end, int32 [C + 1].
        multiplicity: nodes of each class among all cells, int64 [C].
    """

    members: torch.Tensor
    starts: torch.Tensor
    multiplicity: torch.Tensor

    def __len__(self) -> int:
        return len(self.multiplicity)


@dataclass(frozen=True, eq=False)
class MessageClasses:
    """The classes of all nodes of M cells.

    Attributes:
        ops: operation of each class before the first round (a padded row counts as a node without operation), uint8
            [C0].
        layers: the classes after each round.
        nodes: class of each node after the last round, int32 [M, N], ascending in each cell: equal cells are read out
            in the same order.
    """

    ops: torch.Tensor
    layers: tuple[ClassLayer, ...]
    nodes: torch.Tensor

    def to(self, device: torch.device | str) -> MessageClasses:
        """The same on a device."""
        layers = tuple(ClassLayer(*(tensor.to(device) for tensor in (layer.members, layer.starts, layer.multiplicity)))
                       for layer in self.layers)
        return MessageClasses(self.ops.to(device), layers, self.nodes.to(device))


def message_classes(cells: Cells, n_layers: int, graph: str) -> MessageClasses:
    """The classes of the nodes of all cells, for a network of `n_layers` layers on one of :data:`GRAPHS`.

    Raises:
        SettingsError: an unknown graph, or no layer.
        SpaceError: a cell has an edge both ways or to itself.
    """
    neighbour = neighbours(cells.adjacency, graph)
    if n_layers < 1:
        raise SettingsError(f"n_layers={n_layers!r} must be positive")
    ops, nodes = np.unique(cells.ops, return_inverse=True)
    nodes, n_classes, layers = nodes.reshape(cells.ops.shape).astype(np.int32), len(ops), []
    for _ in range(n_layers):
        layer, nodes = _next_classes(neighbour, nodes, n_classes)
        layers.append(layer)
        n_classes = len(layer)
    return MessageClasses(torch.from_numpy(ops), tuple(layers), torch.from_numpy(np.sort(nodes, axis=1)))


def neighbours(adjacency: np.ndarray, graph: str) -> np.ndarray:
    """Whether node i gathers the state of node j, bool [..., N, N]; see :data:`GRAPHS`.

    Raises:
        SettingsError: an unknown graph.
        SpaceError: a cell has an edge both ways or to itself.
    """
    if graph not in GRAPHS:
        raise SettingsError(f"graph={graph!r} is unknown: choose one of {', '.join(GRAPHS)}")
    edge = adjacency != 0
    reverse = edge.swapaxes(-1, -2)
    if (edge & reverse).any():
        raise SpaceError("a cell has an edge both ways or to itself: check cells with is_valid first")
    return edge if graph == "directed" else edge | reverse


def _next_classes(neighbour: np.ndarray, nodes: np.ndarray, n_classes: int) -> tuple[ClassLayer, np.ndarray]:
    """One round: the new classes, and the class of each node [M, N], given those before it."""
    m, n = nodes.shape
    rows = np.zeros((n, m, 1 + int(neighbour.sum(2).max(initial=0))), np.int32)
    for i in range(n):
        gathered = np.where(neighbour[:, i], nodes + 1, 0)
        gathered.sort(axis=1)
        rows[i, :, 0], rows[i, :, 1:] = nodes[:, i], gathered[:, ::-1][:, : rows.shape[2] - 1]
    rows = rows.reshape(n * m, -1)

    words = _packed(rows, n_classes)
    order = np.lexsort(words[::-1])
    is_first = np.ones(len(order), bool)
    is_first[1:] = (words[:, order[1:]] != words[:, order[:-1]]).any(0)
    new = np.empty(n * m, np.int32)
    new[order] = np.cumsum(is_first) - 1
    rows = rows[order[is_first]]

    taken = rows > 0
    taken[:, 0] = True
    rows[:, 1:] -= 1
    starts = np.concatenate([[0], np.cumsum(taken.sum(1))]).astype(np.int32)
    layer = ClassLayer(*(torch.from_numpy(x) for x in (rows[taken], starts, np.bincount(new).astype(np.int64))))
    return layer, new.reshape(n, m).T


def _packed(rows: np.ndarray, n_classes: int) -> np.ndarray:
    """Rows of numbers from 0 to n_classes as few words each that have the same order, uint64 [words, rows]."""
    bits = int(n_classes).bit_length()
    a_word = 64 // bits
    words = np.zeros((-(-rows.shape[1] // a_word), len(rows)), np.uint64)
    for column in range(rows.shape[1]):
        word = words[column // a_word]
        word <<= np.uint64(bits)
        word |= rows[:, column].astype(np.uint64)
    return words
