"""ansible-runner's events by host: how far each is, what it changed. Pure but for reading the folder they are in."""

from __future__ import annotations

import difflib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tongchou.changes.playbook_ports import Difference, HostResult
from tongchou.integrations.ansible import events

MAX_SHOWN = 8_000  # characters of one value
MAX_DIFFERENCES = 200  # of one host


class Reading:
    """Reads a folder of events again and again, each event once; at most events.MAX_EVENTS."""

    def __init__(self, artifacts: Path) -> None:
        self.folder = artifacts
        self.seen: set[str] = set()
        self.read: list[tuple[int, Mapping[str, Any]]] = []

    def news(self) -> bool:
        """Read what came; whether anything did."""
        before = len(self.read)
        for path in self.folder.glob("job_events/*.json"):
            number = path.name.partition("-")[0]
            if path.name in self.seen or not number.isdigit() or path.name.endswith("-partial.json"):
                continue
            if len(self.read) >= events.MAX_EVENTS:
                break
            try:
                event = json.loads(path.read_bytes()[: events.MAX_EVENT_BYTES])
            except (ValueError, OSError):
                continue  # being written: the next look has it
            self.seen.add(path.name)
            if isinstance(event, dict):
                self.read.append((int(number), event))
        self.read.sort(key=lambda pair: pair[0])
        return len(self.read) > before

    def events(self) -> list[Mapping[str, Any]]:
        """All that was read, in order."""
        return [event for _number, event in self.read]


def results(told: Iterable[Mapping[str, Any]], hosts: Collection[str], hide: events.Hide) -> list[HostResult]:
    """What the events say of each host, masked by `hide`.

    Without the statistics at their end a host is still running, or was cut off.
    """
    listed = list(told)
    by_host: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    changed: dict[str, Any] = {}
    over = False
    for event in listed:
        data = event.get("event_data")
        data = data if isinstance(data, dict) else {}
        if event.get("event") == "playbook_on_stats":
            over, changed = True, data["changed"] if isinstance(data.get("changed"), dict) else {}
        if str(data.get("host", "")) in hosts:
            by_host[str(data["host"])].append(event)
    return [_one(name, by_host[name], changed.get(name), hide, over=over) for name in hosts if name in by_host]


def by_host(told: Iterable[Mapping[str, Any]], hosts: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The events of each host, in order."""
    out: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for event in told:
        name = str(_data(event).get("host", ""))
        if name in hosts:
            out[name].append(event)
    return out


def _one(name: str, told: list[Mapping[str, Any]], changed: Any, hide: events.Hide, *, over: bool) -> HostResult:
    stats = [{"event": "playbook_on_stats", "event_data": {"changed": {name: changed}}}]
    story = events.tell([*told, *(stats if isinstance(changed, int) else [])], hide)
    counts = story.hosts.get(name, Counter())
    last = _data(told[-1]).get("task")
    bad = next((each for each in ("unreachable", "failed") if counts.get(each)), "")
    done = "changed" if counts.get("changed") else "ok"
    state = bad or (done if over else "running")
    message = story.problems.get(name, "") if bad or over else str(hide(str(last or "")))
    return HostResult(
        name,
        state,
        {key: int(value) for key, value in counts.items() if value},
        [{key: value for key, value in each.items() if key != "host"} for each in story.tasks],
        _told_once(_differences(told, hide)),
        message,
    )


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("event_data")
    return data if isinstance(data, dict) else {}


def _differences(told: Iterable[Mapping[str, Any]], hide: events.Hide) -> Iterator[Difference]:
    """One for each thing that a changed task, or an item of its loop, has changed; the task itself without a diff."""
    for event in told:
        data, kind = _data(event), event.get("event")
        result = data.get("res")
        if kind not in ("runner_on_ok", "runner_item_on_ok") or not isinstance(result, dict):
            continue
        looped = isinstance(result.get("results"), list)
        if looped or not result.get("changed"):
            continue  # each item of a loop has told already
        task = str(hide(str(data.get("task") or "")))[:200]
        diffs = result.get("diff") if "censored" not in result else None
        listed = [each for each in (diffs if isinstance(diffs, list) else [diffs]) if isinstance(each, dict)]
        place = next((str(result[key]) for key in ("dest", "path") if isinstance(result.get(key), str)), "")
        shown = [found for each in listed if (found := _difference(each, task, place, hide)) is not None]
        yield from shown or [Difference(task)]


def _difference(diff: Mapping[str, Any], task: str, place: str, hide: events.Hide) -> Difference | None:
    if isinstance(diff.get("prepared"), str):
        text = diff["prepared"].rstrip()
        return Difference(task, diff=str(hide(f"--- {task}\n+++ {task}\n{text}"))) if text else None
    before, after = _text(diff.get("before")), _text(diff.get("after"))
    if before == after:
        return None
    head = str(diff.get("before_header") or "")
    path = head if head.startswith("/") else _path_in(diff) or place or task
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, lineterm="")
    path, shown, before, after = hide([path, "\n".join(lines), before, after])  # whole, then cut
    return Difference(path, before[:MAX_SHOWN], after[:MAX_SHOWN], shown)


def _path_in(diff: Mapping[str, Any]) -> str:
    """Module file tells of a path inside what it shows before and after."""
    for side in (diff.get("after"), diff.get("before")):
        if isinstance(side, dict) and isinstance(side.get("path"), str):
            return str(side["path"])
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, indent=1, sort_keys=True)


def _told_once(found: Iterable[Difference]) -> list[Difference]:
    """Each path once: a second one of a path gets a number, so that both are kept."""
    out: list[Difference] = []
    times: dict[str, int] = defaultdict(int)
    for each in found:
        times[each.path] += 1
        number = times[each.path]
        path = each.path if number == 1 else f"{each.path} ({number})"
        out.append(Difference(path, each.before, each.after, each.diff))
        if len(out) >= MAX_DIFFERENCES:
            break
    return out
