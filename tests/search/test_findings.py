"""Sentences of the search pages: every number in them is one of the runs, and what was not run is left out."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
from made_pages import objective, outcomes

from a2v_core.search import plan
from a2v_core.search.findings import AGENTS, DATASET_NAMES, table2_findings, table3_findings
from a2v_core.search.objective import Objective
from a2v_core.stats import paired_difference

PAPER = defaultdict(lambda: 94.0)


@pytest.fixture(scope="module")
def searches():
    # As many pre-trainings as the full page has on NAS-Bench-201: two of them tell little apart.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plan.SCALES, "quick", dataclasses.replace(plan.SCALES["quick"], encoders={"nasbench201": 5}))
        return plan.table2("quick"), plan.table3("quick")


def shifted(groups, better):
    """Runs in which the groups that `better` picks see test accuracies three points higher."""
    low = objective()
    high = dataclasses.replace(low, test=low.test + 0.03)
    assert isinstance(high, Objective)
    runs = {g.name: outcomes(g, high if better(g) else low) for g in groups}
    return {name: found for name, found in runs.items() if len(found.trajectories.cells)}


def test_nothing_is_said_of_what_was_not_run(searches):
    assert table2_findings(searches[0], {}, PAPER) == []
    assert table3_findings(searches[1], {}, PAPER) == []


def test_table_2_in_words(searches):
    groups = searches[0].all()
    said = table2_findings(searches[0], shifted(groups, lambda g: g.method == "arch2vec_rl"), PAPER)
    ours = next(s for s in said if s.startswith("**arch2vec-RL, released**"))
    assert "(paper 94.00 %)" in ours
    assert "points, higher" in ours
    starts = [s.partition("**.")[0].partition(".**")[0].strip("*") for s in said]
    assert "The sampler" in starts
    learning = next(s for s in said if "Learning" in s)
    assert "the learning policy against it: +" in learning
    assert any("supervised REINFORCE, released" in s and "(2 runs)" in s for s in said)
    changes = next(s for s in said if "What changes arch2vec-RL" in s)
    assert changes.count(";") == 1 + len(plan.RL_FACTORS)


def test_table_3_in_words(searches):
    groups = searches[1].all()
    runs = shifted(groups, lambda g: g.method in AGENTS)
    said = table3_findings(searches[1], runs, PAPER)
    for name in DATASET_NAMES.values():
        own = next(s for s in said if s.startswith(f"**{name}.**"))
        assert own.count("higher") == 2
        assert any(s.startswith(f"**Without an encoder, {name}.**") for s in said)
        assert any(s.startswith(f"**Recipes, {name}**") for s in said)


def test_a_difference_is_within_each_pretraining(searches):
    group = {g.method: g for g in searches[1].groups["cifar10: controls"] if not g.note}
    main = next(g for g in searches[1].groups["cifar10"] if (g.method, g.recipe) == ("arch2vec_rl", "released"))
    runs = {g.name: outcomes(g) for g in (main, group["frozen_policy"])}
    (sentence,) = [s for s in table3_findings(searches[1], runs, PAPER) if "Learning" in s]
    # Twenty runs against ten, over five pre-trainings each.
    a, b = (100 * found.values("test", found.trajectories.counts[:, None])[:, 0].reshape(5, -1).mean(1)
            for found in (runs[main.name], runs[group["frozen_policy"].name]))
    gap = paired_difference(a, b)
    assert f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}] points" in sentence
    assert np.isfinite(gap.low)
    assert f"{b.mean():.2f} [" in sentence
