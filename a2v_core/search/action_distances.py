"""How far the actions of arch2vec-RL land from the cells that answer them, and where its policy points (§3.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from a2v_core.artifacts import ArtifactStore, artifact_key, code_digest
from a2v_core.errors import SettingsError
from a2v_core.search.blocks import BLOCK, Arm, block_keys
from a2v_core.search.methods import get_method
from a2v_core.search.objectives import get_objective
from a2v_core.search.reinforce import Reinforce, location_and_scale
from a2v_core.search.runs import run_searches

#: What is measured at each query: distance from the action to the cell that answers it, and norm of the policy's mean.
QUANTITIES = ("distance", "mean_norm")


def action_distances(arms: Sequence[Arm], data_dir: str = "", device: str = "auto") -> list[pd.DataFrame]:
    """One table an arm of arch2vec-RL, one row a query: query (from 1), distance and mean_norm (means over runs, in
    units of the embedding that the run sees, standardised in `corrected`), radius (the farthest cell from the centre).

    The runs are those that the same arm makes for a table of results; what is measured is stored.

    Raises:
        SettingsError: an arm is not arch2vec-RL, or has more than one block of runs.
    """
    store, found = ArtifactStore(data_dir), []
    for arm in arms:
        method = get_method(arm.method)
        if not method.searcher.endswith(":Reinforce") or arm.runs > BLOCK:
            raise SettingsError(f"{arm.runs} runs of {arm.method}: distances of actions need at most {BLOCK} runs of "
                                "arch2vec-RL")
        key = artifact_key({"runs": block_keys(arm, data_dir), "code": code_digest(__name__)})
        measured = store.arrays("action_distances", key, lambda arm=arm: _measure(arm, data_dir, device))
        table = pd.DataFrame({name: measured[name] for name in QUANTITIES})
        table.insert(0, "query", np.arange(1, len(table) + 1))
        found.append(table.assign(radius=float(measured["radius"][0])))
    return found


def _measure(arm: Arm, data_dir: str, device: str) -> dict[str, np.ndarray]:
    objective, store = get_objective(arm.space, arm.objective, data_dir), ArtifactStore(data_dir)
    features = arm.seen.build(objective.space, store, device)[objective.rows]
    searcher = get_method(arm.method).searcher_of(objective.problem(features), range(arm.first_seed, arm.first_seed
                                                  + arm.runs), arm.settings(), device)
    assert isinstance(searcher, Reinforce)
    run_searches(searcher, objective, arm.budget)
    made = ~np.isnan(searcher.distances).any(0)
    points = features.astype(np.float64)
    if arm.settings().standardise:
        shift, scale = location_and_scale(features)
        points = (points - shift) / scale
    radius = np.linalg.norm(points - points.mean(0), axis=1).max()
    return {"distance": searcher.distances[:, made].mean(0), "mean_norm": searcher.mean_norms[:, made].mean(0),
            "radius": np.array([radius])}
