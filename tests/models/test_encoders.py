"""The DGL encoders against the formulas written out by hand."""

import dgl
import numpy as np
import pytest
import torch
from made_cells import random_cells, relabelled

from a2v_core.models.encoders import GCNEncoder, GINEncoder, GINLayer, graph_of

torch.set_num_threads(1)

# 0 → 1, 0 → 2, 1 → 2 and one node without edges.
ADJACENCY = np.array([[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint8)


def evaluated(module):
    """The module in evaluation mode, in float64, with parameters and statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(5)
    module.double().eval()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point() and tensor.numel() > 0:
                tensor.add_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * 0.3)
    return module


def test_graph_of_a_cell():
    undirected = graph_of(ADJACENCY)
    directed = graph_of(ADJACENCY, undirected=False)
    looped = graph_of(ADJACENCY, self_loops=True)
    assert undirected.num_nodes() == directed.num_nodes() == looped.num_nodes() == 4
    assert undirected.adj_external().to_dense().tolist() == (ADJACENCY + ADJACENCY.T).tolist()
    assert directed.adj_external().to_dense().tolist() == ADJACENCY.tolist()
    assert looped.adj_external().to_dense().tolist() == (ADJACENCY + ADJACENCY.T + np.eye(4)).tolist()


def test_gin_layer_is_equation_2():
    layer = evaluated(GINLayer(3, 5, "undirected"))
    h = torch.randn(4, 3, dtype=torch.float64)
    a = torch.from_numpy(ADJACENCY + ADJACENCY.T).double()
    expected = layer.mlp((1 + layer.conv.eps) * h + a @ h)
    assert float(layer.conv.eps) != 0
    torch.testing.assert_close(layer(graph_of(ADJACENCY), h), expected)


def test_split_layer_keeps_what_enters_and_what_leaves_apart():
    layer = evaluated(GINLayer(3, 5, "split"))
    with torch.no_grad():
        layer.out_edges.eps.fill_(-1)  # a constant of the layer, which `evaluated` has moved
    h = torch.randn(4, 3, dtype=torch.float64)
    a = torch.from_numpy(ADJACENCY).double()
    expected = layer.mlp(torch.cat([(1 + layer.conv.eps) * h + a.T @ h, a @ h], 1))
    torch.testing.assert_close(layer(graph_of(ADJACENCY, undirected=False), h), expected)
    assert "out_edges.eps" not in dict(layer.named_parameters())


def test_each_gin_layer_has_two_linear_batchnorm_relu_triplets_and_a_trainable_eps_from_zero():
    encoder = GINEncoder(5, (8, 6), 4, True)
    kinds = [type(module).__name__ for module in encoder.layers[1].mlp]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 2
    eps = [layer.conv.eps for layer in encoder.layers]
    assert all(e.requires_grad and float(e) == 0 for e in eps)
    assert (encoder.mean.weight.shape, encoder.log_std.weight.shape) == ((4, 6), (4, 6))


def test_gcn_is_the_symmetrically_normalised_propagation():
    encoder = evaluated(GCNEncoder(3, (6, 2), 4, True))
    x = torch.randn(4, 3, dtype=torch.float64)
    loops = torch.from_numpy(ADJACENCY + ADJACENCY.T).double() + torch.eye(4, dtype=torch.float64)
    scale = torch.diag(loops.sum(1) ** -0.5)
    propagate, h = scale @ loops @ scale, x
    for layer in encoder.layers:
        h = torch.relu(propagate @ h @ layer.weight + layer.bias)
    mean, log_std = encoder(graph_of(ADJACENCY, self_loops=True), x)
    torch.testing.assert_close(mean, propagate @ h @ encoder.mean.weight + encoder.mean.bias)
    torch.testing.assert_close(log_std, propagate @ h @ encoder.log_std.weight + encoder.log_std.bias)


@pytest.mark.parametrize("kind", ["gin", "split", "gcn"])
@pytest.mark.parametrize("n", [7, 8, 11])
def test_pooled_means_do_not_depend_on_the_order_of_the_nodes(kind, n):
    torch.manual_seed(0)
    encoder = GCNEncoder(5, (9, 7), 4, False) if kind == "gcn" else GINEncoder(
        5, (9, 7), 4, False, "split" if kind == "split" else "undirected")
    evaluated(encoder)
    cells = random_cells(6, n, 5, seed=n)
    other = relabelled(cells, seed=1)
    assert (other.adjacency != cells.adjacency).any()
    pooled = []
    for batch in (cells, other):
        graph = dgl.batch([graph_of(a, undirected=kind != "split", self_loops=kind == "gcn") for a in batch.adjacency])
        mean, log_std = encoder(graph, torch.from_numpy(batch.one_hot(5)).double().flatten(0, 1))
        assert log_std is None
        pooled.append(mean.view(len(batch), n, -1).sum(1))
    torch.testing.assert_close(*pooled)
