"""How a query is refused: what was wrong, where in the text, and which setting to raise."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Problem

Text = str | Promise


class QueryError(Problem):
    """A PromQL query that cannot be parsed, cannot be evaluated, or would take more than it may.

    code is telemetry.parse_error, telemetry.execution_error, telemetry.limit_exceeded or telemetry.canceled;
    position is the 0-based character where the parser stopped, when it says so.
    """

    status = 422
    default_title = _("Query refused")
    position: int | None = None


def parse_error(query: str, detail: str, position: int | None = None) -> QueryError:
    """The text is not PromQL."""
    error = QueryError(
        "telemetry.parse_error",
        detail,
        field="query",
        value=query,
        title=_("Query does not parse"),
        extra={} if position is None else {"position": position},
    )
    error.status = 400
    error.position = position
    return error


def refused_type(found: str) -> QueryError:
    """The query is well formed and of a type that a range query cannot have; Prometheus calls that bad data."""
    detail = f'invalid expression type "{found}" for range query, must be Scalar or instant Vector'
    error = QueryError("telemetry.parse_error", detail, field="query", title=_("Query failed"))
    error.status = 400
    return error


def execution_error(detail: Text, remedy: Text | None = None) -> QueryError:
    """The query is well formed and has no defined result on this data."""
    return QueryError("telemetry.execution_error", detail, field="query", remedy=remedy, title=_("Query failed"))


def limit_exceeded(limit: str, reached: float, allowed: float, setting: str) -> QueryError:
    """The query would pass a limit; the message names the limit and the setting that raises it."""
    error = QueryError(
        "telemetry.limit_exceeded",
        _("The query passes the limit %(limit)s: %(reached)s, allowed %(allowed)s.")
        % {"limit": limit, "reached": f"{reached:g}", "allowed": f"{allowed:g}"},
        field="query",
        remedy=_("Narrow the selector, the time range or the resolution, or raise %(setting)s.") % {"setting": setting},
        title=_("Query limit exceeded"),
        extra={"limit": limit, "setting": setting},
    )
    if limit == "timeout_seconds":
        error.status = 503
    return error


def canceled() -> QueryError:
    """Whoever asked has gone away."""
    error = QueryError("telemetry.canceled", _("The query was canceled because the client went away."))
    error.status = 499
    return error
