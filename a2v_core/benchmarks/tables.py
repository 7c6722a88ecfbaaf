"""Our tables under ``<data folder>/tables/*.parquet``: made of verified upstream files, never half there.

A table remembers what it was made of. It is made anew when that changes: another upstream file (an official one takes
precedence over public mirrors of parts of it), or another converter.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2v_core import paths
from a2v_core.artifacts import code_digest, write_atomically
from a2v_core.benchmarks import convert_authors, convert_darts, convert_nasbench101, convert_nasbench201
from a2v_core.benchmarks.schema import Table, Variant, check_columns
from a2v_core.benchmarks.sources import describe, get_source, status, unknown_name
from a2v_core.errors import ArtifactError, DataError, MissingDataError, SpaceError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Every table by name.
TABLES: dict[str, Table] = {
    table.name: table for module in (convert_nasbench101, convert_nasbench201, convert_darts, convert_authors)
    for table in module.TABLES}
_META = b"a2v"
_CONVERTERS = tuple(f"a2v_core.benchmarks.{module}" for module in (
    "convert_authors", "convert_darts", "convert_nasbench101", "convert_nasbench201", "nasbench101_official",
    "nats_official", "tables", "tfrecord", "unpickle"))


@dataclass(frozen=True)
class BuildResult:
    """What became of one table; `state` is built, present (already up to date), missing (its upstream files) or
    failed (one of them is damaged, or a package to read it is not installed); `because` says what it is made of or why
    it is not."""

    name: str
    state: str
    path: Path
    rows: int
    because: str

    def __str__(self) -> str:
        return f"{self.name:<22} {self.state:<8} {self.rows:>9,} rows  {self.because}"


def table_names(space: str | None = None) -> list[str]:
    """Names of all tables, or of those of one search space.

    Raises:
        SpaceError: no table belongs to a space of that name.
    """
    names = [name for name, table in TABLES.items() if space in (None, table.space)]
    if not names:
        known = ", ".join(sorted({table.space for table in TABLES.values()}))
        raise SpaceError(f"no benchmark table belongs to a search space {space!r}: known are {known}")
    return names


def get_table(name: str) -> Table:
    """The table of that name. Raises SettingsError when there is none."""
    if name not in TABLES:
        raise unknown_name("table", name, TABLES)
    return TABLES[name]


def table_path(name: str, data_dir: str | Path | None = None) -> Path:
    """Where a built table lies."""
    return paths.data_dir(data_dir) / "tables" / f"{name}.parquet"


def _source_variant(table: Table, root: Path) -> Variant | None:
    """The preferred variant whose upstream files are all here."""
    for variant in table.variants:
        if all(status(get_source(source), root).location for source in variant.sources):
            return variant
    return None


def available(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether :func:`load_table` can give this table, from its file or from upstream files that are here.

    Raises:
        SettingsError: unknown name.
    """
    table = get_table(name)
    return table_path(name, data_dir).exists() or _source_variant(table, paths.data_dir(data_dir)) is not None


def build(names: Sequence[str] | None = None, data_dir: str | Path | None = None) -> list[BuildResult]:
    """Make tables from the upstream files that are here.

    Args:
        names: the tables; None for all, where one that cannot be made is reported (missing, failed) and does not
            keep the others from being made.
        data_dir: the data folder; see :func:`a2v_core.paths.data_dir`.

    Raises:
        SettingsError: unknown name.
        MissingDataError: a table was named whose upstream files are not here.
        DataError, DigestError: a table was named of which an upstream file is damaged.
        ArtifactError: the table cannot be written; the one that was there is untouched.
    """
    folder = paths.data_dir(data_dir)
    if names is not None:
        return [_build_one(table, folder) for table in [get_table(name) for name in names]]
    results = []
    for table in TABLES.values():
        try:
            results.append(_build_one(table, folder))
        except DataError as error:
            sources_here = _source_variant(table, folder) is not None
            state = "failed" if sources_here or not isinstance(error, MissingDataError) else "missing"
            results.append(BuildResult(table.name, state, table_path(table.name, folder), 0, str(error)))
    return results


def _build_one(table: Table, root: Path) -> BuildResult:
    path = table_path(table.name, root)
    variant = _source_variant(table, root)
    found = _read_or_warn(table, path, variant)
    if found is not None and _is_current(found, table, variant):
        return BuildResult(table.name, "present", path, found.num_rows, f"from {', '.join(_meta(found)['sources'])}")
    if variant is None:
        raise _missing(table, root)
    made = _convert(table, variant, root)
    _write(made, path)
    return BuildResult(table.name, "built", path, made.num_rows, f"from {', '.join(variant.sources)}")


def load_table(name: str, data_dir: str | Path | None = None) -> pd.DataFrame:
    """One table, as its card describes it; made on the spot when only its upstream files are here.

    ``frame.attrs["a2v"]`` tells its provenance: table, variant, sources (name → digest), content (SHA-256 over the
    values, for artifact keys and for the record of a study).

    Raises:
        SettingsError: unknown name.
        MissingDataError: neither the table nor its upstream files are here; the message names file, address, size,
            digest and the command that fetches it.
        DataError, DigestError: the table or an upstream file is damaged.
    """
    table, folder = get_table(name), paths.data_dir(data_dir)
    path = table_path(name, folder)
    variant = _source_variant(table, folder)
    found = _read_or_warn(table, path, variant)
    if found is None or not _is_current(found, table, variant):
        if variant is None:
            raise _missing(table, folder)
        found = _convert(table, variant, folder)
        try:
            _write(found, path)
        except ArtifactError as error:
            warnings.warn(f"table {name} is not kept: {error}", stacklevel=2)
    frame = found.to_pandas()
    frame.attrs["a2v"] = _meta(found)
    return frame


def _missing(table: Table, root: Path) -> MissingDataError:
    lacking = [get_source(name) for name in table.variants[-1].sources]
    lacking = [source for source in lacking if status(source, root).location is None]
    remedies = dict.fromkeys(source.remedy if source.package else f"python -m a2v_core data fetch {table.name}"
                             for source in lacking)
    return MissingDataError(f"table {table.name} cannot be made: {'; '.join(map(describe, lacking))}. "
                            f"To get it: {' and '.join(remedies)}")


def _meta(content: pa.Table) -> dict[str, Any]:
    return json.loads(content.schema.metadata[_META])


@functools.cache
def _converter_digest() -> str:
    return code_digest(*_CONVERTERS)


def _digests(variant: Variant) -> dict[str, str]:
    return {name: get_source(name).digest for name in variant.sources}


def _is_current(found: pa.Table, table: Table, variant: Variant | None) -> bool:
    """Whether a stored table is what would be made now of `variant`, or is of a preferred one whose files have been
    taken away since (the official file is large); True when nothing could be made now."""
    if variant is None:
        return True
    meta = _meta(found)
    as_good = table.variants[:table.variants.index(variant) + 1]
    return meta["converter"] == _converter_digest() and any(meta["sources"] == _digests(each) for each in as_good)


def _read_or_warn(table: Table, path: Path, variant: Variant | None) -> pa.Table | None:
    """The table's file; None when it is absent, or when it is damaged and can be made again (with a warning)."""
    if not path.exists():
        return None
    try:
        return _read(table, path)
    except DataError as error:
        if variant is None:
            raise
        warnings.warn(f"{error}; making it again", stacklevel=3)
        return None


def _read(table: Table, path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    remedy = f"delete it, then: python -m a2v_core data build {table.name}"
    try:
        content = pq.read_table(path, memory_map=True, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged ({str(error).splitlines()[0]}): {remedy}") from error
    try:
        meta = _meta(content)
        recorded, _sources, _converter = meta["content"], meta["sources"], meta["converter"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} does not tell what it was made of: {remedy}") from error
    if missing := [column.name for column in table.columns if column.name not in content.column_names]:
        raise DataError(f"{path} lacks the column {missing[0]!r}: {remedy}")
    arrays = {name: content.column(name).combine_chunks() for name in content.column_names}
    if _content_digest(arrays) != recorded:
        raise DataError(f"{path} is damaged (its values do not have the recorded digest): {remedy}")
    return content


def _convert(table: Table, variant: Variant, root: Path) -> pa.Table:
    import pyarrow as pa

    try:
        content = variant.convert(root)
        check_columns(table, variant, content)
        types = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(),
                 "list<float64>": pa.list_(pa.float64())}
        arrays = {column.name: pa.array(content[column.name], type=types[column.type])
                  for column in (*table.columns, *variant.columns)}
    except pa.ArrowException as error:
        raise DataError(f"table {table.name} from {', '.join(variant.sources)}: {error}") from error
    meta = {"table": table.name, "variant": variant.name,
            "sources": _digests(variant),
            "converter": _converter_digest(), "content": _content_digest(arrays)}
    return pa.table(arrays).replace_schema_metadata({_META: json.dumps(meta).encode()})


def _content_digest(arrays: Mapping[str, pa.Array]) -> str:
    """SHA-256 over names and values, whichever version of Arrow wrote them."""
    import pyarrow as pa

    h = hashlib.sha256()
    for name, array in arrays.items():
        values = array
        if pa.types.is_list(array.type):
            h.update(array.value_lengths().to_numpy().tobytes())
            values = array.flatten()
        h.update(f"{name}:{values.type}:{len(values)}\n".encode())
        if pa.types.is_string(values.type):
            h.update("\n".join(values.to_pylist()).encode())
        else:
            h.update(values.to_numpy(zero_copy_only=False).tobytes())
    return h.hexdigest()


def _write(content: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(content, buffer, compression="zstd", write_page_checksum=True)
    write_atomically(path, buffer.getvalue())
