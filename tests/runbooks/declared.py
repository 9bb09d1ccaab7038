"""A Runner that declares its step kind, for tests: keeps what it is given, previews, and does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tongchou.runbooks import template
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult

FIELDS: Mapping[str, Field] = {
    "play": Field("string", required=True, pattern=r"[a-z-]+\.yml", template=True),
    "mode": Field("choice", choices=("check", "apply"), default="apply"),
    "forks": Field("integer", least=1, most=50, default=5, template=True),
    "factor": Field("number", least=0, most=1),
    "become": Field("boolean", default=False),
    "vars": Field("mapping", secret=True, default={}),
    "tags": Field("list", template=True, most=3),
    "script": Field("string"),
    "password": Field("string", secret=True),
    "timeout_seconds": Field("number", default=900, most=1800),
}


@dataclass
class Declared:
    """Satisfies runbooks.Runner and runbooks.Previewer under the kind `play`. `opened` has the secrets in clear."""

    kind: str = "play"
    fields: Mapping[str, Field] = field(default_factory=lambda: FIELDS)
    calls: list[StepCall] = field(default_factory=list)
    previews: list[StepCall] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    does: Callable[[StepCall, dict[str, Any]], StepResult] = lambda _call, _opened: StepResult({"changed": 1})
    shows: Callable[[StepCall, dict[str, Any]], StepResult] = lambda _call, _opened: StepResult(
        {"diff": "--- before\n+++ after\n@@ -1 +1 @@\n-a\n+b\n"}
    )

    def alters(self, step: Mapping[str, Any]) -> bool:
        """All but a check."""
        return step.get("mode") != "check"

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """All but what is tagged once."""
        return "once" not in step.get("tags", [])

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Nothing called forbidden.yml."""
        return ["this play is forbidden"] if step["play"] == "forbidden.yml" else []

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """What the step says."""
        return float(step["timeout_seconds"])

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Keep the call and do as told."""
        self.calls.append(call)
        self.opened.append(self._open(call, context))
        return self.does(call, self.opened[-1])

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """Keep the call and show as told."""
        self.previews.append(call)
        return self.shows(call, self._open(call, context))

    def _open(self, call: StepCall, context: Context) -> dict[str, Any]:
        sealed = {key: call.input[key] for key, each in FIELDS.items() if each.secret and key in call.input}
        return {**call.input, **{key: template.open_secrets(item, context.secrets) for key, item in sealed.items()}}
