"""What Table 1 measures: reconstruction accuracy, validity and uniqueness (§4.1, Appendix B).

Each metric has two definitions. ``exact`` is Appendix B's: whole cells identical, strict validity, distinct up to
isomorphism. ``released`` is what the authors' code computes: entries of the matrices, a weaker validity, a hash of the
matrices as they were decoded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch

from a2v_core.cells import PAD, Cells
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.spaces.base import SearchSpace

#: Draws from the prior for validity and uniqueness (Appendix B).
N_DRAWS = 10_000
# Cells in one pass: more of them leave the cache.
_CHUNK = 512


@dataclass(frozen=True)
class Reconstruction:
    """How well held-out cells come back; all fractions.

    Attributes:
        exact: cells whose every operation and every edge is right; padded rows must stay without edges.
        operations: node rows whose largest operation is right, padded rows counted as the released code does.
        edges: entries above the diagonal that are right after thresholding at 0.5, padded rows counted.
        edge_recall: present edges that are found.
        n_cells: cells looked at.
    """

    exact: float
    operations: float
    edges: float
    edge_recall: float
    n_cells: int

    @property
    def released(self) -> float:
        """The released code prints the rates of operations and of edges; this is the lower of the two."""
        return min(self.operations, self.edges)


@dataclass(frozen=True)
class Generation:
    """What decoding random draws gives; fractions of the draws or of the valid ones.

    Attributes:
        validity, uniqueness: ``exact`` definitions.
        released_validity, released_uniqueness: as the authors' code measures.
        unpruned_uniqueness: strict validity, but the hash of the unpruned matrices.
        n_valid, n_distinct: counts behind the exact definitions. Without a valid draw, uniqueness counts as 0.
        n_draws: draws decoded.
    """

    validity: float
    uniqueness: float
    released_validity: float
    released_uniqueness: float
    unpruned_uniqueness: float
    n_valid: int
    n_distinct: int
    n_draws: int


def encode_cells(model: StackedAutoencoder, cells: Cells, index: int = 0) -> torch.Tensor:
    """Posterior means of the nodes in evaluation mode under model `index`: float32 [M, N, D], on the processor."""
    single, where = model.select(index), model.theta.device
    chunks = []
    with torch.inference_mode():
        for start in range(0, len(cells), _CHUNK):
            part = cells[start:start + _CHUNK]
            adjacency, ops = (torch.tensor(x, device=where).unsqueeze(0) for x in (part.adjacency, part.ops))
            chunks.append(single.encode(adjacency, ops)[0][0].cpu())
    return torch.cat(chunks)


def decode_latents(model: StackedAutoencoder, z: torch.Tensor, index: int = 0) -> Cells:
    """Most likely cell of each latent matrix [M, N, D]: an edge i → j (i < j) where its probability exceeds 0.5, the
    likeliest operation on every row. Direction comes from the order of the rows; no row is ever padding."""
    single, where = model.select(index), model.theta.device
    adjacency, ops = [], []
    with torch.inference_mode():
        for start in range(0, len(z), _CHUNK):
            edges, logits = single.decode(z[start:start + _CHUNK].unsqueeze(0).to(where))
            adjacency.append((edges[0] > 0).triu(1).to(torch.uint8).cpu())
            ops.append(logits[0].argmax(-1).to(torch.uint8).cpu())
    return Cells(torch.cat(adjacency).numpy(), torch.cat(ops).numpy())


def reconstruction(model: StackedAutoencoder, cells: Cells, index: int = 0) -> Reconstruction:
    """Encode the cells, decode their means, compare.

    With ``mask_padding`` the number of nodes counts as known and padded rows are left out of the exact comparison.
    """
    decoded = decode_latents(model, encode_cells(model, cells, index), index)
    real = cells.ops != PAD
    upper = np.triu(np.ones(cells.adjacency.shape[1:], dtype=bool), 1)
    right_ops = decoded.ops == np.where(real, cells.ops, 0)  # the first operation where a one-hot row is all zero
    right_edges = decoded.adjacency == cells.adjacency
    if model.settings.mask_padding:
        counted = real[:, :, None] & real[:, None, :]
        same = (right_ops | ~real).all(1) & (right_edges | ~counted).all((1, 2))
    else:
        same = (right_ops | ~real).all(1) & right_edges.all((1, 2))
    present = cells.adjacency.astype(bool)
    return Reconstruction(float(same.mean()), float(right_ops.mean()), float(right_edges[:, upper].mean()),
                          float(decoded.adjacency[present].mean()), len(cells))


def draw_latents(mean: torch.Tensor, std: torch.Tensor, seed: int, n: int = N_DRAWS, scaling: str = "position"
                 ) -> torch.Tensor:
    """z = z0 * std(Z_train) + mean(Z_train) with z0 standard normal (Appendix B), [n, N, D].

    Args:
        mean, std: of the training cells' node means at each position, [N, D].
        scaling: ``position`` uses them as they are, as the released code does; ``common`` pools the positions, so
            that every row is scaled and shifted alike.
    """
    z = torch.randn((n, *mean.shape), generator=torch.Generator().manual_seed(seed))
    if scaling == "common":
        pooled = mean.mean(0)
        std = (std.square() + (mean - pooled).square()).mean(0).sqrt()
        mean = pooled
    return z * std + mean


def generation(model: StackedAutoencoder, space: SearchSpace, latents: torch.Tensor, index: int = 0) -> Generation:
    """Decode latents [n, N, D] drawn from the prior and measure validity and uniqueness in both definitions."""
    decoded = decode_latents(model, latents, index)
    valid, released_valid = space.is_valid(decoded), space.released_is_valid(decoded)
    kept, released_kept = decoded[np.flatnonzero(valid)], decoded[np.flatnonzero(released_valid)]
    distinct = len(np.unique(space.keys(kept))) if len(kept) else 0
    raw = len(np.unique(space.released_keys(kept))) if len(kept) else 0
    released = len(np.unique(space.released_keys(released_kept))) if len(released_kept) else 0
    n = len(latents)
    return Generation(len(kept) / n, distinct / max(len(kept), 1), len(released_kept) / n,
                      released / max(len(released_kept), 1), raw / max(len(kept), 1), len(kept), distinct, n)


def summary(measure: Reconstruction | Generation) -> dict[str, float]:
    """The numbers of a measure as a plain dictionary, for records."""
    numbers = asdict(measure)
    return numbers | ({"released": measure.released} if isinstance(measure, Reconstruction) else {})

