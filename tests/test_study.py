import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from a2v_core import study
from a2v_core.errors import ArtifactError, SettingsError, StudyError
from a2v_core.results import load_results

GOOD = """from a2v_core.results import Page
from tqdm import tqdm
page = Page("good", profile)
page.add("obs2/area", seed * width)
page.add_data("table", "0" * 64)
for _ in tqdm(range(3), desc="work"):
    pass"""
NOISY = """import os, sys, warnings
warnings.warn("mind this")
print(os.getcwd(), os.path.expanduser("~/x"))
print(results_path)
page.save(results_path)"""


@pytest.fixture
def root(tmp_path, write_notebook, make_checkout):
    root = make_checkout(tmp_path / "checkout", "good")
    write_notebook(root / "notebooks", "good", GOOD, NOISY)
    return root


def published(root):
    folder = root / "_build" / "smoke" / "results"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def without_provenance(content: bytes):
    notebook = nbformat.reads(content.decode(), as_version=4)
    return [cell for cell in notebook.cells if cell.id != "provenance"]


def test_a_page_is_published_with_numbers_and_provenance_and_is_then_up_to_date(root):
    said = []
    paths = study.run(profile="smoke", parameters={"seed": 3}, root=root, report=said.append)
    assert paths == [root / "_build" / "smoke" / "results" / "good.json"]
    content = load_results(paths[0])
    assert content["values"][0]["value"] == 6
    origin = content["provenance"]
    assert origin["parameters"] == {"seed": 3}
    assert origin["data"] == {"table": "0" * 64}
    assert origin["commit"] is None
    assert origin["versions"]["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert origin["machine"]["cores"] >= 1
    assert origin["wall_seconds"] >= 0.1
    assert origin["processor_seconds"] >= 0.1
    assert origin["peak_memory_mb"] > 10
    assert "a2v_core.results" in origin["code"]
    assert "a2v_core.study" not in origin["code"]
    assert study.status("smoke", root=root) == [study.PageStatus("good", "fresh", "smoke")]

    before = published(root)
    study.run(profile="smoke", parameters={"seed": 3}, root=root, report=said.append)
    assert said[-1] == "[1/1] good (smoke): up to date"
    assert published(root) == before
    study.run(profile="smoke", parameters={"seed": 4}, root=root)
    assert load_results(paths[0])["values"][0]["value"] == 8


def test_the_published_copy_is_the_same_every_time_and_tells_nothing_of_the_machine(root):
    study.run(profile="smoke", root=root)
    first = published(root)["good.ipynb"]
    study.run(profile="smoke", root=root, again=True)
    second = published(root)["good.ipynb"]
    assert without_provenance(first) == without_provenance(second)
    text = first.decode()
    assert "mind this" in text
    for secret in (str(Path.home()), str(root), str(root.parent), "papermill", "it/s", "results_path = \\\"/"):
        assert secret not in text
    stamp = next(cell for cell in nbformat.reads(text, as_version=4).cells if cell.id == "provenance")
    assert re.search(r"profile\* \*\*smoke\*\*; no commit .*; \d+ s \(\d+ s of processor time", stamp.source)


def test_an_unknown_parameter_is_refused_before_anything_runs(root):
    with pytest.raises(SettingsError, match=r"good.ipynb has no parameter 'sead': it knows profile, seed, .*width"):
        study.run(profile="smoke", parameters={"sead": 1}, root=root)
    with pytest.raises(SettingsError, match="'profile' is set by the study itself"):
        study.run(profile="smoke", parameters={"profile": "full"}, root=root)
    with pytest.raises(SettingsError, match="profile 'fast' is unknown"):
        study.run(profile="fast", root=root)
    assert published(root) == {}


def test_a_failing_cell_fails_the_run_and_keeps_what_was_there(root, write_notebook):
    study.run(profile="smoke", root=root)
    before = published(root)
    write_notebook(root / "notebooks", "good", GOOD, "page.save(results_path)\nraise ValueError('no\\nway')")
    with pytest.raises(StudyError, match=r"good.ipynb: cell 4 failed at line 2 `raise .*`: ValueError: no$"):
        study.run(profile="smoke", root=root)
    assert published(root) == before
    assert study.status("smoke", root=root)[0].reasons == ("notebook changed",)


def test_pages_before_a_failing_one_are_kept(root, write_notebook):
    write_notebook(root / "notebooks", "later", "1 / 0")
    with pytest.raises(StudyError, match=r"later.ipynb: cell 3 failed at line 1 `1 / 0`: ZeroDivisionError"):
        study.run(profile="smoke", root=root)
    assert sorted(published(root)) == ["good.ipynb", "good.json"]
    assert [page.state for page in study.status("smoke", root=root)] == ["fresh", "missing"]


@pytest.mark.parametrize(("cell", "message"), [
    ("pass", "finished without its numbers: end it with page.save"),
    ("from a2v_core.results import Page; Page('other', profile).save(results_path)", "saved numbers of 'other'"),
    ("open(results_path, 'w').write('{}')", "not a results file"),
    ("import os; os.write(2, b'no memory\\n'); os._exit(9)", "its kernel died.* its last words: no memory"),
])
def test_a_page_without_proper_numbers_is_refused(root, write_notebook, cell, message):
    write_notebook(root / "notebooks", "good", cell)
    with pytest.raises(StudyError, match=message):
        study.run(profile="smoke", root=root)
    assert published(root) == {}


def test_a_full_disk_while_publishing_keeps_what_was_there(root, monkeypatch):
    study.run(profile="smoke", root=root)
    before = published(root)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("a2v_core.artifacts.os.replace", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        study.run(profile="smoke", root=root, again=True)
    assert published(root) == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_and_says_so_in_one_line(root, write_notebook, tmp_path, how):
    sign = tmp_path / "running"
    write_notebook(root / "notebooks", "good", f"import os, pathlib, time\npathlib.Path({str(sign)!r}).write_text("
                   "str(os.getpid()))\ntime.sleep(60)")
    # A shell starts background jobs with SIGINT ignored, and a test run may be one.
    program = ("import pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "from a2v_core import cli, study\n"
               f"study.checkout = lambda: pathlib.Path({str(root)!r})\n"
               "cli.main(['study', 'run', '--profile', 'smoke'])")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=os.environ | {"TMPDIR": str(scratch)})
    try:
        wait_for(lambda: sign.is_file() and sign.read_text())
        child.send_signal(how)
        _, errors = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130
    assert errors == "a2v_core: interrupted; what was finished is kept\n"
    assert published(root) == {}
    assert list(scratch.iterdir()) == []
    wait_for(lambda: not psutil.pid_exists(int(sign.read_text())))


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_status_names_the_code_and_the_damage(root):
    study.run(profile="smoke", root=root)
    path = root / "_build" / "smoke" / "results" / "good.json"
    content = json.loads(path.read_text())
    content["provenance"]["code"]["a2v_core.errors"] = "0" * 16
    content["provenance"]["code"]["a2v_core.gone"] = "0" * 16
    path.write_text(json.dumps(content))
    (page,) = study.status("smoke", root=root)
    assert (page.state, page.reasons) == ("stale", ("code changed: a2v_core.errors, a2v_core.gone",))
    path.write_text("{")
    (page,) = study.status("smoke", root=root)
    assert page.state == "stale"
    assert "is not a results file" in page.reasons[0]


@pytest.mark.parametrize("damage", [lambda content: content[:-9],
                                    lambda content: content.replace(b"mind this", b"mind thus")])
def test_an_executed_copy_that_is_damaged_or_of_another_run_is_made_again(root, damage):
    """The two files of a page are written one after the other; a kill in between leaves a pair that does not fit."""
    study.run(profile="smoke", root=root)
    path = root / "_build" / "smoke" / "results" / "good.ipynb"
    whole = without_provenance(path.read_bytes())
    path.write_bytes(damage(path.read_bytes()))
    assert study.status("smoke", root=root)[0].reasons == ("executed copy is not of the same run",)
    study.run(profile="smoke", root=root)
    assert without_provenance(path.read_bytes()) == whole


def test_notebooks_come_in_the_order_of_the_book_and_unknown_names_are_refused(root, write_notebook):
    for name in ("aaa", "zzz"):
        write_notebook(root / "notebooks", name)
    assert [path.stem for path in study.notebooks(root)] == ["good", "aaa", "zzz"]
    assert [path.stem for path in study.notebooks(root, ["zzz", "good"])] == ["zzz", "good"]
    with pytest.raises(StudyError, match="no notebook 'obs9': there are good, aaa, zzz"):
        study.notebooks(root, ["obs9"])


def test_full_results_go_into_the_book_and_others_never(root):
    assert study.results_dir("full", root) == root / "book" / "results"
    assert study.results_dir("quick", root) == root / "_build" / "quick" / "results"
    study.run(profile="smoke", root=root)
    assert not (root / "book" / "results").exists()
    study.run(profile="full", root=root)
    assert sorted(path.name for path in (root / "book" / "results").iterdir()) == ["good.ipynb", "good.json"]
