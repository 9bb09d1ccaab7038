"""Work of the incidents room that runs later."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from tongchou.core.access import system
from tongchou.core.jobs import job, periodic
from tongchou.incidents import impact, improvements_proving, improvements_reminding
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


@periodic("incidents.improvement_checks", every_seconds=60)
def look_at_checks() -> None:
    """Look at the checks of improvements; close the ones that are proven."""
    improvements_proving.look_at_all(actor=system("improvement-prover"), now=timezone.now())


@periodic("incidents.overdue_improvements", every_seconds=3600)
def remind_of_overdue() -> None:
    """Remind owners of what is overdue."""
    improvements_reminding.remind(actor=system("improvement-reminder"), now=timezone.now())


@job(improvements_reminding.TELL_JOB, max_attempts=8, timeout_seconds=60)
def tell_of_overdue(payload: dict[str, Any]) -> None:
    """Tell the channel of the setting what is overdue; raises to be tried again when it does not answer."""
    improvements_reminding.tell_channel(payload)
