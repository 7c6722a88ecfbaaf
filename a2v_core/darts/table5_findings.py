"""What the Table 5 page found, as sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from a2v_core.darts.counter_readings import STRIDED, NearbyNetworks
from a2v_core.darts.mobile_setting import MobileCosts, place_of, share_within
from a2v_core.darts.published_cells import PUBLISHED
from a2v_core.darts.published_costs import TABLE5_METHODS, built_cost
from a2v_core.spaces.darts_cost import CONVENTIONS

_MILLION = 1e6


def findings(found: Mapping[str, Mapping[str, int]], nearby: NearbyNetworks, costs: MobileCosts,
             paper: Mapping[str, float]) -> list[str]:
    """Sentences on parameters, counters, comparability, the origin of 574 M, and the mobile setting.

    Args:
        found: :func:`a2v_core.darts.counter_readings.readings` by method, DARTS among them.
        nearby: networks of other width, depth and cells.
        costs: of the sample and of unrestricted draws.
        paper: the paper's value by identity.
    """
    return [_parameters(paper), _counters(paper), _complexity(paper), _networks(nearby, paper),
            *_readings(found, paper), _limit(costs)]


def _parameters(paper: Mapping[str, float]) -> str:
    right = [round(built_cost(name).parameters / _MILLION, 1) == paper[f"table5/{name}/params"]
             for name in TABLE5_METHODS]
    return f"**Parameters.** {sum(right)} of {len(right)} rows agree with the table to its last digit."


def _counters(paper: Mapping[str, float]) -> str:
    groups: dict[str, list[str]] = {**{convention: [] for convention in CONVENTIONS}, "neither": []}
    for name in TABLE5_METHODS:
        near = [c for c in CONVENTIONS if abs(built_cost(name).multiply_adds(c) / _MILLION - _printed(paper, name)) < 1]
        groups[near[0] if near else "neither"].append(PUBLISHED[name].label)
    return (f"**The column of multiply-adds mixes counters.** Within 1 M of the table are "
            f"{_list(groups['conventional'])} when convolutions and the linear layer are counted, "
            f"{_list(groups['released'])} when normalisation and average pooling are counted as well, and "
            f"{_list(groups['neither'])} in neither way.")


def _complexity(paper: Mapping[str, float]) -> str:
    bo, darts = built_cost("arch2vec_bo"), built_cost("darts")
    printed = [_printed(paper, name) for name in ("arch2vec_bo", "darts")]
    return (f"**Comparable complexity.** Counted alike, the network of arch2vec-BO has {bo.products / _MILLION:.0f} M "
            f"multiply-adds and that of DARTS {darts.products / _MILLION:.0f} M, {_more(bo.products, darts.products)}; "
            f"the table has {printed[0]:.0f} M and {printed[1]:.0f} M, {_more(*printed)}. Its parameters are "
            f"{_more(bo.parameters, darts.parameters)}.")


def _networks(nearby: NearbyNetworks, paper: Mapping[str, float]) -> str:
    alike, printed = nearby.rounding_to(paper["table5/darts/params"]), _printed(paper, "darts")
    hits = sum(int((alike & (abs(nearby.multiply_adds[c] / _MILLION - printed) <= 0.5)).sum()) for c in CONVENTIONS)
    return (f"**No network of another shape explains {printed:.0f} M.** Of {len(nearby.which)} networks with the cells "
            f"of DARTS (first and second order), narrower, wider, shallower or deeper, {int(alike.sum())} have the "
            f"printed number of parameters, and of these {hits or 'none'} the printed multiply-adds by one of the two "
            "conventions.")


def _readings(found: Mapping[str, Mapping[str, int]], paper: Mapping[str, float]) -> list[str]:
    gap = {counter: {name: _printed(paper, name) - values[counter] / _MILLION for name, values in found.items()}
           for counter in found["darts"]}
    hits = [counter for counter, left in gap.items() if all(abs(value) <= 0.5 for value in left.values())]
    names = _list(PUBLISHED[name].label.split(",")[0] for name in found)
    sentences = [f"**Counters.** Of {len(gap)} counters tried on {names}, {len(hits) or 'none'} give the printed "
                 "figures of both."]
    before, after = (gap[counter] for counter in (next(iter(gap)), STRIDED))
    if not hits and max(after.values()) - min(after.values()) < 1 < max(before.values()) - min(before.values()):
        missing = _list(f"{before[name]:.1f} M ({PUBLISHED[name].label})" for name in found)
        sentences.append(
            f"**A hint, not a proof.** Convolutions alone leave {missing} unexplained. With the strided layers of the "
            "cells counted at the size of their input, what is left is the same for both up to rounding: "
            f"{_list(f'{after[name]:.1f} M' for name in found)}. One counter of this kind behind both papers would "
            "look like this, and so might chance.")
    return sentences


def _limit(costs: MobileCosts) -> str:
    share = share_within(costs.drawn["released"])
    rl, bo = (100 * place_of(costs, built_cost(name), "released") for name in ("arch2vec_rl", "arch2vec_bo"))
    return (f"**The limit of 600 M hardly binds.** {100 * share.value:.1f} % [{100 * share.low:.1f}, "
            f"{100 * share.high:.1f}] of uniform draws are within it. Of the sampled cells {rl:.1f} % cost less than "
            f"the cell of arch2vec-RL and {bo:.1f} % less than that of arch2vec-BO.")


def _printed(paper: Mapping[str, float], name: str) -> float:
    return paper[f"table5/{name}/multiply_adds"]


def _more(first: float, second: float) -> str:
    return f"{100 * (first / second - 1):.1f} % more"


def _list(words: Iterable[str]) -> str:
    *most, last = list(words) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last
