"""What the page on encodings computes: its scale by profile, round trips, and embeddings to hold against classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import Cells
from a2v_core.errors import SettingsError
from a2v_core.identifiability import Classes
from a2v_core.pretraining import embed, pretrain
from a2v_core.results import PROFILES
from a2v_core.spaces.base import SearchSpace
from a2v_core.table1 import Arm


@dataclass(frozen=True)
class Scale:
    """How much a profile computes; None stands for all.

    Attributes:
        vertices: largest NAS-Bench-101 cells that are compared with each other.
        darts_cells: size of the DARTS sample.
        darts_compared: DARTS cells that are compared with each other.
        round_trips: cells of each space that are written out and read back.
        trained_cells: cells of each space that the autoencoders see.
        epochs: passes over them; None for the paper's.
    """

    vertices: int
    darts_cells: int
    darts_compared: int
    round_trips: int | None
    trained_cells: int | None
    epochs: int | None


SCALES = dict(zip(PROFILES, (
    Scale(vertices=6, darts_cells=2_000, darts_compared=2_000, round_trips=500, trained_cells=320, epochs=1),
    Scale(vertices=7, darts_cells=600_000, darts_compared=50_000, round_trips=5_000, trained_cells=2_000, epochs=1),
    Scale(vertices=7, darts_cells=600_000, darts_compared=600_000, round_trips=None, trained_cells=None, epochs=None),
), strict=True))


def round_trip(space: SearchSpace, cells: Cells) -> float:
    """Percentage of cells that are themselves again, to the bit, after both matrices were turned into the space's own
    notation and back."""
    back = space.from_native(space.to_native(cells))
    same = (back.ops == cells.ops).all(1) & (back.adjacency == cells.adjacency).all((1, 2))
    return 100 * float(same.mean())


def whole_classes(classes: Classes, n_cells: int | None, seed: int) -> np.ndarray:
    """Rows of all cells of random classes, at least `n_cells` of them as far as there are so many, in order.

    A class is drawn with all its cells, so the expected share of cells without a partner is that of the whole space.
    """
    if n_cells is None or n_cells >= len(classes.labels):
        return np.arange(len(classes.labels))
    drawn = np.random.default_rng(seed).permutation(classes.n)
    enough = int(np.searchsorted(np.cumsum(classes.sizes[drawn]), n_cells)) + 1
    chosen = np.zeros(classes.n, bool)
    chosen[drawn[:enough]] = True
    return np.flatnonzero(chosen[classes.labels])


def trained_embeddings(arm: Arm, space: SearchSpace, cells: Cells, seed: int, scale: Scale, store: ArtifactStore,
                       device: str = "auto") -> np.ndarray:
    """Embeddings [M, 16] of the cells by a model of that arm trained on them (found in the store, or trained now).

    Raises:
        SettingsError: arm and space do not belong together.
    """
    if arm.space != space.name:
        raise SettingsError(f"the arm is of {arm.space}, the space is {space.name}: give both for one space")
    # Compiling takes longer than a short training.
    compiled = None if scale.epochs is None else False
    (trained,) = pretrain(cells, len(space.vocabulary), arm.settings(scale.epochs), [seed], store=store, device=device,
                          compiled=compiled)
    return embed(trained, cells)
