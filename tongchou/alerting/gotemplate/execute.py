"""The interpreter: walks a parsed template over its data, within limits on steps, time, depth and output."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tongchou.alerting.gotemplate.builtins import BUILTINS, LAZY
from tongchou.alerting.gotemplate.errors import ExecutionError, LimitError, Unfit
from tongchou.alerting.gotemplate.formatting import MAX_TEXT_CHARACTERS, Buffer, write_value
from tongchou.alerting.gotemplate.functions import Function, FunctionSet, arguments
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
from tongchou.alerting.gotemplate.values import NO_VALUE, NoValue, field_of, truth, type_name

# Every level of nesting costs about five Python frames; Python allows a thousand.
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What one execution may use."""

    steps: int = 100_000
    seconds: float = 1.0
    characters: int = MAX_TEXT_CHARACTERS


DEFAULT_LIMITS = Limits()


class _Break(Exception):
    """Leaves the innermost range."""


class _Continue(Exception):
    """Goes on with the next element of the innermost range."""


def execute(
    template: Template,
    data: object,
    functions: FunctionSet,
    variables: Mapping[str, object] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """The text of ``template`` over ``data``; ``variables`` (without ``$``) are those promised to ``parse``.

    ``tmpl`` runs a defined template by a computed name when ``functions`` has it. Raises ExecutionError with the line,
    LimitError when the template asks for more than ``limits``.
    """
    run = _Execution(template, data, functions, limits)
    scope = {"": data, **(variables or {})}
    out = Buffer(limits.characters)
    try:
        run.nodes(template.root, data, [*scope.items()], out)
    except RecursionError:
        raise LimitError("template is nested too deep") from None
    return out.text()


Scope = list[tuple[str, object]]


class _Execution:
    def __init__(self, template: Template, data: object, functions: FunctionSet, limits: Limits) -> None:
        self._template = template
        self._data = data
        self._functions = functions
        self._steps_left = limits.steps
        self._deadline = time.monotonic() + limits.seconds
        self._limits = limits
        self._depth = 0

    def _step(self, line: int = 0) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise LimitError(f"template takes more than {self._limits.steps} steps", line)
        if self._steps_left % 64 == 0 and time.monotonic() > self._deadline:
            raise LimitError(f"template runs longer than {self._limits.seconds} s", line)

    # nodes

    def nodes(self, nodes: tuple[Node, ...], dot: object, scope: Scope, out: Buffer) -> None:
        """Print ``nodes``; variables declared here are gone afterwards."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise LimitError(f"template is nested deeper than {_MAX_DEPTH} levels")
        outer = len(scope)
        for node in nodes:
            self._step()
            if isinstance(node, Text):
                out.write(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot, scope)
                if not node.pipeline.variables:
                    _print(out, value, node.pipeline.line)
            elif isinstance(node, Branch):
                self._branch(node, dot, scope, out)
            elif isinstance(node, Call):
                self._call_template(node, dot, scope, out)
            elif isinstance(node, Jump):
                del scope[outer:]
                self._depth -= 1
                raise _Break if node.kind == "break" else _Continue
        del scope[outer:]
        self._depth -= 1

    def _branch(self, node: Branch, dot: object, scope: Scope, out: Buffer) -> None:
        outer = len(scope)
        if node.kind == "range":
            self._range(node, dot, scope, out)
        else:
            value = self._pipeline(node.pipeline, dot, scope)
            if truth(value):
                self.nodes(node.body, value if node.kind == "with" else dot, scope, out)
            else:
                self.nodes(node.otherwise, dot, scope, out)
        del scope[outer:]

    def _range(self, node: Branch, dot: object, scope: Scope, out: Buffer) -> None:
        line = node.pipeline.line
        declared = node.pipeline.variables
        outer = len(scope)
        over = self._commands(node.pipeline, dot, scope)
        pairs = _pairs(over, line)
        if not pairs:
            self.nodes(node.otherwise, dot, scope, out)
            return
        for key, item in pairs:
            self._step(line)
            values = (key, item) if len(declared) == 2 else (item,)
            for name, value in zip(declared, values, strict=False):
                if node.pipeline.declares:
                    scope.append((name, value))
                else:
                    _assign(scope, name, value)
            depth = self._depth
            try:
                self.nodes(node.body, item, scope, out)
            except _Break:
                self._depth = depth
                break
            except _Continue:
                self._depth = depth
            finally:
                del scope[outer:]

    def _call_template(self, node: Call, dot: object, scope: Scope, out: Buffer) -> None:
        value = None if node.pipeline is None else self._pipeline(node.pipeline, dot, scope)
        self._defined(node.name, value, out, node.line)

    def _defined(self, name: str, data: object, out: Buffer, line: int) -> None:
        body = self._template.defined.get(name)
        if body is None:
            raise ExecutionError(f'template "{name}" not defined', line)
        self.nodes(body, data, [("", data)], out)

    # pipelines

    def _pipeline(self, pipeline: Pipeline, dot: object, scope: Scope) -> object:
        value = self._commands(pipeline, dot, scope)
        for name in pipeline.variables:
            if pipeline.declares:
                scope.append((name, value))
            else:
                _assign(scope, name, value)
        return value

    def _commands(self, pipeline: Pipeline, dot: object, scope: Scope) -> object:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise LimitError(f"template is nested deeper than {_MAX_DEPTH} levels", pipeline.line)
        value: object = None
        for position, command in enumerate(pipeline.commands):
            piped = [value] if position else []
            value = self._command(command, dot, scope, piped)
        self._depth -= 1
        return value

    def _command(self, command: Command, dot: object, scope: Scope, piped: list[object]) -> object:
        self._step(command.line)
        first, rest = command.operands[0], command.operands[1:]
        if isinstance(first, Identifier):
            return self._call(first, rest, dot, scope, piped)
        if isinstance(first, Dot | Variable | Chain) and first.fields:
            return self._fields(self._base(first, dot, scope), first, rest, dot, scope, piped)
        value = self._operand(first, dot, scope)
        if rest or piped:
            raise ExecutionError(f"can't give argument to non-function {type_name(value)}", command.line)
        return value

    def _call(
        self, name: Identifier, operands: tuple[Operand, ...], dot: object, scope: Scope, piped: list[object]
    ) -> object:
        if name.name in LAZY:
            return self._lazy(name, operands, dot, scope, piped)
        given = [self._operand(operand, dot, scope) for operand in operands] + piped
        if name.name == "tmpl":
            return self._tmpl(name, given)
        function = self._functions.get(name.name) or BUILTINS.get(name.name)
        if function is None:
            raise ExecutionError(f'"{name.name}" is not a defined function', name.line)
        return self._invoke(name.name, function, given, name.line)

    def _invoke(self, name: str, function: Function, given: list[object], line: int) -> object:
        try:
            return function.call(*arguments(name, function, given))
        except ExecutionError as error:
            error.line = error.line or line
            raise
        except ValueError as error:
            raise ExecutionError(f"error calling {name}: {error}", line) from error

    def _tmpl(self, name: Identifier, given: list[object]) -> str:
        if len(given) != 2 or not isinstance(given[0], str):
            raise ExecutionError("wrong arguments for tmpl: want a name and data", name.line)
        out = Buffer(self._limits.characters)
        self._defined(given[0], given[1], out, name.line)
        return out.text()

    def _lazy(
        self, name: Identifier, operands: tuple[Operand, ...], dot: object, scope: Scope, piped: list[object]
    ) -> object:
        if not operands and not piped:
            raise ExecutionError(f"wrong number of args for {name.name}: want at least 1 got 0", name.line)
        value: object = None
        for operand in operands:
            value = self._operand(operand, dot, scope)
            if truth(value) == (name.name == "or"):
                return value
        return piped[0] if piped else value

    def _operand(self, operand: Operand, dot: object, scope: Scope) -> object:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot, scope)
        if isinstance(operand, Identifier):
            return self._call(operand, (), dot, scope, [])
        base = self._base(operand, dot, scope)
        return self._fields(base, operand, (), dot, scope, []) if operand.fields else base

    def _base(self, operand: Dot | Variable | Chain, dot: object, scope: Scope) -> object:
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Chain):
            return self._pipeline(operand.inner, dot, scope)
        for name, value in reversed(scope):
            if name == operand.name:
                return value
        raise ExecutionError(f"undefined variable: ${operand.name}", operand.line)

    def _fields(
        self,
        value: object,
        operand: Dot | Variable | Chain,
        operands: tuple[Operand, ...],
        dot: object,
        scope: Scope,
        piped: list[object],
    ) -> object:
        """The chain of fields from ``value``; arguments belong to the last one, which must then be a method."""
        for position, name in enumerate(operand.fields):
            self._step(operand.line)
            last = position == len(operand.fields) - 1
            given = [self._operand(each, dot, scope) for each in operands] + piped if last else []
            try:
                value = field_of(value, name)
                if callable(value):
                    value = value(*given)
                elif given:
                    raise Unfit(f"{name} has arguments but cannot be invoked as function")
            except TypeError:
                raise ExecutionError(f"wrong number of args for {name}", operand.line) from None
            except ValueError as error:
                if isinstance(error, ExecutionError):
                    raise
                raise ExecutionError(str(error), operand.line) from error
        return value


def _assign(scope: Scope, name: str, value: object) -> None:
    for position in range(len(scope) - 1, -1, -1):
        if scope[position][0] == name:
            scope[position] = (name, value)
            return


def _pairs(value: object, line: int) -> list[tuple[object, object]]:
    if value is None or isinstance(value, NoValue):
        return []
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, list):
        return list(enumerate(value))
    raise ExecutionError(f"range can't iterate over {type_name(value)}", line)


def _print(out: Buffer, value: object, line: int) -> None:
    try:
        write_value(out, NO_VALUE if value is None else value)
    except ExecutionError as error:
        error.line = error.line or line
        raise
    except ValueError as error:
        raise ExecutionError(str(error), line) from error
