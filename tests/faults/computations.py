"""Tiny computations that other processes are killed in, and what is left of them on disk as comparable bits."""

import hashlib
import io
import json
import os
import signal
import warnings
from pathlib import Path

import numpy as np
from made_cells import random_cells
from safetensors.torch import load

from a2v_core import study, table1
from a2v_core.artifacts import ArtifactStore
from a2v_core.parallel import one_thread
from a2v_core.pretraining import pretrain
from a2v_core.recipes import pretraining_settings
from a2v_core.search import blocks, resumable
from a2v_core.search.blocks import Arm, run_study
from a2v_core.search.runs import Budget
from a2v_core.spaces import get_space

K = 5
CELLS = random_cells(60, 7, K)
#: What a store says of files that are not what was written.
COMPLAINTS = "damaged|unreadable|not cached"


def pretraining(folder, epochs=2, seeds=(0, 1), **options):
    """Autoencoders, trained together."""
    settings = pretraining_settings("corrected", hidden=(8, 8), latent=3, epochs=epochs, dropout=0.1)
    with one_thread():
        return pretrain(CELLS, K, settings, seeds, store=ArtifactStore(folder), device="cpu", compiled=False,
                        progress=False, **options)


def pretraining_alone(folder, epochs=2):
    """One autoencoder. Of a stack that is killed between the writes of its models, the unwritten ones are trained again
    without the others: equal to rounding, not to the bit."""
    return pretraining(folder, epochs, seeds=(0,))


def searching(folder, n_blocks=2):
    """Blocks of two runs each of the made searcher."""
    before, blocks.BLOCK = blocks.BLOCK, 2
    try:
        arm = Arm("made", "noisy", "made", Budget(seconds=200.0), runs=2 * n_blocks)
        return run_study([arm], data_dir=str(folder), n_jobs=1)
    finally:
        blocks.BLOCK = before


def searching_round_by_round(folder, n_blocks=1):
    """The same, with the state of the searcher kept after each round."""
    before, resumable.SECONDS_BETWEEN = resumable.SECONDS_BETWEEN, 0.0
    try:
        return searching(folder, n_blocks)
    finally:
        resumable.SECONDS_BETWEEN = before


def everything(folder):
    """An artifact of each kind: a model, a record of it as JSON, a block of runs, arrays."""
    store, space = ArtifactStore(folder), get_space("nasbench201")
    pretraining(folder, seeds=[0])
    searching(folder, 1)
    store.arrays("arrays", "key", lambda: {"ops": CELLS.ops, "adjacency": CELLS.adjacency})
    arm = table1.Arm(space.name, "released", "arch2vec", {"hidden": (8,), "latent": 3})
    with one_thread():
        table1.run_arm(arm, space, space.cells()[:40], [0], store=store, epochs=1, draws=5, device="cpu",
                       compiled=False, progress=False)


def page(folder, root):
    """The one page of a study; its notebook computes into `folder`, and its results lie there as well."""
    return study.run(profile="smoke", parameters={"data_dir": str(folder)}, output=folder / "results", root=root)


def strictly(job, *arguments):
    """Run a computation to which any complaint about its files is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", f".*({COMPLAINTS})")
        job(*arguments)


def killed_at_write(n, job, *arguments):
    """Run a computation and kill this process before its n-th flush or renaming of a file, counted from 0."""
    done = []

    def counted(real):
        def call(*given, **options):
            if len(done) == n:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(1)
            return real(*given, **options)

        return call

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    strictly(job, *arguments)


def bits(folder):
    """What the store of a data folder holds, by kind and key: digests of all that does not tell the time. Every file
    has to be whole."""
    root, found = Path(folder) / "artifacts", {}
    for path in sorted(root.glob("*/[!.]*")):
        if path.suffix == ".sha256":
            continue
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        assert digest in path.with_name(path.name + ".sha256").read_text().split(), f"{path} is not whole"
        if path.suffix == ".safetensors":
            header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
            history = json.loads(header["__metadata__"]["record"])["history"]
            tensors = {name: tensor.numpy() for name, tensor in load(content).items()}
            digest = [_digest(tensors), [{**entry, "seconds": 0} for entry in history]]
        elif path.suffix == ".npz":
            with np.load(io.BytesIO(content)) as archive:
                digest = _digest(dict(archive))
        found[str(path.relative_to(root))] = digest
    return found


def _digest(arrays):
    return {name: (str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest())
            for name, array in sorted(arrays.items())}
