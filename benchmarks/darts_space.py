"""Rates of the DARTS space: sampling, matrices, validity, keys, neighbours, costs; one thread, processor time.

Run: ``OMP_NUM_THREADS=1 python benchmarks/darts_space.py [n_cells]``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_cost import CIFAR10, CONVENTIONS, IMAGENET, in_mobile_setting, network_cost
from a2v_core.spaces.darts_encoding import edge_keys, edges_to_cells
from a2v_core.spaces.darts_sampling import draw_edges, sample_edges


def timed(name: str, n: int, call: Callable[[], Any]) -> Any:
    """Run once, print processor seconds and items per second."""
    start = time.process_time()
    result = call()
    seconds = time.process_time() - start
    print(f"{name:<44}{n:>9,} in {seconds:7.3f} s = {n / seconds:>12,.0f} /s")
    return result


def main(n: int) -> None:
    space = DARTS(n)
    edges = timed("unique cells in the mobile setting", n, lambda: sample_edges(n, space.seed, space.convention))
    cells = timed("matrices of genotypes", n, lambda: edges_to_cells(edges))
    timed("strict validity", n, lambda: space.is_valid(cells))
    timed("released validity", n, lambda: space.released_is_valid(cells))
    timed("keys of matrices", n, lambda: space.keys(cells))
    decodes = cells[: min(n, 10_000)]
    timed("released keys (module hash)", len(decodes), lambda: space.released_keys(decodes))
    timed("neighbourhoods", 200, lambda: [space.neighbours(cells[i % n]) for i in range(200)])
    for label, shape in (("CIFAR", CIFAR10), ("ImageNet", IMAGENET)):
        timed(f"costs of {label} networks", n, lambda shape=shape: network_cost(edges, edges, shape, "released"))
    draws = draw_edges(n, np.random.default_rng(0))
    for convention in CONVENTIONS:
        print(f"draws at or over 600 M, {convention}: {1 - in_mobile_setting(draws, convention).mean():.4%}")
    print(f"draws that repeat an earlier one: {1 - len(np.unique(edge_keys(draws))) / n:.4%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600_000)
