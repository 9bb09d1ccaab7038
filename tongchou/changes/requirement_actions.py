"""Every write about requirements: drafts, their review, acceptance by others, and their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import chosen_changes, requirement_draft, stated
from tongchou.changes import requirement_reads as reads
from tongchou.changes.models_release import Release
from tongchou.changes.models_requirements import (
    OPEN_TO_EDIT,
    Decision,
    DesignNumber,
    Participant,
    Requirement,
    RequirementState,
    Scorecard,
)
from tongchou.changes.requirement_draft import Draft, good, unseen
from tongchou.changes.run_time_settings import REVIEW_CHECKLIST
from tongchou.core import approvals, ledger, settings_store
from tongchou.core.access import Actor, check, check_own, system
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState, Event, Team, User
from tongchou.core.problems import AccessDenied, Conflict, Text
from tongchou.core.refs import ref
from tongchou.inventory import reads as inventory
from tongchou.inventory.models import Resource

EDIT = "changes.edit"
ACTION = declare("changes.accept_requirement", _("Accept a requirement"))
CONSENT_FOR = timedelta(days=14)
MAX_PARTICIPANTS = 50
State = RequirementState
PLAIN = tuple(name for name in Draft.__dataclass_fields__ if name not in ("owner", "owner_team", "services"))


def add(*, actor: Actor, draft: Draft) -> Requirement:
    """Write a new requirement down, as a draft. Event requirement.added."""
    draft = good(draft)
    check(actor, EDIT, team=draft.owner_team)
    with transaction.atomic():
        owner, team, services = _links(actor, draft, kept=())
        row = Requirement.objects.create(
            number=next_number(Requirement),
            owner=owner,
            owner_team=team,
            created_by_name=actor.name,
            **{name: getattr(draft, name) for name in PLAIN},
        )
        row.services.set(services)
        tell(actor, row, "requirement.added", {})
    return row


def change(*, actor: Actor, requirement: Requirement, version: int, draft: Draft) -> Requirement:
    """Write it anew; `version` is the one that was read. Event requirement.changed names what differs.

    What others accepted is bound to its content: another content goes back to review, and a request that waits is
    taken back. Whose it is may change without that. Conflict for a decided or ended one.
    """
    draft = good(draft)
    check(actor, EDIT, team=requirement.owner_team_id)
    check(actor, EDIT, team=draft.owner_team)
    with transaction.atomic():
        row = locked(requirement)
        same_version(row, version)
        if row.state not in OPEN_TO_EDIT:
            raise wrong_state(row, _("What was decided, or is over, is not edited."), _("Take it up again first."))
        before = reads.draft_of(row)
        changed = sorted(name for name in Draft.__dataclass_fields__ if getattr(before, name) != getattr(draft, name))
        if not changed:
            return row
        owner, team, services = _links(actor, draft, kept=before.services)
        fields: dict[str, Any] = {name: getattr(draft, name) for name in PLAIN}
        told: dict[str, Any] = {"changes": {name: _short(getattr(before, name)) for name in changed}}
        if set(changed) - {"owner", "owner_team"}:
            fields |= _unaccepted(row, told)
        Requirement.objects.filter(pk=row.pk).update(**fields, owner=owner, owner_team=team, version=F("version") + 1)
        row.services.set(services)
        tell(actor, row, "requirement.changed", told)
        if told.get("acceptance_lost"):
            tell(actor, row, "requirement.returned", {"reason": "edited"})
    requirement.refresh_from_db()
    return requirement


def _unaccepted(row: Requirement, told: dict[str, Any]) -> dict[str, Any]:
    """What is written besides when the content of one in review or accepted becomes another."""
    withdraw_request(row)
    told["acceptance_lost"] = row.state == State.ACCEPTED
    fields: dict[str, Any] = {"approval": None, "accepted_hash": "", "accepted_at": None, "accepted_by_name": ""}
    return fields | ({"state": State.IN_REVIEW} if row.state == State.ACCEPTED else {})


def remove(*, actor: Actor, requirement: Requirement) -> None:
    """Take back a draft that nobody reviewed. Event requirement.removed keeps what it was."""
    check(actor, EDIT, team=requirement.owner_team_id)
    with transaction.atomic():
        row = locked(requirement)
        if row.state != State.DRAFT or row.checklist:
            raise wrong_state(row, _("Only a draft that was never reviewed is removed."), _("Withdraw it instead."))
        tell(actor, row, "requirement.removed", {"was": {name: _short(getattr(row, name)) for name in PLAIN}})
        Requirement.objects.filter(pk=row.pk).delete()


# --- review ---------------------------------------------------------------------------------------------------------


def submit(*, actor: Actor, requirement: Requirement) -> Requirement:
    """Begin the review with the questions of the setting. Event requirement.submitted."""
    check(actor, EDIT, team=requirement.owner_team_id)
    template = [str(each).strip() for each in settings_store.get(REVIEW_CHECKLIST)]
    with transaction.atomic():
        row = locked(requirement)
        if row.state != State.DRAFT:
            raise wrong_state(row, _("Only a draft goes to review."), "")
        stated.text(row.need, "need", wanted=True)
        move(row, State.IN_REVIEW, checklist=requirement_draft.begun(template, row.checklist))
        tell(actor, row, "requirement.submitted", {})
    requirement.refresh_from_db()
    return requirement


def answer(*, actor: Actor, requirement: Requirement, answers: Sequence[dict[str, Any]]) -> Requirement:
    """Answer the questions of the review, in their order, about the content of now. Event requirement.answered."""
    check(actor, EDIT, team=requirement.owner_team_id)
    with transaction.atomic():
        row = locked(requirement)
        if row.state != State.IN_REVIEW:
            raise wrong_state(row, _("Questions are answered during the review."), "")
        if len(answers) != len(row.checklist):
            raise stated.refuse(
                "answers", len(answers), _("There are %(n)s questions.") % {"n": len(row.checklist)}, _("Answer each.")
            )
        now, at = reads.content_hash(row), timezone.now().isoformat()
        items = [
            requirement_draft.answer(item, given, f"answers[{n}]", by=actor.name, at=at, now=now)
            for n, (item, given) in enumerate(zip(row.checklist, answers, strict=True))
        ]
        Requirement.objects.filter(pk=row.pk).update(checklist=items, version=F("version") + 1)
        left = sum(not requirement_draft.answered(each, now) for each in items)
        tell(actor, row, "requirement.answered", {"left": left})
    requirement.refresh_from_db()
    return requirement


def ask(*, actor: Actor, requirement: Requirement, users: Iterable[User]) -> list[Participant]:
    """Ask people for their opinion; who was asked already stays so. Event requirement.participant_asked for each."""
    check(actor, EDIT, team=requirement.owner_team_id)
    with transaction.atomic():
        row = locked(requirement)
        if row.state not in OPEN_TO_EDIT:
            raise wrong_state(row, _("People are asked before it is decided."), "")
        for user in users:
            if not user.is_active or user.is_service:
                raise stated.refuse("users", user.username, _("This is no person who can sign in."))
            _participant, new = Participant.objects.get_or_create(
                requirement=row, user=user, defaults={"asked_by_name": actor.name}
            )
            if new:
                facts = {"user": user.username, "user_id": str(user.pk)}
                tell(actor, row, "requirement.participant_asked", facts, about=[ref(user)])
        if row.participants.count() > MAX_PARTICIPANTS:
            raise stated.refuse("users", None, _("At most %(most)s.") % {"most": MAX_PARTICIPANTS})
    return list(reads.participants(row))


def say(*, actor: Actor, requirement: Requirement, answer: str, comment: str = "") -> Participant:
    """Say what one thinks of it, as one who was asked. Event requirement.participant_said."""
    check_own(actor, EDIT)
    comment = stated.text(comment, "comment", most=4000)
    if answer not in ("yes", "no", "comment"):
        raise stated.refuse("answer", answer, _("One of: %(words)s.") % {"words": "yes, no, comment"})
    if answer != "yes" and not comment:
        raise stated.refuse("comment", "", _("A no or a comment says something."), _("Write why."))
    with transaction.atomic():
        row = locked(requirement)
        mine = Participant.objects.filter(requirement=row, user_id=actor.user_id).first() if actor.user_id else None
        if mine is None:
            raise AccessDenied(
                "requirement.not_asked", _("You were not asked about this requirement."), remedy=_("Write a comment.")
            )
        if row.state not in OPEN_TO_EDIT:
            raise wrong_state(row, _("The review is over."), _("Write a comment."))
        Participant.objects.filter(pk=mine.pk).update(
            answer=answer, comment=comment, said_at=timezone.now(), about_hash=reads.content_hash(row)
        )
        tell(actor, row, "requirement.participant_said", {"answer": answer, "comment": comment[:500]})
    mine.refresh_from_db()
    return mine


def request_acceptance(*, actor: Actor, requirement: Requirement) -> Requirement:
    """Ask that it be accepted, as it is now: by whom the policies of ACTION say. Event requirement.acceptance_asked.

    Every question is answered about exactly this content first. Repeated, it is the same request.
    """
    check(actor, EDIT, team=requirement.owner_team_id)
    with transaction.atomic():
        row = locked(requirement)
        if row.state != State.IN_REVIEW:
            raise wrong_state(row, _("Only what is in review can be accepted."), "")
        if row.approval is not None and row.approval.state == ApprovalState.PENDING:
            return row
        now = reads.content_hash(row)
        left = [each["text"] for each in row.checklist if not requirement_draft.answered(each, now)]
        if left:
            raise Conflict(
                "requirement.unanswered",
                _("%(n)s questions of the review are not answered about this content.") % {"n": len(left)},
                field="checklist",
                remedy=_("Answer them: what was answered before the last edit is confirmed by saving it again."),
                extra={"questions": left},
            )
        noes = [each["text"] for each in row.checklist if each["answer"] == "no"]
        approval = approvals.request(
            actor=actor,
            subject=ref(row),
            action=ACTION,
            content_hash=now,
            scope=_scope(row),
            reason="\n".join([f"{row.name} {row.title}", *(f"- no: {each}" for each in noes)]),
            expires_at=timezone.now() + CONSENT_FOR,
            about=[f"inventory.resource:{each}" for each in row.services.values_list("pk", flat=True)],
            owners=[row.owner_team_id] if row.owner_team_id else [],
        )
        Requirement.objects.filter(pk=row.pk).update(approval=approval, version=F("version") + 1)
        tell(actor, row, "requirement.acceptance_asked", {}, about=[ref(approval)])
    requirement.refresh_from_db()
    return requirement


def _scope(row: Requirement) -> dict[str, Any]:
    """What policies may ask about."""
    budget = f"{stated.plain(row.budget)} {row.currency}" if row.budget is not None else ""
    said = {"requirement": row.name, "title": row.title, "budget": budget, "data_class": row.data_class}
    return {**said, "mlps_level": str(row.mlps_level or "")}


def acceptance_decided(*, approval: Approval) -> Requirement | None:
    """Follow a decision: approved accepts it, rejected rejects it, expired or taken back leaves it in review.

    Idempotent: only a requirement that waits for exactly this approval moves; approved, only while it still is what
    was approved. Events requirement.accepted, requirement.rejected, requirement.returned.
    """
    actor = Actor(kind="system", name=approval.decided_by_name or "approvals", user_id=approval.decided_by_id)
    with transaction.atomic():
        rows = Requirement.objects.select_for_update(of=("self",)).filter(approval=approval, state=State.IN_REVIEW)
        row = rows.first()
        if row is None or approval.state == ApprovalState.PENDING:
            return None
        about, comment = [ref(approval)], {"comment": approval.comment[:500]}
        if approval.state == ApprovalState.APPROVED and approval.content_hash == reads.content_hash(row):
            move(
                row,
                State.ACCEPTED,
                accepted_hash=approval.content_hash,
                accepted_at=timezone.now(),
                accepted_by_name=approval.decided_by_name,
            )
            tell(actor, row, "requirement.accepted", comment, about=about)
        elif approval.state == ApprovalState.REJECTED:
            move(row, State.REJECTED, approval=None, ended_note=approval.comment)
            tell(actor, row, "requirement.rejected", comment, about=about)
        else:
            move(row, State.IN_REVIEW, approval=None)
            tell(actor, row, "requirement.returned", {"reason": approval.state}, about=about)
    row.refresh_from_db()
    return row


# --- its end --------------------------------------------------------------------------------------------------------


def withdraw(*, actor: Actor, requirement: Requirement, note: str) -> Requirement:
    """Say that it is not wanted any more. Event requirement.withdrawn."""
    return _end(actor, requirement, OPEN_TO_EDIT, State.WITHDRAWN, "requirement.withdrawn", note)


def finish(*, actor: Actor, requirement: Requirement, note: str) -> Requirement:
    """Say that what was decided is done. Event requirement.done. Conflict while a change made for it is under way."""
    under_way = chosen_changes.open_ones(list(requirement.options.all()))
    if under_way and requirement.state == State.DECIDED:
        check(actor, EDIT, team=requirement.owner_team_id)
        raise Conflict(
            "requirement.under_way",
            _("Changes made for it are not ended: %(names)s.") % {"names": ", ".join(under_way[:10])},
            field="state",
            value=requirement.state,
            remedy=_("Close them, or cancel those that are not wanted."),
        )
    return _end(actor, requirement, (State.DECIDED,), State.DONE, "requirement.done", note)


def reopen(*, actor: Actor, requirement: Requirement, note: str) -> Requirement:
    """Take up again what was rejected, withdrawn, decided or done: as a draft, to be reviewed and accepted anew.

    A decision that was made stays until another one supersedes it. Event requirement.reopened.
    """
    ended = (State.REJECTED, State.WITHDRAWN, State.DECIDED, State.DONE)
    return _end(actor, requirement, ended, State.DRAFT, "requirement.reopened", note)


def _end(
    actor: Actor, requirement: Requirement, allowed: Sequence[State], state: State, verb: str, note: str
) -> Requirement:
    check(actor, EDIT, team=requirement.owner_team_id)
    note = stated.text(note, "note", most=4000, wanted=True)
    with transaction.atomic():
        row = locked(requirement)
        if row.state not in allowed:
            raise wrong_state(row, _("Its state does not allow this now."), "")
        withdraw_request(row)
        fields: dict[str, Any] = {"approval": None, "ended_note": note}
        if state == State.DRAFT:
            fields |= {"accepted_hash": "", "accepted_at": None, "accepted_by_name": "", "ended_note": ""}
        move(row, state, **fields)
        tell(actor, row, verb, {"note": note[:500]})
    requirement.refresh_from_db()
    return requirement


# --- shared with options and decisions ------------------------------------------------------------------------------


def next_number(sort: type[Requirement] | type[Decision] | type[Scorecard] | type[Release]) -> int:
    """Give the next number of a sort of thing, above all there are; inside the caller's transaction."""
    name = sort.__name__.lower()
    DesignNumber.objects.get_or_create(name=name)
    last = DesignNumber.objects.select_for_update().get(name=name).last
    number = max(last, sort.objects.aggregate(most=Max("number"))["most"] or 0) + 1
    DesignNumber.objects.filter(name=name).update(last=number)
    return number


def locked(requirement: Requirement) -> Requirement:
    """The row as it is now, locked."""
    rows = Requirement.objects.select_for_update(of=("self",)).select_related("approval", "owner_team")
    return rows.get(pk=requirement.pk)


def same_version(row: Any, version: int) -> None:
    """Raise Conflict when somebody wrote since `version` was read."""
    if row.version != version:
        raise Conflict(
            "design.version",
            _("Somebody else changed it meanwhile."),
            field="version",
            value=version,
            remedy=_("Load it again, and put your change on top."),
            extra={"version": row.version},
        )


def wrong_state(row: Any, detail: Text, remedy: Text) -> Conflict:
    """The refusal of what its state does not allow."""
    state = getattr(row, "state", None) or row.status
    return Conflict(
        "design.state",
        detail,
        field="state",
        value=state,
        remedy=remedy or _("Load it again: its state has changed."),
        extra={"state": state},
    )


def withdraw_request(row: Requirement) -> None:
    """Under the row's lock: nobody is asked to accept it any more."""
    if row.approval is not None and row.approval.state == ApprovalState.PENDING:
        approvals.cancel(actor=system("requirements"), approval=row.approval, comment="")


def move(row: Requirement, state: State, **fields: Any) -> None:
    """Guarded: a row that is no longer in the state that was read is not moved."""
    if not Requirement.objects.filter(pk=row.pk, state=row.state).update(
        state=state, version=F("version") + 1, **fields
    ):
        raise wrong_state(row, _("Somebody else was faster."), "")


def tell(
    actor: Actor,
    row: Requirement,
    verb: str,
    payload: dict[str, Any],
    *,
    about: Sequence[str] = (),
    key: str | None = None,
) -> Event:
    """Record an event about a requirement and its services; in the transaction."""
    services = [f"inventory.resource:{each}" for each in row.services.values_list("pk", flat=True)]
    return ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[*about, *services],
        payload={"name": row.name, "title": row.title, **payload},
        dedupe_key=key,
    )


def _links(actor: Actor, draft: Draft, *, kept: Iterable[Any]) -> tuple[User | None, Team | None, list[Resource]]:
    """The nouns a draft points at; Invalid for one that is not there, or (but `kept`) that the actor may not see."""
    owner = User.objects.filter(pk=draft.owner, is_active=True).first() if draft.owner else None
    team = Team.objects.filter(pk=draft.owner_team).first() if draft.owner_team else None
    found = list(inventory.visible(actor).filter(pk__in=draft.services))
    stay = set(kept) & set(draft.services) - {each.pk for each in found}
    found += list(Resource.objects.filter(pk__in=stay))
    missing = {"owner": draft.owner and owner is None, "owner_team": draft.owner_team and team is None}
    missing["services"] = len(found) != len(draft.services)
    for name, lacks in missing.items():
        if lacks:
            raise unseen(name, getattr(draft, name))
    return owner, team, found


def _short(value: Any) -> str:
    return str(value if value is not None else "")[:500]
