import errno
import hashlib
import importlib
import os
import tempfile

import numpy as np
import pytest

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest, write_atomically
from a2v_core.errors import ArtifactError

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "text": np.array([b"xy", b"z"])}
SOURCE = '''"""A module."""
import math

def area(r):
    """Area of a circle."""
    return math.pi * r ** 2
'''


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module and gives its digest."""
    monkeypatch.syspath_prepend(tmp_path)

    def digest(source, name="made_for_a_digest"):
        (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return code_digest(name)

    return digest


@pytest.mark.parametrize("same", [
    SOURCE.replace("A module.", "Another docstring."), SOURCE.replace("Area of a circle.", "Words."),
    SOURCE.replace("import math", "import math  # comment"), SOURCE.replace("r ** 2", "(\n        r ** 2)"),
    SOURCE.replace("import math\n", "import math\n\n\n# a comment\n"),
    SOURCE.replace('    """Area of a circle."""\n', "")])
def test_code_digest_ignores_comments_docstrings_and_layout(module, same):
    assert same != SOURCE
    assert module(same) == module(SOURCE)


@pytest.mark.parametrize("other", [
    SOURCE.replace("** 2", "** 3"), SOURCE.replace("math.pi", "math.e"), SOURCE.replace("r):", "r=1):"),
    SOURCE + "\nX = 'a string that is used'\n"])
def test_code_digest_sees_every_change_of_the_code(module, other):
    assert other != SOURCE
    assert module(other) != module(SOURCE)


def test_code_digest_depends_on_the_set_of_modules_and_refuses_unknown_ones(module):
    module(SOURCE)
    module(SOURCE, "made_for_a_digest_too")
    both = code_digest("made_for_a_digest", "made_for_a_digest_too")
    assert both == code_digest("made_for_a_digest_too", "made_for_a_digest")
    assert both != code_digest("made_for_a_digest")
    with pytest.raises(ArtifactError, match="no_such_module_here"):
        code_digest("no_such_module_here")


def test_artifact_key_ignores_the_order_and_nothing_else():
    key = artifact_key({"a": 1, "b": [1, 2]})
    assert key == artifact_key({"b": [1, 2], "a": 1})
    others = [artifact_key(other) for other in ({"a": 2, "b": [1, 2]}, {"a": 1, "b": [2, 1]}, {"a": 1})]
    assert len({key, *others}) == 4


def test_what_is_stored_comes_back(store):
    store.save_arrays("kind", "key", ARRAYS)
    found = store.load_arrays("kind", "key")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    store.save_json("kind", "key", {"x": [1, None, "µ"]})
    assert store.load_json("kind", "key") == {"x": [1, None, "µ"]}
    store.save_bytes("kind", "key", ".bin", b"\0\1")
    assert store.load_bytes("kind", "key", ".bin") == b"\0\1"
    store.remove("kind", "key")
    assert not any(store.root.rglob("*.*"))


def test_what_is_absent_is_none(store):
    assert store.load_arrays("kind", "key") is None
    assert store.load_json("kind", "key") is None
    assert store.load_bytes("kind", "key", ".x") is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "no digest", "digest of something else"])
def test_a_damaged_artifact_warns_and_is_made_again(store, damage):
    calls = []

    def build():
        calls.append(1)
        return ARRAYS

    store.arrays("kind", "key", build)
    store.arrays("kind", "key", build)
    assert len(calls) == 1
    path = store.path("kind", "key", ".npz")
    sidecar = path.with_name(path.name + ".sha256")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-10])
    elif damage == "no digest":
        sidecar.unlink()
    else:
        sidecar.write_text(hashlib.sha256(b"").hexdigest())
    with pytest.warns(UserWarning, match=f"{path.name} is damaged"):
        found = store.arrays("kind", "key", build)
    np.testing.assert_array_equal(found["a"], ARRAYS["a"])
    assert len(calls) == 2
    store.arrays("kind", "key", build)
    assert len(calls) == 2


def refuse(number):
    def call(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(("owner", "function", "number"), [
    (os, "fsync", errno.ENOSPC), (os, "replace", errno.EACCES), (tempfile, "mkstemp", errno.EROFS)])
def test_a_full_disk_or_read_only_folder_is_one_clear_error_and_the_old_file_stays(store, monkeypatch, owner, function,
                                                                                   number):
    store.save_json("kind", "key", "old")
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, refuse(number))
        with pytest.raises(ArtifactError, match=os.strerror(number)) as caught:
            store.save_json("kind", "key", "new")
        assert "key.json" in str(caught.value)
    assert store.load_json("kind", "key") == "old"
    assert not list(store.root.rglob(".*"))


@pytest.mark.parametrize("first", [1, 2], ids=["digest", "artifact"])
def test_a_disk_that_fills_up_in_the_middle_keeps_the_old_artifact(store, monkeypatch, first):
    store.save_json("kind", "key", "older")
    store.save_json("kind", "key", "old")
    calls, real = [], os.fsync

    def fsync(*arguments):
        calls.append(1)
        if len(calls) >= first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(ArtifactError):
            store.save_json("kind", "key", "new")
    assert store.load_json("kind", "key") == "old"
    store.save_json("kind", "key", "new")
    assert store.load_json("kind", "key") == "new"


def test_an_unreadable_digest_is_replaced_with_its_artifact(store):
    store.save_json("kind", "key", "old")
    path = store.path("kind", "key", ".json")
    sidecar = path.with_name(path.name + ".sha256")
    sidecar.write_bytes(b"\xff" + sidecar.read_bytes()[:20])
    with pytest.warns(UserWarning, match="damaged"):
        assert store.load_json("kind", "key") is None
    store.save_json("kind", "key", "new")
    assert store.load_json("kind", "key") == "new"


def test_a_folder_that_cannot_be_made_is_an_artifact_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot write"):
        write_atomically(tmp_path / "file" / "x.json", b"")


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_result(store, monkeypatch):
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC))
    with pytest.warns(UserWarning, match="not cached"):
        assert store.arrays("kind", "key", lambda: ARRAYS).keys() == ARRAYS.keys()
