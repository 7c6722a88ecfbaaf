"""Training a network of cells on images: epoch after epoch, resumable to the bit.

What is random depends on the seed, the epoch and the number of the process alone (order and augmentation of the images
on seed and epoch alone), so a run that goes on after its last finished epoch gives the same bits as one that was never
killed. On a GPU cuDNN is held to deterministic algorithms, as in the released code; some other kernels of torch sum in
an order of their own there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.darts.checkpoints import load_checkpoint
from a2v_core.darts.distributed import process_group
from a2v_core.darts.images import ImageDataset, load_dataset
from a2v_core.darts.trainer import TrainableGenotype, Trainer, training_identity
from a2v_core.darts.training_recipes import TrainingSettings, training_settings
from a2v_core.errors import ArtifactError, SettingsError

#: Name of the checkpoint in the folder of a training.
CHECKPOINT = "checkpoint.pt"
#: Modules whose code decides the accuracy that comes out.
TRAINING_MODULES = tuple(f"a2v_core.darts.{name}" for name in (
    "augmentation", "cell_plans", "images", "networks", "operations", "trainer", "training", "training_recipes"))
_KIND = "darts_training"


@dataclass(frozen=True)
class TrainingResult:
    """A finished training.

    Attributes:
        accuracy: mean validation accuracy of the last ``settings.averaged_epochs`` epochs, a fraction.
        seconds: of all epochs, those before a resumption included.
        history: one entry an epoch: losses, accuracies, step size, drop-path, seconds, processes, device.
        checkpoint: path of the last checkpoint, with the network.
    """

    accuracy: float
    seconds: float
    history: list[dict[str, Any]]
    checkpoint: Path


def train(genotype: TrainableGenotype, settings: TrainingSettings, data: ImageDataset, folder: Path, *, seed: int = 0,
          device: str = "auto", progress: bool = True) -> TrainingResult:
    """Train a network, going on from the checkpoint in `folder` where there is one.

    Under torchrun every process calls this with the same arguments; the first one writes.

    Args:
        genotype: the cells.
        settings: how to train.
        data: the images.
        folder: where the checkpoint lies; one folder a training.
        seed: decides initialisation, order, augmentation and drop-path.
        device: see :func:`a2v_core.training.resolve_device`.
        progress: show a bar.

    Raises:
        SettingsError: settings and images do not fit, or the memory does not suffice.
        SpaceError: the genotype is none.
        ArtifactError: the checkpoint is of another training, damaged, or cannot be written.
    """
    with process_group(device) as group, _memory(settings, group.device), _reproducible(group.device):
        trainer = Trainer(genotype, settings, data, seed, group)
        path = folder / CHECKPOINT
        history = trainer.restore(path) if path.exists() else []
        group.wait()
        n_steps = len(trainer.epoch_batches(0))
        with tqdm(total=settings.epochs * n_steps, initial=len(history) * n_steps, unit="step", mininterval=1.0,
                  desc=f"training on {data.name}", disable=not (progress and group.is_first)) as bar:
            for epoch in range(len(history), settings.epochs):
                history = [*history, trainer.run_epoch(epoch, bar)]
                if group.is_first:
                    trainer.save(path, history)
                group.wait()
    last = [entry["validation_accuracy"] for entry in history[-settings.averaged_epochs:]]
    return TrainingResult(float(np.mean(last)), sum(entry["seconds"] for entry in history), history, path)


def search_accuracy(genotype: TrainableGenotype, recipe: str | TrainingSettings, *, dataset: str,
                    data_dir: str | Path | None = None, seed: int = 0, device: str = "auto",
                    store: ArtifactStore | None = None, progress: bool = True) -> tuple[float, float]:
    """What a query of the search pays for a cell: train it, or read what an earlier training gave.

    Args:
        genotype: the cell.
        recipe: a name in TRAINING_RECIPES, or settings.
        dataset: see :func:`a2v_core.darts.images.load_dataset`.
        data_dir: the data folder.
        seed: of the training.
        device: see :func:`a2v_core.training.resolve_device`.
        store: where accuracies and checkpoints live; that of `data_dir` when None.
        progress: show a bar.

    Returns:
        the mean validation accuracy of the last epochs (a fraction), and the seconds that the training took.

    Raises:
        as :func:`train` and :func:`~a2v_core.darts.images.load_dataset`.
    """
    settings = training_settings(recipe) if isinstance(recipe, str) else recipe
    store = store or ArtifactStore(data_dir)
    data = load_dataset(dataset, data_dir=data_dir)
    identity = training_identity(genotype, settings, data, seed)
    key = artifact_key({**identity, "code": code_digest(*TRAINING_MODULES)})
    found = store.load_json(_KIND, key)
    if found is None:
        folder = store.root / _KIND / key
        result = train(genotype, settings, data, folder, seed=seed, device=device, progress=progress)
        found = {**identity, "accuracy": result.accuracy, "seconds": result.seconds, "history": result.history}
        store.save_json(_KIND, key, found)
        # A network that was trained for its accuracy has served its purpose.
        result.checkpoint.unlink()
        folder.rmdir()
    return found["accuracy"], found["seconds"]


def evaluate(checkpoint: Path, data: ImageDataset, device: str = "auto") -> tuple[float, dict[str, Any]]:
    """Accuracy of a checkpoint's network on the test images (ImageNet: the validation images), a fraction; and the
    identity of the training: genotype, settings, dataset, images, seed.

    Raises:
        MissingDataError, ArtifactError: there is no such checkpoint, it is damaged, or `data` is another data set.
    """
    content = load_checkpoint(checkpoint)
    identity = content["identity"]
    if (identity["dataset"], identity["images"]) != (data.name, data.digest):
        raise ArtifactError(f"{checkpoint} was trained on {identity['dataset']} with other images than those of "
                            f"{data.name} here: name the same data set and folder")
    settings = training_settings(**identity["settings"] | {"held_out": 0.0})
    with process_group(device) as group, _memory(settings, group.device), _reproducible(group.device):
        trainer = Trainer(identity["genotype"], settings, data, identity["seed"], group)
        trainer.network.load_state_dict(content["network"])
        return trainer.validate(None), identity


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Deterministic algorithms, and the caller's random numbers untouched."""
    with (torch.random.fork_rng([device] if device.type == "cuda" else []),
          torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)):
        yield


@contextmanager
def _memory(settings: TrainingSettings, device: torch.device) -> Iterator[None]:
    """Say in one line that the memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
                or any(text in str(error) for text in ("allocate memory", "ALLOC_FAILED"))):
            raise
        raise SettingsError(
            f"the memory of {device} does not suffice for batch_size={settings.batch_size} with "
            f"channels={settings.channels} and layers={settings.layers}: share the batch among more GPUs (torchrun), "
            "set mixed_precision=true, or lower batch_size; the last finished epoch is kept") from error
