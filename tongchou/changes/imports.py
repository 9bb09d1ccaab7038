"""How a record of a file becomes a deployment that happened. Known by source and delivery; history is not changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import (
    actions,
    deployment,
    reads,
    requirement_imports,  # noqa: F401  # registers its importer: only this file is found by name
)
from tongchou.changes.models import Deployment, DeploymentStatus
from tongchou.core import nouns
from tongchou.core.access import Actor, check
from tongchou.core.lists import custom
from tongchou.core.lists.custom import PREFIX
from tongchou.core.lists.importers import Importer, ImportField, Values, each_found, register
from tongchou.core.lists.reading import moment, moment_text
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem

KIND = "changes.deployment"
EDIT = "changes.edit"
SOURCE = "import"  # whose word a deployment is that comes from a file: no file speaks for a deployment tool

FIELDS = (
    ImportField("service", _("Service"), required=True),
    ImportField("version", _("Version"), required=True),
    ImportField("started", _("Started"), required=True, help=_("a time, such as 2026-03-02 10:00:00")),
    ImportField("finished", _("Finished"), help=_("wanted unless it is running")),
    ImportField("status", _("Status"), help=", ".join(DeploymentStatus.values)),
    ImportField("environment", _("Environment")),
    ImportField("previous", _("Version before"), help=_("empty: that of the deployment before")),
    ImportField("by", _("Who")),
    ImportField("url", _("Address")),
    ImportField("source", _("Source"), help=_("of one that is there; new ones are of: import")),
    ImportField(
        "delivery", _("Delivery"), help=_("what tells it from others of its source; empty: made out of the row")
    ),
)
# column -> column of the table and field of a report, where they are plain texts
TEXTS = {
    "service": "service_name",
    "version": "version",
    "environment": "environment",
    "previous": "previous_version",
    "by": "actor_name",
    "url": "url",
}
REPORT = {"service": "service", "version": "version", "environment": "environment", "url": "url"} | {
    "previous": "previous_version",
    "by": "actor",
    "started": "started_at",
    "finished": "finished_at",
    "status": "status",
    "delivery": "delivery_id",
}
TIMES = ("started", "finished")


def _read(_actor: Actor, record: Mapping[str, str]) -> Values:
    """Only cells that say something: what is empty is not told, and a later look may know it."""
    values: Values = {name: record[name].strip() for name in TEXTS if record.get(name)}
    for name in ("service", "version"):
        if not values.get(name):
            raise Invalid("import.wanted", _("It is required and may not be empty."), field=name)
    for name in TIMES:
        at = moment(record.get(name, ""), name)
        if at is not None:
            values[name] = at.isoformat()
    if "started" not in values:
        raise Invalid("import.wanted", _("It is required and may not be empty."), field="started")
    if record.get("status"):
        word = record["status"].strip().lower()
        values["status"] = deployment.STATUSES.get(word, word)
    if values.get("status") == DeploymentStatus.RUNNING:
        values.pop("finished", None)
    values["source"] = record.get("source", "").strip() or SOURCE
    values["delivery"] = record.get("delivery", "").strip() or _delivery(values)
    return values | custom.read_cells(KIND, record)


def _delivery(values: Values) -> str:
    """The same row is the same deployment, however often its file is imported."""
    said = [values.get(name, "") for name in ("service", "version", "environment", "started")]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:32]


def _now(row: Deployment) -> Values:
    return {
        **{name: getattr(row, field) for name, field in TEXTS.items()},
        "started": moment_text(row.started_at),
        "finished": moment_text(row.finished_at) if row.finished_at else None,
        "status": row.status,
        "source": row.source,
        "delivery": row.delivery_id,
        **custom.cells_of(row),
    }


def _find(actor: Actor, many: Sequence[Values]) -> list[Any]:
    wanted = Q(delivery_id__in=[each["delivery"] for each in many])
    by_key = {(row.source, row.delivery_id): row for row in Deployment.objects.filter(wanted).select_related("service")}
    keys = [row.pk for row in by_key.values()]
    seen = set(reads.deployments(actor).filter(pk__in=keys).values_list("pk", flat=True))

    def find(values: Values) -> Deployment | None:
        row = by_key.get((values["source"], values["delivery"]))
        if row is None:
            _report(values)
            custom.first_cells(KIND, values)
        else:
            _refuse_rewriting(row, values, seen=row.pk in seen)
        return row

    return each_found(many, find)


def _refuse_rewriting(row: Deployment, values: Values, *, seen: bool) -> None:
    if not seen:
        raise NotFound("import.unseen", _("It is there already, and not yours to see."), field="delivery")
    was = _now(row)
    wrong = next((name for name in values if not name.startswith(PREFIX) and values[name] != was[name]), None)
    if wrong:
        raise Conflict(
            "deployment.history",
            _("A deployment that was recorded is history: only its custom fields change."),
            field=wrong,
            value=values[wrong],
            remedy=_("It says: %(now)s.") % {"now": was[wrong] or "-"},
        )


def _report(values: Values) -> deployment.Report:
    """What a deployment tool would have sent; Invalid names the column."""
    if values["source"] != SOURCE:
        raise Invalid(
            "import.source",
            _("A file does not speak for a deployment tool."),
            field="source",
            value=values["source"][:80],
            remedy=_("Leave the source empty for what happened elsewhere."),
        )
    if "finished" not in values and values.get("status") != DeploymentStatus.RUNNING:
        raise Invalid("import.wanted", _("It is wanted unless it is running."), field="finished")
    body = {field: values[name] for name, field in REPORT.items() if name in values}
    try:
        return deployment.read(body, now=timezone.now())
    except Problem as problem:
        problem.field = next((name for name, field in REPORT.items() if field == problem.field), problem.field)
        raise


def _create(actor: Actor, values: Values) -> Deployment:
    row, _new = actions.record_deployment(actor=actor, source=SOURCE, report=_report(values))
    custom.start_cells(actor, row, KIND, values)
    return row


def _check(actor: Actor, row: Any) -> None:
    if row is None:
        check(actor, EDIT)
    else:
        nouns.check_change(actor, row)


register(
    Importer(
        KIND,
        _("Deployments"),
        EDIT,
        lambda: [*FIELDS, *custom.import_fields(KIND)],
        _read,
        _find,
        _now,
        lambda values: f"{values['service']} {values['version']}",
        _create,
        custom.write_cells,
        None,
        _check,
        same_as=lambda values: (values["source"], values["delivery"]),
        no_way_back=_("Deployments that were recorded stay: they are history. Custom fields are put back."),
    )
)
