"""Which cells a graph encoder can tell apart, whatever its weights.

arch2vec encodes a cell from A + A^T and pools over the nodes (paper, §3.1.2). Cells that are equal as undirected
labelled graphs then have one embedding, and so have cells that colour refinement (1-WL: Xu et al. 2019, "How powerful
are graph neural networks?") does not separate, because no sum over neighbours does. Both relations split a space into
classes that can be counted without a model. With in- and out-edges apart the graphs are directed.

Everything works on whole spaces at once. The colour of a node is its rank within its cell; the numbers of neighbours
of each colour are packed into one 64-bit word, so a round of refinement is a few array operations, exact, and
without hashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError, SpaceError

#: Largest number of rows: eleven counts and a rank, of four bits each, share a word.
MAX_NODES = 11
_BITS = np.uint64(4)
_OWN = np.uint64(4 * MAX_NODES)
#: Rows canonised together; bounds the memory of the search tree.
_CHUNK = 1 << 15


@dataclass(frozen=True, eq=False)
class Classes:
    """A partition of M cells.

    Attributes:
        labels: class of each cell, int64 [M], from 0 to n - 1.
    """

    labels: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Number of cells of each class, int64 [n]."""
        return np.bincount(self.labels)

    @property
    def n(self) -> int:
        """Number of classes."""
        return len(self.sizes)

    @property
    def n_sharing(self) -> int:
        """Number of cells that share their class with another."""
        sizes = self.sizes
        return int(sizes[sizes > 1].sum())

    @property
    def largest(self) -> int:
        """Number of cells of the largest class."""
        return int(self.sizes.max(initial=0))


@dataclass(frozen=True)
class Blindness:
    """What a predictor loses that sees the class of a cell only.

    Attributes:
        share: variance inside classes over the variance of all values (the largest attainable R^2 is 1 - share).
        rmse: root mean square error of the best such predictor, which says the mean of the class; unit of the values.
        pair: rows of the two cells of one class whose values differ most.
        gap: that difference; 0 when no class has two cells.
        n_values: cells with a value.
    """

    share: float
    rmse: float
    pair: tuple[int, int]
    gap: float
    n_values: int


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of cells to the first of their class, float64 [cells that are not the first of theirs], and of pairs
    of cells of different classes, float64 [pairs]."""

    inside: np.ndarray
    between: np.ndarray


def isomorphism_classes(cells: Cells, directed: bool = False) -> Classes:
    """Cells that are equal as labelled graphs, on A + A^T unless `directed`; exact.

    Raises:
        SpaceError: more than :data:`MAX_NODES` rows, or a padded row with an edge.
    """
    return Classes(_numbered(canonical_codes(cells, directed)[0]))


def refinement_classes(cells: Cells, directed: bool = False, rounds: int | None = None) -> Classes:
    """Cells that colour refinement does not separate, on A + A^T unless `directed`.

    A sum over nodes that have passed `rounds` layers of message passing is equal for two cells of one class,
    whatever the weights, and for a suitable choice of them differs between classes.

    Args:
        cells: the cells.
        directed: in- and out-neighbours are counted apart.
        rounds: number of rounds; None goes on until nothing changes.

    Raises:
        SpaceError: more than :data:`MAX_NODES` rows, or a padded row with an edge.
    """
    matrices = _matrices(cells, directed)
    rank, labels = _first_rank(cells.ops), _numbered(np.sort(cells.ops, axis=1))
    for _ in range(cells.ops.shape[1] if rounds is None else rounds):
        refined, words = _refined(matrices, rank)
        # Two cells stay together when they were together and, colour by colour, the new words agree.
        order = np.argsort(refined, axis=1, kind="stable")
        ordered = [np.take_along_axis(word, order, axis=1) for word in words]
        labels = _numbered(np.hstack([labels[:, None].astype(np.uint64), *ordered]))
        if rounds is None and (refined == rank).all():
            break
        rank = refined
    return Classes(labels)


def canonical_codes(cells: Cells, directed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A code of each cell that is equal exactly for equal labelled graphs, and the number of its automorphisms.

    Colours are refined; where nodes still share one, each node of the first such colour is singled out in turn
    and refined again. The least adjacency matrix among the leaves of this search is the code, and as many leaves
    attain it as the graph has automorphisms (padded rows are told apart from the start and do not count).

    Returns:
        codes uint8 [M, N + 16] (operations by colour, then the matrix in bits) and automorphisms int64 [M].

    Raises:
        SpaceError: more than :data:`MAX_NODES` rows, or a padded row with an edge.
    """
    matrices = _matrices(cells, directed)
    least, automorphisms = np.empty((len(cells), 2), np.uint64), np.empty(len(cells), np.int64)
    for start in range(0, len(cells), _CHUNK):
        part = slice(start, start + _CHUNK)
        owner, codes = _leaf_codes([matrix[part] for matrix in matrices], _first_rank(cells.ops[part]))
        order = np.lexsort((codes[:, 1], codes[:, 0], owner))
        owner, codes = owner[order], codes[order]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        least[part] = codes[first]
        automorphisms[part] = np.bincount(owner[(codes == codes[first][owner]).all(1)])
    as_bytes = least.astype(">u8").view(np.uint8).reshape(len(cells), 16)
    return np.hstack([np.sort(cells.ops, axis=1), as_bytes]), automorphisms


def upper_triangular_encodings(cells: Cells) -> np.ndarray:
    """Number of different upper-triangular encodings of each cell, int64 [M].

    The orders of the nodes that leave every edge pointing upward, counted over the sets that may come first, divided
    by the automorphisms, which turn an order into another with the same matrices. Padded rows stay last.

    Raises:
        SpaceError: as :func:`canonical_codes`; or a matrix is not upper triangular.
    """
    m, n = cells.ops.shape
    weights = np.int64(1) << np.arange(n, dtype=np.int64)
    before = np.einsum("mij,i->mj", (cells.adjacency != 0).astype(np.int64), weights)
    if (before >= weights).any():
        raise SpaceError("encodings are counted for upper-triangular matrices only: check cells with is_valid first")
    # A padded row comes after all rows above it, so that padding adds no orders.
    before = np.where(cells.ops == PAD, weights - 1, before)
    orders = np.zeros((1 << n, m), np.int64)
    orders[0] = 1
    for chosen in range(1, 1 << n):
        for node in range(n):
            if chosen >> node & 1:
                rest = chosen & ~(1 << node)
                orders[chosen] += np.where(before[:, node] & ~rest == 0, orders[rest], 0)
    return orders[-1] // canonical_codes(cells, directed=True)[1]


def blindness(classes: Classes, values: np.ndarray) -> Blindness:
    """Spread of `values` [M] inside classes; cells without a value (NaN) are left out.

    Raises:
        SettingsError: no two values differ, so that there is no variance to divide.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(np.unique(values[known])) < 2:
        raise SettingsError(f"{len(known)} values without any spread: give at least two that differ")
    labels, value = classes.labels[known], np.asarray(values, np.float64)[known]
    count = np.maximum(np.bincount(labels, minlength=classes.n), 1)
    inside = value - (np.bincount(labels, value, classes.n) / count)[labels]
    total = value - value.mean()
    order = np.lexsort((value, labels))
    start = np.flatnonzero(np.diff(labels[order], prepend=-1))
    stop = np.append(start[1:], len(order)) - 1
    gaps = value[order[stop]] - value[order[start]]
    widest = int(gaps.argmax())
    pair = (int(known[order[start[widest]]]), int(known[order[stop[widest]]]))
    return Blindness(float((inside**2).sum() / (total**2).sum()), float(np.sqrt((inside**2).mean())), pair,
                     float(gaps[widest]), len(known))


def distances(classes: Classes, embeddings: np.ndarray, seed: int, n_pairs: int = 100_000) -> Distances:
    """L2 distances of embeddings [M, D] inside classes, and of `n_pairs` random pairs of cells of different classes.

    Raises:
        SettingsError: fewer than two classes, between which nothing can be measured.
    """
    if classes.n < 2:
        raise SettingsError(f"{len(embeddings)} cells in {classes.n} class: give cells of at least two classes")
    order = np.argsort(classes.labels, kind="stable")
    first = order[np.searchsorted(classes.labels[order], classes.labels)]
    others = first != np.arange(len(first))
    inside = np.linalg.norm(embeddings[others].astype(np.float64) - embeddings[first[others]], axis=1)
    pairs = np.random.default_rng(seed).integers(len(embeddings), size=(n_pairs, 2))
    pairs = pairs[classes.labels[pairs[:, 0]] != classes.labels[pairs[:, 1]]]
    between = np.linalg.norm(embeddings[pairs[:, 0]].astype(np.float64) - embeddings[pairs[:, 1]], axis=1)
    return Distances(inside, between)


def stored_classes(cells: Cells, store: ArtifactStore) -> dict[str, Classes]:
    """The partitions of a space that the study looks at, computed once: "undirected graph" (exact), "undirected
    refinement", "undirected refinement, 4 layers" (depth of the paper's encoder), and "directed refinement"."""
    wanted = {"undirected graph": lambda: isomorphism_classes(cells),
              "undirected refinement": lambda: refinement_classes(cells),
              "undirected refinement, 4 layers": lambda: refinement_classes(cells, rounds=4),
              "directed refinement": lambda: refinement_classes(cells, directed=True)}
    key = artifact_key({"cells": cells.digest(), "code": code_digest("a2v_core.identifiability")})
    found = store.arrays("identifiability", key,
                         lambda: {name: make().labels.astype(np.int32) for name, make in wanted.items()})
    return {name: Classes(found[name].astype(np.int64)) for name in wanted}


def _matrices(cells: Cells, directed: bool) -> tuple[np.ndarray, ...]:
    """bool [M, N, N]: neighbours without regard to direction; or, when directed, out- and in-neighbours."""
    n = cells.ops.shape[1]
    if n > MAX_NODES:
        raise SpaceError(f"cells of {n} rows are too large to be compared: at most {MAX_NODES}")
    edge, padded = cells.adjacency != 0, cells.ops == PAD
    if (edge & (padded[:, :, None] | padded[:, None, :])).any():
        raise SpaceError("a padded row has an edge: prune the cells first")
    reverse = edge.transpose(0, 2, 1)
    return (edge, reverse) if directed else (edge | reverse,)


def _first_rank(ops: np.ndarray) -> np.ndarray:
    """Rank of each node by its operation, uint64 [M, N]; padded rows, which nothing tells apart, by their place."""
    rows = np.arange(ops.shape[1], dtype=np.uint64)
    return _rank(np.where(ops == PAD, np.uint64(PAD) + rows, ops))


def _rank(words: np.ndarray) -> np.ndarray:
    """Number of smaller words in the same cell, uint64 [M, N]."""
    rank = np.zeros(words.shape, np.uint64)
    for node in range(words.shape[1]):
        rank += words[:, node, None] < words
    return rank


def _refined(matrices: Sequence[np.ndarray], rank: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """One round: the new rank, and the words it orders, in which a node's rank stands above its neighbours' counts."""
    unit = np.uint64(1) << (_BITS * rank)
    words = []
    for matrix in matrices:
        word = rank << _OWN
        for node in range(rank.shape[1]):
            word += matrix[:, :, node] * unit[:, node, None]
        words.append(word)
        rank = _rank(word)
    return rank, words


def _leaf_codes(matrices: Sequence[np.ndarray], rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leaves of the search: cell of each, int64 [L], and its matrix in the order of the ranks, uint64 [L, 2]."""
    owners, codes = [], []
    owner = np.arange(len(rank))
    while len(owner):
        rank = _stable([matrix[owner] for matrix in matrices], rank)
        tied = (rank[:, None, :] == np.arange(rank.shape[1])[:, None]).sum(2) > 1
        leaf = ~tied.any(1)
        owners.append(owner[leaf])
        codes.append(_in_order(matrices[0][owner[leaf]], rank[leaf]))
        owner, rank, colour = owner[~leaf], rank[~leaf], tied[~leaf].argmax(1)
        row, node = np.nonzero(rank == colour[:, None])
        owner, rank = owner[row], rank[row]
        rank += rank == colour[row, None]
        rank[np.arange(len(row)), node] = colour[row]
    return np.concatenate(owners), np.concatenate(codes)


def _stable(matrices: Sequence[np.ndarray], rank: np.ndarray) -> np.ndarray:
    """Refine until the colours of no cell split any more."""
    while True:
        refined, _ = _refined(matrices, rank)
        if (refined == rank).all():
            return rank
        rank = refined


def _in_order(matrix: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Matrices with row and column i moved to their rank, bits in two words, uint64 [M, 2]."""
    order = np.argsort(rank, axis=1)
    moved = matrix[np.arange(len(rank))[:, None, None], order[:, :, None], order[:, None, :]]
    packed = np.packbits(moved.reshape(len(rank), rank.shape[1] ** 2), axis=1)
    words = np.zeros((len(rank), 16), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view(">u8").astype(np.uint64)


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Number of each different row, int64 [M]."""
    packed = np.ascontiguousarray(rows)
    return np.unique(packed.view(np.dtype((np.void, packed.itemsize * packed.shape[1])))[:, 0], return_inverse=True)[1]
