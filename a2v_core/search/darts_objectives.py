"""Objectives on the DARTS space: what a surrogate says, since no accuracies of its cells are public (§4.2, A.3).

A query pays the validation accuracy that the surrogate (:mod:`a2v_core.darts.surrogate`) predicts after its last epoch,
for the network in which the cell is normal and reduction cell; it costs the seconds that it predicts. The surrogate
knows no test accuracy and no noise: the reported validation and test accuracies are the signal itself. Nothing is
measured. The objectives differ in their candidates, all of them from the sample of 600,000:

- ``surrogate``: the cells without the operation "none" (zero), a third of the sample: those of which the surrogate
  saw trained examples;
- ``surrogate_all``: all cells, where the surrogate's opinion of the other two thirds is an extrapolation.
"""

from __future__ import annotations

import numpy as np

from a2v_core.benchmarks.sources import get_source
from a2v_core.darts.surrogate import SOURCES, is_known, predictions
from a2v_core.errors import SettingsError
from a2v_core.search.objective import Objective
from a2v_core.spaces import get_space
from a2v_core.spaces.darts_encoding import Edges

#: Length of a training by the surrogate.
EPOCHS = 98

#: Simulated seconds of a run: about the paper's 100 queries (§4.2), a random cell taking 5,900 s by the surrogate. The
#: paper's budget itself is in queries.
BUDGET_SECONDS = dict.fromkeys(("surrogate", "surrogate_all"), 5.9e5)


def objective(name: str, data_dir: str = "") -> Objective:
    """One of the objectives above; the first use computes the surrogate's opinion of all cells (about two minutes).

    Raises:
        SettingsError: unknown name.
        MissingDataError: the surrogate or the package that runs it is not there.
    """
    if name not in BUDGET_SECONDS:
        raise SettingsError(f"no objective {name!r} on darts: choose one of {', '.join(BUDGET_SECONDS)}")
    return sample_objective(name, None, data_dir)


def sample_objective(name: str, n_cells: int | None, data_dir: str = "") -> Objective:
    """The same among the first `n_cells` of the sample alone (None: all), for short searches."""
    space = get_space("darts")
    edges = Edges(*(part[:n_cells] for part in space.edges))
    found = predictions(edges, space.cells().digest(), data_dir)
    rows = np.arange(len(edges.ops)) if name == "surrogate_all" else np.flatnonzero(is_known(edges))
    accuracy = found.accuracy[rows]
    return Objective(f"darts/{name}", space, rows, (EPOCHS,), accuracy[None, None], found.seconds[rows][None], accuracy,
                     accuracy, np.zeros(len(rows), bool), {source: get_source(source).sha256 for source in SOURCES})
