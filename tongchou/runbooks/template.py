"""`${params.x}`, `${target.name}`, `${incident.number}`, `${secret.NAME}`: values inserted as data, never as syntax.

Each place a value can stand in (text, url, header, body, query, sealed) has its own escaping, decided by the place and
never by the value. An inserted value is not looked at again, so `${...}` inside a value stays what it is. `$${` writes
`${`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Place = Literal["text", "url", "header", "body", "query", "sealed"]

_PLACEHOLDER = re.compile(r"\$\{(params|target|incident|secret)\.([A-Za-z0-9_][A-Za-z0-9_.:-]{0,127})\}")
_CONTROL = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")
_UNQUOTED_TYPES = frozenset({"integer", "number", "duration"})
_MARK = "\ue000"


class TemplateError(Exception):
    """The template cannot be used, or a value does not fit its place. `says` is for the reader."""

    def __init__(self, says: str | Promise) -> None:
        super().__init__(says)
        self.says = says


@dataclass(frozen=True)
class Name:
    """One placeholder: `space` is params, target, incident or secret."""

    space: str
    name: str

    def __str__(self) -> str:
        return "${" + f"{self.space}.{self.name}" + "}"


Part = str | Name


@dataclass(frozen=True)
class Values:
    """What the names stand for. `target` is None outside a target, `incident_number` None without an incident."""

    params: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] | None = None
    incident_number: int | None = None

    def get(self, name: Name) -> Any:
        """The value of a name; TemplateError when there is none. A secret is never a value here."""
        value: Any = None
        if name.space == "params":
            value = self.params.get(name.name)
        elif name.space == "target" and self.target is not None:
            value = self.target.get(name.name)
        elif name.space == "incident" and name.name == "number":
            value = self.incident_number
        if value is None:
            raise TemplateError(_("%(name)s has no value here.") % {"name": name})
        return value


class _Anything(dict[str, Any]):
    """Has every attribute, as a text that is a name, a host and a label value."""

    def get(self, key: str, default: Any = None) -> Any:
        return "x"


def sample(parameter_types: Mapping[str, str]) -> Values:
    """Values that fit every place, to try a template before there are real ones."""
    by_type: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "duration": "5m", "list": ["x"]}
    return Values({name: by_type.get(kind, "x") for name, kind in parameter_types.items()}, _Anything(), 1)


def parse(text: str) -> list[Part]:
    """Text to literal strings and names, in order. A `${` that is no placeholder is an error, `$${` a literal `${`."""
    parts: list[Part] = []
    literal = ""
    position = 0
    while position < len(text):
        if text.startswith("$${", position):
            literal += "${"
            position += 3
        elif text.startswith("${", position):
            match = _PLACEHOLDER.match(text, position)
            if match is None:
                raise TemplateError(_("%(text)s is not a known name.") % {"text": text[position : position + 60]})
            if literal:
                parts.append(literal)
            literal = ""
            parts.append(Name(match[1], match[2]))
            position = match.end()
        else:
            literal += text[position]
            position += 1
    if literal:
        parts.append(literal)
    return parts


def literal(value: str) -> str:
    """A value as template text that renders to exactly this value."""
    return value.replace("${", "$${")


def names(value: Any) -> Iterator[Name]:
    """All placeholders of a template or of a tree of templates."""
    if isinstance(value, str):
        yield from (part for part in parse(value) if isinstance(part, Name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from names(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from names(item)


# --- checks before anything runs


def check(value: Any, place: Place, parameter_types: Mapping[str, str]) -> None:
    """Raise TemplateError unless every name of the template is known and may stand where it stands.

    `parameter_types` maps each declared parameter to its type. Whether a target has an attribute only a plan knows.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if parse(str(key)) != [key]:
                raise TemplateError(_("A key cannot be a template: %(key)s.") % {"key": key})
            check(item, place, parameter_types)
    elif isinstance(value, str):
        _check_text(value, place, parameter_types)
    elif isinstance(value, Sequence):
        for item in value:
            check(item, place, parameter_types)


def _check_text(text: str, place: Place, parameter_types: Mapping[str, str]) -> None:
    parts = parse(text)
    for part in parts:
        if isinstance(part, str):
            continue
        if part.space == "params" and part.name not in parameter_types:
            raise TemplateError(_("%(name)s is not a declared parameter.") % {"name": part})
        if part.space == "incident" and part.name != "number":
            raise TemplateError(_("%(name)s is not a known name; an incident has only a number here.") % {"name": part})
        if part.space == "secret" and place not in ("header", "sealed"):
            raise TemplateError(
                _("%(name)s: a secret may stand only in a header of an http step, or in a key made for it.")
                % {"name": part}
            )
    if place == "url":
        _url_zones(parts)
    elif place == "query":
        _query_zones(parts, parameter_types)
    elif place == "header" and any(isinstance(part, str) and _CONTROL.search(part) for part in parts):
        raise TemplateError(_("A header cannot contain control characters."))


def _url_zones(parts: Sequence[Part]) -> list[str]:
    """For each part its zone: base, host, path or query. Who asks for a run chooses no host: only a target does."""
    whole = "".join(part if isinstance(part, str) else _MARK for part in parts)
    if any(isinstance(part, str) and (_MARK in part or _CONTROL.search(part) or " " in part) for part in parts):
        raise TemplateError(_("A URL cannot contain spaces or control characters."))
    if "#" in whole:
        raise TemplateError(_("A URL cannot have a fragment here."))
    based = whole.startswith(_MARK)
    if based and len(whole) > 1 and whole[1] not in "/?":
        raise TemplateError(_("After a base URL the path begins with a slash."))
    match = re.match(r"https?://([^/?]*)", whole)
    if not based and (match is None or not match[1]):
        raise TemplateError(_("A URL begins with http://, https:// or ${target.<attribute>}."))
    host_end = 1 if based else (match.end() if match else 0)
    if "@" in whole[:host_end]:
        raise TemplateError(_("A URL cannot carry a user name or password; use a header with ${secret.NAME}."))
    query_start = whole.find("?") if "?" in whole else len(whole)
    zones: list[str] = []
    position = 0
    for part in parts:
        zone = "path" if position < query_start else "query"
        if position < host_end:
            zone = "base" if based else "host"
            if isinstance(part, Name) and part.space != "target":
                raise TemplateError(
                    _("%(name)s cannot choose the host; only a target's attribute can.") % {"name": part}
                )
        zones.append(zone)
        position += len(part) if isinstance(part, str) else 1
    return zones


@dataclass
class _Scan:
    """Where a PromQL text stands: outside, in a quoted string (regex or not), or in a comment."""

    quote: str = ""
    regex: bool = False
    seen: str = ""
    escaped: bool = False

    def feed(self, text: str) -> None:
        for char in text:
            if self.escaped:
                self.escaped = False
            elif self.quote == "#":
                self.quote = "" if char == "\n" else "#"
            elif self.quote:
                self.escaped = char == "\\" and self.quote != "`"
                self.quote = "" if char == self.quote else self.quote
            elif char in "\"'`#":
                self.quote = char
                self.regex = self.seen.rstrip().endswith(("=~", "!~"))
            self.seen = self.seen[-64:] + char


def _query_zones(parts: Sequence[Part], parameter_types: Mapping[str, str]) -> list[str]:
    """For each part `literal`, `plain`, or the quote it stands in, with `~` behind it in a regular expression."""
    scan = _Scan()
    zones: list[str] = []
    for part in parts:
        if isinstance(part, str):
            scan.feed(part)
            zones.append("literal")
            continue
        if scan.quote in ("#", "`") or scan.escaped:
            raise TemplateError(
                _("%(name)s cannot stand in a comment, between backticks or behind a backslash.") % {"name": part}
            )
        if scan.quote:
            zones.append(scan.quote + ("~" if scan.regex else ""))
        elif part.space == "incident" or (part.space == "params" and parameter_types.get(part.name) in _UNQUOTED_TYPES):
            zones.append("plain")
        else:
            raise TemplateError(
                _("%(name)s must stand between quotes in a query; only numbers and durations may stand outside.")
                % {"name": part}
            )
        scan.seen += "x"
    if scan.quote not in ("", "#"):
        raise TemplateError(_("A string in the query is not closed."))
    return zones


# --- rendering


def text(template: str, values: Values) -> str:
    """Plain text for people; whoever shows it escapes it for its page."""
    return "".join(part if isinstance(part, str) else plain(values.get(part), part) for part in parse(template))


def plain(value: Any, name: Name) -> str:
    """A scalar as text: true/false as in JSON, numbers in their shortest form; a list or map has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise TemplateError(
        _("%(name)s is a list or a map; it may stand only as a whole value in a body.") % {"name": name}
    )


def _line(value: Any, name: Name) -> str:
    shown = plain(value, name)
    if _CONTROL.search(shown):
        raise TemplateError(_("The value of %(name)s contains control characters.") % {"name": name})
    return shown


def body(template: Any, values: Values) -> Any:
    """A JSON tree; a string that is one placeholder and nothing else keeps the type of its value."""
    if isinstance(template, str):
        parts = parse(template)
        if len(parts) == 1 and isinstance(parts[0], Name):
            return values.get(parts[0])
        return text(template, values)
    if isinstance(template, Mapping):
        return {key: body(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [body(item, values) for item in template]
    return template


def header(template: str, values: Values) -> str:
    """A header as template text in which only secrets are left open; `reveal` fills them in at the moment of use."""
    out = ""
    for part in parse(template):
        if isinstance(part, str):
            out += literal(part)
        else:
            out += str(part) if part.space == "secret" else literal(_line(values.get(part), part))
    return out


def reveal(template: str, secrets: Mapping[str, str]) -> str:
    """A header with its secrets. Only for the request itself: never stored, logged or shown."""
    out = _opened(template, secrets)
    if _CONTROL.search(out):
        raise TemplateError(_("The secret contains control characters and cannot stand in a header."))
    return out


def is_one_name(value: Any) -> bool:
    """Whether a value is one placeholder and nothing else, which keeps the type of what it stands for."""
    parts = parse(value) if isinstance(value, str) else []
    return len(parts) == 1 and isinstance(parts[0], Name)


def seal(template: Any, values: Values, *, as_text: bool = False) -> Any:
    """A tree as `body` resolves it, but as template text in which only secrets are left open (see `open_secrets`).

    With `as_text` a string that is one placeholder becomes a text instead of keeping its value's type.
    """
    if isinstance(template, Mapping):
        return {key: seal(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [seal(item, values) for item in template]
    if not isinstance(template, str):
        return template
    parts = parse(template)
    first = parts[0] if len(parts) == 1 and not as_text else None
    if isinstance(first, Name) and first.space != "secret":
        return _literal_tree(values.get(first))
    out = ""
    for part in parts:
        if isinstance(part, str):
            out += literal(part)
        else:
            out += str(part) if part.space == "secret" else literal(plain(values.get(part), part))
    return out


def _literal_tree(value: Any) -> Any:
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, Mapping):
        return {key: _literal_tree(item) for key, item in value.items()}
    return [_literal_tree(item) for item in value] if isinstance(value, list) else value


def open_secrets(sealed: Any, secrets: Mapping[str, str]) -> Any:
    """A sealed tree with its secrets, of any characters. Only for the effect itself: never stored, logged or shown."""
    if isinstance(sealed, Mapping):
        return {key: open_secrets(item, secrets) for key, item in sealed.items()}
    if isinstance(sealed, list):
        return [open_secrets(item, secrets) for item in sealed]
    return _opened(sealed, secrets) if isinstance(sealed, str) else sealed


def _opened(sealed: str, secrets: Mapping[str, str]) -> str:
    out = ""
    for part in parse(sealed):
        if isinstance(part, str):
            out += part
        elif part.space != "secret" or part.name not in secrets:
            raise TemplateError(_("%(name)s has no value here.") % {"name": part})
        else:
            out += secrets[part.name]
    return out


def plain_tree(template: Any) -> Any:
    """A tree of templates without a name as the values they are (`$${` is `${`)."""
    return body(template, Values())


def url(template: str, values: Values) -> str:
    """An absolute http(s) URL; values in path and query are percent-encoded whole, a base URL or host is checked."""
    parts = parse(template)
    out = ""
    for part, zone in zip(parts, _url_zones(parts), strict=True):
        if isinstance(part, str):
            out += part
            continue
        value = _line(values.get(part), part)
        if zone == "base":
            out += _base(value, part)
        elif zone == "host":
            out += _host(value, part)
        elif zone == "path" and not value:
            raise TemplateError(
                _("The value of %(name)s is empty; the path would mean something else.") % {"name": part}
            )
        else:
            out += quote(value, safe="")
    _check_url(out)
    return out


def _base(value: str, name: Name) -> str:
    try:
        split = urlsplit(value)
        known = (
            split.scheme in ("http", "https") and bool(split.hostname) and "@" not in split.netloc and split.port != 0
        )
    except ValueError:
        known = False
    if not known or any(char in value for char in " ?#\\"):
        raise TemplateError(_("%(name)s is not a base URL such as http://host:8080.") % {"name": name})
    return value.rstrip("/")


def _host(value: str, name: Name) -> str:
    if _HOST.fullmatch(value) and ".." not in value:
        return value
    try:
        address: ipaddress.IPv6Address | None = ipaddress.IPv6Address(value)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise TemplateError(_("%(name)s is not a host name or address.") % {"name": name})
    return f"[{address}]"


def _check_url(whole: str) -> None:
    """A value must not climb out of the path it was given: `.` and `..` segments are refused, encoded or not."""
    try:
        split = urlsplit(whole)
        valid = bool(split.hostname) and split.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise TemplateError(_("The URL is not valid: %(url)s.") % {"url": whole[:200]})
    if any(unquote(segment) in (".", "..") for segment in split.path.split("/")):
        raise TemplateError(_("The path of the URL contains a . or .. segment: %(url)s.") % {"url": whole[:200]})


def query(template: str, values: Values, parameter_types: Mapping[str, str]) -> str:
    """PromQL; a value inside quotes is escaped for the string, and for the regular expression behind `=~` and `!~`."""
    parts = parse(template)
    out = ""
    for part, zone in zip(parts, _query_zones(parts, parameter_types), strict=True):
        if isinstance(part, str):
            out += part
            continue
        value = _line(values.get(part), part)
        if zone.endswith("~"):
            value = re.escape(value)
        if zone != "plain":
            value = value.replace("\\", "\\\\").replace(zone[0], "\\" + zone[0])
        out += value
    return out
