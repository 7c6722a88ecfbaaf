"""The encoder for whole search spaces: evaluation mode only, one model, batchnorm folded into the linear layers.

In evaluation mode batchnorm is a fixed affine map, so each linear-batchnorm pair is one linear layer. This saves the
passes over memory that otherwise cost as much as the matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from a2v_core.models.dense import _EPSILON
from a2v_core.recipes import PretrainingSettings


class FoldedEncoder:
    """The GIN encoder's mean head (§3.1.2) as plain matrix products.

    Args:
        state: parameters and running statistics under the names of :class:`a2v_core.models.autoencoder.Autoencoder`.
        n_operations: K.
        settings: of the model; its encoder must be ``gin``.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], n_operations: int, settings: PretrainingSettings) -> None:
        self.split = settings.direction == "split"
        self.codes = torch.arange(n_operations, dtype=torch.uint8, device=state["encoder.mean.weight"].device)
        names = [f"encoder.layers.{i}" for i in range(len(settings.hidden))]
        self.layers = [(1 + state[f"{name}.conv.eps"], [_folded(state, f"{name}.mlp", j) for j in (0, 3)])
                       for name in names]
        self.head = state["encoder.mean.weight"].T.contiguous(), state["encoder.mean.bias"]

    @torch.inference_mode()
    def __call__(self, adjacency: torch.Tensor, ops: torch.Tensor) -> torch.Tensor:
        """uint8 [B, N, N] and uint8 [B, N] → posterior means of the nodes [B, N, D]."""
        b, n = ops.shape
        h = (ops.unsqueeze(-1) == self.codes).to(self.head[0].dtype)
        a = adjacency.to(h.dtype)
        reverse, unit = a.transpose(1, 2), torch.eye(n, dtype=h.dtype, device=h.device)
        for own, linear_layers in self.layers:
            if self.split:
                h = torch.cat([torch.bmm(reverse + own * unit, h), torch.bmm(a, h)], -1)
            else:
                h = torch.bmm(a + reverse + own * unit, h)
            h = h.flatten(0, 1)
            for weight, bias in linear_layers:
                h = torch.addmm(bias, h, weight).relu_()
            h = h.unflatten(0, (b, n))
        return torch.addmm(self.head[1], h.flatten(0, 1), self.head[0]).unflatten(0, (b, n))


def _folded(state: Mapping[str, torch.Tensor], mlp: str, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [i, o] and bias [o] of linear layer `index` of an MLP together with the batchnorm behind it."""
    linear, norm = f"{mlp}.{index}", f"{mlp}.{index + 1}"
    scale = state[f"{norm}.weight"] * torch.rsqrt(state[f"{norm}.running_var"] + _EPSILON)
    bias = (state[f"{linear}.bias"] - state[f"{norm}.running_mean"]) * scale + state[f"{norm}.bias"]
    return (state[f"{linear}.weight"] * scale.unsqueeze(1)).T.contiguous(), bias
