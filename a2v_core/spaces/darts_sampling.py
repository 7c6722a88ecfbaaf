"""Uniform sampling of unique DARTS cells in the mobile setting (paper, §4 and Appendix A.3)."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from a2v_core.spaces.darts_cost import Convention, in_mobile_setting
from a2v_core.spaces.darts_encoding import FIRST_OPERATION, OUTPUT, Edges, edge_keys
from a2v_core.spaces.darts_genotypes import N_EDGES, N_INTERMEDIATE

#: Genotypes drawn at a time. Part of what a seed means: with another number the same seed gives another sample.
_DRAWS = 1 << 17
#: Ordered pairs of distinct states that intermediate node j may read, uint8 [(j + 2)(j + 1), 2] for each j.
_INPUT_PAIRS = [
    np.array([(i, k) for i in range(j + 2) for k in range(j + 2) if i != k], dtype=np.uint8)
    for j in range(N_INTERMEDIATE)
]


def draw_edges(m: int, rng: np.random.Generator) -> Edges:
    """M genotypes: for each intermediate node an ordered pair of distinct states, uniform; operations uniform over all
    eight, "none" included. Neither unique nor limited in size."""
    ops = rng.integers(FIRST_OPERATION, OUTPUT, (m, N_EDGES), dtype=np.uint8)
    inputs = [pairs[rng.integers(len(pairs), size=m)] for pairs in _INPUT_PAIRS]
    return Edges(ops, np.concatenate(inputs, axis=1))


def sample_edges(n: int, seed: int, convention: Convention, progress: bool = False) -> Edges:
    """The first n genotypes of a stream of draws that are new up to isomorphism and in the mobile setting.

    The order is that of drawing, so a smaller sample of the same seed is the beginning of a larger one.

    Args:
        n: number of genotypes, far below the size of the space (about 3e9 draws, fewer up to isomorphism).
        seed: of the stream.
        convention: how multiply-adds are counted, see :mod:`a2v_core.spaces.darts_cost`.
        progress: show a bar.
    """
    rng = np.random.default_rng(seed)
    keys = np.empty(0, dtype="S8")
    kept = Edges(*(np.empty((0, N_EDGES), dtype=np.uint8) for _ in Edges._fields))
    with tqdm(total=n, desc="sampling DARTS cells", unit="cell", disable=not progress, leave=False) as bar:
        while len(keys) < n:
            drawn = draw_edges(_DRAWS, rng)
            small = in_mobile_setting(drawn, convention)
            drawn = Edges(*(part[small] for part in drawn))
            all_keys = np.concatenate([keys, edge_keys(drawn)])
            _, first = np.unique(all_keys, return_index=True)
            # First occurrences come from the whole sequence: those already kept stay, in their order.
            first = np.sort(first)[:n]
            kept = Edges(*(np.concatenate(parts)[first] for parts in zip(kept, drawn, strict=True)))
            bar.update(len(first) - len(keys))
            keys = all_keys[first]
    return kept
