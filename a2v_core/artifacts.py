"""Results of long computations on disk: found again by what they depend on, never half written.

An artifact's key is a digest of its dependencies (settings, seed, digest of the data, code of the modules
that compute it). It is written under a temporary name and renamed, with a SHA-256 of its content beside it, so a
killed run leaves nothing that looks finished and a damaged file is noticed and computed again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.errors import ArtifactError
from a2v_core.paths import data_dir


def code_digest(*modules: str) -> str:
    """SHA-256 over what the named modules compute: their syntax trees without docstrings, so that comments,
    docstrings and layout do not count, and anything else does. The modules are not imported."""
    h = hashlib.sha256()
    for module in sorted(modules):
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.origin:
            raise ArtifactError(f"no source for module {module!r}: name an importable module of the package")
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            first = body[0] if isinstance(body, list) and body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                del body[0]
        h.update(f"{module}\n{ast.dump(tree)}\n".encode())
    return h.hexdigest()


def artifact_key(dependencies: Mapping[str, Any]) -> str:
    """A 20-digit key from JSON-able dependencies; the order of the entries does not matter."""
    text = json.dumps(dependencies, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        ArtifactError: the folder is read-only, the disk is full, …; what was at `path` is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ArtifactError(f"cannot write {path}: {error.strerror or error}; free space or choose another folder "
                            "(data_dir), nothing was lost") from error


class ArtifactStore:
    """Artifacts under ``<data folder>/artifacts/<kind>/<key>.*``.

    Args:
        root: the data folder; see :func:`a2v_core.paths.data_dir`.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = data_dir(root) / "artifacts"

    def path(self, kind: str, key: str, suffix: str) -> Path:
        return self.root / kind / f"{key}{suffix}"

    def save_arrays(self, kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> Path:
        """Store named arrays. Raises ArtifactError when the file cannot be written."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return self._save(self.path(kind, key, ".npz"), buffer.getvalue())

    def load_arrays(self, kind: str, key: str) -> dict[str, np.ndarray] | None:
        """Stored arrays, or None when they are absent or damaged (with a warning, so that they are made again)."""
        content = self._load(self.path(kind, key, ".npz"))
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def save_json(self, kind: str, key: str, value: Any) -> Path:
        """Store a JSON-able value. Raises ArtifactError when the file cannot be written."""
        return self._save(self.path(kind, key, ".json"), (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def load_json(self, kind: str, key: str) -> Any | None:
        """A stored value, or None when it is absent or damaged."""
        content = self._load(self.path(kind, key, ".json"))
        return None if content is None else json.loads(content)

    def save_bytes(self, kind: str, key: str, suffix: str, content: bytes) -> Path:
        """Store raw bytes. Raises ArtifactError when the file cannot be written."""
        return self._save(self.path(kind, key, suffix), content)

    def load_bytes(self, kind: str, key: str, suffix: str) -> bytes | None:
        """Stored bytes, or None when they are absent or damaged."""
        return self._load(self.path(kind, key, suffix))

    def remove(self, kind: str, key: str) -> None:
        """Forget an artifact that has served its purpose."""
        for path in (self.root / kind).glob(f"{key}.*"):
            path.unlink(missing_ok=True)

    def arrays(self, kind: str, key: str, build: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Stored arrays, built and stored on first use. A folder that cannot be written costs the cache, with a
        warning, not the result."""
        found = self.load_arrays(kind, key)
        if found is None:
            found = dict(build())
            try:
                self.save_arrays(kind, key, found)
            except ArtifactError as error:
                warnings.warn(f"not cached: {error}", stacklevel=2)
        return found

    def _save(self, path: Path, content: bytes) -> Path:
        # The digest goes first, and none is taken away: whenever a run is killed, and whoever else writes the same
        # artifact at the same time, what is there is known.
        _add_digest(path, hashlib.sha256(content).hexdigest())
        write_atomically(path, content)
        return path

    def _load(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            warnings.warn(f"{path} is unreadable ({error}); computing it again", stacklevel=3)
            return None
        if hashlib.sha256(content).hexdigest() not in _digests(path):
            warnings.warn(f"{path} is damaged (its digest differs); computing it again", stacklevel=3)
            return None
        return content


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _add_digest(path: Path, digest: str) -> None:
    sidecar = _sidecar(path)
    if digest in _digests(path):
        return
    try:
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        with open(sidecar, "ab") as file:
            # The line break stands first: what a full disk took of a line does not spoil the next one.
            file.write(f"\n{digest}".encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # Replaced as a whole where it cannot be appended to; if that fails as well, the error says why.
        write_atomically(sidecar, digest.encode())


def _digests(path: Path) -> list[str]:
    """Digests of contents that were stored at `path`; none when they cannot be read."""
    try:
        return _sidecar(path).read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
