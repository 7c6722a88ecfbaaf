"""Numbers and tables of the search pages: by hand, by plain loops, and against the register of claims."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_pages import SCALE, objective, of_all, outcomes
from scipy import stats

from a2v_core.claims import load_register
from a2v_core.errors import MissingDataError, SettingsError
from a2v_core.paths import repository_root
from a2v_core.results import Page, check_results
from a2v_core.search import plan, tables
from a2v_core.search.estimates import estimate, held, show
from a2v_core.search.methods import METHODS
from a2v_core.search.objective import Objective
from a2v_core.search.plan import Scale, make_group
from a2v_core.search.runs import ENDED_BY_ITSELF, ENDED_BY_QUERIES, ENDED_BY_SECONDS, Budget, Trajectories
from a2v_core.search.trajectories import Outcomes, final, regret_after
from a2v_core.spaces import get_space

# Five cells that cost 10, 20, 30, 40 and 50 s; the test accuracy ranks them otherwise than the signal.
SIGNAL, TEST = np.array([0.1, 0.5, 0.3, 0.9, 0.7]), np.array([0.2, 0.4, 0.8, 0.6, 0.5])
SMALL = Objective("nasbench201/small", get_space("nasbench201"), np.array([7, 3, 12, 5, 40]), (12,), SIGNAL[None, None],
                  np.array([[10.0, 20, 30, 40, 50]]), SIGNAL, TEST, np.ones(5, bool))


def small(*runs, ended=ENDED_BY_SECONDS, seconds=100.0, seeds=None):
    """Outcomes from the candidates of each run."""
    candidates = np.array([c for run in runs for c in run], int)
    counts = np.array([len(run) for run in runs])
    return Outcomes(Trajectories(np.arange(len(runs)) if seeds is None else np.array(seeds), counts,
                                 np.broadcast_to(np.array(ended, np.int8), len(runs)), Budget(seconds=seconds),
                                 SMALL.rows[candidates].astype(np.int32), np.full(len(candidates), 12, np.int32),
                                 SIGNAL[candidates]), SMALL)


def group(method, recipe="released", runs=6, space="nasbench101", name="imputed", **options):
    return make_group(SCALE, space, name, method, recipe, runs, 1.15e6, **options)


@pytest.fixture(scope="module")
def table2_groups():
    # The smallest profile leaves the supervised counterparts out.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plan.SCALES, "smoke", dataclasses.replace(plan.SCALES["smoke"], supervised=1))
        return plan.table2("smoke").groups["main"]


@pytest.fixture(scope="module")
def authors():
    """Curves that fall by 0.001 a query from 0.05, three queries long for one of them."""
    lengths = dict.fromkeys(tables.AUTHORS.values(), 50) | {"evolution": 3}
    return pd.concat([pd.DataFrame({"method": name, "step": np.arange(n), "seconds": 200.0 * (1 + np.arange(n)),
                                    "test_regret": 0.05 - 0.001 * np.arange(n)}) for name, n in lengths.items()])


# --- what a run holds ------------------------------------------------------------------------------------------------


def test_held_after_queries_by_hand():
    found = small([0, 1, 2, 3], [4, 2, 2, 0])
    np.testing.assert_array_equal(held(found, "test", queries=1), [0.2, 0.5])
    np.testing.assert_array_equal(held(found, "test", queries=3), [0.4, 0.5])
    np.testing.assert_array_equal(held(found, "test", queries=4), [0.6, 0.5])
    np.testing.assert_allclose(held(found, "regret_validation", queries=2), [0.4, 0.2])
    np.testing.assert_array_equal(held(found, "seconds", queries=2), [30, 80])


def test_held_at_seconds_by_hand():
    found = small([0, 1, 2, 3], [4, 2, 0, 0])
    np.testing.assert_array_equal(held(found, "test", seconds=29.9), [0.2, np.nan])
    np.testing.assert_array_equal(held(found, "test", seconds=30), [0.4, np.nan])
    np.testing.assert_array_equal(held(found, "test", seconds=50), [0.4, 0.5])
    np.testing.assert_array_equal(held(found, "test", seconds=100), [0.6, 0.5])
    np.testing.assert_array_equal(held(found, "test", queries=1, seconds=100), [0.2, 0.5])
    np.testing.assert_array_equal(held(found, "test", queries=4, seconds=30), [0.4, np.nan])


@pytest.mark.parametrize("ended", [ENDED_BY_SECONDS, ENDED_BY_QUERIES, ENDED_BY_ITSELF])
def test_a_run_that_ended_before_holds_what_it_had(ended):
    found = small([0, 1], [4, 2, 3, 0], ended=ended)
    np.testing.assert_array_equal(held(found, "test", queries=3), [0.4, 0.6])
    np.testing.assert_array_equal(held(found, "test", seconds=1e6), [0.4, 0.6])
    np.testing.assert_array_equal(held(found, "test"), [0.4, 0.6])


def test_held_is_what_the_trajectories_say_where_all_runs_get_so_far():
    found = outcomes(group("random"))
    for bounds in ({"queries": 5}, {"seconds": 4000.0}, {"queries": 10, "seconds": 2500.0}):
        for quantity in ("test", "regret_test", "seconds"):
            np.testing.assert_array_equal(held(found, quantity, **bounds), final(found, **bounds)[quantity])


def test_different_cells_by_hand():
    found = small([0, 1, 0, 2, 4], [3, 3], [1, 2, 3, 4])
    assert tables.distinct(found, 1) == 1
    assert tables.distinct(found, 3) == (2 + 1 + 3) / 3
    assert tables.distinct(found, 100) == (4 + 1 + 4) / 3


def test_the_best_queried_cell_by_hand():
    # The signal ranks cell 3 first, the test accuracy cell 2.
    found = small([0, 1, 2, 3], [4, 3, 3])
    np.testing.assert_array_equal(tables.best_queried(found), [0.8, 0.6])
    np.testing.assert_array_equal(tables.best_queried(found, 2), [0.4, 0.6])
    assert (tables.best_queried(found) >= held(found, "test")).all()


def test_both_regrets_beside_those_of_the_authors(authors):
    chosen = [group("re"), group("bananas")]
    runs, frame = of_all(chosen), authors.assign(validation_regret=authors["test_regret"] / 2)
    table = tables.two_regrets(chosen, runs, SCALE, frame)
    # Their curve of evolution ends after three queries.
    assert table.loc[chosen[0].label, ["authors, validation", "authors, test"]].tolist() == ["2.400", "4.800"]
    assert table.loc[chosen[1].label, ["authors, validation", "authors, test"]].tolist() == ["", ""]
    found = runs[chosen[0].name]
    queries = tables.queries_read(chosen[0], SCALE)
    assert table.loc[chosen[0].label, "ours, test"] == f"{100 * held(found, 'regret_test', queries=queries).mean():.3f}"
    best = 100 * (found.objective.best_test - tables.best_queried(found, queries)).mean()
    assert table.loc[chosen[0].label, "ours, best queried"] == f"{best:.3f}"
    assert best <= 100 * held(found, "regret_test", queries=queries).mean()


def test_the_cost_of_pretraining_is_shared_by_the_stack(monkeypatch):
    from types import SimpleNamespace

    from a2v_core import pretraining

    records = {0: {"seconds_of_stack": 300.0, "stacked_seeds": [0, 1, 2]},
               1: {"seconds_of_stack": 50.0, "stacked_seeds": [1]}}
    monkeypatch.setattr(pretraining, "pretrain", lambda cells, k, settings, seeds, store: [
        SimpleNamespace(record=records[seed]) for seed in seeds])
    assert tables.pretraining_seconds(group("arch2vec_rl")) == 75


# --- statistics ------------------------------------------------------------------------------------------------------


def test_a_mean_over_few_runs_has_students_interval():
    runs = np.random.default_rng(0).normal(94, 0.3, 12)
    found = estimate(runs)
    low, high = stats.t.interval(0.95, 11, runs.mean(), stats.sem(runs))
    np.testing.assert_allclose(found, (runs.mean(), low, high, 12))


@pytest.mark.parametrize(("statistic", "value", "deviation"), [
    ("mean", 94.0, 1.0), ("sd", 0.3, 1 / np.sqrt(2)),
    # Asymptotic deviation of a quantile: sqrt(p (1 - p)) over the density there.
    ("q90", 94 + 0.3 * stats.norm.ppf(0.9), np.sqrt(0.09) / stats.norm.pdf(stats.norm.ppf(0.9)))])
def test_statistics_over_many_runs_have_the_width_of_theory(statistic, value, deviation):
    runs, n = np.random.default_rng(1).normal(94, 0.3, 2000), 2000
    found, half = estimate(runs, statistic), 1.96 * 0.3 * deviation / np.sqrt(n)
    assert found.n == n
    assert found.low < found.value < found.high
    assert abs(found.value - value) < 2 * half
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.2)


def test_statistics_by_hand():
    runs = np.arange(40.0)
    assert estimate(runs).value == 19.5
    assert estimate(runs, "sd").value == pytest.approx(runs.std(ddof=1))
    assert estimate(runs, "q90").value == pytest.approx(35.1)
    assert estimate(runs[:3], "sd").value == pytest.approx(1)
    assert estimate(runs[:1]) == (0, 0, 0, 1)
    assert estimate(runs[:1], "sd").value == 0


@pytest.mark.parametrize("n", [2, 9, 10, 29])
@pytest.mark.parametrize("statistic", ["sd", "q90"])
def test_a_spread_over_few_runs_does_not_pretend_to_be_exact(statistic, n):
    found = estimate(np.random.default_rng(2).normal(size=n), statistic)
    assert found.n == n
    assert np.isnan([found.low, found.high]).all() if n < 10 else found.low < found.value < found.high


def test_an_interval_is_shown_where_there_is_one():
    assert show(estimate(np.array([93.216]))) == "93.22"
    assert show(estimate(np.array([1.0, 2, 3]))) == "2.00 [-0.48, 4.48]"
    assert show(estimate(np.array([1.0, 2, 3])), 1) == "2.0 [-0.5, 4.5]"
    assert show(estimate(np.array([1.0, 2, 3]), "sd")) == "1.00"


# --- what is read of a group -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "discrete", "others"), [(1.0, 1000, 400), (1 / 5, 200, 80), (1 / 1000, 1, 1)])
def test_queries_that_table2_reads(part, discrete, others):
    scale = Scale(4, 2, 1, {"nasbench101": 1}, part)
    for method in METHODS:
        expected = discrete if method in ("random", "re", "rl", "bohb") else others
        assert tables.queries_read(group(method), scale) == expected, method


def test_only_the_discrete_baselines_of_the_authors_stand_beside_every_recipe():
    assert [tables.recorded_recipe(group(method)) for method in tables.DISCRETE] == [""] * 4
    assert [tables.recorded_recipe(group(method, "corrected")) for method in tables.DISCRETE] == ["corrected"] * 4
    for method in ("bo", "bananas", "supervised_rl", "arch2vec_bo", "frozen_policy"):
        assert tables.recorded_recipe(group(method)) == "released"


def test_a_missing_table_is_a_box():
    text = tables.missing_table(MissingDataError("table nb101_test is not here: fetch it"))
    assert text.startswith(":::{admonition}")
    assert text.rstrip().endswith(":::")
    assert "\ntable nb101_test is not here: fetch it\n" in text


# --- tables ----------------------------------------------------------------------------------------------------------


def test_table2_row_by_row(authors):
    groups = [group("random"), group("re"), group("arch2vec_bo"), group("frozen_policy"), group("rl", runs=1)]
    runs = of_all(groups)
    paper = {"table2/random/test_accuracy": 93.54, "table2/arch2vec_bo/test_accuracy": 94.05}
    shown = tables.table2(groups, runs, SCALE, paper, authors)
    assert shown.index.tolist() == [g.label for g in groups]
    assert shown["queries"].tolist() == [10, 10, 4, 4, 10]
    assert shown["paper"].tolist() == ["93.54", "", "94.05", "", ""]
    best = 100 * objective().best_test
    # The tenth query is step 9; the authors' curve of evolution ends after three queries.
    assert shown["authors' curve"].tolist() == \
        [f"{best - 5 + 0.1 * step:.2f}{end}" if step else ""
         for step, end in ((9, ""), (2, " (3)"), (3, ""), (None, ""), (9, ""))]
    for row, g in zip(shown.itertuples(), groups, strict=True):
        values = 100 * held(runs[g.name], "test", queries=row.queries)
        # Six runs over two pre-trainings are two samples.
        counted = values.reshape(2, 3).mean(1) if g.method in ("arch2vec_bo", "frozen_policy") else values
        assert row.ours == show(estimate(counted))
        assert row.runs == len(values)
        cells = np.split(runs[g.name].trajectories.cells, np.cumsum(runs[g.name].trajectories.counts)[:-1])
        different = np.mean([len(set(run[:row.queries].tolist())) for run in cells])
        assert shown.loc[g.label, "different cells"] == f"{different:.0f}"
    assert "[" not in shown["ours"].iloc[-1]


def test_regrets_at_the_end_of_figure_6():
    groups = [group("random"), group("arch2vec_rl", "paper", runs=1)]
    runs = of_all(groups)
    shown = tables.regrets(groups, runs, SCALE)
    for g in groups:
        row, end = shown.loc[g.label], final(runs[g.name], seconds=1e4)
        assert row["queries"] == f"{end['queries'].mean():.0f}"
        assert row["final regret"] == show(estimate(100 * end["regret_test"].to_numpy()), 3)
        assert row["90 % of runs below"] == f"{np.quantile(100 * end['regret_test'], 0.9):.3f}"
        assert row["mean from 50,000 s on"] == show(estimate(100 * regret_after(runs[g.name], 500.0, 1e4)), 3)
        assert row["runs"] == len(end)


def test_a_run_without_incumbent_at_the_beginning_is_left_out_of_the_later_part():
    scale = Scale(2, 2, 1, {}, 1e-4)  # Figure 6 from 5 s to 100 s; the first queries take 10 s and more
    g = group("random", runs=2)
    shown = tables.regrets([g], {g.name: small([0, 1], [4])}, scale)
    assert shown["mean from 50,000 s on"].tolist() == [""]


def test_differences_by_hand():
    a, b = group("local_search"), group("random")
    first, second = small([0], [1], [2], [3]), small([4], [3], [1], [1], [0])
    shown = tables.differences([a], [b], {a.name: first, b.name: second}, "test", {a.name: 1, b.name: 1})
    x, y = 100 * TEST[[0, 1, 2, 3]], 100 * TEST[[4, 3, 1, 1, 0]]
    low, high = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    above = np.mean([(p > y).mean() + (p == y).mean() / 2 for p in x])
    assert shown.to_dict("records") == [
        {"method": a.label, "against": b.label, "difference": f"{x.mean() - y.mean():.2f} [{low:.2f}, {high:.2f}]",
         "chance to be above": f"{above:.2f}", "samples": "4 and 5"}]


def test_differences_of_all_pairs_at_their_own_bounds():
    ours, others = [group("arch2vec_rl"), group("arch2vec_bo")], [group("random"), group("re", runs=4),
                                                                  group("rl", runs=1)]
    runs = of_all([*ours, *others])
    bounds = {g.name: 2 + i for i, g in enumerate([*ours, *others])}
    shown = tables.differences(ours, others, runs, "test", bounds)
    assert list(zip(shown["method"], shown["against"], strict=True)) == \
        [(a.label, b.label) for a in ours for b in others[:2]]  # one run tells nothing
    assert shown["samples"].tolist() == ["2 and 6", "2 and 4"] * 2
    for row, (a, b) in zip(shown.itertuples(), [(a, b) for a in ours for b in others[:2]], strict=True):
        x, y = (100 * held(runs[g.name], "test", queries=bounds[g.name]) for g in (a, b))
        assert row.difference.startswith(f"{x.mean() - y.mean():.2f} [")


def test_the_number_of_pretrainings_is_that_of_the_runs():
    made = group("arch2vec_bo")
    assert tables.pretrainings(made, outcomes(made)) == "2"
    found = outcomes(group("arch2vec_bo", runs=3))  # all of them are of the first pre-training of `made`
    assert tables.pretrainings(made, found) == "1"
    assert tables.pretrainings(group("random"), outcomes(group("random"))) == ""


def test_runs_by_pretraining():
    groups = [group("arch2vec_bo", runs=5), group("random", runs=5)]
    runs = of_all(groups)
    shown = tables.by_encoder(groups, runs, SCALE)
    values = 100 * held(runs[groups[0].name], "test", queries=4)
    assert tables.by_encoder(groups, runs, SCALE, lambda each: each.method).index.tolist() == ["arch2vec_bo", "random"]
    assert shown.columns.tolist() == ["pre-training 0", "pre-training 1"]
    assert shown.loc[groups[0].label].tolist() == [show(estimate(values[:2])), show(estimate(values[2:]))]
    assert shown.loc[groups[1].label].iloc[0] == \
        show(estimate(100 * held(runs[groups[1].name], "test", queries=10)))


def test_points_of_an_embedding_by_hand():
    class Seen:
        recipe, seed = "paper", 2

        def build(self, space, store):
            assert space == "a space"
            return np.array([[0, 0], [0, 0], [6, 0], [6, 0], [3, 4]], np.float32)

    shown = tables.embeddings([Seen()], "a space")
    # The mean is (3, 0.8), at sqrt(9 + 0.64) from the corners and at 3.2 from the third point.
    assert shown.to_dict("index") == {"paper, pre-training 2": {"different points": 3, "radius": pytest.approx(3.2)}}


def test_table3_row_by_row():
    groups = [group("re", space="nasbench201", name="cifar10"),
              group("arch2vec_rl", space="nasbench201", name="cifar10", runs=1),
              group("bo", space="nasbench201", name="cifar10")]
    runs = of_all(groups)
    stem = "table3/cifar10/re"
    paper = {f"{stem}/validation": 91.08, f"{stem}/validation_sd": 0.43, f"{stem}/test": 93.84, f"{stem}/test_sd": 0.43}
    shown = tables.table3("cifar10", groups, runs, paper)
    assert shown["test, paper"].tolist() == ["93.84 ± 0.43", "", ""]
    assert shown["validation, paper"].tolist() == ["91.08 ± 0.43", "", ""]
    values = 100 * final(runs[groups[0].name])["test"].to_numpy()
    found = estimate(values)
    assert shown.loc[groups[0].label, "test, ours"] == \
        f"{values.mean():.2f} ± {values.std(ddof=1):.2f} [{found.low:.2f}, {found.high:.2f}]"
    one = 100 * final(runs[groups[1].name])["validation"][0]
    assert shown.loc[groups[1].label, "validation, ours"] == f"{one:.2f}"
    assert shown["runs"].tolist() == [6, 1, 6]
    assert shown["queries"].iloc[0] == f"{runs[groups[0].name].trajectories.counts.mean():.0f}"


# --- what the register of claims is given ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def register():
    return load_register(repository_root() / "book" / "claims.toml")


def read_by(register, subject):
    """Identities that claims about a table or figure read."""
    return {id for claim in register.claims for id in getattr(claim.rule, "results", tuple)() if
            id.startswith(f"{subject}/")}


def test_names_of_methods_agree_with_the_registry():
    assert set(METHODS) >= set(tables.TABLE2) | set(tables.TABLE3)
    assert set(tables.AUTHORS) == set(tables.TABLE2) == set(tables.FIGURE6)


def test_what_is_recorded_of_table2_is_what_the_claims_read(register, table2_groups):
    page = Page("table2_nasbench101", "smoke")
    runs = of_all(table2_groups)
    tables.record_table2(page, table2_groups, runs, plan.scale_of("smoke"))
    content = page.as_dict()
    check_results(content, "page")
    quoted = {"table2/nao/test_accuracy", "table2/bananas/test_accuracy"}
    ids = {value["id"] for value in content["values"]}
    assert {id for id in ids if id.startswith("table2/")} == read_by(register, "table2") - quoted
    assert {id for id in ids if id.startswith("fig6/")} == read_by(register, "fig6")
    assert {value["definition"] for value in content["values"]} == {"exact"}
    assert {(value["id"].split("/")[0], value["unit"]) for value in content["values"]} == \
        {("table2", "%"), ("fig6", "fraction")}


def test_recipes_and_numbers_that_are_recorded_of_table2(table2_groups):
    page, scale = Page("table2_nasbench101", "smoke"), plan.scale_of("smoke")
    runs = of_all(table2_groups)
    tables.record_table2(page, table2_groups, runs, scale, definition="signal_made")
    found = {(v["id"], v["recipe"]): v for v in page.as_dict()["values"]}
    assert {recipe for id, recipe in found if id == "table2/bo/test_accuracy"} == {""}
    assert {recipe for id, recipe in found if id == "fig6/arch2vec_bo/final_regret"} == \
        {"released", "paper", "corrected"}
    by = {(g.method, g.recipe): runs[g.name] for g in table2_groups}
    ours = by["arch2vec_rl", "paper"]
    value = found["table2/arch2vec_rl/test_accuracy", "paper"]
    assert value["value"] == pytest.approx(100 * held(ours, "test", queries=40).mean())
    assert (value["n"], value["definition"]) == (4, "signal_made")
    assert value["low"] < value["value"] < value["high"]
    regret = held(ours, "regret_test", seconds=1e5)
    assert found["fig6/arch2vec_rl/final_regret", "paper"]["value"] == pytest.approx(regret.mean())
    tail = found["fig6/arch2vec_rl/final_regret_q90", "paper"]
    assert tail["value"] == pytest.approx(np.quantile(regret, 0.9))
    assert (tail["low"], tail["high"]) == (None, None)  # four runs tell nothing about a tail
    assert found["fig6/arch2vec_rl/regret_after_5e4", "paper"]["value"] == \
        pytest.approx(regret_after(ours, 5e3, 1e5).mean())
    alone = found["table2/supervised_rl/test_accuracy", "released"]
    assert (alone["n"], alone["low"], alone["high"]) == (1, None, None)
    bohb = found["table2/bo/test_accuracy", ""]["value"]
    assert bohb == pytest.approx(100 * held(by["bohb", "released"], "test", queries=100).mean())


def test_all_parts_of_the_table2_page_can_be_recorded_together(table2_groups):
    searches, page, scale = plan.table2("smoke"), Page("table2_nasbench101", "smoke"), plan.scale_of("smoke")
    for part, definition in (("main", "exact"), ("discrete", "exact"), ("signals", "signal_")):
        groups = [g for g in searches.groups[part] if g.method in tables.DISCRETE or part != "discrete"]
        for name in {g.objective for g in groups}:
            of_name = [g for g in groups if g.objective == name]
            tables.record_table2(page, of_name, of_all(of_name), scale, definition + name * (part == "signals"))


@pytest.fixture(scope="module")
def table3_searches():
    return plan.table3("smoke")


@pytest.mark.parametrize("dataset", plan.DATASETS)
def test_what_is_recorded_of_table3_is_what_the_claims_read(register, table3_searches, dataset):
    page = Page("table3_nasbench201", "smoke")
    groups = table3_searches.groups[dataset]
    longer = {g.name: dataclasses.replace(g, arms=tuple(dataclasses.replace(arm, budget=Budget(seconds=1e4))
                                                        for arm in g.arms)) for g in groups}
    runs = of_all(longer.values())
    tables.record_table3(page, dataset, groups, runs)
    content = page.as_dict()
    check_results(content, "page")
    expected = {id for id in read_by(register, "table3") if id.split("/")[1] == dataset}
    assert {v["id"] for v in content["values"]} == expected - {f"table3/{dataset}/query_ratio"}
    found = {(v["id"], v["recipe"]): v for v in content["values"]}
    ours = next(g for g in groups if (g.method, g.recipe) == ("arch2vec_bo", "corrected"))
    values = 100 * held(runs[ours.name], "validation")
    stem = f"table3/{dataset}/arch2vec_bo/validation"
    assert found[stem, "corrected"]["value"] == pytest.approx(values.mean())
    assert found[f"{stem}_sd", "corrected"]["value"] == pytest.approx(values.std(ddof=1))
    assert {(v["unit"], v["n"]) for v in content["values"]} == {("%", 4), ("%", 2)}  # 2: corrected BO


def test_groups_that_no_claim_is_about_are_recorded_one_by_one():
    page, extra = Page("table2_nasbench101", "smoke"), group("bo", "corrected")
    found = outcomes(extra)
    tables.record_table2(page, [extra], {extra.name: found}, SCALE)
    tables.record_table3(page, "cifar10", [extra], {extra.name: found})
    assert page.as_dict()["values"] == []
    tables.record_accuracy(page, "table2/dngo_one_hot/test_accuracy", extra, {extra.name: found}, queries=4)
    value, = page.as_dict()["values"]
    assert (value["recipe"], value["n"], value["unit"]) == ("corrected", 6, "%")
    assert value["value"] == pytest.approx(100 * held(found, "test", queries=4).mean())


def test_an_unknown_quantity_is_named():
    with pytest.raises(SettingsError, match="unknown quantity 'luck'"):
        held(small([0]), "luck")
