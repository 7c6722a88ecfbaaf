"""Tables and numbers of the Table 1 page, from the tidy tables of :mod:`a2v_core.table1_plan`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from a2v_core.cells import Cells
from a2v_core.models.autoencoder import term_weights
from a2v_core.recipes import PretrainingSettings
from a2v_core.reconstructibility import reconstructible
from a2v_core.results import Page
from a2v_core.spaces import get_space
from a2v_core.stats import Estimate, expected_uniqueness, paired_difference, t_interval, unpaired_difference

METHOD_NAMES = {"gae": "GAE", "vgae": "VGAE", "arch2vec_without_kl": "arch2vec w/o KL", "arch2vec": "arch2vec"}
SPACE_NAMES = {"nasbench101": "NAS-Bench-101", "nasbench201": "NAS-Bench-201", "darts": "DARTS"}
METRICS = ("accuracy", "validity", "uniqueness")
#: What each one-factor arm changes, in words, by its label.
FACTOR_NAMES = {
    "arch2vec-released-eval_after_first_epoch=False": "training mode throughout",
    "arch2vec-released-operations=softmax": "softmax, not sigmoids",
    "arch2vec-released-adjacency=full": "all N x N edges, not the upper triangle",
    "arch2vec-released-kl_divided_again=False": "KL not divided again (x 256)",
    "arch2vec-released-reduction=graph": "loss summed over a graph, not averaged",
    "arch2vec-released-dropout=0.0": "no dropout",
    "arch2vec-released-reshuffle=True": "new order each epoch",
    "arch2vec-released-split=random": "random held-out cells",
    "arch2vec-released-hidden=128x128x128x128x16": "fifth layer of width 16",
}
#: Arms of the section on the weight of the KL term, by what they are called there.
KL_ARMS = {
    "arch2vec-paper": "arch2vec, weight 1 (Eq. 5)", "arch2vec-paper-beta=0.3": "arch2vec, weight 0.3",
    "arch2vec-paper-beta=0.05": "arch2vec, weight 0.05", "arch2vec-paper-beta=0.005": "arch2vec, weight 0.005",
    "arch2vec-paper-beta=0.0": "arch2vec, sampled, weight 0", "arch2vec_without_kl-paper": "arch2vec w/o KL",
    "gae-paper": "GAE", "vgae-paper": "VGAE, weight 1",
}
DEFINITION_NAMES = {
    ("accuracy", "exact"): "whole cells", ("accuracy", "released_operations"): "right operations, by node",
    ("accuracy", "released_edges"): "right edges, by entry", ("validity", "exact"): "member of the space",
    ("validity", "released"): "the released code's test and placement",
    ("validity", "exact_common_scaling"): "member of the space, common scaling",
    ("uniqueness", "exact"): "different cells", ("uniqueness", "unpruned_hash"): "different hashes, unpruned",
    ("uniqueness", "released"): "different hashes of the released code's valid draws",
    ("uniqueness", "exact_common_scaling"): "different cells, common scaling",
}


def estimate(values: pd.Series | np.ndarray) -> Estimate:
    """Mean over seeds with Student's t interval; a single seed has an interval of width zero and n = 1."""
    runs = np.asarray(values, dtype=float)
    return t_interval(runs) if len(runs) > 1 else Estimate(float(runs[0]), float(runs[0]), float(runs[0]), 1)


def select(frame: pd.DataFrame, **equal: str) -> pd.DataFrame:
    """Rows whose columns equal the given values."""
    for column, value in equal.items():
        frame = frame[frame[column] == value]
    return frame


def main_table(frame: pd.DataFrame, paper: dict[str, float], metric: str, recipe: str = "released") -> pd.DataFrame:
    """One measure of Table 1: the paper's value, our mean and interval exact and as the released code counts; percent.

    Args:
        frame: :func:`a2v_core.table1_plan.metrics`.
        paper: the paper's value by identity ``table1/<space>/<method>/<metric>``.
        metric: ``accuracy``, ``validity`` or ``uniqueness``.
        recipe: which recipe's models.
    """
    rows = {}
    for space, space_name in SPACE_NAMES.items():
        for method, method_name in METHOD_NAMES.items():
            chosen = select(frame, space=space, label=f"{method}-{recipe}", metric=metric)
            if not chosen.empty:
                exact, released = (estimate(select(chosen, definition=d)["value"]) for d in ("exact", "released"))
                rows[space_name, method_name] = {
                    "paper": f"{paper[f'table1/{space}/{method}/{metric}']:.2f}", "exact": show(exact),
                    "as the released code counts": show(released), "seeds": exact.n}
    return pd.DataFrame.from_dict(rows, orient="index")


def show(found: Estimate) -> str:
    """``mean [low, high]`` clipped to percentages, or the mean alone where there is one run."""
    if found.n == 1:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{max(found.low, 0):.1f}, {min(found.high, 100):.1f}]"


def accuracy_ceilings(cells: dict[str, Cells]) -> pd.DataFrame:
    """Largest exact accuracy that any weights can reach on the cells of each space, percent, by what the encoder reads
    (:mod:`a2v_core.reconstructibility`)."""
    readings = {"A + A^T, all rows (released, paper)": {}, "A + A^T, padded rows left out": {"padded_rows": False},
                "directions apart, padded rows left out (corrected, split)": {"directed": True, "padded_rows": False}}
    return pd.DataFrame({SPACE_NAMES[space]: {name: 100 * reconstructible(batch, **reading).mean()
                                              for name, reading in readings.items()} for space, batch in cells.items()})


def clipped(found: Estimate) -> Estimate:
    """The estimate with its interval cut to [0, 100] percent."""
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 100.0))


def factor_effects(frame: pd.DataFrame, space: str, reference: str = "arch2vec-released") -> pd.DataFrame:
    """Change of each exact metric when one setting is changed, in percentage points, with t intervals.

    Differences are paired by seed where the held-out cells are the same, and Welch's where they are not.
    Columns: factor, metric, value, low, high, n.
    """
    rows = []
    for label, name in FACTOR_NAMES.items():
        for metric in METRICS:
            changed, base = (select(frame, space=space, label=x, metric=metric, definition="exact").sort_values("seed")
                             for x in (label, reference))
            if changed.empty or len(base) < 2:
                continue
            paired = "split" not in label and list(changed["seed"]) == list(base["seed"])
            difference = (paired_difference if paired else unpaired_difference)(changed["value"].to_numpy(),
                                                                                base["value"].to_numpy())
            rows.append({"factor": name, "metric": metric, **difference._asdict()})
    return pd.DataFrame(rows, columns=["factor", "metric", *Estimate._fields])


def ceilings(records: list[dict], sizes: dict[str, int]) -> pd.DataFrame:
    """Uniqueness (exact, percent) beside its ceiling: what uniform draws from the whole space would give in expectation
    for the same number of valid draws. Means over seeds, one row a space and arm.

    Args:
        records: of :func:`a2v_core.table1_plan.run_plan`.
        sizes: number of different cells of each space.
    """
    rows = []
    for record in records:
        drawn, arm = record["generation"]["encoded"], record["arm"]
        if not arm["changes"] and arm["label"].endswith(("-released", "arch2vec-paper", "arch2vec-corrected")):
            ceiling = expected_uniqueness(drawn["n_valid"], sizes[arm["space"]]) if drawn["n_valid"] else np.nan
            name = f"{METHOD_NAMES[arm['method']]}, {arm['recipe']}"
            rows.append({"space": SPACE_NAMES[arm["space"]], "arm": name, "valid draws": drawn["n_valid"],
                         "different": drawn["n_distinct"], "uniqueness": 100 * drawn["uniqueness"],
                         "ceiling": 100 * ceiling})
    columns = ["valid draws", "different", "uniqueness", "ceiling"]
    table = pd.DataFrame(rows, columns=["space", "arm", *columns])
    return table.groupby(["space", "arm"], sort=False)[columns].mean()


def arms_table(frame: pd.DataFrame, space: str, arms: dict[str, str]) -> pd.DataFrame:
    """The exact measures of the named arms that were run, one row an arm: mean and interval, percent."""
    rows = {name: {metric: show(estimate(chosen["value"])) for metric in METRICS
                   if not (chosen := select(frame, space=space, label=label, metric=metric, definition="exact")).empty}
            for label, name in arms.items()}
    return pd.DataFrame.from_dict({name: row for name, row in rows.items() if row}, orient="index", columns=METRICS)


def loss_terms(curves: pd.DataFrame, space: str, arms: dict[str, str]) -> pd.DataFrame:
    """Terms of the loss per graph in the last epoch, nats, mean over seeds, one row an arm that was run."""
    here = select(curves, space=space)
    last = here[here["epoch"] == here.groupby("label")["epoch"].transform("max")]
    means = last.groupby("label")[["operations", "adjacency", "kl"]].mean()
    return means.loc[[label for label in arms if label in means.index]].rename(index=arms).rename_axis(None)


def definitions_table(frame: pd.DataFrame, label: str = "arch2vec-released") -> pd.DataFrame:
    """One arm under every reading of the three measures, a column a space: mean and interval, percent."""
    table = {(metric, name): {space_name: show(estimate(chosen["value"])) for space, space_name in SPACE_NAMES.items()
                              if not (chosen := select(frame, space=space, label=label, metric=metric,
                                                       definition=definition)).empty}
             for (metric, definition), name in DEFINITION_NAMES.items()}
    return pd.DataFrame.from_dict(table, orient="index")


def last_epoch_gain(records: list[dict], space: str, label: str = "arch2vec-released") -> Estimate:
    """Percent of the training loss that the last epoch removes: 100 (loss before - loss after) / loss before, the loss
    weighed as the settings say; mean over seeds."""
    gains = []
    for record in records:
        if record["arm"]["space"] == space and record["arm"]["label"] == label:
            training = record["training"]
            settings = PretrainingSettings(**training["settings"])
            weights = term_weights(settings, get_space(space).n_nodes, training["n_operations"], settings.batch_size)
            before, after = (sum(w * entry[term] for w, term in
                                 zip(weights, ("operations", "adjacency", "kl"), strict=True))
                             for entry in training["history"][-2:])
            gains.append(100 * (before - after) / before)
    return estimate(np.array(gains))


def record_values(page: Page, frame: pd.DataFrame) -> None:
    """Put the measures of the main arms on the page: ``table1/<space>/<method>/<metric>`` by recipe and definition."""
    main = frame[[label == f"{method}-{recipe}" for label, method, recipe
                  in zip(frame["label"], frame["method"], frame["recipe"], strict=True)]]
    for (space, method, metric, recipe, definition), group in main.groupby(
            ["space", "method", "metric", "recipe", "definition"]):
        page.add_estimate(f"table1/{space}/{method}/{metric}", clipped(estimate(group["value"])), unit="%",
                          recipe=recipe, definition=definition)


def cost_table(records: list[dict]) -> pd.DataFrame:
    """Wall time of training one model on one thread, minutes, by space and arm of the main table; seeds that were
    trained side by side share their time equally."""
    rows = [{"space": SPACE_NAMES[r["arm"]["space"]], "arm": r["arm"]["label"],
             "minutes": r["training"]["seconds_of_stack"] / len(r["training"]["stacked_seeds"]) / 60}
            for r in records if not r["arm"]["changes"]]
    return pd.DataFrame(rows).pivot_table(index="arm", columns="space", values="minutes", sort=False).round(2)
