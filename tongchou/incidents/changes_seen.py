"""Which ledger events are changes that may have caused something, and what they say of themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tongchou.incidents.suspects import ChangeKind

# verb -> kind of change. What only observes, asks or answers is no change.
CHANGE_VERBS: dict[str, ChangeKind] = {
    "deployment.started": "deployment",
    "deployment.finished": "deployment",
    "resource.changed": "other",
    "resource.tombstoned": "other",
    "setting.changed": "config",
    "alerting.rule_file_changed": "config",
    "run.started": "run",
    "run.succeeded": "run",
    "run.failed": "run",
}
# these point at a noun of their own, one for each change; other events are pointed at themselves
_OWN_SUBJECT = ("changes.", "runbooks.")
RESOURCE = "inventory.resource:"


def ref_of(event_id: int, subject: str) -> str:
    """Return what a suspect made of an event points at: the deployment or run, else the event."""
    return subject if subject.startswith(_OWN_SUBJECT) else f"core.event:{event_id}"


def began_at(at: datetime, payload: Mapping[str, Any]) -> datetime:
    """Return when a change may have begun to hurt: its start when it tells one, as a rolling release hurts early."""
    started = payload.get("started_at")
    if not isinstance(started, str):
        return at
    try:
        told = datetime.fromisoformat(started)
    except ValueError:
        return at
    return min(told, at) if told.tzinfo else at


def title_of(verb: str, payload: Mapping[str, Any]) -> str:
    """Return a language-free line: the title the event tells, else its name, else its verb."""
    for name in ("title", "procedure", "name", "key"):
        value = payload.get(name)
        if isinstance(value, str) and value:
            return value[:300]
    return verb


def version_changed(payload: Mapping[str, Any]) -> bool:
    """Tell whether an event tells of two versions that differ."""
    version, before = payload.get("version"), payload.get("previous_version")
    return bool(version) and bool(before) and version != before
