"""Speed of pre-training on NAS-Bench-101, one thread: python benchmarks/pretraining.py [--json PATH]

A training step at batch 32 of the ``released`` architecture, done the usual DGL way, in plain dense PyTorch, and ours;
and the arithmetic limit of a step: its floating-point operations at the measured rate of its own matrix products.

Times are processor time (equal to wall time on an idle machine, and fair on a busy one). The variants take turns in
short rounds; the table gives medians over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Limit, Step, Target, row, write_steps
from torch.nn import functional
from tqdm.auto import tqdm

from a2v_core.cells import Cells
from a2v_core.models.autoencoder import Autoencoder
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.recipes import PretrainingSettings, pretraining_settings
from a2v_core.spaces import get_space
from a2v_core.training import _Step

BATCH, N_SAMPLE = 32, 2048
DGL, PLAIN = "DGL: dgl.batch, modules, Adam", "plain dense PyTorch, Adam"
# Largest acceptable ratio of our cost per seed to the two baselines.
TARGETS = {"ratio to DGL": 0.45, "ratio to plain": 0.65}
MODES = ("training", "evaluation")
Advance = Callable[[torch.Tensor], object]


def released_loss(model: Autoencoder, mean: torch.Tensor, log_std: torch.Tensor, x: torch.Tensor, a: torch.Tensor
                  ) -> torch.Tensor:
    """The released objective on [B·N, D] latents with torch's own loss functions, the way one writes it first."""
    b, n, _ = a.shape
    z = mean + torch.randn_like(mean) * log_std.exp() if model.training else mean
    z = functional.dropout(z, 0.3, model.training)
    nodes = z.view(b, n, -1)
    edges = torch.sigmoid(nodes @ nodes.transpose(1, 2)).triu(1)
    kl = -0.5 * (1 + 2 * log_std - mean**2 - log_std.exp() ** 2).sum(1).mean() / (b * n)
    operations = torch.sigmoid(model.operations(z))
    return functional.binary_cross_entropy(operations, x) + functional.binary_cross_entropy(edges, a) + kl


def baseline_steps(cells: Cells, settings: PretrainingSettings, k: int) -> dict[str, Callable[[bool], Advance]]:
    """The two usual ways of a step; each takes the mode and gives a function of row numbers [B]."""
    import dgl

    from a2v_core.models.encoders import graph_of

    x = torch.from_numpy(cells.one_hot(k)).float()
    a = torch.from_numpy(cells.adjacency).float()
    undirected = a + a.transpose(1, 2)
    graphs = [graph_of(matrix) for matrix in cells.adjacency]

    def through_dgl(model: Autoencoder, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return model.encoder(dgl.batch([graphs[i] for i in rows.tolist()]), x[rows].flatten(0, 1))

    def through_matrices(model: Autoencoder, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h, neighbours = x[rows], undirected[rows]
        for layer in model.encoder.layers:
            h = (1 + layer.conv.eps) * h + neighbours @ h
            h = layer.mlp(h.flatten(0, 1)).view(*h.shape[:2], -1)
        h = h.flatten(0, 1)
        return model.encoder.mean(h), model.encoder.log_std(h)

    def of(forward: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> Callable[[bool], Advance]:
        torch.manual_seed(0)
        model = Autoencoder(k, settings)
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)

        def prepare(training: bool) -> Advance:
            def step(rows: torch.Tensor) -> None:
                model.train(training)
                loss = released_loss(model, *forward(model, rows), x[rows].flatten(0, 1), a[rows])
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
                optimizer.step()

            return step

        return prepare

    return {DGL: of(through_dgl), PLAIN: of(through_matrices)}


def our_step(cells: Cells, settings: PretrainingSettings, k: int, seeds: int, compiled: bool
             ) -> Callable[[bool], Advance]:
    """The step of :func:`a2v_core.training.train` for a stack of models."""
    model = StackedAutoencoder(k, settings, range(seeds))
    optimizer = torch.optim.Adam([model.theta], lr=settings.learning_rate, fused=True)
    step = _Step(model, optimizer, cells, torch.device("cpu"))
    loss = torch.compile(model.loss, dynamic=False) if compiled else model.loss
    generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
    return lambda training: lambda rows: step(loss, rows.expand(seeds, -1), generators, training)


def time_steps(cells: Cells, settings: PretrainingSettings, k: int, turns: int, steps: int, modes: Sequence[str]
               ) -> list[dict[str, Any]]:
    """Milliseconds of a step per seed, by variant and mode; `each turn` holds all of them."""
    variants = {name: (1, prepare) for name, prepare in baseline_steps(cells, settings, k).items()}
    for seeds, compiled in ((1, False), (1, True), (3, True)):
        name = f"ours, {'compiled' if compiled else 'eager'}, {seeds} seed{'s' if seeds > 1 else ''}"
        variants[name] = seeds, our_step(cells, settings, k, seeds, compiled)
    rng = np.random.default_rng(0)
    prepared = [(name, mode, seeds, prepare(mode == "training"), [])
                for name, (seeds, prepare) in variants.items() for mode in modes]
    # The first turn warms up and compiles.
    for turn in tqdm(range(-1, turns), desc="turns", mininterval=1.0):
        for _, _, seeds, step, times in prepared:
            batches = [torch.from_numpy(rng.integers(0, len(cells), BATCH)) for _ in range(steps)]
            started = time.process_time()
            for rows in batches:
                step(rows)
            if turn >= 0:
                times.append(1e3 * (time.process_time() - started) / steps / seeds)
    table = [{"variant": name, "mode": mode, "ms": statistics.median(times), "fastest": min(times),
              "each turn": times}
             for name, mode, _, _, times in prepared]
    of = {(row["variant"], row["mode"]): row["ms"] for row in table}
    for each in table:
        each |= {name: each["ms"] / of[other, each["mode"]] for name, other in (
            ("ratio to DGL", DGL), ("ratio to plain", PLAIN))}
    return table


def matrix_products(settings: PretrainingSettings, n: int, k: int) -> list[tuple[int, int, int, int]]:
    """(batch, rows, inner, columns) of the forward products of a step of one model."""
    widths = (k, *settings.hidden)
    products = []
    for i, o in pairwise(widths):
        products += [(BATCH, n, n, i), (1, BATCH * n, i, o), (1, BATCH * n, o, o)]
    heads = [(1, BATCH * n, widths[-1], settings.latent)] * (2 if settings.variational else 1)
    return [*products, *heads, (BATCH, n, settings.latent, n), (1, BATCH * n, settings.latent, k)]


def arithmetic_limit(settings: PretrainingSettings, n: int, k: int) -> dict[str, float]:
    """Floating-point operations of a step, and the time of its matrix products alone.

    A product X W of the forward pass brings two of the same size in the backward pass, G W^T and X^T G; nothing is
    saved for the first layer or the constant adjacency, whose gradients are not needed (below 2 % of the whole).
    """
    total, seconds = 0.0, 0.0
    for batch, rows, inner, columns in matrix_products(settings, n, k):
        x, w, g = (torch.randn(batch, *shape) for shape in ((rows, inner), (inner, columns), (rows, columns)))
        if batch == 1:
            x, w, g = x[0], w[0], g[0]
        operands = [(x, w), (g, w.mT), (x.mT, g)]
        times = []
        for _ in range(7):
            started = time.process_time()
            for _ in range(50):
                for left, right in operands:
                    torch.matmul(left, right)
            times.append((time.process_time() - started) / 50)
        total += 3 * 2.0 * batch * rows * inner * columns
        seconds += statistics.median(times)
    return {"MFLOP": total / 1e6, "ms": 1e3 * seconds, "GFLOP/s": total / seconds / 1e9}


def report(result: dict[str, Any]) -> str:
    """The result as text."""
    limit = result["limit"]
    lines = [f"{'ms per step and seed, batch 32':<34}{'mode':<12}{'median':>8}{'fastest':>9}{'/ DGL':>7}{'/ plain':>9}"
             f"{'of limit':>10}"]
    lines += [f"{row['variant']:<34}{row['mode']:<12}{row['ms']:8.2f}{row['fastest']:9.2f}{row['ratio to DGL']:7.2f}"
              f"{row['ratio to plain']:9.2f}{limit['ms'] / row['ms']:10.0%}" for row in result["steps"]]
    best = min((row for row in result["steps"] if row["variant"].startswith("ours") and row["mode"] == "training"),
               key=lambda row: row["ms"])
    met = [("step / DGL step", best["ratio to DGL"], "<=", TARGETS["ratio to DGL"]),
           ("step / plain step", best["ratio to plain"], "<=", TARGETS["ratio to plain"])]
    lines += ["", f"arithmetic limit of a step: {limit['MFLOP']:.0f} MFLOP at {limit['GFLOP/s']:.1f} GFLOP/s, the rate "
              f"of its own matrix products: {limit['ms']:.2f} ms", ""]
    for name, value, sign, target in met:
        lines.append(f"{name:<36}{value:>10,.2f}  target {sign} {target:<8,}"
                     f"{'reached' if value <= target else 'MISSED'}")
    return "\n".join(lines)


def as_step(result: dict[str, Any]) -> Step:
    """The training steps as a section of the page."""
    seconds = {each["variant"]: [ms / 1e3 for ms in each["each turn"]] for each in result["steps"]
               if each["mode"] == "training"}
    limit = Limit(f"the matrix products of a step alone, {result['limit']['MFLOP']:.0f} million operations at the "
                  f"{result['limit']['GFLOP/s']:.0f} GFLOP/s that they reach one after the other",
                  result["limit"]["ms"] / 1e3)
    ours = [name for name in seconds if name.startswith("ours, compiled")]
    rows = [row("a step of one model", name, other, seconds, "not compared here: each draws its own noise", limit)
            for other in (PLAIN, DGL) for name in ours]
    return Step(
        "A step of pre-training",
        f"One update on {BATCH} cells of NAS-Bench-101 by recipe `released`. The original works on dense matrices with "
        "plain PyTorch; the usual way with DGL is a batch of graphs through DGL's layers. Both are written with "
        "torch's own modules, loss functions and Adam. Ours is the compiled step of `a2v_core.training`; of several "
        "models trained together the time is divided by their number.",
        "The time of compiling, which a training pays once; a GPU.",
        rows, [Target(f"our step over that of {name}, our best", min(
            1 / each.ratio for each in rows if each.other == other), "<=", TARGETS[key], "times")
               for other, name, key in ((DGL, "DGL", "ratio to DGL"), (PLAIN, "plain PyTorch", "ratio to plain"))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--turns", type=int, default=15, help="turns of each variant (default 15)")
    parser.add_argument("--steps", type=int, default=20, help="steps in a turn (default 20)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, help="modes of the model (default: both)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = get_space("nasbench101")
    settings, k, cells = pretraining_settings("released"), len(space.vocabulary), space.cells()
    sample = cells[np.random.default_rng(0).permutation(len(cells))[:N_SAMPLE]]
    result = {"limit": arithmetic_limit(settings, space.n_nodes, k),
              "steps": time_steps(sample, settings, k, arguments.turns, arguments.steps, arguments.modes)}
    print(report(result))
    write_steps(arguments.json, [as_step(result)])


if __name__ == "__main__":
    main()
