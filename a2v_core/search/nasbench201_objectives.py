"""Objectives on NAS-Bench-201 (paper, §4.2, A.2), all measured.

For each data set (cifar10, cifar100, imagenet16_120) there are four. The name of the data set alone is the paper's
signal as the released code takes it; an ending names another one:

- ``cifar10``: validation accuracy after 12 epochs with a schedule of their own (mean of two seeds: single ones are not
  public; the released code takes one); ``cifar100``, ``imagenet16_120``: after 200 epochs, of one seed, the first;
- ``…_mean``: validation accuracy after 200 epochs, mean over the two or three seeds: what reports say of a cell;
- ``…_repeats``: after 200 epochs, of one seed that is drawn anew for each query;
- ``…_both``: after 12 or, for the full training, 200 epochs (of the first seed), for methods with several fidelities.

Reported are always the means over seeds at 200 epochs: validation (on CIFAR-10 of networks trained on one half of the
training images), and test.

A query costs the training seconds of the tables; 12 epochs cost 12/200 of them. Validating the trained network is not
charged: its time is not public. On CIFAR-100 and ImageNet16-120 the seconds are the benchmark's estimate, those on
CIFAR-10 times the number of training images: exactly 2 and 6.068. The released code estimates them likewise and scales
them also by the ratio of latencies.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from a2v_core.benchmarks.tables import load_table
from a2v_core.errors import DataError, SettingsError
from a2v_core.search.objective import Objective
from a2v_core.spaces import get_space

#: Data sets: our name → that of the tables.
DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16_120": "ImageNet16-120"}
#: Epochs of the short and of the full training.
EPOCHS = (12, 200)
_SHORT_SIGNAL = "cifar10"
_PAPER_SECONDS = {"cifar10": 1.2e4, "cifar100": 5e5, "imagenet16_120": 1.4e6}
_ENDINGS = ("", "_mean", "_repeats", "_both")

#: Simulated seconds of a run on each objective (A.2). On CIFAR-10 the paper's are for trainings of 12 epochs; where a
#: full training has 200, they are stretched to buy as many of those.
BUDGET_SECONDS = {
    dataset + ending: seconds * (EPOCHS[1] / EPOCHS[0] if dataset == _SHORT_SIGNAL and ending else 1)
    for dataset, seconds in _PAPER_SECONDS.items() for ending in _ENDINGS}


def objective(name: str, data_dir: str = "") -> Objective:
    """One of the objectives above, on all 15,625 cells.

    Raises:
        SettingsError: unknown name.
        MissingDataError: a table is not there.
        DataError: the tables do not list the cells of the space in its order.
    """
    if name not in BUDGET_SECONDS:
        raise SettingsError(f"no objective {name!r} on nasbench201: choose one of {', '.join(BUDGET_SECONDS)}")
    dataset = next(each for each in sorted(DATASETS, key=len, reverse=True) if name.startswith(each))
    ending = name.removeprefix(dataset)
    space = get_space("nasbench201")
    tables = {each: load_table(each, data_dir) for each in ("nb201_validation200", "nb201_test200", "nb201_epoch12")}
    full, test, short = (_of(dataset, table, len(space.cells())) for table in tables.values())
    seeds = full[["val200_seed0", "val200_seed1", "val200_seed2"]].to_numpy().T / 100
    mean, brief = full["val200_mean"].to_numpy() / 100, short["val12"].to_numpy() / 100
    seconds = np.multiply.outer(np.array(EPOCHS) / EPOCHS[-1], full["train_seconds_200"].to_numpy())
    # Fidelities (indices into EPOCHS) and what they pay, [F, K, M].
    fidelities, paid = {
        "": ((0,), brief[None, None]) if dataset == _SHORT_SIGNAL else ((1,), seeds[None, :1]),
        "_mean": ((1,), mean[None, None]),
        "_repeats": ((1,), seeds[None]),
        "_both": ((0, 1), np.stack([brief[None], seeds[:1]])),
    }[ending]
    data = {each: table.attrs["a2v"]["content"] for each, table in tables.items()}
    return Objective(f"nasbench201/{name}", space, np.arange(len(full)), tuple(EPOCHS[f] for f in fidelities), paid,
                     seconds[list(fidelities)], mean, test["test200_mean"].to_numpy() / 100, np.ones(len(full), bool),
                     data)


def _of(dataset: str, table: pd.DataFrame, n_cells: int) -> pd.DataFrame:
    """The rows of a data set, by official index."""
    found = table[table["dataset"] == DATASETS[dataset]]
    if not np.array_equal(found["index"], np.arange(n_cells)):
        name = table.attrs["a2v"]["table"]
        raise DataError(f"table {name} does not hold cells 0…{n_cells - 1} of {DATASETS[dataset]} in their order: "
                        f"python -m a2v_core data build {name}")
    return found
