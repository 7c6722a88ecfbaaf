"""How far actions land from cells: against the searcher itself, and stored."""

import numpy as np
import pytest
from made_search import objective

from a2v_core.errors import SettingsError
from a2v_core.search import action_distances as module
from a2v_core.search.action_distances import action_distances
from a2v_core.search.blocks import Arm
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method
from a2v_core.search.runs import Budget, run_searches

ARM = Arm("made", "made", "arch2vec_rl", Budget(32), runs=3)
CLOUD = np.random.default_rng(0).normal(0, 0.1, (15_625, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def vectors(third_party, monkeypatch):
    """The cells of the made space have vectors without any training."""
    monkeypatch.setattr(Features, "build", lambda self, space, store, device="auto": CLOUD)
    monkeypatch.setattr(Features, "identity", lambda self, space: {"kind": "made"})


def test_distances_are_those_of_the_runs(tmp_path):
    (table,) = action_distances([ARM], str(tmp_path), "cpu")
    problem = objective().problem(CLOUD[objective().rows])
    searcher = get_method("arch2vec_rl").searcher_of(problem, range(3), ARM.settings(), "cpu")
    run_searches(searcher, objective(), Budget(32), progress=False)
    np.testing.assert_array_equal(table["query"], np.arange(1, 33))
    np.testing.assert_allclose(table["distance"], searcher.distances.mean(0), rtol=1e-6)
    np.testing.assert_allclose(table["mean_norm"], searcher.mean_norms.mean(0), rtol=1e-6)
    points = CLOUD[objective().rows].astype(float)
    assert table["radius"].unique() == pytest.approx(np.linalg.norm(points - points.mean(0), axis=1).max())
    # Noise of norm 4 around a cloud of radius 0.6.
    assert table["distance"].min() > 2


def test_a_frozen_policy_points_to_zero_and_standardised_clouds_are_wide(tmp_path):
    frozen, corrected = action_distances([
        Arm("made", "made", "frozen_policy", Budget(16), runs=2),
        Arm("made", "made", "arch2vec_rl", Budget(16), "corrected", runs=2)], str(tmp_path), "cpu")
    assert (frozen["mean_norm"] == 0).all()
    assert corrected["radius"][0] > 3 > frozen["radius"][0]


def test_what_is_measured_is_stored(tmp_path, monkeypatch):
    first = action_distances([ARM], str(tmp_path), "cpu")[0]
    monkeypatch.setattr(module, "_measure", None)
    assert action_distances([ARM], str(tmp_path), "cpu")[0].equals(first)


@pytest.mark.parametrize("arm", [Arm("made", "made", "random", Budget(16), runs=2),
                                 Arm("made", "made", "arch2vec_rl", Budget(16), runs=51)])
def test_other_methods_and_many_runs_are_refused(arm, tmp_path):
    with pytest.raises(SettingsError, match="arch2vec-RL"):
        action_distances([arm], str(tmp_path))
