"""Whether a resolved query is PromQL at all; what it means is for the metrics to say."""

from __future__ import annotations

from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.parse import parse


def problem(query: str) -> str:
    """What the parser has against a query; empty when it is PromQL."""
    try:
        parse(query)
    except QueryError as error:
        return str(error.detail)[:300]
    return ""
