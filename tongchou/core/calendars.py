"""Calendars and windows: every write, and what other rooms ask: working time, what is open now, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, public_days
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.models_calendars import Calendar, CalendarDay, Window, WindowDays, WindowKind
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.recurrence import MAX_DURATION, MAX_LOOK, Recurrence, parse_rule
from tongchou.core.refs import is_ref, parse, ref
from tongchou.core.spans import Span
from tongchou.core.workdays import Hours, Worktime, read_hours, write_hours

VIEW, EDIT = "calendars.view", "calendars.edit"
MAX_EXCEPTIONS = 2_000
MAX_WINDOWS = 1_000
MAX_ABOUT = 200
WALL = "%Y-%m-%dT%H:%M"


def zone_of(name: str, field: str = "time_zone") -> ZoneInfo:
    """Return the zone of an IANA name; Invalid on `field`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            "calendar.time_zone",
            _("There is no such time zone."),
            field=field,
            value=name,
            remedy=_("Use a name such as Asia/Shanghai or UTC."),
        ) from None


# --- calendars ------------------------------------------------------------------------------------------------------


def calendars(actor: Actor) -> QuerySet[Calendar]:
    """Return every calendar, by name; they are common knowledge."""
    check_anywhere(actor, VIEW)
    return Calendar.objects.order_by("name")


def calendar(actor: Actor, name: str) -> Calendar:
    """Return one calendar by name; NotFound."""
    found = calendars(actor).filter(name=name).first()
    if found is None:
        raise NotFound(
            "calendar.unknown",
            _("There is no calendar named %(name)s.") % {"name": name[:60]},
            field="calendar",
            value=name,
            remedy=_("GET /api/v1/calendars lists them."),
        )
    return found


def worktime(row: Calendar) -> Worktime:
    """Return the working time of a calendar. One query for the exceptions."""
    return worktimes([row])[row.pk]


def worktimes(rows: Iterable[Calendar]) -> dict[UUID, Worktime]:
    """Return the working time of several calendars by id. One query for all exceptions."""
    known = {row.pk: row for row in rows}
    exceptions: dict[UUID, dict[date, tuple[Hours, str]]] = {pk: {} for pk in known}
    for each in CalendarDay.objects.filter(calendar_id__in=known):
        exceptions[each.calendar_id][each.day] = (read_hours(each.hours, "hours"), each.note)
    return {pk: _worktime(row, exceptions[pk]) for pk, row in known.items()}


def _worktime(row: Calendar, exceptions: dict[date, tuple[Hours, str]]) -> Worktime:
    return Worktime(
        zone_of(row.time_zone),
        tuple(read_hours(hours, "week") for hours in row.week),
        partial(public_days.day_off, row.country),
        partial(public_days.worked_weekend, row.country),
        exceptions,
    )


def _week(value: Sequence[object]) -> tuple[Hours, ...]:
    if len(value) != 7:
        raise Invalid(
            "calendar.week",
            _("A week has seven days."),
            field="week",
            value=len(value),
            remedy=_("Give seven lists of hours, Monday first; an empty list is a day off."),
        )
    return tuple(read_hours(hours, f"week[{n}]") for n, hours in enumerate(value))


def put_calendar(
    *, actor: Actor, name: str, title: str, time_zone: str, country: str = "", week: Sequence[object]
) -> Calendar:
    """Create a calendar or replace what it says; exceptions stay. Event calendar.changed with old and new."""
    check(actor, EDIT)
    zone_of(time_zone)
    public_days.check_country(country)
    new = {
        "title": title.strip()[:120] or name,
        "time_zone": time_zone,
        "country": country,
        "week": [write_hours(hours) for hours in _week(week)],
    }
    with transaction.atomic():
        row = Calendar.objects.select_for_update().filter(name=name).first()
        old = {key: getattr(row, key) for key in new} if row else None
        if row is not None and old == new:
            return row
        row = row or Calendar(name=name)
        for key, value in new.items():
            setattr(row, key, value)
        row.full_clean(exclude=["week", "country"])
        row.save()
        ledger.record(actor=actor, verb="calendar.changed", subject=ref(row), payload={"old": old, "new": new})
    return row


def remove_calendar(*, actor: Actor, row: Calendar) -> None:
    """Remove a calendar no window uses, with its exceptions, which the event calendar.removed carries."""
    check(actor, EDIT)
    try:
        with transaction.atomic():
            ledger.record(
                actor=actor,
                verb="calendar.removed",
                subject=ref(row),
                payload={
                    "name": row.name,
                    "title": row.title,
                    "time_zone": row.time_zone,
                    "country": row.country,
                    "week": row.week,
                    "days": {str(each.day): [each.hours, each.note] for each in row.days.all()},
                },
            )
            row.delete()
    except ProtectedError as error:
        used = ", ".join(sorted(str(each) for each in error.protected_objects))[:200]
        raise Conflict(
            "calendar.used",
            _("Windows use this calendar: %(names)s.") % {"names": used},
            field="calendar",
            value=row.name,
            remedy=_("Give those windows another calendar first."),
        ) from error


def put_day(*, actor: Actor, row: Calendar, day: date, hours: Sequence[object], note: str = "") -> CalendarDay:
    """Say what is worked on one day (nothing: a day off). Event calendar.day_changed."""
    check(actor, EDIT)
    told = write_hours(read_hours(list(hours), "hours"))
    with transaction.atomic():
        Calendar.objects.select_for_update().get(pk=row.pk)
        old = CalendarDay.objects.filter(calendar=row, day=day).first()
        if old is None and row.days.count() >= MAX_EXCEPTIONS:
            raise Invalid(
                "calendar.exceptions",
                _("A calendar holds at most %(n)s exceptions.") % {"n": MAX_EXCEPTIONS},
                field="day",
                value=day.isoformat(),
                remedy=_("Remove old ones."),
            )
        before = [old.hours, old.note] if old else None
        found, _created = CalendarDay.objects.update_or_create(
            calendar=row, day=day, defaults={"hours": told, "note": note.strip()[:200]}
        )
        if before != [found.hours, found.note]:
            payload = {"day": day.isoformat(), "old": before, "new": [found.hours, found.note]}
            ledger.record(actor=actor, verb="calendar.day_changed", subject=ref(row), payload=payload)
    return found


def remove_day(*, actor: Actor, row: Calendar, day: date) -> None:
    """Take an exception back; the week and the holidays count again. Event calendar.day_changed."""
    check(actor, EDIT)
    with transaction.atomic():
        old = CalendarDay.objects.select_for_update().filter(calendar=row, day=day).first()
        if old is None:
            return
        payload = {"day": day.isoformat(), "old": [old.hours, old.note], "new": None}
        old.delete()
        ledger.record(actor=actor, verb="calendar.day_changed", subject=ref(row), payload=payload)


# --- windows --------------------------------------------------------------------------------------------------------


def windows(actor: Actor, *, kind: str | None = None, ended: bool = False) -> QuerySet[Window]:
    """Return windows by name, those that were ended only when asked for."""
    check_anywhere(actor, VIEW)
    found = Window.objects.select_related("calendar").order_by("name", "id")
    if not ended:
        found = found.filter(ended_at__isnull=True)
    return found if kind is None else found.filter(kind=kind)


def _wall(text: str, field: str) -> datetime:
    try:
        return datetime.strptime(text[:16], WALL)  # noqa: DTZ007  # a wall time has no zone
    except ValueError:
        raise Invalid(
            "window.time",
            _("This is no time of the wall clock."),
            field=field,
            value=text,
            remedy=_("Write it as 2026-03-01T22:00; the window's time zone says where."),
        ) from None


def recurrence(row: Window) -> Recurrence:
    """Return the rule of a window, without regard to its calendar."""
    return Recurrence(
        _wall(row.starts_at, "starts_at"),
        zone_of(row.time_zone),
        timedelta(seconds=row.duration_seconds),
        row.rule,
        frozenset(_wall(each, "left_out") for each in row.left_out),
        frozenset(_wall(each, "added") for each in row.added),
    )


def spans(row: Window, since: datetime, until: datetime, *, work: Worktime | None = None) -> list[Span]:
    """Return the occurrences of a window that overlap [since, until), whole, in order.

    None after the window was ended; one that was going on then ends there.
    `work`: the calendar's working time, when the caller has it already. Invalid when more than MAX_LOOK is asked for.
    """
    found = recurrence(row)
    begins = found.starts(since - found.duration, until)
    known = _work_of(row, work)
    if known is not None:
        wanted = row.days == WindowDays.WORKDAYS
        begins = [each for each in begins if known.is_workday(each.date()) == wanted]
    occurrences: Iterable[Span] = map(found.span, begins)
    if row.ended_at is not None:
        ended = row.ended_at
        occurrences = (Span(each.start, min(each.end, ended)) for each in occurrences if each.start < ended)
    return [span for span in occurrences if span.start < until and span.end > since]


def _work_of(row: Window, work: Worktime | None) -> Worktime | None:
    """Return the working time a window counts by: the one at hand, or read now; None when it counts by none."""
    if row.days == WindowDays.ALL or row.calendar is None:
        return None
    return work or worktime(row.calendar)


def is_open(row: Window, at: datetime, *, work: Worktime | None = None) -> Span | None:
    """Return the occurrence that holds `at`; of several the one that lasts longest. `work`: as for `spans`."""
    if row.ended_at is not None and at >= row.ended_at:
        return None
    holding = [span for span in spans(row, at, at + timedelta(seconds=1), work=work) if span.holds(at)]
    return max(holding, key=lambda span: span.end, default=None)


def open_windows(at: datetime, *, kind: str, about: Iterable[str] = ()) -> list[tuple[Window, Span]]:
    """Return the windows of a kind that are open at a time and about everything or one of `about`, with the span."""
    wanted = set(about)
    found = []
    for row in Window.objects.select_related("calendar").filter(kind=kind):
        if row.about and not wanted & set(row.about):
            continue
        span = is_open(row, at)
        if span is not None:
            found.append((row, span))
    return found


def upcoming(row: Window, at: datetime, *, count: int = 5, work: Worktime | None = None) -> list[Span]:
    """Return the next occurrences that have not ended at `at`: within the time one question may look at."""
    known = _work_of(row, work)
    for days in (40, 400, MAX_LOOK.days - MAX_DURATION.days - 2):
        found = spans(row, at, at + timedelta(days=days), work=known)
        if len(found) >= count or not row.rule:
            return found[:count]
    return found[:count]


def _checked(values: dict[str, Any], calendar_row: Calendar | None) -> dict[str, Any]:
    zone = zone_of(values["time_zone"])
    parse_rule(values["rule"], zone)
    _wall(values["starts_at"], "starts_at")
    for name in ("left_out", "added"):
        values[name] = sorted({_wall(each, name).strftime(WALL) for each in values[name]})[:MAX_EXCEPTIONS]
    for name, known in (("kind", WindowKind.values), ("days", WindowDays.values)):
        if values[name] not in known:
            raise Invalid(
                "window.word",
                _("This is none of the words allowed here."),
                field=name,
                value=values[name],
                remedy=_("Use one of: %(words)s.") % {"words": ", ".join(known)},
            )
    if not 60 <= values["duration_seconds"] <= MAX_DURATION.total_seconds():
        raise Invalid(
            "window.duration",
            _("A window lasts from one minute to %(n)s days.") % {"n": MAX_DURATION.days},
            field="duration_seconds",
            value=values["duration_seconds"],
            remedy=_("Choose a length within these bounds."),
        )
    if values["days"] != WindowDays.ALL and calendar_row is None:
        raise Invalid(
            "window.calendar",
            _("Workdays and days off are told by a calendar, and none is chosen."),
            field="calendar",
            remedy=_("Choose a calendar, or every day of the rule."),
        )
    bad = [each for each in values["about"] if not is_ref(each)]
    if bad or len(values["about"]) > MAX_ABOUT:
        raise Invalid(
            "window.about",
            _("A window is about at most %(n)s refs (room.noun:id).") % {"n": MAX_ABOUT},
            field="about",
            value=bad[:1] or len(values["about"]),
            remedy=_("A ref is room.noun:id, as the API returns it."),
        )
    odd = [each for each in values["about"] if not _closes(each)]
    if odd and values["kind"] in (WindowKind.FREEZE, WindowKind.MAINTENANCE):
        raise Invalid(
            "window.about",
            _("A freeze or a maintenance window is about resources and teams."),
            field="about",
            value=odd[0],
            remedy=_("Name inventory.resource:id or core.team:id, with the id as the API returns it."),
        )
    return values


def _closes(about: str) -> bool:
    """Tell whether a Ref is of what can be closed, or opened, to changes: what is named, or what a team owns."""
    found = parse(about)
    try:
        UUID(found.id)
    except ValueError:
        return False
    return (found.room, found.noun) in (("inventory", "resource"), ("core", "team"))


def put_window(
    *,
    actor: Actor,
    name: str,
    kind: str,
    starts_at: str,
    duration_seconds: int,
    time_zone: str,
    rule: str = "",
    days: str = WindowDays.ALL,
    calendar_row: Calendar | None = None,
    left_out: Sequence[str] = (),
    added: Sequence[str] = (),
    about: Sequence[str] = (),
    reason: str = "",
) -> Window:
    """Create the window of this name, or replace what it says. Event window.changed with old and new."""
    check(actor, EDIT)
    name = name.strip()[:120]
    if not name:
        raise Invalid(
            "window.name", _("A window needs a name."), field="name", value=name, remedy=_("Say what it is for.")
        )
    given: dict[str, Any] = {
        "kind": kind,
        "reason": reason.strip()[:2000],
        "time_zone": time_zone,
        "starts_at": starts_at,
        "duration_seconds": duration_seconds,
        "rule": rule.strip().upper().removeprefix("RRULE:"),
        "days": days,
        "left_out": list(left_out),
        "added": list(added),
        "about": sorted(set(about)),
    }
    new = _checked(given, calendar_row)
    try:
        with transaction.atomic():
            row = Window.objects.select_for_update().filter(name=name, ended_at__isnull=True).first()
            told = {**new, "calendar": calendar_row.name if calendar_row else None}
            old = {key: getattr(row, key) for key in new} if row else None
            if row and old is not None:
                old["calendar"] = row.calendar.name if row.calendar else None
                if old == told:
                    return row
            row = _saved(row, name, new, calendar_row, actor)
            payload = {"name": name, "old": old, "new": told}
            ledger.record(actor=actor, verb="window.changed", subject=ref(row), about=new["about"], payload=payload)
    except IntegrityError as error:
        raise Conflict(
            "window.exists",
            _("Somebody made a window of this name in this moment."),
            field="name",
            value=name,
            remedy=_("Open it again and look at what it says."),
        ) from error
    return row


def preview(*, actor: Actor, at: datetime, calendar_row: Calendar | None, **values: Any) -> list[Span]:
    """Return the next occurrences a window of these values would have; nothing is written. Raises like put_window."""
    check(actor, EDIT)
    given = {"time_zone": "", "left_out": [], "added": [], "about": [], "rule": "", **values}
    checked = _checked(given, calendar_row)
    return upcoming(Window(name="", calendar=calendar_row, **checked), at)


def _saved(
    row: Window | None, name: str, values: dict[str, Any], calendar_row: Calendar | None, actor: Actor
) -> Window:
    if row is None:
        if Window.objects.filter(ended_at__isnull=True).count() >= MAX_WINDOWS:
            raise Invalid(
                "window.limit",
                _("There are at most %(n)s windows.") % {"n": MAX_WINDOWS},
                field="name",
                value=name,
                remedy=_("End those that are over."),
            )
        row = Window(name=name, created_by_name=actor.name)
    for key, value in values.items():
        setattr(row, key, value)
    row.calendar = calendar_row
    row.save()
    return row


def window(actor: Actor, window_id: UUID) -> Window:
    """Return one window; NotFound."""
    found = windows(actor, ended=True).filter(pk=window_id).first()
    if found is None:
        raise NotFound("window.unknown", _("There is no such window."), remedy=_("GET /api/v1/windows lists them."))
    return found


def end_window(*, actor: Actor, row: Window) -> Window:
    """End a window now: it has no more occurrences, an open one goes on to its end. Event window.ended. Idempotent."""
    check(actor, EDIT)
    with transaction.atomic():
        if Window.objects.filter(pk=row.pk, ended_at__isnull=True).update(ended_at=timezone.now()):
            ledger.record(
                actor=actor, verb="window.ended", subject=ref(row), about=row.about, payload={"name": row.name}
            )
    row.refresh_from_db()
    return row
