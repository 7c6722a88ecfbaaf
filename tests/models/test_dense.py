"""The dense, stacked form against the DGL definition, and what the embedding can and cannot tell apart."""

import copy

import dgl
import numpy as np
import pytest
import torch
from made_cells import moved_away, random_cells, relabelled
from torch.nn import functional

from a2v_core.cells import PAD, Cells
from a2v_core.models.autoencoder import Autoencoder
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.models.encoders import graph_of
from a2v_core.recipes import pretraining_settings

torch.set_num_threads(1)

K, B, SEEDS = 5, 6, (3, 11)
VARIANTS = {
    "gin": {}, "gcn": {"encoder": "gcn"}, "split": {"direction": "split"}, "mask_padding": {"mask_padding": True},
    "plain": {"variational": False}, "gcn plain": {"encoder": "gcn", "variational": False},
    "split masked graph softmax": {"direction": "split", "mask_padding": True, "reduction": "graph", "beta": 0.3,
                                   "operations": "softmax", "kl_divided_again": False},
    "gcn masked full": {"encoder": "gcn", "mask_padding": True, "adjacency": "full"},
    "gin full softmax": {"adjacency": "full", "operations": "softmax", "reduction": "graph"},
}


def settings_of(variant):
    # The widths fall and rise: DGL's convolution multiplies in one order or the other.
    return pretraining_settings(**{"hidden": (9, 4, 6), "latent": 3} | VARIANTS[variant])


def stack_of(settings, seeds=SEEDS, moved=0.2):
    """A stack in float64 whose parameters and running statistics are not the initial ones."""
    return moved_away(StackedAutoencoder(K, settings, seeds, dtype=torch.float64), moved)


def batches(n, seeds=SEEDS, b=B):
    """One batch of cells a model, with noise and dropout factors: cells, and tensors [S, B, …]."""
    cells = [random_cells(b, n, K, seed=100 * n + s) for s in seeds]
    generator = torch.Generator().manual_seed(n)
    shape = (len(seeds), b, n, 3)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    keep = (torch.rand(shape, generator=generator, dtype=torch.float64) > 0.3).double() / 0.7
    adjacency = torch.from_numpy(np.stack([c.adjacency for c in cells]))
    return cells, adjacency, torch.from_numpy(np.stack([c.ops for c in cells])), noise, keep


def reference(model, settings, cells, noise, keep):
    """Loss and terms of one batch through DGL's layers and torch's loss functions, graph after graph."""
    n = cells.ops.shape[1]
    sizes = cells.n_nodes if settings.mask_padding else np.full(len(cells), n)
    graphs = [graph_of(a[:size, :size], undirected=settings.direction == "undirected",
                       self_loops=settings.encoder == "gcn") for a, size in zip(cells.adjacency, sizes, strict=True)]
    one_hot = [torch.from_numpy(x[:size]).double() for x, size in zip(cells.one_hot(K), sizes, strict=True)]
    mean, log_std = model.encoder(dgl.batch(graphs), torch.cat(one_hot))
    terms, start = torch.zeros(3, dtype=torch.float64), 0
    for g, size in enumerate(sizes):
        mu, x = mean[start:start + size], one_hot[g]
        a = torch.from_numpy(cells.adjacency[g, :size, :size]).double()
        z = mu
        if log_std is not None:
            s = log_std[start:start + size]
            z = mu if noise is None else mu + noise[g, :size] * s.exp()
            prior = torch.distributions.Normal(torch.zeros_like(s), 1.0)
            terms[2] += torch.distributions.kl_divergence(torch.distributions.Normal(mu, s.exp()), prior).sum()
        if keep is not None:
            z = z * keep[g, :size]
        edges, logits = z @ z.T, model.operations(z)
        if settings.adjacency == "upper":
            counted = torch.ones_like(a).triu(1)
            terms[1] += functional.binary_cross_entropy_with_logits(edges, a, counted, reduction="sum")
        else:
            terms[1] += functional.binary_cross_entropy_with_logits(edges, a + a.T, reduction="sum")
        if settings.operations == "sigmoid":
            terms[0] += functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        else:
            real = x.any(1)
            terms[0] += functional.cross_entropy(logits[real], x[real].argmax(1), reduction="sum")
        start += size
    terms = terms / len(cells)
    factors = torch.tensor([1.0, 1.0, settings.beta], dtype=torch.float64)
    if settings.reduction == "entries":
        factors = factors / torch.tensor([n * K, n * n, n], dtype=torch.float64)
    if settings.kl_divided_again:
        factors[2] /= len(cells) * n
    return (factors * terms).sum(), terms


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("n", [7, 8, 11])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dense_equals_dgl_forward_and_gradient(variant, n, training):
    """Loss, terms, running statistics and the gradient of every parameter, for each seed of a stack, in float64."""
    settings = settings_of(variant)
    stack = stack_of(settings)
    cells, adjacency, ops, noise, keep = batches(n)
    if not training:
        noise = keep = None
    loss, terms, _, running = stack.loss(stack.theta, adjacency, ops, noise, keep, training)
    gradients, after = copy.copy(stack), copy.copy(stack)
    gradients.theta, = torch.autograd.grad(loss.sum(), stack.theta)
    after.running = running
    for i in range(len(SEEDS)):
        model = Autoencoder(K, settings).double().train(training)
        model.load_state_dict(stack.state_dict(i), strict=False)
        expected, expected_terms = reference(model, settings, cells[i], None if noise is None else noise[i],
                                             None if keep is None else keep[i])
        torch.testing.assert_close(loss[i], expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(terms[i], expected_terms.detach(), rtol=1e-10, atol=1e-12)
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        found = gradients.state_dict(i)
        for name, gradient in zip(named, torch.autograd.grad(expected, list(named.values())), strict=True):
            torch.testing.assert_close(found[name], gradient, rtol=1e-8, atol=1e-9,
                                       msg=lambda text, name=name: f"{name}: {text}")
        buffers = {name: b for name, b in model.named_buffers() if "running" in name}
        assert bool(buffers) == (settings.encoder == "gin")
        for name, buffer in buffers.items():
            torch.testing.assert_close(after.state_dict(i)[name], buffer, rtol=1e-10, atol=1e-12)
        moved = {name for name in buffers if not torch.equal(buffers[name], stack.state_dict(i)[name])}
        assert moved == (set(buffers) if training else set())


def test_initialisation_is_that_of_the_dgl_model_and_leaves_the_global_generator_alone():
    settings = pretraining_settings(hidden=(6,))
    before = torch.random.get_rng_state()
    stack = StackedAutoencoder(K, settings, (4, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    for i, seed in enumerate((4, 5)):
        torch.manual_seed(seed)
        for name, tensor in Autoencoder(K, settings).state_dict().items():
            if name in stack.state_dict(i):
                assert torch.equal(stack.state_dict(i)[name], tensor)
    assert not torch.equal(stack.theta[0], stack.theta[1])


@pytest.mark.parametrize("variant", ["gin", "gcn", "split", "mask_padding"])
def test_a_stack_is_each_model_alone(variant):
    stack = stack_of(settings_of(variant), (1, 2, 3))
    _, adjacency, ops, noise, keep = batches(7, (1, 2, 3))
    together = stack.loss(stack.theta, adjacency, ops, noise, keep, True)
    gradient, = torch.autograd.grad(together[0].sum(), stack.theta)
    for i in range(3):
        one, part = stack.select(i), slice(i, i + 1)
        alone = one.loss(one.theta, adjacency[part], ops[part], noise[part], keep[part], True)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[part], b)
        torch.testing.assert_close(gradient[part], torch.autograd.grad(alone[0].sum(), one.theta)[0])


def test_released_loss_on_one_batch_from_probabilities():
    """The released objective written out: two mean binary cross-entropies on probabilities, and the KL term averaged
    over nodes and divided by batch x nodes, on padded 7-node cells of 5 operations."""
    settings = pretraining_settings("released", latent=3, hidden=(9, 9))
    stack = stack_of(settings, (0,))
    # Small latents, so that no probability rounds to 0 or 1, where the cross-entropy of a probability is cut off.
    state = stack.state_dict(0)
    stack.load_state_dicts([{name: 0.3 * x if name.startswith(("encoder.mean", "encoder.log_std")) else x
                             for name, x in state.items()}])
    _, adjacency, ops, noise, keep = batches(7, (0,), 32)
    loss, terms, _, _ = stack.loss(stack.theta, adjacency, ops, noise, keep, True)
    with torch.no_grad():
        mean, log_std, _ = stack.encode(adjacency, ops, training=True)
        mean, log_std, ops = mean[0], log_std[0], ops[0]
        z = (mean + noise[0] * log_std.exp()) * keep[0]
        # Both sides are cut to the upper triangle: elsewhere 0 against 0 costs nothing, but counts in the mean.
        edges = torch.sigmoid(torch.einsum("bid,bjd->bij", z, z)).triu(1)
        weight, bias = (stack.state_dict(0)[f"operations.{name}"] for name in ("weight", "bias"))
        labels = torch.zeros(32, 7, K, dtype=torch.float64)
        for b in range(32):
            for node in range(7):
                if ops[b, node] != PAD:
                    labels[b, node, int(ops[b, node])] = 1
        loss_operations = functional.binary_cross_entropy(torch.sigmoid(z @ weight.T + bias), labels)
        loss_edges = functional.binary_cross_entropy(edges, adjacency[0].double())
        per_node = (-0.5 * (1 + 2 * log_std - mean**2 - log_std.exp() ** 2)).sum(-1)
        loss_kl = per_node.mean() / (32 * 7)
    torch.testing.assert_close(loss[0].detach(), loss_operations + loss_edges + loss_kl)
    torch.testing.assert_close(terms[0, 1] / 49, loss_edges)
    # In per-graph ELBO units, those of the adjacency term, the KL term weighs 1 / B.
    torch.testing.assert_close(49 * loss_kl, per_node.sum(-1).mean() / 32)


def test_moments_are_sums_over_the_batch_at_each_position():
    for mask in (False, True):
        stack = stack_of(pretraining_settings(latent=3, hidden=(9,), mask_padding=mask))
        _, adjacency, ops, noise, keep = batches(7)
        moments = stack.loss(stack.theta, adjacency, ops, noise, keep, True)[2]
        mean = stack.encode(adjacency, ops, training=True)[0].detach()
        if mask:
            mean = torch.where((ops == PAD).unsqueeze(-1), 0.0, mean)
        torch.testing.assert_close(moments, torch.stack([mean.sum(1), (mean**2).sum(1)], 1))


def pooled(stack, cells, training=False):
    """Sum over the nodes of their posterior means, padded rows included unless masked, [M, D]."""
    adjacency, ops = torch.from_numpy(cells.adjacency)[None], torch.from_numpy(cells.ops)[None]
    mean = stack.encode(adjacency, ops, training)[0][0].detach()
    if stack.settings.mask_padding:
        mean = mean * (ops[0] != PAD).unsqueeze(-1)
    return mean.sum(1)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("variant", ["gin", "gcn", "split", "mask_padding"])
def test_the_pooled_embedding_does_not_depend_on_the_order_of_the_nodes(variant, training):
    stack, cells = stack_of(settings_of(variant), (0,)), random_cells(20, 8, K)
    torch.testing.assert_close(pooled(stack, cells, training), pooled(stack, relabelled(cells), training))


# The same undirected labelled path input - a - b - a - output, but b feeds both a's here and is fed by both there;
# labels: 0 input, 1 a, 2 b, 4 output.
ONE_WAY = np.array([[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], np.uint8)
TWIN = np.array([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], np.uint8)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_cells_that_differ_in_direction_alone_collide_unless_directions_are_split(training):
    ops = np.array([[0, 1, 2, 1, 4]] * 2, np.uint8)
    cells = Cells(np.stack([ONE_WAY, TWIN]), ops)
    degrees = [sorted(zip(ops[0], a.sum(0), a.sum(1), strict=True)) for a in cells.adjacency]
    assert degrees[0] != degrees[1]  # so they are not isomorphic …
    assert ((ONE_WAY + ONE_WAY.T) == (TWIN + TWIN.T)).all()  # … but equal as undirected graphs
    embedded = {}
    for variant in ("gin", "gcn", "mask_padding", "split"):
        settings = pretraining_settings(**VARIANTS[variant], hidden=(16, 16), latent=3)
        embedded[variant] = pooled(stack_of(settings, (0,)), cells, training)
    for variant in ("gin", "gcn", "mask_padding"):
        torch.testing.assert_close(embedded[variant][0], embedded[variant][1], rtol=0, atol=1e-12)
    assert (embedded["split"][0] - embedded["split"][1]).abs().max() > 1e-3


def padded_to(cells, n):
    wider = Cells(np.zeros((len(cells), n, n), np.uint8), np.full((len(cells), n), PAD, np.uint8))
    size = cells.ops.shape[1]
    wider.adjacency[:, :size, :size], wider.ops[:, :size] = cells.adjacency, cells.ops
    return wider


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("encoder", [{}, {"direction": "split"}, {"encoder": "gcn"}])
def test_a_padded_cell_embeds_like_its_unpadded_self_where_padding_is_masked(encoder, training):
    cells = random_cells(10, 5, K, padded=False)
    stack = stack_of(pretraining_settings(hidden=(9, 9), latent=3, mask_padding=True, **encoder), (0,))
    torch.testing.assert_close(pooled(stack, cells, training), pooled(stack, padded_to(cells, 7), training))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_padding_moves_the_embedding_of_the_released_recipe(training):
    cells = random_cells(10, 5, K, padded=False)
    stack = stack_of(pretraining_settings("released", hidden=(9, 9), latent=3), (0,))
    difference = pooled(stack, cells, training) - pooled(stack, padded_to(cells, 7), training)
    assert difference.abs().max(1).values.min() > 1e-3


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_masked_loss_does_not_depend_on_the_amount_of_padding(training):
    cells = random_cells(B, 5, K, padded=False)
    stack = stack_of(pretraining_settings("corrected", hidden=(9, 9), latent=3), (0,))
    losses = [stack.loss(stack.theta, torch.from_numpy(c.adjacency)[None], torch.from_numpy(c.ops)[None], None, None,
                         training)[0] for c in (cells, padded_to(cells, 7))]
    torch.testing.assert_close(*losses)


def test_parameters_go_out_and_come_back():
    stack = stack_of(pretraining_settings(hidden=(6, 6)))
    other = StackedAutoencoder(K, stack.settings, (8, 9), dtype=torch.float64)
    other.load_state_dicts([stack.state_dict(1), stack.state_dict(0)])
    assert torch.equal(other.theta, stack.theta[[1, 0]])
    assert torch.equal(other.running, stack.running[[1, 0]])
    assert other.theta.requires_grad
