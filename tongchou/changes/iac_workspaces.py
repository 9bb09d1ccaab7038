"""Every write of workspaces: make one, change it, remove it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_journal, iac_places, iac_policy
from tongchou.changes.iac_states import UNDER_WAY
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_iac import Plan, PlanState, Program, Workspace
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, check
from tongchou.core.models import Team
from tongchou.core.problems import Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.inventory import sources
from tongchou.runbooks.definition import offered

MANAGE = "changes.manage"
SECRETS = "secrets.manage"
MIN_INTERVAL, MAX_INTERVAL = 300, 31 * 86_400
MAX_TIMEOUT = 7200
MAX_SECRETS = 50
_NAME = re.compile(r"\A[a-z0-9][a-z0-9-]{0,62}\Z")
_WORKSPACE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,89}\Z")
_VARIABLE = re.compile(r"\A[A-Za-z_][A-Za-z0-9_-]{0,99}\Z")
_ENVIRONMENT = re.compile(r"\A[A-Z][A-Z0-9_]{0,99}\Z")
# what would change which program runs, or where it writes
_KEPT = re.compile(
    r"\A(?:TF_.*|TOFU_.*|LD_.*|DYLD_.*|PYTHON.*|GIT_.*|BASH_ENV|ENV|PATH|HOME|TMPDIR|SHELL|IFS|CHECKPOINT_.*)\Z"
)
# a plan that was made with another one of these is of no use
BINDING = ("program", "directory", "terraform_workspace", "var_files", "secret_variables", "secret_environment")


@dataclass(frozen=True)
class Wanted:
    """What a workspace is to be; see Workspace."""

    directory: str
    owner: UUID | None = None
    program: str = Program.TERRAFORM.value
    terraform_workspace: str = "default"
    var_files: list[str] = field(default_factory=list)
    secret_variables: dict[str, str] = field(default_factory=dict)
    secret_environment: dict[str, str] = field(default_factory=dict)
    plan_interval_seconds: int = 0
    drift_interval_seconds: int = 0
    alarm_after: int = 2
    policy: list[Any] = field(default_factory=list)
    run_checker: bool = False
    state_source: str = ""
    lock_timeout_seconds: int = 60
    timeout_seconds: int = 1800
    enabled: bool = True


def put_workspace(*, actor: Actor, name: str, wanted: Wanted) -> Workspace:
    """Make the workspace of this name, or change it; plans that were made otherwise are outdated.

    Which secrets it is given, and which source of the inventory it feeds, is for who may manage those.
    Event workspace.changed with old and new.
    """
    check(actor, MANAGE, team=wanted.owner)
    if not _NAME.match(name):
        raise _refused("name", name, _("A workspace's name has lower-case letters, digits and - only, at most 63."))
    new = _checked(wanted)
    with transaction.atomic():
        row = Workspace.objects.select_for_update().filter(name=name).first()
        old = _facts(row) if row else None
        if row is not None:
            check(actor, MANAGE, team=row.owner_id)
        _check_borrowed(actor, old or _facts(Workspace()), new)
        if row is not None and old == new:
            return row
        row = row or Workspace(name=name)
        for key, value in new.items():
            setattr(row, "owner_id" if key == "owner" else key, value)
        _schedule(row, old, new)
        row.updated_at, row.updated_by_id, row.updated_by_name = timezone.now(), actor.user_id, actor.name
        row.save()
        told = {key: value for key, value in new.items() if old is None or old[key] != value}
        before = {key: old[key] for key in told} if old else None
        payload = {"name": name, "old": _plain(before), "new": _plain(told)}
        ledger.record(actor=actor, verb="workspace.changed", subject=ref(row), payload=payload)
        if old is not None and any(key in told for key in BINDING):
            iac_journal.outdate(actor, row, "workspace_changed")
    return row


def _plain(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return (
        None if facts is None else {key: str(item) if isinstance(item, UUID) else item for key, item in facts.items()}
    )


def _facts(row: Workspace) -> dict[str, Any]:
    return {each.name: row.owner_id if each.name == "owner" else getattr(row, each.name) for each in fields(Wanted)}


def _schedule(row: Workspace, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    """The first check comes at once, and again when an interval was changed."""
    now = timezone.now()
    for at, interval in (("next_plan_at", "plan_interval_seconds"), ("next_drift_at", "drift_interval_seconds")):
        if not new[interval] or not new["enabled"]:
            setattr(row, at, None)
        elif old is None or old[interval] != new[interval] or getattr(row, at) is None:
            setattr(row, at, now + timedelta(seconds=0 if old is None else min(60, new[interval])))


def _refused(name: str, value: object, detail: str | Promise, remedy: str | Promise = "") -> Invalid:
    return Invalid(f"workspace.{name.partition('[')[0]}", detail, field=name, value=value, remedy=remedy or None)


def _checked(wanted: Wanted) -> dict[str, Any]:
    new = {each.name: getattr(wanted, each.name) for each in fields(Wanted)}
    if wanted.owner is not None and not Team.objects.filter(pk=wanted.owner).exists():
        raise _refused("owner", wanted.owner, _("There is no such team."))
    if wanted.program not in Program.values:
        raise _refused("program", wanted.program, _("The program is terraform or tofu."))
    if not _WORKSPACE.match(wanted.terraform_workspace):
        raise _refused("terraform_workspace", wanted.terraform_workspace, _("This is no name of a workspace."))
    folder = iac_places.directory(wanted.directory)
    iac_places.var_files(folder, wanted.var_files)
    for name in ("plan_interval_seconds", "drift_interval_seconds"):
        _bounded(name, new[name], MIN_INTERVAL, MAX_INTERVAL, zero=True)
    _bounded("alarm_after", wanted.alarm_after, 1, 100)
    _bounded("lock_timeout_seconds", wanted.lock_timeout_seconds, 0, 600)
    _bounded("timeout_seconds", wanted.timeout_seconds, 60, MAX_TIMEOUT)
    _check_secrets("secret_variables", wanted.secret_variables, _VARIABLE)
    _check_secrets("secret_environment", wanted.secret_environment, _ENVIRONMENT)
    new["policy"] = iac_policy.checked(wanted.policy)
    return new


def _bounded(name: str, value: int, least: int, most: int, *, zero: bool = False) -> None:
    if not (least <= value <= most or (zero and value == 0)):
        says = (
            _("A number from %(least)s to %(most)s is wanted, or 0 for never.")
            if zero
            else _("A number from %(least)s to %(most)s is wanted.")
        )
        raise _refused(name, value, says % {"least": least, "most": most})


def _check_secrets(name: str, given: Mapping[str, str], pattern: re.Pattern[str]) -> None:
    known = set(secrets.names()) if given else set()
    if len(given) > MAX_SECRETS:
        raise _refused(name, len(given), _("There are at most %(n)s of them.") % {"n": MAX_SECRETS})
    for variable, secret in given.items():
        if not pattern.match(variable) or (name == "secret_environment" and _KEPT.match(variable)):
            raise _refused(f"{name}[{variable[:80]}]", "", _("A variable of this name is not given."))
        if secret not in known or not offered(secret):
            says = _("There is no secret named %(name)s that workspaces may use.") % {"name": secret[:120]}
            raise _refused(f"{name}[{variable}]", "", says, _("Create it under Settings, Secrets; without a colon."))


def _check_borrowed(actor: Actor, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if any(old[key] != new[key] for key in ("secret_variables", "secret_environment")):
        check(actor, SECRETS)
    # whoever chooses what runs with the secrets may as well have them
    if (new["secret_variables"] or new["secret_environment"]) and any(
        old[key] != new[key] for key in ("directory", "program", "terraform_workspace", "var_files")
    ):
        check(actor, SECRETS)
    if new["state_source"] and new["state_source"] != old["state_source"]:
        check(actor, sources.MANAGE)
        source = sources.get_source(new["state_source"])
        if source.kind != "terraform":
            raise _refused("state_source", source.name, _("This source does not read states of Terraform."))


def remove_workspace(*, actor: Actor, workspace: Workspace) -> None:
    """Remove a workspace with its plans and drift; what it made and its state stay. Event workspace.removed."""
    with transaction.atomic():
        row = Workspace.objects.select_for_update().get(pk=workspace.pk)
        check(actor, MANAGE, team=row.owner_id)
        if Plan.objects.filter(workspace=row, state__in=UNDER_WAY).exists():
            raise Conflict(
                "workspace.busy",
                _("A plan of this workspace is under way."),
                remedy=_("Wait until it has ended, or stop it."),
            )
        iac_journal.outdate(actor, row, "workspace_removed")
        Plan.objects.filter(workspace=row, state=PlanState.QUEUED).update(state=PlanState.DISCARDED)
        Drift.objects.filter(source_ref=ref(row)).delete()
        ledger.record(actor=actor, verb="workspace.removed", subject=ref(row), payload={"name": row.name})
        row.delete()
