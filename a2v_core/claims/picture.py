"""Two pictures of results: the verdicts, and the searches side by side."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

from a2v_core.claims.evaluation import Outcome
from a2v_core.claims.register import Register
from a2v_core.claims.rules import CANNOT_BE_RUN, NOT_REPRODUCED, NOT_YET_RUN, PARTLY, REPRODUCED
from a2v_core.claims.values import Arm, Values
from a2v_core.plotting import COLOURS, use_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = {
    REPRODUCED: (COLOURS["blue"], ""), PARTLY: (COLOURS["sky"], "//"), NOT_REPRODUCED: (COLOURS["vermilion"], ".."),
    NOT_YET_RUN: ("#DDDDDD", ""), CANNOT_BE_RUN: ("#FFFFFF", "xx"),
}
#: The searches from top to bottom: name, identities on NAS-Bench-101 and on a data set of NAS-Bench-201, recipe, and
#: colour and marker of what moves the search: a plain encoding, arch2vec, or arch2vec or its search without learning.
_SEARCHES = tuple(
    (name, f"table2/{here}/test_accuracy", f"{there}/test", recipe, COLOURS[colour], marker)
    for name, here, there, recipe, colour, marker in (
        ("random search", "random", "random", "", "orange", "s"), ("REINFORCE", "rl", "reinforce", "", "orange", "s"),
        ("BOHB", "bo", "bohb", "", "orange", "s"), ("regularized evolution", "re", "re", "", "orange", "s"),
        ("arch2vec-RL", "arch2vec_rl", "arch2vec_rl", "released", "blue", "o"),
        ("arch2vec-BO", "arch2vec_bo", "arch2vec_bo", "released", "blue", "o"),
        ("frozen policy", "frozen_policy", "frozen_policy", "released", "green", "D"),
        ("BO on raw matrices", "dngo_one_hot", "bo", "corrected", "green", "D")))
_PANELS = {"NAS-Bench-101": "", "NAS-Bench-201: CIFAR-10": "table3/cifar10",
           "NAS-Bench-201: CIFAR-100": "table3/cifar100", "NAS-Bench-201: ImageNet-16-120": "table3/imagenet16_120"}


def search_picture(register: Register, values: Values) -> bytes:
    """Mean test accuracy of each search of Tables 2 and 3 and of two controls with 95 % intervals, beside the paper's;
    SVG.

    A search that no page has recorded keeps an empty row.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    use_style()
    papers = {claim.id: claim.paper for claim in register.claims}
    # One panel below the other, so narrow that letters stay legible on a telephone.
    figure = Figure(figsize=(4.6, 9.6), layout="constrained")
    for ax, (title, stem) in zip(figure.subplots(len(_PANELS)), _PANELS.items(), strict=True):
        for row, (_, here, there, recipe, colour, marker) in enumerate(_SEARCHES):
            id = f"{stem}/{there}" if stem else here
            if (found := values.find(id, Arm(recipe, "exact"))) is not None and found.interval is not None:
                ends = [[found.value - found.low], [found.high - found.value]]
                ax.errorbar(found.value, row, xerr=ends, fmt=marker, color=colour, capsize=3)
            if isinstance(papers.get(id), float):
                ax.plot(papers[id], row, "x", color=COLOURS["black"], markersize=8, markeredgewidth=2, zorder=3)
        ax.set_yticks(range(len(_SEARCHES)), [name for name, *_ in _SEARCHES])
        ax.set(title=title, ylim=(len(_SEARCHES) - 0.4, -0.6))
    figure.supxlabel("test accuracy, percent", fontsize=11)
    marks = {"plain encoding": ("orange", "s"), "arch2vec": ("blue", "o"), "one stage learns nothing": ("green", "D"),
             "paper": ("black", "x")}
    handles = [Line2D([], [], linestyle="", color=COLOURS[colour], marker=marker) for colour, marker in marks.values()]
    figure.legend(handles, list(marks), loc="outside upper center", ncols=2)
    return _svg(figure)


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
    return _svg(figure)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
