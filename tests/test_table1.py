import json

import numpy as np
import pytest
import torch
from made_cells import moved_away

from a2v_core import pretraining, table1
from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import PAD
from a2v_core.errors import SettingsError
from a2v_core.generation import draw_latents, encode_cells, generation, reconstruction
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.pretraining import Pretrained, training_key
from a2v_core.recipes import METHODS, RECIPES, pretraining_settings
from a2v_core.spaces import get_space
from a2v_core.table1 import Arm, encoded_spread, factor_arms, main_arms, measure, publish, record_key, run_arm
from a2v_core.training import split_cells

torch.set_num_threads(1)
ARM = Arm("nasbench201", "corrected", "arch2vec", {"hidden": (8,), "latent": 4})
OPTIONS = {"epochs": 2, "draws": 200, "compiled": False, "progress": False}
MEASURES = ("accuracy", "accuracy_operations", "accuracy_edges", "validity", "uniqueness", "released_validity",
            "released_uniqueness")


@pytest.fixture(scope="module")
def space():
    return get_space("nasbench201")


@pytest.fixture(scope="module")
def cells(space):
    return space.cells()[:300]


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch):
    folder = tmp_path / "published"
    for module in (pretraining, table1):
        monkeypatch.setattr(module, "published_dir", lambda: folder)
    return folder


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "darts"])
def test_arms(name):
    arms = [*main_arms(name), *factor_arms(name)]
    assert len({arm.label for arm in arms}) == len(arms)
    assert {arm.method for arm in main_arms(name) if arm.recipe == "released"} == set(METHODS)
    assert {arm.recipe for arm in main_arms(name) if arm.method == "arch2vec"} == set(RECIPES)
    all_settings = [arm.settings() for arm in arms]  # every change is accepted
    assert len(set(all_settings)) == len(arms)
    assert {settings.epochs for settings in all_settings} == {8 if name == "nasbench101" else 10}
    assert main_arms(name)[0].settings(2).epochs == 2
    released = pretraining_settings("released", "arch2vec", name).as_dict()
    for arm in factor_arms(name):
        if (arm.recipe, arm.method) == ("released", "arch2vec"):
            changed = {k for k, v in arm.settings().as_dict().items() if v != released[k]}
            assert changed == set(arm.changes)
            assert len(changed) == 1  # one factor at a time


def test_label_names_method_recipe_and_changes():
    assert Arm("darts", "released", "arch2vec").label == "arch2vec-released"
    assert ARM.label == "arch2vec-corrected-hidden=8-latent=4"
    assert Arm("darts", "paper", "gae", {"hidden": (32, 16), "beta": 0.3}).label == "gae-paper-hidden=32x16-beta=0.3"


def test_an_unknown_arm_is_refused(space, cells, store):
    with pytest.raises(SettingsError, match="nobody's"):
        run_arm(Arm("nasbench201", "nobody's", "arch2vec"), space, cells, (0,), store=store, **OPTIONS)


def test_records_are_made_once_and_say_everything(space, cells, store, monkeypatch):
    records = run_arm(ARM, space, cells, (0, 1), store=store, **OPTIONS)
    assert [record["seed"] for record in records] == [0, 1]
    for record in records:
        assert record["arm"] == {"space": "nasbench201", "recipe": "corrected", "method": "arch2vec",
                                 "changes": ARM.changes, "label": ARM.label}
        assert record["training"]["settings"]["epochs"] == 2
        assert len(record["training"]["history"]) == 2
        for entry in record["training"]["history"]:
            assert all(0 <= entry[name] <= 1 for name in MEASURES)
        assert record["reconstruction"]["n_cells"] == 30
        assert set(record["generation"]) == {"encoded", "collected", "common"}
        assert all(g["n_draws"] == 200 for g in record["generation"].values())
    monkeypatch.setattr(table1, "pretrain", None)
    again = run_arm(ARM, space, cells, (1, 0), store=store, **OPTIONS)
    assert again == [json.loads(json.dumps(record)) for record in reversed(records)]


def test_a_record_that_was_lost_is_measured_again_on_the_stored_model(space, cells, store, monkeypatch):
    first = run_arm(ARM, space, cells, (0,), store=store, **OPTIONS)
    key = record_key(space, cells, ARM.settings(2), 0, 200)
    store.remove("table1", key)
    monkeypatch.setattr(pretraining, "train", None)
    again = run_arm(ARM, space, cells, (0,), store=store, **OPTIONS)
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(first))
    assert store.load_json("table1", key) is not None


def test_last_point_of_the_curve_is_the_final_measure(space, cells, store):
    """With fewer held-out cells than a point takes, both look at the same cells and the same draws."""
    record, = run_arm(ARM, space, cells, (3,), store=store, **OPTIONS)
    last = record["training"]["history"][-1]
    assert last["accuracy"] == record["reconstruction"]["exact"]
    assert last["accuracy_edges"] == record["reconstruction"]["edges"]
    for name in ("validity", "uniqueness", "released_validity", "released_uniqueness"):
        assert last[name] == record["generation"]["collected"][name]


def test_measure_looks_at_held_out_cells_and_places_the_draws_three_ways(space, cells):
    settings = pretraining_settings("corrected", hidden=(8,), latent=4)
    model = moved_away(StackedAutoencoder(7, settings, (5,)))
    generator = torch.Generator().manual_seed(0)
    collected = torch.randn(8, 4, generator=generator), torch.rand(8, 4, generator=generator)
    trained = Pretrained(model, *collected, {"seed": 5}, "key")
    found = measure(trained, space, cells, 150)
    rows, held_out = split_cells(len(cells), "random", 5)
    assert found["reconstruction"]["exact"] == reconstruction(model, cells[held_out]).exact
    nodes = encode_cells(model, cells[rows])
    encoded = nodes.mean(0), nodes.std(0, correction=0)
    for placement, (mean, std), scaling in (("encoded", encoded, "position"), ("common", encoded, "common"),
                                            ("collected", collected, "position")):
        expected = generation(model, space, draw_latents(mean, std, 5, 150, scaling))
        assert found["generation"][placement]["n_valid"] == expected.n_valid
        assert found["generation"][placement]["n_draws"] == 150


@pytest.mark.parametrize("mask", [False, True])
def test_encoded_spread_by_position(cells, mask):
    part = cells[:80]
    ops = part.ops.copy()
    ops[::2, 6:] = PAD
    part = type(part)(part.adjacency, ops)
    model = moved_away(StackedAutoencoder(7, pretraining_settings(hidden=(8,), latent=4, mask_padding=mask), (0,)))
    mean, std = encoded_spread(Pretrained(model, mean_of := torch.zeros(8, 4), mean_of, {"seed": 0}, "key"), part)
    nodes = encode_cells(model, part).numpy()
    for position in range(8):
        counted = nodes[ops[:, position] != PAD, position] if mask else nodes[:, position]
        np.testing.assert_allclose(mean[position], counted.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(std[position], counted.std(0), rtol=1e-4, atol=1e-6)


def test_record_key_depends_on_what_is_measured(space, cells):
    settings = ARM.settings(2)
    assert len({record_key(space, cells, settings, 0), record_key(space, cells, settings, 1),
                record_key(space, cells, settings, 0, 100), record_key(space, cells, ARM.settings(3), 0),
                record_key(space, cells[:299], settings, 0),
                record_key(get_space("nasbench101"), cells, settings, 0)}) == 6


def test_published_records_and_models_stand_in_for_the_store(space, cells, store, tmp_path, published, monkeypatch):
    # The folder under version control holds what the full study measures: the standard number of draws.
    options = {k: v for k, v in OPTIONS.items() if k != "draws"}
    records = run_arm(ARM, space, cells, (0, 1), store=store, **options)
    written = publish(ARM, space, cells, (0, 1), store, with_weights=True, epochs=2)
    key = training_key(cells, ARM.settings(2), 1)
    assert len(written) == 4
    assert published / "nasbench201" / f"{ARM.label}-seed1-{key}.safetensors" in written
    monkeypatch.setattr(table1, "pretrain", None)
    elsewhere = ArtifactStore(tmp_path / "elsewhere")
    found = run_arm(ARM, space, cells, (0, 1), store=elsewhere, **options)
    assert found == json.loads(json.dumps(records))
    monkeypatch.undo()
    monkeypatch.setattr(pretraining, "published_dir", lambda: published)
    monkeypatch.setattr(pretraining, "train", None)
    model, = pretraining.pretrain(cells, 7, ARM.settings(2), (1,), store=elsewhere)
    assert model.key == key


def test_publish_without_weights_or_without_records(space, cells, store, published, monkeypatch):
    assert publish(ARM, space, cells, (0,), store, with_weights=True, epochs=2) == []
    run_arm(ARM, space, cells, (0,), store=store, **{k: v for k, v in OPTIONS.items() if k != "draws"})
    older = published / "nasbench201" / f"{ARM.label}-seed0-{'0' * 20}.json"
    other = published / "nasbench201" / f"{ARM.label}-more-seed0-{'0' * 20}.json"
    older.parent.mkdir(parents=True)
    for path in (older, other):
        path.write_text("{}", encoding="utf-8")
    record, = publish(ARM, space, cells, (0,), store, with_weights=False, epochs=2)
    assert not older.exists()  # another key of the same arm and seed
    assert other.exists()
    assert (record.suffix, record.parent) == (".json", published / "nasbench201")
    monkeypatch.setattr(table1, "published_dir", lambda: None)
    assert publish(ARM, space, cells, (0,), store, with_weights=True, epochs=2) == []
