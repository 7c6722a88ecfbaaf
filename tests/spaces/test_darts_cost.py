"""Costs from formulas against networks that are really built, layer by layer, and counted by hooks."""

import numpy as np
import pytest
import torch
from torch import nn

from a2v_core.errors import SettingsError
from a2v_core.spaces import darts_genotypes as published
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_cost import (
    CIFAR10,
    CONVENTIONS,
    IMAGENET,
    MOBILE_LIMIT,
    NetworkShape,
    in_mobile_setting,
    network_cost,
)
from a2v_core.spaces.darts_encoding import Edges
from a2v_core.spaces.darts_genotypes import Genotype
from a2v_core.spaces.darts_sampling import draw_edges

SMALL = [NetworkShape(stem, 8, layers, 7) for stem in ("cifar", "imagenet") for layers in (1, 4)]


def conv_bn(c_in, c_out, kernel=1, stride=1, groups=1, dilation=1):
    padding = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation=dilation, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Halve(nn.Module):
    """Two strided 1x1 convolutions, the second shifted by a pixel, side by side."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        x = torch.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return 0 * x[:, :, :: self.stride, :: self.stride]


def operation(name, c, stride):
    kernel = int(name[-1]) if name[-1].isdigit() else 1
    if name == "none":
        return Zero(stride)
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(c, c)

    def block(stride, dilation):
        depthwise = nn.Conv2d(c, c, kernel, stride, dilation * (kernel // 2), dilation, groups=c, bias=False)
        return [nn.ReLU(), depthwise, nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)]

    return nn.Sequential(*(block(stride, 2) if name.startswith("dil") else block(stride, 1) + block(1, 1)))


class CellModule(nn.Module):
    def __init__(self, genotype, c_older, c_newer, c, reduces, follows_reduction):
        super().__init__()
        self.genotype = genotype
        self.older = Halve(c_older, c) if follows_reduction else nn.Sequential(nn.ReLU(), conv_bn(c_older, c))
        self.newer = nn.Sequential(nn.ReLU(), conv_bn(c_newer, c))
        self.ops = nn.ModuleList(
            operation(name, c, 2 if reduces and source < 2 else 1) for name, source in genotype.edges
        )

    def forward(self, older, newer):
        states = [self.older(older), self.newer(newer)]
        for node in range(4):
            a, b = (self.ops[i](states[self.genotype.edges[i][1]]) for i in (2 * node, 2 * node + 1))
            states.append(a + b)
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, normal, reduction, shape):
        super().__init__()
        c = shape.channels
        if shape.stem == "cifar":
            older = newer = 3 * c
            self.stem0, self.stem1, self.image = conv_bn(3, 3 * c, 3), nn.Identity(), 32
        else:
            older = newer = c
            self.stem0 = nn.Sequential(conv_bn(3, c // 2, 3, 2), nn.ReLU(), conv_bn(c // 2, c, 3, 2))
            self.stem1, self.image = nn.Sequential(nn.ReLU(), conv_bn(c, c, 3, 2)), 224
        size = 28
        follows = shape.stem == "imagenet"
        cells = []
        for layer in range(shape.layers):
            reduces = layer in {shape.layers // 3, 2 * shape.layers // 3}
            c, size = (2 * c, size // 2) if reduces else (c, size)
            cells.append(CellModule(reduction if reduces else normal, older, newer, c, reduces, follows))
            older, newer, follows = newer, 4 * c, reduces
        self.cells = nn.ModuleList(cells)
        self.pool = nn.AdaptiveAvgPool2d(1) if shape.stem == "cifar" else nn.AvgPool2d(size)
        self.classifier = nn.Linear(newer, shape.classes)

    def forward(self, x):
        older = self.stem0(x)
        newer = self.stem1(older)
        for cell in self.cells:
            older, newer = newer, cell(older, newer)
        return self.classifier(self.pool(newer).flatten(1))


def counted(normal, reduction, shape):
    """(parameters, {convention: multiply-adds}) of the network built on the meta device."""
    products, extras = [], []

    def hook(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            products.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            products.append(output.numel() * module.in_features)
        elif isinstance(module, nn.BatchNorm2d):
            extras.append(2 * output.numel())
        elif isinstance(module, nn.AvgPool2d):
            extras.append(output.numel())
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            window = inputs[0].shape[2] * inputs[0].shape[3]
            extras.append(output.numel() * (window + 1))

    with torch.device("meta"), torch.no_grad():
        network = Network(normal, reduction, shape).eval()
        for module in network.modules():
            module.register_forward_hook(hook)
        network(torch.empty(1, 3, network.image, network.image))
    total = sum(products)
    parameters = sum(p.numel() for p in network.parameters())
    return parameters, {"conventional": total, "released": total + sum(extras)}


def priced(normal, reduction, shape, convention):
    cost = network_cost(genotype_edges([normal]), genotype_edges([reduction]), shape, convention)
    return int(cost.parameters[0]), int(cost.multiply_adds[0])


def one_operation(name):
    return Genotype(tuple((name, source) for source in (0, 1, 1, 2, 3, 0, 2, 4)))


def assert_equal_to_built(normal, reduction, shape):
    parameters, multiply_adds = counted(normal, reduction, shape)
    for convention in CONVENTIONS:
        assert priced(normal, reduction, shape, convention) == (parameters, multiply_adds[convention])


@pytest.mark.parametrize("shape", [CIFAR10, IMAGENET], ids=["cifar", "imagenet"])
@pytest.mark.parametrize("name", ["ARCH2VEC_BO", "ARCH2VEC_RL", "DARTS_FIRST_ORDER", "DARTS_SECOND_ORDER"])
def test_published_networks_at_full_size(name, shape):
    cell = getattr(published, name)
    pair = (cell, cell) if isinstance(cell, Genotype) else cell
    assert_equal_to_built(*pair, shape)


@pytest.mark.parametrize("shape", SMALL, ids=lambda s: f"{s.stem}{s.layers}")
@pytest.mark.parametrize("name", published.OPERATIONS)
def test_each_operation_in_each_kind_of_cell(name, shape):
    other = published.ARCH2VEC_BO
    assert_equal_to_built(one_operation(name), other, shape)
    assert_equal_to_built(other, one_operation(name), shape)


def test_published_numbers():
    """Parameters of DARTS (Liu et al. 2019), and the rows of Table 5 that the authors counted themselves."""
    normal, reduction = published.DARTS_SECOND_ORDER
    assert priced(normal, reduction, CIFAR10, "conventional")[0] == 3_349_342  # printed: 3.3 M
    assert priced(normal, reduction, IMAGENET, "conventional") == (4_718_752, 529_911_552)  # printed: 4.7 M, 574 M
    for cell, parameters, multiply_adds in ((published.ARCH2VEC_RL, 4.8, 533), (published.ARCH2VEC_BO, 5.2, 580)):
        ours = priced(cell, cell, IMAGENET, "released")
        assert (round(ours[0] / 1e6, 1), round(ours[1] / 1e6)) == (parameters, multiply_adds)


def test_batches_are_priced_cell_by_cell():
    a, b = draw_edges(50, np.random.default_rng(0)), draw_edges(50, np.random.default_rng(1))
    whole = network_cost(a, b, CIFAR10, "released")
    for i in (0, 7, 49):
        one = network_cost(Edges(*(x[[i]] for x in a)), Edges(*(x[[i]] for x in b)), CIFAR10, "released")
        assert (one.parameters[0], one.multiply_adds[0]) == (whole.parameters[i], whole.multiply_adds[i])


def test_released_limit_is_the_stricter_one():
    edges = draw_edges(20_000, np.random.default_rng(2))
    released, conventional = (in_mobile_setting(edges, c) for c in ("released", "conventional"))
    assert conventional[released].all()
    assert 0 < (conventional & ~released).sum() < (~released).sum()
    heaviest = genotype_edges([one_operation("sep_conv_5x5")])
    assert network_cost(heaviest, heaviest, IMAGENET, "conventional").multiply_adds[0] > MOBILE_LIMIT
    assert not in_mobile_setting(heaviest, "conventional")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("svhn", 36, 20, 10), "stem 'svhn'"),
        (("cifar", 0, 20, 10), "channels must be at least 1"),
        (("cifar", 35, 20, 10), "channels must be even, got 35"),
        (("cifar", 36, 0, 10), "layers must be at least 1"),
    ],
)
def test_impossible_networks_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        NetworkShape(*arguments)


def test_unknown_convention_is_refused():
    edges = draw_edges(1, np.random.default_rng(0))
    with pytest.raises(SettingsError, match="'thop' is unknown: choose one of conventional, released"):
        network_cost(edges, edges, CIFAR10, "thop")
