"""Build servers: what procedures start jobs on, and whose builds become deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.changes import build_actions, build_reads
from tongchou.changes.models_builds import BuildServer
from tongchou.core.problems import Unavailable
from tongchou.core.refs import ref

router = Router(tags=["changes"])


class BuildServerIn(Body):
    """A server; what is left out stays as it is. A new one wants `url`; `sender` "": its builds are not taken."""

    url: str | None = Field(None, max_length=500)
    user: str | None = Field(None, max_length=150)
    token: str | None = Field(None, min_length=1, max_length=1000)
    enabled: bool | None = None
    sender: str | None = Field(None, max_length=63)
    poll_every_seconds: int | None = None


class BuildServerOut(Schema):
    """A server and what it last said; its token is never shown."""

    name: str
    ref: str
    kind: str
    url: str
    user: str
    enabled: bool
    sender: str | None
    poll_every_seconds: int
    answered_at: datetime | None
    failing_since: datetime | None
    problem: str
    version: str
    known_as: str


class BuildServerPage(Schema):
    """All of them, by name."""

    items: list[BuildServerOut]
    count: int


class GreetingOut(Schema):
    """What a server said when it was asked: its version, and as whom it knows us; or why it gave no usable answer."""

    answers: bool
    version: str = ""
    known_as: str = ""
    detail: str = ""
    remedy: str = ""


def _server(row: BuildServer) -> dict[str, Any]:
    same = ("name", "kind", "url", "user", "enabled", "poll_every_seconds", "answered_at", "failing_since", "problem")
    more = {"ref": ref(row), "sender": row.sender.name if row.sender else None}
    return {name: getattr(row, name) for name in (*same, "version", "known_as")} | more


@router.get("/build-servers", response=BuildServerPage)
def list_build_servers(request: HttpRequest) -> dict[str, Any]:
    """List the build servers; their tokens are never shown."""
    rows = [_server(each) for each in build_reads.servers(actor_of(request))]
    return {"items": rows, "count": len(rows)}


@router.get("/build-servers/{name}", response=BuildServerOut)
def get_build_server(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one build server."""
    return _server(build_reads.server(actor_of(request), name))


@router.put("/build-servers/{name}", response=BuildServerOut)
def put_build_server(request: HttpRequest, name: str, body: BuildServerIn) -> dict[str, Any]:
    """Name a build server, or change it. With another URL or user the token is wanted again."""
    wanted = build_actions.ServerWanted(**body.model_dump())
    return _server(build_actions.put_server(actor=actor_of(request), name=name, wanted=wanted))


@router.delete("/build-servers/{name}", response={204: None})
def delete_build_server(request: HttpRequest, name: str) -> Status[None]:
    """Remove a build server and its token; what its builds became stays."""
    actor = actor_of(request)
    build_actions.remove_server(actor=actor, row=build_reads.server(actor, name))
    return Status(204, None)


@router.post("/build-servers/{name}/test", response=GreetingOut)
def test_build_server(request: HttpRequest, name: str) -> dict[str, Any]:
    """Ask it for its version and who we are; `answers` false comes with what went wrong."""
    actor = actor_of(request)
    try:
        greeting = build_actions.test_server(actor=actor, row=build_reads.server(actor, name))
    except Unavailable as problem:
        return {"answers": False, "detail": str(problem.detail), "remedy": str(problem.remedy or "")}
    return {"answers": True, "version": greeting.version, "known_as": greeting.known_as}
