"""What a tool said of one deployment, in words all tools share, before anybody decided which service it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from tongchou.changes.deployment import MAX_AHEAD

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_VISIBLE = re.compile(r"\A[\x21-\x7e]{1,120}\Z")
_SPACE_BEFORE_ZONE = re.compile(r" (?=[+-]\d{2}:?\d{2}\Z)")
MAX_PARAMETERS = 50
TRUE_WORDS = frozenset({"true", "yes", "1", "on"})


@dataclass(frozen=True, slots=True)
class Told:
    """One report of a tool; `key` names the deployment within its sender.

    `name` is the repository, job or application, `part` the workflow, task or pipeline in it. `service` and `version`
    only where they are said outright.
    `wants_rule`: it may be anything (a test run, a nightly build), so only a rule makes it a deployment.
    """

    key: str
    event: str
    name: str
    status: str
    started_at: datetime
    at: datetime
    finished_at: datetime | None = None
    stage: int = 1
    part: str = ""
    environment: str = ""
    tier: str = ""
    ref: str = ""
    tag: str = ""
    sha: str = ""
    build: str = ""
    service: str = ""
    version: str = ""
    artifact: str = ""
    url: str = ""
    actor: str = ""
    commit_at: datetime | None = None
    commits: list[dict[str, str]] = field(default_factory=list)
    rollback: bool = False
    unplanned: bool = False
    incident_number: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    wants_rule: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """A delivery that tells of no deployment; `reason` is a code of delivery_reasons.REASONS."""

    reason: str
    event: str = ""


def key_of(*parts: object) -> str:
    """Join what names a deployment to at most 120 visible ASCII characters; what does not fit is hashed."""
    text = ":".join(str(part) for part in parts)
    if _VISIBLE.match(text):
        return text
    return f"{str(parts[0])[:20]}:{sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def dig(body: Any, *path: str) -> Any:
    """Return what lies at a path of keys; None where there is none."""
    for key in path:
        if not isinstance(body, Mapping):
            return None
        body = body.get(key)
    return body


def text(value: Any, most: int) -> str:
    """Return a text or number as one line of at most `most` characters; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return _CONTROL.sub(" ", str(value)).strip()[:most].strip()


def moment(value: Any, now: datetime) -> datetime | None:
    """Return a time as tools write it (RFC 3339, GitLab's two forms, milliseconds since 1970); None for none.

    One that lies more than five minutes ahead is a clock that is wrong: now.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value / 1000, UTC)
        elif isinstance(value, str) and value:
            plain = _SPACE_BEFORE_ZONE.sub("", value.strip().removesuffix(" UTC"))
            at = datetime.fromisoformat(plain)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    if at.year < 1990:  # Go writes year 1 for "no time"
        return None
    return min(at, now) if at > now + MAX_AHEAD else at


def address(value: Any) -> str:
    """Return a web address, or nothing."""
    found = text(value, 2001)
    return found if len(found) <= 2000 and found.startswith(("http://", "https://")) and "@" not in found[:300] else ""


def said(words: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return the fields of a Told that a free-form object states outright (a payload, parameters, custom data).

    Names are compared without case; a hotfix is one only when `unplanned` is true in words, its incident a number.
    """
    given = {str(name).lower(): value for name, value in list(words.items())[:200]}
    found: dict[str, Any] = {
        "service": text(given.get("service"), 253),
        "version": text(given.get("version"), 120),
        "artifact": text(given.get("artifact"), 500),
        "commit_at": moment(given.get("commit_at"), now),
    }
    number = re.fullmatch(r"(?:INC-)?([0-9]{1,9})", text(given.get("incident"), 20), re.IGNORECASE | re.ASCII)
    if number:
        found["incident_number"] = int(number[1])
    if given.get("unplanned") is True or text(given.get("unplanned"), 10).lower() in TRUE_WORDS:
        found["unplanned"] = True
    return {name: value for name, value in found.items() if value}


def parameters(words: Any) -> dict[str, str]:
    """Return parameters as short texts, for rules to use; they are not kept."""
    if not isinstance(words, Mapping):
        return {}
    return {text(name, 80): text(value, 253) for name, value in list(words.items())[:MAX_PARAMETERS]}


def too_old(at: datetime, now: datetime) -> bool:
    """Whether it lies further back than anything is taken (400 days)."""
    return at < now - timedelta(days=400)
