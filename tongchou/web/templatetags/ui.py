"""Tags and filters of every page: icons, the mark, status, times, sizes, asset addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django import template
from django.forms import BoundField, CheckboxInput, Select, Textarea
from django.template import Context
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tongchou.core import settings_store
from tongchou.incidents.models import Incident, Postmortem
from tongchou.telemetry.promql.parse import measured_part
from tongchou.web import icons
from tongchou.web.assets import asset_url, echarts_url
from tongchou.web.links import localized as in_this_language
from tongchou.web.markdown import render as render_markdown

register = template.Library()

# One arc a stage, clockwise from the top; drawn in a 24 x 24 box.
ARCS = {
    "plan": "M9.34 3.82A8.6 8.6 0 0 1 14.66 3.82",
    "design": "M18.96 6.95A8.6 8.6 0 0 1 20.6 12.0",
    "deliver": "M18.96 17.05A8.6 8.6 0 0 1 14.66 20.18",
    "operate": "M9.34 20.18A8.6 8.6 0 0 1 5.04 17.05",
    "review": "M3.4 12.0A8.6 8.6 0 0 1 5.04 6.95",
}

# word a room uses -> (tone, icon, text). The tone is never alone: icon shape and word say the same.
STATUS: dict[str, tuple[str, str, str | Promise]] = {
    "ok": ("ok", "circle-check", _("Healthy")),
    "up": ("ok", "circle-check", _("Up")),
    "down": ("critical", "octagon-x", _("Down")),
    "warning": ("warning", "triangle-alert", _("Warning")),
    "critical": ("critical", "octagon-alert", _("Critical")),
    "info": ("info", "info", _("Information")),
    "maintenance": ("maintenance", "wrench", _("Maintenance")),
    "major": ("critical", "triangle-alert", _("Major")),
    "affected": ("warning", "circle-alert", pgettext_lazy("status", "Affected")),
    "held": ("maintenance", "wrench", _("On hold")),
    "unknown": ("unknown", "circle-dashed", _("Unknown")),
    "err": ("critical", "circle-x", _("Error")),
    "uncertain": ("warning", "circle-question-mark", _("Uncertain")),
    "stale": ("warning", "clock", _("Stale")),
    "active": ("ok", "circle-check", _("Active")),
    "tombstone": ("unknown", "circle-x", _("Gone")),
    "firing": ("critical", "bell-ring", _("Firing")),
    "pending": ("warning", "hourglass", _("Pending")),
    "inactive": ("unknown", "circle-dashed", _("Inactive")),
    "resolved": ("ok", "circle-check", _("Resolved")),
    "open": ("critical", "siren", _("Open")),
    "acknowledged": ("warning", "hand", _("Acknowledged")),
    "mitigated": ("info", "shield-check", _("Mitigated")),
    "closed": ("unknown", "circle-check", _("Closed")),
    "awaiting_approval": ("warning", "hourglass", _("Awaiting approval")),
    "preparing": ("info", "file-diff", _("Preparing")),
    "paused": ("warning", "octagon-x", _("Paused")),
    "queued": ("info", "clock", _("Queued")),
    "running": ("info", "play", _("Running")),
    "waiting": ("warning", "hand", _("Waiting for an answer")),
    "succeeded": ("ok", "circle-check", _("Succeeded")),
    "failed": ("critical", "circle-x", _("Failed")),
    "cancelled": ("unknown", "ban", _("Cancelled")),
    "skipped": ("unknown", "circle-dashed", _("Skipped")),
    "approved": ("ok", "badge-check", _("Approved")),
    "rejected": ("critical", "ban", _("Rejected")),
    "expired": ("unknown", "clock", _("Expired")),
    "ended": ("unknown", "clock", pgettext_lazy("approval", "Ended")),
    "read": ("ok", "eye", _("Read only")),
    "reversible": ("warning", "undo-2", _("Reversible")),
    "irreversible": ("critical", "triangle-alert", _("Irreversible")),
    "p1": ("critical", "octagon-alert", "P1"),
    "p2": ("critical", "triangle-alert", "P2"),
    "p3": ("warning", "triangle-alert", "P3"),
    "p4": ("info", "info", "P4"),
    "page": ("critical", "octagon-alert", pgettext_lazy("severity", "Page")),
    "ticket": ("warning", "triangle-alert", _("Ticket")),
    "error": ("critical", "circle-x", _("Error")),
    "good": ("ok", "circle-check", _("Healthy")),
    "revoked": ("unknown", "ban", _("Revoked")),
    "finished": ("ok", "circle-check", _("Finished")),
    "started": ("info", "play", _("Started")),
    "success": ("ok", "circle-check", _("Succeeded")),
    "sent": ("ok", "circle-check", _("Sent")),
    "delivered": ("ok", "circle-check", _("Delivered")),
    "draft": ("unknown", "pencil", _("Draft")),
    "review": ("warning", "eye", _("In review")),
    "published": ("ok", "book-check", _("Published")),
    "in_progress": ("info", "hammer", _("In progress")),
    "proving": ("warning", "hourglass", _("Being proven")),
    "done": ("ok", "badge-check", _("Done")),
    "dropped": ("unknown", "ban", pgettext_lazy("improvement", "Won't do")),
    "in_review": ("warning", "eye", _("In review")),
    "accepted": ("ok", "badge-check", pgettext_lazy("requirement", "Accepted")),
    "withdrawn": ("unknown", "undo-2", _("Withdrawn")),
    "decided": ("ok", "book-marked", pgettext_lazy("requirement", "Decided")),
    "proposed": ("info", "file-plus", _("Proposed")),
    "superseded": ("unknown", "history", _("Superseded")),
    "deprecated": ("unknown", "ban", _("Deprecated")),
    "retired": ("unknown", "circle-x", _("Retired")),
    "duplicate": ("unknown", "copy", pgettext_lazy("delivery", "Duplicate")),
    "ignored": ("unknown", "circle-dashed", _("Ignored")),
    "refused": ("critical", "ban", _("Refused")),
    "enabled": ("ok", "circle-check", _("Enabled")),
    "disabled": ("unknown", "ban", _("Disabled")),
    "todo": ("unknown", "circle-dashed", pgettext_lazy("task", "Open")),
    "new": ("unknown", "circle-dashed", pgettext_lazy("change", "New")),
    "assess": ("info", "scale", _("Assess")),
    "authorize": ("warning", "hourglass", _("Authorize")),
    "scheduled": ("info", "calendar-clock", _("Scheduled")),
    "implement": ("maintenance", "hammer", _("Implement")),
    "ready": ("info", "circle-check", _("Ready")),
    "baking": ("maintenance", "eye", _("Being watched")),
    "rolling_back": ("warning", "undo-2", _("Rolling back")),
    "rolled_back": ("warning", "history", _("Rolled back")),
    "left": ("critical", "triangle-alert", _("Left as it is")),
    "risk-low": ("ok", "shield-check", _("Low")),
    "risk-medium": ("warning", "triangle-alert", _("Medium")),
    "risk-high": ("critical", "octagon-alert", _("High")),
}


METHODS = {
    "password": _("Password"),
    "totp": _("Authenticator app"),
    "recovery_codes": _("Recovery code"),
    "passkey": _("Passkey"),
    "oidc": _("Single sign-on"),
    "ldap": _("Directory"),
}


@lru_cache(maxsize=2048)
def _drawn(name: str, size: int, **attributes: Any) -> SafeString:
    """Draw an icon once: to parse and write XML each time was half of a list page's time."""
    drawn = icons.draw(name, size, aria_hidden="true", **attributes)
    return mark_safe(drawn)  # noqa: S308  # markup of the library, with attributes out of our templates


@register.simple_tag
def icon(name: str, size: int = 16, **attributes: Any) -> str:
    """Draw a Lucide icon, hidden from screen readers: the word beside it speaks."""
    return _drawn(name, size, **attributes)


@register.simple_tag
def mark(stage: str = "", size: int = 24, title: str = "") -> SafeString:
    """Draw the brand mark: a closed loop of five arcs, the stage one is in accented."""
    arcs = format_html_join(
        "",
        '<path class="arc{}" d="{}"/>',
        ((" on" if name == stage or not stage else "", path) for name, path in ARCS.items()),
    )
    label = format_html('role="img" aria-label="{}"', title) if title else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="mark" width="{}" height="{}" viewBox="0 0 24 24" fill="none" stroke-width="3"'
        ' stroke-linecap="round" {}>{}</svg>',
        size,
        size,
        label,
        arcs,
    )


def status_of(word: object) -> tuple[str, str, str | Promise]:
    """Return (tone, icon, text) of a status word; an unknown word is shown as it is."""
    key = str(word).lower()
    return STATUS.get(key, ("unknown", "circle-dot", str(word)))


@register.simple_tag
def chip(word: object, text: object = "") -> SafeString:
    """Draw a status as colour, shape and word."""
    tone, name, own = status_of(word)
    return format_html('<span class="chip {}">{}{}</span>', tone, _drawn(name, 13), text or own)


@register.simple_tag
def status_icon(word: object, size: int = 16) -> SafeString:
    """Draw the shape of a status, with its word for screen readers."""
    tone, name, text = status_of(word)
    drawn = _drawn(name, size)
    return format_html(
        '<span class="s-{}" title="{}">{}<span class="sr-only">{}</span></span>', tone, text, drawn, text
    )


@register.filter
def tone(word: object) -> str:
    """Return the tone of a status word: ok, warning, critical, maintenance, info, unknown."""
    return status_of(word)[0]


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@register.filter
def when(moment: datetime | None) -> str:
    """Write a moment in the person's time zone, UTC in the tooltip."""
    return _time(moment, "%Y-%m-%d %H:%M:%S")


@register.filter
def clock(moment: datetime | None) -> str:
    """Write the time of day in the person's time zone, date and UTC in the tooltip."""
    return _time(moment, "%H:%M:%S")


@register.filter
def day(moment: datetime | None) -> str:
    """Write the date in the person's time zone."""
    return timezone.localtime(moment).strftime("%Y-%m-%d") if moment else "–"


def _time(moment: datetime | None, form: str) -> str:
    if moment is None:
        return mark_safe('<span class="faint">–</span>')
    local = timezone.localtime(moment)
    title = f"{local:%Y-%m-%d %H:%M:%S %Z} · {_utc(moment)}"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), title, local.strftime(form))


@register.filter
def ago(moment: datetime | None) -> str:
    """Write how long ago; the page keeps it true. Exact times are in the tooltip."""
    if moment is None:
        return mark_safe('<span class="faint">–</span>')
    local = timezone.localtime(moment)
    title = f"{local:%Y-%m-%d %H:%M:%S %Z} · {_utc(moment)}"
    return format_html(
        '<time data-ago datetime="{}" title="{}">{}</time>', moment.isoformat(), title, local.strftime("%m-%d %H:%M")
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Write a length of time in its two largest units: 3d 4h, 12m 05s, 340ms."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    whole = int(seconds)
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    if minutes:
        return f"{minutes}m {rest:02}s"
    return f"{seconds:.1f}s" if seconds < 10 else f"{rest}s"


@register.filter
def nbytes(count: float | None) -> str:
    """Write a number of bytes in the largest binary unit that it fills: 512 B, 16 GiB, 1.8 TiB."""
    if count is None:
        return "–"
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if abs(size) < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


@register.simple_tag
def between(start: datetime | None, end: datetime | None) -> str:
    """Write the length of [start, end]; while the end is open, a figure the page keeps counting."""
    if start is None:
        return "–"
    if end is None:
        text = duration((timezone.now() - start).total_seconds())
        return format_html('<span class="tabular" data-elapsed-since="{}">{}</span>', start.isoformat(), text)
    return duration((end - start).total_seconds())


@register.filter
def pretty(value: object) -> str:
    """Write a value as people read it: strings as they are, structures as indented JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, default=str)


@register.filter
def compact(value: object) -> str:
    """Write a value on one line, at most 160 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f"{text[:157]}…"


@register.filter
def big(count: int) -> str:
    """Write a count that may be that of all IPv6 addresses: in full, as a power of two, or about so many."""
    if count < 10**9:
        return f"{count:,}"
    return f"2^{count.bit_length() - 1}" if count & (count - 1) == 0 else f"≈ {count:.2e}"


@register.filter
def short(text: object) -> str:
    """Write the first 12 characters of a hash or id."""
    return str(text)[:12]


@register.filter
def initials(user: object) -> str:
    """Return one or two letters for the round badge of a person."""
    words = str(user).split()
    return "".join(word[0] for word in words[:2]).upper() or "?"


@register.filter
def get(mapping: Mapping[Any, Any] | None, key: object) -> Any:
    """Look a key up in a mapping; None when it is not there."""
    return (mapping or {}).get(key)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: object) -> str:
    """Return the page's own query string with `changes`; None or "" drops a key. Paging starts over unless given."""
    current: dict[str, str] = {key: value for key, value in context["request"].GET.items() if key != "page"}
    for key, value in changes.items():
        if value in (None, ""):
            current.pop(key, None)
        else:
            current[key] = str(value)
    return "?" + urlencode(current)


@register.simple_tag
def asset(path: str) -> str:
    """Return the stamped address of a static file."""
    return asset_url(path)


@register.simple_tag
def echarts_address() -> str:
    """Return the address of the chart library."""
    return echarts_url()


@register.filter
def sheets(names: str) -> list[str]:
    """Return the stamped addresses of our style sheets."""
    return [asset_url(f"tongchou/{name}.css") for name in names.split()]


@register.filter
def message_tone(tags: str) -> str:
    """Return the tone of a Django message."""
    if "error" in tags:
        return "critical"
    return "warning" if "warning" in tags else "ok"


@register.filter
def widget_kind(field: BoundField) -> str:
    """Return "check" for a check box, "input" for the rest."""
    return "check" if isinstance(field.field.widget, CheckboxInput) else "input"


@register.filter
def styled(field: BoundField) -> SafeString:
    """Draw a form field with our classes and its error announced."""
    widget = field.field.widget
    names = {Select: "select", Textarea: "textarea", CheckboxInput: ""}
    kind = next((name for base, name in names.items() if isinstance(widget, base)), "input")
    attributes: dict[str, str | bool] = {"class": f"{kind} {widget.attrs.get('class', '')}".strip()}
    if field.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{field.id_for_label}-error"}
    return field.as_widget(attrs=attributes)


@register.filter
def status_word(word: object) -> str:
    """Return the word of a status."""
    return str(status_of(word)[2])


@register.filter
def severity_word(word: object) -> str:
    """Return the word of a severity."""
    return str(status_of(word)[2])


@register.filter
def clip(text: object, length: int) -> str:
    """Cut a text for a place that cannot wrap."""
    whole = str(text)
    return whole if len(whole) <= length else f"{whole[: length - 1]}…"


@register.filter
def unlocalized(number: float | None) -> str:
    """Write a number as machines read it, whatever the language."""
    return "" if number is None else f"{number:g}"


@register.filter
def listed(value: object) -> str:
    """Write a list with commas, anything else as it is."""
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "–"
    return str(value)


@register.filter
def number(text: object) -> str:
    """Write a number with at most six figures; what is no number stays."""
    try:
        return f"{float(str(text)):.6g}"
    except ValueError:
        return str(text)


@register.filter
def markdown(text: str) -> SafeString:
    """Draw people's own text, in Markdown without HTML."""
    return render_markdown(text)


@register.filter
def percent(share: float | None) -> str:
    """Write a share with one decimal: 0.125 is 12.5 %."""
    return "–" if share is None else f"{100 * share:.1f} %"


@register.filter
def postmortem_of(incident: Incident) -> Postmortem | None:
    """Return an incident's postmortem, or None; one query."""
    return Postmortem.objects.defer("facts", "marks").filter(incident=incident).first()


@register.filter
def localized(texts: object) -> str:
    """Return the text of {"en": ..., "zh": ...} in the language spoken now."""
    return in_this_language(texts)


@register.filter
def measured(expression: str) -> str:
    """Return what an alert's expression measures: without a comparison at its end, so that its chart has no gaps."""
    return measured_part(expression)


WORDS: dict[str, str | Promise] = {
    "continue": _("Continue"),
    "stop": _("Stop"),
    "done": _("It took effect, go on"),
    "repeat": _("Do it again"),
    "read": _("read"),
    "ask": _("ask"),
    "http": _("request"),
    "wait_until": _("wait until"),
    "parallel": _("in parallel"),
    "dashboard": _("Dashboard"),
    "procedure": _("Procedure"),
    "improvement": _("Improvement"),
    "requirement": _("Requirement"),
    "budget": _("Budget"),
    "data_class": _("Class of data"),
    "kind": _("Kind"),
    "risk": _("Risk"),
    "team": _("Team"),
    "mlps_level": _("MLPS level"),
    "title": _("Title"),
    "state": _("State"),
    "incident": _("Incident"),
    "version": _("Version"),
    "versions": _("Versions"),
    "services": _("Services"),
    "passed_over": _("Environment before passed over because"),
    "service": _("Service"),
    "environment": _("Environment"),
    "grade": _("Grade"),
    "targets": _("Targets"),
    "covers": _("Runs it covers"),
    "collides": _("Collides with"),
    "in_spite": _("May be done all the same"),
    "execution": _("Execution"),
    "incidents": _("Incidents"),
    "alerting": _("Alerting"),
    "web": _("Pages"),
    "telemetry": _("Telemetry"),
    "logs": _("Logs"),
    "inventory": _("Inventory"),
    "runbooks": _("Procedures"),
    "usage": _("Usage and money"),
}


@register.filter
def answer_word(word: str) -> str:
    """Return the words of an answer."""
    return str(WORDS.get(word, word))


kind_word = register.filter("kind_word", answer_word)
scope_word = register.filter("scope_word", answer_word)
room_word = register.filter("room_word", answer_word)


@register.filter
def step_status(state: str) -> str:
    """Return the status a step's state looks like."""
    return {"pending": "skipped", "started": "running", "skipped": "cancelled"}.get(state, state)


@register.filter
def run_tone(state: str) -> str:
    """Return how a step's line is lit."""
    return {"started": "running", "uncertain": "waiting"}.get(state, state)


@register.filter
def diff_lines(text: Any) -> list[tuple[str, str]]:
    """A unified diff as (what, line): add, del, head or same, for colours that do not stand alone: the sign stays."""
    out = []
    for line in str(text).splitlines():
        what = "same"
        if line.startswith(("+++", "---", "@@")):
            what = "head"
        elif line.startswith(("+", "-")):
            what = "add" if line[0] == "+" else "del"
        out.append((what, line))
    return out


@register.filter
def without_diff(preview: dict[str, Any]) -> dict[str, Any]:
    """What a preview says beside its diff and its sentence."""
    return {key: value for key, value in preview.items() if key not in ("diff", "says")}


@register.simple_tag
def single_sign_on() -> dict[str, Any] | None:
    """Return the text of its button and whether it is the only way in; None while it is not set up."""
    if not settings_store.get("oidc.issuer", "") or not settings_store.get("oidc.client_id", ""):
        return None
    return {
        "button": settings_store.get("oidc.button", "") or _("Single sign-on"),
        "only": settings_store.get("oidc.only", False),
    }


@register.filter
def method_word(method: str) -> str:
    """Say how a session was begun: "password+totp" as words."""
    return " + ".join(str(METHODS.get(each, each)) for each in method.split("+"))
