"""From the text of a query to a tree of plain, typed nodes; all durations in milliseconds.

The grammar is promql-parser's (a Rust wheel); this module only copies its tree, so that the rest of the evaluator
depends on nothing but these nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

import promql_parser
import re2

from tongchou.telemetry.promql import info_selectors
from tongchou.telemetry.promql.errors import parse_error
from tongchou.telemetry.promql.places import argument_places, complexity, line_column
from tongchou.telemetry.promql.refusals import refused
from tongchou.telemetry.promql.spelled import Spelled, spelled
from tongchou.telemetry.series import Matcher, MatchOp, full_match

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MATCH_OPS: dict[str, MatchOp] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
MAX_QUERY_CHARACTERS = 100_000
MAX_DEPTH = 100
MAX_OPERATORS = 250

At = int | Literal["start", "end"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A scalar literal. Equal are those of one value: 0 and -0 are not, NaN is."""

    value: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and float(self.value).hex() == float(other.value).hex()

    def __hash__(self) -> int:
        return hash(float(self.value).hex())


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector; more than one matcher set stands for alternatives joined by `or`."""

    matcher_sets: tuple[tuple[Matcher, ...], ...]
    offset_ms: int
    at: At


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range vector selector."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`; step_ms None asks for the default step."""

    expr: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int
    at: At


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; places tells where each argument stands, as "line:column"."""

    name: str
    args: tuple[Node, ...]
    places: tuple[str, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation; `without` turns the label list around; places as in Call."""

    op: str
    expr: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool
    places: tuple[str, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """How the sides of a binary operation find each other; `on` False means `ignoring`."""

    on: bool
    labels: tuple[str, ...]
    card: Literal["one", "left", "right", "many"]
    include: tuple[str, ...]
    fill_left: float | None
    fill_right: float | None


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; `bool_result` asks a comparison for 0 and 1 instead of filtering."""

    op: str
    left: Node
    right: Node
    matching: Matching
    bool_result: bool


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: Node


Node = Number | Text | Selector | Matrix | Subquery | Call | Aggregate | Binary | Negate


@lru_cache(maxsize=8192)  # rules are asked in turn: a cache that is too small for them never hits
def parse(query: str) -> Node:
    """The tree of a query. Raises QueryError (telemetry.parse_error) with the position when the parser tells it."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise parse_error(query[:200], f"query is longer than {MAX_QUERY_CHARACTERS} characters")
    depth, operators = complexity(query)
    if depth > MAX_DEPTH or operators > MAX_OPERATORS:
        # Beyond some thousand levels the parser overruns its stack and takes the process with it.
        raise parse_error(query[:200], f"query has more than {MAX_DEPTH} nested brackets or {MAX_OPERATORS} operators")
    text = spelled(query)
    try:
        node = _node(_tree(text.text), _Source(iter(argument_places(query)), text))
    except ValueError as error:
        raise refused(query, str(error), text.place) from error
    for place, words in text.problems:
        raise parse_error(query, f"{line_column(query, place)}: parse error: {words}", place)
    return node


def _tree(text: str) -> Any:
    """The parser's tree. Raises ValueError with its words."""
    try:
        return _parsed(text)
    except ValueError as error:
        again = info_selectors.marked(text)
        if again == text:
            raise
        try:
            return _parsed(again)
        except ValueError:
            raise error from None  # of the text as it was written


def _parsed(text: str) -> Any:
    try:
        return promql_parser.parse(text)
    except BaseException as error:
        # A panic of the parser is no Exception: it would end the request, or the thread, instead of being refused.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the parser failed: {error}") from error


def format_query(query: str) -> str:
    """The query pretty-printed by the parser. Raises QueryError as parse does."""
    parse(query)
    text = spelled(query)
    return text.unspelled(info_selectors.unmarked(_tree(text.text).prettify()))


def measured_part(query: str) -> str:
    """The left side of a comparison with a number, which has a value at every step; anything else unchanged."""
    text = spelled(query)
    try:
        tree = _tree(text.text)
    except ValueError:
        return query
    while isinstance(tree, promql_parser.ParenExpr):
        tree = tree.expr
    if not isinstance(tree, promql_parser.BinaryExpr) or str(tree.op) not in ("==", "!=", ">", "<", ">=", "<="):
        return query
    if not isinstance(tree.rhs, promql_parser.NumberLiteral):
        return query
    return text.unspelled(info_selectors.unmarked(tree.lhs.prettify()))


def selectors(node: Node) -> list[Selector]:
    """Every selector of a tree, from left to right."""
    match node:
        case Selector():
            return [node]
        case Matrix():
            return [node.selector]
        case Subquery() | Negate():
            return selectors(node.expr)
        case Call():
            return [found for arg in node.args for found in selectors(arg)]
        case Aggregate():
            params = selectors(node.param) if node.param is not None else []
            return params + selectors(node.expr)
        case Binary():
            return selectors(node.left) + selectors(node.right)
        case _:
            return []


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration / _MILLISECOND)


@dataclass(frozen=True, slots=True)
class _Source:
    """What the tree does not tell: the argument places of the calls in the order of writing, and what was spelled."""

    places: Iterator[tuple[str, ...]]
    text: Spelled

    def next_places(self) -> tuple[str, ...]:
        return next(self.places, ())


def _at(modifier: Any, source: _Source) -> At:
    if modifier is None:
        return None
    kind = str(modifier.type)
    if kind.endswith("Start"):
        return "start"
    if kind.endswith("End"):
        return "end"
    number: int = round((modifier.at - _EPOCH).total_seconds())
    pinned: int | None = source.text.pins[number]
    if pinned is None:
        raise ValueError(f"timestamp out of bounds for @ modifier: {source.text.shown[number][:-4]}")
    return pinned


def _matchers(found: Any) -> tuple[Matcher, ...]:
    made = tuple(Matcher(m.name, _MATCH_OPS[str(m.op)], m.value) for m in found if m.name != info_selectors.MARK)
    for matcher in made:
        if matcher.op in ("=~", "!~"):
            try:
                full_match(matcher.value)
            except re2.error as error:  # the parser's regular expressions know a little more
                raise ValueError(f"error parsing regexp: {matcher.value}: {error}") from error
    return made


def _selector(tree: Any, source: _Source) -> Selector:
    name = (Matcher("__name__", "=", tree.name),) if tree.name else ()
    always = name + _matchers(tree.matchers.matchers)
    names = [matcher.value for matcher in always if matcher.name == "__name__" and matcher.op == "="]
    if len(names) > 1:
        raise ValueError(f'metric name must not be set twice: "{names[0]}" or "{names[1]}"')
    alternatives = tuple(name + _matchers(group) for group in tree.matchers.or_matchers)
    return Selector(alternatives or (always,), _ms(tree.offset), _at(tree.at, source))


def _matching(modifier: Any) -> Matching:
    if modifier is None:
        return Matching(False, (), "one", (), None, None)
    card = str(modifier.card)
    cards: dict[str, Literal["one", "left", "right", "many"]] = {
        "OneToOne": "one",
        "ManyToOne": "left",
        "OneToMany": "right",
        "ManyToMany": "many",
    }
    matching = modifier.matching
    return Matching(
        on=matching is not None and str(matching.type).endswith("Include"),
        labels=tuple(matching.labels) if matching is not None else (),
        card=cards[card.rsplit(".", 1)[-1]],
        include=tuple(modifier.group_labels or ()),
        fill_left=modifier.fill_values.lhs if modifier.fill_values else None,
        fill_right=modifier.fill_values.rhs if modifier.fill_values else None,
    )


def _aggregate(tree: Any, source: _Source) -> Aggregate:
    modifier = tree.modifier
    own = source.next_places()
    return Aggregate(
        op=str(tree.op),
        param=None if tree.param is None else _node(tree.param, source),
        expr=_node(tree.expr, source),
        labels=tuple(modifier.labels) if modifier is not None else (),
        without=modifier is not None and str(modifier.type).endswith("Without"),
        places=own,
    )


def _node(tree: Any, source: _Source) -> Node:
    """Copy a node, and with it, in the order of writing, what the source tells of it."""
    match type(tree).__name__:
        case "NumberLiteral":
            return Number(tree.val)
        case "StringLiteral":
            return Text(tree.val)
        case "VectorSelector":
            return _selector(tree, source)
        case "MatrixSelector":
            return Matrix(_selector(tree.vector_selector, source), _ms(tree.range))
        case "SubqueryExpr":
            step = None if tree.step is None else _ms(tree.step)
            return Subquery(_node(tree.expr, source), _ms(tree.range), step, _ms(tree.offset), _at(tree.at, source))
        case "Call":
            own = source.next_places()
            return Call(tree.func.name, tuple(_node(arg, source) for arg in tree.args), own)
        case "AggregateExpr":
            return _aggregate(tree, source)
        case "BinaryExpr":
            modifier = tree.modifier
            bool_result = modifier is not None and modifier.return_bool
            left, right = _node(tree.lhs, source), _node(tree.rhs, source)
            return Binary(str(tree.op).strip(), left, right, _matching(modifier), bool_result)
        case "UnaryExpr":
            return Negate(_node(tree.expr, source))
        case "ParenExpr":
            return _node(tree.expr, source)
        case other:
            raise parse_error(str(tree), f"expression {other} is not supported")
