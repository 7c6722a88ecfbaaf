import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from a2v_core import study
from a2v_core.book import assemble, build_book, missing_pages, toc_files
from a2v_core.errors import StudyError
from a2v_core.results import load_results

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
COMMITTED = sorted((BOOK / "results").glob("*.ipynb"))


@pytest.fixture
def small(tmp_path, make_checkout):
    """A checkout whose book has one page of results, present in another folder."""
    root = make_checkout(tmp_path / "checkout", "page")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "page.md").write_text("# A page\n")
    return root


def test_every_entry_of_the_contents_is_a_page():
    assert missing_pages(BOOK) == []
    assert len(toc_files(BOOK)) == len(set(toc_files(BOOK)))


def test_every_result_and_every_notebook_is_in_the_contents():
    listed = {entry.removeprefix("results/") for entry in toc_files(BOOK) if entry.startswith("results/")}
    assert listed == {path.stem for path in COMMITTED}
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_every_page_of_the_book_is_in_the_contents():
    pages = {path.stem for path in BOOK.glob("*.md") if not path.name.startswith("_")}
    assert pages <= set(toc_files(BOOK))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_full_clean_and_whole(path):
    content = load_results(path.with_suffix(".json"))
    assert (content["notebook"], content["profile"]) == (path.stem, "full")
    assert content["provenance"]["commit"]
    assert content["provenance"]["dirty"] is False
    assert content["values"]
    commit = content["provenance"]["commit"][:10]
    assert re.search(rf"\*\*full\*\*(, `\w+=[^`]*`)*; commit `{commit}`", path.read_text())


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_page_shows_no_warning_and_no_path_of_a_machine(path):
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert not re.search(r"/[\w./-]+/site-packages/", path.read_text(encoding="utf-8"))


def test_the_book_builds_alone_without_warnings(built_book):
    built = {path.relative_to(built_book).with_suffix("").as_posix() for path in built_book.rglob("*.html")}
    assert set(toc_files(BOOK)) <= built


def test_jupyter_book_finds_the_configuration_from_the_book():
    from jupyter_book.cli.main import find_config_path

    assert find_config_path(BOOK) == (ROOT, True)
    assert yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]["execute_notebooks"] == "off"


def test_a_copy_takes_its_results_from_elsewhere_and_leaves_the_book_alone(small, tmp_path):
    (small / "book" / "results").mkdir()
    (small / "book" / "results" / "old.md").write_text("old")
    target = tmp_path / "copy"
    target.mkdir()
    (target / "stale.md").write_text("stale")
    assert assemble(small / "book", tmp_path / "results", target) == target
    assert {str(p.relative_to(target)) for p in target.rglob("*.*")} == {"_toc.yml", "intro.md", "results/page.md"}
    assert (small / "book" / "results" / "old.md").read_text() == "old"
    with pytest.raises(StudyError, match="compute the pages first"):
        assemble(small / "book", tmp_path / "nowhere", target)


def test_a_small_book_builds_and_a_warning_is_an_error(small, tmp_path):
    copy = assemble(small / "book", tmp_path / "results", tmp_path / "copy")
    first = build_book(copy, tmp_path / "html", small / "_config.yml")
    assert first.is_file()
    assert (first.parent / "results" / "page.html").is_file()
    (copy / "intro.md").write_text("# Introduction\n\n[nowhere](nowhere.md)\n\n{ref}`lost`\n")
    with pytest.raises(StudyError, match=r"did not build cleanly: .*intro\.md.*nowhere"):
        build_book(copy, tmp_path / "html", small / "_config.yml")


def test_missing_pages_are_named(small, tmp_path):
    assert missing_pages(small / "book") == ["results/page"]
    (tmp_path / "results" / "page.md").unlink()
    with pytest.raises(StudyError, match=r"do not exist: results/page; compute them .* --profile smoke"):
        study.render("smoke", output=tmp_path / "results", root=small)


@pytest.mark.parametrize("content", ["- a", "root: [", "chapters: []", ""])
def test_a_damaged_table_of_contents_is_named(tmp_path, content):
    with pytest.raises(StudyError, match="does not exist"):
        toc_files(tmp_path)
    (tmp_path / "_toc.yml").write_text(content)
    with pytest.raises(StudyError, match="is not a table of contents"):
        toc_files(tmp_path)


def test_a_book_of_another_profile_is_rendered_beside_the_committed_one(small, tmp_path):
    shutil.copy(BOOK / "claims.toml", small / "book" / "claims.toml")
    toc = small / "book" / "_toc.yml"
    toc.write_text("format: jb-book\nroot: intro\nchapters:\n- file: results/page\n- file: data_cards\n")
    (small / "book" / "data_cards.md").write_text("old\n")
    before = {path: path.read_bytes() for path in (small / "book").rglob("*") if path.is_file()}
    first = study.render("smoke", output=tmp_path / "results", root=small)
    assert first == small / "_build" / "smoke" / "_build" / "html" / "index.html"
    assert "NAS-Bench-101" in (first.parent / "data_cards.html").read_text()
    assert {path: path.read_bytes() for path in (small / "book").rglob("*") if path.is_file()} == before
