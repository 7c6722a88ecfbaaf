"""How closely L2 distance follows edit distance: rank correlation, mean at each distance, smallest step; with intervals
over walks and pre-trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from a2v_core.errors import SettingsError
from a2v_core.stats import Estimate

#: A distance counts when each set has at least this many pairs of it.
LEAST_PAIRS = 5


class Growth(NamedTuple):
    """Mean L2 distance at each edit distance.

    Attributes:
        edits: the edit distances that every set has enough pairs of, ascending and consecutive, int64 [D].
        means: of the L2 distances, over pairs of one set, float64 [S, W, D].
    """

    edits: np.ndarray
    means: np.ndarray


def rank_correlations(l2: np.ndarray, against: np.ndarray, edits: np.ndarray) -> np.ndarray:
    """Spearman's correlation within each set, float64 [S, W]; NaN where one side is constant. Pairs of equal cells
    (0 edits) are left out.

    Args:
        l2: [S, W, P], S representations of one kind.
        against: what is correlated with, [W, P].
        edits: edit distance, [W, P].
    """
    _check(l2, edits)
    found = np.full(l2.shape[:2], np.nan)
    for w in range(l2.shape[1]):
        kept = edits[w] > 0
        other = stats.rankdata(against[w, kept])
        for s in range(len(l2)):
            ranks = stats.rankdata(l2[s, w, kept])
            if np.ptp(ranks) > 0 and np.ptp(other) > 0:
                found[s, w] = np.corrcoef(ranks, other)[0, 1]
    return found


def growth(l2: np.ndarray, edits: np.ndarray) -> Growth:
    """Mean L2 distance [S, W, D] at each edit distance that all sets have :data:`LEAST_PAIRS` pairs of.

    Raises:
        SettingsError: the shapes do not fit, or fewer than two consecutive distances have enough pairs.
    """
    _check(l2, edits)
    counts = np.stack([np.bincount(row, minlength=int(edits.max()) + 1) for row in edits])
    enough = (counts >= LEAST_PAIRS).all(0)
    enough[0] = False
    # The longest run of neighbouring distances; in practice all that are enough.
    found = np.flatnonzero(enough)
    runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    chosen = max(runs, key=len)
    if len(chosen) < 2:
        raise SettingsError(f"{len(chosen)} edit distances have {LEAST_PAIRS} pairs in each set: take longer walks")
    means = np.stack([[[one[row == d].mean() for d in chosen] for one, row in zip(sets, edits, strict=True)]
                      for sets in l2.astype(np.float64)])
    return Growth(chosen, means)


def crossed_interval(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of `values` [S, W] and its interval when both the S representations (pre-trainings) and the W sets (walks)
    are samples: the variances of the row means and of the column means add, with Satterthwaite's degrees of freedom.

    With one row the interval is over the sets, with one column over the rows, and of one number it has no width. Rows
    that are not finite (a collapsed pre-training) are left out; `n` is the number of rows, or of sets where there is
    one row.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values).all(1)]
    if not values.size:
        return Estimate(np.nan, np.nan, np.nan, 0)
    n = len(values) if len(values) > 1 else values.shape[1]
    return _interval(float(values.mean()), (values.mean(1), values.mean(0)), n, level)


def crossed_difference(first: np.ndarray, second: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of `first` [S, W] minus mean of `second` [S', W] on the same sets, with an interval as
    :func:`crossed_interval`: the rows of the two are independent samples, the columns are paired."""
    rows = [values[np.isfinite(values).all(1)] for values in (np.asarray(first, float), np.asarray(second, float))]
    if not all(len(values) for values in rows):
        return Estimate(np.nan, np.nan, np.nan, 0)
    columns = rows[0].mean(0) - rows[1].mean(0)
    n = min([len(values) for values in rows if len(values) > 1], default=columns.size)
    return _interval(float(columns.mean()), (rows[0].mean(1), rows[1].mean(1), columns), n, level)


def smallest_step(found: Growth) -> tuple[Estimate, int]:
    """Least rise of the mean L2 distance from one edit distance to the next, and the distance from which it leads.

    The step is chosen by the mean over all sets and representations; its interval is that of this one step.
    """
    steps = np.diff(found.means, axis=2)
    usable = steps[np.ptp(found.means, axis=(1, 2)) > 0]
    if not len(usable):
        return Estimate(np.nan, np.nan, np.nan, 0), int(found.edits[0])
    least = int(np.argmin(usable.mean((0, 1))))
    return crossed_interval(usable[:, :, least]), int(found.edits[least])


def _interval(mean: float, samples: Sequence[np.ndarray], n: int, level: float) -> Estimate:
    """Student's interval of a sum of means of independent samples; samples of one number are taken as known."""
    parts = [(sample.var(ddof=1) / sample.size, sample.size - 1) for sample in samples if sample.size > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Estimate(mean, mean, mean, n)
    degrees = variance**2 / sum(part**2 / df for part, df in parts)
    half = float(stats.t.ppf((1 + level) / 2, degrees)) * float(np.sqrt(variance))
    return Estimate(mean, mean - half, mean + half, n)


def _check(l2: np.ndarray, edits: np.ndarray) -> None:
    if l2.ndim != 3 or l2.shape[1:] != edits.shape:
        raise SettingsError(f"L2 distances of shape {l2.shape} with edit distances of shape {edits.shape}: give "
                            "[S, W, P] and [W, P]")
