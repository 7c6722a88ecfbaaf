"""Which cells a graph encoder can tell apart, whatever its weights.

arch2vec encodes a cell from A + A^T and pools over the nodes (paper, §3.1.2). Cells that are equal as undirected
labelled graphs then have one embedding, and so have cells that colour refinement (1-WL: Xu et al. 2019, "How powerful
are graph neural networks?") does not separate, because no sum over neighbours does. Both relations split a space into
classes that can be counted without a model. With in- and out-edges apart the graphs are directed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import Cells
from a2v_core.errors import SettingsError
from a2v_core.graph_codes import canonical_codes, first_rank, neighbour_matrices, refined_rank


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

    def among(self, rows: np.ndarray) -> Classes:
        """The partition of the chosen cells only, int64 [R]."""
        return Classes(np.unique(self.labels[rows], return_inverse=True)[1])


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
        SpaceError: more than :data:`~a2v_core.graph_codes.MAX_NODES` rows, or a padded row with an edge.
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
        SpaceError: more than :data:`~a2v_core.graph_codes.MAX_NODES` rows, or a padded row with an edge.
    """
    matrices = neighbour_matrices(cells, directed)
    rank, labels = first_rank(cells.ops), _numbered(np.sort(cells.ops, axis=1))
    for _ in range(cells.ops.shape[1] if rounds is None else rounds):
        refined, words = refined_rank(matrices, rank)
        # Two cells stay together when they were together and, colour by colour, the new words agree.
        order = np.argsort(refined, axis=1, kind="stable")
        ordered = [np.take_along_axis(word, order, axis=1) for word in words]
        labels = _numbered(np.hstack([labels[:, None].astype(np.uint64), *ordered]))
        if rounds is None and (refined == rank).all():
            break
        rank = refined
    return Classes(labels)


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


def share_alone(embeddings: np.ndarray, tolerance: float) -> float:
    """Percentage of embeddings [M, D] that have no other within this L2 distance."""
    from scipy.spatial import cKDTree

    crowded = np.unique(cKDTree(embeddings).query_pairs(tolerance, output_type="ndarray"))
    return 100 * (1 - len(crowded) / len(embeddings))


def stored_classes(cells: Cells, store: ArtifactStore) -> dict[str, Classes]:
    """The partitions of a space that the study looks at, computed once: "undirected graph" (exact), "undirected
    refinement", "undirected refinement, 4 layers" (depth of the paper's encoder), and "directed refinement"."""
    wanted = {"undirected graph": lambda: isomorphism_classes(cells),
              "undirected refinement": lambda: refinement_classes(cells),
              "undirected refinement, 4 layers": lambda: refinement_classes(cells, rounds=4),
              "directed refinement": lambda: refinement_classes(cells, directed=True)}
    code = code_digest("a2v_core.identifiability", "a2v_core.graph_codes")
    key = artifact_key({"cells": cells.digest(), "code": code})
    found = store.arrays("identifiability", key,
                         lambda: {name: make().labels.astype(np.int32) for name, make in wanted.items()})
    return {name: Classes(found[name].astype(np.int64)) for name in wanted}


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Number of each different row, int64 [M]."""
    packed = np.ascontiguousarray(rows)
    return np.unique(packed.view(np.dtype((np.void, packed.itemsize * packed.shape[1])))[:, 0], return_inverse=True)[1]
