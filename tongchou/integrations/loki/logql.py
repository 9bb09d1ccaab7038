"""The part of LogQL that reads lines: a stream selector and line filters, `{service="shop"} |= "refused" !~ "health"`.

Anything further (parsers, label filters, metric queries) is refused with its place. Pure.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

from tongchou.telemetry.logs.query import And, BadQuery, Node, Not, Pattern, Phrase, checked, joined
from tongchou.telemetry.series import Matcher, MatchOp
from tongchou.wire.loki import unquote
from tongchou.wire.protobuf import MalformedError

_SPACE = re.compile(r"\s*")
_STRING = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_MATCHER = re.compile(rf"([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})\s*")
_FILTER = re.compile(rf"(\|=|!=|\|~|!~)\s*({_STRING})\s*")


def _text(query: str, quoted: str, at: int) -> str:
    try:
        return unquote(quoted)
    except MalformedError as error:
        raise BadQuery(str(error), query, at) from None


def parse(query: str) -> tuple[list[Matcher], Node]:
    """The matchers and the line filters as a tree of the search language. Raises BadQuery."""
    at = _SPACE.match(query).end()  # type: ignore[union-attr]  # it matches nothing too
    if query[at : at + 1] != "{":
        raise BadQuery(_("A query starts with a stream selector in braces."), query, at)
    at = _SPACE.match(query, at + 1).end()  # type: ignore[union-attr]  # the same
    matchers: list[Matcher] = []
    while query[at : at + 1] != "}":
        found = _MATCHER.match(query, at)
        if found is None:
            raise BadQuery(_("A label matcher is missing here."), query, at)
        value = _text(query, found[3], found.start(3))
        op: MatchOp = found[2]  # type: ignore[assignment]  # the expression finds nothing else
        if op in ("=~", "!~"):
            checked(Pattern(value), query, found.start(3))
        matchers.append(Matcher(found[1], op, value))
        at = found.end()
        if query[at : at + 1] == ",":
            at = _SPACE.match(query, at + 1).end()  # type: ignore[union-attr]  # the same
        elif query[at : at + 1] != "}":
            raise BadQuery(_("A closing brace is missing."), query, at)
    at = _SPACE.match(query, at + 1).end()  # type: ignore[union-attr]  # the same
    parts: list[Node] = []
    while at < len(query):
        found = _FILTER.match(query, at)
        if found is None:
            raise BadQuery(_("Only line filters (|= != |~ !~) are read after the selector."), query, at)
        text = _text(query, found[2], found.start(2))
        # A line filter of Loki tells upper from lower case; a phrase of ours does not.
        node: Node = checked(Pattern(text if found[1] in ("|~", "!~") else _literal(text)), query, found.start(2))
        parts.append(Not(node) if found[1].startswith("!") else _with_phrase(node, text, found[1]))
        at = found.end()
    return matchers, joined(And, parts) if parts else And(())


def _literal(text: str) -> str:
    return re.sub(r"([^A-Za-z0-9_\x80-\U0010ffff])", r"\\\1", text).replace("\\\n", "\\n")


def _with_phrase(node: Node, text: str, op: str) -> Node:
    """The exact test behind the indexed one."""
    return And((Phrase(text), node)) if op == "|=" and text else node
