"""Exact edit distance against networkx, one thread: OMP_NUM_THREADS=1 python benchmarks/edit_distance.py [--turns N]

For each search space: random pairs, and pairs three steps apart on a random walk; processor seconds a pair of this
package and of ``networkx.graph_edit_distance`` on the first few of the same pairs, their ratio, and how many values are
equal. networkx stops after :data:`TIMEOUT` processor seconds a pair with an upper bound; how often it did is printed,
and the ratio is then a lower bound. Last, mean exact and padded-matrix distance, and how often holding input and output
in place changes a distance. Takes some minutes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from unittest.mock import patch

import networkx as nx
import numpy as np
from record import Row, Step, Target, row, timed, write_steps

from a2v_core.cells import PAD, Cells
from a2v_core.edit_distance import edit_distance, padded_matrix_distance
from a2v_core.random_walks import lag_pairs, random_walk
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.darts import DARTS

#: Processor seconds that networkx may spend on a pair; on pairs of DARTS cells it never ends by itself.
TIMEOUT = {"nasbench101": 60, "nasbench201": 60, "darts": 10}
#: Pairs of DARTS cells that networkx is given at most.
DARTS_PAIRS = 1
#: Exact distances a second that we set out to reach.
TARGET = 1000
OURS, NETWORKX = "ours, batches of 1,000 pairs", "networkx.graph_edit_distance"
BATCH = 1000
#: Operation codes of inputs and output.
ENDS = {"nasbench101": (0, 4), "nasbench201": (0, 6), "darts": (0, 1, 10)}
WALK = 200


def graph(cells: Cells, i: int) -> nx.DiGraph:
    rows = np.flatnonzero(cells.ops[i] != PAD)
    made = nx.DiGraph()
    made.add_nodes_from((int(v), {"op": int(cells.ops[i, v])}) for v in rows)
    made.add_edges_from((int(u), int(v)) for u in rows for v in rows if cells.adjacency[i, u, v])
    return made


def by_networkx(first: Cells, second: Cells, timeout: float) -> tuple[float, float | None]:
    """Processor seconds of one pair, and its distance; None where the time was over before it was certain."""
    # networkx takes its time from perf_counter, which on a busy machine runs on while it waits.
    with patch("time.perf_counter", time.process_time):
        seconds, value = timed(lambda: nx.graph_edit_distance(
            graph(first, 0), graph(second, 0), timeout=timeout, node_match=lambda a, b: a["op"] == b["op"]))
    return seconds, None if seconds >= timeout else value


def pairs_by_kind(space: SearchSpace, n: int) -> dict[str, tuple[Cells, Cells]]:
    cells, rng = space.cells(), np.random.default_rng(0)
    i, j = rng.integers(0, len(cells), (2, n))
    walk = random_walk(space, WALK, seed=0)
    near, far, _ = lag_pairs(WALK, (3,))
    return {"random": (cells[i], cells[j]), "3 steps apart": (walk[near], walk[far])}


def compare(name: str, kind: str, first: Cells, second: Cells, turns: int) -> tuple[Row, np.ndarray]:
    """A turn is a batch of pairs for us and one pair of it for networkx. The row, and our distances."""
    edit_distance(first[:10], second[:10])
    seconds: dict[str, list[float]] = {OURS: [], NETWORKX: []}
    parts, equal, late = [], 0, 0
    n = min(turns, DARTS_PAIRS) if name == "darts" else turns
    starts = range(0, len(first), BATCH)
    for i in range(max(n, len(starts))):
        if i < len(starts):
            spent, part = timed(lambda i=i: edit_distance(first[starts[i]:][:BATCH], second[starts[i]:][:BATCH]))
            parts.append(part)
            ours = spent / len(part)
        if i < n:
            theirs, value = by_networkx(first[i], second[i], TIMEOUT[name])
            seconds[OURS].append(ours)
            seconds[NETWORKX].append(theirs)
            late += value is None
            equal += value == parts[0][i]
    same = f"{equal} of {n - late} equal"
    if late:
        same += f"; networkx was stopped at {late} of {n} after {TIMEOUT[name]} s, so the ratio is a lower bound"
    return row(f"a pair, {name}, {kind}", OURS, NETWORKX, seconds, same, unequal=True), np.concatenate(parts)


def step_of(name: str, rows: list[Row]) -> Step:
    return Step(
        f"Exact edit distance, {name}",
        "Distance between two cells as graphs with labelled nodes, against the general search of networkx, which is "
        "how the original computes it. A turn is one pair for networkx; its time differs much from pair to pair, so "
        "seconds are means and the range is over pairs.",
        "A limit of the machine: the work is a search whose number of operations depends on the pair.",
        rows, [Target(f"exact distances, {each.work.removeprefix('a pair, ')}", 1 / each.seconds, ">=", TARGET,
                      "a second") for each in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4000, help="random pairs of each space")
    parser.add_argument("--turns", type=int, default=8, help="pairs that networkx is given (default 8)")
    parser.add_argument("--spaces", nargs="+", choices=list(ENDS), default=list(ENDS), help="default: all")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    arguments = parser.parse_args()
    print(f"{'pairs':<40}{'ours, pairs/s':>15}{'networkx, s/pair':>18}{'ratio':>12}"
          f"{'mean':>7}{'padded':>8}{'ends held':>11}  values")
    steps = []
    for name in arguments.spaces:
        rows = []
        space = DARTS(20_000) if name == "darts" else get_space(name)
        for kind, (first, second) in pairs_by_kind(space, arguments.pairs).items():
            made, distance = compare(name, kind, first, second, arguments.turns)
            held = edit_distance(first, second, held=ENDS[name]) != distance
            print(f"{made.work:<40}{1 / made.seconds:>15,.0f}{made.other_seconds:>18.2f}{made.ratio:>12,.0f}"
                  f"{distance.mean():>7.2f}{padded_matrix_distance(first, second).mean():>8.2f}"
                  f"{100 * held.mean():>9.2f} %  {made.same}", flush=True)
            rows.append(made)
        steps.append(step_of(name, rows))
    write_steps(arguments.json, steps)


if __name__ == "__main__":
    main()
