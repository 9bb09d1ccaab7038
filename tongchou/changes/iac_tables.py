"""The lists of workspaces and of their plans."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes import iac_reads, iac_states
from tongchou.changes.models_iac import Plan, PlanKind, PlanState, Program, Verdict, Workspace
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, chosen, register

VIEW = "changes.view"


def _plans(ids: Any) -> QuerySet[Plan]:
    return Plan.objects.filter(pk__in=ids).select_related("workspace").defer("output", "summary")


register(
    Table(
        "changes.workspace",
        _("Workspaces"),
        VIEW,
        iac_reads.workspaces,
        (
            Column("name", _("Name"), path="name", order=("name",)),
            Column("owner", _("Owner"), path="owner__name", value=lambda row: row.owner.name if row.owner else ""),
            Column("program", _("Program"), "choice", "program", choices=chosen(Program), shown=False),
            Column("directory", _("Folder"), path="directory"),
            Column("terraform_workspace", _("Workspace of the program"), path="terraform_workspace", shown=False),
            Column("resources", _("Resources"), "number", "resources"),
            Column("checked", _("Drift checked"), "moment", "drift_checked_at"),
            Column("enabled", _("Enabled"), "yes", "enabled", shown=False),
            Column("changed", _("Changed"), "moment", "updated_at", shown=False),
            Column("by", _("Changed by"), path="updated_by_name", shown=False),
        ),
        sort="name",
        search=("name", "directory"),
        load=lambda ids: Workspace.objects.filter(pk__in=ids).select_related("owner"),
        more=custom.columns("changes.workspace"),
    )
)
register(
    Table(
        "changes.plan",
        _("Plans"),
        VIEW,
        iac_reads.plans,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("workspace", _("Workspace"), path="workspace__name", value=lambda row: row.workspace.name),
            Column("number", _("Number"), "number", "number"),
            Column("kind", _("Kind"), "choice", "kind", choices=chosen(PlanKind)),
            Column("status", _("State"), "choice", "state", choices=chosen(PlanState)),
            Column("counts", _("Changes"), value=lambda row: counted(row.counts)),
            Column("verdict", _("Policy"), "choice", "verdict", choices=chosen(Verdict)),
            Column("by", _("Asked by"), path="requested_by_name"),
            Column("asked", _("Asked"), "moment", "created_at", order=("created_at", "id")),
            Column("applied_by", _("Applied by"), path="applied_by_name", shown=False),
            Column("applied", _("Applied at"), "moment", "apply_finished_at", shown=False),
            Column("sha256", _("Hash"), path="sha256", shown=False),
        ),
        sort="-asked",
        search=("workspace__name", "reason", "requested_by_name"),
        load=_plans,
        queues=(
            Queue("", _("All"), lambda rows, _actor: rows),
            Queue("ready", PlanState.READY.label, lambda rows, _actor: rows.filter(state=PlanState.READY)),
            Queue("under-way", _("Under way"), lambda rows, _actor: rows.filter(state__in=iac_states.OPEN)),
            Queue(
                "interrupted",
                PlanState.INTERRUPTED.label,
                lambda rows, _actor: rows.filter(state=PlanState.INTERRUPTED),
            ),
        ),
        queue_word="state",
        more=custom.columns("changes.plan"),
    )
)


def counted(counts: dict[str, int]) -> str:
    """The counts of a plan in the signs of Terraform: "+2 ~1 -1"; a replacement counts as -/+."""
    signs = (("create", "+"), ("update", "~"), ("replace", "-/+"), ("delete", "-"), ("forget", "."), ("drift", "≠"))
    return " ".join(f"{sign}{counts[key]}" for key, sign in signs if counts.get(key))
