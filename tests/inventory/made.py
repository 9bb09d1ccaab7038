"""What tests of several rooms put into the inventory."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from tongchou.core.access import system
from tongchou.inventory import actions, refresh
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.models_queues import QueueItem

ACTOR = system("tests")


def make(kind: str, name: str, **attributes: Any) -> Resource:
    return actions.create_resource(actor=ACTOR, kind=kind, name=name, attributes=attributes)


def make_drift(name: str) -> QueueItem:
    """A host that a person says runs Debian 12 and a source sees with Debian 11; its item in the queue."""
    SourceConfig.objects.create(name="eyes", kind="x")
    row = make("host", name, os="Debian 12")
    actions.set_attributes(actor=ACTOR, resource=row, values={"os": "Debian 11"}, source="eyes")
    refresh.refresh(timezone.now())
    return QueueItem.objects.get(queue="differs")
