"""Operate: what is wrong. Open groups, alerts, rules and their health, rule files edited in the page, channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from tongchou.alerting import actions, reads, tell
from tongchou.alerting.matchers import for_labels, text_of
from tongchou.alerting.models import (
    Alert,
    AlertGroup,
    AlertStateChoice,
    Channel,
    Health,
    Rule,
    RuleFile,
    Silence,
    Suppressed,
)
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.lists.tables import Column
from tongchou.core.problems import Invalid, NotFound, TooLarge
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident, IncidentGroup
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import group_title
from tongchou.web.review import entries
from tongchou.web.tables import cells
from tongchou.web.tables.listing import show
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import between, chip, number, when
from tongchou.web.visibility import readable

ACK_HOURS = (1, 4, 8, 24)
MAX_RULE_FILE_BYTES = 2_000_000
EXAMPLE = """groups:
  - name: example
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: "{{ $labels.job }} {{ $labels.instance }} does not answer"
"""


def _tabs(request: PageRequest) -> dict[str, Any]:
    rules = reads.rules()
    return {
        "open_groups": reads.groups(actor=request.actor, state="open").count(),
        "firing": reads.alerts(actor=request.actor, state=AlertStateChoice.FIRING).count(),
        "rule_count": rules.count(),
        "broken_rules": rules.filter(health=Health.ERROR).count(),
        "may_edit": allows(request.actor, "alerting.edit"),
        "may_respond": allows_anywhere(request.actor, "alerting.respond"),
    }


def _incidents(groups: Sequence[AlertGroup]) -> dict[Any, Incident]:
    links = IncidentGroup.objects.filter(group__in=groups).select_related("incident")
    return {link.group_id: link.incident for link in links}


def _group_title(row: AlertGroup, _about: Mapping[Any, Any]) -> str:
    title = cells.link(reverse("web:alert-group", args=[row.pk]), group_title(row))
    seen = chip("acknowledged", row.acknowledged_by_name) if row.acknowledged_at else ""
    return format_html("{} {}", title, seen)


def _resources(found: Iterable[Any]) -> str:
    tags = format_html_join(
        "", '<a class="tag" href="{}">{}</a>', ((reverse("web:resource", args=[each.pk]), each.name) for each in found)
    )
    return format_html('<span class="tags">{}</span>', tags)


def _group_incident(row: AlertGroup, about: Mapping[Any, Any]) -> str:
    found = about.get(row.pk)
    return cells.link(reverse("web:incident", args=[found.number]), found.name) if found else cells.NOTHING


GROUPS = register(
    Look(
        "alerting.alertgroup",
        "web:alerts",
        "group",
        url=lambda row: reverse("web:alert-group", args=[row.pk]),
        about=_incidents,
        cells={
            "severity": lambda row, _about: chip(row.severity or "warning"),
            "group": _group_title,
            "firing": lambda row, _about: f"{row.firing} / {row.members}",
            "about": lambda row, _about: _resources(row.about[:6]),
            "incident": _group_incident,
            "since": lambda row, _about: when(row.started_at),
            "lasts": lambda row, _about: between(row.started_at, row.closed_at),
        },
        beside=(
            ("about", Column("incident", gettext_lazy("Incident"))),
            ("since", Column("lasts", gettext_lazy("Lasts"), "number")),
        ),
        icon="circle-check",
        empty=gettext_lazy("Nothing fires"),
    )
)


@page("alerting.view")
def alerts(request: PageRequest) -> HttpResponseBase:
    """Groups of alerts: open ones, or with `?state=closed` the history."""
    state = "closed" if request.GET.get("state") == "closed" else "open"
    more = _tabs(request) | {"tab": state, "queues_above": True}
    if state == "closed":
        more |= {
            "empty_title": _("No history yet"),
            "empty_hint": _("Groups are listed here when their last alert ends."),
        }
    else:
        more["empty_hint"] = _rules_watch(more["rule_count"])
    return show(request, GROUPS, "operate/alert_groups.html", more)


def _rules_watch(count: int) -> str:
    if not count:
        return _("There are no rules yet, so nothing can fire. Add a rule file in Prometheus's format.")
    return ngettext("%(n)s rule watches.", "%(n)s rules watch.", count) % {"n": count}


def _alert_name(row: Alert, _about: Mapping[Any, Any]) -> str:
    url = reverse("web:alert-group", args=[row.group_id]) if row.group_id else ""
    return cells.second(cells.link(url, row.name), row.annotations.get("summary", ""))


ALERTS = register(
    Look(
        "alerting.alert",
        "web:alert-list",
        "alert",
        url=lambda row: reverse("web:alert-group", args=[row.group_id]) if row.group_id else "",
        cells={
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "severity": lambda row, _about: chip(row.severity or "warning"),
            "alert": _alert_name,
            "label": lambda row, _about: cells.labels(row.labels, skip=("alertname", "severity")),
            "value": lambda row, _about: number(row.value_text),
            "about": lambda row, _about: _resources(reads.resources_of(row)),
            "since": lambda row, _about: when(row.active_at),
            "lasts": lambda row, _about: between(row.active_at, row.resolved_at),
        },
        beside=(("since", Column("lasts", gettext_lazy("Lasts"), "number")),),
        icon="circle-check",
        empty=gettext_lazy("No alert in this state"),
    )
)


@page("alerting.view")
def alert_list(request: PageRequest) -> HttpResponseBase:
    """Every alert: pending and firing, or with `?state=resolved` the history."""
    return show(request, ALERTS, "operate/alert_list.html", _tabs(request) | {"tab": "alerts"})


def _rule_name(row: Rule, _about: Mapping[Any, Any]) -> str:
    recording = format_html(' <span class="tag">{}</span>', _("recording")) if row.kind == "record" else ""
    worst = chip(row.labels["severity"]) if row.labels.get("severity") else ""
    return cells.second(format_html("{}{} {}", row.name, recording, worst), row.last_error, "s-critical")


def _rule_expression(row: Rule, _about: Mapping[Any, Any]) -> str:
    address = f"{reverse('web:explore')}?{urlencode({'query': row.expr})}"
    return cells.link(address, row.expr, "plain mono muted wrap-any")


def _rule_firing(row: Any, _about: Mapping[Any, Any]) -> str:
    firing = format_html('<span class="s-critical">{}</span>', row.firing) if row.firing else "0"
    waiting = format_html(' <span class="s-warning">+{}</span>', row.pending) if row.pending else ""
    return format_html("{}{}", firing, waiting)


RULES = register(
    Look(
        "alerting.rule",
        "web:alert-rules",
        "rule",
        cells={
            "health": lambda row, _about: chip(row.health, row.get_health_display()),
            "rule": _rule_name,
            "file": lambda row, _about: cells.link(
                reverse("web:alert-file", args=[row.group.file.name]), row.group.file.name
            ),
            "expression": _rule_expression,
            "firing": _rule_firing,
        },
        icon="file-text",
        empty=gettext_lazy("No rules yet"),
        hint=gettext_lazy("Rule files are Prometheus's: upload the ones you have, or write the first one here."),
    )
)


@page("alerting.view")
def alert_rules(request: PageRequest) -> HttpResponseBase:
    """Rules in force with their health, and their files."""
    more = _tabs(request) | {"tab": "rules", "files": list(reads.rule_files())}
    return show(request, RULES, "operate/alert_rules.html", more)


def _why_held(alerts: list[Alert]) -> list[dict[str, str]]:
    """What holds the notices of these alerts, each with its page."""
    keys: dict[str, set[str]] = {"alerting.silence": set(), "alerting.alert": set(), "alerting.alertgroup": set()}
    for each in {each for alert in alerts if alert.state == AlertStateChoice.FIRING for each in alert.suppressed_by}:
        noun, _colon, key = each.partition(":")
        keys[noun].add(key)
    found = [
        {"url": reverse("web:silences"), "text": str(row)}
        for row in Silence.objects.filter(pk__in=keys["alerting.silence"])
    ]
    inhibiting = Alert.objects.filter(pk__in=keys["alerting.alert"], group__isnull=False)
    found += [{"url": reverse("web:alert-group", args=[each.group_id]), "text": each.name} for each in inhibiting]
    explaining = AlertGroup.objects.filter(pk__in=keys["alerting.alertgroup"])
    found += [{"url": reverse("web:alert-group", args=[each.pk]), "text": group_title(each)} for each in explaining]
    return found


@page("alerting.view")
def alert_group(request: PageRequest, group_id: UUID) -> HttpResponse:
    """One group: its alerts with a chart of their expressions, its incident, what was told to whom."""
    group = reads.groups(actor=request.actor).filter(pk=group_id).first()
    if group is None:
        raise NotFound(
            "alert_group.unknown", _("There is no such group of alerts."), remedy=_("Open the list of alerts.")
        )
    alerts = list(group.alerts.all())
    named = {each.resource.name: each.resource for alert in alerts for each in alert.resources.all()}
    rules = {alert.rule_id: alert.rule for alert in group.alerts.select_related("rule")}
    context = {
        "group": group,
        "title": group_title(group),
        "alerts": alerts,
        "resources": list(named.values())[:6],
        "incident": _incidents([group]).get(group.pk),
        "ref": ref(group),
        "rules": list(rules.values())[:6],
        "notifications": reads.notifications(actor=request.actor, group=group.pk)[:50],
        "entries": entries(readable(request.actor, ledger.events(about=ref(group), limit=60))),
        "may_respond": allows(request.actor, "alerting.respond", team=group.team_id),
        "ack_hours": ACK_HOURS,
        "matchers": text_of(for_labels(group.labels)),
        "explained": tell.explained_by(group),
        "held_label": Suppressed(group.held_by).label if group.held_by else "",
        "why_held": _why_held(alerts),
    }
    if request.GET.get("part") == "live":
        return render(request, "operate/alert_group_live.html", context)
    return render(request, "operate/alert_group.html", context)


@page("alerting.respond")
@require_POST
def alert_group_acknowledge(request: PageRequest, group_id: UUID) -> HttpResponse:
    """Say that somebody has seen it, or take that back."""
    note = request.POST.get("note", "")
    if "undo" in request.POST:
        actions.unacknowledge_group(actor=request.actor, group_id=group_id, note=note)
        messages.success(request, _("The acknowledgement is taken back: reminders go on."))
    else:
        hours = request.POST.get("hours", "")
        seconds = float(hours) * 3600 if hours.isdecimal() and len(hours) < 5 else None
        actions.acknowledge_group(actor=request.actor, group_id=group_id, note=note, for_seconds=seconds)
        messages.success(request, _("Acknowledged."))
    return redirect("web:alert-group", group_id=group_id)


def _uploaded(request: PageRequest) -> str:
    upload = request.FILES.get("file")
    if upload is None:
        return request.POST.get("text", "").replace("\r\n", "\n")
    if upload.size is not None and upload.size > MAX_RULE_FILE_BYTES:
        raise TooLarge(
            "rule_file.too_large", _("The file is over 2 MB."), field="file", remedy=_("Split it into several files.")
        )
    try:
        return bytes(upload.read()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            "rule_file.encoding", _("The file is not UTF-8."), field="file", remedy=_("Save it as UTF-8.")
        ) from error


@page("alerting.view")
def alert_file(request: PageRequest, name: str = "") -> HttpResponse:
    """Show, add or change a rule file; a mistake is shown at its line and the rules in force stay."""
    row = RuleFile.objects.filter(name=name).first() if name else None
    if name and row is None:
        raise actions.unknown_file(name)
    context: dict[str, Any] = {
        "row": row,
        "name": name,
        "text": row.text if row else EXAMPLE,
        "may_edit": allows(request.actor, "alerting.edit"),
    }
    if request.method != "POST":
        return render(request, "operate/alert_file.html", context)
    if "delete" in request.POST and row:
        actions.delete_rule_file(actor=request.actor, name=row.name)
        messages.success(request, _("The rule file is deleted; its alerts are resolved."))
        return redirect("web:alert-rules")
    wanted = name or request.POST.get("name", "").strip()
    text = request.POST.get("text", "")
    try:
        text = _uploaded(request)
        saved = actions.put_rule_file(actor=request.actor, name=wanted, text=text)
    except Invalid as problem:
        errors = problem.extra.get("errors") or [{"line": None, "detail": problem.detail, "remedy": problem.remedy}]
        bad = {each.get("line") for each in errors}
        lines = [{"n": n, "text": line, "bad": n in bad} for n, line in enumerate(text.split("\n"), start=1)]
        context |= {
            "text": text,
            "name_tried": wanted,
            "problem": problem,
            "errors": errors,
            "lines": lines if bad - {None} else [],
        }
        return render(request, "operate/alert_file.html", context, status=422)
    messages.success(request, _("The rules of %(name)s are in force.") % {"name": saved.name})
    return redirect("web:alert-file", name=saved.name)


@page("alerting.view")
def alert_channels(request: PageRequest) -> HttpResponse:
    """Where notifications go, and how the last ones went."""
    context = _tabs(request) | {
        "tab": "channels",
        "channels": Channel.objects.order_by("name"),
        "notifications": reads.notifications(actor=request.actor)[:50],
    }
    return render(request, "operate/alert_channels.html", context)
