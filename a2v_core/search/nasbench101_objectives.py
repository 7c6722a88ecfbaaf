"""Objectives on NAS-Bench-101 (paper, §4.2, A.1).

The paper's searches saw the mean validation accuracy of three trainings. Google's own file, where it lies in the data
folder, has it for every cell; then there are

- ``validation``: a query pays the mean over the three trainings of 108 epochs;
- ``repeats``: it pays one of the three, drawn anew for each query;
- ``mean_test``: it pays the mean test accuracy.

The public files have the mean test accuracy of all 423,624 cells, but validation accuracy (the MAXIMUM of three
trainings) and training time of 30,001. With them there are

- ``imputed``: a query pays the validation accuracy, measured or imputed (:mod:`a2v_core.search.imputation`);
- ``mean_test``: it pays the mean test accuracy, which is measured everywhere; after fewer epochs than 108 it pays the
  validation accuracy of ``imputed``, and so do reports;
- ``measured``: the 30,001 cells alone, with nothing imputed. They hold the cell with the best test accuracy of all.

With the public files a query may train for 4, 12, 36 or 108 epochs. Only the time of 108 is public, and the others cost
it in proportion: in the benchmark's own records half the epochs take half the time (883 of 1,769 seconds for the first
cell). Google's file has the 108 alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.benchmarks.tables import load_table
from a2v_core.errors import DataError, MissingDataError, SettingsError
from a2v_core.search.imputation import Donors, impute, structure_features
from a2v_core.search.objective import Objective
from a2v_core.spaces import SearchSpace, get_space

#: Epochs of the benchmark's trainings.
EPOCHS = (4, 12, 36, 108)
#: Simulated seconds of a run (A.1) on each objective.
BUDGET_SECONDS = {"imputed": 1e6, "mean_test": 1e6, "measured": 1e6, "validation": 1e6, "repeats": 1e6}
#: The highest mean validation accuracy of three trainings that any cell has, as the benchmark's authors publish it; a
#: maximum of three can exceed it. The highest mean test accuracy is in the table.
PUBLISHED_BEST_VALIDATION = 0.9505542318026224

_TEST, _VALIDATION = "nb101_test", "nb101_validation"
_OFFICIAL, _PUBLIC = ("validation", "repeats", "mean_test"), ("imputed", "mean_test", "measured")
_COMPUTING = ("a2v_core.search.imputation", "a2v_core.search.nasbench101_objectives")


def available_objectives(data_dir: str = "") -> tuple[str, ...]:
    """Names of the objectives that the tables at hand allow. Raises MissingDataError when there are no tables."""
    return _OFFICIAL if _is_official(load_table(_VALIDATION, data_dir)) else _PUBLIC


def objective(name: str, data_dir: str = "") -> Objective:
    """One of the objectives above.

    Raises:
        SettingsError: unknown name, or one that only the public files have a use for.
        MissingDataError: a table is not there, or only Google's file has what the objective needs.
        DataError: a table holds cells that the space does not, or lacks values.
    """
    if name not in BUDGET_SECONDS:
        raise SettingsError(f"no objective {name!r} on nasbench101: choose one of {', '.join(BUDGET_SECONDS)}")
    space, table = get_space("nasbench101"), load_table(_VALIDATION, data_dir)
    if _is_official(table):
        if name not in _OFFICIAL:
            raise SettingsError(f"objective {name!r} is for the public files; the tables here are of the official one, "
                                f"which measures all: choose one of {', '.join(_OFFICIAL)}")
        return _official(name, space, table, data_dir)
    if name not in _PUBLIC:
        raise MissingDataError(f"objective {name!r} needs Google's NAS-Bench-101 file: python -m a2v_core data fetch "
                               f"nb101-official; without it there are {', '.join(_PUBLIC)}")
    return _measured(space, table, data_dir) if name == "measured" else _public(name, space, table, data_dir)


def _is_official(table: pd.DataFrame) -> bool:
    return "validation_108_0" in table


def _official(name: str, space: SearchSpace, table: pd.DataFrame, data_dir: str) -> Objective:
    test, data = _test_accuracy(space, table, data_dir)
    rows = rows_of(space, table)
    repeats = table[[f"validation_108_{repeat}" for repeat in range(3)]].to_numpy().T
    validation = repeats.mean(0)
    paid = {"validation": validation[None], "repeats": repeats, "mean_test": test[rows][None]}[name]
    return Objective(f"nasbench101/{name}", space, rows, EPOCHS[-1:], paid[None],
                     table["training_seconds"].to_numpy()[None], validation, test[rows], np.ones(len(rows), bool), data)


def _measured(space: SearchSpace, table: pd.DataFrame, data_dir: str) -> Objective:
    test, data = _test_accuracy(space, table, data_dir)
    rows, validation, seconds = rows_of(space, table), *validation_and_seconds(table)
    return Objective("nasbench101/measured", space, rows, EPOCHS, validation[:, None], seconds_by_epochs(seconds),
                     validation[-1], test[rows], np.ones(len(rows), bool), data)


def _public(name: str, space: SearchSpace, table: pd.DataFrame, data_dir: str) -> Objective:
    test, data = _test_accuracy(space, table, data_dir)
    code = code_digest(*_COMPUTING)
    key = artifact_key({"tables": data, "cells": space.cells().digest(), "code": code})
    found = ArtifactStore(data_dir).arrays("imputed", key, lambda: _imputed(space, table, data_dir))
    signal = found["validation"].copy()
    if name == "mean_test":
        signal[-1] = test
    return Objective(f"nasbench101/{name}", space, np.arange(len(test)), EPOCHS, signal[:, None],
                     seconds_by_epochs(found["seconds"]), found["validation"][-1], test, found["measured"], data)


def _imputed(space: SearchSpace, table: pd.DataFrame, data_dir: str) -> dict[str, np.ndarray]:
    """`validation` [4, M], `seconds` [M] and `measured` [M] of the whole space."""
    test, features, donors = measured_cells(space, table, data_dir)
    rows = rows_of(space, table)
    measured = np.zeros(len(test), bool)
    measured[rows] = True
    others = np.flatnonzero(~measured)
    guessed = impute(test[others], features[others], donors, others, progress=True)
    validation, seconds = np.empty((len(EPOCHS), len(test))), np.empty(len(test))
    validation[:, rows], validation[:, others] = donors.validation, guessed.validation
    seconds[rows], seconds[others] = donors.seconds, guessed.seconds
    return {"validation": validation, "seconds": seconds, "measured": measured}


def measured_cells(space: SearchSpace, table: pd.DataFrame, data_dir: str = ""
                   ) -> tuple[np.ndarray, np.ndarray, Donors]:
    """Mean test accuracy [M] and structure [M, S] of every cell of the space, and the measured cells as donors, in the
    order of the table."""
    tests = load_table(_TEST, data_dir)
    test = tests["test_mean"].to_numpy()
    features = structure_features(space.cells(), tests["trainable_parameters_m"].to_numpy())
    rows = rows_of(space, table)
    return test, features, Donors(test[rows], features[rows], *validation_and_seconds(table))


def validation_and_seconds(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Validation accuracy by epochs, float64 [4, D], and seconds of the 108 epochs, float64 [D], of the table."""
    validation = table[[f"validation_{epochs}" for epochs in EPOCHS]].to_numpy().T
    seconds = table["training_seconds"].to_numpy()
    if not (np.isfinite(validation).all() and np.isfinite(seconds).all()):
        raise DataError(f"table {_VALIDATION} has missing values: python -m a2v_core data build {_VALIDATION}")
    return validation, seconds


def seconds_by_epochs(seconds: np.ndarray) -> np.ndarray:
    """Cost of a training of each length, float64 [4, M]: in proportion to its epochs."""
    return np.multiply.outer(np.array(EPOCHS) / EPOCHS[-1], seconds)


def rows_of(space: SearchSpace, table: pd.DataFrame) -> np.ndarray:
    """Row of the space of each cell of the table, int64 [D].

    Raises:
        DataError: the space has no such cell.
    """
    rows = space.rows_of_keys(table["module_hash"].to_numpy(dtype="S32"))
    if (rows < 0).any():
        unknown = table["module_hash"].iloc[int(np.argmax(rows < 0))]
        raise DataError(f"table {_VALIDATION} holds module hash {unknown}, which is no cell of {space.name}: "
                        f"python -m a2v_core data build {_VALIDATION}")
    return rows


def _test_accuracy(space: SearchSpace, table: pd.DataFrame, data_dir: str) -> tuple[np.ndarray, dict[str, str]]:
    """Mean test accuracy [M] of the space, and the content digests of both tables."""
    tests = load_table(_TEST, data_dir)
    if len(tests) != len(space.cells()):
        raise DataError(f"table {_TEST} has {len(tests)} rows for the {len(space.cells())} cells of {space.name}: "
                        f"python -m a2v_core data build {_TEST}")
    data = {frame.attrs["a2v"]["table"]: frame.attrs["a2v"]["content"] for frame in (tests, table)}
    return tests["test_mean"].to_numpy(), data
