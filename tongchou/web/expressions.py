"""What an alert's expression measures. Pure."""

from __future__ import annotations

import promql_parser

COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")


def measured_part(expression: str) -> str:
    """Return the left side of a comparison with a number, which has a value at every step; anything else unchanged.

    `rate(errors[5m]) > 0.1` gives `rate(errors[5m])`; `up == 0` gives `up`.
    """
    try:
        tree = promql_parser.parse(expression)
    except ValueError:
        return expression
    while isinstance(tree, promql_parser.ParenExpr):
        tree = tree.expr
    if not isinstance(tree, promql_parser.BinaryExpr) or str(tree.op) not in COMPARISONS:
        return expression
    if not isinstance(tree.rhs, promql_parser.NumberLiteral):
        return expression
    return str(tree.lhs.prettify())
