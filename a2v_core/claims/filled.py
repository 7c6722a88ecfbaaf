"""Text written by hand whose numbers come from the results: a placeholder names a number, the page has its value."""

from __future__ import annotations

import re

from a2v_core.claims.values import Arm, Values
from a2v_core.errors import StudyError

#: ``[[identity | recipe | definition | digits]]``; recipe and definition may be empty; digits after the point.
PLACEHOLDER = re.compile(r"\[\[([^\[\]]*)\]\]")
NOT_THERE = "(not yet run)"


def fill(template: str, values: Values) -> str:
    """The text with each placeholder replaced by the number that it names, or by :data:`NOT_THERE` where no page has
    recorded it.

    Raises:
        StudyError: a placeholder has not four parts, or its digits are no number.
    """
    return PLACEHOLDER.sub(lambda match: _number(match[1], values), template)


def _number(placeholder: str, values: Values) -> str:
    parts = [part.strip() for part in placeholder.split("|")]
    if len(parts) != 4 or not parts[0] or not re.fullmatch(r"[0-6]", parts[3]):
        raise StudyError(f"placeholder [[{placeholder}]]: write [[identity | recipe | definition | digits]], digits "
                         "from 0 to 6")
    id, recipe, definition, digits = parts
    found = values.find(id, Arm(recipe, definition))
    return NOT_THERE if found is None else f"{found.value:.{digits}f}"
