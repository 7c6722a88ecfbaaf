"""Every figure of a page says in words what it shows, for readers who do not see it."""

import re
from pathlib import Path

import nbformat
import pytest

from a2v_core.book import build_book

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Calls that leave a figure behind, in whatever module they are (draw_edges draws at random).
DRAWS = re.compile(r"\b(?:plot_\w+|draw_(?!edges\b)\w+|encoding_figure|figure\d+|show_chain)\(|\bplt\.subplots\(")


def shows_figure(cell, pictured):
    body = re.sub(r"^def .*\n(?:(?:[ \t].*)?\n)*", "", cell.source + "\n", flags=re.MULTILINE)
    return cell.cell_type == "code" and (cell.source in pictured or bool(DRAWS.search(body)))


def pictured_sources(name):
    """Sources of the cells that show an image on the committed page."""
    path = ROOT / "book" / "results" / f"{name}.ipynb"
    cells = nbformat.read(path, 4).cells if path.is_file() else []
    return {cell.source for cell in cells
            if any(kind.startswith("image/") for output in cell.get("outputs", []) for kind in output.get("data", {}))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_has_a_text(path):
    cells, pictured = nbformat.read(path, 4).cells, pictured_sources(path.stem)
    texts = {i: cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
             for i, cell in enumerate(cells) if shows_figure(cell, pictured)}
    assert [f"cell {i}: {cells[i].source[:60]}" for i, text in texts.items() if not 40 < len(text) < 250] == []
    assert len(set(texts.values())) == len(texts)
    assert not [text for text in texts.values() if text.endswith(".") or text.lower().startswith(("figure", "image"))]


def test_what_draws_is_told_from_what_defines():
    cell = nbformat.v4.new_code_cell("def show_chain(kind):\n    figures.draw_chain(kind)\n\nx = 1")
    assert not shows_figure(cell, set())
    assert shows_figure(nbformat.v4.new_code_cell("def f():\n    pass\nfigures.plot_maps(x);"), set())
    assert shows_figure(nbformat.v4.new_code_cell("page.show()"), {"page.show()"})


def test_the_text_reaches_the_page(tmp_path, make_checkout):
    root, alt = make_checkout(tmp_path / "checkout", "page"), "A square that is black all over, to be described"
    image = nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg'/>"})
    cell = nbformat.v4.new_code_cell("draw()", metadata={"mystnb": {"image": {"alt": alt}}}, outputs=[image])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page"), cell],
                                        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}})
    (root / "book" / "results").mkdir()
    nbformat.write(notebook, root / "book" / "results" / "page.ipynb")
    first = build_book(root / "book", tmp_path / "html", root / "_config.yml")
    assert f'alt="{alt}"' in (first.parent / "results" / "page.html").read_text()
