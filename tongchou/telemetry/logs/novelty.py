"""Which patterns of log lines are new, or came much more often than before. Pure: lines in, patterns out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tongchou.telemetry.logs.patterns import WILD, Group, Miner

GROWN_TIMES = 4.0  # a pattern grew when it came so many times as often as before ...
GROWN_SIGMAS = 5.0  # ... and by so many standard deviations of a Poisson count
LEAST_GROWN = 8
LEAST_PHRASE = 6
_MESSAGES = ("msg", "message", "event", "log", "body", "text")
_DETAILS = ("error", "err", "exception", "detail", "reason", "cause")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it was read: `key` is whom it is of, `id` names it for a link."""

    key: str
    ts_ns: int
    level: str
    body: str
    id: str = ""


@dataclass(slots=True)
class Novel:
    """A pattern of one key's lines. `expected` is the count the time before leads one to expect; 0 when `new`."""

    key: str
    template: str
    level: str
    count: int
    expected: float
    new: bool
    first_ns: int
    example: str
    example_id: str
    phrase: str


def text_of(body: str, *, depth: int = 2) -> str:
    """What a line says: of a JSON object the message and what went wrong (which may be JSON again), else the line."""
    if not body.startswith("{") or not depth:
        return body
    try:
        held = json.loads(body)
    except (ValueError, RecursionError):
        return body
    messages = [held[name] for name in _MESSAGES if isinstance(held.get(name), str)][:1]
    details = [held[name] for name in _DETAILS if isinstance(held.get(name), str) and held[name]]
    said = [*messages, *(text_of(each, depth=depth - 1) for each in details)]
    return f" {WILD} ".join(said) if said else body  # what stood between them is not looked at


def phrase_of(template: str) -> str:
    """The longest run of constant words of a template, by which its lines can be searched; "" when too short."""
    runs = [" ".join(run.split()) for run in template.split(WILD)]
    # A word cut by a value is no word: "user-<*>" leaves "user-".
    best = max((run.strip(" =:,;-_/.\"'([{") for run in runs), key=len, default="")
    return best if len(best) >= LEAST_PHRASE else ""


@dataclass(slots=True)
class _Seen:
    before: int = 0
    during: list[LogLine] = field(default_factory=list)
    group: Group | None = None


def novel(
    before: Iterable[LogLine],
    during: Iterable[LogLine],
    *,
    before_seconds: float,
    during_seconds: float,
    heard: bool = False,
) -> list[Novel]:
    """The new and the grown patterns of `during`, by key and level, most lines first.

    Without any line before, nothing can be called new and the answer is empty, unless the sources were `heard` before:
    then they had nothing of this kind to say. A new pattern that came once is kept, for one stack trace may be all.
    """
    miner = Miner()
    seen: dict[tuple[str, int], _Seen] = {}
    for line, old in _in_order(before, during):
        group = miner.add(text_of(line.body))
        if group is None:
            continue
        row = seen.setdefault((line.key, group.id), _Seen(group=group))
        if old:
            heard = True
            row.before += 1
        else:
            row.during.append(line)
    if not heard or before_seconds <= 0 or during_seconds <= 0:
        return []
    share = during_seconds / before_seconds
    found = [
        _judged(key, row, row.before * share)
        for (key, _group), row in seen.items()
        if row.during and (not row.before or grew(len(row.during), row.before * share))
    ]
    return sorted(found, key=lambda each: (not each.new, -each.count, each.key, each.template))


def _in_order(before: Iterable[LogLine], during: Iterable[LogLine]) -> Sequence[tuple[LogLine, bool]]:
    """Every line with whether it is of before, oldest first, so that equal lines give equal groups."""
    marked = [(line, True) for line in before] + [(line, False) for line in during]
    return sorted(marked, key=lambda pair: (not pair[1], pair[0].ts_ns, pair[0].key, pair[0].body))


def grew(count: int, expected: float) -> bool:
    """Whether a count is far beyond what chance makes of an expectation."""
    return (
        count >= LEAST_GROWN
        and count > GROWN_TIMES * expected
        and count > expected + GROWN_SIGMAS * math.sqrt(expected)
    )


def _judged(key: str, row: _Seen, expected: float) -> Novel:
    first = min(row.during, key=lambda line: line.ts_ns)
    template = row.group.template if row.group else ""
    return Novel(
        key, template, first.level, len(row.during), expected, not row.before, first.ts_ns, first.body, first.id,
        phrase_of(template),
    )  # fmt: skip
