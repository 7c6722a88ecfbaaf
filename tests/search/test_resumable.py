"""Every search method, stopped in the middle of its runs and taken up again: the same runs, without the rounds that
were made before."""

import pickle

import made_landscapes
import numpy as np
import pytest
from made_search import MadeSearcher, objective

from a2v_core.artifacts import ArtifactStore
from a2v_core.search import resumable
from a2v_core.search.features import one_hot
from a2v_core.search.methods import METHODS
from a2v_core.search.objective import Objective
from a2v_core.search.protocol import Problem
from a2v_core.search.resumable import Resumable, forget
from a2v_core.search.runs import Budget, run_searches

SEEDS = (3, 4, 5)
ROWS = np.arange(0, 15_625, 60)
#: What makes a method quick here.
CHANGES = {"supervised_bo": {"epochs": 2, "initial": 8}, "bo": {"epochs": 5}, "arch2vec_bo": {"epochs": 5},
           "bananas": {"epochs": 2}}


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def each_round_is_kept(monkeypatch):
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 0.0)


@pytest.fixture(scope="module")
def landscape():
    """Some cells of NAS-Bench-201 with made accuracies, which every query draws one of three of."""
    problem = made_landscapes.problem(rows=ROWS)
    truth = made_landscapes.one_target(problem)
    rng = np.random.default_rng(0)
    paid = np.clip(truth + rng.normal(0, 0.02, (1, 3, len(ROWS))), 0, 1)
    return Objective("made/landscape", problem.space, ROWS, (12,), paid, np.ones((1, len(ROWS))), truth, truth,
                     np.ones(len(ROWS), bool), {"table": "digest"})


def make(method, landscape):
    features = one_hot(landscape.space)[ROWS].astype(np.float32) if method.features != "none" else None
    settings = method.settings_of("released", "nasbench201", CHANGES.get(method.id, {}))
    return method.searcher_of(landscape.problem(features), SEEDS, settings, "cpu")


@pytest.fixture
def rounds(monkeypatch):
    """Rounds that searchers of a class compute; the round `rounds.stop`, counted from 1, ends in :class:`Stopped`."""

    class Rounds(list):
        stop = 0

        def watch(self, searcher):
            real = searcher.propose

            def propose(this, active):
                self.append(1)
                if len(self) == self.stop:
                    raise Stopped
                return real(this, active)

            monkeypatch.setattr(searcher, "propose", propose)

    return Rounds()


def same(first, second):
    for name in ("seeds", "counts", "ended", "cells", "epochs", "signal"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_a_stopped_search_goes_on_to_the_same_runs(method, landscape, tmp_path, one_thread, rounds):
    budget, store = Budget(queries=26), ArtifactStore(tmp_path)
    whole = make(method, landscape)
    rounds.watch(type(whole))
    expected = run_searches(whole, landscape, budget, progress=False)
    if len(rounds) < 2:
        pytest.skip("all its queries are one round")
    rounds.stop = len(rounds)
    rounds.clear()
    with pytest.raises(Stopped):
        run_searches(Resumable(make(method, landscape), store, "key"), landscape, budget, progress=False)
    rounds.stop = 0
    rounds.clear()
    resumed = Resumable(make(method, landscape), store, "key")
    same(run_searches(resumed, landscape, budget, progress=False), expected)
    assert len(rounds) == 1
    forget(store, "key")
    assert not list((tmp_path / "artifacts" / "checkpoints").iterdir())


def test_a_quick_search_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable, "SECONDS_BETWEEN", 60.0)
    searched = Resumable(MadeSearcher(objective().problem(), SEEDS), ArtifactStore(tmp_path), "key")
    run_searches(searched, objective(), Budget(queries=20), progress=False)
    assert not (tmp_path / "artifacts").exists()


def test_what_the_problem_holds_is_not_kept(tmp_path):
    big = np.zeros((60, 100_000), np.float32)
    problem = objective().problem(big)
    searcher = MadeSearcher(problem, SEEDS)
    searcher.mine = [problem, big, problem.cells]
    run_searches(Resumable(searcher, ArtifactStore(tmp_path), "key"), objective(), Budget(queries=8), progress=False)
    path, = (tmp_path / "artifacts" / "checkpoints").glob("*.pickle")
    assert path.stat().st_size < 100_000
    other = Resumable(MadeSearcher(problem, SEEDS), ArtifactStore(tmp_path), "key")._searcher
    assert other.mine[0] is problem
    assert other.mine[1] is big
    assert isinstance(problem, Problem)


def test_a_searcher_that_cannot_be_pickled_runs_without(tmp_path):
    searcher = MadeSearcher(objective().problem(), SEEDS)
    searcher.state = lambda: None
    plain = run_searches(MadeSearcher(objective().problem(), SEEDS), objective(), Budget(queries=20), progress=False)
    with pytest.warns(UserWarning, match="MadeSearcher cannot be pickled .* begins anew") as told:
        runs = run_searches(Resumable(searcher, ArtifactStore(tmp_path), "key"), objective(), Budget(queries=20),
                            progress=False)
    assert len(told) == 1
    same(runs, plain)
    assert not list(tmp_path.rglob("*.pickle"))


def test_a_damaged_state_is_told_and_not_used(tmp_path):
    store = ArtifactStore(tmp_path)
    first = run_searches(Resumable(MadeSearcher(objective().problem(), SEEDS), store, "key"), objective(),
                         Budget(queries=20), progress=False)
    path, = tmp_path.rglob("*.pickle")
    path.write_bytes(pickle.dumps("something else"))
    with pytest.warns(UserWarning, match="is damaged"):
        again = Resumable(MadeSearcher(objective().problem(), SEEDS), store, "key")
    same(run_searches(again, objective(), Budget(queries=20), progress=False), first)


def test_a_state_that_cannot_be_read_is_told_and_not_used(tmp_path):
    store = ArtifactStore(tmp_path)
    store.save_bytes("checkpoints", "key", ".pickle", b"no pickle")
    with pytest.warns(UserWarning, match=r"key\.pickle is unreadable .*; computing it again"):
        searched = Resumable(MadeSearcher(objective().problem(), SEEDS), store, "key")
    plain = run_searches(MadeSearcher(objective().problem(), SEEDS), objective(), Budget(queries=20), progress=False)
    same(run_searches(searched, objective(), Budget(queries=20), progress=False), plain)


def test_the_state_of_a_finished_block_is_forgotten(tmp_path):
    store = ArtifactStore(tmp_path)
    store.save_bytes("checkpoints", "key", ".pickle", b"left by a killed process")
    store.save_bytes("checkpoints", "other", ".pickle", b"of another block")
    forget(store, "key")
    assert {path.stem.partition(".")[0] for path in (tmp_path / "artifacts" / "checkpoints").iterdir()} == {"other"}
