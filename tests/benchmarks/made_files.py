"""Writers of the upstream formats, independent of the readers: what the tests read was made here."""

import base64
import json
import struct

#: Test accuracies of four cells of NAS-Bench-201, and the sources that have this form.
CSV = b"index,accuracy\n" + b"".join(b"%d,%d.5\n" % (i, i) for i in range(4))
TESTS = [f"nb201-test-{name}" for name in ("cifar10", "cifar100", "imagenet16")]

CHECK_TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    CHECK_TABLE.append(byte)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CHECK_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)


def tfrecord(records) -> bytes:
    out = b""
    for data in records:
        length = struct.pack("<Q", len(data))
        out += length + masked(length) + data + masked(data)
    return out


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def delimited(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def evaluation(epoch, seconds, train, validation, test) -> bytes:
    values = enumerate((epoch, seconds, train, validation, test), start=1)
    return b"".join(double(number, value) for number, value in values) + delimited(6, b"/path/model.ckpt-0")


def model_metrics(evaluations, parameters) -> bytes:
    return b"".join(delimited(1, each) for each in evaluations) + varint(2 << 3) + varint(parameters) + double(3, 9e3)


def nasbench_record(module_hash, validation, test, seconds, parameters=5_000_000, epochs=108) -> bytes:
    metrics = model_metrics([evaluation(0.0, 0.0, 0.1, 0.1, 0.1), evaluation(epochs / 2, seconds / 2, 0.8, 0.7, 0.6),
                             evaluation(float(epochs), seconds, 1.0, validation, test)], parameters)
    return json.dumps([module_hash, epochs, "010001000", "input,conv3x3-bn-relu,output",
                       base64.b64encode(metrics).decode()]).encode()


def only108(modules: int) -> bytes:
    """A file of `modules` modules, three repeats each, the repeats of different modules interleaved."""
    return tfrecord(nasbench_record(f"{module * 7919 % 65536:032x}", 0.9 + module / 1000 + repeat / 1e4,
                                    0.8 + module / 1000 + repeat / 1e4, 1000.0 + 10 * module + repeat, 10**6 + module)
                    for repeat in range(3) for module in range(modules))
