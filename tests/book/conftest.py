from pathlib import Path

import pytest

from a2v_core.book import build_book

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built_book(tmp_path_factory):
    """Folder of the HTML of the committed book, which is built once; a warning is an error."""
    return build_book(ROOT / "book", tmp_path_factory.mktemp("book"), ROOT / "_config.yml").parent
