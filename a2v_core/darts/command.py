"""The command line ``python -m a2v_core darts train|evaluate|search``. Heavy modules load inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2v_core.darts.training_search import darts_search, parse_change
from a2v_core.errors import SettingsError

if TYPE_CHECKING:
    from a2v_core.darts.distributed import Group
    from a2v_core.darts.images import ImageDataset
    from a2v_core.spaces.darts_genotypes import Genotype, NetworkGenotype

darts_app = typer.Typer(help="Networks of the DARTS space, trained for real.", no_args_is_help=True)
darts_app.command("search")(darts_search)

Images = Annotated[Path | None, typer.Option("--images", help="Folder of the data set's files: "
                                             "cifar-10-python.tar.gz, or ImageNet's train/ and val/.")]
Download = Annotated[bool, typer.Option("--download", help="Get CIFAR-10 (170 MB) where it is missing.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Data folder; $A2V_DATA_DIR or data/ otherwise.")]


@darts_app.command("train")
def darts_train(
    genotype: Annotated[str, typer.Argument(help="arch2vec-bo, arch2vec-rl, darts-first-order, darts-second-order, a "
                                            "file, or the text Genotype(…) itself.")],
    dataset: Annotated[str, typer.Option(help="cifar10, imagenet or digits.")] = "cifar10",
    recipe: Annotated[str, typer.Option(
        help="evaluation, query_released, query_corrected or imagenet.")] = "evaluation",
    change: Annotated[list[str] | None, typer.Option(
        "--set", metavar="NAME=VALUE", help="A changed setting, for example epochs=50; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of initialisation, order, augmentation and drop-path.")] = 0,
    images: Images = None,
    download: Download = False,
    output: Annotated[Path | None, typer.Option(help="Folder of checkpoint and result; one named by what is trained "
                                                "below the data folder otherwise.")] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Train a network; a stopped training goes on from its last epoch, to the same bits. Several GPUs:
    torchrun --nproc-per-node 4 -m a2v_core darts train …"""
    from a2v_core.artifacts import ArtifactStore, artifact_key, write_atomically
    from a2v_core.darts.distributed import process_group
    from a2v_core.darts.trainer import training_identity
    from a2v_core.darts.training import train
    from a2v_core.darts.training_recipes import training_settings

    cells = read_genotype(genotype)
    settings = training_settings(recipe, **dict(map(parse_change, change or [])))
    with process_group(device) as group:
        data = _load(group, dataset, images, data_dir, download)
        identity = training_identity(cells, settings, data, seed)
        folder = output or ArtifactStore(data_dir).root / "darts_networks" / artifact_key(identity)
        if group.is_first:
            print(f"training on {data.name}, {settings.epochs} epochs, {group.size} x {group.device.type}; "
                  f"checkpoint in {folder}", flush=True)
        result = train(cells, settings, data, folder, seed=seed, device=device)
        if group.is_first:
            found = {**identity, "recipe": recipe, "accuracy": result.accuracy, "seconds": result.seconds,
                     "history": result.history}
            write_atomically(folder / "result.json", (json.dumps(found, indent=1) + "\n").encode())
            kind = "validation" if settings.held_out else "test"
            print(f"{kind} error {100 * (1 - result.accuracy):.2f} %, mean of the last {settings.averaged_epochs} of "
                  f"{settings.epochs} epochs; {result.seconds:.0f} s; {result.checkpoint}")


@darts_app.command("evaluate")
def darts_evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a training.")],
    images: Images = None,
    download: Download = False,
    device: Device = "auto",
    data_dir: DataDir = None,
) -> None:
    """Error of a trained network on the test images (ImageNet: the validation images)."""
    from a2v_core.darts.checkpoints import load_checkpoint
    from a2v_core.darts.distributed import process_group
    from a2v_core.darts.training import evaluate

    dataset = load_checkpoint(checkpoint)["identity"]["dataset"]
    with process_group(device) as group:
        data = _load(group, dataset, images, data_dir, download)
        accuracy, identity = evaluate(checkpoint, data, device)
        if group.is_first:
            print(f"test error {100 * (1 - accuracy):.2f} % on {len(data.test)} images of {dataset}; seed "
                  f"{identity['seed']}, {identity['genotype']}")


def read_genotype(given: str) -> Genotype | NetworkGenotype:
    """A genotype by its name, from a file that holds its text, or from the text itself.

    Raises:
        SpaceError: the text is no genotype.
        SettingsError: neither a name, nor a file, nor a text of that form.
        DataError: the file cannot be read.
    """
    from a2v_core.darts.genotype_files import read_genotype_file
    from a2v_core.spaces.darts_genotypes import (
        ARCH2VEC_BO,
        ARCH2VEC_RL,
        DARTS_FIRST_ORDER,
        DARTS_SECOND_ORDER,
        parse_genotype,
    )

    named = {"arch2vec-bo": ARCH2VEC_BO, "arch2vec-rl": ARCH2VEC_RL, "darts-first-order": DARTS_FIRST_ORDER,
             "darts-second-order": DARTS_SECOND_ORDER}
    if given in named:
        return named[given]
    if given.lstrip().startswith("Genotype("):
        return parse_genotype(given)
    path = Path(given)
    if not path.exists():
        raise SettingsError(f"genotype {given!r} is neither a file nor one of {', '.join(named)} nor a text "
                            "Genotype(normal=[…], …)")
    return read_genotype_file(path)


def _load(group: Group, dataset: str, images: Path | None, data_dir: Path | None, download: bool) -> ImageDataset:
    """The data set; the first process gets it before the others look for it."""
    from a2v_core.darts.images import load_dataset

    group.first_alone(lambda: load_dataset(dataset, images, data_dir, download))
    return load_dataset(dataset, images, data_dir)
