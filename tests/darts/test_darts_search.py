"""Searches of the DARTS sample: on the surrogate's objectives, with real trainings, and what the page makes of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from a2v_core import claims
from a2v_core.darts import table4_tables, trained_objective, training_search
from a2v_core.darts.genotype_files import read_genotype_file
from a2v_core.darts.surrogate import SOURCES, Predictions
from a2v_core.darts.training_cost import gpu_days
from a2v_core.darts.training_recipes import training_settings
from a2v_core.errors import SettingsError
from a2v_core.paths import repository_root
from a2v_core.results import Page
from a2v_core.search import darts_objectives, darts_plan
from a2v_core.search.blocks import Arm
from a2v_core.search.objectives import get_objective, objective_names
from a2v_core.search.runs import Budget
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_cost import CIFAR10, network_cost
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO

ZERO = table4_tables.NONE


@pytest.fixture(scope="module")
def paper():
    return {claim.id: claim.paper for claim in claims.load_register(repository_root() / "book" / "claims.toml").claims}


@pytest.fixture
def small(monkeypatch):
    """A sample of 300 cells and a surrogate that counts separable convolutions."""
    space = DARTS(n_cells=300)

    def said(edges, identity, data_dir):
        assert identity == space.cells().digest()
        convolutions = np.isin(edges.ops, (6, 7)).sum(1)
        return Predictions(0.9 + 0.005 * convolutions + 1e-5 * edges.inputs.sum(1), 1000.0 + convolutions)

    monkeypatch.setattr(darts_objectives, "get_space", lambda name: space)
    monkeypatch.setattr(darts_objectives, "predictions", said)
    return space


# --- objectives and plan ---------------------------------------------------------------------------------------------


def test_the_objectives_are_registered():
    assert objective_names()["darts"] == ("surrogate", "surrogate_all")
    with pytest.raises(SettingsError, match="no objective 'table'"):
        get_objective("darts", "table")


def test_candidates_and_labels_of_the_objectives(small):
    known, whole = (darts_objectives.objective(name) for name in ("surrogate", "surrogate_all"))
    zero = (small.edges.ops == ZERO).any(1)
    np.testing.assert_array_equal(known.rows, np.flatnonzero(~zero))
    assert len(whole) == 300
    np.testing.assert_array_equal(known.validation, whole.validation[known.rows])
    np.testing.assert_array_equal(known.signal[0, 0], known.validation)
    np.testing.assert_array_equal(known.test, known.validation)
    assert not known.measured.any()
    assert set(known.data) == set(SOURCES)
    part = darts_objectives.sample_objective("surrogate_all", 50)
    np.testing.assert_array_equal(part.validation, whole.validation[:50])
    assert known.digest != whole.digest


@pytest.mark.parametrize("profile", darts_plan.SCALES)
def test_the_plan_has_100_queries_and_all_methods(profile):
    plan = darts_plan.table4(profile, seed=7)
    assert {group.method for group in plan.groups[darts_plan.MAIN]} == {
        "random", "neighbour_re", "local_search", "arch2vec_rl", "arch2vec_bo", "supervised_bo"}
    for group in plan.all():
        seeds = [seed for arm in group.arms for seed in range(arm.first_seed, arm.first_seed + arm.runs)]
        assert seeds == list(range(7, 7 + len(seeds)))
        assert {arm.budget for arm in group.arms} == {Budget(queries=plan.scale.queries)}
        assert len({arm.seen for arm in group.arms}) == len(group.arms)
    if profile == "full":
        counts = {group.name: sum(arm.runs for arm in group.arms) for group in plan.groups[darts_plan.MAIN]}
        assert [name for name, runs in counts.items() if runs < 500] == [
            "surrogate/arch2vec_bo/paper", "surrogate/arch2vec_bo/corrected", "surrogate/supervised_bo/released",
            "surrogate/supervised_bo/paper"]
        assert {arm.budget.queries for group in plan.all() for arm in group.arms} == {100}


def test_an_unknown_profile_is_named():
    with pytest.raises(SettingsError, match="profile 'tiny' is unknown"):
        darts_plan.table4("tiny")


def test_searches_of_a_part_of_the_sample(small):
    scale = darts_plan.Scale(300, 20, 4, 2, 1, 1)
    searched = {name: darts_objectives.sample_objective(name, 300) for name in ("surrogate", "surrogate_all")}
    groups = [darts_plan.make_group(scale, objective, method, "corrected", 4)
              for objective in searched for method in ("random", "local_search", "neighbour_re")]
    runs = darts_plan.run(groups, scale, searched)
    again = darts_plan.run(groups[:1], scale, searched)
    assert list(runs) == [group.name for group in groups]
    first = runs[groups[0].name]
    assert first.trajectories.counts.tolist() == [20] * 4
    np.testing.assert_array_equal(first.trajectories.cells, again[groups[0].name].trajectories.cells)
    table = table4_tables.search_table(groups, runs)
    assert table["different cells"].astype(int).max() == 20
    assert table_labels(table) == ["random search", "local search", "regularized evolution"]
    held = table4_tables.held(first, "validation")
    row, accuracy = table4_tables.best_cell([first])
    assert accuracy == held.max()
    assert searched["surrogate"].validation[searched["surrogate"].rows == row] == accuracy
    assert table4_tables.zero_share(first) == 0
    assert table4_tables.zero_share(runs[groups[3].name]) > 0
    page = Page("table4_darts", "smoke")
    table4_tables.record_searches(page, groups, runs)
    assert {value["definition"] for value in page.as_dict()["values"]} == {"surrogate"}


def table_labels(table):
    return list(dict.fromkeys(table.index))


# --- real trainings --------------------------------------------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that take no time: accuracy by the number of operations that are not zero."""
    made = []

    def accuracy(genotype, recipe, *, dataset, data_dir, seed, device, store, progress):
        made.append(str(genotype))
        operations = sum(name != "none" for name, _ in genotype.edges)
        return operations / 10, 1.5

    monkeypatch.setattr(trained_objective, "search_accuracy", accuracy)
    return made


def test_every_method_searches_with_real_trainings(trainings):
    settings = training_settings("query_released", epochs=5, channels=8, layers=5)
    for method in ("random", "local_search", "neighbour_re"):
        trainings.clear()
        outcomes, asked = training_search.search_by_training(method, "corrected", settings, "digits", queries=13,
                                                             n_cells=200, seed=3)
        runs = outcomes.trajectories
        assert runs.counts.tolist() == [13]
        # Nothing is trained twice, and nothing beyond the budget.
        assert len(trainings) == len(set(trainings)) == len(np.unique(runs.cells)) == len(asked.trained)
        operations = (asked.space.edges.ops[runs.cells] != ZERO).sum(1)
        np.testing.assert_allclose(runs.signal, operations / 10)
        assert runs.epochs.tolist() == [5] * 13
        assert table4_tables.held(outcomes, "validation") == runs.signal.max()
        assert asked.measured().measured.all()


def test_expected_seconds_are_those_of_the_cost_model():
    settings = training_settings("query_released")
    asked = trained_objective.TrainedObjective(settings, "cifar10", np.arange(20))
    edges = type(asked.space.edges)(*(part[:20] for part in asked.space.edges))
    cost = network_cost(edges, edges, CIFAR10, "conventional").multiply_adds
    np.testing.assert_allclose(asked.seconds[0], [86_400 * gpu_days(each, settings, 50_000) for each in cost])


def test_a_training_for_real(tmp_path):
    settings = training_settings("query_released", epochs=1, averaged_epochs=1, channels=2, layers=3, images=40,
                                 batch_size=16, auxiliary_weight=0.0)
    options = {"queries": 2, "n_cells": 50, "data_dir": str(tmp_path), "device": "cpu"}
    outcomes, asked = training_search.search_by_training("random", "corrected", settings, "digits", **options)
    again, _ = training_search.search_by_training("random", "corrected", settings, "digits", **options)
    np.testing.assert_array_equal(outcomes.trajectories.signal, again.trajectories.signal)
    assert set(outcomes.trajectories.cells) == set(asked.measured().rows)
    assert len(list((tmp_path / "artifacts" / "darts_training").glob("*.json"))) == len(asked.trained)


def test_the_command_writes_what_the_training_command_reads(trainings, tmp_path):
    import typer

    app = typer.Typer()
    app.command()(training_search.darts_search)
    given = ["--method", "random", "--recipe", "corrected", "--queries", "4", "--dataset", "digits", "--cells", "100",
             "--data-dir", str(tmp_path), "--set", "epochs=9"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert "4 networks trained; best validation error" in result.output
    path = tmp_path / "genotypes" / "random-corrected-digits-0.json"
    assert str(read_genotype_file(path)) in trainings
    with pytest.raises(SettingsError, match="'epochs' is not NAME=VALUE"):
        training_search.parse_change("epochs")


# --- tables ----------------------------------------------------------------------------------------------------------


def test_exact_costs_agree_with_the_formulas_and_the_paper(paper):
    costs = table4_tables.network_costs()
    for name, cost in costs.items():
        assert cost.formula in (None, cost.built), name
    table = table4_tables.parameters_table(costs, paper)
    assert table["rounds to the paper's"].to_dict() == {row: "no" if row == "ENAS" else "yes" for row in table.index}
    assert table4_tables.parameters(ARCH2VEC_BO) == pytest.approx(3.617, abs=5e-4)
    found = table4_tables.figure10_multiply_adds()
    assert found["arch2vec_rl"]["released"] == pytest.approx(532.7, abs=0.05)
    assert found["arch2vec_bo"]["released"] == pytest.approx(579.8, abs=0.06)
    page = Page("table4_darts", "smoke")
    table4_tables.record(page, costs)
    ids = {value["id"] for value in page.as_dict()["values"]}
    assert {"table4/arch2vec_bo/params", "table4/snas/params", "fig10/arch2vec_rl/multiply_adds"} <= ids
    assert not [each for each in ids if each.endswith(("test_error", "best", "stage2", "total"))]
    whole = table4_tables.table4(paper, costs, {}, [], {}, 5e8)
    assert len(whole) == len(table4_tables.ROWS)
    assert whole.loc["arch2vec-BO", "estimate"] == (
        f"{table4_tables.search_days(5e8) + table4_tables.final_days(costs['arch2vec_bo'].multiply_adds):.1f}")
    assert whole.loc["ENAS", "exact"] == "3.89"


def test_only_random_search_has_a_best_that_is_too_far(paper):
    table = table4_tables.best_to_mean(paper)
    assert table.index[table["possible, rounding allowed for"] == "no"].tolist() == ["random search"]
    assert table.loc["random search", "largest possible"] == pytest.approx(0.322, abs=5e-4)
    assert "SNAS" not in table.index


def test_expected_best_of_random_draws():
    made = SimpleNamespace(validation=np.array([0.3, 0.1, 0.2]))
    # Of two draws from three: 1/9 lowest, 3/9 middle, 5/9 highest.
    assert table4_tables.expected_best_of(made, 2) == pytest.approx((0.1 + 3 * 0.2 + 5 * 0.3) / 9)
    assert table4_tables.expected_best_of(made, 1) == pytest.approx(0.2)
    assert table4_tables.rank_in_sample(0.2, made) == 2


def test_arms_of_the_plan_are_blocks_of_the_study():
    arm = darts_plan.table4("full").groups[darts_plan.MAIN][0].arms[0]
    assert isinstance(arm, Arm)
    assert len(arm.blocks()) == 10
    assert pd.Series([block.runs for block in arm.blocks()]).eq(50).all()
