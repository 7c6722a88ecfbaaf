"""NAS-Bench-101 as tables: test accuracy of every cell, validation accuracy of a sample or, officially, of all."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.benchmarks.nasbench101_official import REPEATS, read_official
from a2v_core.benchmarks.schema import Column, Table, Variant
from a2v_core.benchmarks.sources import verified_bytes, verified_path
from a2v_core.benchmarks.unpickle import frame_columns
from a2v_core.errors import DataError

#: Cells of the space, and cells of the public validation sample.
N_CELLS, N_SAMPLE = 423_624, 30_001
_FULL, _SAMPLE = ("nb101-official",), ("nb101-vis-20k", "nb101-vis-10k")


def _frame(name: str, root: Path, columns: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        content = gzip.decompress(verified_bytes(name, root))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"source {name} is not a gzip file: {error}") from error
    return frame_columns(content, name, columns)


def _test_public(root: Path) -> dict[str, Any]:
    accuracies = _frame("nb101-test-accuracies", root, ["index", "accuracy"])
    parameters = _frame("nb101-parameters", root, ["index", "params"])
    for frame in (accuracies, parameters):
        if not np.array_equal(frame["index"], np.arange(len(frame["index"]))):
            raise DataError("the rows of the NAS-Bench-101 frames are not in the order of their index column")
    return {"test_mean": accuracies["accuracy"], "trainable_parameters_m": parameters["params"]}


def _test_official(root: Path) -> dict[str, Any]:
    records = read_official(verified_path("nb101-official", root))
    return {
        "test_mean": records.test.mean(1),
        "trainable_parameters_m": records.trainable_parameters / 1e6,
        "module_hash": records.module_hash,
        **_by_repeat("test", records.test),
        **_by_repeat("validation", records.validation),
        **_by_repeat("training_seconds", records.training_seconds),
    }


def _by_repeat(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_{repeat}": values[:, repeat] for repeat in range(REPEATS)}


def _validation_public(root: Path) -> dict[str, Any]:
    names = {"module_hash": "key", "training_seconds": "final_training_time",
             "trainable_parameters": "trainable_parameters",
             **{f"validation_{epochs}": f"{epochs}_final_validation_accuracy" for epochs in (4, 12, 36, 108)}}
    parts = []
    for source in _SAMPLE:
        try:
            content = json.loads(verified_bytes(source, root))
            parts.append({name: content[upstream] for name, upstream in names.items()})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"source {source} lacks a field or is malformed: {error!r}") from error
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = np.argsort(joined["module_hash"])
    joined = {name: values[order] for name, values in joined.items()}
    if (joined["module_hash"][1:] == joined["module_hash"][:-1]).any():
        raise DataError(f"sources {' and '.join(_SAMPLE)} hold a cell twice")
    return joined


def _validation_official(root: Path) -> dict[str, Any]:
    records = read_official(verified_path("nb101-official", root))
    unknown = np.full(len(records.module_hash), np.nan)  # the file holds the 108-epoch runs only
    return {
        "module_hash": records.module_hash,
        **{f"validation_{epochs}": unknown for epochs in (4, 12, 36)},
        "validation_108": records.validation.max(1),
        "training_seconds": records.training_seconds.mean(1),
        "trainable_parameters": records.trainable_parameters,
        **_by_repeat("validation_108", records.validation),
    }


def _repeat_columns(name: str, unit: str, meaning: str) -> tuple[Column, ...]:
    return tuple(Column(f"{name}_{repeat}", "float64", unit, f"{meaning}, repeat {repeat}")
                 for repeat in range(REPEATS))


def _validation_column(epochs: int) -> Column:
    return Column(f"validation_{epochs}", "float64", "fraction",
                  f"validation accuracy after training for {epochs} epochs: maximum over the 3 repeats")


NB101_TEST = Table(
    name="nb101_test",
    space="nasbench101",
    title="NAS-Bench-101: test accuracy of every cell",
    measured="Accuracy on the CIFAR-10 test set at the end of 108 epochs. One row for each of the 423,624 cells; row i "
             "belongs to the i-th module hash in ascending order.",
    repeats="Mean of 3 independent trainings; from the official file also each of the three.",
    caveats=(
        "The public file states no hashes. That its row i is the i-th smallest hash was checked by the number of "
        "parameters: recomputed from the cells it agrees exactly for 410,597 rows; the other 13,027 cells have three "
        "vertices that feed the output, where the count depends on the order of the vertices, and an isomorphic order "
        "reproduces each.",
        "A test accuracy is what a search is judged by; a search must not see it.",
        "The public file has no validation accuracy and no training time; the time columns beside its parameters are "
        "of a proxy and are left out.",
    ),
    columns=(
        Column("test_mean", "float64", "fraction", "test accuracy at 108 epochs, mean of 3 repeats"),
        Column("trainable_parameters_m", "float64", "million", "trainable parameters of the whole network"),
    ),
    variants=(
        Variant("official", _FULL, _test_official, N_CELLS, (
            Column("module_hash", "string", "", "MD5 module hash, hexadecimal"),
            *_repeat_columns("test", "fraction", "test accuracy at 108 epochs"),
            *_repeat_columns("validation", "fraction", "validation accuracy at 108 epochs"),
            *_repeat_columns("training_seconds", "s", "training time of 108 epochs"),
        )),
        Variant("public", ("nb101-test-accuracies", "nb101-parameters"), _test_public, N_CELLS),
    ),
)

NB101_VALIDATION = Table(
    name="nb101_validation",
    space="nasbench101",
    title="NAS-Bench-101: validation accuracy and training time",
    measured="Accuracy on the 10,000 held-out CIFAR-10 training images after trainings of 4, 12, 36 and 108 epochs, "
             "and the time that the 108 epochs took. One row a cell, in ascending order of the module hash; 30,001 "
             "cells from the public files, all 423,624 from the official one.",
    repeats="The MAXIMUM of 3 independent trainings, not their mean.",
    caveats=(
        "That the figures are maxima was checked at 108 epochs for 110 cells of which a single training is published "
        "independently: the figure here lies below that training for none of them, equals it for 35 and exceeds it for "
        "75. A maximum of three is optimistic as the estimate of one training.",
        "The 30,001 cells are contiguous runs of the sorted hashes (ranks 0 to 20,000 and 36,202 to 46,201). A hash is "
        "pseudo-random, so the sample is close to uniform: mean test accuracy 0.8974 against 0.8968 of the space, and "
        "the percentiles agree. It holds the best cell of the whole space.",
        "Spearman correlation with the mean test accuracy: 0.986.",
        "No test accuracy is in this table. Which of the three trainings the public time belongs to is not stated; "
        "from the official file it is the mean of the three.",
        "The official file holds the 108-epoch runs only: 4, 12 and 36 epochs are missing values (NaN) then.",
    ),
    columns=(
        Column("module_hash", "string", "", "MD5 module hash, hexadecimal"),
        *(_validation_column(epochs) for epochs in (4, 12, 36, 108)),
        Column("training_seconds", "float64", "s", "training time of 108 epochs"),
        Column("trainable_parameters", "int64", "", "trainable parameters of the whole network"),
    ),
    variants=(
        Variant("official", _FULL, _validation_official, N_CELLS,
                _repeat_columns("validation_108", "fraction", "validation accuracy at 108 epochs")),
        Variant("public", _SAMPLE, _validation_public, N_SAMPLE),
    ),
)

TABLES: tuple[Table, ...] = (NB101_TEST, NB101_VALIDATION)
