"""Reads the promqltest script language into commands.

A script is lines of `clear`, `load` and `eval`; a blank line or a comment ends a command. Described in the README of
promqltest in the Prometheus repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tongchou.telemetry.notation import HISTOGRAM, NotationError, Point, points_of, series_of, unquote
from tongchou.telemetry.series import Labels

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_DURATION_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_ST_ITEM = re.compile(r"^([+-]?\d\w*?)(?:([+-])(\d\w*?))?(?:x(\d+))?$")
_INSTANT = re.compile(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$")
_RANGE = re.compile(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$")
_EXPECT = re.compile(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$")
_EXPECT_RANGE = re.compile(r"^expect range vector from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$")


@dataclass
class Load:
    """Samples to add: per series the value at every multiple of the gap; start timestamps apart, in ms."""

    line: int
    gap_ms: int
    with_nhcb: bool
    series: dict[Labels, list[Point]] = field(default_factory=dict)
    starts: dict[Labels, list[float | None]] = field(default_factory=dict)


@dataclass
class Clear:
    """Forget everything loaded."""

    line: int


@dataclass
class Expectation:
    """One `expect` line: an exact message, a pattern, or neither."""

    message: str | None = None
    pattern: str | None = None

    def fits(self, text: str) -> bool:
        if self.message is not None:
            return text == self.message
        return self.pattern is None or re.search(self.pattern, text) is not None


@dataclass
class Eval:
    """One query and all that is expected of it."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    is_range: bool
    ordered: bool = False
    fail: Expectation | None = None
    warn: list[Expectation] = field(default_factory=list)
    info: list[Expectation] = field(default_factory=list)
    no_warn: bool = False
    no_info: bool = False
    scalar: float | None = None
    text: str | None = None
    range_vector: tuple[int, int, int] | None = None
    series: list[tuple[Labels, list[Point]]] = field(default_factory=list)

    @property
    def expects_histograms(self) -> bool:
        return any(point is HISTOGRAM for _labels, points in self.series for point in points)


@dataclass
class Unreadable:
    """A block that is not understood."""

    line: int
    text: str
    why: str


Command = Load | Clear | Eval | Unreadable


def duration_ms(text: str) -> int:
    text = text.strip()
    if text in ("0", "-0", "+0"):
        return 0
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _DURATION_PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise NotationError(f"not a duration: {text!r}")
    return sign * sum(int(number) * _UNITS_MS[unit] for number, unit in parts)


def starts_of(text: str) -> list[float | None]:
    """Expand a sequence of start timestamps, durations relative to the sample: `-30s-1mx2 _ 0`."""
    out: list[float | None] = []
    for item in text.split():
        if item.startswith("_"):
            out.extend([None] * (int(item[2:]) if item.startswith("_x") else 1))
            continue
        found = _ST_ITEM.match(item)
        if found is None:
            raise NotationError(f"not a start timestamp: {item!r}")
        base, sign, step, times = found.groups()
        value = duration_ms(base)
        change = 0 if step is None else duration_ms(step) * (-1 if sign == "-" else 1)
        out.extend(value + change * k for k in range(int(times or 0) + 1))
    return out


def commands(text: str) -> Iterator[Command]:
    """The commands of a script in order; a block that cannot be read is one of them, and the next is read."""
    lines = ["" if line.strip().startswith("#") else line.strip() for line in text.split("\n")]
    at = 0
    while at < len(lines):
        word = lines[at].split(maxsplit=1)[0].lower() if lines[at] else ""
        begin = at
        at += 1
        if not word:
            continue
        try:
            if word == "clear":
                yield Clear(begin + 1)
                continue
            body = []
            while at < len(lines) and lines[at]:
                body.append(lines[at])
                at += 1
            if word.startswith("load"):
                yield _load(begin + 1, lines[begin], body)
            elif word.startswith("eval"):
                yield _eval(begin + 1, lines[begin], body)
            else:
                raise NotationError(f"unknown command {word!r}")
        except (ValueError, SyntaxError) as error:  # NotationError, and what numbers and strings raise
            yield Unreadable(begin + 1, lines[begin], str(error))


def _load(line: int, head: str, body: list[str]) -> Load:
    word, gap = head.split(maxsplit=1)
    load = Load(line, duration_ms(gap.split()[0]), "nhcb" in word)
    for definition in body:
        labels, rest = series_of(definition)
        if rest.startswith("@st"):
            load.starts[labels] = starts_of(rest[3:])
        else:
            load.series[labels] = points_of(rest)
    return load


def _eval(line: int, head: str, body: list[str]) -> Eval:
    instant, over = _INSTANT.match(head), _RANGE.match(head)
    if instant is not None:
        mode, at, query = instant.groups()
        time = duration_ms(at or "0")
        command = Eval(line, query, time, time, 0, is_range=False)
    elif over is not None:
        mode, start, end, step, query = over.groups()
        command = Eval(line, query, duration_ms(start), duration_ms(end), duration_ms(step), is_range=True)
    else:
        raise NotationError(f"not an evaluation: {head!r}")
    command.ordered = mode == "ordered"
    command.fail = Expectation() if mode == "fail" else None
    command.warn = [Expectation()] if mode == "warn" else []
    command.info = [Expectation()] if mode == "info" else []
    for definition in body:
        _expect(command, definition)
    return command


def _expect(command: Eval, line: str) -> None:
    if line.startswith("expected_fail_message"):
        command.fail = Expectation(message=line.removeprefix("expected_fail_message").strip())
    elif line.startswith("expected_fail_regexp"):
        command.fail = Expectation(pattern=line.removeprefix("expected_fail_regexp").strip())
    elif over := _EXPECT_RANGE.match(line):
        start, end, step = (duration_ms(part) for part in over.groups())
        command.range_vector = (start, end, step)
    elif line.startswith("expect string"):
        command.text = unquote(line.removeprefix("expect string").strip())
    elif line.split(maxsplit=1)[0] == "expect":
        _expect_kind(command, line)
    else:
        try:
            command.scalar = float(line)
        except ValueError:
            labels, rest = series_of(line)
            command.series.append((labels, points_of(rest)))


def _expect_kind(command: Eval, line: str) -> None:
    found = _EXPECT.match(line)
    if found is None:
        raise NotationError(f"not an expectation: {line!r}")
    kind, how, text = found.groups()
    expectation = Expectation(
        message=text.strip() if how == "msg" else None,
        pattern=text.strip() if how == "regex" else None,
    )
    match kind:
        case "fail":
            command.fail = expectation
        case "warn":
            command.warn.append(expectation)
        case "info":
            command.info.append(expectation)
        case "no_warn":
            command.no_warn = True
        case "no_info":
            command.no_info = True
        case _:
            command.ordered = True
