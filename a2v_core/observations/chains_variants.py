"""Other ways to get the supervised counterpart's embedding, to see what its long steps in Figure 5 may come from.

The paper does not say on how many labels the network of Figure 5 was trained, nor in which mode it embedded the cells.
The released supervised search leaves its network in training mode, where batchnorm uses the statistics of the cells
that happen to be embedded together, so that a cell's vector depends on its company.
"""

from __future__ import annotations

import numpy as np
import torch
from tqdm import tqdm

from a2v_core.observations.accuracies import accuracies
from a2v_core.observations.supervised import train_counterpart
from a2v_core.spaces import get_space

#: Cells that the released search embeds together.
BATCH = 200


@torch.inference_mode()
def embed_in_training_mode(space_name: str, recipe: str, seed: int, labels: int, data_dir: str = "",
                           device: str = "auto", batch: int = BATCH) -> np.ndarray:
    """Embedding of each cell by the trained supervised network in training mode, `batch` cells of the space at a time
    in its order, float32 [cells, 16].

    Raises:
        MissingDataError: the accuracies that the network learns from are not there.
    """
    with torch.inference_mode(False):
        made = train_counterpart(space_name, accuracies(space_name, data_dir=data_dir), recipe, [seed], labels, device)
    cells, where = get_space(space_name).cells(), made.networks.parameters[0].device
    parts = []
    for start in tqdm(range(0, len(cells), batch), desc="embedding in training mode", unit="batch"):
        part = cells[start:start + batch]
        adjacency, ops = (torch.tensor(x, device=where)[None] for x in (part.adjacency, part.ops))
        parts.append(made.networks.encode(adjacency, ops, training=True)[0].mean(1).numpy(force=True))
    return np.concatenate(parts)
