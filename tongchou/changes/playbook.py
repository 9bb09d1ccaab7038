"""An Ansible project without database or clock: batches, the hash a run is bound to, what a check means as drift."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from tongchou.changes import drift
from tongchou.changes.playbook_ports import HostResult
from tongchou.runbooks.definition import canonical_hash

MAX_HOSTS = 200
MAX_BATCHES = 20  # sizes that are written; the last one is repeated
MOST_BATCHES = 40  # of one run: each is a step, perhaps with a question before it
PERCENT = re.compile(r"([1-9][0-9]?|100)%")
LOOKED = frozenset({"ok", "changed"})  # of these hosts a check knows what differs
MAX_TASKS = 200
MAX_DIFF = 40_000


def size_of(said: Any, hosts: int) -> int | None:
    """How many hosts a written size means: a whole number, or a percentage rounded up; None: it is no size."""
    if isinstance(said, bool):
        return None
    if isinstance(said, int):
        return said if 0 < said <= MAX_HOSTS else None
    found = PERCENT.fullmatch(said) if isinstance(said, str) else None
    return max(1, math.ceil(hosts * int(found[1]) / 100)) if found else None


def batches_of(names: Sequence[str], sizes: Sequence[Any]) -> list[list[str]]:
    """The hosts in batches, each host once, in order; the last size goes on until all are in one. None empty."""
    left = list(names)
    out: list[list[str]] = []
    wanted = list(sizes) or ["100%"]
    while left:
        size = size_of(wanted[min(len(out), len(wanted) - 1)], len(names)) or 1
        out.append(left[:size])
        left = left[size:]
    return out


def failed_beyond(results: Iterable[HostResult], hosts: int, most_percent: int) -> list[str]:
    """The hosts that failed, when they are more than so many percent of the batch; else none."""
    failed = sorted(each.name for each in results if each.state in ("failed", "unreachable"))
    return failed if failed and len(failed) * 100 > hosts * most_percent else []


def kept(result: HostResult) -> dict[str, Any]:
    """What is kept of a host's result, bounded: tasks that failed or changed first."""
    order = sorted(result.tasks, key=lambda each: each.get("status") not in ("failed", "unreachable", "changed"))
    return {
        "state": result.state,
        "counts": {key: count for key, count in result.counts.items() if count},
        "tasks": [dict(each) for each in order[:MAX_TASKS]],
        "diff": drift.cut(result.diff, MAX_DIFF),
        "message": result.message[:1000],
    }


def content_hash(setup: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> str:
    """What a run made from a check is bound to: everything that was used, and what each host showed."""
    shown = {name: {key: each[key] for key in ("state", "diff")} for name, each in results.items()}
    return canonical_hash({"setup": setup, "shown": shown})


def found(results: Iterable[HostResult], resources: Mapping[str, UUID | None]) -> list[drift.Found]:
    """What a check in check mode saw as drift: what the playbook would write is expected, what is there is observed."""
    return [
        drift.Found(host.name, each.path, each.after, each.before, each.diff, resources.get(host.name))
        for host in results
        if host.state in LOOKED
        for each in host.differences
    ]
