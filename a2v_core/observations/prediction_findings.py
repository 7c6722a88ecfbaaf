"""What the page of Observation 2 found, as sentences made from its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from a2v_core.observations.prediction_plan import Result
from a2v_core.observations.prediction_tables import MEASURES, difference, mean
from a2v_core.search.estimates import show
from a2v_core.search.findings import DATASET_NAMES
from a2v_core.stats import Estimate


def findings(results: Mapping[str, Sequence[Result]], paper: Mapping[str, float]) -> list[str]:
    """Sentences on the paper's comparison, the network's own output, the recipes, the controls, the predictor, the
    number of known cells, and NAS-Bench-201.

    Args:
        results: by part, of :func:`a2v_core.observations.prediction_plan.run`.
        paper: the paper's value by identity.
    """
    ours, supervised, own = results["main"]
    sentences = []
    for name, result in (("arch2vec", ours), ("supervised", supervised)):
        printed = [paper[f"footnote1/{name}/{quality}"] for quality in ("rmse", "rmse_sd", "pearson", "pearson_sd")]
        sentences.append(f"**{result.group.label}**, {len(result.outcomes)} runs: RMSE {_shown(result, 'rmse')}, r "
                         f"{_shown(result, 'pearson')} (paper {printed[0]:.3f} ± {printed[1]:.3f} and "
                         f"{printed[2]:.2f} ± {printed[3]:.2f}).")
    sentences[-1] += f" Its own output, without a Gaussian process: r {_shown(own, 'pearson')}."
    if results["recipes"]:
        sentences.append("**Other recipes**, r: " + "; ".join(
            f"{result.group.label} {_shown(result, 'pearson')}" for result in results["recipes"]) + ".")
    fairer = [r for r in results["recipes"] if r.group.first.representation.kind == "supervised"]
    if fairer:
        parts = [f"{r.group.label}: {_words(difference(ours, r, 'pearson'))}" for r in fairer]
        sentences.append("**A supervised counterpart with arch2vec's own graph** ($A + A^T$) instead of the released "
                         f"script's. r of arch2vec, released, against it: {'; '.join(parts)}.")
    parts = [f"{r.group.label} {_words(difference(ours, r, 'pearson'))}" for r in results["controls"]]
    if parts:
        sentences.append("**Does pre-training help?** r of arch2vec against representations that nothing was trained "
                         f"for: {'; '.join(parts)}.")
    return sentences + _predictors(ours, results["predictors"]) + _curves(results) + _datasets(results)


def _predictors(ours: Result, others: Sequence[Result]) -> list[str]:
    sentences = []
    for result in others:
        piece = result.group.first
        if piece.representation.kind != "arch2vec":
            continue
        if piece.predictor == "matern":
            sentences.append(f"**The kernel** moves r of arch2vec by {_gap(difference(result, ours, 'pearson'))} "
                             "(Matern minus radial basis).")
        elif piece.predictor == "dngo":
            sentences.append(
                f"**DNGO**, which the authors' script for Figure 2 has, reaches RMSE {_shown(result, 'rmse')} and r "
                f"{_shown(result, 'pearson')}; after the script's filter, which drops cells by their prediction, RMSE "
                f"{_shown(result, 'rmse', 'released')} and r {_shown(result, 'pearson', 'released')}.")
        elif piece.known_above:
            values = [r.values("exact/rmse").std(ddof=1) for r in (result, ours)]
            sentences.append(
                "**Failed trainings among the known cells.** With known cells above 0.8 only, RMSE of arch2vec is "
                f"{_shown(result, 'rmse')} and r {_shown(result, 'pearson')}; the standard deviation of its RMSE over "
                f"runs is {values[0]:.4f} instead of {values[1]:.4f}.")
    return sentences


def _curves(results: Mapping[str, Sequence[Result]]) -> list[str]:
    by_labels: dict[int, list[Result]] = {}
    for result in results["curves"]:
        by_labels.setdefault(result.group.first.labels, []).append(result)
    parts = []
    for labels in (min(by_labels), max(by_labels)):
        known = [(result, found) for result in by_labels[labels] if (found := mean(result, "kendall"))]
        best = max(known, key=lambda pair: pair[1].value)
        mine = next(found for result, found in known if result.group.label == "arch2vec, released")
        parts.append(f"with {labels:,}, tau is {show(mine)} for arch2vec and at best {show(best[1])} "
                     f"({best[0].group.label})")
    return [f"**Known cells**: {'; '.join(parts)}."]


def _datasets(results: Mapping[str, Sequence[Result]]) -> list[str]:
    sentences = []
    for dataset, name in DATASET_NAMES.items():
        known = [(r, found) for r in results.get(dataset, ()) if (found := mean(r, "kendall"))]
        if known:
            best = max(known, key=lambda pair: pair[1].value)
            mine = next(found for r, found in known if r.group.label == "arch2vec, released")
            sentences.append(f"**NAS-Bench-201, {name}**: tau {show(mine)} for arch2vec, released; the best is "
                             f"{best[0].group.label} with {show(best[1])}.")
    return sentences


def _shown(result: Result, measure: str, filtered: str = "exact") -> str:
    found = mean(result, measure, filtered)
    return show(found, MEASURES[measure][1]) if found else "none"


def _gap(found: Estimate | None) -> str:
    return show(found) if found else "none"


def _words(found: Estimate | None) -> str:
    """A difference with what its interval says."""
    if not found:
        return "no value"
    verdict = "better" if found.low > 0 else "worse" if found.high < 0 else "no clear difference"
    return f"{show(found)}, {verdict}"
