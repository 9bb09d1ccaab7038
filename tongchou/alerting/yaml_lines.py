"""YAML with line numbers: a document as nodes, so that every complaint can name its line.

libyaml's composer overruns the C stack on deep nesting, so depth is counted on the event stream first.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Text

MAX_DEPTH = 40

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotYaml(ValueError):
    """The text is not one YAML document; line and column are 1-based."""

    def __init__(self, message: Text, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def compose(text: str) -> yaml.Node | None:
    """The root node of the one document in ``text``, None for an empty one; raises NotYaml."""
    try:
        _check_depth(text)
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context or error)
        raise NotYaml(problem, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise NotYaml(str(error).splitlines()[0], 1, 1) from None


def _check_depth(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _at(event, _("nested deeper than %(most)s levels") % {"most": MAX_DEPTH})
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _at(event, _("a second document starts here; one file holds one"))


def _at(event: yaml.Event, message: Text) -> NotYaml:
    mark = event.start_mark
    return NotYaml(message, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def line_of(node: yaml.Node) -> int:
    """The node's first line, 1-based."""
    return int(node.start_mark.line) + 1


def text_line(node: yaml.Node, line: int) -> int:
    """The file's line of line ``line`` (1-based) inside a scalar's text."""
    starts_below = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return line_of(node) + max(line, 1) - (0 if starts_below else 1)


def entries(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Key and value nodes; those merged in by ``<<`` come first, so that a later one of the same name wins."""
    own = []
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag == "tag:yaml.org,2002:merge":
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(source, yaml.MappingNode):
                    yield from entries(source)
        else:
            own.append((key, value))
    yield from own
