"""BANANAS: its networks against torch's own, its rounds on small problems."""

import numpy as np
import pytest
import torch
from made_landscapes import answer, one_target, problem
from torch import nn

from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search.bananas import BY_SPACE, RECIPES, Bananas, BananasSettings, Networks
from a2v_core.search.protocol import NO_CELL, Problem
from a2v_core.search.random_search import RandomSearch

SMALL = {"members": 2, "layers": 2, "width": 4, "epochs": 5}


def data(n=45, p=6, runs=2, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 2, (runs, n, p)).astype(np.float32)
    return features, 5 + features.sum(2) + rng.normal(size=(runs, n)), rng.uniform(0.5, 2, (runs, n))


def plain(networks, i):
    """Network i as torch's modules."""
    layers = []
    for weights, bias in networks._layers:
        layer = nn.Linear(*weights.shape[1:])
        layer.weight.data, layer.bias.data = weights[i].T.clone(), bias[i, 0].clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_a_stack_trains_as_torchs_own_modules_do():
    features, targets, weights = data()
    settings = BananasSettings(**SMALL)
    networks = Networks(6, settings, [np.random.default_rng(seed) for seed in (1, 2)])
    models = [plain(networks, i) for i in range(4)]
    networks.train(features, targets, weights, [np.random.default_rng(seed) for seed in (3, 4)])
    for i, model in enumerate(models):
        run, member = divmod(i, 2)
        orders = np.random.default_rng(3 + run).permuted(np.broadcast_to(np.arange(45), (2, 5, 45)), axis=2)[member]
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-7)
        for order in orders:
            for rows in (order[:32], order[32:]):
                x, y, w = (torch.tensor(a[run, rows], dtype=torch.float32) for a in (features, targets, weights))
                optimizer.zero_grad()
                ((model(x)[:, 0] - y).abs() * w).mean().backward()
                optimizer.step()
        expected = model(torch.from_numpy(features[run])).detach().numpy()[:, 0]
        np.testing.assert_allclose(networks.predict(list(features))[run][member], expected, rtol=1e-4)


def test_networks_learn():
    features, _, weights = data(n=200)
    targets = 6 + features[:, :, 0] * 10
    networks = Networks(6, BananasSettings(epochs=60), [np.random.default_rng(seed) for seed in (1, 2)])
    networks.train(features, targets, np.ones_like(weights), [np.random.default_rng(0)] * 2)
    assert np.abs(np.stack(networks.predict(list(features))).mean(1) - targets).mean() < 1


def test_initial_weights_are_within_the_bounds_of_glorot():
    networks = Networks(364, BananasSettings(), [np.random.default_rng(0)])
    for (weights, bias), (a, b) in zip(networks._layers, [(364, 20), *[(20, 20)] * 9, (20, 1)], strict=True):
        limit = np.sqrt(6 / (a + b))
        assert 0.8 * limit < weights.abs().max() <= limit
        assert not bias.any()
    assert len(torch.unique(networks._layers[0][0][:, 0, 0])) == 5  # each member has its own


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_each_seed_alone_proposes_the_same(name, recipe):
    part = problem(name)
    accuracy = np.random.default_rng(0).uniform(0.8, 0.94, len(part.rows))
    settings = BananasSettings(**RECIPES[recipe] | {"epochs": 3})
    seeds = [3, 14, 15, 9]
    cells = answer(Bananas(part, seeds, settings, "cpu"), accuracy, 50)
    for run, seed in enumerate(seeds):
        np.testing.assert_array_equal(answer(Bananas(part, [seed], settings, "cpu"), accuracy, 50)[0], cells[run])
        assert len(set(cells[run].tolist())) == 50


def test_it_beats_random_search_on_a_made_landscape():
    part = problem()
    accuracy = one_target(part)
    settings = BananasSettings(**RECIPES["paper"] | {"epochs": 40})
    found = accuracy[answer(Bananas(part, range(6), settings, "cpu"), accuracy, 80)].max(1)
    at_random = accuracy[answer(RandomSearch(part, range(40)), accuracy, 80)[:, :80]].max(1)
    assert found.mean() > at_random.mean() + 0.1


def test_the_lowest_draws_are_queried(monkeypatch):
    """Networks that agree leave nothing to chance: the ten mutants with the lowest predictions are proposed."""
    part, seen = problem(), {}

    def predict(self, features):
        seen["predicted"] = [np.repeat(np.arange(len(f))[None, ::-1], 5, axis=0).astype(float) for f in features]
        return seen["predicted"]

    searcher = Bananas(part, [0], BananasSettings(epochs=1), "cpu")
    answer(searcher, one_target(part), 10)
    mutants = {}
    original = searcher._mutants
    monkeypatch.setattr(searcher, "_mutants", lambda run: mutants.setdefault(run, original(run)))
    monkeypatch.setattr(Networks, "predict", predict)
    np.testing.assert_array_equal(searcher.propose(np.ones(1, bool)).cells[0], mutants[0][0][::-1][:10])


def test_targets_are_errors_in_percent_and_mape_weighs_the_best_most(monkeypatch):
    part, seen = problem(), []
    monkeypatch.setattr(Networks, "train", lambda self, _, targets, weights, rngs: seen.append((targets, weights)))
    accuracy = one_target(part)
    accuracy[accuracy > 0.7] = 0.96  # an error below the lower bound
    for loss in ("mae", "mape"):
        searcher = Bananas(part, [0], BananasSettings(loss=loss), "cpu")
        cells = answer(searcher, accuracy, 20)
        targets, weights = seen.pop()
        np.testing.assert_allclose(targets, 100 * (1 - accuracy[cells[:, :10]]))
        expected = 1 / np.maximum(targets - 4.5, 0.05) if loss == "mape" else np.ones((1, 10))
        np.testing.assert_allclose(weights, expected)
        seen.clear()


@pytest.mark.parametrize(("name", "settings", "rates"), [
    ("nasbench101", BananasSettings(), [1 / 21] * 21 + [1 / 5] * 5), ("nasbench201", BananasSettings(), [1 / 6] * 6),
    ("nasbench201", BananasSettings(**BY_SPACE["released"]["nasbench201"]), [1 / 4] * 6)])
def test_mutation_rates(name, settings, rates):
    searcher = Bananas(problem(name), [0], settings, "cpu")
    encoding = (np.arange(len(rates)) % 2).astype(np.uint8)
    mutants = searcher._mutate(0, encoding, 20_000)
    np.testing.assert_allclose((mutants != encoding).mean(0), rates, atol=0.012)
    assert (mutants < searcher._encoding.choices).all()
    share = np.bincount(mutants[:, -1], minlength=searcher._encoding.choices[-1])  # other values, any alike
    np.testing.assert_allclose(np.delete(share, encoding[-1]) / 20_000, rates[-1] / (len(share) - 1), atol=0.012)


def test_mutants_are_new_candidates_of_the_best_parent_first():
    part = problem()
    searcher = Bananas(part, [0], BananasSettings(), "cpu")
    accuracy = one_target(part)
    queried = answer(searcher, accuracy, 10)[0]
    cells, encodings = searcher._mutants(0)
    assert len(cells) == len(set(cells.tolist())) >= 60
    assert not set(cells.tolist()) & set(queried.tolist())
    np.testing.assert_array_equal(searcher._encoding.decode(encodings)[0], cells)
    best = part.cells.ops[queried[accuracy[queried].argmax()]]
    assert (part.cells.ops[cells[:30]] != best).sum(1).mean() < 2.5


def test_a_part_of_a_space_gets_its_candidates_only():
    part = problem("nasbench101", np.arange(30_000))
    accuracy = np.random.default_rng(0).uniform(0.8, 0.94, 30_000)
    cells = answer(Bananas(part, [0, 1], BananasSettings(**SMALL), "cpu"), accuracy, 40)
    assert cells.min() >= 0


def test_a_run_ends_when_all_cells_are_queried():
    part = problem(rows=np.arange(24))
    accuracy = one_target(problem())[:24]
    for size in (24, 7):
        few = Problem(part.space, part.cells[:size], part.rows[:size])
        if size == 7:  # too few of all encodings
            with pytest.raises(SpaceError, match="encodings"):
                Bananas(few, [0])
            continue
        cells = answer(Bananas(few, [0, 1], BananasSettings(**SMALL), "cpu"), accuracy, 100)
        for run in cells:
            assert sorted(run[run != NO_CELL].tolist()) == list(range(24))


def test_a_space_smaller_than_the_initial_sample():
    part = problem(rows=np.arange(20))
    cells = answer(Bananas(part, [0], BananasSettings(initial=50, **SMALL), "cpu"), np.full(20, 0.5), 60)
    assert sorted(cells[0][cells[0] != NO_CELL].tolist()) == list(range(20))


@pytest.mark.parametrize("recipe", RECIPES)
def test_constant_accuracies(recipe):
    part = problem()
    for value in (0.0, 0.5, 1.0):
        settings = BananasSettings(**RECIPES[recipe] | SMALL)
        cells = answer(Bananas(part, [0], settings, "cpu"), np.full(len(part.rows), value), 40)
        assert len(set(cells[0].tolist())) == 40


def test_a_budget_may_end_within_a_proposal():
    part = problem()
    searcher = Bananas(part, [0, 1], BananasSettings(**SMALL), "cpu")
    accuracy = one_target(part)
    proposal = searcher.propose(np.ones(2, bool))
    signal = accuracy[proposal.cells]
    signal[1, 4:] = np.nan
    searcher.observe(proposal, signal)
    assert searcher._queried[1].cells == proposal.cells[1, :4].tolist()
    assert len(searcher._queried[1].encodings) == 4
    following = searcher.propose(np.array([True, False])).cells
    assert (following[1] == NO_CELL).all()
    assert (following[0] != NO_CELL).all()


def test_bad_settings():
    for changes in ({"loss": "mse"}, {"members": 0}, {"epochs": -1}, {"mutations": 0.0}, {"paths": -1},
                    {"lower_bound": -1.0}, {"initial": 0}):
        with pytest.raises(SettingsError):
            BananasSettings(**changes)
