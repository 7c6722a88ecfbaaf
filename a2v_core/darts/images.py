"""Data sets of images: CIFAR-10 from its official archive, ImageNet from folders, scikit-learn's digits for trials."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from a2v_core import paths
from a2v_core.benchmarks.download import Downloader
from a2v_core.benchmarks.sources import Source, describe, matches, mirror_path, upstream_path
from a2v_core.benchmarks.unpickle import loads
from a2v_core.darts.augmentation import Augmentation, augment_small, normalised
from a2v_core.errors import DataError, DigestError, FetchError, MissingDataError, SettingsError

CIFAR10 = Source(
    name="cifar10", what="CIFAR-10: 60,000 images of 32 x 32 pixels in 10 classes, Python version",
    licence="none stated; made public for research by Alex Krizhevsky", path="cifar10/cifar-10-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", bytes=170498071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce")

Batch = tuple[torch.Tensor, torch.Tensor]


class ImageSource(Protocol):
    """Labelled images that come in batches."""

    def __len__(self) -> int: ...

    def batches(self, batches: Sequence[np.ndarray], augmentation: Augmentation | None, device: torch.device
                ) -> Iterator[Batch]:
        """Images float32 [B, C, H, W], normalised and, where asked for, augmented, and labels int64 [B], for each
        array of row numbers [B]; both on the device."""
        ...


@dataclass(frozen=True)
class ImageArrays:
    """Small images that lie in memory, and move to the device whole.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        mean, std: of each channel, for the normalisation, [C].
    """

    images: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batches: Sequence[np.ndarray], augmentation: Augmentation | None, device: torch.device
                ) -> Iterator[Batch]:
        """See :class:`ImageSource`."""
        images, labels, mean, std = (x.to(device) for x in (self.images, self.labels, self.mean, self.std))
        for rows in batches:
            on_device = torch.from_numpy(rows).to(device)
            chosen = images[on_device]
            chosen = (normalised(chosen, mean, std) if augmentation is None
                      else augment_small(chosen, rows, len(self), mean, std, augmentation))
            yield chosen, labels[on_device]


@dataclass(frozen=True)
class ImageDataset:
    """A data set by name.

    Attributes:
        train, test: its two parts.
        n_classes: number of labels.
        digest: identity of the content.
        network: the kind of network that its images fit, see :class:`a2v_core.darts.training_recipes.TrainingSettings`.
    """

    name: str
    train: ImageSource
    test: ImageSource
    n_classes: int
    digest: str
    network: str = "cifar"


def load_dataset(name: str, images_dir: str | Path | None = None, data_dir: str | Path | None = None,
                 download: bool = False) -> ImageDataset:
    """A data set by name.

    Args:
        name: cifar10, imagenet or digits.
        images_dir: the folder that holds its files: ``cifar-10-python.tar.gz``, or ImageNet's folders ``train`` and
            ``val`` with one folder a class; for CIFAR-10 the data folder's ``upstream/cifar10`` when not given.
        data_dir: the data folder; see :func:`a2v_core.paths.data_dir`.
        download: get CIFAR-10 (170 MB) where it is missing.

    Raises:
        SettingsError: the name is unknown, or ImageNet's folder is not named.
        MissingDataError: the files are not there; the message says what to do.
        DigestError, DataError: the files are not what they should be.
        FetchError: the download failed.
    """
    if name not in _LOADERS:
        raise SettingsError(f"unknown data set {name!r}: choose one of {', '.join(_LOADERS)}")
    folder = Path(images_dir).expanduser().resolve() if images_dir else None
    return _LOADERS[name](folder, paths.data_dir(data_dir), download)


@lru_cache(maxsize=1)
def _digits(_folder: Path | None, _data: Path, _download: bool) -> ImageDataset:
    """scikit-learn's 1,797 digits of 8 x 8 pixels in 16 grey levels, each pixel drawn as 4 x 4 of three equal channels.
    The last 297, written by other people, are the test images."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images / 16 * 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    images = np.repeat(pixels[:, None], 3, axis=1)
    return _in_memory("digits", images, digits.target.astype(np.int64), 1500, 10)


@lru_cache(maxsize=1)
def _cifar10(folder: Path | None, data: Path, download: bool) -> ImageDataset:
    content = _cifar10_archive(folder, data, download).read_bytes()
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    images, labels = [], []
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for part in parts:
                pickled = archive.extractfile(f"cifar-10-batches-py/{part}").read()
                batch = read_cifar10_batch(pickled, part)
                images.append(batch[0])
                labels.append(batch[1])
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise DataError(f"{CIFAR10.path} cannot be read ({error}): delete it and get it anew") from error
    return _in_memory("cifar10", np.concatenate(images), np.concatenate(labels), 50_000, 10)


def read_cifar10_batch(pickled: bytes, origin: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 3, 32, 32] and labels int64 [N] of one pickled part of CIFAR-10.

    Raises:
        DataError: it names something other than numpy arrays and containers, or is not of the published form.
    """
    batch = loads(pickled, f"{origin} of CIFAR-10", encoding="latin1")
    try:
        return batch["data"].reshape(-1, 3, 32, 32), np.asarray(batch["labels"], np.int64)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"the part {origin} of CIFAR-10 is not of the published form ({error!r}): get the archive anew"
                        ) from error


def _cifar10_archive(folder: Path | None, data: Path, download: bool) -> Path:
    """Path of the archive, its digest checked; downloaded where that is wanted."""
    target = folder / Path(CIFAR10.path).name if folder else upstream_path(CIFAR10, data)
    mirrored = mirror_path(CIFAR10)
    if not target.is_file() and folder is None and mirrored and mirrored.is_file():
        target = mirrored
    if not target.is_file():
        if not download:
            raise MissingDataError(f"{describe(CIFAR10)}; to get it: add --download, or name the folder that holds it "
                                   f"with --images; looked for {target}")
        _download(target)
    if matches(CIFAR10, target) is False:
        raise DigestError(f"{target} does not have the registered digest ({CIFAR10.digest}): delete it, then add "
                          "--download")
    return target


def _download(target: Path) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(CIFAR10.url, f"sha256:{CIFAR10.sha256}", target.name, target.parent,
                       downloader=Downloader(CIFAR10, target, progress=True))
    except requests.RequestException as error:
        raise FetchError(f"{CIFAR10.url} could not be read ({type(error).__name__}): check the network and run the "
                         f"command again, it goes on where it stopped; or put the file by hand at {target}") from error
    except ValueError as error:
        raise DigestError(f"what came from {CIFAR10.url} is not the registered file ({CIFAR10.size}, "
                          f"{CIFAR10.digest}); it was thrown away") from error
    except OSError as error:
        raise FetchError(f"cannot write {target}: {error.strerror or error}; free space or choose another folder "
                         "with --images") from error


def _imagenet(folder: Path | None, _data: Path, _download: bool) -> ImageDataset:
    from a2v_core.darts.image_folder import load_image_folder

    if folder is None:
        raise SettingsError("ImageNet comes from a folder that you name: give --images FOLDER, with train/<class>/ and "
                            "val/<class>/ below it")
    train, test, n_classes, digest = load_image_folder(folder)
    return ImageDataset("imagenet", train, test, n_classes, digest, "imagenet")


def _in_memory(name: str, images: np.ndarray, labels: np.ndarray, n_train: int, n_classes: int) -> ImageDataset:
    """The first `n_train` images train; mean and deviation of their channels normalise all."""
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes() + labels.tobytes()).hexdigest()
    share = images[:n_train].astype(np.float32) / 255
    mean, std = (torch.from_numpy(f(share, axis=(0, 2, 3), dtype=np.float64).astype(np.float32))
                 for f in (np.mean, np.std))
    train, test = (ImageArrays(torch.from_numpy(images[part]), torch.from_numpy(labels[part]), mean, std)
                   for part in (slice(n_train), slice(n_train, None)))
    return ImageDataset(name, train, test, n_classes, digest)


_LOADERS: dict[str, Callable[[Path | None, Path, bool], ImageDataset]] = {
    "cifar10": _cifar10, "imagenet": _imagenet, "digits": _digits}
