"""How a service is rolled out, as a person says it, and what is wrong with that. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_release import OnFailure
from tongchou.changes.playbook import MAX_BATCHES, size_of
from tongchou.changes.release import said
from tongchou.core.problems import Invalid
from tongchou.runbooks.condition import parse
from tongchou.runbooks.promql import problem

MAX_BAKE, MAX_CHECKS, MAX_QUERY, MAX_TARGETS = 7 * 86_400, 20, 4000, 500
MAX_NAME = 200
FROM = ("service", "selector", "names", "none")
_EXAMPLE = '{"query": "sum(rate(errors_total{service=\\"${service}\\"}[5m]))", "is": "< 1", "says": "errors"}'


@dataclass(frozen=True, slots=True)
class RolloutDraft:
    """`targets`: {from: service} (what is part of it or runs on), {from: selector, kind, labels}, {from: names, names}.

    `checks`: {query, is, says, always}, or {objective} for one by its name; `always`: asked while a batch is done, too.
    """

    procedure: str
    params: Mapping[str, Any] = field(default_factory=lambda: {"version": "${version}"})
    targets: Mapping[str, Any] = field(default_factory=lambda: {"from": "service"})
    batches: Sequence[int | str] = (1, "25%", "100%")
    bake_seconds: int = 60
    confirm_after: int = 0
    checks: Sequence[Mapping[str, Any]] = ()
    on_failure: str = OnFailure.ROLLBACK.value
    rollback_procedure: str = ""
    rollback_params: Mapping[str, Any] = field(default_factory=dict)


def wrong(name: str, value: Any, detail: Any, remedy: Any = "") -> Invalid:
    """Return the refusal of a field."""
    return Invalid("release.field", detail, field=name, value=value, remedy=remedy or None)


def checked(draft: RolloutDraft) -> None:
    """Raise Invalid for the first thing in it that can never be right."""
    for name in ("params", "rollback_params", "checks"):
        for each in said.unknown(getattr(draft, name)):
            raise wrong(name, f"${{{each}}}", _("Nothing has this name."), ", ".join(said.NAMES))
    if not 1 <= len(draft.batches) <= MAX_BATCHES:
        raise wrong("batches", len(draft.batches), _("From 1 to %(n)s sizes.") % {"n": MAX_BATCHES})
    for size in draft.batches:
        if size_of(size, 100) is None:
            raise wrong("batches", str(size), _("This is no size."), _("A number such as 1, or a share such as 25%."))
    if not 0 <= draft.bake_seconds <= MAX_BAKE:
        raise wrong("bake_seconds", draft.bake_seconds, _("From 0 to %(n)s seconds.") % {"n": MAX_BAKE})
    if not 0 <= draft.confirm_after <= 1000:
        raise wrong("confirm_after", draft.confirm_after, _("From 0 to %(n)s.") % {"n": 1000})
    if draft.on_failure not in OnFailure.values:
        raise wrong("on_failure", draft.on_failure, _("There is no such answer."), ", ".join(OnFailure.values))
    _targets(draft.targets)
    if len(draft.checks) > MAX_CHECKS:
        raise wrong("checks", len(draft.checks), _("At most %(n)s.") % {"n": MAX_CHECKS})
    for number, check in enumerate(draft.checks):
        _check(f"checks[{number}]", check)


def _targets(targets: Mapping[str, Any]) -> None:
    source = targets.get("from")
    if source not in FROM:
        raise wrong("targets.from", source, _("There is no such source of targets."), ", ".join(FROM))
    extra = set(targets) - {"from", "kind", "labels", "names"}
    if extra:
        raise wrong("targets", min(extra), _("This key is not known."), "from, kind, labels, names")
    labels, names = targets.get("labels", {}), targets.get("names", [])
    if not isinstance(targets.get("kind", ""), str):
        raise wrong("targets.kind", None, _("There is no such kind."))
    if not isinstance(labels, Mapping) or not all(isinstance(each, str) for each in labels.values()):
        raise wrong("targets.labels", None, _("Labels are names with texts."), '{"role": "web"}')
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise wrong("targets.names", None, _("A list of names is wanted."), '["web-1", "web-2"]')
    if len(names) > MAX_TARGETS:
        raise wrong("targets.names", len(names), _("At most %(n)s.") % {"n": MAX_TARGETS})
    if source == "selector" and not (targets.get("kind") or labels):
        raise wrong("targets", source, _("A selector needs a kind or labels; it would find everything."))
    if source == "names" and not names:
        raise wrong("targets.names", None, _("At least one name is wanted."))


def _check(name: str, check: Mapping[str, Any]) -> None:
    if not isinstance(check, Mapping):
        raise wrong(name, str(check)[:80], _("A check is an object."), _EXAMPLE)
    if not isinstance(check.get("always", False), bool) or not isinstance(check.get("says", ""), str):
        raise wrong(name, None, _("A check has a query and a condition."), _EXAMPLE)
    if "objective" in check:
        said_name = check["objective"]
        if set(check) - {"objective", "always"} or not isinstance(said_name, str) or not 0 < len(said_name) <= MAX_NAME:
            raise wrong(name, None, _("The name of an objective is wanted, and nothing else."))
        return
    extra = set(check) - {"query", "is", "says", "always"}
    query = check.get("query")
    if extra or not isinstance(query, str) or not 0 < len(query) <= MAX_QUERY:
        raise wrong(name, min(extra) if extra else None, _("A check has a query and a condition."), _EXAMPLE)
    why = problem(said.fill_query(query, dict.fromkeys(said.NAMES, "x")))
    if why:
        raise wrong(f"{name}.query", query[:200], _("The query is not PromQL: %(why)s") % {"why": why})
    if parse(check.get("is")) is None:
        says = _("A condition is empty, not_empty or a comparison such as < 0.01.")
        raise wrong(f"{name}.is", str(check.get("is"))[:80], says)
