"""Incumbents, regrets and curves against numbers worked out by hand and against plain loops."""

import time

import numpy as np
import pandas as pd
import pytest
from made_search import MadeSearcher, objective

from a2v_core.errors import SettingsError
from a2v_core.search.objective import Objective
from a2v_core.search.runs import ENDED_BY_ITSELF, ENDED_BY_QUERIES, ENDED_BY_SECONDS, Budget, Trajectories, run_searches
from a2v_core.search.trajectories import Outcomes, curve, final, frame, mean_band, regret_after, summary
from a2v_core.spaces import get_space
from a2v_core.stats import bootstrap_interval, t_interval

# Six cells; validation and test disagree on which is best, the signal ranks them as the validation does.
VALIDATION = np.array([0.1, 0.5, 0.5, 0.3, 0.9, 0.7])
TEST = np.array([0.2, 0.4, 0.45, 0.8, 0.6, 0.5])
SMALL = Objective("nasbench201/small", get_space("nasbench201"), np.array([7, 3, 12, 5, 40, 9]), (4, 12),
                  np.stack([1 - VALIDATION, VALIDATION])[:, None], np.array([[1.0] * 6, [10, 20, 30, 40, 50, 60.0]]),
                  VALIDATION, TEST, np.ones(6, bool))
NONE = float("nan")


def table(*runs, epochs=None, budget=None, ended=ENDED_BY_QUERIES):
    """Trajectories from the candidates of each run; full trainings unless `epochs` lists others."""
    counts = np.array([len(r) for r in runs])
    candidates = np.array([c for r in runs for c in r], int)
    trained = np.full(len(candidates), 12) if epochs is None else np.array([e for r in epochs for e in r])
    signal = SMALL.signal[(trained == 12).astype(int), 0, candidates]
    return Trajectories(np.arange(len(runs)) + 10, counts, np.broadcast_to(np.array(ended, np.int8), len(runs)),
                        budget or Budget(queries=max(1, counts.max())), SMALL.rows[candidates].astype(np.int32),
                        trained.astype(np.int32), signal)


def outcomes(*runs, **options):
    return Outcomes(table(*runs, **options), SMALL)


# --- incumbents ------------------------------------------------------------------------------------------------------


def test_the_incumbent_is_the_best_so_far_and_the_first_on_ties():
    found = outcomes([0, 1, 2, 3, 5, 1], [4, 4])
    np.testing.assert_array_equal(found.incumbent, [[0, 1, 1, 1, 5, 5], [4] * 6])


def test_a_longer_training_outranks_any_shorter_one():
    found = outcomes([0, 5, 4, 0, 1], epochs=[[4, 4, 4, 12, 4]])  # at 4 epochs the signals are turned round
    np.testing.assert_array_equal(found.incumbent, [[0, 0, 0, 0, 0]])
    found = outcomes([4, 0, 4, 1, 5], epochs=[[4, 4, 4, 12, 12]])
    np.testing.assert_array_equal(found.incumbent, [[4, 0, 0, 1, 5]])


def test_signals_that_differ_in_the_last_bit_only_are_told_apart():
    runs = table([0, 1])
    runs.signal[:] = 0.9, np.nextafter(0.9, 1)
    np.testing.assert_array_equal(Outcomes(runs, SMALL).incumbent, [[0, 1]])


def test_a_constant_signal_keeps_the_first_cell():
    runs = table([3, 1, 4])
    runs.signal[:] = 0.5
    np.testing.assert_array_equal(Outcomes(runs, SMALL).incumbent, [[3, 3, 3]])


def test_the_tidy_frame_by_hand():
    found = frame(outcomes([0, 1, 5], [4], epochs=[[4, 12, 12], [12]]), "random")
    expected = pd.DataFrame({
        "run": [10, 10, 10, 11], "method": pd.Categorical(["random"] * 4), "query": [1, 2, 3, 1], "cell": [7, 3, 9, 40],
        "epochs": [4, 12, 12, 12], "signal": [0.9, 0.5, 0.7, 0.9], "validation": [0.1, 0.5, 0.7, 0.9],
        "test": [0.2, 0.4, 0.5, 0.6], "seconds": [1.0, 21, 81, 50], "incumbent": [7, 3, 9, 40],
        "incumbent_validation": [0.1, 0.5, 0.7, 0.9], "incumbent_test": [0.2, 0.4, 0.5, 0.6],
        "regret_validation": [0.8, 0.4, 0.2, 0.0], "regret_test": [0.6, 0.4, 0.3, 0.2]})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.mark.parametrize("name", ["made", "noisy"])
def test_the_tidy_frame_equals_a_plain_loop(name):
    on = objective(name)
    runs = run_searches(MadeSearcher(on.problem(), range(5)), on, Budget(seconds=300.0), progress=False)
    found = frame(Outcomes(runs, on))
    assert len(found) == len(runs.cells)
    for seed, group in found.groupby("run"):
        seconds, best = 0.0, None
        for row in group.itertuples():
            candidate = int(np.flatnonzero(on.rows == row.cell)[0])
            seconds += on.seconds[on.epochs.index(row.epochs), candidate]
            if best is None or (row.epochs, row.signal) > best[0]:
                best = ((row.epochs, row.signal), candidate)
            assert row.seconds == seconds, seed
            assert row.incumbent == on.rows[best[1]]
            assert row.incumbent_test == on.test[best[1]]
            assert row.regret_validation == on.validation.max() - on.validation[best[1]]


@pytest.mark.parametrize(("change", "told"), [({"cells": 8}, "row 8 was queried"), ({"epochs": 5}, "trained for 5")])
def test_runs_of_another_objective_are_refused(change, told):
    runs = table([0, 1])
    for name, value in change.items():
        getattr(runs, name)[1] = value
    with pytest.raises(SettingsError, match=told):
        frame(Outcomes(runs, SMALL))


# --- points of a step function ---------------------------------------------------------------------------------------


def test_completed_queries_by_number_and_by_time():
    found = outcomes([0, 1, 2], [4], budget=Budget(3, 100.0), ended=[ENDED_BY_QUERIES, ENDED_BY_SECONDS])
    # completed at 10, 30, 60 and at 50 seconds
    np.testing.assert_array_equal(found.completed(queries=[0, 1, 2.9, 3]), [[0, 1, 2, 3], [0, 1, -1, -1]])
    np.testing.assert_array_equal(found.completed(seconds=[9.9, 10, 59.9, 60, 61, 100, 101]),
                                  [[0, 1, 2, 3, -1, -1, -1], [0, 0, 1, 1, 1, 1, -1]])
    # whichever comes first
    np.testing.assert_array_equal(found.completed(queries=2, seconds=[20, 70, 100]), [[1, 2, 2], [0, 1, 1]])
    np.testing.assert_array_equal(found.completed(queries=3, seconds=100), [[3], [1]])


def test_a_run_that_had_nothing_left_to_query_stands_for_ever():
    found = outcomes([0, 1], ended=ENDED_BY_ITSELF)
    np.testing.assert_array_equal(found.completed(queries=[1, 999]), [[1, 2]])
    np.testing.assert_array_equal(found.completed(seconds=[1e9]), [[2]])


def test_final_values_by_hand():
    found = outcomes([3, 5, 4], [1, 2], budget=Budget(seconds=160.0), ended=ENDED_BY_SECONDS)
    last = final(found)
    assert list(last["run"]) == [10, 11]
    assert list(last["cell"]) == [40, 3]
    assert list(last["seconds"]) == [150, 50]
    np.testing.assert_allclose(last["regret_test"], [0.2, 0.4])
    np.testing.assert_allclose(last["regret_validation"], [0.0, 0.4])
    at = final(found, seconds=100.0)
    assert list(at["cell"]) == [9, 3]
    assert list(at["queries"]) == [2, 2]
    at = final(found, queries=1)
    assert list(at["cell"]) == [5, 3]
    np.testing.assert_allclose(at["test"], [0.8, 0.4])
    pd.testing.assert_frame_equal(final(found, queries=3, seconds=160.0), last)


def test_what_a_run_was_not_given_is_an_error():
    found = outcomes([3, 5, 4], [1, 2], budget=Budget(seconds=160.0), ended=ENDED_BY_SECONDS)
    for bounds in ({"queries": 3}, {"seconds": 160.1}, {"queries": 3, "seconds": 161.0}):
        with pytest.raises(SettingsError, match=r"were given 160 s; ask for less"):
            final(found, **bounds)
    with pytest.raises(SettingsError, match="1 of 2 runs, first that of seed 11"):
        final(found, queries=3)


def test_runs_without_a_query_have_no_incumbent():
    for found in (outcomes([], [4], budget=Budget(seconds=55.0), ended=ENDED_BY_SECONDS),
                  outcomes([], [], budget=Budget(seconds=55.0), ended=ENDED_BY_SECONDS)):
        last = final(found)
        assert last["cell"][0] == -1
        assert last.loc[0, ["validation", "test", "regret_validation", "regret_test", "seconds"]].isna().all()
        assert len(frame(found)) == found.trajectories.counts.sum()
        assert np.isnan(regret_after(found, 50, 55)[0])
        assert np.isnan(curve(found, "seconds", np.array([55.0]))["mean"][0])
    assert final(outcomes([], [4], budget=Budget(seconds=55.0), ended=ENDED_BY_SECONDS))["cell"][1] == 40


def test_a_summary_is_the_mean_of_the_final_values():
    found = outcomes([3, 5, 4], [1, 2], budget=Budget(seconds=160.0), ended=ENDED_BY_SECONDS)
    short = summary(found, seconds=100.0)
    assert list(short.index) == ["queries", "seconds", "validation", "test", "regret_validation", "regret_test"]
    np.testing.assert_allclose(short["mean"], [2, 75, 0.6, 0.45, 0.3, 0.35])
    np.testing.assert_allclose(short.loc["test", ["low", "high"]], t_interval(np.array([0.5, 0.4]))[1:3])
    np.testing.assert_allclose(short.loc["validation", "sd"], 0.1 * np.sqrt(2))
    alone = summary(outcomes([3, 5, 4]))
    assert alone.loc["test", "mean"] == 0.6
    assert alone[["low", "high", "sd"]].isna().all(axis=None)


# --- curves ----------------------------------------------------------------------------------------------------------


def test_a_curve_is_the_mean_of_step_functions_between_the_first_and_the_last_point_that_all_runs_know():
    found = outcomes([0, 4], [1, 3, 2], budget=Budget(seconds=95.0), ended=ENDED_BY_SECONDS)
    # regret of the test accuracy: 0.6 from 10 s and 0.2 from 60 s; 0.4 from 20 s
    by_time = curve(found, "seconds", np.array([5, 15, 20, 59.9, 60, 95, 96]))
    np.testing.assert_allclose(by_time["mean"], [NONE, NONE, 0.5, 0.5, 0.3, 0.3, NONE])
    np.testing.assert_allclose(by_time["q50"], [NONE, NONE, 0.5, 0.5, 0.3, 0.3, NONE])
    by_query = curve(found, "queries", np.arange(4), quantity="test")
    np.testing.assert_allclose(by_query["mean"], [NONE, 0.3, 0.5, NONE])
    spent = curve(found, "queries", np.array([1, 2]), quantity="seconds")
    np.testing.assert_allclose(spent["mean"], [15, 60])
    assert list(by_query) == ["queries", "mean", "low", "high", "q10", "q50", "q90"]


@pytest.mark.parametrize(("bad", "told"), [({"axis": "epochs"}, "queries or seconds"),
                                           ({"quantity": "regret"}, "unknown quantity 'regret'")])
def test_an_unknown_axis_or_quantity_is_named(bad, told):
    with pytest.raises(SettingsError, match=told):
        curve(outcomes([0, 1]), **{"axis": "queries", "grid": np.array([1])} | bad)


def test_the_band_of_few_runs_is_students():
    values = np.random.default_rng(0).normal(size=(12, 3))
    values[0, 2] = np.nan
    mean, low, high = mean_band(values, 0.9)
    for g in range(2):
        np.testing.assert_allclose((mean[g], low[g], high[g]), t_interval(values[:, g], 0.9)[:3])
    assert np.isnan([mean[2], low[2], high[2]]).all()
    assert np.isnan(mean_band(values[:1])[1]).all()


def test_the_band_of_many_runs_is_the_percentile_bootstrap():
    values = np.random.default_rng(0).exponential(size=(200, 4))
    mean, low, high = mean_band(values)
    for g in range(4):
        expected = bootstrap_interval(values[:, g], 1, method="percentile")
        width = expected.high - expected.low
        assert mean[g] == pytest.approx(expected.value)
        assert low[g] == pytest.approx(expected.low, abs=0.07 * width)
        assert high[g] == pytest.approx(expected.high, abs=0.07 * width)
    constant = np.full((40, 1), 0.3)
    np.testing.assert_allclose(mean_band(constant), 0.3)


def test_regret_over_a_stretch_of_time_by_hand():
    found = outcomes([0, 4], [1, 3, 2], budget=Budget(seconds=95.0), ended=ENDED_BY_SECONDS)
    np.testing.assert_allclose(regret_after(found, 20, 90), [(40 * 0.6 + 30 * 0.2) / 70, 0.4])
    np.testing.assert_allclose(regret_after(found, 60, 95), [0.2, 0.4])
    np.testing.assert_allclose(regret_after(found, 15, 95)[1], NONE)
    np.testing.assert_allclose(regret_after(found, 20, 40, "validation"), [0.1, 0.5])


def test_regret_over_a_stretch_of_time_is_the_integral_of_the_curve():
    on = objective("made")
    runs = run_searches(MadeSearcher(on.problem(), range(3)), on, Budget(seconds=300.0), progress=False)
    found = Outcomes(runs, on)
    grid = np.linspace(50, 300, 200_001)
    values = found.values("regret_test", found.completed(seconds=grid))
    np.testing.assert_allclose(regret_after(found, 50, 300), values[:, :-1].mean(1), atol=1e-5)


@pytest.mark.parametrize(("start", "stop", "told"), [(5, 5, "no stretch"), (-1, 5, "no stretch"),
                                                     (1, 200, "seconds=200")])
def test_a_stretch_that_does_not_exist_is_refused(start, stop, told):
    with pytest.raises(SettingsError, match=told):
        regret_after(outcomes([0, 4], budget=Budget(seconds=95.0), ended=ENDED_BY_SECONDS), start, stop)


def test_five_hundred_runs_of_a_thousand_queries_take_well_under_a_second():
    rng, space, n = np.random.default_rng(0), get_space("nasbench201"), 15_625
    labels = rng.integers(0, 10_000, n) / 10_000
    on = Objective("nasbench201/large", space, np.arange(n), (12,), labels[None, None], rng.uniform(1, 2, (1, n)),
                   labels, labels, np.ones(n, bool))
    cells = rng.integers(0, n, 500_000)
    runs = Trajectories(np.arange(500), np.full(500, 1000), np.zeros(500, np.int8), Budget(1000),
                        cells.astype(np.int32), np.full(500_000, 12, np.int32), labels[cells])
    started = time.process_time()
    found = Outcomes(runs, on)
    assert len(frame(found)) == 500_000
    curve(found, "seconds", np.geomspace(2, 900, 100))
    assert time.process_time() - started < 1.0
