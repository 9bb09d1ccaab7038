"""The form of a rollout: what it posts as the action takes it, what stands in it, and what it would find now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.changes.models_release import OnFailure, Rollout
from tongchou.changes.playbook import batches_of
from tongchou.changes.release import said
from tongchou.changes.release.content import targets_of
from tongchou.changes.release.draft import MAX_TARGETS, RolloutDraft, checked, wrong
from tongchou.core.access import Actor
from tongchou.core.problems import Invalid, Problem
from tongchou.inventory import reads as inventory_reads
from tongchou.runbooks.prepare import definition_of
from tongchou.web.deliver_environments import whole
from tongchou.web.row_grids import Col, sent
from tongchou.web.yaml_fields import mapping_of

FROM_WORDS: Mapping[str, str | Promise] = {
    "service": gettext_lazy("what is part of the service"),
    "selector": gettext_lazy("what a kind and labels find"),
    "names": gettext_lazy("these resources by name"),
    "none": gettext_lazy("nothing: one run without targets"),
}
CHECKS = (
    Col("query", ""),
    Col("is", ""),
    Col("says", ""),
    Col("objective", ""),
    Col("always", "", choices=lambda: (("", ""), ("on", ""))),
)
EMPTY = 2  # rows for checks yet to be written
NAMED = 40  # targets that a preview names


def meanings() -> list[tuple[str, str]]:
    """Return what ${...} stands for, by name."""
    words = {
        "version": _("the version that is rolled out"),
        "previous_version": _("the version that was there before"),
        "reference": _("the artefact: an image, a package, an address"),
        "digest": _("its SHA-256"),
        "commit": _("the commit it was built from"),
        "environment": _("the environment"),
        "service": _("the service"),
    }
    return [("${" + name + "}", words[name]) for name in said.NAMES]


def values_of(row: Rollout | None, given: QueryDict) -> dict[str, Any]:
    """Return what stands in the form of a rollout, or of a new one."""
    if row is None:
        draft = RolloutDraft("")
        named = {"service": given.get("service", ""), "environment": given.get("environment", "")}
        return {**named, **_values(draft), "procedure": "", "rollback_procedure": ""}
    back = row.rollback_procedure.name if row.rollback_procedure else ""
    named = {"service": f"{row.service.kind}/{row.service.name}", "environment": row.environment.name}
    return {**named, **_values(row), "procedure": row.procedure.name, "rollback_procedure": back}


def _values(said_by: Rollout | RolloutDraft) -> dict[str, Any]:
    targets = said_by.targets
    return {
        "params": _yaml(said_by.params),
        "rollback_params": _yaml(said_by.rollback_params),
        "from": targets.get("from", "service"),
        "kind": targets.get("kind", ""),
        "labels": "\n".join(f"{name}={value}" for name, value in targets.get("labels", {}).items()),
        "names": "\n".join(targets.get("names", [])),
        "batches": ", ".join(str(each) for each in said_by.batches),
        "bake_seconds": str(said_by.bake_seconds),
        "confirm_after": str(said_by.confirm_after),
        "on_failure": said_by.on_failure,
    }


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(value), allow_unicode=True, sort_keys=False) if value else ""


def check_rows(
    row: Rollout | None, post: QueryDict | None, problem: Problem | None
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the rows of checks with a few empty ones, and which of them a refusal is about (counted from 0)."""
    if post is not None:
        listed: list[dict[str, Any]] = sent(post, "check", CHECKS)
    else:
        listed = [{**each, "always": "on" if each.get("always") else ""} for each in (row.checks if row else [])]
    at = None
    place = (problem.field or "") if problem is not None else ""
    if place.startswith("checks["):
        at = int(place[7 : place.index("]")])
    return [*listed, *({} for _each in range(EMPTY))], at


def field_of(problem: Problem | None) -> str:
    """Return the input a refusal is about."""
    place = (problem.field or "") if problem is not None else ""
    if place.startswith("checks"):
        return "checks"
    names = {"targets.labels": "labels", "targets.names": "names", "targets.from": "from", "targets": "from"}
    return "names" if place.startswith("targets[") else names.get(place, place)


def draft_of(post: QueryDict) -> RolloutDraft:
    """Return a posted form as the action takes it, looked through; Invalid names the field."""
    source = post.get("from", "service")
    targets: dict[str, Any] = {"from": source}
    kind, labels = post.get("kind", "").strip(), post.get("labels", "").strip()
    if source in ("service", "selector") and kind:
        targets["kind"] = kind
    if source == "selector" and labels:
        targets["labels"] = _labels(labels)
    if source == "names":
        targets["names"] = [each.strip() for each in post.get("names", "").splitlines() if each.strip()]
    sizes = [each.strip() for each in post.get("batches", "").split(",") if each.strip()]
    draft = RolloutDraft(
        procedure=post.get("procedure", "").strip(),
        params=_mapping(post, "params"),
        targets=targets,
        batches=tuple(int(each) if each.isascii() and each.isdigit() and len(each) < 6 else each for each in sizes),
        bake_seconds=whole(post, "bake_seconds"),
        confirm_after=whole(post, "confirm_after"),
        checks=[_check(each) for each in sent(post, "check", CHECKS)],
        on_failure=post.get("on_failure", OnFailure.ROLLBACK.value),
        rollback_procedure=post.get("rollback_procedure", "").strip(),
        rollback_params=_mapping(post, "rollback_params"),
    )
    checked(draft)
    return draft


def _check(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as a check: what is left empty is not said. With an objective nothing else may stand in it."""
    found: dict[str, Any] = {name: row[name] for name in ("objective", "query", "is", "says") if row[name]}
    if "objective" not in found:
        found = {"query": row["query"], "is": row["is"], **found}
    return {**found, "always": True} if row["always"] else found


def _labels(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if line.strip() and not (sign and name.strip()):
            raise wrong("targets.labels", line.strip()[:120], _("This is no label."), _("One in a line: name=value."))
        if line.strip():
            found[name.strip()] = value.strip()
    return found


def _mapping(post: QueryDict, name: str) -> dict[str, Any]:
    try:
        value = mapping_of(post.get(name, ""))
    except ValueError as error:
        raise wrong(name, None, _("This is no YAML."), _("One in a line, as name: value.")) from error
    if value is None:
        raise wrong(name, None, _("Parameters are a mapping."), _("One in a line, as name: value."))
    return value


def preview(actor: Actor, row: Rollout) -> dict[str, Any]:
    """Return the targets a rollout would find now, in batches, and what its procedure takes. Invalid as for names.

    What the actor may not see is counted and not named.
    """
    try:
        found = targets_of(row, actor)
    except Invalid as problem:
        return {"problem": problem, "parameters": _parameters(row), "sizes": [], "names": []}
    named = [each.name for each in found if inventory_reads.may_see(actor, each.owner_id)]
    none = row.targets.get("from") == "none"
    return {
        "problem": None,
        "count": len(found),
        "too_many": len(found) > MAX_TARGETS,
        "none": none,
        "names": named[:NAMED],
        "unnamed": len(found) - len(named[:NAMED]),
        "foreign": len(found) - len(named),
        "sizes": [len(each) for each in batches_of([str(each.pk) for each in found], row.batches)],
        "parameters": _parameters(row),
    }


def _parameters(row: Rollout) -> list[dict[str, Any]]:
    """What the procedure takes, whether it is given, and what is given that it does not take."""
    takes = definition_of(row.procedure.text).parameters
    found = [
        {
            "name": each.name,
            "type": each.type,
            "given": each.name in row.params,
            "missing": each.required and each.name not in row.params,
            "strange": False,
        }
        for each in takes.values()
    ]
    return found + [
        {"name": name, "type": "", "given": True, "missing": False, "strange": True}
        for name in row.params
        if name not in takes
    ]
