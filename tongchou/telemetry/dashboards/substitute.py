r"""Puts the values of variables into queries and texts: `$name`, `${name}`, `${name:format}`, `[[name]]`. Pure.

A value cannot leave the place it is put into. Within a PromQL string it is escaped for that string (and for RE2 where
the variable may have several values, as Grafana does); outside of strings it must be a name, a number or a duration,
or stand in the dashboard itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Text
from tongchou.telemetry.dashboards.definition import Variable
from tongchou.telemetry.logs.query import quoted

PLACE = re.compile(
    r"\$(?P<bare>[A-Za-z_]\w*)"
    r"|\[\[(?P<old>[A-Za-z_]\w*)(?::(?P<oldformat>[a-z]+))?\]\]"
    r"|\$\{(?P<braced>[A-Za-z_]\w*)(?:\.(?P<path>text|value))?(?::(?P<format>[a-z]+))?\}"
)
_STRING = re.compile(r"""(?P<quote>["'`])|(?P<comment>\#[^\n]*)""")
_PLAIN = re.compile(r"[A-Za-z0-9_:.]*|[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
FORMATS = ("regex", "pipe", "csv", "raw", "text", "glob", "json", "doublequote", "singlequote", "percentencode")
LISTED = (*FORMATS, "queryparam")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a variable stands for now: its values; `texts` what they are called; `every` when all options are meant."""

    variable: Variable
    values: tuple[str, ...]
    texts: tuple[str, ...] = ()
    every: bool = False
    own: frozenset[str] = frozenset()  # the values that the dashboard itself writes down

    @property
    def several(self) -> bool:
        """Whether it may have more than one value."""
        return self.variable.multi or self.variable.all


@dataclass(frozen=True, slots=True)
class Scope:
    """All that a query may name. Times in ms; `scrape_ms`: how far apart samples are."""

    chosen: Mapping[str, Chosen] = field(default_factory=dict)
    from_ms: int = 0
    to_ms: int = 3_600_000
    interval_ms: int = 15_000
    scrape_ms: int = 15_000

    def builtin(self, name: str) -> str | None:
        """Return the text of a variable every dashboard has, None for a name that is none."""
        span = max(1, self.to_ms - self.from_ms)
        rate = max(self.interval_ms + self.scrape_ms, 4 * self.scrape_ms)
        texts = {
            "__interval": duration(self.interval_ms),
            "__interval_ms": str(self.interval_ms),
            "__rate_interval": duration(rate),
            "__rate_interval_ms": str(rate),
            "__range": duration(max(1000, round(span, -3))),
            "__range_s": str(max(1, round(span / 1000))),
            "__range_ms": str(span),
            "__from": str(self.from_ms),
            "__to": str(self.to_ms),
        }
        return texts.get(name)


def duration(ms: int) -> str:
    """Return milliseconds as PromQL writes them."""
    return f"{ms // 1000}s" if ms % 1000 == 0 and ms else f"{max(1, ms)}ms"


def names_in(text: str) -> set[str]:
    """Return the names of variables a text has a place for."""
    return {_name(each) for each in PLACE.finditer(text)}


def escape_regex(text: str) -> str:
    """Return an RE2 pattern that fits this text alone."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def plain(text: str, scope: Scope) -> str:
    """Fill a title, a legend or a text for people; what is no variable stays."""

    def fill(found: re.Match[str]) -> str:
        name = _name(found)
        chosen = scope.chosen.get(name)
        if chosen is None:
            return scope.builtin(name) or found[0]
        if chosen.every and not found["format"]:
            return "All"
        return " + ".join(chosen.texts or chosen.values)

    return PLACE.sub(fill, text)


def promql(text: str, scope: Scope) -> str:
    """Fill a PromQL expression. Raises Invalid naming the variable that does not fit its place."""
    out: list[str] = []
    for part, mark, before in _parts(text):
        if mark == "#":
            out.append(part)
        elif mark:
            out.append(mark + _in_string(part[1:-1], mark, before, scope) + mark)
        else:
            out.append(PLACE.sub(lambda found: _outside(found, scope), part))
    return "".join(out)


def logs(text: str, scope: Scope) -> str:
    """Fill a log search: several values are any of them, each in quotation marks.

    `service:$service` becomes `(service:"a" OR service:"b")`; every option at once asks only that there is a service.
    """

    def fill(found: re.Match[str]) -> str:
        name = _name(found)
        chosen = scope.chosen.get(name)
        if chosen is None:
            return found[0]
        label = found["label"] or ""
        if chosen.every:
            return f"{label}*" if label else '""'
        each = [f"{label}{quoted(value)}" for value in chosen.values]
        return each[0] if len(each) == 1 else f"({' OR '.join(each)})" if each else '""'

    return _LOG_PLACE.sub(fill, text)


_LOG_PLACE = re.compile(rf"(?P<label>[A-Za-z_@][\w@.\-]*:)?\"?(?:{PLACE.pattern})\"?")


# --- the parts of an expression --------------------------------------------------------------------------------------


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Cut PromQL into (part, quotation mark or "#" or "", what stands before a string)."""
    at = 0
    while at < len(text):
        found = _STRING.search(text, at)
        if found is None:
            yield text[at:], "", ""
            return
        if found.start() > at:
            yield text[at : found.start()], "", ""
        if found["comment"]:
            yield found[0], "#", ""
            at = found.end()
            continue
        end = _end_of_string(text, found.start())
        if end == 0:  # a string that does not end: PromQL will say so
            yield text[found.start() :], "", ""
            return
        yield text[found.start() : end], found["quote"], text[: found.start()].rstrip()[-2:]
        at = end


def _end_of_string(text: str, start: int) -> int:
    mark, at = text[start], start + 1
    while at < len(text):
        if text[at] == "\\" and mark != "`":
            at += 2
            continue
        if text[at] == mark:
            return at + 1
        at += 1
    return 0


def _name(found: re.Match[str]) -> str:
    return found["bare"] or found["old"] or found["braced"] or ""


def _format(found: re.Match[str]) -> str:
    wanted = found["format"] or found["oldformat"] or ""
    if wanted and wanted not in LISTED:
        raise _refuse(
            _name(found),
            wanted,
            _("The format %(format)s is not known.") % {"format": wanted},
            _("Use: %(keys)s.") % {"keys": ", ".join(LISTED)},
        )
    return wanted


def _refuse(name: str, value: object, detail: Text, remedy: Text | None = None) -> Invalid:
    return Invalid("dashboard.variable", detail, field=f"${name}", value=value, remedy=remedy)


def _unknown(name: str) -> Invalid:
    remedy = (
        _("Use $__interval, $__rate_interval, $__range, $__from or $__to.")
        if name.startswith("__")
        else _("Add it to the variables of the dashboard.")
    )
    return _refuse(name, name, _("There is no variable of this name."), remedy)


# --- within a string -------------------------------------------------------------------------------------------------


def _in_string(body: str, mark: str, before: str, scope: Scope) -> str:
    def fill(found: re.Match[str]) -> str:
        name = _name(found)
        chosen = scope.chosen.get(name)
        if chosen is not None:
            return _string_value(found, chosen, mark, before)
        text = scope.builtin(name)
        if text is None and (before in ("=~", "!~") or name.startswith("__")):
            raise _unknown(name)
        return found[0] if text is None else text

    return PLACE.sub(fill, body)


def _string_value(found: re.Match[str], chosen: Chosen, mark: str, before: str) -> str:
    wanted = _format(found)
    if wanted:
        return _escaped(_formatted(wanted, chosen), mark, chosen)
    equal = before.endswith("=") and before != "=~"
    if chosen.every and chosen.variable.all_value and not equal:
        return re.sub(rf"(?<!\\){mark}", "." if mark == "`" else rf"\\{mark}", chosen.variable.all_value)
    if equal and len(chosen.values) > 1:
        raise _refuse(
            _name(found),
            ", ".join(chosen.values),
            _("The variable has several values, and = compares with one."),
            _('Write =~"$%(name)s".') % {"name": _name(found)},
        )
    if equal or not chosen.several:
        return _escaped("".join(chosen.values[:1]), mark, chosen)
    return _escaped(_any_of(chosen), mark, chosen)


def _any_of(chosen: Chosen) -> str:
    each = [escape_regex(value) for value in chosen.values]
    return each[0] if len(each) == 1 else f"({'|'.join(each)})" if each else ""


def _escaped(text: str, mark: str, chosen: Chosen) -> str:
    if mark == "`":
        if "`" in text:
            raise _refuse(
                chosen.variable.name, text, _("The value has a backtick, and stands between backticks."),
                _('Write the query with "...".'),
            )  # fmt: skip
        return text
    return text.replace("\\", "\\\\").replace(mark, f"\\{mark}").replace("\n", "\\n").replace("\r", "\\r")


# --- outside of strings ----------------------------------------------------------------------------------------------


def _outside(found: re.Match[str], scope: Scope) -> str:
    name = _name(found)
    chosen = scope.chosen.get(name)
    if chosen is None:
        text = scope.builtin(name)
        if text is None:
            raise _unknown(name)
        return text
    wanted = _format(found)
    # What a value is called comes from outside, too, when a regular expression cut it out of a label.
    put = chosen.texts if wanted == "text" and chosen.texts else chosen.values
    for value, filled in zip(chosen.values, put, strict=True):
        if value not in chosen.own and not _PLAIN.fullmatch(filled):
            raise _refuse(
                name,
                filled,
                _("Outside of quotation marks a value must be a name, a number or a duration."),
                _('Put the variable into a string, as in label=~"$%(name)s".') % {"name": name},
            )
    if wanted:
        return _formatted(wanted, chosen)
    if len(chosen.values) > 1:
        raise _refuse(
            name,
            ", ".join(chosen.values),
            _("The variable has several values where one is wanted."),
            _("Write ${%(name)s:csv} for a list.") % {"name": name},
        )
    return "".join(chosen.values)


_WRITTEN: dict[str, Callable[[Chosen], str]] = {
    "regex": _any_of,
    "pipe": lambda chosen: "|".join(chosen.values),
    "csv": lambda chosen: ",".join(chosen.values),
    "raw": lambda chosen: ",".join(chosen.values),
    "text": lambda chosen: " + ".join(chosen.texts or chosen.values),
    "glob": lambda chosen: (
        f"{{{','.join(chosen.values)}}}" if len(chosen.values) > 1 else "".join(chosen.values)
    ),
    "json": lambda chosen: json.dumps(list(chosen.values) if chosen.several else "".join(chosen.values)),
    "doublequote": lambda chosen: ",".join(json.dumps(each) for each in chosen.values),
    "singlequote": lambda chosen: ",".join(f"'{_escaped(each, chr(39), chosen)}'" for each in chosen.values),
    "percentencode": lambda chosen: quote(",".join(chosen.values), safe=""),
    "queryparam": lambda chosen: "&".join(
        f"var-{chosen.variable.name}={quote(each, safe='')}" for each in chosen.values
    ),
}  # fmt: skip


def _formatted(wanted: str, chosen: Chosen) -> str:
    return _WRITTEN[wanted](chosen)
