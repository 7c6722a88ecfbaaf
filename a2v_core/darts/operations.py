"""Operations of the edges, and the layers between cells (Liu et al. 2019, §3.1; Zoph et al. 2018, §3).

All modules map images [B, C, H, W] to [B, C', H / stride, W / stride], rounded up. Order inside: ReLU, convolutions,
batch normalisation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from a2v_core.darts.cell_plans import ALL_OPERATIONS
from a2v_core.errors import SpaceError


def convolution(c_in: int, c_out: int, kernel: int, stride: int = 1, *, dilation: int = 1, groups: int = 1
                ) -> nn.Conv2d:
    """A square convolution without bias that keeps the size at stride 1."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias=False)


class ReluConvNorm(nn.Sequential):
    """ReLU, convolution, batch normalisation."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(nn.ReLU(), convolution(c_in, c_out, kernel, stride), nn.BatchNorm2d(c_out))


class SeparableBlock(nn.Sequential):
    """ReLU, depthwise convolution, 1x1 convolution, batch normalisation."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, dilation: int = 1) -> None:
        depthwise = convolution(c_in, c_in, kernel, stride, dilation=dilation, groups=c_in)
        super().__init__(nn.ReLU(), depthwise, convolution(c_in, c_out, 1), nn.BatchNorm2d(c_out))


class SeparableConvolution(nn.Sequential):
    """A separable convolution, applied twice; the first one has the stride and changes the width."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int) -> None:
        super().__init__(SeparableBlock(c_in, c_out, kernel, stride), SeparableBlock(c_out, c_out, kernel, 1))


class SpatiallySeparableConvolution(nn.Sequential):
    """ReLU, 1x7 and 7x1 convolution over all channels, batch normalisation."""

    def __init__(self, c: int, stride: int) -> None:
        super().__init__(nn.ReLU(), nn.Conv2d(c, c, (1, 7), (1, stride), (0, 3), bias=False),
                         nn.Conv2d(c, c, (7, 1), (stride, 1), (3, 0), bias=False), nn.BatchNorm2d(c))


class FactorisedReduction(nn.Module):
    """Halves an image without losing every other pixel: after a ReLU, two strided 1x1 convolutions, one of them shifted
    by a pixel each way, give half of the channels each (the second the odd one); batch normalisation."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.direct = convolution(c_in, c_out // 2, 1, 2)
        self.shifted = convolution(c_in, c_out - c_out // 2, 1, 2)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(x)
        # At an odd size the shifted grid ends outside the image, on a zero.
        x_shifted = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.direct(x), self.shifted(x_shifted)], 1))


class Zero(nn.Module):
    """No connection: zeros, with a gradient of zero."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, :: self.stride, :: self.stride].mul(0)


def make_operation(name: str, c: int, stride: int) -> nn.Module:
    """The operation of an edge of width c.

    Raises:
        SpaceError: the name is unknown.
    """
    match name:
        case "none":
            return Zero(stride)
        case "max_pool_3x3":
            return nn.MaxPool2d(3, stride, 1)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        case "skip_connect":
            return nn.Identity() if stride == 1 else FactorisedReduction(c, c)
        case "sep_conv_3x3" | "sep_conv_5x5" | "sep_conv_7x7":
            return SeparableConvolution(c, c, int(name[-1]), stride)
        case "dil_conv_3x3" | "dil_conv_5x5":
            return SeparableBlock(c, c, int(name[-1]), stride, dilation=2)
        case "conv_7x1_1x7":
            return SpatiallySeparableConvolution(c, stride)
    raise SpaceError(f"unknown operation {name!r}: choose one of {', '.join(ALL_OPERATIONS)}")


def drop_path(x: torch.Tensor, probability: float) -> torch.Tensor:
    """Set whole images of a batch to zero with this probability and scale up the others, so that the mean stays; the
    draws come from torch's generator of the device."""
    keep = 1 - probability
    return x / keep * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
