"""Hyperband's schedule, against brackets computed by hand and the published tables."""

import numpy as np
import pytest

from a2v_core.errors import SettingsError
from a2v_core.search.hyperband import Bracket, Schedule, brackets, survivors


def test_published_tables():
    """Li et al., R = 81 and eta = 3: the table of the journal (2018), and that of the first version."""
    assert [b.sizes for b in brackets(5, 3, "ceil")] == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]
    assert [b.sizes for b in brackets(5, 3, "floor")] == [(81, 27, 9, 3, 1), (27, 9, 3, 1), (9, 3, 1), (6, 2), (5,)]


def test_brackets_of_nasbench101():
    """Budgets of 4, 12, 36 and 108 epochs."""
    assert brackets(4, 3, "floor") == (Bracket((0, 1, 2, 3), (27, 9, 3, 1)), Bracket((1, 2, 3), (9, 3, 1)),
                                       Bracket((2, 3), (6, 2)), Bracket((3,), (4,)))
    assert [b.sizes for b in brackets(4, 3, "ceil")] == [(27, 9, 3, 1), (12, 4, 1), (6, 2), (4,)]


def test_few_fidelities_and_other_eta():
    assert brackets(1) == (Bracket((0,), (1,)),)
    assert brackets(2, 3, "floor") == brackets(2, 3, "ceil") == (Bracket((0, 1), (3, 1)), Bracket((1,), (2,)))
    assert [b.sizes for b in brackets(3, 2, "ceil")] == [(4, 2, 1), (3, 1), (3,)]


@pytest.mark.parametrize("rounding", ["floor", "ceil"])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_every_rung_keeps_at_least_one_and_every_bracket_ends_at_the_full_training(rounding, eta):
    for n in range(1, 7):
        cycle = brackets(n, eta, rounding)
        assert len(cycle) == n
        for bracket in cycle:
            assert bracket.levels[-1] == n - 1
            assert min(bracket.sizes) >= 1
            assert all(b <= a // eta or b == 1 for a, b in zip(bracket.sizes, bracket.sizes[1:], strict=False))


def test_schedule_lists_the_cycle():
    schedule = Schedule(2, 3, "ceil")
    np.testing.assert_array_equal(schedule.level, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(schedule.place, [0, 1, 2, 0, 0, 1])
    np.testing.assert_array_equal(schedule.is_new, [True, True, True, False, True, True])
    np.testing.assert_array_equal(schedule.survivors, [0, 0, 1, 0, 0, 0])
    assert schedule.width == 3


def test_schedule_of_nasbench101_spends_equal_epochs_on_the_rungs_of_a_bracket():
    schedule = Schedule(4, 3, "floor")
    assert len(schedule) == 65
    epochs = np.array([4, 12, 36, 108])[schedule.level]
    first = np.flatnonzero(schedule.place == 0)
    np.testing.assert_array_equal(np.add.reduceat(epochs, first), [108] * 7 + [216, 216, 432])
    assert np.bincount(schedule.level).tolist() == [27, 18, 12, 8]


def test_survivors_keep_their_order_and_ties_go_to_the_earlier():
    np.testing.assert_array_equal(survivors(np.array([0.1, 0.9, 0.5, 0.7]), 2), [1, 3])
    np.testing.assert_array_equal(survivors(np.array([0.5, 0.5, 0.2, 0.5]), 2), [0, 1])
    np.testing.assert_array_equal(survivors(np.zeros(27), 9), np.arange(9))


@pytest.mark.parametrize(("n", "eta", "rounding"), [(0, 3, "ceil"), (4, 1, "ceil"), (4, 2.5, "ceil"), (4, 3, "round")])
def test_bad_settings(n, eta, rounding):
    with pytest.raises(SettingsError):
        brackets(n, eta, rounding)
