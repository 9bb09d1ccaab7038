"""Named reads of incidents for the API and the pages: what a person may see, in their language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.models import Alert
from tongchou.core import comments
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.counting import count_of
from tongchou.core.models import Event, EventAbout
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.incidents import reasons, timeline
from tongchou.incidents.models import AffectedResource, Incident, IncidentGroup, IncidentState, Suspect
from tongchou.inventory.models import Resource
from tongchou.runbooks.suggest import Suggestion, for_alerts

PERMISSION = "incidents.view"
MAX_LABEL_SETS = 200
# what happens to a comment after it was written is read on the comment itself
_ABOUT_COMMENTS = ("comment.edited", "comment.deleted", "comment.restored", "comment.hidden", "comment.unhidden")
_EVENT_REASONS = {**reasons.JOIN_TEXTS, **reasons.RECURRENCE_TEXTS}


def visible(actor: Actor) -> QuerySet[Incident]:
    """Return the incidents an actor may see, newest first: all, or those that affect what their teams own."""
    check_anywhere(actor, PERMISSION)
    found = Incident.objects.order_by("-number")
    teams = visible_teams(actor)
    if teams is None:
        return found
    owned = AffectedResource.objects.filter(incident=OuterRef("pk"), resource__owner__in=teams)
    return found.filter(Exists(owned))


def listing(actor: Actor, *, states: Iterable[str] | None = None) -> QuerySet[Incident]:
    """Return visible incidents with `group_count`, `symptom_count` and commander; one query a page."""
    found = visible(actor).select_related("commander")
    if states is not None:
        found = found.filter(state__in=list(states))
    return found.annotate(
        group_count=count_of(IncidentGroup.objects.all(), "incident"),
        symptom_count=count_of(AffectedResource.objects.filter(distance=0), "incident"),
    )


def get(actor: Actor, incident_id: UUID) -> Incident:
    """Return one visible incident; raises NotFound for one that is not there or not to be seen."""
    found = visible(actor).select_related("commander", "previous").filter(pk=incident_id).first()
    if found is None:
        raise NotFound(
            "incident.unknown", _("There is no such incident."), remedy=_("GET /api/v1/incidents lists them.")
        )
    return found


@dataclass(frozen=True, slots=True)
class ReasonView:
    """A reason in words, with the points it gave or took."""

    code: str
    text: str
    weight: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    unit: str = ""  # of the points of facts


@dataclass(frozen=True, slots=True)
class SuspectView:
    """A suspect in words. `resource_kind` is set for resources; `about` are the resources a change touched."""

    rank: int
    ref: str
    kind: str
    name: str
    resource_kind: str
    score: float
    reasons: list[ReasonView]
    about: list[str]
    event_id: int | None


def suspects(incident: Incident) -> list[SuspectView]:
    """Return the newest ranking, best first; two queries."""
    rows = list(Suspect.objects.filter(incident=incident).order_by("rank"))
    kinds = _kinds(row.ref for row in rows)
    return [
        SuspectView(
            rank=row.rank,
            ref=row.ref,
            kind=row.kind,
            name=row.title,
            resource_kind=kinds.get(row.ref, ""),
            score=row.score,
            reasons=[_reason_view(each) for each in row.reasons],
            about=list(row.about),
            event_id=row.event_id,
        )
        for row in rows
    ]


def _reason_view(row: Mapping[str, Any]) -> ReasonView:
    facts = row.get("facts") or {}
    return ReasonView(
        row["code"], reasons.text(row["code"], row["params"]), row["weight"], facts, str(row["params"].get("unit", ""))
    )


def baselines(incident: Incident) -> dict[str, list[dict[str, Any]]]:
    """Return what two simple methods would have answered to the newest evidence, best first, at most five each."""
    kept = (incident.ranking or {}).get("baselines") or {}
    return {name: list(kept.get(name, ())) for name in ("latest_change", "largest_z")}


def looked(incident: Incident) -> dict[str, Any]:
    """Return what the newest ranking looked at, and what it did not; {} before the first."""
    return dict((incident.ranking or {}).get("looked") or {})


def _kinds(refs: Iterable[str]) -> dict[str, str]:
    prefix = "inventory.resource:"
    ids = [each.removeprefix(prefix) for each in refs if each.startswith(prefix)]
    return {f"{prefix}{pk}": kind for pk, kind in Resource.objects.filter(pk__in=ids).values_list("pk", "kind")}


def groups(incident: Incident) -> list[IncidentGroup]:
    """Return the alert groups with `group.alerts` loaded, in the order in which they joined; two queries."""
    alerts = Alert.objects.exclude(state="pending").order_by("active_at", "id")
    links = IncidentGroup.objects.filter(incident=incident).select_related("group")
    return list(links.order_by("joined_at", "id").prefetch_related(Prefetch("group__alerts", alerts)))


def join_reason(link: IncidentGroup) -> str:
    """Say why a group belongs to its incident."""
    return reasons.text(link.reason_code, link.reason_params, texts=reasons.JOIN_TEXTS)


def affected(incident: Incident) -> list[AffectedResource]:
    """Return affected resources with their resource: causes, symptoms, then callers by distance; one query."""
    order = {"cause": 0, "symptom": 1, "caller": 2}
    rows = AffectedResource.objects.filter(incident=incident).select_related("resource", "resource__owner")
    return sorted(rows, key=lambda row: (order.get(row.role, 3), row.distance, row.resource.name, str(row.pk)))


def suggested_procedures(links: Iterable[IncidentGroup]) -> list[Suggestion]:
    """Return the procedures whose matchers fit the alerts of these groups (from `groups`), firing ones first."""
    alerts = [alert for link in links for alert in link.group.alerts.all()]
    alerts.sort(key=lambda alert: (alert.state != "firing", alert.active_at))
    labels = {tuple(sorted(alert.labels.items())): dict(alert.labels) for alert in alerts}
    return for_alerts(list(labels.values())[:MAX_LABEL_SETS])


# --- the timeline -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Entries, newest first; `next_cursor` gives the older ones, None at the beginning."""

    items: list[timeline.Entry]
    next_cursor: str | None


def timeline_page(incident: Incident, *, cursor: str | None = None, limit: int = 100) -> TimelinePage:
    """Return what happened to the incident, its alert groups and its suspected changes; three queries.

    `cursor` is the `next_cursor` of the page before. Raises Invalid for another one.
    """
    limit = max(1, min(limit, 500))
    events = timeline_events(incident)
    if cursor:
        at, event_id = _read_cursor(cursor)
        events = events.filter(Q(at__lt=at) | Q(at=at, pk__lt=event_id))
    rows = list(events.order_by("-at", "-pk")[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    last = rows[-1] if rows else None
    next_cursor = f"{last.at.isoformat()}_{last.pk}" if more and last else None
    return TimelinePage(entries(rows), next_cursor)


def timeline_events(incident: Incident) -> QuerySet[Event]:
    """Return the events about the incident, its alert groups and its suspected changes, in no order."""
    group_refs = [f"alerting.alertgroup:{pk}" for pk in incident.groups.values_list("group_id", flat=True)]
    suspected = Suspect.objects.filter(incident=incident, event_id__isnull=False, rank__lte=5).values("event_id")
    about = EventAbout.objects.filter(ref__in=[ref(incident), *group_refs]).values("event_id")
    return Event.objects.filter(Q(pk__in=about) | Q(pk__in=suspected)).exclude(verb__in=_ABOUT_COMMENTS)


def entries(events: Sequence[Event]) -> list[timeline.Entry]:
    """Return the entries of events, in the order given, comments with their text as it reads now. At most one query."""
    written = comments.told_by(events)
    return [entry(event, text=written[event.pk].text if event.pk in written else "") for event in events]


def entry(event: timeline.Happening, *, text: str = "") -> timeline.Entry:
    """Return the timeline entry of one event, in the active language; also for live pages. `text`: of a comment."""
    payload: Mapping[str, Any] = event.payload if isinstance(event.payload, dict) else {}
    facts = {"text": text} if text else {}
    if "reason_code" in payload:
        params = payload.get("reason_params")
        facts["reason"] = reasons.text(
            str(payload["reason_code"]), params if isinstance(params, dict) else {}, texts=_EVENT_REASONS
        )
    return timeline.entry(event, facts=facts)


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    at, _separator, event_id = cursor.rpartition("_")
    try:
        told = datetime.fromisoformat(at.replace(" ", "+"))
        number = int(event_id)
    except ValueError:
        told, number = None, 0
    if told is None or told.tzinfo is None:
        raise Invalid("incident.cursor", _("This is no cursor of ours."), field="cursor", value=cursor)
    return told, number


def open_count(actor: Actor) -> int:
    """Return how many visible incidents are not resolved; one query."""
    return visible(actor).exclude(state=IncidentState.RESOLVED).count()
