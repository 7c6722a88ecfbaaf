"""Two processes that compute the same into one cache: both end well, with the same bits, and nothing half written."""

import time

import pytest
from computations import bits, page, pretraining, searching, strictly

from a2v_core.artifacts import ArtifactStore
from a2v_core.results import load_results


def at_once(barrier, job, *arguments):
    """Start as soon as the other process is there."""
    barrier.wait(60)
    strictly(job, *arguments)


def two(processes, job, *arguments):
    """Run the job in two processes at once; returns when both have ended well."""
    barrier = processes.Barrier(2)
    pair = [processes.Process(target=at_once, args=(barrier, job, *arguments)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(120)
    assert [process.exitcode for process in pair] == [0, 0]


@pytest.mark.parametrize(("job", "size"), [(pretraining, 8), (searching, 16)])
def test_the_same_computation_twice_at_once(processes, tmp_path, job, size):
    two(processes, job, tmp_path / "shared", size)
    job(tmp_path / "alone", size)
    assert bits(tmp_path / "shared") == bits(tmp_path / "alone")
    assert not list(tmp_path.rglob("*.part"))


def test_two_studies_at_once(processes, tmp_path, made_study):
    two(processes, page, tmp_path / "shared", made_study)
    pretraining(tmp_path / "alone")
    searching(tmp_path / "alone")
    assert bits(tmp_path / "shared") == bits(tmp_path / "alone")
    assert len(load_results(tmp_path / "shared" / "results" / "drill.json")["values"]) == 2
    assert not list(tmp_path.rglob("*.part"))


def write(folder, who, times):
    """Store one artifact again and again, each time with another content."""
    for number in range(times):
        ArtifactStore(folder).save_json("kind", "key", [who, number])


def test_two_writers_of_one_artifact_never_look_like_damage(processes, tmp_path):
    """A digest that one of them has noted is not taken away by the other: a reader finds a whole artifact at any
    moment, and so does the next study."""
    writers = [processes.Process(target=write, args=(tmp_path, who, 60)) for who in range(2)]
    for process in writers:
        process.start()
    seen = []
    while any(process.is_alive() for process in writers):
        strictly(lambda: seen.append(ArtifactStore(tmp_path).load_json("kind", "key")))
        time.sleep(0.001)
    assert [process.exitcode for process in writers] == [0, 0]
    strictly(lambda: seen.append(ArtifactStore(tmp_path).load_json("kind", "key")))
    assert {who for value in seen if value for who, _ in [value]} == {0, 1}
    assert seen[-1][1] == 59
