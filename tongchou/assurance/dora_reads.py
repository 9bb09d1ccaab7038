"""Reads DORA's five for every service an actor may see, in a handful of queries however many services there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.assurance.dora import Blame, Deployed, Five, five, news
from tongchou.assurance.run_time_settings import PRODUCTION
from tongchou.changes import reads
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.problems import Invalid
from tongchou.incidents.models import AffectedResource, AffectedRole
from tongchou.incidents.models_caused import CausedBy

WINDOWS = (7, 30, 90)
MOST_ROWS = 200_000  # deployments looked at; beyond it a number would be of a part, so that it is refused
CAUSED = "changes.deployment:"
_COLUMNS = (
    *("id", "service_id", "service_name", "version", "previous_version", "environment", "started_at", "finished_at"),
    *("status", "commit_sha", "commit_at", "commits", "rollback", "unplanned", "incident_number"),
)


@dataclass(frozen=True, slots=True)
class ServiceFive:
    """The five of one service. `key` is its id, or name: and its name while the inventory does not know it.

    `since` is its first deployment known to us; `incidents_unnamed` how many incidents of these days are about it and
    name no deployment: until somebody says, nobody knows whether one caused them.
    """

    key: str
    name: str
    service_id: UUID | None
    five: Five
    since: datetime | None
    incidents_unnamed: int


def production(rows: QuerySet[Deployment]) -> QuerySet[Deployment]:
    """Return those that went to production: by the tier the sender stated, else by the name, else if it has none."""
    words = [each.strip() for each in str(settings_store.get(PRODUCTION)).split(",") if each.strip()]
    named = Q(environment="")
    for word in words:
        named |= Q(environment__iexact=word)
    return rows.filter(Q(tier="production") | (Q(tier="") & named))


def dora(actor: Actor, *, days: int, now: datetime, key: str = "") -> list[ServiceFive]:
    """Return the five of each service with a deployment to production in the last `days` days, by name.

    `key` narrows it to one service, which is returned even without a deployment in these days. Constant queries.
    """
    if days not in WINDOWS:
        words = ", ".join(str(each) for each in WINDOWS)
        raise Invalid("dora.days", _("One of: %(words)s.") % {"words": words}, field="days", value=days)
    seen_rows = production(reads.deployments(actor).select_related(None).order_by())
    if key:
        seen_rows = seen_rows.filter(_of_key(key))
    since = now - timedelta(days=days)
    blames = _blames()
    rows = _window(seen_rows, since, now, blames)
    firsts, known_since = _earlier(seen_rows, since)
    by_service: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_service[_key(row["service_id"], row["service_name"])].append(row)
    unnamed = _unnamed({row["service_id"] for row in rows if row["service_id"]}, since, now)
    found = [
        ServiceFive(
            key=each,
            name=mine[-1]["service_name"],
            service_id=mine[-1]["service_id"],
            five=five(_deployed(mine, firsts.get(each, set()), blames), days),
            since=known_since.get(each),
            incidents_unnamed=unnamed.get(mine[-1]["service_id"], 0),
        )
        for each, mine in by_service.items()
    ]
    if key and not found:
        found = _empty(seen_rows, key, days, known_since)
    return sorted(found, key=lambda each: (each.name, each.key))


def _key(service_id: UUID | None, name: str) -> str:
    return str(service_id) if service_id else f"name:{name}"


def _of_key(key: str) -> Q:
    if key.startswith("name:"):
        return Q(service__isnull=True, service_name=key.removeprefix("name:"))
    try:
        return Q(service_id=UUID(key))
    except ValueError:
        return Q(pk__in=[])


def _blames() -> dict[str, list[Blame]]:
    """What incidents say caused them, by the id of the deployment."""
    found: dict[str, list[Blame]] = defaultdict(list)
    names = ("ref", "incident__number", "incident__started_at")
    ends = ("incident__mitigated_at", "incident__recovered_at", "incident__resolved_at")
    for ref, number, started, *ended in CausedBy.objects.filter(ref__startswith=CAUSED).values_list(*names, *ends):
        told = [each for each in ended if each is not None]
        found[ref.removeprefix(CAUSED)].append(Blame(number, started, min(told) if told else None))
    return found


def _window(
    rows: QuerySet[Deployment], since: datetime, now: datetime, blames: Mapping[str, Sequence[Blame]]
) -> list[dict[str, Any]]:
    """Deployments that ended in these days: those that succeeded, and those that an incident names."""
    ended = rows.filter(finished_at__gte=since, finished_at__lt=now).exclude(status=DeploymentStatus.RUNNING)
    listed = list(ended.order_by("finished_at", "id").values(*_COLUMNS)[: MOST_ROWS + 1])
    if len(listed) > MOST_ROWS:
        raise Invalid(
            "dora.too_many",
            _("There are more than %(most)s deployments in these days.") % {"most": MOST_ROWS},
            remedy=_("Choose fewer days, or one service."),
        )
    return [each for each in listed if each["status"] == DeploymentStatus.SUCCEEDED or str(each["id"]) in blames]


def _earlier(rows: QuerySet[Deployment], since: datetime) -> tuple[dict[str, set[str]], dict[str, datetime]]:
    """Commits of these days that had come to production before, and the first deployment known, by service."""
    done = rows.filter(status=DeploymentStatus.SUCCEEDED, finished_at__isnull=False)
    fresh = done.filter(finished_at__gte=since).exclude(commit_sha="").values("commit_sha")
    again = done.filter(finished_at__lt=since, commit_sha__in=fresh)
    seen: dict[str, set[str]] = defaultdict(set)
    for service_id, name, sha in again.values_list("service_id", "service_name", "commit_sha").distinct():
        seen[_key(service_id, name)].add(sha)
    firsts: dict[str, datetime] = {}
    grouped = done.values("service_id", "service_name").annotate(first=Min("finished_at"))
    for group in grouped:
        key = _key(group["service_id"], group["service_name"])
        firsts[key] = min(firsts.get(key, group["first"]), group["first"])
    return seen, firsts


def _unnamed(services: set[UUID], since: datetime, now: datetime) -> dict[UUID, int]:
    """How many incidents that began in these days are about a service, and name no deployment."""
    about = AffectedResource.objects.filter(
        role__in=(AffectedRole.CAUSE, AffectedRole.SYMPTOM),
        resource__kind="service",
        incident__started_at__gte=since,
        incident__started_at__lt=now,
        incident__caused_by__isnull=True,
    )
    counted = about.values_list("resource_id").annotate(count=Count("incident_id", distinct=True))
    return {resource: count for resource, count in counted if resource in services}


def _deployed(
    rows: Sequence[Mapping[str, Any]], seen: set[str], blames: Mapping[str, Sequence[Blame]]
) -> list[Deployed]:
    """Oldest first, so that a commit is news where it came first. A rollback brings none."""
    found = []
    for row in rows:
        brings = not row["rollback"] and row["status"] == DeploymentStatus.SUCCEEDED
        commits = news(row["commits"], row["commit_sha"], row["commit_at"], seen) if brings else []
        found.append(
            Deployed(
                id=row["id"],
                title=f"{row['service_name']} {row['version']}",
                started_at=row["started_at"],
                at=row["finished_at"],
                succeeded=row["status"] == DeploymentStatus.SUCCEEDED,
                commits=tuple(commits),
                unplanned=row["unplanned"],
                incident_number=row["incident_number"],
                blames=tuple(blames.get(str(row["id"]), ())),
            )
        )
    return found


def _empty(rows: QuerySet[Deployment], key: str, days: int, known_since: Mapping[str, datetime]) -> list[ServiceFive]:
    last = rows.order_by("-started_at").values("service_id", "service_name").first()
    if last is None:
        return []
    return [ServiceFive(key, last["service_name"], last["service_id"], five([], days), known_since.get(key), 0)]
