import base64
import json

import numpy as np
import pytest
from made_files import delimited, double, evaluation, model_metrics, nasbench_record, only108, tfrecord, varint

from a2v_core.benchmarks.nasbench101_official import final_metrics, message_fields, read_official
from a2v_core.errors import DataError


def read(tmp_path, content):
    path = tmp_path / "nasbench_only108.tfrecord"
    path.write_bytes(content)
    return read_official(path, progress=False)


def test_modules_come_in_order_of_their_hash_with_all_three_repeats(tmp_path):
    records = read(tmp_path, only108(20))
    assert records.module_hash == sorted(f"{module * 7919 % 65536:032x}" for module in range(20))
    modules = records.trainable_parameters - 10**6
    assert sorted(modules) == list(range(20))
    repeats = np.arange(3) / 1e4
    np.testing.assert_allclose(records.validation, (0.9 + modules / 1000)[:, None] + repeats, rtol=0, atol=1e-15)
    np.testing.assert_allclose(records.test, (0.8 + modules / 1000)[:, None] + repeats, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(records.training_seconds, (1000.0 + 10 * modules)[:, None] + np.arange(3))


def test_the_wire_format_is_read_as_the_protocol_says():
    message = (varint(1 << 3) + varint(300) + double(2, -1.5) + delimited(3, b"abc") + varint(4 << 3 | 5) + b"wxyz"
               + varint(100 << 3) + varint(2**40))
    assert list(message_fields(message)) == [(1, 300), (2, -1.5), (3, b"abc"), (4, b"wxyz"), (100, 2**40)]


def test_the_message_equals_that_of_the_protocol_buffer_library():
    pb = pytest.importorskip("google.protobuf", reason="the library is only the oracle of this test")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    assert pb
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", package="nasbench", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    data = file.message_type.add(name="EvaluationData")
    for number, name in enumerate(("current_epoch", "training_time", "train_accuracy", "validation_accuracy",
                                   "test_accuracy"), start=1):
        data.field.add(name=name, number=number, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    data.field.add(name="checkpoint_path", number=6, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    metrics = file.message_type.add(name="ModelMetrics")
    metrics.field.add(name="evaluation_data", number=1, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_REPEATED,
                      type_name=".nasbench.EvaluationData")
    metrics.field.add(name="trainable_parameters", number=2, type=kinds.TYPE_INT32, label=kinds.LABEL_OPTIONAL)
    metrics.field.add(name="total_time", number=3, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))()
    for epoch in (0.0, 54.0, 108.0):
        message.evaluation_data.add(current_epoch=epoch, training_time=epoch * 10, train_accuracy=1.0,
                                    validation_accuracy=0.93, test_accuracy=0.94, checkpoint_path="/x")
    message.trainable_parameters = 8_555_530
    message.total_time = 2000.0
    assert final_metrics(message.SerializeToString()) == (0.93, 0.94, 1080.0, 8_555_530)


def broken(record_change):
    fields = json.loads(nasbench_record("a" * 32, 0.9, 0.9, 1.0))
    record_change(fields)
    return json.dumps(fields).encode()


def metrics_of(message):
    return lambda fields: fields.__setitem__(4, base64.b64encode(message).decode())


END = evaluation(108.0, 1.0, 1.0, 0.9, 0.9)


@pytest.mark.parametrize("record", [
    b"not json", b"[1, 2]", b"{}", "\N{SNOWMAN}".encode("utf-16"),
    broken(lambda fields: fields.__setitem__(4, "***")),
    broken(lambda fields: fields.__setitem__(4, None)),
    broken(metrics_of(b"")),
    broken(metrics_of(model_metrics([END, END], 1))),
    broken(metrics_of(model_metrics([END, END, END], 1)[:-4])),
    broken(metrics_of(model_metrics([END, END, double(1, 108.0)], 1))),
    broken(metrics_of(delimited(1, END)[:-30])),
    broken(metrics_of(varint(1 << 3 | 7))),
    broken(metrics_of(b"\xff")),
    broken(metrics_of(b"".join(delimited(1, END) for _ in range(3)))),
])
def test_a_record_that_is_not_of_the_benchmark_is_named(tmp_path, record):
    with pytest.raises(DataError, match=r"record 1 of .* is not a NAS-Bench-101 record"):
        read(tmp_path, tfrecord([nasbench_record("b" * 32, 0.9, 0.9, 1.0), record]))


def test_other_epochs_missing_repeats_and_contradictions_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"is of 12 epochs, expected 108: use nasbench_only108\.tfrecord"):
        read(tmp_path, tfrecord([nasbench_record("a" * 32, 0.9, 0.9, 1.0, epochs=12)]))
    with pytest.raises(DataError, match=r"module aaaa.* has 2 repeats"):
        read(tmp_path, tfrecord([nasbench_record("a" * 32, 0.9, 0.9, 1.0)] * 2))
    with pytest.raises(DataError, match="disagrees about its parameters"):
        read(tmp_path, tfrecord([nasbench_record("a" * 32, 0.9, 0.9, 1.0, parameters=p) for p in (1, 1, 2)]))


def test_a_damaged_file_is_refused(tmp_path):
    content = bytearray(only108(3))
    content[len(content) // 2] ^= 1
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path, bytes(content))
    with pytest.raises(DataError, match="is cut off"):
        read(tmp_path, only108(3)[:-1])
