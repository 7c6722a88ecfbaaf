"""The verdicts as one picture, for the landing page and the README."""

from __future__ import annotations

import io
from collections import Counter

from a2v_core.claims.evaluation import Outcome
from a2v_core.claims.register import Register
from a2v_core.claims.rules import CANNOT_BE_RUN, NOT_REPRODUCED, NOT_YET_RUN, PARTLY, REPRODUCED
from a2v_core.plotting import COLOURS, use_style

_LOOKS = {
    REPRODUCED: (COLOURS["blue"], ""), PARTLY: (COLOURS["sky"], "//"), NOT_REPRODUCED: (COLOURS["vermilion"], ".."),
    NOT_YET_RUN: ("#DDDDDD", ""), CANNOT_BE_RUN: ("#FFFFFF", "xx"),
}


def verdict_picture(register: Register, outcomes: list[Outcome]) -> bytes:
    """A bar a section of the register, divided by the share of each verdict and labelled with its counts; SVG.

    Verdicts differ by colour and by hatching, so that the picture can be read without colour.
    """
    from matplotlib.figure import Figure

    use_style()
    by_id = {outcome.id: outcome.verdict for outcome in outcomes}
    names = [section.title.partition(" (")[0] for section in register.sections]
    counts = [Counter(by_id[claim.id] for claim in register.of_section(section)) for section in register.sections]
    figure = Figure(figsize=(9, 0.8 + 0.36 * len(names)), layout="constrained")
    ax = figure.subplots()
    left = [0.0] * len(names)
    for verdict, (colour, hatch) in _LOOKS.items():
        shares = [100 * count[verdict] / max(count.total(), 1) for count in counts]
        bars = ax.barh(range(len(names)), shares, left=left, color=colour, hatch=hatch, edgecolor="#444444",
                       linewidth=0.6, height=0.72, label=verdict)
        labels = [str(count[verdict]) if count[verdict] else "" for count in counts]
        ax.bar_label(bars, labels, label_type="center", fontsize=9,
                     bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85})
        left = [a + b for a, b in zip(left, shares, strict=True)]
    for text in ax.texts:
        text.set_visible(bool(text.get_text()))
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 100), ylim=(len(names) - 0.4, -0.6), xlabel="percent of the claims; the numbers count them")
    ax.grid(visible=False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=len(_LOOKS))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
