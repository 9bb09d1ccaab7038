"""Work of the incidents room that runs later."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from tongchou.core.access import system
from tongchou.core.jobs import job, periodic
from tongchou.incidents import impact
from tongchou.incidents.actions import RANK_JOB
from tongchou.incidents.ranking import recompute_suspects

SUSPECT_RANKER = system("suspect-ranker")


@job(RANK_JOB, max_attempts=5, timeout_seconds=120)
def rank_suspects(payload: dict[str, Any]) -> None:
    """Rank the suspects of the incident `incident_id`."""
    recompute_suspects(actor=SUSPECT_RANKER, incident_id=UUID(payload["incident_id"]))


@periodic("incidents.impact", every_seconds=60)
def assess_impacts() -> None:
    """Keep what ended incidents cost, until the time for catching up is over."""
    impact.assess_ended(actor=system("impact"), now=timezone.now())
