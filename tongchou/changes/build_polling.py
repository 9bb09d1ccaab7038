"""Looks at the builds of a server and takes each as its sender's: once, however often it is looked at or told of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from tongchou.changes import build_actions, build_reads, deliveries, mapping
from tongchou.changes.build_ports import Builds, Place, SeenBuild
from tongchou.changes.installed import builds
from tongchou.changes.models import DeploymentSource
from tongchou.changes.models_builds import BuildServer, PolledJob
from tongchou.changes.told import Ignored, key_of
from tongchou.core import jobs
from tongchou.core.access import system
from tongchou.core.problems import Problem

JOB = "changes.poll_builds"
BUDGET_SECONDS = 60.0  # of one look; the jobs it did not come to are the first ones of the next
CLAIM_SECONDS = 240.0  # longer than any look; after a kill it is looked at again when this is over
FIRST_BUILDS = 50  # of a job that is seen for the first time
MOST_BUILDS = 500  # of a job between two looks; of more the newest
MOST_JOBS = 5_000


def _due(now: datetime) -> QuerySet[BuildServer]:
    due = Q(next_poll_at=None) | Q(next_poll_at__lte=now)
    return BuildServer.objects.filter(due, enabled=True, sender__isnull=False, sender__enabled=True)


def poll_due() -> None:
    """Ask for a look at every server whose time has come."""
    for pk in _due(timezone.now()).values_list("pk", flat=True):
        with transaction.atomic():
            jobs.enqueue(JOB, {"server": str(pk)}, unique_key=f"{JOB}:{pk}")


def poll(server_id: UUID) -> int:
    """Look at one server, unless somebody else does; returns how many builds were taken.

    A server that does not answer is asked later and later.
    """
    now = timezone.now()
    until = now + timedelta(seconds=CLAIM_SECONDS)
    if not _due(now).filter(pk=server_id).update(next_poll_at=until):
        return 0
    row = BuildServer.objects.select_related("sender").get(pk=server_id)
    if row.sender is None:
        return 0
    try:
        taken = _look(row, row.sender, builds(row.kind), build_reads.place_of(row))
    except Problem as problem:
        build_actions.note_failure(row, str(problem.detail))
        return 0
    build_actions.note_answer(row, next_poll_at=now + timedelta(seconds=row.poll_every_seconds))
    return taken


def _look(row: BuildServer, sender: DeploymentSource, asker: Builds, place: Place) -> int:
    began, taken = time.monotonic(), 0
    last = asker.last_builds(place)
    known = {each.job: each for each in row.jobs.all()}
    waiting = [job for job in sorted(last)[:MOST_JOBS] if is_wanted(job, sender.rules)]
    waiting = [job for job in waiting if job not in known or last[job] > known[job].seen]
    for job in sorted(waiting, key=lambda each: known[each].at.timestamp() if each in known else 0.0):
        if time.monotonic() - began > BUDGET_SECONDS:
            break
        seen = known.get(job) or PolledJob(server=row, job=job)
        most = MOST_BUILDS if job in known else FIRST_BUILDS
        taken += _take(sender, seen, asker.builds_after(place, job, seen.seen, timezone.now(), most=most))
    return taken


def is_wanted(job: str, rules: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any rule could make a build of this job a deployment; without a rule none does. Pure."""
    return any(not rule.get("ignore") and fnmatchcase(job, rule.get("name") or "*") for rule in rules)


def _take(sender: DeploymentSource, job: PolledJob, found: Sequence[SeenBuild]) -> int:
    """Take what is new, then write down how far that was: cut off in between, it is taken again and is a duplicate."""
    actor, now, taken = system(f"deployments:{sender.name}"), timezone.now(), 0
    done = set(job.ended)
    for build in found:
        if build.number in done:
            continue
        told = build.told
        outcome = told if isinstance(told, Ignored) else mapping.report_of(told, sender.rules, now)
        if not isinstance(told, Ignored) and not isinstance(outcome, Ignored):
            delivery = key_of("poll", told.key, told.event, told.status)
            if not deliveries.was_taken(sender, delivery):
                deliveries.take(actor=actor, sender=sender, delivery_id=delivery, event=told.event, report=outcome)
                taken += 1
        if build.ended:
            done.add(build.number)
    job.seen, job.ended = advanced(job.seen, done, [build.number for build in found])
    job.at = now
    PolledJob.objects.update_or_create(
        server=job.server, job=job.job, defaults={"seen": job.seen, "ended": job.ended, "at": now}
    )
    return taken


def advanced(seen: int, done: set[int], found: Sequence[int]) -> tuple[int, list[int]]:
    """Return how far everything is dealt with, and what is beyond that. `found` ascends; builds are deleted. Pure."""
    for number in found:
        if number not in done:
            break
        seen = max(seen, number)
    return seen, sorted(number for number in done if number > seen)
