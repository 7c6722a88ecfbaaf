"""Embeddings of pre-trainings with single settings changed against their recipe."""

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
class ChangedFeatures(Features):
    """arch2vec after such a pre-training.

    Attributes:
        changes: (name, value) of each changed setting (:class:`a2v_core.recipes.PretrainingSettings`).
    """

    kind: str = "arch2vec"
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        return "-".join([super().label, *(f"{name}={_in_a_name(value)}" for name, value in self.changes)])

    def settings(self, space: SearchSpace) -> PretrainingSettings:
        from a2v_core.recipes import pretraining_settings

        shorter = {} if self.epochs is None else {"epochs": self.epochs}
        return pretraining_settings(self.recipe, "arch2vec", space.name, **dict(self.changes), **shorter)


def train_together(several: Iterable[Features], space: SearchSpace, store: ArtifactStore, device: str = "auto") -> None:
    """Train the pre-trainings that are missing; those that differ in the seed alone as one stack, which takes little
    longer than one of them."""
    from a2v_core.pretraining import pretrain

    seeds: dict[PretrainingSettings, list[int]] = {}
    for features in several:
        seeds.setdefault(features.settings(space), []).append(features.seed)
    for settings, stacked in seeds.items():
        pretrain(space.cells(), len(space.vocabulary), settings, stacked, store=store, device=device)


def _in_a_name(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
