"""What the YAML of a procedure may say, and the definition it becomes; every defect with its place and remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.runbooks import document, parameters, steps
from tongchou.runbooks.definition import (
    GRADES,
    MAX_BATCH,
    MAX_TARGETS,
    Batch,
    Definition,
    Grade,
    Precondition,
    RateLimit,
    Step,
    TargetsFrom,
    canonical_hash,
    every,
)
from tongchou.runbooks.document import Defect, MalformedError
from tongchou.runbooks.reading import Reader, join, names

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_RATE_SECONDS = 30 * 86_400.0
_KEYS = (
    "name",
    "title",
    "description",
    "grade",
    "matches",
    "parameters",
    "max_targets",
    "targets",
    "preconditions",
    "lock",
    "rate_limit",
    "batch",
    "steps",
)


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


class _Reader(Reader):
    """Reads the parts of a procedure."""

    def definition(self) -> Definition | None:
        data = self.document.data
        if not isinstance(data, dict):
            self.wrong("", _("A procedure is a mapping."), _("Begin with `name: ...`."))
            return None
        self.keys(data, "", _KEYS, ("name", "title", "grade", "steps"))
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
        found = steps.read(self, data.get("steps"))
        grade = self.grade(data.get("grade"), found)
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
            steps=found,
            content_hash="" if self.defects else canonical_hash(data),
            lock=self.lock(data.get("lock", False), str(name)),
            rate_limit=self.rate_limit(data.get("rate_limit")),
            batch=self.batch(data.get("batch")),
        )
        return None if self.defects else result

    # --- parts of a procedure

    def grade(self, value: Any, steps: Sequence[Step]) -> Grade:
        if value not in GRADES:
            if value is not None:
                self.wrong("grade", _("A grade is read, reversible or irreversible."), "", value)
            return "irreversible"
        revealing = [step.name for step in every(steps) if step.secrets]
        if value == "read" and revealing:
            self.wrong(
                "grade",
                _("A procedure of grade read runs without approval and cannot use a secret; these steps do: %(steps)s.")
                % {"steps": ", ".join(revealing)},
                _("Use grade reversible or irreversible, or remove the secret."),
                value,
            )
        altering = [step.name for step in every(steps) if step.alters and not step.secrets]
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
                        join(path, label),
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
            if list(names(query)):
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

    def lock(self, value: Any, name: str) -> str:
        """The name of the lock: true stands for the procedure's own name; none is empty."""
        if isinstance(value, bool):
            return name if value else ""
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            says = _("lock is true, or a name of small letters, digits and hyphens.")
            self.wrong("lock", says, _("Procedures with the same lock never run at once."), value)
            return ""
        return value

    def rate_limit(self, value: Any) -> RateLimit | None:
        if value is None:
            return None
        data = self.mapping(value, "rate_limit")
        self.keys(data, "rate_limit", ("runs", "per"), ("runs", "per"))
        runs = int(self.number(data.get("runs"), "rate_limit.runs", 1, 1000, whole=True))
        per = data.get("per")
        seconds = parameters.seconds(per) if isinstance(per, str) else None
        if seconds is None or not 1 <= seconds <= MAX_RATE_SECONDS:
            says = _("per is a duration from 1s to 30d.")
            self.wrong("rate_limit.per", says, _("For example 1h."), per)
            return None
        return RateLimit(runs, seconds, str(per))

    def batch(self, value: Any) -> Batch | None:
        if value is None:
            return None
        data = self.mapping(value, "batch")
        self.keys(data, "batch", ("size", "parallel"), ("size",))
        size = int(self.number(data.get("size"), "batch.size", 1, MAX_BATCH, whole=True))
        parallel = data.get("parallel", False)
        if not isinstance(parallel, bool):
            self.wrong("batch.parallel", _("This is true or false."), "", parallel)
        return Batch(size, parallel is True)
