"""The page on pre-training: which runs it makes, and what is trained and published for them."""

from functools import cache

import pytest

from a2v_core import table1
from a2v_core.search import plan, pretraining_plan
from a2v_core.search.baselines_plan import NASBENCH101
from a2v_core.search.changed_features import ChangedFeatures
from a2v_core.search.control_features import PrincipalComponents, ScaledUntrained
from a2v_core.search.features import Features
from a2v_core.search.findings import AGENTS
from a2v_core.search.plan import DATASETS, SCALES
from a2v_core.search.pretraining_plan import CHANGES, CONTROLS, VARIED, pretraining
from a2v_core.search.runs import Budget
from a2v_core.spaces import get_space


@cache
def planned(profile):
    return pretraining(profile)


def seen(group):
    return [arm.seen for arm in group.arms]


@pytest.mark.parametrize("profile", SCALES)
def test_rows_on_the_pretrained_embedding_are_those_of_tables_2_and_3(profile):
    theirs = [*plan.table2(profile).all(), *plan.table3(profile).all()]
    for groups in planned(profile).groups.values():
        own = [g for g in groups if not g.note]
        assert [g for g in own if g in theirs] == own
        assert {g.method for g in own} == {g.method for g in groups}
        assert {g.recipe for g in groups} == {"released"}


@pytest.mark.parametrize("part", [*DATASETS, NASBENCH101])
@pytest.mark.parametrize("method", AGENTS)
def test_controls_have_budget_and_seeds_of_the_page_and_see_what_their_name_says(part, method):
    groups = {g.note: g for g in planned("full").groups[part] if g.method == method}
    assert list(groups) == ["", *CONTROLS]
    budget = Budget(queries=400) if part == NASBENCH101 else groups[""].arms[0].budget
    runs = 50 if (part, method) == (NASBENCH101, "arch2vec_bo") else 100
    for note in CONTROLS:
        flat = [seed for arm in groups[note].arms for seed in range(arm.first_seed, arm.first_seed + arm.runs)]
        assert flat == list(range(runs))
        assert {arm.budget for arm in groups[note].arms} == {budget}
        assert {arm.objective for arm in groups[note].arms} == {groups[""].objective}
    assert seen(groups["untrained"]) == [Features("untrained", seed=seed) for seed in range(5)]
    assert seen(groups["untrained_scaled"]) == [ScaledUntrained(seed=seed) for seed in range(5)]
    assert [seen(groups[note]) for note in ("pca", "one_hot", "path")] == \
        [[PrincipalComponents()], [Features("one_hot")], [Features("path")]]


def test_other_trainings_change_one_setting_each():
    groups = [g for g in planned("full").groups[VARIED] if g.note]
    expected = [{name: value} for name, values in CHANGES["full"].items() for value in values]
    for method in AGENTS:
        of_method = [g for g in groups if g.method == method]
        assert [dict(seen(g)[0].changes) for g in of_method] == expected
        assert all([each.seed for each in seen(g)] == list(range(5)) for g in of_method)
        assert all(len({each.settings(get_space("nasbench201")) for each in seen(g)}) == 1 for g in of_method)
    recipe = Features("arch2vec").settings(get_space("nasbench201"))
    for change in expected:
        (name, value), = change.items()
        assert getattr(recipe, name) != value
        # 0 and 0.0 would be two trainings.
        assert type(getattr(recipe, name)) is type(value)


def test_the_smallest_scale_is_one_strategy_and_one_epoch():
    groups = planned("smoke").all()
    assert {g.method for g in groups} == {"arch2vec_rl"}
    assert [each.changes for g in groups for each in seen(g) if isinstance(each, ChangedFeatures)] == [(("epochs", 1),)]
    assert not [g for g in planned("smoke").groups[NASBENCH101] if "untrained" in g.note]


def test_names_and_files_tell_all_runs_apart():
    groups = [g for part in planned("full").groups.values() for g in part]
    unique = planned("full").all()
    assert len({g.name for g in groups}) == len(unique) == len(groups) - len(AGENTS)
    files = [(arm.space, arm.label, arm.first_seed) for g in unique for arm in g.arms]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(("there", "only_existing", "expected"), [
    (False, False, [[0, 1], [0, 1]]), (True, False, []), (False, True, [])])
def test_trainings_are_made_for_missing_runs_alone(monkeypatch, there, only_existing, expected):
    asked, trained = [], []
    monkeypatch.setattr(plan, "run", lambda groups, **options: asked.append(options["only_existing"]) or "runs")
    monkeypatch.setattr(plan, "unfinished", lambda groups, runs: [] if there else ["a line"])
    monkeypatch.setattr(pretraining_plan, "train_together",
                        lambda several, *_: trained.append([each.seed for each in several]))
    groups = [g for g in planned("quick").groups[VARIED] if g.method == "arch2vec_rl" and g.note.startswith("epochs")]
    controls = planned("quick").groups["cifar10"]
    assert pretraining_plan.run([*groups, *controls], only_existing=only_existing) == "runs"
    assert trained == expected
    assert asked[-1] is only_existing


def test_what_is_published_are_the_blocks_and_the_models_that_no_table_has(monkeypatch):
    blocks, models = [], []
    monkeypatch.setattr(pretraining_plan, "publish", lambda arms, data_dir: blocks.append((arms, data_dir)) or ["runs"])
    monkeypatch.setattr(table1, "publish", lambda arm, space, cells, seeds, store, with_weights: models.append(
        (arm.label, arm.settings(), *seeds, with_weights)) or ["model"])
    written = pretraining_plan.publish_full(0, "there")
    (arms, data_dir), = blocks
    assert data_dir == "there"
    assert arms == [arm for g in planned("full").all() if g.note for arm in g.arms]
    assert len(models) == len(set(map(str, models))) == 5 * sum(map(len, CHANGES["full"].values()))
    space, features = get_space("nasbench201"), {arm.seen for arm in arms if isinstance(arm.seen, ChangedFeatures)}
    assert {(settings, seed) for _, settings, seed, _ in models} == {(f.settings(space), f.seed) for f in features}
    assert all(with_weights for *_, with_weights in models)
    assert {"arch2vec-released-beta=0.0", "arch2vec-released-latent=64"} <= {label for label, *_ in models}
    assert written == ["runs", *["model"] * len(models)]
