"""The authors' own search curves on NAS-Bench-101 as one long table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from a2v_core.benchmarks.schema import Column, Table, Variant
from a2v_core.benchmarks.sources import verified_bytes
from a2v_core.errors import DataError

METHODS = ("arch2vec-rl", "arch2vec-bo", "supervised-rl", "supervised-bo", "bohb", "evolution", "discrete-rl", "random")
_PREFIX = "authors-"
_FIELDS = {"seconds": "time_plot", "validation_regret": "valid_plot", "test_regret": "test_plot"}
#: Points of all eight curves together.
N_POINTS = 7_115


def _authors_curves(root: Path) -> dict[str, Any]:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("method", "step", *_FIELDS)}
    for method in METHODS:
        try:
            content = json.loads(verified_bytes(_PREFIX + method, root))
            curves = {name: np.array(content[field], dtype=np.float64) for name, field in _FIELDS.items()}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"source {_PREFIX + method} lacks a curve or is malformed: {error!r}") from error
        n = len(curves["seconds"])
        if any(curve.shape != (n,) for curve in curves.values()):
            raise DataError(f"source {_PREFIX + method}: its curves have different lengths")
        parts["method"].append(np.repeat(method, n))
        parts["step"].append(np.arange(n))
        for name, curve in curves.items():
            parts[name].append(curve)
    return {name: np.concatenate(columns) for name, columns in parts.items()}


AUTHORS_CURVES = Table(
    name="authors_curves",
    space="nasbench101",
    title="NAS-Bench-101: the curves that the authors released",
    measured="For eight search methods, the mean regret of the best architecture found so far against the simulated "
             "training time: the curves behind the paper's figure of the search on NAS-Bench-101.",
    repeats="Mean over the authors' runs; neither the single runs nor their spread is in the files.",
    caveats=(
        "Regret is the distance to the best accuracy of the benchmark, as the authors' code takes it.",
        "Final test regret: arch2vec-rl 0.00209, arch2vec-bo 0.00275, supervised-bo 0.00596, supervised-rl 0.00620, "
        "bohb 0.00720, evolution 0.00751, discrete-rl 0.00837, random 0.00858.",
        "The numbers of points differ between methods, and so do their times; compare at equal seconds.",
    ),
    columns=(
        Column("method", "string", "", "search method: " + ", ".join(METHODS)),
        Column("step", "int64", "", "position along the curve, from 0"),
        Column("seconds", "float64", "s", "simulated training time spent so far"),
        Column("validation_regret", "float64", "fraction", "mean validation regret"),
        Column("test_regret", "float64", "fraction", "mean test regret"),
    ),
    variants=(Variant("public", tuple(_PREFIX + method for method in METHODS), _authors_curves, N_POINTS),),
)

TABLES: tuple[Table, ...] = (AUTHORS_CURVES,)
