"""NAS-Bench-201 (the topology space of NATS-Bench) as tables, one for each public source and so one provenance each."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.benchmarks.nats_official import PROTOCOLS, SEEDS, NatsRecords, read_nats
from a2v_core.benchmarks.schema import Column, Table, Variant
from a2v_core.benchmarks.sources import verified_bytes, verified_path
from a2v_core.benchmarks.unpickle import frame_columns, loads
from a2v_core.errors import DataError

N_CELLS = 15_625
#: The data sets in the order of the rows: row d * 15,625 + i is cell i on data set d.
DATASETS = tuple(PROTOCOLS)
#: Operations by their digit in the opcode.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_ROWS = N_CELLS * len(DATASETS)
_SHORT = ("cifar10", "cifar100", "imagenet16")
_VALIDATION = tuple(f"nb201-validation-{name}" for name in _SHORT)
_TEST = tuple(f"nb201-test-{name}" for name in _SHORT)


def architecture_string(opcode: str) -> str:
    """The official architecture string of a 6-digit opcode (one digit an edge, in the order of the string)."""
    a, b, c, d, e, f = (OPERATIONS[int(digit)] for digit in opcode)
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def opcode(architecture: str) -> str:
    """The opcode of an official architecture string.

    Raises:
        DataError: it is not one of the space.
    """
    found = "".join(str(OPERATIONS.index(name)) for name in re.findall(r"\|(\w+)~\d(?=\|)", architecture)
                    if name in OPERATIONS)
    if len(found) != 6 or architecture_string(found) != architecture:
        raise DataError(f"{architecture!r} is not an architecture string of NAS-Bench-201")
    return found


def _keys(n: int) -> dict[str, Any]:
    return {"index": np.tile(np.arange(n), len(DATASETS)), "dataset": np.repeat(DATASETS, n)}


def _validation_public(root: Path) -> dict[str, Any]:
    order: list[str] = []
    accuracies, seconds = [], []
    for source in _VALIDATION:
        content = loads(verified_bytes(source, root), source)
        if not isinstance(content, dict) or not all(re.fullmatch("[0-4]{6}", str(key)) for key in content):
            raise DataError(f"source {source} is not a table by 6-digit opcode")
        if order and list(content) != order:
            raise DataError(f"source {source} lists the cells in another order than {_VALIDATION[0]}")
        order = list(content)
        try:
            for record in content.values():
                seeds = record["val_acc"]
                accuracies.append([*seeds, *[np.nan] * (SEEDS - len(seeds))])
                (of_all_seeds,) = set(record["train_time"])
                seconds.append(of_all_seeds)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"source {source} has a record that is not of the agreed form: {error!r}") from error
    try:
        val200 = np.array(accuracies, dtype=np.float64).reshape(len(DATASETS), -1, SEEDS)
    except ValueError as error:
        raise DataError(f"{_VALIDATION[0]} or its companions have more than {SEEDS} seeds: {error}") from error
    return _validation(order, val200, np.array(seconds))


def _validation_official(root: Path, source: str) -> dict[str, Any]:
    records = _nats(root, source)
    return _validation([opcode(each) for each in records.architectures], records.val200, records.train_seconds_200)


def _validation(opcodes: list[str], val200: np.ndarray, seconds: np.ndarray) -> dict[str, Any]:
    """Columns from opcodes [A], accuracies [3, A, seeds] and seconds of any shape with 3 A entries."""
    flat = val200.reshape(-1, SEEDS)
    return {
        **_keys(len(opcodes)),
        "opcode": opcodes * len(DATASETS),
        **{f"val200_seed{seed}": flat[:, seed] for seed in range(SEEDS)},
        "val200_mean": np.nanmean(flat, axis=1),
        "n_seeds": (~np.isnan(flat)).sum(1),
        "train_seconds_200": seconds.ravel(),
    }


def _test_public(root: Path) -> dict[str, Any]:
    columns = []
    for source in _TEST:
        rows = list(csv.DictReader(io.StringIO(verified_bytes(source, root).decode())))
        try:
            index = [int(row["index"]) for row in rows]
            columns.append([float(row["accuracy"]) for row in rows])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"source {source} lacks a column or has a value that is no number: {error!r}") from error
        if index != list(range(len(rows))):
            raise DataError(f"the rows of source {source} are not in the order of their index")
    return {**_keys(len(columns[0])), "test200_mean": np.concatenate(columns)}


def _test_official(root: Path, source: str) -> dict[str, Any]:
    records = _nats(root, source)
    return {**_keys(len(records.architectures)), "test200_mean": records.test200.ravel()}


def _epoch12_public(root: Path) -> dict[str, Any]:
    names = [f"{dataset}-{split}" for split in ("val", "test") for dataset in ("cifar10", "cifar100", "imagenet")]
    frame = frame_columns(verified_bytes("nb201-epoch12", root), "nb201-epoch12", ["arch", "cellstr", *names])
    if not np.array_equal(frame["arch"], np.arange(len(frame["arch"]))):
        raise DataError("the rows of source nb201-epoch12 are not in the order of the official index")
    return {
        **_keys(len(frame["arch"])),
        "opcode": [opcode(each) for each in frame["cellstr"]] * len(DATASETS),
        "val12": np.concatenate([frame[name] for name in names[:3]]),
        "test12": np.concatenate([frame[name] for name in names[3:]]),
    }


def _epoch12_official(root: Path, source: str) -> dict[str, Any]:
    records = _nats(root, source)
    return {**_keys(len(records.architectures)),
            "opcode": [opcode(each) for each in records.architectures] * len(DATASETS),
            "val12": records.val12.ravel(), "test12": records.test12.ravel()}


def _nats(root: Path, source: str) -> NatsRecords:
    return read_nats(verified_path(source, root))


def _variants(official: Any, public: Any, sources: tuple[str, ...]) -> tuple[Variant, ...]:
    def of(source: str) -> Variant:
        return Variant("official", (source,), lambda root: official(root, source), _ROWS)

    return of("nats-tss"), of("nats-tss-simple"), Variant("public", sources, public, _ROWS)


_INDEX = (
    Column("index", "int64", "", "official index of the cell, 0…15,624"),
    Column("dataset", "string", "", "cifar10, cifar100 or ImageNet16-120"),
)
_OPCODE = Column("opcode", "string", "", "operations of the six edges in the order of the architecture string: 0 none, "
                 "1 skip_connect, 2 nor_conv_1x1, 3 nor_conv_3x3, 4 avg_pool_3x3")
_ORDER = ("Rows: first all cells on cifar10 by index, then on cifar100, then on ImageNet16-120, so that a column "
          "reshaped to [3, 15625] has a data set in each row.")

NB201_VALIDATION200 = Table(
    name="nb201_validation200",
    space="nasbench201",
    title="NAS-Bench-201: validation accuracy after 200 epochs, and training time",
    measured="Accuracy on the validation set at the end of a 200-epoch training, by seed; on CIFAR-10 by the "
             "cifar10-valid protocol (trained on one half of the training images, validated on the other). " + _ORDER,
    repeats="8,169 cells with 3 seeds, 7,456 with 2; a seed that was not run is a missing value (NaN).",
    caveats=(
        "Equal to every official record that could be compared (27 accuracies, 9 times).",
        "The maxima of the mean over seeds are 91.6067, 73.4933 and 46.7333. The 46.77 that is published for "
        "ImageNet16-120 is the value of one seed.",
        "Training time is of all 200 epochs, one value for all seeds; 12 epochs cost exactly 12/200 of it.",
    ),
    columns=(
        *_INDEX, _OPCODE,
        *(Column(f"val200_seed{seed}", "float64", "%", f"validation accuracy, seed {seed}") for seed in range(SEEDS)),
        Column("val200_mean", "float64", "%", "mean over the seeds that were run"),
        Column("n_seeds", "int64", "", "number of seeds that were run"),
        Column("train_seconds_200", "float64", "s", "training time of 200 epochs"),
    ),
    variants=_variants(_validation_official, _validation_public, _VALIDATION),
)

NB201_TEST200 = Table(
    name="nb201_test200",
    space="nasbench201",
    title="NAS-Bench-201: test accuracy after 200 epochs",
    measured="Accuracy on the test set at the end of a 200-epoch training; on CIFAR-10 of networks trained on training "
             "and validation images together. " + _ORDER,
    repeats="Mean over the seeds (2 or 3); single seeds are not in the public files.",
    caveats=(
        "Maxima: 94.3733, 73.5133 and 47.3111, the published optima of the benchmark.",
        "A test accuracy is what a search is judged by; a search must not see it.",
    ),
    columns=(*_INDEX, Column("test200_mean", "float64", "%", "test accuracy, mean over the seeds")),
    variants=_variants(_test_official, _test_public, _TEST),
)

NB201_EPOCH12 = Table(
    name="nb201_epoch12",
    space="nasbench201",
    title="NAS-Bench-201: validation and test accuracy after 12 epochs",
    measured="Accuracy at the end of a 12-epoch training with its own schedule: what a search pays for in the protocol "
             "of the benchmark. " + _ORDER,
    repeats="CIFAR-10 validation: mean of 2 seeds; all others: 1 seed.",
    caveats=(
        "The description of the public file does not say 12 epochs; its values equal official records at 12 epochs.",
        "On CIFAR-10 the test accuracy is of networks trained on training and validation images together, the "
        "validation accuracy of networks trained on the training images only.",
    ),
    columns=(
        *_INDEX, _OPCODE,
        Column("val12", "float64", "%", "validation accuracy after 12 epochs"),
        Column("test12", "float64", "%", "test accuracy after 12 epochs"),
    ),
    variants=_variants(_epoch12_official, _epoch12_public, ("nb201-epoch12",)),
)

TABLES: tuple[Table, ...] = (NB201_VALIDATION200, NB201_TEST200, NB201_EPOCH12)
