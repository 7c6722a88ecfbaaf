"""The decoder and the terms of the objective against closed forms, torch's own functions and numbers done by hand."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence
from torch.nn import functional

from a2v_core.models import autoencoder
from a2v_core.models.autoencoder import adjacency_logits, adjacency_loss, operation_loss, term_weights
from a2v_core.recipes import pretraining_settings

torch.set_num_threads(1)
LOG2 = math.log(2)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kl_is_the_closed_form():
    mean, log_std = normal(3, 7, 16), normal(3, 7, 16, seed=1)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(torch.zeros(()).double(), 1.0)).sum((1, 2))
    torch.testing.assert_close(autoencoder.kl_divergence(mean, log_std), expected)


def test_kl_of_masked_rows_is_left_out():
    mean, log_std = normal(1, 4, 2), normal(1, 4, 2, seed=1)
    mask = torch.tensor([[1.0, 1, 0, 0]]).double()
    torch.testing.assert_close(autoencoder.kl_divergence(mean, log_std, mask),
                               autoencoder.kl_divergence(mean[:, :2], log_std[:, :2]))


def test_decoder_is_symmetric_and_takes_any_leading_dimensions():
    z = normal(2, 3, 8, 16)
    logits = adjacency_logits(z)
    assert logits.shape == (2, 3, 8, 8)
    torch.testing.assert_close(logits, logits.transpose(-1, -2))
    assert float(logits[1, 2, 4, 6]) == pytest.approx(float(z[1, 2, 4] @ z[1, 2, 6]))


# Three nodes, 0 → 1 and 1 → 2. Logits: 0 → 1 has ln 3 (p = 3/4), 0 → 2 has 0 (p = 1/2), 1 → 2 has -ln 3 (p = 1/4).
EDGES = torch.tensor([[0.0, 1, 0], [0, 0, 1], [0, 0, 0]]).double()
LN3 = math.log(3)
EDGE_LOGITS = torch.tensor([[0.0, LN3, 0], [LN3, 0, -LN3], [0, -LN3, 0]]).double()


def test_adjacency_loss_by_hand():
    upper = -math.log(3 / 4) - math.log(1 / 2) - math.log(1 / 4)
    assert float(adjacency_loss(EDGE_LOGITS, EDGES, "upper")) == pytest.approx(upper)
    # All nine entries of A + A^T: each pair twice, and the diagonal, which has no edges, at probability 1/2.
    assert float(adjacency_loss(EDGE_LOGITS, EDGES, "full")) == pytest.approx(2 * upper + 3 * LOG2)


def test_adjacency_loss_counts_edges_between_nodes_only_when_masked():
    mask = torch.tensor([1.0, 1, 0]).double()
    assert float(adjacency_loss(EDGE_LOGITS, EDGES, "upper", mask)) == pytest.approx(-math.log(3 / 4))
    full = -2 * math.log(3 / 4) + 2 * LOG2
    assert float(adjacency_loss(EDGE_LOGITS, EDGES, "full", mask)) == pytest.approx(full)


def test_operation_loss_by_hand():
    one_hot = torch.tensor([[1.0, 0], [0, 1], [0, 0]]).double()  # the last row is padding
    logits = torch.tensor([[LN3, 0], [LN3, 0], [LN3, -LN3]]).double()
    sigmoid = [-math.log(3 / 4) + LOG2, -math.log(1 / 4) + LOG2, -2 * math.log(1 / 4) - math.log(3)]
    # Padding: entries (ln 3, -ln 3) against (0, 0) cost -ln(1/4) and -ln(3/4).
    assert sigmoid[2] == pytest.approx(-math.log(1 / 4) - math.log(3 / 4))
    softmax = [-math.log(3 / 4), -math.log(1 / 4), 0]
    mask = torch.tensor([1.0, 1, 0]).double()
    assert float(operation_loss(logits, one_hot, "sigmoid")) == pytest.approx(sum(sigmoid))
    assert float(operation_loss(logits, one_hot, "sigmoid", mask)) == pytest.approx(sum(sigmoid[:2]))
    assert float(operation_loss(logits, one_hot, "softmax")) == pytest.approx(sum(softmax))
    assert float(operation_loss(logits, one_hot, "softmax", mask)) == pytest.approx(sum(softmax))


def test_a_padded_row_costs_nothing_in_softmax_and_gets_no_gradient():
    logits = normal(1, 3, 5).requires_grad_()
    one_hot = torch.zeros(1, 3, 5).double()
    one_hot[0, 0, 2] = 1
    operation_loss(logits, one_hot, "softmax").sum().backward()
    assert logits.grad[0, 0].abs().sum() > 0
    assert (logits.grad[0, 1:] == 0).all()


def test_losses_are_stable_for_large_logits():
    logits = torch.tensor([[0.0, 200, -200], [0, 0, -200], [0, 0, 0]], requires_grad=True)
    loss = adjacency_loss(logits, EDGES.float(), "upper")
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert torch.isfinite(logits.grad).all()


def test_negative_elbo_of_equation_5_for_the_paper_recipe():
    """-log p(X|Z) - log p(A|Z) + KL of two graphs of three nodes from torch.distributions, averaged over the batch."""
    settings = pretraining_settings("paper")
    z, mean, log_std = (normal(2, 3, 4, seed=seed) for seed in range(3))
    logits = normal(2, 3, 5, seed=3)
    ops = torch.tensor([[0, 3, 4], [0, 1, 4]])
    adjacency = EDGES.expand(2, 3, 3)
    expected = 0.0
    for g in range(2):
        a = adjacency[g] + adjacency[g].T
        elbo = Categorical(logits=logits[g]).log_prob(ops[g]).sum() + Bernoulli(logits=z[g] @ z[g].T).log_prob(a).sum()
        elbo -= kl_divergence(Normal(mean[g], log_std[g].exp()), Normal(torch.zeros(()).double(), 1.0)).sum()
        expected -= elbo / 2
    terms = (operation_loss(logits, functional.one_hot(ops, 5).double(), settings.operations),
             adjacency_loss(adjacency_logits(z), adjacency, settings.adjacency),
             autoencoder.kl_divergence(mean, log_std))
    weights = term_weights(settings, 3, 5, 2)
    assert weights == (1, 1, 1)
    torch.testing.assert_close(sum(w * t.mean() for w, t in zip(weights, terms, strict=True)), expected)


def test_released_weights_amount_to_an_elbo_with_beta_one_over_the_batch():
    """Against the adjacency term, which per graph is its mean times N², the KL per graph weighs 1 / B."""
    ops, adjacency, kl = term_weights(pretraining_settings("released"), 7, 5, 32)
    assert (ops, adjacency) == (pytest.approx(1 / 35), pytest.approx(1 / 49))
    assert kl / adjacency == pytest.approx(1 / 32)


@pytest.mark.parametrize(("changes", "expected"), [
    ({"kl_divided_again": False}, 1 / 7), ({"beta": 3.0}, 3 / (7 * 32 * 7)), ({"reduction": "graph"}, 1 / (32 * 7)),
    ({"reduction": "graph", "kl_divided_again": False, "beta": 0.3}, 0.3)])
def test_each_factor_of_the_kl_term_is_its_own_setting(changes, expected):
    assert term_weights(pretraining_settings("released", **changes), 7, 5, 32)[2] == pytest.approx(expected)
