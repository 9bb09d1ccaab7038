"""What an incident cost: which span of time is meant, and keeping the figure until it is final."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from tongchou.core.access import Actor
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.incidents.models import Incident
from tongchou.usage import actions as usage
from tongchou.usage.models import Impact

# Money is lost from the fault on, and a rule needs a while to see it.
LEAD = timedelta(seconds=60)
# How long after its end an incident is still looked at; the longest time for catching up, and a day.
LOOK_BACK = timedelta(days=8)
log = logging.getLogger(__name__)


def span(incident: Incident) -> tuple[datetime, datetime | None]:
    """From a minute before the first symptom to the end of all alerts (or of the impact, as a person says)."""
    ended = [each for each in (incident.recovered_at, incident.mitigated_at, incident.resolved_at) if each is not None]
    return incident.started_at - LEAD, min(ended, default=None)


def of(incident: Incident, *, now: datetime | None = None) -> Impact:
    """The kept figure when it is final, else one computed now and not saved."""
    kept = Impact.objects.filter(about=ref(incident)).first()
    start, end = span(incident)
    if kept is not None and kept.final and end is not None:
        return kept
    return usage.compute(about=ref(incident), start=start, end=end, now=now or timezone.now())


def assess(*, actor: Actor, incident: Incident, now: datetime | None = None) -> Impact:
    """Compute it from telemetry as it is now, and keep it with all its inputs."""
    start, end = span(incident)
    computed = usage.compute(about=ref(incident), start=start, end=end, now=now or timezone.now())
    return usage.keep(actor=actor, computed=computed)


def assess_ended(*, actor: Actor, now: datetime) -> int:
    """Keep what each incident cost that has ended lately, until the figure is final; returns how many were computed."""
    done = 0
    recent = Incident.objects.filter(started_at__gte=now - LOOK_BACK, state__in=["mitigated", "resolved"])
    final = set(Impact.objects.filter(final=True, begins_at__gte=now - 2 * LOOK_BACK).values_list("about", flat=True))
    for incident in recent.order_by("number"):
        if ref(incident) in final:
            continue
        try:
            assess(actor=actor, incident=incident, now=now)
        except Problem as error:
            log.warning("what %s cost could not be computed: %s", incident.name, error.detail)
            continue
        done += 1
    return done
