"""The tasks of a change in a form: a row each, in their order, of title, procedure, targets and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import yaml
from django.http import QueryDict
from django.utils.translation import gettext as _

from tongchou.changes.draft import MAX_TASKS, TaskDraft, invalid
from tongchou.core.problems import Problem
from tongchou.runbooks.definition import Definition
from tongchou.runbooks.models import Procedure
from tongchou.runbooks.plan import check_params
from tongchou.runbooks.prepare import definition_of
from tongchou.web.row_grids import CELL
from tongchou.web.yaml_fields import mapping_of

KEYS = ("title", "procedure", "targets", "params")
EMPTY = 2  # rows yet to be written, which whoever has no script fills
MOST_DESCRIBED = 100  # procedures whose parameters the form lists


def of_tasks(tasks: Iterable[TaskDraft]) -> list[dict[str, str]]:
    """Return what stands in the rows of tasks; read back by `drafts` it is the same tasks."""
    return [
        {
            "title": each.title,
            "procedure": each.procedure,
            "targets": "\n".join(each.targets),
            "params": as_yaml(each.params),
        }
        for each in tasks
    ]


def as_yaml(params: Mapping[str, Any]) -> str:
    """Return parameters as the form takes them; "" for none."""
    return yaml.safe_dump(dict(params), allow_unicode=True, sort_keys=False) if params else ""


def posted(post: QueryDict) -> list[dict[str, str]]:
    """Return the rows that a form brought, without those in which nothing stands."""
    columns = [post.getlist(f"task-{key}") for key in KEYS]
    rows = [dict(zip(KEYS, each, strict=True)) for each in zip_longest(*columns, fillvalue="")][: MAX_TASKS + EMPTY + 1]
    return [each for each in rows if any(value.strip() for value in each.values())]


def drafts(post: QueryDict) -> list[TaskDraft]:
    """Return the tasks that a form brought; Invalid naming the row and the input, as `tasks[0].params`."""
    rows = posted(post)
    names = {each["procedure"].strip() for each in rows}
    texts = dict(Procedure.objects.filter(name__in=names, state="active").values_list("name", "text"))
    return [_draft(number, each, texts) for number, each in enumerate(rows)]


def _draft(number: int, row: Mapping[str, str], texts: Mapping[str, str]) -> TaskDraft:
    procedure = row["procedure"].strip()
    targets = tuple(dict.fromkeys(each.strip() for each in row["targets"].splitlines() if each.strip()))
    params = _params(f"tasks[{number}].params", row["params"])
    if params and not procedure:
        detail = _("Parameters belong to a procedure, and none is chosen.")
        raise invalid(f"tasks[{number}].procedure", "", detail, _("Choose the procedure that does it."))
    if procedure in texts:  # one that is not there is refused by the action
        _fit(f"tasks[{number}].params", definition_of(texts[procedure]), params)
    return TaskDraft(row["title"].strip() or procedure, procedure, params, targets)


def _params(field: str, text: str) -> dict[str, Any]:
    remedy = _("One in a line, as name: value. A text that reads as a number, a time or true is put in quotes.")
    try:
        found = mapping_of(text)
    except ValueError as error:
        raise invalid(field, None, _("This is no YAML."), remedy) from error
    if found is None:
        raise invalid(field, None, _("Parameters are a mapping."), remedy)
    return found


def _fit(field: str, definition: Definition, params: Mapping[str, Any]) -> None:
    _given, wrong = check_params(definition, params)
    if wrong:
        remedy = _("A text that reads as a number, a time or true is put in quotes.")
        if any(each.code != "parameter_wrong" for each in wrong):
            remedy = _("It takes: %(names)s.") % {"names": ", ".join(definition.parameters) or "–"}
        raise invalid(field, None, " ".join(str(each) for each in wrong), remedy)


def context(rows: Sequence[Mapping[str, str]], problem: Problem | None) -> dict[str, Any]:
    """Return what the template needs: the rows with some empty ones, and which input a refusal is about."""
    found = CELL.fullmatch((problem.field or "") if problem is not None else "")
    at, key = (int(found[2]), found[3]) if found and found[1] == "tasks" else (-1, "")
    named = Procedure.objects.filter(state="active").order_by("name").values_list("name", "text")
    procedures = list(named)
    empty = [dict.fromkeys(KEYS, "") for _each in range(EMPTY)]
    return {
        "task_rows": [
            {**row, "wrong": key if number == at else "", "empty": number >= len(rows)}
            for number, row in enumerate([*rows, *empty])
        ],
        "blank_task": empty[0],
        "procedures": [name for name, _text in procedures],
        "takes": _takes(procedures),
    }


def _takes(procedures: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """What procedures take, for whoever writes parameters."""
    found: list[dict[str, Any]] = []
    for name, text in procedures:
        parameters = definition_of(text).parameters.values()
        if parameters and len(found) < MOST_DESCRIBED:
            found.append({"name": name, "parameters": list(parameters)})
    return found
