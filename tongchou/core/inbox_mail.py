"""The inbox by mail: when it is due, to whom, and what it says. Sending is alerting's, which has the channels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from tongchou.core import inbox, settings_store, watching
from tongchou.core.access import Actor, actor_for_user, check_own
from tongchou.core.models import User
from tongchou.core.models_talk import InboxItem, InboxPreference, MailRhythm, Reason
from tongchou.core.nouns import noun_of
from tongchou.core.problems import Invalid

CHANNEL = "inbox.mail_channel"
DOMAINS = "inbox.mail_domains"
DAILY_HOUR = 8
MAX_ROWS = 50
AT_ONCE_AFTER = timedelta(seconds=60)  # so that what happens together comes together
HOUR = timedelta(hours=1)
_ADDRESS = re.compile(r"\A[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one person: bare address, subject, lines, each with where it leads. `id` is the same for every try."""

    id: str
    to: str
    subject: str
    language: str
    lines: tuple[tuple[str, str], ...]
    footer: tuple[str, str]


def called(row: Any) -> str:
    """Return what people call the row of a noun."""
    return noun_of(row).called(row)


def preference_of(user_id: Any) -> InboxPreference:
    """Return what a person chose, or what holds for who chose nothing (not saved)."""
    return InboxPreference.objects.filter(user_id=user_id).first() or InboxPreference(user_id=user_id)


def choose(
    *, actor: Actor, mail: str, address: str, quiet_from: int, quiet_until: int, no_watch: list[str]
) -> InboxPreference:
    """Set one's own choices. Raises Invalid naming the field. Not in the ledger: it concerns nobody else."""
    user_id = watching.person(actor)
    check_own(actor, watching.OWN)
    address = address.strip()
    if mail not in MailRhythm.values:
        raise Invalid(
            "inbox.mail",
            _("Mail comes never, at once, hourly or daily."),
            field="mail",
            value=mail,
            remedy=_("Use one of: %(words)s.") % {"words": ", ".join(MailRhythm.values)},
        )
    if (mail != MailRhythm.OFF or address) and not _ADDRESS.match(address):
        raise Invalid(
            "inbox.address",
            _("Mail needs an address."),
            field="address",
            value=address,
            remedy=_("Write it as name@example.org."),
        )
    _check_domain(address)
    for name, value in (("quiet_from", quiet_from), ("quiet_until", quiet_until)):
        if not 0 <= value <= 23:
            raise Invalid(
                "inbox.quiet", _("Quiet hours are whole hours from 0 to 23."), field=name, value=value, remedy=""
            )
    unknown = [each for each in no_watch if each not in watching.AUTOMATIC]
    if unknown:
        raise Invalid(
            "inbox.no_watch",
            _("No watch begins for this reason."),
            field="no_watch",
            value=unknown[0],
            remedy=_("Use one of: %(words)s.") % {"words": ", ".join(each.value for each in watching.AUTOMATIC)},
        )
    row, _made = InboxPreference.objects.update_or_create(
        user_id=user_id,
        defaults={
            "mail": mail,
            "address": address,
            "quiet_from": quiet_from,
            "quiet_until": quiet_until,
            "no_watch": sorted(set(no_watch)),
            "mail_problem": "",
        },
    )
    if mail == MailRhythm.OFF:
        InboxItem.objects.filter(user_id=user_id, mail_due=True).update(mail_due=False)
    return row


def _check_domain(address: str) -> None:
    allowed = [each.strip() for each in str(settings_store.get(DOMAINS) or "").split(",") if each.strip()]
    if address and allowed and address.rpartition("@")[2].lower() not in allowed:
        raise Invalid(
            "inbox.address",
            _("Inboxes are mailed to these domains only: %(domains)s.") % {"domains": ", ".join(allowed)},
            field="address",
            value=address,
            remedy=_("Use your address there, or ask an administrator to change inbox.mail_domains."),
        )


def quiet(hour: int, begin: int, end: int) -> bool:
    """Tell whether an hour of the day is quiet; the night may pass midnight. Pure."""
    return begin <= hour < end if begin < end else begin != end and (hour >= begin or hour < end)


def is_due(rhythm: str, *, first: datetime, mailed: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether what came first at `first` is to be mailed now. Pure. The last mail was at `mailed`."""
    if rhythm == MailRhythm.AT_ONCE:
        return now - first >= AT_ONCE_AFTER
    if rhythm == MailRhythm.HOURLY:
        return now - first >= AT_ONCE_AFTER and (mailed is None or now - mailed >= HOUR)
    if rhythm == MailRhythm.DAILY:
        here = now.astimezone(zone)
        today = here.replace(hour=DAILY_HOUR, minute=0, second=0, microsecond=0)
        begin = today if here >= today else today - timedelta(days=1)
        return first < begin and (mailed is None or mailed < begin)
    return False


def _zone(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def letters(now: datetime | None = None) -> Iterator[tuple[InboxPreference, Letter, list[InboxItem]]]:
    """Yield every mail that is due, with the rows it tells of: only what its reader may see at this moment."""
    now = now or timezone.now()
    chosen = InboxPreference.objects.exclude(mail=MailRhythm.OFF).filter(user__is_active=True).select_related("user")
    for preference in chosen:
        user, zone = preference.user, _zone(preference.user)
        if quiet(now.astimezone(zone).hour, preference.quiet_from, preference.quiet_until):
            continue
        rows = list(InboxItem.objects.filter(user=user, mail_due=True).order_by("last_at")[:MAX_ROWS])
        if not rows:
            continue
        first = min(each.mail_due_since or each.changed_at for each in rows)
        if is_due(preference.mail, first=first, mailed=preference.mailed_at, now=now, zone=zone):
            shown = inbox.seen(actor_for_user(user), rows)
            if shown:
                yield preference, _letter(preference, shown), [each for each, _row in shown]


def _letter(preference: InboxPreference, shown: list[tuple[InboxItem, Any]]) -> Letter:
    user = preference.user
    newest = max(each.changed_at for each, _row in shown)
    with translation.override(user.language):
        lines = tuple((_line(item, row), f"{settings.PUBLIC_URL}/inbox/{item.pk}") for item, row in shown)
        subject = called(shown[0][1]) if len(shown) == 1 else _("%(count)s things wait for you") % {"count": len(shown)}
        footer = (str(_("Choose what comes by mail, and when")), f"{settings.PUBLIC_URL}/inbox/preferences")
    return Letter(
        f"inbox-{user.pk}-{int(newest.timestamp())}", preference.address, subject, user.language, lines, footer
    )


def _line(item: InboxItem, row: Any) -> str:
    reason = str(Reason(item.reason).label)
    who = item.last_event.actor_name if item.last_event is not None else ""
    told = _("%(thing)s: %(reason)s (%(count)s new, last by %(who)s)")
    return str(told) % {"thing": called(row), "reason": reason, "count": item.count, "who": who or "–"}


def mailed(preference: InboxPreference, rows: list[InboxItem], *, problem: str = "") -> None:
    """Write down what became of a mail: sent, or why not. A row that changed meanwhile stays due."""
    if problem:
        InboxPreference.objects.filter(pk=preference.pk).update(mail_problem=problem[:300])
        return
    now = timezone.now()
    InboxPreference.objects.filter(pk=preference.pk).update(mailed_at=now, mail_problem="")
    for row in rows:
        if not InboxItem.objects.filter(pk=row.pk, changed_at=row.changed_at).update(mail_due=False):
            InboxItem.objects.filter(pk=row.pk, mail_due=True).update(mail_due_since=now)
