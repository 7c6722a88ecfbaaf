"""kill -9 while a search computes: started again it ends with the same bits."""

import random
import signal
import time

import psutil
import pytest
from computations import bits, killed_at_write, searching, strictly

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


@pytest.mark.parametrize(("job", "size", "kills"), [(searching, 16, 8)])
def test_killed_at_random_moments(processes, tmp_path, job, size, kills):
    first, *others = drill(processes, tmp_path, kills, 1, job, size)
    expected = bits(first)
    assert len(expected) == size
    for folder in others:
        assert bits(folder) == expected


@pytest.mark.parametrize("job", [searching])
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
    # A digest is flushed, a file flushed and renamed, for each of two blocks.
    assert n == 6
