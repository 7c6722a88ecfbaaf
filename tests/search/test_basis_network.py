"""Stacked networks against the same network written with torch's own layers, and run by run."""

import numpy as np
import pytest
import torch

from a2v_core.search.basis_network import BasisNetworks, _draw, train_basis_networks


def pool(r=3, n=35, f=6, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(2.0, 3.0, (r, n, f)).astype(np.float32)
    return features, np.tanh(features[:, :, 0] / 3) * 0.1 + 0.9


def rngs(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def with_torch(features, targets, seed, hidden, epochs, batch_size):
    """One network by autograd and torch.optim.Adam, from the same initial weights in the same orders."""
    f = features.shape[1]
    first, second, order = _draw(np.random.default_rng(seed), f, hidden, len(features), epochs)
    layer, output = torch.nn.Linear(f, hidden).double(), torch.nn.Linear(hidden, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(first[:-1].T))
        layer.bias.copy_(torch.from_numpy(first[-1]))
        output.weight.copy_(torch.from_numpy(second[:1]))
        output.bias.fill_(float(second[1, 0]))
    x = features.astype(np.float64)
    x, y = torch.from_numpy((x - x.mean(0)) / x.std(0)), torch.from_numpy(targets)
    optimizer = torch.optim.Adam([*layer.parameters(), *output.parameters()], lr=1e-2)
    for epoch in range(epochs):
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[epoch, start:start + batch_size]
            loss = torch.nn.functional.mse_loss(output(torch.tanh(layer(x[rows])))[:, 0], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [p.detach().numpy() for p in (layer.weight.T, layer.bias, output.weight[0], output.bias[0])]


@pytest.mark.parametrize(("n", "epochs", "rel"), [(10, 1, 1e-6), (35, 4, 1e-4), (4, 5, 1e-4)])
def test_equals_the_network_of_torch(n, epochs, rel):
    features, targets = pool(2, n)
    trained = train_basis_networks(features, targets, rngs(5, 6), hidden=16, epochs=epochs)
    for run, seed in enumerate((5, 6)):
        expected = with_torch(features[run], targets[run], seed, 16, epochs, min(10, n))
        found = (trained.weights, trained.bias, trained.output_weights, trained.output_bias)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours[run], theirs, rtol=rel, atol=10 * rel)


def test_hidden_layer_is_the_tanh_of_standardised_inputs():
    features, targets = pool(2)
    trained = train_basis_networks(features, targets, rngs(0, 1), hidden=8, epochs=3)
    np.testing.assert_allclose(trained.centre[1], features[1].astype(np.float64).mean(0), rtol=1e-12)
    new = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    expected = np.tanh(((new - trained.centre[1]) / trained.scale[1]) @ trained.weights[1] + trained.bias[1])
    np.testing.assert_allclose(trained.hidden(1, new), expected, rtol=1e-6)
    assert trained.hidden(1, new).dtype == np.float64


def test_learns_the_pool():
    features, targets = pool(2, 60)
    trained = train_basis_networks(features, targets, rngs(0, 1), epochs=300)
    for run in range(2):
        fitted = trained.hidden(run, features[run]) @ trained.output_weights[run] + trained.output_bias[run]
        assert np.square(fitted - targets[run]).mean() < 0.1 * targets[run].var()


@pytest.mark.parametrize(("r", "n"), [(7, 23), (5, 9), (3, 1)])
def test_a_run_does_not_depend_on_the_others(r, n):
    features, targets = pool(r, n)
    together = train_basis_networks(features, targets, rngs(*range(r)), hidden=32, epochs=7)
    for start, stop in ((0, 1), (r - 1, r), (1, 3)):
        part = train_basis_networks(features[start:stop], targets[start:stop], rngs(*range(start, stop)), hidden=32,
                                    epochs=7)
        for name in BasisNetworks.__dataclass_fields__:
            assert np.array_equal(getattr(together, name)[start:stop], getattr(part, name))


def test_a_feature_without_variation_changes_nothing():
    features, targets = pool(1)
    features[:, :, 2] = 7.0
    trained = train_basis_networks(features, targets, rngs(0), hidden=8, epochs=3)
    assert trained.scale[0, 2] == 1.0
    assert all(np.isfinite(getattr(trained, name)).all() for name in BasisNetworks.__dataclass_fields__)
    # Its weights get no gradient and stay as they were drawn.
    np.testing.assert_array_equal(trained.weights[0, 2], _draw(np.random.default_rng(0), 6, 8, 35, 3)[0][2])


def test_initial_weights_are_uniform_as_in_a_linear_layer_of_torch():
    first, second, order = _draw(np.random.default_rng(0), 16, 4096, 12, 3)
    assert np.abs(first).max() == pytest.approx(1 / 4, rel=1e-3)
    assert first.std() == pytest.approx(1 / 4 / np.sqrt(3), rel=0.02)
    assert np.abs(second[0]).max() == pytest.approx(1 / 64, rel=1e-2)
    assert (second[1, 1:] == 0).all()
    assert (np.sort(order, axis=1) == np.arange(12)).all()
    assert not np.array_equal(order[0], order[1])
