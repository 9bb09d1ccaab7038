"""Whether an incident is an earlier one again; then what was believed to be done about it opens again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from tongchou.alerting.models import Alert
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.refs import ref
from tongchou.incidents.actions import PERMISSION
from tongchou.incidents.improvements_actions import back_to_open, tell
from tongchou.incidents.models import (
    Improvement,
    ImprovementState,
    Incident,
    IncidentGroup,
    IncidentState,
    Recurrence,
    Suspect,
    SuspectKind,
)

MOST_EARLIER = 50
REASONS = ("same_chain", "same_group", "same_cause")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an incident is known by again.

    `groups`: keys of its alert groups; `alerts`: names of its alerts; `causes`: refs of the first suspect (of a change:
    what it changed), empty while that is not settled; `chain`: ids of the incidents that its `previous` leads to.
    """

    incident: UUID
    groups: frozenset[str] = frozenset()
    alerts: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    chain: frozenset[UUID] = field(default_factory=frozenset)


def again(new: Fingerprint, earlier: Fingerprint) -> str | None:
    """Why `new` is `earlier` again (one of REASONS), or None. Pure.

    The same `previous` chain; an alert group of the same key; or the same first suspect with exactly the same set of
    alert names (one of the two alone proves nothing: a host is suspected of much, and an alert has many causes). That
    the earlier one was over by then is for the caller to see to: two at a time are not one after the other.
    """
    if new.incident == earlier.incident:
        return None
    if earlier.incident in new.chain:
        return "same_chain"
    if new.groups & earlier.groups:
        return "same_group"
    if new.causes and new.causes == earlier.causes and new.alerts and new.alerts == earlier.alerts:
        return "same_cause"
    return None


def look(*, actor: Actor, incident_id: UUID) -> list[Recurrence]:
    """Find what this incident repeats, write it down once, open again what was done about it.

    Idempotent under duplicates in any order. Event incident.recurred for each earlier incident, improvement.reopened
    for each improvement that was done, or being proven, before this incident began. The first suspect counts only once
    the incident has recovered: before that the ranking still moves.
    """
    check(actor, PERMISSION)
    incident = Incident.objects.filter(pk=incident_id).select_related("previous").first()
    if incident is None:
        return []
    chain = _chain(incident)
    new, candidates = _candidates(incident, chain)
    known = set(Recurrence.objects.filter(incident=incident).values_list("earlier_id", flat=True))
    found = []
    for earlier in candidates:
        reason = again(new, earlier)
        if reason is not None and earlier.incident not in known:
            made = _write(actor, incident, earlier, reason, new)
            found += [made] if made else []
    return found


def _chain(incident: Incident) -> frozenset[UUID]:
    seen: list[UUID] = []
    at = incident.previous_id
    while at is not None and at not in seen and len(seen) < MOST_EARLIER:
        seen.append(at)
        at = Incident.objects.filter(pk=at).values_list("previous_id", flat=True).first()
    return frozenset(seen)


def _candidates(incident: Incident, chain: frozenset[UUID]) -> tuple[Fingerprint, list[Fingerprint]]:
    """The incident's own fingerprint, and those of earlier incidents that may be alike, newest first; eight queries.

    Earlier: their impact ended before this one began (those it continues are taken as they are: its chain names them).
    """
    older = Incident.objects.filter(number__lt=incident.number).order_by("-number")
    began = incident.started_at
    over = older.filter(Q(recovered_at__lt=began) | Q(mitigated_at__lt=began) | Q(resolved_at__lt=began))
    keys = frozenset(incident.groups.values_list("group__key", flat=True))
    settled = incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED)
    causes = _causes([incident.pk]).get(incident.pk, frozenset()) if settled else frozenset()
    of_keys = IncidentGroup.objects.filter(group__key__in=keys).values("incident_id")
    ids = list(over.filter(pk__in=of_keys).values_list("pk", flat=True)[:MOST_EARLIER])
    ids += list(chain)
    if causes:
        alike = Suspect.objects.filter(rank=1).filter(ref__in=causes).values("incident_id")
        changes = Suspect.objects.filter(rank=1, kind=SuspectKind.EVENT).values("incident_id")
        for some in (alike, changes):
            ids += list(over.filter(pk__in=some).values_list("pk", flat=True)[:MOST_EARLIER])
    wanted = list(dict.fromkeys(ids))
    alerts = _alerts([incident.pk, *wanted])
    groups: dict[UUID, set[str]] = defaultdict(set)
    for pk, key in IncidentGroup.objects.filter(incident__in=wanted).values_list("incident_id", "group__key"):
        groups[pk].add(key)
    their = _causes(wanted) if causes else {}
    new = Fingerprint(incident.pk, keys, alerts.get(incident.pk, frozenset()), causes, chain)
    rows = Incident.objects.filter(pk__in=wanted).order_by("-number").values_list("pk", flat=True)
    return new, [
        Fingerprint(pk, frozenset(groups[pk]), alerts.get(pk, frozenset()), their.get(pk, frozenset())) for pk in rows
    ]


def _alerts(ids: Collection[UUID]) -> dict[UUID, frozenset[str]]:
    found: dict[UUID, set[str]] = defaultdict(set)
    rows = Alert.objects.filter(group__incident_link__incident__in=ids).exclude(state="pending").order_by()
    for pk, name in rows.values_list("group__incident_link__incident_id", "name").distinct():
        found[pk].add(name)
    return {pk: frozenset(names) for pk, names in found.items()}


def _causes(ids: Iterable[UUID]) -> dict[UUID, frozenset[str]]:
    rows = Suspect.objects.filter(incident__in=list(ids), rank=1).values_list("incident_id", "kind", "ref", "about")
    return {
        pk: frozenset(map(str, about)) if kind == SuspectKind.EVENT else frozenset([suspect])
        for pk, kind, suspect, about in rows
    }


def _write(actor: Actor, incident: Incident, earlier: Fingerprint, reason: str, new: Fingerprint) -> Recurrence | None:
    """One recurrence with all that follows from it, or None when it was written by somebody else just now."""
    before = Incident.objects.get(pk=earlier.incident)
    params: dict[str, str] = {"name": before.name}
    if reason == "same_group":
        params["key"] = min(new.groups & earlier.groups)
    if reason == "same_cause":
        params["alerts"] = ", ".join(sorted(new.alerts))
    try:
        with transaction.atomic():
            row = Recurrence.objects.create(incident=incident, earlier=before, reason_code=reason, reason_params=params)
            opened = _reopen(actor, incident, before)
            Recurrence.objects.filter(pk=row.pk).update(reopened=opened)
            ledger.record(
                actor=actor,
                verb="incident.recurred",
                subject=ref(incident),
                about=[ref(before)],
                payload={
                    "name": incident.name,
                    "earlier": before.name,
                    "reason_code": reason,
                    "reason_params": params,
                    "reopened": opened,
                },
                dedupe_key=f"incident.recurred:{incident.pk}:{before.pk}",
            )
    except IntegrityError:
        return None
    row.reopened = opened
    return row


def _reopen(actor: Actor, incident: Incident, earlier: Incident) -> list[str]:
    """Open again what was done, or being proven, before this incident's first symptom; returns the names."""
    rows = Improvement.objects.select_for_update(of=("self",)).select_related("postmortem__incident")
    rows = rows.filter(postmortem__incident=earlier, state__in=[ImprovementState.DONE, ImprovementState.PROVING])
    opened = []
    for row in rows.order_by("number"):
        since = row.done_at or row.proving_since
        if since is not None and since > incident.started_at:
            continue  # the work was done after it began: that proves nothing against it
        back_to_open(row, timezone.now(), reopened_by=incident)
        tell(
            actor,
            row,
            "improvement.reopened",
            {"again_in": incident.name, "before": row.state},
            about=[ref(incident)],
            dedupe_key=f"improvement.reopened:{row.pk}:{incident.pk}",
        )
        opened.append(row.name)
    return opened
