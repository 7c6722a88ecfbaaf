"""Small labelled graphs for tests: random ones, given ones, and how to put them together."""

import numpy as np

from a2v_core.cells import PAD, Cells


def random_cells(seed, m, n, n_ops=2, density=0.4, padding=True):
    """Random DAGs whose rows are in a random order, some of them with padded rows."""
    rng = np.random.default_rng(seed)
    adjacency = np.triu(rng.random((m, n, n)) < density, 1)
    sizes = rng.integers(max(n - 2, 1), n + 1, m) if padding else np.full(m, n)
    real = np.arange(n) < sizes[:, None]
    adjacency &= real[:, :, None] & real[:, None, :]
    ops = np.where(real, rng.integers(0, n_ops, (m, n)), PAD)
    return Cells(adjacency.astype(np.uint8), ops.astype(np.uint8))


def relabelled(cells, seed):
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(cells.ops.shape[1]), (len(cells), 1)), axis=1)
    rows = np.arange(len(cells))[:, None, None]
    return Cells(cells.adjacency[rows, order[:, :, None], order[:, None, :]],
                 np.take_along_axis(cells.ops, order, axis=1))


def same_partition(labels, things):
    pairs = set(zip(labels.tolist(), things, strict=True))
    return len(pairs) == len(set(labels.tolist())) == len(set(things))


def graph(edges, n, ops=None):
    adjacency = np.zeros((1, n, n), np.uint8)
    for i, j in edges:
        adjacency[0, i, j] = 1
    return Cells(adjacency, np.zeros((1, n), np.uint8) if ops is None else np.array([ops], np.uint8))


def together(*cells):
    return Cells(np.concatenate([c.adjacency for c in cells]), np.concatenate([c.ops for c in cells]))
