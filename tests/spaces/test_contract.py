"""What every search space promises, tried on each registered one and on one that another package brings."""

import sys
from importlib import metadata

import numpy as np
import pytest
from contributing import install
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a2v_core import spaces
from a2v_core.cells import PAD, Cells
from a2v_core.errors import SpaceError
from a2v_core.spaces import SearchSpace, get_space, register, space_names

BUILT_IN = ("nasbench101", "nasbench201", "darts")


@pytest.fixture(scope="module")
def third_party(tmp_path_factory):
    """The space of CONTRIBUTING.md, as an installed package brings it; it claims a built-in name as well."""
    site = tmp_path_factory.mktemp("packages") / "site"
    install("Add a search space", site)
    with (site / "mine-1.0.dist-info" / "entry_points.txt").open("a") as entry_points:
        entry_points.write("nasbench201 = my_spaces:Chains\n")
    sys.path.insert(0, str(site))
    yield "chains"
    sys.path.remove(str(site))
    get_space.cache_clear()


@pytest.fixture(scope="module", params=[*BUILT_IN, "third party"])
def space(request) -> SearchSpace:
    name = request.getfixturevalue("third_party") if request.param == "third party" else request.param
    return get_space(name)


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some(space: SearchSpace, count: int, seed: int = 0) -> Cells:
    cells = space.cells()
    return cells[np.random.default_rng(seed).permutation(len(cells))[:count]]


def one(space: SearchSpace, number: int) -> Cells:
    return space.cells()[number % len(space.cells())]


def same(left: Cells, right: Cells) -> bool:
    return bool((left.adjacency == right.adjacency).all() and (left.ops == right.ops).all())


def test_declares_what_it_is(space):
    assert space.name in space_names()
    assert get_space(space.name) is space
    assert isinstance(space, SearchSpace)
    assert len(set(space.vocabulary)) == len(space.vocabulary) > 2
    cells = space.cells()
    assert cells is space.cells()
    assert cells.adjacency.shape == (len(cells), space.n_nodes, space.n_nodes)
    assert cells.ops[cells.ops != PAD].max() < len(space.vocabulary)


def test_every_cell_is_valid_and_no_two_are_equal(space):
    cells = space.cells()
    assert space.is_valid(cells).all()
    assert space.released_is_valid(cells).all()
    rows = np.hstack([np.packbits(cells.adjacency.reshape(len(cells), -1), axis=1), cells.ops])
    assert len({row.tobytes() for row in rows}) == len(cells)


def test_every_cell_is_in_topological_order_with_padding_behind(space):
    cells = space.cells()
    absent = cells.ops == PAD
    assert (absent[:, 1:] >= absent[:, :-1]).all()
    assert not (cells.adjacency * (absent[:, :, None] | absent[:, None, :])).any()
    assert not np.tril(cells.adjacency).any()
    assert cells.adjacency.max() == 1


def test_different_cells_have_different_keys(space):
    cells = some(space, 5000)
    for keys in (space.keys(cells), space.released_keys(cells)):
        assert keys.dtype.kind == "S"
        assert keys.shape == (len(cells),)
        assert len(set(keys.tolist())) == len(cells)


def test_own_notation_there_and_back(space):
    cells = some(space, 500)
    natives = space.to_native(cells)
    assert len(natives) == len(cells)
    back = space.from_native(natives)
    assert same(back, cells)
    assert space.to_native(back) == natives


@few
@given(number=st.integers(0, 10**6), random=st.randoms(use_true_random=False))
def test_keys_do_not_depend_on_the_order_of_nodes(space, number, random):
    cell = one(space, number)
    inner = range(1, int(cell.n_nodes[0]) - 1)
    order = np.arange(space.n_nodes)
    order[1 : 1 + len(inner)] = random.sample(inner, len(inner))
    moved = Cells(cell.adjacency[:, order][:, :, order], cell.ops[:, order])
    assert space.keys(moved).tolist() == space.keys(cell).tolist()
    assert space.released_keys(moved).tolist() == space.released_keys(cell).tolist()


@few
@given(number=st.integers(0, 10**6), pick=st.integers(0, 10**6))
def test_neighbours(space, number, pick):
    cell = one(space, number)
    found = space.neighbours(cell)
    keys = space.keys(found).tolist()
    assert len(keys) > 0
    assert space.is_valid(found).all()
    assert len(set(keys)) == len(keys)
    own = space.keys(cell)[0]
    assert own not in keys
    assert own in space.keys(space.neighbours(found[pick % len(keys)])), "being neighbours is mutual"


@st.composite
def decoded(draw, space):
    """A cell as a decoder gives it: a member of the space with a few entries changed, or anything at all."""
    start = one(space, draw(st.integers(0, 10**6)))
    adjacency, ops = start.adjacency.copy(), start.ops.copy()
    position = st.integers(0, space.n_nodes - 1)
    for i, j in draw(st.lists(st.tuples(position, position), max_size=draw(st.sampled_from([0, 2, 60])))):
        adjacency[0, i, j] ^= 1
    code = st.integers(0, len(space.vocabulary) - 1)
    for i, new in draw(st.lists(st.tuples(position, code), max_size=draw(st.sampled_from([0, 2, 20])))):
        ops[0, i] = new
    return Cells(adjacency, np.where(ops == PAD, len(space.vocabulary) - 1, ops).astype(np.uint8))


@settings(few, max_examples=60)
@given(data=st.data())
def test_anything_decoded_gets_a_verdict_and_a_key(space, data):
    cell = data.draw(decoded(space))
    before = cell.digest()
    strict, released = space.is_valid(cell), space.released_is_valid(cell)
    assert strict.dtype == released.dtype == bool
    assert strict.shape == released.shape == (1,)
    assert len(space.keys(cell)) == len(space.released_keys(cell)) == 1
    assert released[0] or not strict[0], "the released test is the weaker one"
    if strict[0]:
        back = space.from_native(space.to_native(cell))
        assert space.is_valid(back)[0]
        assert space.keys(back).tolist() == space.keys(cell).tolist()
    assert cell.digest() == before


def test_a_batch_is_judged_like_its_cells(space):
    rng = np.random.default_rng(3)
    cells = some(space, 60)
    changed = Cells(cells.adjacency ^ (rng.random(cells.adjacency.shape) < 0.01).astype(np.uint8), cells.ops)
    singly = [changed[row] for row in range(len(changed))]
    assert 0 < space.is_valid(changed).sum() < len(changed)
    for judge in (space.is_valid, space.released_is_valid, space.keys, space.released_keys):
        assert judge(changed).tolist() == [judge(cell)[0] for cell in singly]


def test_no_cells_at_all(space):
    none = space.cells()[np.zeros(0, int)]
    for judge in (space.is_valid, space.released_is_valid, space.keys, space.released_keys):
        assert judge(none).shape == (0,)
    assert space.to_native(none) == []
    assert len(space.from_native([])) == 0


def test_cells_of_another_size_are_refused(space):
    n = space.n_nodes + 1
    other = Cells(np.zeros((1, n, n), np.uint8), np.zeros((1, n), np.uint8))
    for use in (space.is_valid, space.released_is_valid, space.keys, space.released_keys, space.to_native):
        with pytest.raises(SpaceError, match=str(n)):
            use(other)


@pytest.mark.parametrize("native", [None, 7, "", "nonsense", [], {}, ("nonsense",), {"matrix": [[0]], "ops": None}])
def test_malformed_notation_is_quoted(space, native):
    with pytest.raises(SpaceError) as error:
        space.from_native([native])
    assert repr(native) in str(error.value)


def test_neighbours_want_one_valid_cell(space):
    with pytest.raises(SpaceError):
        space.neighbours(some(space, 2))
    nothing = Cells(np.zeros((1, space.n_nodes, space.n_nodes), np.uint8), np.zeros((1, space.n_nodes), np.uint8))
    with pytest.raises(SpaceError):
        space.neighbours(nothing)


def test_a_third_party_registers_without_editing_the_package(third_party):
    assert space_names() == (*BUILT_IN, "chains")
    assert type(get_space("chains")).__module__ == "my_spaces"


def test_a_built_in_name_cannot_be_taken_over(third_party):
    assert get_space("nasbench201").n_nodes == 8


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SpaceError, match=r"'nasbench301'.*nasbench101, nasbench201, darts"):
        get_space("nasbench301")


@pytest.mark.parametrize(
    ("value", "told"), [("no_such_module:Space", "cannot be imported"), ("json:Space", "cannot be imported"),
                        ("json:loads", "not a subclass")],
)
def test_a_broken_registration_is_named(monkeypatch, value, told):
    broken = metadata.EntryPoint("broken", value, spaces.ENTRY_POINT_GROUP)
    monkeypatch.setattr(spaces.metadata, "entry_points", lambda group: [broken])
    with pytest.raises(SpaceError, match=f"'broken'.*{value}.*{told}"):
        get_space("broken")


@pytest.fixture
def of_this_process(monkeypatch):
    monkeypatch.setattr(spaces, "_OF_THIS_PROCESS", {})

    def make(name="own", module=__name__):
        return type("Own", (type(get_space("nasbench201")),), {"name": name, "__module__": module})

    yield make
    get_space.cache_clear()


def test_a_notebook_registers_its_class_and_may_do_so_again(of_this_process):
    first = of_this_process()
    assert register(first) is first
    assert space_names()[-1] == "own"
    assert type(get_space("own")) is first
    assert get_space("own") is get_space("own")
    again = register(of_this_process())
    assert type(get_space("own")) is again
    assert space_names().count("own") == 1


def test_a_name_that_another_space_has_is_refused(of_this_process):
    register(of_this_process())
    for name in ("own", "darts"):
        with pytest.raises(SpaceError, match=rf"'{name}' already: give elsewhere\.Own another name"):
            register(of_this_process(name, module="elsewhere"))
    assert type(get_space("own")).__module__ == __name__
