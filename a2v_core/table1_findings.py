"""What the Table 1 page found, as sentences made from its numbers."""

from __future__ import annotations

import pandas as pd

from a2v_core.stats import against_zero, unpaired_difference
from a2v_core.table1_tables import METHOD_NAMES, METRICS, SPACE_NAMES, estimate, select, show


def findings(frame: pd.DataFrame, ceilings: pd.DataFrame, paper: dict[str, float]) -> list[str]:
    """Sentences on accuracy, validity, uniqueness, the effect of the KL term and the three recipes; what was not run is
    left out.

    Args:
        frame: :func:`a2v_core.table1_plan.metrics`.
        ceilings: :func:`a2v_core.table1_tables.accuracy_ceilings`.
        paper: the paper's value by identity ``table1/<space>/<method>/<metric>``.
    """
    sentences = []
    for space, name in SPACE_NAMES.items():
        here = select(frame, space=space, label="arch2vec-released")
        if here.empty:
            continue
        values = {(m, d): show(estimate(group["value"])) for (m, d), group in here.groupby(["metric", "definition"])}
        printed = {metric: f"{paper[f'table1/{space}/arch2vec/{metric}']:.2f}" for metric in METRICS}
        sentences.append(
            f"**{name}, arch2vec as released.** Whole cells come back: {values['accuracy', 'exact']} % "
            f"(ceiling {ceilings[name].iloc[0]:.1f} %, paper {printed['accuracy']} %); entries: "
            f"{values['accuracy', 'released_operations']} % of the operations, "
            f"{values['accuracy', 'released_edges']} % of the edges. Valid draws: {values['validity', 'exact']} %, "
            f"{values['validity', 'released']} % as the released code counts (paper {printed['validity']} %). Unique: "
            f"{values['uniqueness', 'exact']} %, {values['uniqueness', 'released']} % as the released code counts "
            f"(paper {printed['uniqueness']} %).")
    for metric in ("validity", "uniqueness"):
        if parts := _comparisons(frame, metric, "arch2vec-released", "arch2vec_without_kl-released"):
            sentences.append(f"**The KL term and {metric}** (arch2vec against arch2vec without KL, exact): "
                             f"{'; '.join(parts)}. The paper says it is higher with the KL term on all three.")
    for method in ("gae", "vgae"):
        if parts := _comparisons(frame, "accuracy", "arch2vec-released", f"{method}-released"):
            sentences.append(f"**GIN and GCN** (accuracy of arch2vec against {METHOD_NAMES[method]}, exact): "
                             f"{'; '.join(parts)}.")
    for recipe in ("paper", "corrected"):
        chosen = select(frame, label=f"arch2vec-{recipe}", definition="exact")
        means = chosen.groupby(["space", "metric"])["value"].mean()
        parts = [f"{name} {' / '.join(f'{means[space, metric]:.1f}' for metric in METRICS)} %"
                 for space, name in SPACE_NAMES.items() if space in means.index]
        if parts:
            sentences.append(f"**Recipe {recipe}** (accuracy / validity / uniqueness of arch2vec, exact): "
                             f"{'; '.join(parts)}.")
    return sentences


def _comparisons(frame: pd.DataFrame, metric: str, first: str, second: str) -> list[str]:
    """One phrase a space: which arm has the higher exact measure, by how much, and whether chance is excluded."""
    phrases = []
    for space, name in SPACE_NAMES.items():
        a, b = (select(frame, space=space, label=label, metric=metric, definition="exact")["value"].to_numpy()
                for label in (first, second))
        if not len(a) or not len(b):
            continue
        gap = a.mean() - b.mean()
        if min(len(a), len(b)) > 1:
            found = unpaired_difference(a, b)
            spread = f" [{found.low:+.1f}, {found.high:+.1f}]"
            word = against_zero(found, "higher", "lower")
        else:
            spread, word = " (single runs)", "higher" if gap > 0 else "lower" if gap < 0 else "equal"
        phrases.append(f"{name} {word}, {gap:+.1f}{spread} points")
    return phrases
