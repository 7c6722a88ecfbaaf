"""The runs behind Table 1: which models are trained, how they are measured, and the records that they leave."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest, write_atomically
from a2v_core.cells import Cells
from a2v_core.errors import ArtifactError
from a2v_core.generation import N_DRAWS, draw_latents, encode_cells, generation, reconstruction, summary
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.paths import published_dir
from a2v_core.pretraining import Pretrained, is_trained, pretrain, published_path, training_key
from a2v_core.recipes import PretrainingSettings, pretraining_settings
from a2v_core.spaces.base import SearchSpace
from a2v_core.training import TrainingState, split_cells

# Modules whose code decides what is measured on a trained model.
_MEASURING_MODULES = ("a2v_core.generation", "a2v_core.cells", "a2v_core.hashing")
# Held-out cells behind a point of a learning curve; the final measure takes all.
_CURVE_CELLS = 5000


@dataclass(frozen=True)
class Arm:
    """One kind of model on one search space.

    Attributes:
        space: name of the search space.
        recipe, method: see :mod:`a2v_core.recipes`.
        changes: single settings changed against the recipe.
    """

    space: str
    recipe: str
    method: str
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name in files and figures: the method, the recipe, what is changed."""
        parts = [f"{k}={'x'.join(map(str, v)) if isinstance(v, (tuple, list)) else v}" for k, v in self.changes.items()]
        return "-".join([self.method, self.recipe, *parts])

    def settings(self, epochs: int | None = None) -> PretrainingSettings:
        """Settings of the arm; `epochs` shortens the training for quick profiles."""
        shorter = {} if epochs is None else {"epochs": epochs}
        return pretraining_settings(self.recipe, self.method, self.space, **self.changes, **shorter)


def main_arms(space: str) -> list[Arm]:
    """The four rows of Table 1 as the released code would train them, and arch2vec by the other two recipes."""
    return [*(Arm(space, "released", method) for method in ("arch2vec", "arch2vec_without_kl", "gae", "vgae")),
            Arm(space, "paper", "arch2vec"), Arm(space, "corrected", "arch2vec")]


def factor_arms(space: str) -> list[Arm]:
    """arch2vec with one setting at a time changed, from the released recipe towards the others."""
    changes: list[dict[str, Any]] = [
        {"eval_after_first_epoch": False}, {"operations": "softmax"}, {"adjacency": "full"},
        {"kl_divided_again": False}, {"reduction": "graph"}, {"dropout": 0.0}, {"reshuffle": True},
        {"split": "random"}, {"hidden": (128, 128, 128, 128, 16)}]
    released = [Arm(space, "released", "arch2vec", change) for change in changes]
    weights = [Arm(space, "paper", "arch2vec", {"beta": beta}) for beta in (0.0, 0.005, 0.05, 0.3)]
    return [*released, *weights, Arm(space, "corrected", "arch2vec", {"direction": "split"}),
            *(Arm(space, "released", method, {"hidden": (32,)}) for method in ("gae", "vgae")),
            *(Arm(space, "paper", method) for method in ("arch2vec_without_kl", "gae", "vgae"))]


def run_arm(arm: Arm, space: SearchSpace, cells: Cells, seeds: Sequence[int], *, store: ArtifactStore,
            epochs: int | None = None, draws: int = N_DRAWS, device: str = "auto", compiled: bool | None = None,
            progress: bool = True, only_existing: bool = False) -> list[dict[str, Any]]:
    """Records of the arm's seeds: read where they exist, else trained (together) and measured.

    A record holds ``arm``, ``seed``, ``training`` (settings, history with the measures of each epoch, versions),
    ``reconstruction`` (held-out cells) and ``generation`` under three placements of the draws: ``encoded`` (mean and
    spread of the encoded training cells at each position), ``collected`` (the same collected during the last epoch,
    as the released code does) and ``common`` (one mean and spread for all positions).

    Args:
        epochs: train for so many in place of the arm's own number.
        draws: random latents to decode for validity and uniqueness.
        only_existing: train nothing; seeds without a trained model are left out.
        space, cells, seeds, store, device, compiled, progress: as in :func:`a2v_core.pretraining.pretrain`.
    """
    settings = arm.settings(epochs)
    keys = {seed: record_key(space, cells, settings, seed, draws) for seed in seeds}
    records = {seed: _load_record(store, keys[seed]) for seed in seeds}
    missing = [seed for seed in seeds if records[seed] is None]
    if only_existing:
        missing = [seed for seed in missing if is_trained(store, training_key(cells, settings, seed))]
    if missing:
        def on_epoch(model: StackedAutoencoder, state: TrainingState) -> None:
            state.history[-1].update(_curve_point(model, state, space, cells, draws))

        for trained in pretrain(cells, len(space.vocabulary), settings, missing, store=store, device=device,
                                compiled=compiled, on_epoch=on_epoch, progress=progress):
            seed = trained.record["seed"]
            records[seed] = {"arm": {"space": arm.space, "recipe": arm.recipe, "method": arm.method,
                                     "changes": arm.changes, "label": arm.label}, "seed": seed,
                             "training": trained.record, **measure(trained, space, cells, draws)}
            store.save_json("table1", keys[seed], records[seed])
    return [records[seed] for seed in seeds if records[seed] is not None]


def measure(trained: Pretrained, space: SearchSpace, cells: Cells, draws: int = N_DRAWS) -> dict[str, Any]:
    """Reconstruction of the held-out cells and generation under the three placements of the draws."""
    settings, seed = trained.model.settings, trained.record["seed"]
    training_rows, held_out = split_cells(len(cells), settings.split, seed)
    mean, std = encoded_spread(trained, cells[training_rows])
    placements = {"encoded": (mean, std, "position"), "common": (mean, std, "common"),
                  "collected": (trained.latent_mean, trained.latent_std, "position")}
    return {"reconstruction": summary(reconstruction(trained.model, cells[held_out])),
            "generation": {name: summary(generation(trained.model, space, draw_latents(m, s, seed, draws, scaling)))
                           for name, (m, s, scaling) in placements.items()}}


def encoded_spread(trained: Pretrained, cells: Cells) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the cells' node means at each position, [N, D] each; padded rows count unless
    the settings mask them."""
    nodes = encode_cells(trained.model, cells).double()
    rows = torch.ones(cells.ops.shape, dtype=torch.float64)
    if trained.model.settings.mask_padding:
        rows = torch.from_numpy((cells.ops < trained.model.n_operations).astype("float64"))
    count = rows.sum(0).clamp(min=1).unsqueeze(-1)
    mean = (nodes * rows.unsqueeze(-1)).sum(0) / count
    variance = ((nodes - mean).square() * rows.unsqueeze(-1)).sum(0) / count
    return mean.float(), variance.sqrt().float()


def record_key(space: SearchSpace, cells: Cells, settings: PretrainingSettings, seed: int, draws: int = N_DRAWS) -> str:
    """Identity of a record: the training run, the number of draws and the code that measures."""
    return artifact_key({"training": training_key(cells, settings, seed), "draws": draws,
                         "measuring": code_digest(*_MEASURING_MODULES, type(space).__module__)})


def publish(arm: Arm, space: SearchSpace, cells: Cells, seeds: Sequence[int], store: ArtifactStore,
            with_weights: bool, epochs: int | None = None) -> list[Path]:
    """Copy finished records, and the models if asked, from the store to the folder under version control; what stood
    there for the same arm and seed under an older key goes. Returns the files written."""
    root, written = published_dir(), []
    if root is None:
        return written
    settings = arm.settings(epochs)

    def put(stem: str, key: str, suffix: str, content: bytes) -> None:
        path = root / arm.space / f"{stem}-{key}{suffix}"
        write_atomically(path, content)
        for older in path.parent.glob(f"{glob.escape(stem)}-{'?' * len(key)}{suffix}"):
            if older != path:
                older.unlink()
        written.append(path)

    for seed in seeds:
        stem = f"{arm.label}-seed{seed}"
        key = record_key(space, cells, settings, seed)
        if (record := store.load_json("table1", key)) is not None:
            put(stem, key, ".json", (json.dumps(record, sort_keys=True) + "\n").encode())
        key = training_key(cells, settings, seed)
        if with_weights and (content := store.load_bytes("pretrained", key, ".safetensors")) is not None:
            put(stem, key, ".safetensors", content)
    return written


def _curve_point(model: StackedAutoencoder, state: TrainingState, space: SearchSpace, cells: Cells,
                 draws: int) -> dict[str, list[float]]:
    """Measures of each model after an epoch, as lists over seeds."""
    point: dict[str, list[float]] = {}
    for i, seed in enumerate(model.seeds):
        held_out = split_cells(len(cells), model.settings.split, seed)[1][:_CURVE_CELLS]
        recovered = reconstruction(model, cells[held_out], i)
        drawn = generation(model, space, draw_latents(state.latent_mean[i], state.latent_std[i], seed, draws), i)
        for name, value in {"accuracy": recovered.exact, "accuracy_operations": recovered.operations,
                            "accuracy_edges": recovered.edges, "validity": drawn.validity,
                            "uniqueness": drawn.uniqueness, "released_validity": drawn.released_validity,
                            "released_uniqueness": drawn.released_uniqueness}.items():
            point.setdefault(name, []).append(value)
    return point


def _load_record(store: ArtifactStore, key: str) -> dict[str, Any] | None:
    record = store.load_json("table1", key)
    if record is None and (path := published_path(key, ".json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} is damaged ({error}): restore it") from error
    return record
