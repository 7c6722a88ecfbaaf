"""Independent tasks side by side: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from a2v_core.errors import SettingsError


def available_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(function: Callable[..., Any], tasks: Sequence[dict[str, Any]], *, scheduler: str = "",
              n_jobs: int | None = None, description: str = "") -> list[Any]:
    """Results of ``function(**task)`` in the order of `tasks`.

    Args:
        function: importable by name, so that another process can call it.
        tasks: keyword arguments of each call.
        scheduler: address of a Dask scheduler (``tcp://host:port``); empty for local processes.
        n_jobs: local processes; None takes one a processor. Each computes on one thread.
        description: what the progress bar says.

    Raises:
        SettingsError: the scheduler cannot be reached, or Dask is not installed.
    """
    workers = n_jobs or min(available_processors(), max(len(tasks), 1))
    if not scheduler and workers == 1:
        with one_thread():
            return [function(**task) for task in tqdm(tasks, desc=description, disable=len(tasks) < 2)]
    with _backend(scheduler, workers):
        # Dask decides itself how many run at once.
        pool = Parallel(n_jobs=-1 if scheduler else workers, return_as="generator")
        results = pool(delayed(function)(**task) for task in tasks)
        return list(tqdm(results, total=len(tasks), desc=description))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch, where it is loaded, and for the libraries of numpy: the bits of a sum depend on it."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


@contextmanager
def _backend(scheduler: str, workers: int) -> Iterator[None]:
    if not scheduler:
        with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1), warnings.catch_warnings():
            # A worker whose memory has grown is replaced by a new one; its task was done before.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingsError(f"scheduler={scheduler!r} needs Dask: pip install 'a2v_core[cluster]'") from error
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise SettingsError(f"no Dask scheduler answers at {scheduler!r} ({error}): start one, or leave scheduler "
                            "empty to compute here") from error
    with client, parallel_config("dask"):
        yield
