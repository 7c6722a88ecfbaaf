from dataclasses import replace

import numpy as np
import pytest
from made_landscapes import answer, problem

from a2v_core.errors import SettingsError
from a2v_core.search.methods import get_method
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.reinforce import Reinforce, ReinforceSettings, advantages, location_and_scale


def embedded(m=2000, d=4, scale=1.0, seed=0):
    """Candidates with made embeddings of a given spread."""
    features = np.random.default_rng(seed).normal(0.2, scale, (m, d)).astype(np.float32)
    return replace(problem(rows=np.arange(m)), features=features)


def to_target(made, target):
    """Accuracy that falls with the distance of a candidate's embedding from a target, float64 [M]."""
    return 1 - 0.1 * np.linalg.norm(made.features - target, axis=1)


def recipe(name, space="nasbench101", **changes):
    return get_method("arch2vec_rl").settings_of(name, space, changes)


# recipes and settings


def test_the_recipes_hold_what_the_sources_say():
    released, paper = recipe("released"), recipe("paper")
    assert released == ReinforceSettings()
    assert (released.returns, released.baseline_value, released.retrieval) == ("raw", 0.95, "nearest")
    assert (paper.returns, paper.discount, paper.baseline_value, paper.retrieval) == ("to_go", 0.8, 0.95, "nearest")
    assert (paper.noise, paper.episode, paper.hidden, paper.learning_rate) == (1.0, 16, 128, 0.01)
    on_201 = recipe("released", "nasbench201"), recipe("paper", "nasbench201")
    assert [(s.returns, s.discount, s.baseline_value, s.retrieval) for s in on_201] == [
        ("raw", 0.8, 0.4, "second"), ("to_go", 0.4, 0.4, "nearest")]
    assert recipe("corrected", "nasbench201") == recipe("corrected")


@pytest.mark.parametrize(("change", "message"), [
    ({"policy": "mlp"}, "choose one of lstm, frozen"), ({"retrieval": "third"}, "choose one of nearest"),
    ({"noise": 0.0}, "noise=0.0 must be positive"), ({"episode": 0}, "episode=0"),
    ({"learning_rate": float("nan")}, "learning_rate"), ({"discount": 1.5}, "between 0 and 1")])
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        ReinforceSettings(**change)


@pytest.mark.parametrize("features", [None, np.zeros((3, 2), np.float32)])
def test_embeddings_are_needed(features):
    with pytest.raises(SettingsError, match=r"Problem\.features"):
        Reinforce(replace(embedded(20), features=features), [0])


# advantages by hand


def test_released_and_paper_advantages():
    rewards, nothing = np.array([[0.9, 0.1, 0.94]]), np.zeros((1, 0))
    np.testing.assert_allclose(advantages(rewards, nothing, recipe("released")), [[-0.05, -0.85, -0.01]])
    np.testing.assert_allclose(advantages(rewards, nothing, recipe("paper")),
                               [[0.9 + 0.08 + 0.6016 - 0.95, 0.1 + 0.752 - 0.95, -0.01]])


def test_running_advantages_are_in_units_of_all_rewards_so_far():
    settings = ReinforceSettings(baseline="running")
    np.testing.assert_allclose(advantages(np.array([[4.0, 6.0]]), np.array([[2.0, 4.0]]), settings),
                               [[0.0, 2 / np.sqrt(2)]])
    to_go = replace(settings, returns="to_go", discount=0.5)
    np.testing.assert_allclose(advantages(np.array([[4.0, 6.0]]), np.array([[2.0, 4.0]]), to_go),
                               [[0.5 * 2 / np.sqrt(2), 2 / np.sqrt(2)]])


def test_constant_rewards_teach_nothing_under_a_running_baseline():
    settings = ReinforceSettings(baseline="running")
    assert not advantages(np.full((1, 5), 0.1), np.full((1, 7), 0.1), settings).any()


@pytest.mark.parametrize("name", ["released", "paper", "corrected"])
def test_an_episode_that_was_not_paid_in_full_teaches_nothing(name):
    rewards = np.array([[0.5, np.nan], [0.5, 0.7]])
    result = advantages(rewards, np.zeros((2, 0)), recipe(name))
    assert not result[0].any()
    assert np.isfinite(result[1]).all()
    assert result[1].any()


def test_location_and_scale_of_columns():
    shift, scale = location_and_scale(np.array([[1, 5, 3], [3, 5, 7]], np.float32))
    assert (shift.tolist(), scale.tolist()) == ([2, 5, 5], [1, 1, 2])


# whole runs


@pytest.mark.parametrize(("name", "space", "changes"), [
    ("released", "nasbench101", {}), ("released", "nasbench201", {}), ("paper", "nasbench101", {}),
    ("corrected", "nasbench101", {}), ("released", "nasbench101", {"policy": "frozen"}),
    ("released", "nasbench101", {"retrieval": "random"})])
def test_a_batch_of_runs_is_each_run_alone(name, space, changes):
    made, settings = embedded(3000, 16, 0.2), recipe(name, space, **changes)
    accuracy, seeds = to_target(made, 0.5), [3, 1, 4, 15]
    batch = Reinforce(made, seeds, settings)
    together = answer(batch, accuracy, 80)
    for run, seed in enumerate(seeds):
        single = Reinforce(made, [seed], settings)
        assert np.array_equal(answer(single, accuracy, 80)[0], together[run])
        assert np.array_equal(single.distances[0], batch.distances[run])
        assert np.array_equal(single.mean_norms[0], batch.mean_norms[run])
    assert len({tuple(row) for row in together}) == 4


def test_runs_go_on_as_before_when_others_end():
    made, settings = embedded(500, 4), recipe("corrected")
    accuracy = to_target(made, 0.5)
    searcher, alone = Reinforce(made, [1, 2, 3], settings), Reinforce(made, [2], settings)
    expected = answer(alone, accuracy, 64)[0]
    answer(searcher, accuracy, 32)
    rest = answer(searcher, accuracy, 32, active=np.array([False, True, False]))
    assert np.array_equal(rest[1], expected[32:])
    assert (rest[[0, 2]] == NO_CELL).all()
    assert np.isnan(searcher.distances[0, 32:]).all()
    assert searcher.distances.shape == searcher.mean_norms.shape == (3, 64)


def test_an_episode_is_one_proposal_of_unvisited_cells():
    made = embedded(1000)
    searcher = Reinforce(made, [0, 1])
    proposed = answer(searcher, to_target(made, 0), 160)
    assert proposed.shape == (2, 160)
    for row in proposed:
        assert len(set(row)) == 160


def test_the_first_state_is_the_input_of_the_first_step_and_is_never_queried():
    made = embedded(40)
    searcher = Reinforce(made, [0])
    first = searcher._last[0]
    assert first not in answer(searcher, np.full(40, 0.5), 48)
    # Its embedding decides the first mean: the same seed on other embeddings has another one.
    other = Reinforce(replace(made, features=made.features + 1), [0])
    answer(other, np.full(40, 0.5), 16)
    assert searcher.mean_norms[0, 0] != other.mean_norms[0, 0]


def test_a_space_smaller_than_an_episode_is_queried_once_and_the_run_ends():
    made = embedded(6)
    searcher = Reinforce(made, [0, 1])
    first, second = searcher.propose(np.ones(2, bool)), None
    signal = np.where(first.cells == NO_CELL, np.nan, 0.5)
    searcher.observe(first, signal)
    second = searcher.propose(np.ones(2, bool))
    for run in range(2):
        assert sorted(first.cells[run, :5]) == sorted(set(range(6)) - {searcher._visited.rows(np.array([run]))[0, 0]})
    assert (first.cells[:, 5:] == NO_CELL).all()
    assert (second.cells == NO_CELL).all()
    assert np.isnan(searcher.distances[:, 5:]).all()
    assert np.isfinite(searcher.mean_norms).all()


def test_a_space_of_one_cell_has_nothing_to_query():
    searcher = Reinforce(embedded(1), [0])
    assert (searcher.propose(np.ones(1, bool)).cells == NO_CELL).all()


def test_a_cut_episode_poisons_neither_its_run_nor_the_others():
    made = embedded(300)
    searcher, whole = Reinforce(made, [1, 2]), Reinforce(made, [2])
    accuracy = to_target(made, 0)
    active = np.ones(2, bool)
    proposal = searcher.propose(active)
    signal = accuracy[proposal.cells]
    signal[0, 3:] = np.nan
    searcher.observe(proposal, signal)
    expected = answer(whole, accuracy, 32)[0, 16:]
    proposal = searcher.propose(np.array([True, True]))
    assert np.array_equal(proposal.cells[1], expected)
    assert np.isfinite(searcher.mean_norms).all()


def test_distances_are_those_of_actions_to_their_cells():
    made = embedded(800, 16, 0.1)
    searcher = Reinforce(made, [7], ReinforceSettings(policy="frozen"))
    rng = np.random.default_rng(7)
    rng.integers(800)
    actions = rng.standard_normal((16, 16), np.float32)
    cells = searcher.propose(np.ones(1, bool)).cells[0]
    np.testing.assert_allclose(searcher.distances[0], np.linalg.norm(actions - made.features[cells], axis=1), rtol=1e-5)
    # The noise has norm 4, the cloud radius 0.4: actions land far outside it.
    assert searcher.distances.mean() > 3
    assert not searcher.mean_norms.any()


def test_standardised_noise_lands_within_the_cloud():
    made = embedded(4000, 4, 0.01)
    raw, scaled = (Reinforce(made, [0], recipe(name, policy="frozen")) for name in ("released", "corrected"))
    for searcher in (raw, scaled):
        searcher.propose(np.ones(1, bool))
    assert scaled.distances.mean() < 0.5 < 1.5 < raw.distances.mean()


def test_random_retrieval_ignores_the_action():
    made = embedded(400, 4, 0.05)
    searcher = Reinforce(made, range(20), ReinforceSettings(retrieval="random"))
    proposed = answer(searcher, np.full(400, 0.5), 64)
    counts = np.bincount(proposed.ravel(), minlength=400)
    # 1,280 queries of 400 cells, each once a run at most: close to binomial with mean 3.2.
    assert (counts == 0).mean() < 0.12
    nearest = answer(Reinforce(made, range(20), ReinforceSettings(policy="frozen")), np.full(400, 0.5), 64)
    assert (np.bincount(nearest.ravel(), minlength=400) == 0).mean() > 0.2


def test_the_corrected_policy_learns_and_the_frozen_one_does_not():
    made = embedded(4000, 4, 1.0)
    accuracy = 1 - 0.02 * np.linalg.norm(made.features - np.float32([1.5, 0, 0, 0]), axis=1)
    reward = {}
    for name, changes in (("corrected", {}), ("frozen", {"policy": "frozen"})):
        proposed = answer(Reinforce(made, range(8), recipe("corrected", **changes)), accuracy, 320)
        reward[name] = accuracy[proposed]
    assert reward["corrected"][:, :16].mean() == pytest.approx(reward["frozen"][:, :16].mean(), abs=0.003)
    late = {name: r[:, -160:].mean(1) for name, r in reward.items()}
    assert (late["corrected"] > late["frozen"]).all()
    assert late["corrected"].mean() - late["frozen"].mean() > 0.005


@pytest.mark.parametrize("name", ["released", "paper", "corrected"])
def test_constant_rewards_do_no_harm(name):
    made = embedded(200)
    searcher = Reinforce(made, [0, 1], recipe(name))
    proposed = answer(searcher, np.full(200, 0.7), 96)
    assert (proposed != NO_CELL).all()
    assert np.isfinite(searcher.mean_norms).all()
