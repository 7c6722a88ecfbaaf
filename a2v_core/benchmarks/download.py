"""Bring upstream files into the data folder: by download (resumable) or from the local mirror, digest checked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2v_core import paths
from a2v_core.benchmarks.sources import (
    REGISTRY,
    Source,
    SourceStatus,
    get_source,
    locate,
    matches,
    mirror_path,
    status,
    unknown_name,
    upstream_path,
)
from a2v_core.benchmarks.tables import TABLES
from a2v_core.errors import DigestError, FetchError

#: Bytes read at a time; at most so many are lost when a download breaks off.
CHUNK = 1 << 15
#: How often a download that breaks off, but has got further, is taken up again within one call.
RESUMPTIONS = 5
#: Seconds to wait for a connection and between two pieces of an answer.
TIMEOUT = (15.0, 60.0)


@dataclass(frozen=True)
class FetchResult:
    """What became of one source; `state` is fetched, present (it already was here) or installed (by pip)."""

    source: Source
    state: str
    path: Path

    def __str__(self) -> str:
        return f"{self.source.name:<28} {self.state:<10} {self.path}"


def resolve(names: Sequence[str] | None) -> list[Source]:
    """Sources by name; the name of a table stands for the sources it is made of when nothing official is at hand.
    None stands for every source that is not optional.

    Raises:
        SettingsError: a name is neither a source nor a table.
    """
    if names is None:
        return [source for source in REGISTRY.values() if not source.optional]
    found: dict[str, Source] = {}
    for name in names:
        if name in TABLES:
            found.update((source, get_source(source)) for source in TABLES[name].variants[-1].sources)
        elif name in REGISTRY:
            found[name] = get_source(name)
        else:
            raise unknown_name("source or table", name, [*REGISTRY, *TABLES])
    return list(found.values())


def fetch(names: Sequence[str] | None = None, data_dir: str | Path | None = None,
          progress: bool = True) -> list[FetchResult]:
    """Make sure that upstream files are in the data folder with the registered content.

    A download that breaks off leaves ``<file>.part``, which the next call takes up; a file appears under its own
    name only after its digest matched, and what was there before stays until then. With ``$A2V_DATA_MIRROR`` set
    the files are copied from that folder and nothing is downloaded.

    Args:
        names: names of sources or tables; None for every source that is not optional.
        data_dir: the data folder; see :func:`a2v_core.paths.data_dir`.
        progress: show a bar (on a terminal only).

    Raises:
        SettingsError: unknown name.
        FetchError: the server refused, could not be reached or broke off, or the file cannot be written.
        DigestError: what came is not what was registered.
        MissingDataError: the file comes with a package that is not installed, or has to be downloaded by hand.
    """
    return [_fetch_one(source, paths.data_dir(data_dir), progress) for source in resolve(names)]


def verify(names: Sequence[str] | None = None, data_dir: str | Path | None = None) -> list[SourceStatus]:
    """Check the content of the upstream files that are here (data folder, mirror or installed package).

    Returns:
        one status for each source, its state ok, damaged, unchecked (no digest is published) or missing.

    Raises:
        SettingsError: unknown name.
    """
    sources = list(REGISTRY.values()) if names is None else resolve(names)
    return [_verified(status(source, data_dir)) for source in sources]


def _verified(found: SourceStatus) -> SourceStatus:
    if found.location is None:
        return found
    try:
        state = {True: "ok", False: "damaged", None: "unchecked"}[matches(found.source, found.location)]
    except OSError:
        state = "damaged"
    return SourceStatus(found.source, state, found.location)


def _fetch_one(source: Source, root: Path, progress: bool) -> FetchResult:
    if source.package:
        return FetchResult(source, "installed", locate(source, root))
    target = upstream_path(source, root)
    mirrored = mirror_path(source)
    if source.page:  # put there by hand, in the data folder or in the mirror
        return FetchResult(source, "present", locate(source, root))
    try:
        if target.exists() and matches(source, target) is not False:
            return FetchResult(source, "present", target)
        _retrieve(source, root, Copier(mirrored) if mirrored else Downloader(source, target, progress))
    except OSError as error:
        raise FetchError(f"cannot write {target}: {error.strerror or error}; free space or choose another data "
                         "folder, nothing that was there is lost") from error
    return FetchResult(source, "fetched", target)


def _retrieve(source: Source, root: Path, downloader: Any) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    address = source.url
    store = pooch.create(path=root / "upstream", base_url="", registry={source.path: f"sha256:{source.sha256}"},
                         urls={source.path: address})
    by_hand = f"or put the file by hand at {upstream_path(source, root)} ({source.size}, {source.digest})"
    try:
        store.fetch(source.path, downloader=downloader)
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        raise FetchError(f"{address} answered {answer}: try again later, {by_hand}") from error
    except requests.RequestException as error:
        raise FetchError(f"{address} could not be read ({type(error).__name__}): check the network and run the command "
                         f"again, it goes on where it stopped; {by_hand}") from error
    except ValueError as error:
        raise DigestError(f"what came from {downloader.origin(address)} is not {source.path} as registered "
                          f"({source.size}, {source.digest}); it was thrown away") from error


class Copier:
    """A pooch downloader that copies from the mirror.

    Raises:
        FetchError: the mirror has no such file, or it cannot be read.
    """

    def __init__(self, mirrored: Path) -> None:
        self.mirrored = mirrored

    def origin(self, address: str) -> str:
        return f"{self.mirrored} (the mirror of {address})"

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        try:
            source = self.mirrored.open("rb")
        except OSError as error:
            raise FetchError(f"the mirror has no readable {self.mirrored} ({error.strerror}); correct or unset "
                             f"{paths.MIRROR_VARIABLE}") from error
        with source, open(output_file, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK)


class Downloader:
    """A pooch downloader that keeps what it has got in ``<file>.part`` and goes on from there.

    Args:
        source: what is downloaded; its exact size, where known, tells a complete file from a part.
        target: the final path, beside which the part lies.
        progress: show a bar (on a terminal only).

    Raises:
        requests.RequestException: the server refused, could not be reached or broke off without getting further.
        OSError: the part cannot be written.
    """

    def __init__(self, source: Source, target: Path, progress: bool) -> None:
        self.expected = None if source.about else source.bytes
        self.part = target.with_name(target.name + ".part")
        self.label = target.name
        self.progress = progress

    def origin(self, address: str) -> str:
        return address

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        import requests

        for remaining in reversed(range(RESUMPTIONS + 1)):
            before = self._have()
            try:
                complete = self._stream(url, before)
                problem: Exception = requests.ConnectionError(f"{url} ended after {self._have()} bytes")
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                complete, problem = False, error
            if complete:
                break
            if self._have() <= before or not remaining:
                raise problem
        self.part.replace(output_file)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _stream(self, url: str, have: int) -> bool:
        """Get the bytes from `have` on; whether the file is then complete."""
        import requests
        from tqdm import tqdm

        if self.expected is not None and have >= self.expected:
            if have == self.expected:
                return True
            self.part.unlink()
            have = 0
        # A compressed answer would make the offsets of a range meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            content_range = answer.headers.get("Content-Range", "")
            if have and answer.status_code == 416:  # nothing after `have`: complete, or not the same file any more
                if content_range == f"bytes */{have}":
                    return True
                self.part.unlink()
                return self._stream(url, 0)
            answer.raise_for_status()
            resumed = answer.status_code == 206 and re.match(rf"bytes {have}-", content_range)
            if not resumed:
                have = 0
            total = have + int(answer.headers.get("Content-Length", 0)) or None
            with self.part.open("ab" if resumed else "wb") as file, tqdm(
                    total=total, initial=have, unit="B", unit_scale=True, desc=self.label,
                    disable=None if self.progress else True) as bar:
                for piece in answer.iter_content(CHUNK):
                    file.write(piece)
                    bar.update(len(piece))
        return self.expected is None or self._have() >= self.expected
