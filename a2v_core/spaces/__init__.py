"""Which cells exist: the registry of search spaces.

A third party adds a space without touching this package by an entry point of the group ``a2v_core.spaces`` whose
name is that of the space and whose value is a :class:`~a2v_core.spaces.base.SearchSpace` subclass. A notebook or a
script, which no package installs, calls :func:`register` instead.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, metadata

from a2v_core.errors import SpaceError
from a2v_core.spaces.base import SearchSpace

__all__ = ["SearchSpace", "get_space", "register", "space_names"]

#: Entry-point group of spaces from other packages.
ENTRY_POINT_GROUP = "a2v_core.spaces"

_BUILT_IN = {
    "nasbench101": "a2v_core.spaces.nasbench101:NASBench101",
    "nasbench201": "a2v_core.spaces.nasbench201:NASBench201",
    "darts": "a2v_core.spaces.darts:DARTS",
}
_OF_THIS_PROCESS: dict[str, type[SearchSpace]] = {}


def space_names() -> tuple[str, ...]:
    """Names of all registered spaces: the built-in ones, those of other packages in alphabetical order, then those of
    this process."""
    return (*_registered(), *_OF_THIS_PROCESS)


def register(space: type[SearchSpace]) -> type[SearchSpace]:
    """Make a space known to this process under its `name`; a decorator of its class. Other processes, such as those
    that share the blocks of a study, know the spaces of installed packages only. A notebook may run the cell of its
    class again: the later class counts.

    Raises:
        SpaceError: another space has that name.
    """
    earlier = _OF_THIS_PROCESS.get(space.name)
    if space.name in _registered() or (earlier and _place(earlier) != _place(space)):
        raise SpaceError(f"there is a search space {space.name!r} already: give {_place(space)} another name")
    if earlier:
        get_space.cache_clear()
    _OF_THIS_PROCESS[space.name] = space
    return space


@cache
def get_space(name: str) -> SearchSpace:
    """The space of that name; its module is imported on first use, and every call gives the same object.

    Raises:
        SpaceError: no space has that name, or the package that registered it is broken.
    """
    if name in _OF_THIS_PROCESS:
        return _OF_THIS_PROCESS[name]()
    registered = _registered()
    if name not in registered:
        raise SpaceError(f"no search space {name!r}: choose one of {', '.join(space_names())}, or install the package "
                         f"that registers it (entry-point group {ENTRY_POINT_GROUP!r})")
    module, _, attribute = registered[name].partition(":")
    try:
        space_class = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpaceError(f"search space {name!r} is registered as {registered[name]!r}, which cannot be imported "
                         f"({error}): repair or remove the package that registers it") from error
    if not (isinstance(space_class, type) and issubclass(space_class, SearchSpace)):
        raise SpaceError(f"search space {name!r} is registered as {registered[name]!r}, which is not a subclass of "
                         "a2v_core.spaces.SearchSpace: register the class itself")
    return space_class()


def _place(space: type[SearchSpace]) -> str:
    return f"{space.__module__}.{space.__qualname__}"


def _registered() -> dict[str, str]:
    """"module:Class" of each name. A built-in name cannot be taken over from outside."""
    found = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {**_BUILT_IN, **{e.name: e.value for e in sorted(found) if e.name not in _BUILT_IN}}
