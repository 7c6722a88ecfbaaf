"""The verdict on every claim of a register from the results of one profile."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from a2v_core.claims.register import Claim, Register
from a2v_core.claims.rules import CANNOT_BE_RUN, NOT_YET_RUN, AllOf, Judgement, Order, show
from a2v_core.claims.values import Values, load_values


@dataclass(frozen=True)
class Outcome:
    """What the study says on one claim; `ours` with `low` and `high` is the number that decided, None where several
    did. For an order it is a difference, and `paper` is the same difference where the paper prints both numbers."""

    id: str
    where: str
    statement: str
    paper: float | str | None
    ours: float | None
    low: float | None
    high: float | None
    verdict: str
    because: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(register: Register, results: str | Path | Values, profile: str = "full") -> list[Outcome]:
    """One outcome for each claim, in the order of the register.

    Args:
        register: the claims.
        results: the folder of results files, or the values themselves.
        profile: results of another profile are left out.

    Raises:
        StudyError: a results file is damaged, or a number is there twice.
    """
    values = results if isinstance(results, Values) else load_values(Path(results), profile)
    papers = {claim.id: claim.paper for claim in register.claims}
    found: dict[str, Outcome] = {}

    def judge(claim: Claim) -> Outcome:
        if claim.id not in found:
            if isinstance(claim.rule, AllOf):
                parts = [judge(by_id[id]).verdict for id in register.parts(claim)]
                judgement = claim.rule.judge(parts)
            else:
                judgement = claim.rule.judge(claim.paper, values) or _absent(claim, profile)
            found[claim.id] = _outcome(claim, judgement, papers)
        return found[claim.id]

    by_id = {claim.id: claim for claim in register.claims}
    return [judge(claim) for claim in register.claims]


def unit_of(claim: Claim) -> str:
    """Unit of the numbers of an outcome: the claim's, but a difference of percentages is in points."""
    return "points" if isinstance(claim.rule, Order) and claim.unit == "%" else claim.unit


def waiting(needs: str, profile: str) -> str:
    """The sentence on a claim without a result."""
    return f"No result at profile {profile} yet. Needs {needs}."


def _absent(claim: Claim, profile: str) -> Judgement:
    if claim.beyond_reach:
        return Judgement(CANNOT_BE_RUN, f"Needs {claim.needs}.")
    return Judgement(NOT_YET_RUN, waiting(claim.needs, profile))


def _outcome(claim: Claim, judgement: Judgement, papers: dict[str, float | str | None]) -> Outcome:
    paper, remarks = claim.paper, [judgement.because]
    if isinstance(claim.rule, Order):
        difference = claim.rule.paper_difference(papers)
        paper = difference if paper is None else paper
        forward = 1 if claim.rule.direction == "greater" else -1
        if difference is not None and forward * difference <= -claim.rule.margin:
            remarks.append(f"The paper's own numbers do not show it: their difference is {show(difference)}.")
    if claim.note:
        remarks.append(f"On the paper: {claim.note}")
    return Outcome(claim.id, claim.where, claim.statement, paper, judgement.ours, judgement.low, judgement.high,
                   judgement.verdict, " ".join(remarks))
