"""The verdicts at the end of a page: counts, numbers with units and intervals, reasons, folded where long."""

from __future__ import annotations

from pathlib import Path

import pytest

from a2v_core.claims import evaluate, load_register
from a2v_core.claims.values import Values, page_values
from a2v_core.claims.verdict_table import FOLDED_FROM, verdict_table
from a2v_core.results import Page
from a2v_core.stats import Estimate

REGISTER = load_register(Path(__file__).resolve().parents[1] / "book" / "claims.toml")


def shown(page: Page, *subjects: str) -> str:
    return verdict_table(page.as_dict(), REGISTER, "full", subjects).data


def test_a_page_without_results_says_what_is_not_there():
    html = shown(Page("table2_nasbench101", "full"), "table2", "fig6")
    assert html.startswith("<p>Claims by verdict: ")
    assert "not yet run" in html
    assert "<table" not in html


def test_rows_have_units_intervals_and_reasons():
    page = Page("table2_nasbench101", "full")
    found = Estimate(93.8, 93.75, 93.85, 500)
    page.add_estimate("table2/arch2vec_rl/test_accuracy", found, unit="%", recipe="released")
    html = shown(page, "table2")
    (outcome,) = [o for o in evaluate(REGISTER, Values(page_values(page.as_dict())))
                  if o.id == "table2/arch2vec_rl/test_accuracy"]
    assert html.count("<tr>") == 2
    assert "94.1 %" in html
    assert "93.8 %<br>[93.75, 93.85]" in html
    assert f"1 {outcome.verdict}" in html
    assert "<summary>why</summary>" in html
    assert "<details><summary>All" not in html


def test_claims_of_other_subjects_are_left_out():
    page = Page("table2_nasbench101", "full")
    page.add("table2/arch2vec_rl/test_accuracy", 94.1, unit="%", recipe="released")
    assert shown(page, "obs3", "table") == "<p>Claims by verdict: " + shown(page, "obs3").split(": ", 1)[1]
    assert "<table" not in shown(page, "obs3")


@pytest.mark.parametrize("missing", [0, 1])
def test_long_tables_are_folded(missing):
    ids = [claim.id for claim in REGISTER.claims if claim.id.startswith("table1/")][:FOLDED_FROM - missing]
    page = Page("obs1_pretraining", "full")
    for id in ids:
        page.add(id, 50.0, unit="%", recipe="released")
    assert (f"<summary>All {FOLDED_FROM} claims" in shown(page, "table1")) == (not missing)


def test_texts_are_escaped():
    claim = next(claim for claim in REGISTER.claims if claim.id == "table1/nasbench101/gae/accuracy")
    register = REGISTER.model_copy(update={"claims": [claim.model_copy(update={"statement": "a<b"})]})
    page = Page("obs1_pretraining", "full")
    page.add(claim.id, 50.0, unit="%", recipe="released")
    html = verdict_table(page.as_dict(), register, "full", ("table1",)).data
    assert "a&lt;b" in html
    assert "a<b" not in html
