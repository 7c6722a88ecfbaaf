"""The surrogate: how it is asked, what is stored, and what it is worth."""

import sys

import numpy as np
import pytest
from scipy import stats

from a2v_core.benchmarks.sources import get_source, status
from a2v_core.darts import surrogate as module
from a2v_core.darts.surrogate import SOURCES, Predictions, Surrogate, _Code, is_known, predictions
from a2v_core.darts.surrogate_quality import (
    NONE,
    _nested_genotype,
    agreement,
    exchanged,
    relabelling_error,
    removal_effect,
    trained_networks,
)
from a2v_core.errors import DataError, MissingDataError, SettingsError
from a2v_core.spaces.darts import genotype_edges
from a2v_core.spaces.darts_encoding import Edges, edge_keys
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, DARTS_SECOND_ORDER, OPERATIONS
from a2v_core.spaces.darts_sampling import draw_edges


@pytest.fixture(scope="module")
def surrogate():
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    if any(status(get_source(name)).location is None for name in SOURCES):
        pytest.skip("the files of the surrogate are not here")
    return Surrogate()


def categories():
    """Codes of the form that comes with the surrogate, with numbers of their own."""
    operations = {"#na#": 0} | {name: 9 - i for i, name in enumerate(OPERATIONS[1:], 1)}
    found = {f"{module._PREFIX}edge_{kind}_{edge}": operations for kind in ("normal", "reduce") for edge in range(14)}
    for node in (3, 4, 5):
        pairs = [f"{a}_{b}" for a in range(node) for b in range(a + 1, node)]
        for kind in ("normal", "reduce"):
            found[f"{module._PREFIX}inputs_node_{kind}_{node}"] = {"#na#": 0} | {p: i for i, p in enumerate(pairs, 1)}
    return found


def test_columns_of_a_cell_written_out_by_hand():
    codes = {name: 9 - i for i, name in enumerate(OPERATIONS) if i}
    edges = genotype_edges([ARCH2VEC_BO])
    (row,) = _Code(categories()).columns(edges, genotype_edges([DARTS_SECOND_ORDER.reduction]))
    # Edges: node 0 has 0-1 (states 0, 1), node 1 has 2-4, node 2 has 5-8, node 3 has 9-13.
    wanted = {0: "max_pool_3x3", 1: "sep_conv_5x5", 2: "skip_connect", 3: "dil_conv_3x3", 5: "sep_conv_3x3",
              6: "sep_conv_5x5", 9: "sep_conv_3x3", 11: "dil_conv_5x5"}
    assert {place: int(code) for place, code in enumerate(row[:14]) if code} == {
        place: codes[name] for place, name in wanted.items()}
    # Pairs 0_1 of node 1 and of node 2, and 0_2 of node 3.
    assert row[28:31].tolist() == [1, 1, 2]
    reduction = {0: "max_pool_3x3", 1: "max_pool_3x3", 3: "max_pool_3x3", 4: "skip_connect", 5: "max_pool_3x3",
                 7: "skip_connect", 10: "max_pool_3x3", 11: "skip_connect"}
    assert {place: int(code) for place, code in enumerate(row[14:28]) if code} == {
        place: codes[name] for place, name in reduction.items()}
    assert row[31:].tolist() == [3, 2, 5]


def test_the_order_of_the_edges_of_a_node_does_not_matter():
    edges, code = draw_edges(200, np.random.default_rng(0)), _Code(categories())
    swapped = Edges(*(part[:, [1, 0, 3, 2, 5, 4, 7, 6]] for part in edges))
    np.testing.assert_array_equal(code.columns(edges, edges), code.columns(swapped, swapped))
    assert len(np.unique(code.columns(edges, edges), axis=0)) == 200


def test_zero_is_an_absent_edge_whose_state_is_still_read():
    edges = draw_edges(300, np.random.default_rng(1))
    columns = _Code(categories()).columns(edges, edges)
    np.testing.assert_array_equal((columns[:, :14] > 0).sum(1), (edges.ops != NONE).sum(1))
    assert (columns[:, 28:] > 0).all()
    np.testing.assert_array_equal(is_known(edges), (edges.ops != NONE).all(1))


def test_categories_of_another_model_are_refused():
    lacking = categories()
    del lacking[f"{module._PREFIX}edge_normal_0"]
    with pytest.raises(DataError, match="categories lack"):
        _Code(lacking)
    different = categories()
    different[f"{module._PREFIX}edge_reduce_13"] = {"#na#": 0}
    with pytest.raises(DataError, match="codes its edges differently"):
        _Code(different)


def test_predictions_are_stored_in_pieces_that_are_asked_once(tmp_path, monkeypatch):
    asked = []

    class Counting:
        def __init__(self, data_dir):
            pass

        def predict(self, normal, reduction):
            asked.append(len(normal.ops))
            value = normal.ops.sum(1) / 1000.0
            return Predictions(value, 1 + value)

    monkeypatch.setattr(module, "Surrogate", Counting)
    monkeypatch.setattr(module, "CHUNK", 40)
    edges = draw_edges(100, np.random.default_rng(0))
    found = predictions(edges, "made", str(tmp_path))
    np.testing.assert_array_equal(found.accuracy, edges.ops.sum(1) / 1000.0)
    again = predictions(edges, "made", str(tmp_path))
    assert asked == [40, 40, 20]
    np.testing.assert_array_equal(again.seconds, found.seconds)
    first = predictions(Edges(*(part[:40] for part in edges)), "made", str(tmp_path))
    np.testing.assert_array_equal(first.accuracy, found.accuracy[:40])
    assert asked == [40, 40, 20]
    predictions(Edges(*(part[:40] for part in edges)), "another sample", str(tmp_path))
    assert asked == [40, 40, 20, 40]


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("A2V_DATA_MIRROR", raising=False)
    with pytest.raises(MissingDataError, match=r"new_model\.onnx is missing"):
        Surrogate(tmp_path)


def test_a_missing_package_is_named(surrogate, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDataError, match="pip install onnxruntime"):
        Surrogate()


def test_what_the_surrogate_says(surrogate):
    edges = genotype_edges([ARCH2VEC_BO])
    said = surrogate.predict(edges, edges)
    assert 0.9 < said.accuracy[0] < 0.98
    assert 1000 < said.seconds[0] < 20_000
    early = surrogate.predict(edges, edges, epoch=10)
    assert early.accuracy[0] < said.accuracy[0]
    assert early.seconds[0] < said.seconds[0]
    with pytest.raises(SettingsError, match="epoch 99 is outside"):
        surrogate.predict(edges, edges, epoch=99)


def test_codes_that_come_with_the_surrogate_are_distinct(surrogate):
    assert len(set(surrogate._code._operation.tolist())) == len(OPERATIONS)
    for node, n_pairs in ((1, 3), (2, 6), (3, 10)):
        used = surrogate._code._pair[node]
        assert sorted(np.unique(used[used > 0]).tolist()) == list(range(1, n_pairs + 1))


def test_it_ranks_trained_networks_better_than_chance(surrogate):
    try:
        trained = trained_networks()
    except MissingDataError as error:
        pytest.skip(str(error))
    found = agreement(surrogate.predict(trained.normal, trained.reduction).accuracy, trained.test)
    assert found.spearman.value == pytest.approx(0.51, abs=0.01)
    assert found.spearman.low > 0.35
    assert found.kendall.value == pytest.approx(0.354, abs=0.005)
    assert found.shift.value == pytest.approx(-2.59, abs=0.01)


def test_agreement_of_known_numbers():
    rng = np.random.default_rng(0)
    trained = rng.normal(0.97, 0.002, 200)
    predicted = 0.92 + 2 * (trained - 0.97)
    found = agreement(predicted, trained)
    assert found.spearman == pytest.approx((1, 1, 1, 200))
    assert found.slope.value == pytest.approx(0.5)
    assert found.shift.value == pytest.approx(100 * (predicted - trained).mean())
    noisy = predicted + rng.normal(0, 0.004, 200)
    found = agreement(noisy, trained)
    assert found.spearman.value == pytest.approx(stats.spearmanr(noisy, trained).statistic)
    assert found.spearman.low < found.spearman.value < found.spearman.high
    assert found.slope.low < stats.linregress(noisy, trained).slope < found.slope.high


def test_exchanged_nodes_make_the_same_graph():
    edges = draw_edges(500, np.random.default_rng(3))
    free = Edges(*(part[(edges.inputs[:, 2:4] < 2).all(1)] for part in edges))
    other = exchanged(free)
    np.testing.assert_array_equal(edge_keys(free), edge_keys(other))
    assert (other.inputs != free.inputs).any()
    for part, again in zip(free, exchanged(other), strict=True):
        np.testing.assert_array_equal(part, again)


def test_removal_and_relabelling_by_a_made_surrogate():
    class Made:
        """Counts operations, and minds which node has them."""

        def predict(self, normal, reduction):
            return Predictions(0.9 + 0.001 * (normal.ops != NONE).sum(1) + 0.01 * (normal.ops[:, 0] == NONE + 1), None)

    edges = draw_edges(400, np.random.default_rng(4))
    known = Edges(*(part[is_known(edges)] for part in edges))
    removed = removal_effect(Made(), Edges(np.full_like(known.ops, NONE + 2), known.inputs))
    assert removed == pytest.approx((-0.1, -0.1, -0.1, len(known.ops)))
    error, n = relabelling_error(Made(), known)
    free = (known.inputs[:, 2:4] < 2).all(1)
    moved = (known.ops[free, 0] == NONE + 1) != (known.ops[free, 2] == NONE + 1)
    assert n == free.sum()
    assert error == pytest.approx(np.sqrt(moved.mean()))


def test_a_nested_genotype_is_read():
    nested = "[" + ", ".join(str([list(ARCH2VEC_BO.edges[2 * i]), list(ARCH2VEC_BO.edges[2 * i + 1])])
                             for i in range(4)) + "]"
    text = f"Genotype(normal={nested}, normal_concat=range(2, 6), reduce={nested}, reduce_concat=range(2, 6))"
    assert _nested_genotype(text) == (ARCH2VEC_BO, ARCH2VEC_BO)
    with pytest.raises(DataError, match="no genotype of two cells"):
        _nested_genotype("Genotype(normal=[])")
