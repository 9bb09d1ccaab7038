"""Which ledger events are changes that may have caused something, and what they say of themselves. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from tongchou.incidents.suspects import ChangeKind

# verb -> kind of change. What only observes, asks or answers is no change.
CHANGE_VERBS: dict[str, ChangeKind] = {
    "deployment.started": "deployment",
    "deployment.finished": "deployment",
    "plan.applied": "config",
    "plan.apply_failed": "config",
    "plan.interrupted": "config",
    "resource.changed": "other",
    "run.started": "run",
    "run.succeeded": "run",
    "run.failed": "run",
}
_TELLING = ("config", "version", "image", "digest", "setting")
# these point at a noun of their own, one for each change; other events are pointed at themselves
_OWN_SUBJECT = ("changes.", "runbooks.")
RESOURCE = "inventory.resource:"


def kind_of(verb: str, payload: Mapping[str, Any]) -> ChangeKind:
    """Return the kind of a change; a resource whose version or configuration changed counts as configuration."""
    changes = payload.get("changes")
    if verb == "resource.changed" and isinstance(changes, Mapping):
        words = " ".join(str(name) for name in changes).lower()
        return "config" if any(word in words for word in _TELLING) else "other"
    return CHANGE_VERBS.get(verb, "other")


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
    """Return a language-free line: the title the event tells, else its name and what changed, else its verb."""
    changes = payload.get("changes")
    if isinstance(changes, Mapping) and isinstance(payload.get("name"), str):
        return f"{payload['name']}: {', '.join(_change(name, pair) for name, pair in sorted(changes.items())[:3])}"[
            :300
        ]
    for name in ("title", "procedure", "name", "key"):
        value = payload.get(name)
        if isinstance(value, str) and value:
            return value[:300]
    return verb


def repeats(payload: Mapping[str, Any], released: Collection[str]) -> bool:
    """Tell whether a resource's change only shows a release that was reported itself: its version is a released one.

    A change of configuration beside the version is news of its own.
    """
    changes = payload.get("changes")
    pair = changes.get("version") if isinstance(changes, Mapping) else None
    if not isinstance(changes, Mapping) or not isinstance(pair, list) or len(pair) != 2:  # old and new
        return False
    others = {name: value for name, value in changes.items() if name != "version"}
    return str(pair[1]) in released and kind_of("resource.changed", {"changes": others}) == "other"


def _change(name: Any, pair: Any) -> str:
    if isinstance(pair, list) and len(pair) == 2:  # old and new
        return f"{name} {str(pair[0])[:40]} → {str(pair[1])[:40]}"
    return str(name)


def version_changed(payload: Mapping[str, Any]) -> bool:
    """Tell whether an event tells of two versions that differ."""
    version, before = payload.get("version"), payload.get("previous_version")
    return bool(version) and bool(before) and version != before
