"""Who can do what, and where it comes from: the list an auditor asks for, and the answer given to each line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, people, settings_store
from tongchou.core.access import Actor, check
from tongchou.core.models import ApiToken, Membership, Origin, User
from tongchou.core.problems import Conflict, NotFound
from tongchou.core.refs import ref
from tongchou.core.sessions import STRONG


@dataclass(frozen=True)
class Line:
    """One role of one account. `unused` counts sign-ins and used tokens; `reviewed_at` is None until somebody did."""

    membership: Membership
    last_sign_in: datetime | None
    last_token: datetime | None
    live_tokens: int
    second_factor: bool
    unused: bool

    @property
    def user(self) -> User:
        """The person or service account."""
        return self.membership.user


def rows(*, active: bool = True) -> QuerySet[Membership]:
    """Return every role held, by account: of accounts that are let in, or of those kept out."""
    found = Membership.objects.select_related("user", "team", "user__owner", "user__owner_team")
    return found.filter(user__is_active=active).order_by("user__username", "team__name", "pk")


def lines(memberships: Iterable[Membership]) -> list[Line]:
    """Add to each role what tells whether it is still wanted. Three SQL queries, however many lines."""
    listed = list(memberships)
    users = {each.user_id for each in listed}
    tokens = ApiToken.objects.filter(user__in=users)
    used = dict(tokens.values_list("user_id").annotate(last=Max("last_used_at")).order_by())
    live: dict[UUID, int] = {}
    for token in tokens.filter(revoked_at__isnull=True):
        live[token.user_id] = live.get(token.user_id, 0) + token.usable()
    strong = set(Authenticator.objects.filter(user__in=users, type__in=STRONG).values_list("user_id", flat=True))
    limit = timezone.now() - timedelta(days=int(settings_store.get("sign_in.unused_days", 90)))
    found = []
    for each in listed:
        last_token = used.get(each.user_id)
        newest = max(filter(None, (each.user.last_login, last_token, each.user.date_joined)))
        found.append(
            Line(
                membership=each,
                last_sign_in=each.user.last_login,
                last_token=last_token,
                live_tokens=live.get(each.user_id, 0),
                second_factor=each.user_id in strong,
                unused=newest < limit,
            )
        )
    return found


def find(membership_id: UUID) -> Membership:
    """Return one role held. Raises NotFound."""
    row = Membership.objects.select_related("user", "team").filter(pk=membership_id).first()
    if row is None:
        raise NotFound("review.unknown", _("Nobody holds this role any more."), remedy=_("Reload the page."))
    return row


def _said(membership: Membership) -> dict[str, str | None]:
    return {
        "username": membership.user.username,
        "role": membership.role,
        "team": membership.team.name if membership.team else None,
        "source": membership.source,
        "group": membership.source_group or None,
    }


def _about(membership: Membership) -> list[str]:
    return [ref(membership.team)] if membership.team else []


def confirm(*, actor: Actor, membership: Membership) -> None:
    """Say that a role is still wanted. Event access.confirmed; nobody confirms their own role."""
    check(actor, "access.manage")
    if actor.user_id == membership.user_id:
        raise Conflict(
            "review.own",
            _("Nobody confirms their own role."),
            field="membership",
            value=membership.pk,
            remedy=_("Ask another administrator to review it."),
        )
    now = timezone.now()
    with transaction.atomic():
        # guarded by the role that was looked at: one that changed meanwhile has not been reviewed
        done = Membership.objects.filter(pk=membership.pk, role=membership.role).update(
            reviewed_at=now, reviewed_by_name=actor.name[:150]
        )
        if not done:
            raise NotFound("review.unknown", _("Nobody holds this role any more."), remedy=_("Reload the page."))
        ledger.record(
            actor=actor,
            verb="access.confirmed",
            subject=ref(membership.user),
            about=_about(membership),
            payload=_said(membership),
        )


def withdraw(*, actor: Actor, membership: Membership) -> None:
    """Take a role away at review. Events access.withdrawn and user.role_changed.

    One that a group of a directory gave is refused: the next sign-in would give it again.
    """
    check(actor, "access.manage")
    if membership.source != Origin.LOCAL:
        raise Conflict(
            "review.mapped",
            _("The group %(group)s gives this role; the next sign-in would give it again.")
            % {"group": membership.source_group},
            field="membership",
            value=membership.pk,
            remedy=_("Take the person out of the group there, or keep the person out under People and tokens."),
        )
    with transaction.atomic():
        people.set_role(actor=actor, user=membership.user, role=None, team=membership.team)
        ledger.record(
            actor=actor,
            verb="access.withdrawn",
            subject=ref(membership.user),
            about=_about(membership),
            payload=_said(membership),
        )
