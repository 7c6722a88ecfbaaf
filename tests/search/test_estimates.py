"""Estimates and differences of groups: which numbers count as independent samples."""

import numpy as np
import pytest
from made_pages import SCALE, outcomes
from scipy import stats

from a2v_core.search.estimates import (
    Samples,
    by_pretraining,
    difference,
    estimate,
    group_estimate,
    held,
    percent,
    samples,
    signed,
)
from a2v_core.search.features import Features
from a2v_core.search.plan import make_group
from a2v_core.stats import Estimate, paired_difference, t_interval, unpaired_difference

VALUES = np.random.default_rng(0).permutation(20.0 + np.arange(20))
SEEDS = np.arange(20)


def group(method, recipe="released", runs=20, **options):
    # Two pre-trainings of ten runs each on this space.
    return make_group(SCALE, "nasbench101", "imputed", method, recipe, runs, 1.15e6, **options)


def seen(*numbers, recipe="released"):
    return tuple(Features("arch2vec", recipe, number) for number in numbers)


def test_runs_of_one_pretraining_are_one_sample():
    found = samples(group("arch2vec_rl"), VALUES, SEEDS)
    np.testing.assert_allclose(found.values, [VALUES[:10].mean(), VALUES[10:].mean()])
    assert found.seen == seen(0, 1)
    assert found.mean == pytest.approx(VALUES.mean())
    assert [part.tolist() for part in by_pretraining(group("arch2vec_rl"), VALUES, SEEDS)] == \
        [VALUES[:10].tolist(), VALUES[10:].tolist()]


def test_curves_have_samples_at_every_point():
    curves = np.stack([VALUES, 2 * VALUES, -VALUES], axis=1)
    found = samples(group("arch2vec_bo"), curves, SEEDS).values
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[:, 1], 2 * found[:, 0])


def test_runs_are_the_samples_without_a_second_pretraining():
    # Of the first pre-training alone, or of a method that sees none.
    for made, n in ((group("arch2vec_rl"), 10), (group("random"), 20)):
        found = samples(made, VALUES[:n], SEEDS[:n])
        assert found.values.tolist() == VALUES[:n].tolist()
        assert found.seen == ()


def test_pretrainings_need_not_have_equally_many_runs():
    found = samples(group("arch2vec_rl"), VALUES[:13], SEEDS[:13]).values
    np.testing.assert_allclose(found, [VALUES[:10].mean(), VALUES[10:13].mean()])


@pytest.mark.parametrize(("statistic", "compute"), [("mean", np.mean), ("sd", lambda x: x.std(ddof=1)),
                                                    ("q90", lambda x: np.quantile(x, 0.9))])
def test_a_statistic_is_taken_within_each_pretraining(statistic, compute):
    found = group_estimate(group("arch2vec_rl"), VALUES, SEEDS, statistic)
    assert found == t_interval(np.array([compute(VALUES[:10]), compute(VALUES[10:])]))
    assert group_estimate(group("random"), VALUES, SEEDS, statistic) == estimate(VALUES, statistic)


def test_the_interval_is_wide_where_pretrainings_differ_and_runs_do_not():
    values = np.concatenate([np.full(10, 93.0), np.full(10, 94.0)]) + 0.01 * np.arange(20)
    ours, naive = group_estimate(group("arch2vec_rl"), values, SEEDS), estimate(values)
    assert ours.value == pytest.approx(naive.value)
    assert ours.high - ours.low > 10 * (naive.high - naive.low)


def test_single_runs_have_no_deviation_within_a_pretraining():
    found = group_estimate(group("arch2vec_rl", runs=2), VALUES[:2], SEEDS[:2], "sd")
    assert found.value == pytest.approx(VALUES[:2].std(ddof=1))


def test_samples_of_what_runs_hold():
    made = group("arch2vec_bo")
    found = outcomes(made)
    values = 100 * held(found, "test", queries=3)
    ours = percent(made, {made.name: found}, "test", queries=3)
    np.testing.assert_allclose(ours.values, [values[:10].mean(), values[10:].mean()])


def test_the_same_pretrainings_are_compared_within_each():
    first, second = Samples(np.array([94.0, 93.0, 95.0]), seen(0, 1, 2)), Samples(np.array([92.5, 93.8]), seen(1, 0))
    assert difference(first, second) == paired_difference(np.array([94.0, 93.0]), np.array([93.8, 92.5]))


def test_other_samples_are_compared_by_welch():
    first, runs = Samples(np.array([94.0, 93.0, 95.0]), seen(0, 1, 2)), Samples(VALUES)
    welch = stats.ttest_ind(first.values, VALUES, equal_var=False).confidence_interval(0.95)
    assert difference(first, runs)[1:3] == pytest.approx((welch.low, welch.high))
    # Another recipe is another embedding, though the seeds of the pre-trainings agree.
    other = Samples(np.array([92.0, 91.5, 92.5]), seen(0, 1, 2, recipe="corrected"))
    assert difference(first, other) == unpaired_difference(first.values, other.values)


def test_one_sample_has_no_difference():
    assert difference(Samples(VALUES[:1]), Samples(VALUES)) is None


@pytest.mark.parametrize(("numbers", "text"), [
    ((0.5, 0.301, 0.7), "+0.50 [+0.30, +0.70]"), ((-0.0004, -0.08, 0.07), "0.00 [-0.08, +0.07]"),
    ((0.004, -0.004, 10.0), "0.00 [0.00, +10.00]")])
def test_differences_have_signs_but_for_zero(numbers, text):
    assert signed(Estimate(*numbers, 3)) == text
