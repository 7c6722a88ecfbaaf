"""Reconstruction, draws and generation on models made by hand, whose answers are known."""

import math
from types import MethodType

import numpy as np
import pytest
import torch
from made_cells import random_cells

from a2v_core.cells import PAD, Cells
from a2v_core.generation import decode_latents, draw_latents, encode_cells, generation, reconstruction, summary
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.recipes import pretraining_settings
from a2v_core.spaces import get_space

torch.set_num_threads(1)
N, K = 7, 5


@pytest.fixture(scope="module")
def nasbench101():
    return get_space("nasbench101")


def perfect_codec(n=N, k=K, **changes):
    """A model whose latents are the cell itself: n edge logits and k operation logits a node."""
    model = StackedAutoencoder(k, pretraining_settings(hidden=(4,), latent=n + k, **changes), (0,))

    def encode(_self, adjacency, ops, training=False, theta=None):
        one_hot = (ops.unsqueeze(-1) == torch.arange(k)).float()
        return torch.cat([adjacency * 2.0 - 1, one_hot], -1), None, None

    def decode(_self, z, theta=None):
        return z[..., :n], z[..., n:]

    model.encode, model.decode = MethodType(encode, model), MethodType(decode, model)
    return model


def latents_of(cells, k=K):
    one_hot = cells.one_hot(k).astype(np.float32)
    return torch.cat([torch.from_numpy(cells.adjacency * 2.0 - 1).float(), torch.from_numpy(one_hot)], -1)


@pytest.mark.parametrize(("n", "k"), [(7, 5), (8, 7), (11, 11)])
def test_shapes_and_form_of_encoding_and_decoding(n, k):
    model = StackedAutoencoder(k, pretraining_settings(hidden=(6, 6), latent=4), (0, 1))
    cells = random_cells(1100, n, k)  # more than two chunks
    nodes = [encode_cells(model, cells, i) for i in range(2)]
    assert nodes[0].shape == (1100, n, 4)
    assert nodes[0].dtype == torch.float32
    assert not torch.equal(*nodes)
    adjacency, ops = torch.from_numpy(cells.adjacency), torch.from_numpy(cells.ops)
    at_once = model.encode(adjacency.expand(2, -1, -1, -1), ops.expand(2, -1, -1))[0].detach()
    torch.testing.assert_close(torch.stack(nodes), at_once)
    decoded = decode_latents(model, nodes[1], 1)
    assert (decoded.adjacency.shape, decoded.ops.shape) == ((1100, n, n), (1100, n))
    assert (np.tril(decoded.adjacency) == 0).all()
    assert decoded.ops.max() < k
    edges, logits = model.select(1).decode(nodes[1][None])
    assert (decoded.adjacency == (torch.sigmoid(edges[0]) > 0.5).triu(1).numpy()).all()
    assert (decoded.ops == logits[0].argmax(-1).numpy()).all()


def test_a_perfect_codec_reconstructs_everything():
    cells = random_cells(50, N, K, padded=False)
    found = reconstruction(perfect_codec(), cells)
    assert (found.exact, found.operations, found.edges, found.edge_recall, found.n_cells) == (1, 1, 1, 1, 50)
    assert summary(found)["released"] == 1


def test_each_kind_of_error_is_counted_where_it_belongs():
    cells = random_cells(10, N, K, padded=False)
    cells.adjacency[:, 0, 1], cells.adjacency[:, 0, 2] = 1, 0
    n_edges = int(cells.adjacency.sum())
    model = perfect_codec()
    encode = model.encode

    def wrong(_self, adjacency, ops, training=False, theta=None):
        z = encode(adjacency, ops)[0]
        z[0, 0, 0, 1] = -1  # cell 0 loses an edge
        z[0, 1, 0, 2] = 1  # cell 1 gains one
        z[0, 2, 3, N:] = z[0, 2, 3, N:].roll(1)  # two operations of cell 2 change
        z[0, 2, 4, N:] = z[0, 2, 4, N:].roll(1)
        z[0, 3, 5, 1] = 1  # below the diagonal, where nothing is read
        return z, None, None

    model.encode = MethodType(wrong, model)
    found = reconstruction(model, cells)
    assert found.exact == pytest.approx(7 / 10)
    assert found.operations == pytest.approx(68 / 70)
    assert found.edges == pytest.approx(208 / 210)
    assert found.edge_recall == pytest.approx((n_edges - 1) / n_edges)
    assert found.released == found.operations


def test_padded_rows_count_as_the_released_code_counts_them():
    """A padded row is never right but where the decoder says operation 0, and must stay without edges."""
    cells = Cells(np.zeros((2, N, N), np.uint8), np.full((2, N), PAD, np.uint8))
    cells.ops[:, :5] = [0, 1, 2, 3, 4]
    cells.adjacency[:, np.arange(4), np.arange(1, 5)] = 1

    def codec(**changes):
        model = perfect_codec(**changes)
        encode = model.encode

        def wrong(_self, adjacency, ops, training=False, theta=None):
            z = encode(adjacency, ops)[0]
            z[0, 0, 5, N + 3] = 1  # an operation on a padded row of cell 0 …
            z[0, 1, 2, 6] = 1  # … and an edge to one of cell 1
            return z, None, None

        model.encode = MethodType(wrong, model)
        return model

    released = reconstruction(codec(), cells)
    assert released.exact == 1 / 2  # the operation is no part of the cell, the edge is
    assert released.operations == pytest.approx(13 / 14)
    assert released.edges == pytest.approx(41 / 42)
    masked = reconstruction(codec(mask_padding=True), cells)
    assert masked.exact == 1


def test_draws_are_scaled_at_each_position():
    generator = torch.Generator().manual_seed(4)
    mean, std = torch.randn(N, 3, generator=generator), torch.rand(N, 3, generator=generator) + 0.1
    z = draw_latents(mean, std, 0, n=40_000)
    assert z.shape == (40_000, N, 3)
    error = 5 / math.sqrt(40_000)
    assert ((z.mean(0) - mean).abs() < error * std).all()
    assert ((z.std(0) / std - 1).abs() < error).all()


def test_common_draws_pool_the_positions():
    generator = torch.Generator().manual_seed(4)
    mean, std = torch.randn(N, 3, generator=generator), torch.rand(N, 3, generator=generator) + 0.1
    # The positions' own latents, put into one pot.
    pot = (mean + std * torch.randn(60_000, N, 3, generator=generator)).flatten(0, 1)
    z = draw_latents(mean, std, 0, n=40_000, scaling="common")
    error = 6 / math.sqrt(40_000)
    for position in range(N):
        assert ((z[:, position].mean(0) - pot.mean(0)).abs() < error * pot.std(0)).all()
        assert ((z[:, position].std(0) / pot.std(0) - 1).abs() < error).all()


def test_draws_depend_on_the_seed_alone():
    mean, std = torch.zeros(N, 3), torch.ones(N, 3)
    torch.manual_seed(1)
    first = draw_latents(mean, std, 7, n=10)
    torch.manual_seed(2)
    assert torch.equal(first, draw_latents(mean, std, 7, n=10))
    assert not torch.equal(first, draw_latents(mean, std, 8, n=10))


def test_validity_and_uniqueness_against_one_cell_at_a_time(nasbench101):
    """Random 7-node matrices with few operations: valid and invalid ones, repeats, isomorphic and prunable ones."""
    rng = np.random.default_rng(0)
    adjacency = np.triu(rng.random((120, N, N)) < 0.25, 1).astype(np.uint8)
    ops = np.concatenate([np.zeros((120, 1)), rng.integers(1, 3, (120, N - 2)), np.full((120, 1), 4)], 1)
    ops[::17, 0] = 1
    cells = Cells(np.concatenate([adjacency, adjacency[:20]]), np.concatenate([ops, ops[:20]]).astype(np.uint8))
    found = generation(perfect_codec(), nasbench101, latents_of(cells))

    keys, raw, released, n_valid, n_released = set(), set(), set(), 0, 0
    for i in range(len(cells)):
        cell = cells[i]
        if nasbench101.is_valid(cell)[0]:
            n_valid += 1
            keys.add(bytes(nasbench101.keys(cell)[0]))
            raw.add(bytes(nasbench101.released_keys(cell)[0]))
        if nasbench101.released_is_valid(cell)[0]:
            n_released += 1
            released.add(bytes(nasbench101.released_keys(cell)[0]))
    assert 0 < len(keys) < len(raw) < n_valid < len(cells)
    assert (found.n_valid, found.n_distinct, found.n_draws) == (n_valid, len(keys), len(cells))
    assert found.validity == n_valid / len(cells)
    assert found.uniqueness == len(keys) / n_valid
    assert found.unpruned_uniqueness == len(raw) / n_valid
    assert found.released_validity == n_released / len(cells)
    assert found.released_uniqueness == len(released) / n_released
    assert summary(found).keys() == found.__dict__.keys()


def test_draws_of_which_none_is_valid_have_no_uniqueness(nasbench101):
    empty = Cells(np.zeros((5, N, N), np.uint8), np.zeros((5, N), np.uint8))
    found = generation(perfect_codec(), nasbench101, latents_of(empty))
    assert (found.validity, found.uniqueness, found.released_uniqueness, found.n_distinct) == (0, 0, 0, 0)
