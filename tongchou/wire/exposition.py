r"""Prometheus text exposition 0.0.4 and OpenMetrics 1.0, read line by line.

The text of a series (`name{a="b"}`) is handed out as it stands, so that a caller who reads the same target every
second looks it up instead of parsing its labels again; `parse_series` takes it apart.
Grammar: prometheus/docs exposition_formats.md; OpenMetrics 1.0 ABNF. Exemplars are skipped; UTF-8 metric names in
quotes are not spoken (they are only sent to those who ask for them).
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Literal

Format = Literal["text", "openmetrics"]
Label = tuple[str, str]

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,text/plain;q=0.4,*/*;q=0.1"
MAX_SAMPLES = 200_000

# Alternatives exclude each other by their first character and are possessive, so matching is linear in the line.
_SAMPLE = re.compile(
    r"""[ \t]*+
    ([a-zA-Z_:][a-zA-Z0-9_:]*+ (?:[ \t]*+\{ (?:[^"}]|"(?:[^"\\]|\\.)*+")*+ \})?+ )
    [ \t]*+ (?<=[ \t}])
    ([^ \t\#]++)
    (?:[ \t]++([^ \t\#]++))?+
    [ \t]*+ (\#.*+)?+ $""",
    re.VERBOSE,
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_LABEL = re.compile(r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"((?:[^"\\]|\\.)*+)"[ \t]*+(,|$)')
_META = re.compile(r"#[ \t]++(HELP|TYPE|UNIT)[ \t]++([a-zA-Z_:][a-zA-Z0-9_:]*+)(?:[ \t]++(.*+))?+$")
_ESCAPE = re.compile(r"\\([\\n\"])")
_ESCAPED = {"\\": "\\", "n": "\n", '"': '"'}
_TYPES = frozenset(
    {"counter", "gauge", "histogram", "gaugehistogram", "summary", "untyped", "unknown", "info", "stateset"}
)


class ExpositionError(ValueError):
    """The text is not an exposition; `line` counts from 1."""

    def __init__(self, line: int, reason: str, text: str = "") -> None:
        shown = f": {text[:120]!r}" if text else ""
        super().__init__(f"line {line}: {reason}{shown}")
        self.line = line
        self.reason = reason


@dataclass(slots=True)
class Meta:
    """What a metric family says about itself."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


@dataclass(slots=True)
class Exposition:
    """`samples`: (text of the series, value, timestamp in ms or None) in the order of the text."""

    samples: list[tuple[str, float, int | None]] = field(default_factory=list)
    metadata: dict[str, Meta] = field(default_factory=dict)


def format_of(content_type: str) -> Format:
    """Which grammar a Content-Type announces; none, or any text/plain, is the text format.

    Raises ExpositionError (line 0) for anything else, e.g. a login page in HTML.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/openmetrics-text":
        return "openmetrics"
    if kind in ("", "text/plain"):
        return "text"
    raise ExpositionError(0, "the content type is not an exposition", content_type)


def parse(
    body: bytes, form: Format = "text", *, known: Container[str] = (), max_samples: int = MAX_SAMPLES
) -> Exposition:
    """Read a whole exposition. Raises ExpositionError with the line; nothing is returned of a body with an error.

    `known`: texts of series that were read before; lines of theirs are read ten times as fast.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ExpositionError(body.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    found = Exposition()
    ended = False
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if ended:
            raise ExpositionError(number, "text after # EOF", line)
        series, _space, rest = line.rpartition(" ")
        if series in known and (value := _plain_value(rest)) is not None:
            found.samples.append((series, value, None))
            if len(found.samples) > max_samples:
                raise ExpositionError(number, f"more than {max_samples} samples")
        elif line.startswith("#"):
            ended = _comment(line, number, form, found.metadata)
        elif not line.strip():
            if form == "openmetrics":
                raise ExpositionError(number, "empty line")
        else:
            found.samples.append(_sample(line.rstrip("\r") if form == "text" else line, number, form))
            if len(found.samples) > max_samples:
                raise ExpositionError(number, f"more than {max_samples} samples")
    if form == "openmetrics" and not ended:
        raise ExpositionError(len(lines) + 1, "no # EOF at the end; the answer was cut off")
    return found


def _comment(line: str, number: int, form: Format, metadata: dict[str, Meta]) -> bool:
    """Take in a HELP, TYPE or UNIT line; true for the end mark."""
    if line == "# EOF":
        return form == "openmetrics"
    match = _META.match(line.rstrip("\r") if form == "text" else line)
    if match is None:
        if form == "openmetrics":
            raise ExpositionError(number, "a comment must be HELP, TYPE, UNIT or EOF", line)
        return False
    kind, name, rest = match.groups()
    meta = metadata.setdefault(name, Meta())
    if kind == "HELP":
        meta.help = unescape(rest or "")
    elif kind == "UNIT":
        meta.unit = rest or ""
    else:
        if rest not in _TYPES:
            raise ExpositionError(number, "unknown metric type", line)
        meta.type = "unknown" if rest == "untyped" else rest
    return False


def _sample(line: str, number: int, form: Format) -> tuple[str, float, int | None]:
    match = _SAMPLE.match(line)
    if match is None:
        raise ExpositionError(number, "not a sample", line)
    series, value_text, time_text, comment = match.groups()
    if comment is not None and form == "text":
        raise ExpositionError(number, "text after the sample", line)
    try:
        value = _float(value_text)
    except ValueError:
        raise ExpositionError(number, "not a value", value_text) from None
    if time_text is None:
        return series, value, None
    try:
        time_ms = int(time_text) if form == "text" else round(_float(time_text) * 1000)
    except (ValueError, OverflowError):
        raise ExpositionError(number, "not a timestamp", time_text) from None
    if not -(1 << 62) < time_ms < 1 << 62:
        raise ExpositionError(number, "not a timestamp", time_text)
    return series, value, time_ms


def _plain_value(text: str) -> float | None:
    """The value, where there is nothing else behind the series; None: look closely."""
    try:
        return _float(text)
    except ValueError:
        return None


def _float(text: str) -> float:
    if "_" in text:  # Python takes 1_000, the format does not
        raise ValueError(text)
    return float(text)


def parse_series(text: str) -> list[Label]:
    """The labels of a series as it stands in the text, `__name__` first. Raises ExpositionError (line 0)."""
    match = _NAME.match(text)
    if match is None:
        raise ExpositionError(0, "no metric name", text)
    labels: list[Label] = [("__name__", match[0])]
    rest = text[match.end() :].strip(" \t")
    if not rest:
        return labels
    if not (rest.startswith("{") and rest.endswith("}")):
        raise ExpositionError(0, "labels are not in braces", text)
    inner = rest[1:-1].rstrip(" \t")
    at, comma = 0, True
    while at < len(inner):
        label = _LABEL.match(inner, at)
        if label is None or not comma:
            raise ExpositionError(0, "not a label", inner[at:])
        labels.append((label[1], unescape(label[2])))
        comma = label[3] == ","
        at = label.end()
    return labels


def unescape(text: str) -> str:
    r"""Replace \\, \n and \" by what they mean; any other backslash stays, as Prometheus reads it."""
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text) if "\\" in text else text
