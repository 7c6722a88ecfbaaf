"""Variational graph isomorphism autoencoder: the decoder and the terms of the objective (§3.1.3, §3.2).

The formulas take node latents with any leading dimensions, so that one graph, a batch, and a stack of batches (one a
seed) go through the same code.
"""

from __future__ import annotations

import torch
from torch import nn

from a2v_core.recipes import PretrainingSettings


class Autoencoder(nn.Module):
    """Encoder on DGL's layers and decoder of one model; the stacked form is made from several of these.

    Args:
        n_operations: K, size of the vocabulary.
        settings: encoder, widths, latent size, variational or not, direction.
    """

    def __init__(self, n_operations: int, settings: PretrainingSettings) -> None:
        super().__init__()
        from a2v_core.models.encoders import GCNEncoder, GINEncoder

        shape = (n_operations, settings.hidden, settings.latent, settings.variational)
        self.encoder = GINEncoder(*shape, settings.direction) if settings.encoder == "gin" else GCNEncoder(*shape)
        self.operations = nn.Linear(settings.latent, n_operations)  # W_o, b_o of Eq. 4


def adjacency_logits(z: torch.Tensor) -> torch.Tensor:
    """z_i^T z_j of Eq. 3: [..., N, D] → [..., N, N], symmetric."""
    return z @ z.transpose(-1, -2)


def operation_loss(logits: torch.Tensor, one_hot: torch.Tensor, likelihood: str, mask: torch.Tensor | None = None
                   ) -> torch.Tensor:
    """-log p(X | Z) summed over the nodes of each graph: [..., N, K] → [...].

    ``softmax`` is Eq. 4; a padded row has no operation and costs nothing. ``sigmoid`` takes the K entries as
    independent Bernoulli variables, as the released code does; a padded row then costs K terms unless masked.

    Args:
        mask: [..., N], 1 for rows that are nodes; None counts all rows.
    """
    if likelihood == "softmax":
        loss = -(one_hot * torch.log_softmax(logits, -1)).sum(-1)
    else:
        loss = _bernoulli_loss(logits, one_hot).sum(-1)
    return (loss if mask is None else loss * mask).sum(-1)


def adjacency_loss(logits: torch.Tensor, adjacency: torch.Tensor, entries: str, mask: torch.Tensor | None = None
                   ) -> torch.Tensor:
    """-log p(A | Z) summed over the counted entries of each graph: [..., N, N] → [...].

    ``upper`` counts the strict upper triangle of A once. ``full`` counts all N x N entries of A + A^T as the products
    of Eq. 3 do, the diagonal included.
    """
    n = adjacency.shape[-1]
    if entries == "upper":
        counted = torch.ones(n, n, dtype=logits.dtype, device=logits.device).triu(1)
        target = adjacency
    else:
        counted = torch.ones(n, n, dtype=logits.dtype, device=logits.device)
        target = adjacency + adjacency.transpose(-1, -2)
    if mask is not None:
        counted = counted * mask.unsqueeze(-1) * mask.unsqueeze(-2)
    return (_bernoulli_loss(logits, target) * counted).sum((-1, -2))


def kl_divergence(mean: torch.Tensor, log_std: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """KL(q(Z | X, A~) || N(0, I)) summed over the nodes and dimensions of each graph: [..., N, D] → [...]."""
    kl = 0.5 * (mean.square() + torch.exp(2 * log_std) - 1 - 2 * log_std).sum(-1)
    return (kl if mask is None else kl * mask).sum(-1)


def term_weights(settings: PretrainingSettings, n_nodes: int, n_operations: int, batch: int) -> tuple[float, ...]:
    """Factors of the three per-graph sums (operations, adjacency, KL) in the loss.

    ``graph`` gives the negative ELBO of Eq. 5 with weight beta on the KL term. ``entries`` gives the released code's
    means: over N·K, over N·N, and for the KL over the N nodes, then divided by batch x N once more.
    """
    if settings.reduction == "graph":
        ops, adjacency, kl = 1.0, 1.0, settings.beta
    else:
        ops, adjacency, kl = 1 / (n_nodes * n_operations), 1 / n_nodes**2, settings.beta / n_nodes
    return ops, adjacency, kl / (batch * n_nodes) if settings.kl_divided_again else kl


def _bernoulli_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-log of a Bernoulli likelihood from logits, stable for large ones."""
    return torch.relu(logits) - logits * target + torch.log1p(torch.exp(-logits.abs()))
