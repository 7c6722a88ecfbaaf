"""What a training costs: multiply-adds of all steps, and GPU-days at a throughput that published times imply.

A training image costs three forward passes (one forward, two backward). Validation, the auxiliary classifier and the
loading of images are left out; the throughput, which is taken from the times of whole trainings, absorbs them.
"""

from __future__ import annotations

from a2v_core.darts.training_recipes import TrainingSettings

#: Multiply-adds a second that Table 4 implies: its 1.2 and 1.3 GPU-days for the final training of arch2vec-RL and
#: arch2vec-BO are 4.4e11 and 4.5e11, its 100 queries 4.8e11 (Liu et al. 2019 state 1.5 days, 3.7e11).
TABLE4_THROUGHPUT = 4.5e11
#: Training images of the data sets.
N_IMAGES = {"cifar10": 50_000, "imagenet": 1_281_167}
_PASSES = 3
_SECONDS_PER_DAY = 86_400


def training_multiply_adds(multiply_adds: float, settings: TrainingSettings, n_images: int) -> float:
    """Multiply-adds of a whole training.

    Args:
        multiply_adds: of one image through the network.
        settings: how it is trained; the held-out images are not trained on.
        n_images: training images of the data set.
    """
    used = settings.images or n_images
    trained = used - round(used * settings.held_out)
    return float(multiply_adds) * _PASSES * trained * settings.epochs


def implied_throughput(multiply_adds: float, settings: TrainingSettings, n_images: int, gpu_days: float) -> float:
    """Multiply-adds a second of a GPU that took `gpu_days` for a training; other arguments as in
    :func:`training_multiply_adds`."""
    return training_multiply_adds(multiply_adds, settings, n_images) / (gpu_days * _SECONDS_PER_DAY)


def gpu_days(multiply_adds: float, settings: TrainingSettings, n_images: int,
             throughput: float = TABLE4_THROUGHPUT) -> float:
    """Days that a GPU of this throughput (multiply-adds a second) needs; other arguments as in
    :func:`training_multiply_adds`."""
    return training_multiply_adds(multiply_adds, settings, n_images) / throughput / _SECONDS_PER_DAY
