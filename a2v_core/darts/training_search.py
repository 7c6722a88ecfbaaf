"""The searches of Table 4 with real trainings (§4.2): the same methods and the same driver as on the tables.

At full scale this is 100 queries among 600,000 cells, each a training of 50 epochs on CIFAR-10 (recipe
``query_released``), which takes GPU days. The same call with few epochs, narrow networks and small images takes
seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from a2v_core.errors import SettingsError


def search_by_training(method: str, recipe: str, settings: Any, dataset: str, *, queries: int = 100, seed: int = 0,
                       n_cells: int | None = None, changes: Mapping[str, Any] | None = None, device: str = "auto",
                       data_dir: str = "", progress: bool = False) -> tuple[Any, Any]:
    """One run of a method whose queries train networks.

    Args:
        method, recipe: see :mod:`a2v_core.search.methods`.
        settings: :class:`~a2v_core.darts.training_recipes.TrainingSettings` of a query.
        dataset: its images.
        queries: number of queries.
        seed: of the search; all trainings have seed 0.
        n_cells: candidates, the beginning of the sample; all 600,000 when None.
        changes: single settings of the method changed against the recipe.
        device: where all networks live.
        progress: show a bar for each training.

    Returns:
        :class:`~a2v_core.search.trajectories.Outcomes` of the run, and the
        :class:`~a2v_core.darts.trained_objective.TrainedObjective` that was asked.
    """
    from a2v_core.darts.trained_objective import TrainedObjective
    from a2v_core.search.blocks import Arm
    from a2v_core.search.darts_plan import search
    from a2v_core.search.runs import Budget
    from a2v_core.search.trajectories import Outcomes

    rows = None if n_cells is None else np.arange(n_cells)
    asked = TrainedObjective(settings, dataset, rows, device=device, data_dir=data_dir, progress=progress)
    arm = Arm("darts", "train", method, Budget(queries=queries), recipe, changes or {}, runs=1, first_seed=seed)
    runs = search(asked, arm, data_dir, device)
    return Outcomes(runs, asked.measured()), asked


def darts_search(
    method: Annotated[str, typer.Option(help="Search method, see `search list`.")] = "arch2vec_bo",
    recipe: Annotated[str, typer.Option(help="Of the search: released, paper or corrected.")] = "released",
    queries: Annotated[int, typer.Option(help="Networks to train.")] = 100,
    dataset: Annotated[str, typer.Option(help="cifar10 or digits.")] = "cifar10",
    training: Annotated[str, typer.Option(help="Recipe of a query's training.")] = "query_released",
    change: Annotated[list[str] | None, typer.Option(
        "--set", metavar="NAME=VALUE", help="A changed setting of the training; may be repeated.")] = None,
    cells: Annotated[int | None, typer.Option(help="Candidates: the first so many; all 600,000 otherwise.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    data_dir: Annotated[Path | None, typer.Option(
        "--data-dir", help="Data folder; $A2V_DATA_DIR or data/ otherwise.")] = None,
) -> None:
    """Search the DARTS space, training each queried cell; a stopped search trains nothing twice."""
    from a2v_core.darts.genotype_files import genotype_path, save_genotype
    from a2v_core.darts.training_recipes import training_settings
    from a2v_core.search.trajectories import final

    settings = training_settings(training, **dict(map(parse_change, change or [])))
    outcomes, asked = search_by_training(method, recipe, settings, dataset, queries=queries, seed=seed, n_cells=cells,
                                         device=device, data_dir=str(data_dir or ""), progress=True)
    (held,) = final(outcomes).itertuples()
    (genotype,) = asked.space.to_native(asked.space.cells()[int(held.cell)])
    path = genotype_path(f"{method}-{recipe}-{dataset}-{seed}", data_dir)
    save_genotype(path, genotype, {"method": method, "recipe": recipe, "seed": seed, "queries": int(held.queries),
                                   "dataset": dataset, "training": settings.as_dict(),
                                   "validation_accuracy": float(held.validation)})
    print(f"{len(asked.trained)} networks trained; best validation error {100 * (1 - held.validation):.2f} %, cell "
          f"{held.cell}: {path}")


def parse_change(text: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; what is no JSON is a text. Raises SettingsError for another form."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsError(f"setting {text!r} is not NAME=VALUE, for example epochs=50")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
