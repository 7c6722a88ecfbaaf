"""``book/claims.toml``: every quantitative or comparative claim of the paper, with the rule of its verdict.

The file holds ``[[section]]`` (subjects with their title and page), ``[[claim]]`` (one claim) and ``[[grid]]``: a table
of claims that differ in a few words, written as the paper prints it. ``{method}`` in a grid stands for the key of an
axis, ``{method_label}`` for the entry of that key in ``[words.method_label]``; ``paper`` is nested lists in the order
of the axes, with ``"-"`` for a cell that the paper leaves empty. ``[notes]`` adds a remark on the paper to single
claims of a grid. Claims stand before grids within a section.
"""

from __future__ import annotations

import itertools
import re
import string
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from a2v_core.claims.rules import AllOf, AnyRule, Equals, Order, Within
from a2v_core.errors import StudyError
from a2v_core.results import ID_PATTERN

#: Rules that read one number and take it, unless told otherwise, from the result of the claim's own identity.
_ONE_RESULT = ("equals", "within", "bound")


class Section(BaseModel):
    """A group of claims: those whose identity begins with one of `subjects`.

    `page` is the page of the book that shows the results, `needs` what a claim needs unless it says otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    subjects: tuple[str, ...] = Field(min_length=1)
    title: str = Field(min_length=1)
    page: str = Field(min_length=1)
    needs: str = Field(min_length=1)


class Claim(BaseModel):
    """One claim of the paper.

    `where` is the place in the paper; `paper` its value where there is one; `needs` what a result takes;
    `beyond_reach` marks what two cores cannot compute (a result from elsewhere is judged all the same); `note` is a
    remark on the paper itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    id: str = Field(pattern=r"^[a-z0-9]+(/[a-z0-9_]+)+$")
    where: str = Field(min_length=1)
    statement: str = Field(min_length=10)
    paper: int | float | str | None = None
    unit: str = ""
    rule: AnyRule
    needs: str = Field(min_length=1)
    beyond_reach: bool = False
    note: str = ""

    @model_validator(mode="after")
    def _paper_is_a_number(self) -> Claim:
        if isinstance(self.rule, Equals | Within) and not isinstance(self.paper, int | float):
            raise ValueError(f"a rule {self.rule.kind!r} compares with a number, so paper must be one")
        return self

    @property
    def subject(self) -> str:
        return self.id.partition("/")[0]


class Register(BaseModel):
    """All claims in the order of the file, and their sections."""

    model_config = ConfigDict(frozen=True)
    sections: tuple[Section, ...]
    claims: tuple[Claim, ...]

    def of_section(self, section: Section) -> list[Claim]:
        return [claim for claim in self.claims if claim.subject in section.subjects]

    def parts(self, claim: Claim) -> list[str]:
        """Identities of the claims that an ``all_of`` claim is made of, each once."""
        ids = [other.id for other in self.claims if other.id != claim.id]
        return list(dict.fromkeys(id for name in claim.rule.claims for id in ids if fnmatchcase(id, name)))


def load_register(path: str | Path) -> Register:
    """Read and check the register.

    Raises:
        StudyError: the file is missing or not TOML, or an entry is incomplete; the message names claim and field.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"{path} cannot be read as the claims register: {error}") from error
    if unknown := set(content) - {"section", "claim", "grid", "words", "notes"}:
        raise StudyError(f"{path}: unknown part {sorted(unknown)[0]!r}: use section, words, claim, grid and notes")
    sections = tuple(_checked(Section, entry, entry.get("title", "?"), path) for entry in content.get("section", []))
    needs = {subject: section.needs for section in sections for subject in section.subjects}
    entries = list(content.get("claim", []))
    for grid in content.get("grid", []):
        entries += _expand(grid, content.get("words", {}), path)
    notes = content.get("notes", {})
    if unknown := set(notes) - {entry.get("id") for entry in entries}:
        raise StudyError(f"{path}: notes: {sorted(unknown)[0]!r} is no claim")
    entries = [{**entry, "note": notes[entry["id"]]} if entry.get("id") in notes else entry for entry in entries]
    register = Register(sections=sections, claims=tuple(_claim(entry, needs, path) for entry in entries))
    _check(register, path)
    return register


def _claim(entry: dict[str, Any], needs: dict[str, str], path: Path) -> Claim:
    id = entry.get("id", "")
    subject = str(id).partition("/")[0]
    if subject not in needs:
        raise StudyError(f"{path}: claim {id or entry.get('statement', '?')!r}: field id: {subject!r} is of no "
                         f"section: choose one of {', '.join(needs)}")
    entry = {"needs": needs[subject], **entry}
    if isinstance(entry.get("rule"), dict) and entry["rule"].get("kind") in _ONE_RESULT:
        entry["rule"] = {"result": id, **entry["rule"]}
    return _checked(Claim, entry, id, path)


def _checked(model: type[BaseModel], entry: dict[str, Any], name: str, path: Path) -> Any:
    try:
        return model.model_validate(entry, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in _ONE_RESULT) or "entry"
        raise StudyError(f"{path}: claim {name!r}: field {field}: {first['msg']}") from None


def _expand(grid: dict[str, Any], words: dict[str, dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """The claims of a grid, one for each cell of its axes that the paper fills."""
    grid = dict(grid)
    name, axes = grid.get("id", "?"), grid.pop("axes", None)
    if not isinstance(axes, dict) or not axes:
        raise StudyError(f"{path}: grid {name!r}: field axes is missing: name the axes with their keys")
    cells = list(itertools.product(*axes.values()))
    papers = _flat(grid.pop("paper")) if "paper" in grid else [None] * len(cells)
    if len(papers) != len(cells):
        raise StudyError(f"{path}: grid {name!r}: field paper has {len(papers)} values for {len(cells)} cells")
    entries = []
    for keys, paper in zip(cells, papers, strict=True):
        if paper == "-":
            continue
        chosen = dict(zip(axes, keys, strict=True))
        for axis, key in list(chosen.items()):
            chosen |= {table: meanings[key] for table, meanings in words.items()
                       if table.rpartition("_")[0] == axis and key in meanings}
        try:
            entry = _fill(grid, chosen)
        except KeyError as error:
            raise StudyError(f"{path}: grid {name!r}: {error} is no axis, nor a word of {'/'.join(keys)} under "
                             "[words]") from None
        entries.append(entry if paper is None else {**entry, "paper": paper})
    return entries


def _flat(nested: Any) -> list[Any]:
    return [leaf for branch in nested for leaf in _flat(branch)] if isinstance(nested, list) else [nested]


def _fill(template: Any, words: dict[str, Any]) -> Any:
    """`template` with the words put into every text of it."""
    if isinstance(template, str):
        return string.Formatter().vformat(template, (), words)
    if isinstance(template, list):
        return [_fill(part, words) for part in template]
    if isinstance(template, dict):
        return {key: _fill(part, words) for key, part in template.items()}
    return template


def _check(register: Register, path: Path) -> None:
    """Identities are unique, every section has claims, orders compare different things, combinations end."""
    ids = [claim.id for claim in register.claims]
    for id in ids:
        if ids.count(id) > 1:
            raise StudyError(f"{path}: claim {id!r}: field id occurs twice")
    for section in register.sections:
        if not register.of_section(section):
            raise StudyError(f"{path}: section {section.title!r}: field subjects matches no claim")
    combined = {claim.id: claim for claim in register.claims if isinstance(claim.rule, AllOf)}
    for claim in register.claims:
        for id in () if isinstance(claim.rule, AllOf) else claim.rule.results():
            if not re.fullmatch(ID_PATTERN, id):
                raise StudyError(f"{path}: claim {claim.id!r}: field rule: {id!r} cannot be the identity of a result")
        if isinstance(claim.rule, Order) and claim.rule.of in claim.rule.than:
            raise StudyError(f"{path}: claim {claim.id!r}: field rule.than compares {claim.rule.of!r} with itself")
    for claim in combined.values():
        for name in claim.rule.claims:
            if not any(fnmatchcase(id, name) for id in ids if id != claim.id):
                raise StudyError(f"{path}: claim {claim.id!r}: field rule.claims: {name!r} matches no claim")

    def descend(id: str, above: tuple[str, ...]) -> None:
        if id in above:
            raise StudyError(f"{path}: claim {id!r}: field rule.claims: it is a part of itself, through {above[-1]!r}")
        for part in register.parts(combined[id]) if id in combined else ():
            descend(part, (*above, id))

    for id in combined:
        descend(id, ())
