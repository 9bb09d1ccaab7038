"""The emergency stop of everything that runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.runbooks import Text
from tongchou.core.access import Actor, check_anywhere
from tongchou.runbooks import actions, reads

router = Router(tags=["runbooks"])


class StopIn(Body):
    """Why everything stops, or may go on."""

    reason: Text = Field(default="", max_length=actions.MAX_COMMENT)


class StopOut(Schema):
    """Whether the emergency stop is on, since when, by whom and why; `paused` runs wait for a person each."""

    stopped: bool
    at: datetime | None
    by: str
    reason: str
    paused: list[UUID]


def _stop_out(actor: Actor) -> dict[str, Any]:
    found = reads.stop()
    paused = [row.pk for row in reads.runs(actor, states=["paused"])[:500]]
    return {
        "stopped": found is not None,
        "at": found.at if found else None,
        "by": found.by if found else "",
        "reason": found.reason if found else "",
        "paused": paused,
    }


@router.get("/execution/stop", response=StopOut)
def get_stop(request: HttpRequest) -> dict[str, Any]:
    """Return whether the emergency stop is on."""
    actor = actor_of(request)
    check_anywhere(actor, "runbooks.view")
    return _stop_out(actor)


@router.post("/execution/stop", response=StopOut)
def stop_execution(request: HttpRequest, body: StopIn) -> dict[str, Any]:
    """Stop everything: nothing begins, and what is under way pauses before its next step."""
    actor = actor_of(request)
    actions.stop_execution(actor=actor, reason=body.reason)
    return _stop_out(actor)


@router.post("/execution/resume", response=StopOut)
def lift_stop(request: HttpRequest, body: StopIn) -> dict[str, Any]:
    """Lift the emergency stop; what was paused waits for `POST /runs/{id}/resume`."""
    actor = actor_of(request)
    actions.lift_stop(actor=actor, reason=body.reason)
    return _stop_out(actor)
