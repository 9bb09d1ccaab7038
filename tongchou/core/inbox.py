"""The inbox: one row a person and noun, fed by ledger events that rooms name in their `notices.py`.

Nobody is told of their own act, nor of what they may not see: asked when it is delivered and again when it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import audience, ledger, nouns, settings_store, watching
from tongchou.core.access import Actor, check_own, system
from tongchou.core.models import Event, User
from tongchou.core.models_talk import InboxItem, InboxPreference, InboxSeen, InboxState, MailRhythm, Reason, Watch
from tongchou.core.problems import Invalid, NotFound

POST = system("inbox")
KEEP_DAYS = "inbox.keep_days"
MAX_LATER = timedelta(days=90)
MAX_WATCHERS = 2000
COUNT_TO = 99
# the weightiest first: of two reasons to tell one person the first is named
RANK = {reason: at for at, reason in enumerate(Reason)}
WAITING_STATES = (InboxState.UNREAD, InboxState.LATER)

Whom = Callable[[Event], Iterable[tuple[UUID | None, Reason]]]
About = Callable[[Event], str]


@dataclass(frozen=True)
class Notice:
    """What an event tells whom. `whom`: people and reasons; `about`: the noun when it is not the event's subject.

    `watchers`: whether those who watch the noun are told as well. `settles`: a question this event answers.
    """

    verb: str
    whom: Whom | None = None
    about: About | None = None
    watchers: bool = True
    settles: Reason | None = None


_notices: dict[str, Notice] = {}


def tell(notice: Notice) -> None:
    """Declare (in <room>/notices.py) that an event of this verb goes to inboxes; once a verb."""
    if notice.verb in _notices:
        raise RuntimeError(f"two notices of {notice.verb}")
    _notices[notice.verb] = notice
    ledger.follow(notice.verb)(deliver)


def tell_watchers(*verbs: str) -> None:
    """Declare that events of these verbs go to those who watch their subject."""
    for verb in verbs:
        tell(Notice(verb))


def deliver(event: Event) -> None:
    """Put an event into the inboxes it belongs in. Idempotent: an event counts once for each person."""
    notice = _notices[event.verb]
    thing = notice.about(event) if notice.about is not None else event.subject
    row = audience.seen_of(POST, [thing]).get(thing)
    if row is None:
        return  # it is gone, or no noun people work with
    if notice.settles is not None:
        _settle(thing, notice.settles, event)
    reasons: dict[UUID, Reason] = {}
    for user_id, reason in notice.whom(event) if notice.whom is not None else ():
        if user_id is not None and RANK[reason] < RANK.get(reasons.get(user_id, Reason.WATCHED), 99):
            reasons[user_id] = reason
    if notice.watchers:
        for user_id in _watchers(thing, row):
            reasons.setdefault(user_id, Reason.WATCHED)
    for user in User.objects.filter(pk__in=reasons, is_active=True, is_service=False):
        if not audience.may_see(user, thing):
            continue
        watching.begin(user.pk, thing, reasons[user.pk])
        if user.pk != event.actor_id:
            _put(user, thing, reasons[user.pk], event)


def _watchers(thing: str, row: Any) -> list[UUID]:
    """Who watches the noun or what it belongs to, without those who want to hear no more of the noun itself."""
    through = nouns.noun_of(row).watched_through
    refs = {thing, *(through(row) if through is not None else ())}
    muted = Watch.objects.filter(ref=thing, muted=True).values("user_id")
    found = Watch.objects.filter(ref__in=refs, muted=False).exclude(user_id__in=muted)
    return list(found.values_list("user_id", flat=True).distinct()[:MAX_WATCHERS])


def _settle(thing: str, question: Reason, event: Event) -> None:
    """What waited for an answer that has come waits no more; the one who asks anew later is told anew."""
    now = timezone.now()
    InboxItem.objects.filter(ref=thing, reason=question, state__in=WAITING_STATES, last_at__lte=event.at).update(
        state=InboxState.READ, mail_due=False, changed_at=now
    )


def _put(user: User, thing: str, reason: Reason, event: Event) -> None:
    try:
        with transaction.atomic():
            InboxSeen.objects.create(user=user, event=event)
            _add(user, thing, reason, event)
    except IntegrityError:
        if not InboxSeen.objects.filter(user=user, event=event).exists():
            raise  # the row of another event was made at the same moment: the job tries again


def _add(user: User, thing: str, reason: Reason, event: Event) -> None:
    now = timezone.now()
    mail = InboxPreference.objects.filter(user=user).exclude(mail=MailRhythm.OFF).exists()
    row = InboxItem.objects.select_for_update().filter(user=user, ref=thing).first()
    if row is None:
        row = InboxItem(user=user, ref=thing, reason=reason, first_at=event.at)
    elif row.state in WAITING_STATES:
        row.count += 1
        if reason is not Reason.WATCHED:
            row.state = InboxState.UNREAD  # what is put off stays so unless somebody asks for this person
        row.reason = min(Reason(row.reason), reason, key=lambda each: RANK[each])
    else:
        row.state, row.count, row.reason, row.first_at = InboxState.UNREAD, 1, reason, event.at
    row.last_event, row.last_at, row.changed_at = event, max(event.at, row.last_at if row.pk else event.at), now
    if mail and not row.mail_due:
        row.mail_due_since = now  # what comes later does not put the mail off
    row.mail_due = mail
    row.save()


# --- what a person reads and does ---------------------------------------------------------------------------------


def waiting(user_id: UUID, now: datetime | None = None) -> QuerySet[InboxItem]:
    """Return what waits for a person: unread, or put off until a time that has come."""
    now = now or timezone.now()
    return InboxItem.objects.filter(
        Q(state=InboxState.UNREAD) | Q(state=InboxState.LATER, later_until__lte=now), user_id=user_id
    )


def unread_count(actor: Actor) -> int:
    """Return how many rows wait for the actor, counted to 99. One query."""
    if actor.user_id is None:
        return 0
    return len(waiting(actor.user_id).order_by().values_list("pk", flat=True)[:COUNT_TO])


def listing(actor: Actor, *, box: str = "inbox", reason: str = "") -> QuerySet[InboxItem]:
    """Return the actor's rows: box inbox (not archived, not put off), unread, later or archived; newest first."""
    user_id = watching.person(actor)
    later = Q(state=InboxState.LATER, later_until__gt=timezone.now())
    rows = InboxItem.objects.filter(user_id=user_id).select_related("last_event")
    if box == "unread":
        rows = rows.filter(pk__in=waiting(user_id).order_by().values("pk"))
    elif box == "later":
        rows = rows.filter(later)
    elif box == "archived":
        rows = rows.filter(state=InboxState.ARCHIVED)
    else:
        rows = rows.exclude(state=InboxState.ARCHIVED).exclude(later)
    return rows.filter(reason=reason) if reason in Reason.values else rows


def seen(actor: Actor, items: Iterable[InboxItem]) -> list[tuple[InboxItem, Any]]:
    """Return the rows with their nouns, without what the actor may no longer see: that is dropped for good."""
    found = list(items)
    rows = audience.seen_of(actor, [each.ref for each in found])
    lost = [each.pk for each in found if each.ref not in rows]
    if lost:
        InboxItem.objects.filter(pk__in=lost).delete()
    return [(each, rows[each.ref]) for each in found if each.ref in rows]


def get(actor: Actor, item_id: UUID) -> InboxItem:
    """Return one of the actor's own rows; NotFound for anybody else's."""
    row = InboxItem.objects.filter(pk=item_id, user_id=watching.person(actor)).first()
    if row is None or not seen(actor, [row]):
        raise NotFound(
            "inbox.unknown",
            _("There is no such row in your inbox."),
            field="item",
            value=str(item_id),
            remedy=_("Open the inbox again."),
        )
    return row


def mark(*, actor: Actor, item: InboxItem, state: str, until: datetime | None = None) -> InboxItem:
    """Make a row read, unread or archived, or put it off `until` a time. One's own rows only; not in the ledger."""
    check_own(actor, watching.OWN)
    get(actor, item.pk)
    if state not in InboxState.values:
        raise Invalid(
            "inbox.state",
            _("A row is unread, read, later or archived."),
            field="state",
            value=state,
            remedy=_("Use one of: %(words)s.") % {"words": ", ".join(InboxState.values)},
        )
    now = timezone.now()
    if state == InboxState.LATER and (until is None or not now < until <= now + MAX_LATER):
        raise Invalid(
            "inbox.until",
            _("A row is put off until a time within the next 90 days."),
            field="until",
            value=until.isoformat() if until else None,
            remedy=_("Choose a time in the future."),
        )
    changes: dict[str, Any] = {"state": state, "later_until": until if state == InboxState.LATER else None}
    if state != InboxState.UNREAD:
        changes["mail_due"] = False
    InboxItem.objects.filter(pk=item.pk).update(changed_at=now, **changes)
    item.refresh_from_db()
    return item


def read_about(actor: Actor, ref: str) -> None:
    """Mark the actor's row of a noun as read: its page was opened."""
    if actor.user_id is not None and actor.kind == "user":
        rows = InboxItem.objects.filter(user_id=actor.user_id, ref=ref, state=InboxState.UNREAD)
        rows.update(state=InboxState.READ, mail_due=False, changed_at=timezone.now())


def mark_all_read(*, actor: Actor, until: datetime | None = None) -> int:
    """Mark everything as read that waits and came before `until`; return how many rows."""
    check_own(actor, watching.OWN)
    rows = waiting(watching.person(actor))
    if until is not None:
        rows = rows.filter(last_at__lte=until)
    return rows.update(state=InboxState.READ, later_until=None, mail_due=False, changed_at=timezone.now())


def tidy() -> None:
    """Forget what is older than `inbox.keep_days`, but for what still waits; and which events were delivered."""
    before = timezone.now() - timedelta(days=settings_store.get(KEEP_DAYS))
    InboxItem.objects.filter(last_at__lt=before).exclude(state__in=WAITING_STATES).delete()
    InboxItem.objects.filter(last_at__lt=before - timedelta(days=365)).delete()
    InboxSeen.objects.filter(event__recorded_at__lt=before).delete()


def changed_since(moment: datetime) -> list[tuple[UUID, datetime]]:
    """Return whose inbox changed since a moment, and when last: for live pages."""
    return list(InboxItem.objects.filter(changed_at__gte=moment).values_list("user_id", "changed_at")[:1000])
