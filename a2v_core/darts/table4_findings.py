"""What the page of Table 4 found, as sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from a2v_core.darts.surrogate_quality import Agreement
from a2v_core.darts.table4_tables import (
    ENAS_LAYERS,
    ROWS,
    TABLE4_SEEDS,
    NetworkCost,
    distinct_cells,
    expected_best_of,
    final_days,
    rank_in_sample,
    reached_cells,
    search_days,
    zero_share,
)
from a2v_core.search.darts_plan import MAIN, WHOLE
from a2v_core.search.estimates import difference, percent, signed
from a2v_core.search.objective import Objective
from a2v_core.search.plan import Group
from a2v_core.search.trajectories import Outcomes
from a2v_core.stats import Estimate, furthest_from_mean


def exact_findings(costs: Mapping[str, NetworkCost], paper: Mapping[str, float], mean_multiply_adds: float
                   ) -> list[str]:
    """Sentences on parameters, on the arithmetic of the row of random search, and on the cost of a real run."""
    pairs = [(paper[f"table4/{identity}/params"], costs[cells].built / 1e6) for identity, _, cells in ROWS if cells]
    right = sum(round(exact, 1) == printed for printed, exact in pairs)
    enas = costs["enas"].built / 1e6
    mean, sd, best = (paper[f"table4/random/{quantity}"] for quantity in ("test_error", "test_error_sd", "best"))
    limit = furthest_from_mean(sd, TABLE4_SEEDS)
    final = final_days(costs["arch2vec_bo"].multiply_adds)
    return [
        f"**Parameters.** {right} of the {len(pairs)} rows whose cells are published have, to the printed digit, the "
        f"parameters of the network that is built from them. The other is ENAS: its authors' final script makes "
        f"{enas:.1f} M, the printed {paper['table4/enas/params']:.1f} M take {ENAS_LAYERS} layers.",
        f"**Random search cannot have these three numbers.** Best {best:.2f} % is {mean - best:.2f} points below the "
        f"mean {mean:.1f} %, but of five numbers with standard deviation {sd:.2f} none lies further than "
        f"{limit:.2f} from their mean. Either the best or the spread is of other trainings than the mean.",
        f"**Cost.** 100 queries are {search_days(mean_multiply_adds):.1f} GPU-days at the speed that the paper's final "
        f"trainings imply (the paper: {paper['table4/arch2vec_bo/total'] - paper['table4/arch2vec_bo/stage2']:.1f}). "
        f"Stage 2 as printed ({paper['table4/arch2vec_bo/stage2']:.1f}) is one training of 600 epochs; the five that "
        f"the mean is over take {TABLE4_SEEDS * final:.1f}.",
    ]


def surrogate_findings(found: Agreement, removal: Estimate, relabelled: float) -> list[str]:
    """Sentences on what the surrogate is worth."""
    return [
        f"**The surrogate is a model.** On {found.spearman.n} really trained networks its rank correlation is "
        f"{found.spearman.value:.2f} [{found.spearman.low:.2f}, {found.spearman.high:.2f}]; it lies "
        f"{abs(found.shift.value):.1f} points {'below' if found.shift.value < 0 else 'above'} their accuracies (other "
        f"trainings, test instead of validation) and spreads them {found.predicted_sd / found.trained_sd:.1f} times as "
        f"wide. One point of the surrogate is worth {found.slope.value:.2f} [{found.slope.low:.2f}, "
        f"{found.slope.high:.2f}] points of trained test accuracy.",
        f"**It does not know zero.** Taking the operation of one edge away changes its opinion by {removal.value:+.2f} "
        f"points [{removal.low:+.2f}, {removal.high:+.2f}], and numbering two intermediate nodes the other way round, "
        f"which changes nothing, by {relabelled:.2f} points (root mean square).",
    ]


def search_findings(groups: Mapping[str, Sequence[Group]], runs: Mapping[str, Outcomes],
                    searched: Mapping[str, Objective], found: Agreement | None) -> list[str]:
    """Sentences on what the searches reached.

    Args:
        found: agreement of the surrogate with trainings, where the table of trainings is there.
    """
    main = {(group.method, group.recipe): percent(group, runs, "validation") for group in groups[MAIN]}
    control = {group.method: percent(group, runs, "validation") for group in groups["controls"]}
    objective, queries = searched[MAIN], int(max(run.trajectories.counts.max() for run in runs.values()))
    sentences = []
    reached = {label: main[method, "released"] for method, label in (
        ("arch2vec_rl", "arch2vec-RL"), ("arch2vec_bo", "arch2vec-BO"))}
    random = main["random", "corrected"]
    for label, values in reached.items():
        gap = difference(values, random)
        worth = ""
        if found:
            worth = (f" (about {abs(gap.value) * found.slope.value:.2f} points of test accuracy; the paper's five "
                     "trainings have a standard deviation of 0.05)")
        sentences.append(
            f"**{label}** ends at {values.mean:.2f} % by the surrogate, {signed(gap)} points from random "
            f"search{worth}; {100 * objective.best_validation - values.mean:.2f} "
            f"points are left to the best of the {len(objective):,} candidates. A cell of that accuracy is "
            f"number {rank_in_sample(values.mean / 100, objective):,} among them.")
    rl, frozen, retrieved = main["arch2vec_rl", "released"], control["frozen_policy"], control["random_retrieval"]
    learned, placed = difference(rl, frozen), difference(frozen, retrieved)
    sentences.append(
        f"**What learning does.** Against a policy that stays as it is, learning changes arch2vec-RL by "
        f"{signed(learned)} points; against random cells, taking the cell nearest to pure noise is worth "
        f"{signed(placed)}.")
    names = {group.method: group.name for group in groups["controls"]}
    few, spread = runs[names["frozen_policy"]], runs[names["random_retrieval"]]
    deviation = [100 * each.objective.validation[each.queried].std() for each in (few, spread)]
    sentences.append(
        f"**Noise is not random search.** {few.n_runs} runs of the frozen policy, {len(few.queried):,} queries, reach "
        f"no more than {reached_cells(few):,} different cells (random retrieval: {reached_cells(spread):,}): few cells "
        f"are nearest to any far point. Their standard deviation is {deviation[0]:.2f} points instead of "
        f"{deviation[1]:.2f}; the best of many draws depends on it.")
    others = {label: main[method, "corrected"].mean for method, label in (
        ("neighbour_re", "regularized evolution"), ("local_search", "local search"))}
    sentences.append("**Without any embedding** " + " and ".join(
        f"{label} reaches {value:.2f} %" for label, value in others.items())
        + f"; random search {random.mean:.2f} % (exactly expected: "
        f"{100 * expected_best_of(objective, queries):.2f} %).")
    bo = next(group for group in groups[MAIN] if (group.method, group.recipe) == ("arch2vec_bo", "released"))
    sentences.append(
        f"**Repeats.** By the recipe `released`, whose list of visited cells never matches, arch2vec-BO queries "
        f"{distinct_cells(runs[bo.name]):.0f} different cells in {queries} queries.")
    whole = [group for group in groups[WHOLE] if group.recipe in ("released", "corrected")]
    shares = [zero_share(runs[group.name]) for group in whole]
    order = np.corrcoef([[percent(g, runs, "validation").mean for g in whole],
                         [main[g.method, g.recipe].mean for g in whole]])[0, 1]
    sentences.append(
        f"**All cells of the sample.** There the methods end with a cell that has a zero edge in "
        f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % of their runs; the means of the methods agree with "
        f"those above (correlation {order:.2f}).")
    return sentences
