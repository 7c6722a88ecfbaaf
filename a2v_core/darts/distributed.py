"""Several processes that train one network, started by torch's own launcher.

``torchrun --nproc-per-node N -m a2v_core darts train …`` starts N processes and tells each its number in the
environment; without it there is one process and nothing here costs anything. GPUs talk over NCCL, processors over Gloo.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from a2v_core.errors import A2VError, SettingsError
from a2v_core.training import resolve_device


@dataclass(frozen=True)
class Group:
    """The processes of a training and the place of this one among them.

    Attributes:
        rank: number of this process.
        size: number of processes.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()

    def first_alone(self, action: Callable[[], object]) -> None:
        """Run `action` in the first process before any goes on. Where it fails there on purpose, the others end without
        a word, so that a user reads one message.

        Raises:
            A2VError: what `action` raised, in the first process.
            SystemExit: in the others then.
        """
        problem = None
        if self.is_first:
            try:
                action()
            except A2VError as error:
                problem = error
        failed = self.total(torch.tensor(float(problem is not None), device=self.device))
        if problem:
            raise problem
        if failed:
            raise SystemExit(1)

    def copy_buffers(self, network: nn.Module) -> None:
        """Give every process the running statistics of the first one."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def share(self, batches: list[np.ndarray]) -> list[np.ndarray]:
        """The part of each batch of row numbers that is this process's: equal parts, the first ones larger by one row
        where they do not come out even."""
        return [np.array_split(rows, self.size)[self.rank] for rows in batches]

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network so wrapped that gradients are averaged over the processes. On GPUs batch normalisation takes its
        statistics over the whole batch, as with one process; on processors, where torch has no such layer, over the
        part of the batch that a process sees."""
        if self.size == 1:
            return network
        if self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
            return nn.parallel.DistributedDataParallel(network, device_ids=[self.device.index])
        return nn.parallel.DistributedDataParallel(network)


@contextmanager
def process_group(device: str) -> Iterator[Group]:
    """Join the processes that torchrun has started, or be the only one; inside of such a block, the same group again.

    Args:
        device: see :func:`a2v_core.training.resolve_device`; with several processes each takes the GPU of its number.

    Raises:
        SettingsError: the device cannot be used, or there are fewer GPUs than processes on this machine.
    """
    size, rank, local = (int(os.environ.get(name, default)) for name, default in
                         (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0")))
    where = resolve_device(device)
    if size == 1:
        yield Group(0, 1, where)
        return
    if where.type == "cuda":
        if local >= torch.cuda.device_count():
            raise SettingsError(f"process {local} of this machine has no GPU, {torch.cuda.device_count()} are visible: "
                                "start one process a GPU (torchrun --nproc-per-node)")
        where = torch.device("cuda", local)
        torch.cuda.set_device(where)
    if dist.is_initialized():
        yield Group(rank, size, where)
        return
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield Group(rank, size, where)
    finally:
        dist.destroy_process_group()
