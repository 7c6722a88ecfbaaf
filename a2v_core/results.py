"""The numbers of a page, as a file that other pages and the claims register read.

A notebook collects its numbers in a :class:`Page` and saves them beside its executed copy; whoever reads them
uses :func:`load_results`. Both ends check the file against one schema, so a number without a unit, a repeated
identity or a NaN is noticed where it arises.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from a2v_core.artifacts import write_atomically
from a2v_core.errors import SettingsError, StudyError

if TYPE_CHECKING:
    from a2v_core.stats import Estimate

#: Scales at which a page can be computed: seconds (tests), minutes (two cores), the scale of the paper.
PROFILES = ("smoke", "quick", "full")

#: First part of every identity: the table, figure or observation of the paper, or the page, that a number is about.
SUBJECTS = (
    *(f"table{i}" for i in range(1, 6)),
    *(f"obs{i}" for i in range(1, 6)),
    *(f"fig{i}" for i in range(1, 14)),
    "footnote1",
    "spaces",
    "encodings",
    "pretraining",
    "beyond",
)

ID_PATTERN = rf"^({'|'.join(SUBJECTS)})(/[A-Za-z0-9][A-Za-z0-9_.+-]*)+$"

_NUMBER_OR_NULL = {"type": ["number", "null"]}
_VALUE = {
    "type": "object",
    "required": ["id", "value", "low", "high", "n", "unit", "recipe", "definition"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": ID_PATTERN},
        "value": _NUMBER_OR_NULL,
        "low": _NUMBER_OR_NULL,
        "high": _NUMBER_OR_NULL,
        "n": {"type": "integer", "minimum": 0},
        "unit": {"type": "string"},
        "recipe": {"type": "string"},
        "definition": {"type": "string"},
    },
}

#: JSON schema of a results file. `provenance.data` is there from the start; the study adds the rest.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["notebook", "profile", "provenance", "values"],
    "additionalProperties": False,
    "properties": {
        "notebook": {"type": "string", "pattern": "^[A-Za-z0-9_]+$"},
        "profile": {"enum": list(PROFILES)},
        "provenance": {
            "type": "object",
            "required": ["data"],
            "properties": {"data": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}},
        },
        "values": {"type": "array", "items": _VALUE},
    },
}


_T = TypeVar("_T")


def check_profile(profile: str) -> None:
    """Raise SettingsError unless `profile` is one of :data:`PROFILES`."""
    if profile not in PROFILES:
        raise SettingsError(f"profile {profile!r} is unknown: choose one of {', '.join(PROFILES)}")


def of_profile(by_profile: Mapping[str, _T], profile: str) -> _T:
    """The entry of a profile. Raises SettingsError when the profile is unknown."""
    check_profile(profile)
    return by_profile[profile]


class Page:
    """Collects the numbers of one page.

    Args:
        notebook: name of the notebook, without its ending.
        profile: one of :data:`PROFILES`.

    Raises:
        SettingsError: the name or the profile is not acceptable.
    """

    def __init__(self, notebook: str, profile: str) -> None:
        check_profile(profile)
        if not re.fullmatch(r"[A-Za-z0-9_]+", notebook):
            raise SettingsError(f"notebook {notebook!r} is not a name: give it without folder and without ending")
        self.notebook = notebook
        self.profile = profile
        self._values: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._data: dict[str, str | None] = {}

    def add(
        self,
        id: str,
        value: Real | None,
        *,
        low: Real | None = None,
        high: Real | None = None,
        n: int = 1,
        unit: str = "",
        recipe: str = "",
        definition: str = "",
    ) -> None:
        """Record one number.

        Args:
            id: what it is about: a subject of :data:`SUBJECTS`, then parts after slashes, for example
                ``table1/nasbench101/arch2vec/accuracy``.
            value: the number; None where it could not be computed.
            low, high: ends of its interval; None where there is none.
            n: number of independent runs or seeds behind it.
            unit: "%", "s", …; empty for a pure number.
            recipe, definition: which settings and which reading of the measure made it; empty where there is one only.

        Raises:
            StudyError: the number is not finite, its interval is reversed, its identity is malformed, or the same
                identity, recipe and definition were recorded before.
        """
        entry = {"id": id, "value": _plain(id, value), "low": _plain(id, low), "high": _plain(id, high), "n": int(n),
                 "unit": unit, "recipe": recipe, "definition": definition}
        _check_value(entry)
        key = (id, recipe, definition)
        if key in self._values:
            raise StudyError(f"{id!r} (recipe {recipe!r}, definition {definition!r}) is recorded twice: "
                             "give each number its own identity")
        self._values[key] = entry

    def add_estimate(self, id: str, found: Estimate | None, **options: Any) -> None:
        """:meth:`add` of an estimate: its interval is left out where it has none (one run, or ends that are NaN). None
        stands for a number that could not be computed, of no run."""
        if found is None:
            self.add(id, None, n=0, **options)
            return
        ends = {"low": found.low, "high": found.high} if found.n > 1 and math.isfinite(found.low) else {}
        self.add(id, found.value, **ends, n=found.n, **options)

    def add_data(self, name: str, digest: str | None) -> None:
        """Record that the page used the table or source `name` with this SHA-256; None when it was not there."""
        if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise StudyError(f"data {name!r}: {digest!r} is not a SHA-256 digest (64 hexadecimal digits)")
        self._data[name] = digest

    def as_dict(self) -> dict[str, Any]:
        """The content of the results file, with the peak memory of this process as its only machine fact."""
        provenance = {"data": dict(sorted(self._data.items())), "peak_memory_mb": peak_memory_mb()}
        return {"notebook": self.notebook, "profile": self.profile, "provenance": provenance,
                "values": list(self._values.values())}

    def save(self, results_path: str | Path) -> None:
        """Write the results file; without a path (a reader's own run of the notebook) do nothing.

        Raises:
            StudyError: the content does not fit the schema.
            ArtifactError: the file cannot be written.
        """
        if results_path:
            write_results(Path(results_path), self.as_dict())


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Check `content` and write it to `path`, whole or not at all.

    Raises:
        StudyError: the content does not fit the schema; `path` is untouched.
        ArtifactError: the file cannot be written.
    """
    check_results(content, str(path))
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def load_results(path: str | Path) -> dict[str, Any]:
    """Read and check a results file.

    Raises:
        StudyError: the file is missing, is not JSON, or does not fit the schema.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path} is not there: compute it with `python -m a2v_core study run {path.stem}`") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is not a results file ({error}): compute the page again") from error
    check_results(content, str(path))
    return content


def check_results(content: Any, where: str) -> None:
    """Raise StudyError, naming `where` and the first fault, unless `content` is a results file."""
    import jsonschema

    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(SCHEMA).iter_errors(content))
    if fault is not None:
        place = "/".join(map(str, fault.absolute_path)) or "top level"
        raise StudyError(f"{where}: not a results file at {place}: {fault.message[:300]}")
    seen = set()
    for entry in content["values"]:
        try:
            _check_value(entry)
        except StudyError as error:
            raise StudyError(f"{where}: {error}") from error
        key = (entry["id"], entry["recipe"], entry["definition"])
        if key in seen:
            raise StudyError(f"{where}: {key[0]!r} (recipe {key[1]!r}, definition {key[2]!r}) occurs twice")
        seen.add(key)


def peak_memory_mb() -> int:
    """Largest resident memory of this process so far, in MB (10^6 bytes); worker processes are not counted."""
    import resource

    try:
        # The counter of this program; getrusage would also report the peak of the process that started it.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return round(int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) * 1024 / 1e6)
    except (OSError, AttributeError):
        unit = 1 if sys.platform == "darwin" else 1024
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _plain(id: str, number: Any) -> float | int | None:
    """A number as JSON knows it: NumPy scalars and one-element arrays or tensors become Python's."""
    if number is None:
        return None
    if hasattr(number, "item"):
        try:
            number = number.item()
        except (ValueError, RuntimeError):
            raise StudyError(f"{id!r}: got an array of shape {tuple(number.shape)}: pass one number") from None
    if isinstance(number, bool) or not isinstance(number, Real):
        raise StudyError(f"{id!r}: {number!r} is not a number: pass a float, an int or None")
    return number if isinstance(number, int) else float(number)


def _check_value(entry: dict[str, Any]) -> None:
    id = entry["id"]
    if not isinstance(id, str) or not re.fullmatch(ID_PATTERN, id):
        raise StudyError(f"{id!r} is not an identity: begin with one of {', '.join(SUBJECTS)}, then parts after '/'")
    for field in ("value", "low", "high"):
        if entry[field] is not None and not math.isfinite(entry[field]):
            raise StudyError(f"{id!r}: {field} is {entry[field]}: record a finite number, or None where there is none")
    if entry["low"] is not None and entry["high"] is not None and entry["low"] > entry["high"]:
        raise StudyError(f"{id!r}: the interval [{entry['low']}, {entry['high']}] is reversed")
    if entry["n"] < 0:
        raise StudyError(f"{id!r}: n is {entry['n']}: the number of runs cannot be negative")
