"""The official NATS-Bench files (topology space), read with the package ``nats_bench``.

The package unpickles whatever it is given. Here the pickles go through the restricted reader first, and the package
gets the plain containers: it still interprets them.
"""

from __future__ import annotations

import bz2
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.benchmarks.unpickle import loads
from a2v_core.errors import DataError, MissingDataError

#: Most seeds that any architecture was trained with.
SEEDS = 3
#: Our name of a data set → (its name for validation and time, its name for test, the set that is its test set).
PROTOCOLS = {
    "cifar10": ("cifar10-valid", "cifar10", "ori-test"),
    "cifar100": ("cifar100", "cifar100", "x-test"),
    "ImageNet16-120": ("ImageNet16-120", "ImageNet16-120", "x-test"),
}


@dataclass(frozen=True)
class NatsRecords:
    """All architectures by official index; A architectures; leading axis = the data sets in the order of PROTOCOLS.

    `architectures` [A] str; `val200` float64 [3, A, 3] percent by seed, NaN where a seed was not run;
    `train_seconds_200` [3, A] seconds; `test200`, `val12`, `test12` [3, A] percent, means over the seeds.
    """

    architectures: list[str]
    val200: np.ndarray
    train_seconds_200: np.ndarray
    test200: np.ndarray
    val12: np.ndarray
    test12: np.ndarray


def read_nats(path: Path, progress: bool = True) -> NatsRecords:
    """Read ``NATS-tss-….pickle.pbz2`` or the unpacked archive ``NATS-tss-…-simple``; kept in memory for the next call.

    Raises:
        MissingDataError: the package nats_bench is not installed.
        DataError: a file is missing from the archive, damaged, or not of the form of NATS-Bench.
    """
    return _read(path, path.stat().st_mtime_ns, progress)


@functools.lru_cache(maxsize=1)
def _read(path: Path, _modified: int, progress: bool) -> NatsRecords:
    from tqdm import tqdm

    try:
        from nats_bench import ArchResults
    except ImportError as error:
        raise MissingDataError(f"{path} is read with the package nats_bench: pip install 'a2v_core[nats]'") from error
    architectures, records = _open(path)
    n = len(architectures)
    val200 = np.full((len(PROTOCOLS), n, SEEDS), np.nan)
    seconds, test200, val12, test12 = (np.full((len(PROTOCOLS), n), np.nan) for _ in range(4))
    for index, states in tqdm(enumerate(records), total=n, desc=path.name, disable=None if progress else True):
        try:
            short, full = (ArchResults.create_from_state_dict(states[epochs]) for epochs in ("12", "200"))
            if full.arch_str != architectures[index]:
                raise ValueError(f"it is of {full.arch_str}, expected {architectures[index]}")
            for d, (validated, tested, test_set) in enumerate(PROTOCOLS.values()):
                seeds = sorted(full.get_dataset_seeds(validated))
                val200[d, index, :len(seeds)] = [
                    full.get_metrics(validated, "x-valid", is_random=seed)["accuracy"] for seed in seeds]
                seconds[d, index] = full.get_metrics(validated, "train")["all_time"]
                test200[d, index] = full.get_metrics(tested, test_set)["accuracy"]
                val12[d, index] = short.get_metrics(validated, "x-valid")["accuracy"]
                test12[d, index] = short.get_metrics(tested, test_set)["accuracy"]
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"architecture {index} of {path} is not a NATS-Bench record: {error!r}") from error
    return NatsRecords(architectures, val200, seconds, test200, val12, test12)


def _open(path: Path) -> tuple[list[str], Iterator[Mapping[str, Any]]]:
    """The architecture strings, and an iterator over the records (epochs → state) in their order."""
    content = _unpickle(path / "meta.pickle.pbz2" if path.is_dir() else path)
    try:
        architectures = list(content["meta_archs"])
        if path.is_dir():
            return architectures, (_unpickle(path / f"{i:06d}.pickle.pbz2") for i in range(len(architectures)))
        records = content["arch2infos"]
        return architectures, iter([records[i] for i in range(len(architectures))])
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a NATS-Bench file: {error!r}") from error


def _unpickle(path: Path) -> Any:
    try:
        return loads(bz2.decompress(path.read_bytes()), str(path))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {path}: {error}; download it anew") from error
