"""The Gaussian process against scikit-learn's, and the search that it steers."""

import dataclasses

import numpy as np
import pytest
from made_landscapes import answer, one_target, problem
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, WhiteKernel

from a2v_core.errors import SettingsError
from a2v_core.search.methods import METHODS
from a2v_core.search.neighbourhoods import neighbourhood
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.random_search import RandomSearch, RandomSearchSettings
from a2v_core.search.wl_gaussian_process import NOISES, WLGaussianProcess, WLGaussianProcessSettings, fit

SETTINGS = WLGaussianProcessSettings(initial=6, proposals=2, pool=40, parents=2)


@pytest.fixture(scope="module")
def part():
    """300 cells of NAS-Bench-201: small enough to be searched to its end."""
    return problem(rows=np.arange(0, 15_625, 40)[:300])


def vectors(n, seed=0):
    """Points of length 1, whose products are a kernel that scikit-learn has as well."""
    points = np.random.default_rng(seed).normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


# --- the process -----------------------------------------------------------------------------------------------------


def test_prediction_and_evidence_are_those_of_scikit_learn():
    known, new = vectors(25), vectors(10, 1)
    answers = known @ [0.5, -1.0, 2.0] + np.random.default_rng(2).normal(0, 0.3, 25)
    found = fit((known @ known.T)[None], answers)
    kernel = (ConstantKernel(found.variance, "fixed") * DotProduct(0.0, "fixed")
              + WhiteKernel(found.variance * found.noise, "fixed"))
    process = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(known, answers)
    mean, sigma = found.predict((new @ known.T)[None])
    theirs, deviation = process.predict(new, return_std=True)
    np.testing.assert_allclose(mean, theirs, rtol=1e-8)
    # Theirs has the noise of an answer in it.
    np.testing.assert_allclose(sigma**2 + found.variance * found.noise, deviation**2, rtol=1e-8)
    constant = 25 / 2 * (np.log(2 * np.pi) + 1)
    assert found.evidence - constant == pytest.approx(process.log_marginal_likelihood_value_)


def test_the_evidence_is_the_highest_of_the_grid():
    known = vectors(25)
    answers = known @ [0.5, -1.0, 2.0] + np.random.default_rng(2).normal(0, 0.3, 25)
    found = fit(np.stack([np.eye(25), known @ known.T]), answers)
    assert found.depth == 1
    evidence = []
    for noise in NOISES:
        covariance = known @ known.T + noise * np.eye(25)
        variance = answers @ np.linalg.solve(covariance, answers) / 25
        evidence.append(-0.5 * (25 * np.log(variance) + np.linalg.slogdet(covariance)[1]))
    assert NOISES[int(np.argmax(evidence))] == pytest.approx(found.noise)
    assert max(evidence) == pytest.approx(found.evidence)


def test_equal_answers_and_answered_cells_have_finite_predictions():
    known = vectors(5)
    mean, sigma = fit((known @ known.T)[None], np.zeros(5)).predict((known @ known.T)[None])
    assert np.isfinite(mean).all()
    assert (sigma > 0).all()


# --- the search ------------------------------------------------------------------------------------------------------


def test_a_run_in_a_batch_proposes_what_it_proposes_alone(part):
    accuracy = np.random.default_rng(0).random(300).round(2)
    batch = answer(WLGaussianProcess(part, [3, 14, 15], SETTINGS), accuracy, 30)
    for run, seed in zip(batch, [3, 14, 15], strict=True):
        np.testing.assert_array_equal(answer(WLGaussianProcess(part, [seed], SETTINGS), accuracy, 30)[0], run)


@pytest.mark.parametrize("pool", [40, 0])
def test_every_cell_once_until_none_is_left(part, pool):
    settings = dataclasses.replace(SETTINGS, pool=pool, proposals=25)
    cells = answer(WLGaussianProcess(part, [0], settings), np.random.default_rng(0).random(300), 400)[0]
    assert sorted(cells[cells != NO_CELL].tolist()) == list(range(300))


def test_the_pool_holds_the_neighbours_of_the_best_and_others():
    whole = problem()
    searcher = WLGaussianProcess(whole, [0], dataclasses.replace(SETTINGS, pool=60))
    proposal = searcher.propose(np.array([True]))
    assert proposal.cells.shape == (1, 6)
    searcher.observe(proposal, np.arange(6.0)[None] / 10)
    pool = searcher._pool(0)
    assert len(set(pool.tolist())) == 60
    assert not set(pool) & set(proposal.cells[0])
    best = [set(neighbourhood(whole).of(int(cell))) for cell in proposal.cells[0, -2:]]
    assert set.union(*best) - set(proposal.cells[0]) <= set(pool.tolist())


def test_others_are_drawn_alike_among_those_that_are_left(part):
    searcher = WLGaussianProcess(part, [0], SETTINGS)
    searcher._cells[0] = np.array([299, 0, 7])
    counts = np.zeros(300)
    for _ in range(600):
        found = searcher._others(0, 50, np.array([8, 100]))
        assert len(set(found.tolist())) == 50
        counts[found] += 1
    assert counts[[0, 7, 8, 100, 299]].sum() == 0
    left = np.delete(counts, [0, 7, 8, 100, 299])
    np.testing.assert_allclose(left, 600 * 50 / 295, atol=50)


def test_it_beats_random_search_on_a_made_landscape():
    whole = problem()
    accuracy = one_target(whole)
    found = accuracy[answer(WLGaussianProcess(whole, range(3), SETTINGS), accuracy, 60)].max(1)
    at_random = accuracy[answer(RandomSearch(whole, range(40), RandomSearchSettings("cells")), accuracy, 60)[:, :60]]
    assert found.mean() > at_random.max(1).mean() + 0.05


def test_inactive_runs_propose_nothing(part):
    cells = answer(WLGaussianProcess(part, [5, 6], SETTINGS), np.random.default_rng(0).random(300), 20,
                   np.array([True, False]))
    assert (cells[1] == NO_CELL).all()
    assert (cells[0] != NO_CELL).sum() >= 20


def test_settings():
    method = METHODS["wl_gp"]
    assert method.settings_of("corrected", "nasbench101") == WLGaussianProcessSettings()
    assert method.settings_of("released", "nasbench201").proposals == 1
    with pytest.raises(SettingsError, match="depth=0 must be at least 1"):
        WLGaussianProcessSettings(depth=0)
    with pytest.raises(SettingsError, match="graph='upward' is unknown: choose one of directed, undirected"):
        WLGaussianProcessSettings(graph="upward")
