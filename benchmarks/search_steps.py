"""Steps of arch2vec's searches on NAS-Bench-101 against the usual ways: python benchmarks/search_steps.py --part PART

Retrieval of 16 actions, a round of DNGO with its training, or whole runs of either search, one thread, processor time,
on the objective with imputed labels and the embedding of the published model.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from record import Step, Target, alone, in_turns, machine_limit, row, timed, write_steps
from scipy.spatial import cKDTree
from search import ACTIONS, CHOSEN, LIMITS, SPACE, VISITED, fitted, in_full
from threadpoolctl import threadpool_limits

from a2v_core.artifacts import ArtifactStore
from a2v_core.search.basis_network import train_basis_networks
from a2v_core.search.best_candidates import Candidates, best_candidates
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method
from a2v_core.search.objective import Objective
from a2v_core.search.objectives import get_objective
from a2v_core.search.retrieval import NearestPoints
from a2v_core.search.runs import Budget, run_searches

# Answers that a run has given when its round is timed; simulated seconds of a run (§4.2).
ANSWERS, SECONDS = 200, 1.5e6
# Minutes that 500 runs may take on two cores, and runs of one batch in a study.
MINUTES, ALL_RUNS, CORES, BATCH = {"arch2vec_rl": 10, "arch2vec_bo": 180}, 500, 2, 50


def compare_retrieval(points: np.ndarray, turns: int) -> Step:
    """The nearest of all cells to standard normal actions; ours leaves out 400 visited cells of each run besides."""
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(ACTIONS, points.shape[1])).astype(np.float32)
    visited = rng.integers(0, len(points), (ACTIONS, VISITED))
    nearest, tree = NearestPoints(points), cKDTree(points.astype(np.float64))
    ours, sorting, by_tree = f"ours, {ACTIONS} queries together", "distances and a full sort, query by query", (
        "k-d tree of scipy, built beforehand")
    seconds, found = in_turns({
        ours: lambda: nearest.query(actions, visited),
        sorting: lambda: np.array([np.argsort(np.linalg.norm(points - action, axis=1))[0] for action in actions]),
        by_tree: lambda: tree.query(actions)[1]}, turns)
    free = nearest.query(actions, visited[:, :0])

    def same(rows: np.ndarray) -> str:
        distances = [np.linalg.norm(points[each].astype(np.float64) - actions, axis=1) for each in (free, rows)]
        return "equal" if np.allclose(*distances, rtol=1e-6) else "DIFFERENT"

    limit = machine_limit(2.0 * ACTIONS * (points.shape[1] + 1) * len(points), points.nbytes)
    rows = [row(f"{ACTIONS} queries", ours, other, seconds, same(found[other]), limit) for other in (sorting, by_tree)]
    return Step(
        "Retrieving the nearest cell",
        f"The cell that an action stands for among {len(points):,} x {points.shape[1]} numbers. The original computes "
        "and sorts all distances of each query; a k-d tree is the usual remedy. Ours is one matrix product, checked in "
        "double precision, and leaves out the visited cells; the others are told of none.",
        "Approximate search, which would change the runs; a GPU.",
        rows, [Target(f"{ACTIONS} queries", rows[0].seconds * 1e3, "<=", LIMITS["retrieval"] * 1e3, "ms")])


def train_usually(features: np.ndarray, answers: np.ndarray, hidden: int = 128, epochs: int = 100, batch: int = 10
                  ) -> torch.nn.Module:
    """The network of DNGO with torch's modules, mean squared error and Adam."""
    torch.manual_seed(0)
    x, y = torch.from_numpy((features - features.mean(0)) / features.std(0)).float(), torch.from_numpy(answers).float()
    network = torch.nn.Sequential(torch.nn.Linear(x.shape[1], hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x))[:len(x) // batch * batch].split(batch):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(network(x[rows])[:, 0], y[rows]).backward()
            optimizer.step()
    return network


def compare_round(features: np.ndarray, signal: np.ndarray, turns: int) -> Step:
    """A round of recipe `released` after 200 answers: network and regression, then the 5 candidates."""
    candidates, acquisition = Candidates(features), fitted(features, signal, ANSWERS, "released")
    known = np.random.default_rng(0).choice(len(features), ANSWERS, replace=False)
    pool, answers = features[known], signal[known]
    ours, usual = "ours", "torch's modules, one after the other"
    bounded, whole, chunks = "ours, bounds first", "all candidates, blocks of 4,096", "all candidates, blocks of 200"
    training, _ = in_turns({
        ours: lambda: train_basis_networks(pool[None], answers[None], [np.random.default_rng(0)]),
        usual: lambda: train_usually(pool, answers)}, turns)
    choice, found = in_turns({
        bounded: lambda: best_candidates(acquisition, candidates, CHOSEN, np.empty(0, np.int64)),
        whole: lambda: in_full(acquisition, features),
        chunks: lambda: in_full(acquisition, features, 200)}, turns)
    learning, _ = in_turns({"": lambda: fitted(features, signal, ANSWERS, "released")}, turns)

    def same(rows: np.ndarray) -> str:
        values = [acquisition.exact(features[each]) for each in (found[bounded], rows)]
        return "equal" if np.allclose(*values, rtol=1e-9) else "DIFFERENT"

    # What the bounds of all distinct candidates need: the hidden layer, then mean and 23 directions.
    distinct, hidden = len(candidates.features), acquisition.posterior.weights.shape[1]
    limit = machine_limit(2.0 * distinct * hidden * (features.shape[1] + 24), candidates.features.nbytes)
    made = [row("training of the network", ours, usual, training, "not compared here: each draws its own order"),
            *(row(f"choice of {CHOSEN}", bounded, other, choice, same(found[other]), limit)
              for other in (whole, chunks))]
    choosing = statistics.median(choice[bounded])
    return Step(
        "A round of DNGO",
        f"After {ANSWERS} answers: training of the network from scratch, and the {CHOSEN} cells of largest expected "
        f"improvement among {len(features):,}. The original trains step by step and predicts all candidates in blocks "
        "of 200. Ours writes the gradient by hand, and computes exactly only what a cheap bound cannot exclude.",
        "The original's lists of floats, which cost it more than blocks of arrays do here; other numbers of answers "
        "(`benchmarks/search.py` has them).",
        made, [Target("choice of a round", choosing, "<=", LIMITS["rounds"], "s"),
               Target("whole round of one run alone, with network and regression",
                      choosing + statistics.median(learning[""]), "<=", LIMITS["rounds"], "s")])


def time_runs(name: str, objective: Objective, points: np.ndarray, runs: int) -> Step:
    """One batch of whole runs of a search."""
    method = get_method(name)
    settings = method.settings_of("released", SPACE)

    def search() -> int:
        searcher = method.searcher_of(objective.problem(points), range(runs), settings, "cpu")
        return run_searches(searcher, objective, Budget(seconds=SECONDS), progress=False).counts.sum()

    seconds, queries = timed(search)
    return Step(
        f"Whole runs of {method.label}",
        f"Runs of {SECONDS:,.0f} simulated seconds by recipe `released`, {runs} of them in one batch; a study has "
        f"batches of {BATCH}. No other way was run: the ratios of its steps are above.",
        f"All {ALL_RUNS} runs: their time is that of the batch, scaled to their number and divided by the cores. The "
        "batch was run once, so it has no range.",
        [alone(f"a run of {queries / runs:.0f} queries", f"in a batch of {runs}", [seconds / runs])],
        [Target(f"{ALL_RUNS} runs of {method.label} on {CORES} cores, from one batch of {runs}",
                seconds / runs * ALL_RUNS / CORES / 60, "<=", MINUTES[name], "min")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("retrieval", "round", *MINUTES), required=True, help="what to time")
    parser.add_argument("--turns", type=int, default=7, help="turns of each way (default 7)")
    parser.add_argument("--runs", type=int, default=BATCH, help="whole runs of each search (default 50)")
    parser.add_argument("--data-dir", default="", help="the data folder")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        objective = get_objective(SPACE, "imputed", arguments.data_dir)
        points = Features("arch2vec").build(objective.space, ArtifactStore(arguments.data_dir))
        if arguments.part == "retrieval":
            step = compare_retrieval(points, arguments.turns)
        elif arguments.part == "round":
            step = compare_round(points, objective.signal[-1, 0], arguments.turns)
        else:
            step = time_runs(arguments.part, objective, points, arguments.runs)
    for each in step.rows:
        print(f"{each.work}: {each.seconds:.4g} s" + (
            f"; {each.other}: {each.ratio:,.1f} times ours, {each.same}" if each.other else ""))
    write_steps(arguments.json, [step])


if __name__ == "__main__":
    main()
