"""Two resources made one, taken apart again, one split in two, and keys moved from one to another."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.inventory import seen_resource
from tongchou.inventory import merge
from tongchou.inventory.models_queues import Merge

router = Router(tags=["inventory"])


class MergeIn(Body):
    """Which resource goes into the one of the address, and why."""

    absorbed_id: UUID
    reason: str = Field(default="", max_length=500)


class SplitIn(Body):
    """The identity keys that leave; the name of the new resource, where it shall have another one.

    `into`: the resource that gets them instead of a new one.
    """

    keys: list[str] = Field(min_length=1, max_length=50)
    name: str = ""
    into: UUID | None = None
    reason: str = Field(default="", max_length=500)


def _merge(row: Merge) -> dict[str, Any]:
    ends = {
        name: {"id": end.pk, "kind": end.kind, "name": end.name}
        for name, end in (("kept", row.kept), ("absorbed", row.absorbed))
    }
    facts = ("at", "by", "reason", "undone_at", "undone_by")
    return {"id": row.pk, **ends, "keys": row.journal.get("keys", []), **{name: getattr(row, name) for name in facts}}


@router.get("/resources/{id}/merges", response=Page)
def list_merges(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """List the merges in force into a resource, the newest first."""
    rows = merge.merges_of(seen_resource(actor_of(request), id))
    return {"items": [_merge(row) for row in rows], "count": len(rows)}


@router.post("/resources/{id}/merge", response={201: dict[str, Any]})
def merge_resources(request: HttpRequest, id: UUID, body: MergeIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Merge another resource into this one; the other one's id answers with `merged_into` from then on."""
    actor = actor_of(request)
    kept, absorbed = (seen_resource(actor, each) for each in (id, body.absorbed_id))
    return Status(201, _merge(merge.merge_resources(actor=actor, kept=kept, absorbed=absorbed, reason=body.reason)))


@router.post("/merges/{id}/undo", response=dict[str, Any])
def undo_merge(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Take two merged resources apart again, the newest merge first."""
    actor = actor_of(request)
    row = merge.get_merge(id)
    for end in (row.kept_id, row.absorbed_id):
        seen_resource(actor, end)
    merge.undo_merge(actor=actor, merge=row)
    return _merge(row)


@router.post("/resources/{id}/split", response={201: dict[str, Any]})
def split_resource(request: HttpRequest, id: UUID, body: SplitIn) -> Status[dict[str, Any]]:  # noqa: A002  # the path's own name
    """Split a resource: some of its keys go to a new one of its kind and owner, or to one that is there (`into`)."""
    actor = actor_of(request)
    row = seen_resource(actor, id)
    if body.into is not None:
        other = seen_resource(actor, body.into)
        made = merge.move_keys(actor=actor, resource=row, to=other, keys=body.keys, reason=body.reason)
    else:
        made = merge.split_resource(actor=actor, resource=row, keys=body.keys, name=body.name, reason=body.reason)
    return Status(201, {"id": made.pk, "kind": made.kind, "name": made.name, "keys": sorted(set(body.keys))})
