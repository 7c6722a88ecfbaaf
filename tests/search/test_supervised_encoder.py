"""Stacked encoders against the same network of torch's own layers and its automatic gradient, and run by run."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from made_cells import random_cells
from scipy import stats
from torch import nn

from a2v_core.cells import PAD, Cells
from a2v_core.errors import SettingsError
from a2v_core.search import supervised_encoder
from a2v_core.search.message_classes import GRAPHS, message_classes
from a2v_core.search.supervised_encoder import LATENT, N_LAYERS, WIDTH, SupervisedEncoders
from a2v_core.spaces import get_space
from a2v_core.spaces.darts import DARTS

K = 5
EXACT = {"rtol": 1e-10, "atol": 1e-11}


pytestmark = pytest.mark.usefixtures("one_thread")


class Plain(nn.Module):
    """The encoder of §4 in torch's layers. `heads` are further linear layers on an embedding."""

    def __init__(self, k, heads):
        super().__init__()
        widths = [k, *[WIDTH] * N_LAYERS]
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Linear(b, b), nn.BatchNorm1d(b), nn.ReLU())
            for a, b in pairwise(widths))
        self.eps = nn.ParameterList(torch.zeros(1) for _ in range(N_LAYERS))
        self.heads = nn.ModuleDict({"latent": nn.Linear(WIDTH, LATENT),
                                    **{name: nn.Linear(*shape) for name, shape in heads.items()}})
        self.double()

    def forward(self, cells, graph):
        """Embeddings of the nodes, [B, N, LATENT]."""
        a = torch.from_numpy(cells.adjacency).double()
        if graph == "undirected":
            a = a + a.transpose(1, 2)
        h = torch.from_numpy(cells.one_hot(self.mlps[0][0].in_features)).double()
        for eps, mlp in zip(self.eps, self.mlps, strict=True):
            h = mlp(((1 + eps) * h + a @ h).flatten(0, 1)).unflatten(0, cells.ops.shape)
        return self.heads["latent"](h)

    def named(self):
        """Parameters by the names of the stack."""
        found = {}
        for i, mlp in enumerate(self.mlps):
            for j in range(2):
                linear, norm = mlp[3 * j], mlp[3 * j + 1]
                found |= {f"{i}.{j}.weight": linear.weight, f"{i}.{j}.bias": linear.bias, f"{i}.{j}.scale": norm.weight,
                          f"{i}.{j}.shift": norm.bias, f"{i}.eps": self.eps[i]}
        for name, head in self.heads.items():
            found |= {f"{name}.weight": head.weight, f"{name}.bias": head.bias}
        return found

    def norms(self):
        return [mlp[place] for mlp in self.mlps for place in (1, 4)]


def rngs(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def by_name(encoders, flat=None):
    """Views of the parameters, or of as many numbers in their place, by name: [R, *shape]."""
    layers, heads = encoders.parameters if flat is None else flat
    return (supervised_encoder._views(layers, encoders._layer_shapes)
            | supervised_encoder._views(heads, encoders._head_shapes))


def plain(encoders, run, heads=None):
    """Run `run` of the stack in torch's layers."""
    k = by_name(encoders)["0.0.weight"].shape[2]
    model = Plain(k, heads or {})
    with torch.no_grad():
        for name, parameter in model.named().items():
            parameter.copy_(by_name(encoders)[name][run])
    for place, norm in enumerate(model.norms()):
        norm.running_mean.copy_(encoders.running[0, place, run])
        norm.running_var.copy_(encoders.running[1, place, run])
    return model


def made(r=2, graph="directed", k=K, dtype=torch.float64, seed=0, **options):
    """Encoders whose parameters and running statistics have all moved away from where they start."""
    encoders = SupervisedEncoders(k, rngs(*range(seed, seed + r)), graph, dtype=dtype, **options)
    for run in range(r):
        generator = torch.Generator().manual_seed(seed + run)

        def noise(tensor, generator=generator):
            return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(dtype)

        with torch.no_grad():
            for view in by_name(encoders).values():
                view[run] += 0.1 * noise(view[run])
            encoders.running[0, :, run] += 0.1 * noise(encoders.running[0, :, run])
            encoders.running[1, :, run] *= torch.exp(0.3 * noise(encoders.running[1, :, run]))
    return encoders


def batches(r=2, b=6, n=7, k=K):
    return [random_cells(b, n, k, seed=10 + run) for run in range(r)]


def stacked(cells):
    """adjacency [R, B, N, N] and ops [R, B, N] of a batch of cells for each run."""
    return tuple(torch.from_numpy(np.stack([getattr(c, name) for c in cells])) for name in ("adjacency", "ops"))


def loss_of(nodes, run):
    """Some smooth number that depends on every node's embedding in its own way, [B, N, LATENT] -> []."""
    factors = torch.randn(nodes.shape, generator=torch.Generator().manual_seed(run), dtype=torch.float64)
    return (factors.to(nodes.dtype) * (nodes + nodes.square())).sum()


def some_cells(name, m=150):
    if name == "darts":
        return DARTS(n_cells=m).cells(), 11
    space = get_space(name)
    rows = np.random.default_rng(1).choice(len(space.cells()), m, replace=False)
    return space.cells()[rows], len(space.vocabulary)


# --- forward ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
def test_forward_and_running_statistics_are_those_of_torch_layers(graph):
    encoders = made(3, graph)
    models = [plain(encoders, run) for run in range(3)]
    # Twice in training, then with the running statistics that this has left.
    for training in (True, True, False):
        cells = batches(3)
        nodes = encoders.encode(*stacked(cells), training)
        assert nodes.shape == (3, 6, 7, LATENT)
        for run, model in enumerate(models):
            torch.testing.assert_close(nodes[run], model.train(training)(cells[run], graph), **EXACT)
            for place, norm in enumerate(model.norms()):
                torch.testing.assert_close(encoders.running[0, place, run], norm.running_mean, **EXACT)
                torch.testing.assert_close(encoders.running[1, place, run], norm.running_var, **EXACT)


def test_evaluation_does_not_touch_the_running_statistics():
    encoders = made()
    before = encoders.running.clone()
    encoders.encode(*stacked(batches()), training=False)
    assert torch.equal(encoders.running, before)


def test_padded_rows_count_in_batchnorm_and_hear_nothing():
    encoders = made(1)
    cells = random_cells(6, 7, K, seed=3)
    assert (cells.ops == PAD).any()
    nodes = encoders.encode(*stacked([cells]), training=True)[0]
    padded = nodes[torch.from_numpy(cells.ops == PAD)]
    # All alike, and as a cell without operations and edges in the same batch has it.
    torch.testing.assert_close(padded, padded[:1].expand_as(padded), **EXACT)
    assert not torch.allclose(nodes[torch.from_numpy(cells.ops != PAD)], padded[0])


def test_the_first_layer_by_hand():
    # 0 -> 1: directed, node 0 hears node 1, not the other way round.
    encoders = made(1)
    cells = Cells(np.array([[[0, 1], [0, 0]]], np.uint8), np.array([[3, 1]], np.uint8))
    encoders.encode(*stacked([cells]), training=True)
    seen = encoders.running[0, 0, 0]
    p = {name: view[0].detach() for name, view in by_name(encoders).items()}
    gathered = torch.zeros(2, K, dtype=torch.float64)
    gathered[0, 3] = gathered[1, 1] = 1 + p["0.eps"]
    gathered[0, 1] += 1
    mean = (gathered @ p["0.0.weight"].T + p["0.0.bias"]).mean(0)
    torch.testing.assert_close(seen, 0.9 * made(1).running[0, 0, 0] + 0.1 * mean, **EXACT)


# --- gradient --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("training", [True, False])
def test_gradient_is_that_of_automatic_differentiation(graph, training):
    encoders, cells = made(2, graph), batches()
    models = [plain(encoders, run) for run in range(2)]
    nodes = encoders.encode(*stacked(cells), training)
    found = by_name(encoders, torch.autograd.grad(loss_of(nodes[0], 0) + loss_of(nodes[1], 1), encoders.parameters))
    for run, model in enumerate(models):
        loss_of(model.train(training)(cells[run], graph), run).backward()
        for name, parameter in model.named().items():
            scale = parameter.grad.abs().max().item()
            # In training, batchnorm takes the bias before it away: zero, apart from rounding.
            cancels = training and name.endswith(("0.bias", "1.bias")) and name[0].isdigit()
            assert cancels == (scale < 1e-9), name
            torch.testing.assert_close(found[name][run], parameter.grad, rtol=1e-8, atol=1e-9 * max(scale, 1.0),
                                       msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("training", [True, False])
def test_gradient_is_that_of_finite_differences(graph, training):
    encoders, cells = made(1, graph), stacked(batches(1))
    layers, heads = encoders.parameters
    loss = loss_of(encoders.encode(*cells, training)[0], 0)
    gradient, _ = torch.autograd.grad(loss, (layers, heads))
    for seed in range(5):
        direction = torch.randn(layers.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        step = 1e-6 * direction / direction.norm()
        values = []
        for moved in (step, -step):
            encoders.parameters = (layers.detach() + moved, heads)
            values.append(loss_of(encoders.encode(*cells, training)[0], 0).item())
        assert (values[0] - values[1]) / 2 == pytest.approx((gradient * step).sum().item(), rel=1e-5, abs=1e-10)


def test_gradient_in_evaluation_is_by_the_statistics_of_the_forward_pass():
    first, second = batches(1), batches(1, b=4)
    gradients = []
    for disturbed in (False, True):
        encoders = made(1)
        loss = loss_of(encoders.encode(*stacked(first), training=False)[0], 0)
        if disturbed:
            encoders.encode(*stacked(second), training=True)
        gradients.append(torch.autograd.grad(loss, encoders.parameters))
    assert all(map(torch.equal, *gradients))


def test_gradient_of_one_run_is_zero_in_the_others():
    encoders = made(3)
    nodes = encoders.encode(*stacked(batches(3)), training=True)
    for gradient in torch.autograd.grad(loss_of(nodes[1], 0), encoders.parameters):
        assert (gradient[[0, 2]] == 0).all()
        assert (gradient[1] != 0).any()


def test_gradient_passes_through_heads():
    encoders, cells = made(1, heads={"basis": (LATENT, 8), "output": (8, 1)}), batches(1)
    model = plain(encoders, 0, {"basis": (LATENT, 8), "output": (8, 1)})

    nodes = encoders.encode(*stacked(cells), training=True)
    value = encoders.linear("output", torch.tanh(encoders.linear("basis", nodes.mean(2))))
    assert value.shape == (1, 6, 1)
    found = by_name(encoders, torch.autograd.grad(value.square().sum(), encoders.parameters))

    expected = model.heads["output"](torch.tanh(model.heads["basis"](model(cells[0], "directed").mean(1))))
    torch.testing.assert_close(value[0], expected, **EXACT)
    expected.square().sum().backward()
    for name, parameter in model.named().items():
        torch.testing.assert_close(found[name][0], parameter.grad, rtol=1e-8, atol=1e-10)


# --- one run and many ------------------------------------------------------------------------------------------------


def learned(runs, cells, steps, graph="directed", k=K):
    """What the given runs hold after some steps, by name: each tensor has a leading run axis."""
    encoders = SupervisedEncoders(k, rngs(*runs), graph, heads={"basis": (LATENT, 128), "output": (128, 1)})
    optimizer = torch.optim.Adam(encoders.parameters, lr=1e-2)
    batch = stacked([cells[run] for run in runs])
    for _ in range(steps):
        nodes = encoders.encode(*batch, training=True)
        predicted = encoders.linear("output", torch.tanh(encoders.linear("basis", nodes.mean(2))))
        loss = (predicted - 0.9).square().mean((1, 2)).sum()
        gradients = torch.autograd.grad(loss, encoders.parameters)
        for parameter, gradient in zip(encoders.parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    with torch.no_grad():
        evaluated = encoders.encode(*batch, training=False)
    return {"predicted": predicted.detach(), "running": encoders.running.movedim(2, 0), "evaluated": evaluated,
            **{f"gradient of {name}": view for name, view in by_name(encoders, gradients).items()},
            **{name: view.detach() for name, view in by_name(encoders).items()}}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("r", [2, 25])
@pytest.mark.parametrize(("n", "k"), [(7, 5), (8, 7)])
def test_a_run_does_not_depend_on_the_others_to_the_bit(n, k, r, graph):
    # A step of the search: 10 cells, of 7 nodes with 5 operations on NAS-Bench-101, 8 with 7 on NAS-Bench-201.
    cells = batches(r, 10, n, k)
    together = learned(range(r), cells, 3, graph, k)
    for run in {0, 1, r // 2, r - 1}:
        for name, alone in learned([run], cells, 3, graph, k).items():
            assert torch.equal(together[name][run], alone[0]), name


@pytest.mark.parametrize(("r", "b", "n"), [(5, 1, 7), (7, 3, 5)])
def test_a_run_does_not_depend_on_the_others_whatever_the_shapes(r, b, n):
    # Where the rows of a run do not fill whole vectors, products can be rounded according to where they start: these
    # gradients agree within some units in the last place of the largest number.
    cells = batches(r, b, n)
    together = learned(range(r), cells, 1)
    for run in {0, r // 2, r - 1}:
        alone = {name: value[0] for name, value in learned([run], cells, 1).items() if name.startswith("gradient")}
        largest = max(value.abs().max() for value in alone.values())
        for name, value in alone.items():
            assert (together[name][run] - value).abs().max() <= 2e-6 * largest, name


def test_select_is_one_run_that_shares_its_state_with_the_stack():
    encoders, cells = made(3), batches(3)
    single = encoders.select(1)
    for training in (False, True):
        alone = single.encode(*stacked(cells[1:2]), training)
        before = encoders.running.clone()
        together = encoders.encode(*stacked(cells), training)
        if not training:
            torch.testing.assert_close(alone[0], together[1], **EXACT)
    # The step in training has moved the statistics of that run alone.
    fresh = made(3)
    assert torch.equal(before[:, :, [0, 2]], fresh.running[:, :, [0, 2]])
    assert not torch.equal(before[:, :, 1], fresh.running[:, :, 1])
    with torch.no_grad():
        encoders.parameters[1][1] = 0
    assert (single.encode(*stacked(cells[1:2]), False) == 0).all()


# --- initial weights -------------------------------------------------------------------------------------------------


def test_initial_weights_are_those_of_linear_layers_of_torch():
    encoders = SupervisedEncoders(K, rngs(*range(20)), "directed", heads={"basis": (LATENT, 128), "output": (128, 1)})
    for name, view in by_name(encoders).items():
        values = view.detach().numpy().ravel().astype(np.float64)
        if name.endswith(("weight", "bias")):
            inputs = by_name(encoders)[name.rpartition(".")[0] + ".weight"].shape[2]
            bound = 1 / math.sqrt(inputs)
            assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-4, name
            assert np.abs(values).max() <= bound * (1 + 1e-6)
            # Drawn anew for each run and each number.
            assert len(np.unique(values)) > 0.95 * len(values)
        else:
            assert (values == (1.0 if name.endswith("scale") else 0.0)).all(), name
    assert (encoders.running[0] == 0).all()
    assert (encoders.running[1] == 1).all()
    # torch's own layer has the same bounds.
    layer = nn.Linear(WIDTH, WIDTH)
    for parameter in (layer.weight, layer.bias):
        assert 0.9 / math.sqrt(WIDTH) < parameter.abs().max().item() <= 1 / math.sqrt(WIDTH)


def test_initial_weights_are_drawn_in_the_order_of_the_layers():
    encoders = SupervisedEncoders(K, rngs(7), "undirected", dtype=torch.float64)
    p, rng = by_name(encoders), np.random.default_rng(7)
    for i in range(N_LAYERS):
        for j, width in ((0, WIDTH if i else K), (1, WIDTH)):
            bound = 1 / math.sqrt(width)
            for name, shape in (("weight", (WIDTH, width)), ("bias", WIDTH)):
                drawn = torch.from_numpy(rng.uniform(-bound, bound, shape))
                assert torch.equal(p[f"{i}.{j}.{name}"][0].detach(), drawn)
    bound = 1 / math.sqrt(WIDTH)
    assert torch.equal(p["latent.weight"][0].detach(), torch.from_numpy(rng.uniform(-bound, bound, (LATENT, WIDTH))))


def test_what_fills_up_the_parameters_is_zero_and_stays_so():
    encoders = SupervisedEncoders(K, rngs(0, 1), "directed")
    sizes = [sum(math.prod(shape) for shape in shapes.values())
             for shapes in (encoders._layer_shapes, encoders._head_shapes)]
    nodes = encoders.encode(*stacked(batches()), training=True)
    for parameter, gradient, size in zip(encoders.parameters,
                                         torch.autograd.grad(nodes.sum(), encoders.parameters), sizes, strict=True):
        assert parameter.shape[1] % 32 == 0
        assert 0 <= parameter.shape[1] - size < 32
        assert (parameter[:, size:] == 0).all()
        assert (gradient[:, size:] == 0).all()


def test_heads():
    encoders = SupervisedEncoders(K, rngs(0), "directed", heads={"output": (LATENT, 1)})
    assert encoders.has("output")
    assert encoders.has("latent")
    assert not encoders.has("basis")


def test_unknown_graphs_are_refused():
    with pytest.raises(SettingsError, match="choose one of directed, undirected"):
        SupervisedEncoders(K, rngs(0), "both")


# --- a whole space ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "darts"])
def test_a_space_by_classes_is_the_plain_network_on_all_its_cells(name, graph):
    cells, k = some_cells(name)
    encoders, classes = made(2, graph, k), message_classes(cells, N_LAYERS, graph)
    model = plain(encoders, 1)
    with torch.no_grad():
        expected = {"running": model.eval()(cells, graph).mean(1), "space": model.train()(cells, graph).mean(1)}
    for statistics, embeddings in expected.items():
        torch.testing.assert_close(encoders.embed_space(1, classes, statistics), embeddings, **EXACT)
    assert not torch.allclose(expected["running"], expected["space"], atol=1e-2)
    assert torch.equal(encoders.running, made(2, graph, k).running)


@pytest.mark.parametrize("rows", [7, 64, 10_000])
def test_how_many_classes_are_computed_at_a_time_does_not_matter(rows, monkeypatch):
    cells = random_cells(60, 7, K)
    encoders, classes = made(1), message_classes(cells, N_LAYERS, "directed")
    expected = {statistics: encoders.embed_space(0, classes, statistics) for statistics in ("running", "space")}
    monkeypatch.setattr(supervised_encoder, "_ROWS", rows)
    for statistics, embeddings in expected.items():
        torch.testing.assert_close(encoders.embed_space(0, classes, statistics), embeddings, **EXACT)


def test_a_space_in_single_precision_is_near_that_in_double():
    cells, k = some_cells("nasbench201")
    single, double = (SupervisedEncoders(k, rngs(0), "undirected", dtype=dtype)
                      for dtype in (torch.float32, torch.float64))
    with torch.no_grad():
        for encoders in (single, double):
            # Means fifty times the deviation: squares minus the squared mean would lose three digits and more.
            for i in range(N_LAYERS - 1):
                by_name(encoders)[f"{i}.1.shift"] += 50
    classes = message_classes(cells, N_LAYERS, "undirected")
    for statistics, tolerance in (("running", 1e-5), ("space", 2e-4)):
        found, expected = (encoders.embed_space(0, classes, statistics) for encoders in (single, double))
        assert (found - expected).abs().max() < tolerance * expected.abs().max(), statistics


def test_a_space_by_the_encoder_of_one_run_is_that_of_the_run_alone_to_the_bit():
    cells = random_cells(100, 7, K)
    encoders, classes = made(3, dtype=torch.float32), message_classes(cells, N_LAYERS, "directed")
    for run in range(3):
        for statistics in ("running", "space"):
            together = encoders.embed_space(run, classes, statistics)
            assert torch.equal(together, encoders.select(run).embed_space(0, classes, statistics))
            assert torch.equal(together, made(1, dtype=torch.float32, seed=run).embed_space(0, classes, statistics))


def test_equal_cells_have_equal_embeddings_to_the_bit():
    cells = random_cells(50, 7, K)
    twice = Cells(np.concatenate([cells.adjacency] * 2), np.concatenate([cells.ops] * 2))
    found = made(1, dtype=torch.float32).embed_space(0, message_classes(twice, N_LAYERS, "directed"), "space")
    assert torch.equal(found[:50], found[50:])


def test_a_space_of_one_cell():
    cells = random_cells(1, 4, K, padded=False)
    encoders = made(1)
    found = encoders.embed_space(0, message_classes(cells, N_LAYERS, "directed"), "space")
    torch.testing.assert_close(found, plain(encoders, 0).train()(cells, "directed").mean(1).detach(), **EXACT)


def test_unknown_statistics_and_other_classes_are_refused():
    encoders, cells = made(1), random_cells(5, 4, K)
    with pytest.raises(SettingsError, match="statistics='batch'"):
        encoders.embed_space(0, message_classes(cells, N_LAYERS, "directed"), "batch")
    with pytest.raises(SettingsError, match="classes of 3 layers"):
        encoders.embed_space(0, message_classes(cells, 3, "directed"))
