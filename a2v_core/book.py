"""The book: its table of contents, a copy of it around other results, and its HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from a2v_core.errors import StudyError

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def toc_files(book: Path) -> list[str]:
    """Pages named in ``_toc.yml``, in reading order, relative to the book's folder, as they are written there.

    Raises:
        StudyError: the table of contents is missing or malformed.
    """
    path = book / "_toc.yml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return [content["root"], *_files(content)]
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist: the book needs its table of contents") from None
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise StudyError(f"{path} is not a table of contents: {error!r}") from error


def missing_pages(book: Path) -> list[str]:
    """Entries of the table of contents that no file stands behind (jupyter-book would drop them)."""
    return [entry for entry in toc_files(book)
            if not any((book / f"{entry}{suffix}").is_file() for suffix in ("", ".md", ".ipynb"))]


def assemble(book: Path, results: Path, target: Path) -> Path:
    """Copy the pages of `book` to `target`, with the results in `results` in the place of its own; returns `target`.

    What was at `target` is replaced. `book` is only read.

    Raises:
        StudyError: `results` does not exist, or files cannot be copied.
    """
    if not results.is_dir():
        raise StudyError(f"{results} does not exist: compute the pages first (`python -m a2v_core study run`)")
    try:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(book, target, ignore=shutil.ignore_patterns("results", "_build", ".ipynb_checkpoints"))
        shutil.copytree(results, target / "results")
    except OSError as error:
        raise StudyError(f"cannot assemble the book in {target}: {error}") from error
    return target


def build_book(source: Path, output: Path, config: Path) -> Path:
    """Render a book with jupyter-book, a warning being an error; returns the first page.

    Args:
        source: folder with ``_toc.yml`` and the pages.
        output: folder that gets ``_build/html``.
        config: the jupyter-book configuration file.

    Raises:
        StudyError: the build warned; the message quotes the warnings.
    """
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source),
               "--path-output", str(output), "--config", str(config), "-W", "-n", "--keep-going", "--all", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = _ANSI.sub("", done.stdout + done.stderr)
        lines = [line for line in said.splitlines() if ": WARNING" in line or "ERROR" in line]
        raise StudyError("the book did not build cleanly: " + ("; ".join(lines[:10]) or said.strip()[-500:]))
    return output / "_build" / "html" / "index.html"


def _files(node: dict[str, Any]) -> list[str]:
    found = []
    for part in [*node.get("parts", []), *node.get("chapters", []), *node.get("sections", [])]:
        if "file" in part:
            found.append(part["file"])
        found += _files(part)
    return found
