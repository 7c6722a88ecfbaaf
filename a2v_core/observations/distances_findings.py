"""What the page of Observation 3 says in words, computed from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from a2v_core.observations.distance_growth import crossed_difference
from a2v_core.observations.distances_figures import SPACE_NAMES, Summary
from a2v_core.observations.distances_plan import Group
from a2v_core.search.estimates import show

Summaries = Mapping[str, Mapping[str, Mapping[str, Summary]]]
_OURS = "arch2vec-released"
_KINDS = {"walk": "along walks", "random": "between random pairs"}


def findings(groups: Mapping[str, Sequence[Group]], summaries: Summaries) -> list[str]:
    """One entry a question.

    Args:
        groups: space → groups.
        summaries: space → kind of pairs → group → summary.
    """
    found = [f"**Does the L2 distance grow with every step of edit distance?** arch2vec (`released`): "
             f"{_growth(summaries, _OURS)}. {_single_pairs(summaries)}",
             f"**Is that the training?** {_merit(summaries)} The same encoder with its initial weights: "
             f"{_growth(summaries, 'untrained-released')}. Rank correlation with the edit distance, arch2vec minus "
             f"untrained: {_gaps(summaries, 'untrained-released')}.",
             f"**Do the matrices themselves do it?** Flattened adjacency and operations: "
             f"{_growth(summaries, 'one_hot')}. Rank correlation, arch2vec minus matrices: "
             f"{_gaps(summaries, 'one_hot')}."]
    if any("supervised-released" in kinds["walk"] for kinds in summaries.values()):
        found.append(f"**Is the closeness lost under supervision?** Supervised counterpart (`released`): "
                     f"{_growth(summaries, 'supervised-released')}. Rank correlation, arch2vec minus supervised: "
                     f"{_gaps(summaries, 'supervised-released')}.")
    lost = [f"{SPACE_NAMES[space]}, {group.label}: {number} of {len(group.members)}"
            for space, part in groups.items() for group in part
            if group.name in summaries[space]["walk"] and (number := summaries[space]["walk"][group.name].collapsed)]
    if lost:
        found.append("**Collapsed pre-trainings**, which put all cells on one point and are left out: "
                     f"{'; '.join(lost)}.")
    return found


def _growth(summaries: Summaries, name: str) -> str:
    """At how many steps the mean of a group grows, by kind of pairs and space."""
    parts = []
    for kind, words in _KINDS.items():
        counts = [f"{up} of {steps} steps on {SPACE_NAMES[space]}" for space, kinds in summaries.items()
                  if name in kinds[kind] and np.isfinite(kinds[kind][name].step.value)
                  for up, steps in [kinds[kind][name].rises]]
        parts.append(f"the mean grows {words} at " + (", ".join(counts) or "no step that could be measured"))
    return "; ".join(parts)


def _single_pairs(summaries: Summaries) -> str:
    """How much of the ranks of single pairs the growth of the mean stands for."""
    values = [f"{show(kinds['walk'][_OURS].correlation)} on {SPACE_NAMES[space]}" for space, kinds in summaries.items()
              if np.isfinite(kinds["walk"][_OURS].correlation.value)]
    return f"Of single pairs of a walk the rank correlation is {', '.join(values)}." if values else ""


def _merit(summaries: Summaries) -> str:
    """Whether the untrained encoder shows the same growth."""
    same, not_same, closer = [], [], []
    for space, kinds in summaries.items():
        untrained, ours = kinds["walk"]["untrained-released"], kinds["walk"][_OURS]
        up, steps = untrained.rises
        (same if up == steps else not_same).append(SPACE_NAMES[space])
        if crossed_difference(ours.correlations, untrained.correlations).low > 0:
            closer.append(SPACE_NAMES[space])
    if same:
        growth = "The growth as such is not: without any training the mean along walks grows at every step on "
        growth += _listed(same)
    else:
        growth = f"Without any training the mean along walks does not grow at every step on {_listed(not_same)}"
    if same and not_same:
        growth += f", not on {_listed(not_same)}"
    degree = f"how closely it follows is higher after pre-training on {_listed(closer)}" if closer else (
        "pre-training does not clearly make it follow the edit distance more closely")
    return f"{growth}; {degree}."


def _gaps(summaries: Summaries, other: str) -> str:
    """Rank correlation of arch2vec minus that of another group, by kind of pairs and space."""
    parts = []
    for kind, words in _KINDS.items():
        gaps = [f"{show(gap)} on {SPACE_NAMES[space]}" for space, kinds in summaries.items() if other in kinds[kind]
                for gap in [crossed_difference(kinds[kind][_OURS].correlations, kinds[kind][other].correlations)]
                if np.isfinite(gap.value)]
        parts.append(f"{words} " + (", ".join(gaps) or "not measured"))
    return "; ".join(parts)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
