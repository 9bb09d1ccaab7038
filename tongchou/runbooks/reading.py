"""Values of a procedure's text: each is read or becomes a defect with its place, its value and a remedy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.runbooks import condition, promql, template
from tongchou.runbooks.condition import Condition
from tongchou.runbooks.definition import Text, offered
from tongchou.runbooks.document import Defect, Document

_MISSING = object()


def join(path: str, key: str) -> str:
    """The path of a key of the mapping at `path`."""
    return f"{path}.{key}" if path else key


def names(text: Any) -> list[template.Name]:
    """Names of a text whose template may be broken; broken ones were reported already."""
    try:
        return list(template.names(text))
    except template.TemplateError:
        return []


class Reader:
    """Walks a document once and gathers defects instead of stopping at the first. `types`: parameter to its type."""

    def __init__(self, found: Document) -> None:
        self.document = found
        self.defects: list[Defect] = []
        self.types: dict[str, str] = {}

    def wrong(self, path: str, says: str | Promise, remedy: str | Promise = "", value: Any = _MISSING) -> None:
        shown = "" if value is _MISSING else json.dumps(value, ensure_ascii=False, default=str)[:200]
        self.defects.append(Defect(path, self.document.line(path), says, remedy, shown))

    def keys(self, data: Mapping[str, Any], path: str, allowed: Sequence[str], required: Sequence[str] = ()) -> None:
        for key in data:
            if key not in allowed:
                self.wrong(
                    join(path, key), _("Unknown key."), _("Known keys: %(keys)s.") % {"keys": ", ".join(allowed)}, key
                )
        for key in required:
            if data.get(key) is None:
                self.wrong(path, _("The key %(key)s is missing.") % {"key": key}, _("Add it."), key)

    def text(self, value: Any, path: str) -> Text:
        """A string, or one for each language; English stands for both when there is only one."""
        if isinstance(value, str) and value.strip() and len(value) <= 4000:
            return {"en": value, "zh": value}
        if (
            isinstance(value, dict)
            and value
            and set(value) <= {"en", "zh"}
            and all(isinstance(v, str) and v.strip() and len(v) <= 4000 for v in value.values())
        ):
            anyone = next(iter(value.values()))
            return {"en": value.get("en", anyone), "zh": value.get("zh", anyone)}
        if value is not None:
            self.wrong(
                path,
                _("A text is a string, or a mapping with en and zh."),
                _("For example {en: Restart, zh: 重启}."),
                value,
            )
        return {"en": "", "zh": ""}

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(path, _("This is a mapping."), _("Write `key: value`."), value)
            return {}
        return value

    def items(self, value: Any, path: str, most: int) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(path, _("This is a list."), _("Begin each item with `- `."), value)
            return []
        if len(value) > most:
            self.wrong(path, _("At most %(most)s items.") % {"most": most}, _("Split it."), len(value))
        return value[:most]

    def number(self, value: Any, path: str, least: float, most: float, *, whole: bool = False) -> float:
        kinds = (int,) if whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not least <= value <= most:
            self.wrong(
                path,
                _("This is a number from %(least)s to %(most)s.") % {"least": f"{least:g}", "most": f"{most:g}"},
                "",
                value,
            )
            return least
        return float(value)

    def labels(self, value: Any, path: str) -> dict[str, str]:
        data = self.mapping(value, path)
        for key, item in data.items():
            if not isinstance(item, str):
                self.wrong(join(path, key), _("A label value is a string."), _("Put it in quotes."), item)
        return {key: str(item) for key, item in data.items()}

    def template(self, value: Any, place: template.Place, path: str) -> bool:
        try:
            template.check(value, place, self.types)
        except template.TemplateError as error:
            self.wrong(path, error.says, _("See the list of names in the page on procedures."), value)
            return False
        return True

    def query(self, data: Mapping[str, Any], path: str) -> str:
        query = data.get("query")
        if not isinstance(query, str) or not query.strip() or len(query) > 4000:
            self.wrong(join(path, "query"), _("A query is a PromQL expression."), "", query)
            return ""
        here = join(path, "query")
        if self.template(query, "query", here):
            rendered = template.query(query, template.sample(self.types), self.types)
            problem = promql.problem(rendered)
            if problem:
                self.wrong(
                    here, _("Not PromQL: %(problem)s") % {"problem": problem}, _("Try it in the explorer."), query
                )
        return query

    def condition(self, value: Any, path: str) -> Condition:
        found = condition.parse(value)
        if found is None:
            self.wrong(
                path,
                _("A condition is not_empty, empty, or a comparison with a number."),
                _("For example is: '> 0'."),
                value,
            )
            return Condition("not_empty")
        return found

    def offered(self, header: str, path: str) -> None:
        for name in template.names(header):
            if name.space == "secret" and not offered(name.name):
                self.wrong(
                    path,
                    _("The secret %(name)s belongs to another part of the platform; a procedure cannot use it.")
                    % {"name": name.name},
                    _("Store a secret of its own for procedures, with a name without a colon."),
                    header,
                )
