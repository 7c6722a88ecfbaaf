"""TFRecord files without TensorFlow: the framing with its checksums.

A record is the length of its data (uint64), the masked CRC-32C of these 8 bytes, the data, and the masked CRC-32C of
the data; all little-endian. "Masked" means rotated right by 15 bits plus a constant, modulo 2^32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from a2v_core.errors import DataError, MissingDataError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
#: A length beyond this is damage, not data (the records of NAS-Bench-101 have a few hundred bytes).
LONGEST_RECORD = 1 << 24


def masked_crc(data: bytes) -> int:
    """Masked CRC-32C of `data`, as TFRecord files store it.

    Raises:
        MissingDataError: the package google-crc32c (extra ``official``) is not installed.
    """
    try:
        import google_crc32c
    except ImportError as error:
        raise MissingDataError("TFRecord files need google-crc32c: pip install 'a2v_core[official]'") from error
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, one after the other, each verified by its checksums.

    Raises:
        DataError: a checksum does not match or the file ends inside a record; the message gives the position.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    with file:
        position, number = 0, 0
        while header := file.read(_HEADER.size):
            where = f"record {number} of {path} (byte {position})"
            if len(header) < _HEADER.size:
                raise DataError(f"{where} is cut off in its header: fetch the file anew")
            length, crc = _HEADER.unpack(header)
            if masked_crc(header[:8]) != crc or length > LONGEST_RECORD:
                raise DataError(f"{where} is damaged (checksum of its length): fetch the file anew")
            data, footer = file.read(length), file.read(_FOOTER.size)
            if len(data) < length or len(footer) < _FOOTER.size:
                raise DataError(f"{where} is cut off: fetch the file anew")
            if masked_crc(data) != _FOOTER.unpack(footer)[0]:
                raise DataError(f"{where} is damaged (checksum of its data): fetch the file anew")
            yield data
            position, number = file.tell(), number + 1
