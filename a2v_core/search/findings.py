"""What the search pages found, as sentences made from their runs; what was not run is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from a2v_core.search.estimates import Samples, difference, estimate, percent, show, signed
from a2v_core.search.methods import get_method
from a2v_core.search.plan import DATASETS, QUERIES, Group, Plan
from a2v_core.search.tables import DISCRETE, TABLE2, TABLE3, distinct, queries_read
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import against_zero

#: Search strategies of arch2vec.
AGENTS = ("arch2vec_rl", "arch2vec_bo")
#: The data sets of Table 3 as the paper writes them.
DATASET_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16_120": "ImageNet16-120"}


def table2_findings(plan: Plan, runs: Mapping[str, Outcomes], paper: Mapping[str, float]) -> list[str]:
    """Sentences on arch2vec against the discrete encoding, sampling, learning, supervision, recipes and signals.

    Args:
        plan: of :func:`a2v_core.search.plan.table2`.
        runs: what there is of it, by name of a group.
        paper: the paper's value by identity.
    """
    reading = _Reading(plan, runs, {g.name: queries_read(g, plan.scale) for g in plan.all()})
    equal = max(1, round(QUERIES * plan.scale.part))
    same = _Reading(plan, runs, {g.name: equal for g in plan.all()})
    sentences, best = [], reading.best(DISCRETE, "main")
    uniform, drawn = same.find("random", "corrected", "discrete"), same.find("random")
    for method in AGENTS:
        if ours := reading.find(method):
            printed = paper[f"table2/{TABLE2[method]}/test_accuracy"]
            sentence = f"**{ours.label}** finds {reading.shown(ours)} % after {equal} queries (paper {printed:.2f} %)."
            if best:
                sentence += (f" Against {best.label}, the best search on the discrete encoding, after "
                             f"{reading.bounds[best.name]} queries: {reading.against(ours, best)}.")
            sentences.append(sentence)
    if uniform and drawn:
        many = reading.bounds[drawn.name]
        sentence = (f"**The sampler.** {many:,} queries of random search on the discrete encoding hold "
                    f"{distinct(runs[drawn.name], many):.0f} different cells. Drawn uniformly among the cells, {equal} "
                    f"queries find {same.shown(uniform)} %, drawn by the encoding {same.shown(drawn)} %.")
        parts = [f"{ours.label} {same.against(ours, uniform)}" for m in AGENTS if (ours := same.find(m))]
        sentences.append(sentence + (f" Against uniform random search: {'; '.join(parts)}." if parts else ""))
    sentences += _learning(reading, "", "main", "controls")
    for method in ("supervised_rl", "supervised_bo"):
        for recipe in ("released", "paper"):
            found = same.find(method, recipe)
            if found and uniform:
                sentences.append(
                    f"**{found.label}** ({runs[found.name].n_runs} runs) finds {same.shown(found)} % after {equal} "
                    f"queries. Against uniform random search: {same.against(found, uniform)}.")
    for method in AGENTS:
        if released := same.find(method):
            changed = [g for recipe in ("paper", "corrected") if (g := same.find(method, recipe))]
            changed += [g for g in plan.groups["factors"] if g.method == method and g.name in runs]
            parts = [f"{g.note or f'recipe {g.recipe}'} {same.against(g, released)}" for g in changed]
            if parts:
                sentences.append(f"**What changes {released.label}**: {'; '.join(parts)}.")
    for signal, words in (("mean_test", "the mean test accuracy as the signal"),
                          ("measured", "the fully measured cells alone")):
        blind = same.find("random", "corrected", "signals", signal)
        parts = [f"{get_method(m).label} {same.against(g, blind)}" for m in AGENTS
                 if blind and (g := same.find(m, "released", "signals", signal))]
        if parts:
            sentences.append(f"**With {words}**, against uniform random search: {'; '.join(parts)}.")
    return sentences


def table3_findings(plan: Plan, runs: Mapping[str, Outcomes], paper: Mapping[str, float]) -> list[str]:
    """Sentences on each data set: arch2vec beside the discrete encoding, the policy that learns nothing, recipes."""
    reading, sentences = _Reading(plan, runs, {}), []
    for dataset in DATASETS:
        controls, name = f"{dataset}: controls", DATASET_NAMES[dataset]
        best = reading.best(DISCRETE, dataset)
        there = [g for m in AGENTS if (g := reading.find(m, part=dataset))]
        if best and there:
            parts = [f"{get_method(g.method).label} {reading.shown(g)} % (paper "
                     f"{paper[f'table3/{dataset}/{TABLE3[g.method]}/test']:.2f} %; {reading.against(g, best)})"
                     for g in there]
            sentences.append(f"**{name}.** Against {best.label} ({reading.shown(best)} %), the best search on the "
                             f"discrete encoding: {'; '.join(parts)}.")
        sentences += _learning(reading, f", {name}", dataset, controls)
        parts = [f"{get_method(m).label} `{recipe}` {reading.against(g, released)}" for m in AGENTS
                 if (released := reading.find(m, part=dataset)) for recipe in ("paper", "corrected")
                 if (g := reading.find(m, recipe, dataset))]
        if parts:
            sentences.append(f"**Recipes, {name}**, against `released`: {'; '.join(parts)}.")
        plain, ours = reading.find("bo", "corrected", controls), reading.find("arch2vec_bo", "corrected", dataset)
        if plain and ours:
            sentences.append(f"**Without an encoder, {name}.** DNGO on the one-hot matrices finds "
                             f"{reading.shown(plain)} %, {ours.label} {reading.shown(ours)} %: "
                             f"{reading.against(ours, plain)}.")
    return sentences


def _learning(reading: _Reading, where: str, part: str, controls: str) -> list[str]:
    """The policy that learns against the one that does not, and that one against random cells."""
    ours, frozen = reading.find("arch2vec_rl", part=part), reading.find("frozen_policy", part=controls)
    if not ours or not frozen:
        return []
    sentence = (f"**Learning{where}.** arch2vec-RL with a policy that learns nothing finds {reading.shown(frozen)} %; "
                f"the learning policy against it: {reading.against(ours, frozen)}.")
    if blind := reading.find("random_retrieval", part=controls):
        sentence += (f" With random cells in place of the nearest it finds {reading.shown(blind)} %; the frozen policy "
                     f"against that: {reading.against(frozen, blind)}.")
    return [sentence]


class _Reading:
    """Test accuracies of groups, percent, each after its own number of queries (all of them when not given)."""

    def __init__(self, plan: Plan, runs: Mapping[str, Outcomes], bounds: Mapping[str, float]) -> None:
        self.plan, self.runs, self.bounds = plan, runs, bounds

    def find(self, method: str, recipe: str = "released", part: str = "main", objective: str = "") -> Group | None:
        """The group that was run, if it was."""
        return next((g for g in self.plan.groups[part] if (g.method, g.recipe, g.note) == (method, recipe, "")
                     and objective in ("", g.objective) and g.name in self.runs), None)

    def best(self, methods: Sequence[str], part: str) -> Group | None:
        """The one of these methods with the highest mean, recipe `released`."""
        there = [g for m in methods if (g := self.find(m, part=part))]
        return max(there, key=lambda g: self.samples(g).mean, default=None)

    def samples(self, group: Group) -> Samples:
        return percent(group, self.runs, "test", self.bounds.get(group.name, np.inf))

    def shown(self, group: Group) -> str:
        return show(estimate(self.samples(group).values))

    def against(self, first: Group, second: Group) -> str:
        """Difference of the first to the second, and whether chance is excluded."""
        a, b = self.samples(first), self.samples(second)
        gap = difference(a, b)
        if gap is None:
            return f"{a.mean - b.mean:+.2f} points (single runs)"
        return f"{signed(gap)} points, {against_zero(gap, 'higher', 'lower')}"
