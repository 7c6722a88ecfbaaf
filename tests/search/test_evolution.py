from collections import deque

import numpy as np
import pytest
from made_landscapes import answer, one_target, problem

from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search import evolution
from a2v_core.search.discrete import CandidateEncoding
from a2v_core.search.evolution import BY_SPACE, RECIPES, RegularizedEvolution, RegularizedEvolutionSettings
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.random_search import RandomSearch

SMALL = RegularizedEvolutionSettings(population=8, tournament=3)


def plain(part, seed, accuracy, n, settings):
    """One run of the algorithm as Real et al. 2019 write it down: a queue, one individual at a time."""
    rng, encoding, size = np.random.default_rng(seed), CandidateEncoding(part), settings.population
    population, born, queried = deque(), 0, []
    while len(queried) < n:
        if born < size:
            child = [int(rng.random() * c) for c in encoding.choices]
        else:
            places = [int(rng.random() * size) for _ in range(settings.tournament)]
            # The oldest stands first in the queue; individual number i has place i modulo the population.
            child = list(max((population[(place - born) % size] for place in places), key=lambda one: one[1])[0])
            v, u = int(rng.random() * len(child)), rng.random()
            others = [(child[v] + step) % encoding.choices[v] for step in range(1, encoding.choices[v])]
            child[v] = others[int(u * len(others))]
        candidate, valid = encoding.decode(np.array(child, np.uint8))
        if candidate == NO_CELL and (valid or settings.invalid == "redrawn"):
            continue
        if candidate != NO_CELL:
            queried.append(int(candidate))
        population.append((child, accuracy[candidate] if valid else 0.0))
        born += 1
        if born > size:
            population.popleft()
    return queried


@pytest.mark.parametrize(("name", "rows"), [
    ("nasbench201", None), ("nasbench101", None), ("nasbench101", np.r_[0:20_001, 36_202:46_202])])
@pytest.mark.parametrize("invalid", evolution.INVALID)
def test_a_batch_proposes_what_the_plain_algorithm_does_for_each_seed_alone(name, rows, invalid):
    part = problem(name, rows)
    settings = RegularizedEvolutionSettings(population=12, tournament=4, invalid=invalid)
    accuracy = np.random.default_rng(0).random(len(part.rows)).round(1)  # with many ties
    batch = answer(RegularizedEvolution(part, [3, 14, 15, 9], settings), accuracy, 60)
    for run, seed in zip(batch, [3, 14, 15, 9], strict=True):
        assert run.tolist() == plain(part, seed, accuracy, 60, settings)
        np.testing.assert_array_equal(answer(RegularizedEvolution(part, [seed], settings), accuracy, 60)[0], run)


def test_it_beats_random_search_on_a_made_landscape():
    part = problem()
    accuracy = one_target(part)
    settings = RegularizedEvolutionSettings(population=20, tournament=5)
    found = accuracy[answer(RegularizedEvolution(part, range(40), settings), accuracy, 200)].max(1)
    at_random = accuracy[answer(RandomSearch(part, range(40)), accuracy, 200)[:, :200]].max(1)
    assert (found > 0.79).mean() > 0.9  # the target itself has 0.8
    assert (at_random > 0.79).mean() < 0.2


def test_the_population_are_the_youngest():
    part = problem()
    accuracy = one_target(part)
    searcher = RegularizedEvolution(part, [0, 1], SMALL)
    cells = answer(searcher, accuracy, 21)
    members = CandidateEncoding(part).decode(searcher._members)[0]
    for run in range(2):
        # Number 13 to 20 are alive; number i stands in place i modulo 8.
        assert np.roll(members[run], -5).tolist() == cells[run, -8:].tolist()
        np.testing.assert_array_equal(searcher._fitness[run], accuracy[members[run]])


def test_invalid_encodings_take_places_in_the_first_population():
    part = problem("nasbench101")
    kept, redrawn = (RegularizedEvolution(part, range(200), RegularizedEvolutionSettings(invalid=invalid))
                     for invalid in evolution.INVALID)
    accuracy = np.full(len(part.rows), 0.9)
    answer(kept, accuracy, 10)
    answer(redrawn, accuracy, 10)
    assert redrawn._born.tolist() == [10] * 200
    assert kept._born.mean() == pytest.approx(10 / 0.2735, rel=0.05)  # 27 % of all encodings are valid
    dead = np.arange(100) < kept._born[:, None]
    assert (dead & (kept._fitness == 0)).sum(1).tolist() == (kept._born - 10).tolist()


def test_equal_accuracies_make_a_walk_of_random_parents():
    part = problem()
    cells = answer(RegularizedEvolution(part, range(20), SMALL), np.full(len(part.rows), 0.5), 300)
    assert min(len(set(run)) for run in cells.tolist()) > 60


def test_fewer_candidates_than_individuals_are_queried_again():
    part = problem(rows=np.flatnonzero((problem().cells.ops[:, 1:4] == 2).all(1)))  # 125 cells, three edges free
    searcher = RegularizedEvolution(part, [0], RegularizedEvolutionSettings(population=128))
    cells = answer(searcher, np.linspace(0.1, 0.9, 125), 140)
    assert cells.shape == (1, 140)
    assert (cells != NO_CELL).all()
    assert len(set(cells[0].tolist())) < 100


def test_a_run_without_candidates_in_reach_ends(monkeypatch):
    monkeypatch.setattr(evolution, "PATIENCE", 3000)
    ops = problem().cells.ops[:, 1:7].astype(int)
    # 625 cells of which any two differ in two edges at least: no mutation leads from one to another.
    part = problem(rows=np.flatnonzero((ops[:, :5].sum(1) % 5 == 0) & (ops[:, 5] == ops[:, 0])))
    searcher = RegularizedEvolution(part, [0, 1], RegularizedEvolutionSettings(population=1, tournament=1))
    cells = answer(searcher, np.full(625, 0.5), 10)
    assert (cells[:, 0] != NO_CELL).all()
    assert cells[:, 1:].tolist() == [[NO_CELL], [NO_CELL]]


def test_inactive_runs_propose_nothing_and_do_not_move():
    part = problem("nasbench101")
    accuracy = np.random.default_rng(0).random(len(part.rows))
    searcher = RegularizedEvolution(part, [5, 6], SMALL)
    first = answer(searcher, accuracy, 15)
    assert (answer(searcher, accuracy, 20, np.array([True, False]))[1] == NO_CELL).all()
    both = answer(RegularizedEvolution(part, [5, 6], SMALL), accuracy, 15)
    np.testing.assert_array_equal(first, both)
    assert searcher.propose(np.array([False, False])).cells.tolist() == [[NO_CELL], [NO_CELL]]


def test_a_query_that_was_not_made_adds_nobody():
    part = problem()
    searcher = RegularizedEvolution(part, [0, 1], SMALL)
    proposal = searcher.propose(np.ones(2, bool))
    searcher.observe(proposal, np.array([[0.5], [np.nan]]))
    assert searcher._born.tolist() == [1, 0]


def test_settings():
    settings = {name: RegularizedEvolutionSettings(**changes) for name, changes in RECIPES.items()}
    assert settings["released"] == settings["paper"] == RegularizedEvolutionSettings(100, 10, "kept")
    assert settings["corrected"].invalid == "redrawn"
    assert RegularizedEvolutionSettings(**BY_SPACE["nasbench201"]).population == 10
    with pytest.raises(SettingsError, match="population=0 must be at least 1"):
        RegularizedEvolutionSettings(population=0)
    with pytest.raises(SettingsError, match="invalid='dropped' is unknown"):
        RegularizedEvolutionSettings(invalid="dropped")
    with pytest.raises(SpaceError, match="of all encodings give one of the 3 candidates"):
        RegularizedEvolution(problem(rows=[1, 2, 3]), [0])
