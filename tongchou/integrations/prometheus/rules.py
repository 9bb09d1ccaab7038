"""GET rules and alerts of the Prometheus API: what is evaluated, how it goes, and what is pending or fires."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from uuid import UUID

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tongchou.alerting import reads
from tongchou.alerting.models import Alert, AlertStateChoice, Rule, RuleGroup
from tongchou.alerting.run_time_settings import INTERVAL
from tongchou.core import settings_store
from tongchou.core.problems import BadRequest
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.request import alerts_api, reader, value_of, values_of
from tongchou.wire.go_time import rfc3339

MAX_ALERTS = 10_000
KINDS = {"alert": "alerting", "record": "recording"}
_encode = msgspec.json.encode


@alerts_api
def rules(request: HttpRequest) -> bytes:
    """Groups of rules with health and alerts; ?type=alert|record, rule_name[], rule_group[], file[], exclude_alerts."""
    kind = value_of(request, "type")
    if kind and kind not in KINDS:
        raise BadRequest(
            "telemetry.bad_parameter", _("not supported value %(value)r") % {"value": kind}, field="type", value=kind
        )
    wanted = {
        "name__in": values_of(request, "rule_name[]"),
        "group__name__in": values_of(request, "rule_group[]"),
        "group__file__name__in": values_of(request, "file[]"),
    }
    found = list(reads.rules(kind=kind or None).filter(**{field: each for field, each in wanted.items() if each}))
    bare = value_of(request, "exclude_alerts") in ("true", "1")
    active = _by_rule(_active(request))
    interval: float = settings_store.get(INTERVAL)
    groups = [
        _group(list(members), active, interval, bare=bare)
        for _group_id, members in groupby(found, key=lambda row: row.group_id)
    ]
    return answer.success(_encode({"groups": groups}))


@alerts_api
def alerts(request: HttpRequest) -> bytes:
    """Everything pending or firing that the reader may see."""
    return answer.success(_encode({"alerts": [_alert(each) for each in _active(request)]}))


def _active(request: HttpRequest) -> Sequence[Alert]:
    rows = reads.visible_alerts(reader(request)).filter(state__in=[AlertStateChoice.PENDING, AlertStateChoice.FIRING])
    return list(rows.order_by("active_at", "id")[:MAX_ALERTS])


def _by_rule(active: Iterable[Alert]) -> dict[UUID, list[Alert]]:
    found: dict[UUID, list[Alert]] = defaultdict(list)
    for each in active:
        found[each.rule_id].append(each)
    return found


def _group(members: list[Rule], active: dict[UUID, list[Alert]], interval: float, *, bare: bool) -> dict[str, object]:
    group: RuleGroup = members[0].group  # type: ignore[assignment]  # reads.rules gives none without
    writers: dict[str, Callable[[Rule], dict[str, object]]] = {
        "alert": lambda rule: _alerting(rule, active.get(rule.pk, []), bare=bare),
        "record": _recording,
    }
    return {
        "name": group.name,
        "file": group.file.name,
        "rules": [writers[rule.kind](rule) for rule in members],
        "interval": group.interval_seconds or interval,
        "limit": group.limit,
        "evaluationTime": group.duration_seconds or 0,
        "lastEvaluation": rfc3339(group.evaluated_at),
    }


def _alerting(rule: Rule, active: list[Alert], *, bare: bool) -> dict[str, object]:
    states = {each.state for each in active}  # of those the reader may see: a count tells of another team's too
    return {
        "state": next((state for state in ("firing", "pending") if state in states), "inactive"),
        "name": rule.name,
        "query": rule.expr,
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing_for_seconds,
        "labels": rule.labels,
        "annotations": rule.annotations,
        **({} if bare else {"alerts": [_alert(each) for each in active]}),
        **_health(rule),
        "type": KINDS["alert"],
    }


def _recording(rule: Rule) -> dict[str, object]:
    labels = {"labels": rule.labels} if rule.labels else {}
    return {"name": rule.name, "query": rule.expr, **labels, **_health(rule), "type": KINDS["record"]}


def _health(rule: Rule) -> dict[str, object]:
    return {
        "health": rule.health,
        **({"lastError": rule.last_error} if rule.last_error else {}),
        "evaluationTime": rule.duration_seconds or 0,
        "lastEvaluation": rfc3339(rule.evaluated_at),
    }


def _alert(row: Alert) -> dict[str, object]:
    kept = {"keepFiringSince": rfc3339(row.keep_since)} if row.keep_since else {}
    return {
        "labels": row.labels,
        "annotations": row.annotations,
        "state": row.state,
        "activeAt": rfc3339(row.active_at),
        **kept,
        "value": scientific(row.value),
    }


def scientific(value: float) -> str:
    """A value as Prometheus writes an alert's: Go's 'e' with the fewest digits ("4e-01"); NaN, +Inf, -Inf by name."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"
