"""What ends and when; the rules behind it; how complete the inventory is."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from ninja import Router

from tongchou.api.bodies import Day
from tongchou.api.core import Page, actor_of
from tongchou.api.document import bytes_of
from tongchou.api.paging import Offset
from tongchou.core import icalendar
from tongchou.core.access import check, check_anywhere
from tongchou.inventory import completeness, end_of_life, expiries, reads
from tongchou.inventory.models_queues import QueueItem

router = Router(tags=["inventory"])
Sort = Literal["os", "software", "certificate", "warranty", "support", "contract", "licence", "domain", "other"]


def _end(row: QueueItem) -> dict[str, Any]:
    resource = row.resource
    named = {"id": resource.pk, "kind": resource.kind, "name": resource.name} if resource is not None else None
    told = {name: row.facts.get(name) for name in ("sort", "what", "extended", "source")}
    return {"id": row.pk, "resource": named, "due": row.due, "state": row.state, **told}


@router.get("/ends", response=Page)
def list_ends(
    request: HttpRequest,
    since: Day | None = None,
    until: Day | None = None,
    sort: Sort | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List known ends by day; those whose day is unknown come when neither `since` nor `until` is given, last."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    found = expiries.known_ends(actor, sort=sort or "")
    if since is not None:
        found = found.filter(due__gte=since)
    if until is not None:
        found = found.filter(due__lte=until)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    rows = expiries.in_order(found).select_related("resource")[offset : offset + limit]
    return {"items": [_end(row) for row in rows], "count": found.count()}


@router.get("/ends.ics", openapi_extra=bytes_of("text/calendar"))
def ends_calendar(
    request: HttpRequest,
    since: Day | None = None,
    until: Day | None = None,
    sort: Sort | None = None,
    lang: Literal["en", "zh", ""] = "",
) -> HttpResponse:
    """Return ends as a calendar file (iCalendar) in `lang` (or the caller's language): all-day events, stable UIDs.

    From `since` on (default: 90 days ago), at most 5,000. A calendar program signs in with any user name and a token
    as its password (HTTP Basic).
    """
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    language = {"en": "en", "zh": "zh-hans"}.get(lang, translation.get_language() or "en")
    with translation.override(language):
        rows = expiries.in_feed(actor, sort=sort or "", since=since, until=until)
        told = _("Ends that the inventory knows, at most %(most)s.") % {"most": f"{expiries.MOST_IN_FEED:,}"}
        content = icalendar.written(_("What ends"), told, expiries.days_of(rows), at=timezone.now())
    headers = {"Content-Disposition": 'attachment; filename="ends.ics"', "Content-Language": language}
    return HttpResponse(content, content_type="text/calendar; charset=utf-8", headers=headers)


@router.get("/end-of-life", response=dict[str, Any])
def end_of_life_rules(request: HttpRequest) -> dict[str, Any]:
    """Return the rules on the end of support: products, their lines of versions, where their makers say so."""
    check(actor_of(request), reads.VIEW)
    found = end_of_life.pack()
    products = [
        {
            "name": each.name,
            "title": each.title,
            "group": each.group,
            "source": each.source,
            "cycles": [
                {"cycle": row.cycle, "released": row.released, "ends": row.ends, "extended": row.extended}
                for row in each.cycles.values()
            ],
        }
        for each in found.products
    ]
    return {"version": found.version, "compiled": found.compiled, "products": products}


@router.get("/completeness", response=dict[str, Any])
def completeness_scores(request: HttpRequest) -> dict[str, Any]:
    """Return the score (0 to 1) of all, and by kind, team and site, with how many lack what."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    return {
        by: [
            {"name": each.name, "resources": each.total, "score": each.score, "lacking": dict(each.lacking)}
            for each in found
        ]
        for by, found in completeness.scores(actor).items()
    }
