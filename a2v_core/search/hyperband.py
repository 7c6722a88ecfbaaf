"""The schedule of Hyperband: which evaluation comes when, and how many configurations survive each rung.

A bracket of successive halving evaluates n configurations at a low fidelity, keeps the best 1/eta of them, evaluates
those again at the next fidelity, and so on to the full training. Hyperband repeats a cycle of brackets, the one that
starts lowest first. The schedule knows no configurations and no values: it is the same in every run, so that many runs
follow one schedule, each at its own place in it.

A level is a place in the list of fidelities, 0 for the lowest. Where each fidelity is eta times the one before (4, 12,
36, 108 epochs, eta = 3) the rungs of a bracket cost the same; elsewhere eta still says what share survives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from a2v_core.errors import SettingsError

#: How the size of a bracket is rounded: n = floor((S+1) / (s+1)) eta^s, as the program HpBandSter has it and as in the
#: table of Hyperband's first version; or n = ceil((S+1) / (s+1) eta^s), as in Li et al. (2018), Algorithm 1, and in
#: Falkner et al. (2018), Algorithm 1.
ROUNDINGS = ("floor", "ceil")


class Bracket(NamedTuple):
    """One run of successive halving.

    Attributes:
        levels: of each rung, ascending.
        sizes: number of configurations evaluated in each rung.
    """

    levels: tuple[int, ...]
    sizes: tuple[int, ...]


def brackets(n_levels: int, eta: int = 3, rounding: str = "ceil") -> tuple[Bracket, ...]:
    """One cycle of Hyperband: bracket s = S, S-1, …, 0 with s + 1 rungs, where S + 1 is the number of levels.

    Rung i of bracket s holds max(1, floor(n eta^-i)) configurations, n by :data:`ROUNDINGS`.

    Raises:
        SettingsError: no level, eta below 2 or not whole, or an unknown rounding.
    """
    if n_levels < 1 or eta < 2 or eta != int(eta):
        raise SettingsError(f"Hyperband with {n_levels} levels and eta={eta}: give at least one level and a "
                            "whole eta, at least 2")
    if rounding not in ROUNDINGS:
        raise SettingsError(f"rounding {rounding!r} is unknown: choose one of {', '.join(ROUNDINGS)}")
    cycle = []
    for s in reversed(range(n_levels)):
        n = n_levels // (s + 1) * eta**s if rounding == "floor" else -(-n_levels * eta**s // (s + 1))
        sizes = tuple(max(1, n // eta**i) for i in range(s + 1))
        cycle.append(Bracket(tuple(range(n_levels - s - 1, n_levels)), sizes))
    return tuple(cycle)


class Schedule:
    """A cycle laid out as the list of its T evaluations, in the order of one worker: rung after rung.

    Attributes:
        level: of each evaluation, int64 [T].
        place: its place within its rung, from 0, int64 [T].
        is_new: whether it takes a new configuration (first rung) or a survivor of the rung before, bool [T].
        survivors: how many of the rung survive once this evaluation is done, int64 [T]: 0 before a rung's last
            evaluation, and in the last rung of a bracket.
        width: size of the largest rung.
    """

    def __init__(self, n_levels: int, eta: int = 3, rounding: str = "ceil") -> None:
        level, place, is_new, survivors = [], [], [], []
        for bracket in brackets(n_levels, eta, rounding):
            following = (*bracket.sizes[1:], 0)
            for i, (at, size) in enumerate(zip(bracket.levels, bracket.sizes, strict=True)):
                level += [at] * size
                place += range(size)
                is_new += [i == 0] * size
                survivors += [0] * (size - 1) + [following[i]]
        self.level, self.place, self.survivors = (np.array(x, np.int64) for x in (level, place, survivors))
        self.is_new = np.array(is_new, bool)
        self.width = int(self.place.max()) + 1

    def __len__(self) -> int:
        return len(self.level)


def survivors(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the `k` highest of `values` [n], ascending: who survives a rung, in the order of evaluation. Of equal
    values the earlier one survives."""
    return np.sort(np.argsort(-values, kind="stable")[:k])
