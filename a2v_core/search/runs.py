"""The driver: runs of a method query cells until their budgets are spent, and what they queried is kept as one table.

The driver alone knows labels, costs and budgets. A query counts when its training is over within the simulated seconds:
the first query that would end later ends the run, as it would on a real machine, even if a cheaper one would still fit.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from a2v_core.errors import ArtifactError, SettingsError, SpaceError
from a2v_core.search.objective import Objective
from a2v_core.search.protocol import NO_CELL, Proposal, Searcher

#: Why a run ended: its queries were spent, its seconds were spent, or its searcher had nothing left to query.
ENDED_BY_QUERIES, ENDED_BY_SECONDS, ENDED_BY_ITSELF = 0, 1, 2
# What the driver's own random numbers are for; keeps them apart from those that the searcher draws from the same seed.
_REPEATS = 101
_META = b"a2v"
_BAR = "{l_bar}{bar}| {elapsed}<{remaining}"
_OF_A_RUN = {"seeds": np.int64, "counts": np.int64, "ended": np.int8}
_COLUMNS = {"run": "int32", "query": "int32", "cell": "int32", "epochs": "int32", "signal": "float64"}


@dataclass(frozen=True)
class Budget:
    """What each run may spend.

    Attributes:
        queries: number of queries, at any fidelity; None for no such bound.
        seconds: simulated seconds of training; None for no such bound.

    Raises:
        SettingsError: neither bound is given, or one is not positive.
    """

    queries: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.queries is None and self.seconds is None:
            raise SettingsError("a budget without bound never ends: give queries, seconds or both")
        if self.queries is not None and (self.queries < 1 or self.queries != int(self.queries)):
            raise SettingsError(f"budget of queries={self.queries}: give a whole number, at least 1")
        if self.seconds is not None and not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise SettingsError(f"budget of seconds={self.seconds}: give a positive number, or None for no bound")
        # One form for one budget, since it becomes part of keys.
        for name, kind in (("queries", int), ("seconds", float)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, kind(value))

    def __str__(self) -> str:
        parts = [f"{self.queries} queries" if self.queries is not None else "",
                 f"{self.seconds:,.10g} s" if self.seconds is not None else ""]
        return " and ".join(part for part in parts if part)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What R runs queried, one row a query: the runs one after the other, the queries of each in their order.

    Attributes:
        seeds: seed of each run, int64 [R], distinct.
        counts: number of queries of each run, int64 [R].
        ended: why each run ended, one of the ``ENDED_BY_…``, int8 [R].
        budget: of each run.
        cells: row of the queried cell in ``space.cells()``, int32 [sum of counts].
        epochs: for how many epochs it was trained, int32, as long.
        signal: what it paid, float64, as long.
    """

    seeds: np.ndarray
    counts: np.ndarray
    ended: np.ndarray
    budget: Budget
    cells: np.ndarray
    epochs: np.ndarray
    signal: np.ndarray

    def __len__(self) -> int:
        return len(self.seeds)

    @property
    def run(self) -> np.ndarray:
        """Place in `seeds` of each query's run, int64."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def query(self) -> np.ndarray:
        """Number of each query within its run, from 1, int64."""
        first = np.cumsum(self.counts) - self.counts
        return np.arange(len(self.cells)) - np.repeat(first, self.counts) + 1

    def to_parquet(self, provenance: Mapping[str, Any] | None = None) -> bytes:
        """A parquet file: columns run (its seed), query, cell, epochs, signal; facts of whole runs, and JSON-able
        `provenance` for whoever looks at the file, as metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        values = (self.seeds[self.run], self.query, self.cells, self.epochs, self.signal)
        meta = {"provenance": dict(provenance or {}), "budget": asdict(self.budget),
                **{name: getattr(self, name).tolist() for name in _OF_A_RUN}}
        table = pa.table({name: np.asarray(array, dtype)
                          for (name, dtype), array in zip(_COLUMNS.items(), values, strict=True)})
        buffer = io.BytesIO()
        pq.write_table(table.replace_schema_metadata({_META: json.dumps(meta)}), buffer, compression="zstd",
                       use_dictionary=["run", "epochs", "signal"], write_page_checksum=True,
                       column_encoding=dict.fromkeys(("query", "cell"), "DELTA_BINARY_PACKED"))
        return buffer.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> Trajectories:
        """Inverse of :meth:`to_parquet`.

        Raises:
            ArtifactError: the bytes are not such a file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
            meta = json.loads(table.schema.metadata[_META])
            column = {name: table[name].to_numpy() for name in _COLUMNS}
            of_run = {name: np.array(meta[name], dtype) for name, dtype in _OF_A_RUN.items()}
            if not np.array_equal(np.repeat(of_run["seeds"], of_run["counts"]), column["run"]):
                raise ValueError("its rows do not belong to its runs")
            return cls(budget=Budget(**meta["budget"]), cells=column["cell"], epochs=column["epochs"],
                       signal=column["signal"], **of_run)
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"not a table of search runs ({error}): delete the file, the runs will be made "
                                "again") from error

    @classmethod
    def concatenate(cls, parts: Sequence[Trajectories]) -> Trajectories:
        """The runs of all parts, in order.

        Raises:
            SettingsError: no parts, different budgets, or a seed that occurs twice.
        """
        if not parts or any(part.budget != parts[0].budget for part in parts):
            raise SettingsError(f"{len(parts)} tables of runs with budgets "
                                f"{sorted({str(part.budget) for part in parts})}: join runs of one budget")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts])
                  for name in ("seeds", "counts", "ended", "cells", "epochs", "signal")}
        _check_seeds(arrays["seeds"])
        return cls(budget=parts[0].budget, **arrays)


def run_searches(searcher: Searcher, objective: Objective, budget: Budget, progress: bool = True) -> Trajectories:
    """Let each run of `searcher` query `objective` until its budget is spent or it has nothing left to query.

    A cell may be queried again and costs again. Where repeats exist, each query pays one of them, drawn by a generator
    of the run's own, whatever else is in the batch. The budget may end in the middle of a proposal: the queries behind
    that point are not made, and are answered by NaN.

    Args:
        progress: show a bar of the spent share of the budget.

    Raises:
        SettingsError: the searcher was made for other candidates, or its seeds repeat or do not fit 31 bits.
        SpaceError: it proposes what is not a candidate or a fidelity of the objective.
    """
    seeds = np.array(searcher.seeds, np.int64)
    _check_seeds(seeds)
    if not np.array_equal(searcher.problem.rows, objective.rows):
        raise SettingsError(f"the searcher knows {len(searcher.problem.rows)} candidates that are not the "
                            f"{len(objective)} of {objective.name}: make it for objective.problem()")
    limit = math.inf if budget.queries is None else budget.queries
    seconds = math.inf if budget.seconds is None else budget.seconds
    r, repeats = len(seeds), _Repeats(objective, seeds)
    done, spent, active = np.zeros(r, np.int64), np.zeros(r), np.ones(r, bool)
    ended = np.full(r, ENDED_BY_ITSELF, np.int8)
    made: list[_Queries] = []
    with tqdm(total=r, desc=objective.name, disable=not progress, bar_format=_BAR) as bar:
        while active.any():
            proposal = searcher.propose(active.copy())
            cells, fidelity = _checked(proposal, objective, r, active)
            asked = (cells != NO_CELL) & active[:, None]
            cost = np.where(asked, objective.seconds[fidelity, cells], 0.0)
            # One addition after the other: the same sums however the queries are cut into proposals.
            clock = np.cumsum(np.column_stack([spent, cost]), axis=1)[:, 1:]
            number = done[:, None] + np.cumsum(asked, axis=1)
            counted = asked & (number <= limit) & (clock <= seconds)
            signal = np.full(cells.shape, np.nan)
            run, place = np.nonzero(counted)
            signal[run, place] = repeats.draw(run, number[run, place], cells[run, place], fidelity[run, place])
            made.append(_Queries(run, cells[run, place], fidelity[run, place], signal[run, place]))
            searcher.observe(proposal, signal)

            done += counted.sum(1)
            spent = np.where(counted, clock, spent[:, None]).max(1)
            refused = (asked & ~counted).any(1)
            ended[active & (refused | (spent >= seconds))] = ENDED_BY_SECONDS
            ended[active & (done >= limit)] = ENDED_BY_QUERIES
            active = active & asked.any(1) & ~refused & (done < limit) & (spent < seconds)
            bar.update(float(np.where(active, np.maximum(done / limit, spent / seconds), 1.0).sum()) - bar.n)

    every = _Queries(*(np.concatenate(parts) for parts in zip(*made, strict=True)))
    order = np.argsort(every.run, kind="stable")
    return Trajectories(seeds, done, ended, budget, objective.rows[every.cell[order]].astype(np.int32),
                        np.array(objective.epochs, np.int32)[every.fidelity[order]], every.signal[order])


class _Queries(NamedTuple):
    """Queries that were made, [n] each: place of the run in the batch, candidate, fidelity, what was paid."""

    run: np.ndarray
    cell: np.ndarray
    fidelity: np.ndarray
    signal: np.ndarray


class _Repeats:
    """Which repeat each query pays: one uniform number a query, from a generator for each run."""

    def __init__(self, objective: Objective, seeds: np.ndarray) -> None:
        self._signal = objective.signal
        self._generators = [np.random.default_rng([int(seed), _REPEATS]) for seed in seeds]
        self._numbers = np.empty((len(seeds), 0))

    def draw(self, run: np.ndarray, number: np.ndarray, cell: np.ndarray, fidelity: np.ndarray) -> np.ndarray:
        """What the queries pay, float64 [n]; all arguments int64 [n], `number` counts a run's queries from 1."""
        labels = self._signal[fidelity, :, cell]
        if labels.shape[1] == 1:
            return labels[:, 0]
        while len(number) and number.max() > self._numbers.shape[1]:
            more = np.stack([generator.random(256) for generator in self._generators])
            self._numbers = np.concatenate([self._numbers, more], axis=1)
        exists = ~np.isnan(labels)
        wanted = (self._numbers[run, number - 1] * exists.sum(1)).astype(np.int64)
        repeat = np.argmax(exists & (np.cumsum(exists, axis=1) == wanted[:, None] + 1), axis=1)
        return labels[np.arange(len(run)), repeat]


def _checked(proposal: Proposal, objective: Objective, n_runs: int, active: np.ndarray
             ) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and fidelities of a proposal, int64 [R, k] each; the proposals of ended runs are replaced by none."""
    cells, top = np.asarray(proposal.cells), len(objective.epochs) - 1
    fidelity = np.full(cells.shape, top) if proposal.fidelity is None else np.asarray(proposal.fidelity)
    if cells.ndim != 2 or len(cells) != n_runs or fidelity.shape != cells.shape:
        raise SpaceError(f"a proposal has cells {cells.shape} and fidelities {fidelity.shape}: both must be "
                         f"[{n_runs}, k]")
    if cells.dtype.kind != "i" or fidelity.dtype.kind != "i":
        raise SpaceError(f"a proposal has cells of {cells.dtype} and fidelities of {fidelity.dtype}: both must be "
                         "integers")
    cells = np.where(active[:, None], cells, NO_CELL)
    fidelity = np.where(cells == NO_CELL, top, fidelity)
    for name, values, low, high in (("candidate", cells, NO_CELL, len(objective) - 1), ("fidelity", fidelity, 0, top)):
        if ((values < low) | (values > high)).any():
            wrong = values[(values < low) | (values > high)][0]
            raise SpaceError(f"{name} {wrong} is proposed, but {objective.name} has 0…{high}: the searcher is "
                             "wrong, or was made for another objective")
    return cells, fidelity


def _check_seeds(seeds: np.ndarray) -> None:
    if not len(seeds) or seeds.min() < 0 or seeds.max() >= 2**31 or len(np.unique(seeds)) < len(seeds):
        raise SettingsError(f"seeds {seeds[:5].tolist()}… of {len(seeds)} runs: give each run its own, from 0 to "
                            "2147483647, and at least one")
