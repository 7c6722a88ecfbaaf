"""How far the surrogate can be trusted: against really trained networks, and against itself.

The trained networks are the 214 of the table ``darts214`` (Yang et al. 2020): other trainings than those that the
surrogate learned from (600 epochs, larger, test accuracy), with separate normal and reduction cells.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from a2v_core.benchmarks.tables import load_table
from a2v_core.darts.surrogate import Surrogate
from a2v_core.errors import DataError, SpaceError
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_encoding import FIRST_OPERATION, NODE_OF_EDGE, Edges
from a2v_core.spaces.darts_genotypes import N_EDGES, OPERATIONS, Genotype
from a2v_core.stats import Estimate, paired_difference, t_interval

NONE = FIRST_OPERATION + OPERATIONS.index("none")
_RESAMPLES = 1000


class Trained(NamedTuple):
    """M trained networks: their cells, and test accuracy after the last epoch, a fraction, float64 [M]."""

    normal: Edges
    reduction: Edges
    test: np.ndarray
    digest: str


@dataclass(frozen=True)
class Agreement:
    """Rank correlations of predictions with trainings, with bootstrap intervals; mean of prediction - training
    (percentage points, Student's interval); by how much the trained accuracy grows with the predicted one (slope of
    the regression line, Student's interval); standard deviations of both, percentage points."""

    spearman: Estimate
    kendall: Estimate
    shift: Estimate
    slope: Estimate
    predicted_sd: float
    trained_sd: float


def trained_networks(data_dir: str = "") -> Trained:
    """The networks of the table ``darts214``.

    Raises:
        MissingDataError: the table is not there.
        DataError: a genotype is not of the agreed form.
    """
    table = load_table("darts214", data_dir)
    pairs = [_nested_genotype(text) for text in table["genotype"]]
    normal, reduction = (genotype_edges(cells) for cells in zip(*pairs, strict=True))
    return Trained(normal, reduction, table["test_last"].to_numpy() / 100, table.attrs["a2v"]["content"])


def agreement(predicted: np.ndarray, trained: np.ndarray, seed: int = 0) -> Agreement:
    """Predicted against trained accuracy of the same networks, fractions, [M] each."""
    spearman = _bootstrapped(_spearman, predicted, trained, seed)
    kendall = _bootstrapped(lambda x, y: stats.kendalltau(x, y).statistic, predicted, trained, seed)
    line = stats.linregress(predicted, trained)
    half = stats.t.ppf(0.975, len(predicted) - 2) * line.stderr
    slope = Estimate(float(line.slope), float(line.slope - half), float(line.slope + half), len(predicted))
    return Agreement(spearman, kendall, paired_difference(100 * predicted, 100 * trained), slope,
                     float(100 * predicted.std(ddof=1)), float(100 * trained.std(ddof=1)))


def relabelling_error(surrogate: Surrogate, edges: Edges) -> tuple[float, int]:
    """Root mean square difference, in percentage points, between the predictions for cells and for the same cells with
    intermediate nodes 0 and 1 exchanged, which changes nothing but their numbers; and of how many cells.

    Only cells whose node 1 does not read node 0 can be written in that order.
    """
    free = (edges.inputs[:, 2:4] < 2).all(1)
    chosen = Edges(*(part[free] for part in edges))
    other = exchanged(chosen)
    difference = surrogate.predict(chosen, chosen).accuracy - surrogate.predict(other, other).accuracy
    return float(100 * np.sqrt(np.mean(difference**2))), int(free.sum())


def exchanged(edges: Edges) -> Edges:
    """The same cells with intermediate nodes 0 and 1 exchanged; node 1 must not read node 0."""
    order = [2, 3, 0, 1, *range(4, N_EDGES)]
    states = np.arange(2 + NODE_OF_EDGE[-1] + 1, dtype=np.uint8)
    states[[2, 3]] = 3, 2
    return Edges(edges.ops[:, order], states[edges.inputs[:, order]])


def removal_effect(surrogate: Surrogate, edges: Edges, seed: int = 0) -> Estimate:
    """Mean change of the prediction, in percentage points, when the operation of one random edge of each cell becomes
    "none"; Student's interval."""
    rng = np.random.default_rng(seed)
    ops = edges.ops.copy()
    ops[np.arange(len(ops)), rng.integers(N_EDGES, size=len(ops))] = NONE
    before, after = (surrogate.predict(cells, cells).accuracy for cells in (edges, Edges(ops, edges.inputs)))
    return t_interval(100 * (after - before))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def _bootstrapped(statistic: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray, seed: int
                  ) -> Estimate:
    """A statistic of pairs with its percentile interval over resampled pairs."""
    rows = np.random.default_rng(seed).integers(len(x), size=(_RESAMPLES, len(x)))
    low, high = np.quantile([statistic(x[chosen], y[chosen]) for chosen in rows], [0.025, 0.975])
    return Estimate(float(statistic(x, y)), float(low), float(high), len(x))


def _nested_genotype(text: str) -> tuple[Genotype, Genotype]:
    """Normal and reduction cell of a genotype whose edges are listed node by node."""
    try:
        fields = {each.arg: each.value for each in ast.parse(text, mode="eval").body.keywords}
        cells = [Genotype(tuple(edge for node in ast.literal_eval(fields[kind]) for edge in node))
                 for kind in ("normal", "reduce")]
    except (SyntaxError, AttributeError, KeyError, TypeError, ValueError, SpaceError) as error:
        raise DataError(f"table darts214 holds {text[:80]!r}…, which is no genotype of two cells ({error}): build it "
                        "anew with python -m a2v_core data build darts214") from error
    return cells[0], cells[1]
