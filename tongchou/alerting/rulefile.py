"""Prometheus rule files: text in, groups of rules out, or every mistake with its place, line and remedy.

The format is Prometheus's (model/rulefmt); unknown fields are refused as Prometheus refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import yaml
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.durations import parse_seconds
from tongchou.alerting.expand import check_template
from tongchou.alerting.gotemplate.errors import TemplateError
from tongchou.alerting.yaml_lines import NotYaml, compose, entries, line_of, text_line
from tongchou.core.problems import Text

MAX_BYTES = 1_000_000
MAX_RULES = 10_000
MAX_ERRORS = 50

# Names may be any text, as in Prometheus 3; braces in a record's are an expression in the wrong place.
_METRIC_NAME = re.compile(r"[^{}]+")
_GROUP_FIELDS = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")

# Takes an expression; raises ValueError with a sentence when it cannot be parsed.
CheckExpression = Callable[[str], None]

# Name -> (key node, value node).
Fields = Mapping[str, tuple[yaml.Node, yaml.Node]]


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule of a group; ``name`` is the alert's or the recorded metric's."""

    kind: str
    name: str
    expr: str
    for_seconds: float
    keep_firing_for_seconds: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """Rules evaluated in order at one time; None means the default. ``limit`` 0 is no limit."""

    name: str
    interval_seconds: float | None
    query_offset_seconds: float
    limit: int
    rules: tuple[RuleSpec, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a rule file: where (field path and 1-based line), what stood there, what to do."""

    code: str
    field: str
    line: int
    message: Text
    value: str = ""
    remedy: Text = ""


class Rejected(ValueError):
    """The file is not taken; ``mistakes`` are in the order of the text, at most MAX_ERRORS."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(str(mistakes[0].message))
        self.mistakes = mistakes


def parse_rule_file(text: str, check_expression: CheckExpression) -> list[GroupSpec]:
    """The groups of a rule file, group labels merged into the rules' own; raises Rejected with all mistakes."""
    if len(text.encode()) > MAX_BYTES:
        raise Rejected(
            [
                Mistake(
                    "rule_file.too_large",
                    "",
                    1,
                    _("the file is larger than %(most)s bytes") % {"most": MAX_BYTES},
                    remedy=_("Split it into several files."),
                )
            ]
        )
    try:
        root = compose(text)
    except NotYaml as error:
        raise Rejected(
            [
                Mistake(
                    "rule_file.yaml",
                    "",
                    error.line,
                    error.message,
                    value=_line(text, error.line),
                    remedy=_("Correct the YAML at this line."),
                )
            ]
        ) from None
    reading = _Reading(check_expression)
    groups = reading.file(root)
    if reading.mistakes:
        raise Rejected(sorted(reading.mistakes, key=lambda mistake: mistake.line)[:MAX_ERRORS])
    return groups


def _line(text: str, line: int) -> str:
    lines = text.splitlines()
    return lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""


@dataclass(slots=True)
class _Reading:
    check_expression: CheckExpression
    mistakes: list[Mistake] = field(default_factory=list)
    rules: int = 0

    def wrong(
        self, code: str, path: str, node: yaml.Node | int, message: Text, value: str = "", remedy: Text = ""
    ) -> None:
        line = node if isinstance(node, int) else line_of(node)
        if len(self.mistakes) < 10 * MAX_ERRORS:
            self.mistakes.append(Mistake(f"rule_file.{code}", path, line, message, value[:200], remedy))

    # the generic parts

    def mapping(self, node: yaml.Node, path: str, known: Collection[str] = ()) -> Fields:
        """Name -> (key node, value node); complains about repeated names and, when ``known`` is given, others."""
        if not isinstance(node, yaml.MappingNode):
            if not _null(node):
                self.wrong("type", path, node, _("expected a mapping of names to values"), _shown(node))
            return {}
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own: set[str] = set()
        direct = {id(key) for key, _value in node.value}
        for key, value in entries(node):
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            place = f"{path}.{name}" if path else name
            if id(key) in direct:
                if name in own:
                    self.wrong("duplicate_key", place, key, _("this field is set twice"), name, _("Keep one of them."))
                own.add(name)
            if known and name not in known:
                self.wrong(
                    "unknown_field",
                    place,
                    key,
                    _("unknown field %(name)s") % {"name": name},
                    name,
                    _("Allowed here: %(known)s.") % {"known": ", ".join(known)},
                )
                continue
            found[name] = (key, value)
        return found

    def sequence(self, node: yaml.Node, path: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if not _null(node):
            self.wrong("type", path, node, _("expected a list"), _shown(node))
        return []

    def text(self, fields: Fields, name: str, path: str) -> str:
        if name not in fields:
            return ""
        node = fields[name][1]
        if not isinstance(node, yaml.ScalarNode):
            self.wrong("type", f"{path}.{name}", node, _("expected text"), _shown(node))
            return ""
        return "" if _null(node) else str(node.value)

    def duration(self, fields: Fields, name: str, path: str) -> float | None:
        text = self.text(fields, name, path)
        if name not in fields or not isinstance(fields[name][1], yaml.ScalarNode) or _null(fields[name][1]):
            return None
        try:
            return parse_seconds(text)
        except ValueError as error:
            remedy = _("Write a duration such as 30s, 5m or 1h30m.")
            self.wrong("duration", f"{path}.{name}", fields[name][1], str(error), text, remedy)
            return None

    def pairs(self, fields: Fields, name: str, path: str) -> dict[str, yaml.ScalarNode]:
        """A mapping of label or annotation names to scalar nodes."""
        if name not in fields:
            return {}
        result: dict[str, yaml.ScalarNode] = {}
        for key, (key_node, value) in self.mapping(fields[name][1], f"{path}.{name}").items():
            place = f"{path}.{name}.{key}"
            if not key or (name == "labels" and key == "__name__"):
                self.wrong(
                    "label_name",
                    place,
                    key_node,
                    _("invalid name %(name)s") % {"name": key},
                    key,
                    _("A name is any text that is not empty; of the labels none is __name__."),
                )
            elif not isinstance(value, yaml.ScalarNode):
                self.wrong("type", place, value, _("expected text"), _shown(value))
            else:
                result[key] = value
        return result

    # the parts of a rule file

    def file(self, root: yaml.Node | None) -> list[GroupSpec]:
        if root is None or _null(root):
            return self.empty(1 if root is None else line_of(root))
        if not isinstance(root, yaml.MappingNode):
            self.wrong("type", "", root, _("expected a mapping with the field groups"), _shown(root))
            return []
        fields = self.mapping(root, "", ("groups",))
        if "groups" not in fields or _null(fields["groups"][1]):
            return [] if self.mistakes else self.empty(line_of(root))
        groups: list[GroupSpec] = []
        seen: set[str] = set()
        for number, node in enumerate(self.sequence(fields["groups"][1], "groups")):
            group = self.group(node, f"groups[{number}]")
            if group.name in seen:
                self.wrong(
                    "duplicate_group",
                    f"groups[{number}].name",
                    node,
                    _("the group name %(name)s is repeated in this file") % {"name": group.name},
                    group.name,
                    _("Give each group its own name."),
                )
            seen.add(group.name)
            groups.append(group)
            if self.rules > MAX_RULES:
                self.wrong("too_many_rules", "groups", node, _("more than %(most)s rules") % {"most": MAX_RULES})
                break
        return groups

    def empty(self, line: int) -> list[GroupSpec]:
        """Refuse a file that says nothing: taken for no groups it would remove every rule of a file by accident."""
        self.wrong(
            "empty",
            "groups",
            line,
            _("the file has no groups"),
            remedy=_("Send “groups: []” to mean that the file has no rules."),
        )
        return []

    def group(self, node: yaml.Node, path: str) -> GroupSpec:
        fields = self.mapping(node, path, _GROUP_FIELDS)
        name = self.text(fields, "name", path)
        if not name:
            self.wrong("group_name", f"{path}.name", node, _("a group needs a name"), remedy=_("Add the field name."))
        labels = _values(self.pairs(fields, "labels", path))
        rules: list[RuleSpec] = []
        for number, each in enumerate(self.sequence(fields["rules"][1], f"{path}.rules") if "rules" in fields else []):
            self.rules += 1
            if self.rules > MAX_RULES:
                break
            rule = self.rule(each, f"{path}.rules[{number}]", labels)
            if rule is not None:
                rules.append(rule)
        return GroupSpec(
            name=name,
            interval_seconds=self.duration(fields, "interval", path) or None,
            query_offset_seconds=self.duration(fields, "query_offset", path) or 0.0,
            limit=self.limit(fields, path),
            rules=tuple(rules),
            line=line_of(node),
        )

    def limit(self, fields: Fields, path: str) -> int:
        text = self.text(fields, "limit", path)
        if not text:
            return 0
        try:
            return max(0, int(text, 0))
        except ValueError:
            self.wrong("limit", f"{path}.limit", fields["limit"][1], _("expected a whole number"), text)
            return 0

    def rule(self, node: yaml.Node, path: str, group_labels: Mapping[str, str]) -> RuleSpec | None:
        fields = self.mapping(node, path, _RULE_FIELDS)
        record, alert = self.text(fields, "record", path), self.text(fields, "alert", path)
        if record and alert:
            self.wrong(
                "record_and_alert",
                path,
                fields["alert"][0],
                _("only one of record and alert may be set"),
                f"{record}, {alert}",
                _("Make two rules of it."),
            )
        elif not record and not alert:
            message = _("one of record and alert must be set")
            self.wrong("rule_name", path, node, message, remedy=_("Add alert: or record: with a name."))
        expr = self.expression(fields, node, path)
        hold = self.duration(fields, "for", path) or 0.0
        keep = self.duration(fields, "keep_firing_for", path) or 0.0
        labels = self.pairs(fields, "labels", path)
        annotations = self.pairs(fields, "annotations", path)
        if record and not alert:
            self.recording(record, fields, path)
        elif alert:
            self.templates(labels, f"{path}.labels")
            self.templates(annotations, f"{path}.annotations")
        if not expr or not (record or alert):
            return None
        return RuleSpec(
            kind="alert" if alert else "record",
            name=alert or record,
            expr=expr,
            for_seconds=hold,
            keep_firing_for_seconds=keep,
            labels={**group_labels, **_values(labels)},
            annotations=_values(annotations),
            line=line_of(node),
        )

    def expression(self, fields: Fields, node: yaml.Node, path: str) -> str:
        expr = self.text(fields, "expr", path).strip()
        if not expr:
            where = fields["expr"][1] if "expr" in fields else node
            remedy = _("Add a PromQL expression.")
            self.wrong("expr", f"{path}.expr", where, _("the field expr must be set"), remedy=remedy)
            return ""
        try:
            self.check_expression(expr)
        except ValueError as error:
            self.wrong(
                "expr",
                f"{path}.expr",
                fields["expr"][1],
                _("could not parse expression: %(reason)s") % {"reason": error},
                expr,
                _("Try the expression in the metrics explorer."),
            )
        return expr

    def recording(self, record: str, fields: Fields, path: str) -> None:
        for name in ("for", "keep_firing_for", "annotations"):
            if name in fields and not _empty(fields[name][1]):
                message = _("the field %(name)s has no meaning in a recording rule") % {"name": name}
                self.wrong("recording_field", f"{path}.{name}", fields[name][0], message, remedy=_("Remove it."))
        if not _METRIC_NAME.fullmatch(record):
            self.wrong(
                "metric_name",
                f"{path}.record",
                fields["record"][1],
                _("invalid metric name %(name)s") % {"name": record},
                record,
                _("A metric name is any text without braces; put selectors into expr."),
            )

    def templates(self, pairs: Mapping[str, yaml.ScalarNode], path: str) -> None:
        for name, node in pairs.items():
            if _null(node):
                continue
            try:
                check_template(str(node.value))
            except TemplateError as error:
                self.wrong(
                    "template",
                    f"{path}.{name}",
                    text_line(node, error.line),
                    _("could not parse template: %(reason)s") % {"reason": error.message},
                    str(node.value),
                    _("Use Go template syntax and the functions Prometheus has."),
                )


def _values(nodes: Mapping[str, yaml.ScalarNode]) -> dict[str, str]:
    return {name: "" if _null(node) else str(node.value) for name, node in nodes.items()}


def _null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _empty(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return _null(node) or node.value in ("0", "0s", "")
    return not node.value


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
