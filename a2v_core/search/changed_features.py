"""Embeddings of a pre-training with single settings changed against its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


def _in_a_name(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
