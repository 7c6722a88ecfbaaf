"""Really trained networks of the DARTS space as a table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.benchmarks.schema import Column, Table, Variant
from a2v_core.benchmarks.sources import verified_bytes
from a2v_core.benchmarks.unpickle import loads
from a2v_core.errors import DataError

N_NETWORKS, N_EPOCHS = 214, 600
_PREFIX = "GENOTYPE="


def _darts214(root: Path) -> dict[str, Any]:
    pairs = loads(verified_bytes("darts214-genotypes", root), "darts214-genotypes")
    try:
        curves = np.load(io.BytesIO(verified_bytes("darts214-curves", root)), allow_pickle=False)
        genotypes = [str(text) for text, _ in pairs]
        best = np.array([accuracy for _, accuracy in pairs], dtype=np.float64)
    except (ValueError, TypeError, EOFError) as error:
        raise DataError(f"source darts214-genotypes or darts214-curves is not of the agreed form: {error}") from error
    if curves.shape != (len(genotypes), N_EPOCHS) or not all(text.startswith(_PREFIX) for text in genotypes):
        raise DataError(f"sources darts214-*: {len(genotypes)} genotypes and curves of shape {curves.shape}, expected "
                        f"{N_NETWORKS} and ({N_NETWORKS}, {N_EPOCHS})")
    if not np.array_equal(best, curves.max(1)):
        raise DataError("sources darts214-*: the accuracy of a genotype is not the maximum of its curve, so the two "
                        "files do not belong together row by row")
    return {
        "genotype": [text.removeprefix(_PREFIX) for text in genotypes],
        "test_best": best,
        "test_last": curves[:, -1],
        "test_curve": list(curves),
    }


DARTS214 = Table(
    name="darts214",
    space="darts",
    title="DARTS space: 214 trained networks",
    measured="Accuracy on the CIFAR-10 test set after each of 600 epochs, of 214 randomly drawn cells of the DARTS "
             "space. One row a network.",
    repeats="One training each.",
    caveats=(
        "The accuracy beside each genotype upstream is the MAXIMUM of its curve, not its end: test_best is it, and "
        "test_last is the accuracy after the last epoch (mean 96.95, standard deviation 0.233, maximum 97.41).",
        "The only really trained networks of this space here: they serve to check the surrogate, whose figures are "
        "those of a model.",
    ),
    columns=(
        Column("genotype", "string", "", "the genotype in the notation of DARTS"),
        Column("test_best", "float64", "%", "highest test accuracy of the curve"),
        Column("test_last", "float64", "%", "test accuracy after the last epoch"),
        Column("test_curve", "list<float64>", "%", "test accuracy after each of the 600 epochs"),
    ),
    variants=(Variant("public", ("darts214-genotypes", "darts214-curves"), _darts214, N_NETWORKS),),
)

TABLES: tuple[Table, ...] = (DARTS214,)
