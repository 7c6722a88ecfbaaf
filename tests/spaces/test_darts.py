import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError, SpaceError
from a2v_core.spaces.darts import DARTS, genotype_edges
from a2v_core.spaces.darts_cost import IMAGENET, in_mobile_setting, network_cost
from a2v_core.spaces.darts_encoding import Edges, appendix_b, cells_to_edges, edges_to_cells
from a2v_core.spaces.darts_genotypes import (
    ARCH2VEC_BO,
    ARCH2VEC_RL,
    DARTS_FIRST_ORDER,
    DARTS_SECOND_ORDER,
    OPERATIONS,
    Genotype,
    NetworkGenotype,
    parse_genotype,
)
from a2v_core.spaces.darts_sampling import draw_edges, sample_edges

SPACE = DARTS(n_cells=20_000)


@st.composite
def genotypes(draw):
    edges = []
    for node in range(4):
        sources = draw(st.permutations(range(node + 2)))[:2]
        edges += [(draw(st.sampled_from(OPERATIONS)), source) for source in sources]
    return Genotype(tuple(edges))


def garbage(largest=10):
    """Arrays as a decoder gives them: any labels, any adjacency."""
    shape = st.shared(st.integers(0, 4))
    return st.builds(
        Cells,
        shape.flatmap(lambda m: hnp.arrays(np.uint8, (m, 11, 11), elements=st.integers(0, 1))),
        shape.flatmap(lambda m: hnp.arrays(np.uint8, (m, 11), elements=st.integers(0, largest))),
    )


def joined(batches):
    return Cells(np.concatenate([c.adjacency for c in batches]), np.concatenate([c.ops for c in batches]))


def graph(cell):
    g = nx.DiGraph()
    g.add_nodes_from((v, {"op": int(op)}) for v, op in enumerate(cell.ops[0]))
    g.add_edges_from(np.argwhere(cell.adjacency[0]).tolist())
    return g


def isomorphic(a, b):
    return nx.is_isomorphic(graph(a), graph(b), node_match=lambda x, y: x["op"] == y["op"])


def relabelled(cell, order):
    order = np.asarray(order)
    return Cells(cell.adjacency[:, order][:, :, order].copy(), cell.ops[:, order].copy())


def any_order(cell, rng):
    """A random order of all eleven rows in which producers come first."""
    g = graph(cell)
    return list(nx.lexicographical_topological_sort(g, key=dict(enumerate(rng.random(11))).get))


def edited(cell, adjacency=(), ops=()):
    a, o = cell.adjacency.copy(), cell.ops.copy()
    for i, j, value in adjacency:
        a[0, i, j] = value
    for i, value in ops:
        o[0, i] = value
    return Cells(a, o)


# Encoding


def test_a_published_cell_as_matrices_written_by_hand():
    """arch2vec-BO: nodes read (1, 0), (0, 1), (1, 0), (2, 0); state 2 is the pair of rows 2 and 3."""
    cell = SPACE.from_native([ARCH2VEC_BO])
    rows = {0: [3, 4, 7, 9], 1: [2, 5, 6], 2: [8], 3: [8]}
    expected = np.zeros((11, 11), dtype=np.uint8)
    for row, columns in rows.items():
        expected[row, columns] = 1
    expected[2:10, 10] = 1
    np.testing.assert_array_equal(cell.adjacency[0], expected)
    labels = ["c_k-2", "c_k-1", "sep_conv_5x5", "max_pool_3x3", "skip_connect", "dil_conv_3x3", "sep_conv_5x5",
              "sep_conv_3x3", "dil_conv_5x5", "sep_conv_3x3", "c_k"]  # fmt: skip
    assert [SPACE.vocabulary[op] for op in cell.ops[0]] == labels


def test_vocabulary_is_that_of_appendix_a3():
    assert SPACE.vocabulary == (
        "c_k-2", "c_k-1", "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
        "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "c_k",
    )  # fmt: skip
    assert (SPACE.name, SPACE.n_nodes) == ("darts", 11)


@given(st.lists(genotypes(), max_size=5))
def test_round_trips(natives):
    cells = SPACE.from_native(natives)
    assert SPACE.is_valid(cells).all()
    assert SPACE.released_is_valid(cells).all()
    assert SPACE.to_native(cells) == natives
    again = edges_to_cells(cells_to_edges(cells))
    np.testing.assert_array_equal(again.adjacency, cells.adjacency)
    np.testing.assert_array_equal(again.ops, cells.ops)
    assert SPACE.from_native([str(native) for native in natives]).digest() == cells.digest()


@given(genotypes(), genotypes())
def test_text_form_round_trips_for_two_cells(normal, reduction):
    pair = NetworkGenotype(normal, reduction)
    assert parse_genotype(str(pair)) == pair


def test_text_form_of_darts_as_published_is_read():
    edges = list(DARTS_SECOND_ORDER.normal.edges)
    text = f"Genotype(normal={edges}, normal_concat=[2, 3, 4, 5], reduce={edges}, reduce_concat=range(2, 6))"
    assert SPACE.to_native(SPACE.from_native([text])) == [DARTS_SECOND_ORDER.normal]


# The sample


def test_sample_is_unique_valid_and_in_the_mobile_setting():
    cells = SPACE.cells()
    assert cells.adjacency.shape == (20_000, 11, 11)
    assert cells.ops.shape == (20_000, 11)
    assert SPACE.is_valid(cells).all()
    assert len(np.unique(SPACE.keys(cells))) == 20_000
    cost = network_cost(SPACE.edges, SPACE.edges, IMAGENET, "released").multiply_adds
    assert 550e6 < cost.max() < 600e6


def test_sample_is_reproducible_to_the_bit():
    cells = SPACE.cells()
    assert SPACE.cells() is cells
    assert DARTS(n_cells=20_000).cells().digest() == cells.digest()
    assert DARTS(n_cells=500).cells().digest() == cells[:500].digest()
    assert DARTS(n_cells=500, seed=1).cells().digest() != cells[:500].digest()
    # What a published sample means must not change unnoticed.
    assert cells[:500].digest() == "47d7179c899f120271c370a2fd5b0668901b67f83286318fbe144429c5ff366a"


def test_larger_samples_go_on_where_smaller_ones_end():
    small, large = sample_edges(100_000, 3, "released"), sample_edges(200_000, 3, "released")
    np.testing.assert_array_equal(large.ops[:100_000], small.ops)
    np.testing.assert_array_equal(large.inputs[:100_000], small.inputs)
    assert len(np.unique(SPACE.keys(edges_to_cells(large)))) == 200_000


def test_draws_are_uniform():
    m = 60_000
    edges = draw_edges(m, np.random.default_rng(0))
    for edge in range(8):
        counts = np.bincount(edges.ops[:, edge], minlength=10)[2:]
        assert ((counts - m / 8) ** 2 / (m / 8)).sum() < 25  # chi-square, 7 degrees: p = 0.0008
        pairs = edges.inputs[:, edge & ~1] * 8 + edges.inputs[:, edge | 1]
        kinds, counts = np.unique(pairs, return_counts=True)
        n = (edge // 2 + 2) * (edge // 2 + 1)
        assert len(kinds) == n
        assert ((counts - m / n) ** 2 / (m / n)).sum() < 2.2 * n + 20
    assert (edges.inputs[:, ::2] != edges.inputs[:, 1::2]).all()


def test_conventions_draw_different_samples():
    both = [DARTS(n_cells=5_000, convention=c) for c in ("released", "conventional")]
    assert both[0].cells().digest() != both[1].cells().digest()
    assert not in_mobile_setting(both[1].edges, "released").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_cells": 0}, "n_cells must be from 1"),
        ({"n_cells": 10**9}, "got 1000000000"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"convention": "thop"}, "convention 'thop' is unknown"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        DARTS(**arguments)


# Validity

BASE = Genotype(
    (("sep_conv_3x3", 0), ("none", 1), ("skip_connect", 0), ("sep_conv_5x5", 2), ("max_pool_3x3", 1),
     ("avg_pool_3x3", 3), ("dil_conv_3x3", 0), ("dil_conv_5x5", 1))
)  # fmt: skip
#: Edits of BASE that break one condition of Appendix B; for 3, a node without predecessor reads no state either (5).
VIOLATIONS = {
    "first node is not c_k-2": ([1], {"ops": [(0, 1)]}),
    "second node is not c_k-1": ([1], {"ops": [(1, 4)]}),
    "last node is not c_k": ([2], {"ops": [(10, 4)]}),
    "an operation node without predecessor": ([3, 5], {"adjacency": [(0, 2, 0)]}),
    "an output without predecessor": ([3, 4], {"adjacency": [(i, 10, 0) for i in range(2, 10)]}),
    "an operation node without successor": ([4], {"adjacency": [(9, 10, 0)]}),
    "half of an intermediate node is read": ([5], {"adjacency": [(2, 5, 0)]}),
    "an operation node reads two states": ([5], {"adjacency": [(1, 4, 1)]}),
    "both operation nodes read the same state": ([5], {"adjacency": [(1, 9, 0), (0, 9, 1)]}),
    "an operation node reads its partner": ([5], {"adjacency": [(2, 3, 1)]}),
    "an edge backwards": ([6], {"adjacency": [(4, 1, 1)]}),
    "a loop at an input": ([6], {"adjacency": [(0, 0, 1)]}),
    "an entry that is not binary": ([6], {"adjacency": [(0, 2, 2)]}),
    "an inner label that is an input": ([], {"ops": [(5, 0)]}),
    "an inner label that is the output": ([], {"ops": [(5, 10)]}),
    "an inner label beyond the vocabulary": ([], {"ops": [(5, 11)]}),
    "a padded row": ([], {"ops": [(5, PAD)]}),
    "a node that is read and not concatenated": ([], {"adjacency": [(2, 10, 0), (3, 10, 0)]}),
    "an input that feeds the output": ([], {"adjacency": [(0, 10, 1)]}),
    "an edge between the inputs": ([], {"adjacency": [(0, 1, 1)]}),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_every_condition_makes_a_cell_invalid(violation):
    cell = SPACE.from_native([BASE])
    assert SPACE.is_valid(cell).all()
    assert appendix_b(cell).all()
    broken, changes = VIOLATIONS[violation]
    wrong = edited(cell, **changes)
    assert not SPACE.is_valid(wrong)[0]
    assert [k + 1 for k in range(6) if not appendix_b(wrong)[0, k]] == broken
    with pytest.raises(SpaceError, match="cell 1 of 2 is no DARTS cell"):
        SPACE.to_native(joined([cell, wrong]))


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({"ops": [(0, 1)]}, False),
        ({"ops": [(1, 0)]}, False),
        ({"ops": [(10, 9)]}, False),
        ({"ops": [(6, 10)]}, False),
        ({"adjacency": [(0, 2, 0)]}, False),  # no predecessor
        ({"adjacency": [(0, 2, 0), (4, 2, 1)]}, False),
        ({"adjacency": [(1, 3, 0), (2, 3, 1)]}, False),  # its partner does not count
        ({"adjacency": [(4, 3, 1)]}, False),  # a later node feeds it
        ({"adjacency": [(1, 2, 1), (2, 3, 1)]}, True),  # two states, and its partner
        ({"adjacency": [(2, 5, 0)]}, True),  # half of a node
        ({"adjacency": [(i, 10, 0) for i in range(2, 10)]}, True),  # nothing reaches the output
        ({"adjacency": [(0, 10, 1), (0, 1, 1)]}, True),
    ],
)
def test_released_validity_is_weaker(changes, valid):
    assert SPACE.released_is_valid(edited(SPACE.from_native([BASE]), **changes))[0] == valid


@settings(deadline=None)
@given(garbage())
def test_decoded_garbage_never_crashes(cells):
    valid = SPACE.is_valid(cells)
    assert (SPACE.released_is_valid(cells) | ~valid).all()
    keys = SPACE.keys(cells)
    assert keys.dtype == "S8"
    assert (keys == SPACE.keys(cells)).all()
    assert len(keys) == len(cells)
    assert len(SPACE.released_keys(cells)) == len(cells)
    if valid.any():
        again = SPACE.from_native(SPACE.to_native(cells[valid]))
        assert again.digest() == cells[valid].digest()


@settings(deadline=None)
@given(genotypes(), st.data())
def test_near_misses_keep_the_key_only_if_isomorphic(native, data):
    cell = SPACE.from_native([native])
    flips = data.draw(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=3, unique=True))
    changed = edited(cell, adjacency=[(i, j, 1 - cell.adjacency[0, i, j]) for i, j in flips])
    if SPACE.is_valid(changed)[0]:
        assert SPACE.from_native(SPACE.to_native(changed)).digest() == changed.digest()
    assert (SPACE.keys(changed)[0] == SPACE.keys(cell)[0]) == isomorphic(changed, cell)


@settings(deadline=None)
@given(garbage(largest=255))
def test_codes_beyond_the_vocabulary_are_invalid_and_have_keys(cells):
    beyond = (cells.ops > 10).any(1)
    assert not SPACE.is_valid(cells)[beyond].any()
    assert not SPACE.released_is_valid(cells)[beyond].any()
    assert len(SPACE.keys(cells)) == len(SPACE.released_keys(cells)) == len(cells)


@pytest.mark.parametrize("question", ["is_valid", "released_is_valid", "keys", "released_keys", "to_native"])
def test_matrices_of_another_space_are_refused(question):
    other = Cells(np.zeros((1, 7, 7), np.uint8), np.zeros((1, 7), np.uint8))
    with pytest.raises(SpaceError, match="DARTS cells have 11 nodes, got matrices of 7 rows"):
        getattr(SPACE, question)(other)


# Keys


def test_keys_survive_any_relabelling():
    rng = np.random.default_rng(0)
    cells = edges_to_cells(draw_edges(300, rng))
    shuffled = joined([relabelled(cells[i], any_order(cells[i], rng)) for i in range(300)])
    assert (shuffled.ops != cells.ops).any(1).mean() > 0.9
    np.testing.assert_array_equal(SPACE.keys(shuffled), SPACE.keys(cells))
    # Rows that do not stand in the order of the encoding are no valid cell, but still the same graph.
    scrambled = joined([relabelled(cells[i], rng.permutation(11)) for i in range(300)])
    np.testing.assert_array_equal(SPACE.keys(scrambled), SPACE.keys(cells))


@given(genotypes(), st.data())
def test_exchanges_of_pairs_and_of_nodes_keep_the_key(native, data):
    """Brute force over the definition: exchange the edges of a node, permute nodes where inputs stay earlier."""
    order = data.draw(st.permutations(range(4)))
    state = {0: 0, 1: 1} | {2 + node: 2 + place for place, node in enumerate(order)}
    edges = []
    for node in order:
        pair = [(op, state[source]) for op, source in native.edges[2 * node : 2 * node + 2]]
        edges += pair[::-1] if data.draw(st.booleans()) else pair
    if all(source < edge // 2 + 2 for edge, (_, source) in enumerate(edges)):
        keys = SPACE.keys(SPACE.from_native([native, Genotype(tuple(edges))]))
        assert keys[0] == keys[1]


def test_keys_agree_with_brute_force_isomorphism():
    """Two operations only, so that many of the cells are isomorphic or nearly so."""
    drawn = draw_edges(3_000, np.random.default_rng(1))
    cells = edges_to_cells(Edges(np.where(drawn.ops < 6, 3, 6).astype(np.uint8), drawn.inputs))
    groups = {}
    for i, key in enumerate(SPACE.keys(cells)):
        groups.setdefault(key, []).append(i)
    equal = [(g[0], other) for g in groups.values() for other in g[1:3]]
    assert len(equal) > 300
    assert all(isomorphic(cells[i], cells[j]) for i, j in equal)
    profiles = {}
    for group in groups.values():
        cell = cells[group[0]]
        degrees = zip(cell.ops[0], cell.adjacency[0].sum(0), cell.adjacency[0].sum(1), strict=True)
        profiles.setdefault(tuple(sorted(degrees)), []).append(group[0])
    similar = [pair for same in profiles.values() for pair in itertools.combinations(same, 2)]
    assert len(similar) > 500
    assert not any(isomorphic(cells[i], cells[j]) for i, j in similar)


def test_a_node_read_twice_is_not_two_equal_nodes_read_once():
    twins = (("sep_conv_3x3", 0), ("none", 1)) * 2
    shared = Genotype((*twins, ("none", 0), ("skip_connect", 2), ("none", 0), ("skip_connect", 2)))
    apart = Genotype((*twins, ("none", 0), ("skip_connect", 2), ("none", 0), ("skip_connect", 3)))
    keys = SPACE.keys(SPACE.from_native([shared, apart]))
    assert keys[0] != keys[1]


def test_edges_of_unread_nodes_are_one_multiset():
    """Nodes 2 and 3 feed the output alone, so the graph does not say which of their edges are paired."""
    head = (("sep_conv_3x3", 0), ("none", 1), ("skip_connect", 1), ("none", 2))
    skip, pool, zero, conv = ("skip_connect", 1), ("avg_pool_3x3", 3), ("none", 0), ("sep_conv_3x3", 0)
    a = SPACE.from_native([Genotype((*head, zero, skip, conv, pool))])
    b = SPACE.from_native([Genotype((*head, conv, skip, zero, pool))])
    assert isomorphic(a, b)
    assert SPACE.keys(a)[0] == SPACE.keys(b)[0]


def test_released_keys_see_the_matrices_as_they_are():
    cells = SPACE.cells()[:200]
    keys = SPACE.released_keys(cells)
    assert keys.dtype == "S32"
    assert len(np.unique(keys)) == 200
    rng = np.random.default_rng(0)
    shuffled = joined([relabelled(cells[i], any_order(cells[i], rng)) for i in range(200)])
    np.testing.assert_array_equal(SPACE.released_keys(shuffled), keys)


# Neighbours


def one_edit_away(native):
    for edge, (op, source) in enumerate(native.edges):
        for other_op, other_source in itertools.product(OPERATIONS, range(edge // 2 + 2)):
            if (other_op != op) != (other_source != source) and other_source != native.edges[edge ^ 1][1]:
                yield Genotype((*native.edges[:edge], (other_op, other_source), *native.edges[edge + 1 :]))


@pytest.mark.parametrize("native", [ARCH2VEC_BO, ARCH2VEC_RL, DARTS_FIRST_ORDER.normal, DARTS_FIRST_ORDER.reduction])
def test_neighbours_are_all_single_edits(native):
    cell = SPACE.from_native([native])
    found = SPACE.neighbours(cell)
    edits = list(one_edit_away(native))
    assert len(edits) == 8 * 7 + 2 * (0 + 1 + 2 + 3)
    small = in_mobile_setting(genotype_edges(edits), "released")
    keys = SPACE.keys(SPACE.from_native(edits))
    own = SPACE.keys(cell)[0]
    assert set(SPACE.keys(found)) == set(keys[small]) - {own}
    assert len(np.unique(SPACE.keys(found))) == len(found)
    assert SPACE.is_valid(found).all()
    for i in range(0, len(found), 7):
        assert own in SPACE.keys(SPACE.neighbours(found[i]))


def test_neighbours_stay_in_the_mobile_setting():
    heavy = Genotype(tuple(("sep_conv_5x5", s) if e < 6 else ("none", s) for e, s in enumerate((0, 1) * 4)))
    near = SPACE.neighbours(SPACE.from_native([heavy]))
    assert 0 < len(near) < 68
    assert in_mobile_setting(cells_to_edges(near), "released").all()


def test_neighbours_of_anything_but_one_valid_cell_are_refused():
    with pytest.raises(SpaceError, match="got 2 cells"):
        SPACE.neighbours(SPACE.cells()[:2])
    with pytest.raises(SpaceError, match=r"conditions \[2\] of Appendix B"):
        SPACE.neighbours(edited(SPACE.cells()[0], ops=[(10, 0)]))


# Bad notation

GOOD = str(BASE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not an expression"),
        ("Genotype(normal=[", "is not an expression"),
        ("Cell(normal=[])", "does not have the form Genotype"),
        (GOOD.replace("reduce_concat", "concat"), "needs the keywords normal, normal_concat, reduce, reduce_concat"),
        (GOOD.replace("sep_conv_5x5", "sep_conv_7x7"), "normal: edge 3 .* unknown operation, choose one of none, "),
        (GOOD.replace("('sep_conv_5x5', 2)", "('sep_conv_5x5', 3)"), "edge 3 .* integer from 0 to 2"),
        (GOOD.replace("('sep_conv_5x5', 2)", "('sep_conv_5x5', -1)"), "edge 3 .* integer from 0 to 2"),
        (GOOD.replace("('sep_conv_5x5', 2)", "('sep_conv_5x5', True)"), "edge 3 .* integer from 0 to 2"),
        (GOOD.replace("('sep_conv_5x5', 2)", "('sep_conv_5x5', 0)"), "intermediate node 1 reads input 0 twice"),
        (GOOD.replace("('sep_conv_5x5', 2), ", ""), "normal: a genotype has 8 edges, got 7"),
        (GOOD.replace("('sep_conv_5x5', 2)", "'sep_conv_5x5'"), "normal: a genotype is 8 .operation, input. pairs"),
        (GOOD.replace("('sep_conv_5x5', 2)", "open('x')"), "normal=.*only literal values are read"),
        (GOOD.replace("normal=[", "normal=3 or ["), "only literal values"),
        (GOOD.replace("normal_concat=range(2", "normal_concat=range(3"), r"normal_concat=range\(3, 6\): the output"),
        (GOOD.replace("reduce_concat=range(2, 6)", "reduce_concat=[2, 4]"), r"reduce_concat=\[2, 4\]: the output"),
        (GOOD.replace("reduce_concat=range(2, 6)", "reduce_concat=6"), "reduce_concat=6: a list of node numbers"),
        (str(DARTS_SECOND_ORDER), "normal and reduction cell differ"),
        (None, "a genotype or its text is needed, got None"),
    ],
)
def test_bad_notation_is_named(text, message):
    with pytest.raises(SpaceError, match=message):
        SPACE.from_native([BASE, text])


@pytest.mark.parametrize("edges", [None, (), ((("none", 0),) * 8), "none(0)", [("none", 0, 1)] * 8])
def test_bad_genotypes_are_refused(edges):
    with pytest.raises(SpaceError):
        Genotype(edges)
