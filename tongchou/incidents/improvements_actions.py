"""Every write about improvements that people cause. What looks at checks is `improvements_proving`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, allows, system
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState, Event, Team, User
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.incidents import improvements_proof as proofs
from tongchou.incidents.actions import check_respond
from tongchou.incidents.improvements_draft import Draft, consent_hash, refuse_unless_good
from tongchou.incidents.models import (
    ENDED,
    Cause,
    CheckSpan,
    Improvement,
    ImprovementState,
    Numbering,
    Postmortem,
)
from tongchou.inventory import reads as inventory_reads
from tongchou.inventory.models import Resource

ACTION = declare("incidents.close_improvement", _("Close an improvement without a check"))
CONSENT_FOR = timedelta(days=14)
NUMBERING = 2  # the row of Numbering that counts improvements
MAX_IMPROVEMENTS = 100
MAX_COMMENT = 2000
FIELDS = (
    "title",
    "kind",
    "due_on",
    "priority",
    "details",
    "check_query",
    "check_is",
    "green_days",
    "interval_seconds",
    "no_check_reason",
)


def add(*, actor: Actor, postmortem: Postmortem, draft: Draft) -> Improvement:
    """Add an improvement to a postmortem in any state. Event improvement.added."""
    check_respond(actor, postmortem.incident)
    draft = _clean(draft)
    refuse_unless_good(draft)
    if draft.check_query:
        refuse_unless_reader(actor)
    links = _links(actor, postmortem, draft)
    with transaction.atomic():
        Numbering.objects.get_or_create(pk=NUMBERING)
        number = Numbering.objects.select_for_update().get(pk=NUMBERING).last + 1
        Numbering.objects.filter(pk=NUMBERING).update(last=number)
        if Improvement.objects.filter(postmortem=postmortem).count() >= MAX_IMPROVEMENTS:
            raise Conflict(
                "improvement.many", _("There are %(most)s improvements already.") % {"most": MAX_IMPROVEMENTS}
            )
        row = Improvement.objects.create(
            number=number,
            postmortem=postmortem,
            checked_until=_now_on_grid(draft.interval_seconds),
            created_by_name=actor.name,
            **links,
            **{name: getattr(draft, name) for name in FIELDS},
        )
        tell(actor, row, "improvement.added", {"due_on": row.due_on.isoformat(), "owner": _owner_name(row)})
    return row


def draft_of(row: Improvement) -> Draft:
    """The improvement in the form in which it is changed."""
    return Draft(
        **{name: getattr(row, name) for name in FIELDS},
        owner=row.owner_id,
        owner_team=row.owner_team_id,
        cause=row.cause_id,
        resource=row.resource_id,
    )


def change(*, actor: Actor, improvement: Improvement, version: int, draft: Draft) -> Improvement:
    """Write it anew; `version` is the one that was read. Event improvement.changed names what differs.

    A resource or a query that stays may be one the actor may not see; another one may not. Another check begins the
    count of green days anew, and what it saw before is forgotten. A check that was looked at can be replaced, never
    removed. Conflict for a done one, and when somebody wrote in between.
    """
    check_respond(actor, improvement.postmortem.incident)
    draft = _clean(draft)
    refuse_unless_good(draft)
    links = _links(actor, improvement.postmortem, draft, kept=improvement.resource_id)
    with transaction.atomic():
        row = locked(improvement)
        if row.version != version:
            raise _version_conflict(row, version)
        if row.state in ENDED:
            raise wrong_state(row, _("It is over already."), _("Reopen it to change it."))
        if row.has_check and not draft.check_query and CheckSpan.objects.filter(improvement=row).exists():
            raise Conflict(
                "improvement.check_kept",
                _("A check that was looked at can be replaced, not removed."),
                field="check_query",
                remedy=_("Write a better query."),
            )
        before = draft_of(row)
        changed = sorted(name for name in Draft.__slots__ if getattr(before, name) != getattr(draft, name))
        if not changed:
            return row
        if draft.check_query and draft.check != before.check:
            refuse_unless_reader(actor)
        fields: dict[str, Any] = {**links, **{name: getattr(draft, name) for name in FIELDS}}
        fields |= _begun_anew(row, before, draft)
        Improvement.objects.filter(pk=row.pk).update(**fields, version=F("version") + 1)
        told = {name: [str(getattr(before, name) or ""), str(getattr(draft, name) or "")] for name in changed}
        tell(actor, row, "improvement.changed", {"changes": told})
    improvement.refresh_from_db()
    return improvement


def _begun_anew(row: Improvement, before: Draft, draft: Draft) -> dict[str, Any]:
    """What else is written when the check, or what a second person was asked to consent to, is another."""
    fields: dict[str, Any] = {}
    if before.check != draft.check:
        CheckSpan.objects.filter(improvement=row).delete()
        fields |= {"checked_until": _now_on_grid(draft.interval_seconds), "check_problem": "", "green_left": None}
        if row.state == ImprovementState.PROVING:
            if draft.check_query:
                fields |= {"proving_since": timezone.now(), "green_left": draft.green_days}
            else:
                fields |= {"state": ImprovementState.IN_PROGRESS, "proving_since": None}
    asked = (before.title, before.details, before.no_check_reason, bool(before.check_query))
    wanted = (draft.title, draft.details, draft.no_check_reason, bool(draft.check_query))
    if row.approval_id is not None and asked != wanted:
        withdraw(row)
        fields |= {"approval": None, "drop_reason": ""}
        if row.state == ImprovementState.PROVING and not draft.check_query:
            fields |= {"state": ImprovementState.IN_PROGRESS, "proving_since": None}
    return fields


def withdraw(row: Improvement) -> None:
    """Under the row's lock: nobody is asked to agree to anything any more."""
    approval = row.approval
    if approval is not None and approval.state == ApprovalState.PENDING:
        approvals.cancel(actor=system("improvements"), approval=approval, comment="")


def remove(*, actor: Actor, improvement: Improvement) -> None:
    """Take back one that nobody began. Event improvement.removed keeps what it was."""
    check_respond(actor, improvement.postmortem.incident)
    with transaction.atomic():
        row = locked(improvement)
        if row.state != ImprovementState.OPEN or row.reopened_count:
            raise wrong_state(row, _("Only an open one that was never done can be removed."), "")
        told = {name: str(getattr(row, name)) for name in FIELDS}
        tell(actor, row, "improvement.removed", {"was": told})
        Improvement.objects.filter(pk=row.pk).delete()


def begin(*, actor: Actor, improvement: Improvement) -> Improvement:
    """Work on it begins. Event improvement.begun."""
    check_respond(actor, improvement.postmortem.incident)
    with transaction.atomic():
        row = locked(improvement)
        if row.state != ImprovementState.OPEN:
            raise wrong_state(row, _("Only an open improvement can be begun."), "")
        move(row, ImprovementState.IN_PROGRESS)
        tell(actor, row, "improvement.begun", {})
    improvement.refresh_from_db()
    return improvement


def finish_work(*, actor: Actor, improvement: Improvement) -> Improvement:
    """The work is done; now it has to be proven. Event improvement.proving.

    With a check its green days count from now on. Without one, another person is asked to consent to the closing
    (core.approvals, action ACTION).
    """
    check_respond(actor, improvement.postmortem.incident)
    now = timezone.now()
    with transaction.atomic():
        row = locked(improvement)
        if row.state not in (ImprovementState.OPEN, ImprovementState.IN_PROGRESS):
            raise wrong_state(row, _("The work on it is done already."), "")
        if row.has_check:
            move(row, ImprovementState.PROVING, proving_since=now, green_left=row.green_days)
            tell(actor, row, "improvement.proving", {"days": row.green_days})
        else:
            withdraw(row)  # who finished it no longer asks that it be dropped
            approval = _ask(actor, row, now)
            move(row, ImprovementState.PROVING, proving_since=now, approval=approval, drop_reason="")
            tell(actor, row, "improvement.proving", {"reason": row.no_check_reason[:500]}, about=[ref(approval)])
    improvement.refresh_from_db()
    return improvement


def _ask(actor: Actor, row: Improvement, now: datetime) -> Approval:
    return approvals.request(
        actor=actor,
        subject=ref(row),
        action=ACTION,
        content_hash=_consent(row),
        scope={"improvement": row.name, "title": row.title, "incident": row.postmortem.incident.name},
        reason=row.no_check_reason,
        expires_at=now + CONSENT_FOR,
        about=[ref(row.postmortem), ref(row.postmortem.incident)],
    )


def _consent(row: Improvement) -> str:
    return consent_hash(number=row.number, title=row.title, details=row.details, reason=row.no_check_reason)


def consent_decided(*, approval: Approval) -> Improvement | None:
    """Follow a decision about closing without a check: approved closes it, anything else returns it to work.

    Idempotent: only an improvement that waits for exactly this approval and still is what was consented to moves.
    Events improvement.done or improvement.consent_refused.
    """
    actor = Actor(kind="system", name=approval.decided_by_name or "approvals", user_id=approval.decided_by_id)
    with transaction.atomic():
        rows = Improvement.objects.select_for_update(of=("self",)).select_related("postmortem__incident")
        row = rows.filter(approval=approval, state=ImprovementState.PROVING).first()
        if row is None or row.has_check or approval.state == ApprovalState.PENDING:
            return None
        if approval.state == ApprovalState.APPROVED and approval.content_hash == _consent(row):
            close_proven(actor, row, timezone.now(), {"approval": str(approval.pk)}, about=[ref(approval)])
        else:
            move(row, ImprovementState.IN_PROGRESS, proving_since=None, approval=None)
            tell(actor, row, "improvement.consent_refused", {"comment": approval.comment[:500]}, about=[ref(approval)])
    row.refresh_from_db()
    return row


def close_proven(
    actor: Actor, row: Improvement, now: datetime, proof: dict[str, Any], *, about: list[str] | None = None
) -> None:
    """Write that it is done, under the row's lock; the caller has established the proof. Event improvement.done."""
    withdraw(row)
    move(
        row,
        ImprovementState.DONE,
        drop_reason="",
        done_at=now,
        done_by_name=actor.name,
        green_left=0 if row.has_check else None,
    )
    tell(actor, row, "improvement.done", proof, about=about)


def reopen(*, actor: Actor, improvement: Improvement, comment: str) -> Improvement:
    """A person says that it is not done after all, or shall be done after all. Event improvement.reopened."""
    check_respond(actor, improvement.postmortem.incident)
    comment = comment.strip()
    if not comment or len(comment) > MAX_COMMENT:
        raise Invalid(
            "improvement.comment",
            _("Say why, in 1 to %(most)s characters.") % {"most": MAX_COMMENT},
            field="comment",
        )
    with transaction.atomic():
        row = locked(improvement)
        if row.state not in (*ENDED, ImprovementState.PROVING):
            raise wrong_state(row, _("Only one that is done, dropped or being proven can be re-opened."), "")
        back_to_open(row, timezone.now())
        tell(actor, row, "improvement.reopened", {"comment": comment, "before": row.state})
    improvement.refresh_from_db()
    return improvement


def back_to_open(row: Improvement, now: datetime, **fields: Any) -> None:
    """Under the row's lock: open again, proof and consent gone."""
    withdraw(row)
    was_done = row.state != ImprovementState.DROPPED  # or believed so; only that counts as having come back
    move(
        row,
        ImprovementState.OPEN,
        proving_since=None,
        done_at=None,
        done_by_name="",
        approval=None,
        green_left=None,
        drop_reason="",
        reopened_at=now,
        reopened_count=F("reopened_count") + (1 if was_done else 0),
        reminded_at=None,
        checked_until=_now_on_grid(row.interval_seconds),
        **fields,
    )


# --- shared by the above --------------------------------------------------------------------------------------------


def locked(improvement: Improvement) -> Improvement:
    """The row as it is now, locked."""
    rows = Improvement.objects.select_for_update(of=("self",))
    return rows.select_related("postmortem__incident", "owner", "owner_team", "approval").get(pk=improvement.pk)


def wrong_state(row: Improvement, detail: Any, remedy: Any) -> Conflict:
    """The refusal of a move that its state does not allow."""
    return Conflict(
        "improvement.state",
        detail,
        field="state",
        value=row.state,
        remedy=remedy or _("Load it again: its state has changed."),
        extra={"state": row.state, "version": row.version},
    )


def move(row: Improvement, state: ImprovementState, **fields: Any) -> None:
    """Guarded: a row that is no longer in the state that was read is not moved."""
    moved = Improvement.objects.filter(pk=row.pk, state=row.state).update(
        state=state, version=F("version") + 1, **fields
    )
    if not moved:
        raise wrong_state(row, _("Somebody else was faster."), "")


def tell(
    actor: Actor,
    row: Improvement,
    verb: str,
    payload: dict[str, Any],
    *,
    about: list[str] | None = None,
    dedupe_key: str | None = None,
) -> Event:
    """Record an event about an improvement, its postmortem, incident, owner and resource; in the transaction."""
    refs = [ref(row.postmortem), ref(row.postmortem.incident)]
    refs += [f"inventory.resource:{row.resource_id}"] if row.resource_id else []
    return ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[*refs, *(about or [])],
        payload={"name": row.name, "title": row.title, "incident": row.postmortem.incident.name, **payload},
        dedupe_key=dedupe_key,
    )


def refuse_unless_reader(actor: Actor) -> None:
    """Raise AccessDenied unless the actor may write a check: it reads any series, and its days show what it read."""
    if not allows(actor, "telemetry.view"):
        raise AccessDenied(
            "improvement.check_denied",
            _("A check reads metrics, which belong to no team: your role in a team does not open them."),
            field="check_query",
            remedy=_("Ask somebody with the role viewer or more for the whole installation to write the check."),
        )


def _links(actor: Actor, postmortem: Postmortem, draft: Draft, *, kept: UUID | None = None) -> dict[str, Any]:
    """The nouns a draft points at; Invalid for one that is not there, or (but `kept`) that the actor may not see."""
    seen = Resource.objects.all() if draft.resource == kept else inventory_reads.visible(actor)
    cause = Cause.objects.filter(pk=draft.cause, postmortem=postmortem).first() if draft.cause else None
    resource = seen.filter(pk=draft.resource).first() if draft.resource else None
    owner = User.objects.filter(pk=draft.owner, is_active=True).first() if draft.owner else None
    team = Team.objects.filter(pk=draft.owner_team).first() if draft.owner_team else None
    found = {"cause": cause, "resource": resource, "owner": owner, "owner_team": team}
    for name, row in found.items():
        if row is None and getattr(draft, name) is not None:
            raise Invalid(
                "improvement.unknown",
                _("There is no such thing, or you may not see it."),
                field=name,
                value=str(getattr(draft, name)),
                remedy=_("Choose one that you can open."),
            )
    return found


def _clean(draft: Draft) -> Draft:
    """Without spaces around texts; what belongs to a check is empty when there is none."""
    texts = {name: getattr(draft, name).strip() for name in ("title", "details", "check_query", "check_is")}
    reason = "" if texts["check_query"] else draft.no_check_reason.strip()
    return replace(draft, **texts, no_check_reason=reason)


def _now_on_grid(interval_seconds: int) -> datetime:
    at = proofs.on_grid(timezone.now().timestamp(), interval_seconds)
    return datetime.fromtimestamp(at, UTC)


def _owner_name(row: Improvement) -> str:
    return str(row.owner or row.owner_team or "")


def _version_conflict(row: Improvement, version: int) -> Conflict:
    return Conflict(
        "improvement.version",
        _("Somebody else changed it meanwhile."),
        field="version",
        value=version,
        remedy=_("Load it again, and put your change on top."),
        extra={"version": row.version},
    )
