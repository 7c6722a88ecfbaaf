"""Plan, numbers, sentences and figures of the page of Observation 5, on made chains and on those of small spaces."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from scipy import stats

from a2v_core.errors import MissingDataError, SettingsError
from a2v_core.observations import chains_figures, chains_findings, chains_plan, chains_tables
from a2v_core.observations.chains_measure import measure_random
from a2v_core.observations.chains_plan import Arm, Chains
from a2v_core.results import Page
from a2v_core.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
PAPER = {"arch2vec": 2.9, "supervised": 8.9}


@pytest.fixture(autouse=True)
def _figures():
    yield
    plt.close("all")


def made(space, kind, seed, edits, recipe="released"):
    """Chains with these changes, [starts, steps]; the first step of each has length zero."""
    edits = np.array(edits, float)
    lengths = np.ones(edits.shape, np.float32)
    lengths[:, 0] = 0
    quantity = chains_tables.QUANTITY[space]
    rows = np.where(np.isfinite(edits), np.arange(edits.shape[1]), -1)
    arrays = {"all/rows": np.column_stack([np.full(len(rows), 7), rows]), "share_alone": np.array([40.0]),
              "straight/straight": edits[:, 0]}
    for variant in ("all", "points"):
        arrays |= {f"{variant}/{quantity}": edits, f"{variant}/lengths": lengths, f"{variant}/same_edges": edits > 2}
    return Chains(Arm(space, kind, recipe, seed), arrays)


@pytest.fixture
def nasbench101():
    return [*(made("nasbench101", "arch2vec", s, [[1, 2, 3], [3, 4, 5 + s]]) for s in range(3)),
            *(made("nasbench101", "supervised", s, [[9, 8, 7], [10 + s, 6, 8]]) for s in range(3)),
            *(made("nasbench101", "random", s, [[9, 9, 9], [7, 8, 9]], "") for s in range(3))]


def test_the_mean_is_over_seeds_with_students_interval(nasbench101):
    group = chains_tables.select(nasbench101, "arch2vec", "released")
    means = [18 / 6, 19 / 6, 20 / 6]
    assert np.allclose(chains_tables.seed_means(group, "all/edits"), means)
    found = chains_tables.estimate(group, "all/edits")
    low, high = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
    assert (found.value, found.low, found.high, found.n) == (pytest.approx(19 / 6), pytest.approx(low),
                                                             pytest.approx(high), 3)


def test_one_seed_has_an_interval_over_its_starts_and_a_collapsed_one_has_no_number():
    edits = np.random.default_rng(0).integers(1, 9, size=(40, 5))
    found = chains_tables.estimate([made("nasbench101", "arch2vec", 0, edits)], "all/edits")
    assert found.value == pytest.approx(edits.mean())
    assert found.low < found.value < found.high
    assert found.n == 40
    nowhere = made("nasbench101", "arch2vec", 1, np.full((2, 3), np.nan))
    assert chains_tables.estimate([nowhere], "all/edits") is None
    with_one = [nowhere, *(made("nasbench101", "arch2vec", s, [[s, s]]) for s in (2, 4))]
    assert chains_tables.estimate(with_one, "all/edits")[::3] == (3, 2)


def test_differences_are_paired_by_the_seed(nasbench101):
    pick = chains_tables.select
    found = chains_findings.gap(pick(nasbench101, "arch2vec"), pick(nasbench101, "supervised")[1:], "all/edits")
    first, second = [19 / 6, 20 / 6], [49 / 6, 50 / 6]
    assert found.value == pytest.approx(np.mean(np.subtract(first, second)))
    assert found.n == 2
    assert chains_findings.relation(found, "shorter", "longer", "equal") == "shorter"
    assert chains_findings.gap(pick(nasbench101, "arch2vec")[:1], pick(nasbench101, "random")[1:], "all/edits") is None


def test_tables_show_every_arm_with_the_papers_value(nasbench101):
    table = chains_tables.steps_table(nasbench101, "nasbench101", SPACE.cells(), PAPER)
    assert table.index.tolist() == ["arch2vec, released", "supervised, released, 250 labels", "random cells"]
    assert table["paper"].tolist() == ["2.9", "8.9", ""]
    assert table["seeds"].tolist() == [3, 3, 3]
    assert table.iloc[0]["steps of length 0, %"] == "33"
    assert chains_tables.families_table(nasbench101).loc["random cells", "straight: straight"].startswith("8.0")


def test_numbers_have_the_identities_of_the_register(nasbench101):
    page = Page("obs5_cell_sequences", "smoke")
    darts = [made("darts", kind, s, [[1, 2], [3, 4 + s]], recipe)
             for kind, recipe in (("arch2vec", "released"), ("random", "")) for s in range(2)]
    nasbench201 = [made("nasbench201", kind, s, [[1, 2 + s]]) for kind in ("arch2vec", "supervised") for s in range(2)]
    chains_tables.record(page, {"nasbench101": nasbench101, "nasbench201": nasbench201, "darts": darts})
    values = {(v["id"], v["recipe"], v["definition"]): v for v in page.as_dict()["values"]}
    for id in ("fig5/arch2vec/mean_edit_distance", "fig5/supervised/mean_edit_distance",
               "fig11/arch2vec/straight_neighbours", "fig11/supervised/straight_neighbours",
               "fig12/arch2vec/operation_changes", "fig12/supervised/operation_changes",
               "fig13/arch2vec/operation_changes", "fig13/arch2vec/edges_unchanged"):
        assert (id, "released", "exact") in values
    assert ("fig13/random/operation_changes", "", "exact") in values
    assert values["fig13/arch2vec/edges_unchanged", "released", "exact"]["value"] == 50
    assert values["fig5/arch2vec/mean_edit_distance", "released", "one_cell_a_point"]["n"] == 3


def test_steps_that_only_move_operations_are_counted():
    cells = SPACE.cells()
    space_rows = {tuple(ops): row for row, ops in enumerate(cells.ops[:, 1:7].tolist())}
    rows = [space_rows[ops] for ops in ((1, 2, 3, 3, 3, 3), (3, 2, 1, 3, 3, 3), (3, 2, 2, 3, 3, 3), (2, 2, 3, 3, 3, 3))]
    chain = Chains(Arm("nasbench201", "random", "", 0), {"all/rows": np.array([[*rows, -1]])})
    assert chains_tables.same_operations([chain], cells) == pytest.approx(200 / 3)
    assert np.isnan(chains_tables.same_operations([], cells))


def test_variants_of_the_supervised_network_stand_apart(nasbench101):
    page = Page("obs5_cell_sequences", "smoke")
    chains_tables.record(page, {"nasbench101": nasbench101})
    other = [Chains(arm, made("nasbench101", "supervised", arm.seed, [[7, 7], [7, 6]]).arrays)
             for arm in chains_plan.planned_variants("full", 0, 250)]
    chains_tables.record_variants(page, other)
    found = {v["definition"]: v["value"] for v in page.as_dict()["values"]
             if v["id"] == "obs5/nasbench101/supervised/mean_edit_distance"}
    assert {"exact", "one_cell_a_point", "50_labels", "1000_labels", "training_mode"} == set(found)
    assert found["training_mode"] == 6.75
    (sentence,) = chains_findings.variants(other, PAPER)
    assert "supervised, released, 1,000 labels 6.75" in sentence
    assert "supervised, released, 250 labels, training mode 6.75" in sentence


def test_sentences_tell_what_was_found(nasbench101):
    collapsed = [made("nasbench101", "arch2vec", 0, np.full((2, 3), np.nan), "paper")]
    cells = dict.fromkeys(chains_plan.SPACES, SPACE.cells())
    text = "\n".join(chains_findings.findings({"nasbench101": nasbench101 + collapsed, "nasbench201": [], "darts": []},
                                              cells, PAPER))
    assert "takes shorter steps than its supervised counterpart" in text
    assert "arch2vec, paper no step (1 of 1 pre-trainings put all cells on one point)" in text
    assert "50 % of the chains of random cells" in text
    assert chains_findings.findings({space: [] for space in chains_plan.SPACES}, cells, PAPER) == []


def test_a_chain_is_drawn_with_its_changes_and_told_in_words():
    cells = SPACE.cells()
    rows = np.array([0, 1, 2, -1])
    figure = chains_figures.draw_chain(SPACE, cells, rows)
    texts = [[text.get_text() for text in ax.texts] for ax in figure.axes]
    assert len(texts) == 3
    for previous, row, labels in zip(rows, rows[1:3], texts[1:], strict=False):
        changed = int((cells.ops[previous] != cells.ops[row]).sum())
        assert sum(label.endswith("*") for label in labels) == changed
        assert labels[-1] == f"{changed} op" + ("" if changed == 1 else "s")
    words = chains_figures.in_words(SPACE, cells, rows)
    assert words.count("<li>") == 3
    assert ", ".join(SPACE.vocabulary[op] for op in cells.ops[1, 1:7]) in words


def test_strips_mark_what_changed_against_the_row_above():
    cells = SPACE.cells()
    rows = np.arange(5)
    figure = chains_figures.plot_strips(SPACE, cells, {"arch2vec": [rows, rows + 9], "supervised": [rows, rows + 7]})
    assert len(figure.axes) == 4
    borders = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    assert len(borders) == (np.diff(cells.ops[:5].astype(int), axis=0) != 0).sum()
    assert len(figure.axes[0].texts) == 30


def test_steps_are_counted_in_percent(nasbench101):
    ax = chains_figures.plot_steps({"a": chains_tables.select(nasbench101, "arch2vec")}, "all/edits", "edits")
    (line,) = ax.lines
    assert line.get_ydata().sum() == pytest.approx(100)
    # Of 18 steps, those of 3 edits: two in each of three seeds.
    assert line.get_ydata()[3] == pytest.approx(100 * 6 / 18)
    with pytest.raises(SettingsError, match="7 arms"):
        chains_figures.plot_steps(dict.fromkeys("abcdefg", nasbench101), "all/edits", "edits")


def test_every_profile_has_a_plan_and_an_unknown_one_is_refused(monkeypatch):
    monkeypatch.setattr(chains_plan, "_exists", lambda arm, data_dir: arm.seed < 2)
    full = chains_plan.planned_arms("full", "nasbench101", 0)
    arch2vec = [arm for arm in full if (arm.kind, arm.recipe) == ("arch2vec", "released")]
    assert [arm.seed for arm in arch2vec] == [0, 1]
    assert sum(arm.kind == "random" for arm in full) == 5
    supervised = [arm for arm in chains_plan.planned_arms("smoke", "nasbench101", 0, 250) if arm.kind == "supervised"]
    assert [arm.labels for arm in supervised] == [20]
    # Where nothing is trained, one model is.
    lonely = [arm for arm in chains_plan.planned_arms("full", "darts", 5) if arm.kind == "arch2vec"]
    assert [(arm.recipe, arm.seed) for arm in lonely] == [("released", 5), ("paper", 5), ("corrected", 5)]
    with pytest.raises(SettingsError, match="profile 'tiny' is unknown"):
        chains_plan.scale_of("tiny")


def test_random_chains_differ_by_seed_and_repeat_with_it():
    cells, starts = SPACE.cells(), np.arange(5)
    first, again, other = (measure_random("nasbench201", cells, starts, 4, seed)["all/rows"] for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first[:, 0] == other[:, 0]).all()
    assert (first[:, 1:] != other[:, 1:]).any()


def test_finished_arms_are_read_and_not_made_again(tmp_path, monkeypatch):
    arms = [Arm("nasbench201", "random", "", seed) for seed in range(2)]
    first, missing = chains_plan.run("smoke", arms, data_dir=str(tmp_path))
    monkeypatch.setattr(chains_plan, "measure_random", None)
    again, _ = chains_plan.run("smoke", arms, data_dir=str(tmp_path))
    assert missing == []
    assert [made.arm for made in again] == arms
    assert all((a.arrays["all/rows"] == b.arrays["all/rows"]).all() for a, b in zip(first, again, strict=True))


def test_an_arm_whose_table_is_missing_is_left_out_with_the_message(tmp_path, monkeypatch):
    def nothing(*args, **kwargs):
        raise MissingDataError("fetch the table")

    monkeypatch.setattr(chains_plan, "accuracy_digest", nothing)
    arms = [Arm("nasbench201", kind, "", 0) for kind in ("accuracy", "random")]
    made, missing = chains_plan.run("smoke", arms, data_dir=str(tmp_path))
    assert [c.arm.kind for c in made] == ["random"]
    assert missing == ["fetch the table"]
