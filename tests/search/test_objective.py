from dataclasses import replace

import numpy as np
import pytest

from a2v_core.errors import DataError, SettingsError
from a2v_core.search.objective import Objective
from a2v_core.spaces import get_space

SPACE = get_space("nasbench201")
NAN = np.nan


def made(**changes):
    """Four cells, two fidelities, two repeats of which some do not exist."""
    fields = {
        "name": "nasbench201/made", "space": SPACE, "rows": np.array([7, 3, 12, 5]), "epochs": (4, 12),
        "signal": np.array([[[0.1, 0.2, 0.3, 0.4], [NAN, 0.2, NAN, 0.5]],
                            [[0.6, NAN, 0.8, 0.7], [0.5, 0.9, NAN, 0.6]]]),
        "seconds": np.array([[1.0, 2.0, 3.0, 4.0], [3.0, 6.0, 9.0, 12.0]]),
        "validation": np.array([0.6, 0.9, 0.8, 0.7]), "test": np.array([0.5, 0.6, 0.85, 0.7]),
        "measured": np.array([True, True, False, True]), "data": {"table": "digest"}}
    return Objective(**fields | changes)


def test_what_a_searcher_may_know():
    problem = made().problem()
    np.testing.assert_array_equal(problem.cells.ops, SPACE.cells().ops[[7, 3, 12, 5]])
    np.testing.assert_array_equal(problem.rows, [7, 3, 12, 5])
    assert problem.space is SPACE
    assert problem.epochs == (4, 12)
    assert problem.features is None
    features = made().problem(np.arange(8.0).reshape(4, 2)).features
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, np.arange(8).reshape(4, 2))


@pytest.mark.parametrize("features", [np.zeros((5, 2)), np.zeros(4), np.full((4, 2), NAN)])
def test_features_that_do_not_fit(features):
    with pytest.raises(SettingsError, match="feature"):
        made().problem(features)


def test_best_values_and_number_of_queries():
    assert made().best_validation == 0.9
    assert made().best_test == 0.85
    assert len(made()) == 4
    assert made().expected_queries(75.0) == 10  # 7.5 s a full training on average


def test_restricted_to_some_candidates():
    some = made().restrict(np.array([3, 0]))
    assert some.name == "nasbench201/made[2]"
    np.testing.assert_array_equal(some.rows, [5, 7])
    np.testing.assert_array_equal(some.signal[1], [[0.7, 0.6], [0.6, 0.5]])
    np.testing.assert_array_equal(some.seconds, [[4, 1], [12, 3]])
    assert (some.best_validation, some.best_test) == (0.7, 0.7)
    assert some.measured.all()
    chosen = made().restrict(made().measured, "nasbench201/measured")
    assert chosen.name == "nasbench201/measured"
    np.testing.assert_array_equal(chosen.rows, [7, 3, 5])


@pytest.mark.parametrize("candidates", [[0, 4], [-1], [1.0], [0, 0], np.zeros(3, bool), np.zeros(4, bool)])
def test_restricted_to_what_are_no_candidates(candidates):
    with pytest.raises(SettingsError):
        made().restrict(np.asarray(candidates))


def test_the_arrays_are_read_only_and_the_given_ones_are_left_alone():
    test = np.array([0.5, 0.6, 0.85, 0.7])
    objective = made(test=test)
    with pytest.raises(ValueError, match="read-only"):
        objective.test[0] = 0.1
    test[0] = 0.4


@pytest.mark.parametrize("change", [
    {"rows": np.array([7, 3, 7, 5])}, {"rows": np.array([7, 3, 15_625, 5])}, {"rows": np.array([7, -1, 12, 5])},
    {"rows": np.array([], np.int64)}, {"epochs": (12, 4)}, {"epochs": (12, 12)}, {"epochs": ()}])
def test_candidates_and_epochs_that_are_not_acceptable(change):
    with pytest.raises(SettingsError, match="nasbench201/made"):
        made(**change)


@pytest.mark.parametrize(("name", "value"), [
    ("validation", [0.6, NAN, 0.8, 0.7]), ("test", [0.5, 60.0, 0.85, 0.7]), ("test", [0.5, -0.1, 0.85, 0.7]),
    ("seconds", [[1, 2, 3, 4], [0, 6, 9, 12]]), ("seconds", [[1, 2, 3, 4], [3, 6, np.inf, 12]]),
    ("seconds", [[1, 2, 3, 4], [3, NAN, 9, 12]]), ("seconds", [1, 2, 3, 4]), ("validation", [0.6, 0.9, 0.8]),
    ("measured", [True]), ("signal", np.full((2, 4), 0.5)), ("signal", np.full((1, 2, 4), 0.5)),
    ("signal", np.full((2, 1, 4), 50.0))])
def test_labels_that_are_not_acceptable(name, value):
    with pytest.raises(DataError, match=name):
        made(**{name: np.asarray(value)})


def test_a_candidate_without_any_repeat_is_named():
    signal = made().signal.copy()
    signal[1, :, 3] = NAN
    with pytest.raises(DataError, match="row 5 at 12 epochs"):
        made(signal=signal)


def test_the_digest_is_of_the_content():
    assert made().digest == made(data={}).digest
    signal = made().signal.copy()
    signal[0, 0, 0] = 0.11
    changes = [{"signal": signal}, {"rows": np.array([7, 3, 12, 6])}, {"epochs": (4, 36)},
               {"name": "nasbench201/other"}, {"test": made().test[::-1]}, {"validation": made().test},
               {"seconds": made().seconds * 2}, {"measured": np.ones(4, bool)}]
    digests = {replace(made(), **change).digest for change in changes}
    assert len(digests | {made().digest}) == len(changes) + 1
