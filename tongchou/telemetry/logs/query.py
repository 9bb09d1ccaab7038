r"""The language lines are searched with: text -> tree -> text. Pure; the only thing it raises is BadQuery.

    error timeout               both words          "connection refused"    this text, in any case
    a OR b, a AND b, NOT a, -a  and ( )             time*, *fused           parts of words
    /re[fg]used/, /refused/i    RE2 over the line   level:error             a label, a field or a JSON member is this
    http.status:500             dotted: JSON path   latency_ms:>=250        a number
    service:store*, path:/^\/cart/                  order_id:*              it is there

NOT binds before AND, AND (also: nothing between two terms) before OR.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import re2
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid

MAX_LENGTH = 10_000
MAX_TERMS = 200
MAX_DEPTH = 40
MAX_PATTERN_LENGTH = 1_000
Order = Literal["<", "<=", ">", ">="]

_SPACE = re.compile(r"\s+")
_BARE = re.compile(r'[^\s()"]+')
_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.\-]*:")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ORDER = re.compile(r"(<=|>=|<|>)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_KEYWORDS = {"AND", "OR", "NOT"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class BadQuery(Invalid):
    """The query cannot be read; `extra["position"]` is the character (from 0) where it goes wrong."""

    def __init__(self, detail: str | Promise, query: str, position: int, remedy: str | Promise | None = None) -> None:
        place = _("%(detail)s (at character %(place)d)") % {"detail": detail, "place": position + 1}
        super().__init__(
            "logs.bad_query", place, field="query", value=query[:500].encode(errors="replace").decode(), remedy=remedy,
            extra={"position": position},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """Letters and digits: a whole word of the line; with other characters in it or `*`: a part of the line."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """This text anywhere in the line; ASCII letters in any case."""

    text: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """An RE2 expression found anywhere in the line, or in the field's value; `.` matches line breaks."""

    source: str
    any_case: bool = False

    @property
    def re2(self) -> str:
        """The expression as RE2 takes it."""
        return f"(?i){self.source}" if self.any_case else self.source


@dataclass(frozen=True, slots=True)
class Equal:
    """A field whose value is this text (or this number). With `glob`, `*` stands for any characters."""

    name: str
    value: str
    glob: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """A field whose value is a number in this relation to another."""

    name: str
    order: Order
    number: str


@dataclass(frozen=True, slots=True)
class Matches:
    """A field whose value contains what the expression finds."""

    name: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Exists:
    """A field that is there."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """Lines the part does not find."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """Lines every part finds; without parts: every line."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Lines any of two or more parts finds."""

    parts: tuple[Node, ...]


Node = Word | Phrase | Pattern | Equal | Compare | Matches | Exists | Not | And | Or
EVERYTHING = And(())


def parse(query: str) -> Node:
    """The tree of a query; an empty query finds everything. Raises BadQuery."""
    if len(query) > MAX_LENGTH:
        raise BadQuery(_("The query is longer than %(count)d characters.") % {"count": MAX_LENGTH}, query, MAX_LENGTH)
    control = _CONTROL.search(query)
    if control is not None:
        raise BadQuery(_("A control character is not allowed."), query, control.start())
    reader = _Reader(query)
    reader.skip()
    if reader.at == len(query):
        return EVERYTHING
    node = reader.either()
    if reader.at < len(query):
        raise reader.wrong(_("A closing parenthesis has no opening one."))
    return node


class _Reader:
    """Recursive descent over the text; `at` is the next character."""

    def __init__(self, query: str) -> None:
        self.query, self.at = query, 0
        self.terms = self.depth = 0

    def wrong(
        self, detail: str | Promise, position: int | None = None, remedy: str | Promise | None = None
    ) -> BadQuery:
        return BadQuery(detail, self.query, self.at if position is None else position, remedy)

    def skip(self) -> None:
        found = _SPACE.match(self.query, self.at)
        if found is not None:
            self.at = found.end()

    def peek(self) -> str:
        return self.query[self.at] if self.at < len(self.query) else ""

    def keyword(self) -> str:
        found = _BARE.match(self.query, self.at)
        return found[0] if found is not None and found[0] in _KEYWORDS else ""

    def either(self) -> Node:
        parts = [self.all()]
        while self.keyword() == "OR":
            self.at += 2
            self.skip()
            parts.append(self.all())
        return joined(Or, parts)

    def all(self) -> Node:
        parts = [self.one()]
        while True:
            word = self.keyword()
            if word == "AND":
                self.at += 3
                self.skip()
            elif word == "OR" or self.peek() in ("", ")"):
                return joined(And, parts)
            parts.append(self.one())

    def one(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.wrong(_("The query is nested more than %(count)d deep.") % {"count": MAX_DEPTH})
        node = self._one()
        self.depth -= 1
        self.skip()
        return node

    def _one(self) -> Node:
        start, character, word = self.at, self.peek(), self.keyword()
        if character == "" or word in ("AND", "OR") or character == ")":
            raise self.wrong(_("A word, a field or a parenthesis is missing here."))
        if word == "NOT" or (
            character == "-" and self.at + 1 < len(self.query) and not self.query[self.at + 1].isspace()
        ):
            self.at += 3 if word else 1
            self.skip()
            return Not(self.one())
        if character == "(":
            self.at += 1
            self.skip()
            node = self.either()
            if self.peek() != ")":
                raise self.wrong(_("A parenthesis is not closed."), start)
            self.at += 1
            return node
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self.wrong(_("The query has more than %(count)d terms.") % {"count": MAX_TERMS})
        return self._term()

    def _term(self) -> Node:
        character = self.peek()
        if character == '"':
            return Phrase(self._quoted())
        if character == "/":
            return self._pattern()
        name = _NAME.match(self.query, self.at)
        if name is not None:
            self.at = name.end()
            return self._field(name[0][:-1])
        return Word(self._bare())

    def _field(self, name: str) -> Node:
        character = self.peek()
        if character == '"':
            return Equal(name, self._quoted())
        if character == "/":
            return Matches(name, self._pattern())
        order = _ORDER.match(self.query, self.at)
        if order is not None:
            self.at = order.end()
            found = _BARE.match(self.query, self.at)
            text = found[0] if found else ""
            if not is_number(text):
                raise self.wrong(_("A number is wanted after %(order)s.") % {"order": order[0]})
            self.at += len(text)
            return Compare(name, order[0], text)  # type: ignore[arg-type]  # the expression finds nothing but an Order
        if character in ("", ")", "(") or character.isspace():
            raise self.wrong(
                _("A value is missing after %(name)s.") % {"name": f"{name}:"}, remedy=_('Write "" for an empty value.')
            )
        value = self._bare()
        if value == "*":
            return Exists(name)
        return Equal(name, value, glob="*" in value)

    def _bare(self) -> str:
        found = _BARE.match(self.query, self.at)
        assert found is not None  # noqa: S101  # the callers looked at the character
        self.at = found.end()
        return found[0]

    def _quoted(self) -> str:
        start = self.at
        out: list[str] = []
        self.at += 1
        while self.at < len(self.query):
            character = self.query[self.at]
            self.at += 1
            if character == '"':
                return "".join(out)
            if character == "\\":
                if self.at == len(self.query):
                    break
                escaped = self.query[self.at]
                self.at += 1
                out.append(_ESCAPES.get(escaped, escaped))
            else:
                out.append(character)
        raise self.wrong(_("A quotation mark is not closed."), start)

    def _pattern(self) -> Pattern:
        start = self.at
        out: list[str] = []
        self.at += 1
        while self.at < len(self.query) and self.query[self.at] != "/":
            if self.query[self.at] == "\\" and self.at + 1 < len(self.query):
                if self.query[self.at + 1] != "/":
                    out.append("\\")
                self.at += 1
            out.append(self.query[self.at])
            self.at += 1
        if self.at >= len(self.query):
            raise self.wrong(
                _("A regular expression is not closed by /."),
                start,
                _("Put text that starts with / in quotation marks."),
            )
        self.at += 1
        any_case = self.peek() == "i"
        self.at += any_case
        return checked(Pattern("".join(out), any_case), self.query, start)


def joined(kind: type[And] | type[Or], parts: list[Node]) -> Node:
    """The parts under one node, without a node of the same kind inside it; one part stays itself."""
    flat: list[Node] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def checked(pattern: Pattern, query: str, position: int) -> Pattern:
    """The pattern, when RE2 takes it. Raises BadQuery."""
    if len(pattern.source) > MAX_PATTERN_LENGTH:
        raise BadQuery(_("A regular expression is too long."), query, position)
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        re2.compile(pattern.re2, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise BadQuery(_("Not a regular expression: %(error)s") % {"error": text}, query, position) from None
    return pattern


def is_number(text: str) -> bool:
    """Whether the text is a finite decimal number."""
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def quoted(text: str) -> str:
    """Text in quotation marks as `parse` reads it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def format_query(node: Node) -> str:
    """The query of a tree: `parse` gives the same tree again."""
    match node:
        case Word(text):
            return text
        case Phrase(text):
            return quoted(text)
        case Pattern(source, any_case):
            return "/" + _slashed(source) + ("/i" if any_case else "/")
        case Equal(name, value, glob):
            return f"{name}:{value if glob else quoted(value)}"
        case Compare(name, order, number):
            return f"{name}:{order}{number}"
        case Matches(name, pattern):
            return f"{name}:{format_query(pattern)}"
        case Exists(name):
            return f"{name}:*"
        case Not(part):
            return f"NOT {_inner(part, (And, Or))}"
        case And(parts):
            return " ".join(_inner(part, (Or,)) for part in parts)
        case Or(parts):
            return " OR ".join(_inner(part, ()) for part in parts)


def _inner(node: Node, wrapped: tuple[type, ...]) -> str:
    text = format_query(node)
    return f"({text})" if isinstance(node, wrapped) else text


def _slashed(source: str) -> str:
    """A regular expression with its slashes escaped; a backslash keeps the character after it."""
    return re.sub(r"\\(.)|/", lambda found: found[0] if found[1] else "\\/", source, flags=re.DOTALL)
