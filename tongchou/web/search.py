"""The palette behind Ctrl-K: pages, resources, incidents, procedures, alert rules, metrics; a few of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from tongchou.alerting.models import Rule
from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.incidents import reads as incident_reads
from tongchou.inventory import kinds
from tongchou.inventory.models import ResourceState
from tongchou.inventory.reads import visible
from tongchou.runbooks.models import Procedure
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import localized
from tongchou.web.shell import menu
from tongchou.web.telemetry_reads import metric_names

EACH = 6
Item = dict[str, str]


def _pages(actor: Actor, word: str) -> list[Item]:
    found = [
        {"title": str(entry["title"]), "url": entry["url"], "hint": f"g {entry['key']}"}
        for stage in menu(actor)
        for entry in stage["entries"]
        if word.lower() in f"{entry['title']} {entry['name']} {stage['title']}".lower()
    ]
    return found if not word else found[:EACH]


def _resources(actor: Actor, word: str) -> list[Item]:
    active = visible(actor).filter(state=ResourceState.ACTIVE)
    rows = list(active.filter(name__istartswith=word).order_by("name")[:EACH])
    if len(rows) < EACH:
        rows += list(
            active.filter(name__icontains=word).exclude(name__istartswith=word).order_by("name")[: EACH - len(rows)]
        )
    return [
        {"title": row.name, "url": reverse("web:resource", args=[row.pk]), "hint": str(kinds.kind(row.kind).title)}
        for row in rows
    ]


def _incidents(actor: Actor, word: str) -> list[Item]:
    match = Q(title__icontains=word)
    digits = word.lower().removeprefix("inc-")
    if digits.isascii() and digits.isdigit() and len(digits) < 9:
        match |= Q(number=int(digits))
    rows = incident_reads.visible(actor).filter(match)[:EACH]
    return [
        {"title": str(row), "url": reverse("web:incident", args=[row.number]), "hint": row.get_state_display()}
        for row in rows
    ]


def _procedures(actor: Actor, word: str) -> list[Item]:
    rows = Procedure.objects.filter(Q(name__icontains=word) | Q(title__icontains=word), state="active").order_by(
        "name"
    )[:EACH]
    return [
        {"title": localized(row.title, row.name), "url": reverse("web:procedure", args=[row.name]), "hint": row.name}
        for row in rows
    ]


def _rules(actor: Actor, word: str) -> list[Item]:
    names = (
        Rule.objects.filter(name__icontains=word, retired_at__isnull=True)
        .order_by("name")
        .values_list("name", flat=True)
        .distinct()
    )
    return [
        {"title": name, "url": f"{reverse('web:alert-rules')}?q={name}", "hint": _("Alert rule")}
        for name in names[:EACH]
    ]


def _metrics(actor: Actor, word: str) -> list[Item]:
    if not allows(actor, "telemetry.view"):  # metrics have no owner
        return []
    names = [name for name in metric_names() if word.lower() in name.lower()][:EACH]
    return [{"title": name, "url": f"{reverse('web:explore')}?query={name}", "hint": _("Metric")} for name in names]


@page(ANY_PERSON)
def search(request: PageRequest) -> HttpResponse:
    """GET /search?q=: groups of {title, url, hint}. Only what the person may open; without a word, the pages."""
    word = request.GET.get("q", "").strip()[:100]
    sources: list[tuple[str, str, Callable[[Actor, str], list[Item]]]] = [
        (_("Pages"), "", _pages),
        (_("Resources"), "inventory.view", _resources),
        (_("Incidents"), "incidents.view", _incidents),
        (_("Procedures"), "runbooks.view", _procedures),
        (_("Alert rules"), "alerting.view", _rules),
        (_("Metrics"), "telemetry.view", _metrics),
    ]
    groups: list[dict[str, Any]] = []
    for title, permission, source in sources if word else sources[:1]:
        if permission and not allows_anywhere(request.actor, permission):
            continue
        items = source(request.actor, word)
        if items:
            groups.append({"title": title, "items": items})
    return JsonResponse({"groups": groups})
