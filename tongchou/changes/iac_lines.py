"""A plan as lines that people read, in the signs of Terraform: + creates, ~ alters, - destroys, -/+ replaces. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_LINES = 5000
CLASSES = {"create": "add", "delete": "del", "replace": "del", "update": "mod", "forget": "del"}
WHY: dict[str, str | Promise] = {
    "replace_because_tainted": gettext_lazy("it is tainted"),
    "replace_because_cannot_update": gettext_lazy("an attribute cannot be altered in place"),
    "replace_by_request": gettext_lazy("it was asked for"),
    "replace_by_triggers": gettext_lazy("what it depends on changes"),
    "delete_because_no_resource_config": gettext_lazy("it is no longer in the configuration"),
    "delete_because_no_module": gettext_lazy("its module is no longer in the configuration"),
    "delete_because_wrong_repetition": gettext_lazy("count or for_each changed"),
    "delete_because_count_index": gettext_lazy("count is smaller"),
    "delete_because_each_key": gettext_lazy("for_each has no such key any more"),
    "delete_because_no_move_target": gettext_lazy("it was moved to what is not there"),
    "read_because_config_unknown": gettext_lazy("its configuration is known after apply"),
    "read_because_dependency_pending": gettext_lazy("what it depends on changes"),
    "read_because_check_nested": gettext_lazy("a check reads it"),
}


@dataclass(frozen=True)
class Line:
    """One line. `what`: add, del, mod, head or same, for colours that do not stand alone: the sign stays."""

    what: str
    text: str


def lines(summary: Mapping[str, Any]) -> list[Line]:
    """The whole plan, bounded."""
    out: list[Line] = []
    for each in _all(summary):
        if len(out) >= MAX_LINES:
            out.append(Line("head", _("… more lines are not shown")))
            break
        out.append(each)
    return out


def _all(summary: Mapping[str, Any]) -> Iterator[Line]:
    drift, changes, outputs = (summary.get(name) or [] for name in ("drift", "changes", "outputs"))
    if drift:
        yield Line("head", _("Altered outside of the configuration since the last apply"))
        for each in drift:
            yield from resource(each)
    if changes:
        if drift:
            yield Line("head", _("What apply would do"))
        for each in changes:
            yield from resource(each)
    if outputs:
        yield Line("head", _("Outputs"))
        for each in outputs:
            arrow = f"{text(each['before'])} → {text(each['after'])}" if each["action"] == "update" else ""
            value = arrow or text(each["before"] if each["action"] == "delete" else each["after"])
            yield Line(CLASSES.get(each["action"], "same"), f"{each['symbol']} {each['name']} = {value}")
    if summary.get("left_out"):
        yield Line("head", _("%(n)s more resources are counted and not shown.") % {"n": summary["left_out"]})


def resource(each: Mapping[str, Any]) -> Iterator[Line]:
    """One resource and its attributes."""
    notes = []
    if each["why"]:
        notes.append(str(WHY.get(each["why"], each["why"].replace("_", " "))))
    if each["moved_from"]:
        notes.append(_("moved from %(address)s") % {"address": each["moved_from"]})
    if each["imported"]:
        notes.append(_("imported"))
    if each["deposed"]:
        notes.append(_("left over from a replacement"))
    note = f"  # {'; '.join(notes)}" if notes else ""
    yield Line(CLASSES.get(each["action"], "same"), f"{each['symbol']} {each['address']}{note}")
    for attribute in each["attributes"]:
        yield from _attribute(attribute)
    if each["left_out"]:
        yield Line("same", "    " + _("… %(n)s more attributes") % {"n": each["left_out"]})


def _attribute(each: Mapping[str, Any]) -> Iterator[Line]:
    forces = "  # " + _("forces replacement") if each["forces"] else ""
    before, after = each["before"], each["after"]
    if isinstance(before, str) and isinstance(after, str) and ("\n" in before or "\n" in after):
        yield Line("mod", f"    ~ {each['path']}:{forces}")
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2):
            if not line.startswith(("---", "+++")):
                what = {"+": "add", "-": "del", "@": "head"}.get(line[:1], "same")
                yield Line(what, f"        {line}")
    elif before is None:
        yield Line("add", f"    + {each['path']}: {text(after)}{forces}")
    elif after is None:
        yield Line("del", f"    - {each['path']}: {text(before)}{forces}")
    else:
        yield Line("mod", f"    ~ {each['path']}: {text(before)} → {text(after)}{forces}")


def text(value: Any) -> str:
    """A value as it is written in a line."""
    if isinstance(value, str) and value.startswith("(") and value.endswith(")"):
        return value
    return json.dumps(value, ensure_ascii=False)
