"""Counts of built networks: by hand, and against the formulas of the search space."""

import numpy as np
import pytest
import torch
from torch import nn

from a2v_core.darts.counting import Count, build_and_count, count, visit
from a2v_core.darts.networks import CifarNetwork, ImageNetNetwork
from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_cost import CONVENTIONS, NetworkShape, network_cost
from a2v_core.spaces.darts_encoding import VOCABULARY, Edges
from a2v_core.spaces.darts_genotypes import Genotype, NetworkGenotype
from a2v_core.spaces.darts_sampling import draw_edges


def test_a_small_network_by_hand():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1, bias=False),  # 4 x 4 x 4 outputs of 27 products
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 5, 1, 2, groups=4, bias=False),  # 64 outputs of 25
        nn.MaxPool2d(3, 1, 1),
        nn.AvgPool2d(2),  # 4 x 2 x 2
        nn.AdaptiveAvgPool2d(1),  # 4 outputs with a window of 4
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    found = count(network, (3, 8, 8))
    assert found == Count(108 + 8 + 100 + 25, 64 * 27 + 64 * 25 + 20, 64, 16 + 4 * 5)
    assert found.multiply_adds("conventional") == 3348
    assert found.multiply_adds("released") == 3348 + 128 + 36


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network[1].eval()
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count(network, (1, 8, 8))
    assert network.training
    assert network[1].training
    assert not network[0]._forward_hooks
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_hooks_are_removed_after_a_failure():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(3, 3)).train()
    with pytest.raises(RuntimeError):
        visit(network, (1, 9, 9), lambda layer, x, y: None)
    assert network.training
    assert not network[0]._forward_hooks


def test_a_layer_without_a_rule_and_an_unknown_convention():
    with pytest.raises(SettingsError, match="no rule counts the layer GroupNorm"):
        count(nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4)), (1, 4, 4))
    with pytest.raises(SettingsError, match="convention 'flops' is unknown"):
        Count(1, 1, 1, 1).multiply_adds("flops")


def test_building_for_a_count_takes_no_memory():
    seen = []

    def build():
        network = nn.Sequential(nn.Conv2d(3, 10**6, 3, padding=1))
        seen.append(network[0].weight.device.type)
        return network

    assert build_and_count(build, (3, 32, 32)).products == 32**2 * 10**6 * 27
    assert seen == ["meta"]


def genotypes(edges: Edges) -> list[Genotype]:
    return [Genotype(tuple((VOCABULARY[op], int(state)) for op, state in zip(ops, inputs, strict=True)))
            for ops, inputs in zip(edges.ops, edges.inputs, strict=True)]


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_random_networks_cost_what_the_formulas_say(stem):
    """Normal and reduction cell differ; width 6 makes the halves of a factorised reduction odd."""
    normal, reduction = (draw_edges(3, np.random.default_rng(seed)) for seed in (10, 11))
    network_class = CifarNetwork if stem == "cifar" else ImageNetNetwork
    image = (3, 32, 32) if stem == "cifar" else (3, 224, 224)
    costs = {c: network_cost(normal, reduction, NetworkShape(stem, 6, 4, 9), c) for c in CONVENTIONS}
    for i, pair in enumerate(zip(genotypes(normal), genotypes(reduction), strict=True)):
        pair = NetworkGenotype(*pair)
        found = build_and_count(lambda pair=pair: network_class(pair, 6, 4, 9, auxiliary=False), image)
        for convention in CONVENTIONS:
            assert found.parameters == costs[convention].parameters[i]
            assert found.multiply_adds(convention) == costs[convention].multiply_adds[i]


def test_auxiliary_head_costs_parameters_only():
    with_head, without = (
        build_and_count(lambda auxiliary=auxiliary: CifarNetwork(
            genotypes(draw_edges(1, np.random.default_rng(0)))[0], 4, 5, 10, auxiliary), (3, 32, 32))
        for auxiliary in (True, False)
    )
    c = 4 * 16  # channels of the second reduction cell's output
    head = c * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 769 * 10
    assert with_head == without._replace(parameters=without.parameters + head)
