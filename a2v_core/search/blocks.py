"""Search runs at scale: blocks of seeds as artifacts, computed side by side and found again by what they depend on.

A block is some consecutive seeds of one arm. A study that is started again makes the missing blocks, goes on in the
middle of those that take minutes (:mod:`a2v_core.search.resumable`), and ends with the same table. The key of a block
holds what decides the trajectories: candidates, labels, settings, vectors, budget, seeds, and the code of the modules
that the method and its objective compute with, so that an edit to a page or to another method makes nothing again.
"""

from __future__ import annotations

import glob
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest, write_atomically
from a2v_core.errors import ArtifactError, SettingsError
from a2v_core.parallel import one_thread, run_tasks
from a2v_core.paths import published_searches_dir
from a2v_core.provenance import module_closure, versions
from a2v_core.search.features import Features
from a2v_core.search.methods import get_method, settings_as_dict
from a2v_core.search.objectives import get_objective, objective_module
from a2v_core.search.resumable import Resumable, forget
from a2v_core.search.runs import Budget, Trajectories, run_searches
from a2v_core.spaces import get_space

#: Seeds of a block; fewer where a run trains networks for minutes, so that there are finished ones to show.
BLOCK = 50
_SMALLER = {"supervised_rl": 10, "supervised_bo": 5}
# Where the candidates are so many that rounds take long.
_SMALLER_ON = {(method, "nasbench101"): 10 for method in ("arch2vec_bo", "bo", "bananas")}
_KIND = "searches"
_KEY_DIGITS = 20
# Packages that computing modules import, but whose results (cells, tables) are in the key by themselves.
_COUNTED_OTHERWISE = ("a2v_core.spaces.", "a2v_core.benchmarks.")
_NOT_COMPUTING = ("a2v_core", "a2v_core.artifacts", "a2v_core.errors", "a2v_core.parallel", "a2v_core.paths",
                  "a2v_core.provenance", "a2v_core.published", "a2v_core.search")


@dataclass(frozen=True)
class Arm:
    """One method on one objective.

    Attributes:
        space, objective: see :mod:`a2v_core.search.objectives`.
        method: see :mod:`a2v_core.search.methods`.
        budget: of each run.
        recipe: of the search.
        changes: single settings changed against the recipe; JSON-able.
        features: the vectors that the method sees; None for its own kind, from the first pre-training (seed 0) of
            recipe `released`.
        runs: number of runs, with consecutive seeds.
        first_seed: of the first run.

    Raises:
        SettingsError: no run.
    """

    space: str
    objective: str
    method: str
    budget: Budget
    recipe: str = "released"
    changes: Mapping[str, Any] = field(default_factory=dict)
    features: Features | None = None
    runs: int = BLOCK
    first_seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < 1 or self.first_seed < 0:
            raise SettingsError(f"{self.runs} runs from seed {self.first_seed}: give at least one run, seeds from 0")

    @property
    def label(self) -> str:
        """Name in files: objective, method, recipe, what is changed, vectors, budget."""
        bounds = ((self.budget.queries, "q"), (self.budget.seconds, "s"))
        return "-".join([
            self.objective, self.method, self.recipe, *(f"{k}={v}" for k, v in self.changes.items()),
            *([self.features.label] if self.features else []), *(f"{n:.10g}{unit}" for n, unit in bounds if n)])

    @property
    def seen(self) -> Features:
        """The vectors that the method sees."""
        return self.features or Features(get_method(self.method).features)

    def settings(self) -> Any:
        """Settings of the method in this arm."""
        return get_method(self.method).settings_of(self.recipe, self.space, self.changes)

    def blocks(self) -> list[Arm]:
        """The same arm in parts of at most :data:`BLOCK` runs, or fewer of a slow method."""
        size = _SMALLER_ON.get((self.method, self.space), _SMALLER.get(self.method, BLOCK))
        stop = self.first_seed + self.runs
        return [replace(self, first_seed=first, runs=min(size, stop - first))
                for first in range(self.first_seed, stop, size)]


def run_study(arms: Sequence[Arm], *, data_dir: str = "", scheduler: str = "", n_jobs: int | None = None,
              device: str = "auto", only_existing: bool = False) -> list[Trajectories | None]:
    """The runs of each arm, in order: blocks are read where they exist, computed side by side where they do not.

    Args:
        data_dir: the data folder; see :func:`a2v_core.paths.data_dir`. Workers of a cluster that share it lose nothing
            when this process is killed; without a shared folder blocks are kept when the last one is finished.
        scheduler, n_jobs: as in :func:`a2v_core.parallel.run_tasks`.
        device: where networks live.
        only_existing: compute nothing; an arm then has the runs that are there, or is None without any.

    Raises:
        SettingsError: an arm names something unknown.
        MissingDataError: the tables of an objective are not there.
    """
    store = ArtifactStore(data_dir)
    keys = [block_keys(arm, data_dir) for arm in arms]
    found = {key: _load(store, key) for of_arm in keys for key in of_arm}
    missing = {key: block for arm, of_arm in zip(arms, keys, strict=True)
               for key, block in zip(of_arm, arm.blocks(), strict=True) if found[key] is None and not only_existing}
    for space, features in {(block.space, block.seen) for block in missing.values()}:
        features.prepare(get_space(space), store, device)
    tasks = [{"block": block, "data_dir": data_dir, "device": device, "progress": len(missing) == 1}
             for block in missing.values()]
    results = run_tasks(run_block, tasks, scheduler=scheduler, n_jobs=n_jobs, description="blocks of runs")
    for (key, block), (key_there, result) in zip(missing.items(), results, strict=True):
        if key_there != key:
            raise ArtifactError(f"block {block.label} from seed {block.first_seed} has another key where it was made: "
                                "that process has other code or other tables; make them equal and start again")
        found[key] = result
        if store.load_bytes(_KIND, key, ".parquet") is None:
            _save(store, key, block, result)
    there = [[found[key] for key in of_arm if found[key] is not None] for of_arm in keys]
    return [Trajectories.concatenate(parts) if parts else None for parts in there]


def run_block(block: Arm, data_dir: str = "", device: str = "auto", progress: bool = False
              ) -> tuple[str, Trajectories]:
    """Key and runs of an arm of one block (:meth:`Arm.blocks`), read or computed and stored; on one thread, so
    that they do not depend on how many blocks run side by side."""
    store, (key,) = ArtifactStore(data_dir), block_keys(block, data_dir)
    found = _load(store, key)
    if found is None:
        objective, settings = get_objective(block.space, block.objective, data_dir), block.settings()
        features = block.seen.build(objective.space, store, device)
        problem = objective.problem(None if features is None else features[objective.rows])
        seeds = range(block.first_seed, block.first_seed + block.runs)
        with one_thread():
            searcher = Resumable(get_method(block.method).searcher_of(problem, seeds, settings, device), store, key)
            found = run_searches(searcher, objective, block.budget, progress)
        _save(store, key, block, found)
        forget(store, key)
    return key, found


def block_keys(arm: Arm, data_dir: str = "") -> list[str]:
    """Identity of each block: what its trajectories depend on, wherever they are computed. Nothing is trained."""
    objective, searcher = get_objective(arm.space, arm.objective, data_dir), get_method(arm.method).searcher
    dependencies = {
        "objective": objective.name, "data": dict(objective.data), "cells": objective.space.cells().digest(),
        "searcher": searcher, "settings": settings_as_dict(arm.settings()),
        "features": arm.seen.identity(objective.space), "budget": asdict(arm.budget),
        "code": _code(searcher.partition(":")[0], arm.space)}
    return [artifact_key(dependencies | {"seeds": [block.first_seed, block.runs]}) for block in arm.blocks()]


@cache
def _code(searcher_module: str, space: str) -> str:
    return code_digest(*computing_modules(searcher_module, space))


def computing_modules(searcher_module: str, space: str) -> list[str]:
    """Modules whose code decides what a searcher does on a space, sorted."""
    roots = {searcher_module, objective_module(space), "a2v_core.search.runs", type(get_space(space)).__module__}
    reached = module_closure("\n".join(_source(module) for module in roots))
    return sorted(roots | {module for module in reached if module not in _NOT_COMPUTING
                           and not f"{module}.".startswith(_COUNTED_OTHERWISE)})


def publish(arms: Sequence[Arm], data_dir: str = "") -> list[Path]:
    """Copy the finished blocks of the arms from the store to the folder under version control; what stood there for the
    same block under an older key goes. Returns the files written."""
    store, root = ArtifactStore(data_dir), published_searches_dir()
    finished: dict[Path, bytes] = {}
    for arm in arms if root else ():
        for block, key in zip(arm.blocks(), block_keys(arm, data_dir), strict=True):
            if (content := store.load_bytes(_KIND, key, ".parquet")) is not None:
                name = f"{arm.label}-{block.first_seed}-{block.runs}-{key}.parquet"
                finished[root / arm.space / name] = content
    for path in finished:
        for older in path.parent.glob(f"{glob.escape(path.stem[:-_KEY_DIGITS])}{'?' * _KEY_DIGITS}.parquet"):
            if older not in finished:
                older.unlink()
    written = []
    for path, content in finished.items():
        # Recipes that agree on all settings share their blocks.
        if published_block(path.stem[-_KEY_DIGITS:]) in (None, path):
            write_atomically(path, content)
            written.append(path)
    return written


def published_block(key: str) -> Path | None:
    """File under version control whose name ends with `key`, if there is one."""
    root = published_searches_dir()
    return next(iter(sorted(root.glob(f"*/*-{key}.parquet"))), None) if root else None


def _load(store: ArtifactStore, key: str) -> Trajectories | None:
    content = store.load_bytes(_KIND, key, ".parquet")
    if content is not None:
        forget(store, key)
        return Trajectories.from_parquet(content)
    if (path := published_block(key)) is None:
        return None
    try:
        return Trajectories.from_parquet(path.read_bytes())
    except (ArtifactError, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): restore it") from error


def _save(store: ArtifactStore, key: str, block: Arm, runs: Trajectories) -> None:
    provenance = {"arm": asdict(block), "settings": settings_as_dict(block.settings()), "versions": versions()}
    store.save_bytes(_KIND, key, ".parquet", runs.to_parquet(provenance))


def _source(module: str) -> str:
    """Python text from which :func:`module_closure` finds the module and all that it reaches."""
    if module.partition(".")[0] == __name__.partition(".")[0]:
        return f"import {module}"
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).read_text(encoding="utf-8")
