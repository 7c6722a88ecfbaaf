"""The mobile setting (under 600 M multiply-adds) in the DARTS space: who is in it, and where found cells lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from a2v_core.darts.counting import Count
from a2v_core.spaces.darts import DARTS
from a2v_core.spaces.darts_cost import CONVENTIONS, IMAGENET, MOBILE_LIMIT, network_cost
from a2v_core.spaces.darts_encoding import Edges
from a2v_core.spaces.darts_sampling import draw_edges
from a2v_core.stats import Estimate, wilson_interval


class MobileCosts(NamedTuple):
    """Multiply-adds of ImageNet networks by convention, int64 [M] each: of the cells of the study's sample, and of
    uniform draws from the whole space, of which the sample keeps what is small enough and new."""

    sampled: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]


def mobile_costs(n_cells: int, seed: int) -> MobileCosts:
    """Costs of a sample of `n_cells` and of as many unrestricted draws.

    Raises:
        SettingsError: `n_cells` or `seed` is out of range.
    """
    sampled = DARTS(n_cells, seed).edges
    return MobileCosts(_by_convention(sampled), _by_convention(draw_edges(n_cells, np.random.default_rng([seed, 5]))))


def _by_convention(edges: Edges) -> dict[str, np.ndarray]:
    return {name: network_cost(edges, edges, IMAGENET, name).multiply_adds for name in CONVENTIONS}


def share_within(costs: np.ndarray, limit: float = MOBILE_LIMIT) -> Estimate:
    """Share of costs [M] below a limit, a fraction with Wilson's interval; each cost is an independent draw."""
    return wilson_interval(int((costs < limit).sum()), len(costs))


def place_of(costs: MobileCosts, cost: Count, convention: str) -> float:
    """Share of the sampled cells whose networks have fewer multiply-adds than a network."""
    return float((costs.sampled[convention] < cost.multiply_adds(convention)).mean())
