"""The supervised counterpart, on NAS-Bench-201's cells with made-up accuracies."""

import numpy as np
import pytest
import torch
from scipy import stats

from a2v_core.errors import SettingsError
from a2v_core.observations.supervised import counterpart_settings, labelled_cells, train_counterpart
from a2v_core.search.message_classes import GRAPHS
from a2v_core.spaces import get_space

CELLS = get_space("nasbench201").cells()
RECIPES = ("released", "paper", "corrected")
# Better with each 3x3 convolution (code 2), worse with each edge that is cut (code 5).
MADE = 0.8 + 0.02 * (CELLS.ops == 2).sum(1) - 0.03 * (CELLS.ops == 5).sum(1)


pytestmark = pytest.mark.usefixtures("one_thread")


def train(recipe, seeds, labels=10, made=MADE):
    return train_counterpart("nasbench201", made, recipe, seeds, labels, "cpu")


# ------------------------------------------------------------------------------------------------ known cells


def test_labelled_cells_are_different_and_more_include_fewer():
    few, many = labelled_cells(1000, 50, 3), labelled_cells(1000, 300, 3)
    assert len(np.unique(many)) == 300
    assert (many[:50] == few).all()
    assert ((many >= 0) & (many < 1000)).all()
    assert set(labelled_cells(7, 7, 0)) == set(range(7))
    assert not np.array_equal(few, labelled_cells(1000, 50, 4))


def test_every_cell_is_as_likely_to_be_labelled():
    counts = np.bincount(np.concatenate([labelled_cells(40, 10, seed) for seed in range(2000)]), minlength=40)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("labels", [0, 1, 11])
def test_impossible_numbers_of_labels_are_refused(labels):
    with pytest.raises(SettingsError, match=f"labels={labels} of 10 cells"):
        labelled_cells(10, labels, 0)


# ------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_does_not_depend_on_the_others_to_the_bit(recipe):
    together, alone = train(recipe, [5, 1, 8]), train(recipe, [1])
    assert together.seeds == (5, 1, 8)
    assert np.array_equal(together.embedding(1), alone.embedding(0))
    assert np.array_equal(together.predict(1, together.embedding(1)), alone.predict(0, alone.embedding(0)))
    assert not np.array_equal(together.embedding(0), alone.embedding(0))


def test_the_network_learns_what_its_labels_show():
    found = train("corrected", [0], labels=60)
    predicted = found.predict(0, found.embedding(0))
    unseen = np.setdiff1d(np.arange(len(CELLS)), labelled_cells(len(CELLS), 60, 0))
    assert stats.pearsonr(predicted[unseen], MADE[unseen])[0] > 0.8
    assert np.sqrt(np.square(predicted - MADE)[unseen].mean()) < 0.8 * MADE.std()


@pytest.mark.parametrize("recipe", ["paper", "corrected"])
def test_embedding_and_output_are_those_of_the_network_node_by_node(recipe):
    found, rows = train(recipe, [0, 1]), np.arange(0, len(CELLS), 1700)
    single, some = found.networks.select(1), CELLS[rows]
    with torch.no_grad():
        nodes = single.encode(torch.from_numpy(some.adjacency)[None], torch.from_numpy(some.ops)[None], training=False)
        embedding = nodes.mean(2)
        value = single.linear("output", torch.tanh(single.linear("basis", embedding)))[0, :, 0].numpy()
    whole = found.embedding(1)
    assert whole.shape == (len(CELLS), 16)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole[rows], embedding[0].numpy(), rtol=1e-3, atol=1e-4)
    answers = MADE[labelled_cells(len(CELLS), 10, 1)]
    expected = value * answers.std() + answers.mean() if recipe == "corrected" else value
    np.testing.assert_allclose(found.predict(1, whole)[rows], expected, rtol=1e-3, atol=1e-4)


def test_released_takes_the_tanh_of_the_embedding_for_its_basis():
    found = train("released", [0])
    some = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    with torch.no_grad():
        expected = found.networks.linear("output", torch.tanh(torch.from_numpy(some))[None])[0, :, 0].numpy()
    np.testing.assert_allclose(found.predict(0, some), expected, rtol=1e-6)


def test_standardised_labels_make_units_irrelevant():
    once, other = train("corrected", [0]), train("corrected", [0], made=100 * MADE + 7)
    predicted = once.predict(0, once.embedding(0))
    np.testing.assert_allclose(other.predict(0, other.embedding(0)), 100 * predicted + 7, rtol=1e-2)


def test_equal_labels_predict_themselves():
    found = train("corrected", [0], made=np.full(len(CELLS), 0.7))
    np.testing.assert_allclose(found.predict(0, found.embedding(0)), 0.7, atol=1e-9)


# ------------------------------------------------------------------------------------------------ settings


def test_settings_by_recipe():
    released, paper, corrected = map(counterpart_settings, RECIPES)
    assert (released.graph, released.basis, released.standardise) == (GRAPHS[0], 16, False)
    assert (paper.graph, paper.basis, paper.standardise) == (GRAPHS[1], 128, False)
    assert (corrected.graph, corrected.basis, corrected.standardise) == (GRAPHS[1], 128, True)


def test_unknown_recipes_are_refused():
    with pytest.raises(SettingsError, match="choose one of released, paper, corrected"):
        train("best", [0])
