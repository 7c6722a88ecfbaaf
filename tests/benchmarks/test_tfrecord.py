import builtins
import struct

import pytest
from made_files import crc32c, masked, tfrecord

from a2v_core.benchmarks.tfrecord import masked_crc, read_records
from a2v_core.errors import DataError, MissingDataError

RECORDS = [b"first", b"", b"\x00" * 1000, bytes(range(256))]


def write(tmp_path, content):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(content)
    return path


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    for record in RECORDS:
        assert struct.pack("<I", masked_crc(record)) == masked(record)


def test_records_are_read_in_order(tmp_path):
    assert list(read_records(write(tmp_path, tfrecord(RECORDS)))) == RECORDS
    assert list(read_records(write(tmp_path, b""))) == []


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):
    content = tfrecord([b"one", b"two"])
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        with pytest.raises(DataError, match=r"record [01] of .*(damaged|cut off)"):
            list(read_records(write(tmp_path, bytes(damaged))))
    for end in range(1, len(content)):
        if end != len(content) // 2:
            with pytest.raises(DataError, match="is cut off"):
                list(read_records(write(tmp_path, content[:end])))


def test_records_before_the_damage_are_given_and_its_place_is_told(tmp_path):
    content = bytearray(tfrecord([b"one", b"two"]))
    content[-5] ^= 1
    records = read_records(write(tmp_path, bytes(content)))
    assert next(records) == b"one"
    with pytest.raises(DataError, match=r"record 1 of .* \(byte 19\) is damaged \(checksum of its data\)"):
        next(records)


def test_a_file_that_cannot_be_read_and_a_missing_package_are_clear_errors(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="cannot read"):
        list(read_records(tmp_path))
    original = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "google_crc32c":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDataError, match=r"pip install 'a2v_core\[official\]'"):
        masked_crc(b"")
