"""Where a number comes from: commit, versions, machine, cost, and the code that a page depends on."""

from __future__ import annotations

import ast
import importlib.metadata
import platform
import re
import resource
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from a2v_core.artifacts import code_digest
from a2v_core.parallel import available_processors

#: Distributions whose versions can move a number.
DISTRIBUTIONS = ("a2v_core", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "torch", "dgl", "networkx",
                 "matplotlib", "joblib", "papermill", "onnxruntime")

#: What runs of the study and of the benchmarks write into a checkout.
WRITTEN = ("book/results", "book/performance.json", "book/performance.md")
_PACKAGE = "a2v_core"
_SOURCES = Path(__file__).resolve().parent.parent
_MODULE_NAME = re.compile(rf"({_PACKAGE}(?:\.\w+)+)(?::\w+)?")


def git_state(root: Path) -> dict[str, Any]:
    """``{"commit", "dirty"}`` of the checkout at `root`; both None outside git or before the first commit.

    Results do not count as changes (:data:`WRITTEN`): the study itself writes them, page after page.
    """
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")) != root.resolve():
            return {"commit": None, "dirty": None}
        commit = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changes)}


def versions() -> dict[str, str]:
    """Versions of Python and of the installed ones of :data:`DISTRIBUTIONS`."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """``{"processor", "cores", "system"}``: the processor's name, the cores this process may use, the system."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"processor": name, "cores": available_processors(), "system": platform.system()}


class Cost:
    """Context manager that measures seconds: `wall`, and `processor` of this process and its finished children."""

    wall: float
    processor: float

    def __enter__(self) -> Cost:
        self._wall, self._processor = time.perf_counter(), _processor_seconds()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.wall = time.perf_counter() - self._wall
        self.processor = _processor_seconds() - self._processor


def module_closure(source: str) -> list[str]:
    """Modules of the package that Python `source` imports, directly or through one another, sorted.

    Read from the source text alone; nothing is imported. Counted are import statements anywhere in the text, and
    strings that are names of modules, as registries hold them (``"a2v_core.spaces.darts:DARTS"``).
    """
    todo = _imports(source, "")
    found: set[str] = set()
    while todo:
        name = todo.pop()
        path = _module_path(name)
        if name in found or path is None:
            continue
        found.add(name)
        is_package = path.name == "__init__.py"
        parent = name.rpartition(".")[0]
        todo |= _imports(path.read_text(encoding="utf-8"), name if is_package else parent) | {parent}
    return sorted(found)


def module_digests(source: str) -> dict[str, str]:
    """Digest of each module of :func:`module_closure`, comments and docstrings not counted."""
    return {name: code_digest(name)[:16] for name in module_closure(source)}


def _imports(source: str, package: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")
                base = ".".join([*anchor[: len(anchor) - node.level + 1], *([base] if base else [])])
            # `from a.b import c` may name a module c or something inside the module a.b.
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and (match := _MODULE_NAME.fullmatch(str(node.value))):
            names.add(match.group(1))
    return {name for name in names if name == _PACKAGE or name.startswith(_PACKAGE + ".")}


def _module_path(name: str) -> Path | None:
    base = _SOURCES.joinpath(*name.split(".")) if name else _SOURCES / "-"
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
