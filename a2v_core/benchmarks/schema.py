"""What a table is: its columns, its card (what is measured, how often, what to beware of) and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2v_core.errors import DataError


@dataclass(frozen=True)
class Column:
    """One column; `type` is an Arrow type by name: int64, float64, string or list<float64>."""

    name: str
    type: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Variant:
    """One way to make a table.

    `convert` takes the data folder and gives column name → values [rows]; `sources` are the names of the registered
    files it reads; `columns` are those it adds to the columns that every variant of the table has; `rows` is how many
    rows it must give.
    """

    name: str
    sources: tuple[str, ...]
    convert: Callable[[Path], Mapping[str, Sequence[Any]]]
    rows: int
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table with its data card. `variants` stand in order of preference; the last is made of public mirrors."""

    name: str
    space: str
    title: str
    measured: str
    repeats: str
    caveats: tuple[str, ...]
    columns: tuple[Column, ...]
    variants: tuple[Variant, ...]


def check_columns(table: Table, variant: Variant, content: Mapping[str, Sequence[Any]]) -> None:
    """Raise DataError unless `content` has exactly the columns and the number of rows that the variant declares."""
    expected = [column.name for column in (*table.columns, *variant.columns)]
    if missing := [name for name in expected if name not in content]:
        raise DataError(f"table {table.name} from {', '.join(variant.sources)}: column {missing[0]!r} is missing")
    if lengths := {name: len(content[name]) for name in expected if len(content[name]) != variant.rows}:
        name, length = next(iter(lengths.items()))
        raise DataError(f"table {table.name} from {', '.join(variant.sources)}: column {name!r} has {length:,} rows, "
                        f"expected {variant.rows:,}; the file is not the whole benchmark")
