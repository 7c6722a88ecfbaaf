"""The supervised network in training mode: each batch by its own statistics."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from a2v_core.observations import chains_variants
from a2v_core.search.supervised_encoder import SupervisedEncoders
from a2v_core.spaces.nasbench201 import NASBench201


@pytest.fixture
def network(monkeypatch):
    """A network with its initial weights in place of a trained one, on the first 900 cells of NAS-Bench-201."""
    encoder, cells = SupervisedEncoders(7, [np.random.default_rng(0)], "directed"), NASBench201().cells()[:900]
    monkeypatch.setattr(chains_variants, "train_counterpart", lambda *a, **k: SimpleNamespace(networks=encoder))
    monkeypatch.setattr(chains_variants, "accuracies", lambda *a, **k: None)
    monkeypatch.setattr(chains_variants, "get_space", lambda name: SimpleNamespace(cells=lambda: cells))
    return encoder, cells


def test_a_batch_is_embedded_by_its_own_statistics(network):
    encoder, cells = network
    found = chains_variants.embed_in_training_mode("nasbench201", "released", 0, 10, batch=400)
    assert found.shape == (900, 16)
    for part in (slice(0, 400), slice(400, 800), slice(800, 900)):
        adjacency, ops = (torch.tensor(x[part])[None] for x in (cells.adjacency, cells.ops))
        with torch.no_grad():
            wanted = encoder.encode(adjacency, ops, True)[0].mean(1).numpy()
        assert np.allclose(found[part], wanted, atol=1e-6)


def test_a_cells_vector_depends_on_its_company(network):
    alone, together = (chains_variants.embed_in_training_mode("nasbench201", "released", 0, 10, batch=size)
                       for size in (100, 900))
    assert np.abs(alone - together).max() > 1e-3
