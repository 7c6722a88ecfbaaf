"""Exact edit distance against networkx, one thread: OMP_NUM_THREADS=1 python benchmarks/edit_distance.py [--pairs N]

For each search space: random pairs, and pairs three steps apart on a random walk; processor seconds a pair of this
package and of ``networkx.graph_edit_distance`` on the first few of the same pairs, their ratio, and how many values are
equal. networkx stops after :data:`TIMEOUT` seconds of wall time a pair with an upper bound; how often it did is
printed, and the ratio is then a lower bound. Last, mean exact and padded-matrix distance, and how often holding input
and output in place changes a distance. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import time

import networkx as nx
import numpy as np

from a2v_core.cells import PAD, Cells
from a2v_core.edit_distance import edit_distance, padded_matrix_distance
from a2v_core.random_walks import lag_pairs, random_walk
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.darts import DARTS

#: Seconds that networkx may spend on a pair, and pairs that it is given.
TIMEOUT, NETWORKX_PAIRS = 60, {"nasbench101": 8, "nasbench201": 6, "darts": 2}
#: Operation codes of inputs and output.
ENDS = {"nasbench101": (0, 4), "nasbench201": (0, 6), "darts": (0, 1, 10)}
WALK = 200


def graph(cells: Cells, i: int) -> nx.DiGraph:
    rows = np.flatnonzero(cells.ops[i] != PAD)
    made = nx.DiGraph()
    made.add_nodes_from((int(v), {"op": int(cells.ops[i, v])}) for v in rows)
    made.add_edges_from((int(u), int(v)) for u in rows for v in rows if cells.adjacency[i, u, v])
    return made


def by_networkx(first: Cells, second: Cells, n: int) -> tuple[float, np.ndarray, int]:
    """Processor seconds a pair, values, and how many pairs ran into the timeout."""
    started, values, late = time.process_time(), [], 0
    for i in range(n):
        begun = time.perf_counter()
        values.append(nx.graph_edit_distance(graph(first, i), graph(second, i), timeout=TIMEOUT,
                                             node_match=lambda a, b: a["op"] == b["op"]))
        late += time.perf_counter() - begun >= TIMEOUT
    return (time.process_time() - started) / n, np.array(values), late


def pairs_by_kind(space: SearchSpace, n: int) -> dict[str, tuple[Cells, Cells]]:
    cells, rng = space.cells(), np.random.default_rng(0)
    i, j = rng.integers(0, len(cells), (2, n))
    walk = random_walk(space, WALK, seed=0)
    near, far, _ = lag_pairs(WALK, (3,))
    return {"random": (cells[i], cells[j]), "3 steps apart": (walk[near], walk[far])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4000, help="random pairs of each space")
    n = parser.parse_args().pairs
    print(f"{'space':<13}{'pairs':<15}{'ours, pairs/s':>15}{'networkx, s/pair':>18}{'ratio':>12}{'equal':>8}"
          f"{'timeout':>9}{'mean':>7}{'padded':>8}{'ends held':>11}")
    for name in ("nasbench101", "nasbench201", "darts"):
        space = DARTS(20_000) if name == "darts" else get_space(name)
        for kind, (first, second) in pairs_by_kind(space, n).items():
            edit_distance(first[:10], second[:10])
            started = time.process_time()
            distance = edit_distance(first, second)
            ours = (time.process_time() - started) / len(first)
            theirs, values, late = by_networkx(first, second, NETWORKX_PAIRS[name])
            equal = int((values == distance[:len(values)]).sum())
            held = edit_distance(first, second, held=ENDS[name]) != distance
            print(f"{name:<13}{kind:<15}{1 / ours:>15,.0f}{theirs:>18.2f}{theirs / ours:>12,.0f}"
                  f"{equal:>5}/{len(values)}{late:>9}{distance.mean():>7.2f}"
                  f"{padded_matrix_distance(first, second).mean():>8.2f}{100 * held.mean():>9.2f} %", flush=True)


if __name__ == "__main__":
    main()
