"""The registry of objectives: what can be searched on each space, and the simulated seconds that the paper gives it.

A third party adds the objectives of a space without touching this package by an entry point of the group
``a2v_core.objectives`` whose name is that of the space and whose value is a module like the built-in ones: it has
``objective(name, data_dir)`` and ``BUDGET_SECONDS``, the usual budget of a run by the name of the objective. What that
module imports is part of the identity of the runs on its objectives.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module, metadata
from types import ModuleType

from a2v_core.errors import SettingsError
from a2v_core.search.objective import Objective

#: Entry-point group of objectives from other packages.
ENTRY_POINT_GROUP = "a2v_core.objectives"

_BUILT_IN = {
    "nasbench101": "a2v_core.search.nasbench101_objectives",
    "nasbench201": "a2v_core.search.nasbench201_objectives",
    "darts": "a2v_core.search.darts_objectives",
}


def objective_names() -> dict[str, tuple[str, ...]]:
    """Names of the objectives by search space."""
    return {space: tuple(_module(space).BUDGET_SECONDS) for space in _registered()}


def objective_module(space: str) -> str:
    """Name of the module that makes the objectives of a space. Raises SettingsError when there is none."""
    if space in _BUILT_IN:  # Reading the metadata of all packages takes milliseconds, and plans ask hundreds of times.
        return _BUILT_IN[space]
    registered = _registered()
    if space not in registered:
        raise SettingsError(f"no objective on a search space {space!r}: there are some on {', '.join(registered)}")
    return registered[space]


def usual_seconds(space: str, name: str) -> float:
    """The paper's budget for an objective, in simulated seconds. Raises SettingsError for an unknown one."""
    budgets = _module(space).BUDGET_SECONDS
    if name not in budgets:
        raise SettingsError(f"no objective {name!r} on {space}: choose one of {', '.join(budgets)}")
    return budgets[name]


@lru_cache(maxsize=4)
def get_objective(space: str, name: str, data_dir: str = "") -> Objective:
    """The objective of that name; the last few are kept.

    Raises:
        SettingsError: no such objective.
        MissingDataError: its tables are not there.
    """
    usual_seconds(space, name)
    return _module(space).objective(name, data_dir)


def _module(space: str) -> ModuleType:
    name = objective_module(space)
    try:
        module = import_module(name)
    except ImportError as error:
        raise SettingsError(f"the objectives on {space!r} are registered as {name!r}, which cannot be imported "
                            f"({error}): repair or remove the package that registers it") from error
    if not (hasattr(module, "objective") and hasattr(module, "BUDGET_SECONDS")):
        raise SettingsError(f"the objectives on {space!r} are registered as {name!r}, which lacks objective or "
                            "BUDGET_SECONDS: register a module that has both")
    return module


def _registered() -> dict[str, str]:
    found = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {**_BUILT_IN, **{e.name: e.value for e in sorted(found) if e.name not in _BUILT_IN}}
