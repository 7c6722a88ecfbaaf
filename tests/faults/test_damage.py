"""Files that are not what was written, full disks, caches that cannot be read: noticed, named, computed again."""

import os
import re
import resource
import shutil
import subprocess
import warnings

import numpy as np
import pytest
from computations import bits, everything, pretraining, searching, strictly

from a2v_core import pretraining as models
from a2v_core import table1
from a2v_core.artifacts import ArtifactStore
from a2v_core.errors import ArtifactError
from a2v_core.search import blocks
from a2v_core.search.runs import Trajectories

KINDS = {"model": "pretrained/*.safetensors", "runs": "searches/*.parquet", "arrays": "arrays/*.npz",
         "record": "table1/*.json", "checkpoint": "checkpoints/*.npz"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    everything(folder)
    return folder


def damage(path, how):
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[:-10])
    elif how == "one bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no digest":
        path.with_name(path.name + ".sha256").unlink()
    elif how == "forbidden":
        path.chmod(0)
    else:
        path.unlink()
        path.mkdir()


def stop(_model, state):
    if state.epoch == 2:
        raise KeyboardInterrupt


def damaged(folder, kind, how):
    """Damage an artifact of a finished computation, or the checkpoint of an interrupted one. Returns its path."""
    if kind == "checkpoint":
        model, = pretraining(folder, seeds=[0])
        ArtifactStore(folder).remove("pretrained", model.key)
        with pytest.raises(KeyboardInterrupt):
            pretraining(folder, seeds=[0], on_epoch=stop)
    path = sorted((folder / "artifacts").glob(KINDS[kind]))[0]
    damage(path, how)
    return path


@pytest.mark.parametrize("how", ["cut", "one bit", "empty", "no digest", "forbidden"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_artifact_is_noticed_and_made_again(whole, tmp_path, kind, how):
    if how == "forbidden" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    folder = shutil.copytree(whole, tmp_path / "copy")
    path = damaged(folder, kind, how)
    with pytest.warns(UserWarning, match=f"{path.name} is (damaged|unreadable).*computing it again"):
        everything(folder)
    strictly(everything, folder)
    assert bits(folder) == bits(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_in_place_of_an_artifact_is_named_and_nothing_is_lost(whole, tmp_path, kind):
    folder = shutil.copytree(whole, tmp_path / "copy")
    path = damaged(folder, kind, "folder")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if kind == "arrays":
            everything(folder)
        else:
            with pytest.raises(ArtifactError, match=rf"cannot write .*{path.name}: Is a directory; free space or"):
                everything(folder)
    told = " ".join(str(warning.message) for warning in told)
    assert f"{path.name} is unreadable" in told
    assert ("not cached" in told) == (kind == "arrays")
    path.rmdir()
    strictly(everything, folder)
    assert bits(folder) == bits(whole)


# --- full disks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("no disk can be mounted here: that needs Linux, and to be root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(("job", "free"), [(pretraining, 0), (pretraining, 8), (pretraining, 24), (searching, 0),
                                           (searching, 8)])
def test_a_full_disk_is_named_and_once_there_is_space_the_bits_are_the_same(small_disk, tmp_path, job, free):
    """A disk with so many kB left."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes((256 - free) * 1024))
    with pytest.raises(ArtifactError, match=rf"cannot write {re.escape(str(small_disk))}/.*: No space left on device; "
                                            r"free space or choose another folder \(data_dir\), nothing was lost"):
        job(small_disk)
    filler.unlink()
    strictly(job, small_disk)
    job(tmp_path / "whole")
    assert bits(small_disk) == bits(tmp_path / "whole")
    assert not list(small_disk.rglob("*.part"))


def limited(job, folder):
    """No file may grow beyond 1 kB, then beyond any size again. The progress bar of a job goes nowhere."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    with pytest.raises(ArtifactError, match=r"cannot write .*: File too large; free space or choose another folder"):
        job(folder)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    strictly(job, folder)


@pytest.mark.parametrize("job", [pretraining, searching])
def test_a_file_that_may_not_grow_is_named_like_a_full_disk(processes, tmp_path, job):
    process = processes.Process(target=limited, args=(job, tmp_path / "limited"))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    job(tmp_path / "whole")
    assert bits(tmp_path / "limited") == bits(tmp_path / "whole")


# --- files under version control -------------------------------------------------------------------------------------


@pytest.fixture
def published(whole, tmp_path, monkeypatch):
    """What is in the store of `whole`, as files under version control."""
    for kind, stem in (("pretrained", "models/arch2vec"), ("table1", "models/record"), ("searches", "runs/made")):
        for path in (whole / "artifacts" / kind).glob("[!.]*"):
            if path.suffix != ".sha256":
                (tmp_path / stem).parent.mkdir(exist_ok=True)
                shutil.copy(path, tmp_path / f"{stem}-{path.name}")
    for module in (models, table1):
        monkeypatch.setattr(module, "published_dir", lambda: tmp_path)
    monkeypatch.setattr(blocks, "published_searches_dir", lambda: tmp_path)
    return tmp_path


def test_what_is_under_version_control_is_read(published, tmp_path):
    everything(tmp_path / "empty")
    assert list(bits(tmp_path / "empty")) == ["arrays/key.npz"]


@pytest.mark.parametrize(("pattern", "how"), [
    ("models/*.safetensors", "cut"), ("models/*.safetensors", "empty"), ("models/*.json", "cut"),
    ("models/*.json", "empty"), ("models/*.json", "folder"), ("runs/*.parquet", "cut"),
    ("runs/*.parquet", "empty"), ("runs/*.parquet", "folder")])
def test_a_damaged_file_under_version_control_is_a_clear_error(published, tmp_path, pattern, how):
    """It is not made again in silence: the numbers of the book came from it."""
    for path in published.glob(pattern):
        damage(path, how)
    with pytest.raises(ArtifactError, match=r"[0-9a-f]{20}.* is damaged .*: (restore|delete) it"):
        everything(tmp_path / "empty")


def test_no_flipped_bit_changes_published_runs_unseen(published):
    """Every page of a table has a checksum; here every 7th byte of the file has one bit flipped."""
    path, = published.glob("runs/*.parquet")
    content = path.read_bytes()
    runs, noticed = Trajectories.from_parquet(content), 0
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        try:
            found = Trajectories.from_parquet(bytes(flipped))
        except ArtifactError:
            noticed += 1
            continue
        for name in ("cells", "epochs", "signal", "seeds", "counts"):
            np.testing.assert_array_equal(getattr(found, name), getattr(runs, name))
    assert noticed
