"""A source that sees what a test says, and the turn of who reads what it saw."""

from __future__ import annotations

from typing import Any

from tongchou.changes import observed_items
from tongchou.core import seal
from tongchou.core.access import system
from tongchou.inventory import sources
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource

TESTS = system("tests")


def eyes(name: str = "eyes", **more: Any) -> SourceConfig:
    return SourceConfig.objects.create(name=name, kind="x", **{"missing_after": 1, "grace_seconds": 0.0} | more)


def thing(name: str, kind: str = "host", **facts: Any) -> ObservedResource:
    return ObservedResource(kind, name, (f"{kind}:{name}",), facts)


def port(host: str, number: int, process: str = "nginx", **more: Any) -> ObservedResource:
    facts = {"port": number, "protocol": "tcp", "addresses": ["0.0.0.0"], "process": process, **more}
    return ObservedResource("listener", f"{process}:{number}", (f"host:{host}/tcp:{number}",), facts)


def sees(source: SourceConfig, *found: ObservedResource) -> None:
    """One look. A port runs on the host that its key names."""
    runs = [
        ObservedRelation("runs_on", ((each.keys[0], each.keys[0].rpartition("/")[0]),), origin="observed")
        for each in found
        if each.kind == "listener"
    ]
    sources.apply_sync(actor=TESTS, source=source, observation=Observation(tuple(found), tuple(runs)))


def read() -> int:
    """Seal what was committed, and read on."""
    while seal.seal_pending():
        continue
    return observed_items.read_on()


def looked(source: SourceConfig, *found: ObservedResource) -> None:
    """One look, read."""
    sees(source, *found)
    read()


def resource(name: str) -> Resource:
    return Resource.objects.get(name=name)
