"""Supervised Bayesian optimisation: its recipes, a round computed by hand, batch independence, and the edges."""

import copy
import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from made_landscapes import answer, one_target, problem
from scipy import stats

from a2v_core.errors import SettingsError
from a2v_core.search import methods, supervised_bayesian_optimization
from a2v_core.search.acquisition import expected_improvement
from a2v_core.search.bayesian_linear import fit_evidence, fit_released
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.supervised_bayesian_optimization import (
    BY_SPACE,
    RECIPES,
    SupervisedBayesianOptimization,
    SupervisedBayesianOptimizationSettings,
    basis_functions,
    best_values,
    train_supervised,
)
from a2v_core.search.supervised_encoder import LATENT, SupervisedEncoders

M = 120
K = 7


pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(name, space="nasbench101", **changes):
    return methods.get_method("supervised_bo").settings_of(name, space, changes)


def made(m=M):
    return problem(rows=np.arange(0, 15_625, 15_625 // m)[:m])


def search(seeds, name="released", m=M, epochs=2, **changes):
    return SupervisedBayesianOptimization(made(m), seeds, recipe(name, epochs=epochs, **changes), device="cpu")


def accuracies(m=M):
    return 0.5 + 0.5 * one_target(made(m))


def rngs(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def pool(r, n, seed=0):
    """Some cells of each run and answers that single precision holds, as train_supervised takes them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(15_625, size=(r, n))
    cells = problem(rows=rows.ravel()).cells
    answers = 0.9 + 0.1 * (cells.ops[:, 1:7] == 3).mean(1).reshape(r, n) + rng.normal(0, 0.01, (r, n))
    return (torch.from_numpy(cells.adjacency.reshape(r, n, 8, 8)), torch.from_numpy(cells.ops.reshape(r, n, 8)),
            torch.from_numpy(answers).float().double())


# --- settings --------------------------------------------------------------------------------------------------------


def test_the_recipes_hold_what_the_sources_say():
    released, paper, corrected = map(recipe, RECIPES)
    assert tuple(RECIPES) == methods.RECIPE_NAMES
    assert released == SupervisedBayesianOptimizationSettings()
    assert dataclasses.asdict(released) == {
        "initial": 16, "proposals": 5, "graph": "directed", "basis": 16, "epochs": 100, "batch_size": 10,
        "learning_rate": 0.01, "statistics": "space", "likelihood": "released", "improvement": "without_parentheses",
        "sigma": "variance", "single": True, "incumbent": 0.95, "standardise": False}
    assert (paper.graph, paper.basis, paper.statistics) == ("undirected", 128, "running")
    assert (paper.improvement, paper.single) == (corrected.improvement, corrected.single) == ("expected", False)
    assert (paper.incumbent, paper.standardise) == (0.95, False)
    assert corrected == dataclasses.replace(paper, incumbent=None, standardise=True)


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("name", ["paper", "corrected"])
def test_the_fair_recipes_have_all_that_arch2vec_has(name, space):
    ours = recipe(name, space)
    theirs = methods.settings_as_dict(methods.get_method("arch2vec_bo").settings_of(name, space))
    assert ours.basis == theirs.pop("hidden")
    # Here no cell is queried again in any recipe, and the best one comes first.
    assert (theirs.pop("repeats"), theirs.pop("best_last")) == (False, False)
    assert all(getattr(ours, key) == value for key, value in theirs.items())


def test_on_nasbench201_a_round_has_one_cell():
    assert {name: (recipe(name, "nasbench201").proposals, recipe(name, "nasbench201").incumbent)
            for name in BY_SPACE} == {"released": (1, 1.0), "paper": (1, 1.0), "corrected": (1, None)}


@pytest.mark.parametrize(("change", "message"), [
    ({"graph": "both"}, "graph='both' is unknown: choose one of directed, undirected"),
    ({"statistics": "batch"}, "choose one of space, running"), ({"sigma": "root"}, "sigma"),
    ({"likelihood": "none"}, "likelihood"), ({"improvement": "probability"}, "improvement"),
    ({"initial": 0}, "initial=0 must be positive"), ({"proposals": -1}, "must be positive"),
    ({"basis": 0}, "must be positive"), ({"epochs": 0}, "must be positive"), ({"batch_size": 0}, "must be positive"),
    ({"learning_rate": 0.0}, "must be positive"), ({"learning_rate": float("nan")}, "must be positive")])
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        SupervisedBayesianOptimizationSettings(**change)


# --- training --------------------------------------------------------------------------------------------------------


def predictions(network, adjacency, ops):
    embeddings = network.encode(adjacency, ops, training=True).mean(2)
    basis = torch.tanh(network.linear("basis", embeddings) if network.has("basis") else embeddings)
    return network.linear("output", basis)[:, :, 0]


def by_torch(adjacency, ops, answers, seed, settings, heads):
    """The network of one run by a plain loop, from the same weights in the same orders; [1, n, ...] each."""
    rng, n = np.random.default_rng(seed), answers.shape[1]
    network = SupervisedEncoders(K, [rng], settings.graph, heads=heads, dtype=torch.float64)
    optimizer = torch.optim.Adam(network.parameters, lr=settings.learning_rate)
    for _ in range(settings.epochs):
        order = rng.permutation(n)
        for rows in (order[:10], order[10:20]):
            if len(rows) == min(10, n):
                optimizer.zero_grad()
                found = predictions(network, adjacency[:, rows], ops[:, rows])
                torch.nn.functional.mse_loss(found, answers[:, rows]).backward()
                optimizer.step()
    return network


@pytest.mark.parametrize(("name", "heads"), [("released", {"output": (LATENT, 1)}),
                                             ("paper", {"output": (128, 1), "basis": (LATENT, 128)})])
@pytest.mark.parametrize(("n", "epochs"), [(10, 1), (23, 2), (4, 3)])
def test_training_is_that_of_torch(name, heads, n, epochs, monkeypatch):
    # In double precision: Adam makes steps of one size of the smallest gradients, whatever their rounding.
    monkeypatch.setattr(supervised_bayesian_optimization, "SupervisedEncoders",
                        partial(SupervisedEncoders, dtype=torch.float64))
    adjacency, ops, answers = pool(2, n)
    settings = recipe(name, epochs=epochs)
    trained = train_supervised(adjacency, ops, answers, rngs(5, 6), K, settings)
    singles = [by_torch(adjacency[[run]], ops[[run]], answers[[run]], seed, settings, heads)
               for run, seed in enumerate((5, 6))]
    with torch.no_grad():
        found, untrained = (predictions(network, adjacency, ops) for network in (
            trained, SupervisedEncoders(K, rngs(5, 6), settings.graph, heads=heads, dtype=torch.float64)))
        for run, single in enumerate(singles):
            expected = predictions(single, adjacency[[run]], ops[[run]])[0]
            torch.testing.assert_close(found[run], expected, rtol=0, atol=1e-5)
            assert (found[run] - untrained[run]).abs().max() > 1e-2


def test_the_last_smaller_batch_of_an_epoch_is_dropped():
    # Of 19 answers 9 are in no step of the only epoch, and the weights do not depend on them.
    adjacency, ops, answers = pool(1, 19)
    settings = recipe("released", epochs=1)
    rng = np.random.default_rng(3)
    SupervisedEncoders(K, [rng], "directed", heads={"output": (LATENT, 1)})
    dropped = rng.permutation(19)[10:]
    expected = train_supervised(adjacency, ops, answers, rngs(3), K, settings)
    answers[:, dropped] = 0.1
    found = train_supervised(adjacency, ops, answers, rngs(3), K, settings)
    assert all(map(torch.equal, found.parameters, expected.parameters))
    answers[:] = 0.1
    other = train_supervised(adjacency, ops, answers, rngs(3), K, settings)
    assert not torch.equal(other.parameters[0], expected.parameters[0])


def test_basis_functions_are_tanh_of_the_embedding_or_of_a_layer_on_it():
    embeddings = torch.from_numpy(np.random.default_rng(0).normal(size=(9, LATENT)).astype(np.float32))
    narrow = SupervisedEncoders(K, rngs(0, 1), "directed", heads={"output": (LATENT, 1)})
    np.testing.assert_allclose(basis_functions(narrow, 1, embeddings), np.tanh(embeddings.numpy()), atol=1e-6)
    wide = SupervisedEncoders(K, rngs(0, 1), "directed", heads={"output": (32, 1), "basis": (LATENT, 32)})
    with torch.no_grad():
        layer = wide.linear("basis", torch.stack([torch.zeros_like(embeddings), embeddings]))[1]
    found = basis_functions(wide, 1, embeddings)
    assert found.shape == (9, 32)
    np.testing.assert_allclose(found, np.tanh(layer.numpy()), atol=1e-6)


# --- acquisition -----------------------------------------------------------------------------------------------------


def of_round(searcher, run):
    """What every candidate is worth in the next round of a run, by the formulas, float64 [M]; nothing is changed."""
    settings, rng = searcher.settings, copy.deepcopy(searcher._rngs[run])
    queried, answers = searcher._cells[run], searcher._answers[run]
    best = answers.max() if settings.incumbent is None else settings.incumbent
    if settings.standardise:
        best, answers = (best - answers.mean()) / answers.std(), (answers - answers.mean()) / answers.std()
    cells = searcher.problem.cells

    def arrays(rows):
        return torch.from_numpy(cells.adjacency[rows])[None], torch.from_numpy(cells.ops[rows])[None]

    network = train_supervised(*arrays(queried), torch.from_numpy(answers)[None], [rng], K, settings)
    with torch.no_grad():
        if settings.statistics == "space":
            # All rows of all cells at once; the queried ones among themselves.
            embeddings, rows = (network.encode(*arrays(some), training=True)[0].mean(1)
                                for some in (np.arange(len(cells)), queried))
        else:
            embeddings = network.encode(*arrays(np.arange(len(cells))), training=False)[0].mean(1)
            rows = embeddings[queried]
    basis, known = (basis_functions(network, 0, x).astype(np.float64) for x in (embeddings, rows))
    posterior = fit_released(known[None], answers[None], [rng]) if settings.likelihood == "released" else \
        fit_evidence(known[None], answers[None])
    mean = basis @ posterior.weights[0]
    variance = 1 / posterior.beta[0] + np.einsum("md,de,me->m", basis, posterior.covariance[0], basis)
    if settings.improvement == "expected":
        sigma = np.sqrt(variance)
        u = (mean - best) / sigma
        return sigma * (stats.norm.pdf(u) + u * stats.norm.cdf(u))
    u = mean - best / variance
    return variance * (stats.norm.pdf(u) + u * stats.norm.cdf(u))


@pytest.mark.parametrize("name", RECIPES)
def test_a_round_has_the_cells_with_the_best_value_that_are_left(name):
    # With an incumbent of 0 the released improvement does not underflow, and the best cells are single ones.
    changes = {"incumbent": 0.0} if name == "released" else {"incumbent": 0.8} if name == "paper" else {}
    searcher = search([4, 9], name, epochs=8, **changes)
    answer(searcher, accuracies(), 21)
    expected = [of_round(searcher, run) for run in range(2)]
    cells = searcher.propose(np.ones(2, bool)).cells
    for run in range(2):
        left = np.delete(np.arange(M), searcher._queried[run])
        best = np.sort(expected[run][left])[::-1][:5]
        np.testing.assert_allclose(expected[run][cells[run]], best, rtol=1e-3)
        assert best[4] > 1.01 * np.median(expected[run][left])
    assert (searcher.ties[:, -1] >= 1).all()


def test_released_value_is_the_formula_in_single_precision():
    rng = np.random.default_rng(0)
    mean, variance = rng.uniform(0.7, 1.1, 500), np.geomspace(1e-3, 3, 500)
    found = search([0])._log_improvement(mean, variance, 0.95)
    u = mean - 0.95 / variance
    direct = variance * (stats.norm.pdf(u) + u * stats.norm.cdf(u))
    counts = u > -5  # Below, the two terms of this form cancel.
    np.testing.assert_allclose(found[counts], direct[counts], rtol=1e-5)
    assert np.array_equal(found, found.astype(np.float32))
    # The smallest ones are zero, all alike, where their logarithm still tells them apart.
    assert (found[u < -20] == 0).all()
    assert (found[u > -10] > 0).all()


def test_expected_value_is_the_logarithm_of_the_formula():
    rng = np.random.default_rng(0)
    mean, variance = rng.uniform(0.7, 1.1, 500), np.geomspace(1e-3, 3, 500)
    for name in ("paper", "corrected"):
        found = search([0], name)._log_improvement(mean, variance, 0.95)
        np.testing.assert_allclose(np.exp(found), expected_improvement(mean, np.sqrt(variance), 0.95), rtol=1e-10)
    by_variance = search([0], "paper", sigma="variance")._log_improvement(mean, variance, 0.95)
    np.testing.assert_allclose(np.exp(by_variance), expected_improvement(mean, variance, 0.95), rtol=1e-10)


def test_best_values_by_hand():
    values, rng = np.array([3.0, 1.0, 2.0, 5.0, 4.0]), np.random.default_rng(0)
    cells, tied = best_values(values, 2, np.array([3]), rng)
    assert (cells.tolist(), tied) == ([4, 0], 1)
    assert values.tolist() == [3, 1, 2, 5, 4]
    cells, tied = best_values(values, 9, np.array([0, 1]), rng)
    assert (cells.tolist(), tied) == ([3, 4, 2], 1)
    assert best_values(values, 1, np.array([], np.int64), rng)[0].tolist() == [3]


def test_equal_values_are_chosen_from_at_random():
    rng, counts, orders = np.random.default_rng(0), np.zeros(8), set()
    for _ in range(3000):
        cells, tied = best_values(np.array([0.0, 0.0, 7.0, 0.0, 0.0, 7.0, 0.0, 9.0]), 4, np.array([3, 7]), rng)
        assert tied == 4
        assert set(cells[:2].tolist()) == {2, 5}
        assert len(set(cells.tolist())) == 4
        orders.add(tuple(cells[:2].tolist()))
        counts[cells[2:]] += 1
    assert orders == {(2, 5), (5, 2)}
    assert (counts[[2, 3, 5, 7]] == 0).all()
    assert stats.chisquare(counts[[0, 1, 4, 6]]).pvalue > 1e-4


def test_where_the_released_value_underflows_a_round_is_random_search():
    # A variance of a few hundredths puts u = mean - 0.95 / variance far below the smallest float.
    searcher = search([0, 1], epochs=20)
    assert searcher.ties.shape == (2, 0)
    answer(searcher, accuracies(), 26)
    assert searcher.ties.tolist() == [[M - 16, M - 21]] * 2
    other = search([0, 1], "paper")
    answer(other, accuracies(), 26)
    assert other.ties.tolist() == [[1, 1]] * 2


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_of_runs_is_each_run_alone(name):
    # On NAS-Bench-201, to the bit. On NAS-Bench-101, where the rows of a run do not fill whole vectors, a gradient can
    # differ in its last place, and after a hundred epochs a choice between two nearly equal cells can, too.
    accuracy, seeds = accuracies(), [3, 1, 15]
    batch = search(seeds, name)
    together = answer(batch, accuracy, 26)
    for run, seed in enumerate(seeds):
        single = search([seed], name)
        assert np.array_equal(answer(single, accuracy, 26)[0], together[run])
        assert np.array_equal(single.ties[0], batch.ties[run])
    assert len({tuple(row) for row in together}) == 3


@pytest.mark.parametrize("name", RECIPES)
def test_proposals_are_cells_that_were_not_queried(name):
    cells = answer(search([0, 1], name, epochs=1), accuracies(), 46)
    assert cells.shape == (2, 46)
    assert all(len(set(run)) == 46 for run in cells.tolist())
    assert cells.min() >= 0
    assert cells.max() < M


def test_first_cells_are_different_and_uniform():
    cells = answer(search(range(200)), accuracies(), 16)
    assert cells.shape == (200, 16)
    assert all(len(set(run)) == 16 for run in cells.tolist())
    counts = np.bincount(cells.ravel(), minlength=M)
    # Without replacement counts vary less than those of independent draws.
    spread = np.square(counts - counts.mean()).sum() / (counts.mean() * (1 - 16 / M))
    assert stats.chi2.sf(spread, M - 1) > 1e-4
    assert len({tuple(run) for run in cells.tolist()}) == 200


def test_the_same_seed_gives_the_same_run():
    first, second = (answer(search([2, 2], "corrected"), accuracies(), 26) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(first[0], first[1])


def test_how_many_networks_are_trained_at_a_time_does_not_matter(monkeypatch):
    together = answer(search(range(5), "paper"), accuracies(), 26)
    monkeypatch.setattr(supervised_bayesian_optimization, "_STACK", 2)
    monkeypatch.setattr(supervised_bayesian_optimization, "_ROWS", 50)
    assert np.array_equal(answer(search(range(5), "paper"), accuracies(), 26), together)


def test_a_run_goes_on_alike_when_others_end():
    expected = answer(search([4], "paper"), accuracies(), 36)[0]
    both = search([9, 4], "paper")
    first = answer(both, accuracies(), 21)
    later = answer(both, accuracies(), 15, active=np.array([False, True]))
    assert (later[0] == NO_CELL).all()
    assert np.concatenate([first[1], later[1]]).tolist() == expected.tolist()
    assert (both.ties[0, -3:] == 0).all()
    assert (both.ties[1] > 0).all()


def test_standardised_answers_do_not_depend_on_their_level_and_scale():
    accuracy = accuracies()
    for name, alike in (("corrected", True), ("paper", False)):
        first, second = (answer(search([0, 1], name), values, 26) for values in (accuracy, 0.5 * accuracy + 0.125))
        assert np.array_equal(first, second) == alike


def test_beats_random_search_on_a_landscape_that_the_operations_explain():
    made = problem(rows=np.arange(400))
    accuracy = one_target(made)
    cells = answer(SupervisedBayesianOptimization(made, range(4), recipe("corrected", epochs=20), device="cpu"),
                   accuracy, 41)
    by_chance = [accuracy[rng.choice(400, 41, replace=False)].max() for rng in rngs(*range(200))]
    assert accuracy[cells].max(1).mean() > np.mean(by_chance) + 0.08
    # The cells that it chooses are better than those of the space.
    assert accuracy[cells[:, 16:]].mean() > accuracy.mean() + 0.05


# --- edges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_a_space_smaller_than_the_initial_sample_is_queried_once_and_the_run_ends(name):
    searcher = search([0, 1], name, m=7)
    cells = answer(searcher, accuracies(7), 100)
    assert all(sorted(run[run != NO_CELL].tolist()) == list(range(7)) for run in cells)
    assert searcher.propose(np.ones(2, bool)).cells.tolist() == [[NO_CELL], [NO_CELL]]
    assert (searcher.ties == 0).all()


def test_the_last_round_holds_what_is_left():
    cells = answer(search([0, 1], "paper", m=23), accuracies(23), 60)
    for run in cells:
        assert sorted(run[:23]) == list(range(23))
        assert (run[23:] == NO_CELL).all()


def test_a_space_of_one_cell():
    assert answer(search([0], "corrected", m=1), np.array([0.9]), 3)[0].tolist() == [0, NO_CELL]


@pytest.mark.parametrize("name", RECIPES)
def test_constant_accuracies_are_searched_to_the_end(name):
    cells = answer(search([0, 1], name, m=30), np.full(30, 0.9), 30)
    assert all(sorted(run[:30]) == list(range(30)) for run in cells.tolist())


def test_answers_that_are_no_numbers_teach_nothing():
    accuracy = accuracies()
    searcher = search([0, 1], "paper")
    proposal = searcher.propose(np.ones(2, bool))
    signal = accuracy[proposal.cells]
    signal[0, :3] = [np.nan, np.inf, -np.inf]
    searcher.observe(proposal, signal)
    assert [len(answers) for answers in searcher._answers] == [13, 16]
    assert np.array_equal(searcher._cells[0], proposal.cells[0, 3:])
    later = searcher.propose(np.ones(2, bool))
    # A query that failed is not made again, and the other run has not noticed.
    assert not set(later.cells[0]) & set(proposal.cells[0])
    assert np.array_equal(later.cells[1], answer(search([1], "paper"), accuracy, 21)[0, 16:])


def test_a_run_without_any_answer_draws_again_until_nothing_is_left():
    searcher = search([0, 1], "paper", m=40)
    drawn = []
    for expected in (16, 16, 8):
        proposal = searcher.propose(np.ones(2, bool))
        signal = accuracies(40)[proposal.cells]
        signal[0] = np.nan
        searcher.observe(proposal, np.where(proposal.cells == NO_CELL, np.nan, signal))
        found = proposal.cells[0][proposal.cells[0] != NO_CELL]
        assert len(found) == expected
        drawn.extend(found)
    assert sorted(drawn) == list(range(40))
    assert (searcher.propose(np.ones(2, bool)).cells[0] == NO_CELL).all()


def test_what_an_ended_run_would_do_is_not_computed():
    searcher = search([0, 1])
    proposal = searcher.propose(np.array([True, False]))
    assert (proposal.cells[1] == NO_CELL).all()
    searcher.observe(proposal, np.where(proposal.cells == NO_CELL, np.nan, 0.5))
    assert searcher.propose(np.zeros(2, bool)).cells.tolist() == [[NO_CELL], [NO_CELL]]
    assert searcher.ties.shape == (2, 0)
