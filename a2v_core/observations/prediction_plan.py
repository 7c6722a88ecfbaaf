"""Which runs the page of Observation 2 makes, by profile."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from a2v_core.observations.accuracies import DATASETS
from a2v_core.observations.distances import existing_seeds
from a2v_core.observations.prediction_pieces import Outcome, Piece
from a2v_core.observations.prediction_pieces import run as run_pieces
from a2v_core.observations.representations import Representation
from a2v_core.results import of_profile
from a2v_core.spaces import get_space

CONTROLS = ("untrained", "one_hot", "pca", "path")


@dataclass(frozen=True)
class Scale:
    """Size of the page.

    Attributes:
        runs: of arch2vec and of its supervised counterpart, recipe released.
        others: runs of every other arm.
        controls: kinds of representation that nothing was trained for.
        recipes: of arch2vec and of its supervised counterpart.
        encoders: pre-trainings over which the runs of arch2vec are spread, where as many exist.
        labels: known cells.
        curve: other numbers of known cells for the learning curves.
        curve_runs: runs of each point of a curve.
        datasets: of NAS-Bench-201.
    """

    runs: int
    others: int
    controls: tuple[str, ...]
    recipes: tuple[str, ...]
    encoders: int
    labels: int
    curve: tuple[int, ...]
    curve_runs: int
    datasets: tuple[str, ...]


SCALES = {
    "smoke": Scale(2, 2, ("one_hot", "pca"), ("released",), 1, 50, (25,), 2, ("cifar10",)),
    "quick": Scale(4, 2, CONTROLS, ("released", "corrected"), 1, 250, (50, 100), 2, ("cifar10",)),
    "full": Scale(50, 10, CONTROLS, ("released", "paper", "corrected"), 5, 250, (50, 100, 500, 1000), 3,
                  DATASETS["nasbench201"]),
}


@dataclass(frozen=True)
class Group:
    """Runs of one arm: one row of a table, one point of a curve."""

    label: str
    pieces: tuple[Piece, ...]

    @property
    def first(self) -> Piece:
        """A run that says what all of them are about, apart from seeds."""
        return self.pieces[0]


@dataclass(frozen=True)
class Plan:
    """The groups of a page by the part of the page that reads them."""

    scale: Scale
    groups: dict[str, list[Group]] = field(default_factory=dict)

    def pieces(self) -> list[Piece]:
        """Every run once."""
        return list(dict.fromkeys(piece for groups in self.groups.values() for group in groups
                                  for piece in group.pieces))


def scale_of(profile: str) -> Scale:
    """Raises SettingsError for an unknown profile."""
    return of_profile(SCALES, profile)


def make_plan(profile: str, seed: int = 0, data_dir: str = "", without: Collection[str] = ()) -> Plan:
    """The groups of each part; runs draw their known cells with consecutive seeds from `seed`, so that run i of any two
    groups with equally many labels knows the same cells.

    Parts: ``main`` (Figure 2, footnote 1), ``recipes``, ``controls``, ``predictors`` (the kernel, DNGO, and known cells
    above the threshold), ``curves`` (a group for each arm and number of labels), and the data sets of NAS-Bench-201.

    Args:
        without: spaces whose accuracies are not here.

    Raises:
        SettingsError: unknown profile.
    """
    scale = scale_of(profile)
    plan = Plan(scale)

    def group(kind: str, recipe: str = "released", runs: int = scale.others, space: str = "nasbench101",
              dataset: str = "cifar10", labels: int = scale.labels, predictor: str = "rbf", known_above: bool = False,
              note: str = "") -> Group:
        seeds = range(seed, seed + runs)
        encoders = existing_seeds(kind, recipe, get_space(space), range(scale.encoders), data_dir)
        seen = [Representation(kind, recipe, s, labels, dataset) if kind == "supervised" else
                Representation(kind, recipe, encoders[i % len(encoders)] if kind in ("arch2vec", "untrained") else 0)
                for i, s in enumerate(seeds)]
        pieces = tuple(Piece(space, dataset, representation, s, labels, predictor, known_above)
                       for representation, s in zip(seen, seeds, strict=True))
        name = {"supervised": f"supervised, {recipe}", "untrained": "untrained GIN"}.get(kind, seen[0].label)
        return Group(name + (f": {note}" if note else ""), pieces)

    def both(kind: str, *recipes: str, runs: int = scale.others, **options: str | int) -> list[Group]:
        """Groups of each recipe; with a supervised network also its own output."""
        outputs = {"": "rbf"} | ({"own output": "own"} if kind == "supervised" else {})
        return [group(kind, recipe, runs, predictor=predictor, note=note, **options)
                for recipe in recipes for note, predictor in outputs.items()]

    without_paper = [recipe for recipe in scale.recipes if recipe != "paper"]
    if "nasbench101" not in without:
        plan.groups["main"] = [*both("arch2vec", "released", runs=scale.runs),
                               *both("supervised", "released", runs=scale.runs)]
        others = [recipe for recipe in scale.recipes if recipe != "released"]
        plan.groups["recipes"] = [*both("arch2vec", *others), *both("supervised", *others)]
        plan.groups["controls"] = [group(kind) for kind in scale.controls]
        plan.groups["predictors"] = [
            group("arch2vec", predictor="matern", note="Matern kernel"),
            group("supervised", predictor="matern", note="Matern kernel"),
            group("arch2vec", predictor="dngo", note="DNGO"),
            group("arch2vec", known_above=True, note="known cells above 0.8"),
            group("one_hot", known_above=True, note="known cells above 0.8")]
        plan.groups["curves"] = [
            each for labels in scale.curve
            for each in (*both("arch2vec", *without_paper, runs=scale.curve_runs, labels=labels),
                         *both("supervised", *without_paper, runs=scale.curve_runs, labels=labels),
                         *(group(kind, runs=scale.curve_runs, labels=labels) for kind in scale.controls))]
    for dataset in () if "nasbench201" in without else scale.datasets:
        where = {"space": "nasbench201", "dataset": dataset}
        plan.groups[dataset] = [*both("arch2vec", *scale.recipes, **where),
                                *both("supervised", *without_paper, **where),
                                *(group(kind, **where) for kind in scale.controls)]
    return plan


@dataclass(frozen=True, eq=False)
class Result:
    """The outcomes of a group.

    Attributes:
        group: which.
        outcomes: one a run.
    """

    group: Group
    outcomes: tuple[Outcome, ...]

    def values(self, measure: str) -> np.ndarray:
        """A measure (:func:`a2v_core.observations.prediction.score`) of each run, float64 [R]."""
        return np.array([outcome.scores[measure] for outcome in self.outcomes])

    @property
    def encoders(self) -> np.ndarray | None:
        """Pre-training (or initial weights) of each run, int64 [R]; None where each run has its own or none."""
        seen = [outcome.piece.representation for outcome in self.outcomes]
        return np.array([each.seed for each in seen]) if seen[0].kind in ("arch2vec", "untrained") else None


def run(plan: Plan, *, data_dir: str = "", device: str = "auto", scheduler: str = "", n_jobs: int | None = None
        ) -> dict[str, list[Result]]:
    """The results of each part, read where they exist and computed where they do not; see
    :func:`a2v_core.observations.prediction_pieces.run`."""
    pieces = plan.pieces()
    found = dict(zip(pieces, run_pieces(pieces, data_dir=data_dir, device=device, scheduler=scheduler, n_jobs=n_jobs),
                     strict=True))

    def results(groups: Iterable[Group]) -> list[Result]:
        return [Result(group, tuple(found[piece] for piece in group.pieces)) for group in groups]

    return {part: results(groups) for part, groups in plan.groups.items()}
