"""Reads a deployment as its sender tells it: names, lengths, times and words checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid

MAX_AHEAD = timedelta(minutes=5)
MAX_AGE = timedelta(days=400)
STATUSES: dict[str, str] = {
    **dict.fromkeys(("succeeded", "success", "successful", "ok", "completed", "complete", "deployed"), "succeeded"),
    **dict.fromkeys(("failed", "failure", "error", "errored", "unstable"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "aborted", "skipped"), "cancelled"),
    **dict.fromkeys(("running", "started", "in_progress", "pending", "queued"), "running"),
}
LENGTHS = {"service": 253, "version": 120, "previous_version": 120, "environment": 80, "url": 2000, "actor": 150} | {
    "tier": 20,
    "commit_sha": 64,
    "artifact": 500,
}
WAITING = frozenset({"pending", "queued"})
MAX_COMMITS = 50
_DELIVERY = re.compile(r"\A[\x21-\x7e]{1,120}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_INCIDENT = re.compile(r"\A(?:INC-)?([0-9]{1,9})\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """A deployment as it was reported; times aware. `finished_at` is None while it runs.

    `at` is the sender's own time of this report, None where it tells none; `stage` of one that has not ended is 0 while
    it waits, 1 while it runs. `commits` = [{sha, at}], the newest last. `unplanned` and `incident_number`: what
    the sender said in words, never what we think.
    """

    delivery_id: str
    service: str
    version: str
    previous_version: str
    environment: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    url: str
    actor: str
    at: datetime | None = None
    stage: int = 1
    tier: str = ""
    commit_sha: str = ""
    commit_at: datetime | None = None
    commits: list[dict[str, str]] = field(default_factory=list)
    artifact: str = ""
    rollback: bool = False
    unplanned: bool = False
    incident_number: int | None = None


def read(body: Any, *, now: datetime) -> Report:
    """Return the report in a JSON object; `service`, `version` and `delivery_id` are required.

    `status` is folded to succeeded, failed, cancelled, running (default succeeded). Times are RFC 3339 or Unix seconds;
    a missing end is now, a missing start is the end. `deployment_id` joins several deliveries to one deployment, which
    is else named by its delivery; then `at` says how late each is. Unknown fields are left alone. Raises Invalid naming
    the field.
    """
    if not isinstance(body, Mapping):
        raise Invalid(
            "deployment.body", _("A JSON object is wanted."), remedy=_('Send {"service": ..., "version": ...}.')
        )
    texts = {name: _text(body, name, length) for name, length in LENGTHS.items()}
    for name in ("service", "version"):
        if not texts[name]:
            raise _invalid(name, body.get(name), _("It is required and may not be empty."))
    delivery_id = delivery_of(body)
    deployment_id = _name(body, "deployment_id") if body.get("deployment_id") not in (None, "") else delivery_id
    word = body.get("status") or "succeeded"
    status = STATUSES.get(word.strip().lower()) if isinstance(word, str) else None
    if status is None:
        raise _invalid("status", word, _("One of succeeded, failed, cancelled, running."))
    if texts["url"] and not texts["url"].startswith(("http://", "https://")):
        raise _invalid("url", texts["url"], _("It must begin with http:// or https://."))
    started_at, finished_at = _times(body, status, now)
    return Report(
        delivery_id=deployment_id,
        service=texts["service"],
        version=texts["version"],
        previous_version=texts["previous_version"],
        environment=texts["environment"],
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        url=texts["url"],
        actor=texts["actor"],
        at=_time(body, "at", now),
        stage=0 if isinstance(word, str) and word.strip().lower() in WAITING else 1,
        tier=texts["tier"].lower(),
        commit_sha=texts["commit_sha"].lower(),
        commit_at=_time(body, "commit_at", now, oldest=None),
        commits=_commits(body, now),
        artifact=texts["artifact"],
        rollback=_flag(body, "rollback"),
        unplanned=_flag(body, "unplanned"),
        incident_number=incident_number(body.get("incident")),
    )


def delivery_of(body: Any) -> str:
    """Return the id of a delivery in a JSON object; Invalid when there is none."""
    return _name(body if isinstance(body, Mapping) else {}, "delivery_id")


def incident_number(value: Any) -> int | None:
    """Return the number in INC-7, "7" or 7; None for nothing. Raises Invalid for anything else."""
    if value is None or value == "":
        return None
    found = _INCIDENT.match(str(value).strip()) if isinstance(value, str | int) and value is not True else None
    if found is None:
        raise _invalid("incident", value, _("The number of an incident is wanted, such as INC-7."))
    return min(int(found[1]), 2**31 - 1)


def _name(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _DELIVERY.match(value):
        raise _invalid(
            name, value, _("It must be 1 to 120 visible ASCII characters, the same when a delivery is repeated.")
        )
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _invalid(name, value, _("It must be true or false."))


def _commits(body: Mapping[str, Any], now: datetime) -> list[dict[str, str]]:
    """The commits a deployment brought, at most the last MAX_COMMITS; each with its hash, and its time if told."""
    listed = body.get("commits")
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise _invalid(
            "commits", None, _('A list such as [{"sha": "1f2e...", "at": "2026-03-02T10:00:00Z"}] is wanted.')
        )
    found = []
    for each in listed[-MAX_COMMITS:]:
        at = _time(each, "at", now, oldest=None)
        told = {"sha": _text(each, "sha", 64).lower(), "at": at.isoformat() if at else ""}
        found.append({name: value for name, value in told.items() if value})
    return [each for each in found if each.get("sha")]


def _times(body: Mapping[str, Any], status: str, now: datetime) -> tuple[datetime, datetime | None]:
    finished_at = _time(body, "finished_at", now)
    started_at = _time(body, "started_at", now)
    if status == "running":
        return started_at or now, None
    end = finished_at or now
    start = started_at or end
    if start > end:
        raise _invalid("started_at", body.get("started_at"), _("It is after finished_at."))
    return start, end


def _invalid(name: str, value: Any, detail: Any) -> Invalid:
    return Invalid(
        "deployment.field", detail, field=name, value=value, remedy=_("Correct the field and send it again.")
    )


def _text(body: Mapping[str, Any], name: str, length: int) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > length or _CONTROL.search(value):
        raise _invalid(
            name,
            value,
            _("It must be text of at most %(length)s characters without control characters.") % {"length": length},
        )
    return value.strip()


def _time(body: Mapping[str, Any], name: str, now: datetime, *, oldest: timedelta | None = MAX_AGE) -> datetime | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            at = datetime.fromisoformat(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        at = at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise _invalid(name, value, _("It must be a time like 2026-03-02T10:00:00Z, or Unix seconds.")) from error
    if at > now + MAX_AHEAD or (oldest is not None and at < now - oldest):
        raise _invalid(
            name, value, _("It lies in the future, or more than 400 days back: is the sender's clock right?")
        )
    return at
