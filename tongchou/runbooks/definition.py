"""A procedure as read: typed and immutable, with the hash an approval is bound to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tongchou.runbooks import template
from tongchou.runbooks.condition import Condition
from tongchou.runbooks.parameters import Parameter

Grade = Literal["read", "reversible", "irreversible"]
GRADES: tuple[Grade, ...] = ("read", "reversible", "irreversible")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SAFE_METHODS = ("GET", "HEAD")
REPEATABLE_METHODS = ("GET", "HEAD", "PUT", "DELETE")
MAX_STEPS = 100
MAX_TARGETS = 200
MAX_STEP_SECONDS = 300.0
MAX_WAIT_SECONDS = 86_400.0

Text = Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """One step. `body` is the checked mapping under its kind, defaults filled in, templates still open."""

    name: str
    kind: str
    body: Mapping[str, Any]
    alters: bool = False
    repeatable: bool = True

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets the step sends, sorted."""
        return sorted({name.name for name in template.names(self.body.get("headers", {})) if name.space == "secret"})


@dataclass(frozen=True)
class Precondition:
    """A question to the metrics that must be true before a run may start."""

    query: str
    condition: Condition
    says: Text


@dataclass(frozen=True)
class TargetsFrom:
    """Which resources a suggestion fills in: those of the alert, of a selector, or those a query's labels name."""

    source: Literal["alert", "selector", "query"] = "alert"
    kind: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass(frozen=True)
class Definition:
    """A procedure as read. `content_hash` is what an approval is bound to."""

    name: str
    title: Text
    description: Text
    grade: Grade
    matches: Sequence[Mapping[str, Sequence[str]]]
    parameters: Mapping[str, Parameter]
    max_targets: int
    targets: TargetsFrom
    preconditions: Sequence[Precondition]
    steps: Sequence[Step]
    content_hash: str

    @property
    def parameter_types(self) -> dict[str, str]:
        """Parameter name to type, as templates want it."""
        return {name: parameter.type for name, parameter in self.parameters.items()}

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets any step uses, sorted."""
        return sorted({name for step in self.steps for name in step.secrets})


def offered(secret: str) -> bool:
    """Whether procedures may use the secret: one with a colon belongs to a room (channel:..., deployments:...)."""
    return ":" not in secret


def canonical_hash(value: Any) -> str:
    """Hex SHA-256 of canonical JSON (keys sorted, no spaces, UTF-8): layout and comments do not count."""
    canonical = json.dumps(
        _canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Any) -> Any:
    """Whole floats count as integers: PostgreSQL gives 1e+22 back as one, and a row's hash must survive its trip."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
