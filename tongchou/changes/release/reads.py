"""Named reads of releases: what an actor may see, which version is where, what a version has yet to pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.change_content import digest
from tongchou.changes.control_reads import EDIT, VIEW
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.changes.models_release import (
    Artefact,
    Environment,
    Release,
    ReleaseBatch,
    ReleaseItem,
    Rollout,
)
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

__all__ = ["EDIT", "VIEW"]


def environments(actor: Actor, *, retired: bool = False) -> QuerySet[Environment]:
    """Return the environments in the order a version passes them; they are common knowledge."""
    check_anywhere(actor, VIEW)
    found = Environment.objects.order_by("position", "name")
    return found if retired else found.filter(retired_at__isnull=True)


def environment(actor: Actor, name: str) -> Environment:
    """Return one environment by its name; NotFound."""
    found = environments(actor, retired=True).filter(name=name).first()
    if found is None:
        raise NotFound("release.environment", _("There is no such environment."), field="environment", value=name[:80])
    return found


def artefacts(actor: Actor) -> QuerySet[Artefact]:
    """Return the versions an actor may see, the newest first: all, or of services their teams own."""
    check_anywhere(actor, VIEW)
    found = Artefact.objects.select_related("service", "service__owner").order_by("-created_at", "-id")
    teams = visible_teams(actor)
    return found if teams is None else found.filter(service__owner__in=teams)


def artefact(actor: Actor, artefact_id: UUID) -> Artefact:
    """Return one version; NotFound."""
    found = artefacts(actor).filter(pk=artefact_id).first()
    if found is None:
        raise NotFound("release.artefact", _("There is no such version."), field="id", value=str(artefact_id))
    return found


def joined_rollouts() -> QuerySet[Rollout]:
    """Return all rollouts, each with what its content is made of."""
    return Rollout.objects.select_related(
        "service", "service__owner", "environment", "procedure", "rollback_procedure", "approval"
    )


def rollouts(actor: Actor, *, retired: bool = False) -> QuerySet[Rollout]:
    """Return how services are rolled out, by service and the order of environments."""
    check_anywhere(actor, VIEW)
    found = joined_rollouts().order_by("service__name", "environment__position", "id")
    teams = visible_teams(actor)
    found = found if teams is None else found.filter(service__owner__in=teams)
    return found if retired else found.filter(retired_at__isnull=True)


def rollout(actor: Actor, rollout_id: UUID) -> Rollout:
    """Return how one service is rolled out in one environment; NotFound."""
    found = rollouts(actor, retired=True).filter(pk=rollout_id).first()
    if found is None:
        raise NotFound("release.rollout", _("There is no such rollout."), field="id", value=str(rollout_id))
    return found


def visible(actor: Actor) -> QuerySet[Release]:
    """Return the releases an actor may see, the newest first: all, or with a service their teams own, or their own."""
    check_anywhere(actor, VIEW)
    found = Release.objects.select_related("environment", "change", "approval").order_by("-number")
    teams = visible_teams(actor)
    if teams is not None:
        owned = ReleaseItem.objects.filter(release=OuterRef("pk"), service__owner__in=teams)
        found = found.filter(Q(requested_by_id=actor.user_id) | Exists(owned))
    return found


def get(actor: Actor, number: int) -> Release:
    """Return one release by its number; NotFound for one that is not there or not to be seen."""
    found = visible(actor).filter(number=number).first()
    if found is None:
        raise NotFound("release.unknown", _("There is no such release."), field="number", value=number)
    return found


def items(release: Release) -> list[ReleaseItem]:
    """Return the services of a release in order, each with its batches and their runs. Two queries."""
    batches = ReleaseBatch.objects.select_related("run", "rollback_run").order_by("number")
    rows = release.items.select_related(
        "service", "artefact", "artefact__service", "rollout", "rollout__procedure", "rollout__rollback_procedure"
    ).order_by("position")
    found = list(rows)
    by_item: dict[int, list[ReleaseBatch]] = {}
    for each in batches.filter(item__release=release):
        by_item.setdefault(each.item_id, []).append(each)
    for item in found:
        item.all_batches = by_item.get(item.pk, [])  # type: ignore[attr-defined]  # read by who draws and decides
    return found


def batches_of(item: ReleaseItem) -> list[ReleaseBatch]:
    """Return the batches that `items` has read."""
    found: list[ReleaseBatch] = getattr(item, "all_batches", [])
    return found


def hash_of_rollout(row: Rollout) -> str:
    """Return the hash of what a rollout does, with the texts of its procedures: what standing consent is bound to."""
    return digest(rollout_content(row))


def rollout_content(row: Rollout) -> dict[str, Any]:
    """Return what a rollout says, as consent covers it."""
    back = row.rollback_procedure
    return {
        "service": ref(row.service),
        "environment": row.environment.name,
        "procedure": [row.procedure.name, row.procedure.content_hash],
        "params": row.params,
        "targets": row.targets,
        "batches": row.batches,
        "bake_seconds": row.bake_seconds,
        "confirm_after": row.confirm_after,
        "checks": row.checks,
        "on_failure": row.on_failure,
        "rollback": [back.name, back.content_hash] if back else [],
        "rollback_params": row.rollback_params,
    }


def stands(row: Rollout) -> bool:
    """Tell whether standing consent was given to what a rollout says now."""
    return bool(row.approved_hash) and row.approved_hash == hash_of_rollout(row)


# --- which version is where -----------------------------------------------------------------------------------------


def installed(service: Resource, environment: Environment) -> Deployment | None:
    """Return the last deployment of a service that succeeded in an environment, whoever made it."""
    return _succeeded(service, environment).order_by("-started_at", "-delivery_id").first()


def _succeeded(service: Resource, environment: Environment) -> QuerySet[Deployment]:
    return Deployment.objects.filter(
        service=service, environment=environment.name, status=DeploymentStatus.SUCCEEDED
    ).defer("commits", "custom", "told")


def before(service: Resource, environment: Environment) -> Environment | None:
    """Return the environment a version has to pass first: the last one before in which the service is rolled out."""
    rows = Rollout.objects.filter(
        service=service,
        environment__position__lt=environment.position,
        environment__retired_at__isnull=True,
        retired_at__isnull=True,
    )
    found = rows.select_related("environment").order_by("-environment__position", "environment__name").first()
    return found.environment if found else None


@dataclass(frozen=True, slots=True)
class Passed:
    """Whether a version may go into an environment; `code` says why not: never_there, replaced, soaking."""

    code: str = ""
    environment: str = ""
    until: datetime | None = None


def promoted(artefact: Artefact, environment: Environment, now: datetime) -> Passed:
    """Tell whether a version has passed the environment before, for as long as wanted, and is there still."""
    first = before(artefact.service, environment) if environment.needs_previous else None
    if first is None:
        return Passed()
    rows = _succeeded(artefact.service, first)
    was = rows.filter(version=artefact.version).order_by("-started_at", "-delivery_id").first()
    if was is None or was.finished_at is None:
        return Passed("never_there", first.name)
    last = installed(artefact.service, first)
    if last is not None and last.version != artefact.version and last.rollback:
        return Passed("replaced", first.name)
    until = was.finished_at + timedelta(seconds=environment.soak_seconds)
    return Passed("soaking", first.name, until) if now < until else Passed()


def not_passed(artefact: Artefact, passed: Passed) -> dict[str, Any]:
    """Return the reason of a version that may not go on yet, as words.sentence takes it."""
    until = passed.until.isoformat() if passed.until else ""
    params = {"version": artefact.version, "environment": passed.environment, "until": until}
    return {"service": artefact.service.name, "code": passed.code, "params": params}


def since_planned(release: Release, item: ReleaseItem, now: datetime) -> list[dict[str, Any]]:
    """Return why an item cannot begin as it was planned: it would go back to another version, or may not go on."""
    found: list[dict[str, Any]] = []
    last = installed(item.service, release.environment)
    if (last.version if last else "") != item.previous_version:
        params = {"version": last.version if last else "-", "planned": item.previous_version or "-"}
        found.append({"service": item.service.name, "code": "moved_on", "params": params})
    passed = promoted(item.artefact, release.environment, now)
    if passed.code and not release.skip_promotion:
        found.append(not_passed(item.artefact, passed))
    return found


@dataclass(slots=True)
class Line:
    """A service and what is where: environment -> the last deployment that succeeded there (None: never)."""

    service: Resource
    where: dict[UUID, Deployment | None] = field(default_factory=dict)
    newest: Artefact | None = None


def grid(rows: Iterable[Rollout]) -> list[Line]:
    """Return a line for each service of the rollouts, in their order. Three queries, whatever their number."""
    listed = list(rows)
    services = {each.service_id: each.service for each in listed}
    lines = {key: Line(service) for key, service in services.items()}
    names = {each.environment.name: each.environment_id for each in listed}
    found = (
        Deployment.objects.filter(service__in=services, environment__in=names, status=DeploymentStatus.SUCCEEDED)
        .filter(~Exists(_later()))
        .defer("commits", "custom", "told")
    )
    for each in listed:
        lines[each.service_id].where[each.environment_id] = None
    for row in found:
        if row.service_id is not None and names[row.environment] in lines[row.service_id].where:
            lines[row.service_id].where[names[row.environment]] = row
    newest = Artefact.objects.filter(service__in=services, withdrawn_at__isnull=True)
    for artefact in newest.filter(~Exists(_newer())):
        lines[artefact.service_id].newest = artefact
    return list(lines.values())


def _later() -> QuerySet[Deployment]:
    """Deployments that succeeded after one, in the same environment; of two at once the id decides."""
    same = Deployment.objects.filter(
        service=OuterRef("service"), environment=OuterRef("environment"), status=DeploymentStatus.SUCCEEDED
    )
    return same.filter(
        Q(started_at__gt=OuterRef("started_at"))
        | Q(started_at=OuterRef("started_at"), delivery_id__gt=OuterRef("delivery_id"))
    )


def _newer() -> QuerySet[Artefact]:
    same = Artefact.objects.filter(service=OuterRef("service"), withdrawn_at__isnull=True)
    return same.filter(
        Q(created_at__gt=OuterRef("created_at")) | Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk"))
    )
