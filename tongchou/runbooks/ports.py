"""What a kind of step must bring to be run: `runbooks.Runner`, implemented in integrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from tongchou.runbooks.reasons import Reason


@dataclass(frozen=True)
class Field:
    """One key of a step kind: what a procedure may write there, checked when it is saved and again once resolved.

    `default` None: the key is absent from the step unless it is given. `least` and `most` bound numbers, and the length
    of strings and lists where they are given for those. `pattern` is RE2 and must match the whole resolved string.
    With `template`, `${params.x}`, `${target.x}` and `${incident.number}` may stand in it: in strings, at any depth of
    mappings and lists, and as the whole value of an integer, a number, a boolean or a choice. With `secret`,
    `${secret.NAME}` may stand in it too: such a value reaches `Runner.run` as a template (see `template.open_secrets`)
    in which everything but secrets is resolved. `spaces`, where given, are the only ones whose names may stand in it:
    ("target",) for what chooses a host, as in a URL.
    """

    type: Literal["string", "integer", "number", "boolean", "choice", "mapping", "list"]
    required: bool = False
    default: Any = None
    choices: Sequence[str] = ()
    least: float | None = None
    most: float | None = None
    pattern: str = ""
    template: bool = False
    secret: bool = False
    spaces: Sequence[Literal["params", "target", "incident", "secret"]] = ()


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
    """Does steps of one kind. `kind` is the key under which a procedure writes such a step.

    `fields` are the keys of the step, in the order a page shows them. `timeout_seconds` is a key of every kind; a
    Runner that declares it sets its default and bounds (at most 3,600). The kind http reads its own keys: {}.
    """

    kind: str
    fields: Mapping[str, Field]

    def alters(self, step: Mapping[str, Any]) -> bool:
        """Whether a step may change anything, from its body before names are resolved."""

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """Whether doing it twice comes to the same as once, from its body before names are resolved."""

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a resolved step without touching the world; empty when nothing is."""

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The longest this step can take; `run` returns before."""

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Do it and say what came of it. Called outside any transaction; does not raise for the world's faults."""


@runtime_checkable
class Completer(Protocol):
    """A Runner that adds to a resolved step what only it can find out, so that an approval covers that, too."""

    kind: str

    def complete(self, step: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any]:
        """The step with more keys: a hash of the files it means, where it goes. Reads only, and does not raise.

        `target` is what `${target.x}` may name, empty without a target. What is missing `validate` then refuses.
        """


@runtime_checkable
class Whole(Protocol):
    """A Runner whose step names its hosts itself: it is done once for all targets of the run, not once for each.

    All steps of a procedure that has such a step are done once, without a target.
    """

    kind: str
    whole: bool


@runtime_checkable
class Previewer(Protocol):
    """A Runner that can show what a step would change without changing it."""

    kind: str

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """Say what `run` would change; `output["diff"]`, where there is one, is a unified diff.

        Within the step's own timeout, outside any transaction, any number of times. A reason refuses the run.
        """
