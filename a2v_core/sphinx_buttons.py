"""Sphinx extension of the book: buttons that lead to the public repository, as soon as its address is known.

The theme fails on such buttons without an address, which is one key of ``_config.yml`` (``repository_url``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

#: Options of the theme: the repository, the source of a page in it, and a new issue that names the page.
BUTTONS = ("use_repository_button", "use_source_button", "use_issues_button")


def add_buttons(app: Sphinx, config: Config) -> None:
    """Turn the buttons on if the repository has an address."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options.update(dict.fromkeys(BUTTONS, True))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", add_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
