"""Read pickles of plain data without running anything that they name.

A pickle is a program. This reader admits builtin containers and numpy arrays, and meets pandas frames with inert
stand-ins that only keep their columns: no pandas code runs, so that frames of numbers and Python strings written by
pandas 1 to 3 can be read whichever pandas is installed. Everything else that a pickle names is refused before it is
imported.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from a2v_core.errors import DataError


class Frame:
    """What is kept of a pickled data frame: `columns`, name → array [rows], in the order of the frame."""

    columns: dict[str, np.ndarray]

    def __setstate__(self, state: dict[str, Any]) -> None:
        manager = state.get("_mgr", state.get("_data"))  # "_data" before pandas 1.2
        labels, _rows = manager.axes
        columns: dict[str, np.ndarray] = {}
        for values, placement in manager.blocks:
            positions = np.arange(len(labels))[placement]
            columns.update({labels[position]: row for position, row in zip(positions, values, strict=True)})
        self.columns = {label: columns[label] for label in labels}


class _BlockManager:
    def __init__(self, blocks: Sequence[tuple[np.ndarray, Any]] = (), axes: Sequence[np.ndarray] = ()) -> None:
        self.blocks, self.axes = blocks, axes

    def __setstate__(self, state: tuple[Any, ...]) -> None:  # the form before pandas 1.3
        content = state[3]["0.14.1"]
        self.axes = content["axes"]
        self.blocks = [(block["values"], block["mgr_locs"]) for block in content["blocks"]]


class _Index:
    """Stands for the class only; :func:`_new_index` gives its labels as an array."""


class _RangeIndex(_Index):
    pass


def _new_index(kind: type[_Index], state: dict[str, Any]) -> np.ndarray:
    if kind is _RangeIndex:
        return np.arange(state["start"], state["stop"], state["step"])
    return state["data"]


def _new_block(values: np.ndarray, placement: Any, ndim: int = 2) -> tuple[np.ndarray, Any]:
    return values, placement


class _BlockPartial:
    """Stands for functools.partial, of `_new_block` and of nothing else."""

    def __init__(self, function: Any) -> None:
        if function is not _new_block:
            raise pickle.UnpicklingError("functools.partial of something other than a pandas block")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        pass  # it says ndim=2, which a frame's block has anyway

    def __call__(self, values: np.ndarray, placement: Any) -> tuple[np.ndarray, Any]:
        return _new_block(values, placement)


# The helpers that numpy pickles arrays and scalars with, taken from numpy itself rather than by a private name.
_reconstruct = np.empty(0).__reduce__()[0]
_frombuffer = np.empty(1).__reduce_ex__(5)[0]
_scalar = np.float64(0).__reduce__()[0]

_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("builtins", "slice"): slice,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in ("numpy.core", "numpy._core")},
    ("pandas.core.frame", "DataFrame"): Frame,
    ("pandas.core.internals.managers", "BlockManager"): _BlockManager,
    ("pandas.core.internals.blocks", "new_block"): _new_block,
    ("pandas._libs.internals", "_unpickle_block"): _new_block,
    ("pandas.core.indexes.base", "_new_Index"): _new_index,
    ("pandas.core.indexes.base", "Index"): _Index,
    ("pandas.core.indexes.range", "RangeIndex"): _RangeIndex,
    # pandas 3 names its classes by their public place.
    ("pandas", "Index"): _Index,
    ("pandas", "RangeIndex"): _RangeIndex,
    ("pandas", "DataFrame"): Frame,
    ("functools", "partial"): _BlockPartial,
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither a builtin container nor numpy "
                                         "nor a plain pandas frame")
        return _ALLOWED[module, name]


def loads(content: bytes, origin: str, encoding: str = "ASCII") -> Any:
    """The object in a pickle whose digest has been checked by the caller; a pandas frame comes as :class:`Frame`.

    Args:
        content: the pickle; a frame needs protocol 3 or later.
        origin: the name of the file, for messages.
        encoding: of strings that Python 2 pickled; "latin1" where arrays are among them.

    Raises:
        DataError: the pickle names something that is not allowed, or is damaged.
    """
    try:
        return _RestrictedUnpickler(io.BytesIO(content), encoding=encoding).load()
    except Exception as error:  # a damaged pickle can raise nearly anything while it is interpreted
        raise DataError(f"refused to read the pickle {origin}: {error}; fetch the file anew") from error


def frame_columns(content: bytes, origin: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named columns of a pickled frame, each [rows].

    Raises:
        DataError: not a frame, or a column is missing; or as for :func:`loads`.
    """
    frame = loads(content, origin)
    if not isinstance(frame, Frame):
        raise DataError(f"{origin} holds a {type(frame).__name__}, not a data frame")
    if missing := [name for name in names if name not in frame.columns]:
        raise DataError(f"{origin} lacks the column {missing[0]!r}; it has {', '.join(map(str, frame.columns))}")
    return {name: frame.columns[name] for name in names}
