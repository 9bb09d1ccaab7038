"""The steps of a procedure: what each does, by its kind, and how they hang together: branches, answers to failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.runbooks import fields
from tongchou.runbooks.definition import MAX_BRANCHES, MAX_RETRIES, MAX_STEPS, Flow, Retry, Step, When, every
from tongchou.runbooks.installed import runners
from tongchou.runbooks.ports import Runner
from tongchou.runbooks.reading import Reader
from tongchou.runbooks.step_kinds import KINDS

PARALLEL = "parallel"
FLOW_KEYS = ("on_failure", "then", "when", "retry")
MAX_RETRY_WAIT_SECONDS = 3600.0


def read(reader: Reader, value: Any) -> list[Step]:
    """The steps under `steps`; defects go to the reader."""
    if value is not None and value == []:
        reader.wrong("steps", _("A procedure has at least one step."), _("Add a step."))
    found = _Steps(reader).read(value, "steps")
    count = sum(1 for _each in every(found))
    if count > MAX_STEPS:
        reader.wrong("steps", _("At most %(most)s items.") % {"most": MAX_STEPS}, _("Split it."), count)
    return found


class _Steps:
    """Reads steps at any depth; names are unique in the whole procedure."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.seen: set[str] = set()
        self.declared: Mapping[str, Runner] = {
            kind: runner for kind, runner in runners().items() if kind not in (*KINDS, PARALLEL)
        }

    def read(self, value: Any, path: str, *, inside: str = "") -> list[Step]:
        """The steps of one list. `inside`: what they stand in, parallel or on_failure, which must not stand in it."""
        out: list[Step] = []
        for number, item in enumerate(self.reader.items(value, path, MAX_STEPS)):
            step = self._step(item, f"{path}[{number}]", inside)
            if step is not None:
                out.append(step)
        return out

    def _step(self, item: Any, path: str, inside: str) -> Step | None:
        reader = self.reader
        data = reader.mapping(item, path)
        kinds = [key for key in data if key not in ("name", *FLOW_KEYS)]
        name = self._name(data.get("name"), f"{path}.name")
        allowed = [*KINDS, *self.declared, *([] if inside else [PARALLEL])]
        if len(kinds) != 1 or kinds[0] not in allowed:
            known = ", ".join(allowed)
            if inside and PARALLEL in kinds:
                says = _("A parallel step cannot stand inside another, nor in an answer to a failure.")
                reader.wrong(f"{path}.{PARALLEL}", says, _("Make it a step of its own."))
            else:
                reader.wrong(path, _("A step is a name and one of: %(kinds)s.") % {"kinds": known}, "", kinds)
            return None
        kind = kinds[0]
        here = f"{path}.{kind}"
        if kind == PARALLEL:
            step = Step(name, PARALLEL, branches=self._branches(data[kind], here))
        else:
            body = reader.mapping(data[kind], here)
            step = (
                KINDS[kind](reader, name, body, here)
                if kind in KINDS
                else fields.read(reader, self.declared[kind], name, body, here)
            )
        return self._flow(step, data, path, inside)

    def _name(self, name: Any, path: str) -> str:
        if not isinstance(name, str) or not name.strip() or len(name) > 100:
            self.reader.wrong(path, _("Each step has a name of at most 100 characters."), _("Add name."), name)
        elif name in self.seen:
            self.reader.wrong(path, _("Two steps have this name."), _("Give each step its own name."), name)
        self.seen.add(str(name))
        return str(name)

    def _branches(self, value: Any, path: str) -> dict[str, list[Step]]:
        data = self.reader.mapping(value, path)
        if not 1 <= len(data) <= MAX_BRANCHES:
            says = _("A parallel step has one to %(most)s branches, each a name with its steps.") % {
                "most": MAX_BRANCHES
            }
            self.reader.wrong(path, says, _("For example left: [...] and right: [...]."), len(data))
        out: dict[str, list[Step]] = {}
        for name, items in list(data.items())[:MAX_BRANCHES]:
            here = f"{path}.{name}"
            if not name.strip() or len(name) > 100:
                self.reader.wrong(here, _("A branch has a name of at most 100 characters."), _("Name it."), name)
            out[name] = self.read(items, here, inside=PARALLEL)
            if not items:
                self.reader.wrong(here, _("A branch has at least one step."), _("Add a step."))
        return out

    # --- failure, condition, tries

    def _flow(self, step: Step, data: Mapping[str, Any], path: str, inside: str) -> Step:
        rescue: list[Step] = []
        given = data.get("on_failure", "stop")
        if isinstance(given, list) and given and inside != "on_failure":
            rescue = self.read(given, f"{path}.on_failure", inside="on_failure")
        elif given not in ("stop", "continue"):
            says = (
                _("In an answer to a failure, on_failure is stop or continue.")
                if inside == "on_failure"
                else _("on_failure is stop, continue or a list of steps.")
            )
            self.reader.wrong(f"{path}.on_failure", says, _("For example on_failure: continue."), given)
            given = "stop"
        then = data.get("then", "stop")
        if then not in ("stop", "continue") or ("then" in data and not isinstance(given, list)):
            says = _("then is stop or continue and belongs to an on_failure that is a list of steps.")
            self.reader.wrong(f"{path}.then", says, _("Remove it, or write on_failure as steps."), then)
            then = "stop"
        flow = Flow(
            on_failure="steps" if isinstance(given, list) else given,
            then=then,
            when=self._when(data["when"], f"{path}.when") if "when" in data else None,
            retry=self._retry(step, data["retry"], f"{path}.retry") if "retry" in data else None,
        )
        return replace(step, flow=flow, rescue=rescue)

    def _when(self, value: Any, path: str) -> When:
        data = self.reader.mapping(value, path)
        self.reader.keys(data, path, ("query", "is"), ("query",))
        condition = self.reader.condition(data.get("is", "not_empty"), f"{path}.is")
        return When(self.reader.query(data, path), condition)

    def _retry(self, step: Step, value: Any, path: str) -> Retry | None:
        data = self.reader.mapping(value, path)
        self.reader.keys(data, path, ("times", "wait_seconds"), ("times",))
        if step.kind in ("ask", PARALLEL) or not step.repeatable:
            says = _("Only a step that may be repeated can be tried again.")
            remedy = _("Remove retry; for an http step that may safely be sent twice, write idempotent: true.")
            self.reader.wrong(path, says, remedy, value)
            return None
        times = self.reader.number(data.get("times"), f"{path}.times", 1, MAX_RETRIES, whole=True)
        wait = self.reader.number(data.get("wait_seconds", 5), f"{path}.wait_seconds", 0, MAX_RETRY_WAIT_SECONDS)
        return Retry(int(times), wait)
