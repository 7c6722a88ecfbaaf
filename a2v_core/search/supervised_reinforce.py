"""The supervised counterpart of arch2vec-RL (§4.2): the encoder is learned together with the policy, from accuracies.

Each run has its own encoder, a graph isomorphism network with random initial weights, which the gradient of REINFORCE
reaches through the state that the policy sees. Before each episode the run embeds the whole space anew; actions are
answered by nearest cells in that embedding.

In the released code the state is the first cell of the run at every step, encoded with batchnorm over that cell's own
rows: within an episode the policy sees a constant, and nothing of where it is. That code also counts the first cell for
the incumbent, free of charge; here it is never queried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from a2v_core.errors import SettingsError
from a2v_core.search.message_classes import GRAPHS, message_classes
from a2v_core.search.protocol import Problem
from a2v_core.search.reinforce import BY_SPACE as _OF_ARCH2VEC
from a2v_core.search.reinforce import EpisodicReinforce, ReinforceSettings, location_and_scale
from a2v_core.search.retrieval import NearestPoints, retrieve
from a2v_core.search.supervised_encoder import LATENT, N_LAYERS, SupervisedEncoders

# With batchnorm="sample": batches of random cells before each episode, and cells in each. The moving average, of
# momentum 0.1, then is from these to four fifths.
_BATCHES, _BATCH = 16, 64


def _setting(default: Any, meaning: str, source: str, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "source": source, "choices": choices})


@dataclass(frozen=True)
class SupervisedReinforceSettings(ReinforceSettings):
    """Everything that decides a run apart from the problem and the seed.

    Raises:
        SettingsError: a value is not among the choices of its field, or is out of range.
    """

    graph: str = _setting("directed", "what the encoder adds up: A, or A + A^T as arch2vec does",
                          "released code; §3.1.2 for undirected", GRAPHS)
    state: str = _setting("first", "cell that the policy sees: the run's first one, or the last one retrieved",
                          "released code; §3.3.1 for last", ("first", "last"))
    batchnorm: str = _setting("cell", "statistics for the state: of the rows of that one cell, or moving averages over "
                              "random cells, as for the embedding of the space", "released code; sample is ours",
                              ("cell", "sample"))
    encoder_learning_rate: float = _setting(1e-3, "Adam step size of the encoder", "released code")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.encoder_learning_rate > 0:
            raise SettingsError(f"setting encoder_learning_rate={self.encoder_learning_rate!r} must be positive")


#: Changes against the defaults above, which are the released code's on NAS-Bench-101. "The hyperparameters are the same
#: as arch2vec" (§4.2): the graph and the state are, too, where the code is not followed.
RECIPES: dict[str, dict[str, Any]] = {
    "released": {},
    "paper": {"returns": "to_go", "graph": "undirected", "state": "last"},
    "corrected": {"baseline": "running", "standardise": True, "graph": "undirected", "state": "last",
                  "batchnorm": "sample"},
}

#: On NAS-Bench-201, where neither paper nor code has this method, it has arch2vec-RL's settings.
BY_SPACE = _OF_ARCH2VEC


class SupervisedReinforce(EpisodicReinforce):
    """REINFORCE on embeddings that are learned during the search.

    During a proposal each active run holds an embedding of all candidates: 30 MB a run on NAS-Bench-101.

    Args:
        problem, seeds, settings, device: see :class:`~a2v_core.search.reinforce.EpisodicReinforce`.
    """

    def __init__(self, problem: Problem, seeds: Sequence[int],
                 settings: SupervisedReinforceSettings = SupervisedReinforceSettings(), device: str = "auto") -> None:
        super().__init__(problem, seeds, settings, device)
        self._encoders = SupervisedEncoders(len(problem.space.vocabulary), self._rngs, settings.graph,
                                            device=self._device)
        self._optimizer = torch.optim.Adam(self._encoders.parameters, lr=settings.encoder_learning_rate)
        self._classes = message_classes(problem.cells, N_LAYERS, settings.graph).to(self._device)
        self._start(LATENT)
        self._first = self._last
        self._nearest: dict[int, NearestPoints] = {}
        self._shift = self._scale = np.zeros(0)

    def _begin(self, runs: np.ndarray) -> None:
        if self.settings.batchnorm == "sample":
            self._refresh_statistics(runs)
        self._shift, self._scale = (np.full((len(self.seeds), LATENT), x, np.float32) for x in (0, 1))
        self._nearest = {}
        for run in runs:
            points = self._encoders.embed_space(run, self._classes).cpu().numpy()
            if self.settings.standardise:
                self._shift[run], self._scale[run] = location_and_scale(points)
                points = (points - self._shift[run]) / self._scale[run]
            self._nearest[run] = NearestPoints(points)

    def _state(self) -> torch.Tensor:
        cells = self._first if self.settings.state == "first" else self._last
        nodes = self._encode(cells[:, None], training=self.settings.batchnorm == "cell")
        shift, scale = (torch.from_numpy(x).to(self._device) for x in (self._shift, self._scale))
        return (nodes.mean(2).squeeze(1) - shift) / scale

    def _answer(self, actions: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, distances = np.empty(len(runs), np.int64), np.empty(len(runs), np.float32)
        for i, run in enumerate(runs):
            one, nearest = slice(i, i + 1), self._nearest[run]
            rows[one] = retrieve(self.settings.retrieval, nearest, actions[one], self._visited, runs[one], self._rngs)
            distances[one] = nearest.distance(actions[one], rows[one])
        return rows, distances

    def _learn(self, loss: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        super()._learn(loss)
        self._optimizer.step()
        self._nearest = {}

    def _refresh_statistics(self, runs: np.ndarray) -> None:
        """Let random cells pass through the encoders of these runs, so that batchnorm's moving averages follow the
        weights."""
        cells = np.zeros((len(self.seeds), _BATCHES, _BATCH), np.int64)
        for run in runs:
            cells[run] = self._rngs[run].integers(len(self.problem.cells), size=(_BATCHES, _BATCH))
        with torch.no_grad():
            for batch in range(_BATCHES):
                self._encode(cells[:, batch], training=True)

    def _encode(self, cells: np.ndarray, training: bool) -> torch.Tensor:
        """Nodes of cells [R, B], each by the encoder of its run, [R, B, N, LATENT]."""
        adjacency, ops = (torch.from_numpy(x[cells]).to(self._device)
                          for x in (self.problem.cells.adjacency, self.problem.cells.ops))
        return self._encoders.encode(adjacency, ops, training)
