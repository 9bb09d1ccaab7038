"""Operate: what is wrong. Open groups, alerts, rules and their health, rule files edited in the page, channels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.alerting import actions, reads, tell
from tongchou.alerting.matchers import for_labels, text_of
from tongchou.alerting.models import (
    Alert,
    AlertGroup,
    AlertStateChoice,
    Channel,
    Health,
    RuleFile,
    Silence,
    Suppressed,
)
from tongchou.core import ledger
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.problems import Invalid, NotFound, TooLarge
from tongchou.core.refs import ref
from tongchou.incidents.models import IncidentGroup
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import group_title
from tongchou.web.review import entries
from tongchou.web.visibility import readable

PAGE = 100
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


def _group_rows(groups: list[AlertGroup]) -> list[dict[str, Any]]:
    links = IncidentGroup.objects.filter(group__in=groups).select_related("incident")
    incidents = {link.group_id: link.incident for link in links}
    rows = []
    for group in groups:
        alerts = list(group.alerts.all())
        named = {each.resource.name: each.resource for alert in alerts for each in alert.resources.all()}
        rows.append(
            {
                "group": group,
                "title": group_title(group),
                "alerts": alerts,
                "resources": list(named.values())[:6],
                "incident": incidents.get(group.pk),
            }
        )
    return rows


@page("alerting.view")
def alerts(request: PageRequest) -> HttpResponse:
    """Groups of alerts: open ones, or with `?state=closed` the history."""
    state = "closed" if request.GET.get("state") == "closed" else "open"
    groups = list(reads.groups(actor=request.actor, state=state)[:PAGE])
    context = _tabs(request) | {"tab": state, "rows": _group_rows(groups)}
    part = request.GET.get("part") == "live"
    return render(request, "operate/alert_groups_live.html" if part else "operate/alert_groups.html", context)


@page("alerting.view")
def alert_list(request: PageRequest) -> HttpResponse:
    """Every alert: pending and firing, or with `?state=resolved` the history."""
    state = request.GET.get("state", "")
    wanted = state if state in AlertStateChoice.values else None
    rows = list(reads.alerts(actor=request.actor, state=wanted)[:PAGE])
    context = _tabs(request) | {
        "tab": "alerts",
        "state": wanted or "",
        "rows": rows,
        "states": AlertStateChoice.choices,
    }
    part = request.GET.get("part") == "live"
    return render(request, "operate/alert_list_live.html" if part else "operate/alert_list.html", context)


@page("alerting.view")
def alert_rules(request: PageRequest) -> HttpResponse:
    """Rules in force with their health, by file and group."""
    word, only = request.GET.get("q", "").strip()[:100], request.GET.get("health", "")
    rules = reads.rules(health=only if only in Health.values else None)
    if word:
        rules = rules.filter(name__icontains=word)
    context = _tabs(request) | {
        "tab": "rules",
        "rules": list(rules[:1000]),
        "files": list(reads.rule_files()),
        "q": word,
        "health": only,
    }
    return render(request, "operate/alert_rules.html", context)


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
    row = _group_rows([group])[0]
    rules = {alert.rule_id: alert.rule for alert in group.alerts.select_related("rule")}
    context = row | {
        "ref": ref(group),
        "rules": list(rules.values())[:6],
        "notifications": reads.notifications(actor=request.actor, group=group.pk)[:50],
        "entries": entries(readable(request.actor, ledger.events(about=ref(group), limit=60))),
        "may_respond": allows(request.actor, "alerting.respond", team=group.team_id),
        "matchers": text_of(for_labels(group.labels)),
        "explained": tell.explained_by(group),
        "held_label": Suppressed(group.held_by).label if group.held_by else "",
        "why_held": _why_held(row["alerts"]),
    }
    if request.GET.get("part") == "live":
        return render(request, "operate/alert_group_live.html", context)
    return render(request, "operate/alert_group.html", context)


@page("alerting.respond")
@require_POST
def alert_group_acknowledge(request: PageRequest, group_id: UUID) -> HttpResponse:
    """Say that somebody has seen it."""
    actions.acknowledge_group(actor=request.actor, group_id=group_id, note=request.POST.get("note", ""))
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
