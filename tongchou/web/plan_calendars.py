"""Plan: calendars as a year's picture, their exceptions, and the windows with what comes next."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import calendars, public_days
from tongchou.core.access import allows
from tongchou.core.models_calendars import Calendar, Window, WindowDays, WindowKind
from tongchou.core.problems import Invalid, Problem
from tongchou.core.workdays import Day, Worktime, write_hours
from tongchou.web.gate import PageRequest, page

WORDS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
NEW_WINDOW = {
    "name": "",
    "kind": "maintenance",
    "starts_at": "",
    "hours": "2",
    "minutes": "0",
    "time_zone": "Asia/Shanghai",
    "repeat": "weekly",
    "rule": "",
    "days": "all",
    "calendar": "",
    "left_out": "",
    "about": "",
    "reason": "",
}


# --- calendars ------------------------------------------------------------------------------------------------------


@page(calendars.VIEW)
def calendar_list(request: PageRequest) -> HttpResponse:
    """The calendars and the windows, each with what it says today."""
    now = timezone.now()
    found = list(calendars.calendars(request.actor))
    works = calendars.worktimes(found)
    rows = []
    for row in found:
        work = works[row.pk]
        rows.append({"row": row, "today": work.day(now.astimezone(work.zone).date())})
    windows = []
    for each in calendars.windows(request.actor):
        by = works[each.calendar_id] if each.calendar_id else None
        held = calendars.is_open(each, now, work=by)
        coming = next((span for span in calendars.upcoming(each, now, work=by) if span.start > now), None)
        windows.append({"row": each, "open": held, "next": coming})
    context = {"rows": rows, "windows": windows, "may_edit": allows(request.actor, calendars.EDIT)}
    return render(request, "plan/calendars.html", context)


def _months(work: Worktime, year: int) -> list[dict[str, Any]]:
    """Twelve months of weeks of days, Monday first; a place of another month is None."""
    months = []
    for month in range(1, 13):
        first = date(year, month, 1)
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        cells: list[Day | None] = [None] * first.weekday()
        cells += [work.day(first + timedelta(days=n)) for n in range(last.day)]
        cells += [None] * (-len(cells) % 7)
        known = [each for each in cells if each is not None]
        weeks = [cells[n : n + 7] for n in range(0, len(cells), 7)]
        months.append({"first": first, "weeks": weeks, "workdays": sum(each.working for each in known)})
    return months


def _year(request: PageRequest, work: Worktime) -> int:
    asked = request.GET.get("year", "")
    this = timezone.now().astimezone(work.zone).year
    if asked.isascii() and asked.isdecimal() and len(asked) == 4:
        return min(max(int(asked), public_days.FIRST_YEAR + 1), public_days.LAST_YEAR - 1)
    return this


@page(calendars.VIEW)
def calendar_page(request: PageRequest, name: str) -> HttpResponse:
    """One calendar as a year's picture; POST writes it (or deletes it) and its exceptions."""
    row = calendars.calendar(request.actor, name)
    if request.method == "POST":
        problem = _written(request, row)
        if problem is None:
            gone = "delete" in request.POST
            return redirect("web:calendars") if gone else redirect("web:calendar", name=name)
    else:
        problem = None
    work = calendars.worktime(row)
    year = _year(request, work)
    months = _months(work, year)
    picked = request.GET.get("day", "")
    context = {
        "row": row,
        "year": year,
        "months": months,
        "letters": [_("Mo"), _("Tu"), _("We"), _("Th"), _("Fr"), _("Sa"), _("Su")],
        "workdays": sum(each["workdays"] for each in months),
        "settled": public_days.settled(row.country, year),
        "today": timezone.now().astimezone(work.zone).date(),
        "picked": picked[:10],
        "exceptions": row.days.filter(day__year=year),
        "given": _given(row),
        "countries": public_days.countries(),
        "may_edit": allows(request.actor, calendars.EDIT),
        "problem": problem,
    }
    return render(request, "plan/calendar.html", context, status=422 if problem else 200)


def _given(row: Calendar) -> dict[str, Any]:
    names = [_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")]
    week = [", ".join("-".join(pair) for pair in hours) for hours in row.week]
    return {"week": list(zip(names, week, strict=True))}


def _hours(text: str, field: str) -> list[list[str]]:
    """Read "09:00-12:00, 13:00-18:00" as pairs; nothing is a day off."""
    found = []
    for piece in text.replace("，", ",").replace("：", ":").split(","):
        if piece.strip():
            low, dash, high = piece.replace("–", "-").partition("-")
            if not dash:
                raise Invalid(
                    "calendar.hours",
                    _("These are no working hours of a day."),
                    field=field,
                    value=text[:80],
                    remedy=_("Write 09:00-12:00, 13:00-18:00, or nothing for a day off."),
                )
            found.append([low.strip(), high.strip()])
    return found


def _written(request: PageRequest, row: Calendar) -> Problem | None:
    post = request.POST
    try:
        if "delete" in post:
            calendars.remove_calendar(actor=request.actor, row=row)
            messages.success(request, _("The calendar is deleted. The ledger keeps what it said."))
        elif "day" in post:
            _write_day(request, row)
        else:
            week = [_hours(post.get(f"week{n}", ""), f"week[{n}]") for n in range(7)]
            calendars.put_calendar(
                actor=request.actor,
                name=row.name,
                title=post.get("title", ""),
                time_zone=post.get("time_zone", "").strip(),
                country=post.get("country", "").strip().upper(),
                week=week,
            )
            messages.success(request, _("The calendar is saved."))
    except Problem as problem:
        return problem
    return None


def _write_day(request: PageRequest, row: Calendar) -> None:
    post = request.POST
    try:
        day = date.fromisoformat(post["day"].strip())
    except ValueError:
        raise Invalid(
            "calendar.day",
            _("This is no day."),
            field="day",
            value=post["day"][:40],
            remedy=_("Write it as 2026-10-01."),
        ) from None
    if post.get("do") == "remove":
        calendars.remove_day(actor=request.actor, row=row, day=day)
        messages.success(request, _("The exception is taken back; the week and the holidays count again."))
        return
    hours = _hours(post.get("hours", ""), "hours") if post.get("working") == "1" else []
    if post.get("working") == "1" and not hours:
        usual = next((each for each in calendars.worktime(row).week if each), ())
        hours = write_hours(usual)
    calendars.put_day(actor=request.actor, row=row, day=day, hours=hours, note=post.get("note", ""))
    messages.success(request, _("The exception is saved."))


@page(calendars.EDIT)
@require_POST
def calendar_new(request: PageRequest) -> HttpResponse:
    """Make a calendar with office hours, to be changed on its page."""
    name = request.POST.get("name", "").strip().lower()
    if not name or not name.replace("-", "").isalnum() or not name.isascii():
        raise Invalid(
            "calendar.name",
            _("A name is letters, digits and hyphens."),
            field="name",
            value=name[:60],
            remedy=_("Choose a short one such as germany."),
        )
    if not calendars.calendars(request.actor).filter(name=name).exists():
        week = [[["09:00", "12:00"], ["13:00", "18:00"]]] * 5 + [[], []]
        zone = request.user.time_zone
        calendars.put_calendar(actor=request.actor, name=name, title=name, time_zone=zone, country="", week=week)
    return redirect("web:calendar", name=name)


# --- windows --------------------------------------------------------------------------------------------------------


def _rule(post: dict[str, str], days: list[str]) -> str:
    """Compose the rule the form says."""
    repeat = post["repeat"]
    if repeat == "custom":
        return post["rule"]
    if repeat == "weekly":
        return "FREQ=WEEKLY" + (f";BYDAY={','.join(each for each in WORDS if each in days)}" if days else "")
    return {"daily": "FREQ=DAILY", "monthly": "FREQ=MONTHLY"}.get(repeat, "")


def _as_form(row: Window) -> tuple[dict[str, str], list[str]]:
    """Return the fields of the form for a window there is, and the weekdays that are ticked."""
    repeat, days = "custom", []
    if not row.rule:
        repeat = "once"
    elif row.rule in ("FREQ=DAILY", "FREQ=MONTHLY"):
        repeat = {"FREQ=DAILY": "daily", "FREQ=MONTHLY": "monthly"}[row.rule]
    elif row.rule.startswith("FREQ=WEEKLY;BYDAY=") and row.rule.count(";") == 1:
        days = row.rule.partition("BYDAY=")[2].split(",")
        repeat = "weekly" if set(days) <= set(WORDS) else "custom"
    given = {
        **NEW_WINDOW,
        **{
            name: str(getattr(row, name))
            for name in ("name", "kind", "starts_at", "time_zone", "rule", "days", "reason")
        },
        "hours": str(row.duration_seconds // 3600),
        "minutes": str(row.duration_seconds % 3600 // 60),
        "repeat": repeat,
        "calendar": row.calendar.name if row.calendar else "",
        "left_out": ", ".join(row.left_out),
        "about": "\n".join(row.about),
    }
    return given, days


def _whole(given: dict[str, str], name: str) -> int:
    text = given[name] or "0"
    if not (text.isascii() and text.isdecimal()) or len(text) > 6:
        raise Invalid(
            "window.number", _("A whole number is wanted."), field=name, value=text[:20], remedy=_("Write digits.")
        )
    return int(text)


def _values(request: PageRequest, given: dict[str, str], days: list[str]) -> dict[str, Any]:
    return {
        "kind": given["kind"],
        "starts_at": given["starts_at"],
        "duration_seconds": _whole(given, "hours") * 3600 + _whole(given, "minutes") * 60,
        "time_zone": given["time_zone"],
        "rule": _rule(given, days),
        "days": given["days"],
        "calendar_row": calendars.calendar(request.actor, given["calendar"]) if given["calendar"] else None,
        "left_out": [each.strip() for each in given["left_out"].split(",") if each.strip()],
        "about": given["about"].split(),
        "reason": given["reason"],
    }


@page(calendars.EDIT)
def window_form(request: PageRequest, window_id: UUID | None = None) -> HttpResponse:
    """Write a window: look at what it would do (`try`), put it in force, or end the one there is."""
    row = calendars.window(request.actor, window_id) if window_id else None
    given, days = _as_form(row) if row else ({**NEW_WINDOW, "time_zone": request.user.time_zone}, [])
    context: dict[str, Any] = {"row": row}
    if request.method == "POST":
        if "end" in request.POST and row is not None:
            calendars.end_window(actor=request.actor, row=row)
            messages.success(request, _("The window is ended. The ledger keeps what it said."))
            return redirect("web:calendars")
        given = {key: request.POST.get(key, "").strip()[:4000] for key in NEW_WINDOW}
        given["name"] = row.name if row else given["name"]
        days = [each for each in request.POST.getlist("weekday") if each in WORDS]
        try:
            values = _values(request, given, days)
            if "try" not in request.POST:
                calendars.put_window(actor=request.actor, name=given["name"], **values)
                messages.success(request, _("The window is in force."))
                return redirect("web:calendars")
            context["trial"] = calendars.preview(actor=request.actor, at=timezone.now(), **values)
        except Problem as problem:
            context["problem"] = problem
    context |= {
        "given": given,
        "ticked": days,
        "weekdays": list(zip(WORDS, [_("Mo"), _("Tu"), _("We"), _("Th"), _("Fr"), _("Sa"), _("Su")], strict=True)),
        "kinds": WindowKind.choices,
        "day_choices": WindowDays.choices,
        "repeats": [
            ("once", _("Once")),
            ("daily", _("Every day")),
            ("weekly", _("Every week on")),
            ("monthly", _("Every month on that day")),
            ("custom", _("By a rule (RFC 5545)")),
        ],
        "calendars": calendars.calendars(request.actor),
    }
    return render(request, "plan/window_form.html", context, status=422 if "problem" in context else 200)
