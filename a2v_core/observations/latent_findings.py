"""What the page on the latent space found, in sentences whose numbers are computed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from a2v_core.observations.latent_measures import Measures
from a2v_core.observations.latent_plan import SOURCES, Arm, Map
from a2v_core.observations.latent_tables import NAMES, difference, over_trainings
from a2v_core.search.estimates import show
from a2v_core.search.findings import DATASET_NAMES
from a2v_core.stats import Estimate


def findings(measures: Mapping[tuple[str, str], Mapping[Arm, Mapping[int, Measures]]],
             large: Mapping[Arm, Mapping[int, Map]],
             settings: Mapping[str, Mapping[tuple[float, str], Mapping[int, Map]]], recipe: str = "released"
             ) -> list[str]:
    """Sentences in Markdown, one a finding, about one recipe.

    Args:
        measures: of :func:`a2v_core.observations.latent_plan.all_measures`.
        large: of the large maps.
        settings: source → maps under other settings of t-SNE.
    """
    here = measures["nasbench101", "cifar10"]
    said = [_distinct(here, recipe), _neighbours(here, recipe), _coarse(here, recipe), _directions(here, recipe),
            _filled(large, recipe), _rough(large, recipe), _pictures(settings)]
    said += [_elsewhere(dataset, found, recipe) for (space, dataset), found in measures.items()
             if space == "nasbench201"]
    return [sentence for sentence in said if sentence]


def _both(found: Mapping, name: str, recipe: str, factor: float = 1, digits: int = 2) -> str:
    first, second = (over_trainings(found[kind, recipe], name, factor) for kind in SOURCES)
    return (f"{show(first, digits) if first else 'no number'} for arch2vec and "
            f"{show(second, digits) if second else 'no number'} for the supervised network")


def _verdict(gap: Estimate | None, more: str, less: str) -> str:
    """Which source is ahead, by the interval of the difference."""
    if gap is None:
        return "too few trainings for an interval of the difference"
    if gap.low > 0 or gap.high < 0:
        return more if gap.value > 0 else less
    return "the difference does not exclude zero"


def _gap(gap: Estimate | None, digits: int = 2) -> str:
    return f"; difference {show(gap, digits)}" if gap else ""


def _distinct(found: Mapping, recipe: str) -> str:
    gap = difference(found, "distinct_embeddings", recipe)
    verdict = _verdict(gap, "fewer cells have their own under supervision, as the paper says",
                       "fewer cells have their own under arch2vec, the reverse of what the paper says")
    return (f"**Unique embeddings.** Percentage of cells with an embedding that no other cell shares: "
            f"{_both(found, 'distinct_embeddings', recipe, digits=1)}{_gap(gap, 1)}: {verdict}. An encoder that sees "
            "$A + A^T$, as arch2vec does, cannot tell apart cells that are equal as undirected graphs, whatever it has "
            "learned; the supervised network of the released code sees $A$.")


def _neighbours(found: Mapping, recipe: str) -> str:
    gap = difference(found, "neighbour_correlation", recipe)
    verdict = _verdict(gap, "similar accuracies lie closer together for arch2vec, as the paper says",
                       "similar accuracies lie closer together under supervision, against the paper")
    return (f"**Neighbours.** Correlation of a cell's accuracy with the mean of its nearest cells: "
            f"{_both(found, 'neighbour_correlation', recipe)}{_gap(gap)}: {verdict}. Rank correlation: "
            f"{_both(found, 'neighbour_rank_correlation', recipe)}"
            f"{_gap(difference(found, 'neighbour_rank_correlation', recipe))}. {_controls(found, recipe)}")


def _controls(found: Mapping, recipe: str) -> str:
    names = {"untrained": "the encoder with its initial weights", "pca": "principal components of the matrices",
             "one_hot": "the matrices themselves"}
    means = {arm: over_trainings(trainings, "neighbour_correlation")
             for arm, trainings in found.items() if arm[0] in names}
    if not means:
        return ""
    said = " and ".join(f"{show(mean)} for {names[kind]}" for (kind, _), mean in means.items())
    gaps = [difference(found, "neighbour_correlation", recipe, other=arm) for arm in means if arm[0] == "untrained"]
    trained = "".join(f"; arch2vec minus its initial weights is {show(gap)}: " + _verdict(
        gap, "pre-training helps", "pre-training does harm") for gap in gaps if gap)
    return f"Without any training it is {said}{trained}."


def _coarse(found: Mapping, recipe: str) -> str:
    gap = difference(found, "morans_i", recipe)
    verdict = _verdict(gap, "arch2vec is ahead", "the supervised network is ahead")
    return (f"**On a coarser scale**, among the neighbours in a sample as large as that of the map, Moran's I is "
            f"{_both(found, 'morans_i', recipe)}{_gap(gap)}: {verdict}. Of ranks: "
            f"{_both(found, 'morans_i_of_ranks', recipe)}{_gap(difference(found, 'morans_i_of_ranks', recipe))}.")


def _directions(found: Mapping, recipe: str) -> str:
    return (f"**Directions.** Of 16 directions the embeddings use in effect (participation ratio) "
            f"{_both(found, 'effective_dimensions', recipe, digits=1)}.")


def _filled(maps: Mapping[Arm, Mapping[int, Map]], recipe: str) -> str:
    gap = difference(maps, "occupied_share", recipe)
    verdict = _verdict(gap, "arch2vec fills more of its map", "the supervised network fills more of its map")
    (noise,) = maps["normal", ""].values()
    return (f"**The filled map.** Percentage of areas with a cell: {_both(maps, 'occupied_share', recipe, digits=1)}"
            f"{_gap(gap, 1)}: {verdict}. A map of random vectors fills {noise.occupied_share:.1f} %: t-SNE spreads "
            "whatever it is given, so a filled map says little about the latent space.")


def _rough(maps: Mapping[Arm, Mapping[int, Map]], recipe: str) -> str:
    gap, coloured = difference(maps, "roughness", recipe, 100), difference(maps, "coloured_roughness", recipe, 100)
    relative = difference(maps, "relative_coloured_roughness", recipe)
    initial = [one.relative_coloured_roughness for one in maps.get(("untrained", recipe), {}).values()]
    untrained = "".join(f"for the encoder with its initial weights {value:.2f}; " for value in initial)
    words = ("the map of arch2vec is rougher", "the map of arch2vec is smoother")
    (noise,) = maps["normal", ""].values()
    return (f"**Roughness.** Mean difference of accuracy between adjacent areas, in percentage points: "
            f"{_both(maps, 'roughness', recipe, 100)}{_gap(gap)}: {_verdict(gap, *words)}. The few cells that failed "
            "to train decide this number. Of what the colours show: "
            f"{_both(maps, 'coloured_roughness', recipe, 100)}{_gap(coloured)}: {_verdict(coloured, *words)}. Over the "
            "difference of any two areas of the same map, which is 1 where being adjacent means nothing, that is "
            f"{_both(maps, 'relative_coloured_roughness', recipe)}{_gap(relative)}; "
            f"{untrained}for random vectors {noise.relative_coloured_roughness:.2f}.")


def _pictures(settings: Mapping[str, Mapping[tuple[float, str], Mapping[int, Map]]]) -> str:
    ranges = []
    for name, attribute, factor, digits in (("areas with a cell, %", "occupied_share", 1, 0),
                                            ("roughness of the colours, points", "coloured_roughness", 100, 2)):
        of_source = []
        for source, maps in settings.items():
            values = factor * np.array([getattr(one, attribute) for of_setting in maps.values()
                                        for one in of_setting.values()])
            if np.isfinite(values).all():
                of_source.append(f"{values.min():.{digits}f} to {values.max():.{digits}f} ({NAMES[source]})")
        ranges.append(f"{name}: {', '.join(of_source)}")
    n = len(next(iter(settings.values())))
    return (f"**Settings of t-SNE.** One latent space under {n} settings ({'; '.join(ranges)})." if n > 1 else "")


def _elsewhere(dataset: str, found: Mapping, recipe: str) -> str:
    gap = difference(found, "neighbour_correlation", recipe)
    verdict = _verdict(gap, "arch2vec is ahead", "the supervised network is ahead")
    return (f"**NAS-Bench-201, {DATASET_NAMES[dataset]}.** Correlation with neighbours: "
            f"{_both(found, 'neighbour_correlation', recipe)}{_gap(gap)}: {verdict}. {_controls(found, recipe)}")
