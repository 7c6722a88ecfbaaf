import dataclasses
import gzip
import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from made_files import CSV, TESTS, only108

from a2v_core.benchmarks import available, build, load_table, sources, table_names
from a2v_core.benchmarks.convert_authors import METHODS
from a2v_core.benchmarks.convert_nasbench201 import DATASETS, architecture_string, opcode
from a2v_core.benchmarks.nats_official import NatsRecords
from a2v_core.errors import DataError


def frame_pickle(columns):
    frame = pd.DataFrame({name: pd.Series(values, dtype=object if isinstance(values[0], str) else None)
                          for name, values in columns.items()})
    return pickle.dumps(frame.set_axis(pd.Index(list(columns), dtype=object), axis=1))

def test_nasbench201_validation_comes_with_the_installation(root):
    assert available("nb201_validation200", root)
    frame = load_table("nb201_validation200", root)
    assert len(frame) == 3 * 15_625
    assert list(frame["dataset"].unique()) == list(DATASETS)
    np.testing.assert_array_equal(frame["index"].to_numpy().reshape(3, -1), np.tile(np.arange(15_625), (3, 1)))
    maxima = frame.groupby("dataset", sort=False)["val200_mean"].max()
    np.testing.assert_allclose(maxima, [91.6067, 73.4933, 46.7333], atol=5e-5)
    assert frame["n_seeds"].value_counts().to_dict() == {3: 3 * 8_169, 2: 3 * 7_456}
    seeds = frame[["val200_seed0", "val200_seed1", "val200_seed2"]].to_numpy()
    np.testing.assert_array_equal((~np.isnan(seeds)).sum(1), frame["n_seeds"])
    np.testing.assert_allclose(np.nanmean(seeds, axis=1), frame["val200_mean"], rtol=1e-15)
    opcodes = frame["opcode"].to_numpy().reshape(3, -1)
    assert (opcodes == opcodes[0]).all()
    assert len(set(opcodes[0])) == 5**6
    assert architecture_string(opcodes[0, 0]) == ("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
                                                  "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|")
    assert (frame["train_seconds_200"] > 0).all()
    # A cell whose output gets nothing knows no image: chance, up to the balance of the classes in the validation set.
    dead = frame[frame["opcode"] == "000000"].set_index("dataset")["val200_mean"]
    np.testing.assert_allclose(dead, [10, 1, 100 / 120], atol=0.3)


def test_architecture_strings_and_opcodes_are_inverse():
    for code in ("000000", "012340", "444444", "421211"):
        assert opcode(architecture_string(code)) == code
    good = architecture_string("123401")
    for bad in ("", good[:-1], good.replace("~2", "~1"), good.replace("none", "zero"), good + good):
        with pytest.raises(DataError, match="is not an architecture string"):
            opcode(bad)


@pytest.mark.parametrize(("content", "complaint"), [
    (CSV.replace(b"accuracy", b"acc"), "lacks a column or has a value that is no number: KeyError"),
    (CSV.replace(b"2.5", b"high"), "no number"),
    (CSV.replace(b"2,2.5", b"7,2.5"), "not in the order of their index"),
    (CSV.replace(b"3,3.5\n", b""), "has 11 rows, expected 12"),
])
def test_a_test_file_that_is_not_of_the_agreed_form_is_refused(root, small_test200, register, content, complaint):
    register(TESTS[2], content)
    with pytest.raises(DataError, match=complaint):
        load_table("nb201_test200", root)


def hpo_pickle(**change):
    record = {"val_acc": [80.0, 82.0], "train_time": [5.0, 5.0]} | change
    return pickle.dumps({"421211": record, "000000": {"val_acc": [1.0, 2.0, 3.0], "train_time": [1.0] * 3}})


@pytest.mark.parametrize(("content", "complaint"), [
    (pickle.dumps([1]), "not a table by 6-digit opcode"),
    (pickle.dumps({"999999": {}}), "not a table by 6-digit opcode"),
    (pickle.dumps({"000000": {}, "421211": {}}), "another order"),
    (hpo_pickle(val_acc=None), "not of the agreed form"),
    (hpo_pickle(train_time=[5.0, 6.0]), "not of the agreed form"),
    (hpo_pickle(val_acc=[1.0] * 4), "more than 3 seeds"),
    (hpo_pickle(val_acc=["high"]), "could not convert"),
    (pickle.dumps({"421211": print}), r"names builtins\.print"),
])
def test_a_validation_file_that_is_not_of_the_agreed_form_is_refused(root, register, resize, content, complaint):
    resize("nb201_validation200", 6)
    names = [f"nb201-validation-{name}" for name in ("cifar10", "cifar100", "imagenet16")]
    for name in names:
        register(name, hpo_pickle(), package="", url="http://x")
    frame = load_table("nb201_validation200", root)
    assert frame["val200_mean"].tolist() == [81.0, 2.0] * 3
    assert frame["n_seeds"].tolist() == [2, 3] * 3
    register(names[1], content, package="", url="http://x")
    with pytest.raises(DataError, match=complaint):
        load_table("nb201_validation200", root)


def test_epoch12_columns_and_bad_frames(root, register, resize):
    resize("nb201_epoch12", 6)
    columns = {"arch": [0, 1], "cellstr": [architecture_string("012340"), architecture_string("444444")]}
    for i, dataset in enumerate(("cifar10", "cifar100", "imagenet")):
        columns |= {f"{dataset}-test": [10.0 + i, 20.0 + i], f"{dataset}-val": [30.0 + i, 40.0 + i]}
    register("nb201-epoch12", frame_pickle(columns))
    frame = load_table("nb201_epoch12", root)
    assert frame["test12"].tolist() == [10.0, 20.0, 11.0, 21.0, 12.0, 22.0]
    assert frame["val12"].tolist() == [30.0, 40.0, 31.0, 41.0, 32.0, 42.0]
    assert frame["opcode"].tolist() == ["012340", "444444"] * 3
    for change, complaint in (({"arch": [1, 0]}, "order of the official index"),
                              ({"cellstr": ["x", "y"]}, "'x' is not an architecture string")):
        register("nb201-epoch12", frame_pickle(columns | change))
        with pytest.raises(DataError, match=complaint):
            load_table("nb201_epoch12", root)
    del columns["cifar100-val"]
    register("nb201-epoch12", frame_pickle(columns))
    with pytest.raises(DataError, match="lacks the column 'cifar100-val'"):
        load_table("nb201_epoch12", root)


def zipped(**columns):
    return gzip.compress(frame_pickle(columns))


def write_public_nb101(register):
    register("nb101-test-accuracies", zipped(index=[0, 1], accuracy=[0.5, 0.25]))
    register("nb101-parameters", zipped(index=[0, 1], params=[1.5, 2.5], time=[0.0, 0.0]))


def test_nasbench101_from_public_files_then_from_the_official_one(root, register, resize):
    resize("nb101_test", 2)
    write_public_nb101(register)
    frame = load_table("nb101_test", root)
    assert frame.to_dict("list") == {"test_mean": [0.5, 0.25], "trainable_parameters_m": [1.5, 2.5]}

    resize("nb101_test", 20)
    register("nb101-official", only108(20))
    official = load_table("nb101_test", root)
    assert official.attrs["a2v"]["variant"] == "official"
    assert set(frame.columns) < set(official.columns)
    assert official["module_hash"].is_monotonic_increasing
    np.testing.assert_allclose(official["test_mean"], official[["test_0", "test_1", "test_2"]].mean(axis=1))
    np.testing.assert_allclose(official["validation_2"] - official["validation_0"], 2e-4, atol=1e-12)
    np.testing.assert_array_equal(official["training_seconds_1"] - official["training_seconds_0"], 1)
    # The official table stays when the file is taken away, although the public ones are there.
    sources.upstream_path(sources.get_source("nb101-official"), root).unlink()
    assert load_table("nb101_test", root).attrs["a2v"]["variant"] == "official"


def test_nasbench101_validation_from_the_official_file(root, register, resize):
    resize("nb101_validation", 20)
    register("nb101-official", only108(20))
    frame = load_table("nb101_validation", root)
    repeats = frame[["validation_108_0", "validation_108_1", "validation_108_2"]]
    np.testing.assert_array_equal(frame["validation_108"], repeats.max(axis=1))
    np.testing.assert_array_equal(frame["training_seconds"] % 10, 1.0)
    assert frame[["validation_4", "validation_12", "validation_36"]].isna().all(axis=None)


def test_a_part_of_the_official_file_is_refused(root, register):
    register("nb101-official", only108(20))
    with pytest.raises(DataError, match="has 20 rows, expected 423,624; the file is not the whole benchmark"):
        build(["nb101_test"], root)


@pytest.mark.parametrize(("name", "content", "complaint"), [
    ("nb101-parameters", b"not gzip", "is not a gzip file"),
    ("nb101-parameters", gzip.compress(b"x" * 99)[:-9], "is not a gzip file"),
    ("nb101-parameters", zipped(index=[0, 1]), "lacks the column 'params'"),
    ("nb101-parameters", zipped(index=[0], params=[1.0]), "has 1 rows, expected 2"),
    ("nb101-test-accuracies", zipped(index=[1, 0], accuracy=[1.0, 2.0]), "not in the order"),
    ("nb101-test-accuracies", zipped(index=[0, 1], accuracy=["a", "b"]), "nb101_test from"),
])
def test_public_nasbench101_frames_that_are_not_of_the_agreed_form_are_refused(root, register, resize, name, content,
                                                                                complaint):
    resize("nb101_test", 2)
    write_public_nb101(register)
    register(name, content)
    with pytest.raises(DataError, match=complaint):
        load_table("nb101_test", root)


def vis_json(keys, **change):
    content = {f"{epochs}_final_validation_accuracy": [epochs / 1000] * len(keys) for epochs in (4, 12, 36, 108)}
    content |= {"final_training_time": [7.0] * len(keys), "trainable_parameters": [9] * len(keys), "key": keys} | change
    return json.dumps({name: values for name, values in content.items() if values is not None}).encode()


def test_public_validation_is_joined_in_order_of_the_hash(root, register, resize):
    resize("nb101_validation", 3)
    register("nb101-vis-20k", vis_json(["b" * 32, "d" * 32]))
    register("nb101-vis-10k", vis_json(["c" * 32], trainable_parameters=[5]))
    frame = load_table("nb101_validation", root)
    assert frame["module_hash"].tolist() == ["b" * 32, "c" * 32, "d" * 32]
    assert frame["trainable_parameters"].tolist() == [9, 5, 9]
    assert frame["validation_36"].tolist() == [0.036] * 3
    for content, complaint in ((vis_json(["b" * 32]), "hold a cell twice"), (b"{", "lacks a field or is malformed"),
                               (vis_json(["c" * 32], key=None), "lacks a field or is malformed: KeyError")):
        register("nb101-vis-10k", content)
        with pytest.raises(DataError, match=complaint):
            load_table("nb101_validation", root)


def test_nats_takes_precedence_and_gives_the_same_tables(root, register, resize, monkeypatch, small_test200):
    """The reader itself is tested on the true format; here, that its records land in the right columns."""
    architectures = [architecture_string("012340"), architecture_string("444444")]
    each = np.arange(6.0).reshape(3, 2)
    val200 = np.stack([each, each + 10, np.full((3, 2), np.nan)], axis=-1)
    records = NatsRecords(architectures, val200, each + 100, each + 200, each + 300, each + 400)
    monkeypatch.setattr("a2v_core.benchmarks.convert_nasbench201.read_nats", lambda path: records)
    public = list(load_table("nb201_test200", root).columns)
    register("nats-tss", b"stands for the real file")
    source = sources.get_source("nats-tss")
    monkeypatch.setitem(sources.REGISTRY, "nats-tss", dataclasses.replace(source, md5_prefix=""))
    for name in table_names("nasbench201"):
        resize(name, 6)
    tests = load_table("nb201_test200", root)
    assert list(tests.columns) == public
    assert tests.attrs["a2v"]["sources"] == {"nats-tss": sources.get_source("nats-tss").digest}
    assert tests["test200_mean"].tolist() == list(range(200, 206))
    validation = load_table("nb201_validation200", root)
    assert validation["val200_mean"].tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert validation["n_seeds"].tolist() == [2] * 6
    assert validation["train_seconds_200"].tolist() == list(range(100, 106))
    assert validation["opcode"].tolist() == ["012340", "444444"] * 3
    short = load_table("nb201_epoch12", root)
    assert short["val12"].tolist() == list(range(300, 306))
    assert short["test12"].tolist() == list(range(400, 406))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_darts_networks_and_their_curves_belong_together(root, register, resize):
    resize("darts214", 2)
    curves = np.full((2, 600), 50.0)
    curves[:, 100] = [90.0, 91.0]
    pairs = [("GENOTYPE=Genotype(a)", np.float64(90.0)), ("GENOTYPE=Genotype(b)", np.float64(91.0))]
    register("darts214-genotypes", pickle.dumps(pairs))
    register("darts214-curves", npy(curves))
    frame = load_table("darts214", root)
    assert frame["genotype"].tolist() == ["Genotype(a)", "Genotype(b)"]
    assert frame["test_best"].tolist() == [90.0, 91.0]
    assert frame["test_last"].tolist() == [50.0, 50.0]
    np.testing.assert_array_equal(np.stack(frame["test_curve"]), curves)
    for content, complaint in ((npy(curves[::-1]), "do not belong together"),
                               (npy(curves[:, :-1]), r"shape \(2, 599\)"),
                               (b"\x93NUMPY", "not of the agreed form"),
                               (pickle.dumps(curves), "not of the agreed form")):
        register("darts214-curves", content)
        with pytest.raises(DataError, match=complaint):
            load_table("darts214", root)
    register("darts214-genotypes", pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="not of the agreed form"):
        load_table("darts214", root)


def test_the_authors_curves_become_one_long_table(root, register, resize):
    resize("authors_curves", 2 * len(METHODS))
    for i, method in enumerate(METHODS):
        register(f"authors-{method}", json.dumps({"time_plot": [1.0, 2.0], "valid_plot": [0.2, 0.1],
                                                  "test_plot": [0.4, i / 100]}).encode())
    frame = load_table("authors_curves", root)
    last = frame[frame["step"] == 1].set_index("method")["test_regret"]
    assert last.to_dict() == {method: i / 100 for i, method in enumerate(METHODS)}
    for content, complaint in ((b'{"time_plot": [1], "valid_plot": [1]}', "KeyError.'test_plot'"),
                               (b'{"time_plot": [1], "valid_plot": [1], "test_plot": [1, 2]}', "different lengths"),
                               (b"<html>", "is malformed")):
        register("authors-bohb", content)
        with pytest.raises(DataError, match=complaint):
            load_table("authors_curves", root)
