"""Which way of counting, and which network, could have given the multiply-adds that Table 5 prints for DARTS and SNAS.

Both figures are repeated from the papers of these methods; neither paper published its counter.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from a2v_core.darts.counting import Count, count, visit
from a2v_core.darts.networks import ImageNetNetwork
from a2v_core.darts.published_cells import get_published
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_cost import CONVENTIONS, NetworkShape, network_cost

_IMAGE = (3, 224, 224)
#: The counter that takes a layer with stride 2 for one without.
STRIDED = "strided layers of the cells at the size of their input"
#: Widths and numbers of cells tried; those of Liu et al. are 48 and 14.
CHANNELS, LAYERS = range(40, 58, 2), range(8, 21)


def readings(name: str) -> dict[str, int]:
    """Multiply-adds of the ImageNet network of a published method of the DARTS space under different counters.

    Raises:
        SettingsError: the method is unknown.
    """
    with torch.device("meta"):
        network = ImageNetNetwork(get_published(name).cells)
    total = count(network, _IMAGE)
    extra: Counter[str] = Counter()
    in_stem = {id(layer) for stem in (network.first_stem, network.second_stem) for layer in stem.modules()}

    def record(layer: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2:
            # At the size of its input a layer with stride 2 would have four times the outputs.
            where = "stem" if id(layer) in in_stem else "cells"
            extra[where] += 3 * y.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.ReLU):
            extra["elements"] += y.numel()
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            extra["elements"] += x.numel()

    visit(network, _IMAGE, record)
    features = network.classifier.in_features
    auxiliary = count(network.auxiliary, (features, 7, 7))
    return {
        "convolutions and linear layer (conventional)": total.products,
        "with the auxiliary classifier": total.products + auxiliary.products,
        "with normalisation and average pooling (released)": total.multiply_adds("released"),
        "with normalisation, ReLU and all pooling": total.products + 2 * total.normalised + extra["elements"],
        STRIDED: total.products + extra["cells"],
        "all strided layers at the size of their input": total.products + extra["cells"] + extra["stem"],
        "images of 256 x 256": _at_size(name, 256).products,
    }


def _at_size(name: str, size: int) -> Count:
    with torch.device("meta"):
        network = ImageNetNetwork(get_published(name).cells, auxiliary=False)
        network.pool = nn.AdaptiveAvgPool2d(1)
    return count(network, (3, size, size))


class NearbyNetworks(NamedTuple):
    """Networks of other width, depth and cells: `parameters` int64 [M], `multiply_adds` int64 [M] by convention, and
    which they are, ``(method whose cells they have, channels, layers)``."""

    parameters: np.ndarray
    multiply_adds: dict[str, np.ndarray]
    which: list[tuple[str, int, int]]

    def rounding_to(self, millions: float) -> np.ndarray:
        """True where the parameters are printed as `millions`, one decimal; bool [M]."""
        return np.round(self.parameters / 1e6, 1) == millions


def nearby_networks() -> NearbyNetworks:
    """Every network of the cells of DARTS (first or second order), :data:`CHANNELS` wide and :data:`LAYERS` deep."""
    which = list(itertools.product(("darts_first_order", "darts"), CHANNELS, LAYERS))
    parameters = np.empty(len(which), dtype=np.int64)
    multiply_adds = {convention: np.empty(len(which), dtype=np.int64) for convention in CONVENTIONS}
    for i, (name, channels, layers) in enumerate(which):
        edges = [genotype_edges([cell]) for cell in get_published(name).cells]
        for convention in CONVENTIONS:
            cost = network_cost(*edges, NetworkShape("imagenet", channels, layers, 1000), convention)
            parameters[i], multiply_adds[convention][i] = cost.parameters[0], cost.multiply_adds[0]
    return NearbyNetworks(parameters, multiply_adds, which)
