import dataclasses
import json

import pytest

from a2v_core.errors import SettingsError
from a2v_core.recipes import EPOCHS, METHODS, RECIPES, PretrainingSettings, pretraining_settings

FIELDS = {field.name: field for field in dataclasses.fields(PretrainingSettings)}


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_meaning_of_one_line_and_a_source(name):
    metadata = FIELDS[name].metadata
    for text in (metadata["meaning"], metadata["source"]):
        assert text.strip()
        assert "\n" not in text
    assert not metadata["choices"] or FIELDS[name].default in metadata["choices"]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("method", METHODS)
def test_every_recipe_works_with_every_method(recipe, method):
    settings = pretraining_settings(recipe, method)
    assert settings.encoder == ("gcn" if method in ("gae", "vgae") else "gin")
    assert settings.variational == (method in ("vgae", "arch2vec"))
    others = {k: v for k, v in settings.as_dict().items() if k not in METHODS[method]}
    arch2vec = pretraining_settings(recipe).as_dict()
    assert others == {k: v for k, v in arch2vec.items() if k in others}  # a method changes nothing else


def test_released_recipe_is_what_the_released_code_does():
    settings = pretraining_settings("released")
    expected = {"hidden": (128,) * 4, "latent": 16, "dropout": 0.3, "operations": "sigmoid", "adjacency": "upper",
                "reduction": "entries", "kl_divided_again": True, "eval_after_first_epoch": True, "reshuffle": False,
                "split": "position", "mask_padding": False, "readout": "mean", "learning_rate": 1e-3, "batch_size": 32,
                "clip_norm": 5.0, "direction": "undirected", "beta": 1.0}
    assert {name: getattr(settings, name) for name in expected} == expected


def test_paper_and_corrected_recipes():
    paper, corrected = pretraining_settings("paper"), pretraining_settings("corrected")
    assert (paper.hidden, paper.readout, paper.adjacency) == ((128, 128, 128, 128, 16), "sum", "full")
    for settings in (paper, corrected):
        assert (settings.operations, settings.reduction, settings.kl_divided_again) == ("softmax", "graph", False)
        assert (settings.eval_after_first_epoch, settings.reshuffle, settings.split) == (False, True, "random")
    assert (paper.beta, paper.mask_padding, corrected.mask_padding) == (1.0, False, True)
    assert 0 < corrected.beta < 1


def test_epochs_depend_on_the_space_and_can_be_changed():
    assert pretraining_settings(space="nasbench101").epochs == EPOCHS["nasbench101"] == 8
    assert pretraining_settings(space="nasbench201").epochs == pretraining_settings(space="darts").epochs == 10
    assert pretraining_settings(space="nasbench101", epochs=2).epochs == 2


@pytest.mark.parametrize(("arguments", "words"), [
    ({"recipe": "relaesed"}, ["recipe", "relaesed", "released, paper, corrected"]),
    ({"method": "vae"}, ["method", "vae", "arch2vec"]),
    ({"kl_weight": 2.0}, ["kl_weight", "beta"]),
    ({"operations": "hinge"}, ["operations", "hinge", "sigmoid, softmax"]),
    ({"readout": "max"}, ["readout", "max", "mean, sum"]),
    ({"encoder": "gcn", "direction": "split"}, ["gcn", "undirected"]),
    ({"latent": 0}, ["latent", "positive"]), ({"epochs": -1}, ["epochs", "-1"]),
    ({"batch_size": 0}, ["batch_size"]), ({"learning_rate": 0.0}, ["learning_rate"]),
    ({"hidden": ()}, ["hidden"]), ({"hidden": (128, 0)}, ["hidden[1]"]),
    ({"dropout": 1.0}, ["dropout=1.0"]), ({"beta": -0.1}, ["beta=-0.1"]), ({"clip_norm": -1.0}, ["clip_norm=-1.0"]),
])
def test_unknown_names_and_unacceptable_values_are_refused(arguments, words):
    with pytest.raises(SettingsError) as caught:
        pretraining_settings(**arguments)
    assert all(word in str(caught.value) for word in words)


def test_settings_are_json_and_come_back_equal():
    settings = pretraining_settings("paper", "vgae", hidden=[64, 32])
    assert settings.hidden == (64, 32)
    assert PretrainingSettings(**json.loads(json.dumps(settings.as_dict()))) == settings
