"""The registry of upstream files: where each comes from, its digest, and whether it is here.

The registry is ``sources.toml`` beside this module. A file lies under ``<data folder>/upstream/``, or in the local
mirror that ``$A2V_DATA_MIRROR`` names (same layout), or inside an installed PyPI distribution.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from a2v_core import paths
from a2v_core.errors import DataError, DigestError, MissingDataError, SettingsError


@dataclass(frozen=True)
class Source:
    """One upstream file. Exactly one of `url`, `package` and `page` says where it comes from."""

    name: str
    what: str
    licence: str
    path: str
    url: str = ""
    package: str = ""
    version: str = ""
    page: str = ""
    sha256: str = ""
    md5_prefix: str = ""
    bytes: int | None = None
    about: bool = False
    optional: bool = False

    @property
    def address(self) -> str:
        """Where a reader finds it: an address, or the PyPI distribution that holds it."""
        return self.url or self.page or f"PyPI: {self.package}=={self.version}, {self.path}"

    @property
    def size(self) -> str:
        """Its size for a message, e.g. ``1,844,769 bytes``."""
        if self.bytes is None:
            return "size not published"
        return f"about {self.bytes / 1e6:.0f} MB" if self.about else f"{self.bytes:,} bytes"

    @property
    def digest(self) -> str:
        """Its digest for a message, e.g. ``sha256 84bc…``."""
        if self.sha256:
            return f"sha256 {self.sha256}"
        return f"md5 {self.md5_prefix}…" if self.md5_prefix else "no digest published"

    @property
    def remedy(self) -> str:
        """What to do to get it."""
        if self.package:
            return f"pip install {self.package}=={self.version}"
        if self.page:
            return f"download it by hand from {self.page} into upstream/{self.path} of the data folder"
        return f"python -m a2v_core data fetch {self.name}"


@dataclass(frozen=True)
class SourceStatus:
    """Whether an upstream file is here; `state` is one of present, in mirror, installed, missing (``list_sources``)
    or ok, damaged, unchecked, missing (``verify``)."""

    source: Source
    state: str
    location: Path | None

    def __str__(self) -> str:
        return f"{self.source.name:<28} {self.state:<10} {self.source.size:>22}  {self.source.what}"


def read_registry(path: Path) -> dict[str, Source]:
    """Read a registry file.

    Raises:
        DataError: an entry lacks a field, has one that does not exist, or has no or several addresses.
    """
    registry = {}
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        fields = dict(entry)
        if "github" in fields:
            parts = [fields.pop(key, "") for key in ("github", "commit", "file")]
            fields["url"] = f"https://raw.githubusercontent.com/{'/'.join(parts)}"
        elif "package" in fields:
            fields["path"] = fields.pop("file", "")
        try:
            source = Source(name=name, **fields)
        except TypeError as error:
            raise DataError(f"entry [{name}] of {path} is not of the agreed form: {error}") from error
        if sum(map(bool, (source.url, source.package, source.page))) != 1 or not source.path:
            raise DataError(f"entry [{name}] of {path} needs one address (github, url, package or page) and a file")
        if not source.page and not re.fullmatch("[0-9a-f]{64}", source.sha256):
            raise DataError(f"entry [{name}] of {path} needs a sha256 of 64 hexadecimal digits, has {source.sha256!r}")
        registry[name] = source
    return registry


#: Every registered source by name.
REGISTRY = read_registry(Path(__file__).with_name("sources.toml"))


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SettingsError:
    """The error for a name that is not in `known`, with the nearest ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return SettingsError(f"unknown {kind} {name!r}: " + (f"did you mean {', '.join(near)}?" if near
                                                         else f"known are {', '.join(known)}"))


def get_source(name: str) -> Source:
    """The registered source of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in REGISTRY:
        raise unknown_name("source", name, REGISTRY)
    return REGISTRY[name]


def upstream_path(source: Source, data_dir: str | Path | None = None) -> Path:
    """Where a fetched file of this source lies below the data folder."""
    return paths.data_dir(data_dir) / "upstream" / source.path


def mirror_path(source: Source) -> Path | None:
    """Where it lies in the mirror, or None when no mirror is set or the file does not come from one."""
    mirror = os.environ.get(paths.MIRROR_VARIABLE)
    return Path(mirror).expanduser() / source.path if mirror and not source.package else None


def _installed_path(source: Source) -> Path | None:
    try:
        path = Path(str(importlib.metadata.distribution(source.package).locate_file(source.path)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.exists() else None


def status(source: Source, data_dir: str | Path | None = None) -> SourceStatus:
    """Whether the file is here and where; its content is not looked at."""
    if source.package:
        path = _installed_path(source)
        return SourceStatus(source, "installed" if path else "missing", path)
    if (path := upstream_path(source, data_dir)).exists():
        return SourceStatus(source, "present", path)
    if (path := mirror_path(source)) and path.exists():
        return SourceStatus(source, "in mirror", path)
    return SourceStatus(source, "missing", None)


def list_sources(data_dir: str | Path | None = None) -> list[SourceStatus]:
    """State of every registered source, in the order of the registry."""
    return [status(source, data_dir) for source in REGISTRY.values()]


def locate(source: Source, data_dir: str | Path | None = None) -> Path:
    """Path of the file, not yet verified.

    Raises:
        MissingDataError: it is not here; the message says what it is, its address, size, digest and the remedy.
    """
    path = status(source, data_dir).location
    if path is None:
        raise MissingDataError(f"{describe(source)}; to get it: {source.remedy}")
    return path


def describe(source: Source) -> str:
    """One clause for messages: file, what it is, address, size, digest."""
    return f"{source.path} is missing ({source.what}; {source.address}; {source.size}; {source.digest})"


def matches(source: Source, path: Path) -> bool | None:
    """Whether the content of `path` has the registered digest; None when none is published or it is a folder."""
    if path.is_dir() or not (source.sha256 or source.md5_prefix):
        return None
    with path.open("rb") as file:
        if source.sha256:
            return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
        return hashlib.file_digest(file, "md5").hexdigest().startswith(source.md5_prefix)


def verified_path(name: str, data_dir: str | Path | None = None) -> Path:
    """Path of a file whose digest has just been checked (where one is published).

    Raises:
        MissingDataError: the file is not here.
        DigestError: its content is not what was registered.
        DataError: it cannot be read.
    """
    source = get_source(name)
    path = locate(source, data_dir)
    try:
        good = matches(source, path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if good is False:
        raise _mismatch(source, path)
    return path


def verified_bytes(name: str, data_dir: str | Path | None = None) -> bytes:
    """Content of a file, the very bytes whose digest matched. Raises like :func:`verified_path`."""
    source = get_source(name)
    path = locate(source, data_dir)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise _mismatch(source, path)
    return content


def _mismatch(source: Source, path: Path) -> DigestError:
    return DigestError(f"{path} does not have the registered digest ({source.digest}); delete it, then: "
                       f"{source.remedy}")
