"""The verdicts on a page's own claims, from the numbers that the page has just found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from a2v_core.claims.evaluation import Outcome, evaluate, unit_of
from a2v_core.claims.pages import folded, ours, verdict_words
from a2v_core.claims.register import Register
from a2v_core.claims.rules import CANNOT_BE_RUN, NOT_YET_RUN, VERDICTS, with_unit
from a2v_core.claims.values import Values, page_values

if TYPE_CHECKING:
    from IPython.display import HTML

#: Tables of so many rows are folded: their counts say enough for a first reading.
FOLDED_FROM = 16


def verdict_table(content: dict[str, Any], register: Register, profile: str, subjects: Sequence[str]) -> HTML:
    """Counts and a table: verdict, claim with its reason, the paper's number and ours with its interval. Claims without
    a result stand in the counts alone.

    Args:
        content: of the page, as :meth:`a2v_core.results.Page.as_dict` has it.
        register: the claims.
        profile: of the page.
        subjects: first parts of the identities of the claims that the page is about.
    """
    from IPython.display import HTML

    outcomes = [outcome for outcome in evaluate(register, Values(page_values(content)), profile)
                if outcome.id.split("/")[0] in subjects]
    units = {claim.id: unit_of(claim) for claim in register.claims}
    judged = [o for o in outcomes if o.verdict not in (NOT_YET_RUN, CANNOT_BE_RUN)]
    counts = Counter(o.verdict for o in outcomes)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    parts = [f"<p>Claims by verdict: {said}.</p>"] if outcomes else []
    if judged:
        table = _table(judged, units)
        parts.append(f"<details><summary>All {len(judged)} claims that were judged</summary>{table}</details>"
                     if len(judged) >= FOLDED_FROM else table)
    return HTML("\n".join(parts))


def _table(outcomes: Sequence[Outcome], units: dict[str, str]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("verdict", "claim", "paper", "ours"))
    rows = "\n".join(_row(outcome, units[outcome.id]) for outcome in outcomes)
    return f'<table class="dataframe verdicts"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'


def _row(outcome: Outcome, unit: str) -> str:
    cells = (verdict_words(outcome.verdict), escape(outcome.statement) + folded(escape(outcome.because)),
             escape(with_unit(outcome.paper, unit)), ours(outcome, escape(unit)))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
