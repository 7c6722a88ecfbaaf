"""Searches on a Dask cluster whose workers are killed: python benchmarks/cluster.py [--runs N] [--json PATH]

The searches of Table 3 that take the shortest (random search, evolution, REINFORCE, arch2vec-RL, CIFAR-10, the paper's
budget and number of runs): first method by method in this process, then all of them on two worker processes, one of
which is killed (SIGKILL) at random moments. The trajectories have to be equal, or the program fails. The runs have
seeds that no page uses, so that none of them is read; both folders are temporary and share the tables.

Processor time counts this process and all workers, killed ones and their starts included; wall time depends on what
else the machine does. It needs the extra `cluster`, and the tables of NAS-Bench-201.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import LocalCluster

from a2v_core.artifacts import ArtifactStore
from a2v_core.paths import data_dir
from a2v_core.provenance import Cost, machine, versions
from a2v_core.search.blocks import Arm, run_study
from a2v_core.search.objectives import usual_seconds
from a2v_core.search.plan import SCALES, make_group
from a2v_core.search.runs import Trajectories
from a2v_core.spaces import get_space

SPACE, OBJECTIVE, METHODS, WORKERS = "nasbench201", "cifar10", ("random", "re", "rl", "arch2vec_rl"), 2
# No page has runs of these seeds.
FIRST_SEED = 100_000
# Least and largest number of blocks that are finished between two kills.
BETWEEN_KILLS = (2, 5)


class Killer(threading.Thread):
    """Kills a worker that has something to do, at a random moment after every few new blocks (so that a slow machine,
    on which a start takes long, makes progress as well), until it is told to stop."""

    def __init__(self, cluster: LocalCluster, blocks: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self.cluster, self.blocks, self.random = cluster, blocks, random.Random(seed)
        self.killed: list[int] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        awaited = self.random.randint(*BETWEEN_KILLS)
        while not self.stopped.wait(self.random.uniform(0, 0.2)):
            finished = len(list(self.blocks.glob("[!.]*.parquet")))
            working = [worker.address for worker in list(self.cluster.scheduler.workers.values()) if worker.processing]
            found = [nanny.pid for nanny in self.cluster.workers.values() if nanny.worker_address in working]
            if found and finished >= awaited:
                self.killed.append(self.random.choice(found))
                os.kill(self.killed[-1], signal.SIGKILL)
                awaited = finished + self.random.randint(*BETWEEN_KILLS)


def arms_of(method: str, runs: int) -> list[Arm]:
    """The runs of a method as the page of Table 3 makes them, spread over the pre-trainings."""
    return list(make_group(SCALES["full"], SPACE, OBJECTIVE, method, "released", runs, usual_seconds(SPACE, OBJECTIVE),
                           seed=FIRST_SEED).arms)


def make_folder(root: Path, arms: Sequence[Arm]) -> Path:
    """A data folder with the tables of the usual one and the embeddings of the arms."""
    root.mkdir()
    (root / "tables").symlink_to(data_dir() / "tables")
    for features in {arm.seen for arm in arms}:
        features.prepare(get_space(SPACE), ArtifactStore(root), "cpu")
    return root


def assert_same(found: Sequence[Trajectories], expected: Sequence[Trajectories]) -> None:
    """Raise AssertionError unless all trajectories are equal to the bit."""
    for one, other in zip(found, expected, strict=True):
        for field in dataclasses.fields(Trajectories):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def measure(folder: Path, runs: int, seed: int) -> dict[str, Any]:
    """Cost of the runs alone and on the cluster."""
    arms = {method: arms_of(method, runs) for method in METHODS}
    every_arm = [arm for of_method in arms.values() for arm in of_method]
    alone = make_folder(folder / "alone", every_arm)
    shared = Path(shutil.copytree(alone, folder / "shared", symlinks=True))
    expected, rows = [], []
    for method, of_method in arms.items():
        with Cost() as cost:
            made = run_study(of_method, data_dir=str(alone), n_jobs=1, device="cpu")
        expected += made
        rows.append({"method": method, "runs": runs, "queries a run": sum(len(each.cells) for each in made) / runs,
                     "processor s a run": cost.processor / runs, "wall s a run": cost.wall / runs})
    # Dask gives a task up after its fourth worker has died; here they die on purpose.
    with Cost() as whole, dask.config.set({"distributed.scheduler.allowed-failures": 1000}), \
            LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None,
                         host="127.0.0.1", protocol="tcp") as cluster:
        killer = Killer(cluster, shared / "artifacts" / "searches", seed)
        killer.start()
        try:
            with Cost() as study:
                found = run_study(every_arm, data_dir=str(shared), scheduler=cluster.scheduler_address, device="cpu")
        finally:
            killer.stopped.set()
            killer.join()
    assert_same(found, expected)
    total = runs * len(METHODS)
    return {"alone": rows, "cluster": {
        "workers": WORKERS, "blocks": sum(len(arm.blocks()) for arm in every_arm), "runs": total,
        "killed workers": len(killer.killed), "processor s a run": whole.processor / total,
        "wall s a run": study.wall / total, "same trajectories": True}}


def report(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'one process':<24}{'runs':>8}{'queries':>10}{'ms processor':>14}{'ms wall':>10}   (a run)"]
    lines += [f"{row['method']:<24}{row['runs']:>8}{row['queries a run']:>10.1f}{1e3 * row['processor s a run']:>14.1f}"
              f"{1e3 * row['wall s a run']:>10.1f}" for row in result["alone"]]
    mean = {name: sum(row[name] for row in result["alone"]) / len(METHODS)
            for name in ("processor s a run", "wall s a run")}
    cluster = result["cluster"]
    for name, row in (("mean", mean), (f"{cluster['workers']} workers", cluster)):
        lines.append(f"{name:<24}{cluster['runs']:>8}{'':>10}{1e3 * row['processor s a run']:>14.1f}"
                     f"{1e3 * row['wall s a run']:>10.1f}")
    return "\n".join([*lines, f"{cluster['killed workers']} workers killed during {cluster['blocks']} blocks; "
                              "all trajectories equal"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=SCALES["full"].runs, help="of each method (default: the paper's)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the workers that are killed")
    parser.add_argument("--json", type=Path, help="write the numbers here as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="a2v-cluster-") as folder:
        result = measure(Path(folder), arguments.runs, arguments.seed)
    result |= {"machine": machine(), "versions": versions()}
    print(report(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
