"""Processor time of the search spaces: `OMP_NUM_THREADS=1 python benchmarks/spaces.py [--whole] [--json PATH]`.

Prints one row a task: cells, processor seconds (best of the repeats) and cells a second. `--whole` also hashes all of
NAS-Bench-101, which takes half a minute. `--json` times enumeration and hashing alone, the latter against plain Python
and networkx. The decoded cells are members of a space with a twentieth of their
edges and operations drawn anew, so that valid, prunable and invalid ones occur.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import plain_cells
from record import Step, alone, in_turns, row, write_steps

from a2v_core.cells import PAD, Cells
from a2v_core.hashing import module_hash
from a2v_core.spaces import get_space, space_names
from a2v_core.spaces.base import SearchSpace
from a2v_core.spaces.nasbench101 import NASBench101
from a2v_core.spaces.nasbench101_enumeration import enumerate_cells
from a2v_core.spaces.nasbench101_parameters import trainable_parameters

DECODES, REPEATS, CHANGED, FEW = 10_000, 3, 0.05, 300


def measure(task: str, count: int, run: Callable[[], object], repeats: int = REPEATS) -> None:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    print(f"{task:<58}{count:>9,}{min(seconds):>10.3f}{count / max(min(seconds), 1e-9):>14,.0f}", flush=True)


def decoded(space: SearchSpace, pool: Cells) -> Cells:
    """What a decoder may give: unpadded matrices near members of the space."""
    rng = np.random.default_rng(0)
    cells = pool[rng.integers(0, len(pool), DECODES)]
    flips = np.triu(rng.random(cells.adjacency.shape) < CHANGED, 1).astype(np.uint8)
    drawn = rng.integers(0, len(space.vocabulary), cells.ops.shape, np.uint8)
    ops = np.where(cells.ops == PAD, np.uint8(len(space.vocabulary) - 1), cells.ops)
    return Cells(cells.adjacency ^ flips, np.where(rng.random(ops.shape) < CHANGED, drawn, ops).astype(np.uint8))


def judge(space: SearchSpace, cells: Cells) -> None:
    """Both definitions of validity and of uniqueness, as Table 1 needs them."""
    np.unique(space.keys(cells[space.is_valid(cells)]))
    np.unique(space.released_keys(cells[space.released_is_valid(cells)]))


def compare_hashing(turns: int) -> Step:
    """Enumeration, and the module hash of a sample in three ways."""
    found = enumerate_cells()
    cells = found[np.random.default_rng(0).permutation(len(found))[:DECODES]]
    n_nodes = (cells.ops != PAD).sum(1)
    few = [(cells.adjacency[i, :n, :n], cells.ops[i, :n].tolist()) for i, n in enumerate(n_nodes[:FEW])]
    graphs = [nx.from_numpy_array(matrix, create_using=nx.DiGraph) for matrix, _ in few]
    for graph, (_, ops) in zip(graphs, few, strict=True):
        nx.set_node_attributes(graph, dict(enumerate(map(str, ops))), "op")
    lists = [(matrix.tolist(), ops) for matrix, ops in few]
    ours, plain, library = "ours, all cells together", "plain Python, a cell at a time", (
        "networkx.weisfeiler_lehman_graph_hash, as many rounds")
    seconds, hashes = in_turns({
        ours: lambda: module_hash(cells, NASBench101.hash_labels),
        plain: lambda: [plain_cells.module_hash(*cell) for cell in lists],
        library: lambda: [nx.weisfeiler_lehman_graph_hash(graph, node_attr="op", iterations=len(graph))
                          for graph in graphs]}, turns, {ours: DECODES, plain: FEW, library: FEW})
    same = "equal" if [key.decode() for key in hashes[ours][:FEW]] == hashes[plain] else "DIFFERENT"
    whole, _ = in_turns({"": enumerate_cells}, turns)
    return Step(
        "Enumerating and hashing NAS-Bench-101",
        f"The list of all {len(found):,} cells, and the module hash by which the benchmark knows a cell. The original "
        "relies on the benchmark's own code, which does both in plain Python. networkx's hash is one of the same kind "
        "with other values, on graphs that were made beforehand. Ours is of a sample; the more cells are hashed "
        "together, the more of the work they share.",
        "The other way of enumerating; a limit of the machine: the work is hashing, not arithmetic.",
        [row("a cell's hash", ours, plain, seconds, same),
         row("a cell's hash", ours, library, seconds, "not comparable: another hash"),
         alone("enumeration of the space, without hashes", "ours, all matrices together", whole[""])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="hash all of NAS-Bench-101 as well")
    parser.add_argument("--turns", type=int, default=5, help="turns of each way of hashing (default 5)")
    parser.add_argument("--json", type=Path, help="write enumeration and hashing here, and leave out the rest")
    arguments = parser.parse_args()
    if arguments.json:
        write_steps(arguments.json, [compare_hashing(arguments.turns)])
        return
    print(f"{'task':<58}{'cells':>9}{'seconds':>10}{'cells/s':>14}")
    cells = enumerate_cells()
    measure("nasbench101: enumerate", len(cells), enumerate_cells)
    measure("nasbench101: trainable parameters", len(cells), lambda: trainable_parameters(cells))
    measure("nasbench101: validity", len(cells), lambda: NASBench101().is_valid(cells))
    sample = cells[np.random.default_rng(0).permutation(len(cells))[:DECODES]]
    measure("nasbench101: module hash of a sample", DECODES, lambda: module_hash(sample, NASBench101.hash_labels))
    if arguments.whole:
        measure("nasbench101: module hash of the space", len(cells),
                lambda: module_hash(cells, NASBench101.hash_labels), repeats=1)
    for name in space_names():
        space = get_space(name)
        pool = cells if name == "nasbench101" else space.cells()
        batch = decoded(space, pool)
        share = space.is_valid(batch).mean()
        measure(f"{name}: both validities and keys, {share:.0%} valid", DECODES,
                lambda space=space, batch=batch: judge(space, batch))
        members = pool[np.random.default_rng(1).integers(0, len(pool), DECODES)]
        measure(f"{name}: both validities and keys, all valid", DECODES,
                lambda space=space, members=members: judge(space, members))
        one = pool[7]
        measure(f"{name}: neighbours of a cell", 1, lambda space=space, one=one: space.neighbours(one))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
