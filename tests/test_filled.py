"""Numbers in text that is written by hand."""

from pathlib import Path

import pytest

from a2v_core.claims.filled import NOT_THERE, PLACEHOLDER, fill
from a2v_core.claims.values import Measured, Values, load_values
from a2v_core.errors import StudyError

BOOK = Path(__file__).resolve().parents[1] / "book"
VALUES = Values([Measured("obs3/one", 0.5459, None, None, 3, "released", "exact"),
                 Measured("obs3/two", -12.5, None, None, 3)])


def test_a_placeholder_becomes_its_number():
    assert fill("a [[obs3/one | released | exact | 2]], b [[obs3/two|released|exact|1]].", VALUES) == "a 0.55, b -12.5."


def test_a_number_that_no_page_has_is_said_to_be_missing():
    assert fill("[[obs3/one | paper | exact | 2]] %", VALUES) == f"{NOT_THERE} %"
    assert fill("[[obs3/three | | | 2]]", VALUES) == NOT_THERE


@pytest.mark.parametrize("text", ["[[obs3/one]]", "[[obs3/one | released | exact | x]]", "[[ | released | exact | 2]]",
                                  "[[obs3/one | released | exact | 12]]"])
def test_a_bad_placeholder_is_named(text):
    with pytest.raises(StudyError, match="write \\[\\[identity"):
        fill(text, VALUES)


@pytest.mark.parametrize("template", sorted(BOOK.glob("*.template")), ids=lambda path: path.stem)
def test_templates_name_numbers_that_the_pages_have(template):
    text = template.read_text(encoding="utf-8")
    assert PLACEHOLDER.search(text)
    assert NOT_THERE not in fill(text, load_values(BOOK / "results"))
