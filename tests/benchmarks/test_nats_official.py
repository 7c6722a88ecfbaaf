import builtins
import bz2
import pickle
import random

import numpy as np
import pytest

from a2v_core.benchmarks.convert_nasbench201 import architecture_string
from a2v_core.benchmarks.nats_official import PROTOCOLS, read_nats
from a2v_core.errors import DataError, MissingDataError

ARCHITECTURES = [architecture_string(opcode) for opcode in ("421211", "000000", "334131")]
SETS = {"cifar10-valid": ["x-valid", "ori-test"], "cifar10": ["ori-test"],
        "cifar100": ["x-valid", "x-test", "ori-test"], "ImageNet16-120": ["x-valid", "x-test", "ori-test"]}
SEEDS = {"12": [[111, 777]] * 3, "200": [[777, 888, 999], [777, 999], [888, 777]]}


@pytest.fixture(scope="module")
def nats_bench():
    return pytest.importorskip("nats_bench", reason="needs the extra a2v_core[nats]")


@pytest.fixture(scope="module")
def infos(nats_bench):
    """Architecture → epochs → state, made by the package itself from random numbers."""
    rng = random.Random(0)
    found = {}
    for index, architecture in enumerate(ARCHITECTURES):
        found[index] = {}
        for hp, of_architecture in SEEDS.items():
            epochs = int(hp)
            result = nats_bench.ArchResults(index, architecture)
            for dataset, sets in SETS.items():
                for seed in of_architecture[index]:
                    config = {"arch_str": architecture, "channel": 16, "num_cells": 5, "class_num": 10}
                    run = nats_bench.ResultsCount(dataset, None, {}, {}, 1.0, 2.0, config, seed, epochs, None)
                    curve = {epoch: rng.random() for epoch in range(epochs)}
                    run.update_train_info(curve, None, curve, {epoch: 1.5 + index for epoch in range(epochs)})
                    values = {f"{name}@{epoch}": 100 * rng.random() for name in sets for epoch in range(epochs)}
                    run.update_eval(values, values, values)
                    result.update(dataset, seed, run)
            found[index][hp] = result.state_dict()
    return found


@pytest.fixture(scope="module")
def benchmark_file(nats_bench, infos, tmp_path_factory):
    path = tmp_path_factory.mktemp("nats") / "NATS-tss-v1_0-00000.pickle"
    nats_bench.pickle_save({"meta_archs": ARCHITECTURES, "total_archs": 3, "arch2infos": infos,
                            "evaluated_indexes": {0, 1, 2}}, str(path))
    return path.with_name(path.name + ".pbz2")


@pytest.fixture
def archive(nats_bench, infos, tmp_path):
    folder = tmp_path / "NATS-tss-v1_0-00000-simple"
    folder.mkdir()
    nats_bench.pickle_save({"meta_archs": ARCHITECTURES, "evaluated_indexes": {0, 1, 2}}, str(folder / "meta.pickle"))
    for index, states in infos.items():
        nats_bench.pickle_save(states, str(folder / f"{index:06d}.pickle"))
    return folder


def test_the_records_are_what_the_package_itself_says(nats_bench, benchmark_file):
    records = read_nats(benchmark_file, progress=False)
    api = nats_bench.create(str(benchmark_file), "tss", fast_mode=False, verbose=False)
    assert records.architectures == ARCHITECTURES
    for d, (validated, tested, _) in enumerate(PROTOCOLS.values()):
        for index in range(3):
            for seed, value in zip(sorted(SEEDS["200"][index]), records.val200[d, index], strict=False):
                assert value == api.get_more_info(index, validated, hp="200", is_random=seed)["valid-accuracy"]
            info = {hp: api.get_more_info(index, validated, hp=hp, is_random=False) for hp in ("12", "200")}
            test = {hp: api.get_more_info(index, tested, hp=hp, is_random=False) for hp in ("12", "200")}
            assert records.train_seconds_200[d, index] == info["200"]["train-all-time"] == 200 * (1.5 + index)
            assert records.val12[d, index] == info["12"]["valid-accuracy"]
            assert records.test200[d, index] == test["200"]["test-accuracy"]
            assert records.test12[d, index] == test["12"]["test-accuracy"]
    np.testing.assert_array_equal(np.isnan(records.val200).sum(-1), [[0, 1, 1]] * 3)


def test_the_unpacked_archive_gives_the_same(benchmark_file, archive):
    one, other = read_nats(benchmark_file, progress=False), read_nats(archive, progress=False)
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name))


def test_missing_and_damaged_files_are_named(archive):
    record = archive / "000001.pickle.pbz2"
    content = record.read_bytes()

    def read():
        archive.touch()  # the reader keeps what it has read until the folder changes
        return read_nats(archive, progress=False)

    record.write_bytes(content[:-10])
    with pytest.raises(DataError, match=r"cannot read .*000001"):
        read()
    record.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    with pytest.raises(DataError, match=r"cannot read .*000001"):
        read()
    record.write_bytes((archive / "000002.pickle.pbz2").read_bytes())
    with pytest.raises(DataError, match=r"architecture 1 of .*expected"):
        read()
    record.write_bytes(bz2.compress(pickle.dumps({"200": {}})))
    with pytest.raises(DataError, match=r"architecture 1 of .* is not a NATS-Bench record"):
        read()
    record.unlink()
    with pytest.raises(DataError, match=r"cannot read .*000001"):
        read()
    (archive / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps([1, 2])))
    with pytest.raises(DataError, match="is not a NATS-Bench file"):
        read()


def test_code_in_the_file_is_not_run(nats_bench, tmp_path):
    path = tmp_path / "NATS-tss-v1_0-00000.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps({"meta_archs": [print]})))
    with pytest.raises(DataError, match=r"names builtins\.print"):
        read_nats(path, progress=False)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "NATS-tss-v1_0-00000.pickle.pbz2"
    path.write_bytes(b"")
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "nats_bench":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDataError, match=r"a2v_core\[nats\]"):
        read_nats(path, progress=False)
