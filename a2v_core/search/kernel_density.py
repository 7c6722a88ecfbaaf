"""Kernel density estimates over categorical variables, for many data sets at once: the two densities of BOHB.

The estimate is that of ``statsmodels.nonparametric.KDEMultivariate`` with unordered variables, on which BOHB's own
program stands, and is tested against it: a product over the variables of the kernels of Aitchison and Aitken (1976),
1 - h where point and datum agree and h / (c - 1) where they do not, averaged over the data. statsmodels evaluates one
point of one data set at a time; here the kernel of all points and all data is one product of their one-hot forms, in
single precision (a relative error of about 1e-6; densities below 1e-38 become 0).

What a data set gives does not depend, to the bit, on which others are in the batch. Ten to twenty data sets of a few
hundred points fit the cache of a processor; larger batches work, but slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Data sets are padded to a multiple of this.
_PADDING = 32
#: Logarithm of a kernel that is zero, and the least factor of a kernel that is told from zero.
_ZERO, _TINY = -1e4, 1e-300


@dataclass(frozen=True, eq=False)
class KernelDensities:
    """R densities over V categorical variables; make one by :meth:`fit`.

    Attributes:
        choices: number of values of each variable, int64 [V].
        data: uint8 [R, n, V].
        counts: data set r consists of the first counts[r] rows of data[r], int64 [R], each at least 1.
        bandwidths: h, float64 [R, V].
        levels: c, int64 [R, V].
        columns: the data in one-hot form, a column for each value of each variable (C in all), then one of 1 and one
            that is 1 only in rows that are no data, float32 [R, n padded, C + 2].
    """

    choices: np.ndarray
    data: np.ndarray
    counts: np.ndarray
    bandwidths: np.ndarray
    levels: np.ndarray
    columns: np.ndarray

    @classmethod
    def fit(cls, choices: np.ndarray, data: np.ndarray, counts: np.ndarray, minimum: float, proper: bool
            ) -> KernelDensities:
        """Densities with bandwidths by the normal reference rule, 1.06 s n^(-1/(4+V)), at least `minimum`; s is the
        standard deviation of the values as numbers.

        As in statsmodels, c is the number of values that occur in the data (so the kernel is infinite where a variable
        that is constant in the data takes another value), and h may exceed (c - 1) / c, above which the kernel prefers
        what differs, and even 1, above which it is negative. With `proper`, c is the number of values that the variable
        can take and h at most (c - 1) / c, at which the kernel is uniform.
        """
        variable, value = _columns(choices)
        size = -(-data.shape[1] // _PADDING) * _PADDING
        is_datum = np.arange(size) < counts[:, None]
        columns = np.empty((len(data), size, len(value) + 2), np.float32)
        columns[:, : data.shape[1], :-2] = data[..., variable] == value
        columns[:, data.shape[1] :, :-2] = 0
        columns[..., -2], columns[..., -1] = 1, ~is_datum

        # Whole numbers throughout, up to the root: how far the data are padded changes no bit.
        number = np.matmul(is_datum[:, None].astype(np.float32), columns)[:, 0, :-2].astype(float)
        total, squares, observed = (np.add.reduceat(x, np.flatnonzero(value == 0), axis=1, dtype=float)
                                    for x in (number * value, number * value.astype(float)**2, number > 0))
        n = counts[:, None]
        bandwidths = np.maximum(1.06 * np.sqrt(n * squares - total**2) / n * n ** (-1 / (4 + len(choices))), minimum)
        levels = observed
        if proper:
            levels = np.broadcast_to(choices, bandwidths.shape)
            bandwidths = np.minimum(bandwidths, (choices - 1) / choices)
        return cls(choices, data, counts, bandwidths, levels, columns)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Density of data set r at its points, uint8 [R, S, V] to float64 [R, S]."""
        variable, value = _columns(self.choices)
        h, c = self.bandwidths, self.levels
        same, other = 1 - h, np.where(c > 1, h / np.maximum(c - 1, 1), 1)
        log_other = np.log(np.maximum(other, _TINY))
        log_ratio = np.log(np.maximum(np.abs(same), _TINY)) - log_other
        is_value = points[..., variable] == value
        weights = np.empty((*points.shape[:2], len(value) + 2), np.float32)
        weights[..., :-2] = is_value * log_ratio[:, None, variable].astype(np.float32)
        weights[..., -2] = log_other.sum(-1)[:, None]
        weights[..., -1] = _ZERO
        negative = is_value * (same < 0)[:, None, variable].astype(np.float32) if (same < 0).any() else None
        unseen = ((c == 1)[:, None] & (points != self.data[:, :1])).any(-1)

        density = np.empty(points.shape[:2])
        padded = -(-self.counts // _PADDING) * _PADDING
        for size in np.unique(padded):
            sets = np.flatnonzero(padded == size)
            columns = self.columns if len(sets) == len(padded) else self.columns[sets]
            columns = columns[:, :size].swapaxes(1, 2)
            kernels = np.matmul(weights[sets], columns)
            np.exp(kernels, out=kernels)
            if negative is not None:
                kernels *= 1 - 2 * (np.matmul(negative[sets], columns[:, :-2]) % 2)
            infinite = kernels[unseen[sets]]
            infinite[infinite != 0] *= np.inf
            kernels[unseen[sets]] = infinite
            with np.errstate(invalid="ignore"):
                density[sets] = kernels.sum(-1) / self.counts[sets, None]
        return density

    def sample(self, uniform: np.ndarray) -> np.ndarray:
        """Points near the data, uint8 [R, S, V], from uniform numbers in [0, 1), [R, S, 1 + V]: a datum, any alike, of
        which each variable stays with probability 1 - h and else takes any of its values, its own included.

        This is how BOHB's program draws. It is not quite the distribution of the density, which takes another value.
        """
        datum = (uniform[..., 0] * self.counts[:, None]).astype(np.int64)
        points = self.data[np.arange(len(self.data))[:, None], datum]
        h = np.minimum(self.bandwidths, 1)[:, None]
        above = uniform[..., 1:] - (1 - h)
        drawn = np.minimum(np.maximum(above, 0) / h * self.choices, self.choices - 1).astype(np.uint8)
        return np.where(above < 0, points, drawn)


def _columns(choices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variable and value of each one-hot column, int64 and uint8 [C]."""
    variable = np.repeat(np.arange(len(choices)), choices)
    return variable, (np.arange(len(variable)) - np.repeat(np.cumsum(choices) - choices, choices)).astype(np.uint8)
