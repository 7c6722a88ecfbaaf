"""What a query pays, what it costs, and what is reported of the cell that a search ends with: three separate arrays.

The signal is what a searcher sees (validation accuracy, perhaps after a shortened training, perhaps of one noisy
repeat); validation and test are what a page reports of the incumbent and no searcher sees; the seconds are simulated:
the time that the training took when the benchmark was made. Accuracies are fractions throughout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from a2v_core.cells import Cells
from a2v_core.errors import DataError, SettingsError
from a2v_core.search.protocol import Problem
from a2v_core.spaces.base import SearchSpace


@dataclass(frozen=True, eq=False)
class Objective:
    """The labels of M candidates at F fidelities with up to K repeats; the arrays are read-only.

    Attributes:
        name: "space/variant", for example "nasbench201/cifar10".
        space: the search space.
        rows: row of each candidate in ``space.cells()``, distinct, int64 [M].
        epochs: length of the training at each fidelity, ascending, F of them; the last is the full training.
        signal: what a query pays, float64 [F, K, M]; NaN where a repeat does not exist. Each candidate has at least one
            repeat at each fidelity.
        seconds: simulated cost of a query, float64 [F, M].
        validation: reported validation accuracy, float64 [M].
        test: reported test accuracy, float64 [M].
        measured: bool [M]; False where any of the above is imputed.
        data: content digest of each table that the labels come from.

    Raises:
        SettingsError: no candidates, rows that repeat or that the space does not have, epochs that do not ascend.
        DataError: arrays that do not fit each other, a missing value, an accuracy outside [0, 1], a cost that is not
            positive.
    """

    name: str
    space: SearchSpace
    rows: np.ndarray
    epochs: tuple[int, ...]
    signal: np.ndarray
    seconds: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    measured: np.ndarray
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("signal", "seconds", "validation", "test"):
            self._freeze(name, np.asarray(getattr(self, name), np.float64))
        self._freeze("rows", np.asarray(self.rows, np.int64))
        self._freeze("measured", np.asarray(self.measured, bool))
        object.__setattr__(self, "epochs", tuple(self.epochs))
        self._check_candidates()
        self._check_labels()

    def _freeze(self, name: str, array: np.ndarray) -> None:
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, name, view)

    def _check_candidates(self) -> None:
        if self.rows.ndim != 1 or not self.rows.size:
            raise SettingsError(f"objective {self.name}: rows have shape {self.rows.shape}, need [M] with M > 0")
        size = len(self.space.cells())
        if self.rows.min() < 0 or self.rows.max() >= size:
            raise SettingsError(f"objective {self.name}: rows lie in {self.rows.min()}…{self.rows.max()}, but "
                                f"{self.space.name} has rows 0…{size - 1}: select the cells that the space holds")
        if len(np.unique(self.rows)) < len(self.rows):
            raise SettingsError(f"objective {self.name}: a row occurs twice: give each candidate once")
        if not self.epochs or any(b <= a for a, b in zip(self.epochs, self.epochs[1:], strict=False)):
            raise SettingsError(f"objective {self.name}: epochs={self.epochs} must ascend, and be at least one")

    def _check_labels(self) -> None:
        m, f = len(self.rows), len(self.epochs)
        repeats = self.signal.shape[1] if self.signal.ndim == 3 else 1
        wanted = {"signal": (f, repeats, m), "seconds": (f, m), "validation": (m,), "test": (m,), "measured": (m,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"objective {self.name}: {name} has shape {getattr(self, name).shape}, need {shape} "
                                f"for {m} candidates and {f} fidelities")
        exists = ~np.isnan(self.signal)
        if not exists.any(1).all():
            fidelity, candidate = np.argwhere(~exists.any(1))[0]
            raise DataError(f"objective {self.name}: no signal for row {self.rows[candidate]} at "
                            f"{self.epochs[fidelity]} epochs: leave the cell out, or the fidelity")
        for name, values in (("signal", self.signal[exists]), ("validation", self.validation), ("test", self.test)):
            outside = ~((values >= 0) & (values <= 1))
            if outside.any():
                raise DataError(f"objective {self.name}: {name} holds {values[outside][0]}: an accuracy is a fraction "
                                "in [0, 1] and must not be missing")
        bad = ~((self.seconds > 0) & np.isfinite(self.seconds))
        if bad.any():
            raise DataError(f"objective {self.name}: seconds hold {self.seconds[bad][0]}: a query must cost a positive "
                            "number of seconds")

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def cells(self) -> Cells:
        """The M candidates."""
        return self.space.cells()[self.rows]

    @property
    def best_validation(self) -> float:
        """Highest reported validation accuracy of any candidate: where its regret is zero."""
        return float(self.validation.max())

    @property
    def best_test(self) -> float:
        """Highest reported test accuracy of any candidate: where its regret is zero."""
        return float(self.test.max())

    def expected_queries(self, seconds: float) -> float:
        """Queries that a budget buys when full trainings of candidates drawn uniformly are paid for."""
        return seconds / float(self.seconds[-1].mean())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over candidates and labels: the identity of this objective in artifact keys."""
        h = hashlib.sha256(f"{self.name}|{self.space.name}|{self.epochs}|{self.signal.shape}".encode())
        for array in (self.rows, self.signal, self.seconds, self.validation, self.test, self.measured):
            h.update(np.ascontiguousarray(array))
        return h.hexdigest()

    def problem(self, features: np.ndarray | None = None) -> Problem:
        """What a searcher may know.

        Args:
            features: a vector for each candidate (not for each cell of the space), [M, D]; stored as float32.

        Raises:
            SettingsError: the features do not belong to these candidates, or one is not finite.
        """
        if features is not None:
            if features.ndim != 2 or len(features) != len(self):
                raise SettingsError(f"features have shape {features.shape}, need [{len(self)}, D]: select the rows of "
                                    f"the candidates of objective {self.name} first")
            features = np.ascontiguousarray(features, np.float32)
            if not np.isfinite(features).all():
                raise SettingsError("a feature is not finite: the encoder that made it has diverged")
        return Problem(self.space, self.cells, self.rows, self.epochs, features)

    def restrict(self, candidates: np.ndarray, name: str = "") -> Objective:
        """The same labels for some candidates only (their indices here, or bool [M]); best values, and with them
        regrets, are those of the chosen ones. The name is that of the whole and the number chosen unless one is given.

        Raises:
            SettingsError: no candidates, or an index is out of range or occurs twice.
        """
        candidates = np.asarray(candidates)
        if candidates.dtype == bool and candidates.shape == self.rows.shape:
            candidates = np.flatnonzero(candidates)
        elif not np.issubdtype(candidates.dtype, np.integer) or ((candidates < 0) | (candidates >= len(self))).any():
            raise SettingsError(f"restrict: candidates must be indices 0…{len(self) - 1} or bool [{len(self)}]")
        return replace(self, name=name or f"{self.name}[{len(candidates)}]", rows=self.rows[candidates],
                       signal=self.signal[:, :, candidates], seconds=self.seconds[:, candidates],
                       validation=self.validation[candidates], test=self.test[candidates],
                       measured=self.measured[candidates])
