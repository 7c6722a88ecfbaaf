import numpy as np
import pytest
import torch
from made_landscapes import answer, one_target, problem

from a2v_core.errors import SettingsError
from a2v_core.search import methods
from a2v_core.search.protocol import NO_CELL
from a2v_core.search.supervised_reinforce import SupervisedReinforce, SupervisedReinforceSettings

RECIPES = ("released", "paper", "corrected")


def recipe(name, **changes):
    return methods.get_method("supervised_rl").settings_of(name, "nasbench101", changes)


def parameters(searcher, run=0):
    return [p.detach()[run].clone() for p in searcher._encoders.parameters]


def watched(searcher):
    """Lists that collect, step by step, the states of all runs and the cells that they were last answered by."""
    states, last, inner = [], [], searcher._state

    def state():
        last.append(searcher._last)
        states.append(inner())
        return states[-1]

    searcher._state = state
    return states, last


def test_the_recipes_hold_what_the_sources_say():
    released, paper, corrected = map(recipe, RECIPES)
    assert released == SupervisedReinforceSettings()
    assert (released.graph, released.state, released.batchnorm) == ("directed", "first", "cell")
    assert (released.returns, released.baseline_value, released.encoder_learning_rate) == ("raw", 0.95, 0.001)
    assert (paper.graph, paper.state, paper.returns) == ("undirected", "last", "to_go")
    # Apart from the encoder, each recipe is arch2vec-RL's.
    for name, settings in zip(RECIPES, (released, paper, corrected), strict=True):
        unsupervised = methods.get_method("arch2vec_rl").settings_of(name, "nasbench101")
        assert all(getattr(settings, k) == v for k, v in methods.settings_as_dict(unsupervised).items())


@pytest.mark.parametrize(("change", "message"), [
    ({"graph": "both"}, "choose one of directed, undirected"), ({"state": "initial"}, "choose one of first, last"),
    ({"encoder_learning_rate": 0.0}, "must be positive"), ({"noise": -1.0}, "must be positive")])
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        SupervisedReinforceSettings(**change)


@pytest.mark.parametrize("name", RECIPES)
def test_a_batch_of_runs_is_each_run_alone(name):
    made, seeds = problem(rows=np.arange(0, 15_625, 10)), [3, 1, 15]
    accuracy, batch = one_target(made), SupervisedReinforce(made, seeds, recipe(name))
    together = answer(batch, accuracy, 32)
    for run, seed in enumerate(seeds):
        single = SupervisedReinforce(made, [seed], recipe(name))
        assert np.array_equal(answer(single, accuracy, 32)[0], together[run])
        assert np.array_equal(single.distances[0], batch.distances[run])
        assert all(map(torch.equal, parameters(single), parameters(batch, run)))
    assert len({tuple(row) for row in together}) == 3
    assert all(len(set(row)) == 32 for row in together)


def test_cells_are_the_nearest_in_the_embedding_of_the_run():
    # A frozen policy with next to no noise acts at the origin: the cells come in the order of their norms.
    made = problem(rows=np.arange(0, 15_625, 40))
    searcher = SupervisedReinforce(made, [0, 1], recipe("released", policy="frozen", noise=1e-6))
    expected = [torch.linalg.norm(searcher._encoders.embed_space(run, searcher._classes).double(), dim=1).numpy()
                for run in range(2)]
    first = searcher._first.copy()
    cells = searcher.propose(np.ones(2, bool)).cells
    for run in range(2):
        norms = np.delete(expected[run], first[run])
        np.testing.assert_allclose(expected[run][cells[run]], np.sort(norms)[:16], atol=1e-5)
        np.testing.assert_allclose(searcher.distances[run], expected[run][cells[run]], atol=1e-5)


def test_the_released_state_is_the_first_cell_with_batchnorm_over_its_rows():
    made = problem(rows=np.arange(500))
    searcher = SupervisedReinforce(made, [5])
    states, _ = watched(searcher)
    searcher.propose(np.ones(1, bool))
    assert all(torch.equal(state, states[0]) for state in states)
    # Layer by layer, as torch's own batchnorm does it on the rows of one cell.
    cell, p = made.cells[searcher._first], searcher._encoders
    layers, heads = (dict(zip(shapes, torch.split(flat.detach()[0, :sum(map(np.prod, shapes.values()))],
                                                  [int(np.prod(s)) for s in shapes.values()]), strict=True))
                     for shapes, flat in zip((p._layer_shapes, p._head_shapes), p.parameters, strict=True))
    h, a = torch.from_numpy(cell.one_hot(7)[0]).float(), torch.from_numpy(cell.adjacency[0]).float()
    for i in range(4):
        h = h + a @ h
        for j in range(2):
            h = h @ layers[f"{i}.{j}.weight"].view(p._layer_shapes[f"{i}.{j}.weight"]).T + layers[f"{i}.{j}.bias"]
            if (i, j) == (0, 0):
                # Sixteen steps of momentum 0.1 towards this cell.
                np.testing.assert_allclose(p.running[0, 0, 0], (1 - 0.9 ** 16) * h.mean(0), atol=1e-5)
            h = torch.nn.functional.batch_norm(h, None, None, training=True).relu()
    expected = (h @ heads["latent.weight"].view(16, 128).T + heads["latent.bias"]).mean(0)
    torch.testing.assert_close(states[0][0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_the_corrected_state_is_the_last_cell_in_the_embedding_that_answers():
    made = problem(rows=np.arange(0, 15_625, 40))
    searcher = SupervisedReinforce(made, [5, 6], recipe("corrected"))
    states, last = watched(searcher)
    proposal = searcher.propose(np.ones(2, bool))
    for run in range(2):
        known = searcher._nearest[run].take(np.array([rows[run] for rows in last]))
        np.testing.assert_allclose(torch.stack(states)[:, run].detach(), known, atol=1e-3)
    assert np.array_equal(np.stack(last)[1:].T, proposal.cells[:, :-1])


@pytest.mark.parametrize("name", RECIPES)
def test_encoder_and_policy_learn_together(name):
    made = problem(rows=np.arange(0, 15_625, 40))
    searcher = SupervisedReinforce(made, [0], recipe(name))
    before, policy = parameters(searcher), searcher._policy.parameters["weight"].detach().clone()
    answer(searcher, one_target(made), 16)
    moved = [(new - old).abs() for new, old in zip(parameters(searcher), before, strict=True)]
    # Adam's first step is the learning rate wherever there is a gradient.
    for part in moved:
        assert part.max() == pytest.approx(1e-3, rel=1e-2)
    assert (searcher._policy.parameters["weight"] - policy).abs().max().item() == pytest.approx(1e-2, rel=1e-2)


def test_constant_rewards_and_cut_episodes_teach_nothing():
    made = problem(rows=np.arange(0, 15_625, 40))
    searcher = SupervisedReinforce(made, [0, 1], recipe("corrected"))
    before = [parameters(searcher, run) for run in range(2)]
    proposal = searcher.propose(np.ones(2, bool))
    signal = np.full((2, 16), 0.8)
    signal[1, 2:] = np.nan
    searcher.observe(proposal, signal)
    for run in range(2):
        assert all(map(torch.equal, parameters(searcher, run), before[run]))
    assert (searcher.propose(np.array([True, False])).cells[0] != NO_CELL).all()


def test_a_space_smaller_than_an_episode_is_queried_once_and_the_run_ends():
    made = problem(rows=[5, 100, 7_000, 9, 12_000])
    searcher = SupervisedReinforce(made, [0, 1], recipe("released"))
    cells = answer(searcher, np.full(5, 0.5), 32)
    for run in range(2):
        assert sorted(cells[run, :4]) == sorted(set(range(5)) - {searcher._first[run]})
    assert (cells[:, 4:] == NO_CELL).all()
