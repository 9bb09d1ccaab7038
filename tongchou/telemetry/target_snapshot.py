"""How scraped targets are, for the processes that do not scrape: the one that does writes it down now and then.

Only where several processes share the store; alone, memory is enough (`target_health`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.utils import timezone

from tongchou.core import clock
from tongchou.telemetry import target_health
from tongchou.telemetry.backend import backend, is_open
from tongchou.telemetry.models import ScrapeSnapshot
from tongchou.telemetry.target_health import TargetHealth
from tongchou.wire.exposition import Meta

EVERY_SECONDS = 10.0
OLD_SECONDS = 120.0
MAX_TARGETS = 5_000


def save() -> None:
    """Write down what this process, which scrapes, knows. Nothing when it is the only one."""
    if not (is_open() and backend().engine.shared):
        return
    targets = [
        asdict(each) | {"endpoint_id": str(each.endpoint_id), "resource_id": str(each.resource_id)}
        for each in target_health.target_health()[:MAX_TARGETS]
    ]
    metadata = {name: [meta.type, meta.help, meta.unit] for name, meta in target_health.known_metadata().items()}
    found = {"at": clock.now(), "targets": targets, "metadata": metadata}
    ScrapeSnapshot.objects.update_or_create(pk=1, defaults=found)


def targets() -> list[TargetHealth]:
    """Every target, by job and instance: as this process sees it when it scrapes, else as it was written down."""
    own = target_health.target_health()
    if own:
        return own
    return [_target(each) for each in _newest("targets", [])]


def metadata() -> dict[str, Meta]:
    """Type, help and unit by metric family: what was written down, and what this process scraped or was sent."""
    return {name: Meta(*each) for name, each in _newest("metadata", {}).items()} | target_health.known_metadata()


def _newest(column: str, none: Any) -> Any:
    if not (is_open() and backend().engine.shared):
        return none
    row = ScrapeSnapshot.objects.filter(pk=1).values("at", column).first()
    if row is None or (timezone.now() - row["at"]).total_seconds() > OLD_SECONDS:
        return none
    return row[column]


def _target(held: dict[str, Any]) -> TargetHealth:
    ids = {name: UUID(held[name]) for name in ("endpoint_id", "resource_id")}
    return TargetHealth(**{**held, **ids})
