import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

# DGL asks for its backend, and writes a file into the home folder, unless this is set before its first import.
os.environ.setdefault("DGLBACKEND", "pytorch")

PARAMETERS = """profile = "quick"
seed = 0
device = "auto"
data_dir = ""
scheduler = ""
results_path = ""
width = 2  # a parameter of its own"""

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


@pytest.fixture
def one_thread():
    """As the study computes: with more threads the bits of a sum depend on what else is computed."""
    import torch  # noqa: F401  one_thread limits it where it is loaded

    from a2v_core.parallel import one_thread

    with one_thread():
        yield


@pytest.fixture(scope="session")
def write_notebook():
    """Write a notebook of the study: a title, a parameters cell, and the given code cells."""

    def write(folder: Path, name: str, *cells: str, parameters: str = PARAMETERS, title: str = "A page") -> Path:
        first = [new_markdown_cell(f"# {title}"), new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        notebook = new_notebook(cells=first + [new_code_cell(cell) for cell in cells],
                                metadata={"kernelspec": KERNELSPEC})
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write


@pytest.fixture(scope="session")
def make_checkout():
    """Lay out a checkout with a book of one introduction and the given pages, and no notebooks yet."""

    def make(root: Path, *pages: str) -> Path:
        chapters = "".join(f"- file: results/{page}\n" for page in pages)
        for folder in ("notebooks", "book"):
            (root / folder).mkdir(parents=True)
        (root / "_config.yml").write_text("title: Small\nonly_build_toc_files: true\nexecute:\n"
                                          "  execute_notebooks: 'off'\n")
        (root / "book" / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nchapters:\n{chapters}")
        (root / "book" / "intro.md").write_text("# Introduction\n")
        return root

    return make
