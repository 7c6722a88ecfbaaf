"""Local search and its neighbourhoods, and the evolution that walks along them."""

import numpy as np
import pytest
from made_landscapes import answer, one_target, problem

from a2v_core.errors import SettingsError
from a2v_core.search.local_search import LocalSearch, LocalSearchSettings, draw_others
from a2v_core.search.methods import METHODS
from a2v_core.search.neighbour_evolution import NeighbourEvolution, NeighbourEvolutionSettings
from a2v_core.search.neighbourhoods import OneEdit, SampledDarts, neighbourhood
from a2v_core.search.protocol import NO_CELL, Problem
from a2v_core.search.random_search import RandomSearch, RandomSearchSettings
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_encoding import edges_to_cells
from a2v_core.spaces.darts_sampling import draw_edges

SMALL = NeighbourEvolutionSettings(population=5, tournament=2)


@pytest.fixture(scope="module")
def crowd():
    """3,000 DARTS genotypes whose first five edges agree, so that they have neighbours; and their edges."""
    edges = draw_edges(3000, np.random.default_rng(0))
    edges.ops[:, :5], edges.inputs[:, :6] = edges.ops[0, :5], edges.inputs[0, :6]
    return Problem(DARTS(n_cells=1), edges_to_cells(edges), np.arange(3000)), edges


def differing_edges(edges, a, b):
    """Edges of a that b lacks, node by node."""
    count = 0
    for node in range(4):
        of_a, of_b = ({(int(edges.ops[i, e]), int(edges.inputs[i, e])) for e in (2 * node, 2 * node + 1)}
                      for i in (a, b))
        count += len(of_a - of_b)
    return count


# --- neighbourhoods --------------------------------------------------------------------------------------------------


def test_neighbours_on_nasbench201_differ_in_one_operation():
    part = problem()
    beside = neighbourhood(part)
    assert isinstance(beside, OneEdit)
    ops = part.cells.ops.astype(int)
    for candidate in (0, 77, 9000):
        expected = np.flatnonzero((ops != ops[candidate]).sum(1) == 1)
        np.testing.assert_array_equal(beside.of(candidate), expected)


def test_neighbours_that_are_no_candidates_are_left_out():
    rows = np.arange(0, 15_625, 2)
    whole, part = neighbourhood(problem()), neighbourhood(problem(rows=rows))
    expected = np.flatnonzero(np.isin(rows, whole.of(200)))
    np.testing.assert_array_equal(part.of(100), expected)


def test_neighbours_in_the_darts_sample_differ_in_one_or_two_edges(crowd):
    sample, edges = crowd
    beside = neighbourhood(sample)
    assert isinstance(beside, SampledDarts)
    for candidate in range(0, 3000, 600):
        expected = [other for other in range(3000)
                    if other != candidate and differing_edges(edges, candidate, other) <= 2]
        assert beside.of(candidate).tolist() == expected
        assert 10 < len(expected) < 2000


def test_the_order_of_the_edges_of_a_node_does_not_matter():
    edges = draw_edges(50, np.random.default_rng(0))
    swapped = type(edges)(edges.ops[:, [1, 0, 2, 3, 5, 4, 6, 7]], edges.inputs[:, [1, 0, 2, 3, 5, 4, 6, 7]])
    both = type(edges)(*(np.concatenate(parts) for parts in zip(edges, swapped, strict=True)))
    beside = SampledDarts(Problem(DARTS(n_cells=1), edges_to_cells(both), np.arange(100)))
    assert all(50 + candidate in beside.of(candidate) for candidate in range(50))


def test_being_beside_is_mutual(crowd):
    beside = neighbourhood(crowd[0])
    for candidate in range(0, 300, 7):
        assert all(candidate in beside.of(int(other)) for other in beside.of(candidate))


# --- local search ----------------------------------------------------------------------------------------------------


def plain(part, seed, accuracy, n, settings):
    """The algorithm of White et al. 2021 with restarts, one query at a time."""
    rng, beside = np.random.default_rng(seed), neighbourhood(part)
    queried, place = [], None
    while len(queried) < n:
        if place is None:
            drawn = draw_others(rng, len(part.cells), set(queried), settings.initial).tolist()
            queried += drawn
            place = max(drawn, key=lambda cell: accuracy[cell])
            continue
        left = [int(cell) for cell in beside.of(place) if cell not in queried]
        if not left:
            place = None
            continue
        order = rng.permutation(left).tolist()
        if settings.move == "first":
            queried.append(order[0])
            place = order[0] if accuracy[order[0]] > accuracy[place] else place
        else:
            queried += order
            best = max(order, key=lambda cell: accuracy[cell])
            place = best if accuracy[best] > accuracy[place] else None
    return queried


@pytest.mark.parametrize("move", ["best", "first"])
def test_a_batch_proposes_what_the_plain_algorithm_does_for_each_seed_alone(crowd, move):
    part, settings = crowd[0], LocalSearchSettings(initial=3, move=move)
    accuracy = np.random.default_rng(1).random(len(part.rows))
    batch = answer(LocalSearch(part, [3, 14, 15, 9], settings), accuracy, 1500 if move == "best" else 120)
    for run, seed in zip(batch, [3, 14, 15, 9], strict=True):
        made = run[run != NO_CELL].tolist()
        assert len(made) >= 120
        assert made == plain(part, seed, accuracy, len(made), settings)[:len(made)]
        alone = answer(LocalSearch(part, [seed], settings), accuracy, len(made))[0]
        assert alone[alone != NO_CELL].tolist()[:len(made)] == made


@pytest.mark.parametrize("move", ["best", "first"])
def test_it_climbs_a_landscape_without_local_optima(move):
    part = problem()
    accuracy = one_target(part)
    cells = answer(LocalSearch(part, range(3), LocalSearchSettings(move=move)), accuracy, 200)
    assert (np.where(cells == NO_CELL, 0, accuracy[cells]).max(1) == accuracy.max()).all()


def test_no_cell_is_queried_twice_and_a_run_ends_with_the_space():
    part = problem(rows=np.arange(0, 400, 10))
    accuracy = np.random.default_rng(0).random(40)
    cells = answer(LocalSearch(part, [0, 1], LocalSearchSettings(initial=4)), accuracy, 1000)
    for run in cells:
        assert sorted(run[run != NO_CELL].tolist()) == list(range(40))


def test_equal_accuracies_make_it_start_again():
    part = problem()
    cells = answer(LocalSearch(part, [0], LocalSearchSettings(initial=1)), np.full(len(part.rows), 0.5), 60)
    # A cell, its 24 neighbours, another cell, and so on.
    first = cells[cells != NO_CELL].tolist()
    beside = neighbourhood(part)
    assert set(first[1:25]) == set(beside.of(first[0]).tolist())
    assert first[25] not in beside.of(first[0])
    assert set(first[26:50]) == set(beside.of(first[25]).tolist()) - set(first[:26])


def test_inactive_runs_propose_nothing(crowd):
    part = crowd[0]
    accuracy = np.random.default_rng(0).random(len(part.rows))
    both = answer(LocalSearch(part, [5, 6]), accuracy, 60)
    one = answer(LocalSearch(part, [5, 6]), accuracy, 60, np.array([True, False]))
    assert (one[1] == NO_CELL).all()
    n = min((both[0] != NO_CELL).sum(), (one[0] != NO_CELL).sum())
    np.testing.assert_array_equal(both[0][both[0] != NO_CELL][:n], one[0][one[0] != NO_CELL][:n])


def test_others_are_drawn_alike():
    rng = np.random.default_rng(0)
    counts = np.zeros(10)
    for _ in range(2000):
        drawn = draw_others(rng, 10, {3, 4}, 2)
        assert len(set(drawn.tolist())) == 2
        counts[drawn] += 1
    assert counts[[3, 4]].sum() == 0
    np.testing.assert_allclose(counts[[0, 1, 2, 5, 6, 7, 8, 9]], 500, atol=90)
    assert sorted(draw_others(rng, 5, {0, 1, 2}, 4).tolist()) == [3, 4]
    assert draw_others(rng, 3, {0, 1, 2}, 4).tolist() == []


# --- evolution along neighbours --------------------------------------------------------------------------------------


def test_evolution_in_a_batch_proposes_what_each_seed_proposes_alone(crowd):
    sample, _ = crowd
    accuracy = np.random.default_rng(0).random(3000).round(1)
    batch = answer(NeighbourEvolution(sample, [3, 14, 15, 9], SMALL), accuracy, 60)
    assert all(len(set(run.tolist())) == 60 for run in batch)
    for run, seed in zip(batch, [3, 14, 15, 9], strict=True):
        np.testing.assert_array_equal(answer(NeighbourEvolution(sample, [seed], SMALL), accuracy, 60)[0], run)


def test_children_are_neighbours_of_the_best_of_the_youngest(crowd):
    part = crowd[0]
    accuracy = np.random.default_rng(2).random(len(part.rows))
    settings = NeighbourEvolutionSettings(population=4, tournament=400)  # the best is always drawn
    cells = answer(NeighbourEvolution(part, [7], settings), accuracy, 40)[0]
    beside = neighbourhood(part)
    for i in range(4, 40):
        youngest = cells[i - 4:i]
        parent = int(youngest[accuracy[youngest].argmax()])
        assert cells[i] in beside.of(parent)


def test_evolution_beats_random_search_on_a_made_landscape():
    part = problem()
    accuracy = one_target(part)
    found = accuracy[answer(NeighbourEvolution(part, range(3)), accuracy, 150)].max(1)
    at_random = accuracy[answer(RandomSearch(part, range(40), RandomSearchSettings("cells")), accuracy, 150)[:, :150]]
    assert found.mean() > at_random.max(1).mean() + 0.05


def test_evolution_ends_with_the_space():
    part = problem(rows=np.arange(0, 200, 10))
    cells = answer(NeighbourEvolution(part, [0], SMALL), np.random.default_rng(0).random(20), 100)[0]
    assert sorted(cells[cells != NO_CELL].tolist()) == list(range(20))


def test_settings():
    assert METHODS["local_search"].settings_of("corrected", "darts") == LocalSearchSettings(10, "best")
    assert METHODS["neighbour_re"].settings_of() == NeighbourEvolutionSettings(10, 3)
    with pytest.raises(SettingsError, match="initial=0 must be at least 1"):
        LocalSearchSettings(initial=0)
    with pytest.raises(SettingsError, match="move='last' is unknown: choose one of best, first"):
        LocalSearchSettings(move="last")
    with pytest.raises(SettingsError, match="tournament=0 must be at least 1"):
        NeighbourEvolutionSettings(tournament=0)
