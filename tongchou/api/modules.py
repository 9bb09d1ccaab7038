"""Parts of the platform that can be switched off."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.core import modules
from tongchou.core.access import check

router = Router(tags=["platform"])


class ModuleOut(Schema):
    """A part: whether it is on, what it needs."""

    name: str
    title: str
    help: str
    on: bool
    needs: list[str]


class ModulesOut(Schema):
    """Every part that can be switched off."""

    items: list[ModuleOut]
    count: int


class SwitchIn(Body):
    """Whether the part is to be on."""

    on: bool


def _out(module: modules.Module) -> dict[str, Any]:
    return {
        "name": module.name,
        "title": str(module.title),
        "help": str(module.help),
        "on": module.name not in modules.off(),
        "needs": list(module.needs),
    }


@router.get("/modules", response=ModulesOut)
def list_modules(request: HttpRequest) -> dict[str, Any]:
    """List the parts that can be switched off. Needs the role operator."""
    check(actor_of(request), "platform.view")
    items = [_out(each) for each in modules.known()]
    return {"items": items, "count": len(items)}


@router.put("/modules/{name}", response=ModuleOut)
def switch_module(request: HttpRequest, name: str, body: SwitchIn) -> dict[str, Any]:
    """Switch a part on or off; 409 while another one needs it, or one it needs is off. Needs the role admin."""
    modules.switch(actor=actor_of(request), name=name, on=body.on)
    return next(_out(each) for each in modules.known() if each.name == name)
