"""Buttons to the public repository: there when its address is known, and only then."""

from pathlib import Path

import pytest
import yaml

from a2v_core.book import build_book

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/something"


@pytest.fixture
def page(tmp_path, make_checkout):
    """HTML of a small book by the study's own configuration, the repository being at an address."""

    def built(address):
        root = make_checkout(tmp_path / "checkout", "page")
        (root / "book" / "results").mkdir()
        (root / "book" / "results" / "page.md").write_text("# A page\n")
        config = yaml.safe_load((ROOT / "_config.yml").read_text())
        del config["bibtex_bibfiles"]
        config["sphinx"]["config"]["extensions"].remove("sphinxcontrib.bibtex")
        config["sphinx"]["config"]["html_theme_options"]["repository_url"] = address
        (root / "_config.yml").write_text(yaml.safe_dump(config))
        return (build_book(root / "book", tmp_path / "html", root / "_config.yml").parent / "intro.html").read_text()

    return built


def test_a_known_address_brings_the_buttons(page):
    text = page(ADDRESS)
    assert f'href="{ADDRESS}"' in text
    assert f'href="{ADDRESS}/blob/main/book/intro.md?plain=1"' in text
    assert f'href="{ADDRESS}/issues/new?title=' in text
    assert "_sources/intro.md" in text


def test_without_an_address_no_button_leads_nowhere(page):
    text = page("")
    assert "_sources/intro.md" in text
    for label in ("source-repository", "source-file", "source-issues", "source-edit", "launch-buttons"):
        assert label not in text
