"""Pre-trained models on disk: found again, resumed after any kill to the same bits, and refused when damaged."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from made_cells import moved_away, random_cells, relabelled

from a2v_core import pretraining, training
from a2v_core.artifacts import ArtifactStore
from a2v_core.errors import ArtifactError, SettingsError
from a2v_core.generation import encode_cells
from a2v_core.models.dense import StackedAutoencoder
from a2v_core.pretraining import Pretrained, embed, pretrain, published_path, training_key
from a2v_core.recipes import pretraining_settings

torch.set_num_threads(1)
K = 5
SETTINGS = pretraining_settings("corrected", hidden=(8, 8), latent=3, epochs=3, dropout=0.1)


@pytest.fixture(scope="module")
def cells():
    return random_cells(150, 7, K)  # 135 to train: four batches of 32 and one of 7


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch):
    """An empty folder in place of the published models of the checkout."""
    folder = tmp_path / "published"
    (folder / "space").mkdir(parents=True)
    monkeypatch.setattr(pretraining, "published_dir", lambda: folder)
    return folder


def run(cells, store, seeds=(0,), settings=SETTINGS, **options):
    return pretrain(cells, K, settings, seeds, store=store, **{"compiled": False, "progress": False} | options)


@pytest.fixture(scope="module")
def uninterrupted(cells, tmp_path_factory):
    return run(cells, ArtifactStore(tmp_path_factory.mktemp("uninterrupted")), (0, 1))


def same_bits(found, expected):
    for a, b in zip(found, expected, strict=True):
        first, second = a.model.state_dict(0), b.model.state_dict(0)
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert torch.equal(a.latent_mean, b.latent_mean)
        assert torch.equal(a.latent_std, b.latent_std)
        assert a.key == b.key
        for x, y in zip(a.record["history"], b.record["history"], strict=True):
            assert {**x, "seconds": 0} == {**y, "seconds": 0}
    return True


def forbid_training(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("trained although the model is stored")

    monkeypatch.setattr(pretraining, "train", refuse)


def test_a_model_is_trained_once_and_found_again(cells, store, monkeypatch, uninterrupted):
    trained = run(cells, store, (0, 1))
    same_bits(trained, uninterrupted)
    assert not list((store.root / "checkpoints").glob("*"))
    forbid_training(monkeypatch)
    same_bits(run(cells, store, (1,)) + run(cells, store, (0,)), [trained[1], trained[0]])


def test_the_record_says_what_was_trained_and_how(cells, uninterrupted):
    for seed, trained in enumerate(uninterrupted):
        record = trained.record
        assert record["settings"] == SETTINGS.as_dict()
        assert (record["seed"], record["stacked_seeds"]) == (seed, [0, 1])
        assert (record["n_cells"], record["n_operations"]) == (150, K)
        assert record["cells"] == cells.digest()
        assert record["seconds_of_stack"] > 0
        assert record["versions"]["torch"] == torch.__version__
        assert [entry["epoch"] for entry in record["history"]] == [1, 2, 3]
        assert all(isinstance(entry["kl"], float) for entry in record["history"])
        assert trained.latent_mean.shape == trained.latent_std.shape == (7, 3)


def test_the_key_depends_on_settings_seed_and_cells(cells):
    keys = {training_key(cells, SETTINGS, 0), training_key(cells, SETTINGS, 1), training_key(cells[:149], SETTINGS, 0),
            training_key(cells, pretraining_settings("corrected", hidden=(8, 8), latent=3, epochs=3), 0)}
    assert len(keys) == 4
    assert training_key(cells, SETTINGS, 0) in keys


def test_only_missing_seeds_are_trained(cells, store, monkeypatch):
    run(cells, store, (0,))
    seen, real = [], pretraining.train

    def record(cells, k, settings, seeds, **options):
        seen.append(list(seeds))
        return real(cells, k, settings, seeds, **options)

    monkeypatch.setattr(pretraining, "train", record)
    assert [t.record["seed"] for t in run(cells, store, (1, 0, 2))] == [1, 0, 2]
    assert seen == [[1, 2]]


def test_what_on_epoch_notes_is_kept_for_each_seed(cells, store):
    def on_epoch(model, state):
        state.history[-1]["marks"] = [10 * state.epoch + i for i in range(len(model.seeds))]

    trained = run(cells, store, (0, 1), on_epoch=on_epoch)
    assert [[e["marks"] for e in t.record["history"]] for t in trained] == [[10, 20, 30], [11, 21, 31]]


@pytest.mark.parametrize("step", [5, 7, 14], ids=["before the second epoch", "inside it", "in the last step"])
def test_a_run_stopped_by_hand_resumes_to_the_same_bits(cells, store, monkeypatch, uninterrupted, step):
    """Each epoch has 5 steps; the interrupt comes after `step` of them."""
    real, steps = training._Step.__call__, []

    def interrupted(self, *arguments):
        if len(steps) == step:
            raise KeyboardInterrupt
        steps.append(1)
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training._Step, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(cells, store, (0, 1))
    resumed = []
    assert same_bits(run(cells, store, (0, 1), on_epoch=lambda _m, state: resumed.append(state.epoch)), uninterrupted)
    assert resumed == list(range(step // 5 + 1, 4))


def interrupt_before_checkpoint(cells, store, epoch):
    """Train until an epoch is over and its checkpoint not yet written."""
    def on_epoch(_model, state):
        if state.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cells, store, (0, 1), on_epoch=on_epoch)


def test_an_interrupt_between_an_epoch_and_its_checkpoint_costs_that_epoch_alone(cells, store, uninterrupted):
    interrupt_before_checkpoint(cells, store, 2)
    resumed = []
    assert same_bits(run(cells, store, (0, 1), on_epoch=lambda _m, state: resumed.append(state.epoch)), uninterrupted)
    assert resumed == [2, 3]


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    import test_pretraining
    from a2v_core import training
    from a2v_core.artifacts import ArtifactStore

    real, steps = training._Step.__call__, []

    def killed(self, *arguments):
        if len(steps) == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(1)
        return real(self, *arguments)

    training._Step.__call__ = killed
    test_pretraining.run(test_pretraining.random_cells(150, 7, 5), ArtifactStore({root!r}), (0, 1))
"""


def test_a_killed_process_resumes_to_the_same_bits(cells, tmp_path, uninterrupted):
    """SIGKILL, which nothing can catch, in the third of five steps of the last epoch."""
    script = textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent), root=str(tmp_path)))
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120,
                            env={**os.environ, "A2V_DATA_DIR": str(tmp_path)})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed, store = [], ArtifactStore(tmp_path)
    assert len(list((store.root / "checkpoints").glob("*.npz"))) == 1
    assert not list((store.root / "pretrained").glob("*"))
    assert same_bits(run(cells, store, (0, 1), on_epoch=lambda _m, state: resumed.append(state.epoch)), uninterrupted)
    assert resumed == [3]


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_noticed_and_the_run_starts_anew(cells, store, uninterrupted):
    interrupt_before_checkpoint(cells, store, 3)
    checkpoint, = (store.root / "checkpoints").glob("*.npz")
    damage(checkpoint)
    resumed = []
    with pytest.warns(UserWarning, match="damaged"):
        found = run(cells, store, (0, 1), on_epoch=lambda _m, state: resumed.append(state.epoch))
    assert same_bits(found, uninterrupted)
    assert resumed == [1, 2, 3]


def test_a_damaged_model_is_noticed_and_trained_again(cells, store):
    first = run(cells, store)
    damage(store.path("pretrained", first[0].key, ".safetensors"))
    with pytest.warns(UserWarning, match="damaged"):
        again = run(cells, store)
    assert same_bits(again, first)


def test_a_published_model_is_used(cells, store, published, monkeypatch):
    first = run(cells, store)
    path = published / "space" / f"any-name-{first[0].key}.safetensors"
    store.path("pretrained", first[0].key, ".safetensors").rename(path)
    assert published_path(first[0].key) == path
    assert published_path("0" * 20) is None
    forbid_training(monkeypatch)
    assert same_bits(run(cells, ArtifactStore(store.root / "elsewhere")), first)


@pytest.mark.parametrize("kind", ["cut", "empty", "header", "no record", "other model"])
def test_a_damaged_published_model_is_a_clear_error(cells, store, published, kind):
    first, = run(cells, store)
    content = store.load_bytes("pretrained", first.key, ".safetensors")
    if kind == "cut":
        content = content[:-20]
    elif kind == "empty":
        content = b""
    elif kind == "header":
        content = content[:8] + b"?" + content[9:]
    elif kind == "no record":
        content = content.replace(b"__metadata__", b"__metabata__", 1)
    else:
        other, = run(cells, store, settings=pretraining_settings(hidden=(4,), latent=3, epochs=1))
        content = store.load_bytes("pretrained", other.key, ".safetensors")
    path = published / "space" / f"model-{first.key}.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{first.key} is damaged"):
        run(cells, ArtifactStore(store.root / "elsewhere"))


def test_a_full_disk_stops_the_run_with_a_clear_error_and_keeps_the_last_checkpoint(cells, store, monkeypatch,
                                                                                   uninterrupted):
    def on_epoch(_model, state):
        if state.epoch == 2:
            def full(*_args):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(ArtifactError, match="No space left"):
        run(cells, store, (0, 1), on_epoch=on_epoch)
    monkeypatch.undo()
    monkeypatch.setattr(pretraining, "published_dir", lambda: None)
    resumed = []
    assert same_bits(run(cells, store, (0, 1), on_epoch=lambda _m, state: resumed.append(state.epoch)), uninterrupted)
    assert resumed == [2, 3]


def test_an_unreachable_device_is_a_settings_error_whether_or_not_the_model_is_stored(cells, store):
    for _ in range(2):
        with pytest.raises(SettingsError, match="abacus"):
            run(cells, store, device="abacus")
        run(cells, store)


# --- embeddings ------------------------------------------------------------------------------------------------------


def model_of(dtype=torch.float32, **changes):
    settings = pretraining_settings(**{"hidden": (9, 9), "latent": 3} | changes)
    model = moved_away(StackedAutoencoder(K, settings, (0,), dtype=dtype))
    return Pretrained(model, torch.zeros(7, 3), torch.ones(7, 3), {"seed": 0}, "key")


@pytest.mark.parametrize("readout", ["mean", "sum"])
@pytest.mark.parametrize("changes", [{}, {"direction": "split"}, {"encoder": "gcn"}, {"mask_padding": True},
                                     {"encoder": "gcn", "mask_padding": True}])
def test_embedding_is_the_readout_of_the_node_means(readout, changes):
    many = random_cells(700, 7, K)  # more than two chunks
    trained = model_of(readout=readout, **changes)
    nodes = encode_cells(trained.model, many).numpy()
    found = embed(trained, many)
    assert (found.shape, found.dtype) == ((700, 3), np.float32)
    for i in (0, 1, 350, 699):
        rows = slice(0, int(many.n_nodes[i])) if trained.model.settings.mask_padding else slice(None)
        expected = getattr(nodes[i, rows], readout)(0)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"direction": "split"}, {"encoder": "gcn"}, {"mask_padding": True}])
def test_embedding_does_not_depend_on_the_order_of_the_nodes(changes):
    many = random_cells(40, 8, K)
    trained = model_of(**changes)
    np.testing.assert_allclose(embed(trained, many), embed(trained, relabelled(many)), rtol=1e-4, atol=1e-5)


def test_embedding_of_no_cells_is_empty():
    assert embed(model_of(), random_cells(5, 7, K)[:0]).shape == (0, 3)
