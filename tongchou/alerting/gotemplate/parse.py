"""Tokens -> tree. Functions and variables must be known here, so that a bad template is refused when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from tongchou.alerting.gotemplate.errors import ParseError
from tongchou.alerting.gotemplate.lex import Token, tokens
from tongchou.alerting.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Identifier,
    Jump,
    Literal,
    Node,
    Operand,
    Pipeline,
    Template,
    Text,
    Variable,
)

MAX_SOURCE_CHARACTERS = 100_000
MAX_DEPTH = 40

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def parse(source: str, functions: Collection[str], variables: Sequence[str] = ()) -> Template:
    """Parse ``source``; ``functions`` are the names it may call, ``variables`` (without ``$``) are set before.

    Raises ParseError with the line within ``source``.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise ParseError(f"template is longer than {MAX_SOURCE_CHARACTERS} characters")
    return _Parser(source, functions, variables).run()


class _Parser:
    def __init__(self, source: str, functions: Collection[str], variables: Sequence[str]) -> None:
        self._tokens = list(tokens(source))
        self._at = 0
        self._functions = functions
        self._preset = ["", *variables]
        self._variables = list(self._preset)
        self._depth = 0
        self._range_depth = 0
        self._template = Template(root=())

    def run(self) -> Template:
        nodes, stop = self._list(top=True)
        if stop:
            raise ParseError(f"unexpected {{{{{stop}}}}}", self._tokens[self._at - 1].line)
        self._template.root = nodes
        return self._template

    # tokens

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "eof":
            self._at += 1
        return token

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next_solid(self) -> Token:
        while self._peek().kind == "space":
            self._at += 1
        return self._next()

    def _peek_solid(self) -> Token:
        while self._peek().kind == "space":
            self._at += 1
        return self._peek()

    def _expect(self, kind: str, context: str) -> Token:
        token = self._next_solid()
        if token.kind != kind:
            raise ParseError(f"unexpected {_show(token)} in {context}", token.line)
        return token

    def _deeper(self, line: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ParseError(f"template is nested deeper than {MAX_DEPTH} levels", line)

    # lists of nodes

    def _list(self, *, top: bool = False) -> tuple[tuple[Node, ...], str]:
        """Nodes up to ``end`` or ``else`` (whose keyword is returned and consumed, not its closing) or to the end."""
        self._deeper(self._peek().line)
        nodes: list[Node] = []
        while True:
            token = self._next()
            if token.kind == "text":
                nodes.append(Text(token.text))
            elif token.kind == "eof":
                if not top:
                    raise ParseError("unexpected EOF: an {{end}} is missing", token.line)
                stop = ""
                break
            else:
                keyword = self._peek_solid()
                if keyword.kind == "keyword" and keyword.text in ("end", "else"):
                    self._next_solid()
                    stop = keyword.text
                    break
                if keyword.kind == "keyword" and keyword.text == "define":
                    if not top:
                        raise ParseError("unexpected {{define}} inside another action", keyword.line)
                    self._next_solid()
                    self._define()
                    continue
                nodes.append(self._action())
        self._depth -= 1
        return tuple(nodes), stop

    def _define(self) -> None:
        name = _unquote(self._expect_string("define clause"))
        self._expect("right", "define clause")
        kept, self._variables = self._variables, [""]
        body, stop = self._list()
        self._variables = kept
        self._finish(stop)
        self._add_template(name, body)

    def _add_template(self, name: str, body: tuple[Node, ...]) -> None:
        self._template.defined[name] = body

    def _finish(self, stop: str) -> None:
        if stop != "end":
            raise ParseError("unexpected {{else}}", self._tokens[self._at - 1].line)
        self._expect("right", "end")

    def _expect_string(self, context: str) -> Token:
        token = self._next_solid()
        if token.kind not in ("string", "raw"):
            raise ParseError(f"unexpected {_show(token)} in {context}", token.line)
        return token

    # actions

    def _action(self) -> Node:
        token = self._peek_solid()
        if token.kind != "keyword" or token.text == "nil":
            return Action(self._pipeline("command", "right"))
        self._next_solid()
        if token.text in ("if", "with", "range"):
            return self._branch(token.text)
        if token.text == "template":
            name = _unquote(self._expect_string("template clause"))
            return self._call(name, token.line)
        if token.text == "block":
            return self._block(token.line)
        if self._range_depth == 0:
            raise ParseError(f"{{{{{token.text}}}}} outside {{{{range}}}}", token.line)
        self._expect("right", token.text)
        return Jump(token.text)

    def _call(self, name: str, line: int) -> Call:
        if self._peek_solid().kind == "right":
            self._next_solid()
            return Call(name, None, line)
        return Call(name, self._pipeline("template clause", "right"), line)

    def _block(self, line: int) -> Call:
        name = _unquote(self._expect_string("block clause"))
        pipeline = self._pipeline("block clause", "right")
        kept, self._variables = self._variables, [""]
        body, stop = self._list()
        self._variables = kept
        self._finish(stop)
        self._add_template(name, body)
        return Call(name, pipeline, line)

    def _branch(self, kind: str) -> Branch:
        """The rest of an if, with or range whose keyword is consumed, up to and including its ``end``."""
        scope = len(self._variables)
        pipeline = self._pipeline(kind, "right", ranges=kind == "range")
        if kind == "range":
            self._range_depth += 1
        body, stop = self._list()
        if kind == "range":
            self._range_depth -= 1
        otherwise: tuple[Node, ...] = ()
        if stop == "else":
            following = self._peek_solid()
            if kind != "range" and following.kind == "keyword" and following.text == kind:
                self._next_solid()
                self._deeper(following.line)
                otherwise = (self._branch(kind),)
                self._depth -= 1
                del self._variables[scope:]
                return Branch(kind, pipeline, body, otherwise)
            self._expect("right", "else")
            otherwise, stop = self._list()
        self._finish(stop)
        del self._variables[scope:]
        return Branch(kind, pipeline, body, otherwise)

    # pipelines

    def _pipeline(self, context: str, end: str, *, ranges: bool = False) -> Pipeline:
        line = self._peek_solid().line
        self._deeper(line)
        variables, declares = self._declaration(context, ranges=ranges)
        commands: list[Command] = []
        while True:
            token = self._peek_solid()
            if token.kind == end:
                self._next_solid()
                break
            if token.kind in ("right", "close", "eof"):
                raise ParseError(f"unexpected {_show(token)} in {context}", token.line)
            commands.append(self._command())
        self._check_pipeline(commands, context, line)
        if declares:
            self._variables.extend(variables)
        self._depth -= 1
        return Pipeline(tuple(commands), tuple(variables), declares, line)

    def _declaration(self, context: str, *, ranges: bool) -> tuple[list[str], bool]:
        start = self._at
        names: list[str] = []
        while self._peek_solid().kind == "variable":
            token = self._next_solid()
            names.append(token.text[1:])
            following = self._peek_solid()
            if following.kind in ("declare", "assign"):
                self._next_solid()
                if following.kind == "assign":
                    for name in names:
                        self._known(name, token.line)
                return names, following.kind == "declare"
            if following.kind == "comma" and ranges and len(names) < 2:
                self._next_solid()
                continue
            if following.kind == "comma":
                raise ParseError(f"too many declarations in {context}", token.line)
            break
        self._at = start
        return [], False

    @staticmethod
    def _check_pipeline(commands: Sequence[Command], context: str, line: int) -> None:
        if not commands:
            raise ParseError(f"missing value for {context}", line)
        for stage, command in enumerate(commands[1:], start=2):
            first = command.operands[0]
            if isinstance(first, Literal) or (isinstance(first, Dot) and not first.fields):
                raise ParseError(f"non executable command in pipeline stage {stage}", command.line)

    def _command(self) -> Command:
        line = self._peek_solid().line
        operands: list[Operand] = []
        while True:
            self._peek_solid()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind in ("right", "close"):
                self._at -= 1
            elif token.kind == "pipe":
                if self._peek_solid().kind in ("right", "close", "pipe"):
                    raise ParseError("missing value for command", token.line)
            else:
                raise ParseError(f"unexpected {_show(token)} in operand", token.line)
            break
        if not operands:
            raise ParseError("empty command", line)
        return Command(tuple(operands), line)

    def _operand(self) -> Operand | None:
        node = self._term()
        if node is None or self._peek().kind != "field":
            return node
        line = self._peek().line
        fields: list[str] = []
        while self._peek().kind == "field":
            fields.append(self._next().text[1:])
        if isinstance(node, Dot) and node.fields:
            return Dot(node.fields + tuple(fields), node.line)
        if isinstance(node, Variable):
            return Variable(node.name, tuple(fields), node.line)
        if isinstance(node, Pipeline):
            return Chain(node, tuple(fields), line)
        if isinstance(node, Identifier):
            called = Pipeline((Command((node,), line),), (), False, line)
            return Chain(called, tuple(fields), line)
        raise ParseError(f"unexpected . after term {'.' if isinstance(node, Dot) else repr(node)}", line)

    def _term(self) -> Operand | None:
        token = self._peek()
        kind = token.kind
        if kind in ("space", "right", "close", "pipe", "eof", "declare", "assign", "comma"):
            return None
        self._next()
        if kind == "name":
            if token.text not in self._functions:
                raise ParseError(f'function "{token.text}" not defined', token.line)
            return Identifier(token.text, token.line)
        if kind == "dot":
            return Dot((), token.line)
        if kind == "field":
            return Dot((token.text[1:],), token.line)
        if kind == "variable":
            self._known(token.text[1:], token.line)
            return Variable(token.text[1:], (), token.line)
        if kind == "open":
            return self._pipeline("parenthesized pipeline", "close")
        if kind == "keyword" and token.text != "nil":
            raise ParseError(f"unexpected {_show(token)} in operand", token.line)
        return Literal(_constant(token), token.line)

    def _known(self, name: str, line: int) -> None:
        if name not in self._variables:
            raise ParseError(f'undefined variable "${name}"', line)


def _show(token: Token) -> str:
    return {"eof": "EOF", "right": '"}}"', "left": '"{{"'}.get(token.kind, f'"{token.text}"')


def _constant(token: Token) -> object:
    if token.kind in ("string", "raw"):
        return _unquote(token)
    if token.kind == "char":
        return ord(_unescape(token.text[1:-1], token.line))
    if token.kind == "bool":
        return token.text == "true"
    if token.kind == "keyword":
        return None
    return _number(token)


def _number(token: Token) -> int | float:
    text = token.text.replace("_", "")
    try:
        if re.fullmatch(r"[+-]?0[0-7]+", text):
            return int(text, 8)
        value: int | float = int(text, 0)
    except ValueError:
        try:
            value = float.fromhex(text) if "x" in text.lower() else float(text)
        except (ValueError, OverflowError):
            raise ParseError(f"bad number syntax: {token.text!r}", token.line) from None
        if value in (float("inf"), float("-inf")):
            raise ParseError(f"number out of range: {token.text!r}", token.line) from None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ParseError(f"integer overflow: {token.text!r}", token.line)
    return value


def _unquote(token: Token) -> str:
    if token.kind == "raw":
        return token.text[1:-1]
    return _unescape(token.text[1:-1], token.line)


def _unescape(text: str, line: int) -> str:
    def replace(found: re.Match[str]) -> str:
        escape = found.group(1)
        if escape in _ESCAPES:
            return _ESCAPES[escape]
        try:
            return chr(int(escape, 8) if escape.isdigit() else int(escape[1:], 16))
        except (ValueError, OverflowError):
            raise ParseError(f"unknown escape \\{escape} in string", line) from None

    return _ESCAPE.sub(replace, text)
