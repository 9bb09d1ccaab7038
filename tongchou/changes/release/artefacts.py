"""Versions of services: told by pipelines and deployments, withdrawn when they must not be rolled out any more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Artefact
from tongchou.changes.quiet import KEEPER
from tongchou.changes.release.draft import wrong
from tongchou.changes.release.reads import EDIT
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

_DIGEST = re.compile(r"\A(?:sha256:)?([0-9a-f]{64})\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a version. `digest`: sha256, with or without its prefix."""

    version: str
    reference: str = ""
    digest: str = ""
    commit_sha: str = ""
    commit_at: datetime | None = None
    url: str = ""
    notes: str = ""


def register(*, actor: Actor, service: Resource, told: Told, source: str = "person") -> tuple[Artefact, bool]:
    """Write a version down, or what is new about it; returns it and whether it is new. Event artefact.registered.

    Idempotent. Conflict when a known version has another digest: two different things would have one name.
    """
    check(actor, EDIT, team=service.owner_id)
    values = _checked(told)
    with transaction.atomic():
        row = Artefact.objects.select_for_update().filter(service=service, version=told.version.strip()).first()
        if row is not None:
            _renew(actor, row, values)
            return row, False
        try:
            with transaction.atomic():
                row = Artefact.objects.create(
                    service=service,
                    version=told.version.strip(),
                    commit_at=told.commit_at,
                    source=source[:80],
                    created_by_name=actor.name,
                    **values,
                )
        except IntegrityError:  # two told of it at once
            row = Artefact.objects.select_for_update().get(service=service, version=told.version.strip())
            _renew(actor, row, values)
            return row, False
        payload = {"service": service.name, "version": row.version, "source": row.source, **values}
        payload.pop("notes")
        ledger.record(actor=actor, verb="artefact.registered", subject=ref(row), about=[ref(service)], payload=payload)
    return row, True


def _checked(told: Told) -> dict[str, str]:
    limits = {"reference": 500, "commit_sha": 64, "url": 2000, "notes": 20_000}
    values = {name: getattr(told, name).strip() for name in limits}
    version = told.version.strip()
    if not version or len(version) > 120 or _CONTROL.search(version):
        raise wrong("version", version[:120], _("A version is 1 to 120 visible characters."))
    for name, most in limits.items():
        if len(values[name]) > most or (name != "notes" and _CONTROL.search(values[name])):
            raise wrong(name, values[name][:80], _("This is too long."), _("At most %(n)s.") % {"n": most})
    if values["url"] and not values["url"].startswith(("http://", "https://")):
        raise wrong("url", values["url"][:80], _("It must begin with http:// or https://."))
    found = _DIGEST.match(told.digest.strip().lower())
    if told.digest.strip() and found is None:
        raise wrong("digest", told.digest[:80], _("A SHA-256 of 64 hexadecimal digits is wanted."))
    return {**values, "digest": found[1] if found else ""}


def _renew(actor: Actor, row: Artefact, values: dict[str, str]) -> None:
    """Add what was not known. What is known stays: a version means one thing."""
    if values["digest"] and row.digest and values["digest"] != row.digest:
        raise Conflict(
            "artefact.digest",
            _("%(version)s is known with another digest: %(digest)s.") % {"version": row.version, "digest": row.digest},
            field="digest",
            value=values["digest"],
            remedy=_("Give what was built anew a version of its own."),
        )
    new = {name: value for name, value in values.items() if value and not getattr(row, name)}
    if new:
        Artefact.objects.filter(pk=row.pk).update(**new)
        row.refresh_from_db()
        told = {name: value for name, value in new.items() if name != "notes"}
        payload = {"service": row.service.name, "version": row.version, "added": told}
        ledger.record(
            actor=actor, verb="artefact.completed", subject=ref(row), about=[ref(row.service)], payload=payload
        )


def withdraw(*, actor: Actor, artefact: Artefact, reason: str) -> Artefact:
    """Say that a version must not be rolled out any more; "" allows it again. Events artefact.withdrawn, .restored."""
    check(actor, EDIT, team=artefact.service.owner_id)
    with transaction.atomic():
        row = Artefact.objects.select_related("service").select_for_update(of=("self",)).get(pk=artefact.pk)
        reason = reason.strip()[:500]
        if (row.withdrawn_at is not None) == bool(reason):
            return row
        row.withdrawn_at, row.withdrawn_reason = (timezone.now(), reason) if reason else (None, "")
        row.save(update_fields=["withdrawn_at", "withdrawn_reason"])
        ledger.record(
            actor=actor,
            verb="artefact.withdrawn" if reason else "artefact.restored",
            subject=ref(row),
            about=[ref(row.service)],
            payload={"service": row.service.name, "version": row.version, "reason": reason},
        )
    return row


def deployed(*, deployment: Deployment) -> None:
    """Know the version of a deployment: what was deployed can be rolled out again. Idempotent."""
    service = deployment.service
    if service is None or not deployment.version:
        return
    known = Artefact.objects.filter(service=service, version=deployment.version).first()
    if known is not None and known.reference and known.commit_sha:
        return
    told = Told(
        deployment.version,
        reference=deployment.artifact,
        commit_sha=deployment.commit_sha,
        commit_at=deployment.commit_at,
    )
    register(actor=KEEPER, service=service, told=told, source=deployment.source)
