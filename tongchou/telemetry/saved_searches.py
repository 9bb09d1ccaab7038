"""Saved searches: making them, and counting their new lines into series, so that ordinary rules alert on them.

`log_search_lines_total{search, service}` is a counter. Lines are counted in the order in which they arrive, each once,
over restarts too; a line is counted whatever its own time says, as long as it is not older than a day.
A service's series begins with zeros before its first lines: increase() cannot see a counter that is born at five.
"""

from __future__ import annotations

import re
from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check, system
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import backend
from tongchou.telemetry.log_reads import log_cost
from tongchou.telemetry.logs.log_store import Query
from tongchou.telemetry.logs.query import parse
from tongchou.telemetry.models import SavedSearch
from tongchou.telemetry.series import STALE_NAN, Labels, SeriesBlock, labels_of
from tongchou.telemetry.store.log_tables import NS

METRIC = "log_search_lines_total"
MAX_SEARCHES = 200
# Two zeros: one far back, so that increase() over minutes extrapolates little, one near for short windows.
BIRTH_MS = (60_000, 1_000)
MAX_SERVICES = 200  # of one search; further services are counted under "" together with lines that name none
LOOK_BACK_NS = int(timedelta(days=1) / timedelta(microseconds=1)) * 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")


def save(*, actor: Actor, name: str, query: str, enabled: bool = True) -> SavedSearch:
    """Make or change a saved search; event search.saved. Raises BadQuery, Invalid, Conflict at 200 searches."""
    check(actor, "alerting.edit")
    if not _NAME.fullmatch(name):
        raise Invalid(
            "logs.search_name",
            _("A name has 1 to 80 lower-case letters, digits, dots, dashes and underscores."),
            field="name",
            value=name,
        )
    parse(query)
    start = backend().logs.ingest.readable
    ended: list[Labels] = []
    with transaction.atomic():
        row = SavedSearch.objects.select_for_update().filter(name=name).first()
        if row is not None and not row.enabled and enabled:
            row.counted_to = start  # what came while it was off is not news of the moment it is switched on
        if row is not None and row.enabled and not enabled:
            ended = _series_of(row)
        if row is None:
            if SavedSearch.objects.count() >= MAX_SEARCHES:
                raise Conflict(
                    "logs.too_many_searches", _("There are %(count)d saved searches already.") % {"count": MAX_SEARCHES}
                )
            row = SavedSearch(name=name, counted_to=start)
        row.query, row.enabled, row.last_error = query, enabled, ""
        row.save()
        payload = {"name": name, "query": query, "enabled": enabled}
        ledger.record(actor=actor, verb="search.saved", subject=ref(row), payload=payload)
    _end(ended)
    return row


def delete(*, actor: Actor, name: str) -> None:
    """Remove a saved search; its series ends. Event search.deleted."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        row = SavedSearch.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise NotFound("logs.no_search", _("There is no saved search of this name."), field="name", value=name)
        ledger.record(actor=actor, verb="search.deleted", subject=ref(row), payload={"name": name})
        ended = _series_of(row)
        row.delete()
    _end(ended)


def _labels(search: str, service: str) -> Labels:
    return labels_of({"__name__": METRIC, "search": search, "service": service})


def _series_of(row: SavedSearch) -> list[Labels]:
    return [_labels(row.name, service) for service in {"", *row.totals}]


def _end(series: list[Labels]) -> None:
    """End series now, as a scrape does whose target has gone: rules see nothing of them any more."""
    if series:
        at = backend().clock()
        append(SeriesBlock.build([(labels, [at], [STALE_NAN]) for labels in series]), actor=system("saved-searches"))


def count_new() -> int:
    """Count the lines that arrived since the last call, for every enabled search; returns how many searches failed."""
    store, failed = backend().logs, 0
    series: list[tuple[Labels, list[int], list[float]]] = []
    now_ms = backend().clock()
    for row in SavedSearch.objects.filter(enabled=True).order_by("name"):
        upto = store.ingest.readable
        try:
            totals = _totals(row, upto)
        except Problem as problem:
            failed += 1
            SavedSearch.objects.filter(pk=row.pk).update(last_error=str(problem)[:500])
            continue
        if upto != row.counted_to or row.last_error:
            SavedSearch.objects.filter(pk=row.pk, counted_to=row.counted_to).update(
                totals=totals, counted_to=upto, last_error=""
            )
        known = {"", *row.totals}
        born = round(row.created_at.timestamp() * 1000)
        for service, count in ({"": 0} | totals).items():
            zeros = [] if service in known else [now_ms - back for back in BIRTH_MS if now_ms - back > born]
            times, values = [*zeros, now_ms], [*(0.0 for _zero in zeros), float(count)]
            series.append((_labels(row.name, service), times, values))
    if series:
        append(SeriesBlock.build(series), actor=system("saved-searches"))
    return failed


def _totals(row: SavedSearch, upto: int) -> dict[str, int]:
    """Lines per service up to a place."""
    totals: dict[str, int] = dict(row.totals)
    if upto <= row.counted_to:
        return totals
    now = backend().logs.clock_ns()
    query = Query(now - LOOK_BACK_NS, now + 3600 * NS, parse(row.query))
    found = backend().logs.count_arrived(query, "service", after=row.counted_to, upto=upto, cost=log_cost())
    for service, count in sorted(found.items()):
        name = service if service in totals or len(totals) < MAX_SERVICES else ""
        totals[name] = totals.get(name, 0) + count
    return totals
