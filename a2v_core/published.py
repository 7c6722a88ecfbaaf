"""Files under version control that hold results: checked against the list of their digests.

Each folder has a ``SHA256SUMS`` in the form of the tool ``sha256sum`` (``sha256sum -c SHA256SUMS`` checks it by hand).
A file that differs from it is an error and is not made again in silence, since numbers of the book came from it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from a2v_core.errors import ArtifactError

#: Name of the list.
DIGESTS = "SHA256SUMS"


def listed(folder: Path) -> bytes:
    """Content of the list for the files that `folder` has now."""
    paths = [path for path in sorted(folder.glob("*/*")) if path.is_file() and not path.name.startswith(".")]
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
                   for path in paths).encode()


@cache
def checked(folder: Path) -> Path:
    """`folder`, once its files were compared with its list; a process compares once. Files that are not listed, and
    listed ones that are not there, are no error: a user may add and remove results.

    Raises:
        ArtifactError: a file cannot be read or differs from what is listed, or the list is no such list.
    """
    try:
        lines = (folder / DIGESTS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return folder
    for line in lines:
        digest, separator, name = line.partition("  ")
        if not (separator and len(digest) == 64):
            raise ArtifactError(f"{folder / DIGESTS} is damaged (line {line!r}): restore it")
        path = folder / name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ArtifactError(f"{path} is damaged ({error}): restore it") from error
        if found != digest:
            raise ArtifactError(f"{path} is damaged (its digest is not the one in {DIGESTS}): restore it, or delete it "
                                "and it will be computed again")
    return folder
