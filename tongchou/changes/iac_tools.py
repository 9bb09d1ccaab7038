"""The tools and checkers that integrations bring, and whether anything may be run at all."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_places
from tongchou.changes.models_iac import Workspace
from tongchou.changes.ports import PlanChecker, Tool, Where
from tongchou.core import secrets, settings_store
from tongchou.core.problems import Conflict, Unavailable
from tongchou.core.registry import implementations


def tool_for(program: str) -> Tool:
    """The tool that runs a program; Unavailable where none does, or it is not installed."""
    for each in implementations(Tool):  # type: ignore[type-abstract]  # a Protocol is meant
        if program in each.programs:
            missing = each.missing(program)
            if missing:
                raise Unavailable("workspace.program", missing, field="program", value=program)
            return each
    raise Unavailable("workspace.program", _("No integration runs this program."), field="program", value=program)


def checkers() -> list[PlanChecker]:
    """The checkers of plans that are installed."""
    found = implementations(PlanChecker)  # type: ignore[type-abstract]  # the same
    return [each for each in found if each.installed()]


def check_execution() -> None:
    """Raise Conflict unless execution is on: to plan runs programs, too, with the workspace's secrets."""
    if settings_store.get("execution.stopped"):
        raise Conflict(
            "execution.stopped",
            _("The emergency stop is on: nothing is planned or applied."),
            remedy=_("Resume execution on the page of runs."),
        )
    if not settings_store.get("execution.enabled"):
        raise Conflict(
            "execution.disabled",
            _("Execution is off: nothing is planned or applied."),
            remedy=_("An administrator turns on the setting %(key)s.") % {"key": "execution.enabled"},
        )


def where(row: Workspace) -> Where:
    """The workspace for its tool, with its secrets in clear; raises Problem for what is not there any more."""
    folder = iac_places.directory(row.directory)
    given = {f"TF_VAR_{name}": secrets.reveal(secret) for name, secret in row.secret_variables.items()}
    more = {name: secrets.reveal(secret) for name, secret in row.secret_environment.items()}
    return Where(
        key=str(row.pk),
        program=row.program,
        directory=folder,
        workspace=row.terraform_workspace,
        var_files=iac_places.var_files(folder, row.var_files),
        environment={**more, **given},
        lock_timeout_seconds=row.lock_timeout_seconds,
        timeout_seconds=row.timeout_seconds,
    )
