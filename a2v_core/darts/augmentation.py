"""Random changes of training images: batches of small images as tensors, large ones one by one with Pillow.

What happens to an image depends on the seed, the epoch and the image alone: not on the order of the images, the size of
the batches, the number of processes or of workers that load them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from PIL.Image import Image

# Separate streams of random numbers for the two ways of augmenting.
_CROPS, _JITTER = 11, 12
#: Random resized crops: bounds of the area as a share of the image, and of the aspect ratio (Szegedy et al. 2015).
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
#: Half-widths of the random factors of brightness, contrast and saturation, and of the turn of the hue (released code).
JITTER, HUE = 0.4, 0.2


@dataclass(frozen=True)
class Augmentation:
    """What to do to the training images of one epoch.

    Attributes:
        padding: zeros around a small image before the random crop.
        cutout: side of the square set to the mean of all images, in pixels; 0 for none.
        seed, epoch: decide every draw.
    """

    padding: int
    cutout: int
    seed: int
    epoch: int


def normalised(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 [B, C, H, W] → float32 of the same shape, (x / 255 - mean) / std with mean and std of each channel [C]."""
    return (images.float() / 255 - mean[:, None, None]) / std[:, None, None]


def augment_small(images: torch.Tensor, rows: np.ndarray, n_images: int, mean: torch.Tensor, std: torch.Tensor,
                  augmentation: Augmentation) -> torch.Tensor:
    """Random crop of the padded image, random flip, normalisation, cutout (DeVries & Taylor 2017).

    Args:
        images: uint8 [B, C, H, W].
        rows: which of the `n_images` images these are, [B].

    Returns:
        float32 [B, C, H, W].
    """
    height, width = images.shape[2:]
    crops, flips, centres = _draws(n_images, height, width, augmentation)
    crop, flip, centre = (torch.from_numpy(x[rows]).to(images.device) for x in (crops, flips, centres))
    cropped = crop_and_flip(F.pad(images, (augmentation.padding,) * 4), crop, flip, (height, width))
    return cut_out(normalised(cropped, mean, std), centre, augmentation.cutout)


def crop_and_flip(padded: torch.Tensor, corner: torch.Tensor, flip: torch.Tensor, size: tuple[int, int]
                  ) -> torch.Tensor:
    """Windows of `size` from [B, C, H', W'] at the upper left corners int64 [B, 2], mirrored where bool [B]."""
    height, width = size
    rows = corner[:, :1] + torch.arange(height, device=padded.device)
    columns = torch.arange(width, device=padded.device)
    columns = corner[:, 1:] + torch.where(flip[:, None], columns.flip(0), columns)
    image = torch.arange(len(padded), device=padded.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def cut_out(images: torch.Tensor, centre: torch.Tensor, side: int) -> torch.Tensor:
    """Set to 0 the square of this side around each centre int64 [B, 2], from centre - side // 2 on; the part outside of
    the image is lost."""
    def inside(centre: torch.Tensor, length: int) -> torch.Tensor:
        start = centre[:, None] - side // 2
        position = torch.arange(length, device=images.device)
        return (position >= start) & (position < start + side)

    hole = inside(centre[:, 0], images.shape[2])[:, :, None] & inside(centre[:, 1], images.shape[3])[:, None, :]
    return images.masked_fill(hole[:, None], 0)


def _draws(n_images: int, height: int, width: int, augmentation: Augmentation
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners [N, 2], flips [N] and centres [N, 2] of all images in one epoch; drawn anew for each batch, which costs
    less than a step of the smallest network and keeps nothing between batches."""
    rng = np.random.default_rng([augmentation.seed, _CROPS, augmentation.epoch])
    corners = rng.integers(0, 2 * augmentation.padding + 1, (n_images, 2))
    return corners, rng.random(n_images) < 0.5, rng.integers(0, (height, width), (n_images, 2))


def augment_large(image: Image, row: int, size: int, augmentation: Augmentation) -> Image:
    """Random resized crop, random flip, and jitter of brightness, contrast, saturation and hue in a random order.

    Args:
        image: RGB.
        row: which image of the set this is.
        size: side of the result.
    """
    from PIL import Image as pillow
    from PIL import ImageEnhance

    rng = np.random.default_rng([augmentation.seed, _JITTER, augmentation.epoch, row])
    image = image.resize((size, size), pillow.Resampling.BILINEAR, box=random_box(*image.size, rng))
    if rng.random() < 0.5:
        image = image.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for step in rng.permutation(len(enhancers) + 1):
        if step < len(enhancers):
            image = enhancers[step](image).enhance(rng.uniform(1 - JITTER, 1 + JITTER))
        else:
            image = turn_hue(image, rng.uniform(-HUE, HUE))
    return image


def random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, upper, right, lower of a random part: area uniform in AREA, aspect ratio log-uniform in ASPECT; after ten
    draws that do not fit, the largest central part of an allowed ratio."""
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return left, upper, left + w, upper + h
    w = min(width, round(height * ASPECT[1]))
    h = min(height, round(width / ASPECT[0]))
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h


def turn_hue(image: Image, turn: float) -> Image:
    """Turn the hue of an RGB image by a share of the colour circle."""
    from PIL import Image as pillow

    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int64) + round(turn * 255)) % 256
    hue = pillow.fromarray(turned.astype(np.uint8))
    return pillow.merge("HSV", (hue, saturation, value)).convert("RGB")


def central_crop(image: Image, shorter: int, size: int) -> Image:
    """Resize so that the shorter side is `shorter`, then cut `size` x `size` from the middle."""
    from PIL import Image as pillow

    scale = shorter / min(image.size)
    image = image.resize([max(shorter, round(side * scale)) for side in image.size], pillow.Resampling.BILINEAR)
    left, upper = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, upper, left + size, upper + size))
