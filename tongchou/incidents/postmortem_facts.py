"""Figures of a postmortem out of its instants, and the hash of its content. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Instants:
    """When what happened. `started`: the first symptom; `detected`: the incident was opened; the rest may be absent."""

    started: datetime
    detected: datetime
    acknowledged: datetime | None
    mitigated: datetime | None
    resolved: datetime | None


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds; None when the instant is not there. docs/en/postmortem.md has the formulas."""

    detect: float
    acknowledge: float | None
    mitigate: float | None
    resolve: float | None


def durations(at: Instants) -> Durations:
    """To detect and to acknowledge count from the step before; to mitigate and to resolve from the first symptom.

    Never negative: an alert that joined late may move the first symptom, and a person may act before the last notice.
    """
    return Durations(
        detect=_between(at.started, at.detected) or 0.0,
        acknowledge=_between(at.detected, at.acknowledged),
        mitigate=_between(at.started, at.mitigated),
        resolve=_between(at.started, at.resolved),
    )


def _between(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else max(0.0, round((end - start).total_seconds(), 3))


def as_json(at: Instants) -> dict[str, Any]:
    """Instants and durations in the form `Postmortem.facts` keeps."""
    told = {name: value.isoformat() if value else None for name, value in asdict(at).items()}
    return {"instants": told, "durations": asdict(durations(at))}


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_facts(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two snapshots say the same, whenever they were taken."""
    return content_hash({**a, "taken_at": ""}) == content_hash({**b, "taken_at": ""})
