"""The tree of a parsed template."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: string, int, float, bool or nil; numbers convert like Go constants."""

    value: object
    line: int


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor, followed by the fields of a chain such as ``.Labels.job``."""

    fields: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name`` and the fields after it; the empty name is ``$``, the data given to the template."""

    name: str
    fields: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Identifier:
    """A function, known to exist since parsing."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields taken from the value of a parenthesised pipeline."""

    inner: Pipeline
    fields: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """An operand with its arguments; the first is called when it is a function or a method."""

    operands: tuple[Operand, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands joined by ``|``, with the variables they declare (``:=``) or assign (``=``)."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...]
    declares: bool
    line: int


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed unless it sets a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """``if``, ``with`` or ``range`` and its two lists."""

    kind: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """``{{template "name" pipeline}}``."""

    name: str
    pipeline: Pipeline | None
    line: int


@dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue`` of the innermost range."""

    kind: str


Operand = Literal | Dot | Variable | Identifier | Chain | Pipeline
Node = Text | Action | Branch | Call | Jump


@dataclass(slots=True)
class Template:
    """A parsed text: the nodes of its main part and the templates it defines by name."""

    root: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
