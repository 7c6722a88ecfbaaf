"""Numbers, tables and figures of the page on pre-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from a2v_core import point_clouds
from a2v_core.artifacts import ArtifactStore
from a2v_core.plotting import COLOURS, legend_below, panel_grid, plot_intervals
from a2v_core.results import Page
from a2v_core.search.baselines_plan import NASBENCH101
from a2v_core.search.control_features import ScaledUntrained
from a2v_core.search.estimates import difference, estimate, percent, show, signed
from a2v_core.search.features import Features
from a2v_core.search.findings import AGENTS, DATASET_NAMES
from a2v_core.search.methods import get_method
from a2v_core.search.plan import Group
from a2v_core.search.pretraining_plan import VARIED, VARIED_ON
from a2v_core.search.trajectories import Outcomes
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace
from a2v_core.stats import Estimate, against_zero

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Parts of the page as they are shown.
PART_NAMES = {**DATASET_NAMES, NASBENCH101: "NAS-Bench-101",
              VARIED: f"{DATASET_NAMES[VARIED_ON]}, other trainings"}
#: Vectors as they are shown, by the note of their groups; changed settings of a training by their name alone.
VECTORS = {"": "pre-trained", "untrained": "untrained", "untrained_scaled": "untrained, scaled",
           "pca": "principal components", "one_hot": "one-hot matrices", "path": "paths"}
SETTINGS = {"epochs": "epochs", "beta": "weight of KL", "latent": "dimensions"}


def vectors_of(group: Group) -> str:
    """What a group sees, as it is shown."""
    name, _, value = group.note.partition("=")
    return f"{SETTINGS[name]} {value}" if value else VECTORS[name]


def name_of(group: Group) -> str:
    """The method of a group and what it sees."""
    return f"{get_method(group.method).label}, {vectors_of(group)}"


def gap(group: Group, groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: float = np.inf
        ) -> Estimate | None:
    """Test accuracy on the pre-trained embedding minus that of a group of the same method, percentage points; None for
    itself, where there is no such run, and for too few."""
    reference = _find(groups, group.method)
    if reference is None or reference is group:
        return None
    return difference(*(percent(each, runs, "test", queries) for each in (reference, group)))


def embedding_table(groups: Sequence[Group], data_dir: str = "") -> pd.DataFrame:
    """One row a kind of vectors that groups of one space see: dimensions, different points among the cells, largest
    distance of a point to the centre, distance of the centre to the origin, each the mean over the embeddings of the
    kind; expected norm of arch2vec-RL's noise. An embedding whose model is not at hand is left out."""
    space, store = get_space(groups[0].arms[0].space), ArtifactStore(data_dir)
    kinds: dict[str, dict[Features, None]] = {}
    for group in groups:
        there = [arm.seen for arm in group.arms if _at_hand(arm.seen, space, store)]
        kinds.setdefault(vectors_of(group), {}).update(dict.fromkeys(there))
    rows = {}
    for vectors, several in kinds.items():
        if several:
            measured = [_cloud(features.build(space, store)) for features in several]
            different, radius, offset, dimensions = np.mean(measured, axis=0)
            rows[vectors] = {"dimensions": int(dimensions), "different points": f"{different:,.0f}",
                             "radius": f"{radius:.2f}", "centre to origin": f"{offset:.2f}",
                             "norm of the noise": f"{np.sqrt(dimensions):.1f}", "embeddings": len(several)}
    return pd.DataFrame.from_dict(rows, orient="index")


def table(groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: float = np.inf) -> pd.DataFrame:
    """One row a group: test accuracy, percent, and test regret, each the mean with its interval, what the pre-trained
    embedding has more (:func:`gap`), percentage points; runs, and samples among them."""
    rows = {}
    for group in groups:
        test = percent(group, runs, "test", queries)
        more = gap(group, groups, runs, queries)
        rows[get_method(group.method).label, vectors_of(group)] = {
            "test": show(estimate(test.values)),
            "test regret": show(estimate(percent(group, runs, "regret_test", queries).values)),
            "pre-trained minus this": signed(more) if more else "",
            "runs": runs[group.name].n_runs, "samples": len(test.values)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["search", "vectors"])


def record(page: Page, part: str, groups: Sequence[Group], runs: Mapping[str, Outcomes], queries: float = np.inf
           ) -> None:
    """Put the test accuracy of each group, percent, its test regret and :func:`gap`, percentage points, on the page."""
    for group in groups:
        stem = f"beyond/pretraining/{part}/{group.method}/{group.note.replace('=', '_') or 'pretrained'}"
        options = {"recipe": group.recipe}
        page.add_estimate(f"{stem}/test", estimate(percent(group, runs, "test", queries).values), unit="%", **options)
        page.add_estimate(f"{stem}/regret", estimate(percent(group, runs, "regret_test", queries).values),
                          unit="percentage points", **options)
        if more := gap(group, groups, runs, queries):
            page.add_estimate(f"{stem}/pretrained_minus_this", more, unit="percentage points", **options)


def plot_gaps(parts: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: Mapping[str, float]
              ) -> Figure | None:
    """:func:`gap` with its interval, a panel a part, a series a search; None where there is nothing to compare."""
    panels = {part: {method: {vectors_of(g): more for g in groups if g.method == method
                              and (more := gap(g, groups, runs, queries.get(part, np.inf)))} for method in AGENTS}
              for part, groups in parts.items()}
    panels = {part: {method: each for method, each in found.items() if each} for part, found in panels.items()}
    panels = {part: found for part, found in panels.items() if found}
    if not panels:
        return None
    names = list(dict.fromkeys(name for found in panels.values() for each in found.values() for name in each))
    columns = min(2, len(panels))
    figure, axes = panel_grid(len(panels), columns, 0.9 + 0.4 * len(names), 0.4, width=5 * columns)
    for ax, (part, found) in zip(axes, panels.items(), strict=True):
        plot_intervals({get_method(method).label: each for method, each in found.items()},
                       xlabel="pre-trained minus this, points", title=PART_NAMES[part], ax=ax, names=names)
        ax.axvline(0, color=COLOURS["black"], linewidth=0.8)
        ax.get_legend().remove()
    legend_below(figure, 2)
    return figure


def told(parts: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes], queries: Mapping[str, float]
         ) -> pd.DataFrame:
    """One row a search and vectors, one column a data set: is the pre-trained embedding better or worse than these
    vectors, or not told apart (:func:`gap`)? Other trainings stand with the data set that they search."""
    words: dict[str, dict[tuple[str, str], str]] = {}
    for part, groups in parts.items():
        column = words.setdefault(PART_NAMES[VARIED_ON if part == VARIED else part], {})
        for group in groups:
            if more := gap(group, groups, runs, queries.get(part, np.inf)):
                column[get_method(group.method).label, vectors_of(group)] = against_zero(more, "better", "worse")
    rows = sorted(dict.fromkeys(row for column in words.values() for row in column), key=lambda row: row[0],
                  reverse=True)
    index = pd.MultiIndex.from_tuples(rows, names=["search", "vectors"])
    return pd.DataFrame({name: [column.get(row, "") for row in rows] for name, column in words.items()}, index=index)


def _find(groups: Sequence[Group], method: str) -> Group | None:
    """The group on the pre-trained embedding."""
    return next((g for g in groups if g.method == method and not g.note), None)


def _at_hand(seen: Features, space: SearchSpace, store: ArtifactStore) -> bool:
    from a2v_core.pretraining import is_trained, training_key

    # The untrained encoder is scaled as the trained one.
    learned = seen.kind == "arch2vec" or isinstance(seen, ScaledUntrained)
    return not learned or is_trained(store, training_key(space.cells(), seen.settings(space), seen.seed))


def _cloud(points: np.ndarray) -> tuple[float, float, float, float]:
    """Different points, largest distance to the centre, distance of the centre to the origin, D of points [M, D]."""
    centre = points.mean(0, dtype=np.float64)
    return (point_clouds.n_different(points), point_clouds.radius(points), float(np.linalg.norm(centre)),
            points.shape[1])
