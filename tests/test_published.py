import re
import subprocess

import pytest

from a2v_core.artifacts import write_atomically
from a2v_core.errors import ArtifactError
from a2v_core.paths import published_dir, published_searches_dir, repository_root
from a2v_core.published import DIGESTS, checked, listed


@pytest.fixture
def folder(tmp_path):
    for name in ("models/a.safetensors", "models/b.json", "runs/c.parquet"):
        write_atomically(tmp_path / name, name.encode() * 100)
    write_atomically(tmp_path / DIGESTS, listed(tmp_path))
    checked.cache_clear()
    return tmp_path


def test_what_is_listed_is_accepted(folder):
    assert checked(folder) == folder
    assert len((folder / DIGESTS).read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["models/a.safetensors", "models/b.json", "runs/c.parquet"])
def test_a_flipped_bit_is_an_error_that_names_the_file(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{re.escape(str(folder / name))} is damaged .*restore it, or delete it"):
        checked(folder)


def test_users_may_add_and_remove_files(folder):
    (folder / "models" / "a.safetensors").unlink()
    (folder / "models" / "mine.json").write_text("{}")
    assert checked(folder) == folder


def test_a_file_that_cannot_be_read_is_named(folder):
    (folder / "models" / "b.json").unlink()
    (folder / "models" / "b.json").mkdir()
    with pytest.raises(ArtifactError, match=r"b\.json is damaged .*: restore it"):
        checked(folder)


def test_a_damaged_list_is_named(folder):
    (folder / DIGESTS).write_text("no digest\n")
    with pytest.raises(ArtifactError, match=r"SHA256SUMS is damaged \(line 'no digest'\): restore it"):
        checked(folder)


@pytest.mark.parametrize("named", [published_dir, published_searches_dir])
def test_all_committed_results_are_listed_and_whole(named):
    folder = named()
    assert (folder / DIGESTS).read_bytes() == listed(folder), "python -m a2v_core study publish writes the list anew"


@pytest.mark.parametrize("named", ["pretrained", "searches"])
def test_the_usual_tool_reads_the_list(named):
    subprocess.run(["sha256sum", "--check", "--quiet", DIGESTS], cwd=repository_root() / "data" / named, check=True)
