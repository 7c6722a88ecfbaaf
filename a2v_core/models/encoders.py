"""Graph encoders on DGL's layers: the definition of the model (§3.1.2).

They are written for reading and for tests. Training runs the same parameters on dense matrices
(:mod:`a2v_core.models.dense`), which is the same function and faster on cells of a dozen nodes.
"""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn

# DGL asks for its backend by writing into the home folder unless it is told beforehand.
os.environ.setdefault("DGLBACKEND", "pytorch")

import dgl
from dgl.nn import GINConv, GraphConv


def _mlp(n_in: int, n_out: int) -> nn.Sequential:
    """Two linear-batchnorm-ReLU triplets (§3.1.2), [R, n_in] → [R, n_out]."""
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(),
                         nn.Linear(n_out, n_out), nn.BatchNorm1d(n_out), nn.ReLU())


class GINLayer(nn.Module):
    """Eq. 2: MLP((1 + eps) h + A~ h), eps trainable from 0.

    With ``direction="split"`` the MLP reads [(1 + eps) h + A^T h, A h] side by side, so that what enters a node and
    what leaves it stay apart.
    """

    def __init__(self, n_in: int, n_out: int, direction: str) -> None:
        super().__init__()
        self.split = direction == "split"
        self.mlp = _mlp(2 * n_in if self.split else n_in, n_out)
        self.conv = GINConv(None, "sum", learn_eps=True)
        # eps = -1 leaves the bare sum over neighbours.
        self.out_edges = GINConv(None, "sum", init_eps=-1.0) if self.split else None

    def forward(self, graph: dgl.DGLGraph, h: torch.Tensor) -> torch.Tensor:
        """[V, n_in] → [V, n_out] for a (batched) graph of V nodes."""
        if self.split:
            return self.mlp(torch.cat([self.conv(graph, h), self.out_edges(dgl.reverse(graph), h)], 1))
        return self.mlp(self.conv(graph, h))


class GINEncoder(nn.Module):
    """Graph isomorphism network with linear heads for the mean and the log standard deviation of q(z_i | X, A~).

    Args:
        n_operations: K, width of the one-hot operations.
        hidden: widths of the layers.
        latent: size D of a latent vector.
        variational: whether there is a head for the log standard deviation.
        direction: ``undirected`` or ``split``.
    """

    def __init__(self, n_operations: int, hidden: tuple[int, ...], latent: int, variational: bool,
                 direction: str = "undirected") -> None:
        super().__init__()
        widths = (n_operations, *hidden)
        self.layers = nn.ModuleList(GINLayer(a, b, direction) for a, b in zip(widths, widths[1:], strict=False))  # noqa: RUF007
        self.mean = nn.Linear(hidden[-1], latent)
        self.log_std = nn.Linear(hidden[-1], latent) if variational else None

    def forward(self, graph: dgl.DGLGraph, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[V, K] → mean [V, D] and log standard deviation [V, D] (None when not variational)."""
        for layer in self.layers:
            x = layer(graph, x)
        return self.mean(x), None if self.log_std is None else self.log_std(x)


class GCNEncoder(nn.Module):
    """Graph convolutional network of Kipf & Welling's (variational) graph autoencoder: ReLU after every layer but
    the heads, which are graph convolutions themselves; symmetric normalisation with self-loops.

    Arguments as in :class:`GINEncoder`; `direction` must be ``undirected``.
    """

    def __init__(self, n_operations: int, hidden: tuple[int, ...], latent: int, variational: bool) -> None:
        super().__init__()
        widths = (n_operations, *hidden)
        self.layers = nn.ModuleList(GraphConv(a, b, norm="both")
                                    for a, b in zip(widths, widths[1:], strict=False))  # noqa: RUF007
        self.mean = GraphConv(hidden[-1], latent, norm="both")
        self.log_std = GraphConv(hidden[-1], latent, norm="both") if variational else None

    def forward(self, graph: dgl.DGLGraph, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[V, K] → mean [V, D] and log standard deviation [V, D]. The graph carries self-loops."""
        for layer in self.layers:
            x = torch.relu(layer(graph, x))
        return self.mean(graph, x), None if self.log_std is None else self.log_std(graph, x)


def graph_of(adjacency: np.ndarray, *, undirected: bool = True, self_loops: bool = False) -> dgl.DGLGraph:
    """DGL graph of one cell: A + A^T or A [N, N], with self-loops for the GCN. All N rows become nodes."""
    a = np.asarray(adjacency, dtype=bool)
    source, target = np.nonzero(a | a.T if undirected else a)
    graph = dgl.graph((torch.from_numpy(source), torch.from_numpy(target)), num_nodes=len(a))
    return dgl.add_self_loop(graph) if self_loops else graph
