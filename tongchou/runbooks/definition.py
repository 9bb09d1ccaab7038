"""A procedure as read: typed and immutable, with the hash an approval is bound to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tongchou.runbooks import template
from tongchou.runbooks.condition import Condition
from tongchou.runbooks.parameters import Parameter
from tongchou.runbooks.ports import Field

Grade = Literal["read", "reversible", "irreversible"]
GRADES: tuple[Grade, ...] = ("read", "reversible", "irreversible")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SAFE_METHODS = ("GET", "HEAD")
REPEATABLE_METHODS = ("GET", "HEAD", "PUT", "DELETE")
MAX_STEPS = 100
MAX_BRANCHES = 10
MAX_BATCH = 10
MAX_RETRIES = 20
MAX_TARGETS = 200
MAX_STEP_SECONDS = 300.0
MAX_WAIT_SECONDS = 86_400.0

Text = Mapping[str, str]


@dataclass(frozen=True)
class When:
    """A question to the metrics that a step is skipped for when the answer is no."""

    query: str
    condition: Condition


@dataclass(frozen=True)
class Retry:
    """How often a repeatable step is tried again after a failure, and how long is waited before each try."""

    times: int
    wait_seconds: float


@dataclass(frozen=True)
class Flow:
    """What a step's failure, condition and tries mean for the run.

    `on_failure` steps: `rescue` is done, then the run ends failed, or with `then` continue goes on.
    """

    on_failure: Literal["stop", "continue", "steps"] = "stop"
    then: Literal["stop", "continue"] = "stop"
    when: When | None = None
    retry: Retry | None = None


@dataclass(frozen=True)
class Step:
    """One step. `body` is the checked mapping under its kind, defaults filled in, templates still open.

    `fields` are the keys of a kind that a Runner declares; the built-in kinds have none. A step of kind `parallel` has
    `branches` instead of a body.
    """

    name: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    alters: bool = False
    repeatable: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)
    flow: Flow = field(default_factory=Flow)
    branches: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    rescue: Sequence[Step] = ()

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets the step itself sends, sorted."""
        sealed = [key for key, each in self.fields.items() if each.secret] or ["headers"] * (self.kind == "http")
        found = (name for key in sealed for name in template.names(self.body.get(key, {})))
        return sorted({name.name for name in found if name.space == "secret"})


def every(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps with all that stand in them, in the order of the text."""
    for step in steps:
        yield step
        for branch in step.branches.values():
            yield from every(branch)
        yield from every(step.rescue)


@dataclass(frozen=True)
class Precondition:
    """A question to the metrics that must be true before a run may start."""

    query: str
    condition: Condition
    says: Text


@dataclass(frozen=True)
class Batch:
    """How targets after the first go together: `size` at a time, each on its own (`parallel`) or step by step."""

    size: int
    parallel: bool = False


@dataclass(frozen=True)
class RateLimit:
    """At most so many runs of a procedure within `seconds`; `per` is that duration as it was written."""

    runs: int
    seconds: float
    per: str


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
    lock: str = ""
    rate_limit: RateLimit | None = None
    batch: Batch | None = None

    @property
    def parameter_types(self) -> dict[str, str]:
        """Parameter name to type, as templates want it."""
        return {name: parameter.type for name, parameter in self.parameters.items()}

    @property
    def secrets(self) -> list[str]:
        """Names of the secrets any step uses, sorted."""
        return sorted({name for step in every(self.steps) for name in step.secrets})


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
