"""Who is asked, and who stands in: the writes of approval policies and delegations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, allows, check, check_own, denied
from tongchou.core.approvals import DECIDE
from tongchou.core.consent import check_action, read_needs
from tongchou.core.models import User
from tongchou.core.models_consent import ApprovalPolicy, Delegation
from tongchou.core.problems import AccessDenied, Invalid
from tongchou.core.refs import ref

MANAGE = "approvals.manage"
MAX_POLICIES = 200
MAX_CONDITIONS = 20
MIN_EXPIRES, MAX_EXPIRES = 60, 90 * 86_400
MAX_DELEGATION = timedelta(days=366)


def _conditions(value: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, values in value.items():
        listed = values if isinstance(values, list) else [values]
        if not key or len(key) > 80 or not listed or len(listed) > 200 or len(value) > MAX_CONDITIONS:
            raise Invalid(
                "policy.conditions",
                _("A condition is a name in the scope and the values it may have."),
                field=f"conditions.{key[:80]}",
                value=values,
                remedy=_('Write it as {"grade": ["irreversible"]}; at most %(n)s of them.') % {"n": MAX_CONDITIONS},
            )
        found[key] = sorted({str(each)[:200] for each in listed})
    return found


def put_policy(
    *,
    actor: Actor,
    name: str,
    action: str,
    needs: Sequence[Any],
    conditions: Mapping[str, Any] | None = None,
    expires_seconds: int | None = None,
    enabled: bool = True,
    reason: str = "",
) -> ApprovalPolicy:
    """Create the policy of this name or replace it. Requests that wait keep what they were asked with.

    Event approval_policy.changed with old and new.
    """
    check(actor, MANAGE)
    name, action = name.strip()[:120], action.strip()[:80]
    for field, value in (("name", name), ("action", action)):
        if not value:
            raise Invalid("policy.empty", _("This may not be empty."), field=field, value="", remedy=_("Fill it in."))
    check_action(action)
    if expires_seconds is not None and not MIN_EXPIRES <= expires_seconds <= MAX_EXPIRES:
        raise Invalid(
            "policy.expires",
            _("A request waits from one minute to 90 days."),
            field="expires_seconds",
            value=expires_seconds,
            remedy=_("Choose a number of seconds within these bounds, or none."),
        )
    new: dict[str, Any] = {
        "action": action,
        "conditions": _conditions(conditions or {}),
        "needs": [{"who": each.who, "count": each.count} for each in read_needs(list(needs))],
        "expires_seconds": expires_seconds,
        "enabled": enabled,
        "reason": reason.strip()[:2000],
    }
    with transaction.atomic():
        row = ApprovalPolicy.objects.select_for_update().filter(name=name).first()
        old = {key: getattr(row, key) for key in new} if row else None
        if row is not None and old == new:
            return row
        if row is None and ApprovalPolicy.objects.count() >= MAX_POLICIES:
            raise Invalid(
                "policy.limit",
                _("There are at most %(n)s policies.") % {"n": MAX_POLICIES},
                field="name",
                value=name,
                remedy=_("Remove those that are not used."),
            )
        row = row or ApprovalPolicy(name=name)
        for key, value in new.items():
            setattr(row, key, value)
        row.save()
        payload = {"name": name, "old": old, "new": new}
        ledger.record(actor=actor, verb="approval_policy.changed", subject=ref(row), payload=payload)
    return row


def remove_policy(*, actor: Actor, row: ApprovalPolicy) -> None:
    """Remove a policy; the event approval_policy.removed carries what it said, to put it back."""
    check(actor, MANAGE)
    with transaction.atomic():
        payload = {
            "name": row.name,
            "action": row.action,
            "conditions": row.conditions,
            "needs": row.needs,
            "expires_seconds": row.expires_seconds,
        }
        ledger.record(actor=actor, verb="approval_policy.removed", subject=ref(row), payload=payload)
        row.delete()


def policies(actor: Actor) -> QuerySet[ApprovalPolicy]:
    """Return every policy, by name."""
    check(actor, "approvals.view")
    return ApprovalPolicy.objects.order_by("name")


# --- stand-ins ------------------------------------------------------------------------------------------------------


def delegations(actor: Actor) -> QuerySet[Delegation]:
    """Return the delegations an actor may see: those they gave or hold; all for those who manage approvals."""
    found = Delegation.objects.select_related("principal", "delegate")
    if allows(actor, MANAGE):
        return found
    mine = found.filter(principal_id=actor.user_id) | found.filter(delegate_id=actor.user_id)
    return mine if actor.user_id is not None else found.none()


def delegate(
    *, actor: Actor, principal: User, to: User, until: datetime, since: datetime | None = None, reason: str = ""
) -> Delegation:
    """Let `to` decide for `principal` until a time: said by the principal, or by who manages approvals.

    Event delegation.given.
    """
    _check_principal(actor, principal)
    now = timezone.now()
    since = since or now
    if to.pk == principal.pk or not to.is_active or to.is_service:
        raise Invalid(
            "delegation.to",
            _("A stand-in is another person who can sign in."),
            field="to",
            value=to.username,
            remedy=_("Choose another person."),
        )
    if not since < until or until <= now or until - since > MAX_DELEGATION:
        raise Invalid(
            "delegation.until",
            _("A stand-in is for at most %(n)s days, and ends in the future.") % {"n": MAX_DELEGATION.days},
            field="until",
            value=until.isoformat(),
            remedy=_("Choose a time after its beginning."),
        )
    with transaction.atomic():
        row = Delegation.objects.create(
            principal=principal, delegate=to, since=since, until=until, reason=reason.strip()[:500]
        )
        _tell(actor, row, "delegation.given")
    return row


def end_delegation(*, actor: Actor, row: Delegation) -> Delegation:
    """End a delegation now; what was decided under it stays. By either of them. Event delegation.ended. Idempotent."""
    if actor.user_id != row.delegate_id:
        _check_principal(actor, row.principal)
    else:
        check_own(actor, DECIDE)
    with transaction.atomic():
        if Delegation.objects.filter(pk=row.pk, ended_at__isnull=True).update(ended_at=timezone.now()):
            _tell(actor, row, "delegation.ended")
    row.refresh_from_db()
    return row


def _check_principal(actor: Actor, principal: User) -> None:
    if actor.user_id == principal.pk:
        check_own(actor, DECIDE)
    elif not allows(actor, MANAGE):
        raise AccessDenied(
            "delegation.principal",
            _("You name a stand-in for yourself, not for others."),
            field="principal",
            value=principal.username,
            remedy=denied(actor, MANAGE).remedy,
        )


def _tell(actor: Actor, row: Delegation, verb: str) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[ref(row.principal), ref(row.delegate)],
        payload={
            "principal": row.principal.username,
            "delegate": row.delegate.username,
            "since": row.since.isoformat(),
            "until": row.until.isoformat(),
            "reason": row.reason,
        },
    )
