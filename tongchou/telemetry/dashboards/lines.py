"""Thresholds and names of values as people write them, a line each: "70 warning", "1 = Up [ok]", "2..9 = odd". Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.telemetry.dashboards.definition import Name, Threshold
from tongchou.telemetry.dashboards.reading import refuse
from tongchou.telemetry.dashboards.words import TONES

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_THRESHOLD = re.compile(rf"(?:({_NUMBER})\s+)?([a-z]+)")
_NAME = re.compile(rf"({_NUMBER})(?:\s*\.\.\s*({_NUMBER}))?\s*=\s*(.*?)(?:\s*\[([a-z]+)\])?")


def write_thresholds(steps: Sequence[Threshold]) -> str:
    """Return thresholds as text, the one for everything below without a number."""
    return "\n".join(each.tone if each.at is None else f"{_shown(each.at)} {each.tone}" for each in steps)


def read_thresholds(text: str, field: str) -> list[dict[str, Any]]:
    """Return thresholds as JSON for the definition. Raises Invalid naming the line."""
    out: list[dict[str, Any]] = []
    for number, line in _lines(text):
        found = _THRESHOLD.fullmatch(line)
        if found is None or found[2] not in TONES:
            raise refuse(
                f"{field}:{number}",
                line,
                _("This is no threshold."),
                _("Write a value and a tone, as in: 70 warning. Tones: %(tones)s.") % {"tones": ", ".join(TONES)},
            )
        out.append({"at": None if found[1] is None else float(found[1]), "tone": found[2]})
    return out


def write_names(names: Sequence[Name]) -> str:
    """Return names of values as text."""
    lines = []
    for each in names:
        value = _shown(each.least) if each.least == each.most else f"{_shown(each.least)}..{_shown(each.most)}"
        lines.append(f"{value} = {' '.join(each.text.split())}{f' [{each.tone}]' if each.tone else ''}")
    return "\n".join(lines)


def read_names(text: str, field: str) -> list[dict[str, Any]]:
    """Return names of values as JSON for the definition. Raises Invalid naming the line."""
    out: list[dict[str, Any]] = []
    for number, line in _lines(text):
        found = _NAME.fullmatch(line)
        if found is None or (found[4] and found[4] not in TONES):
            raise refuse(
                f"{field}:{number}",
                line,
                _("This is no name of a value."),
                _("Write 1 = Up [ok], or 2..9 = many. Tones: %(tones)s.") % {"tones": ", ".join(TONES)},
            )
        least = float(found[1])
        most = least if found[2] is None else float(found[2])
        out.append({"least": least, "most": most, "text": found[3], "tone": found[4] or ""})
    return out


def _lines(text: str) -> list[tuple[int, str]]:
    return [(at, line.strip()) for at, line in enumerate(text.splitlines(), 1) if line.strip()]


def _shown(number: float) -> str:
    return repr(number).removesuffix(".0")
