"""The CIFAR and ImageNet networks of Liu et al. (2019), built from cells.

A stem, `layers` cells of which numbers layers // 3 and 2 * layers // 3 are reduction cells (they double the width and
halve the image), global pooling and a linear classifier. In training mode an auxiliary classifier (Szegedy et al. 2016)
reads the second reduction cell, and drop-path silences single edges.
"""

from __future__ import annotations

import torch
from torch import nn

from a2v_core.darts.cell_plans import CellPlan, NetworkPlan, network_plan
from a2v_core.darts.operations import FactorisedReduction, ReluConvNorm, convolution, drop_path, make_operation
from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_genotypes import Genotype, NetworkGenotype

AnyGenotype = NetworkPlan | NetworkGenotype | Genotype | str


class Cell(nn.Module):
    """One cell of width `c`, from the outputs of the two cells before it.

    Args:
        plan: its edges.
        c_older, c_newer: channels of c_{k-2} and c_{k-1}.
        c: channels of each intermediate node.
        reduces: edges that read an input of the cell have stride 2.
        older_is_larger: c_{k-2} is twice the size of c_{k-1}, and is halved on the way in.
    """

    def __init__(self, plan: CellPlan, c_older: int, c_newer: int, c: int, reduces: bool, older_is_larger: bool
                 ) -> None:
        super().__init__()
        self.states = [state for _, state in plan.edges]
        self.concatenated = plan.concatenated
        self.older = FactorisedReduction(c_older, c) if older_is_larger else ReluConvNorm(c_older, c)
        self.newer = ReluConvNorm(c_newer, c)
        self.edges = nn.ModuleList(make_operation(name, c, 2 if reduces and state < 2 else 1)
                                   for name, state in plan.edges)

    def forward(self, older: torch.Tensor, newer: torch.Tensor, drop_path_probability: float) -> torch.Tensor:
        """[B, c_older, H', W'], [B, c_newer, H, W] → [B, c x concatenated nodes, H / stride, W / stride]."""
        states = [self.older(older), self.newer(newer)]
        for first in range(0, len(self.edges), 2):
            a, b = (self._edge(i, states[self.states[i]], drop_path_probability) for i in (first, first + 1))
            states.append(a + b)
        return torch.cat([states[i] for i in self.concatenated], 1)

    def _edge(self, i: int, x: torch.Tensor, probability: float) -> torch.Tensor:
        operation = self.edges[i]
        y = operation(x)
        # Identities are never dropped, so that an image reaches the next cell on some way.
        dropped = self.training and probability > 0 and not isinstance(operation, nn.Identity)
        return drop_path(y, probability) if dropped else y


class AuxiliaryHead(nn.Sequential):
    """A classifier on features of `pool_stride` + 5 pixels each way: pooling to 2x2, two convolutions, linear layer.

    The ImageNet network of the released DARTS code has no normalisation after the second convolution (`norm` False).
    """

    def __init__(self, c: int, n_classes: int, pool_stride: int, norm: bool) -> None:
        super().__init__(nn.ReLU(), nn.AvgPool2d(5, pool_stride, 0, count_include_pad=False),
                         convolution(c, 128, 1), nn.BatchNorm2d(128), nn.ReLU(),
                         nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768) if norm else nn.Identity(), nn.ReLU(),
                         nn.Flatten(), nn.Linear(768, n_classes))


class _CellNetwork(nn.Module):
    """Stem, cells, auxiliary head, pooling and classifier; what differs between the two networks is passed in.

    Attributes:
        drop_path_probability: chance of an edge to be silenced for an image, in training mode; 0 at first, the training
            loop raises it.
    """

    def __init__(self, genotype: AnyGenotype, stems: tuple[nn.Module, nn.Module], c_stem: int, stem_halves: bool,
                 channels: int, layers: int, n_classes: int, pool: nn.Module, auxiliary: dict | None) -> None:
        super().__init__()
        plan = network_plan(genotype)
        self.drop_path_probability = 0.0
        self.first_stem, self.second_stem = stems
        reductions = {layers // 3, 2 * layers // 3}
        self.auxiliary_layer = 2 * layers // 3 if auxiliary else None
        self.auxiliary = None
        self.cells = nn.ModuleList()
        older = newer = c_stem
        older_is_larger, c = stem_halves, channels
        for layer in range(layers):
            reduces = layer in reductions
            c *= 2 if reduces else 1
            cell = plan.reduction if reduces else plan.normal
            self.cells.append(Cell(cell, older, newer, c, reduces, older_is_larger))
            older, newer, older_is_larger = newer, c * len(cell.concatenated), reduces
            if layer == self.auxiliary_layer:
                self.auxiliary = AuxiliaryHead(newer, n_classes, **auxiliary)
        self.pool = pool
        self.classifier = nn.Linear(newer, n_classes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Images [B, C, H, W] → logits [B, n_classes], and those of the auxiliary head in training mode."""
        auxiliary_logits = None
        older = self.first_stem(x)
        newer = self.second_stem(older)
        for layer, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, self.drop_path_probability)
            if layer == self.auxiliary_layer and self.training:
                auxiliary_logits = self.auxiliary(newer)
        return self.classifier(self.pool(newer).flatten(1)), auxiliary_logits


class CifarNetwork(_CellNetwork):
    """The CIFAR network (Liu et al. 2019, §3.2): one 3x3 convolution of three times the first width, then the cells.

    Args:
        genotype: both kinds of cell, one genotype for both, or the text of either.
        channels: width of the nodes in the first cells; each of the two reductions doubles it.
        layers: number of cells.
        n_classes: number of classes.
        auxiliary: have an auxiliary head; it needs images of 32 x 32 and two reduction cells.
        in_channels: channels of the images.

    Raises:
        SettingsError: an argument is out of range.
        SpaceError: the genotype is none.
    """

    def __init__(self, genotype: AnyGenotype, channels: int = 36, layers: int = 20, n_classes: int = 10,
                 auxiliary: bool = True, in_channels: int = 3) -> None:
        _check(channels=channels, layers=layers, n_classes=n_classes, in_channels=in_channels, auxiliary=auxiliary)
        c_stem = 3 * channels
        stem = nn.Sequential(convolution(in_channels, c_stem, 3), nn.BatchNorm2d(c_stem))
        super().__init__(genotype, (stem, nn.Identity()), c_stem, False, channels, layers, n_classes,
                         nn.AdaptiveAvgPool2d(1), {"pool_stride": 3, "norm": True} if auxiliary else None)


class ImageNetNetwork(_CellNetwork):
    """The ImageNet network in the mobile setting (Liu et al. 2019, §3.3): three strided 3x3 convolutions bring images
    of 224 x 224 to 28 x 28; the first input of the first cell is twice as large.

    Args:
        genotype, channels, layers, n_classes, auxiliary: as in :class:`CifarNetwork`.

    Raises:
        SettingsError: an argument is out of range.
        SpaceError: the genotype is none.
    """

    def __init__(self, genotype: AnyGenotype, channels: int = 48, layers: int = 14, n_classes: int = 1000,
                 auxiliary: bool = True) -> None:
        _check(channels=channels, layers=layers, n_classes=n_classes, auxiliary=auxiliary)
        first = nn.Sequential(convolution(3, channels // 2, 3, 2), nn.BatchNorm2d(channels // 2), nn.ReLU(),
                              convolution(channels // 2, channels, 3, 2), nn.BatchNorm2d(channels))
        second = nn.Sequential(nn.ReLU(), convolution(channels, channels, 3, 2), nn.BatchNorm2d(channels))
        super().__init__(genotype, (first, second), channels, True, channels, layers, n_classes,
                         nn.AvgPool2d(7), {"pool_stride": 2, "norm": False} if auxiliary else None)


def _check(*, auxiliary: bool, **sizes: int) -> None:
    for name, value in sizes.items():
        least = {"channels": 2, "layers": 2 if auxiliary else 1}.get(name, 1)
        if value < least:
            raise SettingsError(f"{name} must be at least {least}, got {value}")
