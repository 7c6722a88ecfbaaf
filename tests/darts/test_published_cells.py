"""Published cells and their networks: against figures that their authors printed or their released models have."""

import pytest
import torch

from a2v_core.claims import load_register
from a2v_core.darts.counting import build_and_count
from a2v_core.darts.nasnet_networks import BottleneckConvolution, EnasCifarNetwork, NasnetImageNetNetwork
from a2v_core.darts.networks import ImageNetNetwork
from a2v_core.darts.published_cells import (
    AMOEBANET_A,
    ENAS,
    NASNET_A,
    PNASNET_5,
    PUBLISHED,
    SNAS_AGGRESSIVE,
    SNAS_MILD,
    cifar_network,
    imagenet_network,
)
from a2v_core.darts.published_costs import built_cost, formula_cost, genotype_cost
from a2v_core.errors import SettingsError
from a2v_core.paths import repository_root

PAPER = {claim.id: claim.paper for claim in load_register(repository_root() / "book" / "claims.toml").claims}


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("nasnet_a", 5.3, 564),  # Zoph et al. (2018), Table 2
        ("amoebanet_a", 5.1, 555),  # Real et al. (2019), Table 2
    ],
)
def test_networks_of_the_nasnet_line_have_the_printed_costs(name, parameters, multiply_adds):
    found = built_cost(name)
    assert round(found.parameters / 1e6, 1) == parameters
    assert round(found.products / 1e6) == multiply_adds


def test_nasnet_mobile_has_the_parameters_of_its_released_model():
    """5,289,978 trainable parameters: the figure of the model "NASNetMobile" in Keras."""
    assert built_cost("nasnet_a").parameters == 5_289_978


def test_pnas_is_close_to_the_printed_costs():
    """5.1 M and 588 M in Liu et al. (2018, PNAS)."""
    found = built_cost("pnas")
    assert round(found.parameters / 1e6, 1) == 5.1
    assert 587 <= found.products / 1e6 < 588


def test_cells_of_the_darts_space_have_the_printed_parameters():
    for name, id in (("snas", "table5/snas/params"), ("darts", "table5/darts/params")):
        assert round(built_cost(name).parameters / 1e6, 1) == PAPER[id]
    for name in ("snas", "darts", "bananas"):
        parameters = build_and_count(lambda name=name: cifar_network(name), (3, 32, 32)).parameters
        assert abs(parameters / 1e6 - PAPER[f"table4/{name}/params"]) <= 0.05


@pytest.mark.parametrize("name", [name for name, cells in PUBLISHED.items() if cells.in_darts_space])
def test_formula_and_built_network_agree(name):
    counted, formula = built_cost(name), formula_cost(name)
    assert formula.parameters == counted.parameters
    assert formula.multiply_adds == {c: counted.multiply_adds(c) for c in formula.multiply_adds}


def test_who_is_in_the_darts_space():
    outside = {name for name, published in PUBLISHED.items() if not published.in_darts_space}
    assert outside == {"nasnet_a", "amoebanet_a", "pnas", "enas"}
    assert formula_cost("pnas") is None
    for plan in (NASNET_A, AMOEBANET_A, PNASNET_5, ENAS):
        assert [cell.n_nodes for cell in plan] == [5, 5]


def test_outputs_are_the_states_that_no_edge_reads():
    """And a few others: NASNet-A and AmoebaNet-A pass c_{k-2} on, some nodes are read and put out as well."""
    for plan, also in ((ENAS, (set(), set())), (PNASNET_5, ({4}, {4})), (NASNET_A, ({0}, {3})),
                       (AMOEBANET_A, ({0}, {2, 4}))):
        for cell, others in zip(plan, also, strict=True):
            unread = set(range(2 + cell.n_nodes)) - {state for _, state in cell.edges}
            assert set(cell.concatenated) == unread | others


def test_small_networks_of_the_nasnet_line_run():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 64, 64)
    sizes = {10: [16, 8, 8, 8, 4, 4, 4, 2, 2, 2], 8: [16, 8, 8, 8, 4, 4, 2, 2]}
    for plan, channels, n_cells in ((NASNET_A, 8, 10), (AMOEBANET_A, 18, 10), (PNASNET_5, 10, 8)):
        network, seen = NasnetImageNetNetwork(plan, channels, 2, n_classes=5, c_stem=6), []
        for cell in network.cells:
            cell.register_forward_hook(lambda cell, inputs, y, seen=seen: seen.append(y.shape[2]))
        logits = network(x)
        assert logits.shape == (2, 5)
        assert seen == sizes[n_cells]
        logits.square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_small_enas_network_runs():
    torch.manual_seed(0)
    network = EnasCifarNetwork(ENAS, 4, 3, 6)
    assert len(network.cells) == 5
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 6)


def test_enas_has_the_printed_parameters_with_more_layers_than_its_script():
    """4.6 M in Pham et al. (2018), Table 2; the released script has 15 layers."""
    counts = {layers: build_and_count(lambda layers=layers: EnasCifarNetwork(ENAS, layers=layers), (3, 32, 32))
              for layers in (15, 18)}
    assert counts[15].parameters == 3_894_372
    assert round(counts[18].parameters / 1e6, 1) == 4.6


def test_bottleneck_convolution_by_hand():
    parameters = sum(p.numel() for p in BottleneckConvolution(10, 8, 2).parameters())
    assert parameters == 10 * 2 + 2 * (2 * 2 * 7) + 2 * 8 + 2 * (2 + 2 + 2 + 8)
    assert BottleneckConvolution(10, 8, 2)(torch.randn(1, 10, 7, 7)).shape == (1, 8, 4, 4)


def test_unknown_method():
    with pytest.raises(SettingsError, match="no published cells of 'proxyless': choose one of nasnet_a"):
        imagenet_network("proxyless")


def test_the_other_cells_of_snas_do_not_fit():
    """Only the moderate one has the 4.3 M of Table 5."""
    for cells in (SNAS_MILD, SNAS_AGGRESSIVE):
        assert abs(genotype_cost(cells).parameters / 1e6 - PAPER["table5/snas/params"]) > 0.3
    built = build_and_count(lambda: ImageNetNetwork(SNAS_AGGRESSIVE, auxiliary=False), (3, 224, 224))
    assert built.parameters == genotype_cost(SNAS_AGGRESSIVE).parameters
