"""Matchers as Alertmanager writes them: ``severity="critical", service=~"orders|catalogue"``. RE2, anchored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import re2
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.telemetry.series import Matcher, MatchOp, full_match

MAX_MATCHERS = 50
MAX_VALUE = 1000
OPS: tuple[MatchOp, ...] = ("=", "!=", "=~", "!~")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_TOKEN = re.compile(
    r'\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<op>=~|!~|!=|=)\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^",{}]*))\s*',
    re.ASCII | re.DOTALL,
)
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text: str) -> list[Matcher]:
    """The matchers of a text: separated by commas or lines, braces around them allowed; raises Invalid."""
    return check(_parse(text))


def parse_filter(text: str) -> list[Matcher]:
    """Like ``parse``, but for choosing what to show: there ``service!="orders"`` alone is no mistake."""
    return _well_formed(_parse(text))


def _parse(text: str) -> list[Matcher]:
    left = text.strip()
    if left.startswith("{") and left.endswith("}"):
        left = left[1:-1]
    found: list[Matcher] = []
    # A bare value ends at its line; a quoted one may hold anything but a bare line break.
    for line in left.split("\n"):
        found += _parse_line(line)
    return found


def _parse_line(line: str) -> list[Matcher]:
    at, found = 0, []
    while line[at:].strip(" \t\r,"):
        if line[at] in ", \t\r":
            at += 1
            continue
        hit = _TOKEN.match(line, at)
        if hit is None or (hit.end() < len(line) and line[hit.end()] != ","):
            raise _refused(line[at:], _("This is not a matcher."))
        quoted = hit["quoted"]
        value = hit["bare"].strip() if quoted is None else re.sub(r'\\[\\"n]', lambda m: _ESCAPES[m[0]], quoted)
        found.append(Matcher(hit["name"], cast("MatchOp", hit["op"]), value))
        at = hit.end()
    return found


def check(matchers: Sequence[Matcher]) -> list[Matcher]:
    """The same matchers, each well formed, the list neither empty nor one that matches everything; raises Invalid."""
    found = _well_formed(matchers)
    if all(each.matches("") for each in found):
        raise Invalid(
            "matchers.everything",
            _("These matchers also match what has none of the labels, so they would match too much."),
            field="matchers",
            value=text_of(found),
            remedy=_('Add one that does not match the empty text, e.g. service=~".+".'),
        )
    return found


def _well_formed(matchers: Sequence[Matcher]) -> list[Matcher]:
    if not 0 < len(matchers) <= MAX_MATCHERS:
        raise Invalid(
            "matchers.count",
            _("1 to %(most)s matchers are wanted.") % {"most": MAX_MATCHERS},
            field="matchers",
            value=len(matchers),
            remedy=_('Write e.g. service="orders", severity=~"critical|page".'),
        )
    for each in matchers:
        if not _NAME.fullmatch(each.name) or each.op not in OPS or len(each.value) > MAX_VALUE or "\x00" in each.value:
            raise _refused(str(each), _("This is not a matcher."))
        if each.op in ("=~", "!~"):
            try:
                full_match(each.value)
            except re2.error as error:
                raise _refused(str(each), _("RE2 refuses this pattern: %(why)s") % {"why": error}) from None
    return list(matchers)


def _refused(value: str, detail: object) -> Invalid:
    return Invalid(
        "matchers.syntax",
        detail,  # type: ignore[arg-type]  # a lazy text
        field="matchers",
        value=value[:200],
        remedy=_('Write e.g. service="orders", severity=~"critical|page".'),
    )


def text_of(matchers: Iterable[Matcher]) -> str:
    """The matchers as ``parse`` reads them."""
    return ", ".join(str(each) for each in matchers)


def for_labels(labels: Mapping[str, str]) -> list[Matcher]:
    """Equality matchers for labels, those of no value left out."""
    return [Matcher(name, "=", value) for name, value in sorted(labels.items()) if value]


def rows(matchers: Iterable[Matcher]) -> list[dict[str, str]]:
    """The matchers as they are kept in JSON."""
    return [{"name": each.name, "op": each.op, "value": each.value} for each in matchers]


def of_rows(kept: Iterable[Mapping[str, str]]) -> tuple[Matcher, ...]:
    """The matchers kept in JSON."""
    return tuple(Matcher(each["name"], cast("MatchOp", each["op"]), each["value"]) for each in kept)


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy every matcher; a label that is not there counts as empty."""
    return all(each.matches(labels.get(each.name, "")) for each in matchers)
