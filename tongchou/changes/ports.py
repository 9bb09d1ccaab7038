"""What the world must satisfy to plan and apply a configuration: `changes.Tool`, and `changes.PlanChecker`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Mode = Literal["plan", "drift", "destroy"]
Hear = Callable[[Sequence[str]], bool]  # told new lines; False asks for an end in good order


@dataclass(frozen=True)
class Where:
    """A workspace as its tool sees it. `key` names what it keeps between runs; `environment` holds secrets in clear."""

    key: str
    program: str
    directory: Path
    workspace: str
    var_files: tuple[Path, ...]
    environment: Mapping[str, str] = field(repr=False)
    lock_timeout_seconds: int = 60
    timeout_seconds: int = 1800


@dataclass(frozen=True)
class StateFacts:
    """Which state it is: serial 0 and lineage "" where there is none yet."""

    lineage: str = ""
    serial: int = 0


@dataclass(frozen=True)
class Planned:
    """What came of planning. `said` and `document` are as the tool gave them: nothing of them may be kept unredacted.

    `hidden`: sensitive values that are known from elsewhere, for a plan that failed and has no document.
    """

    outcome: Literal["nothing", "changes", "failed", "timeout"]
    said: tuple[str, ...] = field(default=(), repr=False)
    document: Any = field(default=None, repr=False)
    state: StateFacts = StateFacts()
    hidden: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class Applied:
    """What came of applying; `state` is the state afterwards, `hidden` what is sensitive in it."""

    outcome: Literal["applied", "failed", "timeout", "stopped"]
    said: tuple[str, ...] = field(default=(), repr=False)
    state: StateFacts = StateFacts()
    hidden: frozenset[str] = field(default=frozenset(), repr=False)


@runtime_checkable
class Tool(Protocol):
    """Plans and applies. Called outside any transaction; does not raise for the world's faults."""

    programs: Sequence[str]

    def missing(self, program: str) -> str:
        """Why this program cannot be run here, in the active language; "" when it can."""

    def plan(self, where: Where, mode: Mode, keep: Path, hear: Hear) -> Planned:
        """Plan; the plan file is at `keep` (mode 0600) afterwards unless it failed. `hear` as in `apply`."""

    def document(self, where: Where, plan_file: bytes) -> Any:
        """The JSON of a plan file, with everything sensitive in clear; None when it cannot be read."""

    def apply(self, where: Where, plan_file: bytes, hear: Hear) -> Applied:
        """Apply exactly these bytes; `hear` is told lines while it goes on, at least every two seconds (maybe none)."""

    def state(self, where: Where) -> StateFacts | None:
        """Which state there is now; None when it cannot be read."""

    def pull(self, where: Where) -> bytes:
        """The state itself, with everything sensitive in clear; empty when there is none."""


@dataclass(frozen=True)
class Checked:
    """One finding of a checker."""

    rule: str
    title: str
    address: str
    url: str = ""


@runtime_checkable
class PlanChecker(Protocol):
    """Looks at the JSON of a plan with rules of its own."""

    checker: str

    def installed(self) -> bool:
        """Whether it is there."""

    def check(self, document: Any) -> Sequence[Checked] | None:
        """What it found; None when it could not be run."""
