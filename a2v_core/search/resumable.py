"""A search that goes on where it was stopped.

A run is decided by its seed and its answers, so the rounds that were made need not be computed again: what was proposed
is proposed again, the objective gives the same answers, and the searcher itself goes on from its state after the last
round that was kept.
"""

from __future__ import annotations

import io
import pickle
import time
import warnings
from typing import Any

import numpy as np

from a2v_core.artifacts import ArtifactStore
from a2v_core.search.protocol import Problem, Proposal, Searcher

#: Seconds of work that a killed search loses at most, beside the round that it is in.
SECONDS_BETWEEN = 120.0
_KIND, _SUFFIX = "checkpoints", ".pickle"


class Resumable(Searcher):
    """A searcher whose state is kept in a store from time to time, and taken up from there.

    Searches that end before :data:`SECONDS_BETWEEN` keep nothing. A searcher that cannot be pickled is run without.

    Args:
        searcher: new, before its first round.
        store: where the state is kept; only ever read what you trust from there, a pickle can run any code.
        key: of the block of runs; it holds all that the runs depend on, the code included.
    """

    def __init__(self, searcher: Searcher, store: ArtifactStore, key: str) -> None:
        super().__init__(searcher.problem, searcher.seeds)
        self._searcher, self._store, self._key = searcher, store, key
        self._made: list[Proposal] = []
        content = store.load_bytes(_KIND, key, _SUFFIX)
        if content is not None:
            try:
                self._made, state = _Unpickler(io.BytesIO(content), self.problem).load()
                vars(searcher).update(state)
            except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError, TypeError,
                    ValueError) as error:
                # As of another version of a library: the state is a cache of what can be computed.
                warnings.warn(f"{store.path(_KIND, key, _SUFFIX)} is unreadable ({error}); computing it again",
                              stacklevel=2)
        self._past, self._round, self._kept = len(self._made), 0, time.monotonic()

    def propose(self, active: np.ndarray) -> Proposal:
        if self._round == len(self._made):
            self._made.append(self._searcher.propose(active))
        self._round += 1
        return self._made[self._round - 1]

    def observe(self, proposal: Proposal, signal: np.ndarray) -> None:
        if self._round > self._past:
            self._searcher.observe(proposal, signal)
            if time.monotonic() - self._kept >= SECONDS_BETWEEN:
                self._keep()

    def _keep(self) -> None:
        state = {name: value for name, value in vars(self._searcher).items() if name != "problem"}
        buffer = io.BytesIO()
        try:
            _Pickler(buffer, self.problem).dump((self._made, state))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            warnings.warn(f"{type(self._searcher).__name__} cannot be pickled ({error}): if it is stopped, this block "
                          "of runs begins anew", stacklevel=2)
            self._kept = np.inf
            return
        self._store.save_bytes(_KIND, self._key, _SUFFIX, buffer.getvalue())
        self._kept = time.monotonic()


def forget(store: ArtifactStore, key: str) -> None:
    """Remove the state of a block whose runs are kept by now."""
    if store.path(_KIND, key, _SUFFIX).exists():
        store.remove(_KIND, key)


class _Pickler(pickle.Pickler):
    """Leaves out the problem and what it holds."""

    def __init__(self, file: io.BytesIO, problem: Problem) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = {id(value): name for name, value in _parts(problem).items()}

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    """Inverse of :class:`_Pickler`."""

    def __init__(self, file: io.BytesIO, problem: Problem) -> None:
        super().__init__(file)
        self._parts = _parts(problem)

    def persistent_load(self, pid: str) -> Any:
        return self._parts[pid]


def _parts(problem: Problem) -> dict[str, Any]:
    return {"problem": problem, "space": problem.space, "cells": problem.cells, "rows": problem.rows} | (
        {} if problem.features is None else {"features": problem.features})
