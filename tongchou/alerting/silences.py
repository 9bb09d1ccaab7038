"""Silences: made, extended and ended by people; what they match now; nothing about how they act (``suppress``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import matchers as matching
from tongchou.alerting import tell
from tongchou.alerting.models import Alert, AlertStateChoice, Silence, SilenceState, Suppressed
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.telemetry.series import Matcher

MAX_DAYS = 366
MAX_COMMENT = 2000
LOOK_BACK = timedelta(days=1)
MAX_ENDED = 20_000
# A clock of a client may be a little behind ours.
PAST_TOLERANCE = timedelta(minutes=1)
_ABOUT = re.compile(r"(changes|incidents)\.[a-z]{1,40}:[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True)
class Preview:
    """What matchers match: how many active alerts now and the first of them; what ended in the last day.

    ``ended``: alert name -> how many that match fired and ended in the last day, the most first. ``looked_back``:
    whether all of the day was looked at; at most ``MAX_ENDED`` of its alerts are.
    """

    count: int
    alerts: list[Alert]
    ended: dict[str, int]
    looked_back: bool

    @property
    def ended_count(self) -> int:
        """Alerts of the last day in all."""
        return sum(self.ended.values())


def preview(*, actor: Actor, matchers: Sequence[Matcher], limit: int = 100) -> Preview:
    """What a silence with these matchers would hold now, and would have held in the last day. Two queries."""
    check(actor, "alerting.respond")
    wanted = matching.check(matchers)
    active = Alert.objects.filter(state__in=[AlertStateChoice.PENDING, AlertStateChoice.FIRING])
    past = Alert.objects.filter(state=AlertStateChoice.RESOLVED, resolved_at__gte=timezone.now() - LOOK_BACK)
    for each in wanted:
        # The database takes the coarse part of the work; what it lets through is matched below.
        if each.op == "=" and each.name == "alertname" and each.value and len(each.value) < 250:
            active, past = active.filter(name=each.value), past.filter(name=each.value)
    found = [
        alert
        for alert in active.select_related("group").order_by("-state", "-active_at", "id")
        if matching.matches(wanted, alert.labels)
    ]
    rows = list(past.exclude(fired_at=None).order_by("-resolved_at").values_list("name", "labels")[: MAX_ENDED + 1])
    ended = Counter(name for name, labels in rows[:MAX_ENDED] if matching.matches(wanted, labels))
    return Preview(len(found), found[:limit], dict(ended.most_common()), len(rows) <= MAX_ENDED)


def held_by(rows: Iterable[Silence]) -> dict[UUID, int]:
    """How many firing alerts each of these silences holds now, by the silence's id. One query."""
    wanted = {ref(row): row.pk for row in rows}
    firing = Alert.objects.filter(state=AlertStateChoice.FIRING, suppressed=Suppressed.SILENCED)
    counts: dict[UUID, int] = dict.fromkeys(wanted.values(), 0)
    for refs in firing.values_list("suppressed_by", flat=True):
        for each in refs:
            if each in wanted:
                counts[wanted[each]] += 1
    return counts


def create_silence(
    *,
    actor: Actor,
    matchers: Sequence[Matcher],
    ends_at: datetime,
    comment: str,
    starts_at: datetime | None = None,
    about: str = "",
) -> Silence:
    """Silence what matches; ``starts_at`` None or past means now. Event silence.created.

    ``about``: the Ref of a change or an incident, or "". A silence holds back notices of every team, so a global role
    is needed.
    """
    check(actor, "alerting.respond")
    now = timezone.now()
    wanted = matching.check(matchers)
    begins = check_times(starts_at, ends_at, now)
    comment = check_comment(comment)
    if about and not _ABOUT.fullmatch(about):
        raise Invalid(
            "silence.about",
            _("This does not refer to a change or an incident."),
            field="about",
            value=about,
            remedy=_("Give e.g. incidents.incident:UUID, or leave it out."),
        )
    with transaction.atomic():
        row = Silence.objects.create(
            matchers=matching.rows(wanted),
            starts_at=begins,
            ends_at=ends_at,
            comment=comment,
            about=about,
            created_by_name=actor.name,
            created_at=now,
            updated_at=now,
        )
        _record(actor, row, "silence.created", {"comment": comment})
        tell.wake_settle()
    return row


def check_times(starts_at: datetime | None, ends_at: datetime, now: datetime) -> datetime:
    """Return when a silence of these times begins; Invalid when there cannot be one."""
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value is not None and value.tzinfo is None:
            raise Invalid(
                "silence.time_zone",
                _("A time needs its zone."),
                field=name,
                value=value.isoformat(),
                remedy=_("Write e.g. 2026-01-31T08:00:00Z."),
            )
    begins = now if starts_at is None or starts_at < now else starts_at
    if ends_at <= now or ends_at <= begins:
        raise Invalid(
            "silence.ends_at",
            _("A silence ends after it starts, and not in the past."),
            field="ends_at",
            value=ends_at.isoformat(),
        )
    if ends_at - begins > timedelta(days=MAX_DAYS):
        raise Invalid(
            "silence.too_long",
            _("A silence lasts at most %(most)s days.") % {"most": MAX_DAYS},
            field="ends_at",
            value=ends_at.isoformat(),
            remedy=_("Change the rule if the alert is not wanted at all."),
        )
    return begins


def check_comment(text: str) -> str:
    """Return a comment as it is kept; Invalid for none, or one that is too long."""
    text = text.strip()
    if not text or len(text) > MAX_COMMENT or "\x00" in text:
        raise Invalid(
            "silence.comment",
            _("A silence needs a comment of at most %(most)s characters.") % {"most": MAX_COMMENT},
            field="comment",
            remedy=_("Say why, so that the next one on duty knows."),
        )
    return text


def expire_silence(*, actor: Actor, silence_id: UUID) -> Silence:
    """End a silence now; one that has ended stays as it is. Event silence.expired."""
    check(actor, "alerting.respond")
    with transaction.atomic():
        row = _locked(silence_id)
        now = timezone.now()
        if row.expired_at is not None or row.state_at(now) == SilenceState.EXPIRED:
            return row
        row.starts_at, row.ends_at = min(row.starts_at, now), now
        row.expired_at = row.updated_at = now
        row.save(update_fields=["starts_at", "ends_at", "expired_at", "updated_at"])
        _record(actor, row, "silence.expired", {"early": True}, f"silence.expired:{row.pk}")
        tell.wake_settle()
    return row


def extend_silence(*, actor: Actor, silence_id: UUID, ends_at: datetime, comment: str | None = None) -> Silence:
    """Let a silence end at another time, later or earlier but not in the past. Event silence.extended.

    One that has ended is refused: what it held may have been told already, so a new one is wanted.
    """
    check(actor, "alerting.respond")
    with transaction.atomic():
        row = _locked(silence_id)
        now = timezone.now()
        if row.expired_at is not None or row.state_at(now) == SilenceState.EXPIRED:
            raise Conflict(
                "silence.expired",
                _("This silence has ended."),
                remedy=_("Create a new one with the same matchers."),
            )
        check_times(row.starts_at, ends_at, now)
        kept = row.comment if comment is None else check_comment(comment)
        if (row.ends_at, row.comment) == (ends_at, kept):
            return row
        before = row.ends_at
        row.ends_at, row.comment, row.updated_at = ends_at, kept, now
        row.save(update_fields=["ends_at", "comment", "updated_at"])
        _record(actor, row, "silence.extended", {"previous_ends_at": before.isoformat(), "comment": kept})
        tell.wake_settle()
    return row


def _locked(silence_id: UUID) -> Silence:
    row = Silence.objects.select_for_update().filter(pk=silence_id).first()
    if row is None:
        raise unknown_silence(silence_id)
    return row


def unknown_silence(silence_id: UUID | str) -> NotFound:
    """The refusal for a silence that is not there."""
    return NotFound("silence.unknown", _("There is no such silence."), field="id", value=str(silence_id))


def _record(actor: Actor, row: Silence, verb: str, extra: dict[str, object], dedupe_key: str | None = None) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[row.about] if row.about else [],
        payload={
            "matchers": str(row),
            "starts_at": row.starts_at.isoformat(),
            "ends_at": row.ends_at.isoformat(),
            **extra,
        },
        dedupe_key=dedupe_key,
    )


def silences(*, state: str | None = None, now: datetime | None = None) -> QuerySet[Silence]:
    """Silences, those that end last first; ``state`` pending, active or expired."""
    now = now or timezone.now()
    wanted = {
        None: Q(),
        SilenceState.PENDING.value: Q(starts_at__gt=now, ends_at__gt=now),
        SilenceState.ACTIVE.value: Q(starts_at__lte=now, ends_at__gt=now),
        SilenceState.EXPIRED.value: Q(ends_at__lte=now),
    }[state]
    return Silence.objects.filter(wanted).order_by("-ends_at", "id")
