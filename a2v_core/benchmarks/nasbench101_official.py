"""Google's own file of NAS-Bench-101, ``nasbench_only108.tfrecord``, without TensorFlow.

Each record is the UTF-8 JSON list [module hash, epochs, adjacency as digits, operations, metrics]; the metrics are a
base64 protocol-buffer message ``ModelMetrics`` with three evaluations: before training, half-way, at the end.
"""

from __future__ import annotations

import base64
import functools
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from a2v_core.benchmarks.tfrecord import read_records
from a2v_core.errors import DataError

EPOCHS = 108
REPEATS = 3
# Field numbers of the two messages.
_EVALUATION, _PARAMETERS = 1, 2
_TRAINING_TIME, _VALIDATION, _TEST = 2, 4, 5


@dataclass(frozen=True)
class OfficialRecords:
    """All modules in ascending order of their hash; H modules, 3 repeats.

    `module_hash` [H] str; `validation`, `test` float64 [H, 3] fractions; `training_seconds` float64 [H, 3];
    `trainable_parameters` int64 [H].
    """

    module_hash: list[str]
    validation: np.ndarray
    test: np.ndarray
    training_seconds: np.ndarray
    trainable_parameters: np.ndarray


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def message_fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """(field number, value) pairs of a protocol-buffer message, in their order: an int for a varint, a float for a
    64-bit field, bytes for the rest.

    Raises:
        ValueError, IndexError, struct.error: the message is malformed.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield number, value
        elif wire_type == 1:
            yield number, struct.unpack_from("<d", message, at)[0]
            at += 8
        elif wire_type in (2, 5):
            length, at = _varint(message, at) if wire_type == 2 else (4, at)
            if at + length > len(message):
                raise ValueError(f"field {number} runs past the end of its message")
            yield number, message[at:at + length]
            at += length
        else:
            raise ValueError(f"field {number} has the unknown wire type {wire_type}")


def final_metrics(message: bytes) -> tuple[float, float, float, int]:
    """Validation accuracy, test accuracy, training seconds at the end, and trainable parameters of one run.

    Raises:
        ValueError, IndexError, KeyError, struct.error: the message is malformed or lacks one of them.
    """
    evaluations, parameters = [], None
    for number, value in message_fields(message):
        if number == _EVALUATION:
            evaluations.append(value)
        elif number == _PARAMETERS:
            parameters = value
    if len(evaluations) != 3 or parameters is None:
        raise ValueError(f"{len(evaluations)} evaluations instead of 3, or no number of parameters")
    final = dict(message_fields(evaluations[2]))
    return final[_VALIDATION], final[_TEST], final[_TRAINING_TIME], parameters


def read_official(path: Path, progress: bool = True) -> OfficialRecords:
    """Read the file, or the part of one that holds whole modules; kept in memory for the next call.

    Args:
        path: the TFRecord file.
        progress: show a bar (on a terminal only).

    Raises:
        DataError: a record is damaged, malformed or of another number of epochs, or a module has not 3 repeats or
            disagrees with itself about its parameters.
    """
    return _read(path, path.stat().st_mtime_ns, progress)


@functools.lru_cache(maxsize=1)
def _read(path: Path, _modified: int, progress: bool) -> OfficialRecords:
    from tqdm import tqdm

    runs: dict[str, list[tuple[float, float, float, int]]] = {}
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name,
              disable=None if progress else True) as bar:
        for number, record in enumerate(read_records(path)):
            try:
                module_hash, epochs, _adjacency, _operations, metrics = json.loads(record)
                run = final_metrics(base64.b64decode(metrics, validate=True))
            except (ValueError, IndexError, KeyError, TypeError, struct.error) as error:
                raise DataError(f"record {number} of {path} is not a NAS-Bench-101 record: {error}") from error
            if epochs != EPOCHS:
                raise DataError(f"record {number} of {path} is of {epochs} epochs, expected {EPOCHS}: "
                                "use nasbench_only108.tfrecord")
            runs.setdefault(module_hash, []).append(run)
            bar.update(len(record) + 16)
    for module_hash, of_module in runs.items():
        if len(of_module) != REPEATS or len({run[3] for run in of_module}) != 1:
            raise DataError(f"module {module_hash} of {path} has {len(of_module)} repeats (expected {REPEATS}) or "
                            "disagrees about its parameters: the file is not complete")
    hashes = sorted(runs)
    values = np.array([runs[module_hash] for module_hash in hashes], dtype=np.float64).reshape(-1, REPEATS, 4)
    return OfficialRecords(hashes, values[:, :, 0], values[:, :, 1], values[:, :, 2], values[:, 0, 3].astype(np.int64))
