import numpy as np
import pytest
from made_landscapes import answer, one_target, problem
from scipy import stats

from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search.discrete import discrete_encoding, drawn
from a2v_core.search.protocol import Problem
from a2v_core.search.random_search import RECIPES, SAMPLERS, RandomSearch, RandomSearchSettings
from a2v_core.spaces.darts import DARTS


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nasbench201_candidates_are_drawn_alike(sampler):
    part = problem(rows=np.arange(100, 400, 3))
    drawn_cells = answer(RandomSearch(part, range(50), RandomSearchSettings(sampler)), one_target(part), 400)
    counts = np.bincount(drawn_cells.ravel(), minlength=100)
    assert len(counts) == 100
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("rows", [None, np.r_[0:20_001, 36_202:46_202]], ids=["whole", "part"])
def test_nasbench101_cells_are_drawn_as_often_as_by_redrawn_encodings(rows):
    part = problem("nasbench101", rows)
    cells = answer(RandomSearch(part, range(100)), np.zeros(len(part.rows)), 600).ravel()
    encoding = discrete_encoding(part.space)
    by_encoding = encoding.rows(drawn(encoding.choices, np.random.default_rng(0).random((300_000, 26))))
    by_encoding = by_encoding[np.isin(by_encoding, part.rows)]
    sizes = part.space.cells().n_nodes
    table = np.stack([np.bincount(sizes[part.rows[cells]], minlength=8)[2:],
                      np.bincount(sizes[by_encoding], minlength=8)[2:]])
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_nasbench101_cells_alike():
    part = problem("nasbench101")
    cells = answer(RandomSearch(part, range(50), RandomSearchSettings("cells")), np.zeros(len(part.rows)), 400)
    assert stats.chisquare(np.bincount(cells.ravel() * 20 // 423_624, minlength=20)).pvalue > 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_batch_proposes_what_each_seed_proposes_alone(sampler):
    part, settings = problem("nasbench101"), RandomSearchSettings(sampler)
    accuracy = np.zeros(len(part.rows))
    batch = answer(RandomSearch(part, [3, 14, 15, 9], settings), accuracy, 100)
    for run, seed in zip(batch, [3, 14, 15, 9], strict=True):
        np.testing.assert_array_equal(answer(RandomSearch(part, [seed], settings), accuracy, 100)[0], run)


def test_a_small_space_is_queried_again_without_end():
    part = problem(rows=[8, 2, 5])
    cells = answer(RandomSearch(part, [0, 1]), np.full(3, 0.5), 500)
    assert cells.shape[1] >= 500
    assert [set(run) for run in cells] == [{0, 1, 2}] * 2


def test_a_space_without_encoding_has_one_sampler():
    space = DARTS(n_cells=20)
    sample = Problem(space, space.cells(), np.arange(20))
    assert set(answer(RandomSearch(sample, [0], RandomSearchSettings("cells")), np.zeros(20), 300)[0]) == set(range(20))
    with pytest.raises(SpaceError, match="no discrete encoding"):
        RandomSearch(sample, [0])


def test_settings():
    assert {name: RandomSearchSettings(**changes).sampler for name, changes in RECIPES.items()} == {
        "released": "encoding", "paper": "encoding", "corrected": "cells"}
    with pytest.raises(SettingsError, match="sampler='cell' is unknown: choose one of encoding, cells"):
        RandomSearchSettings("cell")
