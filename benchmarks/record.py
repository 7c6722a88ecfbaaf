"""What the benchmarks share: ways of doing one thing, timed in turns, and the rows of ``book/performance.json``.

Times are processor time: equal to wall time on an idle machine, and fair on a busy one, except that others use the
caches as well. A ratio is taken within a turn, between ways that ran one after the other, so that a change of the
machine between turns cancels. :mod:`a2v_core.performance` renders what is written here.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Least processor seconds of a turn: a fast way is called until they are over.
TURN_SECONDS = 0.1


@dataclass(frozen=True)
class Limit:
    """What the machine needs at least: `seconds` for the same work, and `what` was counted."""

    what: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """Our way against another.

    Attributes:
        work: what the seconds are of.
        ours, other: names of the two ways; no `other` where ours was timed alone.
        seconds, other_seconds: median over the turns (mean where the turns are not of the same work).
        ratio, least, greatest: seconds of the other way over ours, and the range over the turns.
        turns: how many.
        same: what the results have in common.
        limit: of the machine, for our way.
    """

    work: str
    ours: str
    seconds: float
    turns: int
    other: str = ""
    other_seconds: float | None = None
    ratio: float | None = None
    least: float | None = None
    greatest: float | None = None
    same: str = ""
    limit: Limit | None = None


@dataclass(frozen=True)
class Target:
    """A number that we set out to reach: `value` should be `sign` ("<=" or ">=") `target`, both in `unit`."""

    what: str
    value: float
    sign: str
    target: float
    unit: str


@dataclass(frozen=True)
class Step:
    """One section of the page: what is compared, its rows and targets, and what was not measured."""

    title: str
    compared: str
    not_measured: str
    rows: list[Row]
    targets: list[Target] = field(default_factory=list)


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds and the result."""
    started = time.process_time()
    result = run()
    return time.process_time() - started, result


def in_turns(ways: Mapping[str, Callable[[], Any]], turns: int, per: Mapping[str, int] | None = None
             ) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds of each way in each turn, divided by `per` (items of a call, 1 where not named), and its result. One
    call of each warms up; in a turn each is called until :data:`TURN_SECONDS` are over."""
    results = {name: run() for name, run in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, run in ways.items():
            calls, taken = 0, 0.0
            while taken < TURN_SECONDS:
                taken += timed(run)[0]
                calls += 1
            seconds[name].append(taken / calls / (per or {}).get(name, 1))
    return seconds, results


def row(work: str, ours: str, other: str, seconds: Mapping[str, Sequence[float]], same: str = "",
        limit: Limit | None = None, unequal: bool = False) -> Row:
    """A row from the seconds of both ways by turn.

    Args:
        unequal: turns are of different work (one pair of cells each, say): means take the place of medians.
    """
    mine, theirs = (np.array(seconds[name]) for name in (ours, other))
    by_turn, middle = theirs / mine, np.mean if unequal else np.median
    ratio = theirs.mean() / mine.mean() if unequal else np.median(by_turn)
    return Row(work, ours, float(middle(mine)), len(mine), other, float(middle(theirs)), float(ratio),
               float(by_turn.min()), float(by_turn.max()), same, limit)


def alone(work: str, ours: str, seconds: Sequence[float], limit: Limit | None = None) -> Row:
    """A row of our way with nothing beside it."""
    return Row(work, ours, statistics.median(seconds), len(seconds), limit=limit)


def multiply_rate(turns: int = 7) -> float:
    """Floating-point operations a second of torch's product of two float32 matrices of 1024 x 1024, on this thread."""
    import torch

    a, b = torch.randn(2, 1024, 1024)
    seconds, _ = in_turns({"": lambda: a @ b}, turns)
    return 2 * 1024**3 / min(seconds[""])


def read_rate(turns: int = 7) -> float:
    """Bytes a second that numpy reads in the product of a float32 vector of 256 MB with itself, on this thread."""
    x = np.ones(64 * 2**20, np.float32)
    seconds, _ = in_turns({"": lambda: x @ x}, turns)
    return x.nbytes / min(seconds[""])


def machine_limit(operations: float, read: float = 0.0) -> Limit:
    """The longer of the times that floating-point operations and bytes need at the rates of this machine."""
    by_rate, by_bytes = operations / (flops := multiply_rate()), read / (rate := read_rate()) if read else 0.0
    if by_rate >= by_bytes:
        return Limit(f"{operations / 1e6:,.3g} million floating-point operations at {flops / 1e9:.0f} GFLOP/s", by_rate)
    return Limit(f"reading {read / 1e6:,.3g} MB at {rate / 1e9:.1f} GB/s", by_bytes)


def write_steps(path: Path | None, steps: Sequence[Step]) -> None:
    """The steps as JSON; nothing where there is no path."""
    if path:
        path.write_text(json.dumps([asdict(step) for step in steps], indent=1, allow_nan=False) + "\n")
