"""The driver and its table: budgets to the query, repeats of a run's own, refusals, and the way to disk and back."""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_search import MadeSearcher, MadeSearcherSettings, objective

from a2v_core.errors import ArtifactError, SettingsError, SpaceError
from a2v_core.search.protocol import NO_CELL, Proposal, Searcher
from a2v_core.search.runs import (
    ENDED_BY_ITSELF,
    ENDED_BY_QUERIES,
    ENDED_BY_SECONDS,
    Budget,
    Trajectories,
    run_searches,
)

MADE, NOISY = objective("made"), objective("noisy")


class Scripted(Searcher):
    """Proposes what it is told, then nothing."""

    def __init__(self, problem, seeds, *proposals):
        super().__init__(problem, seeds)
        self.left, self.active, self.signals = list(proposals), [], []

    def propose(self, active):
        self.active.append(active)
        nothing = Proposal(np.full((len(self.seeds), 1), NO_CELL))
        return self.left.pop(0) if self.left else nothing

    def observe(self, proposal, signal):
        self.signals.append(signal)


def scripted(*cells, seeds=(0, 1), on=MADE, fidelity=None):
    proposals = [Proposal(np.array(c), None if fidelity is None else np.array(f))
                 for c, f in zip(cells, fidelity or cells, strict=True)]
    return Scripted(on.problem(), seeds, *proposals)


def run(searcher, budget, on=MADE):
    return run_searches(searcher, on, budget, progress=False)


def made(seeds, budget, on=MADE, **settings):
    searcher = MadeSearcher(on.problem(), seeds, MadeSearcherSettings(**settings))
    return run(searcher, budget, on), searcher


def same(a, b):
    for field in dataclasses.fields(Trajectories):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    return True


# --- budgets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [{}, {"queries": 0}, {"queries": -1}, {"queries": 1.5}, {"seconds": 0.0},
                                    {"seconds": -1.0}, {"seconds": float("nan")}, {"seconds": float("inf")},
                                    {"queries": 3, "seconds": 0}])
def test_a_budget_needs_a_positive_bound(bounds):
    with pytest.raises(SettingsError, match="give"):
        Budget(**bounds)


def test_a_budget_says_what_it_is():
    assert str(Budget(400, 1e6)) == "400 queries and 1,000,000 s"
    assert str(Budget(seconds=0.5)) == "0.5 s"


def test_the_queries_are_made_in_order_and_pay_the_signal():
    found = run(scripted([[3, 4], [5, NO_CELL]], [[4, NO_CELL], [6, 7]]), Budget(queries=10))
    np.testing.assert_array_equal(found.counts, [3, 3])
    np.testing.assert_array_equal(found.run, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(found.query, [1, 2, 3, 1, 2, 3])
    np.testing.assert_array_equal(found.cells, MADE.rows[[3, 4, 4, 5, 6, 7]])
    np.testing.assert_array_equal(found.signal, MADE.signal[0, 0, [3, 4, 4, 5, 6, 7]])
    assert set(found.epochs) == {12}
    np.testing.assert_array_equal(found.ended, [ENDED_BY_ITSELF] * 2)


def test_the_query_budget_cuts_a_proposal_in_its_middle():
    searcher = scripted([[3, NO_CELL, 4, 5], [6, 7, 8, 9]])
    found = run(searcher, Budget(queries=2))
    np.testing.assert_array_equal(found.cells, MADE.rows[[3, 4, 6, 7]])
    np.testing.assert_array_equal(np.isnan(searcher.signals[0]), [[0, 1, 0, 1], [0, 0, 1, 1]])
    np.testing.assert_array_equal(found.ended, [ENDED_BY_QUERIES] * 2)
    assert len(searcher.active) == 1


@pytest.mark.parametrize(("slack", "made"), [(0.0, 2), (-1e-9, 1)])
def test_a_query_counts_when_its_training_is_over_within_the_seconds(slack, made):
    # The third query would fit beside the first, but the second one is running when the time is over.
    cost = MADE.seconds[0]
    cheap = int(cost.argmin())
    first, second = (c for c in np.argsort(cost)[-2:])
    searcher = scripted([[first, second, cheap]], seeds=(0,))
    found = run(searcher, Budget(seconds=cost[first] + cost[second] + slack))
    np.testing.assert_array_equal(found.cells, MADE.rows[[first, second][:made]])
    np.testing.assert_array_equal(found.ended, [ENDED_BY_SECONDS])


def test_runs_end_each_at_their_own_time_and_are_not_queried_afterwards():
    searcher = scripted([[1], [2]], [[3], [NO_CELL]], [[4], [5]], [[6], [7]])
    found = run(searcher, Budget(queries=3))
    np.testing.assert_array_equal(found.counts, [3, 1])
    np.testing.assert_array_equal(found.ended, [ENDED_BY_QUERIES, ENDED_BY_ITSELF])
    np.testing.assert_array_equal(searcher.active, [[True, True], [True, True], [True, False]])
    assert np.isnan(searcher.signals[2][1, 0])


def test_a_budget_below_the_first_query_leaves_an_empty_run():
    found, searcher = made([3, 4], Budget(seconds=1e-3))
    np.testing.assert_array_equal(found.counts, [0, 0])
    assert np.isnan(searcher.observed[0][1]).all()
    assert same(Trajectories.from_parquet(found.to_parquet()), found)


def test_a_search_ends_when_every_cell_is_visited():
    found, _ = made([3], Budget(queries=10_000))
    np.testing.assert_array_equal(np.sort(found.cells), MADE.rows)
    np.testing.assert_array_equal(found.ended, [ENDED_BY_ITSELF])


def test_a_repeated_query_costs_again():
    searcher = scripted(*[[[3]]] * 5, seeds=(0,))
    found = run(searcher, Budget(seconds=3.5 * MADE.seconds[0, 3]))
    assert found.counts == [3]


# --- fidelities and repeats ------------------------------------------------------------------------------------------


def test_without_a_fidelity_a_query_is_the_full_training():
    found = run(scripted([[1, 2], [3, 4]], on=NOISY), Budget(queries=9), NOISY)
    assert set(found.epochs) == {12}


def test_a_query_pays_and_costs_what_its_fidelity_does():
    searcher = scripted([[1, 2, 1]], seeds=(0,), on=NOISY, fidelity=[[[0, 1, 1]]])
    cost = NOISY.seconds[[0, 1, 1], [1, 2, 1]]
    found = run(searcher, Budget(seconds=cost[:2].sum()), NOISY)
    np.testing.assert_array_equal(found.epochs, [4, 12])
    for signal, fidelity, cell in zip(found.signal, [0, 1], [1, 2], strict=True):
        assert signal in NOISY.signal[fidelity, :, cell]


def test_each_existing_repeat_is_paid_equally_often():
    cells = np.broadcast_to([1, 2, 3, 4, 6], (300, 5))  # 3, 2, 2, 2 and 1 repeats
    searcher = Scripted(NOISY.problem(), range(300), *[Proposal(cells)] * 4)
    found = run(searcher, Budget(queries=20), NOISY)
    for cell in cells[0]:
        paid, times = np.unique(found.signal[found.cells == NOISY.rows[cell]], return_counts=True)
        labels = NOISY.signal[1, :, cell]
        np.testing.assert_array_equal(paid, np.sort(labels[~np.isnan(labels)]))
        # 1200 draws: five standard deviations of a share
        share = 1 / len(paid)
        assert np.abs(times / 1200 - share).max() <= 5 * np.sqrt(share * (1 - share) / 1200)


def test_the_repeat_does_not_depend_on_the_batch_nor_on_the_cut_into_proposals():
    together, _ = made([5, 6, 7, 8], Budget(queries=50), NOISY)
    for i, seed in enumerate([5, 6, 7, 8]):
        alone, _ = made([seed], Budget(queries=50), NOISY, batch=9)
        np.testing.assert_array_equal(alone.signal, together.signal[together.run == i])
        np.testing.assert_array_equal(alone.cells, together.cells[together.run == i])


def test_repeats_are_drawn_beyond_the_first_block_of_numbers():
    many = Proposal(np.full((2, 300), 1))
    found = run(Scripted(NOISY.problem(), (0, 1), many, many), Budget(queries=600), NOISY)
    again = run(Scripted(NOISY.problem(), (1,), Proposal(np.full((1, 600), 1))), Budget(queries=600), NOISY)
    np.testing.assert_array_equal(found.signal[600:], again.signal)
    assert len(np.unique(again.signal[256:])) == 3


def test_the_seconds_do_not_depend_on_the_batch_nor_on_the_cut_into_proposals():
    together, _ = made(range(6), Budget(seconds=123.0), batch=1)
    for i in range(6):
        alone, _ = made([i], Budget(seconds=123.0), batch=60)
        np.testing.assert_array_equal(alone.cells, together.cells[together.run == i])


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("proposal", "told"), [
    (Proposal(np.array([[60], [1]])), "candidate 60"),
    (Proposal(np.array([[-2], [1]])), "candidate -2"),
    (Proposal(np.array([[1], [1]]), np.array([[1], [0]])), "fidelity 1"),
    (Proposal(np.array([[1], [1]]), np.array([[0, 0], [0, 0]])), r"\(2, 1\) and fidelities \(2, 2\)"),
    (Proposal(np.array([1, 2])), r"\(2,\)"),
    (Proposal(np.array([[1]])), r"\[2, k\]"),
    (Proposal(np.array([[1.0], [2.0]])), "float64"),
])
def test_a_wrong_proposal_is_named(proposal, told):
    with pytest.raises(SpaceError, match=told):
        run(Scripted(MADE.problem(), (0, 1), proposal), Budget(queries=3))


def test_what_is_proposed_for_an_ended_run_does_not_matter():
    searcher = scripted([[1], [NO_CELL]], [[2], [999]])
    np.testing.assert_array_equal(run(searcher, Budget(queries=5)).counts, [2, 0])


@pytest.mark.parametrize("seeds", [(1, 1), (-1,), (2**31,), ()])
def test_seeds_must_be_distinct_and_fit(seeds):
    with pytest.raises(SettingsError, match="seeds"):
        run(Scripted(MADE.problem(), seeds), Budget(queries=1))


def test_a_searcher_of_another_objective_is_refused():
    searcher = scripted([[1]], on=MADE.restrict(np.arange(5)))
    with pytest.raises(SettingsError, match=r"5 candidates that are not the 60 of made/made"):
        run(searcher, Budget(queries=1))


# --- on disk ---------------------------------------------------------------------------------------------------------


def test_a_table_comes_back_from_disk_and_is_readable_without_us():
    found, _ = made([8, 3], Budget(queries=20, seconds=150.0), NOISY)
    content = found.to_parquet()
    back = Trajectories.from_parquet(content)
    assert same(back, found)
    assert back.budget == Budget(20, 150.0)
    table = pq.read_table(io.BytesIO(content)).to_pandas()
    assert list(table) == ["run", "query", "cell", "epochs", "signal"]
    assert [str(t) for t in table.dtypes] == ["int32"] * 4 + ["float64"]
    assert set(table["run"]) == {8, 3}
    np.testing.assert_array_equal(table["query"], found.query)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "shuffled"])
def test_a_damaged_table_is_a_clear_error(damage):
    content = made([8, 3], Budget(queries=20))[0].to_parquet()
    if damage == "cut":
        content = content[:-30]
    elif damage == "flip":
        content = content[:200] + bytes([content[200] ^ 255]) + content[201:]
    elif damage == "empty":
        content = b""
    else:
        table = pq.read_table(io.BytesIO(content))
        table = table.take(pa.array(np.arange(len(table))[::-1])) if damage == "shuffled" else pa.table({"x": [1]})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        content = buffer.getvalue()
    with pytest.raises(ArtifactError, match="not a table of search runs"):
        Trajectories.from_parquet(content)


def test_a_table_of_one_accuracy_table_is_small():
    """The labels of a benchmark repeat, so a query takes little more than the three bytes of its cell."""
    rng, n = np.random.default_rng(0), 100_000
    labels = rng.integers(27_000, 28_300, n) / 29_952
    table = Trajectories(np.arange(100), np.full(100, n // 100), np.zeros(100, np.int8), Budget(1000),
                         rng.integers(0, 423_624, n).astype(np.int32), np.full(n, 108, np.int32), labels)
    assert len(table.to_parquet()) < 5 * n


def test_parts_are_joined_in_order():
    whole, _ = made([0, 1, 2], Budget(seconds=90.0))
    parts = [made(seeds, Budget(seconds=90.0))[0] for seeds in ([0, 1], [2])]
    assert same(Trajectories.concatenate(parts), whole)


@pytest.mark.parametrize(("seeds", "queries"), [([0], 5), ([1], 6)], ids=["seed twice", "other budget"])
def test_parts_that_do_not_belong_together_are_refused(seeds, queries):
    parts = [made([0], Budget(queries=5))[0], made(seeds, Budget(queries=queries))[0]]
    with pytest.raises(SettingsError):
        Trajectories.concatenate(parts)
    with pytest.raises(SettingsError):
        Trajectories.concatenate([])


def test_a_bar_is_shown_unless_told_otherwise(capsys):
    run_searches(MadeSearcher(MADE.problem(), [0]), MADE, Budget(queries=8))
    assert "made/made: 100%" in capsys.readouterr().err
    made([0], Budget(queries=8))
    assert capsys.readouterr().err == ""
