"""Speed of embedding and decoding on NAS-Bench-101, one thread: python benchmarks/embedding.py [--json PATH]

Embedding of cells, and decoding of 10,000 draws with validity and keys, against the ways that take one cell at a time,
and against DGL in batches. The model is untrained: the work is the same. Times are processor time.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import plain_cells
import torch
from record import Step, Target, in_turns, machine_limit, row, write_steps

from a2v_core.cells import PAD, Cells
from a2v_core.generation import decode_latents, draw_latents, encode_cells
from a2v_core.models.autoencoder import Autoencoder
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.pretraining import Pretrained, embed
from a2v_core.recipes import PretrainingSettings, pretraining_settings
from a2v_core.spaces import get_space
from a2v_core.spaces.base import SearchSpace

EMBEDDED, IN_BATCHES, ONE_BY_ONE, BATCH, DRAWS = 16_384, 640, 200, 32, 10_000
OURS = "ours, all cells in blocks"
# Smallest embedding rate in cells a second, longest time of 10,000 draws.
TARGETS = {"cells/s": 30_000, "decode s": 2.0}


def reference_of(model: StackedAutoencoder, k: int, settings: PretrainingSettings) -> Autoencoder:
    """The same model on DGL's layers, in evaluation mode."""
    reference = Autoencoder(k, settings)
    reference.load_state_dict(model.state_dict(0))
    return reference.eval()


def embed_one_by_one(model: Autoencoder, cells: Cells, k: int) -> np.ndarray:
    """One dense forward pass a cell."""
    found = []
    with torch.no_grad():
        for i in range(len(cells)):
            a = torch.from_numpy(cells.adjacency[i]).float()
            h, neighbours = torch.from_numpy(cells[i].one_hot(k))[0].float(), a + a.T
            for layer in model.encoder.layers:
                h = layer.mlp((1 + layer.conv.eps) * h + neighbours @ h)
            found.append(model.encoder.mean(h).mean(0).numpy())
    return np.array(found)


def embed_by_dgl(model: Autoencoder, cells: Cells, k: int) -> np.ndarray:
    """DGL's layers on batches of graphs; making the graphs is part of it."""
    import dgl

    from a2v_core.models.encoders import graph_of

    x, found = torch.from_numpy(cells.one_hot(k)).float(), []
    with torch.no_grad():
        for start in range(0, len(cells), BATCH):
            graphs = dgl.batch([graph_of(matrix) for matrix in cells.adjacency[start:start + BATCH]])
            part = x[start:start + BATCH]
            mean, _ = model.encoder(graphs, part.flatten(0, 1))
            found.append(mean.view(*part.shape[:2], -1).mean(1).numpy())
    return np.concatenate(found)


def compare_embedding(model: StackedAutoencoder, cells: Cells, k: int, settings: PretrainingSettings, turns: int
                      ) -> Step:
    n = cells.ops.shape[1]
    reference = reference_of(model, k, settings)
    pretrained = Pretrained(model, torch.zeros(n, settings.latent), torch.ones(n, settings.latent), {}, "")
    one, dgl = "one cell a forward pass, plain PyTorch", f"DGL, batches of {BATCH}"
    seconds, found = in_turns({OURS: lambda: embed(pretrained, cells[:EMBEDDED]),
                               one: lambda: embed_one_by_one(reference, cells[:ONE_BY_ONE], k),
                               dgl: lambda: embed_by_dgl(reference, cells[:IN_BATCHES], k)}, turns,
                              {OURS: EMBEDDED, one: ONE_BY_ONE, dgl: IN_BATCHES})
    widths = (k, *settings.hidden)
    products = sum(n * (n * i + i * o + o * o) for i, o in pairwise(widths))
    limit = machine_limit(2 * (products + n * widths[-1] * settings.latent))
    rows = [row("a cell", OURS, other, seconds,
                f"largest difference {np.abs(found[other] - found[OURS][:len(found[other])]).max():.1e}", limit)
            for other in (one, dgl)]
    return Step(
        "Embedding NAS-Bench-101",
        "From cells to 16 numbers each by the encoder of recipe `released`. The original passes one cell at a time "
        "through it; the usual way with DGL is a batch of graphs, of which building the graphs is part.",
        "Larger batches of DGL; a GPU.",
        rows, [Target("embedded cells", 1 / rows[0].seconds, ">=", TARGETS["cells/s"], "a second")])


def lists_of(cells: Cells) -> list[tuple[list[list[int]], list[int]]]:
    """Matrix and operations of each cell as lists, without padding."""
    sizes = (cells.ops != PAD).sum(1)
    return [(a[:n, :n].tolist(), ops[:n].tolist()) for a, ops, n in zip(cells.adjacency, cells.ops, sizes, strict=True)]


def one_by_one(model: Autoencoder, latents: torch.Tensor, members: list[tuple[list[list[int]], list[int]]]
               ) -> tuple[list[bool], list[str]]:
    """Decode, test and hash one draw after the other. Hashed is a member of the space, as if every draw were valid."""
    valid, keys = [], []
    with torch.no_grad():
        for z, member in zip(latents, members, strict=True):
            matrix = (torch.sigmoid(z @ z.T) > 0.5).int().triu(1).tolist()
            valid.append(plain_cells.is_valid(matrix, torch.sigmoid(model.operations(z)).argmax(1).tolist()))
            keys.append(plain_cells.module_hash(*plain_cells.prune(*member)))
    return valid, keys


def compare_decoding(model: StackedAutoencoder, space: SearchSpace, members: Cells, k: int,
                     settings: PretrainingSettings, turns: int) -> Step:
    nodes = encode_cells(model, members)
    latents = draw_latents(nodes.mean(0), nodes.std(0), 0, DRAWS)
    reference, listed = reference_of(model, k, settings), lists_of(members[:ONE_BY_ONE])
    ours, other = "ours, all draws together", "one draw at a time, plain Python"

    def together() -> tuple[np.ndarray, np.ndarray]:
        return space.is_valid(decode_latents(model, latents)), space.keys(members)

    few = latents[:ONE_BY_ONE]
    seconds, found = in_turns({ours: together, other: lambda: one_by_one(reference, few, listed)}, turns,
                              {ours: DRAWS, other: ONE_BY_ONE})
    equal = (found[ours][0][:ONE_BY_ONE] == found[other][0]).all() and [
        key.decode() for key in found[ours][1][:ONE_BY_ONE]] == found[other][1]
    made = row("a draw", ours, other, seconds, "equal" if equal else "DIFFERENT")
    return Step(
        "Decoding, validity and uniqueness",
        "From a draw of the prior to a cell, its validity and its key, which Table 1 does 10,000 times a model. The "
        "original decodes, tests and hashes one draw at a time. Keys are made of as many members of the space, as if "
        "every draw were valid: the most work there can be.",
        "A limit of the machine: hardly any of the work is arithmetic.",
        [made], [Target("10,000 draws", made.seconds * DRAWS, "<=", TARGETS["decode s"], "s")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7, help="turns of each way (default 7)")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = get_space("nasbench101")
    settings, k, cells = pretraining_settings("released"), len(space.vocabulary), space.cells()
    model = StackedAutoencoder(k, settings, (0,))
    sample = cells[np.random.default_rng(0).permutation(len(cells))[:EMBEDDED]]
    steps = [compare_embedding(model, sample, k, settings, arguments.turns),
             compare_decoding(model, space, sample[:DRAWS], k, settings, arguments.turns)]
    for step in steps:
        for each in step.rows:
            print(f"{step.title}: {1 / each.seconds:,.0f} a second; {each.other}: {each.ratio:,.1f} times ours "
                  f"({each.least:,.1f} to {each.greatest:,.1f}); {each.same}")
    write_steps(arguments.json, steps)


if __name__ == "__main__":
    main()
