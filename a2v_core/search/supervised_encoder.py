"""The encoder of the supervised counterpart of arch2vec (§4.2): graph isomorphism networks learned during the search.

Four GIN layers of width 128, h <- BN-ReLU(W2 BN-ReLU(W1 ((1 + eps) h + neighbours))), and a linear layer to 16 numbers
a node; a cell is the mean over its rows, padded ones included, as arch2vec's embedding is. The encoders of R runs are
one stack. The gradient of the graph layers is written by hand: for cells of a dozen nodes it costs three quarters of
what automatic differentiation does. What becomes of a run does not depend on the other runs, to the bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from a2v_core.errors import SettingsError
from a2v_core.search.message_classes import GRAPHS, MessageClasses

#: Widths of the graph layers, and of a node's embedding (§4).
WIDTH, N_LAYERS, LATENT = 128, 4, 16
_EPSILON = 1e-5  # torch's batchnorm
_MOMENTUM = 0.1
# Each run's parameters fill whole vectors of the processor, so that none is updated by the code for a remainder.
_ALIGNED = 32
# Classes computed together: their rows stay in the processor's cache.
_ROWS = 1024


class SupervisedEncoders:
    """Encoders of R runs, with what else is learned together with them.

    Args:
        n_operations: K.
        rngs: one a run; initial weights are drawn from it as torch initialises linear layers (uniform), in the order
            of the layers.
        graph: one of :data:`a2v_core.search.message_classes.GRAPHS`.
        heads: further linear layers, as name → (inputs, outputs); see :meth:`linear`.
        device: where the parameters live.
        dtype: float32, or float64 in tests.

    Attributes:
        parameters: what an optimiser updates, leaf tensors [R, any].
        running: batchnorm's running means and variances, [2, 2 · layers, R, WIDTH].

    Raises:
        SettingsError: an unknown graph.
    """

    def __init__(self, n_operations: int, rngs: Sequence[np.random.Generator], graph: str, *,
                 heads: Mapping[str, tuple[int, int]] | None = None, device: torch.device | str = "cpu",
                 dtype: torch.dtype = torch.float32) -> None:
        if graph not in GRAPHS:
            raise SettingsError(f"graph={graph!r} is unknown: choose one of {', '.join(GRAPHS)}")
        self.n_operations, self.graph = n_operations, graph
        self._layer_shapes: dict[str, tuple[int, ...]] = {}
        for i in range(N_LAYERS):
            for j, width in ((0, WIDTH if i else n_operations), (1, WIDTH)):
                self._layer_shapes |= {f"{i}.{j}.weight": (WIDTH, width), f"{i}.{j}.bias": (WIDTH,),
                                       f"{i}.{j}.scale": (WIDTH,), f"{i}.{j}.shift": (WIDTH,)}
        self._layer_shapes |= {f"{i}.eps": (1,) for i in range(N_LAYERS)}
        self._head_shapes: dict[str, tuple[int, ...]] = {}
        for name, (width, out) in {"latent": (WIDTH, LATENT), **(heads or {})}.items():
            self._head_shapes |= {f"{name}.weight": (out, width), f"{name}.bias": (out,)}
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        layers, head = (torch.from_numpy(np.stack(parts)).to(**like) for parts in zip(*(
            (_initial(self._layer_shapes, rng), _initial(self._head_shapes, rng)) for rng in rngs), strict=True))
        self.parameters = (layers.requires_grad_(), head.requires_grad_())
        self.running = torch.zeros(2, 2 * N_LAYERS, len(rngs), WIDTH, **like)
        self.running[1] = 1

    def encode(self, adjacency: torch.Tensor, ops: torch.Tensor, training: bool) -> torch.Tensor:
        """Embeddings of the nodes of B cells a run, [R, B, N, LATENT]; a cell's is their mean over N.

        Args:
            adjacency: uint8 [R, B, N, N].
            ops: uint8 [R, B, N], :data:`a2v_core.cells.PAD` on padded rows.
            training: batchnorm by the statistics of these B · N rows, and running statistics updated.
        """
        r, b, n = ops.shape
        layers = self.parameters[0]
        one_hot = (ops.unsqueeze(-1) == torch.arange(self.n_operations, device=ops.device)).to(layers.dtype)
        a = adjacency.to(layers.dtype)
        if self.graph == "undirected":
            a = a + a.transpose(-1, -2)
        nodes = _GraphLayers.apply(layers, self, a.reshape(r * b, n, n), one_hot.view(r * b, n, -1), training)
        return self.linear("latent", nodes).view(r, b, n, LATENT)

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A linear layer, [R, any, inputs] → [R, any, outputs]."""
        p = _views(self.parameters[1], self._head_shapes)
        weight, bias = p[f"{name}.weight"], p[f"{name}.bias"].unsqueeze(1)
        if weight.shape[1] == 1:  # Torch's batched product has another path for one run and one output.
            return (x * weight).sum(-1, keepdim=True) + bias
        return torch.baddbmm(bias, x, weight.transpose(1, 2))

    def has(self, name: str) -> bool:
        """Whether there is a head of that name."""
        return f"{name}.weight" in self._head_shapes

    def select(self, run: int) -> SupervisedEncoders:
        """The encoder of one run, as a stack of one that shares its parameters and running statistics."""
        single = copy.copy(self)
        single.parameters = tuple(parameter[run:run + 1] for parameter in self.parameters)
        single.running = self.running[:, :, run:run + 1]
        return single

    @torch.inference_mode()
    def embed_space(self, run: int, classes: MessageClasses, statistics: str = "running") -> torch.Tensor:
        """Embeddings of all cells by the encoder of one run, [M, LATENT].

        Args:
            classes: of the cells, for :data:`N_LAYERS` layers and the graph of these encoders, on their device.
            statistics: batchnorm by the ``running`` statistics, or by those of all nodes of all cells (``space``).

        Raises:
            SettingsError: unknown statistics, or classes of another number of layers.
        """
        if statistics not in ("running", "space") or len(classes.layers) != N_LAYERS:
            raise SettingsError(f"statistics={statistics!r} and classes of {len(classes.layers)} layers: choose "
                                f"'running' or 'space', and classes of {N_LAYERS} layers")
        p = {name: view[run] for views in (_views(self.parameters[0], self._layer_shapes),
                                           _views(self.parameters[1], self._head_shapes))
             for name, view in views.items()}
        first = p["0.0.weight"].T
        # A padded row has no operation.
        table = torch.cat([first, torch.zeros_like(first[:1])])[classes.ops.clamp(max=self.n_operations).long()]
        for i, layer in enumerate(classes.layers):
            following = p[f"{i + 1}.0.weight"] if i + 1 < N_LAYERS else p["latent.weight"]
            table = self._next_table(run, i, p, layer, table, following, statistics == "space")
        return functional.embedding_bag(classes.nodes, table, mode="mean") + p["latent.bias"]

    def _next_table(self, run: int, i: int, p: Mapping[str, torch.Tensor], layer: Any, table: torch.Tensor,
                    following: torch.Tensor, by_space: bool) -> torch.Tensor:
        """Layer i for each of its C classes, and the matrix of the next linear layer: [C before, WIDTH] → [C, out].

        The first linear layer is applied before the sum over neighbours, on the fewer classes before the round.
        """
        weights = torch.ones(len(layer.members), dtype=table.dtype, device=table.device)
        weights[layer.starts[:-1].long()] = 1 + p[f"{i}.eps"]

        def summed() -> Iterator[tuple[slice, torch.Tensor]]:
            for start in range(0, len(layer), _ROWS):
                rows = slice(start, min(start + _ROWS, len(layer)))
                ends = layer.starts[[rows.start, rows.stop]].tolist()
                members = slice(*ends)
                yield rows, functional.embedding_bag(layer.members[members], table, layer.starts[rows] - ends[0],
                                                     mode="sum", per_sample_weights=weights[members])

        def norm(j: int, rows: Iterator[tuple[slice, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
            """Factor and summand of batchnorm j for rows that lack the bias of the linear layer before it."""
            bias = p[f"{i}.{j}.bias"]
            mean, variance = _moments(rows, layer.multiplicity) if by_space else (
                self.running[0, 2 * i + j, run] - bias, self.running[1, 2 * i + j, run])
            scale = p[f"{i}.{j}.scale"] * torch.rsqrt(variance + _EPSILON)
            return scale, p[f"{i}.{j}.shift"] - mean * scale

        scale, shift = norm(0, summed())
        second = p[f"{i}.1.weight"].T
        last_scale, last_shift = norm(1, ((rows, torch.addcmul(shift, x, scale).relu_() @ second)
                                          for rows, x in summed()))
        second = second * last_scale
        result = table.new_empty(len(layer), len(following))
        for rows, x in summed():
            x = torch.addcmul(shift, x, scale).relu_()
            torch.mm(torch.addmm(last_shift, x, second).relu_(), following.T, out=result[rows])
        return result


class _GraphLayers(torch.autograd.Function):
    """All graph layers, and their gradient by the parameters: [R, P] → [R, B · N, WIDTH].

    Matrix products want a run's rows together, [R, B · N, WIDTH]; torch's batchnorm wants those of all runs side by
    side, [B · N, R, WIDTH], and then takes a quarter of the time of the same formula in single operations.
    """

    @staticmethod
    def forward(ctx: Any, theta: torch.Tensor, encoders: SupervisedEncoders, neighbour: torch.Tensor,
                one_hot: torch.Tensor, training: bool) -> torch.Tensor:
        p, r, (cells, n, _) = _views(theta, encoders._layer_shapes), len(theta), one_hot.shape
        unit = torch.eye(n, dtype=theta.dtype, device=theta.device)
        h, tape = one_hot, []
        for i in range(N_LAYERS):
            own = (1 + p[f"{i}.eps"]).repeat_interleave(cells // r, 0).unsqueeze(2) * unit
            messages = neighbour + own
            x = torch.bmm(messages, h).view(r, -1, h.shape[2])
            blocks = []
            for j in range(2):
                product = torch.bmm(x, p[f"{i}.{j}.weight"].transpose(1, 2)).transpose(0, 1)
                linear = torch.add(product, p[f"{i}.{j}.bias"], out=theta.new_empty(product.shape))
                scale, running = p[f"{i}.{j}.scale"].reshape(-1), encoders.running[:, 2 * i + j].view(2, -1)
                out, mean, inverse = torch.native_batch_norm(
                    linear.view(-1, r * WIDTH), scale, p[f"{i}.{j}.shift"].reshape(-1), running[0], running[1],
                    training, _MOMENTUM, _EPSILON)
                out = out.relu_().view_as(linear)
                # The running statistics may have moved on when the gradient is asked for.
                blocks.append((x, linear, scale, mean, inverse, (None, None) if training else running.clone(), out))
                x = out.transpose(0, 1)
            tape.append((messages, h, blocks))
            h = x.reshape(cells, n, WIDTH)
        ctx.encoders, ctx.tape, ctx.training = encoders, tape, training
        ctx.save_for_backward(theta)
        return h.view(r, -1, WIDTH)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_output: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        theta, = ctx.saved_tensors
        p, r = _views(theta, ctx.encoders._layer_shapes), len(theta)
        gradient = torch.zeros_like(theta)
        g = _views(gradient, ctx.encoders._layer_shapes)
        by = by_output
        for i in reversed(range(N_LAYERS)):
            messages, h, blocks = ctx.tape[i]
            for j in (1, 0):
                x, linear, scale, mean, inverse, running, out = blocks[j]
                by = torch.ops.aten.threshold_backward(by.transpose(0, 1), out, 0)
                by, by_scale, by_shift = torch.ops.aten.native_batch_norm_backward(
                    by.reshape(-1, r * WIDTH), linear.view(-1, r * WIDTH), scale, running[0], running[1], mean, inverse,
                    ctx.training, _EPSILON, [True] * 3)
                by = by.view_as(linear)
                g[f"{i}.{j}.scale"].copy_(by_scale.view(r, -1))
                g[f"{i}.{j}.shift"].copy_(by_shift.view(r, -1))
                torch.sum(by, 0, out=g[f"{i}.{j}.bias"])
                torch.bmm(by.permute(1, 2, 0), x, out=g[f"{i}.{j}.weight"])
                if i or j:
                    by = torch.bmm(by.transpose(0, 1), p[f"{i}.{j}.weight"])
            if i:
                by = by.view_as(h)
                g[f"{i}.eps"].copy_((by * h).view(r, -1).sum(1, keepdim=True))
                by = torch.bmm(messages.transpose(1, 2), by).view(r, -1, WIDTH)
            else:
                # Results of only K columns are rounded according to where in memory a run begins; those of WIDTH rows
                # of K, like the weights, begin where a vector does.
                by_weight = torch.bmm(by.permute(1, 2, 0), h.view(r, -1, h.shape[2]))
                g["0.eps"].copy_((by_weight * p["0.0.weight"]).view(r, -1).sum(1, keepdim=True))
        return gradient, None, None, None, None


def _initial(shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> np.ndarray:
    """Parameters of one run in a row, float64: weights and biases within ± 1 / sqrt(inputs), scale 1, all else 0."""
    parts, bound = [], 1.0
    for name, shape in shapes.items():
        if name.endswith("weight"):
            bound = 1 / math.sqrt(shape[1])
        drawn = name.endswith(("weight", "bias"))
        parts.append(rng.uniform(-bound, bound, shape).ravel() if drawn
                     else np.full(shape, float(name.endswith("scale"))))
    return np.concatenate([*parts, np.zeros(-sum(map(len, parts)) % _ALIGNED)])


def _views(flat: torch.Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Parameters [R, P] by name, [R, *shape] each."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = flat.split([*sizes, flat.shape[1] - sum(sizes)], 1)
    return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=False)}


def _moments(rows: Iterator[tuple[slice, torch.Tensor]], multiplicity: torch.Tensor
             ) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each column, every row counted as often as its multiplicity says."""
    count, centre = multiplicity.sum(), None
    for at, x in rows:
        weight = multiplicity[at].to(x.dtype)
        if centre is None:  # About any value of the right size, the sums do not cancel.
            centre = (weight @ x) / weight.sum()
            total, squares = torch.zeros(2, len(centre), dtype=torch.float64, device=centre.device)
        x = x - centre
        total += weight @ x
        squares += weight @ x.square_()
    mean = total / count
    return (centre + mean).to(centre.dtype), (squares / count - mean.square()).to(centre.dtype)
