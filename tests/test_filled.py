"""Numbers in text that is written by hand."""

from pathlib import Path

import pytest

from a2v_core.claims.evaluation import Outcome, evaluate
from a2v_core.claims.filled import ABOVE, BELOW, NOT_THERE, NOT_TOLD_APART, PLACEHOLDER, fill, verdict_counts
from a2v_core.claims.register import load_register
from a2v_core.claims.rules import CANNOT_BE_RUN, NOT_REPRODUCED, REPRODUCED
from a2v_core.claims.values import Measured, Values, load_values
from a2v_core.errors import StudyError

BOOK = Path(__file__).resolve().parents[1] / "book"
VALUES = Values([Measured("obs3/one", 0.5459, None, None, 3, "released", "exact"),
                 Measured("obs3/two", -12.5, None, None, 3),
                 Measured("obs3/low", 1.0, 0.9, 1.1, 5), Measured("obs3/near", 1.1, 0.9, 1.3, 5),
                 Measured("obs3/high", 1234.5, 1200.0, 1250.0, 5, "paper", "exact")])


def outcome(id, verdict):
    return Outcome(id, "", "", None, None, None, None, verdict, "")


def test_a_placeholder_becomes_its_number():
    assert fill("a [[obs3/one | released | exact | 2]], b [[obs3/two|released|exact|1]].", VALUES) == "a 0.55, b -12.5."


def test_a_number_that_no_page_has_is_said_to_be_missing():
    assert fill("[[obs3/one | paper | exact | 2]] %", VALUES) == f"{NOT_THERE} %"
    assert fill("[[obs3/three | | | 2]]", VALUES) == NOT_THERE


def test_an_interval_follows_its_number():
    assert fill("[[obs3/high | paper | exact | 0 interval]]", VALUES) == "1,234 [1,200, 1,250]"
    with pytest.raises(StudyError, match=r"obs3/two.*no interval"):
        fill("[[obs3/two | | | 1 interval]]", VALUES)


@pytest.mark.parametrize(("first", "second", "word"), [
    ("obs3/high | paper | exact", "obs3/low | | ", ABOVE), ("obs3/low | |", "obs3/high | paper | exact", BELOW),
    ("obs3/low | |", "obs3/near | |", NOT_TOLD_APART), ("obs3/low | |", "obs3/three | |", NOT_THERE)])
def test_two_numbers_become_their_order(first, second, word):
    assert fill(f"It is [[{first} >< {second}]] it.", VALUES) == f"It is {word} it."


def test_verdicts_are_counted_in_all_and_by_subject():
    counted = {count.id: count.value for count in verdict_counts([
        outcome("obs3/a", REPRODUCED), outcome("obs3/b", NOT_REPRODUCED), outcome("table4/a", CANNOT_BE_RUN)])}
    assert counted["claims/all"] == 3
    assert counted["claims/judged"] == 2
    assert counted["claims/cannot_be_run_here"] == counted["claims/table4/cannot_be_run_here"] == 1
    assert counted["claims/obs3/not_reproduced"] == 1
    assert counted["claims/table4/judged"] == 0


@pytest.mark.parametrize("text", ["[[obs3/one]]", "[[obs3/one | released | exact | x]]", "[[ | released | exact | 2]]",
                                  "[[obs3/one | released | exact | 12]]", "[[obs3/one | | >< obs3/two | | | 2]]"])
def test_a_bad_placeholder_is_named(text):
    with pytest.raises(StudyError, match="write \\[\\[identity"):
        fill(text, VALUES)


@pytest.mark.parametrize("template", sorted(BOOK.glob("*.template")), ids=lambda path: path.stem)
def test_templates_name_numbers_that_the_pages_have(template):
    text = template.read_text(encoding="utf-8")
    assert PLACEHOLDER.search(text)
    outcomes = evaluate(load_register(BOOK / "claims.toml"), BOOK / "results")
    assert NOT_THERE not in fill(text, load_values(BOOK / "results", more=verdict_counts(outcomes)))
