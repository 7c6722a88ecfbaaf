"""Tables and records of the Table 5 page, from costs that are computed elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from a2v_core.darts.counter_readings import NearbyNetworks
from a2v_core.darts.mobile_setting import MobileCosts, place_of, share_within
from a2v_core.darts.published_cells import PUBLISHED, SNAS_AGGRESSIVE, SNAS_MILD, SNAS_MODERATE
from a2v_core.darts.published_costs import OTHER_METHODS, TABLE5_METHODS, Formula, built_cost, formula_cost
from a2v_core.darts.training_cost import N_IMAGES, gpu_days
from a2v_core.darts.training_recipes import training_settings
from a2v_core.results import Page
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_cost import CIFAR10, CONVENTIONS, IMAGENET, MOBILE_LIMIT, network_cost

_MILLION = 1e6
#: Definition under which a convention is recorded: multiply-adds are those of convolutions and linear layers.
DEFINITIONS = {"conventional": "exact", "released": "released"}


def record_table5(page: Page) -> None:
    """Put parameters and multiply-adds (millions) of every row on the page, the error as not run, and how many of the
    rows are cells of the DARTS space."""
    for name in TABLE5_METHODS:
        counted = built_cost(name)
        page.add(f"table5/{name}/params", counted.parameters / _MILLION, unit="M", recipe="released",
                 definition="exact")
        for convention in CONVENTIONS:
            page.add(f"table5/{name}/multiply_adds", counted.multiply_adds(convention) / _MILLION, unit="M",
                     recipe="released", definition=DEFINITIONS[convention])
        page.add(f"table5/{name}/top1_error", None, n=0, unit="%", recipe="released", definition="exact")
    comparable = [name for name in TABLE5_METHODS if PUBLISHED[name].in_darts_space]
    page.add("table5/comparable_spaces", len(comparable), recipe="released", definition="exact")


def record_mobile_setting(page: Page, costs: MobileCosts) -> None:
    """Put the share of uniform draws within the limit (%) and the places of arch2vec's cells in the sample (% of its
    cells that cost less) on the page."""
    for convention in CONVENTIONS:
        options = {"unit": "%", "recipe": "released", "definition": DEFINITIONS[convention]}
        share = share_within(costs.drawn[convention])
        page.add("table5/mobile_setting/share_of_draws", 100 * share.value, low=100 * share.low, high=100 * share.high,
                 n=share.n, **options)
        for name in ("arch2vec_rl", "arch2vec_bo"):
            page.add(f"table5/{name}/cheaper_cells", 100 * place_of(costs, built_cost(name), convention),
                     n=len(costs.sampled[convention]), **options)


def parameters_table(paper: Mapping[str, float]) -> pd.DataFrame:
    """Parameters of the ImageNet networks: the paper's millions, the count of the built network, the formula's."""
    rows = {}
    for name in (*TABLE5_METHODS, *OTHER_METHODS):
        counted, formula = built_cost(name).parameters, formula_cost(name)
        rows[PUBLISHED[name].label] = {
            "paper, M": _number(paper.get(f"table5/{name}/params"), 1), "ours, M": f"{counted / _MILLION:.2f}",
            "counted": f"{counted:,}", "formula": f"{formula.parameters:,}" if formula else ""}
    return pd.DataFrame.from_dict(rows, orient="index")


def multiply_adds_table(paper: Mapping[str, float]) -> pd.DataFrame:
    """Multiply-adds of the ImageNet networks, millions: the paper's, and ours by both conventions, counted and from the
    formula, where there is one; "=" where the two are the same number."""
    rows = {}
    for name in (*TABLE5_METHODS, *OTHER_METHODS):
        counted, formula = built_cost(name), formula_cost(name)
        row = {"paper": _number(paper.get(f"table5/{name}/multiply_adds"), 0)}
        for convention in CONVENTIONS:
            value = counted.multiply_adds(convention)
            row[f"{convention}, counted"] = f"{value / _MILLION:.2f}"
            row[f"{convention}, formula"] = _agreement(value, formula, convention)
        rows[PUBLISHED[name].label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def snas_table(paper: Mapping[str, float]) -> pd.DataFrame:
    """Parameters of the networks of the three cells that SNAS published, millions, above those that Tables 5 and 4
    print: which of the cells a table means."""
    rows = {}
    for name, cells in (("mild", SNAS_MILD), ("moderate", SNAS_MODERATE), ("aggressive", SNAS_AGGRESSIVE)):
        edges = [genotype_edges([cell]) for cell in cells]
        imagenet, cifar = (network_cost(*edges, shape, "conventional").parameters[0] for shape in (IMAGENET, CIFAR10))
        rows[f"{name} constraint"] = {"ImageNet": f"{imagenet / _MILLION:.2f}", "CIFAR-10": f"{cifar / _MILLION:.2f}"}
    rows["paper"] = {"ImageNet": _number(paper.get("table5/snas/params"), 1),
                     "CIFAR-10": _number(paper.get("table4/snas/params"), 1)}
    return pd.DataFrame.from_dict(rows, orient="index")


def readings_table(found: Mapping[str, Mapping[str, int]], paper: Mapping[str, float]) -> pd.DataFrame:
    """Multiply-adds by counter, millions, with what is left to the paper's figure in brackets.

    Args:
        found: :func:`a2v_core.darts.counter_readings.readings` by method.
        paper: the paper's value by identity.
    """
    columns = {}
    for name, values in found.items():
        printed = paper[f"table5/{name}/multiply_adds"]
        columns[f"{PUBLISHED[name].label} (paper: {printed:.0f})"] = {
            counter: f"{value / _MILLION:.1f} ({printed - value / _MILLION:+.1f})" for counter, value in values.items()}
    return pd.DataFrame(columns)


def nearby_table(nearby: NearbyNetworks, paper: Mapping[str, float]) -> pd.DataFrame:
    """The networks that have the paper's number of parameters for DARTS to its last digit, by how far their
    multiply-adds are from the paper's; millions."""
    printed = paper["table5/darts/multiply_adds"]
    alike = nearby.rounding_to(paper["table5/darts/params"])
    rows = {(PUBLISHED[name].label, channels, layers): {
        "parameters": nearby.parameters[i] / _MILLION,
        **{convention: nearby.multiply_adds[convention][i] / _MILLION for convention in CONVENTIONS}}
        for i, (name, channels, layers) in enumerate(nearby.which) if alike[i]}
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["cell", "width", "cells"])
    return frame.loc[(frame[list(CONVENTIONS)] - printed).abs().min(axis=1).sort_values().index].reset_index()


def costs_of_training(throughput: float, gpus: int) -> pd.DataFrame:
    """Cost of one training by the recipe `imagenet` for each network that the program can train.

    Args:
        throughput: multiply-adds a second of one GPU.
        gpus: how many share the training; they are taken to divide the time.
    """
    settings, rows = training_settings("imagenet"), {}
    for name in TABLE5_METHODS:
        if PUBLISHED[name].in_darts_space:
            days = gpu_days(built_cost(name).products, settings, N_IMAGES["imagenet"], throughput)
            rows[PUBLISHED[name].label] = {"top-1 error": "not run", "GPU-days": f"{days:.0f}",
                                           f"days on {gpus} GPUs": f"{days / gpus:.1f}"}
    return pd.DataFrame.from_dict(rows, orient="index")


def found_table(found: Mapping[str, Formula]) -> pd.DataFrame:
    """Cells of our own searches: parameters and multiply-adds of their ImageNet networks, millions, and whether they
    are in the mobile setting by both conventions."""
    rows = {}
    for name, cost in found.items():
        row = {"parameters": f"{cost.parameters / _MILLION:.2f}"}
        row |= {convention: f"{cost.multiply_adds[convention] / _MILLION:.1f}" for convention in CONVENTIONS}
        rows[name] = row | {"mobile setting": "yes" if max(cost.multiply_adds.values()) < MOBILE_LIMIT else "no"}
    return pd.DataFrame.from_dict(rows, orient="index")


def _agreement(counted: int, formula: Formula | None, convention: str) -> str:
    if formula is None:
        return ""
    value = formula.multiply_adds[convention]
    return "=" if value == counted else f"{value / _MILLION:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
