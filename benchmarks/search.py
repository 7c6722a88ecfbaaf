"""Speed of architecture search on NAS-Bench-101, one thread: python benchmarks/search.py [--parts PART …] [--json PATH]

methods: a query of every registered method in a batch of runs and in runs alone, on the objective with imputed labels
and a shortened budget. retrieval: the nearest cells of 16 actions among all, against scipy's k-d tree and a full sort.
rounds: the best 5 of all candidates in a round of DNGO, against computing all of them. decoding: discrete encodings to
cells, against module hashes.

Times are processor time (equal to wall time on an idle machine, and fair on a busy one, except that others use the
caches as well). Variants take turns; the tables give medians over the turns, and of a batch its only time. Embeddings
are those of the published model. A whole run takes less than ten minutes. ``search_steps.py`` makes the comparisons of
the page Performance.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import in_turns, timed
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import Cells
from a2v_core.search.acquisition import log_expected_improvement
from a2v_core.search.basis_network import train_basis_networks
from a2v_core.search.bayesian_linear import fit_evidence, fit_released
from a2v_core.search.best_candidates import Acquisition, Candidates, best_candidates
from a2v_core.search.discrete import discrete_encoding, drawn
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method, method_names
from a2v_core.search.objective import Objective
from a2v_core.search.objectives import get_objective
from a2v_core.search.retrieval import NearestPoints
from a2v_core.search.runs import Budget, Trajectories, run_searches
from a2v_core.spaces import get_space

SPACE = "nasbench101"
PARTS = ("methods", "retrieval", "rounds", "decoding")
# Longest acceptable time of 16 retrievals and of a round's choice of 5 candidates, in seconds.
LIMITS = {"retrieval": 0.020, "rounds": 0.5}
# Queries of a run: whole episodes or rounds of the methods that learn, hundreds of those that need next to nothing.
QUERIES = {"random": 400, "re": 400, "rl": 400, "bohb": 400, "bananas": 60, "bo": 26, "arch2vec_bo": 26,
           "supervised_bo": 21, "supervised_rl": 32}
OTHER_QUERIES = 96
# Each run of these embeds the whole space in every round: a fifth of the batch.
SLOW = ("supervised_rl", "supervised_bo")
ACTIONS, VISITED, CHOSEN, ANSWERS, ENCODINGS = 16, 400, 5, (50, 200, 450), 10_000
OURS = "ours"
Row = dict[str, Any]


def compared(variants: Mapping[str, Callable[[], Any]], turns: int
             ) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
    """Median and least seconds of each variant, and its result. They take turns."""
    seconds, results = in_turns(variants, turns)
    return *({name: of(taken) for name, taken in seconds.items()} for of in (statistics.median, min)), results


# --- methods ---------------------------------------------------------------------------------------------------------


def time_methods(objective: Objective, vectors: Mapping[str, np.ndarray | None], names: Sequence[str], runs: int,
                 alone: int, queries: int | None = None) -> list[Row]:
    """Each method by recipe `released`: one batch of `runs` (a fifth of the slow ones), then the first `alone` seeds of
    it one at a time. Times of a query are without the making of the searcher, which is `setup`; those of a run are
    with it."""
    discrete_encoding(objective.space)  # made once in a process
    rows = []
    for name in tqdm(names, desc="methods"):
        method, budget = get_method(name), Budget(queries=queries or QUERIES.get(name, OTHER_QUERIES))
        settings, problem = method.settings_of("released", objective.space.name), objective.problem(
            vectors[method.features])
        size = max(alone, runs // 5) if name in SLOW else runs

        def search(seeds: Sequence[int], method=method, settings=settings, problem=problem, budget=budget
                   ) -> tuple[float, float, Trajectories]:
            setup, searcher = timed(lambda: method.searcher_of(problem, seeds, settings, "cpu"))
            searched, found = timed(lambda: run_searches(searcher, objective, budget, progress=False))
            return setup, searched, found

        search([runs])  # warms up
        setup, searched, batch = search(range(size))
        single = [search([seed]) for seed in range(alone)]
        made = batch.counts.sum()
        setup_alone, searched_alone = (statistics.median(each[i] for each in single) for i in (0, 1))
        query, query_alone = searched / made, statistics.median(each[1] / each[2].counts[0] for each in single)
        cells = np.split(batch.cells, np.cumsum(batch.counts)[:-1])
        rows.append({"method": name, "runs": size, "queries": round(made / size), "setup s": setup,
                     "ms a query, batch": 1e3 * query, "ms a query, alone": 1e3 * query_alone,
                     "s a run, batch": (setup + searched) / size, "s a run, alone": setup_alone + searched_alone,
                     "alone / batch": query_alone / query,
                     "same runs": all(np.array_equal(each[2].cells, cells[i]) for i, each in enumerate(single))})
    return rows


# --- retrieval -------------------------------------------------------------------------------------------------------


def time_retrieval(points: np.ndarray, turns: int) -> list[Row]:
    """16 actions among all cells: standard normal ones, as the policy starts with, and ones beside a cell. Ours leaves
    out the 400 visited cells of each run; the others cannot, or have no need to, and are told of none."""
    rng, points64 = np.random.default_rng(0), points.astype(np.float64)
    nearest = NearestPoints(points)
    built, tree = timed(lambda: cKDTree(points64))
    beside = points[rng.choice(len(points), ACTIONS)] + rng.normal(0, 0.05, (ACTIONS, points.shape[1]))
    visited = rng.integers(0, len(points), (ACTIONS, min(VISITED, len(points) // 2)))
    rows = []
    for where, actions in (("normal", rng.normal(size=beside.shape)), ("beside a cell", beside)):
        actions = actions.astype(np.float32)
        variants = {
            OURS: lambda actions=actions: nearest.query(actions, visited),
            "k-d tree": lambda actions=actions: tree.query(actions)[1],
            "full sort": lambda actions=actions: np.array(
                [np.argsort(np.linalg.norm(points - action, axis=1), kind="stable")[0] for action in actions])}
        seconds, fastest, found = compared(variants, turns)
        free = nearest.query(actions, visited[:, :0])
        for name, taken in seconds.items():
            theirs = points64[free if name == OURS else found[name]]
            distance, best = (np.linalg.norm(p - actions, axis=1) for p in (theirs, points64[found["k-d tree"]]))
            rows.append({"actions": where, "variant": name, "ms": 1e3 * taken, "fastest": 1e3 * fastest[name],
                         "ratio to ours": taken / seconds[OURS],
                         "built s": built if name == "k-d tree" else 0.0,
                         "right": bool(np.allclose(distance, best, rtol=1e-5))})
    return rows


# --- a round of DNGO -------------------------------------------------------------------------------------------------


def fitted(features: np.ndarray, signal: np.ndarray, n: int, recipe: str) -> Acquisition:
    """The model of a run with n answers: 16 uniform cells, then cells of the best percent."""
    rng = np.random.default_rng(n)
    good = np.argsort(-signal)[:max(n, len(signal) // 100)]
    cells = np.concatenate([rng.choice(len(signal), 16), rng.choice(good, n - 16, replace=False)])
    answers = signal[cells][None]
    networks = train_basis_networks(features[cells][None], answers, [rng])
    basis = networks.hidden(0, features[cells])[None]
    posterior = fit_released(basis, answers, [rng]) if recipe == "released" else fit_evidence(basis, answers)
    return Acquisition(networks, posterior, 0, 0.95, variance_as_sigma=recipe == "released")


def in_full(acquisition: Acquisition, features: np.ndarray, rows: int = 4096) -> np.ndarray:
    """Mean, variance and expected improvement of all candidates, and the best 5, the way one writes it first."""
    value = []
    for start in range(0, len(features), rows):
        hidden = acquisition.networks.hidden(acquisition.run, features[start:start + rows])
        mean, variance = acquisition.posterior.predict(acquisition.run, hidden)
        sigma = variance if acquisition.variance_as_sigma else np.sqrt(variance)
        value.append(log_expected_improvement(mean, sigma, acquisition.best_f))
    value = np.concatenate(value)
    best = np.argpartition(-value, CHOSEN)[:CHOSEN]
    return best[np.argsort(-value[best], kind="stable")]


def time_rounds(features: np.ndarray, signal: np.ndarray, sizes: Sequence[int], turns: int) -> list[Row]:
    """The choice of a round's cells among all candidates; beside it, what network and regression of the round take."""
    candidates, rows = Candidates(features), []
    for recipe in ("released", "paper"):
        for n in tqdm(sizes, desc=f"rounds, {recipe}"):
            learning, acquisition = timed(lambda n=n, recipe=recipe: fitted(features, signal, n, recipe))
            variants = {
                OURS: lambda a=acquisition: best_candidates(a, candidates, CHOSEN, np.empty(0, np.int64)),
                "all candidates": lambda a=acquisition: in_full(a, features)}
            seconds, fastest, found = compared(variants, turns)
            values = [acquisition.exact(features[best]) for best in found.values()]
            rows.append({"recipe": recipe, "answers": n, "network and regression s": learning, "ours s": seconds[OURS],
                         "fastest": fastest[OURS], "all candidates s": seconds["all candidates"],
                         "ratio": seconds["all candidates"] / seconds[OURS],
                         "right": bool(np.allclose(*values, rtol=1e-9))})
    return rows


# --- decoding --------------------------------------------------------------------------------------------------------


def cells_of(space: str, encodings: np.ndarray) -> Cells:
    """The matrices that encodings stand for."""
    if space == "nasbench201":
        ops = np.column_stack([np.zeros(len(encodings)), encodings + 1, np.full(len(encodings), 6)])
        return Cells(np.repeat(get_space(space).cells()[0].adjacency, len(encodings), 0), ops.astype(np.uint8))
    adjacency = np.zeros((len(encodings), 7, 7), np.uint8)
    adjacency[:, *np.triu_indices(7, 1)] = encodings[:, :21]
    ops = np.column_stack([np.zeros(len(encodings)), encodings[:, 21:] + 1, np.full(len(encodings), 4)])
    return Cells(adjacency, ops.astype(np.uint8))


def time_decoding(n: int, turns: int) -> list[Row]:
    """Uniform encodings to rows of the space. On NAS-Bench-101 the encodings have at most 9 edges, as the baselines ask
    before anything else; 27 % of all do and have a path."""
    rows = []
    for name in ("nasbench101", "nasbench201"):
        space = get_space(name)
        made, encoding = timed(lambda space=space: discrete_encoding.__wrapped__(space))  # not one made before
        encodings = drawn(encoding.choices, np.random.default_rng(0).random((8 * n, len(encoding.choices))))
        if name == "nasbench101":
            encodings = encodings[encodings[:, :21].sum(1) <= 9]
        encodings = encodings[:n]
        seconds, _, found = compared({OURS: lambda e=encodings, d=encoding: d.rows(e),
                                      "space.rows": lambda e=encodings, s=space: s.rows(cells_of(s.name, e))}, turns)
        rows.append({"space": name, "encodings": len(encodings), "valid": float((found[OURS] >= 0).mean()),
                     "made s": made, "ours us": 1e6 * seconds[OURS] / len(encodings),
                     "space.rows us": 1e6 * seconds["space.rows"] / len(encodings),
                     "ratio": seconds["space.rows"] / seconds[OURS],
                     "right": bool(np.array_equal(found[OURS], found["space.rows"]))})
    return rows


# --- report ----------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Row]) -> list[str]:
    """Rows as lines of text, one column a key."""
    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "NO"
        return f"{value:,.4g}" if isinstance(value, float) else str(value)

    cells = [list(rows[0]), *([text(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[i]) for line in cells) + 2 for i in range(len(cells[0]))]
    return ["".join(word.ljust(width) if i == 0 else word.rjust(width)
                    for i, (word, width) in enumerate(zip(line, widths, strict=True))) for line in cells]


def report(result: Mapping[str, Any]) -> str:
    """The result as text."""
    titles = {"methods": "Methods: recipe released, processor time",
              "retrieval": f"Nearest of {result['candidates']:,} cells to {ACTIONS} actions",
              "rounds": f"Best {CHOSEN} of {result['candidates']:,} candidates in a round of DNGO",
              "decoding": "Discrete encodings to cells"}
    lines = []
    for part in PARTS:
        if part in result:
            lines += [titles[part], *table(result[part]), ""]
    slowest = {}
    if "retrieval" in result:
        slowest["retrieval"] = max(row["ms"] for row in result["retrieval"] if row["variant"] == OURS) / 1e3
    if "rounds" in result:
        slowest["rounds"] = max(row["ours s"] for row in result["rounds"])
    for part, seconds in slowest.items():
        lines.append(f"{part}: slowest {1e3 * seconds:.1f} ms  limit {1e3 * LIMITS[part]:.0f} ms  "
                     f"{'reached' if seconds <= LIMITS[part] else 'MISSED'}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to time (default: all)")
    parser.add_argument("--methods", nargs="+", default=method_names(), help="of these methods only (default: all)")
    parser.add_argument("--runs", type=int, default=50, help="runs of a batch (default 50)")
    parser.add_argument("--alone", type=int, default=3, help="runs that are made one at a time (default 3)")
    parser.add_argument("--queries", type=int, help="of a run (default: by method, 21 to 400)")
    parser.add_argument("--turns", type=int, default=5, help="turns of each variant of the other parts (default 5)")
    parser.add_argument("--data-dir", default="", help="the data folder")
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        objective, store = get_objective(SPACE, "imputed", arguments.data_dir), ArtifactStore(arguments.data_dir)
        vectors: dict[str, np.ndarray | None] = {
            kind: Features(kind).build(objective.space, store) for kind in ("none", "arch2vec", "one_hot")}
        embedding = vectors["arch2vec"]
        tasks = {
            "methods": lambda: time_methods(objective, vectors, arguments.methods, arguments.runs, arguments.alone,
                                            arguments.queries),
            "retrieval": lambda: time_retrieval(embedding, arguments.turns),
            "rounds": lambda: time_rounds(embedding, objective.signal[-1, 0], ANSWERS, arguments.turns),
            "decoding": lambda: time_decoding(ENCODINGS, arguments.turns)}
        result = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__,
                  "numpy": np.__version__, "threads": 1, "candidates": len(objective), "limits": LIMITS,
                  **{part: tasks[part]() for part in arguments.parts}}
    print(report(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
