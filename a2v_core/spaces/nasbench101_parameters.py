"""Trainable parameters of the NAS-Bench-101 network of a cell (Ying et al. 2019, sections 2.2 and 2.3).

The network: a 3x3 convolution to 128 channels, three stacks of three cells with twice the channels from stack to
stack, global average pooling, a dense layer to 10 classes. Every convolution is followed by batch normalisation with
scale and offset and has no bias.

The channels of a cell are divided among the vertices that feed its output, and what does not divide goes one channel
each to the first of them: with three such vertices the count depends on the order of the vertices, not only
on the isomorphism class.
"""

from __future__ import annotations

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError

STEM_CHANNELS, N_STACKS, CELLS_PER_STACK, N_CLASSES, IMAGE_CHANNELS = 128, 3, 3, 10, 3
#: Side of the kernel of each operation of the space's vocabulary; 0: no parameters.
_KERNEL = np.array([0, 1, 3, 0, 0], np.int64)


def trainable_parameters(cells: Cells) -> np.ndarray:
    """Number of trainable parameters of each pruned, valid cell, int64 [M].

    Raises:
        SpaceError: a cell has a vertex that does not lead to the output.
    """
    total = np.full(len(cells), _convolution(3, IMAGE_CHANNELS, STEM_CHANNELS), np.int64)
    entering = channels = STEM_CHANNELS
    for stack in range(N_STACKS):
        channels = STEM_CHANNELS << stack
        total += _cell_parameters(cells, entering, channels)
        total += (CELLS_PER_STACK - 1) * _cell_parameters(cells, channels, channels)
        entering = channels
    return total + channels * N_CLASSES + N_CLASSES


def _convolution(kernel: np.ndarray | int, entering: np.ndarray | int, leaving: np.ndarray | int) -> np.ndarray | int:
    """Weights of a convolution and of the batch normalisation behind it."""
    return kernel * kernel * entering * leaving + 2 * leaving


def _cell_parameters(cells: Cells, entering: int, leaving: int) -> np.ndarray:
    channels, feeds_output = vertex_channels(cells, leaving)
    interior = _interior(cells)
    kernel = np.where(interior, _KERNEL[np.where(interior, cells.ops, 0)], 0)
    own = np.where(kernel > 0, _convolution(kernel, channels, channels), 0).sum(1)
    # The cell's input reaches interior vertices, and the output, through a 1x1 projection.
    projected = np.where(interior & (cells.adjacency[:, 0] == 1), _convolution(1, entering, channels), 0).sum(1)
    return own + projected + np.where(feeds_output[:, 0], _convolution(1, entering, leaving), 0)


def vertex_channels(cells: Cells, leaving: int) -> tuple[np.ndarray, np.ndarray]:
    """Channels of each interior vertex, int64 [M, N] (0 elsewhere), when the cell has `leaving` output channels; and
    which vertices feed the output, bool [M, N]."""
    rows = np.arange(len(cells))
    interior = _interior(cells)
    feeds_output = cells.adjacency[rows, :, cells.n_nodes - 1] == 1
    shared = feeds_output & interior
    count = np.maximum(shared.sum(1), 1)
    first_ones = np.cumsum(shared, axis=1) <= (leaving % count)[:, None]
    channels = np.where(shared, (leaving // count)[:, None] + first_ones, 0)
    # A vertex without an edge to the output has as many channels as the widest that it feeds.
    for vertex in range(cells.ops.shape[1] - 2, 0, -1):
        widest = (channels * (cells.adjacency[:, vertex] == 1)).max(1)
        channels[:, vertex] = np.where(interior[:, vertex] & ~shared[:, vertex], widest, channels[:, vertex])
    if (channels[interior] == 0).any():
        raise SpaceError("a vertex does not lead to the output: prune the cells before counting their parameters")
    return channels, feeds_output


def _interior(cells: Cells) -> np.ndarray:
    """Vertices between input and output, bool [M, N]."""
    inside = cells.ops != PAD
    inside[np.arange(len(cells)), cells.n_nodes - 1] = False
    inside[:, 0] = False
    return inside
