"""DARTS genotypes: one cell as a tuple of edges, its text form, and cells published in the literature.

A genotype lists eight edges, two for each of the four intermediate nodes in order. An edge is an operation and
the state it reads: 0 is c_{k-2}, 1 is c_{k-1}, 2 + j is intermediate node j. Source: Liu et al., "DARTS" (2019), §2.1
and the notation of its released code.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import NamedTuple

from a2v_core.errors import SpaceError

#: The eight operations of an edge, in the order of the paper (Appendix A.3).
OPERATIONS = (
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
#: Number of intermediate nodes; each has two edges.
N_INTERMEDIATE = 4
N_EDGES = 2 * N_INTERMEDIATE

_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_CONCAT = tuple(range(2, 2 + N_INTERMEDIATE))


@dataclass(frozen=True)
class Genotype:
    """One cell: eight ``(operation, input)`` edges, two for each intermediate node in order.

    Raises:
        SpaceError: an edge is missing, malformed, reads a later state, or both edges of a node read the same one.
    """

    edges: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        try:
            edges = tuple((operation, source) for operation, source in self.edges)
        except (TypeError, ValueError):
            raise SpaceError(f"a genotype is {N_EDGES} (operation, input) pairs, got {self.edges!r}") from None
        if len(edges) != N_EDGES:
            raise SpaceError(f"a genotype has {N_EDGES} edges, got {len(edges)}: {edges!r}")
        for i, (operation, source) in enumerate(edges):
            node = i // 2
            where = f"edge {i} {(operation, source)!r} of intermediate node {node}"
            if operation not in OPERATIONS:
                raise SpaceError(f"{where}: unknown operation, choose one of {', '.join(OPERATIONS)}")
            if type(source) is not int or not 0 <= source < node + 2:
                raise SpaceError(f"{where}: the input must be an integer from 0 to {node + 1}")
        for node in range(N_INTERMEDIATE):
            if edges[2 * node][1] == edges[2 * node + 1][1]:
                raise SpaceError(
                    f"intermediate node {node} reads input {edges[2 * node][1]} twice: its two inputs must differ"
                )
        object.__setattr__(self, "edges", edges)

    def __str__(self) -> str:
        """The text form with this cell as normal and as reduction cell."""
        return str(NetworkGenotype(self, self))


class NetworkGenotype(NamedTuple):
    """The two cells of a network: normal and reduction. Its ``str`` is the text form ``Genotype(normal=[…], …)``."""

    normal: Genotype
    reduction: Genotype

    def __str__(self) -> str:
        normal, reduction = list(self.normal.edges), list(self.reduction.edges)
        concat = f"range({_CONCAT[0]}, {_CONCAT[-1] + 1})"
        return f"Genotype(normal={normal}, normal_concat={concat}, reduce={reduction}, reduce_concat={concat})"


def parse_genotype(text: str) -> NetworkGenotype:
    """Read ``Genotype(normal=[('sep_conv_3x3', 1), …], normal_concat=range(2, 6), reduce=[…], reduce_concat=…)``.

    The text is parsed, never evaluated. The nodes concatenated are a range or a list.

    Raises:
        SpaceError: the text is not of that form; the message quotes the part that is wrong.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpaceError(f"genotype {_shortened(text)} is not an expression: {error}") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "Genotype":
        raise SpaceError(f"genotype {_shortened(text)} does not have the form Genotype(normal=[…], …)")
    if call.args or sorted(str(k.arg) for k in call.keywords) != sorted(_FIELDS):
        given = [k.arg for k in call.keywords]
        raise SpaceError(f"genotype {_shortened(text)} needs the keywords {', '.join(_FIELDS)} once each, got {given}")
    fields = {str(k.arg): k.value for k in call.keywords}
    for name in ("normal_concat", "reduce_concat"):
        if _concat(name, fields[name]) != _CONCAT:
            raise SpaceError(
                f"{name}={ast.unparse(fields[name])}: the output of a cell in this space concatenates all "
                f"intermediate nodes, {list(_CONCAT)}"
            )
    return NetworkGenotype(_cell("normal", fields["normal"]), _cell("reduce", fields["reduce"]))


def _cell(name: str, node: ast.expr) -> Genotype:
    value = _literal(name, node)
    if not isinstance(value, (list, tuple)):
        raise SpaceError(f"{name}={ast.unparse(node)}: a list of {N_EDGES} (operation, input) pairs is needed")
    try:
        return Genotype(tuple(value))
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None


def _concat(name: str, node: ast.expr) -> tuple[int, ...]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        bounds = [_literal(name, argument) for argument in node.args]
        if len(bounds) == 2 and all(type(bound) is int and abs(bound) < 100 for bound in bounds):
            return tuple(range(*bounds))
    value = _literal(name, node)
    if not isinstance(value, (list, tuple)):
        raise SpaceError(f"{name}={ast.unparse(node)}: a list of node numbers or range(2, 6) is needed")
    return tuple(value)


def _literal(name: str, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        raise SpaceError(f"{name}={ast.unparse(node)}: only literal values are read") from None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "…")


def _genotype(*edges: str) -> Genotype:
    """Read edges written ``operation(input)``, the notation of the literature's tables."""
    return Genotype(tuple((edge[:-3], int(edge[-2])) for edge in edges))


#: Best cell of arch2vec with Bayesian optimisation (paper, Figure 10; its released code): both kinds of cell.
ARCH2VEC_BO = _genotype(
    "sep_conv_5x5(1)", "max_pool_3x3(0)", "skip_connect(0)", "dil_conv_3x3(1)",
    "sep_conv_5x5(1)", "sep_conv_3x3(0)", "dil_conv_5x5(2)", "sep_conv_3x3(0)",
)  # fmt: skip
#: Best cell of arch2vec with REINFORCE (paper, Figure 10; its released code): both kinds of cell.
ARCH2VEC_RL = _genotype(
    "sep_conv_3x3(0)", "dil_conv_3x3(1)", "max_pool_3x3(0)", "dil_conv_3x3(1)",
    "skip_connect(0)", "sep_conv_3x3(1)", "dil_conv_5x5(1)", "sep_conv_3x3(0)",
)  # fmt: skip
#: First-order DARTS (Liu et al. 2019, appendix; the published genotype DARTS_V1).
DARTS_FIRST_ORDER = NetworkGenotype(
    _genotype(
        "sep_conv_3x3(1)", "sep_conv_3x3(0)", "skip_connect(0)", "sep_conv_3x3(1)",
        "skip_connect(0)", "sep_conv_3x3(1)", "sep_conv_3x3(0)", "skip_connect(2)",
    ),
    _genotype(
        "max_pool_3x3(0)", "max_pool_3x3(1)", "skip_connect(2)", "max_pool_3x3(0)",
        "max_pool_3x3(0)", "skip_connect(2)", "skip_connect(2)", "avg_pool_3x3(0)",
    ),
)  # fmt: skip
#: Second-order DARTS (Liu et al. 2019, Figures 4 and 5; the published genotype DARTS_V2).
DARTS_SECOND_ORDER = NetworkGenotype(
    _genotype(
        "sep_conv_3x3(0)", "sep_conv_3x3(1)", "sep_conv_3x3(0)", "sep_conv_3x3(1)",
        "sep_conv_3x3(1)", "skip_connect(0)", "skip_connect(0)", "dil_conv_3x3(2)",
    ),
    _genotype(
        "max_pool_3x3(0)", "max_pool_3x3(1)", "skip_connect(2)", "max_pool_3x3(1)",
        "max_pool_3x3(0)", "skip_connect(2)", "skip_connect(2)", "max_pool_3x3(1)",
    ),
)  # fmt: skip
