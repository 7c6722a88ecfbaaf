"""Test accuracies of all cells of a search space: what the observations predict, colour and correlate with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from a2v_core.benchmarks.tables import load_table
from a2v_core.errors import DataError, SettingsError
from a2v_core.spaces import get_space

#: Data sets with test accuracies by search space; the first one is the paper's.
DATASETS = {"nasbench101": ("cifar10",), "nasbench201": ("cifar10", "cifar100", "imagenet16_120")}
_TABLES = {"nasbench101": "nb101_test", "nasbench201": "nb201_test200"}
_NAMES_IN_TABLE = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16_120": "ImageNet16-120"}


def accuracies(space_name: str, dataset: str = "cifar10", data_dir: str = "") -> np.ndarray:
    """Mean test accuracy of each cell in the order of the space, as a fraction, float64 [cells] (read-only).

    NAS-Bench-101: mean of three trainings of 108 epochs; NAS-Bench-201: mean over the seeds at 200 epochs. All are
    measured.

    Raises:
        SettingsError: no accuracies are known for that space and data set.
        MissingDataError: the table is not there; the message tells how to get it.
        DataError: the table does not list the cells of the space in its order.
    """
    return _read(*_checked(space_name, dataset), data_dir)[0]


def accuracy_digest(space_name: str, dataset: str = "cifar10", data_dir: str = "") -> str:
    """SHA-256 of the table behind :func:`accuracies`, for artifact keys; raises as it does."""
    return _read(*_checked(space_name, dataset), data_dir)[1]


def table_name(space_name: str) -> str:
    """Name of the table behind :func:`accuracies`."""
    return _TABLES[_checked(space_name, None)[0]]


def _checked(space_name: str, dataset: str | None) -> tuple[str, str | None]:
    if space_name not in DATASETS:
        raise SettingsError(f"no test accuracies of a search space {space_name!r}: there are some of "
                            f"{', '.join(DATASETS)}")
    if dataset is not None and dataset not in DATASETS[space_name]:
        raise SettingsError(f"no test accuracies on {dataset!r} of {space_name}: choose one of "
                            f"{', '.join(DATASETS[space_name])}")
    return space_name, dataset


@lru_cache(maxsize=4)
def _read(space_name: str, dataset: str, data_dir: str) -> tuple[np.ndarray, str]:
    name, n_cells = _TABLES[space_name], len(get_space(space_name).cells())
    table = load_table(name, data_dir)
    digest = table.attrs["a2v"]["content"]
    if space_name == "nasbench101":
        values, in_order = table["test_mean"].to_numpy(), len(table) == n_cells
    else:
        table = table[table["dataset"] == _NAMES_IN_TABLE[dataset]]
        values = table["test200_mean"].to_numpy() / 100
        in_order = np.array_equal(table["index"], np.arange(n_cells))
    if not (in_order and np.isfinite(values).all()):
        raise DataError(f"table {name} does not hold a test accuracy for each of the {n_cells} cells of {space_name} "
                        f"in their order: python -m a2v_core data build {name}")
    values = values.astype(np.float64)
    values.flags.writeable = False
    return values, digest
