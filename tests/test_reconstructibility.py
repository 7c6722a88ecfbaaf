"""The ceiling of the reconstruction accuracy: by hand, against random models, and on whole spaces."""

import numpy as np
import pytest
import torch

from a2v_core.cells import PAD, Cells
from a2v_core.generation import decode_latents, encode_cells
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.recipes import pretraining_settings
from a2v_core.reconstructibility import reconstructible
from a2v_core.spaces import get_space


def cell(edges, ops, n=7):
    adjacency = np.zeros((1, n, n), np.uint8)
    for source, target in edges:
        adjacency[0, source, target] = 1
    return Cells(adjacency, np.array([list(ops) + [PAD] * (n - len(ops))], np.uint8))


def test_two_equal_parallel_branches_cannot_come_back_and_different_ones_can():
    diamond = [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert not reconstructible(cell(diamond, [0, 2, 2, 4]), padded_rows=False)[0]
    assert reconstructible(cell(diamond, [0, 1, 2, 4]), padded_rows=False)[0]
    # Joined by an edge, the twins ask for exactly what the decoder gives them.
    assert reconstructible(cell([*diamond, (1, 2)], [0, 2, 2, 4]), padded_rows=False)[0]
    assert reconstructible(cell([*diamond, (1, 2)], [0, 2, 2, 4]), directed=True, padded_rows=False)[0]


def test_direction_does_not_help_against_true_automorphisms_but_against_others():
    # Forgetting directions, 1 and 2 (the same operation) mirror each other; with them they do not.
    mirrored = cell([(0, 1), (1, 2), (2, 3), (0, 3)], [4, 2, 2, 4], n=4)
    assert reconstructible(mirrored)[0]  # neighbours: the edge between them is there
    path = cell([(0, 1), (1, 2), (2, 3), (3, 4)], [4, 2, 1, 2, 4], n=5)
    assert not reconstructible(path)[0]
    assert reconstructible(path, directed=True)[0]


def test_padded_rows_are_twins_of_each_other():
    line = cell([(0, 1), (1, 2), (2, 3), (3, 4)], [0, 1, 2, 3, 4])  # two padded rows
    assert not reconstructible(line)[0]
    assert reconstructible(line, padded_rows=False)[0]
    assert reconstructible(cell([(i, i + 1) for i in range(5)], [0, 1, 2, 3, 1, 4]))[0]  # one padded row


@pytest.mark.parametrize(("method", "changes"), [("arch2vec", {}), ("gae", {}), ("arch2vec", {"direction": "split"})])
def test_no_random_model_gives_back_a_cell_beyond_the_ceiling(method, changes):
    space = get_space("nasbench101")
    cells = space.cells()[np.random.default_rng(0).choice(len(space.cells()), 3000, replace=False)]
    possible = reconstructible(cells, directed=changes.get("direction") == "split")
    settings = pretraining_settings("released", method, **changes)
    model = StackedAutoencoder(5, settings, [0], dtype=torch.float64)
    edges = decode_latents(model, encode_cells(model, cells)).adjacency
    # The edges between twins are decoded as present, so their cells have a wrong edge under any weights.
    assert (edges[~possible] != cells.adjacency[~possible]).any((1, 2)).all()
    assert 0.85 < possible.mean() < 0.97


def test_a_trained_model_cannot_pass_it_and_whole_spaces_have_their_known_ceilings():
    assert reconstructible(get_space("nasbench201").cells()).all()
    nb101 = get_space("nasbench101").cells()
    assert reconstructible(nb101).mean() == pytest.approx(0.9263, abs=5e-5)
    assert not reconstructible(nb101[np.flatnonzero(nb101.n_nodes <= 5)]).any()
