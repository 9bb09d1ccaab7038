"""Sign-ins elsewhere that are connected with accounts here."""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check, check_own
from tongchou.core.models import User
from tongchou.core.problems import Conflict, NotFound
from tongchou.core.refs import ref


def linked(user: User) -> list[SocialAccount]:
    """Return the sign-ins elsewhere that let this person in."""
    return list(SocialAccount.objects.filter(user=user).order_by("pk"))


def disconnect(*, actor: Actor, user: User, number: int) -> None:
    """End one connection. Refused for the only way in of an account without a password. Event user.unlinked."""
    if actor.user_id != user.pk:
        check(actor, "access.manage")
    else:
        check_own(actor, "access.manage")
    row = SocialAccount.objects.filter(pk=number, user=user).first()
    if row is None:
        raise NotFound("sign_on.unknown", _("There is no such connection."), remedy=_("Reload the page."))
    if not user.has_usable_password():
        raise Conflict(
            "sign_on.only_way",
            _("This is the only way into the account: it has no password here."),
            remedy=_("An administrator can keep the account out instead."),
        )
    issuer = str((row.extra_data.get("userinfo") or {}).get("issuer", ""))
    with transaction.atomic():
        row.delete()
        ledger.record(
            actor=actor,
            verb="user.unlinked",
            subject=ref(user),
            payload={"username": user.username, "provider": issuer},
        )
