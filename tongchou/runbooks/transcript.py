"""The transcript of a run: everything that was asked, shown, answered, approved and done, in order, secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tongchou.core import ledger, secrets
from tongchou.core.models import Approval, Event
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.runbooks.mask import mask
from tongchou.runbooks.models import Run, RunStep
from tongchou.runbooks.prepare import definition_of
from tongchou.runbooks.reasons import say

MAX_EVENTS = 10_000


def of(run: Run) -> dict[str, Any]:
    """The transcript as plain JSON: the run, its approvals, its steps by position, and its events, oldest first.

    All of it was masked when it was written; it is masked once more with the secrets of the procedure as they are now,
    so that one which somebody typed into a reason, a parameter or a comment does not leave with it.
    """
    approvals = Approval.objects.filter(subject=ref(run)).order_by("requested_at")
    events = ledger.events(about=ref(run), limit=MAX_EVENTS)
    out = {
        "run": _run(run),
        "approvals": [_approval(each) for each in approvals],
        "steps": [_step(each) for each in run.steps.order_by("position")],
        "events": [_event(each) for each in reversed(events)],
    }
    found: dict[str, Any] = mask(out, _secrets(run))
    return found


def _secrets(run: Run) -> list[str]:
    try:
        names = definition_of(run.version.text).secrets
    except Problem:
        return []
    return [value for value in map(_reveal, names) if value]


def _reveal(name: str) -> str:
    try:
        return secrets.reveal(name)
    except Problem:
        return ""  # it is no longer there, so it can no longer be compared with


def _at(value: datetime | None) -> str | None:
    return value.isoformat(timespec="milliseconds") if value else None


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "procedure": run.procedure.name,
        "version": run.version.number,
        "grade": run.grade,
        "state": run.state,
        "outcome": say(run.outcome),
        "params": run.params,
        "targets": [target["name"] for target in run.targets],
        "reason": run.reason,
        "content_hash": run.content_hash,
        "lock": run.lock,
        "requested_by": run.requested_by_name,
        "requested_at": _at(run.created_at),
        "started_at": _at(run.started_at),
        "finished_at": _at(run.finished_at),
    }


def _approval(row: Approval) -> dict[str, Any]:
    return {
        "state": row.state,
        "requested_by": row.requested_by_name,
        "requested_at": _at(row.requested_at),
        "expires_at": _at(row.expires_at),
        "decided_by": row.decided_by_name,
        "decided_at": _at(row.decided_at),
        "comment": row.comment,
        "content_hash": row.content_hash,
    }


def _step(step: RunStep) -> dict[str, Any]:
    return {
        "position": step.position,
        "name": step.name,
        "kind": step.kind,
        "target": step.target_name,
        "parent": step.parent,
        "branch": step.branch,
        "flow": step.flow,
        "state": step.state,
        "started_at": _at(step.started_at),
        "finished_at": _at(step.finished_at),
        "attempts": step.attempts,
        "idempotency_key": step.idempotency_key,
        "input": step.input,
        "previewed_at": _at(step.previewed_at),
        "preview": step.preview,
        "output": step.output,
        "reason": say(step.reason),
        "answered_by": step.answered_by_name,
    }


def _event(event: Event) -> dict[str, Any]:
    return {"at": _at(event.at), "verb": event.verb, "by": event.actor_name, "payload": event.payload}


# --- as text


def as_text(found: Mapping[str, Any]) -> str:
    """The same for reading and for filing: what was asked, each step with all that went in and came out, each event."""
    run = found["run"]
    out = [
        f"{run['procedure']} v{run['version']} ({run['grade']}): {run['state']}",
        *_facts(run, skip=("procedure", "version", "grade", "state")),
    ]
    for number, approval in enumerate(found["approvals"], start=1):
        out += ["", f"approval {number}: {approval['state']}", *_facts(approval, skip=("state",))]
    for step in found["steps"]:
        where = "".join(f" [{part}]" for part in (step["branch"], step["target"]) if part)
        title = f"step {step['position']}{where} {step['name']} ({step['kind']}): {step['state']}"
        out += ["", title, *_facts(step, skip=("position", "branch", "target", "name", "kind", "state"))]
    out += ["", "events:"]
    for event in found["events"]:
        told = json.dumps(event["payload"], ensure_ascii=False, sort_keys=True)
        out.append(f"{event['at']}  {event['verb']}  {event['by']}  {told}")
    return "\n".join(out) + "\n"


def _facts(data: Mapping[str, Any], *, skip: Iterable[str]) -> list[str]:
    """One line a value; texts of several lines, a diff for one, keep them."""
    out: list[str] = []
    left = {*skip}
    for name, value in data.items():
        if name in left or value in (None, "", {}, []):
            continue
        out += _fact(name, value, "  ")
    return out


def _fact(name: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        inner = [line for key, item in value.items() for line in _fact(str(key), item, indent + "  ")]
        return [f"{indent}{name}:", *inner]
    if isinstance(value, str):
        if "\n" not in value:
            return [f"{indent}{name}: {value}"]
        return [f"{indent}{name}:", *(f"{indent}  | {line}" for line in value.splitlines())]
    return [f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}"]
