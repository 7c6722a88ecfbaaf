"""A network in training: one epoch, one step, one validation; in one process or in one of several."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from a2v_core.darts.augmentation import Augmentation
from a2v_core.darts.checkpoints import load_checkpoint, save_checkpoint
from a2v_core.darts.distributed import Group
from a2v_core.darts.images import ImageDataset, ImageSource
from a2v_core.darts.networks import CifarNetwork, ImageNetNetwork
from a2v_core.darts.training_recipes import TrainingSettings
from a2v_core.errors import SettingsError
from a2v_core.spaces.darts_genotypes import Genotype, NetworkGenotype, parse_genotype

#: What the trained network is made from: one cell for both kinds, two cells, or the text of either.
TrainableGenotype = Genotype | NetworkGenotype | str
# Separate streams of random numbers, beside those of the augmentation.
_INITIAL, _ORDER, _DROPPED = 1, 2, 3
_STEPS_BETWEEN_REPORTS = 20


class Trainer:
    """A network with its optimiser and its images, in one of the processes of a group."""

    def __init__(self, genotype: TrainableGenotype, settings: TrainingSettings, data: ImageDataset, seed: int,
                 group: Group) -> None:
        self.settings, self.data, self.seed, self.group = settings, data, seed, group
        self.identity = training_identity(genotype, settings, data, seed)
        self.train_rows, self.validation, self.validation_rows = split(settings, data)
        if min(settings.batch_size, len(self.train_rows)) < 2 * group.size:
            raise SettingsError(f"batch_size={settings.batch_size} and {len(self.train_rows)} training images for "
                                f"{group.size} processes: each needs at least 2 images of a batch for its batch "
                                "normalisation")
        torch.manual_seed(_derived(seed, _INITIAL))
        self.network = make_network(genotype, settings, data).to(group.device)
        self.parallel = group.parallel(self.network)
        self.optimizer = torch.optim.SGD(self.network.parameters(), settings.learning_rate, settings.momentum,
                                         weight_decay=settings.weight_decay)
        # Only float16, the half precision of GPUs, has so small a range that gradients have to be scaled.
        self.scaler = torch.amp.GradScaler("cuda", enabled=settings.mixed_precision and group.device.type == "cuda")

    def epoch_batches(self, epoch: int) -> list[np.ndarray]:
        """Rows of the batches of an epoch, over all processes. A last batch with fewer than two images for each process
        is left out, because batch normalisation needs two."""
        rng = np.random.default_rng([self.seed, _ORDER, epoch])
        batches = _in_batches(rng.permutation(self.train_rows), self.settings.batch_size)
        return batches if len(batches[-1]) >= 2 * self.group.size else batches[:-1]

    def run_epoch(self, epoch: int, bar: tqdm) -> dict[str, Any]:
        """Train one epoch, the first of which is 0, and validate; its entry in the history."""
        started = time.perf_counter()
        settings, group = self.settings, self.group
        self.network.drop_path_probability = settings.drop_path_at(epoch)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = settings.learning_rate_at(epoch)
        torch.manual_seed(_derived(self.seed, _DROPPED, epoch, group.rank))
        augmentation = Augmentation(settings.padding, settings.cutout, self.seed, epoch)
        batches = self.epoch_batches(epoch)
        self.network.train()
        sums = torch.zeros(2, dtype=torch.float64, device=group.device)
        images = self.data.train.batches(group.share(batches), augmentation, group.device)
        for i, (batch, (x, y)) in enumerate(zip(batches, images, strict=True)):
            loss, correct = self.step(x, y, len(batch))
            sums += torch.stack([loss * len(batch) / group.size, correct]).double()
            bar.update()
            if i % _STEPS_BETWEEN_REPORTS == _STEPS_BETWEEN_REPORTS - 1:
                bar.set_postfix_str(f"epoch {epoch + 1}, loss {loss.item():.3f}")
        n_seen = sum(map(len, batches))
        train_loss, train_accuracy = (group.total(sums) / n_seen).tolist()
        return {"epoch": epoch + 1, "learning_rate": settings.learning_rate_at(epoch),
                "drop_path": settings.drop_path_at(epoch), "train_loss": train_loss, "train_accuracy": train_accuracy,
                "validation_accuracy": self.validate(augmentation if settings.augment_validation else None),
                "seconds": time.perf_counter() - started, "processes": group.size, "device": group.device.type}

    def step(self, x: torch.Tensor, y: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of SGD on this process's images of a batch.

        Args:
            x: [B, C, H, W].
            y: labels [B].
            batch_size: images of the batch over all processes.

        Returns:
            the loss of :meth:`backward`, and the number of images that were classified correctly.
        """
        loss, correct = self.backward(x, y, batch_size)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss, correct

    def backward(self, x: torch.Tensor, y: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradients of the batch's mean loss, averaged over the processes; arguments and results as in
        :meth:`step`. The loss is weighted so that its mean over the processes is that of the batch, even where
        the shares are not equal."""
        settings = self.settings
        self.optimizer.zero_grad(set_to_none=True)
        with self._arithmetic():
            logits, auxiliary_logits = self.parallel(x)
            loss = F.cross_entropy(logits, y, reduction="sum", label_smoothing=settings.label_smoothing)
            total = loss
            if auxiliary_logits is not None:
                total = loss + settings.auxiliary_weight * F.cross_entropy(
                    auxiliary_logits, y, reduction="sum", label_smoothing=settings.label_smoothing)
        weight = self.group.size / batch_size
        self.scaler.scale(total * weight).backward()
        return loss.detach() * weight, (logits.detach().argmax(1) == y).sum()

    @torch.no_grad()
    def validate(self, augmentation: Augmentation | None) -> float:
        """Share of the validation images that are classified correctly."""
        self.group.copy_buffers(self.network)
        self.network.eval()
        correct = torch.zeros((), dtype=torch.float64, device=self.group.device)
        batches = self.group.share(_in_batches(self.validation_rows, self.settings.batch_size))
        batches = [rows for rows in batches if len(rows)]
        for x, y in self.validation.batches(batches, augmentation, self.group.device):
            with self._arithmetic():
                logits, _ = self.network(x)
            correct += (logits.argmax(1) == y).sum()
        return self.group.total(correct).item() / len(self.validation_rows)

    def save(self, path: Path, history: list[dict[str, Any]]) -> None:
        """Write the checkpoint after an epoch. Raises ArtifactError when it cannot be written."""
        save_checkpoint(path, {
            "identity": self.identity, "epoch": len(history), "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict(), "history": history})

    def restore(self, path: Path) -> list[dict[str, Any]]:
        """Take over the state of a checkpoint; its history.

        Raises:
            ArtifactError: it is damaged, or of another training.
        """
        content = load_checkpoint(path, self.identity)
        self.network.load_state_dict(content["network"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        return content["history"]

    def _arithmetic(self) -> torch.autocast:
        kind = self.group.device.type
        return torch.autocast(kind, torch.float16 if kind == "cuda" else torch.bfloat16,
                              enabled=self.settings.mixed_precision)


def training_identity(genotype: TrainableGenotype, settings: TrainingSettings, data: ImageDataset, seed: int
                      ) -> dict[str, Any]:
    """What a training is, as JSON-able values: genotype, settings, dataset, digest of its images, seed."""
    return {"genotype": genotype_text(genotype), "settings": settings.as_dict(), "dataset": data.name,
            "images": data.digest, "seed": seed}


def genotype_text(genotype: TrainableGenotype) -> str:
    """The text form of a genotype, the same one however it was given. Raises SpaceError when a text is none."""
    return str(parse_genotype(genotype) if isinstance(genotype, str) else genotype)


def make_network(genotype: TrainableGenotype, settings: TrainingSettings, data: ImageDataset
                 ) -> CifarNetwork | ImageNetNetwork:
    """The network of the settings, freshly initialised from torch's generator.

    Raises:
        SettingsError: its kind is not that of the images.
    """
    if settings.network != data.network:
        raise SettingsError(f"setting network={settings.network!r} does not fit {data.name}, whose images need "
                            f"{data.network!r}: choose another recipe or data set")
    kind = CifarNetwork if settings.network == "cifar" else ImageNetNetwork
    return kind(genotype, settings.channels, settings.layers, data.n_classes, settings.auxiliary_weight > 0)


def split(settings: TrainingSettings, data: ImageDataset) -> tuple[np.ndarray, ImageSource, np.ndarray]:
    """Rows of the training images, the images to validate on, and their rows.

    Raises:
        SettingsError: more images are asked for than there are, or a part would be empty.
    """
    n_used = settings.images or len(data.train)
    if n_used > len(data.train):
        raise SettingsError(f"setting images={n_used} exceeds the {len(data.train)} training images of {data.name}")
    n_held_out = round(n_used * settings.held_out)
    if settings.held_out and not 0 < n_held_out < n_used:
        raise SettingsError(f"setting held_out={settings.held_out} of {n_used} images leaves a part empty")
    if not settings.held_out:
        return np.arange(n_used), data.test, np.arange(len(data.test))
    return np.arange(n_used - n_held_out), data.train, np.arange(n_used - n_held_out, n_used)


def _in_batches(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start:start + size] for start in range(0, len(rows), size)]


def _derived(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
