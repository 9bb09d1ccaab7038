"""What people do to the catalogue of standard changes: put an entry, have it agreed on, retire it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import control_reads, covered_runs
from tongchou.changes.control_reads import EDIT
from tongchou.changes.draft import MAX_TASKS, MAX_TEXT, TaskDraft, invalid
from tongchou.changes.models_control import ChangeTemplate
from tongchou.changes.quiet import KEEPER
from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, check
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState, Team
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.inventory import checks
from tongchou.runbooks.models import Procedure

ACTION = declare("changes.standard", _("Put a standard change into the catalogue"))
CONSENT_WITHIN = timedelta(days=30)


def put_template(
    *,
    actor: Actor,
    name: str,
    title: str,
    description: str = "",
    team: UUID | None = None,
    kinds: Sequence[str] = (),
    max_resources: int = 10,
    max_minutes: int = 240,
    tasks: Sequence[TaskDraft] = (),
    backout: str = "",
    backout_procedure: str = "",
    verification: str = "",
    covers_runs: bool = False,
) -> ChangeTemplate:
    """Make an entry of the catalogue or replace what it says, which then is to be agreed on anew.

    `covers_runs`: consent to the entry is consent to the runs of its procedures, too.
    Event change_template.changed with old and new hash; the same again changes nothing.
    """
    check(actor, EDIT, team=team)
    _check(title, description, max_resources, max_minutes, tasks, backout, backout_procedure)
    procedures = {each.name: each for each in Procedure.objects.filter(name__in=_names(tasks, backout_procedure))}
    for each in _names(tasks, backout_procedure):
        if each not in procedures:
            raise invalid("tasks", each, _("There is no such procedure in use."), _("Save it first."))
    new: dict[str, Any] = {
        "title": title.strip(),
        "description": description,
        "team": Team.objects.filter(pk=team).first() if team else None,
        "kinds": sorted({checks.kind(each, "kinds") for each in kinds}),
        "max_resources": max_resources,
        "max_minutes": max_minutes,
        "tasks": [each.as_json() for each in tasks],
        "backout": backout,
        "backout_procedure": procedures.get(backout_procedure),
        "verification": verification,
        "covers_runs": covers_runs,
    }
    with transaction.atomic():
        row = ChangeTemplate.objects.select_for_update().filter(name=name).first()
        if row is not None:
            check(actor, EDIT, team=row.team_id)
        old = control_reads.hash_of_template(row) if row else ""
        if row is not None and row.retired_at is None and all(getattr(row, key) == new[key] for key in new):
            return row
        row = row or ChangeTemplate(name=name)
        for key, value in new.items():
            setattr(row, key, value)
        row.retired_at, row.updated_at, row.updated_by_name = None, timezone.now(), actor.name
        row.full_clean(exclude=["kinds", "tasks"])
        row.save()
        payload = {"name": name, "old": old, "new": control_reads.hash_of_template(row)}
        ledger.record(actor=actor, verb="change_template.changed", subject=ref(row), payload=payload)
    return row


def _names(tasks: Sequence[TaskDraft], backout: str) -> list[str]:
    return sorted({each.procedure for each in tasks if each.procedure} | ({backout} if backout else set()))


def _check(
    title: str, description: str, most: int, minutes: int, tasks: Sequence[TaskDraft], backout: str, procedure: str
) -> None:
    if not title.strip():
        raise invalid("title", title, _("A change needs a title."), _("Say what is altered, in a line."))
    for name, value in (("description", description), ("backout", backout)):
        if len(value) > MAX_TEXT:
            raise invalid(name, len(value), _("This is too long."), _("At most %(n)s.") % {"n": MAX_TEXT})
    for name, number, bound in (("max_resources", most, 500), ("max_minutes", minutes, 31 * 1440)):
        if not 1 <= number <= bound:
            raise invalid(name, number, _("This is out of bounds."), _("From 1 to %(n)s.") % {"n": bound})
    if not tasks or len(tasks) > MAX_TASKS:
        raise invalid(
            "tasks", len(tasks), _("A standard change says what is done."), _("From 1 to %(n)s.") % {"n": MAX_TASKS}
        )
    if not backout.strip() and not procedure:
        raise invalid(
            "backout", "", _("A standard change says how to go back."), _("Write it, or name the procedure that does.")
        )


def ask_template(*, actor: Actor, template: ChangeTemplate) -> Approval:
    """Ask for consent to an entry as it reads now; from then on its changes need none. Idempotent while it waits."""
    check(actor, EDIT, team=template.team_id)
    with transaction.atomic():
        row = ChangeTemplate.objects.select_for_update().get(pk=template.pk)
        now = control_reads.hash_of_template(row)
        if row.approved_hash == now:
            raise Conflict(
                "change.template_agreed", _("It is agreed on as it reads now."), remedy=_("Nothing is to be done.")
            )
        waiting = row.approval
        if waiting is not None and waiting.state == ApprovalState.PENDING and waiting.content_hash == now:
            return waiting
        parts = covered_runs.parts_of(row)
        row.approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=ACTION,
            content_hash=now,
            scope={
                "template": row.name,
                "team": row.team.name if row.team else "",
                **covered_runs.shown_of(row),
            },
            reason=row.title,
            expires_at=timezone.now() + CONSENT_WITHIN,
            owners=[row.team_id] if row.team_id else [],
            parts=parts,
        )
        row.save(update_fields=["approval"])
    return row.approval


def decided(*, approval: Approval) -> None:
    """Take over a yes to an entry that still reads as it was shown. Event change_template.agreed. Idempotent."""
    if approval.action != ACTION or approval.state != ApprovalState.APPROVED:
        return
    with transaction.atomic():
        row = ChangeTemplate.objects.select_for_update(of=("self",)).filter(approval=approval).first()
        if row is None or row.approved_hash == approval.content_hash:
            return
        if control_reads.hash_of_template(row) != approval.content_hash:
            return  # edited since: the yes was to something else
        row.approved_hash = approval.content_hash
        row.save(update_fields=["approved_hash"])
        payload = {"name": row.name, "content_hash": row.approved_hash, "by": approval.decided_by_name}
        ledger.record(actor=KEEPER, verb="change_template.agreed", subject=ref(row), payload=payload)


def retire_template(*, actor: Actor, template: ChangeTemplate) -> ChangeTemplate:
    """Take an entry out of the catalogue; put it again to bring it back. Event change_template.retired. Idempotent."""
    check(actor, EDIT, team=template.team_id)
    with transaction.atomic():
        if ChangeTemplate.objects.filter(pk=template.pk, retired_at__isnull=True).update(retired_at=timezone.now()):
            ledger.record(
                actor=actor, verb="change_template.retired", subject=ref(template), payload={"name": template.name}
            )
    template.refresh_from_db()
    return template
