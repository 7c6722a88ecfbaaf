"""Embeddings of pre-trainings of which single settings are changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from a2v_core.artifacts import ArtifactStore
from a2v_core.search.features import Features
from a2v_core.spaces.base import SearchSpace

if TYPE_CHECKING:
    from a2v_core.recipes import PretrainingSettings


@dataclass(frozen=True)
class VariedFeatures(Features):
    """arch2vec with another weight of the KL term, another size of the latent vectors, or other epochs.

    Attributes:
        beta, latent: see :class:`a2v_core.recipes.PretrainingSettings`; None for the recipe's.
    """

    kind: str = "arch2vec"
    beta: float | None = None
    latent: int | None = None

    @property
    def changes(self) -> dict[str, Any]:
        """Settings that differ from the recipe's."""
        return {name: value for name in ("epochs", "beta", "latent") if (value := getattr(self, name)) is not None}

    @property
    def label(self) -> str:
        return "-".join([super().label, *(f"{k}={v:g}" for k, v in self.changes.items() if k != "epochs")])

    def settings(self, space: SearchSpace) -> PretrainingSettings:
        from a2v_core.recipes import pretraining_settings

        return pretraining_settings(self.recipe, "arch2vec", space.name, **self.changes)


def train_together(several: Iterable[Features], space: SearchSpace, store: ArtifactStore, device: str = "auto") -> None:
    """Train the pre-trainings that are missing; those that differ in the seed alone as one stack, which takes little
    longer than one of them."""
    from a2v_core.pretraining import pretrain

    seeds: dict[PretrainingSettings, list[int]] = {}
    for features in several:
        seeds.setdefault(features.settings(space), []).append(features.seed)
    for settings, stacked in seeds.items():
        pretrain(space.cells(), len(space.vocabulary), settings, stacked, store=store, device=device)
