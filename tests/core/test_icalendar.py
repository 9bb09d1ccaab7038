"""Calendar files, read back by a reader that knows nothing but the rules of RFC 5545."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from tongchou.core import icalendar
from tongchou.core.icalendar import Day

AT = datetime(2026, 3, 1, 7, 8, 9, tzinfo=UTC)
texts = st.text(max_size=120) | st.text(alphabet='到期证书：，;\\,\n\r:"🚀 a', max_size=120)


def lines_of(content: bytes) -> list[str]:
    """Section 3.1: lines end with CRLF, have 75 octets at most, and one that begins with a blank goes on."""
    assert content.endswith(b"\r\n")
    found: list[bytes] = []
    for line in content[:-2].split(b"\r\n"):
        assert len(line) <= 75
        assert b"\r" not in line
        assert b"\n" not in line
        line.decode()  # no character is cut in two
        if line[:1] == b" ":
            found[-1] += line[1:]
        else:
            found.append(line)
    return [line.decode() for line in found]


def text_of(value: str) -> str:
    """Section 3.3.11: a backslash stands before backslash, semicolon, comma and n; none of the three stands alone."""
    assert re.fullmatch(r"(?:\\[\\;,nN]|[^\\;,\x00-\x08\x0a-\x1f\x7f])*", value), value
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], value)


def read(content: bytes) -> list[dict[str, str]]:
    """The events, their properties by name."""
    lines = lines_of(content)
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert lines[-1] == "END:VCALENDAR"
    assert [line.partition(":")[0] for line in lines].count("PRODID") == 1
    events: list[dict[str, str]] = []
    inside = False
    for line in lines[1:-1]:
        name, _colon, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            events.append({})
        elif inside and line != "END:VEVENT":
            assert name not in events[-1]
            events[-1][name] = value
        inside = line == "BEGIN:VEVENT" or (inside and line != "END:VEVENT")
    assert not inside
    return events


def plain(text: str) -> str:
    """What of a text may stand in a calendar: line ends are one sort, control characters are blanks."""
    unfit = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]"
    return re.sub(unfit, " ", re.sub(r"\r\n|\r", "\n", text))


@given(texts, texts, st.dates())
@example("统筹" * 60, "a\r\nb\rc\nd; e, f\\n", date(9999, 12, 31))
@example("x" * 67 + "🚀" * 30, "", date(1, 1, 1))
def test_what_is_written_is_read_back(summary: str, description: str, day: date) -> None:
    [event] = read(icalendar.written("n", "d", [Day("u@x", day, summary, description, "http://x/", "c")], at=AT))
    assert text_of(event["SUMMARY"]) == plain(summary)
    assert text_of(event.get("DESCRIPTION", "")) == plain(description)
    assert event["DTSTART;VALUE=DATE"] == day.isoformat().replace("-", "")
    assert (event["UID"], event["DTSTAMP"], event["URL"]) == ("u@x", "20260301T070809Z", "http://x/")
    assert "DTEND" not in event


def test_a_calendar_without_days_is_one_all_the_same() -> None:
    assert read(icalendar.written("名称", "", [], at=AT)) == []
