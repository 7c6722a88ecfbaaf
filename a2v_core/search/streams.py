"""Random numbers of many runs: each has its own generator, and all are served by one array operation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class UniformStreams:
    """Uniform numbers in [0, 1) of R runs. What run r gets is ``np.random.default_rng(seeds[r]).random()`` in order,
    however many each run takes and whichever others are in the batch.

    Args:
        seeds: one a run.
        block: how many numbers of a run are kept at hand.
    """

    def __init__(self, seeds: Sequence[int], block: int = 1024) -> None:
        self._generators = [np.random.default_rng(seed) for seed in seeds]
        self._numbers = np.empty((len(self._generators), block))
        self._used = np.full(len(self._generators), block)

    def take(self, runs: np.ndarray, n: int) -> np.ndarray:
        """The next n numbers of each of the given (different) runs, float64 [len(runs), n]."""
        block = self._numbers.shape[1]
        if n > block:
            self._grow(n)
            block = n
        for run in runs[self._used[runs] + n > block]:
            used, row = self._used[run], self._numbers[run]
            row[: block - used] = row[used:].copy()
            self._generators[run].random(out=row[block - used :])
            self._used[run] = 0
        columns = self._used[runs, None] + np.arange(n)
        self._used[runs] += n
        return self._numbers[runs[:, None], columns]

    def _grow(self, block: int) -> None:
        """Keep `block` numbers of each run at hand, those that are left at the end."""
        added = block - self._numbers.shape[1]
        self._numbers = np.concatenate([np.empty((len(self._numbers), added)), self._numbers], axis=1)
        self._used += added
