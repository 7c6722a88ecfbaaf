import networkx as nx
import numpy as np
import pytest
from made_cells import random_cells
from sklearn.neighbors import NearestNeighbors

from a2v_core.cells import Cells, prune
from a2v_core.errors import DataError
from a2v_core.search import imputation
from a2v_core.search.imputation import (
    FEATURES,
    NEIGHBOURS,
    Donors,
    drawn,
    impute,
    nearest_donors,
    predicted_seconds,
    predicted_validation,
    scrambled,
    structure_features,
    validation_like,
)
from a2v_core.spaces.nasbench101_parameters import vertex_channels


def donors(d=400, s=4, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(d, s))
    test = rng.uniform(0.5, 0.94, d)
    validation = np.clip(test + 0.01 * rng.normal(size=(3, d)), 0, 1)
    return Donors(test, features, validation, np.exp(5 + features[:, 0] + 0.1 * features[:, 0] * features[:, 1]))


def recipients(m=300, s=4, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 0.94, m), rng.normal(size=(m, s))


# ------------------------------------------------------------------------------------------------------- structure


def test_features_of_a_cell_by_hand():
    """input > a (3x3) > output, input > b (1x1) > output, input > output, a > c (max pooling) > b."""
    adjacency = np.zeros((1, 5, 5), np.uint8)
    for u, v in ((0, 1), (0, 3), (0, 4), (1, 2), (1, 4), (2, 3), (3, 4)):
        adjacency[0, u, v] = 1
    cell = Cells(adjacency, np.array([[0, 2, 3, 1, 4]], np.uint8))
    found = dict(zip(FEATURES, structure_features(cell, np.array([np.e]))[0], strict=True))
    assert found == pytest.approx({
        "vertices": 5, "edges": 7, "conv1x1": 1, "conv3x3": 1, "maxpool": 1,
        # a and b share the output; c has as many channels as b, which it feeds.
        "conv1x1_channels": 0.5, "conv3x3_channels": 0.5, "maxpool_channels": 0.5,
        "conv1x1_from_input": 0.5, "conv3x3_from_input": 0.5, "maxpool_from_input": 0,
        "vertices_into_output": 2, "input_into_output": 1, "longest_path": 4, "shortest_path": 1,
        "convolutions_on_path": 2, "conv3x3_on_path": 1, "paths": 4,
        "edge_channels": 2.0,  # edges into a, c and twice into b: half the channels each
        "log_parameters": 1})


def test_features_of_the_smallest_cell():
    adjacency = np.zeros((1, 7, 7), np.uint8)
    adjacency[0, 0, 1] = 1
    ops = np.full((1, 7), 255, np.uint8)
    ops[0, :2] = 0, 4
    found = dict(zip(FEATURES, structure_features(Cells(adjacency, ops), np.array([1.0]))[0], strict=True))
    ones = {"edges", "input_into_output", "longest_path", "shortest_path", "paths"}
    assert found == {name: 2 if name == "vertices" else float(name in ones) for name in FEATURES}


def test_paths_and_channels_against_networkx_and_the_parameters_of_the_benchmark():
    cells = random_cells(200, 7, 5, seed=3)
    cells, has_path = prune(cells)
    cells = cells[has_path]
    features = structure_features(cells, np.ones(len(cells)))
    column = {name: features[:, i] for i, name in enumerate(FEATURES)}
    graphs = [nx.from_numpy_array(a, create_using=nx.DiGraph) for a in cells.adjacency]
    ends = list(zip(graphs, cells.n_nodes - 1, strict=True))
    np.testing.assert_array_equal(column["longest_path"], [nx.dag_longest_path_length(g) for g in graphs])
    np.testing.assert_array_equal(column["shortest_path"], [nx.shortest_path_length(g, 0, last) for g, last in ends])
    paths = [list(nx.all_simple_paths(g, 0, last)) for g, last in ends]
    np.testing.assert_array_equal(column["paths"], [len(of_cell) for of_cell in paths])
    for name, codes in (("convolutions_on_path", (1, 2)), ("conv3x3_on_path", (2,))):
        most = [max(sum(ops[v] in codes for v in path[1:-1]) for path in of_cell)
                for ops, of_cell in zip(cells.ops, paths, strict=True)]
        np.testing.assert_array_equal(column[name], most)
    channels, _ = vertex_channels(cells, 420)  # divides by 1 to 7
    np.testing.assert_allclose(column["conv3x3_channels"], (channels * (cells.ops == 2)).sum(1) / 420)


def test_features_do_not_depend_on_the_order_of_the_vertices():
    adjacency = np.zeros((2, 6, 6), np.uint8)
    for row, (a, b) in enumerate(((1, 2), (2, 1))):  # vertices 1 and 2 change places
        for u, v in ((0, a), (0, b), (a, 3), (b, 4), (3, 5), (4, 5), (b, 5)):
            adjacency[row, u, v] = 1
    ops = np.array([[0, 1, 2, 3, 3, 4], [0, 2, 1, 3, 3, 4]], np.uint8)
    one, other = structure_features(Cells(adjacency, ops), np.ones(2))
    np.testing.assert_array_equal(one, other)


# -------------------------------------------------------------------------------------------------------- donors


def test_the_nearest_donors_against_scikit_learn():
    (test, features), known = recipients(), donors()
    logs = np.log(1 - known.test)
    scaled = [np.column_stack([5 * np.log(1 - t) / logs.std(), f / known.features.std(0) / 2])
              for t, f in ((test, features), (known.test, known.features))]
    expected = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(scaled[1]).kneighbors(scaled[0], return_distance=False)
    np.testing.assert_array_equal(nearest_donors(test, features, known), expected)


def test_the_blocks_change_nothing(monkeypatch):
    (test, features), known = recipients(), donors()
    expected = nearest_donors(test, features, known)
    monkeypatch.setattr(imputation, "_BLOCK", 7)
    np.testing.assert_array_equal(nearest_donors(test, features, known), expected)


def test_donors_outside_the_window_of_accuracy_are_not_compared(monkeypatch):
    monkeypatch.setattr(imputation, "_WINDOW", 10)
    monkeypatch.setattr(imputation, "_BLOCK", 1)
    (test, features), known = recipients(50), donors()
    found = nearest_donors(test, features, known)
    between = np.abs(np.searchsorted(np.sort(known.test), known.test[found])
                     - np.searchsorted(np.sort(known.test), test)[:, None])
    assert between.max() <= 10


def test_of_equal_donors_the_first_ones_are_taken():
    known = donors(8)
    known = known.of(np.array([0, 1, 1, 1, 2, 1, 3, 1, 1, 4]))
    found = nearest_donors(known.test[[1]], known.features[[1]], known)
    np.testing.assert_array_equal(found, [[1, 2, 3, 5, 7]])


def test_the_numbers_that_decide_the_draw():
    assert scrambled(np.array([0]))[0] == 0xE220A8397B1DCDAF  # the first number of splitmix64 with seed 0
    alike = np.tile(np.arange(NEIGHBOURS), (100_000, 1))
    counts = np.bincount(drawn(alike, np.arange(100_000)), minlength=NEIGHBOURS)
    np.testing.assert_allclose(counts / 20_000, 1, atol=0.03)


# -------------------------------------------------------------------------------------------------------- labels


def test_validation_by_hand():
    known = Donors(np.array([0.84, 0.9]), np.zeros((2, 1)), np.array([[0.2, 0.3], [0.9, 0.92]]), np.ones(2))
    # The test error is a quarter, then four times the donor's: the validation errors are half and twice the donor's.
    found = validation_like(np.array([0, 1]), np.array([0.96, 0.6]), known)
    np.testing.assert_allclose(found, [[0.6, 0.2], [0.95, 0.9]])  # 0.3 falls to -0.4, and 0.92 to 0.84: not so low
    np.testing.assert_allclose(validation_like(np.array([0]), np.array([0.96]), known, 0.0), [[0.2], [0.9]])
    np.testing.assert_allclose(validation_like(np.array([0]), np.array([0.96]), known, 1.0), [[0.8], [0.975]])


def test_seconds_of_a_law_that_the_regression_can_hold():
    known, (_, features) = donors(2000), recipients()
    expected = np.exp(5 + features[:, 0] + 0.1 * features[:, 0] * features[:, 1])
    inside = (expected > known.seconds.min()) & (expected < known.seconds.max())
    found = predicted_seconds(features, known)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0.01)
    assert found.min() >= np.round(known.seconds.min(), 3)
    assert found.max() <= np.round(known.seconds.max(), 3)


def test_validation_of_a_law_that_the_regression_can_hold():
    known, (test, features) = donors(2000), recipients()
    known = known._replace(validation=1 - (1 - known.test) ** np.array([[1.1], [1.3]]))
    found = predicted_validation(test, features, known)
    np.testing.assert_allclose(found, 1 - (1 - test) ** np.array([[1.1], [1.3]]), atol=1e-3)


def test_each_cell_is_imputed_by_itself():
    (test, features), known = recipients(), donors()
    identity = np.arange(1000, 1300)
    whole = impute(test, features, known, identity)
    order = np.random.default_rng(2).permutation(300)[:100]
    part = impute(test[order], features[order], known, identity[order])
    np.testing.assert_array_equal(part.donor, whole.donor[order])
    np.testing.assert_array_equal(part.validation, whole.validation[:, order])
    np.testing.assert_array_equal(part.seconds, whole.seconds[order])
    assert (np.diff(whole.donor) != 0).any()
    other = impute(test, features, known, identity + 1)
    assert 0.6 < (other.donor != whole.donor).mean() < 0.95  # another of five in four cases of five


def test_all_epochs_come_from_one_donor():
    (test, features), known = recipients(), donors()
    known = known._replace(validation=np.stack([known.validation[0], known.validation[0] ** 2]))
    found = impute(test, features, known, np.arange(300))
    factor = np.sqrt((1 - test) / (1 - known.test[found.donor]))
    np.testing.assert_allclose(found.validation, np.maximum(1 - factor * (1 - known.validation[:, found.donor]),
                                                            known.validation.min(1, keepdims=True)))


def test_measured_cells_that_are_all_alike():
    known = Donors(np.full(9, 0.9), np.ones((9, 2)), np.full((2, 9), 0.91), np.full(9, 100.0))
    found = impute(np.array([0.9]), np.ones((1, 2)), known, np.array([4]))
    np.testing.assert_allclose(found.validation, 0.91)
    np.testing.assert_allclose(found.seconds, 100)


@pytest.mark.parametrize(("change", "message"), [
    ({"test": np.array([1.0])}, "outside"), ({"test": np.array([np.nan])}, "outside"),
    ({"features": np.full((1, 4), np.inf)}, "not finite"), ({"donors": donors(4)}, "4 measured cells")])
def test_what_cannot_be_imputed(change, message):
    given = {"test": np.array([0.9]), "features": np.zeros((1, 4)), "donors": donors(), "identity": np.array([0])}
    with pytest.raises(DataError, match=message):
        impute(**given | change)
