"""The training loop: that it learns, that it is reproducible to the bit, and that each setting does what it says."""

import shutil

import numpy as np
import pytest
import torch
from made_cells import random_cells

from a2v_core import training
from a2v_core.cells import PAD
from a2v_core.errors import SettingsError
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.recipes import pretraining_settings
from a2v_core.spaces import get_space
from a2v_core.training import resolve_device, split_cells, train

torch.set_num_threads(1)
K = 5
SMALL = {"hidden": (8, 8), "latent": 3, "epochs": 3}


@pytest.fixture(scope="module")
def cells():
    return random_cells(211, 7, K)  # 190 to train: five batches of 32 and one of 30


def run(cells, settings, seeds=(0,), **options):
    states = []

    def on_epoch(model, state):
        states.append(state)

    options = {"compiled": False, "progress": False, "on_epoch": on_epoch} | options
    model, state = train(cells, K, settings, seeds, **options)
    return model, state, states


def assert_close(model, i, other, j):
    """Equal parameters but for rounding. The bias in front of a batchnorm has no gradient but rounding, which Adam
    scales up to whole steps; the running mean follows it."""
    first, second = model.state_dict(i), other.state_dict(j)
    for name in first:
        if not (name.endswith("running_mean") or ("mlp" in name and name.endswith(("0.bias", "3.bias")))):
            torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-4,
                                       msg=lambda text, name=name: f"{name}: {text}")


def equal(a, b):
    names = ("theta", "running", "moment1", "moment2", "latent_mean", "latent_std")
    timeless = [[{k: v for k, v in entry.items() if k != "seconds"} for entry in x.history] for x in (a, b)]
    return (all(torch.equal(getattr(a, n), getattr(b, n)) for n in names)
            and (a.epoch, a.steps) == (b.epoch, b.steps) and timeless[0] == timeless[1])


@pytest.mark.parametrize("recipe", ["released", "paper", "corrected"])
@pytest.mark.parametrize("method", ["arch2vec", "vgae"])
def test_the_loss_falls_on_nasbench201(recipe, method):
    space = get_space("nasbench201")
    cells = space.cells()
    settings = pretraining_settings(recipe, method, hidden=(32, 32), epochs=4, learning_rate=3e-3)
    sample = cells[np.random.default_rng(0).permutation(len(cells))[:600]]
    _, state = train(sample, len(space.vocabulary), settings, (0,), compiled=False, progress=False)
    first, last = state.history[0], state.history[-1]
    if recipe == "paper":  # there the KL term with its full weight soon outweighs what the edges gain
        assert last["operations"][0] + last["adjacency"][0] + last["kl"][0] < 0.9 * (
            first["operations"][0] + first["adjacency"][0] + first["kl"][0])
    else:
        # The baseline's graph convolutions blur the nodes of a cell and learn slower.
        assert last["operations"][0] < (0.8 if method == "arch2vec" else 0.97) * first["operations"][0]
        assert last["adjacency"][0] < 0.9 * first["adjacency"][0]


def test_history_has_the_mean_terms_per_graph(cells):
    """With a learning rate that moves nothing, the history of an epoch in evaluation mode is the loss of the model."""
    settings = pretraining_settings(**SMALL, learning_rate=1e-30)
    model, state, _ = run(cells, settings, (0, 1))
    rows = split_cells(len(cells), "position", 0)[0]
    part = cells[rows]
    adjacency, ops = (torch.from_numpy(x).expand(2, *x.shape) for x in (part.adjacency, part.ops))
    terms = model.loss(model.theta, adjacency, ops, None, None, False)[1]
    for i, name in enumerate(("operations", "adjacency", "kl")):
        assert state.history[-1][name] == pytest.approx(terms[:, i].tolist(), rel=1e-5)
    assert [e["epoch"] for e in state.history] == [1, 2, 3]
    assert all(e["seconds"] > 0 and e["compiled"] is False for e in state.history)
    mean = model.encode(adjacency, ops)[0].detach()
    torch.testing.assert_close(state.latent_mean, mean.mean(1))
    torch.testing.assert_close(state.latent_std, mean.std(1, correction=0))


def test_spread_of_the_latents_leaves_masked_rows_out(cells):
    model, state, _ = run(cells, pretraining_settings(**SMALL, learning_rate=1e-30, mask_padding=True))
    part = cells[split_cells(len(cells), "position", 0)[0]]
    mean = model.encode(torch.from_numpy(part.adjacency)[None], torch.from_numpy(part.ops)[None])[0][0].detach()
    for position in range(7):
        real = mean[part.ops[:, position] != PAD, position]
        torch.testing.assert_close(state.latent_mean[0, position], real.mean(0))
        torch.testing.assert_close(state.latent_std[0, position], real.std(0, correction=0))


def test_first_step_is_adam_on_the_clipped_gradient(cells):
    """One batch of 32 at clipping norm 0.01, by torch's own Adam and clipping."""
    settings = pretraining_settings(**SMALL | {"epochs": 1}, clip_norm=0.01, dropout=0.0, variational=False)
    part = cells[:35]  # 31 to train: one batch
    model, state, _ = run(part, settings)
    start = StackedAutoencoder(K, settings, (0,))
    rows = split_cells(35, "position", 0)[0]
    loss = start.loss(start.theta, torch.from_numpy(part.adjacency[rows])[None], torch.from_numpy(part.ops[rows])[None],
                      None, None, True)[0]
    loss.sum().backward()
    optimizer = torch.optim.Adam([start.theta], lr=1e-3, foreach=False)
    assert torch.nn.utils.clip_grad_norm_([start.theta], 0.01) > 0.01
    optimizer.step()
    torch.testing.assert_close(model.theta, start.theta, rtol=1e-4, atol=2e-5)
    # Adam's first step has one size for any gradient: the clipping shows in its first moment.
    assert torch.linalg.vector_norm(state.moment1) == pytest.approx(0.1 * 0.01, rel=1e-3)


@pytest.mark.parametrize("recipe", ["released", "corrected"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(cells, recipe):
    settings = pretraining_settings(recipe, **SMALL)
    torch.manual_seed(1)
    first = run(cells, settings)[1]
    torch.manual_seed(2)
    assert equal(first, run(cells, settings)[1])
    assert not equal(first, run(cells, settings, (1,))[1])


@pytest.mark.parametrize("recipe", ["released", "corrected"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_run_gives_the_bits_of_an_uninterrupted_one(cells, recipe, epoch):
    settings = pretraining_settings(recipe, **SMALL)
    _, whole, states = run(cells, settings, (0, 1))
    _, resumed, later = run(cells, settings, (0, 1), resume=states[epoch - 1])
    assert len(later) == 3 - epoch
    assert equal(whole, resumed)


def test_going_on_from_the_last_epoch_changes_nothing(cells):
    settings = pretraining_settings(**SMALL)
    _, whole, states = run(cells, settings)
    model, state, later = run(cells, settings, resume=states[-1])
    assert later == []
    assert equal(whole, state)
    assert torch.equal(model.theta, whole.theta)


@pytest.mark.parametrize("changes", [{}, {"encoder": "gcn"},
                                     {"split": "random", "reshuffle": True, "mask_padding": True}])
def test_a_stacked_seed_is_a_lone_seed(cells, changes):
    settings = pretraining_settings(**SMALL, **changes)
    stack, together, _ = run(cells, settings, (5, 6, 7))
    for i, seed in enumerate((5, 6, 7)):
        model, alone, _ = run(cells, settings, (seed,))
        assert_close(stack, i, model, 0)
        assert together.history[0]["adjacency"][i] == pytest.approx(alone.history[0]["adjacency"][0], rel=1e-5)
        assert together.history[-1]["adjacency"][i] == pytest.approx(alone.history[-1]["adjacency"][0], rel=1e-3)


def count_noise(monkeypatch):
    """Counts of torch.randn and torch.rand inside the training loop."""
    counts = {"randn": 0, "rand": 0}
    for name in counts:
        real = getattr(torch, name)

        def counted(*args, _name=name, _real=real, **kwargs):
            counts[_name] += 1
            return _real(*args, **kwargs)

        monkeypatch.setattr(training.torch, name, counted)
    return counts


@pytest.mark.parametrize(("recipe", "dropout"), [("released", 0.3), ("corrected", 0.2)])
def test_released_is_in_evaluation_mode_after_the_first_epoch(cells, monkeypatch, recipe, dropout):
    counts, seen = count_noise(monkeypatch), []
    settings = pretraining_settings(recipe, **SMALL, dropout=dropout)

    def on_epoch(_model, state):
        seen.append((dict(counts), state))

    train(cells, K, settings, (0,), compiled=False, progress=False, on_epoch=on_epoch)
    draws = [count["randn"] for count, _ in seen], [count["rand"] for count, _ in seen]
    running = [state.running for _, state in seen]
    fresh = StackedAutoencoder(K, settings, (0,)).running
    assert not torch.equal(running[0], fresh)
    if recipe == "released":
        assert draws == ([6, 6, 6], [6, 6, 6])
        assert torch.equal(running[0], running[1])
        assert torch.equal(running[1], running[2])
    else:
        assert draws == ([6, 12, 18], [6, 12, 18])
        assert not torch.equal(running[0], running[1])
    assert [e["train_mode"] for e in seen[-1][1].history] == [True, *[recipe != "released"] * 2]


def test_a_model_without_noise_draws_none(cells, monkeypatch):
    counts = count_noise(monkeypatch)
    run(cells, pretraining_settings("corrected", **SMALL, variational=False))
    assert counts == {"randn": 0, "rand": 0}


@pytest.mark.parametrize("reshuffle", [False, True])
@pytest.mark.parametrize("split", ["position", "random"])
def test_order_of_the_cells(cells, monkeypatch, reshuffle, split):
    """Every epoch sees every training cell once, in one order or in a new one; each seed has its own."""
    batches, real = [], training._Step.__call__

    def record(self, loss, batch, generators, train_mode):
        batches.append(batch.clone())
        return real(self, loss, batch, generators, train_mode)

    monkeypatch.setattr(training._Step, "__call__", record)
    run(cells, pretraining_settings(**SMALL, reshuffle=reshuffle, split=split), (0, 1))
    assert [b.shape[1] for b in batches] == [32, 32, 32, 32, 32, 30] * 3
    epochs = torch.cat(batches, 1).unflatten(1, (3, 190))
    for i, seed in enumerate((0, 1)):
        rows = sorted(split_cells(len(cells), split, seed)[0])
        assert all(sorted(epochs[i, e].tolist()) == rows for e in range(3))
    assert torch.equal(epochs[:, 0], epochs[:, 1]) == (not reshuffle)
    assert torch.equal(epochs[:, 1], epochs[:, 2]) == (not reshuffle)
    assert not torch.equal(epochs[0], epochs[1])
    assert epochs[0, 0].tolist() != sorted(epochs[0, 0].tolist())


@pytest.mark.parametrize("n", [20, 211, 15625])
def test_the_held_out_tenth_is_disjoint_and_complete(n):
    for split, seed in (("position", 0), ("random", 0), ("random", 1)):
        rows, held_out = split_cells(n, split, seed)
        assert len(held_out) == round(n / 10)
        assert sorted([*rows, *held_out]) == list(range(n))
    assert split_cells(n, "position", 3)[1].tolist() == list(range(n - round(n / 10), n))
    first, second = (split_cells(n, "random", seed)[1] for seed in (0, 1))
    assert set(first) != set(second)
    assert (first == split_cells(n, "random", 0)[1]).all()


def test_too_few_cells_are_refused(cells):
    with pytest.raises(SettingsError, match="19 cells are too few"):
        run(cells[:19], pretraining_settings(**SMALL))


def test_devices():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(SettingsError, match="'abacus' cannot be used here"):
        resolve_device("abacus")
    with pytest.raises(SettingsError, match="'cuda:99' cannot be used here"):
        resolve_device("cuda:99")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++, which is not installed")
def test_compiled_and_eager_steps_agree(cells):
    settings = pretraining_settings(**SMALL | {"hidden": (8,), "epochs": 1})
    eager_model, eager, _ = run(cells, settings)
    compiled_model, compiled, _ = run(cells, settings, compiled=True)
    assert compiled.history[0]["compiled"] is True
    assert_close(compiled_model, 0, eager_model, 0)
    for term in ("operations", "adjacency", "kl"):
        assert compiled.history[0][term] == pytest.approx(eager.history[0][term], rel=1e-4)
