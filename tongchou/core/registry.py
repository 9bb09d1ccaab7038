"""Integrations: found by scanning `tongchou.integrations`, so that a new one edits no file elsewhere."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

PACKAGE = "tongchou.integrations"
P = TypeVar("P")


@dataclass(frozen=True)
class Integration:
    """What one folder under `tongchou/integrations/` brings.

    `app`: Django app to install (models, jobs, duties), or None. `urls`: (path prefix, module with urlpatterns).
    `ports`: objects that satisfy a room's Protocol (inventory.Source, alerting.Channel, ...), built without I/O;
    as dotted names "module:attribute" they are imported only after Django is ready.
    """

    name: str
    title: str
    app: str | None = None
    urls: tuple[str, str] | None = None
    ports: Sequence[str] = field(default_factory=tuple)


@cache
def integrations() -> list[Integration]:
    """Return the INTEGRATION of every `tongchou/integrations/<name>/integration.py`, by name."""
    package = importlib.import_module(PACKAGE)
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        declared = importlib.import_module(f"{PACKAGE}.{module.name}.integration")
        found.append(declared.INTEGRATION)
    return sorted(found, key=lambda each: str(each.name))


def _load(dotted: str) -> object:
    module, _, attribute = dotted.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def _ports() -> tuple[object, ...]:
    return tuple(_load(dotted) for each in integrations() for dotted in each.ports)


_satisfying: dict[type, tuple[tuple[object, ...], list[Any]]] = {}


def implementations(port: type[P]) -> list[P]:
    """Return every declared port object that satisfies the runtime_checkable Protocol `port`."""
    ports = _ports()
    # To ask a Protocol takes longer than a small query: asked once, and again when other ports were declared.
    declared, found = _satisfying.get(port, ((), []))
    if declared is not ports:
        found = [each for each in ports if isinstance(each, port)]
        _satisfying[port] = (ports, found)
    return list(found)
