"""All 423,624 cells of NAS-Bench-101 from nothing (Ying et al. 2019, section 2; paper, Appendix A.1).

A cell has 2 to 7 vertices and at most 9 edges, and every vertex lies on a path from the input to the output. Of the
cells that are equal up to isomorphism one is kept: the first that the benchmark's own generator meets. It walks the
adjacency patterns in ascending order (edge i<j is bit i + j(j-1)/2) and, within a pattern, the labellings of the
interior vertices in lexicographic order (0 = 3x3 convolution, 1 = 1x1 convolution, 2 = max pooling). The kept cell
is therefore the minimum of (pattern, labelling) over all relabellings that stay upper triangular, and can be found
without comparing cells with each other: the pattern must be the smallest among its relabellings, the labelling the
smallest under the automorphisms of the pattern.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from a2v_core.cells import PAD, Cells

#: Limits of the benchmark.
MAX_VERTICES, MAX_EDGES = 7, 9
#: Vocabulary code of the benchmark's labels 0, 1, 2 (its order differs from the order of Appendix A.1).
CODE_OF_LABEL = np.array([2, 1, 3], np.uint8)
INPUT, OUTPUT = 0, 4

#: Bit that marks a relabelling as not upper triangular; larger than every pattern.
_NOT_TRIANGULAR = np.uint32(1 << 31)
_LOW_BITS = 11


def edge_list(n: int) -> list[tuple[int, int]]:
    """Edges (i, j), i < j < n, in the order of their bits."""
    return [(i, j) for j in range(n) for i in range(j)]


def enumerate_cells() -> Cells:
    """Every cell once, by number of vertices, then pattern, then labelling; adjacency [423624, 7, 7]."""
    sizes = [_cells_of_size(n) for n in range(2, MAX_VERTICES + 1)]
    return Cells(np.concatenate([c.adjacency for c in sizes]), np.concatenate([c.ops for c in sizes]))


def _cells_of_size(n: int) -> Cells:
    patterns = _full_patterns(n)
    interior = list(permutations(range(1, n - 1)))
    smallest = patterns.copy()
    for order in interior:
        np.minimum(smallest, _relabel(patterns, (0, *order, n - 1)), out=smallest)
    patterns = patterns[smallest == patterns]

    labellings = np.array(list(product(range(3), repeat=n - 2)), np.uint8).reshape(3 ** (n - 2), n - 2)
    place_values = 3 ** np.arange(n - 3, -1, -1)
    rank = np.arange(len(labellings))
    lowest = np.broadcast_to(rank, (len(patterns), len(labellings))).copy()
    for order in interior:
        automorphic = np.flatnonzero(_relabel(patterns, (0, *order, n - 1)) == patterns)
        moved = labellings[:, np.argsort(np.array(order, int))] @ place_values
        lowest[automorphic] = np.minimum(lowest[automorphic], moved)
    which_pattern, which_labelling = np.nonzero(lowest == rank)

    return _decoded(n, patterns[which_pattern], labellings[which_labelling])


def canonical_form(cells: Cells) -> Cells:
    """The representative of each cell's isomorphism class, exactly as :func:`enumerate_cells` lists it.

    Args:
        cells: valid pruned cells (N = 7); see :meth:`NASBench101.is_valid`.
    """
    result = Cells(np.empty_like(cells.adjacency), np.empty_like(cells.ops))
    label_of_code = np.empty(OUTPUT, np.int64)
    label_of_code[CODE_OF_LABEL] = np.arange(3)
    for n in np.unique(cells.n_nodes):
        rows = np.flatnonzero(cells.n_nodes == n)
        patterns = np.zeros(len(rows), np.uint32)
        for bit, (i, j) in enumerate(edge_list(n)):
            patterns |= cells.adjacency[rows, i, j].astype(np.uint32) << np.uint32(bit)
        labels = label_of_code[cells.ops[rows, 1 : n - 1]]
        place_values, count = 3 ** np.arange(n - 3, -1, -1), 3 ** (n - 2)
        best = np.full(len(rows), np.iinfo(np.int64).max)
        for order in permutations(range(1, n - 1)):
            moved = labels[:, np.argsort(np.array(order, int))] @ place_values
            np.minimum(best, _relabel(patterns, (0, *order, n - 1)).astype(np.int64) * count + moved, out=best)
        smallest = _decoded(n, (best // count).astype(np.uint32), best[:, None] % count // place_values % 3)
        result.adjacency[rows], result.ops[rows] = smallest.adjacency, smallest.ops
    return result


def _decoded(n: int, patterns: np.ndarray, labels: np.ndarray) -> Cells:
    """Cells of n vertices from patterns uint32 [M] and labels [M, n-2] of the interior vertices."""
    adjacency = np.zeros((len(patterns), MAX_VERTICES, MAX_VERTICES), np.uint8)
    for bit, (i, j) in enumerate(edge_list(n)):
        adjacency[:, i, j] = patterns >> np.uint32(bit) & np.uint32(1)
    ops = np.full((len(patterns), MAX_VERTICES), PAD, np.uint8)
    ops[:, 0], ops[:, n - 1] = INPUT, OUTPUT
    ops[:, 1 : n - 1] = CODE_OF_LABEL[labels]
    return Cells(adjacency, ops)


def _full_patterns(n: int) -> np.ndarray:
    """Ascending patterns, uint32, of n vertices where all but the input have a predecessor and all but the output a
    successor (which puts each on a path, because edges only go upward)."""
    patterns = np.arange(1 << (n * (n - 1) // 2), dtype=np.uint32)
    edges = edge_list(n)
    n_edges = np.zeros(1, np.uint8)
    for _ in edges:  # each further bit doubles the list of patterns: without it, with it
        n_edges = np.concatenate([n_edges, n_edges + np.uint8(1)])
    patterns = patterns[n_edges <= MAX_EDGES]
    for vertex in range(n):
        leaving = sum(1 << b for b, (i, _) in enumerate(edges) if i == vertex)
        entering = sum(1 << b for b, (_, j) in enumerate(edges) if j == vertex)
        for mask in (leaving, entering):
            if mask:
                patterns = patterns[patterns & np.uint32(mask) != 0]
    return patterns


def _relabel(patterns: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Patterns after vertex v is renamed order[v]; `_NOT_TRIANGULAR` is set where an edge would point downward.

    Two look-up tables, one for the lower eleven bits and one for the rest, replace a loop over the edges.
    """
    edges = edge_list(len(order))
    position = {edge: bit for bit, edge in enumerate(edges)}
    moved = [1 << position[order[i], order[j]] if order[i] < order[j] else int(_NOT_TRIANGULAR) for i, j in edges]
    low, high = (_union_table(part) for part in (moved[:_LOW_BITS], moved[_LOW_BITS:]))
    return low[patterns & np.uint32((1 << _LOW_BITS) - 1)] | high[patterns >> np.uint32(_LOW_BITS)]


def _union_table(images: list[int]) -> np.ndarray:
    """Union of the images of the set bits, for every subset of bits; uint32 [2^bits]."""
    table = np.zeros(1, np.uint32)
    for image in images:
        table = np.concatenate([table, table | np.uint32(image)])
    return table
