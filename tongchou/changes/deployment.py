"""Reads a deployment as its sender tells it: names, lengths, times and words checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
LENGTHS = {"service": 253, "version": 120, "previous_version": 120, "environment": 80, "url": 2000, "actor": 150}
_DELIVERY = re.compile(r"\A[\x21-\x7e]{1,120}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Report:
    """A deployment as it was reported; times aware. `finished_at` is None while it runs."""

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


def read(body: Any, *, now: datetime) -> Report:
    """Return the report in a JSON object; `service`, `version` and `delivery_id` are required.

    `status` is folded to succeeded, failed, cancelled, running (default succeeded). Times are RFC 3339 or Unix seconds;
    a missing end is now, a missing start is the end. Unknown fields are left alone. Raises Invalid naming the field.
    """
    if not isinstance(body, Mapping):
        raise Invalid(
            "deployment.body", _("A JSON object is wanted."), remedy=_('Send {"service": ..., "version": ...}.')
        )
    texts = {name: _text(body, name, length) for name, length in LENGTHS.items()}
    for name in ("service", "version"):
        if not texts[name]:
            raise _invalid(name, body.get(name), _("It is required and may not be empty."))
    delivery_id = body.get("delivery_id")
    if isinstance(delivery_id, int) and not isinstance(delivery_id, bool):
        delivery_id = str(delivery_id)
    if not isinstance(delivery_id, str) or not _DELIVERY.match(delivery_id):
        raise _invalid(
            "delivery_id",
            delivery_id,
            _("It must be 1 to 120 visible ASCII characters, the same when a delivery is repeated."),
        )
    word = body.get("status") or "succeeded"
    status = STATUSES.get(word.strip().lower()) if isinstance(word, str) else None
    if status is None:
        raise _invalid("status", word, _("One of succeeded, failed, cancelled, running."))
    if texts["url"] and not texts["url"].startswith(("http://", "https://")):
        raise _invalid("url", texts["url"], _("It must begin with http:// or https://."))
    started_at, finished_at = _times(body, status, now)
    return Report(
        delivery_id=delivery_id,
        service=texts["service"],
        version=texts["version"],
        previous_version=texts["previous_version"],
        environment=texts["environment"],
        status=status,
        started_at=started_at,
        finished_at=finished_at,
        url=texts["url"],
        actor=texts["actor"],
    )


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


def _time(body: Mapping[str, Any], name: str, now: datetime) -> datetime | None:
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
    if not now - MAX_AGE <= at <= now + MAX_AHEAD:
        raise _invalid(
            name, value, _("It lies in the future, or more than 400 days back: is the sender's clock right?")
        )
    return at
