"""Judge every claim and write the pages: ``python -m a2v_core.claims [--check]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from a2v_core.claims.evaluation import evaluate
from a2v_core.claims.pages import render_pages, write_pages
from a2v_core.claims.register import load_register
from a2v_core.errors import A2VError
from a2v_core.paths import repository_root
from a2v_core.results import PROFILES


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 1 with one line on standard error."""
    root = repository_root() or Path.cwd()
    parser = argparse.ArgumentParser(prog="python -m a2v_core.claims", description=__doc__)
    parser.add_argument("--book", type=Path, default=root / "book", help="folder of the book (default: %(default)s)")
    parser.add_argument("--register", type=Path, help="the register (default: claims.toml in the book)")
    parser.add_argument("--results", type=Path, help="folder of results files (default: results/ in the book)")
    parser.add_argument("--readme", type=Path, help="README with the marker lines (default: beside the book)")
    parser.add_argument("--profile", choices=PROFILES, default="full", help="judge results of this profile only")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a generated file is out of date")
    options = parser.parse_args(arguments)
    beside = options.book.parent / "README.md"
    readme = options.readme or (beside if beside.is_file() else None)
    try:
        register = load_register(options.register or options.book / "claims.toml")
        outcomes = evaluate(register, options.results or options.book / "results", options.profile)
        if options.check:
            texts = render_pages(register, outcomes, options.book, readme, options.profile)
            stale = [path for path, text in texts.items() if not path.is_file() or path.read_bytes() != text.encode()]
            if stale:
                print(f"error: {stale[0]} is out of date: run the same command without --check", file=sys.stderr)
            return 1 if stale else 0
        for path in write_pages(register, outcomes, options.book, readme, options.profile):
            print(path)
    except A2VError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
