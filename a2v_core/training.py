"""The pre-training loop: Adam on mini-batches of cells, several seeds side by side, resumable at every epoch.

What is random depends on the seed and the epoch alone (order of the cells, noise, dropout), so a run that resumes
after a killed epoch gives the same bits as one that was never killed.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.recipes import PretrainingSettings

#: Share of the cells that no gradient sees (§4, Appendix B).
HELD_OUT = 0.1
# Compiling costs half a minute or more, an eager step of one model some milliseconds more than a compiled one.
_STEPS_WORTH_COMPILING = 10_000


@dataclass
class TrainingState:
    """Everything that a run needs to go on after `epoch` epochs.

    Shapes: theta [S, P], running [S, Q], moment1 and moment2 (Adam's) [S, P], latent_mean and latent_std [S, N, D]
    (of the node means seen during the last epoch, in evaluation mode or not as the settings have it).
    """

    epoch: int
    theta: torch.Tensor
    running: torch.Tensor
    moment1: torch.Tensor
    moment2: torch.Tensor
    steps: int
    latent_mean: torch.Tensor
    latent_std: torch.Tensor
    history: list[dict[str, Any]] = field(default_factory=list)


def resolve_device(device: str) -> torch.device:
    """``auto`` is the first GPU where there is one, else the processor.

    Raises:
        SettingsError: torch does not know the device, or cannot reach it here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"device {device!r} cannot be used here ({str(error).splitlines()[0]}): "
                            "choose 'auto', 'cpu' or 'cuda'") from error
    return resolved


def split_cells(n_cells: int, split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training cells and of the held-out tenth (§4).

    Raises:
        SettingsError: fewer than 20 cells, of which a tenth says nothing.
    """
    if n_cells < 20:
        raise SettingsError(f"{n_cells} cells are too few to hold a tenth of them out: give at least 20")
    n_train = n_cells - round(HELD_OUT * n_cells)
    order = np.arange(n_cells)
    if split == "random":
        np.random.default_rng([seed, 1]).shuffle(order)
    return order[:n_train], order[n_train:]


def train(cells: Cells, n_operations: int, settings: PretrainingSettings, seeds: Sequence[int], *,
          device: str = "auto", compiled: bool | None = None, resume: TrainingState | None = None,
          on_epoch: Callable[[StackedAutoencoder, TrainingState], None] | None = None, progress: bool = True,
          ) -> tuple[StackedAutoencoder, TrainingState]:
    """Train one autoencoder a seed.

    Args:
        cells: all cells; the held-out tenth is left out according to ``settings.split``.
        n_operations: K.
        settings: what to train and how.
        seeds: each decides an initialisation, an order, a split and the noise of one model.
        device: see :func:`resolve_device`.
        compiled: run the step through torch.compile; None decides by the number of steps and a compiler's presence.
            Compiled and eager steps agree to rounding, not to the bit.
        resume: go on from here (the same cells, settings and seeds) in place of starting anew.
        on_epoch: called after each epoch with the models and the state, to checkpoint and to measure.
        progress: show a bar with the terms of the loss.

    Returns:
        the models and the final state. ``state.history`` has one entry an epoch: the mean terms of the loss per graph
        (operations, adjacency, KL; lists over seeds), ``train_mode``, ``compiled``, ``seconds``.
    """
    where = resolve_device(device)
    model = StackedAutoencoder(n_operations, settings, seeds, where)
    optimizer = torch.optim.Adam([model.theta], lr=settings.learning_rate, fused=True)
    rows = torch.from_numpy(np.stack([split_cells(len(cells), settings.split, seed)[0] for seed in seeds]))
    step = _Step(model, optimizer, cells, where)
    n_steps = math.ceil(rows.shape[1] / settings.batch_size)
    if compiled is None:
        compiled = (settings.epochs * n_steps * len(model.seeds) >= _STEPS_WORTH_COMPILING
                    and (where.type == "cuda" or shutil.which("g++") is not None))
    fast_loss = torch.compile(model.loss, dynamic=False) if compiled else model.loss
    state = resume or _initial_state(model, cells.ops.shape[1])
    if resume:
        _restore(model, optimizer, resume)
    with tqdm(total=settings.epochs * n_steps, initial=state.epoch * n_steps, unit="step", disable=not progress,
              desc=f"pre-training {len(model.seeds)} x {settings.encoder}", mininterval=1.0) as bar:
        for epoch in range(state.epoch, settings.epochs):
            started = time.perf_counter()
            order = _epoch_order(rows, settings, seeds, epoch)
            generators = [torch.Generator().manual_seed(_noise_seed(seed, epoch)) for seed in seeds]
            train_mode = epoch == 0 or not settings.eval_after_first_epoch
            terms = torch.zeros(len(seeds), 3, dtype=torch.float64, device=where)
            moments = torch.zeros(len(seeds), 2, cells.ops.shape[1], settings.latent, dtype=torch.float64, device=where)
            for i in range(n_steps):
                batch = order[:, i * settings.batch_size:(i + 1) * settings.batch_size]
                # The last, smaller batch would need a compiled step of its own.
                loss = fast_loss if batch.shape[1] == settings.batch_size else model.loss
                now, latent = step(loss, batch.to(where), generators, train_mode)
                terms += now * batch.shape[1]
                moments += latent
                bar.update()
                if i % 200 == 199:
                    bar.set_postfix_str("ops {:.3f} edges {:.3f} KL {:.2f}".format(
                        *(terms.mean(0) / ((i + 1) * settings.batch_size)).tolist()))
            means = (terms / rows.shape[1]).cpu()
            latent_mean, latent_std = _spread(moments.cpu(), cells, rows, settings.mask_padding)
            adam = optimizer.state[model.theta]
            state = TrainingState(
                epoch + 1, model.theta.detach().cpu().clone(), model.running.cpu().clone(),
                adam["exp_avg"].cpu().clone(), adam["exp_avg_sq"].cpu().clone(), int(adam["step"]),
                latent_mean, latent_std,
                [*state.history, {"epoch": epoch + 1, "train_mode": train_mode, "compiled": compiled,
                                  "seconds": time.perf_counter() - started, "operations": means[:, 0].tolist(),
                                  "adjacency": means[:, 1].tolist(), "kl": means[:, 2].tolist()}])
            if on_epoch:
                on_epoch(model, state)
    return model, state


class _Step:
    """One optimiser step on one batch for each model."""

    def __init__(self, model: StackedAutoencoder, optimizer: torch.optim.Adam, cells: Cells, device: torch.device):
        self.model, self.optimizer, self.settings = model, optimizer, model.settings
        self.adjacency = torch.tensor(cells.adjacency, device=device)
        self.ops = torch.tensor(cells.ops, device=device)

    def __call__(self, loss_function: Callable[..., tuple[torch.Tensor, ...]], batch: torch.Tensor,
                 generators: list[torch.Generator], train_mode: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Update the models by their batches of row numbers [S, B]; returns terms [S, 3], moments [S, 2, N, D]."""
        model, settings = self.model, self.settings
        shape = (batch.shape[1], self.ops.shape[1], settings.latent)
        noise = keep = None
        if train_mode and settings.variational:
            noise = torch.stack([torch.randn(shape, generator=g) for g in generators]).to(batch.device)
        if train_mode and settings.dropout:
            uniform = torch.stack([torch.rand(shape, generator=g) for g in generators]).to(batch.device)
            keep = (uniform >= settings.dropout).float() / (1 - settings.dropout)
        loss, terms, moments, running = loss_function(model.theta, self.adjacency[batch], self.ops[batch], noise, keep,
                                                      train_mode)
        gradient, = torch.autograd.grad(loss.sum(), model.theta)
        if settings.clip_norm:
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient = gradient * (settings.clip_norm / (norm + 1e-6)).clamp(max=1)
        model.theta.grad = gradient
        self.optimizer.step()
        if train_mode:
            model.running = running
        return terms, moments


def _epoch_order(rows: torch.Tensor, settings: PretrainingSettings, seeds: Sequence[int], epoch: int) -> torch.Tensor:
    """Training rows of each seed in the order of this epoch, [S, T]."""
    draw = epoch if settings.reshuffle else 0
    return torch.stack([row[torch.from_numpy(np.random.default_rng([seed, 2, draw]).permutation(len(row)))]
                        for row, seed in zip(rows, seeds, strict=True)])


def _noise_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, 3, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _initial_state(model: StackedAutoencoder, n_nodes: int) -> TrainingState:
    zeros = torch.zeros_like(model.theta.detach())
    shape = (len(model.seeds), n_nodes, model.settings.latent)
    return TrainingState(0, model.theta.detach().clone(), model.running.clone(), zeros, zeros, 0, torch.zeros(shape),
                         torch.ones(shape))


def _restore(model: StackedAutoencoder, optimizer: torch.optim.Adam, state: TrainingState) -> None:
    where = model.theta.device
    with torch.no_grad():
        model.theta.copy_(state.theta)
    model.running = state.running.to(where)
    if state.steps:
        optimizer.state[model.theta] = {"step": torch.tensor(float(state.steps), device=where),
                                        "exp_avg": state.moment1.to(where).clone(),
                                        "exp_avg_sq": state.moment2.to(where).clone()}


def _spread(moments: torch.Tensor, cells: Cells, rows: torch.Tensor, mask_padding: bool
            ) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the node means at each position, [S, N, D] each, from their sums."""
    if mask_padding:
        count = torch.stack([torch.from_numpy((cells.ops[row.numpy()] != PAD).sum(0)) for row in rows])
    else:
        count = torch.full((len(rows), cells.ops.shape[1]), rows.shape[1])
    count = count.clamp(min=1).unsqueeze(-1).double()
    mean = moments[:, 0] / count
    variance = (moments[:, 1] / count - mean.square()).clamp(min=0)
    return mean.float(), variance.sqrt().float()
