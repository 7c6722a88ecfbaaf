"""Blocks of runs: computed once, found again by what they depend on, whole after any kill, published and read."""

import dataclasses
import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_search import MadeSearcher, objective

from a2v_core.errors import ArtifactError, SettingsError
from a2v_core.search import blocks
from a2v_core.search.blocks import Arm, block_keys, computing_modules, publish, published_block, run_block, run_study
from a2v_core.search.features import Features
from a2v_core.search.methods import METHODS
from a2v_core.search.objectives import objective_module
from a2v_core.search.runs import Budget, Trajectories, run_searches

ARM = Arm("made", "noisy", "made", Budget(seconds=200.0), runs=10)


@pytest.fixture(autouse=True)
def published(third_party, tmp_path, monkeypatch):
    """The made space, objectives and method are registered, blocks hold four runs, and an empty folder stands in place
    of the published ones."""
    monkeypatch.setattr(blocks, "BLOCK", 4)
    folder = tmp_path / "published"
    monkeypatch.setattr(blocks, "published_searches_dir", lambda: folder)
    return folder


@pytest.fixture
def made(monkeypatch):
    """Notes the seeds of every batch that is really run."""
    seen, real = [], blocks.run_searches

    def run(searcher, *arguments, **options):
        seen.append(list(searcher.seeds))
        return real(searcher, *arguments, **options)

    monkeypatch.setattr(blocks, "run_searches", run)
    return seen


def study(tmp_path, *arms, **options):
    return run_study(arms or [ARM], data_dir=str(tmp_path), **{"n_jobs": 1} | options)


def same(a, b):
    for field in dataclasses.fields(Trajectories):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    return True


def expected(arm=ARM):
    on = objective(arm.objective)
    seeds = range(arm.first_seed, arm.first_seed + arm.runs)
    return run_searches(MadeSearcher(on.problem(), seeds, arm.settings()), on, arm.budget, progress=False)


def files(folder):
    return sorted((Path(folder) / "artifacts" / "searches").glob("*.parquet"))


# --- made once -------------------------------------------------------------------------------------------------------


def test_an_arm_is_cut_into_blocks():
    arm = dataclasses.replace(ARM, first_seed=100)
    assert [(b.first_seed, b.runs) for b in arm.blocks()] == [(100, 4), (104, 4), (108, 2)]
    with pytest.raises(SettingsError, match="at least one run"):
        dataclasses.replace(ARM, runs=0)


def test_slow_methods_have_smaller_blocks():
    arm = Arm("nasbench101", "imputed", "supervised_bo", Budget(queries=400), runs=12, first_seed=3)
    assert [(b.first_seed, b.runs) for b in arm.blocks()] == [(3, 5), (8, 5), (13, 2)]
    assert [b.runs for b in dataclasses.replace(arm, method="supervised_rl", runs=25).blocks()] == [10, 10, 5]
    slow = dataclasses.replace(arm, method="arch2vec_bo", space="nasbench101", objective="imputed", runs=12)
    assert [b.runs for b in slow.blocks()] == [10, 2]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_study_is_what_one_batch_of_all_seeds_gives(tmp_path, n_jobs):
    other = dataclasses.replace(ARM, objective="made", recipe="paper", runs=3)
    first, second = study(tmp_path, ARM, other, n_jobs=n_jobs)
    assert same(first, expected())
    assert same(second, expected(other))
    assert len(files(tmp_path)) == 4


def test_blocks_are_made_once(tmp_path, made):
    first, = study(tmp_path)
    assert made == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    again, longer = study(tmp_path, ARM, dataclasses.replace(ARM, runs=12))
    assert made[3:] == [[8, 9, 10, 11]]
    assert same(again, first)
    assert same(longer, expected(dataclasses.replace(ARM, runs=12)))


def test_only_what_is_there_is_read_when_nothing_may_be_computed(tmp_path, made):
    assert study(tmp_path, only_existing=True) == [None]
    run_block(ARM.blocks()[1], str(tmp_path))
    made.clear()
    other = dataclasses.replace(ARM, first_seed=100)
    part, none = study(tmp_path, ARM, other, only_existing=True)
    assert none is None
    assert part.seeds.tolist() == [4, 5, 6, 7]
    assert made == []


def test_arms_of_equal_settings_share_their_blocks(tmp_path, made):
    study(tmp_path, ARM, dataclasses.replace(ARM, recipe="paper", changes={"batch": 4}), ARM)
    assert len(made) == 3


def test_a_block_says_where_it_comes_from(tmp_path):
    study(tmp_path, dataclasses.replace(ARM, runs=2, changes={"batch": 2}))
    path, = files(tmp_path)
    meta = json.loads(pq.read_schema(io.BytesIO(path.read_bytes())).metadata[b"a2v"])["provenance"]
    assert (meta["arm"]["method"], meta["arm"]["runs"], meta["settings"]["batch"]) == ("made", 2, 2)
    assert meta["versions"]["numpy"] == np.__version__


def test_a_single_block_runs_on_one_thread_and_gives_the_threads_back(tmp_path, monkeypatch):
    import torch

    before, seen, real = torch.get_num_threads(), [], blocks.run_searches

    def run(*arguments):
        seen.append(torch.get_num_threads())
        return real(*arguments)

    monkeypatch.setattr(blocks, "run_searches", run)
    torch.set_num_threads(2)
    try:
        run_block(dataclasses.replace(ARM, runs=1), str(tmp_path))
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [
    {"objective": "made"}, {"budget": Budget(seconds=201.0)}, {"budget": Budget(9, 200.0)}, {"recipe": "paper"},
    {"changes": {"batch": 3}}, {"features": Features("one_hot")}, {"first_seed": 1}, {"runs": 3}],
    ids=lambda change: next(iter(change)))
def test_the_key_depends_on_everything_that_decides_the_runs(change):
    arm = dataclasses.replace(ARM, runs=4)
    keys = {*block_keys(arm), *block_keys(dataclasses.replace(arm, **change))}
    assert len(keys) == 2
    assert block_keys(dataclasses.replace(arm, budget=Budget(seconds=200))) == block_keys(arm)


def test_the_key_depends_on_the_tables_and_the_code(monkeypatch):
    keys = {block_keys(ARM)[0]}
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_code", lambda *_: "other")
        keys.add(block_keys(ARM)[0])
    changed = dataclasses.replace(objective("noisy"), data={"table": "other"})
    monkeypatch.setattr(blocks, "get_objective", lambda *_: changed)
    keys.add(block_keys(ARM)[0])
    assert len(keys) == 3


def test_an_embedding_is_part_of_the_key_without_being_made(monkeypatch):
    monkeypatch.setattr(Features, "build", None)
    arms = [dataclasses.replace(ARM, features=Features("arch2vec", seed=seed)) for seed in (0, 0, 1)]
    keys = [block_keys(arm)[0] for arm in arms]
    assert keys[0] == keys[1] != keys[2]


def test_the_code_of_a_method_from_elsewhere_counts():
    found = computing_modules("made_search", "made")
    search = {f"a2v_core.search.{name}" for name in ("runs", "objective", "protocol")}
    assert {"made_search", *search} <= set(found)
    assert not {"a2v_core.artifacts", "a2v_core.errors", "a2v_core.search.methods"} & set(found)


@pytest.mark.parametrize("space", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("method_id", METHODS)
def test_the_code_that_counts_is_that_of_the_method_alone(method_id, space):
    """No page, figure, registry or other method is in it, so that none of them makes a search be run again."""
    module = METHODS[method_id].module
    if None in (importlib.util.find_spec(module), importlib.util.find_spec(objective_module(space))):
        pytest.skip("not there")
    found = computing_modules(module, space)
    other = "nasbench201" if space == "nasbench101" else "nasbench101"
    assert {module, objective_module(space), "a2v_core.search.runs", f"a2v_core.spaces.{space}"} <= set(found)
    never = {"methods", "blocks", "trajectories", "objectives", "features", f"{other}_objectives"}
    assert not {f"a2v_core.search.{name}" for name in never} & set(found)
    assert not {f"a2v_core.{name}" for name in ("plotting", "table1", "study", "results", "cli")} & set(found)
    assert not any(name.startswith(("a2v_core.spaces.darts", "a2v_core.claims", "a2v_core.benchmarks"))
                   for name in found)
    bases = {"supervised_reinforce": "reinforce", "supervised_bayesian_optimization": "bayesian_optimization",
             "neighbour_evolution": "local_search"}
    short = module.rpartition(".")[2]
    others = {m.module for m in METHODS.values()} - {module, f"a2v_core.search.{bases.get(short)}"}
    assert not others & set(found)


# --- kills and damage ------------------------------------------------------------------------------------------------


KILLED = """
    import sys
    sys.path[:0] = [{site!r}, {tests!r}]
    from a2v_core.search import blocks
    blocks.BLOCK = 4
    import test_blocks
    arm = test_blocks.dataclasses.replace(test_blocks.ARM, changes={changes!r})
    blocks.run_study([arm], data_dir={root!r}, n_jobs=1)
"""


def test_a_killed_study_goes_on_and_ends_with_the_same_table(tmp_path, third_party, made):
    """SIGKILL, which nothing can catch, in the middle of the second of three blocks."""
    changes = {"marker": str(tmp_path / "killed"), "fatal": 5}
    script = textwrap.dedent(KILLED.format(site=str(third_party), tests=str(Path(__file__).parent), changes=changes,
                                           root=str(tmp_path)))
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(files(tmp_path)) == 1
    arm = dataclasses.replace(ARM, changes=changes)
    resumed, = study(tmp_path, arm)
    assert made == [[4, 5, 6, 7], [8, 9]]
    never_killed, = study(tmp_path / "elsewhere", arm)
    assert len(made) == 5
    assert same(resumed, never_killed)
    assert same(resumed, expected())


def test_a_cluster_worker_that_is_killed_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    arm = dataclasses.replace(ARM, changes={"marker": str(tmp_path / "killed"), "fatal": 5})
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  protocol="tcp", host="127.0.0.1") as cluster, distributed.Client(cluster):
        found, = study(tmp_path, arm, scheduler=cluster.scheduler_address)
    assert int((tmp_path / "killed").read_text()) != os.getpid()
    assert same(found, expected())
    assert len(files(tmp_path)) == 3


def test_what_workers_cannot_store_here_is_stored_by_the_study(tmp_path, made, monkeypatch):
    """Workers without a shared folder keep their blocks elsewhere."""
    real = blocks.run_block

    def run(block, data_dir, **options):
        return real(block, str(tmp_path / "elsewhere"), **options)

    monkeypatch.setattr(blocks, "run_block", run)
    study(tmp_path)
    assert len(files(tmp_path)) == len(files(tmp_path / "elsewhere")) == 3
    assert same(study(tmp_path)[0], expected())
    assert len(made) == 3


def test_workers_with_other_code_are_noticed(tmp_path, monkeypatch):
    real = blocks.run_block

    def run(block, data_dir, **options):
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "_code", lambda *_: "other")
            return real(block, data_dir, **options)

    monkeypatch.setattr(blocks, "run_block", run)
    with pytest.raises(ArtifactError, match="other code or other tables"):
        study(tmp_path)


def test_a_damaged_block_is_noticed_and_made_again(tmp_path, made):
    study(tmp_path)
    damaged = files(tmp_path)[1]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 255
    damaged.write_bytes(content)
    with pytest.warns(UserWarning, match=f"{damaged.name} is damaged"):
        found, = study(tmp_path)
    assert len(made) == 4
    assert same(found, expected())
    assert len(study(tmp_path)) == 1
    assert len(made) == 4


# --- under version control -------------------------------------------------------------------------------------------


def test_published_blocks_are_read_where_the_store_has_none(tmp_path, published, made):
    study(tmp_path)
    written = publish([ARM], str(tmp_path))
    assert [path.parent for path in written] == [published / "made"] * 3
    assert [path.name.rpartition("-")[0] for path in written] == [f"noisy-made-released-200s-{block}"
                                                                  for block in ("0-4", "4-4", "8-2")]
    assert published_block(block_keys(ARM)[0]) == written[0]
    assert published_block("0" * 20) is None
    assert same(study(tmp_path / "elsewhere")[0], expected())
    assert len(made) == 3
    assert not files(tmp_path / "elsewhere")


def test_publishing_replaces_older_blocks_and_nothing_else(tmp_path, published, monkeypatch):
    twin = dataclasses.replace(ARM, recipe="paper", changes={"batch": 4})
    study(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_code", lambda *_: "older")
        study(tmp_path)
        older = publish([ARM, dataclasses.replace(ARM, runs=4)], str(tmp_path))
    stranger = older[0].with_name("noisy-made-released-200s-0-4-more-" + "0" * 20 + ".parquet")
    stranger.write_bytes(b"")
    newer = publish([twin, ARM], str(tmp_path))
    # Both arms have one set of blocks, which lies there once.
    assert len(newer) == 3
    assert {*published.glob("*/*")} == {*newer, stranger}
    assert publish([dataclasses.replace(ARM, first_seed=500)], str(tmp_path)) == []
    assert {*published.glob("*/*")} == {*newer, stranger}


def test_without_a_checkout_nothing_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "published_searches_dir", lambda: None)
    study(tmp_path)
    assert publish([ARM], str(tmp_path)) == []


def test_a_damaged_published_block_is_a_clear_error(tmp_path):
    study(tmp_path)
    path = publish([ARM], str(tmp_path))[0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=rf"{re.escape(path.name)} is damaged .*: restore it"):
        study(tmp_path / "elsewhere")


def test_an_arm_has_a_readable_label():
    arm = Arm("nasbench101", "imputed", "arch2vec_bo", Budget(400, 1e6), "paper", {"top": 1},
              Features("arch2vec", "corrected", 2))
    assert arm.label == "imputed-arch2vec_bo-paper-top=1-arch2vec-corrected-2-400q-1000000s"


@pytest.mark.parametrize(("change", "told"), [
    ({"method": "guess"}, "unknown search method 'guess'"), ({"objective": "loud"}, "no objective 'loud' on made"),
    ({"space": "nas"}, "no objective on a search space 'nas'"), ({"recipe": "best"}, "no recipe 'best'"),
    ({"changes": {"bach": 1}}, "no setting bach")])
def test_what_is_unknown_is_named(tmp_path, change, told):
    with pytest.raises(SettingsError, match=told):
        study(tmp_path, dataclasses.replace(ARM, **change))
