"""Networks of the DARTS line: shapes, connections, drop-path, auxiliary head, randomness, bad arguments."""

import numpy as np
import pytest
import torch
from torch import nn

from a2v_core.darts.cell_plans import ALL_OPERATIONS, CellPlan, NetworkPlan, network_plan
from a2v_core.darts.networks import AuxiliaryHead, Cell, CifarNetwork, ImageNetNetwork
from a2v_core.darts.operations import (
    FactorisedReduction,
    Zero,
    drop_path,
    make_operation,
)
from a2v_core.darts.published_cells import NASNET_A
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, DARTS_SECOND_ORDER, Genotype, NetworkGenotype

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(genotype=ARCH2VEC_BO, **options):
    torch.manual_seed(0)
    return CifarNetwork(genotype, **{"channels": 4, "layers": 5, "n_classes": 7, **options})


def genotype_of(*names):
    return Genotype(tuple(zip(names, (0, 1, 0, 1, 0, 1, 0, 1), strict=True)))


# --- operations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL_OPERATIONS)
@pytest.mark.parametrize("size", [8, 7])
def test_shapes_of_operations(name, size):
    x = torch.randn(2, 6, size, size)
    assert make_operation(name, 6, 1)(x).shape == x.shape
    assert make_operation(name, 6, 2)(x).shape == (2, 6, (size + 1) // 2, (size + 1) // 2)


def test_unknown_operation():
    with pytest.raises(SpaceError, match="unknown operation 'conv_9x9': choose one of none"):
        make_operation("conv_9x9", 4, 1)


def test_separable_convolution_by_hand():
    """With depthwise kernels that hold one centre weight, 1x1 kernels of ones and no normalisation, each block sums the
    positive part over the channels."""
    block = make_operation("sep_conv_3x3", 2, 1).eval()
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
            if layer.groups > 1:
                layer.weight.data.mul_(0)[:, :, 1, 1] = 3
        elif isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0
    x = torch.tensor([2.0, -5.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    # First block: 3 * 2 in both channels; second: 3 * (6 + 6).
    torch.testing.assert_close(block(x), torch.full((1, 2, 4, 4), 36.0))


def test_dilated_convolution_reads_every_other_pixel():
    block = make_operation("dil_conv_3x3", 1, 1).eval()
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4, 4] = 1
    touched = block(x) != block(torch.zeros_like(x))
    assert sorted(map(tuple, touched[0, 0].nonzero().tolist())) == [(i, j) for i in (2, 4, 6) for j in (2, 4, 6)]


def test_factorised_reduction_sees_both_diagonals():
    """Its first half reads pixels (0, 0), (0, 2), …, its second half pixels (1, 1), (1, 3), …; at an odd size the
    latter grid ends on zeros."""
    reduction = FactorisedReduction(1, 3).eval()
    nn.init.ones_(reduction.direct.weight)
    nn.init.ones_(reduction.shifted.weight)
    reduction.norm.eps = 0.0
    assert (reduction.direct.out_channels, reduction.shifted.out_channels) == (1, 2)
    x = torch.arange(1.0, 26.0).view(1, 1, 5, 5)
    expected_shifted = torch.tensor([[7.0, 9, 0], [17, 19, 0], [0, 0, 0]])
    y = reduction(x)
    torch.testing.assert_close(y[0, 0], x[0, 0, ::2, ::2])
    torch.testing.assert_close(y[0, 1], expected_shifted)
    torch.testing.assert_close(y[0, 2], expected_shifted)
    torch.testing.assert_close(reduction(x[..., :4, :4])[0, 1], torch.tensor([[7.0, 9], [17, 19]]))


def test_zero_gives_zero_and_a_gradient_of_zero():
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    y = Zero(2)(x)
    assert not y.any()
    y.sum().backward()
    assert not x.grad.any()


def test_average_pooling_leaves_padding_out():
    y = make_operation("avg_pool_3x3", 1, 1)(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(y, torch.ones(1, 1, 4, 4))


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    torch.manual_seed(1)
    y = drop_path(torch.ones(20_000, 2, 1, 3), 0.25).flatten(1)
    assert ((y == y[:, :1]).all(1)).all()
    np.testing.assert_allclose(y.unique().numpy(), [0, 4 / 3], rtol=1e-6)
    assert abs(float(y.mean()) - 1) < 4 * (0.25 / 0.75 / 20_000) ** 0.5


# --- cells ------------------------------------------------------------------------------------------------------------


def test_cell_adds_pairs_and_concatenates():
    """With identities everywhere the four nodes of a cell are sums of its two preprocessed inputs."""
    edges = tuple(("skip_connect", state) for state in (0, 1, 0, 2, 1, 3, 2, 4))
    cell = Cell(CellPlan(edges, (2, 3, 4, 5)), 5, 6, 4, reduces=False, older_is_larger=False).eval()
    older, newer = torch.randn(2, 5, 8, 8), torch.randn(2, 6, 8, 8)
    a, b = cell.older(older), cell.newer(newer)
    nodes = [a + b, 2 * a + b, 2 * a + 2 * b, 3 * a + 3 * b]
    torch.testing.assert_close(cell(older, newer, 0.0), torch.cat(nodes, 1))


def test_reduction_cell_halves_only_the_edges_from_its_inputs():
    plan = network_plan(DARTS_SECOND_ORDER).reduction
    cell = Cell(plan, 4, 4, 4, reduces=True, older_is_larger=True)
    for (name, state), edge in zip(plan.edges, cell.edges, strict=True):
        if name == "max_pool_3x3":
            assert edge.stride == (2 if state < 2 else 1)
        else:
            assert isinstance(edge, nn.Identity) == (state >= 2)
    assert isinstance(cell.older, FactorisedReduction)
    assert cell(torch.randn(1, 4, 16, 16), torch.randn(1, 4, 8, 8), 0.0).shape == (1, 16, 4, 4)


def test_identities_are_never_dropped():
    skips = CellPlan(genotype_of(*["skip_connect"] * 8).edges, (2, 3, 4, 5))
    cell = Cell(skips, 4, 4, 4, reduces=False, older_is_larger=False)
    older, newer = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(cell(older, newer, 0.9), cell(older, newer, 0.0))


@pytest.mark.parametrize(
    ("edges", "concatenated", "message"),
    [
        ((("none", 0),), (2,), "two edges for each"),
        ((("none", 0), ("conv_1x1", 1)), (2,), "edge 1: unknown operation 'conv_1x1'"),
        ((("none", 0), ("none", 2)), (2,), r"edge 1 \(none\) reads state 2: it can read 0 to 1"),
        ((("none", 0), ("none", 1)), (), "the output concatenates"),
        ((("none", 0), ("none", 1)), (3,), "name states from 0 to 2"),
    ],
)
def test_malformed_plans(edges, concatenated, message):
    with pytest.raises(SpaceError, match=message):
        CellPlan(edges, concatenated)


def test_plan_of_every_form_of_a_genotype():
    pair = NetworkGenotype(ARCH2VEC_BO, ARCH2VEC_BO)
    plan = network_plan(pair)
    assert plan == network_plan(ARCH2VEC_BO) == network_plan(str(ARCH2VEC_BO)) == network_plan(plan)
    assert plan.normal == CellPlan(ARCH2VEC_BO.edges, (2, 3, 4, 5))
    assert network_plan(DARTS_SECOND_ORDER).reduction.edges == DARTS_SECOND_ORDER.reduction.edges
    with pytest.raises(SpaceError, match="a network is built from a genotype"):
        network_plan(17)


# --- networks ---------------------------------------------------------------------------------------------------------


def test_cifar_network_shapes():
    network = small()
    logits, auxiliary = network(IMAGES)
    assert logits.shape == auxiliary.shape == (3, 7)
    widths = [cell.newer[1].out_channels for cell in network.cells]
    assert widths == [4, 8, 8, 16, 16]  # reductions at 5 // 3 and 10 // 3
    logits, auxiliary = network.eval()(IMAGES)
    assert logits.shape == (3, 7)
    assert auxiliary is None


def test_networks_without_auxiliary_head_and_on_grey_images():
    network = small(auxiliary=False, in_channels=1)
    logits, auxiliary = network(IMAGES[:, :1])
    assert logits.shape == (3, 7)
    assert auxiliary is None
    assert not any(isinstance(layer, AuxiliaryHead) for layer in network.modules())


def test_imagenet_network_shapes():
    torch.manual_seed(0)
    network = ImageNetNetwork(DARTS_SECOND_ORDER, channels=4, layers=3, n_classes=11)
    sizes = []
    for cell in network.cells:
        cell.register_forward_hook(lambda cell, x, y: sizes.append((y.shape[1], y.shape[2])))
    logits, auxiliary = network(torch.randn(2, 3, 224, 224))
    assert logits.shape == auxiliary.shape == (2, 11)
    assert sizes == [(16, 28), (32, 14), (64, 7)]
    norms = [isinstance(layer, nn.BatchNorm2d) for layer in network.auxiliary]
    assert sum(norms) == 1


def test_cells_of_other_spaces():
    logits, auxiliary = small(NASNET_A)(IMAGES)
    assert logits.shape == auxiliary.shape == (3, 7)
    five = NetworkPlan(*(CellPlan(plan.edges, (6,)) for plan in NASNET_A))
    assert small(five, auxiliary=False).classifier.in_features == 4 * 4


def test_same_seed_same_network_and_same_drop_path():
    first, second = small(), small()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    first.drop_path_probability = second.drop_path_probability = 0.5
    torch.manual_seed(3)
    a, b = first(IMAGES)[0], second(IMAGES)[0]
    assert not torch.equal(a, b)  # the generator has moved on
    torch.manual_seed(3)
    assert torch.equal(a, second(IMAGES)[0])


def test_a_stored_generator_state_repeats_the_draws():
    network = small(auxiliary=False)
    network.drop_path_probability = 0.5
    state = torch.get_rng_state()
    first = network(IMAGES)[0]
    torch.set_rng_state(state)
    assert torch.equal(first, network(IMAGES)[0])


def test_evaluation_draws_nothing():
    network = small().eval()
    network.drop_path_probability = 0.9
    state = torch.get_rng_state()
    first = network(IMAGES)[0]
    assert torch.equal(torch.get_rng_state(), state)
    network.drop_path_probability = 0.0
    assert torch.equal(first, network(IMAGES)[0])


def test_gradient_reaches_every_parameter_that_an_image_passes():
    network = small()
    logits, auxiliary = network(IMAGES)
    (logits.square().sum() + auxiliary.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 1}, "channels must be at least 2, got 1"),
        ({"layers": 0, "auxiliary": False}, "layers must be at least 1, got 0"),
        ({"layers": 1}, "layers must be at least 2, got 1"),
        ({"n_classes": 0}, "n_classes must be at least 1"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
    ],
)
def test_impossible_networks(options, message):
    with pytest.raises(SettingsError, match=message):
        small(**options)
