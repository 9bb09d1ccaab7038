"""The lists of procedures and runs."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, chosen, register
from tongchou.runbooks import reads
from tongchou.runbooks.models import Grade, Procedure, Run, RunState

VIEW = "runbooks.view"
OPEN = [each.value for each in RunState if each not in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)]


def _title(row: Procedure) -> str:
    wanted = "zh" if (translation.get_language() or "").startswith("zh") else "en"
    texts = row.title if isinstance(row.title, dict) else {}
    return str(texts.get(wanted) or next(iter(texts.values()), row.name))


register(
    Table(
        "runbooks.procedure",
        _("Procedures"),
        VIEW,
        lambda actor: reads.procedures(actor, retired=True),
        (
            Column("title", _("Title"), value=_title),
            Column("name", _("Name"), path="name", order=("name",)),
            Column("grade", _("Grade"), "choice", "grade", choices=chosen(Grade)),
            Column("fits", _("Fits alerts"), value=lambda row: row.matches),
            Column("version", _("Version"), "number", "version_number"),
            Column("changed", _("Changed"), "moment", "updated_at"),
            Column("by", _("Changed by"), path="updated_by_name", shown=False),
        ),
        sort="name",
        search=("name", "title"),
        queues=(
            Queue("active", _("Active"), lambda rows, _actor: rows.filter(state="active")),
            Queue("retired", _("Retired"), lambda rows, _actor: rows.filter(state="retired")),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
        more=custom.columns("runbooks.procedure"),
    )
)


def _load(ids: Any) -> QuerySet[Run]:
    return Run.objects.filter(pk__in=ids).select_related("procedure")


register(
    Table(
        "runbooks.run",
        _("Runs"),
        VIEW,
        reads.runs,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("status", _("State"), "choice", "state", choices=chosen(RunState)),
            Column("procedure", _("Procedure"), path="procedure__name", value=lambda row: row.procedure.name),
            Column(
                "targets",
                _("Targets"),
                value=lambda row: ", ".join(
                    str(each.get("name", "")) if isinstance(each, dict) else str(each) for each in row.targets
                ),
            ),
            Column("grade", _("Grade"), "choice", "grade", choices=chosen(Grade)),
            Column("by", _("Asked by"), path="requested_by_name"),
            Column("incident", _("Incident"), "number", "incident_number"),
            Column("asked", _("Asked"), "moment", "created_at", order=("created_at", "id")),
            Column("started", _("Started"), "moment", "started_at", shown=False),
            Column("finished", _("Finished"), "moment", "finished_at", shown=False),
            Column(
                "took",
                _("Took"),
                "number",
                value=lambda row: (
                    round((row.finished_at - row.started_at).total_seconds(), 1)
                    if row.started_at and row.finished_at
                    else None
                ),
                unit="s",
            ),
        ),
        sort="-asked",
        search=("procedure__name", "requested_by_name", "reason"),
        load=_load,
        queues=(
            Queue("", _("All"), lambda rows, _actor: rows),
            Queue("open", _("Under way"), lambda rows, _actor: rows.filter(state__in=OPEN)),
            Queue("paused", _("Paused"), lambda rows, _actor: rows.filter(state=RunState.PAUSED)),
            Queue("failed", _("Failed"), lambda rows, _actor: rows.filter(state=RunState.FAILED)),
        ),
        queue_word="state",
        more=custom.columns("runbooks.run"),
    )
)
