"""The steps of a plan's life as they are written down: guarded moves, events, files that go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from tongchou.changes import iac_files, iac_states
from tongchou.changes.models_iac import Plan, PlanState, Workspace
from tongchou.core import approvals, ledger
from tongchou.core.access import Actor, system
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState, Event
from tongchou.core.refs import ref
from tongchou.inventory import identity
from tongchou.inventory.models import Identity

ACTION = declare("changes.plan.apply", gettext_lazy("Apply a plan of a workspace"))
ACTOR = system("infrastructure-as-code")
MAX_OUTPUT = 200_000  # characters
MAX_LOOKED = 500  # addresses looked up in the inventory, as many as an event is about
ALTERING = ("plan.applying", "plan.applied", "plan.apply_failed", "plan.interrupted")


def scope_of(plan: Plan) -> dict[str, Any]:
    """What an approval of a plan covers beside its file, and what approval policies may ask for."""
    counts = plan.counts
    return {
        "workspace": plan.workspace.name,
        "plan": plan.number,
        "kind": plan.kind,
        "creates": counts.get("create", 0),
        "alters": counts.get("update", 0),
        "replaces": counts.get("replace", 0),
        "destroys": counts.get("delete", 0) + counts.get("replace", 0) + counts.get("forget", 0),
        "verdict": plan.verdict,
    }


def move(plan: Plan, to: PlanState, *, ticket: str | None = None, **fields: Any) -> bool:
    """Move a plan on from the state it is known in, by guarded UPDATE; False when somebody else was first.

    `ticket`: only while that claim holds it. Raises RuntimeError for a way there is not.
    """
    if not iac_states.may(plan.state, to):
        raise RuntimeError(f"no way from {plan.state} to {to}")
    rows = Plan.objects.filter(pk=plan.pk, state=plan.state)
    if ticket is not None:
        rows = rows.filter(claimed_by=ticket)
    won = rows.update(state=to, **fields)
    plan.refresh_from_db()
    return bool(won)


def tell(actor: Actor, plan: Plan, verb: str, more: Mapping[str, Any] | None = None) -> Event:
    """Record an event of a plan, about its workspace too. Within the caller's transaction."""
    payload = {
        "name": plan.name,
        "workspace": plan.workspace.name,
        "kind": plan.kind,
        "sha256": plan.sha256,
        "counts": {key: count for key, count in plan.counts.items() if count},
        "by": plan.requested_by_name,
        **(more or {}),
    }
    about = [ref(plan.workspace)]
    if verb in ALTERING:
        started = plan.apply_started_at
        payload |= {"started_at": started.isoformat() if started else None}
        found = resources_of(plan.lineage, addresses_of(plan)).values()
        about += sorted(f"inventory.resource:{resource}" for resource in found)
    return ledger.record(actor=actor, verb=verb, subject=ref(plan), about=about, payload=payload)


def addresses_of(plan: Plan) -> list[str]:
    """What applying the plan alters."""
    changes = plan.summary.get("changes") or []
    return [each["address"] for each in changes if each["action"] not in ("no_op", "read")]


def resources_of(lineage: str, addresses: Iterable[str]) -> dict[str, UUID]:
    """Address -> the inventory's resource, by the key under which its source of states knows it."""
    keys = {identity.key("terraform", lineage, address): address for address in addresses} if lineage else {}
    found = Identity.objects.filter(key__in=list(keys)[:MAX_LOOKED]).values_list("key", "resource_id")
    return {keys[key]: resource for key, resource in found}


def outdate(actor: Actor, workspace: Workspace, code: str, but: UUID | None = None, kind: str = "") -> int:
    """Let plans that wait to be applied go: their files and open requests with them. Return how many."""
    rows = Plan.objects.select_related("workspace", "approval").filter(workspace=workspace, state=PlanState.READY)
    return sum(_let_go(actor, row, code) for row in _rows(rows, but, kind))


def _rows(rows: QuerySet[Plan], but: UUID | None, kind: str) -> QuerySet[Plan]:
    rows = rows.exclude(pk=but) if but else rows
    return rows.filter(kind=kind) if kind else rows


def _let_go(actor: Actor, row: Plan, code: str) -> bool:
    with transaction.atomic():
        if not move(row, PlanState.OUTDATED, outcome={"code": code}):
            return False
        drop_request(row.approval)
        tell(actor, row, "plan.outdated", {"why": code})
        transaction.on_commit(lambda: iac_files.remove(row.pk))
    return True


def drop_request(approval: Approval | None) -> None:
    """Take back a request that still waits for a decision about a plan that is of no use any more."""
    if approval is not None and approval.state == ApprovalState.PENDING:
        approvals.cancel(actor=ACTOR, approval=approval)


def expire(before: datetime) -> int:
    """Let go of plans nobody applied in time."""
    rows = Plan.objects.select_related("workspace", "approval").filter(state=PlanState.READY, finished_at__lt=before)
    return sum(_let_go(ACTOR, row, "expired") for row in rows)
