"""The command line: ``python -m a2v_core data|pretrain|search|study|darts``.

An error is one line on stderr and a non-zero exit: 1 for what went wrong, 2 for a wrong command, 130 when
interrupted. ``--debug`` before the command shows the traceback instead. Heavy modules load inside the commands.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from a2v_core import __version__
from a2v_core.darts.command import darts_app
from a2v_core.errors import A2VError, SettingsError

app = typer.Typer(help="A reproducibility study of arch2vec: its data, its models and its pages.",
                  no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
data_app = typer.Typer(help="The benchmark files and tables.", no_args_is_help=True)
search_app = typer.Typer(help="Architecture search.", no_args_is_help=True)
study_app = typer.Typer(help="The pages of the study and the book.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(search_app, name="search")
app.add_typer(study_app, name="study")
app.add_typer(darts_app, name="darts")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Data folder; $A2V_DATA_DIR or data/ otherwise.")]
Names = Annotated[list[str] | None, typer.Argument(help="Names from `data list`; everything when left out.")]
Profile = Annotated[str, typer.Option(help="smoke (seconds), quick (minutes) or full (hours).")]
Output = Annotated[Path | None, typer.Option(help="Folder of the results; the profile's own otherwise.")]

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # A terminated run cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(arguments, prog_name="a2v_core", standalone_mode=False)
        if code == _INTERRUPTED:  # typer turns an interruption into an exit without a word
            code = _report(KeyboardInterrupt())
    except BaseException as error:
        if arguments[:1] == ["--debug"] and not isinstance(error, SystemExit):
            raise
        code = _report(error)
    sys.exit(code)


def _report(error: BaseException) -> int:
    """Say in one line what went wrong; the exit code."""
    if isinstance(error, SystemExit):
        return error.code
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        line, code = "interrupted; what was finished is kept", _INTERRUPTED
    elif isinstance(error, A2VError):
        line, code = str(error), 1
    elif type(error).__name__ == "NoArgsIsHelpError":
        return 2
    elif hasattr(error, "format_message"):  # what typer raises for a wrong command
        line, code = f"{error.format_message()} (see --help)", 2
    elif isinstance(error, BrokenPipeError):
        # The reader of our output is gone; without this the interpreter complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    else:
        line = f"unexpected {type(error).__name__}: {error} (run `a2v_core --debug …` for the traceback)"
        code = 1
    print("a2v_core: " + " ".join(line.split()), file=sys.stderr)
    return code


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; give it before the command.")] = False,
    version: Annotated[bool, typer.Option(
        "--version", is_eager=True, callback=_show_version, help="Show the version and exit.")] = False,
) -> None:
    """A reproducibility study of arch2vec: its data, its models and its pages."""


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """Show every registered file: whether it is here, its size and what it is."""
    from a2v_core.benchmarks import list_sources

    for status in list_sources(data_dir):
        print(status)


@data_app.command("fetch")
def data_fetch(names: Names = None, data_dir: DataDir = None) -> None:
    """Download files (or copy them from $A2V_DATA_MIRROR) and check their digests."""
    from a2v_core.benchmarks import fetch

    for result in fetch(names or None, data_dir):
        print(result)


@data_app.command("verify")
def data_verify(names: Names = None, data_dir: DataDir = None) -> None:
    """Check the digests of the files that are here; fails when one is damaged."""
    from a2v_core.benchmarks import verify
    from a2v_core.errors import DigestError

    states = verify(names or None, data_dir)
    for status in states:
        print(status)
    if damaged := [status for status in states if status.state == "damaged"]:
        first = damaged[0]
        raise DigestError(f"{len(damaged)} of {len(states)} files are damaged, first {first.location}: delete it, "
                          f"then: {first.source.remedy}")


@data_app.command("build")
def data_build(names: Names = None, data_dir: DataDir = None) -> None:
    """Convert the files that are here to parquet tables; fails when one that is here cannot be read."""
    from a2v_core.benchmarks import build
    from a2v_core.errors import DataError

    results = build(names or None, data_dir)
    for result in results:
        print(result)
    if failed := [result for result in results if result.state == "failed"]:
        raise DataError(f"{len(failed)} of {len(results)} tables could not be built, first {failed[0]}")


@app.command()
def pretrain(
    space: Annotated[str, typer.Argument(help="Search space: nasbench101, nasbench201, darts, or a registered one.")],
    recipe: Annotated[str, typer.Option(help="released, paper or corrected.")] = "released",
    method: Annotated[str, typer.Option(help="gae, vgae, arch2vec_without_kl or arch2vec.")] = "arch2vec",
    seed: Annotated[list[int] | None, typer.Option(help="Seed (default 0); several train side by side.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs; those of the recipe otherwise.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    data_dir: DataDir = None,
) -> None:
    """Train autoencoders of a space; a stopped training goes on from its last epoch, a finished one is read."""
    from a2v_core.artifacts import ArtifactStore
    from a2v_core.pretraining import pretrain as train
    from a2v_core.recipes import pretraining_settings
    from a2v_core.spaces import get_space

    settings = pretraining_settings(recipe, method, space, **({} if epochs is None else {"epochs": epochs}))
    chosen = get_space(space)
    trained = train(chosen.cells(), len(chosen.vocabulary), settings, seed or [0], store=ArtifactStore(data_dir),
                    device=device)
    for one in trained:
        last = ", ".join(f"{name} {value:.4g}" for name, value in one.record["history"][-1].items())
        print(f"{space} {recipe} {method} seed {one.record['seed']}: {last}; artifact {one.key}")


@search_app.command("list")
def search_list() -> None:
    """Show the search methods and the objectives, with the paper's budget of simulated seconds."""
    from a2v_core.search.methods import get_method, method_names
    from a2v_core.search.objectives import objective_names, usual_seconds

    for name in method_names():
        method = get_method(name)
        print(f"{name:<18} {method.label:<34} sees {method.features}")
    for space, names in objective_names().items():
        for name in names:
            print(f"{space:<18} {name:<34} {usual_seconds(space, name):,.0f} s")


@search_app.command("run")
def search_run(
    space: Annotated[str, typer.Option(help="Search space, see `search list`.")],
    objective: Annotated[str, typer.Option(help="Objective on that space, see `search list`.")],
    method: Annotated[str, typer.Option(help="Search method, see `search list`.")],
    recipe: Annotated[str, typer.Option(help="released, paper or corrected.")] = "released",
    pretraining_recipe: Annotated[str, typer.Option(help="Recipe of the embedding that the method sees.")] = "released",
    pretraining_seed: Annotated[int, typer.Option(help="Seed of that embedding.")] = 0,
    runs: Annotated[int, typer.Option(help="Number of runs.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the first run; the others follow.")] = 0,
    queries: Annotated[int | None, typer.Option(help="Queries of a run.")] = None,
    seconds: Annotated[float | None, typer.Option(
        help="Simulated seconds of a run; the paper's when no budget is given.")] = None,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler, tcp://…; this machine otherwise.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …")] = "auto",
    data_dir: DataDir = None,
) -> None:
    """Run a method and show what it found; finished blocks of runs are kept, so a stopped command goes on."""
    from a2v_core.search.blocks import Arm, run_study
    from a2v_core.search.features import Features
    from a2v_core.search.methods import get_method
    from a2v_core.search.objectives import get_objective, usual_seconds
    from a2v_core.search.runs import Budget
    from a2v_core.search.trajectories import Outcomes, summary

    if queries is None and seconds is None:
        seconds = usual_seconds(space, objective)
    arm = Arm(space, objective, method, Budget(queries, seconds), recipe, runs=runs, first_seed=seed,
              features=Features(get_method(method).features, pretraining_recipe, pretraining_seed))
    where = str(data_dir or "")
    (trajectories,) = run_study([arm], data_dir=where, scheduler=scheduler, device=device)
    print(f"{space}/{objective} {method} {recipe}, {arm.budget} a run, runs: {runs}")
    table = summary(Outcomes(trajectories, get_objective(space, objective, where)))
    print(table.to_string(float_format="{:.4f}".format))


@study_app.command("run")
def study_run(
    names: Annotated[list[str] | None, typer.Argument(help="Notebooks, without ending; all when left out.")] = None,
    profile: Profile = "quick",
    output: Output = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the pages; their own otherwise.")] = None,
    data_dir: DataDir = None,
    parameter: Annotated[list[str] | None, typer.Option(
        "--parameter", "-p", metavar="NAME=VALUE", help="A notebook parameter; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Compute pages that are up to date as well.")] = False,
) -> None:
    """Compute pages from their notebooks. Pages that are up to date are kept, so a stopped run goes on."""
    from a2v_core import study

    given = dict(_parse_parameter(text) for text in parameter or [])
    if seed is not None:
        given["seed"] = seed
    if data_dir is not None:
        given["data_dir"] = str(data_dir)
    study.run(names or (), profile=profile, output=output, parameters=given, again=again, report=_say)


@study_app.command("publish")
def study_publish(data_dir: DataDir = None) -> None:
    """Copy finished models, records and search runs of the full study to data/pretrained and data/searches, to be
    committed."""
    from a2v_core import study

    study.checkout()
    from a2v_core import table1_plan
    from a2v_core.artifacts import write_atomically
    from a2v_core.errors import MissingDataError
    from a2v_core.paths import published_dir, published_searches_dir
    from a2v_core.published import DIGESTS, listed
    from a2v_core.search import baselines_plan, darts_plan, plan, pretraining_plan, recipes_plan

    where = str(data_dir or "")
    for path in table1_plan.publish_full(data_dir=where):
        print(path)
    for searches in (plan, darts_plan, baselines_plan, pretraining_plan, recipes_plan):
        try:
            for path in searches.publish_full(data_dir=where):
                print(path)
        except MissingDataError as error:
            print(f"search runs are not published: {error}")
    for folder in (published_dir(), published_searches_dir()):
        write_atomically(folder / DIGESTS, listed(folder))


@study_app.command("status")
def study_status(profile: Profile = "full", output: Output = None, data_dir: DataDir = None) -> None:
    """Say which pages are fresh, stale (and why) or missing; exit 1 unless all are fresh."""
    from a2v_core import study

    pages = study.status(profile, output, data_dir)
    for page in pages:
        print(f"{page.name:<28} {page.state:<8} {page.profile:<6} {'; '.join(page.reasons)}".rstrip())
    if any(page.state != "fresh" for page in pages):
        raise typer.Exit(1)


@study_app.command("book")
def study_book(profile: Profile = "quick", output: Output = None) -> None:
    """Render the book around the results of a profile; prints its first page. Computes nothing."""
    from a2v_core import study

    print(study.render(profile, output))


def _parse_parameter(text: str) -> tuple[str, Any]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise SettingsError(f"parameter {text!r} is not NAME=VALUE, for example seed=1")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"parameter {text!r}: the value is not readable ({error})") from error


def _say(line: str) -> None:
    print(line, flush=True)
