"""What a kind of step must bring to be run: `runbooks.Runner`, implemented in integrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tongchou.runbooks.reasons import Reason


@dataclass(frozen=True)
class StepCall:
    """One step to do now. `idempotency_key` is the same each time this step is tried, and no other step's."""

    name: str
    input: Mapping[str, Any]
    idempotency_key: str
    repeatable: bool


@dataclass(frozen=True)
class Context:
    """What a step may use but never return: secrets by name, in clear."""

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class StepResult:
    """What came of a step. `output` is plain JSON for the journal; `reason` says why it failed (None: it did not)."""

    output: Mapping[str, Any] = field(default_factory=dict)
    reason: Reason | None = None


@runtime_checkable
class Runner(Protocol):
    """Does steps of one kind. `kind` is the key under which a procedure writes such a step."""

    kind: str

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a resolved step without touching the world; empty when nothing is."""

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The longest this step can take; `run` returns before."""

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Do it and say what came of it. Called outside any transaction; does not raise for the world's faults."""
