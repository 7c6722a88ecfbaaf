"""Genotypes as files: what a search found, for the training command (``python -m a2v_core darts train FILE``).

A file is JSON with the text form of the genotype under "genotype" and, under "origin", where it comes from in words and
numbers. A file that holds the text form alone is read as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a2v_core import paths
from a2v_core.artifacts import write_atomically
from a2v_core.errors import DataError, MissingDataError
from a2v_core.spaces.darts_genotypes import Genotype, NetworkGenotype, parse_genotype


def genotype_path(name: str, data_dir: str | Path | None = None) -> Path:
    """Where the genotype of that name lies in the data folder."""
    return paths.data_dir(data_dir) / "genotypes" / f"{name}.json"


def save_genotype(path: Path, genotype: Genotype | NetworkGenotype, origin: Mapping[str, Any]) -> None:
    """Write a genotype; the same content gives the same bytes.

    Args:
        origin: where it comes from, JSON-able.

    Raises:
        ArtifactError: the file cannot be written.
    """
    content = {"genotype": str(genotype), "origin": dict(origin)}
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_genotype_file(path: Path) -> NetworkGenotype:
    """The genotype that a file holds.

    Raises:
        MissingDataError: there is no such file.
        DataError: it cannot be read, or is JSON without a genotype.
        SpaceError: its genotype is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingDataError(f"genotype file {path} does not exist: run the page table4_darts, which writes such "
                               "files, or write the text Genotype(normal=[…], …) into one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the genotype file {path} cannot be read: {error}") from error
    if not text.lstrip().startswith("{"):
        return parse_genotype(text)
    try:
        found = json.loads(text)["genotype"]
    except (ValueError, KeyError) as error:
        raise DataError(f"the genotype file {path} is damaged or has no entry \"genotype\" ({error}): restore it, or "
                        "write it anew") from error
    if not isinstance(found, str):
        raise DataError(f"the genotype file {path} has {found!r} as \"genotype\": the text Genotype(…) is needed")
    return parse_genotype(found)
