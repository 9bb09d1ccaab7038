"""What `plan -json` and `apply -json` say, line by line, as lines for people. Pure.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui. Snippets of diagnostics are left out: they
quote values. What is kept may still hold sensitive values and is for the caller to scrub.
"""

from __future__ import annotations

import json
from typing import Any

MAX_READ = 16_384  # characters of a line; shorter only once it is scrubbed, so that no cut leaves half a secret
SAID = frozenset(
    {
        "change_summary",
        "apply_start",
        "apply_progress",
        "apply_complete",
        "apply_errored",
        "provision_start",
        "provision_progress",
        "provision_complete",
        "provision_errored",
        "ephemeral_op_errored",
    }
)


def line_of(text: str) -> str:
    """The line for people, "" for what nobody needs. What is no JSON (a crash, a plugin) is kept as it is."""
    text = text.strip()
    if not text.startswith("{"):
        return text[:MAX_READ]
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return text[:MAX_READ]
    if not isinstance(event, dict):
        return text[:MAX_READ]
    kind = event.get("type")
    if kind == "diagnostic":
        return _diagnostic(event.get("diagnostic"))
    return str(event.get("@message", ""))[:MAX_READ] if kind in SAID else ""


def _diagnostic(found: Any) -> str:
    """`Error: summary (main.tf:3, aws_instance.web): detail`."""
    said = found if isinstance(found, dict) else {}
    place = said.get("range")
    start = place.get("start") if isinstance(place, dict) else None
    where = [f"{place.get('filename')}:{start.get('line')}"] if place and isinstance(start, dict) else []
    where += [str(said["address"])] if said.get("address") else []
    head = f"{str(said.get('severity', 'error')).capitalize()}: {said.get('summary', '')}"
    head += f" ({', '.join(where)})" if where else ""
    detail = str(said.get("detail") or "").strip()
    return (f"{head}: {detail}" if detail else head)[:MAX_READ]
