"""What an objective says: two counts of events over `$window`, a target, and the time it is held over. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from tongchou.alerting.durations import format_seconds
from tongchou.core.problems import Text

PLACE = "$window"
MIN_WINDOW_SECONDS = 600
MAX_WINDOW_SECONDS = 366 * 86400
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_LANGUAGES = ("en", "zh")
# A rate has lost the number of events, and a budget is a number of events.
_RATE = re.compile(r"\bi?rate\s*\(")


@dataclass(frozen=True, slots=True)
class Spec:
    """An objective as its author wrote it.

    `error_query` and `total_query` are PromQL that count events over the last `$window`, such as
    `sum(increase(http_requests_total{code=~"5.."}[$window]))`. `target` is the share of good events, in (0, 1).
    An alert needs at least `min_events` events and `min_errors` errors in its long window.
    """

    name: str
    title: dict[str, str]
    service: str
    error_query: str
    total_query: str
    target: float
    window_seconds: int
    min_events: int = 100
    min_errors: int = 3


@dataclass(frozen=True, slots=True)
class Mistake:
    """A field that will not do, and what to write instead."""

    field: str
    value: object
    says: Text
    remedy: Text


def over(query: str, seconds: float) -> str:
    """Return one number: what `query` counts over the last `seconds`, summed over its series."""
    return f"sum({query.strip().replace(PLACE, format_seconds(seconds))})"


def mistake(spec: Spec) -> Mistake | None:
    """Return the first field that will not do; whether the queries are PromQL is not looked at here."""
    if not _NAME.fullmatch(spec.name):
        return Mistake("name", spec.name, _("A name has small letters, digits and dashes."), _("E.g. orders-answers."))
    if not spec.title or any(key not in _LANGUAGES or not str(text).strip() for key, text in spec.title.items()):
        return Mistake(
            "title", spec.title, _("A title is wanted, in one or two languages."), '{"en": "...", "zh": "..."}'
        )
    if not 0 < spec.target < 1:
        return Mistake(
            "target", spec.target, _("A target lies between 0 and 1, both left out."), _("E.g. 0.999 for 99.9 %.")
        )
    if not MIN_WINDOW_SECONDS <= spec.window_seconds <= MAX_WINDOW_SECONDS:
        return Mistake("window", spec.window_seconds, _("A window lasts from 10 minutes to 366 days."), _("E.g. 30d."))
    if spec.min_events < 1 or spec.min_errors < 1:
        return Mistake("min_events", spec.min_events, _("A least number of events is 1 or more."), _("E.g. 100."))
    for name, query in (("error_query", spec.error_query), ("total_query", spec.total_query)):
        if wrong := _query_mistake(name, query):
            return wrong
    return None


def _query_mistake(name: str, query: str) -> Mistake | None:
    if PLACE not in query:
        return Mistake(
            name,
            query,
            _("The query does not say over which time it counts."),
            _("Write $window as the range, e.g. sum(increase(http_requests_total[$window]))."),
        )
    if _RATE.search(query):
        return Mistake(
            name,
            query,
            _("A rate does not count events, and an error budget is a number of events."),
            _("Use increase() in place of rate()."),
        )
    if "`" in query or "{{" in query:
        return Mistake(name, query, _("A query may hold neither ` nor {{."), _('Quote with " instead.'))
    return None
