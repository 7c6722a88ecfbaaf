"""Text written by hand whose numbers come from the results: a placeholder names a number, the page has its value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from a2v_core.claims.evaluation import Outcome
from a2v_core.claims.rules import NOT_REPRODUCED, PARTLY, REPRODUCED, VERDICTS
from a2v_core.claims.values import Arm, Measured, Values
from a2v_core.errors import StudyError
from a2v_core.stats import interval_of_difference

#: ``[[identity | recipe | definition | digits]]``; recipe and definition may be empty; digits after the point. With
#: ``2 interval`` the 95 % interval follows the number. ``[[identity | recipe | definition >< identity | recipe |
#: definition]]`` becomes one of :data:`ORDERS`.
PLACEHOLDER = re.compile(r"\[\[([^\[\]]*)\]\]")
NOT_THERE = "(not yet run)"
#: How the first of two numbers lies to the second; "not told apart" when the interval of their difference has zero.
ORDERS = ABOVE, BELOW, NOT_TOLD_APART = "above", "below", "not told apart from"


def fill(template: str, values: Values) -> str:
    """The text with each placeholder replaced by what it names, or by :data:`NOT_THERE` where no page has recorded it.

    Raises:
        StudyError: a placeholder has not the parts it needs, its digits are no number, or a number has no interval.
    """
    return PLACEHOLDER.sub(lambda match: _filled(match[1], values), template)


def verdict_counts(outcomes: Iterable[Outcome]) -> list[Measured]:
    """How many claims have each verdict, in all (``claims/not_reproduced``) and by subject (``claims/table3/partly``);
    ``judged`` counts those that have a number of ours."""
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        for of in ("claims", f"claims/{outcome.id.partition('/')[0]}"):
            counts.setdefault(of, Counter())[outcome.verdict] += 1
    return [
        Measured(f"{of}/{name}", sum(count[verdict] for verdict in verdicts), None, None, 1)
        for of, count in counts.items()
        for name, verdicts in {**{verdict.replace(" ", "_"): [verdict] for verdict in VERDICTS}, "all": VERDICTS,
                               "judged": (REPRODUCED, PARTLY, NOT_REPRODUCED)}.items()
    ]


def _filled(placeholder: str, values: Values) -> str:
    sides = [[part.strip() for part in side.split("|")] for side in placeholder.split("><")]
    if len(sides) == 2 and all(len(side) == 3 and side[0] for side in sides):
        first, second = (values.find(id, Arm(recipe, definition)) for id, recipe, definition in sides)
        return NOT_THERE if first is None or second is None else _order(first, second)
    if len(sides) != 1 or len(sides[0]) != 4 or not sides[0][0] or not re.fullmatch(r"[0-6]( interval)?", sides[0][3]):
        raise StudyError(f"placeholder [[{placeholder}]]: write [[identity | recipe | definition | digits]], digits "
                         "from 0 to 6, or two of them without digits and >< between")
    [(id, recipe, definition, form)] = sides
    found = values.find(id, Arm(recipe, definition))
    if found is None:
        return NOT_THERE
    digits, _, interval = form.partition(" ")
    text = f"{found.value:,.{digits}f}"
    if not interval:
        return text
    low, high = _interval(found)
    return f"{text} [{low:,.{digits}f}, {high:,.{digits}f}]"


def _order(first: Measured, second: Measured) -> str:
    low, high = interval_of_difference(first.value, _interval(first), second.value, _interval(second))
    return ABOVE if low > 0 else BELOW if high < 0 else NOT_TOLD_APART


def _interval(found: Measured) -> tuple[float, float]:
    if found.interval is None:
        raise StudyError(f"{found.id!r} has no interval: give its number alone")
    return found.interval
