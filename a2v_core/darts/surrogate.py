"""Accuracy and training time of DARTS-space networks by a surrogate: the opinion of a model, not a measurement.

The model is the YAHPO-Gym surrogate of NAS-Bench-301 (Pfisterer et al. 2022; Zela et al. 2022): a network that was
fitted to CIFAR-10 trainings of DARTS-space cells and gives validation accuracy and seconds after an epoch from 1 to 98.
It takes one network at a time, 0.2 ms each, so what it says of a whole space is stored.

Its columns are fourteen possible edges of the normal cell and of the reduction cell (an operation, or absent) and,
for intermediate nodes 1 to 3, which two states they read. It knows seven operations: "none" (zero) is not among them.
An edge with "none" is given as absent while its node still reads the state, an input to which the model was never
fitted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.benchmarks.sources import get_source, verified_bytes
from a2v_core.errors import DataError, MissingDataError, SettingsError
from a2v_core.spaces.darts_encoding import FIRST_OPERATION, NODE_OF_EDGE, Edges
from a2v_core.spaces.darts_genotypes import N_EDGES, N_INTERMEDIATE, OPERATIONS

#: Registered sources that the surrogate is made of.
SOURCES = ("nb301-surrogate-model", "nb301-surrogate-encoding")
#: Last epoch that it was fitted to; there the trainings it learned from end.
LAST_EPOCH = 98
#: Networks of a stored piece.
CHUNK = 10_000
_KIND = "surrogate"
_PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
_ABSENT = "#na#"
#: Number of the first possible edge of each intermediate node; node n may read n + 2 states.
_FIRST_EDGE = np.array([0, 2, 5, 9])
_N_POSSIBLE = 14
_CELL_KINDS = ("normal", "reduce")


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the surrogate says of M networks after the last epoch: validation `accuracy`, a fraction, and `seconds` of
    training, float64 [M]."""

    accuracy: np.ndarray
    seconds: np.ndarray


class Surrogate:
    """The model, loaded.

    Args:
        data_dir: the data folder; see :func:`a2v_core.paths.data_dir`.

    Raises:
        MissingDataError: its files are not here, or the package that runs it is not installed.
        DigestError: a file is not what was registered.
        DataError: the files do not belong together.
    """

    def __init__(self, data_dir: str | Path | None = None) -> None:
        model, categories = (verified_bytes(name, data_dir) for name in SOURCES)
        self._session = _session(model)
        self._code = _Code(json.loads(categories))

    def predict(self, normal: Edges, reduction: Edges, epoch: int = LAST_EPOCH) -> Predictions:
        """Predictions for M pairs of cells (the same edges twice where one cell serves as both).

        Raises:
            SettingsError: the epoch is not from 1 to 98.
        """
        if not 1 <= epoch <= LAST_EPOCH:
            raise SettingsError(f"epoch {epoch} is outside 1 … {LAST_EPOCH}, what the surrogate was fitted to")
        columns, when = self._code.columns(normal, reduction), np.array([[epoch]], np.float32)
        found = np.empty((len(columns), 2))
        for row, cell in enumerate(columns):
            found[row] = self._session.run(None, {"x_cat": cell[None], "x_cont": when})[0][0]
        return Predictions(found[:, 0] / 100, found[:, 1])


def predictions(edges: Edges, identity: str, data_dir: str = "") -> Predictions:
    """What the surrogate says of networks with one cell for both kinds, in stored pieces, so that a stopped computation
    goes on.

    Args:
        edges: M genotypes; a whole number of pieces or the whole of what `identity` names.
        identity: digest of the sequence of which these are the beginning.

    Raises:
        as :class:`Surrogate`.
    """
    store, surrogate, parts = ArtifactStore(data_dir), None, []
    common = {"sources": {name: get_source(name).sha256 for name in SOURCES}, "cells": identity, "epoch": LAST_EPOCH,
              "code": code_digest(__name__)}
    starts = range(0, len(edges.ops), CHUNK)
    with tqdm(starts, desc="surrogate", unit="piece", leave=False, disable=len(starts) < 6) as bar:
        for start in bar:
            stop = min(start + CHUNK, len(edges.ops))
            key = artifact_key(common | {"rows": [start, stop]})
            found = store.load_arrays(_KIND, key)
            if found is None:
                surrogate = surrogate or Surrogate(data_dir)
                piece = Edges(edges.ops[start:stop], edges.inputs[start:stop])
                found = vars(surrogate.predict(piece, piece))
                store.arrays(_KIND, key, found.copy)
            parts.append(found)
    return Predictions(*(np.concatenate([part[name] for part in parts]) for name in ("accuracy", "seconds")))


def is_known(edges: Edges) -> np.ndarray:
    """Whether the surrogate knows all operations of a cell, bool [M]: none of them is "none"."""
    return (edges.ops != FIRST_OPERATION + OPERATIONS.index("none")).all(1)


class _Code:
    """The surrogate's integers for what a genotype says, from the categories that come with it."""

    def __init__(self, categories: dict[str, dict[str, int]]) -> None:
        try:
            operations = categories[f"{_PREFIX}edge_normal_0"]
            self._operation = np.array([operations[_ABSENT if name == "none" else name] for name in OPERATIONS])
            self._pair = np.zeros((N_INTERMEDIATE, N_INTERMEDIATE + 1, N_INTERMEDIATE + 1), np.int32)
            for node in range(1, N_INTERMEDIATE):
                pairs = categories[f"{_PREFIX}inputs_node_normal_{node + 2}"]
                for first in range(node + 2):
                    for second in range(first + 1, node + 2):
                        code = pairs[f"{first}_{second}"]
                        self._pair[node, first, second] = self._pair[node, second, first] = code
            same = all(categories[f"{_PREFIX}edge_{kind}_{edge}"] == operations
                       for kind in _CELL_KINDS for edge in range(_N_POSSIBLE))
        except KeyError as error:
            raise DataError(f"the surrogate's categories lack {error}: they belong to another model") from None
        if not same:
            raise DataError("the surrogate codes its edges differently: its categories belong to another model")

    def columns(self, normal: Edges, reduction: Edges) -> np.ndarray:
        """The 34 input columns of M pairs of cells, int32 [M, 34]: possible edges of both, then inputs of both."""
        (edges, inputs), (reduction_edges, reduction_inputs) = self._of_cell(normal), self._of_cell(reduction)
        return np.concatenate([edges, reduction_edges, inputs, reduction_inputs], axis=1)

    def _of_cell(self, cells: Edges) -> tuple[np.ndarray, np.ndarray]:
        """Operation of each possible edge [M, 14] and pair of states read by nodes 1 to 3 [M, 3], int32."""
        m, states = len(cells.ops), cells.inputs.astype(np.intp)
        edges = np.zeros((m, _N_POSSIBLE), np.int32)
        place = _FIRST_EDGE[NODE_OF_EDGE] + states
        edges[np.arange(m)[:, None], place] = self._operation[cells.ops.astype(np.intp) - FIRST_OPERATION]
        nodes = np.arange(1, N_INTERMEDIATE)
        return edges, self._pair[nodes, states[:, 2:N_EDGES:2], states[:, 3:N_EDGES:2]]


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDataError("the surrogate is an ONNX network, and the package that runs it is missing: "
                               "pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    # One network at a time is too little work to share.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
