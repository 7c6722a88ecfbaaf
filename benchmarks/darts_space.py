"""Rates of the DARTS space: sampling, matrices, validity, keys, neighbours, costs; one thread, processor time.

Run: ``OMP_NUM_THREADS=1 python benchmarks/darts_space.py [--cells N] [--turns N] [--json PATH]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Step, in_turns, row, timed, write_steps

from a2v_core.darts.counting import build_and_count, count
from a2v_core.darts.networks import ImageNetNetwork
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_cost import CIFAR10, CONVENTIONS, IMAGENET, in_mobile_setting, network_cost
from a2v_core.spaces.darts_encoding import VOCABULARY, edge_keys, edges_to_cells
from a2v_core.spaces.darts_genotypes import Genotype
from a2v_core.spaces.darts_sampling import draw_edges, sample_edges

OURS, BUILT, SHAPES = "ours, formulas", "network built, one image through it", "network of shapes alone"
PRICED = 100_000
IMAGE = (3, 224, 224)


def rate(name: str, n: int, call: Callable[[], Any]) -> Any:
    """Run once, print processor seconds and items per second."""
    seconds, result = timed(call)
    print(f"{name:<44}{n:>9,} in {seconds:7.3f} s = {n / seconds:>12,.0f} /s")
    return result


def compare_costs(turns: int) -> Step:
    """Multiply-adds of candidates by formula, and of the first one by building its network."""
    edges = draw_edges(PRICED, np.random.default_rng(0))
    first = zip(edges.ops[0], edges.inputs[0], strict=True)
    genotype = Genotype(tuple((VOCABULARY[op], int(state)) for op, state in first))
    ways = {OURS: lambda: network_cost(edges, edges, IMAGENET, "released").multiply_adds[0],
            BUILT: lambda: count(ImageNetNetwork(genotype, auxiliary=False), IMAGE).multiply_adds("released"),
            SHAPES: lambda: build_and_count(lambda: ImageNetNetwork(genotype, auxiliary=False),
                                            IMAGE).multiply_adds("released")}
    seconds, found = in_turns(ways, turns, {OURS: PRICED})
    return Step(
        "Multiply-adds of a DARTS candidate",
        "The cost that decides whether a candidate belongs to the mobile setting. The original builds the ImageNet "
        "network of each candidate and sends an image through it; the second way is the same on torch's meta device, "
        "without values. Ours is a table of costs by operation, added up for all candidates at once.",
        "A limit of the machine: the work is a few table look-ups a candidate.",
        [row("a candidate", OURS, other, seconds, "equal" if found[other] == found[OURS] else "DIFFERENT")
         for other in (BUILT, SHAPES)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=600_000, help="cells of the space (default 600,000)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each way of counting (default 5)")
    parser.add_argument("--json", type=Path, help="write the comparison here, and leave out the other rates")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    step = compare_costs(arguments.turns)
    for each in step.rows:
        print(f"multiply-adds, {each.other}: {each.other_seconds:.3f} s, {each.ratio:,.0f} times ours, {each.same}")
    if arguments.json:
        write_steps(arguments.json, [step])
        return
    n = arguments.cells
    space = DARTS(n)
    edges = rate("unique cells in the mobile setting", n, lambda: sample_edges(n, space.seed, space.convention))
    cells = rate("matrices of genotypes", n, lambda: edges_to_cells(edges))
    rate("strict validity", n, lambda: space.is_valid(cells))
    rate("released validity", n, lambda: space.released_is_valid(cells))
    rate("keys of matrices", n, lambda: space.keys(cells))
    decodes = cells[: min(n, 10_000)]
    rate("released keys (module hash)", len(decodes), lambda: space.released_keys(decodes))
    rate("neighbourhoods", 200, lambda: [space.neighbours(cells[i % n]) for i in range(200)])
    for label, shape in (("CIFAR", CIFAR10), ("ImageNet", IMAGENET)):
        rate(f"costs of {label} networks", n, lambda shape=shape: network_cost(edges, edges, shape, "released"))
    draws = draw_edges(n, np.random.default_rng(0))
    for convention in CONVENTIONS:
        print(f"draws at or over 600 M, {convention}: {1 - in_mobile_setting(draws, convention).mean():.4%}")
    print(f"draws that repeat an earlier one: {1 - len(np.unique(edge_keys(draws))) / n:.4%}")


if __name__ == "__main__":
    main()
