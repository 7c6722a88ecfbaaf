"""Images as files, one folder a class, decoded by worker processes: how ImageNet is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from a2v_core.darts.augmentation import Augmentation, augment_large, central_crop, normalised
from a2v_core.errors import DataError, MissingDataError

#: Side of an image in the mobile setting; outside of training it is cut from one whose shorter side is RESIZED.
SIZE, RESIZED = 224, 256
#: Usual statistics of ImageNet's channels (released code).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SUFFIXES = {".jpeg", ".jpg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """Image files and their labels int64 [N].

    Raises:
        DataError: (while they are read) a file is no image.
    """

    files: tuple[Path, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, batches: Sequence[np.ndarray], augmentation: Augmentation | None, device: torch.device
                ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """See :class:`a2v_core.darts.images.ImageSource`."""
        mean, std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)
        loader = DataLoader(
            _Decoder(self, augmentation), batch_sampler=[rows.tolist() for rows in batches], num_workers=_n_workers(),
            pin_memory=device.type == "cuda",
            # Its own generator: the numbers that torch draws for dropped paths must not depend on the loader.
            generator=torch.Generator())
        try:
            for images, labels in loader:
                yield normalised(images.to(device, non_blocking=True), mean, std), labels.to(device, non_blocking=True)
        except DataError as error:  # torch puts the traceback of the worker before its message
            raise DataError(str(error).strip().rsplit(f"{DataError.__name__}: ", 1)[-1]) from error


class _Decoder(Dataset):
    """Decoded images of one epoch, uint8 [3, SIZE, SIZE] and label."""

    def __init__(self, folder: ImageFolder, augmentation: Augmentation | None) -> None:
        self.folder, self.augmentation = folder, augmentation

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        from PIL import Image, UnidentifiedImageError

        path = self.folder.files[row]
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{path} cannot be read as an image: replace or remove it") from error
        image = (central_crop(image, RESIZED, SIZE) if self.augmentation is None
                 else augment_large(image, row, SIZE, self.augmentation))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1), int(self.folder.labels[row])


def _n_workers() -> int:
    """The processors at hand, shared by the training processes of this machine; none where there is but one."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = available // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return share if share > 1 else 0


def load_image_folder(folder: Path) -> tuple[ImageFolder, ImageFolder, int, str]:
    """Training images (``train/<class>/…``), validation images (``val/<class>/…``), number of classes and a digest of
    the files' names. Classes are numbered in alphabetical order.

    Raises:
        MissingDataError: a folder is missing or empty.
        DataError: the two parts do not have the same classes.
    """
    parts = {name: _class_files(folder / name) for name in ("train", "val")}
    classes = list(parts["train"])
    if classes != list(parts["val"]):
        odd = sorted(set(classes) ^ set(parts["val"]))
        raise DataError(f"{folder}: the classes of train and val differ, {len(odd)} are in one alone, first {odd[0]!r}")
    folders = []
    digest = hashlib.sha256()
    for name, files in parts.items():
        labels = np.repeat(np.arange(len(classes)), [len(files[c]) for c in classes])
        folders.append(ImageFolder(tuple(f for c in classes for f in files[c]), labels))
        for file in folders[-1].files:
            digest.update(f"{name}/{file.parent.name}/{file.name}\n".encode())
    return folders[0], folders[1], len(classes), digest.hexdigest()


def _class_files(folder: Path) -> dict[str, list[Path]]:
    """Image files by class, both in alphabetical order."""
    remedy = "ImageNet needs train/<class>/ and val/<class>/ with image files; get it from https://image-net.org"
    if not folder.is_dir():
        raise MissingDataError(f"no folder {folder}: {remedy}")
    found = {}
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        found[child.name] = sorted(file for file in child.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not found[child.name]:
            raise MissingDataError(f"{child} holds no image: {remedy}")
    if not found:
        raise MissingDataError(f"{folder} holds no folder of a class: {remedy}")
    return found
