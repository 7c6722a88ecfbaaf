"""Tasks side by side: order, errors, and a cluster whose worker is killed."""

import os
import signal
import time

import pytest

from a2v_core.errors import SettingsError
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


def test_processors_are_those_this_process_may_use():
    assert 1 <= available_processors() <= (os.cpu_count() or 1)
