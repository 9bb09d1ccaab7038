"""A YAML text to plain data, with the line of every value; strict where YAML is surprising."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MAX_BYTES = 128 * 1024
MAX_DEPTH = 24
MAX_NODES = 20_000

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Defect:
    """One thing wrong with a document: where (`path`, 1-based `line`), what stands there, why not, what to write."""

    path: str
    line: int
    says: str | Promise
    remedy: str | Promise = ""
    value: str = ""


@dataclass
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and, for each path such as `steps[1].http.url`, its line."""

    data: Any
    lines: dict[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int:
        """The line of `path`, or of its nearest ancestor that the text contains."""
        while path and path not in self.lines:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return self.lines.get(path, 1)


class MalformedError(Exception):
    """The text is not a document we accept; `defect` says where and why."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(str(defect.says))
        self.defect = defect


def read(text: str) -> Document:
    """Parse one YAML document.

    Refuses, as `MalformedError`: text over 128 KiB, anchors and aliases (a small text could grow a lot),
    depth over 24, doubled keys, keys that are not strings, dates (quote them), `.nan`, `.inf`, NUL characters, and
    every tag but YAML's plain ones.
    `1:30` stays a string; YAML 1.1 would read it as ninety.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise MalformedError(
            Defect("", 1, _("The text is larger than 128 KiB."), _("Split it into several procedures."))
        )
    try:
        _refuse_bombs(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise MalformedError(
            Defect(
                "",
                line,
                _("Not YAML: %(problem)s.") % {"problem": error.problem or error.context},
                _("Check indentation, quotes and brackets."),
            )
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedError(
            Defect(
                "", 1, _("Not YAML: %(problem)s.") % {"problem": error}, _("Remove characters that cannot be printed.")
            )
        ) from error
    document = Document(None)
    document.data = None if node is None else _plain(node, "", document.lines)
    return document


def _refuse_bombs(text: str) -> None:
    """Reads events, which needs no recursion, before `compose`, which recurses once per level."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise MalformedError(
                Defect("", line, _("Anchors and aliases are not accepted."), _("Write the value out where it is used."))
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise MalformedError(
                Defect("", line, _("The document is nested too deeply or has too many values."), _("Make it flatter."))
            )


def _plain(node: yaml.Node, path: str, lines: dict[str, int]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_plain(item, f"{path}[{number}]", lines) for number, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path, line)
    raise MalformedError(
        Defect(path, line, _("The tag %(tag)s is not accepted.") % {"tag": node.tag}, _("Use plain values only."))
    )


def _mapping(node: yaml.MappingNode, path: str, lines: dict[str, int]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None or key_node.tag == _TAG + "merge":
            raise MalformedError(Defect(path, line, _("A key must be a plain string."), _("Write `name: value`.")))
        here = f"{path}.{key}" if path else key
        if key in out:
            raise MalformedError(
                Defect(here, line, _("The key %(key)s stands twice.") % {"key": key}, _("Keep one of them."), key)
            )
        lines[here] = line
        out[key] = _plain(value_node, here, lines)
    return out


def _scalar(node: yaml.ScalarNode, path: str, line: int) -> Any:
    kind = node.tag.removeprefix(_TAG)
    raw: str = node.value
    if "\x00" in raw or any("\ud800" <= char <= "\udfff" for char in raw):
        says = _("The text contains characters that cannot be kept.")
        raise MalformedError(Defect(path, line, says, _("Remove them.")))
    if kind == "str" or (kind in ("int", "float") and ":" in raw):
        return raw
    if kind == "null":
        return None
    if kind == "bool":
        return raw.lower() in ("yes", "true", "on")
    if kind in ("int", "float"):
        return _number(kind, node, path, line)
    raise MalformedError(
        Defect(
            path,
            line,
            _("A value of YAML type %(kind)s is not accepted.") % {"kind": kind},
            _("Put it in quotes."),
            raw[:200],
        )
    )


def _number(kind: str, node: yaml.ScalarNode, path: str, line: int) -> int | float:
    loader = yaml.SafeLoader("")
    try:
        number = loader.construct_yaml_int(node) if kind == "int" else loader.construct_yaml_float(node)
    except (ValueError, OverflowError) as error:
        raise MalformedError(
            Defect(path, line, _("Not a number."), _("Put it in quotes if it is text."), str(node.value)[:200])
        ) from error
    if not math.isfinite(number) or abs(number) > 2**53:
        raise MalformedError(
            Defect(
                path,
                line,
                _("The number is not finite or too large."),
                _("Put it in quotes if it is text."),
                str(node.value)[:200],
            )
        )
    return int(number) if kind == "int" else float(number)
