"""Random cells and models for tests of what takes any labelled directed acyclic graph."""

import numpy as np
import torch

from a2v_core.cells import PAD, Cells


def random_cells(m, n, k, seed=0, padded=True):
    """M directed acyclic graphs of 2 to n nodes (n where not `padded`) with half of all edges, operations 0 to k-1."""
    rng = np.random.default_rng(seed)
    adjacency = np.triu(rng.integers(0, 2, (m, n, n)), 1).astype(np.uint8)
    ops = rng.integers(0, k, (m, n)).astype(np.uint8)
    sizes = rng.integers(2, n + 1, m) if padded else np.full(m, n)
    outside = np.arange(n) >= sizes[:, None]
    adjacency[outside[:, :, None] | outside[:, None, :]] = 0
    ops[outside] = PAD
    return Cells(adjacency, ops)


def relabelled(cells, seed=0):
    """The same graphs with their nodes (padded rows included) in another order."""
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(cells.ops.shape[1]) for _ in range(len(cells))])
    row = np.arange(len(cells))[:, None]
    return Cells(cells.adjacency[row[:, :, None], order[:, :, None], order[:, None, :]], cells.ops[row, order])


def moved_away(stack, parameters=0.2, seed=1):
    """The stack with parameters, running means and running variances that are not the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    states = [stack.state_dict(i) for i in range(len(stack.seeds))]
    for state in states:
        for name, tensor in state.items():
            if name.endswith("running_var"):
                tensor.mul_(torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5)
            else:
                scale = 0.2 if name.endswith("running_mean") else parameters
                tensor.add_(scale * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    stack.load_state_dicts(states)
    return stack
