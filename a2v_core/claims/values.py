"""The numbers of all pages of one profile, found by identity, recipe and definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2v_core.errors import StudyError
from a2v_core.results import PROFILES, load_results

#: The file among the results that holds the verdicts; it is an output here, not an input.
CLAIMS_FILE = "claims.json"


@dataclass(frozen=True)
class Arm:
    """One way to get a number: the recipe of the model and the definition of the measure."""

    recipe: str
    definition: str

    def __str__(self) -> str:
        recipe = f"recipe {self.recipe}" if self.recipe else ""
        definition = {"": "", "exact": "as the paper defines it", "released": "as the released code measures"}.get(
            self.definition, f"definition {self.definition}"
        )
        return ", ".join(filter(None, (recipe, definition)))


@dataclass(frozen=True)
class Measured:
    """One number of a page with its interval (None where there is none) and the number of runs behind it."""

    id: str
    value: float
    low: float | None
    high: float | None
    n: int
    recipe: str = ""
    definition: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


class Values:
    """Numbers by identity.

    Args:
        measured: the numbers, each identity, recipe and definition once.

    Raises:
        StudyError: a number is there twice.
    """

    def __init__(self, measured: Iterable[Measured] = ()) -> None:
        self._by_id: dict[str, dict[Arm, Measured]] = {}
        for entry in measured:
            arms = self._by_id.setdefault(entry.id, {})
            arm = Arm(entry.recipe, entry.definition)
            if arm in arms:
                raise StudyError(f"{entry.id!r} ({arm or 'one arm'}) is in two results files: keep it on one page")
            arms[arm] = entry

    def find(self, id: str, arm: Arm) -> Measured | None:
        """The number of this arm. A number recorded without recipe (or definition) serves every recipe (or
        definition): a random search has no recipe, a count of cells has one definition."""
        arms = self._by_id.get(id, {})
        for recipe in (arm.recipe, ""):
            for definition in (arm.definition, ""):
                if found := arms.get(Arm(recipe, definition)):
                    return found
        return None

    def arms(self, ids: Iterable[str]) -> list[Arm]:
        """Every arm under which one of the identities was recorded, in order of first appearance."""
        return list(dict.fromkeys(arm for id in ids for arm in self._by_id.get(id, {})))


def load_values(results: Path, profile: str = "full", more: Iterable[Measured] = ()) -> Values:
    """All numbers of the results files in `results` that were computed at `profile`, and `more`; others are left out.

    Raises:
        StudyError: the profile is unknown, a file is not a results file, or two files hold the same number.
    """
    if profile not in PROFILES:
        raise StudyError(f"profile {profile!r} is unknown: choose one of {', '.join(PROFILES)}")
    measured = [*more]
    for path in sorted(results.glob("*.json")):
        if path.name == CLAIMS_FILE:
            continue
        page = load_results(path)
        if page["profile"] == profile:
            measured += page_values(page)
    return Values(measured)


def page_values(content: dict[str, Any]) -> list[Measured]:
    """The numbers of one results file (or of :meth:`a2v_core.results.Page.as_dict`); null values are left out."""
    return [
        Measured(**{key: entry[key] for key in ("id", "value", "low", "high", "n", "recipe", "definition")})
        for entry in content["values"]
        if entry["value"] is not None
    ]
