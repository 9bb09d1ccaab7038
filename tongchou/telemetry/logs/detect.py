"""What a line says about itself: its level and its trace. Pure, and never fails on any text."""

from __future__ import annotations

import re
from typing import Any

import msgspec

LEVELS = ("unknown", "trace", "debug", "info", "warning", "error", "critical")
UNKNOWN = LEVELS[0]
_NAMES = {
    "trace": "trace", "trc": "trace", "verbose": "trace", "finest": "trace",
    "debug": "debug", "dbg": "debug", "fine": "debug",
    "info": "info", "inf": "info", "information": "info", "informational": "info", "notice": "info", "i": "info",
    "warning": "warning", "warn": "warning", "wrn": "warning", "w": "warning",
    "error": "error", "err": "error", "eror": "error", "severe": "error", "e": "error",
    "critical": "critical", "crit": "critical", "fatal": "critical", "ftl": "critical", "panic": "critical",
    "emergency": "critical", "emerg": "critical", "alert": "critical",
}  # fmt: skip
_HEAD_BYTES = 256
_LOGFMT = re.compile(rb'(?:^|[\s\[{,])(?:level|lvl|severity)=["\']?([A-Za-z]+)')
_WORD = re.compile(
    rb"(?<![A-Za-z0-9_])(?:(?i:(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|PANIC))(?=[\]:|>])"
    rb"|(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|FATAL|CRITICAL|CRIT|PANIC|SEVERE)(?![A-Za-z0-9_]))"
)
_TRACE = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")


class _Head(msgspec.Struct, gc=False):
    """The members of a JSON line that are looked at; everything else is skipped without building objects."""

    level: Any = None
    severity: Any = None
    lvl: Any = None
    log_level: Any = msgspec.field(name="log.level", default=None)
    severity_text: Any = None
    levelname: Any = None
    trace_id: Any = None
    trace: Any = msgspec.field(name="traceId", default=None)
    trace_dotted: Any = msgspec.field(name="trace.id", default=None)


_head = msgspec.json.Decoder(_Head)


def level_named(value: object) -> str:
    """The level a word or number means: pino and bunyan count 10 to 60; anything else is "unknown"."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word.isdigit() and len(word) < 4:
            return level_named(int(word))
        return _NAMES.get(word, UNKNOWN)
    if isinstance(value, int) and not isinstance(value, bool) and 10 <= value <= 60:
        return LEVELS[min(6, value // 10)]
    return UNKNOWN


def level_of_severity(number: int) -> str:
    """The level of an OTLP severity number: 1-4 trace, 5-8 debug, 9-12 info, 13-16 warn, 17-20 error, 21-24 fatal."""
    return LEVELS[(number - 1) // 4 + 1] if 1 <= number <= 24 else UNKNOWN


def trace_named(value: object) -> str:
    """A trace id in lower-case hex (8 or 16 bytes, not all zero), or ""."""
    if not isinstance(value, str):
        return ""
    lowered = value.lower().replace("-", "")
    return lowered if _TRACE.fullmatch(lowered) and lowered.strip("0") else ""


def _of_json(line: bytes) -> tuple[str, str] | None:
    try:
        head = _head.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    level = UNKNOWN
    for value in (head.level, head.severity, head.lvl, head.log_level, head.severity_text, head.levelname):
        if value is not None:
            level = level_named(value)
            if level != UNKNOWN:
                break
    trace = next(
        (found for value in (head.trace_id, head.trace, head.trace_dotted) if (found := trace_named(value))), ""
    )
    return level, trace


def look(line: bytes) -> tuple[str, str]:
    """(level, trace id) of a line: from JSON members, else `level=`, else an upper-case level word near its start."""
    if line.startswith(b"{"):
        found = _of_json(line)
        if found is not None:
            return found
    head = line[:_HEAD_BYTES]
    match = _LOGFMT.search(head)
    if match is not None:
        return level_named(match[1].decode()), ""
    match = _WORD.search(head)
    if match is not None:
        return level_named((match[1] or match[2]).decode()), ""
    return UNKNOWN, ""
