"""Service accounts: no sign-in, tokens of their own, an owner who answers for them, one switch to end it all."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, people
from tongchou.core.access import Actor, check
from tongchou.core.models import Role, Team, User
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref

MAX_PURPOSE = 200


def all_of_them() -> QuerySet[User]:
    """Return every service account, by name."""
    return User.objects.filter(is_service=True).select_related("owner", "owner_team").order_by("username")


def find(account_id: UUID) -> User:
    """Return one. Raises NotFound, also for the id of a person."""
    row = all_of_them().filter(pk=account_id).first()
    if row is None:
        raise NotFound("service_account.unknown", _("There is no such service account."), remedy=_("Reload the page."))
    return row


def _owned(owner: User | None, team: Team | None, purpose: str) -> str:
    if owner is None and team is None:
        raise Invalid(
            "service_account.owner",
            _("A service account has an owner: a person or a team."),
            field="owner",
            remedy=_("Name who answers for it when it does something unexpected."),
        )
    if owner is not None and (owner.is_service or not owner.is_active):
        raise Invalid(
            "service_account.owner",
            _("The owner must be a person who may sign in."),
            field="owner",
            value=owner.username,
            remedy=_("Choose an active person, or a team."),
        )
    purpose = purpose.strip()
    if len(purpose) > MAX_PURPOSE:
        raise Invalid(
            "service_account.purpose",
            _("The purpose has at most %(most)s characters.") % {"most": MAX_PURPOSE},
            field="purpose",
            value=purpose[:50],
            remedy=_("Say it in one sentence."),
        )
    return purpose


def create(
    *, actor: Actor, username: str, role: Role | None, owner: User | None, team: Team | None, purpose: str = ""
) -> User:
    """Make one with a global role (or none). Events user.created and service_account.described."""
    check(actor, "access.manage")
    _owned(owner, team, purpose)
    with transaction.atomic():
        account = people.create_user(actor=actor, username=username, password=None, role=role, is_service=True)
        return describe(actor=actor, account=account, owner=owner, team=team, purpose=purpose)


def describe(*, actor: Actor, account: User, owner: User | None, team: Team | None, purpose: str) -> User:
    """Say who owns it and what it is for. Event service_account.described carries old and new."""
    check(actor, "access.manage")
    purpose = _owned(owner, team, purpose)
    with transaction.atomic():
        row = find(account.pk)
        old = {
            "owner": row.owner.username if row.owner else None,
            "team": row.owner_team.name if row.owner_team else None,
            "purpose": row.purpose,
        }
        new = {"owner": owner.username if owner else None, "team": team.name if team else None, "purpose": purpose}
        if old != new:
            row.owner, row.owner_team, row.purpose = owner, team, purpose
            row.save(update_fields=["owner", "owner_team", "purpose"])
            ledger.record(
                actor=actor,
                verb="service_account.described",
                subject=ref(row),
                about=[ref(each) for each in (owner, team) if each is not None],
                payload={"username": row.username, "old": old, "new": new},
            )
    return row
