"""What people do to a change until it is scheduled: make, edit, assess, ask for consent, withdraw."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import change_states, control_reads, covered_runs, quiet
from tongchou.changes.change_content import Bound
from tongchou.changes.control_reads import ACTION, EDIT
from tongchou.changes.draft import Draft, Facts, TaskDraft, checked, invalid, missing
from tongchou.changes.models_control import (
    Change,
    ChangeKind,
    ChangeNumber,
    ChangeResource,
    ChangeState,
    ChangeTask,
    ChangeTemplate,
)
from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, allows, check
from tongchou.core.models import Approval, ApprovalState, Team, User
from tongchou.core.problems import AccessDenied, Conflict
from tongchou.core.refs import is_ref, ref
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import Resource
from tongchou.inventory.reads import may_see
from tongchou.runbooks.models import Procedure

FIELDS = (
    "title",
    "description",
    "environment",
    "starts_at",
    "ends_at",
    "backout",
    "verification",
    "quiet",
    "exclude_slo",
    "because",
)


def create(
    *,
    actor: Actor,
    draft: Draft,
    origin: str = "",
    origin_key: str | None = None,
    bound: Sequence[Bound] = (),
) -> Change:
    """Make a change in state New. Event change.created.

    `origin`: the Ref it is made for. `origin_key`: the same key again returns the change that was made then, so that
    whoever repeats it makes no second one. `bound`: what else consent covers. Raises Invalid naming the field.
    """
    check(actor, EDIT, team=draft.team)
    fields, resources, tasks = _resolved(actor, draft)
    if origin_key is not None and (earlier := Change.objects.filter(origin_key=origin_key).first()) is not None:
        return earlier
    try:
        with transaction.atomic():
            ChangeNumber.objects.get_or_create(pk=1)
            last = ChangeNumber.objects.select_for_update().get(pk=1).last
            number = max(last, Change.objects.aggregate(most=Max("number"))["most"] or 0) + 1
            ChangeNumber.objects.filter(pk=1).update(last=number)
            row = Change.objects.create(
                number=number,
                requested_by_id=actor.user_id,
                requested_by_name=actor.name,
                origin=origin,
                origin_key=origin_key,
                bound=[{"what": each.what, "ref": each.ref, "sha256": each.sha256} for each in bound],
                **fields,
            )
            _write_parts(row, resources, tasks)
            about = [origin] if origin else []
            tell(actor, row, "change.created", {"origin": origin}, about=about)
    except IntegrityError:
        if origin_key is None:
            raise
        return Change.objects.get(origin_key=origin_key)  # two asked at once
    return row


def edit(*, actor: Actor, change: Change, draft: Draft) -> Change:
    """Let a change say something else. Event change.edited with old and new of what differs.

    What was agreed on is agreed on no more when its content differs: it goes back to where consent is asked for, and
    an open request is taken back. Conflict once the work has begun.
    """
    check_edit(actor, change)
    check(actor, EDIT, team=draft.team)
    there = set(change.touched.values_list("resource_id", flat=True))
    fields, resources, tasks = _resolved(actor, draft, there)
    with transaction.atomic():
        row = locked(change)
        if row.state not in change_states.EDITABLE:
            raise wrong_state(row, _("A change is edited until the work begins."))
        if row.kind != fields["kind"] and row.state != ChangeState.NEW:
            raise wrong_state(row, _("The kind of a change is chosen while it is new."))
        before, was = control_reads.content_of(row), {name: getattr(row, name) for name in fields}
        for name, value in fields.items():
            setattr(row, name, value)
        row.save(update_fields=list(fields))
        _write_parts(row, resources, tasks)
        row = _fresh(row)
        after = control_reads.content_of(row)
        old, new = before.as_json(), after.as_json()
        differs = {name: [old[name], new[name]] for name in new if old[name] != new[name]}
        if not differs and all(getattr(row, name) == value for name, value in was.items()):
            return row
        tell(actor, row, "change.edited", {"changed": differs, "content_hash": after.sha256})
        if differs and row.state in (ChangeState.AUTHORIZE, ChangeState.SCHEDULED):
            _take_consent_back(actor, row)
    return row


def bind(*, actor: Actor, change: Change, bound: Sequence[Bound]) -> Change:
    """Bind the content of a change to what it carries out (a plan file); consent given before counts no more."""
    check_edit(actor, change)
    with transaction.atomic():
        row = locked(change)
        if row.state not in change_states.EDITABLE:
            raise wrong_state(row, _("A change is edited until the work begins."))
        new = [{"what": each.what, "ref": each.ref, "sha256": each.sha256} for each in bound]
        if row.bound == new:
            return row
        old, row.bound = row.bound, new
        row.save(update_fields=["bound"])
        tell(actor, row, "change.edited", {"changed": {"bound": [old, new]}})
        if row.state in (ChangeState.AUTHORIZE, ChangeState.SCHEDULED):
            _take_consent_back(actor, row)
    return row


def assess(*, actor: Actor, change: Change) -> Change:
    """Work out risk and collisions; a normal change that is new goes to Assess. Event change.assessed."""
    check_edit(actor, change)
    graph = load_graph()
    with transaction.atomic():
        row = locked(change)
        if row.state not in (ChangeState.NEW, ChangeState.ASSESS):
            raise wrong_state(row, _("Risk and collisions are worked out before consent is asked for."))
        found = control_reads.risk_of(row, graph)
        row.risk, row.risk_reasons = found.level, found.reasons
        row.conflicts = [each.as_json() for each in control_reads.conflicts_of(row, graph)]
        if row.state == ChangeState.NEW and row.kind == ChangeKind.NORMAL:
            row.state = ChangeState.ASSESS
        row.save(update_fields=["risk", "risk_reasons", "conflicts", "state"])
        payload = {"risk": row.risk, "points": found.points, "conflicts": len(row.conflicts)}
        tell(actor, row, "change.assessed", payload)
    return row


def accept_conflicts(*, actor: Actor, change: Change, reason: str) -> Change:
    """Say why it may be done in spite of what it collides with; "" takes that back. Event change.conflicts_accepted.

    It is said of the collisions that were found last; another one has to be accepted, too.
    """
    check_edit(actor, change)
    with transaction.atomic():
        row = locked(change)
        if row.state not in (ChangeState.NEW, ChangeState.ASSESS):
            raise wrong_state(row, _("Risk and collisions are worked out before consent is asked for."))
        row.conflicts_accepted = reason.strip()[:2000]
        known = row.conflicts if row.conflicts_accepted else []
        row.accepted_conflicts = [[each["kind"], each["ref"]] for each in known]
        row.save(update_fields=["conflicts_accepted", "accepted_conflicts"])
        told = {"reason": row.conflicts_accepted, "conflicts": len(row.accepted_conflicts)}
        tell(actor, row, "change.conflicts_accepted", told)
    return row


def lacks(change: Change) -> list[str]:
    """Return what is missing before consent can be asked for, as names of fields."""
    known = control_reads.accepted(change)
    return missing(
        Facts(
            kind=change.kind,
            resources=change.touched.count(),
            has_window=change.starts_at is not None,
            has_backout=bool(change.backout.strip()) or change.backout_procedure_id is not None,
            has_verification=bool(change.verification.strip()),
            answers=change.answers,
            conflicts=sum((each["kind"], each["ref"]) not in known for each in change.conflicts),
        )
    )


def ask(*, actor: Actor, change: Change) -> Change:
    """Ask for consent to exactly what the change says now; a standard change is scheduled at once.

    Risk and collisions are worked out anew, and the runs that this consent shall cover are planned. Of what is
    scheduled and agreed on no more the old consent is taken back first. Conflict naming everything that is missing; a
    window that is over is refused. Events change.asked, or change.scheduled for a standard change.
    """
    check_edit(actor, change)
    _take_back_what_lapsed(actor, change)
    row = assess(actor=actor, change=change)
    planned_for, covered = control_reads.content_of(row).sha256, covered_runs.plan(row, actor)
    with transaction.atomic():
        row = locked(change)
        if row.state not in (ChangeState.NEW, ChangeState.ASSESS):  # planning takes seconds, outside of the lock
            raise wrong_state(row, _("It has moved on while consent was being asked for."))
        if control_reads.content_of(row).sha256 != planned_for:
            raise Conflict(
                "change.edited",
                _("The change was edited while consent was being asked for."),
                remedy=_("Read what it says now, then ask again."),
            )
        lacking = lacks(row)
        if lacking:
            raise Conflict(
                "change.incomplete",
                _("This is missing: %(names)s.") % {"names": ", ".join(lacking)},
                field=lacking[0],
                remedy=_("Fill it in, then ask again."),
                extra={"missing": lacking},
            )
        now = timezone.now()
        if row.ends_at is None or row.ends_at <= now:
            raise invalid("ends_at", row.ends_at, _("The window is over."), _("Choose a later one."))
        row.covered_runs = covered.hashes
        row.asked_hash = control_reads.content_of(row).sha256
        if row.kind == ChangeKind.STANDARD:
            _schedule_standard(actor, row)
        else:
            _ask(actor, row, now, covered)
    return row


def _take_back_what_lapsed(actor: Actor, change: Change) -> None:
    """Of a scheduled change: a procedure was saved anew, or consent ran out."""
    with transaction.atomic():
        row = locked(change)
        if row.state == ChangeState.SCHEDULED and not control_reads.is_agreed(row):
            _take_consent_back(actor, row)


def _ask(actor: Actor, row: Change, now: datetime, covered: covered_runs.Covered) -> None:
    touched = ChangeResource.objects.filter(change=row, resource__owner__isnull=False)
    owners = {*touched.values_list("resource__owner_id", flat=True), *covered.owners}
    row.approval = approvals.request(
        actor=actor,
        subject=ref(row),
        action=ACTION,
        content_hash=row.asked_hash,
        scope={**control_reads.scope_of(row), **control_reads.in_spite_of(row), **covered.shown()},
        reason=f"{row.name} {row.title}"[:2000],
        expires_at=row.ends_at or now,  # consent ends with the window
        about=refs_of(row),
        owners=owners,
        parts=covered.parts,
    )
    row.state = ChangeState.AUTHORIZE
    row.save(update_fields=["approval", "asked_hash", "covered_runs", "state"])
    tell(actor, row, "change.asked", {"content_hash": row.asked_hash, "risk": row.risk})


def _schedule_standard(actor: Actor, row: Change) -> None:
    if row.template is None or not control_reads.template_agreed(row.template):
        raise Conflict(
            "change.template_not_agreed",
            _("The catalogue's entry is not agreed on as it reads now."),
            field="template",
            value=row.template.name if row.template else "",
            remedy=_("Have the entry approved, or make it a normal change."),
        )
    if row.bound:
        raise Conflict(
            "change.template_not_agreed",
            _("The catalogue's entry does not say what this change carries out."),
            field="template",
            value=row.template.name,
            remedy=_("Make it a normal change."),
        )
    if not control_reads.says_its_entry(row, row.template):
        raise Conflict(
            "change.template_changed",
            _("The catalogue's entry says something else than this change by now."),
            field="template",
            value=row.template.name,
            remedy=_("Save the change again: it then says what the entry says."),
        )
    touched = [each.resource for each in row.touched.select_related("resource")]
    _fit_template(row, touched, row.template)
    _raise_unless_owners_agree(actor, touched, row.template)
    row.state = ChangeState.SCHEDULED
    row.save(update_fields=["asked_hash", "covered_runs", "state"])
    tell(actor, row, "change.scheduled", {"content_hash": row.asked_hash, "template": row.template.name})
    quiet.keep(row, timezone.now())


def _raise_unless_owners_agree(actor: Actor, touched: Iterable[Resource], entry: ChangeTemplate) -> None:
    """Of a standard change nobody is asked again, and its window holds alerts of what it touches back."""
    agreed = covered_runs.owners_asked(entry)
    if not all(each.owner_id in agreed or allows(actor, EDIT, team=each.owner_id) for each in touched):
        raise AccessDenied(
            "change.not_the_owner",
            _("It touches what you may not write for, and whose owner has not agreed to the catalogue's entry."),
            field="resources",
            remedy=_("Make it a normal change, or have the owner's team schedule it."),
        )


def decided(*, approval: Approval) -> Change | None:
    """Follow what became of a request: scheduled when approved, else back to where it can be edited. Idempotent.

    A yes to what the change does not say any more schedules nothing. Events change.scheduled, change.refused.
    """
    row = Change.objects.filter(approval=approval).first()
    if row is None or approval.action != ACTION:
        return None
    with transaction.atomic():
        row = locked(row)
        if row.state != ChangeState.AUTHORIZE or row.approval_id != approval.pk:
            return row
        if approval.state == ApprovalState.APPROVED and control_reads.is_agreed(row):
            row.state = ChangeState.SCHEDULED
            row.save(update_fields=["state"])
            told = {"content_hash": row.asked_hash, "by": approval.decided_by_name}
            tell(quiet.KEEPER, row, "change.scheduled", told)
            quiet.keep(row, timezone.now())
        elif approval.state != ApprovalState.PENDING:
            _forget_agreed(row)
            payload = {"how": approval.state, "by": approval.decided_by_name, "comment": approval.comment}
            tell(quiet.KEEPER, row, "change.refused", payload)
    return row


def cancel(*, actor: Actor, change: Change, reason: str) -> Change:
    """Withdraw a change before the work begins. Event change.cancelled."""
    check_edit(actor, change)
    if not reason.strip():
        raise invalid("reason", "", _("A change is withdrawn with a reason."), _("Say why, for who comes next."))
    with transaction.atomic():
        row = locked(change)
        if row.state not in change_states.WITHDRAWABLE:
            raise wrong_state(row, _("A change is withdrawn before the work begins; later it is finished."))
        _drop_request(actor, row)
        row.state, row.cancel_reason, row.closed_at = ChangeState.CANCELLED, reason.strip()[:2000], timezone.now()
        row.save(update_fields=["state", "cancel_reason", "closed_at"])
        tell(actor, row, "change.cancelled", {"reason": row.cancel_reason})
        quiet.keep(row, timezone.now())
    return row


# --- what they share ------------------------------------------------------------------------------------------------


def check_edit(actor: Actor, change: Change) -> None:
    """Raise AccessDenied unless the actor may edit and carry out this change."""
    check(actor, EDIT, team=change.team_id)


def locked(change: Change) -> Change:
    """Return the change as it is, with its row locked until the commit."""
    Change.objects.select_for_update().get(pk=change.pk)
    return _fresh(change)


def _fresh(change: Change) -> Change:
    found = Change.objects.select_related(
        "team", "template", "template__backout_procedure", "approval", "backout_procedure", "assignee"
    )
    return found.prefetch_related("touched").get(pk=change.pk)


def wrong_state(row: Change, detail: Any) -> Conflict:
    """Return the refusal of what cannot be done in this state."""
    return Conflict(
        "change.state",
        detail,
        field="state",
        value=row.state,
        remedy=_("It is in the state %(state)s now.") % {"state": row.get_state_display()},
    )


def refs_of(row: Change) -> list[str]:
    """Return the Refs a change's events are about: what it touches, and what it answers."""
    touched = ChangeResource.objects.filter(change=row).values_list("resource_id", flat=True)
    return [*(f"inventory.resource:{each}" for each in touched), *([row.because] if row.because else [])]


def tell(actor: Actor, row: Change, verb: str, payload: dict[str, Any], *, about: Iterable[str] = ()) -> None:
    """Record an event of a change with what every one of them says."""
    window = {"starts_at": row.starts_at, "ends_at": row.ends_at}
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[*refs_of(row), *about],
        payload={
            "name": row.name,
            "title": row.title,
            "kind": row.kind,
            "state": row.state,
            **{name: each.isoformat() if each else None for name, each in window.items()},
            **payload,
        },
    )


def _take_consent_back(actor: Actor, row: Change) -> None:
    _drop_request(actor, row)
    _forget_agreed(row)
    tell(actor, row, "change.consent_lost", {})
    quiet.keep(row, timezone.now())


def _forget_agreed(row: Change) -> None:
    row.state, row.asked_hash, row.covered_runs = change_states.back_to(row.kind), "", {}
    row.save(update_fields=["state", "asked_hash", "covered_runs"])


def _drop_request(actor: Actor, row: Change) -> None:
    approval = row.approval
    if approval is None or approval.state != ApprovalState.PENDING or approval.expires_at <= timezone.now():
        return
    approvals.cancel(actor=quiet.KEEPER, approval=approval, comment=str(_("The change was edited or withdrawn.")))


def _resolved(
    actor: Actor, draft: Draft, there: Container[UUID] = ()
) -> tuple[dict[str, Any], list[Resource], list[tuple[TaskDraft, Procedure | None]]]:
    """Return the columns, the resources and the tasks of a draft; Invalid naming the first field that will not do.

    `there`: resources that it touches already, which may stay though the actor does not see them.
    """
    template = _template(actor, draft)
    if template is not None:
        draft = replace(
            draft,
            tasks=[TaskDraft(e["title"], e["procedure"], e["params"], tuple(e["targets"])) for e in template.tasks],
            backout=template.backout,
            backout_procedure=template.backout_procedure.name if template.backout_procedure else "",
            verification=template.verification,
        )
    checked(draft)
    resources = _resources(actor, draft, template, there)
    procedures = _procedures(draft)
    if draft.because and not is_ref(draft.because):
        raise invalid("because", draft.because, _("This is no ref (room.noun:id)."), _("As the API returns it."))
    fields = {name: getattr(draft, name) for name in FIELDS} | {
        "kind": draft.kind,
        "title": draft.title.strip(),
        "template": template,
        "team": _team(draft.team),
        "assignee": _person(draft.assignee),
        "backout_procedure": procedures.get(draft.backout_procedure),
        "answers": dict(draft.answers),
    }
    return fields, resources, [(task, procedures.get(task.procedure)) for task in draft.tasks]


def _template(actor: Actor, draft: Draft) -> ChangeTemplate | None:
    if draft.kind != ChangeKind.STANDARD:
        if draft.template:
            raise invalid(
                "template", draft.template, _("Only a standard change is of the catalogue."), _("Choose that kind.")
            )
        return None
    if not draft.template:
        raise invalid("template", "", _("A standard change is one of the catalogue."), _("Choose which."))
    return control_reads.template(actor, draft.template)


def _resources(actor: Actor, draft: Draft, template: ChangeTemplate | None, there: Container[UUID]) -> list[Resource]:
    wanted = list(dict.fromkeys(draft.resources))
    found = {
        each.pk: each
        for each in Resource.objects.filter(pk__in=wanted)
        if each.pk in there or may_see(actor, each.owner_id)
    }
    for number, each in enumerate(wanted):
        if each not in found:
            raise invalid(f"resources[{number}]", str(each), _("There is no such resource."), _("Search for it."))
    if template is not None:
        _fit_template(draft, list(found.values()), template)
    return [found[each] for each in wanted]


def _fit_template(draft: Draft | Change, resources: Sequence[Resource], template: ChangeTemplate) -> None:
    """Raise Invalid when a standard change goes beyond what its entry in the catalogue was agreed on for."""
    odd = next((each for each in resources if template.kinds and each.kind not in template.kinds), None)
    if odd is not None:
        raise invalid(
            "resources", odd.name, _("This standard change is for: %(kinds)s.") % {"kinds": ", ".join(template.kinds)}
        )
    if len(resources) > template.max_resources:
        raise invalid(
            "resources",
            len(resources),
            _("This standard change touches at most %(n)s resources.") % {"n": template.max_resources},
            _("Divide it, or make it a normal change."),
        )
    if draft.starts_at and draft.ends_at and draft.ends_at - draft.starts_at > timedelta(minutes=template.max_minutes):
        raise invalid(
            "ends_at",
            draft.ends_at.isoformat(),
            _("This standard change lasts at most %(n)s minutes.") % {"n": template.max_minutes},
            _("Choose an earlier end, or make it a normal change."),
        )


def _procedures(draft: Draft) -> dict[str, Procedure]:
    wanted = {"backout_procedure": draft.backout_procedure} | {
        f"tasks[{number}].procedure": each.procedure for number, each in enumerate(draft.tasks)
    }
    names = {each for each in wanted.values() if each}
    found = {each.name: each for each in Procedure.objects.filter(name__in=names, state="active")}
    for field, name in wanted.items():
        if name and name not in found:
            raise invalid(field, name, _("There is no such procedure in use."), _("Save it first, or leave it out."))
    return found


def _team(team: UUID | None) -> Team | None:
    if team is None:
        return None
    found = Team.objects.filter(pk=team).first()
    if found is None:
        raise invalid("team", str(team), _("There is no such team."))
    return found


def _person(username: str) -> User | None:
    if not username:
        return None
    found = User.objects.filter(username=username, is_active=True, is_service=False).first()
    if found is None:
        raise invalid("assignee", username, _("There is nobody of this name who can sign in."))
    return found


def _write_parts(
    row: Change, resources: Sequence[Resource], tasks: Sequence[tuple[TaskDraft, Procedure | None]]
) -> None:
    ChangeResource.objects.filter(change=row).delete()
    ChangeResource.objects.bulk_create(ChangeResource(change=row, resource=each) for each in resources)
    ChangeTask.objects.filter(change=row).delete()
    ChangeTask.objects.bulk_create(
        ChangeTask(
            change=row,
            position=number,
            title=task.title.strip(),
            procedure=procedure,
            params=dict(task.params),
            targets=list(task.targets),
        )
        for number, (task, procedure) in enumerate(tasks, start=1)
    )
