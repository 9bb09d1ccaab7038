"""Checks the settings of a source against its own schema, the part of JSON Schema that sources use.

Pure. `secret` in a property names a secret of this installation, never its value; see core.secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.inventory import checks

MAX_TEXT = 2000
# of a source that looks at the machine it runs on, see ports.NodeSource
NODE: dict[str, dict[str, Any]] = {
    "node": {
        "type": "string",
        "maxLength": 120,
        "description": _("the node whose host it looks at, where several take jobs"),
    }
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
}


def filled(schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with defaults, without those that are empty; raises Invalid naming the field."""
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    for name in settings:
        if name not in properties:
            raise _invalid(
                _("There is no such setting."),
                str(name)[:80],
                settings[name],
                _("Use one of: %(known)s.") % {"known": ", ".join(properties)},
            )
    found: dict[str, Any] = {}
    for name, rule in properties.items():
        value = settings.get(name)
        if value is None or value == "":
            value = rule.get("default")
        if value is not None:
            found[name] = _checked(name, value, rule)
        elif name in schema.get("required", ()):
            raise _invalid(
                _("This setting is required."), name, value, rule.get("description") or _("Give it a value.")
            )
    return found


def _invalid(detail: Any, name: str, value: object, remedy: Any) -> Invalid:
    return Invalid("source.settings", detail, field=f"settings.{name}", value=value, remedy=remedy)


def _checked(name: str, value: Any, rule: Mapping[str, Any]) -> Any:
    type_ = rule["type"]
    fits: bool = isinstance(value, _TYPES[type_])
    if not fits or (isinstance(value, bool) and type_ != "boolean"):
        raise _invalid(_("This setting is of another type."), name, value, _("Give it as %(type)s.") % {"type": type_})
    if "enum" in rule and value not in rule["enum"]:
        known = ", ".join(str(each) for each in rule["enum"])
        raise _invalid(
            _("This setting has another value."), name, value, _("Use one of: %(known)s.") % {"known": known}
        )
    if type_ in ("integer", "number"):
        least, most = rule.get("minimum", 0), rule.get("maximum", 10**9)
        if not least <= value <= most:
            says = _("Choose a number from %(least)s to %(most)s.") % {"least": least, "most": most}
            raise _invalid(_("This number is out of range."), name, value, says)
    if type_ == "string":
        return _text(name, value, rule)
    if type_ == "array" and "items" in rule:
        return [_checked(f"{name}[{place}]", each, rule["items"]) for place, each in enumerate(value)]
    if type_ == "object" and "additionalProperties" in rule:
        return {str(key): _checked(f"{name}.{key}", each, rule["additionalProperties"]) for key, each in value.items()}
    return value


def _text(name: str, value: str, rule: Mapping[str, Any]) -> str:
    most = rule.get("maxLength", MAX_TEXT)
    value = value.strip()
    if len(value) > most or "\0" in value:
        says = _("Shorten it to %(most)s characters.") % {"most": f"{most:,}"}
        raise _invalid(_("This text is too long."), name, value[:80], says)
    if rule.get("format") == "uri":
        return checks.url(value, f"settings.{name}").rstrip("/")
    return value
