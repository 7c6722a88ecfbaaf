"""The data cards as a page of the book, made from the tables' own declarations and the registry of sources.

``python -m a2v_core.benchmarks.cards book/data_cards.md`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from a2v_core.artifacts import write_atomically
from a2v_core.benchmarks.schema import Column, Table, Variant
from a2v_core.benchmarks.sources import REGISTRY, Source, get_source
from a2v_core.benchmarks.tables import TABLES

_HEAD = """# Data cards

This page is generated from the declarations beside the converters (`a2v_core/benchmarks/convert_*.py`) and from the
registry of sources (`a2v_core/benchmarks/sources.toml`). The facts that it states about the files are tested against
the files themselves (`tests/benchmarks/test_upstream_facts.py`).

None of the upstream files is part of this repository. `python -m a2v_core data fetch` brings those that are not
optional and checks their digests; `python -m a2v_core data build` makes the tables. A table whose upstream file is
missing is named in a box on the page that needs it. Where an officially published file lies in the data folder it
takes precedence over the public copies of parts of it.
"""


def _address(source: Source) -> str:
    if source.package:
        return f"[PyPI]({_project(source)}) `{source.package}=={source.version}`, `{source.path}`"
    return f"[`{source.path}`]({source.address})"


def _project(source: Source) -> str:
    return f"https://pypi.org/project/{source.package}/{source.version}/"


def _rows(columns: list[Column]) -> list[str]:
    return ["| column | type | unit | meaning |", "|---|---|---|---|",
            *(f"| `{column.name}` | {column.type.replace('<', ' of ').replace('>', '')} | {column.unit or '-'} "
              f"| {column.meaning} |" for column in columns)]


def _sources(sources: list[Source]) -> list[str]:
    lines = []
    for source in sources:
        digest = f"`{source.digest}`" if source.sha256 or source.md5_prefix else source.digest
        lines.append(f"- `{source.name}`: {_address(source)}, {source.size}, {digest}. Licence: {source.licence}")
    return lines


def _official(variants: list[Variant]) -> list[str]:
    """What the table is when it is made of an official file; all official variants of a table have the same form."""
    if not variants:
        return []
    names = " or ".join(f"`{name}`" for variant in variants for name in variant.sources)
    if not variants[0].columns:
        return [f"From the official {names} it has the same rows and columns.", ""]
    return [f"From the official {names} it has {variants[0].rows:,} rows and these columns besides:", "",
            *_rows(list(variants[0].columns)), ""]


def render_card(table: Table) -> str:
    """The card of one table in Markdown: measured, repeats, columns, caveats, sources with digest and licence."""
    *official, public = table.variants
    sources = [get_source(name) for variant in (public, *official) for name in variant.sources]
    lines = [
        f"## {table.title}", "",
        f"Table `{table.name}`, search space `{table.space}`, {public.rows:,} rows.", "",
        f"**Measured.** {table.measured}", "",
        f"**Repeats.** {table.repeats}", "",
        *_rows(list(table.columns)), "",
        *_official(official),
        "**Beware.**", "",
        *(f"- {caveat}" for caveat in table.caveats), "",
        "**Made of**", "",
        *_sources(sources), "",
    ]
    return "\n".join(lines)


def render_cards() -> str:
    """All cards, and the files that are used as they are, as one Markdown page."""
    used = {name for table in TABLES.values() for variant in table.variants for name in variant.sources}
    as_they_are = [source for source in REGISTRY.values() if source.name not in used]
    lines = [
        "## Files used as they are", "",
        *(f"- `{source.name}`: {source.what}" for source in as_they_are), "",
        "The surrogate is a model, not a table: it takes the 34 categories of a genotype and an epoch from 1 to 98, "
        "and gives a validation accuracy (0 to 100) and a running time in seconds. Against 1,218 accuracies of the "
        "original NAS-Bench-301 surrogate its Spearman correlation is 0.904 and its level about 1.3 points too high: "
        "fit for ranking, not for absolute error.", "",
        *_sources(as_they_are), "",
    ]
    return "\n".join([_HEAD, *(render_card(table) for table in TABLES.values()), *lines])


def write_cards(path: str | Path) -> Path:
    """Write the page to `path`.

    Raises:
        ArtifactError: it cannot be written; what was there is untouched.
    """
    write_atomically(Path(path), render_cards().encode())
    return Path(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m a2v_core.benchmarks.cards PATH (e.g. book/data_cards.md)")
    write_cards(sys.argv[1])
