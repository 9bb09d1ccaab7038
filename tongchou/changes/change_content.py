"""What consent to a change covers, as one text with one hash. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """A step: by hand, or the procedure of this name whose text has this hash."""

    title: str
    procedure: str = ""
    procedure_hash: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """Something outside that the change carries out: what it is, its Ref, the SHA-256 of its bytes."""

    what: str
    ref: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """All that an approver agrees to. `resources`: ids, in any order. `runs`: key -> hash of a run that is covered."""

    kind: str
    title: str
    description: str
    environment: str
    template_hash: str
    resources: Sequence[str]
    starts_at: datetime | None
    ends_at: datetime | None
    tasks: Sequence[Task]
    backout: str
    backout_procedure: str
    backout_hash: str
    verification: str
    quiet: bool
    exclude_slo: bool
    bound: Sequence[Bound]
    runs: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it with the order of resources and bindings fixed and times in UTC; without `runs` that are none.

        Else consent given before there was such a thing would count no more.
        """
        said = asdict(self)
        if not self.runs:
            del said["runs"]
        return {
            **said,
            "resources": sorted(self.resources),
            "bound": sorted((asdict(each) for each in self.bound), key=lambda each: (each["ref"], each["sha256"])),
            "tasks": [asdict(each) | {"targets": list(each.targets)} for each in self.tasks],
            "starts_at": _utc(self.starts_at),
            "ends_at": _utc(self.ends_at),
        }

    @property
    def sha256(self) -> str:
        """Return the hash that consent is bound to: the same for the same content, whatever the order of its sets."""
        return digest(self.as_json())


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, with the keys of objects in order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
