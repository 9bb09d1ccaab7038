"""The nouns of alerting that people work with."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import reads
from tongchou.alerting.models import AlertGroup, AlertResource, Objective, RuleFile, Silence
from tongchou.alerting.silences import silences
from tongchou.alerting.slo.reads import objectives
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.field_types import localized
from tongchou.core.nouns import Noun, register
from tongchou.core.watching import team_ref

VIEW = "alerting.view"
MAX_RESOURCES = 100


def _edit(actor: Actor, row: Any) -> None:
    check(actor, "alerting.edit")


def _respond(actor: Actor, row: Any) -> None:
    check(actor, "alerting.respond")


def _groups(actor: Actor) -> QuerySet[AlertGroup]:
    check_anywhere(actor, VIEW)
    return reads.groups(actor=actor)


def _silences(actor: Actor) -> QuerySet[Silence]:
    check_anywhere(actor, VIEW)
    return silences()


def _objectives(actor: Actor) -> QuerySet[Objective]:
    check_anywhere(actor, VIEW)
    return objectives()


def _rule_files(actor: Actor) -> QuerySet[RuleFile]:
    check_anywhere(actor, VIEW)
    return reads.rule_files()


def _of_group(row: Any) -> list[str]:
    """The resources its alerts are about, and its team."""
    about = AlertResource.objects.filter(alert__group=row).values_list("resource_id", flat=True).distinct()
    return [
        *(f"inventory.resource:{resource}" for resource in about[:MAX_RESOURCES]),
        *([team_ref(row.team_id)] if row.team_id else []),
    ]


register(
    Noun(
        "alerting.alertgroup",
        _("Alert group"),
        _("Alert groups"),
        VIEW,
        _groups,
        lambda actor, row: check(actor, "alerting.respond", team=row.team_id),
        watched_through=_of_group,
        words=lambda row: [*row.labels.values()],
    )
)
register(
    Noun(
        "alerting.silence",
        _("Silence"),
        _("Silences"),
        VIEW,
        _silences,
        _respond,
        words=lambda row: [row.comment, row.created_by_name],
    )
)
register(
    Noun(
        "alerting.objective",
        _("Objective"),
        _("Objectives"),
        VIEW,
        _objectives,
        _edit,
        custom_fields=True,
        called=lambda row: localized(row.title, row.name),
        words=lambda row: [row.name, row.service, *row.title.values()],
    )
)
register(Noun("alerting.rulefile", _("Rule file"), _("Rule files"), VIEW, _rule_files, _edit))
