"""Whether a resolved query is PromQL at all; what it means is for the metrics to say."""

from __future__ import annotations

import promql_parser


def problem(query: str) -> str:
    """What the parser has against a query; empty when it is PromQL."""
    try:
        promql_parser.parse(query)
    except ValueError as error:
        return str(error)[:300]
    return ""
