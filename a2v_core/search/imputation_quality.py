"""How far the imputed table of NAS-Bench-101 can be trusted: the measured cells, each imputed as if it were not.

The measured cells are cut into folds, by contiguous runs of their hashes (the way in which the public sample was cut
out of the space) and at random; each fold is imputed from the others. Four ways of imputing are compared: the hot-deck
draw that the table is made with, the donor's validation errors as they are, the donor's times the full ratio of the
test errors, and a regression without noise.

What matters to a search is which cell it takes for the best. Of the same 400 cells the one with the best true
validation accuracy and the one with the best imputed accuracy are compared by test accuracy, for cells drawn from all
and from the best tenth, where a search spends its time: their mean difference is the regret that the imputation adds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.benchmarks.tables import load_table
from a2v_core.errors import SettingsError
from a2v_core.search.imputation import (
    Donors,
    drawn,
    nearest_donors,
    predicted_seconds,
    predicted_validation,
    validation_like,
)
from a2v_core.search.nasbench101_objectives import EPOCHS, measured_cells, rows_of
from a2v_core.spaces import get_space

_FOLDS, _TABLES, _SUBSETS, _SUBSET_SIZE, _TOP = 5, 10, 2000, 400, 100
_NEAR_TOP_TEST = 0.93
_WAYS: dict[str, dict[str, float]] = {"hot deck": {}, "donor's errors": {"power": 0.0}, "full ratio": {"power": 1.0}}
_COMPUTING = ("a2v_core.search.imputation", "a2v_core.search.imputation_quality",
              "a2v_core.search.nasbench101_objectives")


class Quality(NamedTuple):
    """Two frames with one row for each way of cutting the folds (and of imputing).

    `time`: r2, r2_of_log, mean, median and 99th percentile of the relative error of the imputed training time.

    `validation`, imputed against true unless said otherwise, over all measured cells:
    `spearman_4` … `spearman_108`, `kendall_108`: rank correlation; `spearman_108_lowest`, `_highest`: of the folds;
    `top_100_shared`: cells among the 100 best by both;
    `near_top_spearman`: of cells with a mean test accuracy above 0.93; `near_top_with_test`, `near_top_true_with_test`:
    of imputed, of true validation accuracy with the test accuracy there;
    `regret_all`, `regret_top_tenth`: mean test regret (against the best of the pool) of the cell with the best imputed
    validation of 400; `true_regret_…`: of the one with the best true validation; `moved_…`: the former minus the
    latter, `moved_…_se` its standard error over tables that differ in the draw of the donors only (NaN for the
    regression, which draws nothing), `moved_…_sd` its standard deviation over subsets; `same_…`: share of subsets in
    which both are the same cell.
    """

    time: pd.DataFrame
    validation: pd.DataFrame


def imputation_quality(data_dir: str = "") -> Quality:
    """The quality of the table behind the objective "imputed"; computed on first use, about a minute.

    Raises:
        MissingDataError: a table is not there.
    """
    space, table = get_space("nasbench101"), load_table("nb101_validation", data_dir)
    tests = load_table("nb101_test", data_dir)
    store, key = ArtifactStore(data_dir), artifact_key({
        "tables": [frame.attrs["a2v"]["content"] for frame in (tests, table)], "code": code_digest(*_COMPUTING)})
    found = store.load_json("imputation_quality", key)
    if found is None:
        quality = quality_of(measured_cells(space, table, data_dir)[2], rows_of(space, table), progress=True)
        found = {name: frame.to_dict("list") for name, frame in quality._asdict().items()}
        store.save_json("imputation_quality", key, found)
    return Quality(**{name: pd.DataFrame(columns) for name, columns in found.items()})


def quality_of(measured: Donors, identity: np.ndarray, progress: bool = False) -> Quality:
    """The quality on any measured cells, which are imputed from each other.

    Raises:
        SettingsError: too few cells for the folds.
    """
    from tqdm import tqdm

    d = len(measured.test)
    if d < 10 * _FOLDS:
        raise SettingsError(f"{d} measured cells are too few to judge an imputation by: give at least {10 * _FOLDS}")
    runs = np.arange(d) * _FOLDS // d
    times, validations = [], []
    schemes = {"runs of hashes": runs, "random": np.random.default_rng(0).permutation(runs)}
    for scheme, fold in tqdm(schemes.items(), desc="hold-outs", disable=None if progress else True):
        alike, seconds, regression = _cross_imputed(measured, fold)
        times.append({"folds": scheme, **_time_errors(seconds, measured.seconds)})
        draws = [drawn(alike, identity + table * 2**32) for table in range(_TABLES)]
        ways = {way: [validation_like(donor, measured.test, measured, **power) for donor in draws]
                for way, power in _WAYS.items()} | {"regression": [regression]}
        for way, tables in ways.items():
            validations.append({"folds": scheme, "way": way, **_ranks(tables[0], measured, fold),
                                **_regrets(tables, measured)})
    return Quality(pd.DataFrame(times), pd.DataFrame(validations))


def _cross_imputed(measured: Donors, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each measured cell, from the cells of other folds: nearest donors [D, k], seconds [D] and validation accuracy
    [E, D] by the regressions."""
    d = len(fold)
    alike, seconds, regression = [None] * _FOLDS, np.empty(d), np.empty((len(EPOCHS), d))
    for each in range(_FOLDS):
        held, others = np.flatnonzero(fold == each), np.flatnonzero(fold != each)
        test, features, donors = measured.test[held], measured.features[held], measured.of(others)
        alike[each] = others[nearest_donors(test, features, donors)]
        seconds[held] = predicted_seconds(features, donors)
        regression[:, held] = predicted_validation(test, features, donors)
    nearest = np.empty((d, alike[0].shape[1]), np.int64)
    for each in range(_FOLDS):
        nearest[fold == each] = alike[each]
    return nearest, seconds, regression


def _time_errors(imputed: np.ndarray, true: np.ndarray) -> dict[str, float]:
    def r2(guess: np.ndarray, truth: np.ndarray) -> float:
        return 1 - float(np.square(guess - truth).sum() / np.square(truth - truth.mean()).sum())

    relative = np.abs(imputed / true - 1)
    return {"r2": r2(imputed, true), "r2_of_log": r2(np.log(imputed), np.log(true)),
            "mean_relative_error": float(relative.mean()), "median_relative_error": float(np.median(relative)),
            "relative_error_p99": float(np.percentile(relative, 99))}


def _ranks(imputed: np.ndarray, measured: Donors, fold: np.ndarray) -> dict[str, float]:
    true, last, guess = measured.validation, measured.validation[-1], imputed[-1]
    near = measured.test > _NEAR_TOP_TEST
    of_folds = [_spearman(guess[fold == each], last[fold == each]) for each in range(_FOLDS)]
    best = [set(np.argsort(-values, kind="stable")[:_TOP]) for values in (guess, last)]
    return {
        **{f"spearman_{epochs}": _spearman(imputed[i], true[i]) for i, epochs in enumerate(EPOCHS)},
        "spearman_108_lowest": min(of_folds), "spearman_108_highest": max(of_folds),
        "kendall_108": float(stats.kendalltau(guess, last).statistic), "top_100_shared": len(best[0] & best[1]),
        "near_top_spearman": _spearman(guess[near], last[near]),
        "near_top_with_test": _spearman(guess[near], measured.test[near]),
        "near_top_true_with_test": _spearman(last[near], measured.test[near]),
    }


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(stats.spearmanr(a, b).statistic) if len(a) > 2 else np.nan


def _regrets(tables: list[np.ndarray], measured: Donors) -> dict[str, float]:
    """What the choice among 400 cells loses, over tables [E, D] that differ in their draws."""
    test, best, found = measured.test, measured.test.max(), {}
    pools = {"all": np.arange(len(test)), "top_tenth": np.flatnonzero(test >= np.quantile(test, 0.9))}
    for name, pool in pools.items():
        rng = np.random.default_rng(1)
        subsets = pool[rng.integers(0, len(pool), (_SUBSETS, _SUBSET_SIZE))]
        by_truth = _best_of(subsets, measured.validation[-1])
        chosen = np.stack([_best_of(subsets, table[-1]) for table in tables])
        moved = test[by_truth] - test[chosen]
        of_tables = moved.mean(1)
        found |= {
            f"regret_{name}": float((best - test[chosen]).mean()),
            f"true_regret_{name}": float((best - test[by_truth]).mean()), f"moved_{name}": float(moved.mean()),
            f"moved_{name}_se": float(of_tables.std(ddof=1) / np.sqrt(len(tables))) if len(tables) > 1 else np.nan,
            f"moved_{name}_sd": float(moved.std()), f"same_{name}": float((chosen == by_truth).mean())}
    return found


def _best_of(subsets: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """The cell of each subset [S, n] with the best validation accuracy, int64 [S]."""
    return subsets[np.arange(len(subsets)), validation[subsets].argmax(1)]
