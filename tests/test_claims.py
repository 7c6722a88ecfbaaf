"""The register is complete, the rules follow the numbers, and the committed pages follow the register."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from a2v_core.claims import VERDICTS, evaluate, load_register, write_pages
from a2v_core.claims.__main__ import main
from a2v_core.claims.includes import provenance_table, recipe_table, search_recipe_table
from a2v_core.claims.pages import README_BEGIN, README_END, SIGNS, render_pages
from a2v_core.claims.rules import AllOf, Equals, Order, Within, show
from a2v_core.claims.values import Measured, Values, load_values
from a2v_core.errors import StudyError
from a2v_core.recipes import pretraining_settings
from a2v_core.results import ID_PATTERN, Page, write_results
from a2v_core.search.reinforce import ReinforceSettings
from a2v_core.stats import expected_uniqueness, furthest_from_mean

BOOK = Path(__file__).resolve().parents[1] / "book"
OUTCOME_KEYS = ["id", "where", "statement", "paper", "ours", "low", "high", "verdict", "because"]


@pytest.fixture(scope="module")
def register():
    return load_register(BOOK / "claims.toml")


def measured(id, value, low=None, high=None, n=5, recipe="released", definition="exact") -> Measured:
    return Measured(id, value, low, high, n, recipe, definition)


def verdict_of(register, id: str, *numbers: Measured):
    return next(outcome for outcome in evaluate(register, Values(numbers)) if outcome.id == id)


# --------------------------------------------------------------------------- the register of the book


def test_every_cell_of_the_tables_is_a_claim(register):
    papers = {claim.id: claim.paper for claim in register.claims}
    table1 = {id for id in papers if id.startswith("table1/")}
    assert len(table1) == 36
    assert sum(bool(re.fullmatch(r"table2/\w+/test_accuracy", id)) for id in papers) == 10
    assert sum(bool(re.fullmatch(r"table3/\w+/\w+/(validation|test)", id)) for id in papers) == 36
    assert sum(bool(re.fullmatch(r"table3/\w+/\w+/(validation|test)_sd", id)) for id in papers) == 36
    # Spot checks on corners of the printed tables, so that a transposed grid is noticed.
    assert papers["table1/nasbench101/gae/accuracy"] == 98.75
    assert papers["table1/darts/gae/uniqueness"] == 99.65
    assert papers["table1/nasbench201/vgae/validity"] == 79.30
    assert papers["table1/nasbench201/arch2vec/uniqueness"] == 98.72
    assert papers["table1/darts/arch2vec/validity"] == 33.36
    assert papers["table2/arch2vec_rl/test_accuracy"] == 94.10
    assert papers["table3/cifar100/random/test"] == 72.05
    assert papers["table3/imagenet16_120/arch2vec_bo/validation_sd"] == 0.18
    assert papers["table4/rs_ws/stage1"] == 2.7
    assert papers["table4/arch2vec_bo/best"] == 2.48
    assert papers["table5/arch2vec_rl/multiply_adds"] == 533
    assert papers["footnote1/arch2vec/pearson"] == 0.67


def test_every_filled_cell_of_table_4_and_5_is_a_claim(register):
    columns = "test_error|test_error_sd|best|params|stage1|stage1_queries|stage2|total"
    table4 = Counter(claim.id.rsplit("/", 1)[1] for claim in register.claims
                     if re.fullmatch(rf"table4/\w+/({columns})", claim.id))
    assert table4 == {"test_error": 11, "test_error_sd": 10, "best": 9, "params": 12, "stage1": 5,
                      "stage1_queries": 4, "stage2": 6, "total": 10}
    table5 = Counter(claim.id.rsplit("/", 1)[1] for claim in register.claims
                     if re.fullmatch(r"table5/\w+/(params|multiply_adds|top1_error)", claim.id))
    assert table5 == {"params": 7, "multiply_adds": 7, "top1_error": 7}


def test_every_observation_and_figure_has_a_claim(register):
    subjects = {claim.subject for claim in register.claims}
    places = " ".join(claim.where for claim in register.claims)
    assert {f"obs{i}" for i in range(1, 6)} | {f"table{i}" for i in range(1, 6)} | {"footnote1"} <= subjects
    assert {f"fig{i}" for i in range(1, 14)} <= subjects
    assert "Appendix A.1" in places
    assert "Appendix A.3" in places


def test_every_entry_is_complete(register):
    titles = [section.title for section in register.sections]
    assert len(set(titles)) == len(titles)
    for claim in register.claims:
        assert claim.statement.endswith("."), claim.id
        assert "{" not in claim.statement + claim.where + claim.unit + claim.needs, claim.id
        assert any(claim.subject in section.subjects for section in register.sections), claim.id
        if not isinstance(claim.rule, AllOf):
            assert all(re.fullmatch(ID_PATTERN, id) for id in claim.rule.results()), claim.id


def test_orders_read_numbers_that_the_paper_prints_where_it_prints_them(register):
    """An order over table cells refers to claims that exist; a misspelt identity would wait for a result for ever."""
    ids = {claim.id for claim in register.claims}
    for claim in register.claims:
        if isinstance(claim.rule, Order):
            for id in claim.rule.results():
                assert id in ids or not re.match(r"table[1-5]|footnote1", id), (claim.id, id)


def test_remarks_on_the_paper_are_right(register):
    notes = {claim.id: claim.note for claim in register.claims}
    for method, validity in (("vgae", 79.30), ("arch2vec_without_kl", 77.09), ("arch2vec", 79.41)):
        id = f"table1/nasbench201/{method}/uniqueness"
        draws = round(validity * 100)
        assert f"{draws:,} independent draws" in notes[id]
        assert f"at most {100 * expected_uniqueness(draws, 15625):.1f} %" in notes[id]
    assert f"{furthest_from_mean(0.18, 5):.3f}" in notes["table4/random/best"]
    assert furthest_from_mean(0.18, 5) < 3.1 - 2.71


def test_contradictions_inside_the_paper_are_said(register):
    outcomes = {outcome.id: outcome for outcome in evaluate(register, Values())}
    contradicted = {id for id, outcome in outcomes.items() if "own numbers do not show it" in outcome.because}
    assert "table3/variability/cifar10/test/rl" in contradicted
    assert "obs1/kl/darts/gcn_uniqueness" in contradicted
    assert "table3/better/cifar10/test/rl" not in contradicted
    assert outcomes["table3/variability/cifar10/test/rl"].paper == pytest.approx(0.42 - 0.31)


def test_without_results_every_claim_says_so(register):
    outcomes = evaluate(register, Values())
    assert [outcome.id for outcome in outcomes] == [claim.id for claim in register.claims]
    assert {outcome.verdict for outcome in outcomes} == {"not yet run", "cannot be run here"}
    assert all(outcome.ours is None and outcome.because for outcome in outcomes)
    assert verdict_of(register, "table5/arch2vec_bo/top1_error").verdict == "cannot be run here"


# --------------------------------------------------------------------------- rules


@pytest.mark.parametrize(("value", "low", "high", "verdict"), [
    (45.5, 44.5, 46.5, "reproduced"),           # holds 44.97
    (47.5, 46.5, 48.5, "reproduced"),           # within the tolerance of 2
    (48.5, 47.0, 50.0, "not reproduced"),       # 2.03 away
    (42.0, 41.0, 42.9, "not reproduced"),       # 2.07 away on the other side
    (45.0, 39.0, 51.0, "partly"),               # too wide to confirm
    (45.0, None, None, "partly"),               # one run
    (60.0, 50.0, 70.0, "not reproduced"),       # wide, and away all the same
])
def test_within(register, value, low, high, verdict):
    id = "table1/nasbench101/arch2vec/validity"
    outcome = verdict_of(register, id, measured(id, value, low, high))
    assert (outcome.verdict, outcome.ours, outcome.low, outcome.high) == (verdict, value, low, high)
    assert show(value) in outcome.because


def test_another_definition_or_recipe_gives_partly_and_is_named(register):
    id = "table1/nasbench101/arch2vec/accuracy"
    exact = measured(id, 57.3, 56.1, 58.4)
    assert verdict_of(register, id, exact).verdict == "not reproduced"
    by_code = verdict_of(register, id, exact, measured(id, 99.8, 99.7, 99.9, definition="released"))
    assert by_code.verdict == "partly"
    assert by_code.ours == 57.3
    assert "57.3 [56.1, 58.4]" in by_code.because
    assert "99.8 [99.7, 99.9] (recipe released, as the released code measures" in by_code.because
    by_recipe = verdict_of(register, id, exact, measured(id, 99.9, 99.8, 100, recipe="corrected"))
    assert by_recipe.verdict == "partly"
    assert "recipe corrected" in by_recipe.because
    neither = verdict_of(register, id, exact, measured(id, 70.0, 69, 71, recipe="corrected"))
    assert neither.verdict == "not reproduced"
    assert "No other recipe or definition" in neither.because


def test_another_arm_alone_decides_nothing(register):
    id = "table1/nasbench101/arch2vec/accuracy"
    assert verdict_of(register, id, measured(id, 100, 100, 100, recipe="corrected")).verdict == "not yet run"


def test_equals(register):
    id = "spaces/nasbench101/cells"
    assert verdict_of(register, id, measured(id, 423624, recipe="", definition="")).verdict == "reproduced"
    off = verdict_of(register, id, measured(id, 423623, recipe="", definition=""))
    assert off.verdict == "not reproduced"
    assert "423,623" in off.because
    roughly = "spaces/darts/dags"
    for cells, verdict in ((180 * 7**8, "reproduced"), (180 * 8**8, "not reproduced")):
        assert verdict_of(register, roughly, measured(roughly, cells, recipe="", definition="")).verdict == verdict


@pytest.mark.parametrize(("value", "low", "high", "verdict"), [
    (0.4, 0.2, 0.9, "reproduced"), (0.8, 0.5, 1.2, "partly"), (1.1, 0.9, 1.3, "not reproduced"),
])
def test_bound(register, value, low, high, verdict):
    id = "pretraining/nasbench101/last_epoch_gain"
    assert verdict_of(register, id, measured(id, value, low, high)).verdict == verdict


def test_order(register):
    id, uniqueness = "obs1/outperforms/nasbench101/validity", "table1/nasbench101/{}/validity"

    def outcome(arch2vec, gae=(20, 19, 21), vgae=(30, 28, 32)):
        return verdict_of(register, id, *(measured(uniqueness.format(name), *number) for name, number in
                                          (("arch2vec", arch2vec), ("gae", gae), ("vgae", vgae))))

    clear = outcome((40, 38, 43))
    assert clear.verdict == "reproduced"
    # The closest rival counts: 40 - 30 with halves sqrt(2² + 2²) below and sqrt(3² + 2²) above.
    assert (clear.ours, clear.low, clear.high) == pytest.approx((10, 10 - 8**0.5, 10 + 13**0.5))
    assert clear.paper == pytest.approx(44.97 - 41.18)
    assert outcome((31, 29, 33)).verdict == "partly"
    assert outcome((29, 28, 30)).verdict == "not reproduced"
    assert outcome((30, 29, 31)).verdict == "not reproduced"
    assert outcome((40, None, None)).verdict == "partly"
    assert outcome((40, 39, 41), gae=(50, 49, 51)).verdict == "not reproduced"
    assert verdict_of(register, id, measured(uniqueness.format("arch2vec"), 40)).verdict == "not yet run"


def test_one_reversed_order_decides_whatever_is_missing(register):
    id, validity = "obs1/outperforms/nasbench101/validity", "table1/nasbench101/{}/validity"
    ours, rival = measured(validity.format("arch2vec"), 40, 39, 41), measured(validity.format("gae"), 50, 49, 51)
    reversed_ = verdict_of(register, id, ours, rival)
    assert (reversed_.verdict, reversed_.ours) == ("not reproduced", pytest.approx(-10))
    assert "`table1/nasbench101/vgae/validity` will be cannot change that" in reversed_.because
    right_so_far = verdict_of(register, id, ours, measured(validity.format("gae"), 20, 19, 21))
    assert right_so_far.verdict == "not yet run"


def test_order_downwards(register):
    def outcome(better: str, worse: str):
        return verdict_of(register, "obs2/rmse", measured(f"footnote1/{better}/rmse", 0.02, 0.018, 0.022),
                          measured(f"footnote1/{worse}/rmse", 0.04, 0.03, 0.05))

    right, reversed_ = outcome("arch2vec", "supervised"), outcome("supervised", "arch2vec")
    assert (right.verdict, right.ours) == ("reproduced", pytest.approx(-0.02))
    assert right.low < right.ours < right.high < 0
    assert (reversed_.verdict, reversed_.ours) == ("not reproduced", pytest.approx(0.02))


def test_margin_admits_a_tie(register):
    accuracy = {name: measured(f"table1/nasbench101/{name}/accuracy", value, value, value) for name, value in
                (("arch2vec", 99.9), ("arch2vec_without_kl", 100), ("gae", 98), ("vgae", 97))}
    assert verdict_of(register, "obs1/highest/nasbench101/accuracy", *accuracy.values()).verdict == "reproduced"
    accuracy["arch2vec"] = measured("table1/nasbench101/arch2vec/accuracy", 99.4, 99.4, 99.4)
    assert verdict_of(register, "obs1/highest/nasbench101/accuracy", *accuracy.values()).verdict == "not reproduced"


def test_composed_claims_count_their_parts():
    judge = AllOf(kind="all_of", claims=("a/*",)).judge
    assert judge(["reproduced"] * 3).verdict == "reproduced"
    assert judge(["reproduced", "partly", "not reproduced"]).verdict == "partly"
    assert judge(["reproduced", "not reproduced", "not reproduced"]).verdict == "not reproduced"
    assert judge(["reproduced", "not yet run"]).verdict == "not yet run"
    assert judge(["reproduced", "cannot be run here"]).verdict == "partly"
    assert judge(["cannot be run here"] * 2).verdict == "cannot be run here"
    assert judge(["reproduced", "not reproduced"]).because == "Of its 2 parts: 1 reproduced, 1 not reproduced."


def test_composed_claim_of_the_book_follows_its_parts(register):
    numbers = [measured(id, value, value - 0.001, value + 0.001) for id, value in
               (("footnote1/arch2vec/rmse", 0.02), ("footnote1/supervised/rmse", 0.04),
                ("footnote1/arch2vec/pearson", 0.7), ("footnote1/supervised/pearson", 0.5))]
    assert verdict_of(register, "fig2/comparison", *numbers).verdict == "reproduced"
    numbers[2] = measured("footnote1/arch2vec/pearson", 0.4, 0.39, 0.41)
    assert verdict_of(register, "fig2/comparison", *numbers).verdict == "partly"
    assert verdict_of(register, "fig2/comparison", *numbers[:3]).verdict == "not yet run"


@pytest.mark.parametrize(("number", "text"), [
    (423624, "423,624"), (0, "0"), (57.3, "57.3"), (99.9976, "99.9976"), (100.0, "100"), (0.0175, "0.0175"),
    (44.97123, "44.97"), (-0.0001234, "-0.0001234"), (2e-7, "2e-07"), (None, "—"), (1234.56, "1,235"),
])
def test_numbers_for_readers(number, text):
    assert show(number) == text


# --------------------------------------------------------------------------- a damaged register


SMALL = """
[words.m_label]
a = "A"
b = "B"
[[section]]
subjects = ["table1"]
title = "Table 1"
page = "results/one"
needs = "the page one"
[[grid]]
id = "table1/{m}/x"
axes = { m = ["a", "b"] }
where = "Table 1"
statement = "The value of {m_label}."
paper = [1, 2.5]
rule = { kind = "within", tolerance = 0.1, widest = 1.0 }
[[claim]]
id = "table1/both"
where = "Section 2"
statement = "A is below B, in short."
rule = { kind = "order", of = "table1/a/x", than = ["table1/b/x"], direction = "smaller" }
"""


def small(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "claims.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_grid_expands_as_printed(tmp_path):
    register = load_register(small(tmp_path))
    assert [(claim.id, claim.paper, claim.statement) for claim in register.claims] == [
        ("table1/both", None, "A is below B, in short."),
        ("table1/a/x", 1, "The value of A."), ("table1/b/x", 2.5, "The value of B.")]
    assert register.claims[1].needs == "the page one"
    holed = load_register(small(tmp_path, SMALL.replace("[1, 2.5]", '[1, "-"]')))
    assert [claim.id for claim in holed.claims] == ["table1/both", "table1/a/x"]


@pytest.mark.parametrize(("old", "new", "says"), [
    ('where = "Section 2"\n', "", r"table1/both.*field where"),
    ('statement = "A is below B, in short."\n', "", r"table1/both.*field statement"),
    ('rule = { kind = "order"', 'rule = { kind = "guess"', r"table1/both.*field rule"),
    ('direction = "smaller"', 'direction = "sideways"', r"table1/both.*rule.*direction"),
    ('direction = "smaller"', 'towards = "smaller"', r"table1/both.*towards"),
    ("tolerance = 0.1, ", "", r"table1/a/x.*tolerance"),
    ("tolerance = 0.1", "tolerance = -1", r"table1/a/x.*tolerance"),
    ("paper = [1, 2.5]\n", "", r"table1/a/x.*paper"),
    ("[1, 2.5]", "[1, 2.5, 3]", r"table1/\{m\}/x.*3 values for 2 cells"),
    ("[1, 2.5]", '[1, "many"]', r"table1/b/x.*paper"),
    ("{m_label}", "{n_label}", r"n_label"),
    ('id = "table1/both"', 'id = "table1/a/x"', r"table1/a/x.*twice"),
    ('id = "table1/both"', 'id = "table9/both"', r"table9.*no section"),
    ('id = "table1/both"', 'id = "table1/Both"', r"table1/Both.*field id"),
    ('"table1/b/x"]', '"table1/a/x"]', r"table1/both.*itself"),
    ('of = "table1/a/x"', 'of = "tables/a/x"', r"table1/both.*tables/a/x"),
    ('subjects = ["table1"]', 'subjects = ["table1"]\ncolour = "red"', r"Table 1.*colour"),
    ("[[section]]", "[[sektion]]", r"sektion"),
    ("[[section]]", "[[section]", r"cannot be read"),
    ("[words.m_label]", '[notes]\n"table1/c/x" = "no"\n[words.m_label]', r"table1/c/x.*no claim"),
])
def test_a_faulty_entry_is_named_with_its_field(tmp_path, old, new, says):
    assert old in SMALL
    with pytest.raises(StudyError, match=says):
        load_register(small(tmp_path, SMALL.replace(old, new)))


def test_combinations_must_match_and_end(tmp_path):
    part = ('[[claim]]\nid = "table1/{}"\nwhere = "x"\nstatement = "A statement."\n'
            'rule = {{ kind = "all_of", claims = ["{}"] }}\n')
    with pytest.raises(StudyError, match=r"table1/all.*matches no claim"):
        load_register(small(tmp_path, SMALL + part.format("all", "table1/nothing*")))
    with pytest.raises(StudyError, match="part of itself"):
        load_register(small(tmp_path, SMALL + part.format("all", "table1/more") + part.format("more", "table1/all")))


def test_a_missing_register_is_a_clear_error(tmp_path):
    with pytest.raises(StudyError, match="cannot be read"):
        load_register(tmp_path / "claims.toml")


# --------------------------------------------------------------------------- results files and pages


def book_of(tmp_path: Path, profile: str = "full", a: float = 1.0) -> Path:
    (tmp_path / "results").mkdir(exist_ok=True)
    small(tmp_path)
    page = Page("one", profile)
    for name, value in (("a", a), ("b", 2.5)):
        page.add(f"table1/{name}/x", value, low=value - 0.2, high=value + 0.2, n=5, recipe="released",
                 definition="exact")
    page.save(tmp_path / "results" / "one.json")
    return tmp_path


def verdicts(book: Path) -> dict[str, str]:
    content = json.loads((book / "results" / "claims.json").read_text(encoding="utf-8"))
    assert list(content) == ["claims"]
    assert all(list(claim) == OUTCOME_KEYS for claim in content["claims"])
    return {claim["id"]: claim["verdict"] for claim in content["claims"]}


def test_command_writes_everything_and_follows_the_results(tmp_path, capsys):
    book = book_of(tmp_path)
    assert main(["--book", str(book)]) == 0
    assert verdicts(book) == {"table1/both": "reproduced", "table1/a/x": "reproduced", "table1/b/x": "reproduced"}
    assert main(["--book", str(book), "--check"]) == 0
    book_of(tmp_path, a=3.0)
    assert main(["--book", str(book), "--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert verdicts(book)["table1/a/x"] == "reproduced"  # a check writes nothing
    assert main(["--book", str(book)]) == 0
    assert verdicts(book) == {"table1/both": "not reproduced", "table1/a/x": "not reproduced",
                              "table1/b/x": "reproduced"}


def test_command_follows_the_register(tmp_path):
    book = book_of(tmp_path)
    (book / "claims.toml").write_text(SMALL.replace("[1, 2.5]", "[1, 7.5]"), encoding="utf-8")
    assert main(["--book", str(book)]) == 0
    assert verdicts(book)["table1/b/x"] == "not reproduced"


def test_only_the_asked_profile_counts(tmp_path):
    book = book_of(tmp_path, profile="quick")
    assert main(["--book", str(book)]) == 0
    assert set(verdicts(book).values()) == {"not yet run"}
    assert main(["--book", str(book), "--profile", "quick"]) == 0
    assert set(verdicts(book).values()) == {"reproduced"}
    assert "profile `quick`" in (book / "_verdicts.md").read_text(encoding="utf-8")


def test_damaged_and_doubled_results_are_refused(tmp_path, capsys):
    book = book_of(tmp_path)
    one = (book / "results" / "one.json").read_text(encoding="utf-8")
    (book / "results" / "two.json").write_text(one, encoding="utf-8")
    with pytest.raises(StudyError, match=r"table1/a/x.*two results files"):
        load_values(book / "results")
    (book / "results" / "two.json").write_text(one[:40], encoding="utf-8")
    assert main(["--book", str(book)]) == 1
    assert "two.json" in capsys.readouterr().err
    assert not (book / "claims.md").exists()


def test_pages_show_values_words_and_links(tmp_path):
    book = book_of(tmp_path)
    register = load_register(book / "claims.toml")
    outcomes = evaluate(register, book / "results")
    before = render_pages(register, outcomes, book)[book / "claims.md"]
    assert "Needs the page one." in before
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Page one: of many\n\nText")])
    nbformat.write(page, book / "results" / "one.ipynb")
    readme = tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{README_BEGIN}\nold\n{README_END}\n\nEnd.\n", encoding="utf-8")
    assert {path.name for path in write_pages(register, outcomes, book, readme)} == {
        "claims.json", "claims.md", "_verdicts.md", "_recipes.md", "_search_recipes.md", "_provenance.md", "README.md",
        "verdicts.svg", "search.svg"}
    picture = (book / "verdicts.svg").read_text(encoding="utf-8")
    assert ">Table 1<" in picture
    assert ">not reproduced<" in picture
    assert ">arch2vec-RL<" in (book / "search.svg").read_text(encoding="utf-8")
    page = (book / "claims.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if "*Table 1*, `table1/a/x`" in line)
    assert row.split(" | ")[1:] == ["1", "1<br>[0.8, 1.2]", "✔ reproduced |"]
    assert "[Page one](results/one.ipynb)" in page
    glance = (book / "_verdicts.md").read_text(encoding="utf-8")
    assert "| [Table 1](#claims-table1) | 3 |  |  |  |  | [Page one](results/one.ipynb) |" in glance
    assert "| **All claims** | **3** | **0** | **0** | **0** | **0** | |" in glance
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# Title\n")
    assert text.endswith("End.\n")
    assert "old" not in text
    assert "| Table 1 | 3 |" in text
    write_pages(register, outcomes, book, readme)
    assert readme.read_text(encoding="utf-8") == text


def test_readme_without_markers_is_refused(tmp_path):
    book = book_of(tmp_path)
    register = load_register(book / "claims.toml")
    (tmp_path / "README.md").write_text("# Title\n", encoding="utf-8")
    with pytest.raises(StudyError, match="no place for the table"):
        render_pages(register, evaluate(register, book / "results"), book, tmp_path / "README.md")


def test_recipe_table_shows_what_the_recipes_say():
    rows = {line.split("`")[1]: line for line in recipe_table().splitlines() if line.startswith("| `")}
    assert set(rows) == set(pretraining_settings().as_dict())
    assert rows["operations"].split(" | ")[2:5] == ["sigmoid", "softmax", "softmax"]
    assert rows["hidden"].split(" | ")[2:4] == ["128 128 128 128", "128 128 128 128 16"]
    assert rows["eval_after_first_epoch"].split(" | ")[2:5] == ["yes", "no", "no"]


def test_search_recipes_show_both_benchmarks():
    text = search_recipe_table()
    assert [line[4:] for line in text.splitlines() if line.startswith("### ")] == \
        ["arch2vec-RL", "arch2vec-BO", "supervised REINFORCE", "supervised BO"]
    reinforce = {line.split("`")[1]: line for line in text.partition("### arch2vec-BO")[0].splitlines()
                 if line.startswith("| `")}
    assert set(reinforce) == {field.name for field in dataclasses.fields(ReinforceSettings)}
    assert reinforce["baseline_value"].split(" | ")[2:5] == ["0.95 (0.4)", "0.95 (0.4)", "0.95"]
    assert reinforce["retrieval"].split(" | ")[2:5] == ["nearest (second)", "nearest", "nearest"]


def test_provenance_table_shows_commit_cost_and_data(tmp_path):
    assert "No results" in provenance_table(tmp_path)
    page = Page("one", "full")
    page.add("table1/a", 1.0)
    page.add_data("nb101_test", "ab" * 32)
    content = page.as_dict()
    content["provenance"] |= {"commit": "0123456789abcdef", "dirty": True, "date": "2026-01-02", "wall_seconds": 3700.2,
                              "processor_seconds": 61.0, "machine": {"processor": "P", "cores": 2, "system": "Linux"},
                              "versions": {"torch": "9.9"}}
    write_results(tmp_path / "one.json", content)
    table = provenance_table(tmp_path)
    row = next(line for line in table.splitlines() if line.startswith("| one "))
    assert row.split(" | ")[1:7] == ["full", "1", "`0123456789` with changes", "2026-01-02", "1 h 1 min", "1 min 1 s"]
    assert row.endswith("P, 2 cores |")
    assert f"| nb101_test | `{'ab' * 32}` |" in table
    assert "torch 9.9" in table


def test_every_verdict_has_a_sign_and_its_word():
    assert set(SIGNS) == set(VERDICTS)
    assert len(set(SIGNS.values())) == len(VERDICTS)


def test_committed_pages_are_up_to_date(register):
    readme = BOOK.parent / "README.md"
    for path, text in render_pages(register, evaluate(register, BOOK / "results"), BOOK, readme).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date: run `python -m a2v_core.claims`"


def test_prose_pages_hold_no_measured_number(register):
    """What was measured stands in generated text only: no decimal of a result occurs in a page written by hand."""
    numbers = {show(outcome.ours) for outcome in evaluate(register, BOOK / "results") if outcome.ours is not None}
    decimals = {number for number in numbers if "." in number and len(number) >= 4}
    for name in ("intro.template", "method.md", "spaces.md", "environment.md", "how_to_run.md"):
        words = set(re.findall(r"\d[\d,]*\.\d+", (BOOK / name).read_text(encoding="utf-8")))
        assert not words & decimals, name


def test_register_is_plain_toml_with_rules_of_every_kind(register):
    tomllib.loads((BOOK / "claims.toml").read_text(encoding="utf-8"))
    kinds = Counter(type(claim.rule) for claim in register.claims)
    assert min(kinds[Equals], kinds[Within], kinds[Order], kinds[AllOf]) >= 9
