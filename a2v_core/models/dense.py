"""The autoencoder on dense adjacency matrices, several independent models at once.

DGL's layers define the model (:mod:`a2v_core.models.encoders`); this is the same function of the same parameters,
written as batched matrix products. Cells have a dozen nodes, so a step is made of tiny operations whose dispatch costs
more than their arithmetic. Therefore S models of one shape (seeds, for instance) stand side by side in a leading
dimension, and their parameters lie in one array [S, P]: one optimiser step, one norm, for all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch

from a2v_core.models.autoencoder import (
    Autoencoder,
    adjacency_logits,
    adjacency_loss,
    kl_divergence,
    operation_loss,
    term_weights,
)
from a2v_core.recipes import PretrainingSettings

_EPSILON = 1e-5  # of torch's batchnorm
_MOMENTUM = 0.1


class StackedAutoencoder:
    """S autoencoders of one shape.

    Args:
        n_operations: K.
        settings: shape of the model and form of its loss.
        seeds: one initialisation each; S of them.
        device: where the parameters live.
        dtype: float32, or float64 in tests.

    Attributes:
        theta: all trainable parameters, [S, P], requires grad.
        running: batchnorm's running means and variances, [S, Q].
    """

    def __init__(self, n_operations: int, settings: PretrainingSettings, seeds: Sequence[int],
                 device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.n_operations, self.settings, self.seeds = n_operations, settings, tuple(seeds)
        states = []
        for seed in self.seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = Autoencoder(n_operations, settings)
            trainable = {name for name, p in model.named_parameters() if p.requires_grad}
            states.append(model.state_dict())
        self._shapes = {n: v.shape for n, v in states[0].items() if n in trainable}
        self._running_shapes = {n: v.shape for n, v in states[0].items() if n.endswith(("running_mean", "running_var"))}
        self.theta = self._flat(states, self._shapes, device, dtype).requires_grad_()
        self.running = self._flat(states, self._running_shapes, device, dtype)

    @staticmethod
    def _flat(states: Sequence[Mapping[str, torch.Tensor]], names: Mapping[str, torch.Size],
              device: torch.device | str, dtype: torch.dtype) -> torch.Tensor:
        rows = [torch.cat([state[name].flatten() for name in names]) if names else torch.zeros(0) for state in states]
        return torch.stack(rows).to(device=device, dtype=dtype)

    def _views(self, flat: torch.Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
        parts = flat.split([shape.numel() for shape in shapes.values()], 1) if shapes else ()
        return {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def state_dict(self, index: int) -> dict[str, torch.Tensor]:
        """Parameters and running statistics of model `index`, under the names of :class:`Autoencoder`."""
        views = self._views(self.theta.detach(), self._shapes) | self._views(self.running, self._running_shapes)
        return {name: view[index].clone() for name, view in views.items()}

    def select(self, index: int) -> StackedAutoencoder:
        """Model `index` alone, as a stack of one that shares its parameters."""
        single = copy.copy(self)
        single.seeds = self.seeds[index:index + 1]
        single.theta, single.running = self.theta[index:index + 1], self.running[index:index + 1]
        return single

    def load_state_dicts(self, states: Sequence[Mapping[str, torch.Tensor]]) -> None:
        """Replace all parameters by those of `states`, one a model."""
        like = {"device": self.theta.device, "dtype": self.theta.dtype}
        with torch.no_grad():
            self.theta.copy_(self._flat(states, self._shapes, **like))
        self.running = self._flat(states, self._running_shapes, **like)

    def encode(self, adjacency: torch.Tensor, ops: torch.Tensor, training: bool = False,
               theta: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Posterior of the nodes of B cells for each model.

        Args:
            adjacency: uint8 [S, B, N, N].
            ops: uint8 [S, B, N], :data:`a2v_core.cells.PAD` on padded rows.
            training: batchnorm by the statistics of this batch, and running statistics updated.
            theta: parameters to use in place of ``self.theta``.

        Returns:
            mean [S, B, N, D]; log standard deviation [S, B, N, D] or None; running statistics [S, Q] after the batch.
        """
        p = self._views(self.theta if theta is None else theta, self._shapes)
        running = self._views(self.running, self._running_shapes)
        s, b, n = ops.shape
        a = adjacency.to(p["operations.weight"].dtype)
        h = self._one_hot(ops).to(a.dtype).reshape(s, b * n, -1)
        rows = self._rows(ops).to(a.dtype).reshape(s, b * n, 1) if self.settings.mask_padding else None
        if self.settings.encoder == "gcn":
            propagate = _normalised(a).reshape(s * b, n, n)
            for i in range(len(self.settings.hidden)):
                h = torch.relu(_graph_convolution(p, f"encoder.layers.{i}", propagate, h))
            heads = [_graph_convolution(p, f"encoder.{head}", propagate, h) for head in self._heads()]
            return (*self._per_node(heads, s, b, n), self.running)
        updated: dict[str, torch.Tensor] = {}
        for i in range(len(self.settings.hidden)):
            h = self._aggregate(p[f"encoder.layers.{i}.conv.eps"], a, h)
            for j in (0, 3):
                h = _linear(p, f"encoder.layers.{i}.mlp.{j}", h)
                h = torch.relu(_batchnorm(p, running, updated, f"encoder.layers.{i}.mlp.{j + 1}", h, training, rows))
        heads = [_linear(p, f"encoder.{head}", h) for head in self._heads()]
        after = torch.cat([updated[name].flatten(1) for name in self._running_shapes], 1) if training else self.running
        return (*self._per_node(heads, s, b, n), after)

    def decode(self, z: torch.Tensor, theta: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents [S, B, N, D] → logits of the edges [S, B, N, N] (Eq. 3), of the operations [S, B, N, K] (Eq. 4)."""
        p = self._views(self.theta if theta is None else theta, self._shapes)
        return adjacency_logits(z), _linear(p, "operations", z.flatten(1, 2)).unflatten(1, z.shape[1:3])

    def loss(self, theta: torch.Tensor, adjacency: torch.Tensor, ops: torch.Tensor, noise: torch.Tensor | None,
             keep: torch.Tensor | None, training: bool
             ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss of each model on its own batch (:func:`a2v_core.models.autoencoder.term_weights` gives its form).

        Args:
            theta: [S, P].
            adjacency, ops: as in :meth:`encode`.
            noise: standard normal [S, B, N, D] for the reparameterised sample, or None to decode the mean.
            keep: factor on Z in place of dropout, 0 or 1 / (1 - rate), [S, B, N, D]; None for no dropout.
            training: see :meth:`encode`.

        Returns:
            loss [S]; the three terms per graph (operations, adjacency, KL) [S, 3]; sums over the batch of the node
            means and of their squares [S, 2, N, D] (padded rows left out if masked); running statistics [S, Q].
        """
        settings = self.settings
        mean, log_std, running = self.encode(adjacency, ops, training, theta)
        z = mean if noise is None or log_std is None else mean + noise * torch.exp(log_std)
        edges, logits = self.decode(z if keep is None else z * keep, theta)
        mask = self._rows(ops).to(z.dtype) if settings.mask_padding else None
        one_hot = self._one_hot(ops).to(z.dtype)
        terms = [operation_loss(logits, one_hot, settings.operations, mask).mean(1),
                 adjacency_loss(edges, adjacency.to(z.dtype), settings.adjacency, mask).mean(1)]
        terms.append(torch.zeros_like(terms[0]) if log_std is None else kl_divergence(mean, log_std, mask).mean(1))
        stacked = torch.stack(terms, 1)
        b, n = ops.shape[1:]
        weights = term_weights(settings, n, self.n_operations, b)
        loss = sum(w * term for w, term in zip(weights, terms, strict=True))
        latent = mean.detach() if mask is None else mean.detach() * mask.unsqueeze(-1)
        moments = torch.stack((latent.sum(1), latent.square().sum(1)), 1)
        return loss, stacked.detach(), moments, running.detach()

    def _heads(self) -> tuple[str, ...]:
        return ("mean", "log_std") if self.settings.variational else ("mean",)

    @staticmethod
    def _per_node(heads: list[torch.Tensor], s: int, b: int, n: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        shaped = [head.reshape(s, b, n, -1) for head in heads]
        return shaped[0], shaped[1] if len(shaped) > 1 else None

    def _one_hot(self, ops: torch.Tensor) -> torch.Tensor:
        return ops.unsqueeze(-1) == torch.arange(self.n_operations, device=ops.device, dtype=ops.dtype)

    def _rows(self, ops: torch.Tensor) -> torch.Tensor:
        return ops < self.n_operations

    def _aggregate(self, eps: torch.Tensor, a: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """(1 + eps) h + A~ h of Eq. 2, or its two directions side by side: [S, B·N, d] → [S, B·N, d or 2 d]."""
        s, b, n, _ = a.shape
        nodes = h.reshape(s * b, n, -1)
        own = (1 + eps.reshape(s, 1, 1)) * h
        if self.settings.direction == "split":
            into = torch.bmm(a.transpose(-1, -2).reshape(s * b, n, n), nodes).reshape(h.shape)
            out_of = torch.bmm(a.reshape(s * b, n, n), nodes).reshape(h.shape)
            return torch.cat([own + into, out_of], -1)
        return own + torch.bmm((a + a.transpose(-1, -2)).reshape(s * b, n, n), nodes).reshape(h.shape)


def _linear(p: Mapping[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    """x W^T + b for each model: [S, R, i] → [S, R, o]."""
    return torch.baddbmm(p[f"{name}.bias"].unsqueeze(1), x, p[f"{name}.weight"].transpose(1, 2))


def _batchnorm(p: Mapping[str, torch.Tensor], running: Mapping[str, torch.Tensor], updated: dict[str, torch.Tensor],
               name: str, x: torch.Tensor, training: bool, rows: torch.Tensor | None) -> torch.Tensor:
    """Batchnorm over the R rows of each model, [S, R, d] → [S, R, d]; rows [S, R, 1] leaves padded ones out."""
    if training:
        if rows is None:
            count = x.shape[1]
            variance, mean = torch.var_mean(x, 1, keepdim=True, correction=0)
        else:
            count = rows.sum(1, keepdim=True)
            mean = (x * rows).sum(1, keepdim=True) / count
            variance = ((x - mean).square() * rows).sum(1, keepdim=True) / count
        for key, now in (("mean", mean), ("var", variance * count / (count - 1))):
            old = running[f"{name}.running_{key}"]
            updated[f"{name}.running_{key}"] = old + _MOMENTUM * (now.squeeze(1) - old)
    else:
        mean = running[f"{name}.running_mean"].unsqueeze(1)
        variance = running[f"{name}.running_var"].unsqueeze(1)
    scale = p[f"{name}.weight"].unsqueeze(1) * torch.rsqrt(variance + _EPSILON)
    return (x - mean) * scale + p[f"{name}.bias"].unsqueeze(1)


def _normalised(a: torch.Tensor) -> torch.Tensor:
    """D^-1/2 (A + A^T + I) D^-1/2 of Kipf & Welling, [..., N, N]."""
    loops = a + a.transpose(-1, -2) + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    scale = torch.rsqrt(loops.sum(-1))
    return loops * scale.unsqueeze(-1) * scale.unsqueeze(-2)


def _graph_convolution(p: Mapping[str, torch.Tensor], name: str, propagate: torch.Tensor, h: torch.Tensor
                       ) -> torch.Tensor:
    """Propagation and weights in the cheaper order, as DGL's layer: [S, B·N, i] → [S, B·N, o]."""
    weight, n = p[f"{name}.weight"], propagate.shape[-1]
    narrow_last = weight.shape[1] > weight.shape[2]
    x = torch.bmm(h, weight) if narrow_last else h
    x = torch.bmm(propagate, x.reshape(-1, n, x.shape[-1])).reshape(*h.shape[:2], -1)
    return (x if narrow_last else torch.bmm(x, weight)) + p[f"{name}.bias"].unsqueeze(1)
