"""Every write about baselines: define one, look at its hosts, take what a golden host looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.changes import baseline, drift, drift_actions, playbook_actions
from tongchou.changes.installed import playbooks
from tongchou.changes.models_baselines import Baseline, Snapshot
from tongchou.changes.models_drift import DriftSource
from tongchou.changes.playbook_actions import MIN_EVERY_SECONDS, NAME
from tongchou.changes.playbook_ports import Work
from tongchou.core import jobs, ledger, secrets
from tongchou.core.access import Actor, check, system
from tongchou.core.models import Team
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import template

EDIT = "changes.edit"
JOB = "changes.baseline_look"
LOOKER = system("baselines")
FORKS = 10
LOOK_SECONDS = 600


@dataclass(frozen=True)
class Draft:
    """What a baseline says; see models_baselines.Baseline."""

    hosts: str
    watch: Mapping[str, Any]
    title: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    showable: tuple[str, ...] = ()
    ssh_key: str = ""
    accept_new: bool = False
    become: bool = False
    check_every_seconds: int = 0
    drift_after: int = 2
    tolerance_seconds: int = 0


def put(*, actor: Actor, name: str, draft: Draft, owner: Team | None, version: int | None = None) -> Baseline:
    """Make a baseline, or change it (with the version that was read). Event baseline.changed."""
    check(actor, EDIT, team=owner)
    _check(actor, name, draft)
    now = timezone.now()
    due = now + timedelta(seconds=draft.check_every_seconds) if draft.check_every_seconds else None
    values = {**draft.__dict__, "watch": dict(draft.watch), "expected": dict(draft.expected), "owner": owner}
    values |= {"showable": list(draft.showable), "next_check_at": due, "retired_at": None}
    values |= {"updated_at": now, "updated_by_name": actor.name[:150]}
    with transaction.atomic():
        row = Baseline.objects.select_for_update(of=("self",)).filter(name=name).first()
        if row is None:
            row = _create(name, values)
        else:
            check(actor, EDIT, team=row.owner_id)
            if version is not None and version != row.version:
                raise Conflict(
                    "baseline.version", _("Somebody else has changed it meanwhile."), value=str(row.version),
                    remedy=_("Read it again."),
                )  # fmt: skip
            Baseline.objects.filter(pk=row.pk).update(version=row.version + 1, **values)
            row.refresh_from_db()
        _tell(actor, row, "baseline.changed", {"version": row.version, "hosts": row.hosts, "watch": row.watch})
    return row


def _create(name: str, values: Mapping[str, Any]) -> Baseline:
    try:
        with transaction.atomic():
            return Baseline.objects.create(name=name, **values)
    except IntegrityError:
        raise Conflict("baseline.exists", _("There is a baseline of this name."), field="name", value=name) from None


def _check(actor: Actor, name: str, draft: Draft) -> None:
    if not NAME.match(name):
        raise Invalid(
            "baseline.name", _("A name has small letters, digits and hyphens, at most 41."), field="name", value=name
        )
    playbook_actions.check_hosts(actor, draft.hosts)
    playbook_actions.check_vars({}, draft.ssh_key)
    wrong = baseline.watch_problem(draft.watch)
    if wrong:
        raise Invalid(
            "baseline.watch", _("What is watched does not fit."), field="watch", value=wrong,
            remedy=_("Write lists under files, packages, sysctl, services, users, groups; and listening: true."),
        )  # fmt: skip
    wrong = baseline.content_problem(draft.expected)
    if wrong:
        raise Invalid(
            "baseline.expected", _("What is expected does not fit."), field="expected", value=wrong,
            remedy=_("Take it from a host, then change it."),
        )  # fmt: skip
    if any(not isinstance(each, str) or not each.startswith("/") for each in draft.showable):
        raise Invalid("baseline.showable", _("Patterns of absolute paths are wanted."), field="showable")
    playbook_actions.check_schedule("baseline", draft.check_every_seconds)
    playbook_actions.check_numbers("baseline", draft, playbook_actions.OF_DRIFT)


def _tell(actor: Actor, row: Baseline, verb: str, more: Mapping[str, Any]) -> None:
    ledger.record(actor=actor, verb=verb, subject=ref(row), payload={"name": row.name, **more})


def retire(*, actor: Actor, row: Baseline) -> None:
    """Take a baseline out of use; what it found stays. Event baseline.retired."""
    check(actor, EDIT, team=row.owner_id)
    with transaction.atomic():
        mine = Baseline.objects.filter(pk=row.pk, retired_at=None)
        if mine.update(retired_at=timezone.now(), next_check_at=None):
            _tell(actor, row, "baseline.retired", {})


def take(*, actor: Actor, row: Baseline, resource_id: UUID) -> Baseline:
    """Expect what a golden host looked like at the last look. Event baseline.taken about that host."""
    check(actor, EDIT, team=row.owner_id)
    with transaction.atomic():
        found = Snapshot.objects.select_related("resource").filter(baseline=row, resource_id=resource_id).first()
        if found is None or found.taken_at is None:
            raise NotFound(
                "baseline.snapshot", _("Nobody has looked at this host yet."), field="resource", value=str(resource_id),
                remedy=_("Look first."),
            )  # fmt: skip
        mine = Baseline.objects.filter(pk=row.pk, version=row.version)
        more = {"updated_at": timezone.now(), "updated_by_name": actor.name[:150]}
        if not mine.update(expected=found.content, taken_from=found.resource, version=row.version + 1, **more):
            raise Conflict("baseline.version", _("Somebody else has changed it meanwhile."), remedy=_("Read it again."))
        row.refresh_from_db()
        payload = {"name": row.name, "host": found.resource.name, "version": row.version}
        ledger.record(
            actor=actor, verb="baseline.taken", subject=ref(row), about=[ref(found.resource)], payload=payload
        )
    return row


# --- looks


def ask_look(*, actor: Actor, row: Baseline) -> None:
    """Have the hosts looked at, soon; asked twice it is done once."""
    check(actor, EDIT, team=row.owner_id)
    if row.retired_at is not None:
        raise Conflict("baseline.retired", _("This baseline is out of use."), remedy=_("Save it again."))
    with transaction.atomic():
        jobs.enqueue(JOB, {"baseline": str(row.pk)}, unique_key=f"{JOB}:{row.pk}")


def look(baseline_id: UUID) -> None:
    """Look at every host, keep what it looks like, and write down as drift what is not as expected."""
    row = Baseline.objects.filter(pk=baseline_id, retired_at=None).first()
    if row is None:
        return
    try:
        reach, named = playbook_actions.reached(row)
        known = {each.name: secrets.reveal(each.name) for each in template.names(reach["ssh_key"])}
        setup = {**reach, "forks": FORKS, "timeout_seconds": LOOK_SECONDS, "extra_vars": {}}
        work = Work(setup, [name for name, _each in named], known)
        found, wrong, problem = playbooks().collect(work, watch=row.watch, showable=row.showable)
    except Problem as refused:
        found, wrong, problem, named = {}, {}, str(refused.detail), []
    now = timezone.now()
    _keep(row, dict(named), found, wrong)
    Baseline.objects.filter(pk=row.pk).update(looked_at=now, problem=problem[:2000])
    if problem or not row.expected:
        return
    drift_actions.observe(
        actor=LOOKER,
        origin=drift_actions.Origin(DriftSource.BASELINE, ref(row), str(row)),
        found=_found(row, dict(named), found),
        looked=set(found),
        look=drift.Look(now, row.drift_after, timedelta(seconds=row.tolerance_seconds)),
    )


def _keep(
    row: Baseline, named: Mapping[str, Resource], found: Mapping[str, Mapping[str, Any]], wrong: Mapping[str, str]
) -> None:
    now = timezone.now()
    for name, resource in named.items():
        values: dict[str, Any] = {"problem": wrong.get(name, "" if name in found else _("It did not answer."))[:1000]}
        if name in found:
            values |= {"content": baseline.narrowed(found[name], row.watch), "taken_at": now}
        Snapshot.objects.update_or_create(baseline=row, resource=resource, defaults=values)
    Snapshot.objects.filter(baseline=row).exclude(resource__in=[each.pk for each in named.values()]).delete()


def _found(row: Baseline, named: Mapping[str, Resource], found: Mapping[str, Mapping[str, Any]]) -> list[drift.Found]:
    return [
        drift.Found(name, path, wanted, there, "", named[name].pk)
        for name, content in found.items()
        for path, wanted, there in baseline.differences(row.expected, baseline.narrowed(content, row.watch))
    ]


def look_due() -> int:
    """Ask for the looks whose time has come; returns how many. Two processes at once ask for each once."""
    now = timezone.now()
    asked = 0
    for row in Baseline.objects.filter(next_check_at__lte=now, retired_at=None)[:200]:
        following = now + timedelta(seconds=max(row.check_every_seconds, MIN_EVERY_SECONDS))
        mine = Baseline.objects.filter(pk=row.pk, next_check_at=row.next_check_at)
        if mine.update(next_check_at=following):
            ask_look(actor=LOOKER, row=row)
            asked += 1
    return asked
