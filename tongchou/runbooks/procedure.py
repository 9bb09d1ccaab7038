"""What the YAML of a procedure may say, and the definition it becomes; every defect with its place and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.runbooks import condition, document, parameters, promql, template
from tongchou.runbooks.condition import Condition
from tongchou.runbooks.definition import (
    GRADES,
    MAX_STEP_SECONDS,
    MAX_STEPS,
    MAX_TARGETS,
    MAX_WAIT_SECONDS,
    METHODS,
    REPEATABLE_METHODS,
    SAFE_METHODS,
    Definition,
    Grade,
    Precondition,
    Step,
    TargetsFrom,
    Text,
    canonical_hash,
    offered,
)
from tongchou.runbooks.document import Defect, Document, MalformedError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_RESERVED_HEADERS = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "idempotency-key",
    "te",
    "upgrade",
    "trailer",
}


def parse(text: str) -> Definition:
    """The definition a text stands for; Invalid names the path, line, value and remedy of its first defect."""
    definition, defects = examine(text)
    if definition is None:
        first = defects[0]
        says = _("Line %(line)s: %(says)s") % {"line": first.line, "says": first.says}
        if len(defects) > 1:
            says = _("%(says)s (%(more)s more)") % {"says": says, "more": len(defects) - 1}
        raise Invalid(
            "procedure.invalid",
            says,
            field=first.path or "text",
            value=first.value or None,
            remedy=first.remedy or None,
        )
    return definition


def examine(text: str) -> tuple[Definition | None, list[Defect]]:
    """The definition, or None and everything that is wrong with the text, in order of lines."""
    try:
        found = document.read(text)
    except MalformedError as malformed:
        return None, [malformed.defect]
    reader = _Reader(found)
    definition = reader.definition()
    defects = sorted(reader.defects, key=lambda defect: defect.line)
    return (None, defects) if defects or definition is None else (definition, [])


_MISSING = object()


class _Reader:
    """Walks a document once and gathers defects instead of stopping at the first."""

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
                    _join(path, key), _("Unknown key."), _("Known keys: %(keys)s.") % {"keys": ", ".join(allowed)}, key
                )
        for key in required:
            if data.get(key) is None:
                self.wrong(path, _("The key %(key)s is missing.") % {"key": key}, _("Add it."), key)

    def definition(self) -> Definition | None:
        data = self.document.data
        if not isinstance(data, dict):
            self.wrong("", _("A procedure is a mapping."), _("Begin with `name: ...`."))
            return None
        allowed = (
            "name",
            "title",
            "description",
            "grade",
            "matches",
            "parameters",
            "max_targets",
            "targets",
            "preconditions",
            "steps",
        )
        self.keys(data, "", allowed, ("name", "title", "grade", "steps"))
        name = data.get("name")
        if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
            self.wrong(
                "name",
                _("A name is small letters, digits and hyphens, at most 63."),
                _("For example switch-to-standby."),
                name,
            )
        declared = self.mapping(data.get("parameters"), "parameters")
        read = {
            key: parameters.read(key, item, f"parameters.{key}", self.wrong, self.text)
            for key, item in declared.items()
        }
        self.types = {key: item.type for key, item in read.items() if item is not None}
        steps = self.steps(data.get("steps"))
        grade = self.grade(data.get("grade"), steps)
        limit = self.number(
            data.get("max_targets", 1), "max_targets", 0 if grade == "read" else 1, MAX_TARGETS, whole=True
        )
        result = Definition(
            name=str(name),
            title=self.text(data.get("title"), "title"),
            description=self.text(data.get("description"), "description")
            if data.get("description") is not None
            else {},
            grade=grade,
            matches=self.matches(data.get("matches")),
            parameters={key: item for key, item in read.items() if item is not None},
            max_targets=int(limit),
            targets=self.targets(data.get("targets")),
            preconditions=self.preconditions(data.get("preconditions")),
            steps=steps,
            content_hash="" if self.defects else canonical_hash(data),
        )
        return None if self.defects else result

    # --- values

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
                self.wrong(_join(path, key), _("A label value is a string."), _("Put it in quotes."), item)
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
            self.wrong(_join(path, "query"), _("A query is a PromQL expression."), "", query)
            return ""
        here = _join(path, "query")
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

    # --- parts of a procedure

    def grade(self, value: Any, steps: Sequence[Step]) -> Grade:
        if value not in GRADES:
            if value is not None:
                self.wrong("grade", _("A grade is read, reversible or irreversible."), "", value)
            return "irreversible"
        revealing = [step.name for step in steps if step.secrets]
        if value == "read" and revealing:
            self.wrong(
                "grade",
                _("A procedure of grade read runs without approval and cannot use a secret; these steps do: %(steps)s.")
                % {"steps": ", ".join(revealing)},
                _("Use grade reversible or irreversible, or remove the secret."),
                value,
            )
        altering = [step.name for step in steps if step.alters and not step.secrets]
        if value == "read" and altering:
            self.wrong(
                "grade",
                _("A procedure of grade read cannot alter anything, and these steps can: %(steps)s.")
                % {"steps": ", ".join(altering)},
                _("Use grade reversible or irreversible."),
                value,
            )
        grade: Grade = value
        return grade

    def matches(self, value: Any) -> list[dict[str, list[str]]]:
        out = []
        for number, item in enumerate(self.items(value, "matches", 50)):
            path = f"matches[{number}]"
            if not isinstance(item, dict) or not item:
                self.wrong(
                    path, _("A match is a mapping of labels to values."), _("For example {alertname: HostDown}."), item
                )
                continue
            wanted: dict[str, list[str]] = {}
            for label, given in item.items():
                values = given if isinstance(given, list) else [given]
                if not values or not all(isinstance(one, str) for one in values):
                    self.wrong(
                        _join(path, label),
                        _("A label value is a string or a list of strings."),
                        _("Put it in quotes."),
                        values,
                    )
                wanted[label] = [str(one) for one in values]
            out.append(wanted)
        return out

    def targets(self, value: Any) -> TargetsFrom:
        data = self.mapping(value, "targets")
        self.keys(data, "targets", ("from", "kind", "labels", "query"))
        implied = "query" if "query" in data else "selector" if data else "alert"
        source = data.get("from", implied)
        if source not in ("alert", "selector", "query"):
            self.wrong("targets.from", _("Targets come from alert, selector or query."), "", source)
            source = "alert"
        kind = data.get("kind", "")
        if not isinstance(kind, str):
            self.wrong("targets.kind", _("A kind is a string such as database."), "", kind)
        labels = self.labels(data.get("labels"), "targets.labels")
        if source == "selector" and not kind and not labels:
            self.wrong(
                "targets", _("A selector needs a kind or labels; it would find everything."), _("Add kind or labels.")
            )
        if (source == "query") != ("query" in data):
            self.wrong(
                "targets",
                _("A query belongs to targets from a query, and only there."),
                _("Write from: query with query."),
            )
        query = ""
        if "query" in data:
            query = self.query(data, "targets")
            if list(_names(query)):
                self.wrong(
                    "targets.query", _("This query is asked before there are parameters; it cannot use any."), "", query
                )
        return TargetsFrom(source, str(kind), labels, query)

    def preconditions(self, value: Any) -> list[Precondition]:
        out = []
        for number, item in enumerate(self.items(value, "preconditions", 20)):
            path = f"preconditions[{number}]"
            data = self.mapping(item, path)
            self.keys(data, path, ("query", "is", "says"), ("query", "is", "says"))
            says = self.text(data.get("says"), f"{path}.says")
            out.append(Precondition(self.query(data, path), self.condition(data.get("is"), f"{path}.is"), says))
        return out

    def steps(self, value: Any) -> list[Step]:
        out: list[Step] = []
        seen: set[str] = set()
        items = self.items(value, "steps", MAX_STEPS)
        if value is not None and not items:
            self.wrong("steps", _("A procedure has at least one step."), _("Add a step."))
        for number, item in enumerate(items):
            path = f"steps[{number}]"
            data = self.mapping(item, path)
            kinds = [key for key in data if key != "name"]
            name = data.get("name")
            if not isinstance(name, str) or not name.strip() or len(name) > 100:
                self.wrong(f"{path}.name", _("Each step has a name of at most 100 characters."), _("Add name."), name)
            elif name in seen:
                self.wrong(f"{path}.name", _("Two steps have this name."), _("Give each step its own name."), name)
            seen.add(str(name))
            if len(kinds) != 1 or kinds[0] not in KINDS:
                self.wrong(path, _("A step is a name and one of: %(kinds)s.") % {"kinds": ", ".join(KINDS)}, "", kinds)
                continue
            kind = kinds[0]
            body = self.mapping(data[kind], f"{path}.{kind}")
            out.append(KINDS[kind](self, str(name), body, f"{path}.{kind}"))
        return out

    def read_step(self, name: str, data: dict[str, Any], path: str) -> Step:
        self.keys(data, path, ("query", "is"), ("query",))
        body: dict[str, Any] = {"query": self.query(data, path)}
        if "is" in data:
            body["is"] = self.condition(data["is"], f"{path}.is").text
        return Step(name, "read", body)

    def ask_step(self, name: str, data: dict[str, Any], path: str) -> Step:
        self.keys(data, path, ("question", "timeout_seconds"), ("question",))
        question = self.text(data.get("question"), f"{path}.question")
        self.template(dict(question), "text", f"{path}.question")
        timeout = self.number(
            data.get("timeout_seconds", MAX_WAIT_SECONDS), f"{path}.timeout_seconds", 1, 7 * MAX_WAIT_SECONDS
        )
        return Step(name, "ask", {"question": dict(question), "timeout_seconds": timeout})

    def wait_step(self, name: str, data: dict[str, Any], path: str) -> Step:
        self.keys(data, path, ("query", "is", "for_seconds", "timeout_seconds", "poll_seconds"), ("query", "is"))
        held = self.number(data.get("for_seconds", 0), f"{path}.for_seconds", 0, MAX_WAIT_SECONDS)
        timeout = self.number(data.get("timeout_seconds", 60), f"{path}.timeout_seconds", 1, MAX_WAIT_SECONDS)
        body = {
            "query": self.query(data, path),
            "is": self.condition(data.get("is", "not_empty"), f"{path}.is").text,
            "for_seconds": held,
            "timeout_seconds": timeout,
            "poll_seconds": self.number(data.get("poll_seconds", 1), f"{path}.poll_seconds", 0.2, 600),
        }
        if held >= timeout:
            says = _("for_seconds must be less than timeout_seconds.")
            self.wrong(f"{path}.for_seconds", says, _("Raise timeout_seconds."), held)
        return Step(name, "wait_until", body)

    def http_step(self, name: str, data: dict[str, Any], path: str) -> Step:
        allowed = (
            "method",
            "url",
            "headers",
            "body",
            "expect_status",
            "idempotent",
            "timeout_seconds",
            "max_response_bytes",
        )
        self.keys(data, path, allowed, ("url",))
        method = data.get("method", "GET")
        if method not in METHODS:
            self.wrong(
                f"{path}.method", _("A method is one of %(methods)s.") % {"methods": ", ".join(METHODS)}, "", method
            )
        if isinstance(data.get("url"), str):
            self.template(data["url"], "url", f"{path}.url")
        elif "url" in data:
            self.wrong(f"{path}.url", _("A URL is a string."), "", data["url"])
        idempotent = data.get("idempotent", method in REPEATABLE_METHODS)
        if not isinstance(idempotent, bool):
            self.wrong(f"{path}.idempotent", _("This is true or false."), "", idempotent)
        if "body" in data:
            if method in SAFE_METHODS:
                self.wrong(
                    f"{path}.body", _("A request of this method has no body."), _("Remove it or use POST."), method
                )
            self.template(data["body"], "body", f"{path}.body")
        body = {
            "method": str(method),
            "url": str(data.get("url", "")),
            "headers": self.headers(data.get("headers"), f"{path}.headers"),
            "expect_status": self.statuses(data.get("expect_status"), f"{path}.expect_status"),
            "timeout_seconds": self.number(
                data.get("timeout_seconds", 10), f"{path}.timeout_seconds", 0.1, MAX_STEP_SECONDS
            ),
            "max_response_bytes": int(
                self.number(
                    data.get("max_response_bytes", 1_000_000), f"{path}.max_response_bytes", 1, 10_000_000, whole=True
                )
            ),
        }
        if "body" in data:
            body["body"] = data["body"]
        sends_secret = "secret" in {each.space for each in _names(body["headers"])}
        # Where a secret goes matters as much as what is altered: such a step needs approval and execution too.
        return Step(name, "http", body, alters=method not in SAFE_METHODS or sends_secret, repeatable=bool(idempotent))

    def headers(self, value: Any, path: str) -> dict[str, str]:
        out: dict[str, str] = {}
        for name, item in self.mapping(value, path).items():
            here = _join(path, name)
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
                self.wrong(here, _("This header cannot be set by a procedure."), _("Remove it."), name)
            elif not isinstance(item, str) or len(item) > 4000:
                self.wrong(here, _("A header value is a string."), _("Put it in quotes."), item)
            elif self.template(item, "header", here):
                self.offered(item, here)
                out[name] = item
        return out

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

    def statuses(self, value: Any, path: str) -> list[int]:
        """The statuses that count as success; none named means any 2xx."""
        if value is None:
            return []
        codes = value if isinstance(value, list) else [value]
        if not codes or not all(
            isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599 for code in codes
        ):
            self.wrong(path, _("expect_status is a list of HTTP status codes."), _("For example [200, 202]."), value)
            return []
        return sorted(set(codes))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _names(text: Any) -> list[template.Name]:
    """Names of a text whose template may be broken; broken ones were reported already."""
    try:
        return list(template.names(text))
    except template.TemplateError:
        return []


KINDS: dict[str, Callable[[_Reader, str, dict[str, Any], str], Step]] = {
    "read": _Reader.read_step,
    "ask": _Reader.ask_step,
    "http": _Reader.http_step,
    "wait_until": _Reader.wait_step,
}
