"""Saved searches: making them, and counting their new lines into series, so that ordinary rules alert on them.

`log_search_lines_total{search, service}` is a counter. Lines are counted in the order in which they arrive, each once,
over restarts too; a line is counted whatever its own time says, as long as it is not older than a day.
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
from tongchou.telemetry.series import Labels, SeriesBlock, labels_of
from tongchou.telemetry.store.log_tables import NS

METRIC = "log_search_lines_total"
MAX_SEARCHES = 200
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
    start = backend().logs.ingest.written
    with transaction.atomic():
        row = SavedSearch.objects.select_for_update().filter(name=name).first()
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
    return row


def delete(*, actor: Actor, name: str) -> None:
    """Remove a saved search; its series ends. Event search.deleted."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        row = SavedSearch.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise NotFound("logs.no_search", _("There is no saved search of this name."), field="name", value=name)
        ledger.record(actor=actor, verb="search.deleted", subject=ref(row), payload={"name": name})
        row.delete()


def count_new() -> int:
    """Count the lines that arrived since the last call, for every enabled search; returns how many searches failed."""
    store, failed = backend().logs, 0
    series: list[tuple[Labels, list[int], list[float]]] = []
    now_ms = backend().clock()
    for row in SavedSearch.objects.filter(enabled=True).order_by("name"):
        upto = store.ingest.written
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
        for service, count in ({"": 0} | totals).items():
            labels = labels_of({"__name__": METRIC, "search": row.name, "service": service})
            series.append((labels, [now_ms], [float(count)]))
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
