"""The registry of search methods: names, labels, where each is computed, and which vectors it sees.

A searcher's module holds its class ``<Name>``, the dataclass ``<Name>Settings``, ``RECIPES``, changes against its
defaults by recipe, and perhaps ``BY_SPACE``, changes by search space, or by recipe and search space. A third party adds
a method without touching this package by an entry point of the group ``a2v_core.search_methods`` that names a
:class:`Method`, best in a module apart from the searcher's, because what the latter imports is part of the identity of
its runs. Nothing is imported before it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

from a2v_core.errors import SettingsError
from a2v_core.search.protocol import Problem, Searcher

#: Entry-point group of methods from other packages.
ENTRY_POINT_GROUP = "a2v_core.search_methods"
#: The three arms that run through the study.
RECIPE_NAMES = ("released", "paper", "corrected")


@dataclass(frozen=True)
class Method:
    """A way to search.

    Attributes:
        id: its name on the command line and in files.
        label: its name on pages.
        searcher: "module:Class" of its :class:`~a2v_core.search.protocol.Searcher`.
        features: kind of vectors that it sees (:data:`a2v_core.search.features.KINDS`).
        settings: settings that make it this method.
    """

    id: str
    label: str
    searcher: str
    features: str = "none"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """Module of the searcher."""
        return self.searcher.partition(":")[0]

    @property
    def recipes(self) -> tuple[str, ...]:
        """Recipes that the method has."""
        return tuple(getattr(self._load()[0], "RECIPES", RECIPE_NAMES[:1]))

    def settings_of(self, recipe: str = "released", space: str = "", changes: Mapping[str, Any] | None = None) -> Any:
        """The settings dataclass of a recipe on a space, with single fields changed; None for a method without
        settings. Of two changes of one field the later one counts: recipe, space, method, `changes`.

        Raises:
            SettingsError: unknown recipe or field, or a value that is not acceptable.
        """
        if recipe not in self.recipes:
            raise SettingsError(f"method {self.id} has no recipe {recipe!r}: choose one of {', '.join(self.recipes)}")
        module, _ = self._load()
        settings = getattr(module, f"{self.searcher.partition(':')[2]}Settings", None)
        by_space = getattr(module, "BY_SPACE", {})
        changes = {**getattr(module, "RECIPES", {}).get(recipe, {}), **by_space.get(space, {}),
                   **by_space.get(recipe, {}).get(space, {}), **self.settings, **(changes or {})}
        known = [f.name for f in fields(settings)] if settings else []
        if unknown := sorted(set(changes) - set(known)):
            raise SettingsError(f"method {self.id} has no setting {', '.join(unknown)}: "
                                f"it has {', '.join(known) or 'none'}")
        return settings(**changes) if settings else None

    def searcher_of(self, problem: Problem, seeds: Sequence[int], settings: Any, device: str = "auto") -> Searcher:
        """A batch of runs; `settings` as :meth:`settings_of` gives them, `device` for a method that has a network.

        Raises:
            SettingsError: the method needs a vector for each cell and the problem has none.
        """
        if self.features != "none" and problem.features is None:
            raise SettingsError(f"method {self.id} needs a vector for each cell ({self.features}): give the problem "
                                "features")
        _, searcher = self._load()
        taken = inspect.signature(searcher).parameters
        options = {name: value for name, value in (("settings", settings), ("device", device)) if name in taken}
        return searcher(problem, seeds, **options)

    def _load(self) -> tuple[ModuleType, type[Searcher]]:
        module, _, name = self.searcher.partition(":")
        try:
            loaded = import_module(module)
            searcher = getattr(loaded, name)
        except (ImportError, AttributeError) as error:
            raise SettingsError(f"method {self.id} is registered as {self.searcher!r}, which cannot be imported "
                                f"({error}): repair or remove the package that registers it") from error
        if not (isinstance(searcher, type) and issubclass(searcher, Searcher)):
            raise SettingsError(f"method {self.id} is registered as {self.searcher!r}, which is not a subclass of "
                                "a2v_core.search.protocol.Searcher: register the class itself")
        return loaded, searcher


#: The methods of the study by id.
METHODS: dict[str, Method] = {method.id: method for method in (
    Method("random", "random search", "a2v_core.search.random_search:RandomSearch"),
    Method("re", "regularized evolution", "a2v_core.search.evolution:RegularizedEvolution"),
    Method("rl", "REINFORCE, discrete encoding", "a2v_core.search.discrete_reinforce:DiscreteReinforce"),
    Method("bohb", "BOHB", "a2v_core.search.bohb:Bohb"),
    Method("bo", "DNGO, discrete encoding", "a2v_core.search.bayesian_optimization:BayesianOptimization", "one_hot"),
    Method("bananas", "BANANAS", "a2v_core.search.bananas:Bananas"),
    Method("supervised_rl", "supervised REINFORCE", "a2v_core.search.supervised_reinforce:SupervisedReinforce"),
    Method("supervised_bo", "supervised BO",
           "a2v_core.search.supervised_bayesian_optimization:SupervisedBayesianOptimization"),
    Method("arch2vec_rl", "arch2vec-RL", "a2v_core.search.reinforce:Reinforce", "arch2vec"),
    Method("frozen_policy", "arch2vec-RL with a frozen policy", "a2v_core.search.reinforce:Reinforce", "arch2vec",
           settings={"policy": "frozen"}),
    Method("random_retrieval", "arch2vec-RL with random retrieval", "a2v_core.search.reinforce:Reinforce", "arch2vec",
           settings={"retrieval": "random"}),
    Method("arch2vec_bo", "arch2vec-BO", "a2v_core.search.bayesian_optimization:BayesianOptimization", "arch2vec"),
    Method("local_search", "local search", "a2v_core.search.local_search:LocalSearch"),
    Method("neighbour_re", "regularized evolution, neighbours",
           "a2v_core.search.neighbour_evolution:NeighbourEvolution"),
    Method("wl_gp", "Gaussian process on subtrees", "a2v_core.search.wl_gaussian_process:WLGaussianProcess"),
)}


def method_names() -> tuple[str, ...]:
    """Names of all registered methods: the study's, then those of other packages in alphabetical order."""
    return (*METHODS, *_from_other_packages())


@cache
def get_method(name: str) -> Method:
    """The method of that name.

    Raises:
        SettingsError: no method has that name, or the package that registered it is broken.
    """
    if name in METHODS:
        return METHODS[name]
    others = _from_other_packages()
    if name not in others:
        raise SettingsError(f"unknown search method {name!r}: choose one of {', '.join(method_names())}")
    try:
        method = others[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"search method {name!r} is registered as {others[name].value!r}, which cannot be imported "
                            f"({error}): repair or remove the package that registers it") from error
    if not isinstance(method, Method) or method.id != name:
        raise SettingsError(f"search method {name!r} is registered as {others[name].value!r}, which is no "
                            f"a2v_core.search.methods.Method of that id: register one")
    return method


def settings_as_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as JSON-able values, for keys and provenance; empty for None."""
    return {} if settings is None else {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


def _from_other_packages() -> dict[str, metadata.EntryPoint]:
    found = metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {e.name: e for e in sorted(found) if e.name not in METHODS}
