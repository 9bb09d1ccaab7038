"""Asks for runs that are part of something larger which was agreed on: of exactly that, without a second consent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import approvals
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.models import Approval
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref
from tongchou.runbooks import journal, limits
from tongchou.runbooks.actions import raise_refusals, raise_retired, tell_requested, write_run
from tongchou.runbooks.definition import canonical_hash
from tongchou.runbooks.models import Grade, Procedure, Run, RunState
from tongchou.runbooks.prepare import Prepared, prepare


def hash_of(prepared: Prepared) -> str:
    """Return the hash of what a run would do: its procedure, parameters, the targets themselves, every resolved step.

    Unlike the run's own content hash it leaves out labels of targets: what is deployed may change them, and the way
    back must stay open. What a step takes from a label stands in the resolved step.
    """
    return canonical_hash(
        {
            "procedure": prepared.definition.content_hash,
            "params": dict(prepared.plan.params),
            "targets": [each.ref for each in prepared.targets],
            "checks": [each.as_json() for each in prepared.plan.checks],
            "steps": [each.as_json() for each in prepared.plan.steps],
        }
    )


def part(procedure: Procedure, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return (action, scope) of consent to a run of the newest version, for `approvals.request` of what covers it.

    `names`: of targets; none where they are not known yet.
    """
    return journal.ACTION, journal.scope_of(procedure.name, procedure.version_number, procedure.grade, names)


def request(
    *,
    actor: Actor,
    procedure: Procedure,
    params: Mapping[str, Any],
    targets: Sequence[str],
    about_ref: str,
    reason: str,
    agreed_hash: str,
    consent: Approval | None,
    because: str,
    good_until: datetime,
    bind: Callable[[Run], None],
) -> Run:
    """Queue a run at once, if what it would do has exactly this hash (see `hash_of`).

    The hash is one that `consent` (None: who broke the glass, told in `because`) covers, as the caller has checked:
    the approval that is written for the run follows from it. `bind` writes the run down where the caller keeps it,
    in the same commit, and raises when that is no longer wanted: then there is no run. Event run.requested.
    Raises Conflict `run.content_changed` when it would do something else, and `run.refused` as `actions.request_run`.
    """
    check_anywhere(actor, "runbooks.request")
    raise_retired(procedure)
    prepared = prepare(procedure, actor=actor, params=params, target_names=targets, incident_number=None)
    raise_refusals(prepared.plan.refusals)
    _raise_unless(hash_of(prepared) == agreed_hash)
    with transaction.atomic():
        newest = Procedure.objects.select_for_update().get(pk=procedure.pk)
        raise_retired(newest)
        raise_refusals(limits.exceeded(newest, prepared.definition.rate_limit))
        run = write_run(actor, newest, prepared, about_ref, None, reason, state=RunState.QUEUED)
        if run.grade != Grade.READ:
            run.approval = approvals.derive(
                actor=actor,
                subject=ref(run),
                action=journal.ACTION,
                content_hash=run.content_hash,
                scope=journal.approval_scope(run),
                expires_at=good_until,
                of=consent,
                because=because,
                about=journal.about(run)[1:],
            )
            Run.objects.filter(pk=run.pk).update(approval=run.approval)
        bind(run)
        journal.wake(run.pk)
        tell_requested(actor, run, prepared)
    return run


def end(*, actor: Actor, failed: QuerySet[Run], because: str) -> int:
    """End consent to runs that failed, for what they were part of goes on without them: trying again asks anew.

    Returns how many ended. Must run inside the caller's transaction.
    """
    subjects = [ref(run) for run in failed]
    return approvals.end(actor=actor, rows=Approval.objects.filter(subject__in=subjects), because=because)


def _raise_unless(agreed: bool) -> None:
    if not agreed:
        raise Conflict(
            "run.content_changed",
            _("What would run is not what was agreed on: the procedure, its targets or their facts were altered."),
            remedy=_("Plan it anew and ask for consent again."),
        )
