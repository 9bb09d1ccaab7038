"""Approvals: the consent of those who are needed to exactly one content, one scope, until a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import RANK, Actor, actor_for_user, allows, allows_anywhere, check, check_own, denied, system
from tongchou.core.consent import EVERY, OWNER, Standing, Vote, Wanted, combined, fits, read_needs, standing
from tongchou.core.models import Approval, ApprovalState, Membership, Role, Team, User
from tongchou.core.models_consent import ApprovalNeed, ApprovalPolicy, ApprovalVote, Delegation
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref

VIEW, DECIDE = "approvals.view", "approvals.decide"


def request(
    *,
    actor: Actor,
    subject: str,
    action: str,
    content_hash: str,
    scope: Mapping[str, Any],
    reason: str,
    expires_at: datetime,
    about: Iterable[str] = (),
    owners: Iterable[UUID] = (),
    parts: Iterable[tuple[str, Mapping[str, Any]]] = (),
) -> Approval:
    """Ask for approval of `action` on `subject`, bound to `content_hash` and `scope`. Event approval.requested.

    Whom it needs is read from the policies now and stays so. `owners`: the teams that own what it is about, for
    policies that ask them. `parts`: action and scope of everything inside that this consent covers as well, so that it
    needs whoever each of them would need alone (`owners` then names theirs, too). The caller has checked that the
    actor may ask. Must run inside the caller's transaction.
    """
    if expires_at <= timezone.now():
        raise Invalid(
            "approval.expiry",
            _("The approval would expire in the past."),
            field="expires_at",
            value=expires_at.isoformat(),
            remedy=_("Choose a time in the future."),
        )
    owners = sorted(set(owners))
    wanted, within = asked_of(action, scope, parts, owned=bool(owners))
    if within is not None:
        expires_at = min(expires_at, timezone.now() + timedelta(seconds=within))
    row = Approval.objects.create(
        subject=subject,
        action=action,
        content_hash=content_hash,
        scope=dict(scope),
        reason=reason,
        about=list(about),
        requested_by_id=actor.user_id,
        requested_by_name=actor.name,
        expires_at=expires_at,
    )
    needs = _needs(row, wanted, owners)
    _tell(row, "approval.requested", actor, {"needs": [told(need) for need in needs]})
    return row


def derive(
    *,
    actor: Actor,
    subject: str,
    action: str,
    content_hash: str,
    scope: Mapping[str, Any],
    expires_at: datetime,
    of: Approval | None,
    because: str,
    about: Iterable[str] = (),
) -> Approval:
    """Write down consent to a part of something larger that was agreed on. Event approval.derived.

    The caller has checked that what `of` consents to contains exactly this content. `of` None: nobody was asked, since
    the glass was broken; `because` then says by whom and why. Must run inside the caller's transaction.
    """
    row = Approval.objects.create(
        subject=subject,
        action=action,
        content_hash=content_hash,
        scope=dict(scope),
        reason=because[:2000],
        about=list(about),
        state=ApprovalState.APPROVED,
        requested_by_id=actor.user_id,
        requested_by_name=actor.name,
        expires_at=expires_at,
        decided_by_id=of.decided_by_id if of else None,
        decided_by_name=of.decided_by_name if of else "",
        decided_at=timezone.now(),
        comment=because[:2000],
    )
    _tell(row, "approval.derived", actor, {"of": ref(of) if of else "", "decided_by": row.decided_by_name})
    return row


def asked_of(
    action: str, scope: Mapping[str, Any], parts: Iterable[tuple[str, Mapping[str, Any]]] = (), *, owned: bool = True
) -> tuple[list[Wanted], int | None]:
    """Return whom a request of this action and scope, and of these parts, would need, and for how many seconds at most.

    A part that no policy is about needs an approver, as it would alone; any need of a role is one, and so is the owner
    of what nobody owns (`owned`). How long a request of a part would wait says nothing of the whole. One query.
    """
    asked = [(action, scope), *parts]
    rows = list(ApprovalPolicy.objects.filter(enabled=True, action__in={EVERY, *(name for name, _scope in asked)}))
    fitting = [
        [each for each in rows if fits(each.action, each.conditions, asked=name, scope=said)] for name, said in asked
    ]
    wanted = combined(read_needs(each.needs) for policies in fitting for each in policies)
    if not all(fitting) and not any(
        each.who.startswith("role:") or (each.who == OWNER and not owned) for each in wanted
    ):
        wanted = combined([wanted, combined([])])
    limits = [each.expires_seconds for each in fitting[0] if each.expires_seconds]
    return wanted, min(limits, default=None)


def _needs(row: Approval, wanted: Iterable[Wanted], owners: Sequence[UUID]) -> list[ApprovalNeed]:
    """Write down who is needed. "owner" becomes each owning team; where no team owns it, an approver."""
    needs: list[ApprovalNeed] = []
    for each in wanted:
        kind, _colon, which = each.who.partition(":")
        if each.who == OWNER and owners:
            needs += [
                ApprovalNeed(approval=row, kind="team", team_id=team, count=each.count, owner=True) for team in owners
            ]
        elif each.who == OWNER:
            needs.append(ApprovalNeed(approval=row, kind="role", role=Role.APPROVER, count=each.count, owner=True))
        elif kind == "role":
            needs.append(ApprovalNeed(approval=row, kind=kind, role=which, count=each.count))
        elif kind == "team":  # a team or person that is gone since leaves a need nobody fills: never one fewer
            known = Team.objects.filter(pk=which).first()
            needs.append(ApprovalNeed(approval=row, kind=kind, team=known, count=each.count))
        else:
            person = User.objects.filter(pk=which).first()
            needs.append(ApprovalNeed(approval=row, kind=kind, person=person, count=each.count))
    return [_kept(need) for need in needs]


def _kept(need: ApprovalNeed) -> ApprovalNeed:
    need.save(force_insert=True)
    return need


def _complete_needs(row: Approval) -> None:
    """Give a request that the previous release wrote the need it was asked with: one approver."""
    if not needs_of(row).exists():
        _kept(ApprovalNeed(approval=row, kind="role", role=Role.APPROVER, count=1))


def _tell(row: Approval, verb: str, actor: Actor, more: Mapping[str, Any] | None = None, key: str = "") -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[row.subject, *row.about],
        payload={
            "action": row.action,
            "content_hash": row.content_hash,
            "scope": row.scope,
            "reason": row.reason,
            "requested_by": row.requested_by_name,
            "comment": row.comment,
            **(more or {}),
        },
        dedupe_key=f"{verb}:{row.pk}{key}",
    )


def _decide(row: Approval, state: ApprovalState, actor: Actor, comment: str) -> Approval:
    """Move pending -> `state` by guarded UPDATE: of two deciders exactly one wins."""
    with transaction.atomic():
        now = timezone.now()
        pending = Approval.objects.filter(pk=row.pk, state=ApprovalState.PENDING)
        if state is ApprovalState.APPROVED:
            pending = pending.filter(expires_at__gt=now)
        won = pending.update(
            state=state, decided_by=actor.user_id, decided_by_name=actor.name, decided_at=now, comment=comment[:2000]
        )
        row.refresh_from_db()
        if not won:
            raise _over(row)
        _tell(row, f"approval.{state.value}", actor)
    return row


def _over(row: Approval) -> Conflict:
    return Conflict(
        "approval.decided",
        _("This request is no longer pending: it is %(state)s.") % {"state": row.get_state_display()}
        if row.state != ApprovalState.PENDING
        else _("This request has expired."),
        remedy=_("Ask again if it is still wanted."),
    )


# --- who may say something ------------------------------------------------------------------------------------------


def _fills(actor: Actor, need: ApprovalNeed) -> bool:
    """Tell whether the actor may fill a need: with the role that decides, globally or in the team that is asked."""
    if need.kind == ApprovalNeed.Kind.ROLE:
        enough = actor.global_role is not None and RANK[actor.global_role] >= RANK[Role(need.role)]
        return enough and allows(actor, DECIDE)
    if need.kind == ApprovalNeed.Kind.TEAM:
        role = actor.team_roles.get(need.team_id) if need.team_id else None
        return role is not None and RANK[role] >= RANK[Role.APPROVER] and allows(actor, DECIDE, team=need.team_id)
    return need.person_id is not None and need.person_id == actor.user_id


def could_fill(actor: Actor, approval: Approval) -> list[int]:
    """Return the needs of a request that this actor could fill now, for themselves. Two queries."""
    return [need.pk for need in needs_of(approval) if _fills(actor, need)]


def people_asked(row: Approval) -> set[UUID]:
    """Return the users a request asks now, and who stands in for them; never the one who asked."""
    found: set[UUID] = set()
    for need in needs_of(row):
        if need.kind == ApprovalNeed.Kind.PERSON:
            found |= {need.person_id} if need.person_id else set()
            continue
        least = Role(need.role) if need.kind == ApprovalNeed.Kind.ROLE else Role.APPROVER
        able = [role for role, rank in RANK.items() if rank >= RANK[least]]
        scope = (
            Q(team__isnull=True) if need.kind == ApprovalNeed.Kind.ROLE else Q(team_id=need.team_id, team__isnull=False)
        )
        found |= set(Membership.objects.filter(scope, role__in=able).values_list("user_id", flat=True))
    now = timezone.now()
    stand_ins = Delegation.objects.filter(
        principal_id__in=found, since__lte=now, until__gt=now, ended_at__isnull=True
    ).values_list("delegate_id", flat=True)
    return (found | set(stand_ins)) - {row.requested_by_id}


def principals(actor: Actor, approval: Approval) -> list[User]:
    """Return those the actor stands in for now who could fill a need of the request."""
    if actor.user_id is None:
        return []
    now = timezone.now()
    held = Delegation.objects.filter(
        delegate_id=actor.user_id, since__lte=now, until__gt=now, ended_at__isnull=True, principal__is_active=True
    ).select_related("principal")
    found = {each.principal_id: each.principal for each in held}
    return [
        each
        for each in found.values()
        if each.pk != approval.requested_by_id and could_fill(actor_for_user(each), approval)
    ]


def _speaker(actor: Actor, row: Approval, principal: User | None) -> tuple[User, list[int]]:
    """Return for whom the actor speaks and which needs that fills; AccessDenied when they may not."""
    if actor.user_id is None or actor.user_id == row.requested_by_id:
        raise AccessDenied(
            "approval.own_request",
            _("Nobody approves their own request."),
            remedy=_("Ask another person with the role approver."),
        )
    if principal is not None and principal.pk != actor.user_id:
        if not any(each.pk == principal.pk for each in principals(actor, row)):
            raise AccessDenied(
                "approval.delegation",
                _("You do not stand in for this person, or they could not decide this request."),
                field="for",
                value=principal.username,
                remedy=_("They can name you under Approvals, Stand-ins."),
            )
        check_own(actor, DECIDE)
        return principal, could_fill(actor_for_user(principal), row)
    filled = could_fill(actor, row)
    if not filled:
        check(actor, DECIDE)  # says which role is missing, where that is what is missing
        raise AccessDenied(
            "approval.not_asked",
            _("This request needs other people: %(who)s.") % {"who": ", ".join(told(need) for need in needs_of(row))},
            remedy=_("Ask one of them to decide."),
        )
    return User.objects.get(pk=actor.user_id), filled


def needs_of(row: Approval) -> QuerySet[ApprovalNeed]:
    """Return whom a request needs, with their teams and persons."""
    return ApprovalNeed.objects.select_related("team", "person").filter(approval=row).order_by("pk")


def votes_of(row: Approval) -> QuerySet[ApprovalVote]:
    """Return what was said to a request, in order, what was taken back too."""
    return ApprovalVote.objects.filter(approval=row).order_by("pk")


def told(need: ApprovalNeed) -> str:
    """Return a need in words: "2 x approver", "1 x approvers of dba (owner)"."""
    if need.kind == ApprovalNeed.Kind.ROLE:
        who = str(Role(need.role).label)
    elif need.kind == ApprovalNeed.Kind.TEAM:
        team = need.team.name if need.team else _("a team that is gone")
        who = str(_("approver of %(team)s") % {"team": team})
    else:
        who = str(need.person) if need.person else str(_("a person who is gone"))
    return f"{need.count} x {who}"


def approve(*, actor: Actor, approval: Approval, comment: str = "", principal: User | None = None) -> Approval:
    """Say yes to a pending request, for oneself or (`principal`) for somebody one stands in for.

    The request is approved once every need is filled by different persons; until then the event is approval.voted.
    Refused for the one who asked, whatever their role, token or delegation.
    """
    return _vote(actor, approval, principal, comment, approves=True)


def reject(*, actor: Actor, approval: Approval, comment: str = "", principal: User | None = None) -> Approval:
    """Say no, which ends a pending request: anybody who could fill a need, or decide in general, may."""
    if principal is None and allows(actor, DECIDE):
        return _decide(approval, ApprovalState.REJECTED, actor, comment)
    return _vote(actor, approval, principal, comment, approves=False)


def _vote(actor: Actor, approval: Approval, principal: User | None, comment: str, *, approves: bool) -> Approval:
    with transaction.atomic():
        row = Approval.objects.select_for_update().get(pk=approval.pk)
        if row.state != ApprovalState.PENDING or row.expires_at <= timezone.now():
            approval.refresh_from_db()
            raise _over(row)
        if principal is None and not needs_of(row).exists():
            check(actor, DECIDE)  # nothing is written for who may not decide
        _complete_needs(row)
        who, filled = _speaker(actor, row, principal)
        if ApprovalVote.objects.filter(approval=row, principal=who, withdrawn_at__isnull=True).exists():
            raise Conflict(
                "approval.voted",
                _("%(name)s has decided already.") % {"name": who},
                remedy=_("Take that back first, or let the others decide."),
            )
        vote = ApprovalVote.objects.create(
            approval=row,
            voter_id=actor.user_id,
            voter_name=actor.name,
            principal=who,
            principal_name=who.username,
            approves=approves,
            fills=filled,
            comment=comment[:2000],
        )
        now = standing_of(row)
        if not approves:
            _decide(row, ApprovalState.REJECTED, actor, comment)
        elif now.approved:
            _decide(row, ApprovalState.APPROVED, actor, comment)
        else:
            more = {"voter": actor.name, "for": who.username, "missing": sum(now.missing.values()), "comment": comment}
            _tell(row, "approval.voted", actor, more, key=f":{vote.pk}")
    approval.refresh_from_db()
    return approval


def withdraw(*, actor: Actor, approval: Approval) -> Approval:
    """Take one's own yes back while the request is pending. Event approval.vote_withdrawn."""
    check_own(actor, DECIDE)
    with transaction.atomic():
        row = Approval.objects.select_for_update().get(pk=approval.pk)
        if row.state != ApprovalState.PENDING:
            raise _over(row)
        mine = list(votes_of(row).filter(voter_id=actor.user_id, withdrawn_at__isnull=True))
        if not mine:
            raise Conflict(
                "approval.no_vote", _("You have not decided this request."), remedy=_("Nothing is to be done.")
            )
        votes_of(row).filter(pk__in=[each.pk for each in mine]).update(withdrawn_at=timezone.now())
        _tell(row, "approval.vote_withdrawn", actor, {"voter": actor.name}, key=f":{mine[-1].pk}")
    approval.refresh_from_db()
    return approval


def standing_of(row: Approval) -> Standing:
    """Return where a request stands: approved, rejected, and who is missing. Two queries."""
    votes = [
        Vote(each.pk, each.voter_id, each.principal_id, each.approves, frozenset(each.fills))
        for each in votes_of(row).filter(withdrawn_at__isnull=True)
        if each.voter_id is not None and each.principal_id is not None
    ]
    return standing({need.pk: need.count for need in needs_of(row)}, votes, row.requested_by_id)


def cancel(*, actor: Actor, approval: Approval, comment: str = "") -> Approval:
    """Take a pending request back: by the one who asked, or by somebody who may decide."""
    if actor.user_id is None or actor.user_id != approval.requested_by_id:
        check(actor, DECIDE)
    else:
        check_own(actor, DECIDE)
    return _decide(approval, ApprovalState.CANCELLED, actor, comment)


def end(*, actor: Actor, rows: QuerySet[Approval], because: str) -> int:
    """End consent that was given, for what it was given for is over; return how many. Event approval.ended each.

    Consent that has run out is left as it is. Must run inside the caller's transaction, which has checked the actor.
    """
    count = 0
    for row in rows.filter(state=ApprovalState.APPROVED, expires_at__gt=timezone.now()).order_by("pk"):
        if Approval.objects.filter(pk=row.pk, state=ApprovalState.APPROVED).update(state=ApprovalState.ENDED):
            _tell(row, "approval.ended", actor, {"because": because})
            count += 1
    return count


def valid(*, subject: str, action: str, content_hash: str, scope: Mapping[str, Any]) -> Approval | None:
    """Return the approval that covers exactly this content and scope now, or None."""
    now = timezone.now()
    found = Approval.objects.filter(
        subject=subject, action=action, content_hash=content_hash, state=ApprovalState.APPROVED, expires_at__gt=now
    )
    return next((each for each in found.order_by("-decided_at") if each.scope == dict(scope)), None)


def visible(actor: Actor) -> QuerySet[Approval]:
    """Return the requests an actor may see: all with the global permission, else their own and those that ask them."""
    if allows(actor, VIEW):
        return Approval.objects.all()
    teams = [team for team in actor.team_roles if allows(actor, DECIDE, team=team)]
    if actor.user_id is None or not (teams or allows_anywhere(actor, VIEW)):
        raise denied(actor, VIEW)
    now = timezone.now()
    stands_in = Delegation.objects.filter(
        delegate_id=actor.user_id, since__lte=now, until__gt=now, ended_at__isnull=True
    ).values("principal_id")
    asked = ApprovalNeed.objects.filter(
        Q(team__in=teams) | Q(person_id=actor.user_id) | Q(person_id__in=stands_in), approval=OuterRef("pk")
    )
    return Approval.objects.filter(Q(requested_by_id=actor.user_id) | Exists(asked))


def pending(rows: QuerySet[Approval] | None = None) -> QuerySet[Approval]:
    """Return the requests (of `rows`, or all) that wait for a decision and have not expired, oldest first."""
    found = Approval.objects.all() if rows is None else rows
    return found.filter(state=ApprovalState.PENDING, expires_at__gt=timezone.now()).order_by("requested_at", "pk")


def expire_due() -> int:
    """Mark pending requests whose time is over as expired; return how many."""
    count = 0
    for row in Approval.objects.filter(state=ApprovalState.PENDING, expires_at__lte=timezone.now()):
        try:
            _decide(row, ApprovalState.EXPIRED, system("approvals"), "")
        except Conflict:
            continue  # decided in this moment
        count += 1
    return count
