"""What ansible-runner's events say: per host, per task, as a diff. Pure but for reading the folder they are in."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

MAX_EVENTS = 20_000
MAX_EVENT_BYTES = 2_000_000
MAX_TASKS_LENGTH = 14_000  # characters: the journal keeps 16,384 of a value, and half a list is none
MAX_MESSAGE = 500
MAX_DIFF = 60_000
MAX_SAID = 2000
MAX_TAIL_READ = 64_000  # bytes: what a cut leaves of a secret at its beginning is never shown
Hide = Callable[[Any], Any]  # masks every secret in a value
_STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
_BAD = ("failed", "unreachable")
_ITEM = {"runner_item_on_ok": "ok", "runner_item_on_failed": "failed"}


@dataclass
class Story:
    """What happened. `hosts`: host to counts of ok, changed, failed, ignored, unreachable, skipped."""

    hosts: dict[str, Counter[str]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    diffs: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    said: str = ""
    hidden: Counter[str] = field(default_factory=Counter)

    def failing(self, status: str) -> list[str]:
        """The hosts with tasks of this status."""
        return sorted(host for host, counts in self.hosts.items() if counts[status])

    def line(self) -> str:
        """One line for people, in the active language: `web-1: 2 changed, 5 ok`."""
        lines = []
        for host, counts in self.hosts.items():
            said = [text % {"count": counts[key]} for key, text in _words() if counts[key]]
            lines.append(f"{host}: {', '.join(said)}")
        return "; ".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Bounded: tasks that failed, then the first ones, as many as fit; the beginning of the diff."""
        diff = "\n".join(self.diffs)
        tasks = self._shown()
        out: dict[str, Any] = {
            "hosts": {
                host: {key: counts[key] for key in sorted(counts) if counts[key]} for host, counts in self.hosts.items()
            },
            "changes": any(counts["changed"] for counts in self.hosts.values()),
            "tasks": tasks,
            "diff": diff if len(diff) <= MAX_DIFF else diff[:MAX_DIFF] + "\n… cut",
        }
        left_out = len(self.tasks) - len(tasks)
        return {**out, **({"tasks_left_out": left_out} if left_out else {})}

    def _shown(self) -> list[dict[str, Any]]:
        left = MAX_TASKS_LENGTH
        kept: set[int] = set()
        order = sorted(range(len(self.tasks)), key=lambda at: self.tasks[at]["status"] not in _BAD)
        for at in order:
            left -= len(json.dumps(self.tasks[at], ensure_ascii=False)) + 2
            if left < 0:
                break
            kept.add(at)
        return [task for at, task in enumerate(self.tasks) if at in kept]


def _words() -> Sequence[tuple[str, str]]:
    return (
        ("changed", _("%(count)d changed")),
        ("ok", _("%(count)d as they should be")),
        ("skipped", _("%(count)d skipped")),
        ("failed", _("%(count)d failed")),
        ("ignored", _("%(count)d failed and ignored")),
        ("unreachable", _("not reachable")),
    )


def tail(path: Path, hide: Hide) -> str:
    """The end of what a process printed, masked before it is cut."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_TAIL_READ))
            said = file.read(MAX_TAIL_READ).decode("utf-8", "replace")
    except OSError:
        return ""
    return str(hide(said))[-MAX_SAID:].strip()


def from_folder(artifacts: Path) -> Iterator[Mapping[str, Any]]:
    """The events in their order; one that was being written when the process ended is left out."""
    numbered = []
    for path in artifacts.glob("job_events/*.json"):
        number = path.name.partition("-")[0]
        if number.isdigit() and not path.name.endswith("-partial.json"):
            numbered.append((int(number), path))
    for _at, path in sorted(numbered)[:MAX_EVENTS]:
        try:
            event = json.loads(path.read_bytes()[:MAX_EVENT_BYTES])
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def tell(events: Iterable[Mapping[str, Any]], hide: Hide) -> Story:
    """The story of the events. `hide` masks secrets in each text whole: one that is cut first would keep a part."""
    story = Story()
    for event in events:
        kind, data = str(event.get("event", "")), event.get("event_data")
        data = data if isinstance(data, dict) else {}
        if kind in _STATUS:
            _task(story, _STATUS[kind], data, hide)
        elif kind in _ITEM:
            _diffs(story, data, hide)
        elif kind == "playbook_on_stats":
            _count_hidden(story, data.get("changed"))
        elif kind in ("error", "verbose", "warning") or not kind:
            text = str(hide(str(event.get("stdout", "")))).strip()
            story.said = (story.said + "\n" + text).strip()[-MAX_SAID:]
    return story


def _count_hidden(story: Story, changed: Any) -> None:
    """A result under no_log does not say whether it changed anything; Ansible's own count at the end does."""
    for host, count in changed.items() if isinstance(changed, dict) else ():
        counts = story.hosts.setdefault(str(host), Counter())
        more = max(0, min(story.hidden[str(host)], count - counts["changed"])) if isinstance(count, int) else 0
        counts["changed"] += more
        counts["ok"] -= more


def _task(story: Story, status: str, data: Mapping[str, Any], hide: Hide) -> None:
    host, result = str(data.get("host", "")), data.get("res")
    result = result if isinstance(result, dict) else {}
    counts = story.hosts.setdefault(host, Counter())
    if status == "failed" and data.get("ignore_errors"):
        status = "ignored"
    elif status == "ok" and result.get("changed"):
        status = "changed"
    counts[status] += 1
    story.hidden[host] += status == "ok" and "censored" in result
    message, task = _message(result, hide), str(hide(str(data.get("task") or "")))
    if status in ("failed", "unreachable"):
        story.problems.setdefault(host, f"{task}: {message}".strip(": "))
    hidden = {"hidden": True} if "censored" in result else {}
    line = {"host": host, "task": task[:200], "status": status}
    story.tasks.append({**line, **hidden, **({"message": message} if message else {})})
    if not isinstance(result.get("results"), list):  # a loop has told of each item already
        _diffs(story, data, hide)


def _message(result: Mapping[str, Any], hide: Hide) -> str:
    """What a person wants to read of a result; nothing of one under no_log, which Ansible itself has emptied."""
    if "censored" in result:
        return ""
    parts = [result.get(key) for key in ("msg", "stderr", "stdout", "module_stderr")]
    text = "\n".join(part.strip() if isinstance(part, str) else json.dumps(part) for part in parts if part)
    text = str(hide(text))
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " …"


def _diffs(story: Story, data: Mapping[str, Any], hide: Hide) -> None:
    """What differs is worked out of values as they are: of two secrets nothing would differ once they are masked."""
    result = data.get("res")
    found = result.get("diff") if isinstance(result, dict) and "censored" not in result else None
    if not isinstance(result, dict) or not result.get("changed"):
        return
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, dict) and sum(map(len, story.diffs)) < MAX_DIFF:
            text = str(hide(_one(each, f"{data.get('host')}: {data.get('task') or ''}")))
            story.diffs += [text] if text else []


def _one(diff: Mapping[str, Any], about: str) -> str:
    if isinstance(diff.get("prepared"), str):
        return f"--- {about}\n+++ {about}\n{diff['prepared'].rstrip()}"
    before, after = _lines(diff.get("before")), _lines(diff.get("after"))
    old, new = (str(diff.get(key) or about) for key in ("before_header", "after_header"))
    return "\n".join(difflib.unified_diff(before, after, old, new, lineterm=""))


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, indent=1, sort_keys=True)
    return text.splitlines()
