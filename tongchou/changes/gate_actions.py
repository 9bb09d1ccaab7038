"""What is written about the gate: its answers, its rules, and the emergency that overrides it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import control, control_work, gate, gate_reads
from tongchou.changes.actions import find_service
from tongchou.changes.control_reads import EDIT, VIEW
from tongchou.changes.draft import Draft, invalid
from tongchou.changes.models_control import Change, ChangeKind, GateAnswer, GateRule
from tongchou.core import ledger
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.models import Team
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref

MAX_RULES = 200
MAX_GLASS_MINUTES = 240
MANAGE = "integrations.manage"


def ask(*, actor: Actor, service: str, environment: str = "", version: str = "") -> tuple[GateAnswer, gate.Verdict]:
    """Ask whether a service may be deployed to now, and keep the answer. Who may see changes may ask.

    Event gate.overridden when an emergency overrides a no; a plain answer is no event, for pipelines ask all day.
    """
    check_anywhere(actor, VIEW)
    if not service.strip() or len(service) > 253:
        raise invalid("service", service[:80], _("Say which service."), _("Its name in the inventory."))
    row, verdict = gate_reads.look(service=service.strip(), environment=environment)
    with transaction.atomic():
        kept = GateAnswer.objects.create(
            service=row,
            service_name=service.strip(),
            environment=environment[:80],
            version=version[:120],
            allowed=verdict.allowed,
            overridden=verdict.overridden,
            reasons=[each.as_json() for each in verdict.reasons],
            asked_by_name=actor.name,
        )
        if verdict.overridden and row is not None:
            ledger.record(
                actor=actor,
                verb="gate.overridden",
                subject=ref(row),
                about=[each.ref for each in verdict.reasons if each.code == "broke_glass"],
                payload={
                    "service": service,
                    "environment": environment,
                    "version": version,
                    "against": [each.code for each in verdict.reasons if each.weight == gate.DENY],
                },
            )
    return kept, verdict


def break_glass(*, actor: Actor, service: str, reason: str, minutes: int = 60, environment: str = "") -> Change:
    """Let deployments of a service pass for some minutes: makes an emergency change and begins it at once.

    It is a change of the team that owns the service, like any other: written down, told to who watches the service,
    and reviewed by somebody else.
    """
    check_anywhere(actor, EDIT)
    if not reason.strip():
        raise invalid("reason", "", _("Say why it cannot wait."), _("The reviewer reads it."))
    if not 1 <= minutes <= MAX_GLASS_MINUTES:
        raise invalid("minutes", minutes, _("This is out of bounds."), _("From 1 to %(n)s.") % {"n": MAX_GLASS_MINUTES})
    row = find_service(service, environment)
    if row is None:
        raise NotFound("gate.service", _("There is no such service."), field="service", value=service[:80])
    check(actor, EDIT, team=row.owner_id)
    now = timezone.now()
    with transaction.atomic():
        change = control.create(
            actor=actor,
            draft=Draft(
                title=str(_("Deployment of %(name)s in an emergency") % {"name": row.name})[:200],
                kind=ChangeKind.EMERGENCY.value,
                description=reason.strip(),
                team=row.owner_id,
                environment=environment[:80],
                starts_at=now,
                ends_at=now + timedelta(minutes=minutes),
                resources=[row.pk],
                quiet=False,
                exclude_slo=False,
            ),
        )
        return control_work.begin(actor=actor, change=change, broke_glass=reason)


def put_rule(
    *,
    actor: Actor,
    name: str,
    position: int = 100,
    environment: str = "",
    criticality: str = "",
    team: UUID | None = None,
    needs_change: bool = False,
    needs_window: bool = False,
    least_budget: float = 0.0,
    warn_budget: float = 0.25,
    enabled: bool = True,
) -> GateRule:
    """Make the rule of this name or replace it. Event gate_rule.changed with old and new; the same changes nothing."""
    check(actor, MANAGE)
    name = name.strip()
    if not name or len(name) > 120:
        raise invalid("name", name[:80], _("A rule needs a name."), _("At most %(n)s.") % {"n": 120})
    for field, share in (("least_budget", least_budget), ("warn_budget", warn_budget)):
        if not 0 <= share <= 1:
            raise invalid(field, share, _("A share of the budget lies between 0 and 1."), _("0.1 is a tenth."))
    if not 0 <= position <= 10_000:
        raise invalid("position", position, _("This is out of bounds."), _("From 1 to %(n)s.") % {"n": 10_000})
    new: dict[str, Any] = {
        "position": position,
        "environment": environment.strip()[:80],
        "criticality": criticality.strip()[:40],
        "team": Team.objects.filter(pk=team).first() if team else None,
        "needs_change": needs_change,
        "needs_window": needs_window,
        "least_budget": least_budget,
        "warn_budget": warn_budget,
        "enabled": enabled,
    }
    with transaction.atomic():
        row = GateRule.objects.select_for_update().filter(name=name).first()
        if row is None and GateRule.objects.count() >= MAX_RULES:
            raise invalid("name", name, _("These are too many."), _("At most %(n)s.") % {"n": MAX_RULES})
        old = _told(row) if row else None
        row = row or GateRule(name=name)
        for key, value in new.items():
            setattr(row, key, value)
        if old == _told(row):
            return row
        row.updated_at, row.updated_by_name = timezone.now(), actor.name
        row.save()
        payload = {"name": name, "old": old, "new": _told(row)}
        ledger.record(actor=actor, verb="gate_rule.changed", subject=ref(row), payload=payload)
    return row


def remove_rule(*, actor: Actor, row: GateRule) -> None:
    """Remove a rule; the event gate_rule.removed carries what it said, to put it back."""
    check(actor, MANAGE)
    with transaction.atomic():
        payload = {"name": row.name, "old": _told(row)}
        ledger.record(actor=actor, verb="gate_rule.removed", subject=ref(row), payload=payload)
        row.delete()


def _told(row: GateRule) -> dict[str, Any]:
    same = ("position", "environment", "criticality", "needs_change", "needs_window", "least_budget", "warn_budget")
    return {**{name: getattr(row, name) for name in same}, "enabled": row.enabled, "team": str(row.team_id or "")}
