"""NAS-Bench-101's pruning, validity and module hash for one cell in plain Python, written from their definitions: the
way that handles one cell at a time, to time ours against."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from a2v_core.spaces.nasbench101 import NASBench101

MAX_EDGES, INPUT, OUTPUT = 9, 0, 4


def prune(matrix: list[list[int]], ops: Sequence[int]) -> tuple[list[list[int]], list[int]] | None:
    """The cell without the vertices that are on no path from the first to the last one; None without a path."""
    def reached(start: int, next_of: Sequence[Sequence[int]]) -> set[int]:
        seen, open_ = {start}, [start]
        while open_:
            new = {v for v, edge in enumerate(next_of[open_.pop()]) if edge} - seen
            seen |= new
            open_ += new
        return seen

    last = len(ops) - 1
    kept = sorted(reached(0, matrix) & reached(last, list(zip(*matrix, strict=True))))
    if 0 not in kept or last not in kept:
        return None
    return [[matrix[u][v] for v in kept] for u in kept], [ops[v] for v in kept]


def is_valid(matrix: list[list[int]], ops: Sequence[int]) -> bool:
    """The rule of the official interface, for a strictly upper triangular matrix."""
    pruned = prune(matrix, ops)
    if pruned is None:
        return False
    kept, labels = pruned
    return (sum(map(sum, kept)) <= MAX_EDGES and labels[0] == INPUT and labels[-1] == OUTPUT
            and all(INPUT < label < OUTPUT for label in labels[1:-1]))


def module_hash(matrix: list[list[int]], ops: Sequence[int]) -> str:
    """The module hash of a cell as it is."""
    labels, nodes = [NASBench101.hash_labels[op] for op in ops], range(len(ops))
    before = [[u for u in nodes if matrix[u][v]] for v in nodes]
    after = [[w for w in nodes if matrix[v][w]] for v in nodes]
    state = [_digest(str((len(after[v]), len(before[v]), labels[v]))) for v in nodes]
    for _ in nodes:
        state = [_digest("|".join(("".join(sorted(state[u] for u in before[v])),
                                   "".join(sorted(state[w] for w in after[v])), state[v]))) for v in nodes]
    return _digest(str(sorted(state)))


def _digest(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
