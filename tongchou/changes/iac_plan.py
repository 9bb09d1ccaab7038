"""Reads `show -json` of a plan into what is kept of it: counts and attribute changes, without anything sensitive. Pure.

https://developer.hashicorp.com/terraform/internals/json-format: an unknown major format is refused, unknown keys are
ignored. OpenTofu writes the same. Nothing of `configuration`, `prior_state` and `planned_values` is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes.iac_scrub import Scrub
from tongchou.changes.iac_sensitive import MASK, both, masked, values_of
from tongchou.core.problems import Invalid

MAJOR = "1"
MAX_CHANGES = 2000  # resources of which attributes are kept; all are counted
MAX_ATTRIBUTES = 200  # of one resource
MAX_VALUE = 2000  # characters
MAX_OUTPUTS = 500
UNKNOWN = "(known after apply)"
GONE = "(gone)"
ACTIONS: dict[tuple[str, ...], str] = {
    ("no-op",): "no_op",
    ("create",): "create",
    ("read",): "read",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}
SYMBOLS = {"create": "+", "read": "<=", "update": "~", "delete": "-", "forget": ".", "no_op": " "}
COUNTED = ("create", "update", "replace", "delete", "read", "forget", "no_op")


@dataclass(frozen=True)
class Summary:
    """What is kept of a plan. `found`: plain JSON; `values`: sensitive values it had, to be looked for elsewhere."""

    found: dict[str, Any]
    counts: dict[str, int]
    format_version: str
    values: frozenset[str] = field(repr=False)

    @property
    def changes_something(self) -> bool:
        """Whether applying it would alter a resource, a state or an output."""
        return bool(self.found["changes"] or self.found["outputs"] or self.found["drift"])


def read(document: Any, hidden: Iterable[str] = ()) -> Summary:
    """Return the summary of a plan's JSON; `hidden`: further values that must not be kept (secret variables).

    Raises Invalid for what is no plan, or of a format that is not known.
    """
    version = _version(document)
    values = values_of(document) | frozenset(each for each in hidden if each)
    scrub = Scrub(values)
    changes = [_change(each, scrub) for each in _list(document, "resource_changes")]
    drift = [_change(each, scrub) for each in _list(document, "resource_drift")]
    counts = dict.fromkeys(COUNTED, 0)
    for each in changes:
        counts[each["action"]] += each["mode"] == "managed" or each["action"] != "no_op"
    kept = [each for each in changes if each["action"] != "no_op" or each["moved_from"] or each["imported"]]
    drifted = [each for each in drift if each["action"] != "no_op"]
    outputs = [*_outputs(document.get("output_changes"), scrub)]
    counts |= {"outputs": len(outputs), "drift": len(drifted), "imported": sum(each["imported"] for each in changes)}
    found = {
        "tool_version": str(document.get("terraform_version") or "")[:40],
        "changes": kept[:MAX_CHANGES],
        "drift": drifted[:MAX_CHANGES],
        "outputs": outputs[:MAX_OUTPUTS],
        "left_out": max(0, len(kept) - MAX_CHANGES) + max(0, len(drifted) - MAX_CHANGES),
        "checks": [*_checks(document.get("checks"), scrub)][:MAX_CHANGES],
        "complete": document.get("complete") is not False,
        "errored": document.get("errored") is True,
    }
    return Summary(scrub(found), counts, version, values)


def _version(document: Any) -> str:
    version = document.get("format_version") if isinstance(document, dict) else None
    if not isinstance(version, str) or ("resource_changes" not in document and "planned_values" not in document):
        raise Invalid(
            "plan.format",
            _("This is not the JSON of a plan."),
            field="format_version",
            remedy=_("It is what `show -json` prints of a plan file."),
        )
    if version.partition(".")[0] != MAJOR:
        raise Invalid(
            "plan.format_version",
            _("Plans of format %(version)s are not known; only 1.x is read.") % {"version": version[:20]},
            field="format_version",
            value=version[:20],
            remedy=_("Use a release of Terraform or OpenTofu that writes format 1, or a newer Tongchou."),
        )
    return version[:20]


def _list(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def action_of(actions: Any) -> str:
    """The one word for a list of actions; what a newer release calls otherwise counts as an update."""
    listed = tuple(str(each) for each in actions) if isinstance(actions, list) else ()
    return ACTIONS.get(listed, "update" if listed else "no_op")


def _change(each: Mapping[str, Any], scrub: Scrub) -> dict[str, Any]:
    """One resource. Texts are scrubbed before they are cut: a cut would leave the beginning of a value."""
    given = each.get("change")
    change: dict[str, Any] = given if isinstance(given, dict) else {}
    action = action_of(change.get("actions"))
    first = (change.get("actions") or [""])[0]
    attributes = [*_attributes(change, scrub)] if action != "no_op" else []
    return {
        "address": scrub.text(str(each.get("address") or ""))[:1000],
        "moved_from": scrub.text(str(each.get("previous_address") or ""))[:1000],
        "type": str(each.get("type") or "")[:200],
        "mode": str(each.get("mode") or "managed")[:20],
        "action": action,
        "symbol": SYMBOLS.get(action) or ("+/-" if first == "create" else "-/+"),
        "why": str(each.get("action_reason") or "")[:100],
        "deposed": bool(each.get("deposed")),
        "imported": bool(change.get("importing")),
        "attributes": attributes[:MAX_ATTRIBUTES],
        "left_out": max(0, len(attributes) - MAX_ATTRIBUTES),
    }


def _attributes(change: Mapping[str, Any], scrub: Scrub) -> Iterator[dict[str, Any]]:
    """The leaves that differ. What is sensitive on one side is masked on both."""
    marks = both(change.get("before_sensitive"), change.get("after_sensitive"))
    before, after = dict(_flat(masked(change.get("before"), marks))), dict(_flat(masked(change.get("after"), marks)))
    raw_before, raw_after = dict(_flat(change.get("before"))), dict(_flat(change.get("after")))
    unknown = {path for path, value in _flat(change.get("after_unknown")) if value is True}
    forces = [_path(each) for each in change.get("replace_paths") or () if isinstance(each, list)]
    for path in sorted({*before, *after, *unknown}):
        late = path in unknown
        hidden = MASK in (before.get(path), after.get(path))
        if hidden:
            below = [other for other in (*raw_before, *raw_after) if other == path or _below(other, path)]
            same = all(raw_before.get(other) == raw_after.get(other) for other in below) and not late
        else:
            same = path in before and path in after and before[path] == after[path] and not late
        if same or _empty(before.get(path), after.get(path), late=late, hidden=hidden):
            continue
        yield {
            "path": scrub.text(path)[:500],
            "before": _shown(before.get(path), scrub),
            "after": UNKNOWN if late else _shown(after.get(path), scrub),
            "sensitive": hidden,
            "unknown": late,
            "forces": any(path == each or _below(path, each) for each in forces),
        }


def _below(path: str, above: str) -> bool:
    return path.startswith((f"{above}.", f"{above}["))


def _empty(before: Any, after: Any, *, late: bool, hidden: bool) -> bool:
    """Nothing becomes an empty list or the like: no line for it."""
    return not late and not hidden and before in (None, "", [], {}) and after in (None, "", [], {})


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, leaf) of each leaf; empty lists and mappings are leaves."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            plain = str(key).replace("_", "").replace("-", "").isalnum()
            step = f".{key}" if plain else f'["{key}"]'
            yield from _flat(item, f"{path}{step}" if path else str(key))
    elif isinstance(value, list) and value:
        for at, item in enumerate(value):
            yield from _flat(item, f"{path}[{at}]")
    elif path:
        yield path, value


def _path(steps: list[Any]) -> str:
    out = ""
    for step in steps:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else str(step)
    return out


def _shown(value: Any, scrub: Scrub) -> Any:
    value = scrub(value)
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return value[:MAX_VALUE] + " …"
    return value


def _outputs(found: Any, scrub: Scrub) -> Iterator[dict[str, Any]]:
    for name, change in found.items() if isinstance(found, dict) else ():
        action = action_of(change.get("actions")) if isinstance(change, dict) else "no_op"
        if action == "no_op":
            continue
        marks = both(change.get("before_sensitive"), change.get("after_sensitive"))
        yield {
            "name": scrub.text(str(name))[:200],
            "action": action,
            "symbol": SYMBOLS.get(action, "~"),
            "before": _bounded(masked(change.get("before"), marks), scrub),
            "after": UNKNOWN
            if change.get("after_unknown") is True
            else _bounded(masked(change.get("after"), marks), scrub),
        }


def _bounded(value: Any, scrub: Scrub) -> Any:
    """An output may be anything: a large one is named by its size alone."""
    if isinstance(value, dict | list) and len(f"{value}") > MAX_VALUE:
        return f"({len(value)} …)"
    return _shown(value, scrub)


def _checks(found: Any, scrub: Scrub) -> Iterator[dict[str, str]]:
    """Checks of the configuration that did not pass."""
    for each in found if isinstance(found, list) else ():
        status = str(each.get("status", "")) if isinstance(each, dict) else ""
        if status in ("fail", "error"):
            address = each.get("address")
            name = str(address.get("to_display") or "") if isinstance(address, dict) else ""
            yield {"address": scrub.text(name)[:500], "status": status}
