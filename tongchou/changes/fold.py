"""Makes one deployment out of all that was told of it, in whatever order it came. Pure.

Every field remembers how late the report was that it is from. A later one wins; a queued or running state never wins
over an end. So the same reports end in the same deployment, however often and in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tongchou.changes.deployment import Report

# column of the deployment -> field of the report
FIELDS = {
    "service_name": "service",
    "version": "version",
    "environment": "environment",
    "tier": "tier",
    "url": "url",
    "actor_name": "actor",
    "commit_sha": "commit_sha",
    "commit_at": "commit_at",
    "commits": "commits",
    "artifact": "artifact",
    "rollback": "rollback",
    "unplanned": "unplanned",
    "incident_number": "incident_number",
    "previous_version": "previous_version",
    "status": "status",
}
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Folded:
    """The columns that change, and `told` as it is then."""

    changed: dict[str, Any]
    told: dict[str, str]


def order_of(report: Report) -> str:
    """Return how late a report is, as text that sorts: its stage, then its sender's time if it has one."""
    stage = 2 if report.status in ENDED else report.stage
    moment = report.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if report.at else ""
    return f"{stage}{moment}"


def told_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return `told` of a deployment that was written down before there was one: every field is from one report."""
    stage = "2" if row["status"] in ENDED else "1"
    return {name: stage for name in FIELDS if row[name] not in (None, "", [], False)}


def fold(row: Mapping[str, Any] | None, told: Mapping[str, str], report: Report) -> Folded:
    """Return what a report changes of a deployment (None: there is none yet).

    Of two reports that are equally late the greater value wins; one without a time of its own does not overrule an
    equally late one: who repeats a delivery does not rewrite history.
    """
    order = order_of(report)
    stamps = dict(told) if told or row is None else told_of(row)
    before = stamps.get("status")
    changed: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = getattr(report, field)
        if value in (None, "", [], False):
            continue
        was = stamps.get(name)
        if was is not None and not _later(order, value, was, row[name] if row else None, timed=report.at is not None):
            continue
        stamps[name] = order
        if row is None or row[name] != value:
            changed[name] = value
    if row is None or report.started_at < row["started_at"]:
        changed["started_at"] = report.started_at
    ended = _finished(report, row, order, before)
    if row is None or row["finished_at"] != ended:
        changed["finished_at"] = ended
    return Folded(changed, stamps)


def _later(order: str, value: Any, was: str, current: Any, *, timed: bool) -> bool:
    if order != was:
        return order > was
    return timed and _text(value) > _text(current)


def _finished(report: Report, row: Mapping[str, Any] | None, order: str, before: str | None) -> datetime | None:
    """The end that belongs to the state that won; of two equally late reports of the same end the later moment."""
    if row is None or before is None or order > before:
        return report.finished_at
    kept: datetime | None = row["finished_at"]
    if order < before or report.at is None or kept is None or report.finished_at is None:
        return kept
    if report.status == row["status"]:
        return max(report.finished_at, kept)
    return report.finished_at if report.status > row["status"] else kept


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
