"""Runs the notebooks of the study and says which pages are out of date.

A page is a pair of files, ``<name>.ipynb`` (the executed copy) and ``<name>.json`` (its numbers and their
provenance). Both appear only after the whole notebook has run; a failed or interrupted run leaves what was there.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2v_core import provenance
from a2v_core.artifacts import write_atomically
from a2v_core.benchmarks import available, list_sources, load_table, table_names
from a2v_core.benchmarks.cards import write_cards
from a2v_core.book import assemble, build_book, missing_pages, toc_files
from a2v_core.claims import evaluate, load_register, write_pages
from a2v_core.errors import SettingsError, StudyError
from a2v_core.execution import (
    PATH_PARAMETERS,
    check_parameters,
    code_of,
    execute,
    notebook_digest,
    tidy,
)
from a2v_core.paths import repository_root
from a2v_core.results import check_profile, load_results, write_results


@dataclass(frozen=True)
class PageStatus:
    """Whether a page is up to date: `state` is "missing", "stale" or "fresh"; `reasons` says what changed."""

    name: str
    state: str
    profile: str
    reasons: tuple[str, ...] = ()


def checkout() -> Path:
    """The checkout that the study runs in. Raises StudyError when the package is installed elsewhere."""
    root = repository_root()
    if root is None:
        raise StudyError("the study runs from a checkout of the repository: clone it and install with "
                         "`pip install -e .`")
    return root


def results_dir(profile: str, root: Path) -> Path:
    """Where the pages of a profile go: ``book/results`` for "full", ``_build/<profile>/results`` otherwise."""
    check_profile(profile)
    return root / "book" / "results" if profile == "full" else root / "_build" / profile / "results"


def notebooks(root: Path, names: Iterable[str] = ()) -> list[Path]:
    """The notebooks with the given names, or all of them in the order of the book's table of contents.

    Raises:
        StudyError: a name is unknown; the message lists the known ones.
    """
    order = {Path(entry).name: place for place, entry in enumerate(toc_files(root / "book"))}
    found = sorted((root / "notebooks").glob("*.ipynb"), key=lambda path: (order.get(path.stem, len(order)), path.stem))
    by_name = {path.stem: path for path in found}
    if unknown := [name for name in names if name not in by_name]:
        raise StudyError(f"no notebook {', '.join(map(repr, unknown))}: there are {', '.join(by_name) or 'none'}")
    return [by_name[name] for name in names] or found


def run(names: Iterable[str] = (), *, profile: str = "quick", output: str | Path | None = None,
        parameters: Mapping[str, Any] | None = None, again: bool = False, root: Path | None = None,
        report: Any = lambda line: None) -> list[Path]:
    """Compute pages, each kept as soon as it is done, so that an interrupted study goes on where it stopped.

    Args:
        names: notebooks to run; all when empty.
        profile: "smoke", "quick" or "full".
        output: folder of the results; :func:`results_dir` when None.
        parameters: further notebook parameters, for example ``{"seed": 1}``.
        again: compute pages that are up to date as well.
        root: the checkout; found from the package when None.
        report: called with one line of text before and after each page.

    Returns:
        The results files, in the order of the notebooks.

    Raises:
        SettingsError: the profile or a parameter is unknown; nothing has run then.
        StudyError: a notebook failed; pages computed before it are kept.
    """
    root = root or checkout()
    folder = Path(output).resolve() if output else results_dir(profile, root)
    check_profile(profile)
    parameters = dict(parameters or {})
    if fixed := [name for name in ("profile", "results_path") if name in parameters]:
        raise SettingsError(f"parameter {fixed[0]!r} is set by the study itself: use its options profile and output")
    chosen = notebooks(root, names)
    for path in chosen:
        check_parameters(path, parameters)
    done = []
    for place, path in enumerate(chosen, 1):
        label = f"[{place}/{len(chosen)}] {path.stem} ({profile})"
        status = page_status(path, folder, parameters.get("data_dir"))
        if not again and status.state == "fresh" and _same_run(folder / f"{path.stem}.json", profile, parameters):
            report(f"{label}: up to date")
        else:
            report(f"{label}: running")
            seconds = run_page(path, folder, profile=profile, parameters=parameters, root=root)
            report(f"{label}: done in {seconds:.0f} s")
        done.append(folder / f"{path.stem}.json")
    return done


def run_page(path: Path, folder: Path, *, profile: str, parameters: Mapping[str, Any], root: Path) -> float:
    """Execute one notebook and publish its page into `folder`; returns the wall seconds it took.

    Raises:
        SettingsError: a parameter is unknown.
        StudyError: a cell failed, or the notebook saved no numbers; `folder` is as it was.
    """
    origin = provenance.git_state(root)
    code = provenance.module_digests(code_of(path))
    source = notebook_digest(path)
    with tempfile.TemporaryDirectory(prefix="a2v-") as scratch:
        numbers = Path(scratch) / "results.json"
        given = {"profile": profile, **parameters, "results_path": str(numbers)}
        if given.get("data_dir"):
            given["data_dir"] = str(Path(given["data_dir"]).expanduser().resolve())
        with provenance.Cost() as cost:
            executed = execute(path, given)
        if not numbers.is_file():
            raise StudyError(f"{path.name} finished without its numbers: end it with page.save(results_path)")
        content = load_results(numbers)
    if (content["notebook"], content["profile"]) != (path.stem, profile):
        raise StudyError(f"{path.name} saved numbers of {content['notebook']!r} at profile {content['profile']!r}, "
                         f"not of {path.stem!r} at {profile!r}: construct its Page from its own name and profile")
    content["provenance"] = {
        **origin,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "parameters": _published(parameters),
        "wall_seconds": round(cost.wall, 1),
        "processor_seconds": round(cost.processor, 1),
        **content["provenance"],
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "notebook": source,
        "code": code,
    }
    tidy(executed, {str(root.resolve()) + "/": "", str(Path.home()): "~", tempfile.gettempdir(): "<temporary>"})
    executed.cells.insert(1, _stamp(content))
    _publish(folder, path.stem, executed, content)
    return cost.wall


def status(profile: str = "full", output: str | Path | None = None, data_dir: str | Path | None = None,
           root: Path | None = None) -> list[PageStatus]:
    """State of every page in the results folder of a profile, in the order of the book."""
    root = root or checkout()
    folder = Path(output).resolve() if output else results_dir(profile, root)
    return [page_status(path, folder, data_dir) for path in notebooks(root)]


def page_status(path: Path, folder: Path, data_dir: str | Path | None = None) -> PageStatus:
    """Compare a page in `folder` with the notebook, the code and the data it came from. Data that is not here (any
    more) cannot be compared and does not make a page stale; data that the page lacked and that is here now does."""
    name = path.stem
    if not (folder / f"{name}.json").is_file() or not (folder / f"{name}.ipynb").is_file():
        return PageStatus(name, "missing", "")
    try:
        content = load_results(folder / f"{name}.json")
    except StudyError as error:
        return PageStatus(name, "stale", "", (str(error),))
    origin = content["provenance"]
    reasons = []
    if origin.get("notebook") != notebook_digest(path):
        reasons.append("notebook changed")
    # Damaged, or killed between the writing of the two files; older pages do not say.
    executed = hashlib.sha256((folder / f"{name}.ipynb").read_bytes()).hexdigest()
    if origin.get("executed", executed) != executed:
        reasons.append("executed copy is not of the same run")
    now, then = provenance.module_digests(code_of(path)), origin.get("code", {})
    if changed := sorted(module for module in now.keys() | then.keys() if now.get(module) != then.get(module)):
        reasons.append(f"code changed: {', '.join(changed)}")
    current = {data: _current_digest(data, data_dir) for data in origin["data"]}
    if changed := [data for data, digest in current.items() if digest and digest != origin["data"][data]]:
        reasons.append(f"data changed: {', '.join(changed)}")
    return PageStatus(name, "stale" if reasons else "fresh", content["profile"], tuple(reasons))


def render(profile: str = "quick", output: str | Path | None = None, root: Path | None = None) -> Path:
    """Render the book around the results of a profile and return its first page. Nothing is computed.

    Verdicts and data cards are written anew: for "full" into ``book/`` and the README, whose HTML goes to
    ``_build/html``; for other profiles into a copy, ``_build/<profile>/book``, and ``book/`` is only read.

    Raises:
        StudyError: pages have not been computed, or the book did not build without warnings.
    """
    root = root or checkout()
    results = Path(output).resolve() if output else results_dir(profile, root)
    check_profile(profile)
    book, target = root / "book", root
    readme = root / "README.md"
    if results != book / "results":
        target, readme = root / "_build" / profile, None
        book = assemble(book, results, target / "book")
    if lacking := missing_pages(book):
        raise StudyError(f"pages in the table of contents do not exist: {', '.join(lacking)}; compute them with "
                         f"`python -m a2v_core study run --profile {profile}`")
    register = load_register(book / "claims.toml")
    write_pages(register, evaluate(register, book / "results", profile), book, readme, profile)
    write_cards(book / "data_cards.md")
    return build_book(book, target, root / "_config.yml")


def _current_digest(data: str, data_dir: str | Path | None) -> str | None:
    """Digest of a table or an upstream file as it is here; None when it is not here, or is neither (then it comes
    out of the code, whose digest is compared)."""
    if data in table_names():
        return load_table(data, data_dir).attrs["a2v"]["content"] if available(data, data_dir) else None
    here = (found.source for found in list_sources(data_dir) if found.location)
    return next((source.sha256 for source in here if source.name == data), None)


def _same_run(results: Path, profile: str, parameters: Mapping[str, Any]) -> bool:
    content = load_results(results)
    return content["profile"] == profile and content["provenance"].get("parameters") == _published(parameters)


def _published(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in PATH_PARAMETERS}


def _stamp(content: Mapping[str, Any]) -> Any:
    """A cell under the page's title that says at which scale, from which commit and at what cost it was computed."""
    import nbformat

    origin = content["provenance"]
    commit = f"commit `{origin['commit'][:10]}`" if origin["commit"] else "no commit (outside git)"
    changes = ", with uncommitted changes" if origin["dirty"] else ""
    cores = origin["machine"]["cores"]
    given = "".join(f", `{name}={json.dumps(value)}`" for name, value in origin["parameters"].items())
    text = (f"*Computed at profile* **{content['profile']}**{given}; {commit}{changes}; {origin['wall_seconds']:.0f} s "
            f"({origin['processor_seconds']:.0f} s of processor time, {cores} core{'s' * (cores != 1)}, "
            f"peak {origin['peak_memory_mb']} MB).")
    return nbformat.v4.new_markdown_cell(text, id="provenance")


def _publish(folder: Path, name: str, executed: Any, content: dict[str, Any]) -> None:
    import nbformat

    page = (nbformat.writes(executed) + "\n").encode()
    content["provenance"]["executed"] = hashlib.sha256(page).hexdigest()
    write_atomically(folder / f"{name}.ipynb", page)
    write_results(folder / f"{name}.json", content)
