"""The Table 5 page: counters, the mobile setting, tables, records and sentences."""

import json

import numpy as np
import pytest

from a2v_core.claims import load_register
from a2v_core.darts import table5_tables
from a2v_core.darts.counter_readings import STRIDED, NearbyNetworks, nearby_networks, readings
from a2v_core.darts.mobile_setting import MobileCosts, mobile_costs, place_of, share_within
from a2v_core.darts.published_cells import PUBLISHED
from a2v_core.darts.published_costs import (
    OTHER_METHODS,
    TABLE5_METHODS,
    built_cost,
    found_genotypes,
    genotype_cost,
)
from a2v_core.darts.table5_findings import findings
from a2v_core.errors import DataError
from a2v_core.paths import repository_root
from a2v_core.results import Page
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, NetworkGenotype

PAPER = {claim.id: claim.paper for claim in load_register(repository_root() / "book" / "claims.toml").claims}


@pytest.fixture(scope="module")
def counters():
    return {name: readings(name) for name in ("darts", "snas")}


# --- counters ---------------------------------------------------------------------------------------------------------


def test_counter_readings(counters):
    found = counters["darts"]
    conventional, auxiliary, released, *_ = found.values()
    assert conventional == built_cost("darts").products
    assert released == built_cost("darts").multiply_adds("released")
    assert auxiliary - conventional == 768 * 128 * 4 + 128 * 768 * 4 + 768 * 1000
    # In this network only three factorised reductions have a stride in a cell: 48, 192 and 384 channels come in.
    strided = 48 * 48 * 28**2 + 192 * 96 * 14**2 + 384 * 192 * 7**2
    assert found[STRIDED] - conventional == 3 * strided
    assert found["images of 256 x 256"] > conventional * 1.3


def test_nearby_networks():
    nearby = nearby_networks()
    at = nearby.which.index(("darts", 48, 14))
    assert nearby.parameters[at] == built_cost("darts").parameters
    assert nearby.multiply_adds["released"][at] == built_cost("darts").multiply_adds("released")
    assert nearby.rounding_to(4.7)[at]
    assert len(nearby.which) == len(set(nearby.which)) == len(nearby.parameters)
    assert not NearbyNetworks(np.array([4_651_000, 4_750_001]), {}, []).rounding_to(4.8)[0]


# --- the mobile setting -----------------------------------------------------------------------------------------------


def test_mobile_costs():
    costs = mobile_costs(2_000, 3)
    assert costs.sampled["released"].max() < 600_000_000 <= costs.drawn["released"].max()
    assert (costs.sampled["conventional"] < costs.sampled["released"]).all()
    share = share_within(costs.drawn["released"])
    assert share.low < share.value < share.high
    assert share.value == np.mean(costs.drawn["released"] < 600e6)
    assert np.array_equal(costs.sampled["released"][:300], mobile_costs(300, 3).sampled["released"])
    again = mobile_costs(2_000, 3)
    assert np.array_equal(again.drawn["released"], costs.drawn["released"])


def test_place_of_a_network():
    cost = built_cost("arch2vec_bo")
    costs = MobileCosts({"released": np.array([1, 2, cost.multiply_adds("released"), 10**10])}, {})
    assert place_of(costs, cost, "released") == 0.5


# --- the page ---------------------------------------------------------------------------------------------------------


def test_found_genotypes(tmp_path):
    assert found_genotypes(tmp_path) == {}
    folder = tmp_path / "genotypes"
    folder.mkdir()
    (folder / "ours.json").write_text(json.dumps({"genotype": str(ARCH2VEC_BO)}))
    assert found_genotypes(tmp_path) == {"ours": NetworkGenotype(ARCH2VEC_BO, ARCH2VEC_BO)}
    (folder / "arch2vec_rl-surrogate.json").write_text(str(ARCH2VEC_BO))
    assert list(found_genotypes(tmp_path)) == ["arch2vec-RL, ours by surrogate", "ours"]
    cost = genotype_cost(found_genotypes(tmp_path)["ours"])
    assert cost.parameters == built_cost("arch2vec_bo").parameters
    table = table5_tables.found_table({"ours": cost})
    assert table.loc["ours", "mobile setting"] == "yes"
    (folder / "broken.json").write_text("{}")
    with pytest.raises(DataError, match=r"broken\.json"):
        found_genotypes(tmp_path)


def test_records_are_what_the_register_reads():
    page = Page("table5_imagenet", "smoke")
    table5_tables.record_table5(page)
    table5_tables.record_mobile_setting(page, mobile_costs(500, 0))
    values = {(v["id"], v["definition"]): v["value"] for v in page.as_dict()["values"]}
    for id in PAPER:
        if id.startswith("table5/") and id.count("/") == 2 and id.split("/")[1] in TABLE5_METHODS:
            assert (id, "exact") in values
    assert values["table5/comparable_spaces", "exact"] == 4
    assert values["table5/darts/top1_error", "exact"] is None
    assert round(values["table5/arch2vec_rl/multiply_adds", "released"]) == 533


def test_tables_and_sentences(counters):
    parameters = table5_tables.parameters_table(PAPER)
    assert list(parameters.index) == [PUBLISHED[n].label for n in (*TABLE5_METHODS, *OTHER_METHODS)]
    assert parameters.loc["DARTS, second order", ["counted", "formula"]].tolist() == ["4,718,752"] * 2
    table = table5_tables.multiply_adds_table(PAPER)
    assert (table["released, formula"] == "=").sum() == 6
    snas = table5_tables.snas_table(PAPER)
    assert snas.loc["moderate constraint"].tolist() == ["4.31", "2.85"]
    nearby = nearby_networks()
    left = table5_tables.readings_table(counters, PAPER).iloc[0, 0]
    assert left == "529.9 (+44.1)"
    assert table5_tables.nearby_table(nearby, PAPER)["parameters"].between(4.65, 4.75).all()
    sentences = " ".join(findings(counters, nearby, mobile_costs(500, 0), PAPER))
    assert "7 of 7 rows agree" in sentences
    assert "SNAS and DARTS, second order in neither way" in sentences
    assert "17.0 M and 16.6 M" in sentences


def test_costs_of_training():
    """Three passes over 1,281,167 images in 250 epochs."""
    table = table5_tables.costs_of_training(1e12, 2)
    seconds = 3 * built_cost("darts").products * 1_281_167 * 250 / 1e12
    assert table.loc["DARTS, second order", "GPU-days"] == f"{seconds / 86_400:.0f}"
    assert set(table["top-1 error"]) == {"not run"}
