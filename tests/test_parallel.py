"""Tasks side by side: order, errors, and a cluster whose worker is killed."""

import os
import signal
import threading
import time

import pytest

from a2v_core.errors import SettingsError, StudyError
from a2v_core.parallel import available_processors, run_tasks


def double(number, marker=None):
    """Twice the number; with a marker file, the first process to come by kills itself."""
    if marker is not None and not os.path.exists(marker):
        with open(marker, "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return 2 * number


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(n_jobs):
    assert run_tasks(double, [{"number": i} for i in range(7)], n_jobs=n_jobs) == [0, 2, 4, 6, 8, 10, 12]
    assert run_tasks(double, [], n_jobs=n_jobs) == []


def test_an_error_in_a_task_reaches_the_caller():
    with pytest.raises(TypeError):
        run_tasks(double, [{"number": 1}, {"number": None}], n_jobs=2)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

    def refuse(address, timeout):
        raise OSError("Timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(SettingsError, match=r"tcp://127\.0\.0\.1:1.*leave scheduler"):
        run_tasks(double, [{"number": 1}], scheduler="tcp://127.0.0.1:1")


def test_a_cluster_computes_the_same_and_a_killed_worker_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  protocol="tcp", host="127.0.0.1") as cluster, distributed.Client(cluster):
        tasks = [{"number": i, "marker": str(tmp_path / "killed") if i == 3 else None} for i in range(6)]
        assert run_tasks(double, tasks, scheduler=cluster.scheduler_address) == [0, 2, 4, 6, 8, 10]
    assert (tmp_path / "killed").is_file()


class FatalToFetch:
    """A result that kills the process which sends it, once."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        if not os.path.exists(self.marker):
            with open(self.marker, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return FatalToFetch, (self.marker,)


def test_a_finished_result_that_is_lost_with_its_worker_is_computed_again(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    marker, found = str(tmp_path / "killed"), []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  protocol="tcp", host="127.0.0.1") as cluster:
        # In a thread of its own: a caller that waits for ever has to fail this test, not to stop it.
        caller = threading.Thread(daemon=True, target=lambda: found.extend(run_tasks(
            FatalToFetch, [{"marker": marker}] * 3, scheduler=cluster.scheduler_address)))
        caller.start()
        caller.join(60)
        assert not caller.is_alive(), "the caller still waits"
    assert [type(each) for each in found] == [FatalToFetch] * 3
    assert os.path.exists(marker)


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_every_worker_is_an_error_and_does_not_wait_for_ever():
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    errors = []

    def call(address):
        try:
            run_tasks(die, [{"number": i} for i in range(4)], scheduler=address, description="deaths")
        except StudyError as error:
            errors.append(str(error))

    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  protocol="tcp", host="127.0.0.1") as cluster:
        caller = threading.Thread(daemon=True, target=call, args=(cluster.scheduler_address,))
        caller.start()
        caller.join(120)
        assert not caller.is_alive(), "the caller still waits"
    assert len(errors) == 1
    assert "deaths" in errors[0]
    assert "ALLOWED_FAILURES" in errors[0]


def test_an_error_in_a_task_on_a_cluster_reaches_the_caller():
    distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None,
                                  protocol="tcp", host="127.0.0.1") as cluster, pytest.raises(TypeError):
        run_tasks(double, [{"number": 1}, {"number": None}], scheduler=cluster.scheduler_address)


def test_processors_are_those_this_process_may_use():
    assert 1 <= available_processors() <= (os.cpu_count() or 1)
