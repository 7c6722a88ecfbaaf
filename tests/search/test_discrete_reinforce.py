import numpy as np
import pytest
import torch
from made_landscapes import answer, one_target, problem
from scipy import stats

from a2v_core.errors import SettingsError, SpaceError
from a2v_core.search import discrete_reinforce
from a2v_core.search.discrete import CandidateEncoding
from a2v_core.search.discrete_reinforce import (
    BY_SPACE,
    OPTIMIZERS,
    RECIPES,
    DiscreteReinforce,
    DiscreteReinforceSettings,
)
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.random_search import RandomSearch


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_those_of_automatic_differentiation(name, optimizer):
    part = problem(name)
    rewards = np.random.default_rng(0).random((2, 6))
    settings = DiscreteReinforceSettings(optimizer, learning_rate=0.3, momentum=0.8)
    searcher = DiscreteReinforce(part, [1, 2], settings)
    choices = CandidateEncoding(part).choices
    logits = [[torch.zeros(int(c), dtype=torch.float64, requires_grad=True) for c in choices] for _ in range(2)]
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    optimizers = [make(variables, lr=0.3) for variables in logits]
    for step in range(6):
        proposal = searcher.propose(np.ones(2, bool))
        for run in range(2):
            seen, weight = rewards[run, : step + 1], 0.8 ** np.arange(step, -1, -1)
            advantage = seen[-1] - (weight * seen).sum() / weight.sum()
            log_p = sum(torch.distributions.Categorical(logits=variable).log_prob(torch.tensor(int(value)))
                        for variable, value in zip(logits[run], searcher._queried[run], strict=True))
            optimizers[run].zero_grad()
            (-advantage * log_p).backward()
            optimizers[run].step()
        searcher.observe(proposal, rewards[:, step : step + 1])
        for run in range(2):
            for v, variable in enumerate(logits[run]):
                found = searcher.logits[:, run, v]
                np.testing.assert_allclose(found[: choices[v]], variable.detach().numpy(), atol=1e-12)
                assert (found[choices[v]:] == -np.inf).all()


def test_proposals_follow_the_policy():
    part = problem()
    searcher = DiscreteReinforce(part, range(4000))
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 6))
    searcher.logits[:] = logits[:, None]
    cells = searcher.propose(np.ones(4000, bool)).cells[:, 0]
    weights = np.exp(logits)
    np.testing.assert_allclose(searcher.probabilities()[:, 17], weights / weights.sum(0), rtol=1e-12)
    for v in range(6):
        counts = np.bincount(part.cells.ops[cells, v + 1] - 1, minlength=5)
        assert stats.chisquare(counts, 4000 * weights[:, v] / weights[:, v].sum()).pvalue > 1e-4


def test_the_first_policy_draws_encodings_alike():
    part = problem("nasbench101")
    cells = DiscreteReinforce(part, range(5000)).propose(np.ones(5000, bool)).cells[:, 0]
    counts = np.bincount(part.cells.n_nodes[cells], minlength=8)[2:]
    multiplicity = CandidateEncoding(part).multiplicity
    expected = np.bincount(part.cells.n_nodes, multiplicity)[2:] / multiplicity.sum() * 5000
    assert stats.chisquare(counts, expected).pvalue > 1e-4


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_batch_proposes_what_each_seed_proposes_alone(name, optimizer):
    part = problem(name)
    accuracy = np.random.default_rng(0).random(len(part.rows))
    settings = DiscreteReinforceSettings(optimizer, learning_rate=0.5)
    batch = answer(DiscreteReinforce(part, [3, 14, 15, 9], settings), accuracy, 60)
    for run, seed in zip(batch, [3, 14, 15, 9], strict=True):
        np.testing.assert_array_equal(answer(DiscreteReinforce(part, [seed], settings), accuracy, 60)[0], run)


def test_it_beats_random_search_on_a_made_landscape():
    part = problem()
    accuracy = one_target(part)
    settings = DiscreteReinforceSettings(learning_rate=1.0)
    learnt = accuracy[answer(DiscreteReinforce(part, range(40), settings), accuracy, 300)]
    at_random = accuracy[answer(RandomSearch(part, range(40)), accuracy, 300)[:, :300]]
    assert learnt[:, -50:].mean() > learnt[:, :50].mean() + 0.1
    assert learnt.max(1).mean() > at_random.max(1).mean() + 0.02


def test_equal_accuracies_leave_the_policy_uniform():
    part = problem()
    searcher = DiscreteReinforce(part, [0, 1])
    answer(searcher, np.full(len(part.rows), 0.7), 50)
    np.testing.assert_allclose(searcher.probabilities(), 0.2, atol=1e-14)


def test_a_small_space_is_queried_again_without_end():
    part = problem(rows=np.flatnonzero((problem().cells.ops[:, 1:5] == 2).all(1)))  # 25 cells, two edges free
    cells = answer(DiscreteReinforce(part, [0]), np.full(25, 0.7), 40)
    assert cells.shape == (1, 40)
    assert (cells != NO_CELL).all()


def test_a_sure_policy_queries_one_cell_and_one_sure_of_no_candidate_ends(monkeypatch):
    monkeypatch.setattr(discrete_reinforce, "PATIENCE", 500)
    part = problem(rows=np.arange(100))
    values = part.cells.ops[:, 1:7] - 1
    outside = next(cell for cell in np.ndindex((5,) * 6) if not (values == cell).all(1).any())
    searcher = DiscreteReinforce(part, [0, 1])
    for run, values_of_run in enumerate((values[42], outside)):
        searcher.logits[values_of_run, run, np.arange(6)] = 50
    cells = answer(searcher, np.full(100, 0.5), 5)
    assert cells.tolist() == [[42] * 5, [NO_CELL] * 5]


def test_inactive_runs_and_queries_that_were_not_made_teach_nothing():
    part = problem()
    searcher = DiscreteReinforce(part, [0, 1])
    accuracy = one_target(part)
    answer(searcher, accuracy, 5)
    before = searcher.logits.copy()
    cells = answer(searcher, accuracy, 5, np.array([True, False]))
    assert (cells[1] == NO_CELL).all()
    assert (searcher.logits[:, 1] == before[:, 1]).all()
    assert (searcher.logits[:, 0] != before[:, 0]).any()


def test_settings():
    settings = {DiscreteReinforceSettings(**changes) for changes in RECIPES.values()}
    assert settings == {DiscreteReinforceSettings("sgd", 0.1, 0.9)}
    assert DiscreteReinforceSettings(**BY_SPACE["nasbench201"]).optimizer == "adam"
    with pytest.raises(SettingsError, match="optimizer='rmsprop' is unknown: choose one of sgd, adam"):
        DiscreteReinforceSettings("rmsprop")
    for wrong in ({"learning_rate": 0}, {"momentum": 1}, {"momentum": -0.1}):
        with pytest.raises(SettingsError, match="need learning_rate > 0 and 0 <= momentum < 1"):
            DiscreteReinforceSettings(**wrong)
    with pytest.raises(SpaceError, match="of all encodings give one of the 3 candidates"):
        DiscreteReinforce(problem(rows=[1, 2, 3]), [0])
