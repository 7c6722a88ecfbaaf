"""How much of Table 1 each profile computes, and its records as one tidy table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from a2v_core.artifacts import ArtifactStore
from a2v_core.cells import Cells
from a2v_core.generation import N_DRAWS
from a2v_core.parallel import run_tasks
from a2v_core.pretraining import embed, is_trained, pretrain, training_key
from a2v_core.results import of_profile
from a2v_core.spaces import get_space
from a2v_core.table1 import Arm, factor_arms, main_arms, publish, run_arm

SPACES = ("nasbench101", "nasbench201", "darts")


@dataclass(frozen=True)
class Plan:
    """Size of the study.

    Attributes:
        n_cells: random cells of each space, None for all of them.
        epochs: None for §4's numbers.
        draws: random latents decoded for validity and uniqueness.
        seeds: number of seeds by space.
        factor_labels: which of :func:`a2v_core.table1.factor_arms` run, None for all.
    """

    n_cells: int | None
    epochs: int | None
    draws: int
    seeds: dict[str, int]
    factor_labels: tuple[str, ...] | None


PLANS = {
    "smoke": Plan(400, 2, 300, dict.fromkeys(SPACES, 2), ("arch2vec-released-eval_after_first_epoch=False",)),
    "quick": Plan(5000, 5, 3000, dict.fromkeys(SPACES, 2), (
        "arch2vec-released-eval_after_first_epoch=False", "arch2vec-released-operations=softmax",
        "arch2vec-released-kl_divided_again=False", "arch2vec-released-reduction=graph",
        "arch2vec-paper-beta=0.005")),
    "full": Plan(None, None, N_DRAWS, {"nasbench101": 3, "nasbench201": 5, "darts": 3}, None),
}
#: The one-factor experiments run where a model trains in a minute.
FACTOR_SPACE = "nasbench201"
#: The encoder that reads in-edges and out-edges apart, for the page on encodings.
DIRECTED = Arm("nasbench101", "corrected", "arch2vec", {"direction": "split"})


def plan(profile: str) -> Plan:
    """The plan of a profile. Raises SettingsError for an unknown one."""
    return of_profile(PLANS, profile)


def study_cells(space: str, n_cells: int | None) -> Cells:
    """All cells of a space, or `n_cells` random ones in the order of the space."""
    cells = get_space(space).cells()
    if n_cells is None or n_cells >= len(cells):
        return cells
    return cells[np.sort(np.random.default_rng(0).choice(len(cells), n_cells, replace=False))]


def planned_arms(profile: str) -> list[Arm]:
    """Every arm that the profile computes."""
    labels = plan(profile).factor_labels
    factors = [arm for arm in factor_arms(FACTOR_SPACE) if labels is None or arm.label in labels]
    return [*(arm for space in SPACES for arm in main_arms(space)), *factors]


def run_plan(profile: str, *, seed: int = 0, device: str = "auto", data_dir: str = "", scheduler: str = "",
             only_existing: bool = False) -> list[dict[str, Any]]:
    """Records of all arms and seeds of a profile (see :func:`a2v_core.table1.run_arm`), computed where missing.

    Args:
        profile: ``smoke``, ``quick`` or ``full``.
        seed: the first seed; the others follow.
        device, scheduler: where to compute.
        data_dir: the data folder; empty for the default one.
        only_existing: train nothing; what has not been trained is left out.
    """
    tasks = [{"arm": arm, "profile": profile, "seed": seed, "device": device, "data_dir": data_dir,
              "only_existing": only_existing} for arm in planned_arms(profile)]
    n_jobs = 1 if profile == "smoke" or device.startswith("cuda") else None
    results = run_tasks(run_planned_arm, tasks, scheduler=scheduler, n_jobs=n_jobs, description="models of Table 1")
    return [record for records in results for record in records]


def run_planned_arm(arm: Arm, profile: str, seed: int, device: str, data_dir: str, only_existing: bool = False
                    ) -> list[dict[str, Any]]:
    """Records of one arm at the size of a profile."""
    size = plan(profile)
    return run_arm(arm, get_space(arm.space), study_cells(arm.space, size.n_cells),
                   range(seed, seed + size.seeds[arm.space]), store=ArtifactStore(data_dir), epochs=size.epochs,
                   draws=size.draws, device=device, progress=False, only_existing=only_existing)


def publish_full(seed: int = 0, data_dir: str = "") -> list[Path]:
    """Copy what the full study has trained and measured so far to the folder under version control: all records, and
    the models that other pages read (main arms, and NAS-Bench-101 with the directions apart), of which the observations
    use more seeds than Table 1. Returns the files."""
    size, store, written = plan("full"), ArtifactStore(data_dir), []
    for arm in [*planned_arms("full"), DIRECTED]:
        seeds = range(seed, seed + max(size.seeds.values()))
        with_weights = arm is DIRECTED or arm in main_arms(arm.space)
        written += publish(arm, get_space(arm.space), study_cells(arm.space, None), seeds, store, with_weights)
    return written


def missing_runs(profile: str, records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Planned runs without a record: columns space, arm, planned, there; empty when the plan is complete."""
    there = Counter((record["arm"]["space"], record["arm"]["label"]) for record in records)
    seeds = plan(profile).seeds
    rows = [{"space": arm.space, "arm": arm.label, "planned": seeds[arm.space], "there": there[arm.space, arm.label]}
            for arm in planned_arms(profile) if there[arm.space, arm.label] < seeds[arm.space]]
    return pd.DataFrame(rows, columns=["space", "arm", "planned", "there"])


def relabelling_error(arm: Arm, profile: str, *, seed: int, device: str = "auto", data_dir: str = "",
                      n_cells: int = 1000, only_existing: bool = False) -> float | None:
    """Largest difference between an entry of the embedding of a cell and of the same cell with its nodes in random
    order, over `n_cells` random cells and the arm's first model (§3.1.2: the representation is invariant).

    None with `only_existing` when the arm's models are not all trained.
    """
    size, space = plan(profile), get_space(arm.space)
    cells = study_cells(arm.space, size.n_cells)
    seeds, store = range(seed, seed + size.seeds[arm.space]), ArtifactStore(data_dir)
    settings = arm.settings(size.epochs)
    if only_existing and not all(is_trained(store, training_key(cells, settings, each)) for each in seeds):
        return None
    trained = pretrain(cells, len(space.vocabulary), settings, seeds, store=store, device=device, progress=False)[0]
    rng = np.random.default_rng(seed)
    chosen = cells[rng.choice(len(cells), min(n_cells, len(cells)), replace=False)]
    order = rng.permuted(np.tile(np.arange(space.n_nodes), (len(chosen), 1)), axis=1)
    row = np.arange(len(chosen))[:, None]
    relabelled = Cells(chosen.adjacency[row[:, :, None], order[:, :, None], order[:, None, :]], chosen.ops[row, order])
    return float(np.abs(embed(trained, chosen) - embed(trained, relabelled)).max())


def metrics(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a record, metric and definition: columns space, recipe, method, label, seed, metric, definition,
    value (percent).

    ``exact`` places the draws by the encoded training cells, as Appendix B says; ``released`` by what the last epoch
    collected, as the released code does.
    """
    rows = []
    for record in records:
        base = {k: record["arm"][k] for k in ("space", "recipe", "method", "label")} | {"seed": record["seed"]}
        recovered, drawn = record["reconstruction"], record["generation"]
        for metric, definition, value in (
            ("accuracy", "exact", recovered["exact"]), ("accuracy", "released", recovered["released"]),
            ("accuracy", "released_operations", recovered["operations"]),
            ("accuracy", "released_edges", recovered["edges"]),
            ("validity", "exact", drawn["encoded"]["validity"]),
            ("validity", "released", drawn["collected"]["released_validity"]),
            ("validity", "exact_common_scaling", drawn["common"]["validity"]),
            ("uniqueness", "exact", drawn["encoded"]["uniqueness"]),
            ("uniqueness", "unpruned_hash", drawn["encoded"]["unpruned_uniqueness"]),
            ("uniqueness", "released", drawn["collected"]["released_uniqueness"]),
            ("uniqueness", "exact_common_scaling", drawn["common"]["uniqueness"]),
        ):
            rows.append(base | {"metric": metric, "definition": definition, "value": 100 * value})
    return pd.DataFrame(rows)


def curves(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row a record and epoch: space, recipe, method, label, seed, epoch, train_mode, the loss terms per graph, and
    the measures of the epoch (fractions)."""
    return pd.DataFrame([{k: record["arm"][k] for k in ("space", "recipe", "method", "label")}
                         | {"seed": record["seed"]} | entry
                         for record in records for entry in record["training"]["history"]])
