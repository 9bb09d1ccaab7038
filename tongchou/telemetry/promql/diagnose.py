"""Why a text is no query, and where: in Prometheus's words, which promql-parser does not give.

A walk over the tokens with the alternation of operands and operators finds the first one that cannot stand where it
does. It runs only on a text that the parser refused, so it need not be complete: what it does not find keeps the
parser's words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
  | (?P<unterminated>["'`])
  | (?P<number>0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:\d+(?:ms|[smhdwy]))+
      |(?:\d+(?:_\d+)*\.?\d*(?:_\d+)*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<operator>==|!=|>=|<=|=~|!~|[<>]/|[-+*/%^<>=])
  | (?P<punctuation>[()\[\]{},:@])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
AGGREGATIONS = frozenset(
    ("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile")
) | {"limitk", "limit_ratio"}
_OPERATORS = frozenset(("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "atan2"))
_RESERVED = frozenset(("bool", "on", "ignoring", "group_left", "group_right"))
_KEYWORDS = _RESERVED | {"by", "without", "offset", "and", "or", "unless", "atan2"}
_EXTENDED = frozenset(("smoothed", "anchored"))
_TRIMS = frozenset(("</", ">/"))
_LABEL_WORDS = ("on", "ignoring", "group_left", "group_right")
_FILLS = ("fill", "fill_left", "fill_right")
DURATION_EXPRESSION = "duration expressions are not supported: write the duration as one number, such as 10m"


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where it begins, in characters."""

    kind: str
    text: str
    at: int

    def described(self) -> str:
        """As Prometheus names it in an error."""
        lowered = self.text.lower()
        if self.kind == "end":
            return "end of input"
        if self.kind == "word" and lowered in _KEYWORDS:
            return f"<op:{lowered}>" if lowered in _OPERATORS else f"<{lowered}>"
        if self.kind == "operator":
            return f"<op:{self.text}>"
        names = {"word": "identifier ", "number": "number ", "string": "string "}
        return f'{names.get(self.kind, "")}"{self.text}"'


class Unexpected(Exception):
    """The first token that cannot stand where it does."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at, self.message = at, message


def unexpected(query: str) -> tuple[int, str] | None:
    """(position in characters, what is wrong there in Prometheus's words); None when nothing is found."""
    try:
        _Walk(query).run()
    except Unexpected as found:
        return found.at, found.message
    return None


@dataclass(slots=True)
class _Walk:
    """One pass over the tokens of a query."""

    query: str
    tokens: list[Token] = field(default_factory=list)
    index: int = 0
    # Open parentheses: True where commas may stand, between arguments.
    open: list[bool] = field(default_factory=list)

    def run(self) -> None:
        """Raise Unexpected at the first mistake."""
        for found in _TOKEN.finditer(self.query):
            kind = found.lastgroup or "other"
            if kind == "unterminated":
                raise Unexpected(found.start(), "unterminated quoted string")
            if kind == "other":
                raise Unexpected(found.start(), f"unexpected character: {found.group()!r}")
            if kind == "number" and self.query[found.end() : found.end() + 1].replace("_", "a").isalnum():
                raise Unexpected(found.start(), f'bad number or duration syntax: "{found.group()}"')
            if kind != "space":
                self.tokens.append(Token(kind, found.group(), found.start()))
        if not self.tokens:
            raise Unexpected(0, "no expression found in input")
        self.expression()

    def peek(self) -> Token:
        """The next token; one of kind "end" behind the last."""
        return self.tokens[self.index] if self.index < len(self.tokens) else Token("end", "", len(self.query))

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.peek()
        self.index += 1
        return token

    def refuse(self, token: Token, context: str = "") -> None:
        """Raise for a token that cannot stand here."""
        if token.kind == "end" and self.open and not context:
            raise Unexpected(token.at, "unclosed left parenthesis")
        if token.text == ")" and not self.open and not context:
            raise Unexpected(token.at + 1, "unexpected right parenthesis ')'")
        raise Unexpected(token.at, f"unexpected {token.described()}{context}")

    def expression(self) -> None:
        """Operands and operators in turn, to the end."""
        while True:
            self.operand()
            while self.peek().text == ")" and self.open:
                self.take()
                self.open.pop()
                self.suffixes()
            token = self.take()
            lowered = token.text.lower()
            if token.kind == "end" and not self.open:
                return
            if token.text == "," and self.open and self.open[-1]:
                continue
            if token.text in _TRIMS:
                raise Unexpected(token.at, f"the {token.text} operator is not supported: it trims native histograms")
            if token.kind in ("operator", "word") and lowered in _OPERATORS:
                self.matching()
                continue
            self.refuse(token)

    def operand(self) -> None:
        """One operand with what stands before and behind it; opens parentheses."""
        while True:
            token = self.take()
            if token.text in ("+", "-"):
                continue
            if token.kind in ("number", "string"):
                self.suffixes()
                return
            if token.text == "(":
                self.open.append(False)
                continue
            if token.text == "{":
                self.braces()
                self.suffixes()
                return
            if token.kind != "word" or token.text.lower() in _RESERVED:
                self.refuse(token)
            if self.named(token):
                return

    def named(self, token: Token) -> bool:
        """A metric, or the head of a call; True when the operand is complete."""
        lowered = token.text.lower()
        if lowered in AGGREGATIONS and self.peek().text.lower() in ("by", "without"):
            self.take()
            self.labels()
            if self.peek().text != "(":
                self.refuse(self.peek(), ' in aggregation, expected "("')
        if self.peek().text == "(":
            self.take()
            if self.peek().text == ")":
                self.take()
                self.suffixes()
                return True
            self.open.append(True)
            return False
        if self.peek().text == "{":
            self.take()
            self.braces()
        self.suffixes()
        return True

    def braces(self) -> None:
        """Label matchers, behind the opening brace."""
        while True:
            token = self.take()
            if token.text == "}":
                return
            if token.kind == "end":
                raise Unexpected(token.at, "unexpected end of input inside braces")
            if token.kind not in ("word", "string"):
                self.refuse(token, ' in label matching, expected identifier or "}"')
            if self.peek().kind == "operator":
                self.take()
                value = self.take()
                if value.kind == "end":
                    raise Unexpected(value.at, "unexpected end of input inside braces")
                if value.kind == "number":
                    raise Unexpected(value.at, f"unexpected character inside braces: {value.text[0]!r}")
                if value.kind != "string":
                    self.refuse(value, " in label matching, expected string")
            elif token.kind == "word" and self.peek().text.lower() != "or":
                self.refuse(self.peek(), " in label matching, expected label matching operator")
            if self.peek().text == "," or self.peek().text.lower() == "or":
                self.take()
            elif self.peek().text != "}":
                self.refuse(self.peek(), ' in label matching, expected "," or "}"')

    def suffixes(self) -> None:
        """Ranges, offsets, @, extended modifiers and a grouping behind an operand."""
        while True:
            token = self.peek()
            lowered = token.text.lower()
            if token.text == "[":
                self.take()
                self.range()
            elif lowered == "offset":
                self.take()
                self.offset()
            elif token.text == "@":
                self.take()
                self.pinned()
            elif lowered in _EXTENDED:
                raise Unexpected(token.at, f"the {lowered} modifier is not supported")
            elif lowered in ("by", "without") and self.tokens[self.index - 1].text == ")" and self.grouped():
                self.take()
                self.labels()
            else:
                return

    def grouped(self) -> bool:
        """Whether the bracket just closed belongs to an aggregation that has no grouping yet."""
        depth, at = 0, self.index - 1
        while at >= 0:
            depth += (self.tokens[at].text == ")") - (self.tokens[at].text == "(")
            if depth == 0:
                break
            at -= 1
        return at > 0 and self.tokens[at - 1].text.lower() in AGGREGATIONS

    def range(self) -> None:
        """A range or subquery, behind the opening bracket."""
        expected = ' in subquery or range, expected ":" or "]"'
        first = self.duration(" in subquery or range, expected duration")
        step = self.peek()
        if first is not None and step.kind == "word" and step.text.startswith(":"):  # ":30s", ":step" read like names
            if not step.text[1:2].isdigit():
                raise Unexpected(step.at + 1, DURATION_EXPRESSION)
            self.take()
        elif first is not None and step.text == ":":
            self.take()
            if self.peek().text != "]":
                self.duration(' in subquery selector, expected duration or "]"')
            expected = ' in subquery selector, expected "]"'
        token = self.take()
        if token.kind == "end":
            raise Unexpected(token.at, "unclosed left bracket")
        if token.kind == "operator" or token.text == "(":
            raise Unexpected(token.at, DURATION_EXPRESSION)
        if token.text != "]":
            self.refuse(token, expected)

    def duration(self, context: str) -> Token | None:
        """One duration; arithmetic and functions are named as what they are."""
        token = self.take()
        if token.kind == "number":
            return token
        if token.kind == "end" and "range" in context:
            raise Unexpected(token.at, "unclosed left bracket")
        if token.text in ("(", "-", "+") or (token.kind == "word" and self.peek().text == "("):
            raise Unexpected(token.at, DURATION_EXPRESSION)
        self.refuse(token, context)
        return None

    def offset(self) -> None:
        """What stands behind offset."""
        if self.peek().text in ("+", "-"):
            self.take()
        self.duration(" in offset, expected duration")
        if self.peek().text in ("*", "/", "^", "%") and self.tokens[self.index - 2].text != "offset":
            raise Unexpected(self.peek().at, DURATION_EXPRESSION)

    def pinned(self) -> None:
        """What stands behind @."""
        if self.peek().text in ("+", "-"):
            self.take()
        token = self.take()
        if token.text.lower() in ("start", "end") and self.peek().text == "(":
            self.take()
            token = self.take()
            if token.text != ")":
                self.refuse(token, ' in @, expected ")"')
        elif token.kind != "number" and token.text.lower() not in ("nan", "inf"):
            self.refuse(token, " in @, expected timestamp")

    def matching(self) -> None:
        """bool, on, ignoring, group_left, group_right and fill behind an operator."""
        if self.peek().text.lower() == "bool":
            self.take()
        while self.peek().text.lower() in (*_LABEL_WORDS, *_FILLS):
            following = self.tokens[self.index + 1].text if self.index + 1 < len(self.tokens) else ""
            word = self.peek().text.lower()
            if word in _FILLS and following != "(":
                return  # a metric of that name
            self.take()
            if word in _FILLS:
                while self.take().text not in (")", ""):
                    pass
            elif following == "(" or word in ("on", "ignoring"):
                self.labels()

    def labels(self) -> None:
        """A list of label names in parentheses."""
        token = self.take()
        if token.text != "(":
            self.refuse(token, ' in grouping opts, expected "("')
        while self.peek().text != ")":
            token = self.take()
            if token.kind == "end":
                raise Unexpected(token.at, "unclosed left parenthesis")
            if token.kind not in ("word", "string"):
                self.refuse(token, " in grouping opts, expected label")
            if self.peek().text == ",":
                self.take()
            elif self.peek().text != ")":
                if self.peek().kind == "end":
                    raise Unexpected(self.peek().at, "unclosed left parenthesis")
                self.refuse(self.peek(), ' in grouping opts, expected "," or ")"')
        self.take()
