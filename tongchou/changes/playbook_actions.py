"""Every write about Ansible projects: define one, check it, make a run out of a check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import yaml
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.changes import drift_actions, playbook
from tongchou.changes.drift import Look
from tongchou.changes.installed import playbooks
from tongchou.changes.models_baselines import Baseline
from tongchou.changes.models_drift import DriftSource
from tongchou.changes.models_playbooks import CheckState, Playbook, PlaybookCheck, PlaybookHost
from tongchou.changes.playbook_ports import HostResult, Outcome, Work
from tongchou.core import jobs, ledger, secrets
from tongchou.core.access import Actor, check, system
from tongchou.core.lists import conditions, places, views
from tongchou.core.lists.tables import table
from tongchou.core.models import Team
from tongchou.core.models_lists import SavedView
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.inventory.given import ansible
from tongchou.inventory.given.gathered import Wanted, gather
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runs
from tongchou.runbooks import targets as run_targets
from tongchou.runbooks import template
from tongchou.runbooks.definition import offered
from tongchou.runbooks.models import Run

EDIT = "changes.edit"
JOB = "changes.playbook_check"
CHECKER = system("playbook-checks")
RESOURCES = "inventory.resource"
MIN_EVERY_SECONDS = 300
MAX_EVERY_SECONDS = 30 * 86_400
MAX_VARS = 50_000
OF_DRIFT = {"drift_after": (1, 100), "tolerance_seconds": (0, 30 * 86_400)}
KEPT_CHECKS = 50  # of each project: the newest
NAME = re.compile(r"\A[a-z0-9][a-z0-9-]{0,40}\Z")
SETTABLE = ("ansible_become_password", "ansible_become_pass")


@dataclass(frozen=True)
class Draft:
    """What a project says; see models_playbooks.Playbook."""

    folder: str
    playbook: str
    hosts: str
    title: str = ""
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    ssh_key: str = ""
    accept_new: bool = False
    become: bool = False
    idempotent: bool = False
    irreversible: bool = False
    ask_between: bool = False
    batches: tuple[Any, ...] = (1, "10%", "100%")
    max_fail_percent: int = 0
    forks: int = 5
    timeout_seconds: int = 900
    check_every_seconds: int = 0
    drift_after: int = 2
    tolerance_seconds: int = 0


def put(*, actor: Actor, name: str, draft: Draft, owner: Team | None, version: int | None = None) -> Playbook:
    """Make a project, or change it (with the version that was read). Event playbook.changed.

    A project of a team reaches only what the team owns; one of nobody wants a global role.
    """
    check(actor, EDIT, team=owner)
    _check_draft(actor, name, draft)
    values = {**draft.__dict__, "extra_vars": dict(draft.extra_vars), "batches": list(draft.batches), "owner": owner}
    now = timezone.now()
    due = now + timedelta(seconds=draft.check_every_seconds) if draft.check_every_seconds else None
    values |= {"next_check_at": due, "retired_at": None, "updated_at": now, "updated_by_name": actor.name[:150]}
    with transaction.atomic():
        row = Playbook.objects.select_for_update(of=("self",)).filter(name=name).first()
        if row is None:
            row = _create(name, values)
        else:
            check(actor, EDIT, team=row.owner_id)
            if version is not None and version != row.version:
                raise Conflict(
                    "playbook.version", _("Somebody else has changed it meanwhile."), value=str(row.version),
                    remedy=_("Read it again."),
                )  # fmt: skip
            Playbook.objects.filter(pk=row.pk).update(version=row.version + 1, **values)
            row.refresh_from_db()
        told = {key: value for key, value in draft.__dict__.items() if key != "extra_vars"}
        payload = {"name": name, "version": row.version, **told, "batches": list(draft.batches)}
        payload["variables"] = sorted(draft.extra_vars)
        ledger.record(actor=actor, verb="playbook.changed", subject=ref(row), payload=payload)
    return row


def _create(name: str, values: Mapping[str, Any]) -> Playbook:
    try:
        with transaction.atomic():
            return Playbook.objects.create(name=name, **values)
    except IntegrityError:
        raise Conflict("playbook.exists", _("There is a project of this name."), field="name", value=name) from None


def _check_draft(actor: Actor, name: str, draft: Draft) -> None:
    if not NAME.match(name):
        raise Invalid(
            "playbook.name", _("A name has small letters, digits and hyphens, at most 41."), field="name", value=name
        )
    playbooks().tree(draft.folder, draft.playbook)
    check_hosts(actor, draft.hosts)
    sizes = list(draft.batches)
    if not 0 < len(sizes) <= playbook.MAX_BATCHES or any(playbook.size_of(each, 100) is None for each in sizes):
        raise Invalid(
            "playbook.batches", _("A batch is a whole number of hosts or a percentage."), field="batches",
            value=str(sizes), remedy=_("Write whole numbers and percentages, the last one is repeated."),
        )  # fmt: skip
    check_numbers(
        "playbook",
        draft,
        {"max_fail_percent": (0, 100), "forks": (1, 50), "timeout_seconds": (5, 3600), **OF_DRIFT},
    )
    check_schedule("playbook", draft.check_every_seconds)
    check_vars(draft.extra_vars, draft.ssh_key)


def check_numbers(sort: str, draft: object, bounds: Mapping[str, tuple[int, int]]) -> None:
    """Raise Invalid (`<sort>.number`) for the first of a draft's numbers that is out of its bounds."""
    for key, (least, most) in bounds.items():
        if not least <= getattr(draft, key) <= most:
            raise Invalid(
                f"{sort}.number", _("A number from %(least)s to %(most)s is wanted.") % {"least": least, "most": most},
                field=key, value=getattr(draft, key),
            )  # fmt: skip


def check_schedule(sort: str, every_seconds: int) -> None:
    """Raise Invalid (`<sort>.every`) for checks that would come too often or too seldom; 0 is never."""
    if every_seconds and not MIN_EVERY_SECONDS <= every_seconds <= MAX_EVERY_SECONDS:
        raise Invalid(
            f"{sort}.every", _("A check is made every 5 minutes to every 30 days, or never (0)."),
            field="check_every_seconds", value=every_seconds,
        )  # fmt: skip


def check_vars(variables: Mapping[str, Any], ssh_key: str) -> None:
    """Raise Invalid for variables that may not be set, and for anything but secrets among what is filled in."""
    text = yaml.safe_dump(dict(variables))
    if len(text) > MAX_VARS:
        raise Invalid("playbook.vars", _("The variables are too long."), field="extra_vars")
    for name in variables:
        if str(name).startswith("ansible_") and name not in SETTABLE:
            raise Invalid("playbook.vars", _("This variable may not be set here."), field="extra_vars", value=name)
    try:
        named = [*template.names(dict(variables)), *template.names(key_of(ssh_key))]
    except template.TemplateError as error:
        raise Invalid("playbook.vars", str(error.says), field="extra_vars") from error
    for each in named:
        if each.space != "secret" or not offered(each.name):
            raise Invalid(
                "playbook.vars", _("Only ${secret.NAME} can stand here."), field="extra_vars", value=each.name
            )


def key_of(secret: str) -> str:
    """The private key as a template: the secret's name is what a project keeps."""
    return f"${{secret.{secret}}}" if secret else ""


def retire(*, actor: Actor, row: Playbook) -> None:
    """Take a project out of use: no checks, no runs; what was found stays. Event playbook.retired."""
    check(actor, EDIT, team=row.owner_id)
    now = timezone.now()
    with transaction.atomic():
        if Playbook.objects.filter(pk=row.pk, retired_at=None).update(retired_at=now, next_check_at=None):
            ledger.record(actor=actor, verb="playbook.retired", subject=ref(row), payload={"name": row.name})


# --- the hosts


def check_hosts(actor: Actor, text: str) -> None:
    """Raise a Problem for a query that cannot be, or a view that the actor may not see."""
    given = hosts_query(text)
    if "view" in given:
        _view(actor, given)


def hosts_query(text: str) -> Mapping[str, list[str]]:
    """The query as conditions of the list of resources; raises Invalid for what the list does not know."""
    given = parse_qs(text.strip().lstrip("?"), keep_blank_values=False, max_num_fields=50)
    if not given:
        raise Invalid(
            "playbook.hosts", _("Say which hosts are meant."), field="hosts",
            remedy=_("Write it like kind=host&label=role=web, as the address of the list of resources has it."),
        )  # fmt: skip
    if set(given) == {"view"}:
        return given
    conditions.read(table(RESOURCES), given, strict=True)
    return given


def _view(actor: Actor, given: Mapping[str, list[str]]) -> SavedView:
    view = views.get(actor, given["view"][-1])
    if view.kind != RESOURCES:
        raise Invalid("playbook.hosts", _("This is no view of the list of resources."), field="hosts", value=view.name)
    return view


def hosts_of(row: Playbook | Baseline) -> list[Resource]:
    """The active resources a project or baseline means now, by name; raises Invalid when they are none, or too many."""
    given = hosts_query(row.hosts)
    if "view" in given:
        given = parse_qs(_view(CHECKER, given).query)
    found = places.fitting(table(RESOURCES), CHECKER, conditions.read(table(RESOURCES), given))
    found = found.filter(state="active")
    if row.owner_id is not None:
        found = found.filter(owner_id=row.owner_id)
    rows = list(found[: playbook.MAX_HOSTS + 1])
    if not rows or len(rows) > playbook.MAX_HOSTS:
        raise Invalid(
            "playbook.no_hosts",
            _("The hosts are none or more than %(most)s.") % {"most": playbook.MAX_HOSTS},
            field="hosts",
            value=row.hosts,
            remedy=_("Look at the list of resources with this query."),
        )  # fmt: skip
    return rows


def setup_of(row: Playbook) -> tuple[dict[str, Any], list[tuple[str, Resource]]]:
    """All that a check or a run of a project uses now, and its hosts by their inventory names, in order."""
    reach, named = reached(row)
    setup = {
        **reach,
        "folder": row.folder, "playbook": row.playbook, "tree_sha256": playbooks().tree(row.folder, row.playbook),
        "extra_vars": row.extra_vars, "forks": row.forks, "timeout_seconds": row.timeout_seconds,
    }  # fmt: skip
    return setup, named


def reached(row: Playbook | Baseline) -> tuple[dict[str, Any], list[tuple[str, Resource]]]:
    """How the hosts are reached now and what is known of them; the hosts by their inventory names, in order."""
    resources = hosts_of(row)
    given = gather(CHECKER, Wanted(None), ids=[each.pk for each in resources])
    names = ansible.host_names(given)
    named = sorted(((names[each.pk], each) for each in resources if each.pk in names), key=lambda pair: pair[0])
    targets = {each.ref: each.values() for each in run_targets.as_targets([each for _name, each in named])}
    ways, wrong = playbooks().hosts(
        {name: targets[ref(each)] for name, each in named}, accept_new=row.accept_new, ssh_key=bool(row.ssh_key)
    )
    if wrong:
        raise Invalid("playbook.reach", wrong[0], field="hosts", extra={"hosts": wrong[:50]})
    setup = {
        "hosts": ways, "refs": {name: ref(each) for name, each in named}, "inventory": ansible.document(given),
        "ssh_key": key_of(row.ssh_key), "accept_new": row.accept_new, "become": row.become,
    }  # fmt: skip
    return setup, named


# --- checks


def ask_check(*, actor: Actor, row: Playbook, drift: bool = False) -> PlaybookCheck:
    """Have `--check --diff` made, soon; one that waits already is returned. Event playbook.check_asked by a person."""
    check(actor, EDIT, team=row.owner_id)
    if row.retired_at is not None:
        raise Conflict("playbook.retired", _("This project is retired."), remedy=_("Save it again to bring it back."))
    with transaction.atomic():
        waiting = row.checks.filter(state=CheckState.WAITING, drift=drift).first()
        if waiting is not None:
            return waiting
        made = PlaybookCheck.objects.create(playbook=row, drift=drift, requested_by_name=actor.name[:150])
        jobs.enqueue(JOB, {"check": str(made.pk)}, unique_key=f"{JOB}:{made.pk}")
        if actor.kind != "system":
            ledger.record(
                actor=actor,
                verb="playbook.check_asked",
                subject=ref(row),
                payload={"name": row.name, "check": str(made.pk)},
            )
    return made


def do_check(check_id: UUID) -> None:
    """Make a check. Done twice it is made once; one that a kill cut off is made again, for it alters nothing."""
    begun = PlaybookCheck.objects.filter(pk=check_id, state__in=[CheckState.WAITING, CheckState.RUNNING])
    if not begun.update(state=CheckState.RUNNING, started_at=timezone.now()):
        return
    row = PlaybookCheck.objects.select_related("playbook").get(pk=check_id)
    try:
        setup, named = setup_of(row.playbook)
        known = {each.name: secrets.reveal(each.name) for each in _secret_names(setup)}
        outcome = playbooks().do(Work(setup, [name for name, _each in named], known), check=True)
    except Problem as problem:
        _fail(row, str(problem.detail))
        return
    if outcome.problem:
        _fail(row, outcome.problem)
        return
    _keep(row, setup, named, outcome)


def _secret_names(setup: Mapping[str, Any]) -> list[template.Name]:
    return [*template.names(setup["extra_vars"]), *template.names(setup["ssh_key"])]


def _fail(row: PlaybookCheck, why: str) -> None:
    with transaction.atomic():
        mine = PlaybookCheck.objects.filter(pk=row.pk, state=CheckState.RUNNING)
        if mine.update(state=CheckState.FAILED, problem=why[:2000], finished_at=timezone.now()):
            _told(row, "playbook.check_failed", {"why": why[:500]})


def _told(row: PlaybookCheck, verb: str, more: Mapping[str, Any]) -> None:
    payload = {"name": row.playbook.name, "check": str(row.pk), "drift": row.drift, **more}
    ledger.record(actor=CHECKER, verb=verb, subject=ref(row.playbook), payload=payload)


def _keep(row: PlaybookCheck, setup: Mapping[str, Any], named: list[tuple[str, Resource]], outcome: Outcome) -> None:
    by_name = {each.name: each for each in outcome.hosts}
    every = [by_name.get(name, HostResult(name, "ok")) for name, _each in named]
    kept = {each.name: playbook.kept(each) for each in every}
    now = timezone.now()
    with transaction.atomic():
        mine = PlaybookCheck.objects.filter(pk=row.pk, state=CheckState.RUNNING)
        if not mine.update(
            state=CheckState.DONE, setup=setup, content_sha256=playbook.content_hash(setup, kept), finished_at=now
        ):
            return
        PlaybookHost.objects.bulk_create(
            PlaybookHost(of_check=row, resource=resource, name=name, finished_at=now, **kept[name])
            for name, resource in named
        )
        changing = sum(1 for each in every if each.state == "changed")
        bad = sum(1 for each in every if each.state in ("failed", "unreachable"))
        if not row.drift:
            _told(row, "playbook.checked", {"hosts": len(every), "changing": changing, "failed": bad})
        old = row.playbook.checks.order_by("-created_at").values_list("pk", flat=True)[KEPT_CHECKS:]
        PlaybookCheck.objects.filter(pk__in=list(old)).delete()
    if row.drift:
        observe(row, every, dict(named))


def observe(row: PlaybookCheck, results: list[HostResult], named: Mapping[str, Resource]) -> None:
    """Write down as drift what a check saw; a host that failed or was not reached keeps what is known of it."""
    project = row.playbook
    looked = {each.name for each in results if each.state in playbook.LOOKED}
    drift_actions.observe(
        actor=CHECKER,
        origin=drift_actions.Origin(DriftSource.PLAYBOOK, ref(project), str(project)),
        found=playbook.found(results, {name: each.pk for name, each in named.items()}),
        looked=looked,
        look=Look(timezone.now(), project.drift_after, timedelta(seconds=project.tolerance_seconds)),
    )


def check_due() -> int:
    """Ask for the checks whose time has come; returns how many. Two processes at once ask for each once."""
    now = timezone.now()
    asked = 0
    for row in Playbook.objects.filter(next_check_at__lte=now, retired_at=None)[:200]:
        following = now + timedelta(seconds=max(row.check_every_seconds, MIN_EVERY_SECONDS))
        mine = Playbook.objects.filter(pk=row.pk, next_check_at=row.next_check_at)
        if mine.update(next_check_at=following):
            ask_check(actor=CHECKER, row=row, drift=True)
            asked += 1
    return asked


# --- runs


def request_run(*, actor: Actor, check_id: UUID, reason: str = "", expires_in_seconds: int = 3600) -> Run:
    """Ask for a run of exactly what a check showed: one step a batch, of a procedure that is written for it.

    Event run.requested, about the project. The approval is bound to the hash of folder, inventory, variables and plan.
    """
    row = PlaybookCheck.objects.select_related("playbook").filter(pk=check_id).first()
    if row is None:
        raise NotFound("playbook.check", _("There is no such check."), field="check", value=str(check_id))
    project = row.playbook
    check(actor, EDIT, team=project.owner_id)
    if row.state != CheckState.DONE or project.retired_at is not None:
        raise Conflict("playbook.not_checked", _("A run is made out of a check that is done."), value=row.state)
    hosts = list(row.hosts.select_related("resource"))
    todo = [each for each in hosts if each.state == "changed" and each.resource is not None]
    if not todo:
        raise Conflict("playbook.nothing", _("Nothing would change."), remedy=_("Check again after a change."))
    batches = playbook.batches_of([each.name for each in todo], project.batches)
    if len(batches) > playbook.MOST_BATCHES:
        raise Invalid(
            "playbook.batches", _("These are more than %(most)s batches.") % {"most": playbook.MOST_BATCHES},
            field="batches", remedy=_("Write larger batches."),
        )  # fmt: skip
    text = _procedure(project, row, batches)
    with transaction.atomic():
        procedure = runs.put_procedure(actor=CHECKER, name=procedure_name(project), text=text)
    run = runs.request_run(
        actor=actor, procedure=procedure, params={},
        targets=[f"inventory.resource:{each.resource_id}" for each in todo],
        about_ref=ref(project), reason=reason, expires_in_seconds=expires_in_seconds,
    )  # fmt: skip
    number = {name: at for at, names in enumerate(batches, start=1) for name in names}
    PlaybookHost.objects.bulk_create(
        [PlaybookHost(run=run, resource=each.resource, name=each.name, batch=number[each.name]) for each in todo],
        ignore_conflicts=True,
    )
    return run


def procedure_name(row: Playbook) -> str:
    """The name of the procedure that a project's runs are of."""
    return f"playbook-{row.name}"


def _procedure(project: Playbook, row: PlaybookCheck, batches: list[list[str]]) -> str:
    steps: list[dict[str, Any]] = []
    for number, names in enumerate(batches, start=1):
        if project.ask_between and number > 1:
            says = {
                "en": f"Go on with batch {number}: {len(names)} hosts?",
                "zh": f"继续第 {number} 批，共 {len(names)} 台？",
            }
            steps.append({"name": f"before batch {number}", "ask": {"question": says}})
        body: dict[str, Any] = {
            "check": str(row.pk), "content_sha256": row.content_sha256, "batch": number, "hosts": names,
            "max_fail_percent": project.max_fail_percent, "idempotent": project.idempotent,
            "timeout_seconds": row.setup["timeout_seconds"],
        }  # fmt: skip
        body |= {"extra_vars": row.setup["extra_vars"]} if row.setup["extra_vars"] else {}
        body |= {"ssh_key": row.setup["ssh_key"]} if row.setup["ssh_key"] else {}
        steps.append({"name": f"batch {number}", "playbook": body})
    told = {
        "name": procedure_name(project),
        "title": {"en": str(project), "zh": str(project)},
        "grade": "irreversible" if project.irreversible else "reversible",
        "max_targets": playbook.MAX_HOSTS,
        "lock": procedure_name(project),
        "steps": steps,
    }
    return json.dumps(told, ensure_ascii=False, indent=1)  # JSON is YAML, and has no anchors
