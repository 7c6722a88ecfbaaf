import math

import numpy as np
import pytest
import torch

from a2v_core.search.policy import FrozenPolicy, LSTMPolicy, log_prob, rewards_to_go


def policy(seeds, n_features=3, hidden=8):
    return LSTMPolicy([np.random.default_rng(seed) for seed in seeds], n_features, hidden, 0.01)


def oracle(ours, run):
    """torch's own cell, linear layer and optimiser with the parameters of one run."""
    p = {name: value.detach()[run].clone() for name, value in ours.parameters.items()}
    hidden, n_features = p["weight_hh"].shape[1], p["weight_ih"].shape[1]
    cell, linear = torch.nn.LSTMCell(n_features, hidden), torch.nn.Linear(hidden, n_features)
    with torch.no_grad():
        for layer, names in ((cell, ("weight_ih", "weight_hh", "bias_ih", "bias_hh")), (linear, ("weight", "bias"))):
            for name in names:
                getattr(layer, name).copy_(p[name])
    return cell, linear, torch.optim.Adam([*cell.parameters(), *linear.parameters()], lr=0.01)


def episode(ours, states, actions, advantage):
    """Means [R, T, D] of an episode, and one update."""
    ours.reset()
    means = torch.stack([ours.mean(states[:, t]) for t in range(states.shape[1])], 1)
    ours.update(-(log_prob(actions, means, 1.0) * advantage).mean(1))
    return means.detach()


def data(n_runs, n_steps, n_features=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(n_runs, n_steps, 2 * n_features + 1, generator=generator)
    return draw[..., :n_features], draw[..., n_features:-1], draw[..., -1]


def test_means_and_updates_are_those_of_torch_for_each_run():
    ours = policy([3, 4, 5])
    theirs = [oracle(ours, run) for run in range(3)]
    for seed in range(3):
        states, actions, advantage = data(3, 6, seed=seed)
        means = episode(ours, states, actions, advantage)
        for run, (cell, linear, optimizer) in enumerate(theirs):
            memory, loss = None, []
            for t in range(6):
                memory = cell(states[run, None, t], memory)
                mean = linear(memory[0])[0]
                torch.testing.assert_close(means[run, t], mean.detach(), rtol=1e-4, atol=1e-5)
                normal = torch.distributions.MultivariateNormal(mean, torch.eye(3))
                loss.append(-normal.log_prob(actions[run, t]) * advantage[run, t])
            optimizer.zero_grad()
            torch.stack(loss).mean().backward()
            optimizer.step()
            for name, layer in (("weight_ih", cell), ("weight_hh", cell), ("bias_ih", cell), ("weight", linear)):
                torch.testing.assert_close(ours.parameters[name].detach()[run], getattr(layer, name).detach(),
                                           rtol=1e-3, atol=1e-4)


def test_the_gradient_of_the_last_bias_by_hand():
    # d log N(a; m, I) / d m = a - m, and the mean depends on the last bias with slope 1.
    ours = policy([0])
    states, actions, advantage = data(1, 4)
    means = torch.stack([ours.mean(states[:, t]) for t in range(4)], 1)
    (-(log_prob(actions, means, 1.0) * advantage).mean(1)).sum().backward()
    expected = -((actions - means) * advantage[..., None]).mean(1)
    torch.testing.assert_close(ours.parameters["bias"].grad, expected.detach())


@pytest.mark.parametrize("hidden", [8, 128])
def test_a_run_does_not_depend_on_its_company_to_the_bit(hidden):
    seeds = [11, 5, 7, 2, 9]
    together = policy(seeds, 16, hidden)
    alone = [policy([seed], 16, hidden) for seed in seeds]
    for round_ in range(3):
        states, actions, advantage = data(5, 16, 16, seed=round_)
        means = episode(together, states, actions, advantage)
        for run, single in enumerate(alone):
            mine = episode(single, *(x[run:run + 1] for x in (states, actions, advantage)))
            assert torch.equal(mine[0], means[run])
    for run, single in enumerate(alone):
        for name, value in single.parameters.items():
            assert torch.equal(value[0], together.parameters[name][run])


def test_initial_parameters_are_uniform_in_the_usual_bounds():
    ours = policy(range(20), 16, 64)
    for value in (parameter.detach() for parameter in ours.parameters.values()):
        assert value.abs().max() <= 1 / 8
        assert value.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.05)
    assert not torch.equal(ours.parameters["weight"][0], ours.parameters["weight"][1])


def test_reset_forgets():
    ours, (states, _, _) = policy([0]), data(1, 1)
    first, second = ours.mean(states[:, 0]), ours.mean(states[:, 0])
    ours.reset()
    assert not torch.equal(first, second)
    assert torch.equal(ours.mean(states[:, 0]), first)


@pytest.mark.parametrize("noise", [1.0, 0.3])
def test_log_prob_is_that_of_the_multivariate_normal(noise):
    mean, action = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.MultivariateNormal(mean, noise ** 2 * torch.eye(16)).log_prob(action)
    torch.testing.assert_close(log_prob(action, mean, noise), expected)


def test_log_prob_at_the_mean_is_the_norming_constant():
    assert log_prob(torch.zeros(1, 2), torch.zeros(1, 2), 1.0).item() == pytest.approx(-math.log(2 * math.pi))


def test_rewards_to_go_by_hand():
    rewards = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(rewards_to_go(rewards, 0.5), [[3.0, 4.0, 4.0], [0.25, 0.5, 1.0]])
    np.testing.assert_array_equal(rewards_to_go(rewards, 0.0), rewards)
    np.testing.assert_array_equal(rewards_to_go(rewards, 1.0)[:, 0], [7.0, 1.0])


def test_a_frozen_policy_stays_at_zero():
    frozen, state = FrozenPolicy(), torch.ones(2, 3)
    frozen.reset()
    frozen.update(torch.zeros(2))
    assert torch.equal(frozen.mean(state), torch.zeros(2, 3))
