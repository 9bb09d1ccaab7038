"""The person's inbox: what happened to what they watch or were asked about, and how it reaches them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core import audience, inbox, inbox_mail, settings_store, watching
from tongchou.core.access import visible_teams
from tongchou.core.models import Team
from tongchou.core.models_talk import InboxItem, InboxState, MailRhythm, Reason
from tongchou.core.problems import Invalid, NotFound
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.review import entries
from tongchou.web.visibility import readable

PAGE = 50
BOXES: tuple[tuple[str, str | Promise], ...] = (
    ("inbox", gettext_lazy("Inbox")),
    ("unread", gettext_lazy("Unread")),
    ("later", gettext_lazy("Later")),
    ("archived", gettext_lazy("Archived")),
)
# how long a row may be put off at a click, in hours
LATER_HOURS = (1, 4, 24, 168)


def _rows(request: PageRequest, items: list[InboxItem]) -> list[dict[str, Any]]:
    """The rows with their names and the sentence of the newest event, without what is no longer to be seen."""
    shown = [item for item, _row in inbox.seen(request.actor, items)]
    links = resolve(each.ref for each in shown)
    events = [each.last_event for each in shown if each.last_event is not None]
    lines = {line.entry.event_id: line for line in entries(readable(request.actor, events))}
    return [
        {
            "item": each,
            "link": links[each.ref],
            "line": lines.get(each.last_event_id or 0),
            "fresh": each.state == InboxState.UNREAD
            or (each.state == InboxState.LATER and each.later_until is not None and each.later_until <= timezone.now()),
        }
        for each in shown
    ]


@page(ANY_PERSON)
def inbox_list(request: PageRequest) -> HttpResponse:
    """The inbox: `box` inbox, unread, later or archived; `reason`; `before` a time for the next page."""
    box = request.GET.get("box", "inbox")
    reason = request.GET.get("reason", "")
    rows = inbox.listing(request.actor, box=box, reason=reason)
    before = _moment(request.GET.get("before", ""))
    if before is not None:
        rows = rows.filter(last_at__lt=before)
    found = list(rows[: PAGE + 1])
    context = {
        "rows": _rows(request, found[:PAGE]),
        "next": found[PAGE - 1].last_at.isoformat() if len(found) > PAGE else None,
        "box": box if box in dict(BOXES) else "inbox",
        "boxes": BOXES,
        "reason": reason,
        "reasons": [(each.value, each.label) for each in Reason],
        "later_hours": LATER_HOURS,
        "now": timezone.now().isoformat(),
    }
    part = request.GET.get("part") == "live"
    return render(request, "inbox/inbox_live.html" if part else "inbox/inbox.html", context)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


@page(ANY_PERSON)
def inbox_open(request: PageRequest, item_id: UUID) -> HttpResponse:
    """Mark a row as read and go to what it is about."""
    item = inbox.get(request.actor, item_id)
    if item.state != InboxState.ARCHIVED:
        inbox.mark(actor=request.actor, item=item, state=InboxState.READ)
    link = resolve([item.ref])[item.ref]
    payload = item.last_event.payload if item.last_event is not None else {}
    place = f"#comment-{payload['comment']}" if isinstance(payload, dict) and payload.get("comment") else ""
    return redirect(f"{link.url}{place}" if link.url else "web:inbox")


def _later(request: PageRequest, item: InboxItem) -> None:
    hours = request.POST.get("hours", "")
    given = hours.isascii() and hours.isdigit() and len(hours) < 5
    until = timezone.now() + timedelta(hours=int(hours)) if given else None
    inbox.mark(actor=request.actor, item=item, state=InboxState.LATER, until=until)


def _marking(state: InboxState) -> Callable[[PageRequest, InboxItem], None]:
    def act(request: PageRequest, item: InboxItem) -> None:
        inbox.mark(actor=request.actor, item=item, state=state)

    return act


ACTS: dict[str, Callable[[PageRequest, InboxItem], None]] = {
    "read": _marking(InboxState.READ),
    "unread": _marking(InboxState.UNREAD),
    "archive": _marking(InboxState.ARCHIVED),
    "later": _later,
}


@page(ANY_PERSON)
@require_POST
def inbox_act(request: PageRequest, item_id: UUID, act: str) -> HttpResponse:
    """Read, unread, archive, later (`hours`)."""
    item = inbox.get(request.actor, item_id)
    if act not in ACTS:
        raise NotFound("inbox.act", _("There is no such action."), remedy=_("Use the buttons of the inbox."))
    ACTS[act](request, item)
    return _back(request)


@page(ANY_PERSON)
@require_POST
def inbox_all_read(request: PageRequest) -> HttpResponse:
    """Mark as read what was there when the page was drawn (`until`)."""
    count = inbox.mark_all_read(actor=request.actor, until=_moment(request.POST.get("until", "")))
    messages.success(request, _("%(count)s marked as read.") % {"count": count})
    return _back(request)


def _back(request: PageRequest) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"ok": True})
    return redirect("web:inbox")


@page(ANY_PERSON)
def inbox_preferences(request: PageRequest) -> HttpResponse:
    """What starts a watch, what comes by mail, and what is watched. POST saves."""
    problem = None
    if request.method == "POST":
        try:
            _save(request)
        except Invalid as refused:
            problem = refused
        else:
            messages.success(request, _("Saved."))
            return redirect("web:inbox-preferences")
    watched = list(watching.watches(request.actor)[:500])
    seen = audience.seen_of(request.actor, [each.ref for each in watched])
    teams = visible_teams(request.actor)
    known = Team.objects.order_by("name")
    mine = known if teams is None else known.filter(pk__in=teams)
    on = {each.ref for each in watched}
    links = resolve(on)
    context = {
        "problem": problem,
        "chosen": inbox_mail.preference_of(request.user.pk),
        "rhythms": MailRhythm.choices,
        "hours": range(24),
        "automatic": [(each.value, each.label) for each in watching.AUTOMATIC],
        "channel": settings_store.get(inbox_mail.CHANNEL),
        "watched": [{"watch": each, "link": links[each.ref]} for each in watched if each.ref in seen],
        "teams": [
            {"team": team, "ref": watching.team_ref(team.pk), "on": watching.team_ref(team.pk) in on}
            for team in mine[:200]
        ],
    }
    return render(request, "inbox/preferences.html", context, status=problem.status if problem else 200)


def _save(request: PageRequest) -> None:
    hours = [request.POST.get(name, "0") for name in ("quiet_from", "quiet_until")]
    begin, end = (int(each) if each.isascii() and each.isdigit() and len(each) < 3 else -1 for each in hours)
    inbox_mail.choose(
        actor=request.actor,
        mail=request.POST.get("mail", ""),
        address=request.POST.get("address", ""),
        quiet_from=begin,
        quiet_until=end,
        no_watch=[each.value for each in watching.AUTOMATIC if f"watch_{each.value}" not in request.POST],
    )
