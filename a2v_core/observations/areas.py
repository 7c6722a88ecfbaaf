"""A map divided into equal areas, each with the mean accuracy of its cells, as Figure 4 is drawn; and its numbers."""

from __future__ import annotations

import numpy as np

#: Areas along each side of the map (released plotting script).
AREAS = 51
#: Figure 4 marks areas below the one black and above the other red (Observation 4); fractions.
LOW, HIGH = 0.82, 0.92


def area_means(plane: np.ndarray, values: np.ndarray, areas: int = AREAS) -> np.ndarray:
    """Mean value of the cells in each of areas x areas equal rectangles of the map's bounding box, float64 [y, x];
    NaN where there is no cell, and everywhere for a map without extent.

    Args:
        plane: positions [n, 2].
        values: [n].
    """
    low, extent = plane.min(0), np.ptp(plane, axis=0)
    if not (np.isfinite(extent).all() and (extent > 0).all()):
        return np.full((areas, areas), np.nan)
    column, row = np.minimum((plane - low) / extent * areas, areas - 1).astype(int).T
    place = row * areas + column
    count, total = (np.bincount(place, weights, areas**2) for weights in (None, values))
    return np.divide(total, count, out=np.full(areas**2, np.nan), where=count > 0).reshape(areas, areas)


def occupied_share(means: np.ndarray) -> float:
    """Percentage of areas with a cell; NaN where there is none."""
    occupied = np.isfinite(means)
    return 100 * float(occupied.mean()) if occupied.any() else float("nan")


def roughness(means: np.ndarray, coloured: bool = False) -> float:
    """Mean absolute difference of areas that share a side and both have a cell; NaN without such a pair.

    With `coloured`, what is below :data:`LOW` or above :data:`HIGH` counts as that: the differences that the colours of
    Figure 4 show. Otherwise the few cells that failed to train, some 80 points below the others, decide.
    """
    means = np.clip(means, LOW, HIGH) if coloured else means
    steps = np.concatenate([np.abs(np.diff(means, axis=axis)).ravel() for axis in (0, 1)])
    steps = steps[np.isfinite(steps)]
    return float(steps.mean()) if steps.size else float("nan")


def relative_roughness(means: np.ndarray, coloured: bool = False) -> float:
    """Roughness over the mean absolute difference of any two areas with a cell: about 1 where being adjacent means
    nothing, 0 on a perfectly smooth map; NaN where no two areas differ."""
    values = np.sort((np.clip(means, LOW, HIGH) if coloured else means)[np.isfinite(means)])
    n = values.size
    # In ascending order, the i-th of n is the larger one of i pairs and the smaller one of n - 1 - i.
    total = float((values * (2 * np.arange(n) - n + 1)).sum())
    return roughness(means, coloured) / (total / (n * (n - 1) / 2)) if total > 0 else float("nan")
