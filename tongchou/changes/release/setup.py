"""What people say before there is a release: the environments, and how each service is rolled out in them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_release import Consent, Environment, Rollout
from tongchou.changes.quiet import KEEPER
from tongchou.changes.release import reads
from tongchou.changes.release.draft import RolloutDraft, checked, wrong
from tongchou.changes.release.reads import EDIT
from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, check
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import consented
from tongchou.runbooks.models import Grade, Procedure

ACTION = declare("changes.rollout", _("Release a service this way, always"))
MANAGE = "integrations.manage"
CONSENT_WITHIN = timedelta(days=30)
MAX_SOAK = 90 * 86_400
MAX_ENVIRONMENTS = 30
_NAME = re.compile(r"\A[^\x00-\x1f\x7f]{1,80}\Z")


def put_environment(
    *,
    actor: Actor,
    name: str,
    position: int = 100,
    needs_previous: bool = True,
    soak_seconds: int = 0,
    consent: str = Consent.EACH.value,
) -> Environment:
    """Make an environment or change it. Event environment.changed; the same again changes nothing.

    The name is the one deployments are told with, so that what pipelines deployed counts.
    """
    check(actor, MANAGE)
    if not _NAME.match(name) or name != name.strip() or "/" in name:
        raise wrong("name", name[:80], _("A name is 1 to 80 visible characters without a slash."))
    if consent not in Consent.values:
        raise wrong("consent", consent, _("There is no such answer."), ", ".join(Consent.values))
    if not 0 <= position <= 10_000:
        raise wrong("position", position, _("From 0 to %(n)s.") % {"n": 10_000})
    if not 0 <= soak_seconds <= MAX_SOAK:
        raise wrong("soak_seconds", soak_seconds, _("From 0 to %(n)s seconds.") % {"n": MAX_SOAK})
    new: dict[str, Any] = {
        "position": position,
        "needs_previous": needs_previous,
        "soak_seconds": soak_seconds,
        "consent": consent,
        "retired_at": None,
    }
    with transaction.atomic():
        if Environment.objects.exclude(name=name).filter(retired_at__isnull=True).count() >= MAX_ENVIRONMENTS:
            raise wrong("name", name, _("At most %(n)s.") % {"n": MAX_ENVIRONMENTS})
        row, created = Environment.objects.get_or_create(name=name, defaults=new)
        row = Environment.objects.select_for_update().get(pk=row.pk)
        changed = {key: [getattr(row, key), value] for key, value in new.items() if getattr(row, key) != value}
        if not created and not changed:
            return row
        Environment.objects.filter(pk=row.pk).update(**new)
        row.refresh_from_db()
        payload = {"name": name, "created": created, "changed": {key: str(each) for key, each in changed.items()}}
        ledger.record(actor=actor, verb="environment.changed", subject=ref(row), payload=payload)
    return row


def retire_environment(*, actor: Actor, environment: Environment) -> Environment:
    """Take an environment out of use; what was deployed there stays. Event environment.retired. Idempotent."""
    check(actor, MANAGE)
    with transaction.atomic():
        if Environment.objects.filter(pk=environment.pk, retired_at__isnull=True).update(retired_at=timezone.now()):
            ledger.record(
                actor=actor, verb="environment.retired", subject=ref(environment), payload={"name": environment.name}
            )
    environment.refresh_from_db()
    return environment


# --- how a service is rolled out ------------------------------------------------------------------------------------


def put_rollout(*, actor: Actor, service: Resource, environment: Environment, draft: RolloutDraft) -> Rollout:
    """Say how a service is rolled out in an environment. Event rollout.changed with old and new hash.

    Releases that were planned before keep what they were planned with, and are refused where that is no more true.
    """
    check(actor, EDIT, team=service.owner_id)
    checked(draft)
    if environment.retired_at is not None:
        raise wrong("environment", environment.name, _("This environment is out of use."))
    new: dict[str, Any] = {
        "procedure": _procedure("procedure", draft.procedure),
        "params": dict(draft.params),
        "targets": dict(draft.targets),
        "batches": list(draft.batches),
        "bake_seconds": draft.bake_seconds,
        "confirm_after": draft.confirm_after,
        "checks": [dict(each) for each in draft.checks],
        "on_failure": draft.on_failure,
        "rollback_procedure": _procedure("rollback_procedure", draft.rollback_procedure)
        if draft.rollback_procedure
        else None,
        "rollback_params": dict(draft.rollback_params),
    }
    with transaction.atomic():
        Resource.objects.select_for_update().get(pk=service.pk)
        row = Rollout.objects.filter(service=service, environment=environment, retired_at__isnull=True).first()
        old = reads.hash_of_rollout(_joined(row)) if row else ""
        row = row or Rollout(service=service, environment=environment, version_number=0)
        for name, value in new.items():
            setattr(row, name, value)
        content = reads.hash_of_rollout(row)
        if content == old:
            return row
        row.version_number += 1
        row.updated_at, row.updated_by_name = timezone.now(), actor.name
        row.save()
        payload = {
            "service": service.name,
            "environment": environment.name,
            "procedure": row.procedure.name,
            "hash": [old, content],
        }
        ledger.record(actor=actor, verb="rollout.changed", subject=ref(row), about=[ref(service)], payload=payload)
    return row


def _joined(row: Rollout) -> Rollout:
    return reads.joined_rollouts().get(pk=row.pk)


def _procedure(name: str, said: str) -> Procedure:
    found = Procedure.objects.filter(name=said, state="active").first()
    if found is None:
        raise wrong(name, said[:80], _("There is no such procedure in use."), _("Save it first."))
    return found


def retire_rollout(*, actor: Actor, rollout: Rollout) -> Rollout:
    """Take a rollout out of use. Event rollout.retired. Idempotent."""
    check(actor, EDIT, team=rollout.service.owner_id)
    with transaction.atomic():
        if Rollout.objects.filter(pk=rollout.pk, retired_at__isnull=True).update(retired_at=timezone.now()):
            payload = {"service": rollout.service.name, "environment": rollout.environment.name}
            ledger.record(
                actor=actor, verb="rollout.retired", subject=ref(rollout), about=[ref(rollout.service)], payload=payload
            )
    return _joined(rollout)


def ask_standing(*, actor: Actor, rollout: Rollout) -> Rollout:
    """Ask for consent to every release that is rolled out exactly like this. Event approval.requested."""
    check(actor, EDIT, team=rollout.service.owner_id)
    with transaction.atomic():
        Rollout.objects.select_for_update().get(pk=rollout.pk)
        row = _joined(rollout)
        if row.retired_at is not None:
            raise Conflict("release.retired", _("This rollout is out of use."), remedy=_("Save it again."))
        content = reads.hash_of_rollout(row)
        if row.approved_hash == content:
            return row
        open_one = row.approval
        if open_one is not None and open_one.state == ApprovalState.PENDING:
            if open_one.content_hash == content:
                return row
            approvals.cancel(actor=KEEPER, approval=open_one, comment="what it asks for was changed")
        procedures = (row.procedure, row.rollback_procedure)
        row.approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=ACTION,
            content_hash=content,
            scope={"service": row.service.name, "environment": row.environment.name},
            reason=f"{row.service.name} {row.environment.name}",
            expires_at=timezone.now() + CONSENT_WITHIN,
            about=[ref(row.service)],
            owners=[row.service.owner_id] if row.service.owner_id else [],
            parts=[consented.part(each, []) for each in procedures if each is not None and each.grade != Grade.READ],
        )
        row.save(update_fields=["approval"])
    return row


def decided(*, approval: Approval) -> None:
    """Take over a yes to a rollout that still reads as it was shown. Event rollout.agreed. Idempotent."""
    if approval.action != ACTION or approval.state != ApprovalState.APPROVED:
        return
    with transaction.atomic():
        found = Rollout.objects.filter(approval=approval).first()
        if found is None:
            return
        Rollout.objects.select_for_update().get(pk=found.pk)
        row = _joined(found)
        if row.approved_hash == approval.content_hash or reads.hash_of_rollout(row) != approval.content_hash:
            return
        row.approved_hash = approval.content_hash
        row.save(update_fields=["approved_hash"])
        payload = {
            "service": row.service.name,
            "environment": row.environment.name,
            "content_hash": row.approved_hash,
            "by": approval.decided_by_name,
        }
        ledger.record(actor=KEEPER, verb="rollout.agreed", subject=ref(row), about=[ref(row.service)], payload=payload)
