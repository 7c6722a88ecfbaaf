import subprocess
import sys

import pytest

from a2v_core import provenance


def git(root, *arguments):
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_state_of_a_checkout(tmp_path):
    nothing = {"commit": None, "dirty": None}
    assert provenance.git_state(tmp_path) == nothing
    git(tmp_path, "init", "-q")
    assert provenance.git_state(tmp_path) == nothing
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.git_state(tmp_path) == {"commit": commit, "dirty": False}
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    (results / "x.json").write_text("{}")
    (tmp_path / "book" / "performance.json").write_text("[]")
    assert provenance.git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "a.txt").write_text("b")
    assert provenance.git_state(tmp_path) == {"commit": commit, "dirty": True}
    assert provenance.git_state(results) == nothing


def test_a_machine_without_git_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git_state(tmp_path) == {"commit": None, "dirty": None}


def test_versions_and_machine():
    found = provenance.versions()
    assert {"python", "numpy", "torch", "dgl", "pandas", "scikit-learn"} <= set(found)
    machine = provenance.machine()
    assert machine["processor"]
    assert machine["cores"] >= 1


def test_the_cost_counts_the_processor_time_of_children():
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    with provenance.Cost() as cost:
        subprocess.run([sys.executable, "-c", burn], check=True)
    assert 0.5 <= cost.processor < 5
    assert cost.wall >= 0.5


@pytest.mark.parametrize(("source", "inside", "outside"), [
    ("import numpy", set(), {"a2v_core"}),
    ("import a2v_core.errors", {"a2v_core", "a2v_core.errors"}, {"a2v_core.paths"}),
    ("from a2v_core import results", {"a2v_core.results", "a2v_core.artifacts", "a2v_core.paths"}, {"a2v_core.study"}),
    ("from a2v_core.results import Page", {"a2v_core.results", "a2v_core.errors"}, {"a2v_core.results.Page"}),
    ("def f():\n    from a2v_core.paths import data_dir", {"a2v_core.paths"}, {"a2v_core.results"}),
    # A registry holds its spaces as strings and loads them by name.
    ("from a2v_core.spaces import get_space", {"a2v_core.spaces.base", "a2v_core.spaces.nasbench101", "a2v_core.cells",
                                               "a2v_core.spaces.nasbench201", "a2v_core.spaces.darts"}, set()),
    ("name = 'a2v_core.paths'", {"a2v_core.paths"}, set()),
    ("text = 'see a2v_core.paths'", set(), {"a2v_core.paths"}),
])
def test_the_modules_that_a_source_depends_on(source, inside, outside):
    found = set(provenance.module_closure(source))
    assert inside <= found
    assert not outside & found


def test_relative_imports_are_followed(tmp_path, monkeypatch):
    package = tmp_path / "a2v_core"
    (package / "sub").mkdir(parents=True)
    for name, text in {"__init__.py": "", "one.py": "", "two.py": "", "sub/__init__.py": "from .inner import x",
                       "sub/inner.py": "from .. import one\nfrom ..two import y"}.items():
        (package / name).write_text(text)
    monkeypatch.setattr(provenance, "_SOURCES", tmp_path)
    assert provenance.module_closure("import a2v_core.sub") == [
        "a2v_core", "a2v_core.one", "a2v_core.sub", "a2v_core.sub.inner", "a2v_core.two"]


def test_digests_belong_to_modules():
    digests = provenance.module_digests("import a2v_core.errors")
    assert set(digests) == {"a2v_core", "a2v_core.errors"}
    assert len(set(digests.values())) == 2
    assert digests == provenance.module_digests("import a2v_core.errors")
