"""The ImageNet networks of the NASNet line (NASNet-A, AmoebaNet-A, PNASNet-5) and the CIFAR network of ENAS.

They are older than the networks of DARTS and built in another way: the ImageNet stem is one convolution and two strided
cells, an identity with stride 2 is a strided 1x1 convolution, and an input of a cell is projected only where its shape
does not fit. Sources: Zoph et al. (2018), §4 and Appendix A; Liu et al. (2018, PNAS); Real et al. (2019); Pham et al.
(2018, ENAS); for what these leave open, the networks that their authors released in TensorFlow.
"""

from __future__ import annotations

import torch
from torch import nn

from a2v_core.darts.cell_plans import CellPlan, NetworkPlan
from a2v_core.darts.operations import (
    FactorisedReduction,
    ReluConvNorm,
    SeparableConvolution,
    convolution,
    make_operation,
)


class BottleneckConvolution(nn.Sequential):
    """1x7 and 7x1 convolution at a quarter of the width, between two 1x1 convolutions; each after a ReLU and before a
    batch normalisation (AmoebaNet)."""

    def __init__(self, c_in: int, c: int, stride: int) -> None:
        narrow = c // 4
        layers: list[nn.Module] = []
        for c_from, c_to, kernel, steps in ((c_in, narrow, (1, 1), (1, 1)), (narrow, narrow, (1, 7), (1, stride)),
                                            (narrow, narrow, (7, 1), (stride, 1)), (narrow, c, (1, 1), (1, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            layers += [nn.ReLU(), nn.Conv2d(c_from, c_to, kernel, steps, padding, bias=False), nn.BatchNorm2d(c_to)]
        super().__init__(*layers)


class ProjectedCell(nn.Module):
    """A cell of width `c`.

    Args:
        plan: its edges.
        c_older: channels of c_{k-2}.
        c: channels of each intermediate node.
        stride: of the edges that read an input of the cell.
        older: layer that brings c_{k-2} to the size and width of the cell; None leaves it as it is, and edges that
            read it change the width.
        newer: the same for c_{k-1}.
        halving: makes the operation of an identity with stride 2.
    """

    def __init__(self, plan: CellPlan, c_older: int, c: int, stride: int, older: nn.Module | None, newer: nn.Module,
                 halving: type[nn.Module]) -> None:
        super().__init__()
        self.states = [state for _, state in plan.edges]
        self.concatenated = plan.concatenated
        self.older, self.newer = older or nn.Identity(), newer
        c_states = [c if older else c_older, c]
        self.edges = nn.ModuleList(
            _edge(name, c_states[state] if state < 2 else c, c, stride if state < 2 else 1, halving)
            for name, state in plan.edges)

    def forward(self, older: torch.Tensor, newer: torch.Tensor) -> torch.Tensor:
        """[B, c_older, H', W'], [B, c_newer, H, W] → [B, c x concatenated states, H / stride, W / stride]."""
        states = [self.older(older), self.newer(newer)]
        for i in range(0, len(self.edges), 2):
            states.append(self.edges[i](states[self.states[i]]) + self.edges[i + 1](states[self.states[i + 1]]))
        return torch.cat([states[i] for i in self.concatenated], 1)


def _edge(name: str, c_in: int, c: int, stride: int, halving: type[nn.Module]) -> nn.Module:
    if name.startswith("sep_conv"):
        return SeparableConvolution(c_in, c, int(name[-1]), stride)
    if name == "conv_7x1_1x7":
        return BottleneckConvolution(c_in, c, stride)
    if name == "skip_connect":
        if stride == 2:
            return halving(c_in, c)
        return nn.Identity() if c_in == c else ReluConvNorm(c_in, c)
    pooling = make_operation(name, c_in, stride)
    return pooling if c_in == c else nn.Sequential(pooling, convolution(c_in, c, 1), nn.BatchNorm2d(c))


class _StridedPointwise(ReluConvNorm):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, 1, 2)


class NasnetImageNetNetwork(nn.Module):
    """The mobile ImageNet network of the NASNet line: a strided 3x3 convolution without padding, two strided cells of a
    quarter and half of the width, three stacks of normal cells with a strided cell before the second and third.

    Args:
        plan: the two kinds of cell; where both are one (PNAS) the first normal cell of a stack is the strided one.
        channels: width of the nodes in the first stack; the stacks double it.
        repeats: normal cells in a stack.
        n_classes: number of classes.
        c_stem: channels of the first convolution.
    """

    def __init__(self, plan: NetworkPlan, channels: int, repeats: int, n_classes: int = 1000, c_stem: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c_stem, 3, 2, bias=False), nn.BatchNorm2d(c_stem))
        kinds = [(plan.reduction, channels // 4, 2), (plan.reduction, channels // 2, 2)]
        for stack in range(3):
            c = channels << stack
            strided = [(plan.reduction, c, 2)] if stack else []
            one_kind = stack > 0 and plan.normal == plan.reduction
            kinds += strided + [(plan.normal, c, 1)] * (repeats - one_kind)
        self.cells = nn.ModuleList()
        older, newer, older_is_larger = c_stem, c_stem, False
        for i, (cell, c, stride) in enumerate(kinds):
            # The first cell reads the stem twice: once projected, once as it is.
            projection = None if i == 0 else (FactorisedReduction if older_is_larger else ReluConvNorm)(older, c)
            self.cells.append(ProjectedCell(cell, older, c, stride, projection, ReluConvNorm(newer, c),
                                            _StridedPointwise))
            older, newer, older_is_larger = newer, c * len(cell.concatenated), stride == 2
        self.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(newer, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, 224, 224] → logits [B, n_classes]."""
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(self.pool(newer).flatten(1))


class EnasCifarNetwork(nn.Module):
    """The CIFAR network of ENAS (Pham et al. 2018, §3.2): three stacks of `layers` / 3 normal cells with a reduction
    cell between; c_{k-1} passes two 1x1 convolutions, the classifier has no bias.

    The authors' final script has 15 layers, which make 3.9 M parameters; their paper prints 4.6 M, which 18 make.
    """

    def __init__(self, plan: NetworkPlan, channels: int = 36, layers: int = 15, n_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 3 * channels, 3), nn.BatchNorm2d(3 * channels))
        older = newer = 3 * channels
        reductions, c, older_is_larger = {layers // 3, 2 * (layers // 3) + 1}, channels, False
        self.cells = nn.ModuleList()
        for layer in range(layers + 2):
            reduces = layer in reductions
            c *= 2 if reduces else 1
            cell = plan.reduction if reduces else plan.normal
            projection = (FactorisedReduction if older_is_larger else ReluConvNorm)(older, c)
            twice = nn.Sequential(ReluConvNorm(newer, c), ReluConvNorm(c, c))
            self.cells.append(ProjectedCell(cell, older, c, 2 if reduces else 1, projection, twice,
                                            FactorisedReduction))
            older, newer, older_is_larger = newer, c * len(cell.concatenated), reduces
        self.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(newer, n_classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [B, 3, 32, 32] → logits [B, n_classes]."""
        older = newer = self.stem(x)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(self.pool(newer).flatten(1))
