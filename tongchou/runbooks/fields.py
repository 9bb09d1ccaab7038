"""Steps of the kinds that Runners declare: read by their fields, resolved, and checked once resolved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import re2
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.runbooks import template
from tongchou.runbooks.definition import Step
from tongchou.runbooks.installed import completer
from tongchou.runbooks.ports import Field, Runner
from tongchou.runbooks.reading import Reader, join

DEFAULT_SECONDS = 60.0
MAX_SECONDS = 3600.0
MAX_LENGTH = 100_000

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "choice": (str,),
    "mapping": (dict,),
    "list": (list,),
}
_TEXTS = ("string", "choice")
_SAYS: Mapping[str, str | Promise] = {
    "string": _("This is a text."),
    "integer": _("This is a whole number."),
    "number": _("This is a number."),
    "boolean": _("This is true or false."),
    "choice": _("This is a text."),
    "mapping": _("This is a mapping."),
    "list": _("This is a list."),
}


def of(runner: Runner) -> dict[str, Field]:
    """The keys a step of this kind may have: what the Runner declares, and timeout_seconds."""
    own = runner.fields.get("timeout_seconds")
    default = float(own.default) if own is not None and own.default is not None else DEFAULT_SECONDS
    least = own.least if own is not None and own.least is not None else 1.0
    most = min(MAX_SECONDS, own.most if own is not None and own.most is not None else MAX_SECONDS)
    return {**runner.fields, "timeout_seconds": Field("number", default=default, least=least, most=most)}


def read(reader: Reader, runner: Runner, name: str, data: Mapping[str, Any], path: str) -> Step:
    """The step, defaults filled in; defects go to the reader. Steps that send a secret count as altering."""
    declared = of(runner)
    reader.keys(data, path, tuple(declared), tuple(key for key, each in declared.items() if each.required))
    body: dict[str, Any] = {}
    sound = True
    for key, each in declared.items():
        value = data.get(key)
        if value is None:
            if each.default is not None:
                body[key] = each.default
            sound = sound and not each.required
        elif _read_value(reader, each, value, join(path, key)):
            body[key] = value
        else:
            sound = False
    if not sound:
        return Step(name, runner.kind, {}, fields=declared)
    step = Step(name, runner.kind, body, repeatable=bool(runner.repeatable(body)), fields=declared)
    # Where a secret goes matters as much as what is altered: such a step needs approval and execution too.
    return replace(step, alters=bool(runner.alters(body)) or bool(step.secrets))


def _read_value(reader: Reader, field: Field, value: Any, path: str) -> bool:
    before = len(reader.defects)
    open_ = field.template or field.secret
    if open_ and reader.template(value, "sealed" if field.secret else "body", path):
        if field.secret:
            reader.offered(value, path)
        for name in template.names(value):
            if field.spaces and name.space not in field.spaces:
                spaces = ", ".join(f"${{{space}.…}}" for space in field.spaces)
                wrong = _("%(name)s cannot stand here; only these can: %(spaces)s.") % {"name": name, "spaces": spaces}
                reader.wrong(path, wrong, "", value)
        if next(template.names(value), None) is not None:
            if not _may_become(field, value):
                reader.wrong(path, _SAYS[field.type], _remedy(field), value)
            return len(reader.defects) == before
        value = template.plain_tree(value)
    says = problem(field, value) if len(reader.defects) == before else None
    if says is not None:
        reader.wrong(path, says, _remedy(field), value)
    return len(reader.defects) == before


def _may_become(field: Field, value: Any) -> bool:
    """Whether a value whose names are still open can become one of the field's type: one name may become anything."""
    if isinstance(value, str):
        return field.type in _TEXTS or template.is_one_name(value)
    return isinstance(value, _TYPES[field.type])


def _remedy(field: Field) -> str | Promise:
    if field.type in _TEXTS and not field.choices:
        return _("Put it in quotes.")
    return _("See the keys of this step in the page on procedures.")


def problem(field: Field, value: Any) -> str | Promise | None:
    """What is wrong with a resolved value; None when nothing is."""
    fits: bool = isinstance(value, _TYPES[field.type])
    if not fits or (isinstance(value, bool) and field.type != "boolean"):
        return _SAYS[field.type]
    if field.type == "choice" and value not in field.choices:
        return _("This is one of %(choices)s.") % {"choices": ", ".join(field.choices)}
    size: float = value if isinstance(value, int | float) else len(value)
    if isinstance(value, str) and size > MAX_LENGTH:
        return _("This is a text of at most %(most)s characters.") % {"most": MAX_LENGTH}
    if field.least is not None and size < field.least:
        return _("This is at least %(least)s.") % {"least": f"{field.least:g}"}
    if field.most is not None and size > field.most:
        return _("This is at most %(most)s.") % {"most": f"{field.most:g}"}
    if field.pattern and isinstance(value, str) and re2.fullmatch(field.pattern, value) is None:
        return _("This does not match the pattern %(pattern)s.") % {"pattern": field.pattern}
    return None


def resolve(step: Step, values: template.Values) -> dict[str, Any]:
    """The body with every name but secrets filled in, each value checked; TemplateError says what does not fit.

    The kind's Completer, where there is one, adds what it alone can read.
    """
    out: dict[str, Any] = {}
    for key, value in step.body.items():
        field = step.fields[key]
        if field.secret:
            out[key] = template.seal(value, values, as_text=field.type in _TEXTS)
            hidden = any(name.space == "secret" for name in template.names(value))
            says = None if hidden else problem(field, template.plain_tree(out[key]))
        else:
            out[key] = _plain(field, value, values) if field.template else value
            says = problem(field, out[key])
        if says is not None:
            raise template.TemplateError(_("%(key)s: %(why)s") % {"key": key, "why": says})
    completes = completer(step.kind)
    return out if completes is None else dict(completes.complete(out, values.target or {}))


def _plain(field: Field, value: Any, values: template.Values) -> Any:
    as_text = field.type in _TEXTS and isinstance(value, str)
    return template.text(value, values) if as_text else template.body(value, values)
