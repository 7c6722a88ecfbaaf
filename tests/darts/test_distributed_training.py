"""Two processes on this machine against one, started by torch's own launcher."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from a2v_core.darts.distributed import Group
from a2v_core.darts.images import load_dataset
from a2v_core.darts.trainer import Trainer
from a2v_core.darts.training import CHECKPOINT
from a2v_core.darts.training_recipes import training_settings
from a2v_core.spaces.darts_genotypes import Genotype

CELL = Genotype((("sep_conv_3x3", 1), ("none", 0), ("max_pool_3x3", 0), ("skip_connect", 1),
                 ("skip_connect", 2), ("avg_pool_3x3", 0), ("dil_conv_3x3", 1), ("skip_connect", 0)))
SMALL = {"channels": 4, "layers": 3, "epochs": 2, "images": 64, "batch_size": 32}

# In evaluation mode batch normalisation acts on each image alone; in training mode its statistics on processors are
# those of a process's own part of the batch, so that no equality with one process could be expected.
GRADIENTS = """
import sys, torch
from torch import nn
from tests_gradient import gradients
from a2v_core.darts.distributed import process_group

with process_group("cpu") as group:
    found = gradients(group)
    if group.is_first:
        torch.save(found, sys.argv[1])
    group.wait()
"""
SHARED = f"""
import numpy as np, torch
from torch import nn
from a2v_core.darts.images import load_dataset
from a2v_core.darts.trainer import Trainer
from a2v_core.darts.training_recipes import training_settings

def gradients(group):
    torch.set_default_dtype(torch.float64)
    settings = training_settings("evaluation", label_smoothing=0.1, **{SMALL!r})
    data = load_dataset("digits")
    trainer = Trainer({str(CELL)!r}, settings, data, 0, group)
    trainer.network.train()
    for module in trainer.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    rows = np.arange(7)  # parts of four and three
    part, = group.share([rows])
    (x, y), = data.train.batches([part], None, group.device)
    loss, _ = trainer.backward(x.double(), y, len(rows))
    return {{"loss": group.total(loss / group.size),
            "gradients": [p.grad for p in trainer.network.parameters()]}}
"""


def torchrun(tmp_path, *arguments, n_processes=2):
    """Run a program in several processes; returns the finished process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DGLBACKEND": "pytorch", "CUDA_VISIBLE_DEVICES": "",
                   "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_processes)]
    return subprocess.run([*command, *map(str, arguments)], env=environment, capture_output=True, text=True,
                          timeout=600, check=False)


def test_two_processes_give_the_gradient_of_one(tmp_path):
    (tmp_path / "tests_gradient.py").write_text(SHARED)
    (tmp_path / "program.py").write_text(GRADIENTS)
    finished = torchrun(tmp_path, tmp_path / "program.py", tmp_path / "found.pt")
    assert finished.returncode == 0, finished.stderr
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    scope: dict = {}
    exec(SHARED, scope)
    try:
        expected = scope["gradients"](Group(0, 1, torch.device("cpu")))
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-12, atol=0)
    scale = max(float(g.abs().max()) for g in expected["gradients"])
    for one, two in zip(expected["gradients"], found["gradients"], strict=True):
        torch.testing.assert_close(two, one, rtol=1e-9, atol=1e-12 * scale)


def test_the_command_under_torchrun(tmp_path):
    """Both processes train one network to the end; the first one writes what a single process can evaluate."""
    (tmp_path / "cell.txt").write_text(str(CELL))
    finished = torchrun(tmp_path, "-m", "a2v_core", "darts", "train", tmp_path / "cell.txt", "--dataset", "digits",
                        "--output", tmp_path / "out", *(f"--set={k}={v}" for k, v in SMALL.items()))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("test error") == 1
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [entry["processes"] for entry in result["history"]] == [2, 2]
    from a2v_core.darts.training import evaluate

    accuracy, _ = evaluate(tmp_path / "out" / CHECKPOINT, load_dataset("digits"), "cpu")
    assert accuracy == pytest.approx(result["history"][-1]["validation_accuracy"], abs=1 / 297 + 1e-9)


def test_a_missing_dataset_is_told_once(tmp_path):
    finished = torchrun(tmp_path, "-m", "a2v_core", "darts", "train", "arch2vec-bo", "--images", tmp_path / "none")
    assert finished.returncode != 0
    ours = [line for line in finished.stderr.splitlines() if line.startswith("a2v_core:")]
    assert len(ours) == 1
    assert "cifar-10-python.tar.gz is missing" in ours[0]


def test_shares_of_a_batch_are_its_parts():
    parts = [Group(rank, 3, torch.device("cpu")).share([np.arange(8), np.arange(3)]) for rank in range(3)]
    assert [part[0].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert [len(part[1]) for part in parts] == [1, 1, 1]


def test_a_last_batch_too_small_for_all_processes_is_left_out():
    """Two images for each process are the least that batch normalisation takes."""
    data = load_dataset("digits")

    def lengths(images, size):
        trainer = Trainer.__new__(Trainer)
        trainer.settings, trainer.seed = training_settings("evaluation", **SMALL), 0
        trainer.train_rows, trainer.group, trainer.data = np.arange(images), Group(0, size, torch.device("cpu")), data
        return [len(rows) for rows in trainer.epoch_batches(0)]

    assert lengths(36, 2) == [32, 4]
    assert lengths(35, 2) == [32]
    assert lengths(35, 1) == [32, 3]
