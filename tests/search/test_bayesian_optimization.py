"""The searcher: batch independence, what each setting changes, and the edges."""

import dataclasses

import numpy as np
import pytest
from made_landscapes import answer, one_target, problem

from a2v_core.errors import DataError, SettingsError
from a2v_core.search.bayesian_optimization import (
    BY_SPACE,
    RECIPES,
    BayesianOptimization,
    BayesianOptimizationSettings,
)
from a2v_core.search.features import one_hot
from a2v_core.search.protocol import NO_CELL, Proposal

M = 400


def made(m=M, features=None):
    made = problem(rows=np.arange(m))
    if features is None:
        features = one_hot(made.space)[:m]
    return dataclasses.replace(made, features=features)


def settings(recipe="released", **changes):
    return BayesianOptimizationSettings(**{**RECIPES[recipe], "epochs": 8, **changes})


def search(seeds, recipe="released", m=M, **changes):
    return BayesianOptimization(made(m), seeds, settings(recipe, **changes), device="cpu")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_gives_the_runs_of_the_seeds_alone(recipe):
    accuracy = one_target(made())
    seeds = [3, 5, 8, 1]
    together = search(seeds, recipe)
    cells = answer(together, accuracy, 40)
    for run, seed in enumerate(seeds):
        alone = search([seed], recipe)
        assert np.array_equal(answer(alone, accuracy, 40)[0], cells[run])
        assert np.array_equal(alone.precisions[0], together.precisions[run])


def test_a_run_goes_on_alike_when_others_end():
    accuracy = one_target(made())
    expected = answer(search([4], "paper"), accuracy, 40)[0]
    both = search([9, 4], "paper")
    first = answer(both, accuracy, 20)
    later = answer(both, accuracy, 20, active=np.array([False, True]))
    assert np.concatenate([first[1], later[1]])[:40].tolist() == expected[:40].tolist()
    assert np.isnan(both.precisions[0, -1]).all()


@pytest.mark.parametrize("recipe", ["paper", "corrected"])
def test_beats_random_search_on_a_landscape_that_the_features_explain(recipe):
    accuracy = one_target(made())
    cells = answer(search(range(10), recipe, epochs=30), accuracy, 61)
    best = accuracy[cells].max(1)
    by_chance = [accuracy[np.random.default_rng(seed).choice(M, 61, replace=False)].max() for seed in range(10)]
    assert best.mean() > np.mean(by_chance) + 0.02
    assert (best == accuracy.max()).all()


def test_first_cells_are_different_and_uniform():
    cells = answer(search(range(200)), one_target(made()), 16)
    assert cells.shape == (200, 16)
    assert all(len(set(run)) == 16 for run in cells.tolist())
    counts = np.bincount(cells.ravel(), minlength=M)
    assert np.square(counts - counts.mean()).sum() / counts.mean() < M + 4 * np.sqrt(2 * M)


@pytest.mark.parametrize("recipe", ["paper", "corrected"])
def test_careful_recipes_query_no_cell_twice(recipe):
    cells = answer(search([0, 1], recipe), one_target(made()), 80)
    assert all(len(set(run)) == len(run) for run in cells.tolist())


def test_the_released_recipe_proposes_queried_cells_again():
    # 4 of 20 cells are left after the first 16, and a round has 5.
    cells = answer(search([0], m=20), one_target(made(20)), 80)[0]
    assert set(cells[16:21]) & set(cells[:16])
    assert (cells != NO_CELL).all()


def test_best_last_turns_a_round_around():
    accuracy = one_target(made())
    first, last = (answer(search([0, 1], best_last=flag), accuracy, 21) for flag in (False, True))
    assert np.array_equal(first[:, :16], last[:, :16])
    assert np.array_equal(first[:, 16:], last[:, :15:-1])


def test_fixed_incumbent_and_the_best_answer_are_different_values_to_improve_on():
    accuracy = one_target(made())
    for recipe, expected in (("paper", 0.95), ("corrected", None)):
        searcher = search([0], recipe)
        answer(searcher, accuracy, 16)
        (acquisition,) = searcher._fit(np.array([0]))
        answers = accuracy[searcher._cells[0]]
        standardised = (answers.max() - answers.mean()) / answers.std()
        assert acquisition.best_f == pytest.approx(expected or standardised)
        assert not acquisition.variance_as_sigma
    assert BayesianOptimizationSettings().sigma == "variance"


def test_standardised_answers_do_not_depend_on_their_level_and_scale():
    accuracy = one_target(made())
    cells = answer(search([0, 1], "corrected"), accuracy, 31)
    assert np.array_equal(answer(search([0, 1], "corrected"), 0.5 * accuracy + 0.125, 31), cells)


def test_precisions_are_those_of_each_round():
    searcher = search([0, 1])
    assert searcher.precisions.shape == (2, 0, 2)
    answer(searcher, one_target(made()), 31)
    assert searcher.precisions.shape == (2, 3, 2)
    assert (searcher.precisions > 0).all()


@pytest.mark.parametrize("recipe", RECIPES)
def test_constant_accuracies_are_searched_to_the_end(recipe):
    cells = answer(search([0, 1], recipe, m=40), np.full(40, 0.9), 40)
    assert (cells != NO_CELL).all()
    if not settings(recipe).repeats:
        assert all(sorted(run) == list(range(40)) for run in cells.tolist())


def test_a_space_smaller_than_the_initial_sample():
    searcher = search([0, 1], "paper", m=7)
    cells = answer(searcher, one_target(made(7)), 100)
    assert all(sorted(run[run != NO_CELL].tolist()) == list(range(7)) for run in cells)
    assert (searcher.propose(np.ones(2, bool)).cells == NO_CELL).all()
    repeating = answer(search([0], m=7), one_target(made(7)), 30)[0]
    assert (np.unique(repeating) == np.arange(7)).all()
    assert len(repeating) >= 30


def test_the_last_round_holds_what_is_left():
    cells = answer(search([0], "paper", m=23), one_target(made(23)), 30)[0]
    assert sorted(cells[:23]) == list(range(23))
    assert (cells[23:] == NO_CELL).all()


def test_answers_that_are_no_numbers_teach_nothing():
    accuracy = one_target(made())
    searcher = search([0, 1], "paper")
    proposal = searcher.propose(np.ones(2, bool))
    signal = accuracy[proposal.cells]
    signal[0, :3] = np.nan
    searcher.observe(proposal, signal)
    assert [len(answers) for answers in searcher._answers] == [13, 16]
    later = searcher.propose(np.ones(2, bool))
    # A query that failed is not made again.
    assert not set(later.cells[0]) & set(proposal.cells[0])


def test_a_run_without_any_answer_draws_again():
    searcher = search([0, 1], "paper")
    proposal = searcher.propose(np.ones(2, bool))
    signal = one_target(made())[proposal.cells]
    signal[0] = np.nan
    searcher.observe(proposal, signal)
    later = searcher.propose(np.ones(2, bool)).cells
    assert len(set(later[0]) - set(proposal.cells[0])) == 16
    assert (later[1, 5:] == NO_CELL).all()


def test_what_an_ended_run_would_do_is_not_computed():
    searcher = search([0, 1])
    proposal = searcher.propose(np.array([True, False]))
    assert (proposal.cells[1] == NO_CELL).all()
    searcher.observe(proposal, np.where(proposal.cells == NO_CELL, np.nan, 0.5))
    assert searcher.propose(np.zeros(2, bool)).cells.tolist() == [[NO_CELL], [NO_CELL]]
    assert isinstance(proposal, Proposal)


def test_recipes_and_spaces_name_settings_that_exist():
    names = {f.name for f in dataclasses.fields(BayesianOptimizationSettings)}
    for recipe, changes in RECIPES.items():
        for by_space in ({}, *BY_SPACE[recipe].values()):
            assert set(changes) | set(by_space) <= names
            BayesianOptimizationSettings(**changes | by_space)
    nasbench201 = BayesianOptimizationSettings(**RECIPES["paper"] | BY_SPACE["paper"]["nasbench201"])
    assert (nasbench201.proposals, nasbench201.incumbent) == (1, 1.0)


@pytest.mark.parametrize("change", [{"sigma": "root"}, {"likelihood": "none"}, {"proposals": 0}, {"epochs": -1},
                                    {"learning_rate": 0.0}])
def test_bad_settings_are_refused(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        BayesianOptimizationSettings(**change)


def test_features_are_needed_and_must_be_numbers():
    with pytest.raises(SettingsError, match="features"):
        BayesianOptimization(problem(rows=np.arange(30)), [0])
    with pytest.raises(SettingsError, match="features"):
        BayesianOptimization(made(30, np.zeros((29, 3), np.float32)), [0])
    with pytest.raises(DataError, match="candidate 4"):
        BayesianOptimization(made(30, np.where(np.arange(30)[:, None] == 4, np.nan, 0.0).astype(np.float32)), [0])
