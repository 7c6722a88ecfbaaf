"""Parameters and multiply-adds of a network that is really built, counted by hooks while an image passes through.

The conventions are those of :mod:`a2v_core.spaces.darts_cost`, which computes the same from formulas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_cost import CONVENTIONS, Convention


class Count(NamedTuple):
    """What one image costs.

    Attributes:
        parameters: trainable numbers of all layers, used by the image or not.
        products: multiply-adds of convolutions and linear layers.
        normalised: elements through batch normalisation.
        pooled: operations of average pooling: 1 for each output, window + 1 for each output of an adaptive one.
    """

    parameters: int
    products: int
    normalised: int
    pooled: int

    def multiply_adds(self, convention: Convention) -> int:
        """Multiply-adds by a convention. Raises SettingsError when it is unknown."""
        if convention not in CONVENTIONS:
            raise SettingsError(f"convention {convention!r} is unknown: choose one of {', '.join(CONVENTIONS)}")
        return self.products + (2 * self.normalised + self.pooled if convention == "released" else 0)


def count(network: nn.Module, image: tuple[int, int, int]) -> Count:
    """Count a network in evaluation mode.

    Args:
        network: any network of convolutions, linear layers, batch normalisation and pooling, on any device ("meta"
            computes no value and costs no memory).
        image: channels, height and width.

    Raises:
        SettingsError: a layer that has no rule.
    """
    totals: Counter[str] = Counter()

    def record(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        for kind, operations in _operations(module, x, y).items():
            totals[kind] += operations

    visit(network, image, record)
    parameters = sum(p.numel() for p in network.parameters())
    return Count(parameters, totals["products"], totals["normalised"], totals["pooled"])


def visit(network: nn.Module, image: tuple[int, int, int],
          record: Callable[[nn.Module, torch.Tensor, torch.Tensor], None]) -> None:
    """Send one image of zeros through the network in evaluation mode and show `record` each innermost layer with its
    input and output; the network is left as it was."""
    parameter, training = next(network.parameters()), network.training
    handles = [layer.register_forward_hook(lambda layer, inputs, output: record(layer, inputs[0], output))
               for layer in network.modules() if not list(layer.children())]
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, *image, device=parameter.device, dtype=parameter.dtype))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()


def build_and_count(build: Callable[[], nn.Module], image: tuple[int, int, int]) -> Count:
    """Count a network that `build` makes, without memory for its weights."""
    with torch.device("meta"):
        network = build()
    return count(network, image)


def _operations(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, int]:
    """Operations of one layer by kind, from its input and output."""
    if isinstance(module, nn.Conv2d):
        return {"products": y.numel() * module.weight[0].numel()}
    if isinstance(module, nn.Linear):
        return {"products": y.numel() * module.in_features}
    if isinstance(module, nn.BatchNorm2d):
        return {"normalised": y.numel()}
    if isinstance(module, nn.AvgPool2d):
        return {"pooled": y.numel()}
    if isinstance(module, nn.AdaptiveAvgPool2d):
        window = (x.shape[2] // y.shape[2]) * (x.shape[3] // y.shape[3])
        return {"pooled": y.numel() * (window + 1)}
    if not list(module.parameters()):  # ReLU, max-pooling, identity, zero
        return {}
    raise SettingsError(f"no rule counts the layer {type(module).__name__}: add one to a2v_core.darts.counting")
