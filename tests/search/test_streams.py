import numpy as np
import pytest

from a2v_core.search.streams import UniformStreams


@pytest.mark.parametrize("block", [3, 8, 1024])
def test_every_run_gets_the_numbers_of_its_own_generator(block):
    streams = UniformStreams([7, 0, 123], block)
    rng = np.random.default_rng(1)
    got = [[], [], []]
    for _ in range(200):
        runs = np.flatnonzero(rng.random(3) < 0.6)
        n = int(rng.integers(0, 7))  # also more than the smallest block
        taken = streams.take(runs, n)
        assert taken.shape == (len(runs), n)
        for run, numbers in zip(runs, taken, strict=True):
            got[run].extend(numbers)
    for seed, numbers in zip([7, 0, 123], got, strict=True):
        np.testing.assert_array_equal(numbers, np.random.default_rng(seed).random(len(numbers)))


def test_runs_may_come_in_any_order():
    taken = UniformStreams([5, 6]).take(np.array([1, 0]), 4)
    np.testing.assert_array_equal(taken[0], np.random.default_rng(6).random(4))
    np.testing.assert_array_equal(taken[1], np.random.default_rng(5).random(4))
