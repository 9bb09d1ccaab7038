"""Writes calendar files of days on which something happens (iCalendar, RFC 5545). Pure.

Days have no time and no zone: VALUE=DATE, and no DTEND, which makes an event last its day (section 3.6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

LINE_OCTETS = 75  # of one line without its end (section 3.1)
PRODUCT = "-//Tongchou//Tongchou//EN"
# what a value of type TEXT may not hold, and line ends of Unicode that some readers take for the end of a line
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Day:
    """Something on one day. `uid` is the same for the same thing whenever it is told, also when its day moves."""

    uid: str
    day: date
    summary: str
    description: str = ""
    url: str = ""
    category: str = ""


def written(name: str, description: str, days: Iterable[Day], *, at: datetime) -> bytes:
    """Return a calendar file. `at`: when it was made, the revision of all that stands in it."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "CALSCALE:GREGORIAN",
        f"NAME:{_text(name)}",  # RFC 7986; X-WR-... is what was there before
        f"X-WR-CALNAME:{_text(name)}",
        f"X-WR-CALDESC:{_text(description)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT12H",
        "X-PUBLISHED-TTL:PT12H",
    ]
    for each in days:
        lines += _event(each, at)
    lines.append("END:VCALENDAR")
    return b"".join(piece for line in lines for piece in _folded(line))


def _event(each: Day, at: datetime) -> list[str]:
    optional = {"DESCRIPTION": _text(each.description), "URL": each.url, "CATEGORIES": _text(each.category)}
    return [
        "BEGIN:VEVENT",
        f"UID:{_text(each.uid)}",
        f"DTSTAMP:{at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{each.day.isoformat().replace('-', '')}",
        f"SUMMARY:{_text(each.summary)}",
        *(f"{name}:{value}" for name, value in optional.items() if value),
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _text(value: str) -> str:
    """Write a text as a value (section 3.3.11)."""
    for plain in ("\\", ";", ","):
        value = value.replace(plain, f"\\{plain}")
    return _UNFIT.sub(" ", _LINE_END.sub(r"\\n", value))


def _folded(line: str) -> Iterator[bytes]:
    """Cut a line where it is over 75 octets, between characters; what follows begins with a blank, which counts."""
    content, room = line.encode("utf-8", "replace"), LINE_OCTETS
    start = 0
    while len(content) - start > room:
        end = start + room
        while content[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield content[start:end] + b"\r\n "
        start, room = end, LINE_OCTETS - 1
    yield content[start:] + b"\r\n"
