import os
import subprocess
import sys
from pathlib import Path

import pytest

from a2v_core import cli, study
from a2v_core.results import load_results
from a2v_core.search.methods import get_method
from a2v_core.search.objectives import get_objective
from a2v_core.spaces import get_space


@pytest.fixture
def run(capsys):
    """Run the command line in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run


SEARCH = ["search", "run", "--space", "made", "--objective", "made", "--method", "made"]


@pytest.fixture
def made_search(tmp_path, monkeypatch):
    """An installed package that brings a space, objectives and a method, all called "made"."""
    monkeypatch.setenv("A2V_DATA_DIR", str(tmp_path / "data"))
    metadata = tmp_path / "site" / "made_search-1.0.dist-info"
    metadata.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), str(Path(__file__).parent / "search"), *sys.path])
    from made_search import ENTRY_POINTS

    (metadata / "METADATA").write_text("Name: made-search\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    yield
    for cached in (get_method, get_objective, get_space):
        cached.cache_clear()


@pytest.fixture
def root(tmp_path, write_notebook, make_checkout, monkeypatch):
    root = make_checkout(tmp_path / "checkout", "good")
    write_notebook(root / "notebooks", "good", "from a2v_core.results import Page\npage = Page('good', profile)",
                   "page.add('obs2/area', seed * width)\npage.save(results_path)")
    monkeypatch.setattr(study, "checkout", lambda: root)
    return root


@pytest.mark.parametrize("command", [["--help"], ["data", "--help"], ["data", "fetch", "--help"],
                                     ["pretrain", "--help"], ["search", "--help"], ["search", "list", "--help"],
                                     ["search", "run", "--help"], ["study", "--help"], ["study", "run", "--help"],
                                     ["study", "status", "--help"], ["study", "book", "--help"]])
def test_every_command_has_help(run, command):
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert "Usage: a2v_core" in out


@pytest.mark.parametrize(("command", "code", "message"), [
    (["study", "run", "nope"], 1, "no notebook 'nope': there are good"),
    (["study", "run", "--profile", "fast"], 1, "profile 'fast' is unknown"),
    (["study", "run", "-p", "sead=1"], 1, "has no parameter 'sead'"),
    (["study", "run", "-p", "seed"], 1, "'seed' is not NAME=VALUE"),
    (["study", "run", "-p", "seed=[1"], 1, "the value is not readable"),
    (["study", "run", "--seed", "x"], 2, "'--seed'"),
    (["study", "stats"], 2, "No such command 'stats'"),
    (["study", "run", "--nope"], 2, "No such option"),
    (["pretrain"], 2, "Missing argument 'space'"),
    (["pretrain", "nasbench999"], 1, "nasbench999"),
    (["pretrain", "nasbench201", "--recipe", "best"], 1, "unknown recipe 'best'"),
    (["search", "run", "--space", "nasbench201"], 2, "Missing option '--objective'"),
    ([*SEARCH, "--method", "guess"], 1, "unknown search method 'guess': choose one of random"),
    ([*SEARCH[:2], "--space", "nas", *SEARCH[4:]], 1, "no objective on a search space 'nas'"),
    ([*SEARCH, "--objective", "loud"], 1, "no objective 'loud' on made: choose one of made, noisy"),
    ([*SEARCH, "--recipe", "best"], 1, "method made has no recipe 'best'"),
    ([*SEARCH, "--queries", "0"], 1, "budget of queries=0"),
    ([*SEARCH, "--seconds", "-1"], 1, "budget of seconds=-1"),
    ([*SEARCH, "--runs", "0"], 1, "give at least one run"),
    ([*SEARCH, "--scheduler", "tcp://"], 1, "no Dask scheduler answers at 'tcp://'"),
    (["data", "fetch", "nope"], 1, "unknown source or table 'nope'"),
    (["data", "build", "nope"], 1, "unknown table 'nope'"),
    (["study", "book", "--profile", "smoke"], 1, "compute the pages first"),
])
def test_an_error_is_one_line_on_stderr_and_a_code(run, root, made_search, command, code, message):
    found, out, err = run(*command)
    assert found == code
    assert message in err
    assert err.startswith("a2v_core: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


def test_debug_shows_the_traceback(root):
    with pytest.raises(study.StudyError):
        cli.main(["--debug", "study", "run", "nope"])


def test_an_unforeseen_error_is_one_line_too(run, root, monkeypatch):
    def broken(*_, **__):
        raise KeyError("x")

    monkeypatch.setattr(study, "run", broken)
    code, _, err = run("study", "run")
    assert code == 1
    assert err == "a2v_core: unexpected KeyError: 'x' (run `a2v_core --debug …` for the traceback)\n"


def test_version(run):
    assert run("--version") == (0, f"{cli.__version__}\n", "")


def test_a_study_from_run_to_status(run, root, tmp_path):
    code, out, err = run("study", "status", "--profile", "smoke")
    assert (code, out, err) == (1, "good                         missing\n", "")
    code, out, _ = run("study", "run", "--profile", "smoke", "--seed", "2", "-p", "width=5")
    assert code == 0
    assert out.splitlines()[0] == "[1/1] good (smoke): running"
    assert load_results(root / "_build" / "smoke" / "results" / "good.json")["values"][0]["value"] == 10
    code, out, _ = run("study", "status", "--profile", "smoke")
    assert (code, out) == (0, "good                         fresh    smoke\n")
    code, _, _ = run("study", "run", "good", "--profile", "smoke", "--output", str(tmp_path / "elsewhere"))
    assert code == 0
    assert (tmp_path / "elsewhere" / "good.json").is_file()


def test_the_data_commands(run, tmp_path):
    code, out, _ = run("data", "list", "--data-dir", str(tmp_path))
    assert code == 0
    assert "nb101-test-accuracies" in out
    code, out, _ = run("data", "verify", "--data-dir", str(tmp_path))
    assert code == 0
    code, out, _ = run("data", "build", "--data-dir", str(tmp_path))
    assert code == 0


def test_a_damaged_file_fails_the_verification(run, tmp_path):
    path = tmp_path / "upstream" / "freerea" / "nasbench101" / "accuracies.pkl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    code, out, err = run("data", "verify", "nb101-test-accuracies", "--data-dir", str(tmp_path))
    assert code == 1
    assert "damaged" in out
    assert f"1 of 1 files are damaged, first {path}: delete it" in err
    path.with_name("params.pkl.gz").write_bytes(b"damaged")
    code, out, err = run("data", "build", "--data-dir", str(tmp_path))
    assert code == 1
    assert "could not be built, first nb101_test" in err
    assert path.read_bytes() == b"damaged"


def test_pretraining_is_read_the_second_time(run, tmp_path):
    command = ("pretrain", "nasbench201", "--epochs", "1", "--seed", "1", "--data-dir", str(tmp_path))
    code, first, _ = run(*command)
    assert code == 0
    assert first.startswith("nasbench201 released arch2vec seed 1: ")
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert files
    assert run(*command)[:2] == (0, first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == files


def test_the_lists_of_searches(run, made_search):
    code, out, err = run("search", "list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "arch2vec_rl        arch2vec-RL                        sees arch2vec" in lines
    assert "made               every cell once                    sees none" in lines
    assert "nasbench201        cifar10                            12,000 s" in lines
    assert "made               noisy                              300 s" in lines


def test_a_search_prints_a_table_and_is_read_the_second_time(run, made_search, tmp_path):
    code, out, _ = run(*SEARCH, "--runs", "3", "--seed", "7", "--queries", "60")
    assert code == 0
    head, _, *rows = out.splitlines()
    assert head == "made/made made released, 60 queries a run, runs: 3"
    assert [row.split()[0] for row in rows] == ["queries", "seconds", "validation", "test", "regret_validation",
                                                "regret_test"]
    # Every run has queried all cells.
    assert rows[0].split()[1:] == ["60.0000", "60.0000", "60.0000", "0.0000"]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("searches/*")}
    assert files
    assert run(*SEARCH, "--runs", "3", "--seed", "7", "--queries", "60")[:2] == (0, out)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("searches/*")} == files


def test_a_search_has_the_papers_budget_unless_told_otherwise(run, made_search):
    assert "200 s a run" in run(*SEARCH, "--runs", "1")[1]
    assert "9 queries and 50 s a run" in run(*SEARCH, "--runs", "1", "--queries", "9", "--seconds", "50")[1]


def test_as_a_module_and_with_a_reader_that_goes_away():
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen([sys.executable, "-m", "a2v_core", "data", "list"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment)
    child.stdout.close()
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "Traceback" not in err
