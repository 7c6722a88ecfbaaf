"""Profiles, tidy tables, figures and sentences of the Table 1 page, on made-up records."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from a2v_core import table1_figures as figures
from a2v_core import table1_plan as plans
from a2v_core import table1_tables as tables
from a2v_core.claims import load_register
from a2v_core.errors import SettingsError
from a2v_core.paths import repository_root
from a2v_core.results import Page
from a2v_core.spaces import get_space
from a2v_core.table1 import Arm, factor_arms, main_arms
from a2v_core.table1_findings import findings

matplotlib.use("Agg")


def record(arm, seed, accuracy=0.5, validity=0.4, uniqueness=0.9, kl=1.0):
    drawn = {"validity": validity, "uniqueness": uniqueness, "released_validity": validity + 0.1,
             "released_uniqueness": uniqueness + 0.05, "unpruned_uniqueness": uniqueness + 0.01,
             "n_valid": int(1000 * validity), "n_distinct": int(1000 * validity * uniqueness), "n_draws": 1000}
    history = [{"epoch": e, "train_mode": e == 1, "compiled": False, "seconds": 1.0, "operations": 10.0 / e,
                "adjacency": 5.0, "kl": kl, "accuracy": accuracy, "validity": validity, "uniqueness": uniqueness}
               for e in (1, 2)]
    training = {"settings": arm.settings().as_dict(), "history": history, "n_operations": 7, "seed": seed,
                "seconds_of_stack": 120.0, "stacked_seeds": [0, 1], "cells": "0" * 64}
    return {"arm": {"space": arm.space, "recipe": arm.recipe, "method": arm.method, "changes": arm.changes,
                    "label": arm.label}, "seed": seed, "training": training,
            "reconstruction": {"exact": accuracy, "operations": 0.98, "edges": 0.99, "edge_recall": 0.9,
                               "n_cells": 100, "released": 0.98},
            "generation": dict.fromkeys(("encoded", "common", "collected"), drawn)}


@pytest.fixture(scope="module")
def records():
    arms = [*(arm for space in plans.SPACES for arm in main_arms(space)), *factor_arms(plans.FACTOR_SPACE)]
    return [record(arm, seed, accuracy=0.5 + 0.1 * seed + 0.2 * (arm.method == "arch2vec"),
                   validity=0.4 + 0.01 * seed + 0.3 * (arm.method == "arch2vec_without_kl"))
            for arm in arms for seed in (0, 1)]


@pytest.fixture(scope="module")
def paper():
    return {claim.id: claim.paper for claim in load_register(repository_root() / "book" / "claims.toml").claims}


@pytest.fixture(scope="module")
def ceilings():
    return tables.accuracy_ceilings({space: plans.study_cells(space, 500) for space in plans.SPACES})


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_the_full_profile_is_the_papers_scale_and_unknown_ones_are_refused():
    full = plans.plan("full")
    assert (full.n_cells, full.epochs, full.draws, full.factor_labels) == (None, None, 10_000, None)
    assert full.seeds["nasbench201"] >= 5
    assert min(full.seeds.values()) >= 3
    assert {(arm.space, arm.recipe, arm.method) for arm in plans.planned_arms("full")} >= {
        (space, "released", method) for space in plans.SPACES for method in tables.METHOD_NAMES}
    with pytest.raises(SettingsError, match="huge"):
        plans.plan("huge")


def test_study_cells_are_a_sorted_sample_and_all_when_asked():
    space = get_space("nasbench201")
    some = plans.study_cells("nasbench201", 300)
    rows = space.rows(some)
    assert len(rows) == 300
    assert (np.diff(rows) > 0).all()
    assert plans.study_cells("nasbench201", 300).digest() == some.digest()
    assert plans.study_cells("nasbench201", None).digest() == space.cells().digest()


def test_metrics_place_each_measure_under_its_definition(records):
    frame = plans.metrics(records)
    arm = frame[(frame.space == "darts") & (frame.label == "arch2vec-released") & (frame.seed == 1)]
    value = arm.set_index(["metric", "definition"])["value"]
    assert value["accuracy", "exact"] == pytest.approx(80)
    assert value["accuracy", "released"] == pytest.approx(98)
    assert value["validity", "exact"] == pytest.approx(41)
    assert value["validity", "released"] == pytest.approx(51)
    assert value["uniqueness", "released"] == pytest.approx(95)
    assert not value.index.duplicated().any()


def test_missing_runs_are_named(records):
    without = [r for r in records if not (r["arm"]["space"] == "darts" and r["arm"]["label"] == "gae-released")]
    missing = plans.missing_runs("quick", without)
    assert missing.to_dict("records") == [{"space": "darts", "arm": "gae-released", "planned": 2, "there": 0}]
    assert plans.missing_runs("quick", records).empty


def test_tables_state_mean_interval_and_paper(records, paper):
    table = tables.main_table(plans.metrics(records), paper, "accuracy")
    assert len(table) == 12
    row = table.loc["NAS-Bench-201", "arch2vec"]
    assert row["paper"] == f"{paper['table1/nasbench201/arch2vec/accuracy']:.2f}"
    assert row["exact"].startswith("75.00 [11.5, 100.0]")  # 70 and 80: t with one degree of freedom, cut at 100
    assert row["seeds"] == 2
    definitions = tables.definitions_table(plans.metrics(records))
    assert definitions.shape == (len(tables.DEFINITION_NAMES), 3)
    assert tables.arms_table(plans.metrics(records), "nasbench201", tables.KL_ARMS).index.tolist() == list(
        tables.KL_ARMS.values())
    assert tables.cost_table(records).loc["arch2vec-released", "DARTS"] == 1.0


def test_figures_show_every_arm_and_stand_missing_ones(records, paper, ceilings):
    frame, curves = plans.metrics(records), plans.curves(records)
    main = figures.plot_main(frame, paper, ceilings.iloc[0])
    assert len(main.axes) == 9
    assert len(figures.plot_recipes(frame, paper).axes) == 3
    assert len(figures.plot_curves(curves).axes) == 9
    effects = tables.factor_effects(frame, plans.FACTOR_SPACE)
    assert set(effects["factor"]) == set(tables.FACTOR_NAMES.values())
    assert len(figures.plot_factors(effects).axes) == 3
    # Panels share their rows: a method that is missing in one must not move the others.
    partial = [r for r in records if (r["arm"]["space"], r["arm"]["method"]) != ("darts", "arch2vec_without_kl")]
    shown = figures.plot_main(plans.metrics(partial), paper, ceilings.iloc[0])
    for ax in shown.axes[::3]:
        assert [label.get_text() for label in ax.get_yticklabels()] == list(tables.METHOD_NAMES.values())
    crosses = next(line for line in shown.axes[-1].lines if line.get_label() == "paper")
    assert list(crosses.get_ydata()) == [0, 1, 2, 3]
    figures.plot_main(plans.metrics([r for r in records if r["arm"]["space"] == "nasbench201"]), paper,
                      ceilings.iloc[0])
    figures.plot_recipes(plans.metrics(partial), paper)


def test_loss_terms_are_those_of_the_last_epoch(records):
    terms = tables.loss_terms(plans.curves(records), "nasbench201", tables.KL_ARMS)
    assert terms.loc["GAE"].to_dict() == {"operations": 5.0, "adjacency": 5.0, "kl": 1.0}


def test_effects_are_differences_to_the_reference(records):
    frame = plans.metrics(records)
    label = "arch2vec-released-operations=softmax"
    frame.loc[(frame.label == label) & (frame.metric == "validity"), "value"] += 7
    effects = tables.factor_effects(frame, plans.FACTOR_SPACE).set_index(["factor", "metric"])
    found = effects.loc[tables.FACTOR_NAMES[label], "validity"]
    assert (found["value"], found["low"], found["high"]) == pytest.approx((7, 7, 7))
    assert effects.loc[tables.FACTOR_NAMES[label], "accuracy"]["value"] == pytest.approx(0)


def test_last_epoch_gain_weighs_the_terms_as_the_loss_does():
    arm = Arm("nasbench201", "paper", "arch2vec")  # weights one: 10 + 5 + 1 before, 5 + 5 + 1 after
    gain = tables.last_epoch_gain([record(arm, 0), record(arm, 1)], "nasbench201", arm.label)
    assert gain.value == pytest.approx(100 * 5 / 16)
    assert gain.n == 2


def test_values_go_to_the_page_under_the_ids_of_the_register(records, paper):
    page = Page("obs1_pretraining", "quick")
    tables.record_values(page, plans.metrics(records))
    values = page.as_dict()["values"]
    wanted = {f"table1/{s}/{m}/{x}" for s in plans.SPACES for m in tables.METHOD_NAMES for x in tables.METRICS}
    assert {v["id"] for v in values} == wanted <= set(paper)
    one = next(v for v in values if (v["id"], v["recipe"], v["definition"])
               == ("table1/darts/arch2vec/validity", "released", "exact"))
    assert (one["value"], one["n"]) == (pytest.approx(40.5), 2)
    assert all(0 <= v["low"] <= v["value"] <= v["high"] <= 100 for v in values)


def test_ceilings_of_uniqueness_are_those_of_uniform_draws(records):
    table = tables.ceilings(records, {"nasbench101": 423_624, "nasbench201": 15_625, "darts": 10**9})
    assert table.loc[("DARTS", "GAE, released"), "ceiling"] > 99.99
    assert table.loc[("NAS-Bench-201", "arch2vec, released"), "ceiling"] == pytest.approx(
        np.mean([100 * 15_625 * (1 - (1 - 1 / 15_625) ** v) / v for v in (400, 410)]))
    assert isinstance(table, pd.DataFrame)


def test_sentences_follow_the_numbers(records, paper, ceilings):
    frame = plans.metrics(records)
    text = "\n".join(findings(frame, ceilings, paper))
    assert "**The KL term and validity**" in text
    assert "NAS-Bench-201 lower, -30.0" in text
    frame.loc[(frame.label == "arch2vec-released") & (frame.metric == "validity"), "value"] += 50
    assert "NAS-Bench-201 higher, +20.0" in "\n".join(findings(frame, ceilings, paper))
    assert findings(frame[frame.space == "none"], ceilings, paper) == []
