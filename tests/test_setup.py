import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: Names that conda gives to what PyPI calls otherwise.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}
#: What conda needs beside the requirements of the package.
CONDA_ONLY = {"python", "pip", "setuptools", "pytorch-cuda"}


def requirements():
    texts = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    return {canonicalize_name(r.name): r for r in map(Requirement, texts)}


def conda_entries():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    conda = [entry.split("::")[-1] for entry in entries if isinstance(entry, str)]
    split = (re.fullmatch(r"([A-Za-z0-9_.-]+)(.*)", entry).groups() for entry in conda + pip)
    return {canonicalize_name(name): version for name, version in split}


def test_the_conda_environment_has_the_same_packages_in_the_same_ranges():
    conda = conda_entries()
    wanted = {canonicalize_name(CONDA_NAMES.get(name, name)): requirement.specifier
              for name, requirement in requirements().items()}
    assert set(conda) - CONDA_ONLY == set(wanted)
    for name, specifier in wanted.items():
        assert set(conda[name].split(",")) == set(str(specifier).split(",")), name


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_the_lock_satisfies_every_requirement_and_names_no_local_build():
    versions = locked()
    assert not [name for name, version in versions.items() if "+" in version]
    for name, requirement in requirements().items():
        assert requirement.specifier.contains(versions[name]), f"{requirement} but {versions[name]} is locked"


def test_the_lock_is_closed():
    versions = locked()
    environment = {"extra": ""}
    for name in versions:
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate(environment):
                # A CUDA build of torch brings its own libraries, which no other machine needs.
                if name == "torch" and canonicalize_name(needed.name) not in versions:
                    continue
                assert canonicalize_name(needed.name) in versions, f"{name} needs {needed.name}, which is not locked"


def test_importing_the_package_is_fast_and_loads_nothing_heavy():
    program = ("import sys, time; start = time.perf_counter(); import a2v_core; taken = time.perf_counter() - start;"
               "print(taken, *sorted(sys.modules))")
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 0.5
    assert not {"torch", "dgl", "numpy", "pandas"} & set(out[1:])


def test_the_version_is_the_same_everywhere():
    import a2v_core

    assert metadata.version("a2v_core") == a2v_core.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == a2v_core.__version__


def test_package_data_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    endings = {path.suffix for path in (ROOT / "a2v_core").rglob("*")
               if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert endings <= {pattern.removeprefix("*") for pattern in declared}


def test_a_missing_python_gives_one_sentence(tmp_path):
    done = subprocess.run(["/bin/bash", "tools/find_python.sh"], cwd=ROOT, capture_output=True, text=True,
                          env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"Python 3\.11 with its venv module is needed .*, but none is on the PATH: install it, .*\n",
                        done.stderr)


def test_an_unsuitable_python_is_passed_over(tmp_path):
    old = tmp_path / "python3.11"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    good = tmp_path / "python3"
    good.symlink_to(sys.executable)
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(["/bin/bash", "tools/find_python.sh"], cwd=ROOT, capture_output=True, text=True,
                          env=environment)
    assert done.stdout.strip() == str(good)
    done = subprocess.run(["/bin/bash", "tools/find_python.sh"], cwd=ROOT, capture_output=True, text=True,
                          env=environment | {"PYTHON": str(old)})
    assert done.returncode == 1
    assert f"{old} is not one" in done.stderr


@pytest.mark.parametrize(("cell", "refused"), [
    ({"cell_type": "code", "outputs": [], "execution_count": None}, False),
    ({"cell_type": "markdown"}, False),
    ({"cell_type": "code", "outputs": [], "execution_count": 1}, True),
    ({"cell_type": "code", "outputs": [{"output_type": "stream"}], "execution_count": None}, True),
])
def test_the_hook_refuses_outputs_and_counts(tmp_path, cell, refused):
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, cell]}))
    done = subprocess.run([sys.executable, "tools/refuse_outputs.py", str(path)], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == refused
    assert done.stdout == (f"{path}: cell 2 carries an output or an execution count: clear it before committing\n"
                           if refused else "")


def test_continuous_integration_runs_the_command_of_the_readme():
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
    assert {"run": "bash .ci/run"} in steps
    assert "make test" in (ROOT / "README.md").read_text()
