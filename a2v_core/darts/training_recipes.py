"""Named settings of training a network on images: what Tables 4 and 5 and the queries of the search need.

A recipe is data; a deviation is a changed field. Sources: "DARTS" is Liu et al. (2019), §3.3 and appendix; "released"
is the code that the authors of arch2vec published, which agrees with DARTS wherever nothing else is said.

- ``evaluation``: the final training on CIFAR-10 (Table 4): all training images, accuracy on the test images;
- ``query_released``: a query of the search (§4.2, Appendix A.3): 50 epochs on 45,000 images, mean accuracy of the last
  5 epochs on the other 5,000, which pass through the augmentation of training (random crops, flips, cutout);
- ``query_corrected``: the same with validation images left as they are;
- ``imagenet``: the mobile setting (Table 5).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from a2v_core.errors import SettingsError


def _setting(default: Any, meaning: str, source: str, choices: tuple[Any, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides a training apart from genotype, images and seed.

    Raises:
        SettingsError: a value is not among the choices of its field, is of the wrong type, or is out of range.
    """

    network: str = _setting("cifar", "network around the cells, and its way of augmenting", "DARTS",
                            ("cifar", "imagenet"))
    channels: int = _setting(36, "initial width", "DARTS")
    layers: int = _setting(20, "number of cells", "DARTS")
    auxiliary_weight: float = _setting(0.4, "weight of the auxiliary classifier's loss; 0 leaves it out", "DARTS")
    drop_path: float = _setting(0.2, "probability of drop-path, reached linearly: epoch e has the share e / epochs",
                                "DARTS")
    epochs: int = _setting(600, "passes over the training images", "DARTS")
    batch_size: int = _setting(96, "images in a step, over all processes together", "DARTS")
    learning_rate: float = _setting(0.025, "first step size of SGD", "DARTS")
    schedule: str = _setting("cosine", "step size by epoch: cosine to 0, or times `decay` each epoch", "DARTS",
                             ("cosine", "exponential"))
    decay: float = _setting(0.97, "factor of the exponential schedule", "DARTS, ImageNet")
    momentum: float = _setting(0.9, "of SGD", "DARTS")
    weight_decay: float = _setting(3e-4, "of SGD", "DARTS")
    clip_norm: float = _setting(5.0, "largest norm of the gradient", "DARTS, released code")
    label_smoothing: float = _setting(0.0, "share of the target spread over all classes", "DARTS, ImageNet: 0.1")
    padding: int = _setting(4, "zeros around an image before the random crop", "DARTS, released code")
    cutout: int = _setting(16, "side of the square cut out, in pixels; 0 for none", "DARTS")
    images: int = _setting(0, "number of training images used, from the first on; 0 for all", "ours, for trials")
    held_out: float = _setting(0.0, "share of these, the last ones, that is validated on; 0 for the test images",
                               "released code, 0.1 in a query")
    augment_validation: bool = _setting(False, "validation images pass through the augmentation of training",
                                        "released code, true in a query")
    averaged_epochs: int = _setting(1, "last epochs whose validation accuracy is averaged", "§4.2: 5 in a query")
    mixed_precision: bool = _setting(False, "half-precision arithmetic where it is safe", "ours; the sources have none")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            kind = type(field.default)
            if kind is float and type(value) is int:
                object.__setattr__(self, field.name, float(value))
            elif type(value) is not kind or (kind is float and not math.isfinite(value)):
                raise SettingsError(f"setting {field.name}={value!r} must be of type {kind.__name__}")
            if choices and value not in choices:
                raise SettingsError(f"setting {field.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        for name in ("channels", "layers", "epochs", "batch_size", "averaged_epochs"):
            if getattr(self, name) < 1:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be at least 1")
        for name in ("learning_rate", "decay", "clip_norm"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be positive")
        for name in ("auxiliary_weight", "weight_decay", "padding", "cutout", "images"):
            if getattr(self, name) < 0:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must not be negative")
        for name in ("drop_path", "momentum", "label_smoothing", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"setting {name}={getattr(self, name)!r} must be at least 0 and below 1")
        if self.averaged_epochs > self.epochs:
            raise SettingsError(f"setting averaged_epochs={self.averaged_epochs} exceeds epochs={self.epochs}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON-able values, for keys and provenance."""
        return dataclasses.asdict(self)

    def learning_rate_at(self, epoch: int) -> float:
        """Step size of an epoch, the first of which is 0."""
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.learning_rate * self.decay**epoch

    def drop_path_at(self, epoch: int) -> float:
        """Probability of drop-path in an epoch, the first of which is 0."""
        return self.drop_path * epoch / self.epochs


_QUERY = {"epochs": 50, "held_out": 0.1, "averaged_epochs": 5}

#: Changes against the defaults above, which are those of the evaluation.
TRAINING_RECIPES: dict[str, dict[str, Any]] = {
    "evaluation": {},
    "query_released": {**_QUERY, "augment_validation": True},
    "query_corrected": _QUERY,
    "imagenet": {
        "network": "imagenet", "channels": 48, "layers": 14, "drop_path": 0.0, "epochs": 250, "batch_size": 128,
        "learning_rate": 0.1, "schedule": "exponential", "weight_decay": 3e-5, "label_smoothing": 0.1, "padding": 0,
        "cutout": 0,
    },
}


def training_settings(recipe: str = "evaluation", **changes: Any) -> TrainingSettings:
    """The settings of a recipe with single fields changed.

    Raises:
        SettingsError: the recipe or a field is unknown, or a value is not acceptable.
    """
    if recipe not in TRAINING_RECIPES:
        raise SettingsError(f"unknown recipe {recipe!r}: choose one of {', '.join(TRAINING_RECIPES)}")
    known = [field.name for field in dataclasses.fields(TrainingSettings)]
    if unknown := set(changes) - set(known):
        raise SettingsError(f"unknown setting {', '.join(sorted(unknown))}: the settings are {', '.join(known)}")
    return TrainingSettings(**TRAINING_RECIPES[recipe] | changes)
