"""Registered sources with content of the test, and the mirror of the real ones."""

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest
from made_files import CSV, TESTS

from a2v_core.benchmarks import sources, tables
from a2v_core.paths import DATA_DIR_VARIABLE, MIRROR_VARIABLE


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty data folder; no mirror."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.delenv(DATA_DIR_VARIABLE, raising=False)
    return tmp_path / "data"


@pytest.fixture
def register(root, monkeypatch):
    """Give a registered source other content: `register(name, content)` puts it into the data folder, with
    `write=False` only into the registry; further keywords replace fields of the source."""

    def of(name: str, content: bytes, write: bool = True, **fields):
        digest = hashlib.sha256(content).hexdigest()
        source = dataclasses.replace(sources.REGISTRY[name], sha256=digest, bytes=len(content), about=False, **fields)
        monkeypatch.setitem(sources.REGISTRY, name, source)
        path = sources.upstream_path(source, root)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return path

    return of


@pytest.fixture
def resize(monkeypatch):
    """Let a table be made of a small file of the test: `resize(name, rows)` changes the expected number of rows."""

    def of(name: str, rows: int):
        table = tables.TABLES[name]
        variants = tuple(dataclasses.replace(variant, rows=rows) for variant in table.variants)
        monkeypatch.setitem(tables.TABLES, name, dataclasses.replace(table, variants=variants))

    return of


@pytest.fixture(scope="session")
def mirror():
    """The folder with the real upstream files; tests that need it are skipped without."""
    folder = os.environ.get(MIRROR_VARIABLE)
    if not folder:
        pytest.skip(f"needs the upstream files: set {MIRROR_VARIABLE} to a folder that holds them")
    return Path(folder)


@pytest.fixture
def small_test200(register, resize):
    """The table nb201_test200 of four cells, ready to be built."""
    for name in TESTS:
        register(name, CSV)
    resize("nb201_test200", 12)
