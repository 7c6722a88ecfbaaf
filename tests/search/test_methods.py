"""The registries of methods, objectives and features: what is in them, what another package adds, what is refused."""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from types import SimpleNamespace

import made_search
import numpy as np
import pytest

from a2v_core import pretraining
from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import Cells
from a2v_core.errors import SettingsError
from a2v_core.recipes import pretraining_settings
from a2v_core.search import methods, objectives
from a2v_core.search.features import Features, one_hot
from a2v_core.search.methods import METHODS, RECIPE_NAMES, Method, get_method, method_names, settings_as_dict
from a2v_core.search.objectives import get_objective, objective_module, objective_names, usual_seconds
from a2v_core.spaces import get_space

MADE = Method("made", "every cell once", "made_search:MadeSearcher")


def load(method_id):
    if importlib.util.find_spec(METHODS[method_id].module) is None:
        pytest.skip(f"{METHODS[method_id].module} is not there")
    return METHODS[method_id]


# --- methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("recipe", RECIPE_NAMES)
@pytest.mark.parametrize("method_id", METHODS)
def test_every_method_has_the_three_recipes(method_id, recipe, space):
    method = load(method_id)
    settings = method.settings_of(recipe, space)
    for name, value in method.settings.items():
        assert getattr(settings, name) == value
    assert settings_as_dict(settings)


def test_nothing_heavy_is_imported_to_know_the_methods():
    code = ("import sys; from a2v_core.search.methods import METHODS, method_names; method_names(); "
            "sys.exit(bool({'torch', 'dgl', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recipe_changes_the_defaults_and_a_change_comes_last():
    assert MADE.recipes == ("released", "paper", "corrected")
    assert MADE.settings_of() == made_search.MadeSearcherSettings()
    assert MADE.settings_of("paper").batch == 1
    assert MADE.settings_of("paper", changes={"batch": 3}).batch == 3
    fixed = Method("fixed", "", "made_search:MadeSearcher", settings={"batch": 9})
    assert fixed.settings_of("paper").batch == 9
    assert settings_as_dict(fixed.settings_of()) == {"batch": 9, "marker": "", "fatal": -1}
    assert settings_as_dict(None) == {}


@pytest.mark.parametrize("by_space", [{"small": {"batch": 5}}, {"paper": {"small": {"batch": 5}}}])
def test_a_search_space_may_change_a_recipe(monkeypatch, by_space):
    monkeypatch.setattr(made_search, "BY_SPACE", by_space, raising=False)
    assert MADE.settings_of("paper", "small").batch == 5
    assert MADE.settings_of("paper", "large").batch == 1
    assert MADE.settings_of("paper", "small", {"batch": 6}).batch == 6


@pytest.mark.parametrize(("arguments", "told"), [
    ({"recipe": "best"}, "made has no recipe 'best': choose one of released, paper, corrected"),
    ({"changes": {"bach": 3}}, "made has no setting bach: it has batch, marker, fatal")])
def test_an_unknown_recipe_or_setting_is_named(arguments, told):
    with pytest.raises(SettingsError, match=told):
        MADE.settings_of(**arguments)


def test_a_method_may_have_no_settings(monkeypatch):
    monkeypatch.delattr(made_search, "MadeSearcherSettings")
    monkeypatch.delattr(made_search, "RECIPES")
    assert MADE.recipes == ("released",)
    assert MADE.settings_of() is None
    with pytest.raises(SettingsError, match="it has none"):
        MADE.settings_of(changes={"batch": 1})


def test_a_searcher_is_given_what_it_takes(monkeypatch):
    problem = made_search.objective().problem()
    searcher = MADE.searcher_of(problem, [3, 4], MADE.settings_of("paper"), device="abacus")
    assert (searcher.seeds, searcher.settings.batch) == ((3, 4), 1)

    class WithDevice(made_search.MadeSearcher):
        def __init__(self, problem, seeds, settings, device):
            super().__init__(problem, seeds, settings)
            self.device = device

    monkeypatch.setattr(made_search, "MadeSearcher", WithDevice)
    assert MADE.searcher_of(problem, [3], None, device="abacus").device == "abacus"
    with pytest.raises(SettingsError, match=r"needs a vector for each cell \(arch2vec\)"):
        Method("made", "", "made_search:MadeSearcher", "arch2vec").searcher_of(problem, [3], None)


@pytest.mark.parametrize(("value", "told"), [("no_such_module:X", "cannot be imported"),
                                             ("made_search:X", "attribute 'X'"),
                                             ("made_search:MadeSpace", "not a subclass")])
def test_a_searcher_that_is_none_is_named(value, told):
    with pytest.raises(SettingsError, match=told):
        Method("made", "", value).settings_of()


def test_another_package_brings_a_method(third_party):
    assert method_names() == (*METHODS, "made")
    assert get_method("made").label == "every cell once"


def test_an_unknown_method_is_named():
    with pytest.raises(SettingsError, match="unknown search method 'made': choose one of random, re, rl"):
        get_method("made")


@pytest.mark.parametrize(("value", "told"), [("no_such_module:X", "cannot be imported"),
                                             ("made_search:RECIPES", "no a2v_core.search.methods.Method"),
                                             ("made_method:METHOD", "no a2v_core.search.methods.Method of that id")])
def test_a_broken_registration_of_a_method_is_named(monkeypatch, value, told):
    broken = [metadata.EntryPoint("broken", value, methods.ENTRY_POINT_GROUP),
              metadata.EntryPoint("random", value, methods.ENTRY_POINT_GROUP)]
    monkeypatch.setattr(methods.metadata, "entry_points", lambda group: broken)
    with pytest.raises(SettingsError, match=told):
        get_method("broken")
    assert get_method("random") is METHODS["random"]


# --- objectives ------------------------------------------------------------------------------------------------------


def test_another_package_brings_objectives(third_party):
    assert objective_names()["made"] == ("made", "noisy")
    assert objective_module("made") == "made_search"
    assert usual_seconds("made", "noisy") == 300.0
    assert get_objective("made", "noisy").name == "made/noisy"
    assert get_objective("made", "noisy") is get_objective("made", "noisy")
    with pytest.raises(SettingsError, match="no objective 'loud' on made: choose one of made, noisy"):
        get_objective("made", "loud")


def test_the_papers_budgets():
    assert usual_seconds("nasbench201", "cifar10") == 1.2e4
    assert usual_seconds("nasbench201", "cifar100") == 5e5
    assert usual_seconds("nasbench201", "imagenet16_120") == 1.4e6
    assert {usual_seconds("nasbench101", name) for name in objective_names()["nasbench101"]} == {1e6}


def test_a_space_without_objectives_is_named():
    with pytest.raises(SettingsError, match="no objective on a search space 'nas': there are some on nasbench101"):
        get_objective("nas", "x")


@pytest.mark.parametrize(("value", "told"), [("no_such_module", "cannot be imported"), ("json", "lacks objective")])
def test_a_broken_registration_of_objectives_is_named(monkeypatch, value, told):
    broken = [metadata.EntryPoint("broken", value, objectives.ENTRY_POINT_GROUP)]
    monkeypatch.setattr(objectives.metadata, "entry_points", lambda group: broken)
    with pytest.raises(SettingsError, match=told):
        get_objective("broken", "x")


# --- features --------------------------------------------------------------------------------------------------------


@dataclass
class SmallSpace:
    """The first cells of NAS-Bench-201."""

    n: int = 96
    name = "nasbench201"
    vocabulary = get_space("nasbench201").vocabulary

    def cells(self):
        return get_space("nasbench201").cells()[:self.n]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "published_dir", lambda: None)
    return ArtifactStore(tmp_path)


def test_one_hot_features_by_hand():
    adjacency = np.zeros((2, 3, 3), np.uint8)
    adjacency[:, 0, 2] = adjacency[0, 0, 1] = adjacency[0, 1, 2] = 1
    cells = Cells(adjacency, np.array([[0, 1, 2], [0, 2, 255]], np.uint8))
    space = SimpleNamespace(cells=lambda: cells, vocabulary=("in", "op", "out"))
    # Of edges 01, 02, 12 the second is in both cells; of 3 x 3 operations, those of the first node are the same, no
    # second node is "in", no third one is "in" or "op".
    np.testing.assert_array_equal(one_hot(space), [[1, 1, 1, 0, 1], [0, 0, 0, 1, 0]])


def test_one_hot_features_tell_all_cells_apart():
    found = Features("one_hot").build(get_space("nasbench201"), None)
    assert (found.shape, found.dtype) == ((15_625, 30), np.float32)
    assert len(np.unique(found, axis=0)) == 15_625
    assert Features().build(get_space("nasbench201"), None) is None


def test_path_features_are_the_paths_that_not_all_cells_have():
    found = Features("path").build(get_space("nasbench201"), None)
    # 5 + 25 + 125 sequences of one to three of five operations; every one is in some cell and in no cell all.
    assert (found.shape, found.dtype) == ((15_625, 155), np.float32)
    assert set(np.unique(found)) == {0, 1}
    assert (found.sum(1) <= 4).all()


def test_arch2vec_features_are_the_embedding_of_the_model_and_kept(store, monkeypatch):
    space, features = SmallSpace(), Features("arch2vec", "paper", seed=3, epochs=1)
    found = features.build(space, store)
    settings = pretraining_settings("paper", space="nasbench201", epochs=1)
    model, = pretraining.pretrain(space.cells(), 7, settings, [3], store=store, compiled=False, progress=False)
    np.testing.assert_array_equal(found, pretraining.embed(model, space.cells()))
    monkeypatch.setattr(pretraining, "embed", None)
    features.prepare(space, store)
    np.testing.assert_array_equal(features.build(space, store), found)


def test_untrained_features_are_those_of_the_first_weights(store, monkeypatch):
    space, seen = SmallSpace(), []

    def no_training(*_arguments, **_options):
        raise AssertionError("trained")

    monkeypatch.setattr(pretraining, "pretrain", no_training)
    for seed in (0, 0, 1):
        seen.append(Features("untrained", seed=seed).build(space, store))
    assert seen[0].shape == (96, 16)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.abs(seen[0] - seen[2]).max() > 0.01
    assert np.unique(seen[0], axis=0).shape[0] > 50


def test_features_are_what_they_depend_on():
    space = SmallSpace()
    kinds = [Features(), Features("one_hot"), Features("path"), Features("untrained"), Features("arch2vec"),
             Features("arch2vec", "paper"), Features("arch2vec", seed=1), Features("arch2vec", epochs=1)]
    identities = [str(features.identity(space)) for features in kinds]
    assert len(set(identities)) == len(kinds)
    assert len({features.label for features in kinds}) == len(kinds)
    assert str(Features("arch2vec").identity(space)) == identities[4]
    assert str(Features("arch2vec").identity(SmallSpace(95))) != identities[4]


def test_unknown_features_are_named():
    with pytest.raises(SettingsError, match="unknown features 'tree': choose one of none, arch2vec"):
        Features("tree")
    with pytest.raises(SettingsError, match="unknown recipe 'best'"):
        Features("arch2vec", "best").identity(SmallSpace())
