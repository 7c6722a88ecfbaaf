"""The module hash of NAS-Bench-101 (Ying et al. 2019, `graph_util.hash_module`) for whole arrays of cells.

Each vertex starts from (out-degree, in-degree, label) and is refined once per vertex of the cell by the hashes of its
predecessors, of its successors and its own; the hash of a cell is that of its sorted vertex hashes. Isomorphic cells
have equal hashes; on NAS-Bench-101 different cells have different ones.

The result is the original's to the bit, but no string is built and hashed twice: a vertex state is an integer (the
rank of its hash among those of the round), equal (predecessors, successors, own) triples are found with array
operations, and MD5 runs once on each different one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError
from a2v_core.md5 import md5_rows

#: dtype of a module hash: 32 lower-case hexadecimal digits.
HASH_DTYPE = np.dtype("S32")

#: Cells treated together: large enough to share states, small enough for memory.
_CHUNK = 32768

#: The two hexadecimal digits of each byte, as one 16-bit number with the text's own bytes.
_HEX = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)
#: Odd constants that keep predecessors, successors and the vertex itself apart in a fingerprint.
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)


def module_hash(cells: Cells, labels: Sequence[int], progress: bool = False) -> np.ndarray:
    """Hash of each cell, bytes "S32" [M], over its matrices as they are (nothing is pruned; padded rows do not count).

    Args:
        cells: any cells; not even acyclic ones are required.
        labels: integer label of each operation code, as the benchmark writes it (input -1, output -2,
            other operations from 0); length = size of the vocabulary.
        progress: show a bar.

    Raises:
        SpaceError: an operation code has no label.
    """
    table = np.asarray(labels, np.int64)
    nodes = cells.ops != PAD
    sizes = np.where(nodes.any(1), nodes.shape[1] - np.argmax(nodes[:, ::-1], axis=1), 0)
    highest = np.where(np.arange(nodes.shape[1]) < sizes[:, None], cells.ops, 0).max(initial=0)
    if highest >= len(table):
        raise SpaceError(f"operation code {highest} has no label: the vocabulary has codes 0 to {len(table) - 1}, "
                         f"and padding ({PAD}) comes only behind the last node")
    result = np.empty(len(cells), HASH_DTYPE)
    with tqdm(total=len(cells), desc="module hash", unit="cell", unit_scale=True, disable=not progress) as bar:
        for n in np.unique(sizes):
            of_size = np.flatnonzero(sizes == n)
            for start in range(0, len(of_size), _CHUNK):
                rows = of_size[start : start + _CHUNK]
                result[rows] = _hash_of_size(cells.adjacency[rows, :n, :n] != 0, table[cells.ops[rows, :n]])
                bar.update(len(rows))
    return result


def _hash_of_size(edge: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Hashes of cells without padding: edge bool [M, n, n], label int64 [M, n]."""
    n = label.shape[1]
    if n == 0:
        return np.full(len(label), hashlib.md5(b"[]").hexdigest().encode(), HASH_DTYPE)
    state, digests = _first_states(edge, label)
    for _ in range(n):
        state, digests = _refine(edge, state, digests)
    ordered = np.sort(state, axis=1)
    text = np.empty((len(label), n, 36), np.uint8)
    text[:] = np.frombuffer(b"'" + b" " * 32 + b"', ", np.uint8)
    text[:, :, 1:33] = _hexadecimal(digests)[ordered]
    body = text.reshape(len(label), n * 36)[:, :-2]
    bracket = np.broadcast_to(np.frombuffer(b"[]", np.uint8), (len(label), 2))
    return _hexadecimal(md5_rows(np.hstack([bracket[:, :1], body, bracket[:, 1:]]))).view(HASH_DTYPE)[:, 0]


def _first_states(edge: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States int32 [M, n] and their digests [S, 16] from degrees and labels; a state is the rank of its digest."""
    triples = np.stack([edge.sum(2), edge.sum(1), label], axis=-1).reshape(-1, 3)
    lowest = triples.min(0)
    spans = triples.max(0) - lowest + 1
    code = np.ravel_multi_index(tuple((triples - lowest).T), spans)
    different, state = np.unique(code, return_inverse=True)
    values = np.stack(np.unravel_index(different, spans), axis=-1) + lowest
    digests = np.frombuffer(b"".join(hashlib.md5(repr(tuple(v)).encode()).digest() for v in values.tolist()), np.uint8)
    return _ranked(state.reshape(label.shape), digests.reshape(-1, 16))


def _refine(edge: np.ndarray, state: np.ndarray, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One round of refinement: new states and their digests."""
    m, n = state.shape
    absent = np.int32(len(digests))  # sorts behind every state
    before = np.sort(np.where(edge.transpose(0, 2, 1), state[:, None, :], absent), axis=2).reshape(m * n, n)
    after = np.sort(np.where(edge, state[:, None, :], absent), axis=2).reshape(m * n, n)
    own = state.reshape(m * n)

    first, which = _different(before, after, own, digests)
    n_before = (before[first] < absent).sum(1)
    degree = n_before + (after[first] < absent).sum(1)
    by_shape = np.lexsort((n_before, degree))
    first, n_before, degree = first[by_shape], n_before[by_shape], degree[by_shape]
    hexadecimal = _hexadecimal(digests)
    result = np.empty((len(first), 16), np.uint8)
    for total in np.unique(degree):  # texts of one length go through MD5 together
        start, stop = np.searchsorted(degree, (total, total + 1))
        text = np.full((stop - start, 32 * (total + 1) + 2), ord("|"), np.uint8)
        for b in np.unique(n_before[start:stop]):
            low, high = np.searchsorted(n_before[start:stop], (b, b + 1))
            chosen = first[start + low : start + high]
            text[low:high, : 32 * b] = _rows(hexadecimal, before[chosen, :b])
            text[low:high, 32 * b + 1 : 32 * total + 1] = _rows(hexadecimal, after[chosen, : total - b])
        text[:, -32:] = _rows(hexadecimal, own[first[start:stop], None])
        result[by_shape[start:stop]] = md5_rows(text)
    return _ranked(which.reshape(m, n), result)


def _different(
    before: np.ndarray, after: np.ndarray, own: np.ndarray, digests: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of one of each different (before, after, own) triple, and the number of the triple of each vertex.

    Triples are told apart by a 64-bit fingerprint; should two different ones share it, all vertices are kept apart,
    which costs time and not correctness.
    """
    numbers = np.append(digests[:, :8].copy().view(np.uint64)[:, 0] | np.uint64(1), np.uint64(0))
    part = [np.append(_scrambled(numbers[:-1] * constant), np.uint64(0)) for constant in _MIX]
    fingerprint = part[0][before].sum(1) + part[1][after].sum(1) + part[2][own]
    _, first, which = np.unique(fingerprint, return_index=True, return_inverse=True)
    same = first[which]
    exact = (own == own[same]).all() and (before == before[same]).all() and (after == after[same]).all()
    return (first, which) if exact else (np.arange(len(own)), np.arange(len(own)))


def _scrambled(values: np.ndarray) -> np.ndarray:
    """Values with high bits folded into low ones, so that sums of them do not cancel by linearity."""
    values = values ^ (values >> np.uint64(29))
    return values * _MIX[0] ^ (values >> np.uint64(32))


def _ranked(state: np.ndarray, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States renumbered by the order of their digests, which is the order of their hexadecimal text."""
    halves = digests.view(">u8").astype(np.uint64)
    order = np.argsort(halves[:, 0])
    leading = halves[order, 0]
    if (leading[1:] == leading[:-1]).any():
        order = np.lexsort((halves[:, 1], halves[:, 0]))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[state], digests[order]


def _rows(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Chosen rows side by side: table [R, 32] and index [I, C] to [I, 32 C]."""
    return np.take(table, index, axis=0).reshape(len(index), table.shape[1] * index.shape[1])


def _hexadecimal(digests: np.ndarray) -> np.ndarray:
    """Text of each digest, uint8 [R, 16] to uint8 [R, 32]."""
    return _HEX[digests].view(np.uint8)
