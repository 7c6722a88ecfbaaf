"""Numbers and tables of the page of Table 4: what the paper prints, what is exact, what the surrogate says, what a real
run costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from a2v_core.darts.counting import build_and_count
from a2v_core.darts.nasnet_networks import EnasCifarNetwork
from a2v_core.darts.published_cells import ENAS, PUBLISHED, cifar_network
from a2v_core.darts.surrogate import Surrogate
from a2v_core.darts.surrogate_quality import NONE
from a2v_core.darts.training_cost import N_IMAGES, gpu_days
from a2v_core.darts.training_recipes import training_settings
from a2v_core.results import Page
from a2v_core.search.estimates import estimate, group_estimate, held, percent, show
from a2v_core.search.objective import Objective
from a2v_core.search.plan import Group
from a2v_core.search.tables import distinct, pretrainings
from a2v_core.search.trajectories import Outcomes
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_cost import CIFAR10, IMAGENET, network_cost
from a2v_core.spaces.darts_encoding import Edges
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, ARCH2VEC_RL, Genotype
from a2v_core.stats import Estimate, furthest_from_mean

#: Rows of Table 4: identity in the register, name, and whose published cells they are.
ROWS = (
    ("random_cited", "random search (cited)", None), ("enas", "ENAS", "enas"), ("asha", "ASHA", None),
    ("rs_ws", "RS WS", None), ("snas", "SNAS", "snas"), ("darts_cited", "DARTS (cited)", "darts"),
    ("bananas_cited", "BANANAS (cited)", "bananas"), ("random", "random search", None), ("darts", "DARTS", "darts"),
    ("bananas", "BANANAS", "bananas"), ("arch2vec_rl", "arch2vec-RL", "arch2vec_rl"),
    ("arch2vec_bo", "arch2vec-BO", "arch2vec_bo"),
)
#: Rows whose method is searched with here.
SEARCHED = ("random", "arch2vec_rl", "arch2vec_bo")
#: Trainings over which Table 4 averages.
TABLE4_SEEDS = 5
#: Cells of Figure 10.
FIGURE10 = {"arch2vec_rl": ARCH2VEC_RL, "arch2vec_bo": ARCH2VEC_BO}
#: Layers of the ENAS network with which the parameters that its paper prints come out; its final script has 15.
ENAS_LAYERS = 18
_CIFAR_IMAGE = (3, 32, 32)


class NetworkCost(NamedTuple):
    """CIFAR-10 network of published cells: parameters by formula (None where the formulas do not hold) and of the
    network that was built, and its multiply-adds (convolutions and linear layers)."""

    formula: int | None
    built: int
    multiply_adds: int


def network_costs() -> dict[str, NetworkCost]:
    """Costs of the CIFAR-10 networks of Table 4 by name of the published cells."""
    found = {}
    for name in dict.fromkeys(cells for _, _, cells in ROWS if cells):
        counted = build_and_count(lambda name=name: cifar_network(name), _CIFAR_IMAGE)
        formula = None
        if PUBLISHED[name].in_darts_space:
            formula = int(network_cost(*_edges_of(name), CIFAR10, "conventional").parameters[0])
        found[name] = NetworkCost(formula, counted.parameters, counted.multiply_adds("conventional"))
    return found


def deeper_enas() -> int:
    """Parameters of the ENAS network with :data:`ENAS_LAYERS` layers."""
    return build_and_count(lambda: EnasCifarNetwork(ENAS, layers=ENAS_LAYERS), _CIFAR_IMAGE).parameters


def parameters_table(costs: Mapping[str, NetworkCost], paper: Mapping[str, float]) -> pd.DataFrame:
    """One row a row of Table 4 whose cells are published: millions of parameters, printed and exact."""
    rows = {}
    for identity, name, cells in ROWS:
        if cells:
            printed, cost = paper[f"table4/{identity}/params"], costs[cells]
            rows[name] = {"paper, M": printed, "formula": None if cost.formula is None else cost.formula / 1e6,
                          "built network": cost.built / 1e6,
                          "rounds to the paper's": _yes(round(cost.built / 1e6, 1) == printed)}
    printed, built = paper["table4/enas/params"], deeper_enas() / 1e6
    rows[f"ENAS, {ENAS_LAYERS} layers"] = {"paper, M": printed, "formula": None, "built network": built,
                                           "rounds to the paper's": _yes(round(built, 1) == printed)}
    return pd.DataFrame.from_dict(rows, orient="index")


def published_predictions(surrogate: Surrogate) -> dict[str, float]:
    """What the surrogate says of the published cells of Table 4 that it can represent, percent."""
    found = {}
    for name in dict.fromkeys(cells for _, _, cells in ROWS if cells):
        if PUBLISHED[name].in_darts_space and not any((part.ops == NONE).any() for part in _edges_of(name)):
            found[name] = 100 * float(surrogate.predict(*_edges_of(name)).accuracy[0])
    return found


def table4(paper: Mapping[str, float], costs: Mapping[str, NetworkCost], published: Mapping[str, float],
           groups: Sequence[Group], runs: Mapping[str, Outcomes], mean_multiply_adds: float) -> pd.DataFrame:
    """Table 4 with a column each for the paper, the exact parameters, the surrogate and the cost of a real run.

    Args:
        published: the surrogate's opinion of published cells, percent.
        groups: of the main comparison; empty where no search was made.
        mean_multiply_adds: of the CIFAR-10 networks that a search queries.
    """
    ours = {group.method: group for group in groups if group.recipe == ("corrected" if group.method == "random"
                                                                        else "released")}
    rows = {}
    for identity, name, cells in ROWS:
        error, sd, best, params, total = (paper.get(f"table4/{identity}/{quantity}") for quantity in (
            "test_error", "test_error_sd", "best", "params", "total"))
        cost = costs[cells] if cells else None
        days = ""
        if identity in SEARCHED:
            last = cost.multiply_adds if cost else mean_multiply_adds
            days = f"{search_days(mean_multiply_adds) + final_days(last):.1f}"
        searched = ours.get(identity) if identity in SEARCHED else None
        rows[name] = {
            "error, paper": "" if error is None else f"{error:.2f}" + (f" ± {sd:.2f}" if sd is not None else ""),
            "best, paper": "" if best is None else f"{best:.2f}",
            "M params, paper": "" if params is None else f"{params:.1f}",
            "exact": f"{cost.built / 1e6:.2f}" if cost else "",
            "surrogate: published cell": f"{published[cells]:.2f}" if cells in published else "",
            "surrogate: our search": (
                show(estimate(percent(searched, runs, "validation").values)) if searched else ""),
            "GPU-days, paper": "" if total is None else f"{total:.1f}", "estimate": days}
    return pd.DataFrame.from_dict(rows, orient="index")


def search_days(multiply_adds: float, queries: int = 100) -> float:
    """GPU-days of the queries of a search, on networks of so many multiply-adds."""
    return queries * gpu_days(multiply_adds, training_settings("query_released"), N_IMAGES["cifar10"])


def final_days(multiply_adds: float, trainings: int = 1) -> float:
    """GPU-days of final trainings of 600 epochs."""
    return trainings * gpu_days(multiply_adds, training_settings("evaluation"), N_IMAGES["cifar10"])


def label(group: Group) -> str:
    """Name of a group on the page: a method that the paper has not on this space has no recipe."""
    return group.label if group.recipe != "corrected" or group.method.startswith("arch2vec") else \
        group.label.replace(", corrected", "").replace(", neighbours", "")


def search_table(groups: Sequence[Group], runs: Mapping[str, Outcomes]) -> pd.DataFrame:
    """One row a group: predicted accuracy of the cell that a run ends with (percent), distance to the best of all
    candidates (percentage points: mean, and what 90 % of the runs stay below), different cells queried, runs."""
    rows = {}
    for group in groups:
        found = runs[group.name]
        regret = 100 * held(found, "regret_validation")
        rows[label(group)] = {
            "accuracy, %": show(estimate(percent(group, runs, "validation").values)),
            "to the best": show(group_estimate(group, regret, found.trajectories.seeds)),
            "90 % below": f"{group_estimate(group, regret, found.trajectories.seeds, 'q90').value:.2f}",
            "different cells": f"{distinct_cells(found):.0f}", "runs": found.n_runs,
            "pre-trainings": pretrainings(group, found)}
    return pd.DataFrame.from_dict(rows, orient="index")


def queried_table(groups: Sequence[Group], runs: Mapping[str, Outcomes]) -> pd.DataFrame:
    """One row a group: mean and standard deviation of the accuracy of all queried cells (percent), and how many
    different cells all runs together queried, of how many queries."""
    rows = {}
    for group in groups:
        found = runs[group.name]
        accuracy = 100 * found.objective.validation[found.queried]
        rows[label(group)] = {"mean of the queried cells, %": f"{accuracy.mean():.2f}", "sd": f"{accuracy.std():.2f}",
                              "different cells, all runs": f"{reached_cells(found):,}",
                              "queries, all runs": f"{len(accuracy):,}"}
    return pd.DataFrame.from_dict(rows, orient="index")


def reached_cells(outcomes: Outcomes) -> int:
    """Number of different cells that all runs together queried."""
    return len(np.unique(outcomes.queried))


def distinct_cells(outcomes: Outcomes) -> float:
    """Mean number of different cells that a run queries."""
    return distinct(outcomes, int(outcomes.trajectories.counts.max()))


def zero_share(outcomes: Outcomes) -> float:
    """Share of the runs whose final cell has an edge with the operation zero."""
    found = outcomes.objective.rows[outcomes.incumbent[:, -1]]
    return float((outcomes.objective.space.edges.ops[found] == NONE).any(1).mean())


def best_cell(outcomes: Sequence[Outcomes]) -> tuple[int, float]:
    """Row of the sample and accuracy (fraction) of the best cell that any run of these ended with."""
    best = max(outcomes, key=lambda found: held(found, "validation").max())
    run = int(held(best, "validation").argmax())
    return int(best.objective.rows[best.incumbent[run, -1]]), float(held(best, "validation").max())


def rank_in_sample(accuracy: float, objective: Objective) -> int:
    """How many candidates are at least as good, in the surrogate's opinion."""
    return int((objective.validation >= accuracy).sum())


def expected_best_of(objective: Objective, draws: int) -> float:
    """Expected accuracy of the best of so many uniform draws from the candidates, a fraction: what random search
    reaches on average, exactly."""
    ordered = np.sort(objective.validation)
    upto = np.arange(1, len(ordered) + 1) / len(ordered)
    weight = np.diff(upto**draws, prepend=0.0)
    return float(ordered @ weight)


def best_to_mean(paper: Mapping[str, float]) -> pd.DataFrame:
    """For each row of Table 4 that prints mean, deviation and best: how far the best is from the mean, and how far one
    of five numbers with that deviation can be."""
    rows = {}
    for identity, name, _ in ROWS:
        mean, sd, best = (paper.get(f"table4/{identity}/{quantity}") for quantity in (
            "test_error", "test_error_sd", "best"))
        if None not in (mean, sd, best):
            # What is printed is rounded to its last digit.
            possible = furthest_from_mean(sd + 0.005, TABLE4_SEEDS) + 0.01
            rows[name] = {"mean": mean, "sd": sd, "best": best, "mean - best": mean - best,
                          "largest possible": furthest_from_mean(sd, TABLE4_SEEDS),
                          "possible, rounding allowed for": _yes(mean - best <= possible)}
    return pd.DataFrame.from_dict(rows, orient="index")


def figure10_multiply_adds() -> dict[str, dict[str, float]]:
    """Multiply-adds (millions) of the ImageNet networks of the published cells by method and convention."""
    return {method: {convention: multiply_adds(genotype, convention) for convention in ("conventional", "released")}
            for method, genotype in FIGURE10.items()}


def multiply_adds(genotype: Genotype, convention: str) -> float:
    """Multiply-adds (millions) of the ImageNet network of a cell that serves as both kinds."""
    edges = genotype_edges([genotype])
    return float(network_cost(edges, edges, IMAGENET, convention).multiply_adds[0]) / 1e6


def parameters(genotype: Genotype) -> float:
    """Parameters (millions) of the CIFAR-10 network of a cell that serves as both kinds."""
    edges = genotype_edges([genotype])
    return float(network_cost(edges, edges, CIFAR10, "conventional").parameters[0]) / 1e6


def cells_table(cells: Mapping[str, Genotype], surrogate: Surrogate | None, sample: Objective | None) -> pd.DataFrame:
    """One row a cell that serves as both kinds: exact costs (multiply-adds by the released counter), the surrogate's
    opinion, and how many candidates it takes for as good."""
    rows = {}
    for title, genotype in cells.items():
        edges = genotype_edges([genotype])
        row = {"M params, CIFAR-10": f"{parameters(genotype):.2f}",
               "M multiply-adds, ImageNet": f"{multiply_adds(genotype, 'released'):.1f}"}
        if surrogate and sample:
            accuracy = float(surrogate.predict(edges, edges).accuracy[0])
            row["surrogate, %"] = f"{100 * accuracy:.2f}"
            row["candidates as good"] = f"{rank_in_sample(accuracy, sample):,}"
        rows[title] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def record(page: Page, costs: Mapping[str, NetworkCost]) -> None:
    """Put what is exact on the page: parameters of Table 4, multiply-adds of Figure 10."""
    for identity, _, cells in ROWS:
        if cells:
            # Which network ENAS printed its parameters for is open.
            definition = "15 layers" if identity == "enas" else "exact"
            page.add(f"table4/{identity}/params", costs[cells].built / 1e6, unit="M", definition=definition,
                     recipe="released")
    page.add("table4/enas/params", deeper_enas() / 1e6, unit="M", definition=f"{ENAS_LAYERS} layers", recipe="released")
    for method, by_convention in figure10_multiply_adds().items():
        for convention, value in by_convention.items():
            page.add(f"fig10/{method}/multiply_adds", value, unit="M", recipe="released",
                     definition="exact" if convention == "released" else convention)


def record_searches(page: Page, groups: Sequence[Group], runs: Mapping[str, Outcomes]) -> None:
    """Put what the searches on the surrogate reached on the page, under identities that no claim of the paper has: they
    are no test errors."""
    for group in groups:
        for quantity, name in (("validation", "accuracy"), ("regret_validation", "distance_to_best")):
            found = estimate(percent(group, runs, quantity).values)
            note = f"/{group.note.replace(' ', '_')}" if group.note else ""
            add(page, f"table4/{group.objective}/{group.method}{note}/{name}", found, "%", group.recipe)


def add(page: Page, identity: str, found: Estimate, unit: str = "", recipe: str = "") -> None:
    """Put an estimate by the surrogate on the page."""
    page.add_estimate(identity, found, unit=unit, recipe=recipe, definition="surrogate")


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _edges_of(name: str) -> tuple[Edges, Edges]:
    """Normal and reduction cell of published cells of the DARTS space."""
    normal, reduction = PUBLISHED[name].cells
    return genotype_edges([normal]), genotype_edges([reduction])
