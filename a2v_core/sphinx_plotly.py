"""Sphinx extension of the book: plotly.js, as the installed plotly brings it, among the static files of the HTML.

Pages with an interactive figure load it from there, so that the book reads without a network, and share one copy.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2v_core.artifacts import write_atomically
from a2v_core.errors import StudyError

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def plotly_script() -> Path:
    """The minified plotly.js of the installed plotly.

    Raises:
        StudyError: plotly is not installed, or brings no such file.
    """
    try:
        with as_file(files("plotly") / "package_data" / "plotly.min.js") as path:
            if path.is_file():
                return path
    except ModuleNotFoundError:
        pass
    raise StudyError("the interactive figures need plotly.min.js of the package plotly: pip install plotly")


def copy_script(app: Sphinx, exception: Exception | None) -> None:
    """Copy plotly.js into the ``_static`` folder of a finished HTML build."""
    if exception is None and app.builder.format == "html":
        write_atomically(Path(app.outdir) / "_static" / "plotly.min.js", plotly_script().read_bytes())


def setup(app: Sphinx) -> dict[str, Any]:
    # Not html_static_path: jupyter-book puts every script that it finds there on every page.
    app.connect("build-finished", copy_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
