"""The runs of Observation 2, one by one: a representation, its seed, the known cells, a predictor. Each is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.errors import SettingsError
from a2v_core.observations.accuracies import accuracies, accuracy_digest
from a2v_core.observations.collapse import is_collapsed
from a2v_core.observations.prediction import PREDICTORS, joint_density, predict, score
from a2v_core.observations.representations import Representation
from a2v_core.parallel import run_tasks
from a2v_core.spaces import get_space

#: Accuracy above which cells count (§4.1); on NAS-Bench-201's other data sets no cell reaches it, and all count.
THRESHOLDS = {("nasbench101", "cifar10"): 0.8, ("nasbench201", "cifar10"): 0.8}
#: Predictors of :mod:`a2v_core.observations.prediction`, and the output of the supervised network itself.
ALL_PREDICTORS = (*PREDICTORS, "own")
_KIND = "predictions"
_COMPUTING = ("a2v_core.observations.collapse", "a2v_core.observations.prediction",
              "a2v_core.observations.prediction_pieces")
# Supervised networks trained as one stack.
_STACK = 25


@dataclass(frozen=True)
class Piece:
    """One run.

    Attributes:
        space, dataset: whose cells and accuracies.
        representation: of the cells; a supervised one is trained on the known cells of this run.
        seed: of the choice of known cells.
        labels: how many are known.
        predictor: one of :data:`ALL_PREDICTORS`.
        known_above: draw the known cells among those above the threshold, not among all.

    Raises:
        SettingsError: unknown predictor; a supervised representation that is trained on other cells than the predictor;
            or a network's own output that does not exist.
    """

    space: str
    dataset: str
    representation: Representation
    seed: int
    labels: int = 250
    predictor: str = "rbf"
    known_above: bool = False

    def __post_init__(self) -> None:
        seen, supervised = self.representation, self.representation.kind == "supervised"
        if self.predictor not in ALL_PREDICTORS:
            raise SettingsError(f"unknown predictor {self.predictor!r}: choose one of {', '.join(ALL_PREDICTORS)}")
        if supervised and ((seen.seed, seen.labels, seen.dataset) != (self.seed, self.labels, self.dataset)
                           or self.known_above):
            raise SettingsError(f"{seen.label} of seed {seen.seed} on {seen.dataset} is not trained on the "
                                f"{self.labels} known cells of seed {self.seed} on {self.dataset}: give both the same")
        if self.predictor == "own" and not supervised:
            raise SettingsError(f"{seen.label} has no output of its own: choose one of {', '.join(PREDICTORS)}")

    @property
    def threshold(self) -> float | None:
        """Accuracy above which cells count; None where all do."""
        return THRESHOLDS.get((self.space, self.dataset))


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a piece.

    Attributes:
        piece: which.
        scores: see :func:`a2v_core.observations.prediction.score`.
        density: see :func:`a2v_core.observations.prediction.joint_density`.
    """

    piece: Piece
    scores: dict[str, float]
    density: tuple[np.ndarray, np.ndarray, np.ndarray]


def run(pieces: Iterable[Piece], *, data_dir: str = "", device: str = "auto", scheduler: str = "",
        n_jobs: int | None = None) -> list[Outcome]:
    """The outcomes of the pieces in their order: read where they exist, computed and stored where they do not.

    What shares its vectors is computed together; each piece is stored as soon as it is there.

    Raises:
        MissingDataError: there are no accuracies.
    """
    pieces, store = list(pieces), ArtifactStore(data_dir)
    keys = _keys(pieces, data_dir)
    found = {piece: store.load_arrays(_KIND, key) for piece, key in keys.items()}
    missing = [piece for piece, arrays in found.items() if arrays is None]
    tasks = [{"pieces": together, "keys": [keys[piece] for piece in together], "data_dir": data_dir, "device": device}
             for together in _together(missing)]
    run_tasks(compute, tasks, scheduler=scheduler, n_jobs=n_jobs, description="predictions")
    found |= {piece: store.load_arrays(_KIND, keys[piece]) for piece in missing}
    return [_outcome(piece, found[piece]) for piece in pieces]


def compute(pieces: Sequence[Piece], keys: Sequence[str], data_dir: str = "", device: str = "auto") -> None:
    """Compute and store pieces of one representation, or of supervised ones that differ in their seed alone."""
    first, store = pieces[0], ArtifactStore(data_dir)
    truth = accuracies(first.space, first.dataset, data_dir)
    if first.representation.kind == "supervised":
        runs = _Supervised(pieces, truth, device)
    else:
        vectors = first.representation.build(get_space(first.space), data_dir=data_dir, device=device)
        # Rounding errors around one point are not information, however well a small length scale might use them.
        runs = _Fixed(np.zeros_like(vectors) if is_collapsed(vectors) else vectors, truth)
    for piece, key in zip(pieces, keys, strict=True):
        known, predicted = runs.predictions(piece)
        unseen = np.ones(len(truth), bool)
        unseen[known] = False
        scores = score(truth[unseen], predicted[unseen], piece.threshold)
        counts, *edges = joint_density(truth[unseen], predicted[unseen], piece.threshold)
        store.save_arrays(_KIND, key, {"names": np.array(list(scores)), "values": np.array(list(scores.values())),
                                       "counts": counts.astype(np.uint32), "true": edges[0], "predicted": edges[1]})


@dataclass(frozen=True, eq=False)
class _Fixed:
    """Vectors that do not depend on the known cells."""

    vectors: np.ndarray
    truth: np.ndarray

    def predictions(self, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
        """The known cells, and the predictions for all."""
        from a2v_core.observations.supervised import labelled_cells

        pool = np.flatnonzero(self.truth > piece.threshold) if piece.known_above else np.arange(len(self.truth))
        known = pool[labelled_cells(len(pool), piece.labels, piece.seed)]
        return known, predict(piece.predictor, self.vectors, known, self.truth[known], piece.seed)


@dataclass(eq=False)
class _Supervised:
    """Networks that have learned from the known cells, trained as one stack; the last embedding is kept."""

    pieces: Sequence[Piece]
    truth: np.ndarray
    device: str
    _embedding: tuple[int, np.ndarray] | None = None

    @cached_property
    def _trained(self) -> Any:
        from a2v_core.observations.supervised import train_counterpart

        first = self.pieces[0]
        return train_counterpart(first.space, self.truth, first.representation.recipe,
                                 sorted({piece.seed for piece in self.pieces}), first.labels, self.device)

    def predictions(self, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
        """The known cells, and the predictions for all."""
        from a2v_core.observations.supervised import labelled_cells

        place = self._trained.seeds.index(piece.seed)
        if self._embedding is None or self._embedding[0] != place:
            self._embedding = place, self._trained.embedding(place)
        vectors = self._embedding[1]
        known = labelled_cells(len(self.truth), piece.labels, piece.seed)
        if piece.predictor == "own":
            return known, self._trained.predict(place, vectors)
        return known, predict(piece.predictor, vectors, known, self.truth[known], piece.seed)


def _together(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that one task computes: of the same vectors, or of supervised networks that train as one stack."""
    groups: dict[tuple[Any, ...], list[Piece]] = {}
    for piece in pieces:
        seen = piece.representation
        stack = (piece.labels, piece.seed // _STACK) if seen.kind == "supervised" else seen.seed
        groups.setdefault((piece.space, piece.dataset, seen.kind, seen.recipe, stack), []).append(piece)
    return [sorted(group, key=lambda piece: piece.seed) for group in groups.values()]


def _keys(pieces: Sequence[Piece], data_dir: str) -> dict[Piece, str]:
    """Key of each piece; what pieces have in common is looked up once."""
    found: dict[tuple[str, Representation], dict[str, Any]] = {}
    code, keys = code_digest(*_COMPUTING), {}
    for piece in pieces:
        # An identity takes some digests to make, and those do not depend on the seed.
        seen = replace(piece.representation, seed=0)
        if (piece.space, seen) not in found:
            found[piece.space, seen] = seen.identity(get_space(piece.space), data_dir)
        keys[piece] = artifact_key({
            "space": piece.space, "dataset": piece.dataset, "seed": piece.seed, "labels": piece.labels,
            "predictor": piece.predictor, "known_above": piece.known_above, "threshold": piece.threshold,
            "representation": found[piece.space, seen], "representation_seed": piece.representation.seed,
            "accuracies": accuracy_digest(piece.space, piece.dataset, data_dir), "code": code})
    return keys


def _outcome(piece: Piece, arrays: Mapping[str, np.ndarray]) -> Outcome:
    scores = dict(zip(arrays["names"].tolist(), arrays["values"].tolist(), strict=True))
    return Outcome(piece, scores, (arrays["counts"], arrays["true"], arrays["predicted"]))
