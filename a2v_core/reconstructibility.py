"""Which cells the decoder can give back at all: a ceiling of the reconstruction accuracy that no training lifts.

Two nodes of one colour under refinement have one latent vector z, whatever the weights of the encoder. Their edge has
the logit z^T z >= 0 (Eq. 3), so it is decoded as present unless z is exactly zero. A cell with two nodes of one
colour and no edge between them, two parallel branches alike for instance, can therefore not come back from the means
of its latents. Neither can a cell with two padded rows whose edges count.
"""

from __future__ import annotations

import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.graph_codes import first_rank, neighbour_matrices, stable_rank


def reconstructible(cells: Cells, *, directed: bool = False, padded_rows: bool = True) -> np.ndarray:
    """Cells that some weights could give back exactly, bool [M]; the others none can.

    Args:
        cells: the cells.
        directed: the encoder reads in- and out-edges apart, and not A + A^T.
        padded_rows: padded rows are encoded and decoded like nodes, as in the recipes `released` and `paper`.

    Raises:
        SpaceError: more than :data:`~a2v_core.graph_codes.MAX_NODES` rows, or a padded row with an edge.
    """
    rank = stable_rank(neighbour_matrices(cells, directed), first_rank(cells.ops))
    edge = (cells.adjacency | cells.adjacency.transpose(0, 2, 1)).astype(bool)
    twins = (rank[:, :, None] == rank[:, None, :]) & ~edge
    twins[:, np.arange(rank.shape[1]), np.arange(rank.shape[1])] = False
    found = ~twins.any((1, 2))
    # Refinement tells padded rows apart by their place; the encoder does not.
    return found & ((cells.ops == PAD).sum(1) < 2) if padded_rows else found
