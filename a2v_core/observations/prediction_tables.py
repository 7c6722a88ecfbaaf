"""Tables and recorded numbers of Observation 2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from a2v_core.observations.prediction_plan import Result
from a2v_core.results import Page
from a2v_core.search.estimates import estimate, show
from a2v_core.stats import Estimate, t_interval

#: Names and digits of the measures.
MEASURES = {"rmse": ("RMSE", 4), "pearson": ("Pearson's r", 2), "kendall": ("Kendall's tau", 2)}
#: How results define a prediction by its predictor: the paper's Gaussian process is `exact`.
DEFINITIONS = {"rbf": "exact", "matern": "matern", "dngo": "dngo", "own": "own_output"}
_FOOTNOTE = ("arch2vec", "supervised")


def clustered(values: np.ndarray, clusters: np.ndarray | None) -> Estimate | None:
    """Mean of the runs that have a value, with its 95 % interval; None where none has.

    Runs that share a pre-training are not independent: where there are several pre-trainings, the interval is Student's
    over their means, so that it holds the encoder's own variation. Otherwise it is over runs.

    Args:
        values: [R], NaN where a run has none.
        clusters: pre-training of each run, [R]; None where all runs are independent.
    """
    there = np.isfinite(values)
    values = values[there]
    if not len(values):
        return None
    groups = [] if clusters is None else [values[clusters[there] == each] for each in np.unique(clusters[there])]
    if 1 < len(groups) < len(values):
        return t_interval(np.array([group.mean() for group in groups]))._replace(n=len(values))
    return estimate(values)


def mean(result: Result, measure: str, filtered: str = "exact") -> Estimate | None:
    """Mean of a measure over the runs, under one of :data:`a2v_core.observations.prediction.FILTERS`."""
    return clustered(result.values(f"{filtered}/{measure}"), result.encoders)


def summary(results: Iterable[Result], paper: Mapping[str, float], filtered: str = "exact") -> pd.DataFrame:
    """One row a group: mean ± standard deviation over runs and the interval of the mean, for each measure that the
    filter has, beside the paper's where it has a row of this kind."""
    rows = {}
    for result in results:
        row: dict[str, str | int] = {}
        piece = result.group.first
        for measure, (name, digits) in MEASURES.items():
            if f"{filtered}/{measure}" in result.outcomes[0].scores:
                row[name] = _with_deviation(result, measure, filtered, digits)
            printed = f"footnote1/{piece.representation.kind}/{measure}"
            if printed in paper and piece.space == "nasbench101":
                digits = min(digits, 3)
                row[f"{name}, paper"] = f"{paper[printed]:.{digits}f} ± {paper[f'{printed}_sd']:.{digits}f}"
        row["runs"] = len(result.outcomes)
        rows[result.group.label] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def _with_deviation(result: Result, measure: str, filtered: str, digits: int) -> str:
    found = mean(result, measure, filtered)
    if found is None:
        return "none: all predictions are equal"
    values = result.values(f"{filtered}/{measure}")
    values = values[np.isfinite(values)]
    text, *interval = show(found, digits).partition(" ")
    lost = f" ({len(result.outcomes) - len(values)} runs without)" if len(values) < len(result.outcomes) else ""
    return text + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "") + "".join(interval) + lost


def by_label(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Groups of one arm and different numbers of known cells, ascending, by their label; arms with one number only are
    left out."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.group.label, []).append(result)
    return {label: sorted(group, key=lambda result: result.group.first.labels) for label, group in found.items()
            if len(group) > 1}


def pretrainings(results: Iterable[Result]) -> str:
    """A sentence on how many pre-trainings are behind each recipe of arch2vec."""
    found = {result.group.first.representation.recipe: len(np.unique(result.encoders)) for result in results
             if result.group.first.representation.kind == "arch2vec"}
    return f"Pre-trainings of arch2vec: {', '.join(f'{recipe} {n}' for recipe, n in found.items())}." if found else ""


def first_runs(result: Result, runs: int) -> Result:
    """The first runs of a result alone."""
    return Result(result.group, result.outcomes[:runs])


def difference(first: Result, second: Result, measure: str) -> Estimate | None:
    """Mean of first - second over the runs that know the same cells; None where there is none."""
    of_first, of_second = ({outcome.piece.seed: i for i, outcome in enumerate(result.outcomes)}
                           for result in (first, second))
    common = [seed for seed in of_first if seed in of_second]
    rows = np.array([of_first[seed] for seed in common], int), np.array([of_second[seed] for seed in common], int)
    gaps = first.values(f"exact/{measure}")[rows[0]] - second.values(f"exact/{measure}")[rows[1]]
    clusters = first.encoders[rows[0]] if first.encoders is not None else (
        None if second.encoders is None else second.encoders[rows[1]])
    return clustered(gaps, clusters)


def differences(first: Result, others: Sequence[Result]) -> pd.DataFrame:
    """One row a group: `first` minus it, for each measure, paired by known cells."""
    rows = {}
    for other in others:
        found = {name: difference(first, other, measure) for measure, (name, _) in MEASURES.items()}
        rows[other.group.label] = {name: show(gap, MEASURES[measure][1]) if gap else ""
                                   for (name, gap), measure in zip(found.items(), MEASURES, strict=True)}
    return pd.DataFrame.from_dict(rows, orient="index")


def record(page: Page, results: Iterable[Result]) -> None:
    """Put the means of all groups on the page: ``obs2/<space>/<dataset>/<kind>/<known cells>/<measure>``, and those of
    NAS-Bench-101 with the main number of known cells as footnote 1 has them, with their standard deviations and under
    the authors' filter as well."""
    for result in results:
        piece = result.group.first
        kind, recipe = piece.representation.kind, _recipe(result)
        definition = "known_above" if piece.known_above else DEFINITIONS[piece.predictor]
        stem = f"obs2/{piece.space}/{piece.dataset}/{kind}/{piece.labels}"
        for measure in MEASURES:
            page.add_estimate(f"{stem}/{measure}", mean(result, measure), recipe=recipe, definition=definition)


def record_footnote(page: Page, results: Iterable[Result]) -> None:
    """Put groups of arch2vec and of its supervised counterpart on the page as footnote 1."""
    for result in results:
        piece = result.group.first
        kind, recipe = piece.representation.kind, _recipe(result)
        if kind not in _FOOTNOTE:
            continue
        definition = "known_above" if piece.known_above else DEFINITIONS[piece.predictor]
        # DNGO under its script's own filter is what the authors' code measures.
        filtered = {definition: "exact", f"{definition}_filtered": "released"}
        if piece.predictor == "rbf" and not piece.known_above:
            filtered = {"exact": "exact", "predicted_above": "released"}
        elif piece.predictor == "dngo":
            filtered = {"dngo": "exact", "released": "released"}
        for name, each in filtered.items():
            for measure in ("rmse", "pearson"):
                stem, values = f"footnote1/{kind}/{measure}", result.values(f"{each}/{measure}")
                page.add_estimate(stem, mean(result, measure, each), recipe=recipe, definition=name)
                values = values[np.isfinite(values)]
                if len(values) > 1:
                    page.add_estimate(f"{stem}_sd", estimate(values, "sd"), recipe=recipe, definition=name)


def _recipe(result: Result) -> str:
    seen = result.group.first.representation
    return seen.recipe if seen.kind in _FOOTNOTE else ""
