"""Go's time.Time and time.Duration as templates see them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass

from tongchou.alerting.gotemplate.errors import Unfit
from tongchou.alerting.gotemplate.values import GoObject

_LAYOUT = re.compile(
    r"2006|01|02|15|03|04|05|06|002|_2|January|Jan|Monday|Mon|MST|-0700|-07:00|Z0700|Z07:00|-07|PM|pm|[.,]0+|[.,]9+|1|2|3|4|5"
)
_DEFAULT_LAYOUT = "2006-01-02 15:04:05.999999999 -0700 MST"


@dataclass(frozen=True, slots=True)
class GoDuration(GoObject):
    """A span of nanoseconds."""

    nanoseconds: int

    go_type = "time.Duration"

    def go_field(self, name: str) -> object:
        return _method(
            {
                "Seconds": lambda: self.nanoseconds / 1e9,
                "Minutes": lambda: self.nanoseconds / 6e10,
                "Hours": lambda: self.nanoseconds / 3.6e12,
                "Milliseconds": lambda: self.nanoseconds // 1_000_000,
                "String": self.__str__,
            },
            name,
            self,
        )

    def __str__(self) -> str:
        """As time.Duration.String: 72h3m0.5s, 1.5ms, 0s."""
        total = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if total < 1_000_000_000:
            for unit, name in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
                if total >= unit:
                    return f"{sign}{_decimal(total, unit)}{name}"
            return "0s"
        seconds, rest = divmod(total, 1_000_000_000)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        text = f"{_decimal(seconds % 60 * 1_000_000_000 + rest, 1_000_000_000)}s"
        if hours:
            return f"{sign}{hours}h{minutes}m{text}"
        return f"{sign}{minutes}m{text}" if minutes else sign + text


@dataclass(frozen=True, slots=True)
class GoTime(GoObject):
    """An instant; the template may format it and read its parts, never the clock."""

    at: dt.datetime

    go_type = "time.Time"

    def go_field(self, name: str) -> object:
        at = self.at
        return _method(
            {
                "Format": lambda layout: format_time(at, _string(layout)),
                "UTC": lambda: GoTime(at.astimezone(dt.UTC)),
                "Unix": lambda: int(at.timestamp() // 1),
                "UnixMilli": lambda: int(at.timestamp() * 1000 // 1),
                "Year": lambda: at.year,
                "Month": lambda: at.strftime("%B"),
                "Day": lambda: at.day,
                "Hour": lambda: at.hour,
                "Minute": lambda: at.minute,
                "Second": lambda: at.second,
                "YearDay": lambda: at.timetuple().tm_yday,
                "Weekday": lambda: _DAYS[at.weekday()],
                "IsZero": lambda: at.year == 1,
                "Sub": lambda other: between(self, other),
                "String": self.__str__,
            },
            name,
            self,
        )

    def __str__(self) -> str:
        return format_time(self.at, _DEFAULT_LAYOUT)


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def between(later: object, earlier: object) -> GoDuration:
    """``later - earlier``; both must be times."""
    if not isinstance(later, GoTime) or not isinstance(earlier, GoTime):
        raise Unfit("expected time.Time")
    return GoDuration(round((later.at - earlier.at) / dt.timedelta(microseconds=1)) * 1000)


def format_time(at: dt.datetime, layout: str) -> str:
    """Format by Go's reference time, Mon Jan 2 15:04:05 MST 2006."""
    return _LAYOUT.sub(lambda found: _element(at, found.group()), layout)


def _element(at: dt.datetime, element: str) -> str:
    if element[0] in ".,":
        digits = f"{at.microsecond:06d}000"
        if element[1] == "0":
            return element[0] + digits[: len(element) - 1].ljust(len(element) - 1, "0")
        kept = digits[: len(element) - 1].rstrip("0")
        return element[0] + kept if kept else ""
    offset = at.utcoffset() or dt.timedelta()
    minutes = int(offset.total_seconds() // 60)
    hhmm = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    name = at.strftime("%Z")
    hour = at.hour % 12 or 12
    parts = {
        "2006": f"{at.year:04d}",
        "06": f"{at.year % 100:02d}",
        "01": f"{at.month:02d}",
        "1": str(at.month),
        "January": at.strftime("%B"),
        "Jan": at.strftime("%b"),
        "002": f"{at.timetuple().tm_yday:03d}",
        "02": f"{at.day:02d}",
        "_2": f"{at.day:2d}",
        "2": str(at.day),
        "Monday": _DAYS[at.weekday()],
        "Mon": _DAYS[at.weekday()][:3],
        "15": f"{at.hour:02d}",
        "03": f"{hour:02d}",
        "3": str(hour),
        "04": f"{at.minute:02d}",
        "4": str(at.minute),
        "05": f"{at.second:02d}",
        "5": str(at.second),
        "PM": "AM" if at.hour < 12 else "PM",
        "pm": "am" if at.hour < 12 else "pm",
        "MST": "UTC" if not minutes and name.startswith("UTC") else name,
        "-0700": hhmm.replace(":", ""),
        "-07:00": hhmm,
        "-07": hhmm[:3],
        "Z0700": hhmm.replace(":", "") if minutes else "Z",
        "Z07:00": hhmm if minutes else "Z",
    }
    return parts[element]


def _decimal(count: int, unit: int) -> str:
    whole, rest = divmod(count, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}"


def _method(methods: dict[str, Callable[..., object]], name: str, owner: GoObject) -> object:
    if name not in methods:
        raise Unfit(f"can't evaluate field {name} in type {owner.go_type}")
    return methods[name]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit("wrong type for value; expected string")
    return value
