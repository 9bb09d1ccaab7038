"""The checks of this installation, from inside the server."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema

from tongchou.api.core import actor_of
from tongchou.core import checks
from tongchou.core.access import check

router = Router(tags=["platform"])


class CheckOut(Schema):
    """One check: its status, what it found, what to do about it."""

    name: str
    title: str
    status: Literal["ok", "warn", "fail", "skip"]
    detail: str
    remedy: str
    seconds: float


class DoctorOut(Schema):
    """The worst status, how many of each, and every check, worst first."""

    status: Literal["ok", "warn", "fail"]
    counts: dict[str, int]
    process: int
    checks: list[CheckOut]


@router.get("/doctor", response=DoctorOut)
def doctor(request: HttpRequest) -> dict[str, Any]:
    """Run the checks of this installation now. Needs the role operator; no secret is among what is told."""
    check(actor_of(request), "platform.view")
    return checks.report(checks.run(checks.Surroundings(in_server=True, running=True)))
