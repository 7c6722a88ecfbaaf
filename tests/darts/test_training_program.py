import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR

from a2v_core import cli
from a2v_core.artifacts import ArtifactStore
from a2v_core.darts import trainer as trainer_module
from a2v_core.darts.checkpoints import load_checkpoint, save_checkpoint
from a2v_core.darts.command import read_genotype
from a2v_core.darts.images import load_dataset
from a2v_core.darts.trainer import Trainer, split
from a2v_core.darts.training import CHECKPOINT, evaluate, search_accuracy, train
from a2v_core.darts.training_cost import TABLE4_THROUGHPUT, gpu_days, implied_throughput, training_multiply_adds
from a2v_core.darts.training_recipes import TrainingSettings, training_settings
from a2v_core.errors import ArtifactError, MissingDataError, SettingsError
from a2v_core.spaces.darts_genotypes import ARCH2VEC_BO, Genotype

# Few convolutions, since depthwise ones are slow on a processor.
CELL = Genotype((("sep_conv_3x3", 1), ("skip_connect", 0), ("max_pool_3x3", 0), ("skip_connect", 1),
                 ("skip_connect", 2), ("avg_pool_3x3", 0), ("skip_connect", 1), ("skip_connect", 0)))
SMALL = {"channels": 4, "layers": 3, "epochs": 3, "images": 96, "batch_size": 32}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "DGLBACKEND": "pytorch"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, digits):
    torch.set_num_threads(1)
    return train(CELL, training_settings("evaluation", **SMALL), digits, tmp_path_factory.mktemp("whole"),
                 progress=False)


def same_bits(first, second):
    a, b = load_checkpoint(first), load_checkpoint(second)
    weights = all(torch.equal(a["network"][name], b["network"][name]) for name in a["network"])
    momenta = [x["optimizer"]["state"] for x in (a, b)]
    return weights and all(torch.equal(momenta[0][i]["momentum_buffer"], momenta[1][i]["momentum_buffer"])
                           for i in momenta[0])


def measured(history):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


def test_recipes_are_the_published_ones():
    evaluation, query, imagenet = (training_settings(name) for name in ("evaluation", "query_released", "imagenet"))
    assert (evaluation.epochs, evaluation.batch_size, evaluation.channels, evaluation.layers) == (600, 96, 36, 20)
    assert (evaluation.cutout, evaluation.auxiliary_weight, evaluation.drop_path) == (16, 0.4, 0.2)
    assert (evaluation.learning_rate, evaluation.momentum, evaluation.weight_decay) == (0.025, 0.9, 3e-4)
    assert (query.epochs, query.held_out, query.averaged_epochs, query.augment_validation) == (50, 0.1, 5, True)
    assert not training_settings("query_corrected").augment_validation
    assert (imagenet.epochs, imagenet.batch_size, imagenet.learning_rate, imagenet.decay) == (250, 128, 0.1, 0.97)
    assert (imagenet.channels, imagenet.layers, imagenet.label_smoothing, imagenet.weight_decay) == (48, 14, 0.1, 3e-5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"epochs": 0}, "epochs=0 must be at least 1"), ({"epochs": "many"}, "epochs='many' must be of type int"),
    ({"drop_path": 1}, "drop_path=1.0 must be at least 0 and below 1"), ({"clip": 5}, "unknown setting clip"),
    ({"schedule": "linear"}, "cosine, exponential"), ({"learning_rate": float("nan")}, "must be of type float"),
    ({"averaged_epochs": 601}, "exceeds epochs=600"), ({"cutout": -1}, "must not be negative"),
    ({"augment_validation": 1}, "must be of type bool"), ({"batch_size": True}, "must be of type int")])
def test_bad_settings_are_named(changes, message):
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        training_settings("evaluation", **changes)


def test_an_unknown_recipe_is_named():
    with pytest.raises(SettingsError, match="'best': choose one of evaluation"):
        training_settings("best")


@pytest.mark.parametrize(("recipe", "oracle"), [
    ("evaluation", lambda optimizer, s: CosineAnnealingLR(optimizer, s.epochs)),
    ("imagenet", lambda optimizer, s: ExponentialLR(optimizer, s.decay))])
def test_step_sizes_are_those_of_torch_schedulers(recipe, oracle):
    settings = training_settings(recipe, epochs=30)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], settings.learning_rate)
    scheduler = oracle(optimizer, settings)
    for epoch in range(settings.epochs):
        assert settings.learning_rate_at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_drop_path_rises_linearly():
    settings = training_settings("evaluation", epochs=4)
    assert [settings.drop_path_at(epoch) for epoch in range(4)] == pytest.approx([0, 0.05, 0.1, 0.15])


def test_split_holds_out_the_last_images(digits):
    rows, source, validated = split(training_settings("query_released"), digits)
    assert (len(rows), validated.tolist(), source) == (1350, list(range(1350, 1500)), digits.train)
    rows, source, validated = split(training_settings("evaluation", images=200), digits)
    assert (len(rows), len(validated), source) == (200, 297, digits.test)
    with pytest.raises(SettingsError, match="images=2000 exceeds the 1500"):
        split(training_settings(images=2000), digits)
    with pytest.raises(SettingsError, match="leaves a part empty"):
        split(training_settings(images=4, held_out=0.1), digits)


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(digits, lone_trainer):
    trainer = lone_trainer(images=97)
    first, second = trainer.epoch_batches(0), trainer.epoch_batches(1)
    assert [len(rows) for rows in first] == [32, 32, 32]  # batch normalisation cannot take a batch of one
    assert len(np.unique(np.concatenate(first))) == 96
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    assert np.array_equal(trainer.epoch_batches(1)[0], second[0])
    assert [len(rows) for rows in lone_trainer(images=98).epoch_batches(0)] == [32, 32, 32, 2]


@pytest.fixture
def lone_trainer(digits):
    from a2v_core.darts.distributed import Group

    def make(**changes):
        settings = training_settings("evaluation", **SMALL | changes)
        return Trainer(CELL, settings, digits, 0, Group(0, 1, torch.device("cpu")))

    return make


def test_the_loss_falls_and_the_network_generalises(tmp_path, digits):
    settings = training_settings("query_corrected", channels=4, layers=3, epochs=8, images=320, batch_size=32,
                                 averaged_epochs=2, padding=1, cutout=0, auxiliary_weight=0, drop_path=0,
                                 learning_rate=0.1)
    result = train(CELL, settings, digits, tmp_path, progress=False)
    losses = [entry["train_loss"] for entry in result.history]
    assert losses[-1] < 0.6 * losses[0]
    assert result.accuracy > 0.4  # a guess has 0.1
    assert result.accuracy == pytest.approx(np.mean([e["validation_accuracy"] for e in result.history[-2:]]))


def test_one_step_is_that_of_the_formula(lone_trainer, digits):
    """SGD with momentum from rest: parameter - rate x (clipped gradient + decay x parameter)."""
    trainer = lone_trainer(clip_norm=0.5, weight_decay=0.01, auxiliary_weight=0.4, label_smoothing=0.1)
    (x, y), = digits.train.batches([np.arange(32)], None, torch.device("cpu"))
    network = trainer.network.train()
    before = [p.detach().clone() for p in network.parameters()]
    logits, auxiliary = network(x)
    target = torch.full((32, 10), 0.01).scatter_(1, y[:, None], 0.91)
    loss, side = (-(target * torch.log_softmax(z, 1)).sum(1).mean() for z in (logits, auxiliary))
    gradients = torch.autograd.grad(loss + 0.4 * side, list(network.parameters()))
    norm = torch.sqrt(sum(g.square().sum() for g in gradients))
    assert norm > 0.5
    reported, correct = trainer.step(x, y, 32)
    assert reported.item() == pytest.approx(loss.item(), rel=1e-5)
    assert correct == (logits.argmax(1) == y).sum()
    for old, new, gradient in zip(before, network.parameters(), gradients, strict=True):
        expected = old - 0.025 * (gradient * 0.5 / norm + 0.01 * old)
        torch.testing.assert_close(new.detach(), expected, rtol=1e-4, atol=1e-6)


def test_a_run_interrupted_within_an_epoch_ends_with_the_same_bits(tmp_path, digits, uninterrupted, monkeypatch):
    settings, steps = training_settings("evaluation", **SMALL), iter(range(100))

    def step(self, *arguments, _step=Trainer.step):
        if next(steps) == 5:  # in the second of three epochs
            raise KeyboardInterrupt
        return _step(self, *arguments)

    state = torch.random.get_rng_state()
    with monkeypatch.context() as patched:
        patched.setattr(trainer_module.Trainer, "step", step)
        with pytest.raises(KeyboardInterrupt):
            train(CELL, settings, digits, tmp_path, progress=False)
    assert load_checkpoint(tmp_path / CHECKPOINT)["epoch"] == 1
    torch.rand(3)  # the state of the caller's generator does not matter
    result = train(CELL, settings, digits, tmp_path, progress=False)
    assert same_bits(tmp_path / CHECKPOINT, uninterrupted.checkpoint)
    assert measured(result.history) == measured(uninterrupted.history)
    torch.random.set_rng_state(state)
    before = torch.random.get_rng_state()
    train(CELL, settings, digits, tmp_path, progress=False)
    assert torch.equal(before, torch.random.get_rng_state())  # and is not touched


def test_a_killed_process_goes_on_to_the_same_bits(tmp_path, digits, uninterrupted):
    genotype = tmp_path / "cell.txt"
    genotype.write_text(str(CELL))
    command = [sys.executable, "-m", "a2v_core", "darts", "train", str(genotype), "--dataset", "digits",
               "--output", str(tmp_path / "out"), *(f"--set={k}={v}" for k, v in SMALL.items())]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "out" / CHECKPOINT
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert load_checkpoint(checkpoint)["epoch"] < SMALL["epochs"]
    train(CELL, training_settings("evaluation", **SMALL), digits, tmp_path / "out", progress=False)
    assert same_bits(checkpoint, uninterrupted.checkpoint)


def test_another_seed_gives_another_network(tmp_path, digits, uninterrupted):
    result = train(CELL, training_settings("evaluation", **SMALL | {"epochs": 1}), digits, tmp_path, seed=1,
                   progress=False)
    assert result.history[0]["train_loss"] != uninterrupted.history[0]["train_loss"]


def test_a_checkpoint_of_another_training_is_refused(digits, uninterrupted):
    folder = uninterrupted.checkpoint.parent
    with pytest.raises(ArtifactError, match="setting channels is 4 there and 6 here"):
        train(CELL, training_settings("evaluation", **SMALL | {"channels": 6}), digits, folder, progress=False)
    with pytest.raises(ArtifactError, match="seed is 0 there and 1 here"):
        train(CELL, training_settings("evaluation", **SMALL), digits, folder, seed=1, progress=False)
    with pytest.raises(ArtifactError, match="genotype is"):
        train(ARCH2VEC_BO, training_settings("evaluation", **SMALL), digits, folder, progress=False)


def test_a_damaged_or_foreign_checkpoint_is_named(tmp_path, uninterrupted):
    with pytest.raises(MissingDataError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(uninterrupted.checkpoint.read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_checkpoint(damaged)
    torch.save({"weights": torch.zeros(1)}, damaged)
    with pytest.raises(ArtifactError, match="not a checkpoint of this form"):
        load_checkpoint(damaged)
    torch.save({"code": ENVIRONMENT.__class__, "form": np.random.default_rng(0)}, damaged)
    with pytest.raises(ArtifactError, match="cannot be read"):  # it would run code
        load_checkpoint(damaged)


def test_an_unwritable_folder_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "file"
    path.write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot write"):
        save_checkpoint(path / CHECKPOINT, {})


def test_too_little_memory_is_one_line(tmp_path, digits):
    huge = training_settings("evaluation", **SMALL | {"channels": 2**40})
    with pytest.raises(SettingsError, match=r"memory of cpu does not suffice.*batch_size=32.*torchrun"):
        train(CELL, huge, digits, tmp_path, progress=False)


def test_images_and_network_must_fit(tmp_path, digits):
    with pytest.raises(SettingsError, match="network='imagenet' does not fit digits"):
        train(CELL, training_settings("imagenet"), digits, tmp_path, progress=False)
    with pytest.raises(SettingsError, match="batch_size=1 and 1500 training images"):
        train(CELL, training_settings("evaluation", batch_size=1), digits, tmp_path, progress=False)


def test_mixed_precision_trains_and_is_not_the_same(tmp_path, digits, uninterrupted):
    settings = training_settings("evaluation", **SMALL | {"mixed_precision": True, "epochs": 1})
    result = train(CELL, settings, digits, tmp_path, progress=False)
    exact = uninterrupted.history[0]["train_loss"]
    assert result.history[0]["train_loss"] == pytest.approx(exact, rel=0.1)
    assert result.history[0]["train_loss"] != exact
    assert load_checkpoint(result.checkpoint)["network"]["classifier.weight"].dtype == torch.float32


def test_evaluation_gives_the_accuracy_of_the_last_epoch(digits, uninterrupted):
    accuracy, identity = evaluate(uninterrupted.checkpoint, digits, "cpu")
    assert accuracy == uninterrupted.history[-1]["validation_accuracy"]
    assert (identity["dataset"], identity["seed"], identity["genotype"]) == ("digits", 0, str(CELL))


def test_the_imagenet_recipe_trains_on_folders(tmp_path):
    rng = np.random.default_rng(0)
    for part, name in [(part, name) for part in ("train", "val") for name in ("n01", "n02")]:
        (tmp_path / part / name).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 256, (230, 240, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.png")
    settings = training_settings("imagenet", channels=4, layers=3, epochs=1, batch_size=4)
    result = train(CELL, settings, load_dataset("imagenet", tmp_path), tmp_path / "out", progress=False)
    assert result.accuracy in (0, 0.25, 0.5, 0.75, 1)
    assert load_checkpoint(result.checkpoint)["network"]["classifier.bias"].shape == (2,)


def test_a_query_is_trained_once_and_then_read(tmp_path, monkeypatch):
    settings = TrainingSettings(**training_settings("query_released").as_dict() | SMALL | {
        "epochs": 2, "averaged_epochs": 2, "held_out": 0.25})
    store = ArtifactStore(tmp_path)
    ask = {"dataset": "digits", "data_dir": tmp_path, "seed": 3, "device": "cpu", "store": store, "progress": False}
    accuracy, seconds = search_accuracy(CELL, settings, **ask)
    assert 0 <= accuracy <= 1
    assert seconds > 0
    kept = sorted(path.suffix for path in (tmp_path / "artifacts" / "darts_training").iterdir())
    assert kept == [".json", ".sha256"]  # no network is kept
    monkeypatch.setattr("a2v_core.darts.training.train", None)
    assert search_accuracy(str(CELL), settings, **ask) == (accuracy, seconds)


def test_cost_of_a_training_by_hand():
    query = training_settings("query_released")
    assert training_multiply_adds(100, query, 50_000) == 100 * 3 * 45_000 * 50
    assert gpu_days(100, query, 50_000, throughput=100 * 3 * 45_000 * 50 / 86_400) == pytest.approx(1)


def test_the_throughput_is_that_of_table_4():
    """1.2 and 1.3 GPU-days for 600 epochs of networks with 509.0 and 565.8 M multiply-adds."""
    evaluation = training_settings("evaluation")
    implied = [implied_throughput(m, evaluation, 50_000, days) for m, days in ((509.033e6, 1.2), (565.850e6, 1.3))]
    assert implied == pytest.approx([TABLE4_THROUGHPUT] * 2, rel=0.02)


@pytest.fixture
def run(capsys):
    """Run the command line in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run


def test_the_command_trains_and_evaluates(run, tmp_path):
    small = [f"--set={k}={v}" for k, v in (SMALL | {"epochs": 1}).items()]
    code, out, err = run("darts", "train", str(CELL), "--dataset", "digits", "--output", tmp_path, "--seed", 5,
                         "--set=weight_decay=3e-4", *small)
    assert (code, "a2v_core:" in err) == (0, False)
    result = json.loads((tmp_path / "result.json").read_text())
    assert f"test error {100 * (1 - result['accuracy']):.2f} %" in out
    assert (result["seed"], result["settings"]["weight_decay"], len(result["history"])) == (5, 3e-4, 1)
    code, out, _ = run("darts", "evaluate", tmp_path / CHECKPOINT)
    assert code == 0
    error = f"{100 * (1 - result['accuracy']):.2f} %"
    assert out.startswith(f"test error {error} on 297 images of digits; seed 5, Genotype(")


@pytest.mark.parametrize(("arguments", "message"), [
    (["train", "nope"], "genotype 'nope' is neither a file nor one of arch2vec-bo"),
    (["train", "Genotype(normal=[])"], "needs the keywords"),
    (["train", "arch2vec-bo", "--set", "epochs"], "'epochs' is not NAME=VALUE"),
    (["train", "arch2vec-bo", "--set", "epoch=3"], "unknown setting epoch"),
    (["train", "arch2vec-bo", "--recipe", "best"], "unknown recipe 'best'"),
    (["train", "arch2vec-bo", "--dataset", "mnist"], "unknown data set 'mnist'"),
    (["train", "arch2vec-bo", "--dataset", "imagenet"], "give --images FOLDER"),
    (["train", "arch2vec-bo", "--images", "nowhere"], "cifar-10-python.tar.gz is missing"),
    (["evaluate", "nowhere.pt"], "no checkpoint nowhere.pt")])
def test_a_wrong_command_is_one_line(run, arguments, message):
    code, _, err = run("darts", *arguments)
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


def test_genotypes_by_name_and_file(tmp_path):
    path = tmp_path / "cell.txt"
    path.write_text(f"{ARCH2VEC_BO}\n")
    assert read_genotype("arch2vec-bo") == ARCH2VEC_BO
    assert str(read_genotype(str(path))) == str(ARCH2VEC_BO) == str(read_genotype(str(ARCH2VEC_BO)))
