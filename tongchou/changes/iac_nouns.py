"""Workspaces and their plans as nouns that people work with."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_reads
from tongchou.core.access import Actor, check
from tongchou.core.nouns import Noun, register
from tongchou.core.refs import ref
from tongchou.core.watching import team_ref


def _check_workspace(actor: Actor, row: Any) -> None:
    check(actor, "changes.edit", team=row.owner_id)


def _of_workspace(row: Any) -> list[str]:
    """The team that owns it."""
    return [team_ref(row.owner_id)] if row.owner_id else []


register(
    Noun(
        "changes.workspace",
        _("Workspace"),
        _("Workspaces"),
        "changes.view",
        iac_reads.workspaces,
        _check_workspace,
        custom_fields=True,
        watched_through=_of_workspace,
        words=lambda row: [row.name, row.directory, row.terraform_workspace],
    )
)
register(
    Noun(
        "changes.plan",
        _("Plan of a workspace"),
        _("Plans of workspaces"),
        "changes.view",
        iac_reads.plans,
        lambda actor, row: _check_workspace(actor, row.workspace),
        custom_fields=True,
        called=lambda row: str(row.name),
        watched_through=lambda row: [ref(row.workspace), *_of_workspace(row.workspace)],
    )
)
