"""The frame of every page: the menu of the five stages, its counts, the words scripts speak, language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_POST

from tongchou.core import inbox, modules, people
from tongchou.core.access import NOBODY, Actor, actor_for_user, allows, allows_anywhere
from tongchou.core.models import User
from tongchou.runbooks import reads as run_reads
from tongchou.web.counts import menu_counts
from tongchou.web.gate import ANY_PERSON, PageRequest, page, public
from tongchou.web.guide_of import help_page
from tongchou.web.middleware import LANGUAGE_COOKIE, THEME_COOKIE, THEMES
from tongchou.web.session_gate import OWES, days_left

YEAR_SECONDS = 365 * 86400


@dataclass(frozen=True)
class Entry:
    """One line of the menu. `key` is pressed after g; `count` names a figure of counts.menu_counts."""

    url_name: str
    title: str | Promise
    icon: str
    permission: str
    key: str
    count: str = ""


@dataclass(frozen=True)
class Stage:
    """One stage of the engineer's work and its pages."""

    name: str
    title: str | Promise
    entries: tuple[Entry, ...]


STAGES: tuple[Stage, ...] = (
    Stage(
        "plan",
        _("Plan"),
        (
            Entry("resources", _("Resources"), "server", "inventory.view", "r"),
            Entry("ip", _("IP plan"), "network", "inventory.view", "1"),
            Entry("racks", _("Racks"), "layout-grid", "inventory.view", "2"),
            Entry("calendars", _("Calendars"), "calendar-days", "calendars.view", "y"),
            Entry("requirements", _("Requirements"), "clipboard-list", "changes.view", "3"),
        ),
    ),
    Stage(
        "design",
        _("Design"),
        (
            Entry("map", _("Service map"), "waypoints", "inventory.view", "m"),
            Entry("decisions", _("Decision records"), "book-marked", "changes.view", "4"),
            Entry("scorecards", _("Scorecards"), "scale", "changes.view", "5"),
        ),
    ),
    Stage(
        "deliver",
        _("Deliver"),
        (
            Entry("changes", _("Changes"), "git-pull-request-arrow", "changes.view", "6"),
            Entry("releases", _("Releases"), "package-check", "changes.view", "-"),
            Entry("deployments", _("Deployments"), "rocket", "changes.view", "d"),
            Entry("playbooks", _("Ansible projects"), "book-copy", "changes.view", "7"),
            Entry("workspaces", _("Workspaces"), "blocks", "changes.view", ";"),
            Entry("baselines", _("Baselines"), "list-checks", "changes.view", ","),
            Entry("drift", _("Drift"), "git-compare", "changes.view", ".", "drift"),
            Entry("deploy-gate", pgettext_lazy("deployment", "Gate"), "traffic-cone", "changes.view", "9"),
            Entry("approvals", _("Approvals"), "badge-check", "approvals.view", "v", "approvals"),
        ),
    ),
    Stage(
        "operate",
        _("Operate"),
        (
            Entry("cockpit", _("Cockpit"), "gauge", "telemetry.view", "c"),
            Entry("incidents", _("Incidents"), "siren", "incidents.view", "i", "incidents"),
            Entry("alerts", _("Alerts"), "bell", "alerting.view", "a", "alerts"),
            Entry("slos", _("Objectives"), "target", "alerting.view", "b"),
            Entry("dashboards", _("Dashboards"), "layout-dashboard", "telemetry.view", "q"),
            Entry("explore", _("Metrics"), "chart-line", "telemetry.view", "x"),
            Entry("logs", _("Logs"), "logs", "telemetry.view", "l"),
            Entry("procedures", _("Procedures"), "book-open-check", "runbooks.view", "p"),
            Entry("runs", _("Runs"), "square-play", "runbooks.view", "u", "runs"),
        ),
    ),
    Stage(
        "review",
        _("Review"),
        (
            Entry("postmortems", _("Postmortems"), "notebook-pen", "incidents.view", "t"),
            Entry("improvements", _("Improvements"), "list-todo", "incidents.view", "n", "improvements"),
            Entry("dora", _("Delivery performance"), "rocket", "changes.view", "8"),
            Entry("events", _("Event ledger"), "scroll-text", "ledger.view", "e"),
        ),
    ),
)
ADMIN = Stage(
    "admin",
    _("Administration"),
    (
        Entry("people", _("People and tokens"), "users", "access.view", "o"),
        Entry("jobs", _("Jobs"), "list-checks", "jobs.view", "j"),
        Entry("kinds", _("Kinds and relations"), "shapes", "inventory.manage_kinds", "K"),
        Entry("fields", _("Custom fields"), "text-cursor-input", "fields.manage", "f"),
        Entry("storage", _("Storage"), "hard-drive", "storage.view", "z"),
        Entry("cardinality", _("Cardinality"), "chart-bar-big", "telemetry.view", "0"),
        Entry("settings", _("Settings"), "settings", "settings.view", "s"),
        Entry("modules", _("Modules"), "puzzle", "platform.view", "M"),
        Entry("platform", _("Platform"), "activity", "platform.view", "w"),
        Entry("nodes", _("Nodes"), "server", "platform.view", "k"),
        Entry("doctor", _("Health check"), "heart-pulse", "platform.view", "h"),
    ),
)

# pages of what no team owns: they want a global role
UNOWNED = frozenset(
    {
        *("storage", "approvals", "jobs", "dashboards", "explore", "logs", "events", "settings"),
        *("doctor", "platform", "nodes", "modules", "cardinality", "kinds"),
    }
)


def menu(actor: Actor) -> list[dict[str, Any]]:
    """Return the stages with the pages this actor may open; empty stages are left out."""
    shown = []
    for stage in (*STAGES, ADMIN):
        entries = [
            {
                "url": reverse(f"web:{each.url_name}"),
                "name": each.url_name,
                "title": each.title,
                "icon": each.icon,
                "key": each.key,
                "count": each.count,
            }
            for each in stage.entries
            if (allows if each.url_name in UNOWNED else allows_anywhere)(actor, each.permission)
            and modules.of_path(reverse(f"web:{each.url_name}")) is None
        ]
        if entries:
            shown.append({"name": stage.name, "title": stage.title, "entries": entries})
    return shown


def stage_of(url_name: str) -> str:
    """Return the stage whose menu holds the page of this URL name (its first word counts: "resource-detail")."""
    for stage in (*STAGES, ADMIN):
        for each in stage.entries:
            if url_name == each.url_name or url_name.startswith(each.url_name.rstrip("s")):
                return stage.name
    return ""


def entry_of(url_name: str) -> str:
    """Return the menu line a page belongs to."""
    for stage in (*STAGES, ADMIN):
        for each in stage.entries:
            if url_name == each.url_name or url_name.startswith(each.url_name.rstrip("s")):
                return each.url_name
    return ""


STRINGS: dict[str, str | Promise] = {
    "request_failed": _("The request failed."),
    "server_unreachable": _("The server cannot be reached. It will be tried again."),
    "copied": _("Copied."),
    "copy_failed": _("The browser did not allow copying. Select the text and copy it by hand."),
    "confirm": _("Confirm"),
    "nothing_found": _("Nothing found. Try another word."),
    "live_on": _("Live"),
    "live_lost": _("Reconnecting"),
    "live_off": _("Paused"),
    "chart_empty": _("No samples in this time range."),
    "chart_failed": _("The chart could not be loaded."),
    "chart_resolution": _("from the %r rollup"),
    "chart_more": _("%n more series are not drawn; narrow the query."),
    "chart_summary": _("Chart with %n series."),
    "absolute_range": _("Custom range"),
    "range_order": _("The start must be before the end."),
    "time": _("Time"),
    "value": _("Value"),
    "series": _("Series"),
    "now": _("now"),
    "series_of": _("%shown of %total series shown; narrow the query"),
    "series_count": _("%n series"),
    "compared": _("%name (%ago)"),
    "link_copied": _("The link is copied. Whoever opens it sees the same queries and the same time."),
    "history_empty": _("Queries you run are kept here, in this browser."),
    "heat_none": _("No buckets: a heatmap is of sum by (le) (rate(name_bucket[5m])) or the like."),
    "queries_most": _("No more than %n queries at once."),
    "offer_metric": _("metric"),
    "offer_function": _("function"),
    "offer_aggregation": _("aggregation"),
    "offer_keyword": _("keyword"),
    "offer_label": _("label"),
    "offer_value": _("value"),
    "offer_duration": _("duration"),
    "offers_more": _("%n more: type on"),
    "try_again": _("Try again"),
    "part_unread": _("This part could not be read: %why"),
    "rows_selected": _("%n rows selected"),
    "undo": _("Undo"),
    "remove": _("Remove"),
    "file_deleted": _("The file is deleted."),
    "mention_offers": _("People and teams"),
    "offer_team": _("team"),
    "part_slow": _("no answer within %n seconds"),
    "yes": _("yes"),
    "no": _("no"),
    "every": _("All"),
    "none_chosen": _("None"),
    "chosen": _("%n chosen"),
    "filter": _("Filter"),
    "clear": _("Clear"),
    "rows_more": _("%n more rows are not shown; narrow the query."),
    "panel_empty": _("No value in this time range."),
    "preview": _("Preview"),
    "preview_empty": _("Write a query to see it here."),
    "kiosk_leave": _("Press Esc to leave the full view."),
    "options_more": _("%n more options: type a part of the name."),
}


RANGES: tuple[tuple[str, str | Promise], ...] = (
    ("15m", _("Last 15 minutes")),
    ("1h", _("Last hour")),
    ("4h", _("Last 4 hours")),
    ("12h", _("Last 12 hours")),
    ("1d", _("Last day")),
    ("7d", _("Last 7 days")),
    ("30d", _("Last 30 days")),
)


def _theme(request: HttpRequest) -> str:
    chosen = request.user.theme if isinstance(request.user, User) else request.COOKIES.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """Context processor: what base.html needs. Nothing is computed unless a template asks for it."""
    match = request.resolver_match
    url_name = (match.url_name or "") if match else ""
    actor: Actor = getattr(request, "actor", NOBODY)
    return {
        "theme": SimpleLazyObject(lambda: _theme(request)),
        "menu": SimpleLazyObject(lambda: menu(actor)),
        "menu_counts": SimpleLazyObject(lambda: menu_counts(actor)),
        "inbox_count": SimpleLazyObject(lambda: inbox.unread_count(actor)),
        "emergency_stop": SimpleLazyObject(lambda: run_reads.stop() if actor.kind != "nobody" else None),
        "may_lift_stop": SimpleLazyObject(lambda: allows(actor, "execution.resume")),
        "may_stop": SimpleLazyObject(lambda: allows_anywhere(actor, "execution.stop")),
        "menu_entry": entry_of(url_name),
        "help_page": help_page(url_name),
        "stage": stage_of(url_name),
        "strings": {key: str(text) for key, text in STRINGS.items()},
        "languages": settings.LANGUAGES,
        "range_presets": RANGES,
        "sign_in_owes": request.session.get(OWES, "") if hasattr(request, "session") else "",
        "second_factor_days": days_left(request),
    }


@page(ANY_PERSON)
def counts(request: PageRequest) -> HttpResponse:
    """The counts of the menu alone, for live refresh."""
    return render(request, "shell/counts.html")


def _back(request: HttpRequest) -> str:
    target = request.POST.get("next") or request.headers.get("Referer") or "/"
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if safe else "/"


@public
@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Switch the language: kept on the account when signed in, and in a cookie for the login page."""
    language = request.POST.get("language", "")
    response = redirect(_back(request))
    if language in {code for code, _name in settings.LANGUAGES}:
        if isinstance(request.user, User):
            people.set_preferences(actor=actor_for_user(request.user), user=request.user, language=language)
        _remember(request, response, LANGUAGE_COOKIE, language)
    return response


@public
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme the browser already shows."""
    theme = request.POST.get("theme", "")
    response = HttpResponse(status=204)
    if theme in THEMES:
        if isinstance(request.user, User):
            people.set_preferences(actor=actor_for_user(request.user), user=request.user, theme=theme)
        _remember(request, response, THEME_COOKIE, theme)
    return response


def _remember(request: HttpRequest, response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=YEAR_SECONDS, secure=request.is_secure(), httponly=True, samesite="Lax")
