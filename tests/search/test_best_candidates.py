"""The shortcut against the evaluation of every candidate: the same candidates in the same order."""

import numpy as np
import pytest

from a2v_core.errors import DataError
from a2v_core.generation import encode_cells
from a2v_core.pretraining import pretrain, published_path, training_key
from a2v_core.recipes import pretraining_settings
from a2v_core.search import best_candidates as module
from a2v_core.search.basis_network import BasisNetworks, train_basis_networks
from a2v_core.search.bayesian_linear import LinearPosterior, fit_evidence, fit_released
from a2v_core.search.best_candidates import Acquisition, Candidates, best_candidates
from a2v_core.search.features import one_hot
from a2v_core.spaces import get_space

NONE = np.empty(0, np.int64)


def model(features, n, likelihood="evidence", best_f=0.95, seed=0, epochs=20):
    """A fitted acquisition on n random candidates with accuracies that depend on the features."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(features), n, replace=False)
    x = features[rows][None]
    spread = (features - features.mean(0)) @ rng.normal(size=features.shape[1])
    y = (0.9 + 0.05 * np.tanh(spread / spread.std())[rows] + rng.normal(0, 0.01, n))[None]
    networks = train_basis_networks(x, y, [rng], epochs=epochs)
    basis = networks.hidden(0, x[0])[None]
    posterior = fit_evidence(basis, y) if likelihood == "evidence" else fit_released(basis, y, [rng])
    return Acquisition(networks, posterior, 0, best_f, likelihood == "released")


def in_full(acquisition, features, k, excluded=NONE):
    value = acquisition.exact(features)
    order = np.lexsort((np.arange(len(features)), -value))
    return order[~np.isin(order, excluded)][:k]


def random_features(m=5000, f=16, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(m, 6)) @ rng.normal(size=(6, f)) / 5 + 0.05 * rng.normal(size=(m, f))).astype(np.float32)


@pytest.fixture(scope="module")
def embedding():
    """Real embeddings of 6,000 cells of NAS-Bench-201."""
    space, settings = get_space("nasbench201"), pretraining_settings("released", "arch2vec", "nasbench201")
    if published_path(training_key(space.cells(), settings, 0)) is None:
        pytest.skip("the pre-trained model of NAS-Bench-201 is not here")
    (trained,) = pretrain(space.cells(), len(space.vocabulary), settings, [0], device="cpu")
    return encode_cells(trained.model, space.cells()[:6000]).mean(1).numpy()


@pytest.mark.parametrize("likelihood", ["evidence", "released"])
@pytest.mark.parametrize("n", [3, 16, 61, 150])
def test_equals_the_full_evaluation(n, likelihood):
    features = random_features(seed=n)
    candidates = Candidates(features)
    for seed in range(3):
        acquisition = model(features, n, likelihood, seed=seed)
        for k in (1, 5):
            assert best_candidates(acquisition, candidates, k, NONE).tolist() == \
                in_full(acquisition, features, k).tolist()


@pytest.mark.parametrize("likelihood", ["evidence", "released"])
def test_equals_the_full_evaluation_on_real_embeddings(embedding, likelihood, monkeypatch):
    candidates, computed = Candidates(embedding), []
    exact = Acquisition.exact
    monkeypatch.setattr(Acquisition, "exact", lambda self, x: computed.append(len(x)) or exact(self, x))
    for n in (16, 96, 256):
        acquisition = model(embedding, n, likelihood, seed=n, epochs=100)
        computed.clear()
        found = best_candidates(acquisition, candidates, 5, NONE)
        assert sum(computed) < len(embedding) / 4
        assert found.tolist() == in_full(acquisition, embedding, 5).tolist()


def test_equals_the_full_evaluation_on_one_hot_matrices():
    features = one_hot(get_space("nasbench201"))
    acquisition = model(features, 60)
    assert best_candidates(acquisition, Candidates(features), 5, NONE).tolist() == \
        in_full(acquisition, features, 5).tolist()


@pytest.mark.parametrize("best_f", [-3.0, 0.5, 3.0, 50.0, 1e4])
def test_equals_the_full_evaluation_wherever_the_incumbent_lies(best_f):
    features = random_features()
    acquisition = model(features, 40, best_f=best_f)
    assert best_candidates(acquisition, Candidates(features), 5, NONE).tolist() == \
        in_full(acquisition, features, 5).tolist()


@pytest.mark.parametrize("likelihood", ["evidence", "released"])
def test_bounds_hold_and_the_fine_ones_are_tight(likelihood):
    features = random_features(2000)
    candidates = Candidates(features)
    for n in (5, 60, 300):
        acquisition = model(features, n, likelihood)
        mean, variance = acquisition.posterior.predict(0, acquisition.networks.hidden(0, candidates.features))
        value, every = acquisition.exact(candidates.features), np.arange(len(candidates.features))
        for groups, moments in ((None, acquisition.coarse_moments(candidates)),
                                (every, acquisition.fine_moments(candidates, every))):
            assert (moments[0] >= mean).all()
            assert (moments[1] >= variance).all()
            assert (acquisition.upper_bound(candidates, groups) >= value).all()
        assert (moments[0] - mean).max() < 1e-2
        assert (moments[1] / variance).max() < 1.1


def test_many_open_candidates_get_the_fine_bound(monkeypatch):
    features = random_features()
    acquisition, candidates = model(features, 60), Candidates(features)
    expected = in_full(acquisition, features, 5).tolist()
    calls = []
    bound = Acquisition.upper_bound
    monkeypatch.setattr(Acquisition, "upper_bound", lambda self, c, g=None: calls.append(g) or bound(self, c, g))
    monkeypatch.setattr(module, "_MANY_OPEN", 0)
    monkeypatch.setattr(module, "_DIRECTIONS", 2)
    assert best_candidates(acquisition, candidates, 5, NONE).tolist() == expected
    assert [g is None for g in calls] == [True, False]


def test_equal_vectors_are_one_group_and_the_lowest_row_goes_first():
    few = random_features(40)
    rng = np.random.default_rng(1)
    features = few[rng.integers(0, 40, 3000)]
    candidates = Candidates(features)
    assert len(candidates.features) == len(np.unique(features, axis=0))
    assert (candidates.features[candidates.group_of] == features).all()
    acquisition = model(features, 30)
    expected = in_full(acquisition, features, 200)
    assert best_candidates(acquisition, candidates, 200, NONE).tolist() == expected.tolist()
    assert (np.diff(expected[:20]) > 0).all()


def test_negative_zero_is_zero():
    assert len(Candidates(np.array([[0.0, 1.0], [-0.0, 1.0]])).features) == 1


def test_a_flat_improvement_gives_the_lowest_rows():
    features = random_features(700)
    flat = Acquisition(BasisNetworks(np.zeros((1, 16)), np.ones((1, 16)), np.zeros((1, 16, 8), np.float32),
                                     np.zeros((1, 8), np.float32), np.zeros((1, 8)), np.zeros(1)),
                       LinearPosterior(np.zeros((1, 8)), np.eye(8)[None], np.ones(1), np.ones(1), np.ones(1)), 0, 0.95,
                       False)
    assert best_candidates(flat, Candidates(features), 4, np.array([1, 2])).tolist() == [0, 3, 4, 5]


def test_excluded_candidates_are_left_out():
    features = random_features(1500)
    features[700:1400] = features[:700]
    acquisition, candidates = model(features, 30), Candidates(features)
    excluded = in_full(acquisition, features, 30)[::2]
    assert best_candidates(acquisition, candidates, 9, excluded).tolist() == \
        in_full(acquisition, features, 9, excluded).tolist()


def test_fewer_candidates_than_asked_for_and_none_at_all():
    features = random_features(20)
    acquisition, candidates = model(features, 10), Candidates(features)
    everything = in_full(acquisition, features, 20)
    assert best_candidates(acquisition, candidates, 50, NONE).tolist() == everything.tolist()
    assert best_candidates(acquisition, candidates, 50, everything[:18]).tolist() == everything[18:].tolist()
    assert best_candidates(acquisition, candidates, 5, np.arange(20)).tolist() == []


def test_result_of_a_row_does_not_depend_on_the_rows_beside_it():
    features = random_features(1000)
    acquisition = model(features, 40)
    together = acquisition.exact(features)
    shuffled = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(acquisition.exact(features[shuffled]), together[shuffled])
    assert acquisition.exact(features[7:8])[0] == together[7]


def test_features_that_are_no_numbers_are_refused():
    features = random_features(20)
    features[13, 2] = np.inf
    with pytest.raises(DataError, match="candidate 13"):
        Candidates(features)
