"""BOHB against a plain version of it that stands on statsmodels, one configuration at a time."""

from dataclasses import replace

import numpy as np
import pytest
from made_landscapes import answer, one_target, problem

from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search.bohb import BY_SPACE, RECIPES, Bohb, BohbSettings, best_ratio
from a2v_core.search.discrete import CandidateEncoding
from a2v_core.search.hyperband import brackets
from a2v_core.search.protocol import NO_CELL, Problem
from a2v_core.search.random_search import RandomSearch

#: NAS-Bench-101's four budgets; and three for smaller tests.
FOUR, THREE = (4, 12, 36, 108), (10, 30, 90)
FEW = {"samples": 8}


def with_epochs(part, epochs):
    return replace(part, epochs=epochs)


def noisy(part, epochs, seed=0):
    """Accuracies by fidelity, float64 [F, M], closer to the truth the longer the training."""
    truth = one_target(part) if part.space.name == "nasbench201" else np.random.default_rng(1).uniform(0.8, 0.94,
                                                                                                     len(part.rows))
    noise = np.random.default_rng(seed).normal(size=(len(epochs), len(truth)))
    return truth + 0.05 * noise / np.arange(1, 2 * len(epochs), 2)[:, None]


def play(searcher, accuracy, n):
    """n queries of all runs: candidates and fidelities, int64 [R, n] each."""
    active, cells, fidelities = np.ones(len(searcher.seeds), bool), [], []
    for _ in range(n):
        proposal = searcher.propose(active)
        searcher.observe(proposal, accuracy[proposal.fidelity, proposal.cells])
        cells.append(proposal.cells[:, 0])
        fidelities.append(proposal.fidelity[:, 0])
    return np.stack(cells, axis=1), np.stack(fidelities, axis=1)


def plain(part, seed, accuracy, n, settings):
    """One run: Falkner et al.'s Algorithms 1 and 2 in loops, densities by statsmodels."""
    from statsmodels.nonparametric.kernel_density import KDEMultivariate

    rng, encoding, queried = np.random.default_rng(seed), CandidateEncoding(part), []
    v, seen = len(encoding.choices), {f: [] for f in range(len(part.epochs))}

    def split(observed):
        ordered = [x for _, x in sorted(observed, key=lambda pair: -pair[0])]
        size = max(v + 1, settings.good_percent * len(ordered) // 100)
        if settings.split == "overlapping":
            if len(ordered) < v + 3:
                return None
            return ordered[:size], ordered[-max(v + 1, len(ordered) - size):]
        rest = max(v + 1, (100 - settings.good_percent) * len(ordered) // 100)
        good, other = ordered[:size], ordered[size:size + rest]
        return (good, other) if min(len(good), len(other)) > v else None

    def density(data):
        kde = KDEMultivariate(np.array(data, float), "u" * v, bw="normal_reference")
        kde.bw = np.clip(kde.bw, settings.min_bandwidth, None)
        return kde

    def new():
        u, models = rng.random(), [split(seen[f]) for f in seen]
        model = next((m for m in reversed(models) if m), None)
        if u < settings.random_fraction or model is None:
            return tuple(int(rng.random() * c) for c in encoding.choices)
        good, other = map(density, model)
        best, chosen = np.inf, None
        drawn = rng.random((settings.samples, v + 1))
        for row in drawn:
            point = []
            for x, h, c, u in zip(good.data[int(row[0] * len(good.data))], good.bw, encoding.choices, row[1:],
                                  strict=True):
                h = min(h, 1)
                point.append(int(x) if u < 1 - h else min(int((u - (1 - h)) / h * c), c - 1))
            candidate, valid = encoding.decode(np.array(point, np.uint8))
            if candidate == NO_CELL and (valid or settings.invalid == "redrawn"):
                continue
            of_good, of_other = good.pdf(np.array(point, float)), other.pdf(np.array(point, float))
            ratio = max(1e-32, of_other) / max(of_good, 1e-32)
            if np.isinf(ratio) and np.isfinite(of_good):
                return tuple(point)
            if ratio < best:
                best, chosen = ratio, tuple(point)
        return chosen or tuple(int(rng.random() * c) for c in encoding.choices)

    while True:
        for bracket in brackets(len(part.epochs), settings.eta, settings.rounding):
            rung = []
            for i, (f, size) in enumerate(zip(bracket.levels, bracket.sizes, strict=True)):
                results = []
                while len(results) < size:
                    x = rung[len(results)] if i else new()
                    candidate, valid = encoding.decode(np.array(x, np.uint8))
                    if candidate == NO_CELL and (valid or settings.invalid == "redrawn"):
                        continue
                    if valid:
                        queried.append((int(candidate), f))
                        if len(queried) == n:
                            return queried
                    results.append((accuracy[f, candidate] if valid else 0.0, x))
                    seen[f].append(results[-1])
                keep = sorted(range(size), key=lambda place: -results[place][0])
                if i + 1 < len(bracket.sizes):
                    rung = [results[place][1] for place in sorted(keep[:bracket.sizes[i + 1]])]


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize(("recipe", "changes"), [("released", {}), ("paper", {}), ("released", {"invalid": "redrawn"})])
@pytest.mark.parametrize(("name", "rows", "epochs", "n"), [
    ("nasbench201", None, THREE, 90), ("nasbench101", None, (108,), 65), ("nasbench201", np.arange(4000), (12,), 40)])
def test_a_batch_proposes_what_the_plain_algorithm_does(name, rows, epochs, n, recipe, changes):
    pytest.importorskip("statsmodels", reason="statsmodels is missing")
    part = with_epochs(problem(name, rows), epochs)
    settings = BohbSettings(**RECIPES[recipe] | FEW | changes)
    accuracy = noisy(part, epochs)
    searcher = Bohb(part, [3, 14], settings)
    cells, fidelities = play(searcher, accuracy, n)
    assert (searcher._modelled >= 0).all()
    for run, seed in enumerate([3, 14]):
        assert list(zip(cells[run].tolist(), fidelities[run].tolist(), strict=True)) == plain(
            part, seed, accuracy, n, settings)


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_seed_alone_proposes_the_same(recipe):
    part = with_epochs(problem("nasbench101"), (36, 108))
    accuracy = noisy(part, (36, 108))
    settings = BohbSettings(**RECIPES[recipe] | FEW)
    cells, fidelities = play(Bohb(part, [5, 6, 7, 8], settings), accuracy, 90)
    for run, seed in enumerate([5, 6, 7, 8]):
        alone = play(Bohb(part, [seed], settings), accuracy, 90)
        np.testing.assert_array_equal(alone[0][0], cells[run])
        np.testing.assert_array_equal(alone[1][0], fidelities[run])


def test_a_cycle_follows_the_brackets_and_the_best_survive():
    """NAS-Bench-201 has no invalid encodings: query t is evaluation t of the schedule."""
    part = with_epochs(problem(), FOUR)
    accuracy = noisy(part, FOUR)
    cells, fidelities = play(Bohb(part, [0], BohbSettings(random_fraction=1.0)), accuracy, 130)
    at = 0
    for bracket in brackets(4, 3, "floor") * 2:
        before, survivors = [], set()
        for level, size in zip(bracket.levels, bracket.sizes, strict=True):
            rung = cells[0, at:at + size]
            np.testing.assert_array_equal(fidelities[0, at:at + size], level)
            if survivors:
                assert rung.tolist() == [cell for cell in before if cell in survivors]
            order = np.argsort(-accuracy[level, rung], kind="stable")
            before, survivors, at = rung.tolist(), set(rung[order[:size // 3]].tolist()), at + size
    assert at == 130


def test_it_beats_random_search_on_a_made_landscape():
    part = problem()
    accuracy = one_target(part)
    found = accuracy[answer(Bohb(part, range(30), BohbSettings(**RECIPES["corrected"])), accuracy, 150)].max(1)
    at_random = accuracy[answer(RandomSearch(part, range(30)), accuracy, 150)[:, :150]].max(1)
    assert found.mean() > at_random.mean() + 0.05


def test_one_fidelity_is_a_search_without_halving():
    part = problem()
    proposal = (searcher := Bohb(part, [0, 1])).propose(np.ones(2, bool))
    np.testing.assert_array_equal(proposal.fidelity, [[0], [0]])
    assert len(searcher._schedule) == 1


def test_nominal_rungs_train_survivors_again_in_the_same_way():
    part = problem()
    settings = BohbSettings(**BY_SPACE["released"]["nasbench201"])
    cells, fidelities = play(Bohb(part, [0], settings), noisy(part, (12,)), 65)
    assert (fidelities == 0).all()
    assert set(cells[0, 27:36]) < set(cells[0, :27])
    two = with_epochs(part, (12, 200))
    _, fidelities = play(Bohb(two, [0], settings), noisy(two, (12, 200)), 65)
    np.testing.assert_array_equal(np.bincount(fidelities[0]), [27 + 18 + 12, 8])


def test_invalid_encodings_fill_rungs_or_are_redrawn():
    """With everything at random 27 % of 27 places are queries if the rest stay, all of them if they are redrawn."""
    part = with_epochs(problem("nasbench101"), FOUR)
    accuracy = noisy(part, FOUR)
    first = {}
    for invalid in ("kept", "redrawn"):
        _, fidelities = play(Bohb(part, range(50), BohbSettings(random_fraction=1.0, invalid=invalid)), accuracy, 27)
        first[invalid] = (np.cumsum(fidelities != 0, axis=1) == 0).sum(1)
    assert (first["redrawn"] == 27).all()
    assert first["kept"].mean() == pytest.approx(0.27 * 27, abs=1)


def test_a_part_of_a_space_gets_its_candidates_only():
    part = with_epochs(problem("nasbench101", np.arange(30_000)), FOUR)
    cells, _ = play(Bohb(part, range(5), BohbSettings(**FEW)), noisy(part, FOUR), 60)
    assert cells.min() >= 0
    assert cells.max() < 30_000


def test_a_space_smaller_than_the_first_bracket_is_queried_again_and_again():
    part = with_epochs(problem(rows=np.arange(20)), FOUR)
    cells, _ = play(Bohb(part, [0], BohbSettings(random_fraction=0.9)), noisy(part, FOUR), 30)
    assert max(len(set(run)) for run in cells.tolist()) <= 20
    assert cells.min() >= 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_constant_accuracies(recipe):
    part = with_epochs(problem(), THREE)
    cells, _ = play(Bohb(part, [0, 1], BohbSettings(**RECIPES[recipe] | FEW)), np.full((3, len(part.rows)), 0.5), 100)
    assert cells.min() >= 0


def test_ended_runs_and_unanswered_queries_change_nothing():
    part = with_epochs(problem(), THREE)
    accuracy = noisy(part, THREE)
    whole, half = (Bohb(part, [0, 1], BohbSettings(**FEW)) for _ in range(2))
    cells, _ = play(whole, accuracy, 60)
    play(half, accuracy, 25)
    for t in range(25, 60):
        proposal = half.propose(np.array([True, False]))
        signal = accuracy[proposal.fidelity, proposal.cells]
        signal[1] = np.nan
        assert proposal.cells[0, 0] == cells[0, t]
        half.observe(proposal, signal)
    assert half._place[1] == 25 % len(half._schedule)


def test_the_choice_among_densities():
    inf, nan = np.inf, np.nan
    for good, other, best in [([1, 2, 4], [1, 1, 1], 2), ([1, 1, 1], [3, 1, 1], 1), ([0, 1e-40], [1e-40, 0], 0),
                              ([1, inf, 1], [1e-9, 1, inf], 2), ([1, inf], [1, 1], 1), ([inf, 1], [inf, 5], 1),
                              ([inf, inf], [inf, inf], -1), ([nan, 1], [0, 1], 1), ([-1, 1], [1, nan], 1)]:
        assert best_ratio(np.array([good], float), np.array([other], float), np.ones((1, len(good)), bool))[0] == best
    assert best_ratio(np.ones((1, 3)), np.array([[1, inf, 2]]), np.array([[False, False, True]]))[0] == 2
    assert best_ratio(np.ones((1, 3)), np.ones((1, 3)), np.zeros((1, 3), bool))[0] == -1


def test_bad_settings_and_problems():
    for changes in ({"split": "half"}, {"invalid": "dropped"}, {"rounding": "up"}, {"samples": 0}, {"good_percent": 0},
                    {"random_fraction": 2.0}, {"min_bandwidth": 0.0}, {"least_rungs": 0}):
        with pytest.raises(SettingsError):
            BohbSettings(**changes)
    with pytest.raises(SettingsError, match="eta"):
        Bohb(problem(), [0], BohbSettings(eta=1))
    space = problem().space
    with pytest.raises(SpaceError, match="encodings"):
        Bohb(Problem(space, space.cells()[:3], np.arange(3)), [0])
