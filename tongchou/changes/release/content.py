"""What a release will do, run by run, as one content with one hash: consent covers this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tongchou.changes.change_content import digest
from tongchou.changes.models_release import Artefact, Environment, Release, ReleaseItem, Rollout
from tongchou.changes.playbook import batches_of
from tongchou.changes.release import reads, said
from tongchou.changes.release.draft import MAX_TARGETS, wrong
from tongchou.core.access import Actor, check
from tongchou.core.problems import Invalid, Problem
from tongchou.core.refs import ref
from tongchou.inventory.models import Relation, Resource, ResourceState
from tongchou.runbooks import consented, targets
from tongchou.runbooks.models import Procedure
from tongchou.runbooks.prepare import prepare
from tongchou.runbooks.reasons import PASSING, Reason

MAX_ITEMS, MAX_BATCHES = 20, 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version of a service that shall go into the environment."""

    artefact: Artefact
    rollout: Rollout
    previous_version: str = ""


@dataclass(slots=True)
class Composed:
    """The content, and for each item its batches as [{ref, name}]; what is wrong, what may yet come right."""

    content: dict[str, Any]
    batches: list[list[list[dict[str, str]]]]
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """The hash that consent is bound to."""
        return digest(self.content)


def facts_of(artefact: Artefact, environment: str, previous: str) -> dict[str, str]:
    """Return what ${...} stands for on the way forward."""
    return {
        "version": artefact.version,
        "previous_version": previous,
        "reference": artefact.reference,
        "digest": artefact.digest,
        "commit": artefact.commit_sha,
        "environment": environment,
        "service": artefact.service.name,
    }


def facts_back(artefact: Artefact, environment: str, previous: str) -> dict[str, str]:
    """Return what ${...} stands for on the way back: the version before, and what is known of it."""
    old = Artefact.objects.filter(service=artefact.service, version=previous).select_related("service").first()
    if old is not None:
        return facts_of(old, environment, artefact.version)
    empty = dict.fromkeys(said.NAMES, "")
    named = {"environment": environment, "service": artefact.service.name, "previous_version": artefact.version}
    return {**empty, **named, "version": previous}


def way_back(rollout: Rollout, previous: str) -> tuple[Procedure, Mapping[str, Any]] | None:
    """Return the procedure and parameters that take a batch back; None when there is no way back.

    Its own procedure where one is named; else the way forward with the version before, which has to be known.
    """
    if rollout.rollback_procedure is not None:
        return rollout.rollback_procedure, rollout.rollback_params
    return (rollout.procedure, rollout.rollback_params or rollout.params) if previous else None


def targets_of(rollout: Rollout, actor: Actor) -> list[Resource]:
    """Return the targets of a rollout by name, each once."""
    source = rollout.targets.get("from")
    if source == "names":
        return targets.find(list(rollout.targets["names"]), actor)
    if source == "selector":
        return targets.select(rollout.targets.get("kind", ""), rollout.targets.get("labels", {}), limit=MAX_TARGETS + 1)
    if source == "none":
        return []
    parts = Relation.objects.filter(to_resource=rollout.service, type="part_of", valid_to__isnull=True)
    rows = Resource.objects.filter(
        Q(kind=rollout.targets["kind"]) if rollout.targets.get("kind") else Q(),
        pk__in=parts.values("from_resource"),
        state=ResourceState.ACTIVE,
    ).order_by("name", "pk")
    name = rollout.environment.name
    return [each for each in rows if {each.labels.get("env"), each.labels.get("environment")} & {None, "", name}]


def compose(
    *, actor: Actor, environment: Environment, wanted: Sequence[Wanted], together: bool, skip_promotion: str = ""
) -> Composed:
    """Plan every run of a release as it would be requested now. Blocks for as long as metrics are asked.

    The actor must be allowed to request each of these runs. A run's own refusals that may pass until then are
    `warnings`; all others, and an item without targets, are `problems` [{service, code, text}].
    """
    said_of_all = {"environment": environment.name, "together": together, "skip_promotion": skip_promotion}
    out = Composed({**said_of_all, "items": []}, [])
    for each in wanted:
        found = targets_of(each.rollout, actor)
        for resource in found:
            check(actor, "runbooks.request", team=resource.owner_id)
        name = each.artefact.service.name
        if len(found) > MAX_TARGETS:
            says = _("%(service)s has more than %(n)s targets.") % {"service": name, "n": MAX_TARGETS}
            raise wrong("items", name, says)
        if not found and each.rollout.targets.get("from") != "none":
            out.problems.append({"service": name, "code": "no_targets", "params": {}})
        by_ref = {ref(resource): resource.name for resource in found}
        batches = batches_of(list(by_ref), each.rollout.batches) or [[]]
        if sum(len(listed) for listed in out.batches) + len(batches) > MAX_BATCHES:
            raise wrong("items", name, _("A release has at most %(n)s batches.") % {"n": MAX_BATCHES})
        out.batches.append([[{"ref": one, "name": by_ref[one]} for one in batch] for batch in batches])
        out.content["items"].append(_item(actor, environment, each, batches, out))
    return out


def _item(actor: Actor, environment: Environment, each: Wanted, batches: Sequence[Sequence[str]], out: Composed) -> Any:
    rollout, artefact = each.rollout, each.artefact
    forward = said.fill(rollout.params, facts_of(artefact, environment.name, each.previous_version))
    back = way_back(rollout, each.previous_version)
    filled = said.fill(back[1], facts_back(artefact, environment.name, each.previous_version)) if back else {}
    runs = []
    for batch in batches:
        run = _hash(actor, rollout.procedure, forward, batch, artefact.service.name, out)
        rollback = _hash(actor, back[0], filled, batch, artefact.service.name, out) if back else ""
        runs.append({"targets": list(batch), "run": run, "rollback": rollback})
    return {
        "rollout": reads.rollout_content(rollout),
        "version": artefact.version,
        "reference": artefact.reference,
        "digest": artefact.digest,
        "previous_version": each.previous_version,
        "params": forward,
        "params_back": filled,
        "batches": runs,
    }


def _hash(
    actor: Actor, procedure: Procedure, params: Mapping[str, Any], batch: Sequence[str], service: str, out: Composed
) -> str:
    try:
        prepared = prepare(procedure, actor=actor, params=params, target_names=batch, incident_number=None)
    except Invalid as problem:
        out.problems.append({"service": service, "code": "target", "params": {"why": str(problem.detail)}})
        return ""
    for reason in prepared.plan.refusals:
        _note(out.warnings if reason.code in PASSING else out.problems, service, reason)
    return consented.hash_of(prepared)


def _note(where: list[dict[str, Any]], service: str, reason: Reason) -> None:
    line = {"service": service, "code": "run", "params": {"why": reason.as_json()}}
    if line not in where:
        where.append(line)


def wanted_of(release: Release) -> list[Wanted]:
    """Return what a release wants, from its rows, with the rollouts as they are now."""
    rows: Sequence[ReleaseItem] = reads.items(release)
    return [Wanted(each.artefact, each.rollout, each.previous_version) for each in rows]


def agreed(release: Release, position: int, number: int, *, back: bool) -> tuple[dict[str, Any], str]:
    """Return parameters and hash of the run of a batch (or of the one that takes it back), as agreed; "" for none."""
    items = release.content.get("items", [])
    if not 1 <= position <= len(items) or not 1 <= number <= len(items[position - 1]["batches"]):
        return {}, ""
    item = items[position - 1]
    hashes = item["batches"][number - 1]
    return (item["params_back"], hashes["rollback"]) if back else (item["params"], hashes["run"])


def procedure_of(release: Release, item: ReleaseItem, *, back: bool) -> Procedure:
    """Return the procedure that an item was planned with, whatever its rollout says now. One query."""
    rollout = release.content["items"][item.position - 1]["rollout"]
    name = ((rollout["rollback"] if back else []) or rollout["procedure"])[0]
    return Procedure.objects.filter(name=name).first() or item.rollout.procedure


def passes(problem: Problem) -> bool:
    """Tell whether a run was refused only for what may be otherwise later."""
    codes = {each["code"] for each in problem.extra.get("refusals", [])}
    return bool(codes) and codes <= PASSING
