"""Parameters and multiply-adds of the networks built from DARTS cells, computed from formulas.

The networks are those of Liu et al. (2019) without auxiliary head and drop path: a stem, `layers` cells of which
numbers layers // 3 and 2 * layers // 3 are reduction cells (they double the channels and halve the image), global
pooling and a linear classifier. Every cell first maps both of its inputs to its own width; a cell's output has four
times that width.

A count is a constant of the network plus a sum over edges, and what an edge costs depends only on its operation, its
kind of cell, and (in a reduction cell, where edges from the inputs have stride 2) on whether it reads an input of
the cell. So one table of 2 x 8 x 2 numbers prices any number of genotypes exactly.

Two conventions for multiply-adds:

- ``"conventional"``: convolutions and the linear classifier alone;
- ``"released"``: plus 2 for each element through batch normalisation in evaluation mode, 1 for each output of an
  average pooling and (window + 1) for each output of an adaptive one; max-pooling is free. This is how the counter that
  the authors' code calls (thop 0.0.31) counts, and what their limit of 600 M is compared with.

The released convention gives Table 5's rows of arch2vec to the printed digit (532.7 M and 579.8 M). For second-order
DARTS the table repeats 574 M from Liu et al. (2019), whose counter was never published; the released network has
529.9 M or 538.2 M. Its parameters agree (3.35 M on CIFAR, 4.72 M on ImageNet).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_encoding import FIRST_OPERATION, Edges
from a2v_core.spaces.darts_genotypes import OPERATIONS

Convention = Literal["conventional", "released"]
CONVENTIONS: tuple[Convention, ...] = ("conventional", "released")
#: Multiply-adds that a network may have in the mobile setting (paper, Appendix B; strictly less).
MOBILE_LIMIT = 600_000_000


@dataclass(frozen=True)
class NetworkShape:
    """A network around a cell: `stem` "cifar" (one 3x3 convolution, 3 x 32 x 32 images) or "imagenet" (three strided
    3x3 convolutions, 3 x 224 x 224 images), initial `channels`, number of cells `layers`, number of `classes`.

    Raises:
        SettingsError: a field is out of range.
    """

    stem: Literal["cifar", "imagenet"]
    channels: int
    layers: int
    classes: int

    def __post_init__(self) -> None:
        if self.stem not in ("cifar", "imagenet"):
            raise SettingsError(f"stem {self.stem!r} is unknown: choose 'cifar' or 'imagenet'")
        for name in ("channels", "layers", "classes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.channels % 2:
            # Each strided identity halves its width over two convolutions.
            raise SettingsError(f"channels must be even, got {self.channels}")


#: The networks of Table 4 and of Table 5.
CIFAR10 = NetworkShape("cifar", channels=36, layers=20, classes=10)
IMAGENET = NetworkShape("imagenet", channels=48, layers=14, classes=1000)


class Cost(NamedTuple):
    """Costs of M networks: `parameters` and `multiply_adds`, int64 [M]; multiply-adds for one image."""

    parameters: np.ndarray
    multiply_adds: np.ndarray


def network_cost(normal: Edges, reduction: Edges, shape: NetworkShape, convention: Convention) -> Cost:
    """Exact costs of the networks built from M pairs of cells.

    Args:
        normal, reduction: M genotypes each.
        shape: the network around them.
        convention: what counts as a multiply-add.

    Raises:
        SettingsError: the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise SettingsError(f"convention {convention!r} is unknown: choose one of {', '.join(CONVENTIONS)}")
    fixed, tables = _tables(shape)
    weights = _WEIGHTS[convention]
    parameters = np.full(len(normal.ops), fixed[0], dtype=np.int64)
    multiply_adds = np.full(len(normal.ops), fixed @ weights, dtype=np.int64)
    for edges, table in zip((normal, reduction), tables, strict=True):
        entry = 2 * (edges.ops.astype(np.intp) - FIRST_OPERATION) + (edges.inputs < 2)
        flat = table.reshape(-1, table.shape[-1])
        parameters += flat[:, 0][entry].sum(1)
        multiply_adds += (flat @ weights)[entry].sum(1)
    return Cost(parameters, multiply_adds)


def in_mobile_setting(edges: Edges, convention: Convention) -> np.ndarray:
    """True where the ImageNet network with this cell as normal and as reduction cell has under 600 M multiply-adds,
    bool [M]."""
    return network_cost(edges, edges, IMAGENET, convention).multiply_adds < MOBILE_LIMIT


# A count is a vector: parameters, multiply-adds of convolutions and linear layers, elements through batch
# normalisation, operations of average pooling.
_WEIGHTS = {
    "conventional": np.array([0, 1, 0, 0], dtype=np.int64),
    "released": np.array([0, 1, 2, 1], dtype=np.int64),
}


def _counts(parameters: int = 0, products: int = 0, normalised: int = 0, pooled: int = 0) -> np.ndarray:
    return np.array([parameters, products, normalised, pooled], dtype=np.int64)


def _convolution(c_in: int, c_out: int, kernel: int, size: int, groups: int = 1) -> np.ndarray:
    """A convolution without bias whose output is size x size."""
    parameters = c_out * (c_in // groups) * kernel**2
    return _counts(parameters, parameters * size**2)


def _normalisation(c: int, size: int) -> np.ndarray:
    return _counts(2 * c, 0, c * size**2)


def _pointwise(c_in: int, c_out: int, size: int) -> np.ndarray:
    """ReLU, 1x1 convolution, batch normalisation; the factorised reduction (two strided convolutions of half the
    width) costs the same at the size of its output."""
    return _convolution(c_in, c_out, 1, size) + _normalisation(c_out, size)


def _separable(c: int, kernel: int, size: int) -> np.ndarray:
    """ReLU, depthwise and 1x1 convolution, batch normalisation; size is that of the output."""
    return _convolution(c, c, kernel, size, groups=c) + _pointwise(c, c, size)


def _operation(name: str, c: int, size: int, stride: int) -> np.ndarray:
    """An edge of width c whose output is size x size."""
    if name == "avg_pool_3x3":
        return _counts(pooled=c * size**2)
    if name == "skip_connect" and stride == 2:
        return _pointwise(c, c, size)
    if name.startswith("sep_conv"):  # applied twice; only the first has the stride
        return 2 * _separable(c, int(name[-1]), size)
    if name.startswith("dil_conv"):
        return _separable(c, int(name[-1]), size)
    return _counts()


@cache
def _tables(shape: NetworkShape) -> tuple[np.ndarray, np.ndarray]:
    """Counts outside the edges, int64 [4], and of an edge in all normal and all reduction cells, by operation and by
    whether it reads an input of the cell, int64 [2, 8, 2, 4]."""
    c = shape.channels
    if shape.stem == "cifar":
        size = 32
        before, previous = 3 * c, 3 * c
        fixed = _convolution(3, 3 * c, 3, size) + _normalisation(3 * c, size)
    else:
        # Two strided convolutions give the first state, a third the second one at half the size.
        size = 28
        before, previous = c, c
        fixed = _convolution(3, c // 2, 3, 112) + _normalisation(c // 2, 112)
        fixed += _convolution(c // 2, c, 3, 56) + _normalisation(c, 56)
        fixed += _convolution(c, c, 3, size) + _normalisation(c, size)
    tables = np.zeros((2, len(OPERATIONS), 2, len(fixed)), dtype=np.int64)
    for layer in range(shape.layers):
        reduction = layer in (shape.layers // 3, 2 * shape.layers // 3)
        c *= 2 if reduction else 1
        # Both inputs arrive at the cell at `size`: after a reduction the older one is halved on the way in.
        fixed += _pointwise(before, c, size) + _pointwise(previous, c, size)
        size //= 2 if reduction else 1
        for code, name in enumerate(OPERATIONS):
            tables[int(reduction), code, 0] += _operation(name, c, size, stride=1)
            tables[int(reduction), code, 1] += _operation(name, c, size, stride=2 if reduction else 1)
        before, previous = previous, 4 * c
    return fixed + _head(shape, previous, size), tables


def _head(shape: NetworkShape, c: int, size: int) -> np.ndarray:
    """Global average pooling (adaptive on CIFAR: its window counts) and the linear classifier with bias."""
    pooled = c * (size**2 + 1) if shape.stem == "cifar" else c
    return _counts((c + 1) * shape.classes, c * shape.classes, 0, pooled)
