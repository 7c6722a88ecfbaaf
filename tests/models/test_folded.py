"""The encoder with folded batchnorm against the one that trains."""

import pytest
import torch
from made_cells import moved_away, random_cells

from a2v_core.models.dense import StackedAutoencoder
from a2v_core.models.folded import FoldedEncoder
from a2v_core.recipes import pretraining_settings

torch.set_num_threads(1)


@pytest.mark.parametrize("changes", [{}, {"direction": "split"}, {"mask_padding": True}, {"variational": False}])
@pytest.mark.parametrize("n", [7, 11])
def test_folding_changes_no_mean(changes, n):
    settings = pretraining_settings(hidden=(9, 6), latent=4, **changes)
    stack = moved_away(StackedAutoencoder(5, settings, (0, 1), dtype=torch.float64))
    cells = random_cells(12, n, 5)
    adjacency, ops = torch.from_numpy(cells.adjacency), torch.from_numpy(cells.ops)
    expected = stack.encode(adjacency.expand(2, -1, -1, -1), ops.expand(2, -1, -1))[0]
    assert (expected[0] - expected[1]).abs().max() > 0.1
    for i in range(2):
        found = FoldedEncoder(stack.state_dict(i), 5, settings)(adjacency, ops)
        torch.testing.assert_close(found, expected[i].detach(), rtol=1e-9, atol=1e-11)
