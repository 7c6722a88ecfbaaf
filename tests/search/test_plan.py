"""The searches of the pages: seeds, pre-trainings, budgets, settings; and that a plan's runs are those of its arms."""

import dataclasses
from functools import cache

import made_search
import numpy as np
import pytest
from made_search import MadeSearcher, objective

from a2v_core.errors import SettingsError
from a2v_core.results import PROFILES
from a2v_core.search import blocks, plan
from a2v_core.search.blocks import Arm
from a2v_core.search.methods import get_method, settings_as_dict
from a2v_core.search.objectives import objective_names, usual_seconds
from a2v_core.search.plan import SCALES, Group, Scale, make_group, scale_of
from a2v_core.search.runs import Budget, Trajectories, run_searches

PAGES = {"nasbench101": plan.table2, "nasbench201": plan.table3}
SCALE = Scale(10, 4, 2, {"nasbench101": 3, "nasbench201": 4}, 1 / 4)
PAGE_AND_PROFILE = [(space, profile) for space in PAGES for profile in SCALES]


@cache
def searches_of(space, profile):
    """The plan of a page with run seeds from 1000."""
    return PAGES[space](profile, seed=1000)


def seeds_of(group):
    return [list(range(arm.first_seed, arm.first_seed + arm.runs)) for arm in group.arms]


# --- one group -------------------------------------------------------------------------------------------------------


def test_runs_are_spread_evenly_over_the_pretrainings():
    group = make_group(SCALE, "nasbench101", "imputed", "arch2vec_bo", "paper", 10, 1e6, seed=100)
    assert seeds_of(group) == [[100, 101, 102], [103, 104, 105], [106, 107, 108, 109]]
    assert [(arm.features.kind, arm.features.recipe, arm.features.seed) for arm in group.arms] == \
        [("arch2vec", "released", 0), ("arch2vec", "released", 1), ("arch2vec", "released", 2)]


def test_fewer_runs_than_pretrainings_take_the_first_ones():
    group = make_group(SCALE, "nasbench201", "cifar10", "arch2vec_rl", "released", 2, 1e4)
    assert seeds_of(group) == [[0], [1]]
    assert [arm.features.seed for arm in group.arms] == [0, 1]


def test_a_method_without_embedding_is_one_arm():
    for method in ("random", "bo", "supervised_rl"):
        group = make_group(SCALE, "nasbench101", "imputed", method, "released", 10, 1e6, seed=5)
        assert seeds_of(group) == [list(range(5, 15))]
        assert group.arms[0].features is None


@pytest.mark.parametrize(("recipe", "embedding", "seen"), [
    ("released", None, "released"), ("paper", None, "released"), ("corrected", None, "corrected"),
    ("released", "corrected", "corrected"), ("paper", "paper", "paper")])
def test_the_embedding_is_that_of_the_recipe_or_the_one_asked_for(recipe, embedding, seen):
    group = make_group(SCALE, "nasbench101", "imputed", "arch2vec_rl", recipe, 4, 1e6, embedding=embedding)
    assert {(arm.recipe, arm.features.recipe) for arm in group.arms} == {(recipe, seen)}
    assert set(plan.EMBEDDINGS) == set(get_method("arch2vec_rl").recipes)


def test_a_budget_is_the_share_of_the_paper_and_changes_reach_every_arm():
    group = make_group(SCALE, "nasbench101", "imputed", "arch2vec_rl", "released", 4, 1e6,
                       changes={"returns": "to_go"}, note="discounted returns")
    assert {arm.budget for arm in group.arms} == {Budget(seconds=2.5e5)}
    assert {arm.settings().returns for arm in group.arms} == {"to_go"}
    assert group.name == "imputed/arch2vec_rl/released/discounted returns"
    assert group.label == "arch2vec-RL, released: discounted returns"


def test_a_label_names_the_recipe_where_there_are_several(third_party, monkeypatch):
    group = make_group(SCALE, "made", "noisy", "made", "released", 4, 400.0)
    assert group.label == "every cell once, released"
    monkeypatch.delattr(made_search, "RECIPES")
    assert group.label == "every cell once"


# --- the pages -------------------------------------------------------------------------------------------------------


def test_there_is_a_scale_for_every_profile():
    assert set(SCALES) == set(PROFILES)
    assert SCALES["full"].part == 1
    assert SCALES["full"].runs == 500
    with pytest.raises(SettingsError, match="profile 'huge' is unknown: choose one of smoke, quick, full"):
        scale_of("huge")
    for page in PAGES.values():
        with pytest.raises(SettingsError, match="profile 'huge' is unknown"):
            page("huge")


@pytest.mark.parametrize(("space", "profile"), PAGE_AND_PROFILE)
def test_every_group_of_a_page_can_be_run(space, profile):
    searches, scale, objectives = searches_of(space, profile), scale_of(profile), objective_names()[space]
    for group in searches.all():
        assert group.objective in objectives
        flat = [seed for seeds in seeds_of(group) for seed in seeds]
        assert flat == list(range(1000, 1000 + len(flat)))
        assert len(flat) in (scale.runs, scale.controls, scale.supervised)
        sizes = [arm.runs for arm in group.arms]
        assert max(sizes) - min(sizes) <= 1
        learnt = get_method(group.method).features == "arch2vec"
        assert len(sizes) == (min(scale.encoders[space], len(flat)) if learnt else 1)
        for arm in group.arms:
            assert (arm.space, arm.objective, arm.method, arm.recipe) == \
                (space, group.objective, group.method, group.recipe)
            assert arm.settings() is not None
            assert arm.seen.kind == get_method(group.method).features


@pytest.mark.parametrize(("space", "profile"), PAGE_AND_PROFILE)
def test_names_are_unique_and_so_are_labels_within_a_part(space, profile):
    searches = searches_of(space, profile)
    names = [group.name for groups in searches.groups.values() for group in groups]
    assert len(set(names)) == len(names) == len(searches.all())
    for part, groups in searches.groups.items():
        shown = [(group.objective, group.label) for group in groups]
        assert len(set(shown)) == len(shown), part


def test_all_has_a_group_that_two_parts_read_once():
    group = make_group(SCALE, "nasbench101", "imputed", "random", "released", 4, 1e6)
    assert plan.Plan(SCALE, {"a": [group], "b": [group]}).all() == [group]


@pytest.mark.parametrize("profile", SCALES)
def test_runs_of_table2_reach_what_the_page_reads(profile):
    scale = scale_of(profile)
    for group in searches_of("nasbench101", profile).all():
        seconds = {arm.budget.seconds for arm in group.arms}
        assert len(seconds) == 1
        # A good cell takes up to 2,500 s; Figure 6 ends at 1e6 s.
        queries = plan.DISCRETE_QUERIES if group.method in ("random", "re", "rl") else plan.QUERIES
        assert seconds.pop() >= scale.part * max(plan.SECONDS, 2500 * queries)
        assert {arm.budget.queries for arm in group.arms} == {None}


@pytest.mark.parametrize("profile", SCALES)
def test_runs_of_table3_have_the_papers_seconds(profile):
    groups = searches_of("nasbench201", profile).all()
    usual = {name: usual_seconds("nasbench201", name) for name in {group.objective for group in groups}}
    for group in groups:
        assert {arm.budget for arm in group.arms} == {Budget(seconds=usual[group.objective] * scale_of(profile).part)}


def test_the_smallest_page_leaves_the_supervised_counterparts_out():
    def supervised(profile):
        return {group.method for group in plan.table2(profile).all() if group.method.startswith("supervised")}

    assert supervised("smoke") == set()
    assert supervised("quick") == supervised("full") == {"supervised_rl", "supervised_bo"}


def test_parts_of_table2():
    searches, scale = searches_of("nasbench101", "full"), SCALES["full"]
    runs = {name: {(g.method, g.recipe): sum(arm.runs for arm in g.arms) for g in groups}
            for name, groups in searches.groups.items()}
    every = {(m, "released"): 500 for m in ("random", "re", "rl", "bohb")}
    supervised = {(f"supervised_{a}", r): scale.supervised for a in ("rl", "bo") for r in ("released", "paper")}
    ours = {(f"arch2vec_{a}", r): 500 for a in ("rl", "bo") for r in ("released", "paper")}
    corrected = {(f"arch2vec_{a}", "corrected"): 100 for a in ("rl", "bo")}
    assert runs["main"] == every | supervised | ours | corrected
    assert set(runs["controls"]) == {("frozen_policy", "released"), ("random_retrieval", "released")}
    assert {g.objective for g in searches.groups["main"]} == {"imputed"}
    assert {g.objective for g in plan.table2("full", signal="mean_test").groups["main"]} == {"mean_test"}
    assert {g.objective for g in searches.groups["signals"]} == {"mean_test", "measured"}
    assert [(g.method, g.arms[0].features.recipe) for g in searches.groups["embeddings"]] == \
        [("arch2vec_rl", "corrected"), ("arch2vec_rl", "paper"), ("arch2vec_bo", "corrected"), ("arch2vec_bo", "paper")]


def test_factors_change_one_setting_each():
    changed = []
    for group in searches_of("nasbench101", "quick").groups["factors"]:
        released = settings_as_dict(get_method(group.method).settings_of("released", "nasbench101"))
        for arm in group.arms:
            settings = settings_as_dict(arm.settings())
            different = [name for name, value in settings.items() if value != released[name]]
            assert different == list(arm.changes)
            assert len(different) == 1
            assert arm.features.recipe == group.recipe == "released"
        changed.append((group.method, different[0]))
    assert len(set(changed)) == len(changed) == len(plan.RL_FACTORS) + len(plan.BO_FACTORS)


def test_parts_of_table3():
    searches = searches_of("nasbench201", "quick")
    assert set(searches.groups) == {d + ending for d in plan.DATASETS for ending in ("", ": controls", ": signals")}
    for dataset in plan.DATASETS:
        assert {g.objective for g in searches.groups[dataset]} == {dataset}
        embeddings = [g.arms[0].features.recipe for g in searches.groups[f"{dataset}: controls"] if g.note]
        assert embeddings == ["corrected", "paper"] * 2
        shown = {(g.method, g.recipe) for g in searches.groups[dataset]}
        assert shown == {(m, "released") for m in ("random", "re", "rl", "bohb")} | \
            {(f"arch2vec_{a}", r) for a in ("rl", "bo") for r in ("released", "paper", "corrected")}
        signals = {g.objective for g in searches.groups[f"{dataset}: signals"]}
        assert signals == {f"{dataset}_mean", f"{dataset}_repeats"}


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_group_has_the_runs_of_its_arms_in_their_order(third_party, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "published_searches_dir", lambda: None)
    arm = Arm("made", "noisy", "made", Budget(seconds=200.0), runs=3)
    later = dataclasses.replace(arm, first_seed=3, runs=2)
    other = dataclasses.replace(arm, objective="made", recipe="paper", runs=2)
    groups = [Group("both", "made", "released", "noisy", (arm, later)), Group("one", "made", "paper", "made", (other,))]
    found = plan.run(groups, data_dir=str(tmp_path), n_jobs=1)
    assert list(found) == ["both", "one"]
    for name, (on, recipe, runs) in {"both": ("noisy", "released", 5), "one": ("made", "paper", 2)}.items():
        labels, settings = objective(on), get_method("made").settings_of(recipe)
        expected = run_searches(MadeSearcher(labels.problem(), range(runs), settings), labels, arm.budget, False)
        for field in dataclasses.fields(Trajectories):
            np.testing.assert_array_equal(getattr(found[name].trajectories, field.name), getattr(expected, field.name))
        assert found[name].objective.digest == labels.digest
    assert plan.run([]) == {}


def test_runs_that_are_not_there_are_left_out_or_listed(third_party, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "published_searches_dir", lambda: None)
    there = Group("there", "made", "released", "made", (Arm("made", "made", "made", Budget(seconds=100.0), runs=3),))
    half = Group("half", "made", "released", "made", (
        Arm("made", "made", "made", Budget(seconds=100.0), runs=3),
        Arm("made", "made", "made", Budget(seconds=100.0), runs=2, first_seed=50)), note="half")
    none = Group("none", "made", "released", "made",
                 (Arm("made", "made", "made", Budget(seconds=90.0), runs=4),), note="none")
    plan.run([there], data_dir=str(tmp_path), n_jobs=1)
    runs = plan.run([there, half, none], data_dir=str(tmp_path), only_existing=True)
    assert {name: found.n_runs for name, found in runs.items()} == {"there": 3, "half": 3}
    assert plan.unfinished([there, half, none], runs) == [f"{half.label}, signal made: 3 of 5",
                                                          f"{none.label}, signal made: 0 of 4"]


def test_what_is_published_are_the_full_runs_of_the_methods_that_take_long(monkeypatch):
    given = []
    monkeypatch.setattr(plan, "publish", lambda arms, data_dir: given.append((arms, data_dir)) or ["written"])
    assert plan.publish_full(1000, "there") == ["written"]
    (arms, data_dir), = given
    assert data_dir == "there"
    every = [arm for space in PAGES for group in searches_of(space, "full").all() for arm in group.arms]
    assert arms == [arm for arm in every if arm.method not in ("random", "re", "rl", "bohb")]
    assert {arm.method for arm in arms} >= {"arch2vec_rl", "arch2vec_bo", "supervised_bo", "bananas", "bo"}
