"""Independent tasks side by side: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from a2v_core.errors import SettingsError, StudyError


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
        StudyError: Dask gave a task up, because workers died that tried it.
    """
    if scheduler:
        return _on_cluster(scheduler, function, tasks, description)
    workers = n_jobs or min(available_processors(), max(len(tasks), 1))
    if workers == 1:
        with one_thread():
            return [function(**task) for task in tqdm(tasks, desc=description, disable=len(tasks) < 2)]
    with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1), warnings.catch_warnings():
        # A worker whose memory has grown is replaced by a new one; its task was done before.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
        results = Parallel(n_jobs=workers, return_as="generator")(delayed(function)(**task) for task in tasks)
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


def _on_cluster(scheduler: str, function: Callable[..., Any], tasks: Sequence[dict[str, Any]], description: str
                ) -> list[Any]:
    """The results from the workers of a cluster, by Dask's own client: joblib's backend for Dask can wait for ever once
    Dask has given a task up."""
    with _client(scheduler) as client, tqdm(total=len(tasks), desc=description) as bar:
        from distributed import KilledWorker, as_completed

        # Never looked up by what they are: each call has a key of its own.
        futures = [client.submit(partial(function, **task), pure=False) for task in tasks]
        place, results = {future.key: i for i, future in enumerate(futures)}, [None] * len(tasks)
        # The list must not keep a future alive whose result is here: its worker may forget it.
        waiting = as_completed(futures)
        del futures
        for future in waiting:
            try:
                results[place[future.key]] = future.result()
            except KilledWorker as error:
                raise StudyError(f"Dask gave up a task ({description or function.__name__}) since every worker that "
                                 "tried it died: see whether they have enough memory, and start again; what is "
                                 "finished is kept. The scheduler's DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES says "
                                 "how often it tries") from error
            bar.update()
        return results


def _client(scheduler: str) -> Any:
    """A client of the scheduler."""
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingsError(f"scheduler={scheduler!r} needs Dask: pip install 'a2v_core[cluster]'") from error
    try:
        return Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise SettingsError(f"no Dask scheduler answers at {scheduler!r} ({error}): start one, or leave scheduler "
                            "empty to compute here") from error
