"""Takes the snapshot a postmortem begins with: what the incident, its alerts, runs, money and objectives say now.

Free of language (codes and facts), so that one document reads in Chinese and in English. The same data gives the same
snapshot but for `taken_at`. Asks telemetry: never inside a transaction.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from typing import Any

from django.db.models import Q

from tongchou.alerting.models import Alert, Notification, Objective
from tongchou.alerting.slo import reads as slo
from tongchou.alerting.slo.budget import budget, total
from tongchou.alerting.slo.spec import Spec, over
from tongchou.core import comments
from tongchou.core.models import Event
from tongchou.core.models_talk import Comment
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.incidents import impact, reads
from tongchou.incidents.models import Incident, Suspect
from tongchou.incidents.postmortem_facts import Instants, as_json
from tongchou.runbooks.models import Run
from tongchou.telemetry.reads import instant_vector

FORMAT = 1
MAX_EVENTS = 400  # a form with two fields for each has to pass Django's bound
MAX_ALERTS = 200
MAX_SUSPECTS = 10
MAX_RUNS = 50
MAX_TEXT = 2000
MONEY = ("lost", "low", "high", "expected", "actual", "caught_up")


def gather(incident: Incident, *, now: datetime) -> dict[str, Any]:
    """Return the snapshot, JSON through and through. Telemetry that does not answer is a reason, not an error."""
    started, ended = impact.span(incident)
    return {
        "format": FORMAT,
        "taken_at": now.isoformat(),
        "incident": _incident(incident),
        **as_json(_instants(incident)),
        "impact": _impact(incident, now),
        "objectives": _objectives(incident, started, ended or now),
        "affected": _affected(incident),
        "suspects": _suspects(incident),
        "ranked_at": _at(incident.ranked_at),
        "runs": _runs(incident),
        "alerts": _alerts(incident),
        "groups": _groups(incident),
        "notices": dict(sorted(_notices(incident).items())),
        "timeline": _timeline(incident, now),
    }


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "ref": ref(incident),
        "number": incident.number,
        "name": incident.name,
        "title": incident.title,
        "severity": incident.severity,
        "state": incident.state,
        "commander": str(incident.commander) if incident.commander else "",
        "previous": incident.previous.name if incident.previous else "",
    }


def _instants(incident: Incident) -> Instants:
    """The first acknowledgement counts: being opened again empties the row, not the ledger."""
    first = (
        Event.objects.filter(abouts__ref=ref(incident), subject=ref(incident), verb="incident.acknowledged")
        .order_by("at", "pk")
        .values_list("at", flat=True)
        .first()
    )
    return Instants(
        started=incident.started_at,
        detected=incident.opened_at,
        acknowledged=first or incident.acknowledged_at,
        mitigated=incident.mitigated_at,
        resolved=incident.resolved_at,
    )


def _impact(incident: Incident, now: datetime) -> dict[str, Any]:
    try:
        row = impact.of(incident, now=now)
    except Problem as problem:
        return {"reason": "failed", "detail": str(problem.detail)[:300]}
    amounts = {name: None if (value := getattr(row, name)) is None else str(value) for name in MONEY}
    return {
        **amounts,
        "currency": row.currency,
        "reason": row.reason,
        "facts": row.inputs.get("facts", {}),
        "final": row.final,
        "query": row.query,
        "method": row.method,
        "begins_at": _at(row.begins_at),
        "ends_at": _at(row.ends_at),
    }


def _objectives(incident: Incident, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The objectives of the services it touches: what was left before and after, and what it used of the budget."""
    names = [row.resource.name for row in reads.affected(incident) if row.resource.kind == "service"]
    rows = Objective.objects.filter(service__in=names).order_by("service", "name")
    return [_objective(row, start, end) for row in rows]


def _objective(row: Objective, start: datetime, end: datetime) -> dict[str, Any]:
    spec = slo.spec_of(row)
    told = {
        "ref": ref(row),
        "name": row.name,
        "title": row.title,
        "service": row.service,
        "target": row.target,
        "window_seconds": row.window_seconds,
        "left_before": None,
        "left_after": None,
        "errors": None,
        "allowed": None,
        "used": None,
        "reason": "",
    }
    try:
        before, after = (budget(spec.target, *total(slo.read_slices(spec, at))[:2]) for at in (start, end))
        errors = _errors(spec, start, end)
    except Problem as problem:
        return told | {"reason": "failed", "detail": str(problem.detail)[:300]}
    if after.allowed is None or errors is None:
        return told | {"reason": "no_data", "left_before": before.left_ratio}
    return told | {
        "left_before": before.left_ratio,
        "left_after": after.left_ratio,
        "errors": errors,
        "allowed": after.allowed,
        "used": errors / after.allowed if after.allowed else None,
    }


def _errors(spec: Spec, start: datetime, end: datetime) -> float | None:
    found = instant_vector(over(spec.error_query, max(1.0, (end - start).total_seconds())), end)
    value = found[0].value if found else math.nan
    return value if math.isfinite(value) else None


def _affected(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "ref": ref(row.resource),
            "kind": row.resource.kind,
            "name": row.resource.name,
            "role": row.role,
            "distance": row.distance,
            "owner": row.resource.owner.name if row.resource.owner else "",
        }
        for row in reads.affected(incident)
    ]


def _suspects(incident: Incident) -> list[dict[str, Any]]:
    rows = Suspect.objects.filter(incident=incident).order_by("rank")[:MAX_SUSPECTS]
    names = ("rank", "ref", "kind", "title", "score", "about", "event_id")
    return [{**{name: getattr(row, name) for name in names}, "reasons": _reasons(row)} for row in rows]


def _reasons(row: Suspect) -> list[dict[str, Any]]:
    """Without the log lines and curves they rest on: those are for readers of telemetry, a postmortem for all of it."""
    return [{key: each[key] for key in each if key != "facts"} for each in row.reasons]


def _runs(incident: Incident) -> list[dict[str, Any]]:
    rows = Run.objects.filter(about_ref=ref(incident)).select_related("procedure", "version", "approval")
    return [_run(row) for row in rows.prefetch_related("steps").order_by("created_at", "pk")[:MAX_RUNS]]


def _run(row: Run) -> dict[str, Any]:
    steps = sorted(row.steps.all(), key=lambda step: step.position)
    return {
        "ref": ref(row),
        "procedure": row.procedure.name,
        "title": row.procedure.title,
        "version": row.version.number,
        "content_hash": row.content_hash,
        "grade": row.grade,
        "state": row.state,
        "reason": row.reason[:MAX_TEXT],
        "targets": [str(each.get("name", "")) for each in row.targets if isinstance(each, dict)],
        "requested_by": row.requested_by_name,
        "requested_at": _at(row.created_at),
        "started_at": _at(row.started_at),
        "finished_at": _at(row.finished_at),
        "approval": row.approval.state if row.approval else "",
        "approved_by": row.approval.decided_by_name if row.approval else "",
        "approved_at": _at(row.approval.decided_at) if row.approval else None,
        "steps": [
            {"name": each.name, "kind": each.kind, "target": each.target_name, "state": each.state} for each in steps
        ],
    }


def _alerts(incident: Incident) -> list[dict[str, Any]]:
    rows = Alert.objects.filter(group__incident_link__incident=incident).exclude(state="pending")
    return [
        {
            "ref": ref(row),
            "group": str(row.group_id),
            "name": row.name,
            "severity": row.severity,
            "labels": row.labels,
            "summary": str(row.annotations.get("summary", ""))[:MAX_TEXT],
            "active_at": _at(row.active_at),
            "fired_at": _at(row.fired_at),
            "resolved_at": _at(row.resolved_at),
            "suppressed": row.suppressed,
            "suppressed_by": row.suppressed_by,
        }
        for row in rows.order_by("active_at", "id")[:MAX_ALERTS]
    ]


def _groups(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "ref": ref(link.group),
            "key": link.group.key,
            "labels": link.group.labels,
            "reason_code": link.reason_code,
            "reason_params": link.reason_params,
            "held_by": link.group.held_by,
            "explains": link.group.explains,
        }
        for link in incident.groups.select_related("group").order_by("joined_at", "id")
    ]


def _notices(incident: Incident) -> Counter[str]:
    rows = Notification.objects.filter(group__incident_link__incident=incident).order_by()
    return Counter(rows.values_list("state", flat=True))


def _timeline(incident: Incident, now: datetime) -> list[dict[str, Any]]:
    """The events of the timeline, oldest first, as they are in the ledger; of too many the earliest."""
    rows = reads.timeline_events(incident).filter(Q(at__lte=now) & Q(recorded_at__lte=now))
    rows = rows.exclude(verb__startswith="postmortem.").exclude(verb__startswith="improvement.")
    found = list(rows.order_by("at", "pk")[:MAX_EVENTS])
    written = comments.told_by(found)  # a comment's text is not in the ledger: it may be taken back
    return [
        {
            "id": row.pk,
            "at": row.at.isoformat(),
            "actor": row.actor_name,
            "verb": row.verb,
            "subject": row.subject,
            "payload": _slim(row.payload) | _text(written.get(row.pk)),
        }
        for row in found
    ]


def _text(comment: Comment | None) -> dict[str, str]:
    return {"text": comment.text[:MAX_TEXT]} if comment is not None else {}


def _slim(payload: Any) -> dict[str, Any]:
    """What sentences are made of: long texts cut, lists and mappings only where a sentence reads them."""
    if not isinstance(payload, dict):
        return {}
    kept: dict[str, Any] = {}
    for name, value in payload.items():
        if isinstance(value, str):
            kept[name] = value[:MAX_TEXT]
        elif isinstance(value, int | float) or value is None or name in ("labels", "scope", "changes", "reason_params"):
            kept[name] = value
    return kept
