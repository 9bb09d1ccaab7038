"""What people do to objectives: put and delete them, with the rule file each one makes; and the periodic measuring."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tongchou.alerting.actions import check_expression, delete_rule_file, put_rule_file
from tongchou.alerting.models import Objective, RuleFile
from tongchou.alerting.slo import reads, rules
from tongchou.alerting.slo.spec import Spec, mistake, over
from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Invalid, Problem
from tongchou.core.refs import ref

log = logging.getLogger(__name__)


def put_objective(*, actor: Actor, spec: Spec) -> Objective:
    """Create or change the objective of this name, and put its alert rules in force as the file `slo-<name>`.

    The same objective again changes nothing. Raises Invalid naming the field. Event alerting.objective_changed.
    """
    check(actor, "alerting.edit")
    check_spec(spec)
    fields = {**asdict(spec), "target": float(spec.target)}
    name = fields.pop("name")
    with transaction.atomic():
        row, created = Objective.objects.select_for_update().get_or_create(
            name=name, defaults=fields | {"updated_by_name": actor.name}
        )
        changed = [each for each, value in fields.items() if getattr(row, each) != value]
        put_rule_file(actor=actor, name=rules.file_name(name), text=rules.text(spec))
        if not created and not changed:
            return row
        for each in changed:
            setattr(row, each, fields[each])
        if changed:
            row.measured, row.measured_at = {}, None  # what was measured was measured of something else
        row.updated_at, row.updated_by_name = timezone.now(), actor.name
        row.save()
        ledger.record(
            actor=actor,
            verb="alerting.objective_changed",
            subject=ref(row),
            payload={"name": name, "created": created, **fields},
        )
    return row


def check_spec(spec: Spec) -> None:
    """Raise Invalid for the first field of an objective that will not do."""
    wrong = mistake(spec)
    if wrong is None:
        for name, query in (("error_query", spec.error_query), ("total_query", spec.total_query)):
            try:
                check_expression(over(query, 300))
            except ValueError as error:
                raise Invalid("slo.query", str(error), field=name, value=query[:500]) from None
        return
    raise Invalid(
        f"slo.{wrong.field}", wrong.says, field=wrong.field, value=str(wrong.value)[:500], remedy=wrong.remedy
    )


def delete_objective(*, actor: Actor, name: str) -> None:
    """Remove an objective and its rules; their alerts are resolved. Event alerting.objective_deleted."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        row = reads.get(name)
        if RuleFile.objects.filter(name=rules.file_name(name)).exists():
            delete_rule_file(actor=actor, name=rules.file_name(name))
        ledger.record(actor=actor, verb="alerting.objective_deleted", subject=ref(row), payload={"name": name})
        row.delete()


def measure_all(*, actor: Actor, at: datetime) -> int:
    """Measure every objective and keep the figures for lists; returns how many. A bad one does not stop the rest."""
    check(actor, "alerting.edit")
    done = 0
    for row in reads.objectives():
        try:
            found: dict[str, object] = reads.measure(reads.spec_of(row), at).as_json()
        except Problem as error:
            log.warning("objective %s could not be measured: %s", row.name, error.detail)
            found = {"error": str(error.detail)[:500]}
        # Figures of an hour ago about another target would be wrong: only the row that was read is written.
        done += Objective.objects.filter(pk=row.pk, updated_at=row.updated_at).update(measured=found, measured_at=at)
    return done
