"""Review: the event ledger, filtered and with its seals; and how events read everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.timezone import is_naive, make_aware
from django.utils.translation import gettext_lazy as _

from tongchou.core import seal
from tongchou.core.access import check
from tongchou.core.models import Event, EventAbout, Seal, Segment
from tongchou.core.refs import is_ref
from tongchou.incidents import reads as incident_reads
from tongchou.incidents import timeline
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import Link, resolve
from tongchou.web.verbs import MORE, spoken

PAGE = 50


@dataclass(frozen=True)
class Line:
    """An event as a line of a timeline, with the page of its subject."""

    entry: timeline.Entry
    link: Link
    tone: str
    html: SafeString | None = None

    @property
    def who(self) -> str:
        """Who did it, for a line in one piece; "" where the text begins with the name already."""
        return "" if self.entry.text.startswith(self.entry.actor) else self.entry.actor


# timeline tones -> ours
TONES = {"critical": "critical", "warning": "warning", "ok": "ok", "accent": "info", "neutral": "unknown"}


# quick filters: the first word of the verbs, and how people call them
KINDS: tuple[tuple[str, str | Promise], ...] = (
    ("incident.", _("Incidents")),
    ("postmortem.", _("Postmortems")),
    ("improvement.", _("Improvements")),
    ("alert", _("Alerts")),
    ("requirement.", _("Requirements")),
    ("decision.", _("Decision records")),
    ("release.", _("Releases")),
    ("deployment.", _("Deployments")),
    ("run.", _("Runs")),
    ("approval.", _("Approvals")),
    ("resource.", _("Resources")),
    ("setting.", _("Settings")),
    ("user.", _("People")),
)


def entries(events: Iterable[Event]) -> list[Line]:
    """Return events as lines people read, in the order given. One query a noun for the names."""
    rows = list(events)
    found = [spoken(entry, event.payload) for event, entry in zip(rows, incident_reads.entries(rows), strict=True)]
    links = resolve(entry.ref for entry in found)
    return [Line(entry, links[entry.ref], TONES[entry.tone]) for entry in found]


def _filtered(request: PageRequest) -> dict[str, Any]:
    get = request.GET
    return {name: get.get(name, "").strip()[:200] for name in ("verb", "actor", "about", "since", "until")}


def _moment(text: str) -> datetime | None:
    """Return the time in UTC; None for nothing, for no time (month 13) and for one outside the calendar."""
    try:
        moment = parse_datetime(text)
        return None if moment is None else (make_aware(moment) if is_naive(moment) else moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@page("ledger.view")
def events(request: PageRequest) -> HttpResponse:
    """Who did what, when; newest first, paged by id so that the last page costs what the first does."""
    check(request.actor, "ledger.view")  # the ledger has no owner: a team's role does not open it
    filters = _filtered(request)
    rows = Event.objects.order_by("-pk")
    if filters["verb"]:
        rows = rows.filter(verb__startswith=filters["verb"])
    if filters["actor"]:
        rows = rows.filter(actor_name__icontains=filters["actor"])
    if filters["about"] and is_ref(filters["about"]):
        rows = rows.filter(abouts__ref=filters["about"])
    for name, lookup in (("since", "at__gte"), ("until", "at__lte")):
        moment = _moment(filters[name])
        if moment is not None:
            rows = rows.filter(**{lookup: moment})
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    shown = found[:PAGE]
    seals = {each.event_id: each for each in Seal.objects.filter(event__in=[event.pk for event in shown])}
    context = {
        "filters": filters,
        "filtered": any(filters.values()),
        "about_link": resolve([filters["about"]])[filters["about"]] if is_ref(filters["about"]) else None,
        "rows": [
            {"line": line, "event": event, "seal": seals.get(event.pk)}
            for line, event in zip(entries(shown), shown, strict=True)
        ],
        "next": shown[-1].pk if len(found) > PAGE else None,
        "kinds": KINDS,
        "verbs": sorted({*timeline.LINES, *MORE}),
        "unsealed": seal.unsealed_count(),
        "segment": Segment.objects.order_by("-month").first(),
    }
    return render(request, "review/events.html", context)


@page("ledger.view")
def event_detail(request: PageRequest, number: int) -> HttpResponse:
    """One event with its payload, what it is about and its place in the chain; loaded under its row."""
    check(request.actor, "ledger.view")
    number = min(number, BigIntegerField.MAX_BIGINT)  # the database does not compare with more
    row = Event.objects.filter(pk=number).first()
    refs = list(EventAbout.objects.filter(event=number).values_list("ref", flat=True))
    context = {
        "event": row,
        "links": resolve(refs).values(),
        "seal": Seal.objects.select_related("segment").filter(event=number).first(),
    }
    return render(request, "review/event_detail.html", context, status=200 if row else 404)
