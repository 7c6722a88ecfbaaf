"""MD5 (RFC 1321) of many short texts of one length at once, by array operations.

Digests are those of :mod:`hashlib`; a call per text is what is saved. Used only to reproduce published identifiers,
never for security.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

_CONSTANTS = [np.uint32(int(abs(math.sin(i + 1)) * 2**32)) for i in range(64)]
_ROTATIONS = [(7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21)]
_START = [np.uint32(word) for word in (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)]
#: Texts treated together, so that the working arrays stay in the processor's cache.
_CHUNK = 16384
#: Fewer texts than this are faster one by one.
_FEW = 512


def md5_rows(texts: np.ndarray) -> np.ndarray:
    """MD5 of each row, uint8 [R, length] to uint8 [R, 16]."""
    count, length = texts.shape
    if count < _FEW:
        digests = b"".join([hashlib.md5(row.tobytes()).digest() for row in texts])
        return np.frombuffer(digests, np.uint8).reshape(count, 16)
    blocks = (length + 8) // 64 + 1
    result = np.empty((count, 4), "<u4")
    for start in range(0, count, _CHUNK):
        chunk = texts[start : start + _CHUNK]
        padded = np.zeros((len(chunk), 64 * blocks), np.uint8)
        padded[:, :length] = chunk
        padded[:, length] = 0x80
        padded[:, -8:] = np.frombuffer((8 * length).to_bytes(8, "little"), np.uint8)
        words = np.ascontiguousarray(padded.view("<u4").T).astype(np.uint32, copy=False)
        state = [np.full(len(chunk), word) for word in _START]
        for block in range(blocks):
            _compress(state, words[16 * block : 16 * block + 16])
        result[start : start + _CHUNK] = np.stack(state, axis=1)
    return result.view(np.uint8)


def _compress(state: list[np.ndarray], words: np.ndarray) -> None:
    """Take one block, words uint32 [16, R], into the four state words, uint32 [R] each, in place."""
    a, b, c, d = (word.copy() for word in state)
    total, spare = np.empty_like(a), np.empty_like(a)
    for step in range(64):
        kind = step // 16
        if kind == 0:  # (b & c) | (~b & d)
            np.bitwise_xor(c, d, out=total)
            np.bitwise_and(total, b, out=total)
            np.bitwise_xor(total, d, out=total)
            word = step
        elif kind == 1:  # (d & b) | (~d & c)
            np.bitwise_xor(b, c, out=total)
            np.bitwise_and(total, d, out=total)
            np.bitwise_xor(total, c, out=total)
            word = (5 * step + 1) % 16
        elif kind == 2:  # b ^ c ^ d
            np.bitwise_xor(b, c, out=total)
            np.bitwise_xor(total, d, out=total)
            word = (3 * step + 5) % 16
        else:  # c ^ (b | ~d)
            np.invert(d, out=total)
            np.bitwise_or(total, b, out=total)
            np.bitwise_xor(total, c, out=total)
            word = 7 * step % 16
        np.add(total, a, out=total)
        np.add(total, words[word], out=total)
        np.add(total, _CONSTANTS[step], out=total)
        shift = _ROTATIONS[kind][step % 4]
        np.right_shift(total, np.uint32(32 - shift), out=spare)
        np.left_shift(total, np.uint32(shift), out=total)
        np.bitwise_or(total, spare, out=total)
        np.add(total, b, out=total)
        a, b, c, d, total = d, total, b, c, a
    for word, added in zip(state, (a, b, c, d), strict=True):
        word += added
