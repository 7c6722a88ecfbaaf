"""What NAS-Bench-101 would have answered: validation and training time of the cells for which no public file has them.

The public files measure the mean test accuracy of every cell, but validation accuracy and training time of 30,001.

- Time: ridge regression of its logarithm on structure, with all squares and products. Time is nearly a function of
  structure, so the regression's value is taken as it is.
- Validation, all epochs jointly: a hot-deck draw. Of the five measured cells most alike in test accuracy and
  structure one is the donor; the cell's validation errors are the donor's, times the square root of the ratio of their
  test errors. A draw keeps the noise of a training in the table: the values of a regression would be too smooth, and
  the search on them too easy. The square root is what makes it neither easier nor harder to choose among the best
  cells; the donor's errors as they are make it harder, the full ratio easier, because the test accuracy is noisy too
  (:mod:`a2v_core.search.imputation_quality` measures all of these).

Which of the five is drawn is decided by the cell's row, the rank of its module hash: every run, on every machine, sees
the same table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.errors import DataError

#: Measured cells among which the donor is drawn.
NEIGHBOURS = 5
# Weight of test accuracy in the distance of two cells, against all features of structure together.
_ACCURACY_WEIGHT = 5.0
# Power of the ratio of test errors by which the donor's validation errors are multiplied.
_POWER = 0.5
# Donors farther away than this in the order of test accuracy are not compared (99 % of the five nearest are found);
# recipients are compared in blocks.
_WINDOW, _BLOCK = 2000, 256
# Squared distances and seconds are rounded to these: rounding errors of the machine are far smaller.
_GRID, _DECIMALS = 1e-9, 3
_CHUNK = 20_000
# Codes of the operations in the vocabulary of the space.
_CONV1X1, _CONV3X3, _MAXPOOL = 1, 2, 3


class Donors(NamedTuple):
    """Measured cells: `test` float64 [D] mean test accuracy, `features` float64 [D, S] of structure, `validation`
    float64 [E, D] by epochs, `seconds` float64 [D] of the longest training."""

    test: np.ndarray
    features: np.ndarray
    validation: np.ndarray
    seconds: np.ndarray

    def of(self, chosen: np.ndarray) -> Donors:
        """Some of the donors."""
        return Donors(self.test[chosen], self.features[chosen], self.validation[:, chosen], self.seconds[chosen])


class Imputed(NamedTuple):
    """Imputed labels of M cells: `validation` float64 [E, M], `seconds` float64 [M], `donor` int64 [M] index of the
    donor."""

    validation: np.ndarray
    seconds: np.ndarray
    donor: np.ndarray


def impute(test: np.ndarray, features: np.ndarray, donors: Donors, identity: np.ndarray, progress: bool = False
           ) -> Imputed:
    """Labels of M cells from measured ones.

    Args:
        test: mean test accuracy of each cell, float64 [M].
        features: its structure, float64 [M, S].
        donors: the measured cells.
        identity: a number that decides the draw of each cell, int64 [M].

    Raises:
        DataError: fewer donors than :data:`NEIGHBOURS`, a value that is not finite, or a test accuracy outside [0, 1).
    """
    donor = drawn(nearest_donors(test, features, donors, progress), identity)
    return Imputed(validation_like(donor, test, donors), predicted_seconds(features, donors), donor)


def drawn(alike: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """One of the donors [M, k] of each cell, int64 [M]: its identity decides which."""
    place = (scrambled(identity) % np.uint64(alike.shape[1])).astype(np.int64)
    return alike[np.arange(len(alike)), place]


def validation_like(donor: np.ndarray, test: np.ndarray, donors: Donors, power: float = _POWER) -> np.ndarray:
    """Validation accuracy of cells by their donors, float64 [E, M]: the donor's errors times the ratio of the test
    errors to that power; not below the lowest accuracy that was measured at as many epochs."""
    factor = ((1 - test) / (1 - donors.test[donor])) ** power
    return np.maximum(1 - factor * (1 - donors.validation[:, donor]), donors.validation.min(1, keepdims=True))


def nearest_donors(test: np.ndarray, features: np.ndarray, donors: Donors, progress: bool = False) -> np.ndarray:
    """The donors most alike to each cell, nearest first, int64 [M, :data:`NEIGHBOURS`].

    Distances are between logarithms of the test error and features of structure, both standardised by the donors: the
    square is 25 times the squared difference of the former plus the mean squared difference of the latter. Of two
    donors at the same distance the one of lower accuracy, then of lower index, comes first.
    """
    from tqdm import tqdm

    if len(donors.test) < NEIGHBOURS:
        raise DataError(f"imputation: {len(donors.test)} measured cells, need at least {NEIGHBOURS} to draw from")
    points, places = _standardised(test, features, donors), _standardised(donors.test, donors.features, donors)
    by_accuracy = np.argsort(donors.test, kind="stable")
    sorted_test, places = donors.test[by_accuracy], places[by_accuracy]
    norms = np.square(places).sum(1)
    order = np.argsort(test, kind="stable")
    alike = np.empty((len(test), NEIGHBOURS), np.int64)
    for start in tqdm(range(0, len(order), _BLOCK), desc="imputation", disable=None if progress else True):
        block = order[start:start + _BLOCK]
        first, last = np.searchsorted(sorted_test, test[block[[0, -1]]])
        first, last = max(0, first - _WINDOW), min(len(sorted_test), last + _WINDOW)
        squared = norms[first:last] - 2 * points[block] @ places[first:last].T
        # Whole numbers that hold distance and rank: donors at the same distance are told apart alike on every machine.
        key = np.rint(squared / _GRID).astype(np.int64) * (last - first) + np.arange(last - first)
        nearest = np.sort(np.partition(key, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS], axis=1)
        alike[block] = by_accuracy[first + nearest % (last - first)]
    return alike


def _standardised(test: np.ndarray, features: np.ndarray, donors: Donors) -> np.ndarray:
    """Coordinates in which distance is likeness, float64 [M, 1 + S]."""
    if not (np.isfinite(features).all() and ((test >= 0) & (test < 1)).all()):
        raise DataError("imputation: a feature is not finite or a test accuracy lies outside [0, 1); repair the table")
    logs, spread = np.log(1 - donors.test), donors.features.std(0)
    varying = spread > 0
    accuracy = _ACCURACY_WEIGHT * (np.log(1 - test) - logs.mean()) / (logs.std() or 1.0)
    structure = (features - donors.features.mean(0))[:, varying] / spread[varying] / np.sqrt(max(varying.sum(), 1))
    return np.column_stack([accuracy, structure])


def scrambled(identity: np.ndarray) -> np.ndarray:
    """A well-mixed number of each identity, uint64 [M] (the finaliser of splitmix64)."""
    z = (np.asarray(identity).astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def predicted_seconds(features: np.ndarray, donors: Donors) -> np.ndarray:
    """Training time by the regression, float64 [M], within the range of the measured times."""
    predicted = _predicted(features, donors.features, np.log(donors.seconds))
    return np.clip(np.exp(predicted), donors.seconds.min(), donors.seconds.max()).round(_DECIMALS)


def predicted_validation(test: np.ndarray, features: np.ndarray, donors: Donors) -> np.ndarray:
    """Validation accuracy by a regression of the same kind on test accuracy and structure, float64 [E, M]: the
    noise-free alternative, for comparison."""
    logs = [np.column_stack([np.log(1 - t), f]) for t, f in ((test, features), (donors.test, donors.features))]
    return 1 - np.exp(_predicted(logs[0], logs[1], np.log(1 - donors.validation.T)).T)


def _predicted(inputs: np.ndarray, known: np.ndarray, target: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    model = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), Ridge(1.0)).fit(known, target)
    return np.concatenate([model.predict(inputs[i:i + _CHUNK]) for i in range(0, len(inputs), _CHUNK)])


#: What :func:`structure_features` counts. Channels are in units of the cell's width; each vertex that feeds the output
#: has an equal share of it, the others as much as the widest that they feed.
FEATURES = (
    "vertices", "edges", "conv1x1", "conv3x3", "maxpool", "conv1x1_channels", "conv3x3_channels", "maxpool_channels",
    "conv1x1_from_input", "conv3x3_from_input", "maxpool_from_input", "vertices_into_output", "input_into_output",
    "longest_path", "shortest_path", "convolutions_on_path", "conv3x3_on_path", "paths", "edge_channels",
    "log_parameters",
)


def structure_features(cells: Cells, parameters: np.ndarray) -> np.ndarray:
    """Numbers that describe pruned NAS-Bench-101 cells, whatever the order of their vertices, float64 [M, S].

    Args:
        cells: the cells.
        parameters: trainable parameters of each network, [M], in any unit.
    """
    parts = [_features(cells[i:i + _CHUNK], parameters[i:i + _CHUNK]) for i in range(0, len(cells), _CHUNK)]
    return np.concatenate(parts)


def _features(cells: Cells, parameters: np.ndarray) -> np.ndarray:
    m, n = cells.ops.shape
    rows, last = np.arange(m), cells.n_nodes - 1
    edge = cells.adjacency == 1
    interior = (np.arange(n) > 0) & (np.arange(n) < last[:, None])
    kinds = [interior & (cells.ops == code) for code in (_CONV1X1, _CONV3X3, _MAXPOOL)]
    into_output = edge[rows, :, last]
    channels = _channel_shares(edge, interior, interior & into_output)
    from_input = edge[:, 0] & interior
    convolution = kinds[0] | kinds[1]
    columns = [
        cells.n_nodes, edge.sum((1, 2)), *(kind.sum(1) for kind in kinds),
        *((channels * kind).sum(1) for kind in kinds), *((channels * (kind & from_input)).sum(1) for kind in kinds),
        (interior & into_output).sum(1), into_output[:, 0],
        *(along[rows, last] for along in _along_paths(edge, cells.ops != PAD, convolution, kinds[1])),
        (channels[:, None] * edge).sum((1, 2)), np.log(parameters),
    ]
    return np.column_stack(columns).astype(np.float64)


def _channel_shares(edge: np.ndarray, interior: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Channels of each interior vertex as a share of the cell's, float64 [M, N]; 0 elsewhere."""
    channels = shared / np.maximum(shared.sum(1), 1)[:, None]
    for vertex in range(edge.shape[1] - 2, 0, -1):
        widest = (channels * edge[:, vertex]).max(1)
        channels[:, vertex] = np.where(interior[:, vertex] & ~shared[:, vertex], widest, channels[:, vertex])
    return channels


def _along_paths(edge: np.ndarray, present: np.ndarray, convolution: np.ndarray, conv3x3: np.ndarray
                 ) -> tuple[np.ndarray, ...]:
    """From the input to each vertex: longest and shortest path in edges, most convolutions and most 3x3 convolutions on
    a path, number of paths; each [M, N], meaningless for padding."""
    m, n = present.shape
    longest, convolutions, wide = (np.zeros((m, n)) for _ in range(3))
    shortest, paths = np.full((m, n), np.inf), np.zeros((m, n))
    shortest[:, 0], paths[:, 0] = 0, 1
    for v in range(1, n):
        into = edge[:, :v, v]
        longest[:, v] = np.where(into, longest[:, :v] + 1, 0).max(1)
        shortest[:, v] = np.where(into, shortest[:, :v] + 1, np.inf).min(1)
        convolutions[:, v] = np.where(into, convolutions[:, :v], 0).max(1) + convolution[:, v]
        wide[:, v] = np.where(into, wide[:, :v], 0).max(1) + conv3x3[:, v]
        paths[:, v] = (into * paths[:, :v]).sum(1)
    return longest, shortest, convolutions, wide, paths
