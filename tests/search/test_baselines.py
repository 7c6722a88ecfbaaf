"""The page on stronger baselines: which runs it makes, and its numbers from made runs."""

from functools import cache

import numpy as np
import pytest
from made_pages import outcomes

from a2v_core.results import Page
from a2v_core.search import baselines_plan, baselines_tables, plan
from a2v_core.search.baselines_plan import NASBENCH101, SINCE, baselines, chosen, queries_read, tuning
from a2v_core.search.plan import DATASETS, SCALES
from a2v_core.search.runs import Budget
from a2v_core.stats import unpaired_difference

TUNED = {"population": 20, "tournament": 5}


@cache
def planned(profile):
    return baselines(profile, 0, TUNED)


# --- which runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", SCALES)
def test_rows_of_tables_2_and_3_are_the_same_runs(profile):
    theirs = [*plan.table2(profile).all(), *plan.table3(profile).all()]
    for groups in planned(profile).groups.values():
        for group in groups:
            if not isinstance(group, baselines_plan.Baseline):
                assert group in theirs
        assert {(g.method, g.recipe) for g in groups} >= {("random", "released"), ("arch2vec_bo", "corrected")}


def test_new_rows_have_the_budgets_of_the_old_ones_and_all_seeds_of_the_controls():
    for part, groups in planned("full").groups.items():
        reference = next(g for g in groups if g.method == "re" and g.recipe == "released")
        new = [g for g in groups if isinstance(g, baselines_plan.Baseline)]
        assert [g.method for g in new] == ["re", *SINCE]
        for group in new:
            (arm,) = group.arms
            assert arm.budget == (Budget(queries=400) if part == NASBENCH101 else reference.arms[0].budget)
            assert (arm.first_seed, arm.runs) == (0, 100)
            assert arm.objective == reference.objective


def test_the_smallest_scale_lists_no_neighbours_on_nasbench101():
    assert not set(SINCE) & {g.method for g in planned("smoke").groups[NASBENCH101]}
    assert all(set(SINCE) <= {g.method for g in planned("smoke").groups[dataset]} for dataset in DATASETS)


@pytest.mark.parametrize(("profile", "queries"), [("smoke", 40), ("quick", 80), ("full", 400)])
def test_queries_that_nasbench101_is_read_after(profile, queries):
    assert queries_read(profile) == queries


def test_what_is_published_is_what_no_other_page_has(monkeypatch):
    monkeypatch.setattr(baselines_plan, "publish",
                        lambda arms, data_dir: [(arm.method, arm.objective, arm.runs) for arm in arms])
    assert sorted(baselines_plan.publish_full()) == sorted(
        (method, objective, 100) for method in SINCE for objective in (*DATASETS, "imputed"))


def test_what_tunes_is_never_reported():
    groups = tuning("full")
    settings = [tuple(g.arms[0].changes.values()) for g in groups]
    assert (10, 3) in settings
    assert len(set(settings)) == len(settings) == 11
    assert all(tournament <= population for population, tournament in settings)
    assert {g.objective for g in groups} == {"cifar10"}
    assert {arm.first_seed for g in groups for arm in g.arms} == {baselines_plan.TUNING_SEED}
    assert max(arm.first_seed + arm.runs for g in planned("full").all() for arm in g.arms) < baselines_plan.TUNING_SEED


def test_the_setting_with_the_best_validation_is_chosen():
    groups = tuning("smoke")
    runs = {group.name: outcomes(group) for group in groups[:4]}
    means = [baselines_tables.held(runs[g.name], "validation").mean() for g in groups[:4]]
    assert chosen(groups, runs) == groups[int(np.argmax(means))].arms[0].changes
    assert chosen(groups, {}) == {}
    assert not [g for g in baselines("smoke").all() if g.note]


def test_labels_tell_all_rows_apart():
    for groups in planned("full").groups.values():
        assert len({g.label for g in groups}) == len(groups)
    labels = [g.label for g in planned("full").groups["cifar10"][-4:]]
    assert labels == ["regularized evolution, tuned", "local search", "regularized evolution, neighbours",
                      "Gaussian process on subtrees"]


# --- its numbers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made():
    """Groups of one part, and made runs of each."""
    groups = planned("quick").groups["cifar10"]
    return groups, {group.name: outcomes(group) for group in groups}


def test_pretraining_is_charged_before_the_first_query(made):
    groups, runs = made
    found = runs[groups[0].name]
    budget, spent = found.trajectories.budget.seconds, found.seconds
    for charge in (0.0, 0.3 * budget, budget):
        test, count = baselines_tables.charged(found, charge)
        for run in range(found.n_runs):
            kept = [q for q in range(found.trajectories.counts[run]) if spent[run, q] + charge <= budget]
            assert count[run] == len(kept)
            if kept:
                held = found.incumbent[run, len(kept) - 1]
                assert test[run] == pytest.approx(100 * found.objective.test[held])
            else:
                assert np.isnan(test[run])
    # With a bound on queries the run ends with the last of them.
    test, count = baselines_tables.charged(found, 0.0, queries=3)
    np.testing.assert_array_equal(count, np.minimum(found.trajectories.counts, 3))
    np.testing.assert_array_equal(test, 100 * baselines_tables.held(found, "test", queries=3))


def test_differences_are_between_all_runs(made):
    groups, runs = made
    re, gaussian, agent = (baselines_tables.find(groups, name) for name in ("re", "wl_gp", "arch2vec_bo"))
    held = {g.name: 100 * baselines_tables.held(runs[g.name], "test") for g in (re, gaussian, agent)}
    gap = baselines_tables.difference(gaussian, re, runs)
    assert gap == unpaired_difference(held[gaussian.name], held[re.name])
    of_agent = baselines_tables.difference(agent, re, runs)
    assert of_agent.value == pytest.approx(held[agent.name].mean() - held[re.name].mean())
    assert of_agent.n == 2


def test_every_row_is_recorded_and_shown_once(made):
    groups, runs = made
    page, seconds = Page("made", "quick"), {g.name: 1.0 for g in groups if g.method.startswith("arch2vec")}
    baselines_tables.record(page, "cifar10", groups, runs, seconds)
    found = {(value["id"], value["recipe"]): value for value in page.as_dict()["values"]}
    for group in groups:
        stem = f"beyond/baselines/cifar10/{baselines_tables.name_of(group)}"
        assert (f"{stem}/test", group.recipe) in found
        assert ((f"{stem}/test_charged", group.recipe) in found) == group.method.startswith("arch2vec")
    assert ("beyond/baselines/cifar10/re/test_minus_re", "released") not in found
    assert list(baselines_tables.table(groups, runs).index) == [g.label for g in groups]
    assert len(baselines_tables.charged_table(groups, runs, seconds)) == len(seconds)


def test_comparisons_say_what_the_intervals_say(made):
    groups, runs = made
    best = max(groups, key=lambda g: baselines_tables.held(runs[g.name], "test").mean())
    assert baselines_tables.highest({"cifar10": groups}, runs, {}).startswith(
        f"**The highest mean test accuracy**: CIFAR-10, {best.label} (")
    found = baselines_tables.comparisons({"cifar10": groups}, runs, {})
    gaussian, re = (baselines_tables.find(groups, name) for name in ("wl_gp", "re"))
    gap = baselines_tables.difference(gaussian, re, runs)
    assert found["regularized evolution"]["CIFAR-10"][gaussian.label] == gap
    agents = [baselines_tables.find(groups, name) for name in baselines_tables.AGENTS]
    better = max((g for g in agents if g), key=lambda g: baselines_tables.held(runs[g.name], "test").mean())
    against = found["the better arch2vec as released"]["CIFAR-10"]
    assert against[gaussian.label] == baselines_tables.difference(gaussian, better, runs)
    assert not {g.label for g in agents if g} & set(against)
    table = baselines_tables.comparison_table(found["regularized evolution"])
    word = "above" if gap.low > 0 else "below" if gap.high < 0 else "not told apart"
    assert table.loc[gaussian.label, "CIFAR-10"] == f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], {word}"
    assert re.label not in table.index


def test_nothing_to_compare_is_no_figure():
    assert baselines_tables.highest({}, {}, {}) == ""
    assert baselines_tables.comparisons({}, {}, {}) == {}
    assert baselines_tables.plot_comparisons({}) is None


def test_comparisons_are_drawn_around_zero(made):
    groups, runs = made
    found = baselines_tables.comparisons({"cifar10": groups}, runs, {})
    figure = baselines_tables.plot_comparisons(found)
    ax, = figure.axes
    assert ax.get_title() == "CIFAR-10"
    first = found["regularized evolution"]["CIFAR-10"]
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), [gap.value for gap in first.values()])
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.lines)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "minus regularized evolution", "minus the better arch2vec as released"]


def test_tuning_table_has_a_cell_for_each_setting():
    groups = tuning("smoke")
    table = baselines_tables.tuning_table(groups, {group.name: outcomes(group) for group in groups})
    assert table.shape == (4, 3)
    assert (table == "").to_numpy().sum() == 1
    assert table.loc[5, 10] == ""
