"""The palette behind Ctrl-K: every noun by the index, pages, actions, views, alert rules, metrics; a few of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.alerting.models import Rule
from tongchou.core import modules
from tongchou.core import search as index
from tongchou.core.access import Actor, allows, allows_anywhere
from tongchou.core.lists.views import views_for
from tongchou.core.nouns import noun
from tongchou.inventory import ip_plan, ip_reads
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.shell import menu
from tongchou.web.tables.listing import view_url
from tongchou.web.tables.look import look_of
from tongchou.web.telemetry_reads import metric_names

EACH = 6
Item = dict[str, str]
Group = dict[str, Any]
# what may be done from anywhere: its words, the page where it is done, who may
ACTS: tuple[tuple[str | Promise, str, str], ...] = (
    (gettext_lazy("New resource"), "web:resource-new", "inventory.edit"),
    (gettext_lazy("New silence"), "web:silences", "alerting.respond"),
    (gettext_lazy("New rule file"), "web:alert-file-new", "alerting.edit"),
    (gettext_lazy("New notification channel"), "web:alert-channel-new", "alerting.edit"),
    (gettext_lazy("New objective"), "web:slo-new", "alerting.edit"),
    (gettext_lazy("New procedure"), "web:procedure-new", "runbooks.edit"),
    (gettext_lazy("New window"), "web:window-new", "calendars.edit"),
    (gettext_lazy("Name your stand-in"), "web:stand-ins", "approvals.view"),
    (gettext_lazy("Approval policies"), "web:approval-policies", "approvals.manage"),
    (gettext_lazy("Emergency stop of execution"), "web:runs", "execution.stop"),
    (gettext_lazy("Review who can do what"), "web:people-review", "access.view"),
    (gettext_lazy("New service account"), "web:people-services", "access.manage"),
    (gettext_lazy("Define custom fields"), "web:fields", "settings.edit"),
    (gettext_lazy("Define a kind"), "web:kind-new", "inventory.manage_kinds"),
    (gettext_lazy("Check the health of the platform"), "web:doctor", "platform.view"),
    (gettext_lazy("Change language, time zone, password"), "web:account", ""),
)


def _pages(actor: Actor, word: str) -> list[Item]:
    found = [
        {"title": str(entry["title"]), "url": entry["url"], "hint": f"g {entry['key']}"}
        for stage in menu(actor)
        for entry in stage["entries"]
        if word.lower() in f"{entry['title']} {entry['name']} {stage['title']}".lower()
    ]
    return found if not word else found[:EACH]


def _views(actor: Actor, word: str) -> list[Item]:
    """Saved views, by name, opened on their list."""
    found = [row for row in views_for(actor) if word.casefold() in row.name.casefold()]
    return [
        {"title": row.name, "url": view_url(look, row), "hint": str(noun(row.kind).plural)}
        for row in found[:EACH]
        if (look := look_of(row.kind)) is not None and look.address
    ]


def _things(actor: Actor, word: str) -> list[Group]:
    """Rows of every noun, by the index; what has no page of its own is left out."""
    hits = index.find(actor, word, limit=EACH)
    links = resolve(hit.ref for hit in hits)
    groups: dict[str, list[Item]] = {}
    for hit in hits:
        link = links[hit.ref]
        if link.url:
            groups.setdefault(hit.kind, []).append({"title": link.title, "url": link.url, "hint": link.kind})
    return [{"title": str(noun(kind).plural), "items": items} for kind, items in groups.items()]


def _addresses(actor: Actor, word: str) -> list[Item]:
    """An address or prefix in any notation: whose it is, and the narrowest prefix around it."""
    if ip_plan.parse(word) is None:
        return []
    items = []
    for each in ip_reads.locate(actor, ip_reads.load_plan(), word) or ():
        for entry in each.entries[:EACH]:
            url = reverse("web:ip-prefix" if entry.use == "prefix" else "web:resource", args=[entry.resource_id])
            items.append({"title": f"{each.net} {entry.resource.name}", "url": url, "hint": each.vrf})
        if each.chain and each.chain[-1].row is not None and each.chain[-1].net != each.net:
            url = f"{reverse('web:ip-find')}?{urlencode({'q': word})}"
            items.append({"title": f"{each.net} ⊂ {each.chain[-1].cidr}", "url": url, "hint": each.vrf})
    return items[:EACH]


def _acts(actor: Actor, word: str) -> list[Item]:
    """What a person may do from anywhere: the page where it is done."""
    return [
        {"title": str(title), "url": reverse(name), "hint": str(_("action"))}
        for title, name, permission in ACTS
        if (not permission or allows_anywhere(actor, permission))
        and all(part in str(title).casefold() for part in word.casefold().split())
    ][:EACH]


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
        (_("IP plan"), "inventory.view", _addresses),
        (_("Actions"), "", _acts),
        (_("Views"), "", _views),
        (_("Alert rules"), "alerting.view", _rules),
        (_("Metrics"), "telemetry.view", _metrics),
    ]
    found = _things(request.actor, word) if word else []
    for title, permission, source in sources if word else sources[:1]:
        if not permission or allows_anywhere(request.actor, permission):
            found.append({"title": title, "items": source(request.actor, word)})
    groups = []
    for group in found:
        items = [each for each in group["items"] if modules.of_path(each["url"].partition("?")[0]) is None]
        if items:
            groups.append({"title": group["title"], "items": items})
    return JsonResponse({"groups": groups})
