"""The parts of an incident's room, each read by itself: one that is slow or shut takes nothing from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.alerting import tell
from tongchou.alerting.models import Alert, AlertStateChoice, Silence, Suppressed
from tongchou.core.access import allows, allows_anywhere
from tongchou.core.models import Event, EventAbout
from tongchou.core.problems import AccessDenied, Unavailable
from tongchou.core.refs import ref
from tongchou.incidents import actions, postmortem_reads, reads
from tongchou.incidents.models import Incident, IncidentState
from tongchou.inventory import kinds
from tongchou.inventory.models import Endpoint, Relation
from tongchou.runbooks import reads as run_reads
from tongchou.runbooks.models import Procedure, Run
from tongchou.telemetry import log_reads
from tongchou.telemetry.backend import is_open
from tongchou.telemetry.promql.parse import measured_part
from tongchou.web import charts, health, incident_room, panels, telemetry_reads
from tongchou.web.design import neighbourhood
from tongchou.web.gate import PageRequest
from tongchou.web.incident_causes import causes
from tongchou.web.links import group_title, localized, resolve
from tongchou.web.operate_runbooks import FINISHED
from tongchou.web.plan import escaped
from tongchou.web.visibility import readable, visible_refs

TOP = 5
MOST_AFFECTED = 30
MOST_ERRORS, MOST_LINES = 25, 15
MOST_EXPLAINED = 50
MARK_VERBS = (*charts.CHANGE_VERBS, "deployment.started", "incident.mitigated", "incident.resolved", "run.succeeded")
SPEAKING = frozenset({"service", "database", "cache", "queue", "load_balancer"})  # kinds that logs call a service
Context = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """How a part is read, and what it takes to see it: `owned` things open to a role in a team too."""

    read: Callable[[PageRequest, Incident], Context]
    permission: str = "incidents.view"
    owned: bool = True

    def check(self, request: PageRequest) -> None:
        """Raise AccessDenied for a person who may see the incident and not this of it."""
        if not (allows_anywhere if self.owned else allows)(request.actor, self.permission):
            raise AccessDenied(
                "access.denied",
                _("This part needs a role that is not limited to a team: what it shows has no owner."),
                remedy=_("Ask an administrator for a global role."),
            )


def suspects(request: PageRequest, incident: Incident) -> Context:
    """The first few of the newest ranking, and how many more there are."""
    found = reads.suspects(incident)
    telling = [each for each in found if not incident_room.bare(each)][:TOP]
    links = resolve(each.ref for each in telling)
    rows = []
    for each in telling:
        shown, rest = incident_room.fold(each.rank, each.reasons)
        kind = kinds.kind(each.resource_kind).title if each.resource_kind else _("Change")
        rows.append({"suspect": each, "link": links[each.ref], "kind": kind, "telling": shown, "rest": rest})
    return {"suspects": rows, "more": len(found) - len(rows)}


def metrics(request: PageRequest, incident: Incident) -> Context:
    """Charts of what alerts measure and of what shifted; else of what the affected resources export."""
    alerts = Alert.objects.filter(group__in=[link.group_id for link in reads.groups(incident)])
    rules = {each.rule_id: each.rule for each in alerts.select_related("rule").order_by("active_at", "pk")}
    shown = incident_room.telling(
        reads.suspects(incident), [(rule.name, measured_part(rule.expr)) for rule in rules.values()]
    )
    links_of = resolve(each.ref for each in shown if each.ref)
    end = incident_room.ended_at(incident)
    return {
        "charts": [{"chart": each, "url": links_of[each.ref].url if each.ref else ""} for each in shown],
        "more": _exported(incident) if len(shown) < incident_room.MOST_CHARTS // 2 else [],
        "fault_from": round(incident.started_at.timestamp() * 1000),
        "fault_to": round(end.timestamp() * 1000) if end else "",
    }


def _exported(incident: Incident) -> list[panels.Panel]:
    ids = [each.resource_id for each in reads.affected(incident)[:MOST_AFFECTED]]
    instances = sorted(
        set(Endpoint.objects.filter(resource__in=ids).exclude(instance="").values_list("instance", flat=True))
    )
    if not instances:
        return []
    names = telemetry_reads.metric_names_of("instance", instances[:30])
    selector = f'instance=~"{"|".join(escaped(each) for each in instances[:30])}"'
    return panels.suggest(names, telemetry_reads.label_names, selector=selector)[:4]


def marks(request: PageRequest, incident: Incident) -> Context:
    """What changed on the affected resources and what happened to the incident, for vertical lines (JSON)."""
    start, end = charts.span(request)
    refs = [f"inventory.resource:{each.resource_id}" for each in reads.affected(incident)] + [ref(incident)]
    about = EventAbout.objects.filter(ref__in=refs[:500]).values("event_id")
    blamed = [each.event_id for each in reads.suspects(incident)[:10] if each.event_id]
    found = Event.objects.filter(verb__in=MARK_VERBS, at__gte=start, at__lte=end)
    rows = (found.filter(pk__in=about) | found.filter(pk__in=blamed)).order_by("-at", "-pk")[: charts.MOST_MARKS]
    return {"marks": charts.marks_of(readable(request.actor, rows))}


def logs(request: PageRequest, incident: Incident) -> Context:
    """Lines of the affected resources around the beginning: errors first, then whatever else was said."""
    if not is_open():
        raise Unavailable("telemetry.closed", _("The telemetry store of this process is not open."))
    query = _log_query(incident)
    start = incident.started_at - incident_room.LOG_LEAD
    end = min(timezone.now(), incident.started_at + incident_room.LOG_TAIL)
    errors = (
        log_reads.search(f"(level:error OR level:critical) AND {query}", start, end, limit=MOST_ERRORS)
        if query
        else None
    )
    others = (
        log_reads.search(f"NOT level:error NOT level:critical {query}", start, end, limit=MOST_LINES) if query else None
    )
    lines = [*(errors.lines if errors else []), *(others.lines if others else [])]
    return {
        "query": query,
        "lines": [
            {"line": each, "at": log_reads.moment_of(each.ts_ns), "source": _source(each.labels)} for each in lines
        ],
        "errors": len(errors.lines) if errors else 0,
        "from_ms": round(start.timestamp() * 1000),
        "to_ms": round(end.timestamp() * 1000),
    }


def _source(labels: Mapping[str, str]) -> str:
    return next((labels[name] for name in ("service", "instance", "host") if labels.get(name)), "")


def _log_query(incident: Incident) -> str:
    """A search for what the affected resources, and the services they are part of, write."""
    rows = [each.resource for each in reads.affected(incident)[:MOST_AFFECTED]]
    ids = [row.pk for row in rows]
    parts = Relation.objects.filter(type="part_of", from_resource__in=ids, valid_to__isnull=True)
    services = [row.name for row in rows if row.kind in SPEAKING]
    services += list(parts.filter(to_resource__kind="service").values_list("to_resource__name", flat=True))
    return incident_room.log_query(
        {
            "service": services,
            "instance": list(
                Endpoint.objects.filter(resource__in=ids).exclude(instance="").values_list("instance", flat=True)
            ),
            "host": [row.name for row in rows if row.kind == "host"],
        }
    )


def map_part(request: PageRequest, incident: Incident) -> Context:
    """The affected resources and what stands next to them, tiered; and as a list with the part each plays."""
    rows = reads.affected(incident)
    statuses = health.of_page([each.resource_id for each in rows[:MOST_AFFECTED]])
    visible = visible_refs(request.actor, [ref(each.resource) for each in rows[:MOST_AFFECTED]])
    return {
        "map": neighbourhood(request.actor, [each.resource_id for each in rows]),
        "small": True,
        "affected": [
            {"row": each, "kind": kinds.kind(each.resource.kind), "status": statuses.get(each.resource_id, "unknown")}
            for each in rows[:MOST_AFFECTED]
            if ref(each.resource) in visible
        ],
        "hidden": max(0, len(rows) - MOST_AFFECTED),
    }


def alerts(request: PageRequest, incident: Incident) -> Context:
    """The alert groups with why each belongs here, what their alerts explain, and what nobody is told of."""
    rows = []
    for link in reads.groups(incident):
        own = list(link.group.alerts.all())
        firing = [each for each in own if each.state == AlertStateChoice.FIRING]
        explained = list(tell.explained_by(link.group))[:MOST_EXPLAINED]
        visible = visible_refs(request.actor, [f"alerting.alertgroup:{each.group_id}" for each in explained])
        rows.append(
            {
                "link": link,
                "title": group_title(link.group),
                "reason": reads.join_reason(link),
                "alerts": own[:20],
                "firing": len(firing),
                "held": [
                    {"word": kind.label, "code": kind.value, "count": count}
                    for kind in Suppressed
                    if (count := sum(each.suppressed == kind.value for each in firing))
                ],
                "explained": [each for each in explained if f"alerting.alertgroup:{each.group_id}" in visible],
            }
        )
    return {"groups": rows, "silences": _silences(row["alerts"] for row in rows)}


def _silences(groups: Any) -> list[Silence]:
    refs = {each for own in groups for alert in own for each in _held_by(alert)}
    keys = [UUID(each.partition(":")[2]) for each in refs if each.startswith("alerting.silence:")]
    return list(Silence.objects.filter(pk__in=keys)[:10])


def _held_by(alert: Alert) -> list[str]:
    return list(alert.suppressed_by) if alert.state == AlertStateChoice.FIRING else []


def procedures(request: PageRequest, incident: Incident) -> Context:
    """What fits the alerts, filled in as far as they tell, with the alerts it fits."""
    links = reads.groups(incident)
    labels = [alert.labels for link in links for alert in link.group.alerts.all()]
    found = reads.suggested_procedures(links)
    rows = {row.name: row for row in Procedure.objects.filter(name__in=[each.name for each in found])}
    return {
        "suggestions": [
            {
                "suggestion": each,
                "title": localized(dict(each.title), each.name),
                "targets": ",".join(each.target_names),
                "because": incident_room.fitting_alerts(rows[each.name].matches, labels) if each.name in rows else [],
                "key": f"plan-{at}",
            }
            for at, each in enumerate(found)
        ],
        "may_request": allows_anywhere(request.actor, "runbooks.request"),
        "over": incident.state == IncidentState.RESOLVED,
    }


def runs(request: PageRequest, incident: Incident) -> Context:
    """What was asked for and run for this incident: the steps of what is under way, who must approve."""
    found = run_reads.runs(request.actor, about_ref=ref(incident)).prefetch_related("steps")[:10]
    return {"runs": [_run(row) for row in found]}


def _run(row: Run) -> dict[str, Any]:
    steps = sorted(row.steps.all(), key=lambda step: step.position)
    return {
        "run": row,
        "title": localized(row.procedure.title, row.procedure.name),
        "open": row.state not in FINISHED,
        "steps": steps if row.state not in FINISHED else [],
        "done": sum(1 for step in steps if step.state in ("succeeded", "skipped")),
        "count": len(steps),
    }


def postmortem(request: PageRequest, incident: Incident) -> Context:
    """Its postmortem, and whether it happened before, as far as the reader may see the earlier ones."""
    before = postmortem_reads.happened_before(request.actor, incident)
    try:
        actions.check_respond(request.actor, incident)
    except AccessDenied:
        return {"before": before, "may_respond": False}
    return {"before": before, "may_respond": True}


PARTS: dict[str, Part] = {
    "postmortem": Part(postmortem),
    "suspects": Part(suspects),
    "causes": Part(causes),
    "procedures": Part(procedures, "runbooks.view"),
    "runs": Part(runs, "runbooks.view"),
    "metrics": Part(metrics, "telemetry.view", owned=False),
    "logs": Part(logs, "telemetry.view", owned=False),
    "map": Part(map_part, "inventory.view"),
    "alerts": Part(alerts, "alerting.view"),
}
