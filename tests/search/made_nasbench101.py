"""A few hundred cells of NAS-Bench-101 as a space of their own, and tables for them."""

import numpy as np
import pandas as pd
from made_cells import random_cells

from a2v_core.cells import prune
from a2v_core.spaces.nasbench101 import NASBench101

N_MEASURED = 60


class SmallSpace(NASBench101):
    """Random cells by ascending module hash."""

    def __init__(self):
        cells = random_cells(2000, 7, 3, seed=1)
        cells.ops[cells.ops < 3] += 1
        cells.ops[:, 0] = 0
        cells.ops[np.arange(len(cells)), cells.n_nodes - 1] = 4
        cells = prune(cells[self.is_valid(cells)])[0]
        hashes, first = np.unique(self.keys(cells), return_index=True)
        self._ordered = cells[first], hashes


def tables(space, official=False, seed=0):
    """The tables nb101_test and nb101_validation of the space, by name."""
    rng, m = np.random.default_rng(seed), len(space.cells())
    hashes = [key.decode() for key in space._ordered[1]]
    test = rng.uniform(0.8, 0.94, m)
    tests = pd.DataFrame({"test_mean": test, "trainable_parameters_m": rng.uniform(1, 50, m)})
    sample = np.arange(m) if official else np.sort(rng.permutation(m)[:N_MEASURED])
    repeats = np.clip(test[sample] + rng.normal(0.01, 0.004, (3, len(sample))), 0, 1)
    validation = pd.DataFrame({
        "module_hash": np.array(hashes)[sample],
        **{f"validation_{epochs}": np.nan if official else repeats.max(0) * share
           for epochs, share in ((4, 0.3), (12, 0.5), (36, 0.9))},
        "validation_108": repeats.max(0), "training_seconds": rng.uniform(300, 5000, len(sample))})
    if official:
        for repeat in range(3):
            validation[f"validation_108_{repeat}"] = repeats[repeat]
    found = {"nb101_test": tests, "nb101_validation": validation}
    for name, frame in found.items():
        frame.attrs["a2v"] = {"table": name, "content": f"content of {name}"}
    return found
