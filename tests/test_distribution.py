"""Wheel and source distribution: what they hold, and what the installed package does without a checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import a2v_core

ROOT = Path(__file__).resolve().parents[1]
NAME = f"a2v_core-{a2v_core.__version__}"
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def tracked():
    """Paths of all files under version control that are on the disk."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a checkout under git, which says what belongs to it")
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, tracked):
    """A copy of the files under version control, and what work in a checkout leaves beside them."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    for path in tracked:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copy / path)
    left = ("a2v_core/__pycache__/cells.cpython-311.pyc", "a2v_core/notes.npy", "data/artifacts/searches/x.json",
            "data/tables/x.parquet", "data/upstream/x.json", "_build/quick/results/x.json", "book/results/draft.json",
            ".venv/lib/x.toml", "tests/__pycache__/x.pyc", "notebooks/.ipynb_checkpoints/x.ipynb")
    for path in left:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text("left")
    return copy


def build(checkout: Path, kind: str) -> Path:
    """Call the build backend as an installer does, without a network."""
    output = checkout.parent / kind
    output.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", BUILD, kind, str(output)], cwd=checkout, env=environment,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = output.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(checkout):
    return build(checkout, "build_wheel")


@pytest.fixture(scope="module")
def package(tracked):
    """The files of the package."""
    found = {path for path in tracked if path.startswith("a2v_core/")}
    assert {Path(path).suffix for path in found} <= {".py", ".toml", ".json", ".csv"}
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel, package):
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = {f"{NAME}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "top_level.txt",
                                                     "entry_points.txt", "licenses/LICENSE")}
    assert names == package | about
    assert wheel.stat().st_size < 1e6


def test_the_source_distribution_holds_what_the_package_is_built_from_and_gives_the_same_wheel(
        checkout, package, wheel, tmp_path):
    made = build(checkout, "build_sdist")
    assert made.name == f"{NAME}.tar.gz"
    with tarfile.open(made) as archive:
        names = {member.name.removeprefix(f"{NAME}/") for member in archive.getmembers() if member.isfile()}
        archive.extractall(tmp_path, filter="data")
    generated = {name for name in names if name.startswith("a2v_core.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - generated == package | {"CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
    assert made.stat().st_size < 1e6
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(build(tmp_path / NAME, "build_wheel")) as second:
        assert {name: first.getinfo(name).CRC for name in first.namelist()} == {
            name: second.getinfo(name).CRC for name in second.namelist()}


@pytest.fixture(scope="module")
def run(tmp_path_factory, wheel):
    """Run a program of an environment of its own that has the wheel, and the test environment's packages behind it, in
    a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps",
                    "--no-index", str(wheel)], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # A folder named in a .pth file is searched, but its own .pth files, such as that of an editable install, are not.
    (site / "test-environment.pth").write_text("\n".join({sysconfig.get_path(name) for name in ("purelib", "platlib")}))
    home = folder / "home"
    home.mkdir()

    def of(program: str, *arguments: str) -> subprocess.CompletedProcess:
        environment = {"PATH": os.defpath, "HOME": str(home), "DGLBACKEND": "pytorch", "OMP_NUM_THREADS": "1",
                       "COLUMNS": "100"}
        return subprocess.run([str(python.with_name(program)), *arguments], cwd=home, env=environment,
                              capture_output=True, text=True)

    of.home = home
    return of


def test_the_installed_package_imports_at_once(run):
    done = run("python", "-c", "import sys, time; start = time.process_time(); import a2v_core; "
               "print(time.process_time() - start, a2v_core.__file__, *sys.modules)")
    seconds, place, *modules = done.stdout.split()
    assert float(seconds) < 1
    assert Path(place).is_relative_to(run.home.parent / "venv")
    assert not {"torch", "dgl", "numpy"} & set(modules)


def test_the_command_line_works_without_a_checkout(run):
    assert run("a2v_core", "--version").stdout == f"{a2v_core.__version__}\n"
    shown = run("a2v_core", "--help").stdout
    for command in ("pretrain", "data", "search", "study", "darts"):
        assert re.search(rf"│ {command} ", shown)
    listed = run("a2v_core", "data", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert re.search(r"^nb201-validation-cifar10 +installed ", listed.stdout, flags=re.MULTILINE)
    done = run("a2v_core", "data", "build", "nb201_validation200")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(run.home.rglob("nb201_validation200.parquet"))


def test_a_search_says_which_file_it_needs(run):
    done = run("a2v_core", "search", "run", "--space", "nasbench201", "--objective", "cifar10", "--method", "random")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "a2v_core data fetch nb201_" in done.stderr


@pytest.mark.parametrize("command", ["run", "status", "publish"])
def test_what_needs_a_checkout_says_so_in_one_line(run, command):
    done = run("a2v_core", "study", command)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"a2v_core: the study runs from a checkout of the repository: clone it .*\n", done.stderr)
