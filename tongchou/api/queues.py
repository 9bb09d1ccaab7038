"""The work queues of the inventory: how much waits, the items, deciding about one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import Invalid
from tongchou.inventory import queues, reads, work
from tongchou.inventory.bulk import team_named
from tongchou.inventory.models_queues import ItemState, QueueItem, QueueName

router = Router(tags=["inventory"])
Decision = Literal["accept_observed", "keep_declared", "accept", "confirm", "own", "ignore", "reopen", "retire"]


class DecisionIn(Body):
    """What is decided. `reason` for keep_declared and ignore, `until` for ignore, `owner` (a team) for own."""

    decision: Decision
    reason: str = Field(default="", max_length=500)
    until: datetime | None = None
    owner: str | None = None


def _item(row: QueueItem) -> dict[str, Any]:
    resource = row.resource
    named = {"id": resource.pk, "kind": resource.kind, "name": resource.name} if resource is not None else None
    facts = ("id", "queue", "key", "facts", "due", "since", "state", "until", "reason", "decided_by", "decided_at")
    return {**{name: getattr(row, name) for name in facts}, "resource": named}


@router.get("/queues", response=dict[str, Any])
def list_queues(request: HttpRequest) -> dict[str, Any]:
    """Return how much waits in each queue, as far as the caller may see."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    found = queues.counts(actor)
    return {"items": [{"name": each.value, "title": str(each.label), "count": found[each]} for each in QueueName]}


@router.post("/queues/refresh", response={202: None})
def refresh_queues(request: HttpRequest) -> Status[None]:
    """Have the queues looked at anew, soon; by themselves they follow within minutes."""
    work.ask_refresh(actor=actor_of(request))
    return Status(202, None)


@router.get("/queue-items", response=Page)
def list_items(
    request: HttpRequest,
    queue: QueueName | None = None,
    state: ItemState | Literal["all"] = ItemState.OPEN,
    resource_id: UUID | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List items, the oldest first. Of "expiring" every known end; what is near is what GET /queues counts."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    found = queues.items(actor)
    if queue is not None:
        found = found.filter(queue=queue)
    if state != "all":
        found = found.filter(state=state)
    if resource_id is not None:
        found = found.filter(resource_id=resource_id)
    rows = page_of(found.select_related("resource").order_by("since", "id"), offset, max(1, min(limit, 500)))
    return {"items": [_item(row) for row in rows], "count": found.count()}


@router.get("/queue-items/{id}", response=dict[str, Any])
def get_item(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return one item."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    return _item(work.item(actor, id))


@router.post("/queue-items/{id}", response={204: None})
def decide(request: HttpRequest, id: UUID, body: DecisionIn) -> Status[None]:  # noqa: A002  # the path's own name
    """Decide about an item. What is settled leaves its queue; the ledger keeps the decision."""
    actor = actor_of(request)
    check_anywhere(actor, reads.VIEW)
    _decide(actor, work.item(actor, id), body)
    return Status(204, None)


def _decide(actor: Actor, row: QueueItem, body: DecisionIn) -> None:
    match body.decision:
        case "accept_observed":
            work.accept_observed(actor=actor, row=row)
        case "keep_declared":
            work.keep_declared(actor=actor, row=row, reason=body.reason)
        case "accept":
            work.accept(actor=actor, row=row, reason=body.reason)
        case "confirm":
            work.confirm(actor=actor, row=row)
        case "own":
            work.own(actor=actor, row=row, team=_team(body.owner))
        case "ignore":
            work.ignore(actor=actor, row=row, reason=body.reason, until=_until(body.until))
        case "reopen":
            work.reopen(actor=actor, row=row)
        case "retire":
            work.retire(actor=actor, row=row, reason=body.reason)


def _team(name: str | None) -> Any:
    found = team_named(name)
    if found is None:
        raise Invalid("inventory.owner", _("No team is named."), field="owner", remedy=_("Choose a team."))
    return found


def _until(moment: datetime | None) -> datetime:
    if moment is None:
        raise Invalid(
            "queue.until", _("A day is wanted."), field="until", remedy=_("Write it like 2026-03-03T08:00:00Z.")
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
