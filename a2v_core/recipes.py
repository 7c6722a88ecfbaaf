"""Named settings of pre-training: what the authors ran, what they wrote, and what one would do today.

A recipe is data. Every field says in one line what it means and where it comes from; a deviation is a changed
field, never a branch hidden in the training loop. Three recipes exist:

- ``released``: the behaviour of the authors' code, including what the paper does not mention;
- ``paper``: the text of §3, §4 and Appendix A taken literally;
- ``corrected``: the paper's idea with the usual care (padding masked, an explicit weight of the KL term, …).

A method (GAE, VGAE, arch2vec without KL, arch2vec) changes the encoder and whether it is variational, nothing else.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from a2v_core.errors import SettingsError


def _setting(default: Any, meaning: str, source: str, choices: tuple[Any, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class PretrainingSettings:
    """Everything that decides a pre-training run apart from the cells and the seed.

    Raises:
        SettingsError: a value is not among the choices of its field, or is out of range.
    """

    encoder: str = _setting("gin", "graph layers of the encoder", "§3.1.2; Table 1 for GCN", ("gin", "gcn"))
    variational: bool = _setting(True, "sample Z and penalise with the KL term, or a plain autoencoder", "Eq. 1, 5")
    hidden: tuple[int, ...] = _setting((128,) * 4, "widths of the graph layers before the two heads", "§4")
    latent: int = _setting(16, "size of a node's latent vector", "§3.2")
    direction: str = _setting("undirected", "neighbours summed over A + A^T, or in- and out-edges apart",
                              "§3.1.2; the latter is ours", ("undirected", "split"))
    dropout: float = _setting(0.3, "dropout on Z before the decoder, in training mode", "released code")
    operations: str = _setting("sigmoid", "likelihood of the operations: independent sigmoids or one softmax",
                               "released code; Eq. 4 for softmax", ("sigmoid", "softmax"))
    adjacency: str = _setting("upper", "edges that count: strict upper triangle of A, or all N x N of A + A^T",
                              "released code; Eq. 3 for all", ("upper", "full"))
    reduction: str = _setting("entries", "terms averaged over their matrix entries, or summed over a graph (ELBO)",
                              "released code; Eq. 5 for graph", ("entries", "graph"))
    beta: float = _setting(1.0, "weight of the KL term", "Eq. 5 has 1")
    kl_divided_again: bool = _setting(True, "KL, already a mean over nodes, divided once more by batch x nodes",
                                      "released code")
    eval_after_first_epoch: bool = _setting(True, "no sampling, no dropout, frozen batchnorm from epoch 2 on",
                                            "released code: training mode is never switched on again")
    reshuffle: bool = _setting(False, "draw a new order of the cells in every epoch", "released code draws one")
    split: str = _setting("position", "held-out cells: the last ones in the order of the space, or random ones",
                          "released code; Appendix B leaves it open", ("position", "random"))
    mask_padding: bool = _setting(False, "leave rows that belong to no node out of everything", "ours")
    readout: str = _setting("mean", "a cell's embedding from its nodes' means", "released code; §3.1.2 has the sum",
                            ("mean", "sum"))
    learning_rate: float = _setting(1e-3, "Adam step size", "§4")
    batch_size: int = _setting(32, "cells in a step", "§4")
    clip_norm: float = _setting(5.0, "largest gradient norm; 0 switches clipping off", "released code")
    epochs: int = _setting(10, "passes over the training cells", "§4: 8 on NAS-Bench-101, else 10")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"], getattr(self, field.name)
            if choices and value not in choices:
                raise SettingsError(f"setting {field.name}={value!r} is unknown: choose one of {', '.join(choices)}")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        positive = {"latent": self.latent, "learning_rate": self.learning_rate, "batch_size": self.batch_size,
                    "epochs": self.epochs, **{f"hidden[{i}]": w for i, w in enumerate(self.hidden)}}
        for name, value in positive.items():
            if value <= 0:
                raise SettingsError(f"setting {name}={value!r} must be positive")
        if not self.hidden:
            raise SettingsError("setting hidden=() is empty: give at least one width")
        if not 0 <= self.dropout < 1 or self.beta < 0 or self.clip_norm < 0:
            raise SettingsError(f"need 0 <= dropout < 1, beta >= 0 and clip_norm >= 0, got dropout={self.dropout!r}, "
                                f"beta={self.beta!r}, clip_norm={self.clip_norm!r}")
        if self.encoder == "gcn" and self.direction == "split":
            raise SettingsError("encoder='gcn' cannot keep directions apart: its normalisation needs A + A^T; choose "
                                "direction='undirected' or encoder='gin'")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON-able values, for keys and provenance."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}


#: Changes against the defaults above, which are the released code's.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": {
        "hidden": (128, 128, 128, 128, 16), "dropout": 0.0, "operations": "softmax", "adjacency": "full",
        "reduction": "graph", "kl_divided_again": False, "eval_after_first_epoch": False, "reshuffle": True,
        "split": "random", "readout": "sum", "clip_norm": 0.0,
    },
    # beta = 0.005 is the KL weight of D-VAE (the paper's [32]), whose three metrics Table 1 adopts.
    "corrected": {
        "dropout": 0.0, "operations": "softmax", "reduction": "graph", "beta": 0.005, "kl_divided_again": False,
        "eval_after_first_epoch": False, "reshuffle": True, "split": "random", "mask_padding": True, "readout": "sum",
    },
}

#: The four rows of Table 1. The GCN has arch2vec's widths, since the paper gives no setting of its baselines.
METHODS: dict[str, dict[str, Any]] = {
    "gae": {"encoder": "gcn", "variational": False},
    "vgae": {"encoder": "gcn", "variational": True},
    "arch2vec_without_kl": {"encoder": "gin", "variational": False},
    "arch2vec": {"encoder": "gin", "variational": True},
}

#: Epochs of §4 by search space.
EPOCHS = {"nasbench101": 8}


def pretraining_settings(recipe: str = "released", method: str = "arch2vec", space: str = "", **changes: Any
                         ) -> PretrainingSettings:
    """The settings of a recipe for one method and search space, with single fields changed.

    Raises:
        SettingsError: the recipe, the method or a field is unknown, or a value is not acceptable.
    """
    for kind, name, known in (("recipe", recipe, RECIPES), ("method", method, METHODS)):
        if name not in known:
            raise SettingsError(f"unknown {kind} {name!r}: choose one of {', '.join(known)}")
    if unknown := set(changes) - {f.name for f in dataclasses.fields(PretrainingSettings)}:
        known = ", ".join(f.name for f in dataclasses.fields(PretrainingSettings))
        raise SettingsError(f"unknown setting {', '.join(sorted(unknown))}: the settings are {known}")
    values = {"epochs": EPOCHS.get(space, 10)} | RECIPES[recipe] | METHODS[method] | changes
    return PretrainingSettings(**values)
