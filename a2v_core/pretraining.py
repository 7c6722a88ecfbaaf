"""Pre-trained models on disk, found again by settings, seed, data and code; embeddings of whole spaces."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from tqdm import tqdm

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.cells import Cells
from a2v_core.errors import ArtifactError
from a2v_core.generation import encode_cells
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.models.folded import FoldedEncoder
from a2v_core.paths import published_dir
from a2v_core.recipes import PretrainingSettings
from a2v_core.training import TrainingState, resolve_device, train

#: Modules whose code decides the parameters that come out.
TRAINING_MODULES = ("a2v_core.training", "a2v_core.models.dense", "a2v_core.models.autoencoder",
                    "a2v_core.models.encoders")
_KIND = "pretrained"
# Rows of one matrix product while embedding: large enough for its arithmetic to dominate, small enough for the cache.
_EMBEDDED_ROWS = 2048


@dataclass(frozen=True)
class Pretrained:
    """One trained autoencoder.

    Attributes:
        model: a stack of one.
        latent_mean, latent_std: of the training cells' node means at each position, [N, D].
        record: settings, seed, digests, history by epoch, versions, seconds.
        key: identity of settings, seed, cells and code.
    """

    model: StackedAutoencoder
    latent_mean: torch.Tensor
    latent_std: torch.Tensor
    record: dict[str, Any]
    key: str


def training_key(cells: Cells, settings: PretrainingSettings, seed: int) -> str:
    """Identity of a run: what it depends on, wherever it is trained."""
    return artifact_key({"settings": settings.as_dict(), "seed": seed, "cells": cells.digest(),
                         "code": code_digest(*TRAINING_MODULES)})


def pretrain(cells: Cells, n_operations: int, settings: PretrainingSettings, seeds: Sequence[int], *,
             store: ArtifactStore | None = None, device: str = "auto", compiled: bool | None = None,
             on_epoch: Callable[[StackedAutoencoder, TrainingState], None] | None = None, progress: bool = True,
             ) -> list[Pretrained]:
    """Trained models of the seeds: read where they exist, trained together where they do not.

    A checkpoint is written after each epoch; an interrupted call goes on from it the next time, to the same bits.

    Args:
        cells, n_operations, settings, seeds, device, compiled, progress: as in :func:`a2v_core.training.train`.
        store: where artifacts live; the default data folder when None.
        on_epoch: called after each epoch of a training that really happens, before its checkpoint; what it adds to
            ``state.history[-1]`` is kept.
    """
    store = store or ArtifactStore()
    keys = {seed: training_key(cells, settings, seed) for seed in seeds}
    found = {seed: _load(store, keys[seed], n_operations, settings, device) for seed in seeds}
    missing = [seed for seed in seeds if found[seed] is None]
    if missing:
        group = artifact_key({"keys": [keys[seed] for seed in missing]})
        resume = _load_checkpoint(store, group)
        started, seconds_before = time.perf_counter(), sum(e["seconds"] for e in resume.history) if resume else 0.0

        def checkpoint(model: StackedAutoencoder, state: TrainingState) -> None:
            if on_epoch:
                on_epoch(model, state)
            _save_checkpoint(store, group, state)

        # Each shape of model has compiled steps of its own, and torch keeps only a few before it gives up compiling.
        torch.compiler.reset()
        model, state = train(cells, n_operations, settings, missing, device=device, compiled=compiled, resume=resume,
                             on_epoch=checkpoint, progress=progress)
        for i, seed in enumerate(missing):
            record = {"settings": settings.as_dict(), "seed": seed, "stacked_seeds": missing,
                      "cells": cells.digest(), "n_cells": len(cells), "n_operations": n_operations,
                      "training_code": code_digest(*TRAINING_MODULES), "device": str(model.theta.device),
                      "seconds_of_stack": seconds_before + time.perf_counter() - started,
                      "versions": {"python": platform.python_version(), "torch": torch.__version__},
                      "history": [_of_seed(entry, i) for entry in state.history]}
            tensors = {**model.state_dict(i), "latent_mean": state.latent_mean[i], "latent_std": state.latent_std[i]}
            tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
            content = save_tensors(tensors, {"record": json.dumps(record)})
            store.save_bytes(_KIND, keys[seed], ".safetensors", content)
            found[seed] = _load(store, keys[seed], n_operations, settings, device)
        store.remove("checkpoints", group)
    return [found[seed] for seed in seeds]


def embed(pretrained: Pretrained, cells: Cells, progress: bool = False) -> np.ndarray:
    """Embedding of each cell: the mean or the sum (``settings.readout``) of its nodes' posterior means, over all N rows
    or, with ``mask_padding``, over the rows that are nodes. float32 [M, D]; `progress` shows a bar."""
    model, settings = pretrained.model, pretrained.model.settings
    encoder = FoldedEncoder(model.state_dict(0), model.n_operations, settings) if settings.encoder == "gin" else None
    chunk = max(1, _EMBEDDED_ROWS // cells.ops.shape[1])
    embedding = np.empty((len(cells), settings.latent), np.float32)
    with tqdm(total=len(cells), desc="embedding", unit="cell", unit_scale=True, disable=not progress) as bar:
        for start in range(0, len(cells), chunk):
            part = cells[start:start + chunk]
            if encoder:
                adjacency, ops = (torch.tensor(x, device=model.theta.device) for x in (part.adjacency, part.ops))
                nodes = encoder(adjacency, ops).cpu()
            else:
                nodes = encode_cells(model, part)
            counted = part.ops < model.n_operations if settings.mask_padding else np.ones(part.ops.shape, bool)
            rows = torch.from_numpy(counted.astype(np.float32)).unsqueeze(-1)
            total = (nodes * rows).sum(1)
            embedding[start:start + chunk] = total if settings.readout == "sum" else total / rows.sum(1)
            bar.update(len(part))
    return embedding


def is_trained(store: ArtifactStore, key: str) -> bool:
    """Whether the model of this key lies in the store or under version control."""
    return store.path(_KIND, key, ".safetensors").is_file() or published_path(key) is not None


def published_path(key: str, suffix: str = ".safetensors") -> Path | None:
    """File under version control whose name ends with `key`, if there is one."""
    root = published_dir()
    return next(iter(sorted(root.glob(f"*/*-{key}{suffix}"))), None) if root else None


def _of_seed(entry: dict[str, Any], index: int) -> dict[str, Any]:
    return {k: v[index] if isinstance(v, list) else v for k, v in entry.items()}


def _load(store: ArtifactStore, key: str, n_operations: int, settings: PretrainingSettings, device: str
          ) -> Pretrained | None:
    content = store.load_bytes(_KIND, key, ".safetensors")
    if content is None and (path := published_path(key)):
        content = path.read_bytes()
    if content is None:
        return None
    where = resolve_device(device)
    try:
        tensors = load_tensors(content)
        header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
        record = json.loads(header["__metadata__"]["record"])
        latent_mean, latent_std = tensors.pop("latent_mean"), tensors.pop("latent_std")
        model = StackedAutoencoder(n_operations, settings, [record["seed"]], where)
        model.load_state_dicts([tensors])
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ArtifactError(f"the stored model {key} is damaged ({error}): delete it, "
                            "it will be trained again") from error
    return Pretrained(model, latent_mean, latent_std, record, key)


_STATE_ARRAYS = ("theta", "running", "moment1", "moment2", "latent_mean", "latent_std")


def _save_checkpoint(store: ArtifactStore, group: str, state: TrainingState) -> None:
    meta = json.dumps({"epoch": state.epoch, "steps": state.steps, "history": state.history})
    store.save_arrays("checkpoints", group, {name: getattr(state, name).numpy() for name in _STATE_ARRAYS}
                      | {"meta": np.frombuffer(meta.encode(), dtype=np.uint8)})


def _load_checkpoint(store: ArtifactStore, group: str) -> TrainingState | None:
    arrays = store.load_arrays("checkpoints", group)
    if arrays is None:
        return None
    meta = json.loads(arrays.pop("meta").tobytes())
    return TrainingState(**meta, **{name: torch.from_numpy(array) for name, array in arrays.items()})
