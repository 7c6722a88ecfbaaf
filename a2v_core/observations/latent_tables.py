"""Tables, recorded numbers and findings of the page on the latent space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pandas as pd

from a2v_core.observations.latent_measures import Measures
from a2v_core.observations.latent_plan import SOURCES, Arm, Map
from a2v_core.results import Page
from a2v_core.search.estimates import estimate, show
from a2v_core.stats import Estimate, paired_difference

#: Rows of tables and figures by kind of representation.
NAMES = {"arch2vec": "arch2vec", "supervised": "supervised", "untrained": "untrained GIN", "pca": "PCA of one-hot",
         "one_hot": "one-hot matrices", "normal": "random vectors"}
#: Search space and data set in words.
GROUNDS = {("nasbench101", "cifar10"): "NAS-Bench-101, CIFAR-10", ("nasbench201", "cifar10"): "NAS-Bench-201, CIFAR-10",
           ("nasbench201", "cifar100"): "NAS-Bench-201, CIFAR-100",
           ("nasbench201", "imagenet16_120"): "NAS-Bench-201, ImageNet16-120"}
#: Measure → heading, factor of what is shown, digits.
MEASURES = {
    "neighbour_correlation": ("correlation with neighbours", 1, 2),
    "neighbour_rank_correlation": ("rank correlation with neighbours", 1, 2),
    "variance_ratio": ("variance among neighbours / random pairs", 1, 2),
    "neighbour_difference": ("difference to the nearest, points", 100, 2),
    "morans_i": ("Moran's I", 1, 2),
    "morans_i_of_ranks": ("Moran's I of ranks", 1, 2),
    "distinct_embeddings": ("distinct embeddings, %", 1, 1),
    "effective_dimensions": ("effective dimensions", 1, 1),
}
#: Number of a map → heading, factor, digits.
OF_MAPS = {
    "occupied_share": ("areas with a cell, %", 1, 1),
    "roughness": ("roughness, points", 100, 2),
    "relative_roughness": ("over random pairs of areas", 1, 2),
    "coloured_roughness": ("roughness of the colours", 100, 2),
    "relative_coloured_roughness": ("of the colours, over random pairs", 1, 2),
    "trustworthiness": ("trustworthiness", 1, 3),
}


def over_trainings(found: Mapping[int, Measures] | Mapping[int, Map], name: str, factor: float = 1) -> Estimate | None:
    """Mean over trainings with its 95 % interval; trainings whose vectors have collapsed have no number and are left
    out, None where no other is left."""
    values = factor * np.array([getattr(one, name) for one in found.values()])
    values = values[np.isfinite(values)]
    return estimate(values) if len(values) else None


def table(found: Mapping[Arm, Mapping[int, Measures]] | Mapping[Arm, Mapping[int, Map]],
          columns: Mapping[str, tuple[str, float, int]]) -> pd.DataFrame:
    """One row an arm (kind, recipe), one column a measure: mean and interval, and how many trainings have a number of
    all. Where no training of an arm has a number, the table says none."""
    rows = {}
    for (kind, recipe), trainings in found.items():
        numbers = {heading: (over_trainings(trainings, name, factor), digits)
                   for name, (heading, factor, digits) in columns.items()}
        usable = min((one.n if one else 0) for one, _ in numbers.values())
        shown = {heading: show(one, digits) if one else "none" for heading, (one, digits) in numbers.items()}
        together = f"{usable}" if usable == len(trainings) else f"{usable} of {len(trainings)}"
        rows[NAMES[kind] + (f", {recipe}" if recipe else "")] = {**shown, "trainings": together}
    return pd.DataFrame.from_dict(rows, orient="index")


def difference(found: Mapping[Arm, Mapping[int, Measures]] | Mapping[Arm, Mapping[int, Map]], name: str, recipe: str,
               factor: float = 1, other: Arm | None = None) -> Estimate | None:
    """arch2vec minus supervised by one recipe, or minus another arm; trainings paired by their seed, which draws the
    same cells for both. None without two pairs."""
    first, second = found[SOURCES[0], recipe], found[other or (SOURCES[1], recipe)]
    pairs = factor * np.array([[getattr(of[seed], name) for of in (first, second)] for seed in first if seed in second])
    pairs = pairs[np.isfinite(pairs).all(1)] if len(pairs) else pairs
    return paired_difference(pairs[:, 0], pairs[:, 1]) if len(pairs) > 1 else None


def differences(measures: Mapping[tuple[str, str], Mapping[Arm, Mapping[int, Measures]]],
                maps: Mapping[Arm, Mapping[int, Map]]) -> pd.DataFrame:
    """One row a measure, then one a number of the large maps; one column a search space, data set and recipe; empty
    without two pairs of trainings."""
    columns = {}
    for ground, found in measures.items():
        for recipe in dict.fromkeys(recipe for kind, recipe in found if kind == SOURCES[0]):
            rows = _differences(found, MEASURES, recipe)
            if ground == next(iter(measures)) and (SOURCES[0], recipe) in maps:
                rows |= _differences(maps, OF_MAPS, recipe)
            columns[f"{GROUNDS[ground]}, {recipe}"] = {heading: show(gap, digits) for heading, (gap, digits)
                                                       in rows.items() if gap}
    return pd.DataFrame({heading: column for heading, column in columns.items() if column}).fillna("")


def _differences(found: Mapping, columns: Mapping[str, tuple[str, float, int]], recipe: str
                 ) -> dict[str, tuple[Estimate | None, int]]:
    return {heading: (difference(found, name, recipe, factor), digits)
            for name, (heading, factor, digits) in columns.items()}


def panels(found: Mapping[Arm, Mapping[int, Measures]]
           ) -> tuple[dict[str, dict[str, dict[str, Estimate]]], list[str]]:
    """What :func:`a2v_core.observations.latent_figures.plot_measures` draws: heading → recipe → source → estimate, and
    the sources. The controls stand with the first recipe; without an interval, the point alone."""
    first = next(recipe for _, recipe in found)
    made: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, (heading, factor, _) in MEASURES.items():
        for (kind, recipe), trainings in found.items():
            if (mean := over_trainings(trainings, name, factor)) is not None:
                ends = mean if np.isfinite(mean.low) else Estimate(mean.value, mean.value, mean.value, mean.n)
                made.setdefault(heading, {}).setdefault(recipe or first, {})[NAMES[kind]] = ends
    return made, [NAMES[kind] for kind in dict.fromkeys(kind for kind, _ in found)]


def record_measures(page: Page, space: str, dataset: str, found: Mapping[Arm, Mapping[int, Measures]]) -> None:
    """Put the measures on the page: ``obs4/<kind>/<measure>`` on NAS-Bench-101, with the space and the data set before
    the kind elsewhere. `principal_share` and `neighbour_difference` are further definitions of numbers of the map."""
    before = "" if space == "nasbench101" else f"{space}/{dataset}/"
    for (kind, recipe), trainings in found.items():
        for name in (field.name for field in fields(Measures)):
            stem, definition, unit, factor = {
                "principal_share": ("occupied_share", "principal_components", "%", 1),
                "neighbour_difference": ("roughness", "latent", "percentage points", 100),
                "neighbour_rank_correlation": ("neighbour_correlation", "ranks", "", 1),
                "morans_i_of_ranks": ("morans_i", "ranks", "", 1),
                "distinct_embeddings": (name, "exact", "%", 1)}.get(name, (name, "exact", "", 1))
            mean = over_trainings(trainings, name, factor)
            page.add_estimate(f"obs4/{before}{kind}/{stem}", mean, unit=unit, recipe=recipe, definition=definition)


def record_maps(page: Page, found: Mapping[Arm, Mapping[int, Map]], definition: str) -> None:
    """Put the numbers of maps on the page: ``obs4/<kind>/<number>``; the further kinds of roughness are
    further definitions of it."""
    for (kind, recipe), maps in found.items():
        stem = f"obs4/{kind}"
        for name, end, factor, unit, of in (
                ("occupied_share", "", 1, "%", "occupied_share"),
                ("roughness", "", 100, "percentage points", "roughness"),
                ("relative_roughness", "_relative", 1, "", "roughness"),
                ("coloured_roughness", "_coloured", 100, "percentage points", "roughness"),
                ("relative_coloured_roughness", "_coloured_relative", 1, "", "roughness"),
                ("trustworthiness", "", 1, "", "trustworthiness")):
            page.add_estimate(f"{stem}/{of}", over_trainings(maps, name, factor), unit=unit, recipe=recipe,
                                  definition=definition + end)
