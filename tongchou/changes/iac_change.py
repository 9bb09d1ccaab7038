"""Plans that a change carries out: the change is bound to the plan file, and says when it may be applied."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.changes import control, control_reads, iac_journal
from tongchou.changes.change_content import Bound
from tongchou.changes.draft import MAX_RESOURCES, Draft
from tongchou.changes.models_control import Change, ChangeState
from tongchou.changes.models_iac import Plan, PlanKind, PlanState
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict
from tongchou.core.refs import ref

EDIT = "changes.edit"


def make_change(*, actor: Actor, plan: Plan) -> Change:
    """Make the change that carries a plan out, bound to its file; asked again, the same one. Event change.created."""
    check(actor, EDIT, team=plan.workspace.owner_id)
    if plan.change is not None:
        return plan.change
    if plan.state != PlanState.READY:
        raise Conflict(
            "plan.state",
            _("Only a plan that can be applied becomes a change: %(state)s.") % {"state": plan.get_state_display()},
            remedy=_("Make a new plan."),
        )
    titles = {
        PlanKind.PLAN.value: _("Apply plan %(name)s"),
        PlanKind.DRIFT.value: _("Adopt the drift of %(name)s"),
        PlanKind.DESTROY.value: _("Destroy what %(name)s names"),
    }
    counts = ", ".join(f"{key}: {count}" for key, count in plan.counts.items() if count)
    altered = iac_journal.resources_of(plan.lineage, iac_journal.addresses_of(plan))
    draft = Draft(
        title=titles[plan.kind] % {"name": plan.name},
        description="\n".join(part for part in (plan.reason, counts) if part),
        team=plan.workspace.owner_id,
        resources=sorted(altered.values())[:MAX_RESOURCES],
        verification=_("A new plan shows no changes."),
    )
    own = ref(plan)
    with transaction.atomic():
        bound = [Bound("plan", own, plan.sha256)]
        change = control.create(actor=actor, draft=draft, origin=own, origin_key=own, bound=bound)
        Plan.objects.filter(pk=plan.pk).update(change=change)
    plan.refresh_from_db()
    return change


def check_change(plan: Plan) -> None:
    """Raise Conflict unless the change of a plan, if it has one, is being implemented in its window as agreed."""
    change = plan.change
    if change is None:
        return
    now, why = timezone.now(), ""
    if change.state != ChangeState.IMPLEMENT:
        why = _("it is not being implemented")
    elif change.starts_at is None or change.ends_at is None or not change.starts_at <= now < change.ends_at:
        why = _("it is outside of its window")
    elif not any(each.get("ref") == ref(plan) and each.get("sha256") == plan.sha256 for each in change.bound):
        why = _("it is bound to another plan")
    elif not change.broke_glass and not control_reads.is_agreed(change):
        why = _("what it says now is not what was agreed on")
    if why:
        says = _("The change CHG-%(number)s of this plan does not let it be applied: %(why)s.")
        raise Conflict(
            "plan.change",
            says % {"number": change.number, "why": why},
            remedy=_("Begin the work on the change in its window."),
        )
