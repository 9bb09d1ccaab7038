"""Plan: the work queues of the inventory, and one item with what may be decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core.access import allows, team_names
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.inventory import kinds, queues, reads, work
from tongchou.inventory.bulk import day, team_named
from tongchou.inventory.models import Resource
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName
from tongchou.inventory.refresh import PEER
from tongchou.web.gate import PageRequest, page
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import icon

# what each queue asks of a person: one sentence
ASKS = {
    QueueName.DIFFERS: gettext_lazy("A person or a declaring source says one thing, an observing source another."),
    QueueName.UNRECORDED: gettext_lazy("It is observed, or sends metrics; nobody declared it and nobody accepted it."),
    QueueName.UNSEEN: gettext_lazy("No source and no person has seen it for so long. Is it still there?"),
    QueueName.UNOWNED: gettext_lazy("Nobody answers for it."),
    QueueName.EXPIRING: gettext_lazy(
        "Support, a certificate, a contract or a domain ends soon, has ended, or the end is unknown."
    ),
    QueueName.IDENTITY: gettext_lazy(
        "Several resources seem to be one thing, or one look saw one thing where several are recorded."
    ),
    QueueName.UNRELATED: gettext_lazy("It has none of the relations its kind is expected to have."),
    QueueName.UNFILLED: gettext_lazy("A required field has no value."),
}
ICONS = {
    QueueName.DIFFERS: "git-compare",
    QueueName.UNRECORDED: "scan-search",
    QueueName.UNSEEN: "eye-off",
    QueueName.UNOWNED: "user-x",
    QueueName.EXPIRING: "calendar-clock",
    QueueName.IDENTITY: "copy",
    QueueName.UNRELATED: "unlink",
    QueueName.UNFILLED: "text-cursor-input",
}


def _kind(row: QueueItem, _about: Mapping[str, Any]) -> str:
    if row.resource is None:
        where = _("in connections") if row.key.startswith(PEER) else _("in the metrics")
        return format_html('<span class="nowrap">{} {}</span>', icon("radio", 15, **{"class": "faint"}), where)
    kind = kinds.kind(row.resource.kind)
    return format_html('<span class="nowrap">{} {}</span>', icon(kind.icon, 15, **{"class": "faint"}), kind.title)


def _word(name: str) -> Any:
    """A value with whose it is below."""

    def draw(row: QueueItem, _about: Mapping[str, Any]) -> str:
        value = row.facts.get(name)
        return cells.second(value, row.facts.get(f"{name}_by")) if value is not None else cells.NOTHING

    return draw


LOOK = register(
    Look(
        "inventory.queueitem",
        "web:queues",
        "name",
        url=lambda row: reverse("web:queue-item", args=[row.pk]),
        cells={"kind": _kind, "declared": _word("declared"), "observed": _word("observed")},
        icon="list-checks",
        empty=gettext_lazy("Nothing waits here"),
        hint=gettext_lazy("The queues are looked at anew every few minutes. What comes to be true again comes back."),
        back="web:resources",
    )
)


def tiles(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the queues with their counts, as the strip on top of the inventory's pages shows them."""
    return [
        {"name": each.value, "title": each.label, "icon": ICONS[each], "count": counts[each], "asks": ASKS[each]}
        for each in QueueName
    ]


@page("inventory.view")
def queue_list(request: PageRequest) -> HttpResponseBase:
    """The queues, one as a tab each; without a choice the first that has something to do."""
    counts = queues.counts(request.actor)
    first = next((each.value for each in QueueName if counts[each]), QueueName.DIFFERS.value)
    if not request.GET and first != QueueName.DIFFERS.value:
        return redirect(f"{reverse('web:queues')}?queue={first}")
    asked = request.GET.get("queue", QueueName.DIFFERS.value)
    now = {
        "tiles": tiles(counts),
        "asked": asked,
        "may_refresh": allows(request.actor, work.EDIT),
    }
    return show(request, LOOK, "plan/queues.html", now)


@page("inventory.edit")
@require_POST
def queues_refresh(request: PageRequest) -> HttpResponse:
    """Have the queues looked at anew."""
    work.ask_refresh(actor=request.actor)
    messages.success(request, _("The queues are being looked at. Reload in a moment."))
    return redirect("web:queues")


def _others(request: PageRequest, row: QueueItem) -> Sequence[Resource]:
    ids = row.facts.get("others") or ()
    found = reads.visible(request.actor).filter(pk__in=list(ids)) if ids else Resource.objects.none()
    return list(found.select_related("owner").order_by("name", "id"))


def _context(request: PageRequest, row: QueueItem, **more: Any) -> dict[str, Any]:
    owner = row.resource.owner_id if row.resource is not None else None
    queue = QueueName(row.queue)
    return {
        "row": row,
        "name": row.resource.name if row.resource is not None else row.key,
        "kind": kinds.kind(row.resource.kind) if row.resource is not None else None,
        "title": queue.label,
        "asks": ASKS[queue],
        "icon_name": ICONS[queue],
        "others": _others(request, row),
        "may_edit": allows(request.actor, work.EDIT, team=owner),
        "teams": team_names(request.actor) if queue == QueueName.UNOWNED else [],
        "decided": row.state != ItemState.OPEN,
        "today": timezone.localdate().isoformat(),
        **more,
    }


@page("inventory.view")
def queue_item(request: PageRequest, item_id: UUID) -> HttpResponse:
    """One item; POST decides about it."""
    row = work.item(request.actor, item_id)
    if request.method != "POST":
        return render(request, "plan/queue_item.html", _context(request, row))
    try:
        told = _decide(request, row)
    except (Invalid, Conflict) as problem:
        return render(request, "plan/queue_item.html", _context(request, row, problem=problem), status=problem.status)
    messages.success(request, told)
    return redirect(f"{reverse('web:queues')}?queue={row.queue}")


def _decide(request: PageRequest, row: QueueItem) -> str:
    actor, post = request.actor, request.POST
    reason = post.get("reason", "")
    match post.get("do", ""):
        case "accept_observed":
            work.accept_observed(actor=actor, row=row)
            return _("What is observed is declared now.")
        case "keep_declared":
            work.keep_declared(actor=actor, row=row, reason=reason)
            return _("Kept. It comes back when something else is observed.")
        case "ignore":
            work.ignore(actor=actor, row=row, reason=reason, until=day(post.get("until", "")))
            return _("Ignored until that day.")
        case "reopen":
            work.reopen(actor=actor, row=row)
            return _("It is open again.")
        case "accept":
            work.accept(actor=actor, row=row, reason=reason)
            return _("It is recorded now.")
        case "confirm":
            work.confirm(actor=actor, row=row)
            return _("Noted: seen by you.")
        case "own":
            team = team_named(post.get("owner", ""))
            if team is None:
                raise Invalid("inventory.owner", _("No team is named."), field="owner", remedy=_("Choose a team."))
            work.own(actor=actor, row=row, team=team)
            return _("It has an owner now.")
        case "retire":
            work.retire(actor=actor, row=row, reason=reason)
            return _("It is marked as gone. A source that sees it again brings it back.")
    raise NotFound("queue.decision", _("There is no such decision."), field="do", remedy=_("Reload the page."))
