"""The lists of alert groups, alerts, rules, silences, objectives and channels."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import matchers as matching
from tongchou.alerting import reads
from tongchou.alerting.models import (
    Alert,
    AlertStateChoice,
    Channel,
    GroupState,
    Health,
    Notification,
    Objective,
    Rule,
    Silence,
    SilenceState,
    Suppressed,
)
from tongchou.alerting.silences import silences
from tongchou.core.access import Actor, team_names
from tongchou.core.counting import count_of
from tongchou.core.lists import custom
from tongchou.core.lists.tables import Column, Queue, Table, by_state, chosen, register
from tongchou.telemetry.series import Matcher

VIEW = "alerting.view"


def _teams(actor: Actor) -> list[tuple[str, str]]:
    return [(name, name) for name in team_names(actor)]


def _labels(rows: QuerySet[Any], operator: str, value: str) -> QuerySet[Any]:
    """Every label has to be there: name, or name=value; with "not" none of them may be.

    The name is a key of the JSON, never a part of a lookup: a label may be called "contains" or "a__regex".
    """
    for part in (each.strip() for each in value.split(",") if each.strip()):
        name, has_value, text = part.partition("=")
        found = Q(labels__has_key=name)
        if has_value:  # has_key stays beside it: without it "not" would lose the rows that lack the label
            found &= Q(Exact(KeyTextTransform(name, "labels"), text))
        rows = rows.filter(found) if operator == "is" else rows.exclude(found)
    return rows


register(
    Table(
        "alerting.alertgroup",
        _("Alert groups"),
        VIEW,
        reads.visible_groups,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("severity", _("Severity"), path="severity"),
            Column("group", _("Group"), path="key"),
            Column("label", _("Labels"), "labels", value=lambda row: row.labels, narrow=_labels, shown=False),
            Column("firing", _("Firing"), "number", value=lambda row: row.firing),
            Column(
                "about",
                _("About"),
                value=lambda row: ", ".join(sorted({each.name for each in row.about})),
            ),
            Column(
                "team",
                _("Team"),
                "choice",
                "team__name",
                value=lambda row: row.team.name if row.team else None,
                choices=_teams,
                shown=False,
            ),
            Column("acknowledged", _("Acknowledged by"), path="acknowledged_by_name", shown=False),
            Column("held", _("Notices held"), "choice", "held_by", choices=chosen(Suppressed), shown=False),
            Column("since", _("Since"), "moment", "started_at"),
            Column("opened", _("Opened"), "moment", "opened_at", order=("opened_at", "id"), shown=False),
            Column("closed", _("Closed"), "moment", "closed_at", shown=False),
        ),
        sort="-opened",
        search=("key",),
        load=reads.listed_groups,
        queues=(
            Queue("open", _("Open groups"), lambda rows, _actor: rows.filter(state=GroupState.OPEN)),
            Queue("closed", _("History"), lambda rows, _actor: rows.filter(state=GroupState.CLOSED)),
            Queue("all", _("All"), lambda rows, _actor: rows),
        ),
        queue_word="state",
    )
)
register(
    Table(
        "alerting.alert",
        _("Alerts"),
        VIEW,
        reads.visible_alerts,
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("status", _("State"), "choice", "state", choices=chosen(AlertStateChoice)),
            Column("severity", _("Severity"), path="severity"),
            Column("alert", _("Alert"), path="name"),
            Column("label", _("Labels"), "labels", value=lambda row: row.labels, narrow=_labels),
            Column("value", _("Value"), "number", value=lambda row: row.value_text),
            Column("about", _("About"), value=lambda row: ", ".join(each.name for each in reads.resources_of(row))),
            Column("since", _("Active since"), "moment", "active_at", order=("active_at", "id")),
            Column("fired", _("Fired"), "moment", "fired_at", shown=False),
            Column("ended", _("Ended"), "moment", "resolved_at"),
            Column("suppressed", _("Held by"), "choice", "suppressed", choices=chosen(Suppressed), shown=False),
        ),
        sort="-since",
        search=("name",),
        load=lambda ids: (
            Alert.objects.filter(pk__in=ids).select_related("group", "rule").prefetch_related("resources__resource")
        ),
        queues=(
            Queue(
                "",
                _("Pending and firing"),
                lambda rows, _actor: rows.filter(state__in=[AlertStateChoice.PENDING, AlertStateChoice.FIRING]),
            ),
            *by_state(AlertStateChoice),
        ),
        queue_word="state",
    )
)


def _load_rules(ids: Any) -> QuerySet[Rule]:
    return reads.rules().filter(pk__in=ids)


register(
    Table(
        "alerting.rule",
        _("Rules"),
        VIEW,
        lambda _actor: Rule.objects.filter(retired_at__isnull=True, group__isnull=False),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("health", _("Health"), "choice", "health", choices=chosen(Health)),
            Column("rule", _("Rule"), path="name", order=("name", "id")),
            Column(
                "kind",
                _("Kind"),
                "choice",
                "kind",
                choices=lambda _actor: (("alert", _("Alert")), ("record", _("Recording"))),
            ),
            Column("file", _("File"), path="group__file__name", value=lambda row: row.group.file.name),
            Column("group", _("Group"), path="group__name", value=lambda row: row.group.name),
            Column("expression", _("Expression"), path="expr"),
            Column("for", _("Holds for"), "number", "for_seconds", unit="s"),
            Column("firing", _("Firing"), "number", value=lambda row: row.firing),
            Column("evaluated", _("Evaluated"), "moment", "evaluated_at"),
            Column("took", _("Took"), "number", "duration_seconds", unit="s"),
            Column("error", _("Error"), path="last_error", shown=False),
        ),
        sort="rule",
        search=("name", "expr"),
        load=_load_rules,
    )
)


def _matchers(row: Silence) -> str:
    """As they are written: what is exported can be read again."""
    return matching.text_of(Matcher(each["name"], each["op"], each["value"]) for each in row.matchers)


def _silence_queue(state: SilenceState) -> Queue:
    return Queue(state.value, state.label, lambda rows, _actor: rows & silences(state=state.value).order_by())


register(
    Table(
        "alerting.silence",
        _("Silences"),
        VIEW,
        lambda _actor: Silence.objects.all(),
        (
            Column("id", _("Id"), value=lambda row: str(row.pk), shown=False),
            Column("status", _("State"), value=lambda row: row.state_at(timezone.now()).value),
            Column("matchers", _("Matchers"), value=_matchers),
            Column("why", _("Why"), path="comment"),
            Column("by", _("By"), path="created_by_name"),
            Column("starts", _("From"), "moment", "starts_at"),
            Column("ends", _("Until"), "moment", "ends_at", order=("ends_at", "id")),
        ),
        sort="-ends",
        search=("comment", "created_by_name"),
        queues=(
            Queue("all", _("All"), lambda rows, _actor: rows),
            *(_silence_queue(state) for state in SilenceState),
        ),
        queue_word="state",
    )
)


def _title(row: Objective) -> str:
    wanted = "zh" if (translation.get_language() or "").startswith("zh") else "en"
    return str(row.title.get(wanted) or next(iter(row.title.values()), row.name))


def _budget(name: str) -> Any:
    return lambda row: (row.measured.get("budget") or {}).get(name)


register(
    Table(
        "alerting.objective",
        _("Objectives"),
        VIEW,
        lambda _actor: Objective.objects.all(),
        (
            Column("name", _("Name"), path="name", order=("name",), shown=False),
            Column("title", _("Objective"), value=_title),
            Column("title_en", _("Title (English)"), value=lambda row: row.title.get("en", ""), shown=False),
            Column("title_zh", _("Title (Chinese)"), value=lambda row: row.title.get("zh", ""), shown=False),
            Column("service", _("Service"), path="service"),
            Column("left", _("Left"), "number", value=_budget("left_ratio")),
            Column("target", _("Target"), "number", "target"),
            Column("window", _("Window"), "number", "window_seconds", unit="s"),
            Column("error_query", _("Errors"), path="error_query", shown=False),
            Column("total_query", _("Events"), path="total_query", shown=False),
            Column("min_events", _("Least events"), "number", "min_events", shown=False),
            Column("min_errors", _("Least errors"), "number", "min_errors", shown=False),
            Column("measured", _("Measured"), "moment", "measured_at"),
            Column("changed", _("Changed"), "moment", "updated_at", shown=False),
        ),
        sort="name",
        search=("name", "service"),
        more=custom.columns("alerting.objective"),
    )
)
register(
    Table(
        "alerting.channel",
        _("Channels"),
        VIEW,
        lambda _actor: Channel.objects.annotate(
            queued=count_of(Notification.objects.filter(state="queued"), "channel")
        ),
        (
            Column("name", _("Channel"), path="name", order=("name",)),
            Column("kind", _("Kind"), path="kind"),
            Column("enabled", _("Enabled"), "yes", "enabled"),
            Column("sent", _("Last sent"), "moment", "last_sent_at"),
            Column("failures", _("Failures"), "number", "failures"),
            Column("error", _("Last error"), path="last_error"),
        ),
        sort="name",
        search=("name", "kind"),
    )
)
