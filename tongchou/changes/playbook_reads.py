"""Named reads of Ansible projects for the API and the pages."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_playbooks import Playbook, PlaybookCheck, PlaybookHost
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.problems import NotFound
from tongchou.core.refs import ref
from tongchou.runbooks import reads as run_reads
from tongchou.runbooks.models import Run

VIEW = "changes.view"


def visible(actor: Actor) -> QuerySet[Playbook]:
    """Return the projects an actor may see, by name: those of their teams, with a global role all."""
    check_anywhere(actor, VIEW)
    rows = Playbook.objects.select_related("owner").order_by("name")
    teams = visible_teams(actor)
    return rows if teams is None else rows.filter(owner__in=teams)


def project(actor: Actor, name: str) -> Playbook:
    """Return one project by its name; raises NotFound."""
    row = visible(actor).filter(name=name).first()
    if row is None:
        raise NotFound("playbook.unknown", _("There is no such project."), field="name", value=name)
    return row


def checks(row: Playbook) -> QuerySet[PlaybookCheck]:
    """Return the checks of a project, the newest first, without what they were made with."""
    return row.checks.defer("setup").order_by("-created_at", "-id")


def check(actor: Actor, check_id: UUID) -> PlaybookCheck:
    """Return one check of a project that the actor may see; raises NotFound."""
    rows = PlaybookCheck.objects.select_related("playbook__owner").filter(playbook__in=visible(actor).values("pk"))
    row = rows.filter(pk=check_id).first()
    if row is None:
        raise NotFound("playbook.check", _("There is no such check."), field="check", value=str(check_id))
    return row


def runs(actor: Actor, row: Playbook) -> QuerySet[Run]:
    """Return the runs of a project that the actor may see, the newest first."""
    return run_reads.runs(actor).filter(about_ref=ref(row)).order_by("-created_at", "-id")


def run_hosts(actor: Actor, run_id: UUID) -> tuple[Run, list[PlaybookHost]]:
    """Return a run with its hosts, batch by batch; raises NotFound."""
    row = run_reads.run(actor, run_id)
    return row, list(PlaybookHost.objects.filter(run=row).select_related("resource").order_by("batch", "name"))
