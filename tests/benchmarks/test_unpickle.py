import collections
import os
import pickle

import numpy as np
import pandas as pd
import pytest

from a2v_core.benchmarks.unpickle import Frame, frame_columns, loads
from a2v_core.errors import DataError


class Named:
    """Something that a pickle names without its being there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Made:
    """A call of something, then its state."""

    def __init__(self, function, args=(), state=None):
        self.function, self.args, self.state = function, args, state


class Writer(pickle._Pickler):
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Made):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.REDUCE)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def dumps(obj):
    import io

    buffer = io.BytesIO()
    Writer(buffer, protocol=4).dump(obj)
    return buffer.getvalue()


INDEX = Named("pandas.core.indexes.base", "_new_Index")
NUMBERS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
NAMES = np.array([["a", "b", "c"]], dtype=object)


def axes():
    labels = np.array(["x", "name", "y"], dtype=object)
    return [Made(INDEX, (Named("pandas.core.indexes.base", "Index"), {"data": labels, "name": None})),
            Made(INDEX, (Named("pandas.core.indexes.range", "RangeIndex"),
                         {"start": 0, "stop": 3, "step": 1, "name": None}))]


def frame_of_pandas_1_1():
    state = (axes(), [NUMBERS, NAMES], [], {"0.14.1": {"axes": axes(), "blocks": [
        {"values": NUMBERS, "mgr_locs": slice(0, 3, 2)}, {"values": NAMES, "mgr_locs": np.array([1])}]}})
    manager = Made(Named("pandas.core.internals.managers", "BlockManager"), (), state)
    return Made(Named("pandas.core.frame", "DataFrame"), (), {"_data": manager, "_typ": "dataframe"})


def frame_of_pandas_1_3():
    new_block = Named("pandas.core.internals.blocks", "new_block")
    partial = Made(Named("functools", "partial"), (new_block,), (new_block, (), {"ndim": 2}, None))
    blocks = (Made(partial, (NUMBERS, slice(0, 3, 2))), Made(partial, (NAMES, slice(1, 2, 1))))
    manager = Made(Named("pandas.core.internals.managers", "BlockManager"), (blocks, axes()))
    return Made(Named("pandas.core.frame", "DataFrame"), (), {"_mgr": manager, "_typ": "dataframe"})


def frame_of_the_installed_pandas():
    frame = pd.DataFrame({"x": NUMBERS[0], "name": pd.Series(list("abc"), dtype=object), "y": NUMBERS[1]})
    return frame.set_axis(pd.Index(["x", "name", "y"], dtype=object), axis=1)


@pytest.mark.parametrize("content", [dumps(frame_of_pandas_1_1()), dumps(frame_of_pandas_1_3()),
                                     pickle.dumps(frame_of_the_installed_pandas())])
def test_frames_of_old_and_new_pandas_are_read(content):
    frame = loads(content, "x")
    assert isinstance(frame, Frame)
    assert list(frame.columns) == ["x", "name", "y"]
    np.testing.assert_array_equal(frame.columns["x"], [1, 2, 3])
    np.testing.assert_array_equal(frame.columns["y"], [4, 5, 6])
    assert frame.columns["name"].tolist() == ["a", "b", "c"]
    assert list(frame_columns(content, "x", ["y"])) == ["y"]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_builtin_containers_and_numpy_are_read(protocol):
    plain = {"a": [1, 2.5, None, True], "b": ("x", b"y", {1, 2}), "c": collections.OrderedDict(z=1)}
    assert loads(pickle.dumps(plain, protocol=protocol), "x") == plain
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    read = loads(pickle.dumps([array, np.float64(1.5)], protocol=protocol), "x")
    np.testing.assert_array_equal(read[0], array)
    assert read[1] == 1.5


class Attack:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(("attack", "name"), [
    (Attack(os.system, "touch {path}"), "system"),
    (Attack(eval, "open({path!r}, 'w')"), "builtins.eval"),
    (Attack(open, "{path}", "w"), "open"),
    (Attack(getattr, [], "append"), "builtins.getattr"),
    (Attack(np.load, "{path}"), "load"),
    (Attack(pd.read_pickle, "{path}"), "read_pickle"),
])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, attack, name):
    path = tmp_path / "touched"
    function, args = attack.call
    attack.call = function, tuple(a.format(path=str(path)) if isinstance(a, str) else a for a in args)
    with pytest.raises(DataError, match=rf"evil\.pkl: it names .*{name}"):
        loads(pickle.dumps({"harmless": 1, "harmful": attack}), "evil.pkl")
    assert not path.exists()


def test_a_partial_of_anything_but_a_block_is_refused():
    partial = Made(Named("functools", "partial"), (Named("builtins", "slice"),))
    with pytest.raises(DataError, match="something other than a pandas block"):
        loads(dumps(partial), "x")


@pytest.mark.parametrize("damage", [lambda c: c[:-20], lambda c: b"", lambda c: b"\x80\x04garbage", lambda c: c[20:]])
def test_a_damaged_pickle_is_a_clear_error(damage):
    content = pickle.dumps(frame_of_the_installed_pandas())
    with pytest.raises(DataError, match=r"refused to read the pickle x: .*fetch the file anew"):
        loads(damage(content), "x")


def test_missing_columns_and_other_objects_are_named():
    content = dumps(frame_of_pandas_1_1())
    with pytest.raises(DataError, match="x lacks the column 'z'; it has x, name, y"):
        frame_columns(content, "x", ["x", "z"])
    with pytest.raises(DataError, match="holds a dict, not a data frame"):
        frame_columns(pickle.dumps({}), "x", ["x"])
