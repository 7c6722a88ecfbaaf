"""The page on single differences between recipes: what it compares, and its numbers from made models and runs."""

from functools import cache

import matplotlib
import numpy as np
import pandas as pd
import pytest
from made_pages import outcomes
from matplotlib import pyplot as plt

from a2v_core.recipes import RECIPES, pretraining_settings
from a2v_core.results import Page
from a2v_core.search import plan, recipes_figure, recipes_plan, recipes_tables
from a2v_core.search.changed_features import ChangedFeatures
from a2v_core.search.estimates import percent
from a2v_core.search.features import Features
from a2v_core.search.methods import METHODS, settings_as_dict
from a2v_core.search.recipes_plan import AGENTS, DIFFERENCES, PRETRAINING, SEARCH
from a2v_core.spaces import get_space
from a2v_core.stats import paired_difference, unpaired_difference
from a2v_core.table1_tables import METRICS

matplotlib.use("Agg")
FROM_RELEASED = [row for row in PRETRAINING if row.base == row.recipe == "released"]


@cache
def planned(profile):
    return recipes_plan.comparisons(profile)


# --- what is compared ------------------------------------------------------------------------------------------------


def test_every_difference_of_pretraining_is_made_alone_and_leads_to_the_paper():
    paper = pretraining_settings("paper", "arch2vec", "nasbench201").as_dict()
    released = pretraining_settings("released", "arch2vec", "nasbench201").as_dict()
    for row in FROM_RELEASED:
        changed = row.arm.settings().as_dict()
        (name,) = [name for name, value in changed.items() if value != released[name]]
        assert changed[name] == paper[name]
        assert list(row.changes) == [name]
    assert {name for row in FROM_RELEASED for name in row.changes} == set(RECIPES["paper"])
    assert len({row.id for row in DIFFERENCES}) == len(DIFFERENCES)


def test_every_difference_of_the_searches_is_made_alone():
    by_id = {row.id: row for row in SEARCH}
    for pair in planned("full"):
        if pair.id in by_id and "/recipe_" not in pair.id:
            base, changed = (settings_as_dict(METHODS[g.method].settings_of(g.recipe, pair.space, g.arms[0].changes))
                             for g in (pair.base, pair.changed))
            different = [name for name in base if base[name] != changed[name]]
            assert pair.id == f"{pair.changed.method}/{'_'.join(pair.changed.arms[0].changes)}"
            assert different == [n for n in base if n in pair.changed.arms[0].changes]
            assert len(different) == 1 or pair.id == "arch2vec_rl/returns_discount"
            assert [arm.seen for arm in pair.changed.arms] == [arm.seen for arm in pair.base.arms]
    spaces = {id: {pair.space for pair in planned("full") if pair.id == id} for id in by_id}
    only = {"arch2vec_rl/retrieval", "arch2vec_rl/returns_discount", "arch2vec_rl/baseline_value"}
    assert {id for id, found in spaces.items() if found == {"nasbench201"}} == only
    assert all(found == {"nasbench101", "nasbench201"} for id, found in spaces.items() if id not in only)


def test_what_other_pages_have_is_the_same_runs():
    table2, table3 = plan.table2("full").all(), plan.table3("full").all()
    added = recipes_plan.added("full")
    for pair in planned("full"):
        assert pair.base in (table2 if pair.space == "nasbench101" else table3)
        assert (pair.changed in [*table2, *table3]) != (pair.changed in added)
    assert len(added) == len(AGENTS) * len(FROM_RELEASED) + 6 + 4
    assert {sum(arm.runs for arm in group.arms) for group in added} == {100}
    assert {len(group.arms) for group in added} == {5}
    assert {group.arms[0].budget for group in added} == {plan.table3("full").groups["cifar10"][0].arms[0].budget}


def test_changed_pretrainings_are_searched_at_full_scale_alone():
    full = {pair.id for pair in planned("full")}
    assert {row.id for row in FROM_RELEASED} <= full
    for profile in ("smoke", "quick"):
        assert not {row.id for row in FROM_RELEASED} & {pair.id for pair in planned(profile)}
        arms = [arm for pair in planned(profile) for group in (pair.changed, pair.base) for arm in group.arms]
        assert not [arm for arm in arms if isinstance(arm.features, ChangedFeatures)]
    assert {pair.space for pair in planned("smoke")} == {"nasbench201"}


def test_smaller_profiles_train_no_model_that_the_page_of_table_1_does_not():
    from a2v_core.table1_plan import planned_arms

    for profile in ("smoke", "quick"):
        labels = {arm.label for arm in recipes_plan.models(profile)}
        assert labels <= {arm.label for arm in planned_arms(profile)}
        assert labels >= {"arch2vec-released", "arch2vec-paper", "arch2vec-corrected"}
    full = {arm.label for arm in recipes_plan.models("full")}
    assert full == {arm.label for row in PRETRAINING for arm in (row.arm, row.base_arm)}
    assert full - {arm.label for arm in planned_arms("full")} == {"arch2vec-released-readout=sum",
                                                                  "arch2vec-released-clip_norm=0.0"}


def test_a_changed_embedding_has_an_identity_and_a_name_of_its_own():
    space = get_space("nasbench201")
    plain, changed = Features("arch2vec", seed=3), ChangedFeatures(seed=3, changes=(("hidden", (128, 16)),))
    assert changed.settings(space).hidden == (128, 16)
    assert changed.settings(space).dropout == plain.settings(space).dropout
    assert changed.identity(space)["model"] != plain.identity(space)["model"]
    assert changed.label == "arch2vec-released-3-hidden=128x16"
    assert ChangedFeatures(seed=3) != plain
    assert ChangedFeatures(epochs=2).settings(space).epochs == 2


def test_what_is_published_is_what_no_other_page_has(monkeypatch):
    records, blocks = [], []
    monkeypatch.setattr(recipes_plan, "publish_records",
                        lambda arm, *args, with_weights: records.append((arm.label, with_weights)) or ["record"])
    made = [pair.changed for pair in planned("quick")][:3]
    monkeypatch.setattr(recipes_plan, "added", lambda *scale: made if scale == ("full", 0) else [])
    monkeypatch.setattr(recipes_plan, "publish", lambda arms, data_dir: blocks.extend(arms) or ["block"])
    assert recipes_plan.publish_full(data_dir="there") == ["record", "record", "block"]
    assert sorted(records) == [("arch2vec-released-clip_norm=0.0", False), ("arch2vec-released-readout=sum", False)]
    assert blocks == [arm for group in made for arm in group.arms]


# --- its numbers -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame():
    """Measures of all models: noise, and dropout moves validity by 20 points."""
    rng, rows = np.random.default_rng(0), []
    for arm in recipes_plan.models("full"):
        for seed in range(5):
            for metric in METRICS:
                value = 50 + rng.normal() + 20 * (arm.label.endswith("dropout=0.0") and metric == "validity")
                rows.append({"space": arm.space, "label": arm.label, "seed": seed, "metric": metric,
                             "definition": "exact", "value": value})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def runs():
    return {group.name: outcomes(group) for group in recipes_plan.groups_of(planned("quick"))}


@pytest.fixture(scope="module")
def effects(frame, runs):
    return recipes_tables.effects(frame, planned("quick"), runs)


def one(effects, **equal):
    for column, value in equal.items():
        effects = effects[effects[column] == value]
    (row,) = effects.itertuples()
    return row


def test_measures_of_table_1_are_paired_by_seed_unless_the_held_out_cells_differ(frame, effects):
    values = {key: group["value"].to_numpy() for key, group in frame.groupby(["label", "metric"])}
    for id, label, compare in (("dropout", "arch2vec-released-dropout=0.0", paired_difference),
                               ("split", "arch2vec-released-split=random", unpaired_difference),
                               ("recipe_paper", "arch2vec-paper", unpaired_difference)):
        expected = compare(values[label, "validity"], values["arch2vec-released", "validity"])
        found = one(effects, id=f"pretraining/{id}", measure="validity")
        assert (found.value, found.low, found.high, found.n) == pytest.approx(tuple(expected))
    against = one(effects, id="pretraining/paper/beta_0.3", measure="accuracy")
    assert against.value == pytest.approx((values["arch2vec-paper-beta=0.3", "accuracy"]
                                           - values["arch2vec-paper", "accuracy"]).mean())


def test_intervals_of_percentages_end_at_a_hundred():
    rows = [{"space": "nasbench201", "label": label, "seed": seed, "metric": metric, "definition": "exact",
             "value": value} for label, values in (("arch2vec-released", (99.0, 100.0)),
                                                   ("arch2vec-released-dropout=0.0", (0.0, 0.5)))
            for seed, value in enumerate(values) for metric in METRICS]
    found = one(recipes_tables.effects(pd.DataFrame(rows), [], {}), measure="accuracy")
    assert (found.low, found.value) == (-100, -99.25)


def test_pretrainings_of_one_seed_are_a_pair_where_the_pretraining_is_changed(runs, effects):
    (pair,) = [p for p in planned("quick") if p.id == "pretraining/recipe_corrected" and p.space == "nasbench201"
               and p.changed.method == "arch2vec_rl"]
    first, second = (percent(group, runs, "regret_test").values for group in (pair.changed, pair.base))
    found = one(effects, id=pair.id, measure="regret", space=pair.space, agent="arch2vec_rl")
    assert (found.value, found.low, found.high, found.n) == pytest.approx(tuple(paired_difference(first, second)))
    assert found.n == 2
    # Another embedding, but one recipe of search against another: no pre-trainings in common.
    (pair,) = [p for p in planned("quick") if p.id == "arch2vec_rl/recipe_corrected" and p.space == "nasbench201"]
    first, second = (percent(group, runs, "regret_test").values for group in (pair.changed, pair.base))
    found = one(effects, id=pair.id, space=pair.space)
    assert (found.low, found.high) == pytest.approx(tuple(unpaired_difference(first, second))[1:3])


def test_every_effect_is_recorded_and_in_one_table(effects):
    page = Page("made", "quick")
    recipes_tables.record(page, effects)
    found = {value["id"] for value in page.as_dict()["values"]}
    assert len(found) == len(effects)
    assert {"beyond/recipes/pretraining/dropout/validity",
            "beyond/recipes/arch2vec_bo/sigma/regret/nasbench101/arch2vec_bo"} <= found
    shown = [recipes_tables.table(effects, columns) for columns in recipes_tables.columns_of(effects)]
    assert sum((table != "").to_numpy().sum() for table in shown) == len(effects)
    assert list(shown[0].index.get_level_values(1)) == [row.words for row in PRETRAINING]


def test_sentences_name_what_is_told_from_zero_and_what_is_not(effects):
    sentences = recipes_tables.findings(effects)
    (validity,) = [s for s in sentences if s.startswith("**Exact validity**")]
    moved, _, rest = validity.partition("Not told from zero: ")
    assert "no dropout +" in moved
    assert "no dropout" not in rest
    for row in FROM_RELEASED:
        effect = one(effects, id=row.id, measure="validity")
        assert (row.words in moved) == (effect.low > 0 or effect.high < 0)
        assert (row.words in rest) == (row.words not in moved)
    assert "recipe" not in moved + rest
    (sums,) = [s for s in sentences if s.startswith("**Sum of all single effects")]
    here = effects[effects["measure"] == "validity"].set_index("id")["value"]
    expected = here[[row.id for row in FROM_RELEASED]].sum()
    assert f"validity {expected:+.1f} against {here['pretraining/recipe_paper']:+.1f}" in sums
    assert not [s for s in sentences if s.startswith("**No effect") and "no dropout" in s]
    assert recipes_tables.findings(effects.iloc[:0]) == []


def test_what_is_not_there_is_left_out(frame, runs):
    nothing = recipes_tables.effects(pd.DataFrame(), planned("quick"), {})
    assert nothing.empty
    assert recipes_tables.levels_table(pd.DataFrame(), planned("quick"), {}).empty
    some = frame[frame["label"].isin(["arch2vec-released", "arch2vec-released-dropout=0.0"])]
    found = recipes_tables.effects(some, planned("quick"), {})
    assert list(found["id"]) == ["pretraining/dropout"] * 3
    assert not [s for s in recipes_tables.findings(found) if s.startswith("**Sum")]
    records = [{"arm": {"label": "arch2vec-released"}}] * 2
    assert "model arch2vec-paper: 0 of 2" in recipes_plan.lacking("quick", records)
    assert not [line for line in recipes_plan.lacking("quick", records) if "arch2vec-released:" in line]


def test_the_figure_has_a_mark_or_a_word_for_each_planned_interval(effects):
    pairs = planned("quick")
    figure = recipes_figure.forest(effects, pairs)
    panels = figure.axes
    assert [len(ax.containers) for ax in panels] == [
        *[len(PRETRAINING)] * 3, (effects["measure"] == "regret").sum()]
    names = [text.get_text() for text in panels[0].texts]
    assert [name for name in names if name in {row.words for row in DIFFERENCES}] == [row.words for row in DIFFERENCES]
    empty = recipes_figure.forest(effects.iloc[:0], pairs)
    assert sum(text.get_text() == "not run" for text in empty.axes[3].texts) == len(pairs)
    assert sum(text.get_text() == "not run" for text in empty.axes[0].texts) == len(PRETRAINING)
    plt.close("all")
