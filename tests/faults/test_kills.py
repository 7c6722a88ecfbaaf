"""kill -9 while a pre-training, a search and a study compute: started again they end with the same bits."""

import random
import signal
import time

import nbformat
import psutil
import pytest
from computations import (
    bits,
    killed_at_write,
    page,
    pretraining_alone,
    searching,
    searching_round_by_round,
    strictly,
)

from a2v_core.results import load_results

KILLED = -signal.SIGKILL


def wait(process, seconds=120):
    process.join(seconds)
    assert not process.is_alive(), "it hangs"
    return process.exitcode


def drill(processes, root, kills, seed, job, *arguments):
    """Start `job` in a new folder and kill it at a random moment, again and again, until it happens to end before it is
    killed; then in another folder, until there were `kills` kills. Returns the folders, all with a finished job in
    them, the first without any kill."""
    rng, orphans, folders = random.Random(seed), [], [root / "whole"]
    process, started = processes.Process(target=strictly, args=(job, folders[0], *arguments)), time.monotonic()
    process.start()
    assert wait(process) == 0
    seconds = time.monotonic() - started
    while kills:
        folders.append(root / f"killed{len(folders)}")
        code = KILLED
        while code == KILLED:
            process = processes.Process(target=strictly, args=(job, folders[-1], *arguments))
            process.start()
            if kills:
                process.join(rng.uniform(0, seconds))
                if process.is_alive():
                    orphans += psutil.Process(process.pid).children(recursive=True)
                process.kill()
            code = wait(process)
            kills -= code == KILLED
        assert code == 0
    assert not psutil.wait_procs(orphans, timeout=60)[1], "a killed process left others behind"
    return folders


@pytest.mark.parametrize(("job", "size", "kills"), [(pretraining_alone, 8, 9), (searching, 16, 9),
                                                   (searching_round_by_round, 8, 9)])
def test_killed_at_random_moments(processes, tmp_path, job, size, kills):
    first, *others = drill(processes, tmp_path, kills, 1, job, size)
    expected = bits(first)
    assert len(expected) == (1 if job is pretraining_alone else size)
    for folder in others:
        assert bits(folder) == expected


@pytest.mark.parametrize("job", [pretraining_alone, searching, searching_round_by_round])
def test_killed_before_every_write(processes, tmp_path, job):
    """A kill before each flush and each renaming of a file: all states in which the disk can be left."""
    job(tmp_path / "whole")
    expected, code, n = bits(tmp_path / "whole"), KILLED, 0
    while code == KILLED:
        folder = tmp_path / str(n)
        process = processes.Process(target=killed_at_write, args=(n, job, folder))
        process.start()
        if (code := wait(process)) == KILLED:
            strictly(job, folder)
            n += 1
        assert bits(folder) == expected
    assert code == 0
    # A digest is flushed, a file flushed and renamed: two checkpoints and a model, or two blocks, or a block after its
    # rounds.
    assert n == {pretraining_alone: 9, searching: 6}.get(job, n)
    assert n % 3 == 0
    assert n >= 6


def test_a_study_killed_at_random_moments(processes, tmp_path, made_study):
    """Its kernel is not killed: it ends by itself, some time after the next one has begun to compute the same."""
    first, *others = drill(processes, tmp_path, 2, 0, page, made_study)
    expected = bits(first), *published(first)
    assert len(expected[0]) == 4
    for folder in others:
        assert (bits(folder), *published(folder)) == expected


def published(folder):
    """Numbers and cells of the page without what tells the time."""
    executed = nbformat.read(folder / "results" / "drill.ipynb", as_version=4)
    return (load_results(folder / "results" / "drill.json")["values"],
            [cell for cell in executed.cells if cell.id != "provenance"])
