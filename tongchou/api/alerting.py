"""Rule files, rules, alerts, groups of alerts, channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.alerting import actions, reads
from tongchou.alerting.durations import format_seconds
from tongchou.alerting.jobs import send_test
from tongchou.alerting.models import Alert, AlertGroup, AlertStateChoice, Channel, GroupState, Rule, RuleFile, RuleGroup
from tongchou.alerting.rulefile import MAX_BYTES
from tongchou.api.bodies import Body
from tongchou.api.document import bytes_of
from tongchou.api.paging import Offset, page_of
from tongchou.core import secrets
from tongchou.core.access import Actor, check, check_anywhere
from tongchou.core.problems import BadRequest, Invalid, NotFound, TooLarge, UnsupportedMedia

router = Router(tags=["alerting"])

ALERTS_SHOWN = 5  # of each group of a list
_TEXT_TYPES = frozenset({"", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"})


def _actor(request: HttpRequest) -> Actor:
    actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
    return cast("Actor", actor)


def _page(limit: int, offset: int) -> tuple[int, int]:
    return max(1, min(limit, 500)), max(0, offset)


class RuleFileOut(Schema):
    """A rule file in force, without its text."""

    name: str
    digest: str
    groups: int
    rules: int
    updated_at: datetime
    updated_by: str


class RuleFileList(Schema):
    """Rule files by name."""

    items: list[RuleFileOut]
    count: int


def _file(row: RuleFile) -> dict[str, Any]:
    return {
        "name": row.name,
        "digest": row.digest,
        "groups": row.group_count,  # type: ignore[attr-defined]  # annotated by reads.rule_files
        "rules": row.rule_count,  # type: ignore[attr-defined]  # annotated by reads.rule_files
        "updated_at": row.updated_at,
        "updated_by": row.updated_by_name,
    }


@router.get("/rule-files", response=RuleFileList)
def list_rule_files(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List rule files."""
    check_anywhere(_actor(request), "alerting.view")
    limit, offset = _page(limit, offset)
    rows = reads.rule_files()
    return {"items": [_file(row) for row in rows[offset : offset + limit]], "count": RuleFile.objects.count()}


@router.get("/rule-files/{name}", openapi_extra=bytes_of("application/yaml"))
def get_rule_file(request: HttpRequest, name: str) -> HttpResponse:
    """The text of a rule file, as it was given."""
    check_anywhere(_actor(request), "alerting.view")
    row = RuleFile.objects.filter(name=name).first()
    if row is None:
        raise actions.unknown_file(name)
    response = HttpResponse(row.text, content_type="application/yaml; charset=utf-8")
    response["ETag"] = f'"{row.digest}"'
    return response


@router.put(
    "/rule-files/{name}",
    response=RuleFileOut,
    openapi_extra={"requestBody": {"content": {"application/yaml": {"schema": {"type": "object"}}}, "required": True}},
)
def put_rule_file(request: HttpRequest, name: str) -> dict[str, Any]:
    """Put a Prometheus rule file in force, as a whole or not at all; the body is YAML."""
    actions.put_rule_file(actor=_actor(request), name=name, text=_yaml(request))
    return _file(reads.rule_files().get(name=name))


def _yaml(request: HttpRequest) -> str:
    if (request.content_type or "") not in _TEXT_TYPES:
        raise UnsupportedMedia(
            "rule_file.media_type",
            _("A rule file is sent as YAML."),
            field="Content-Type",
            value=request.content_type,
            remedy=_("Send Content-Type: application/yaml."),
        )
    if int(request.headers.get("Content-Length") or 0) > MAX_BYTES or len(request.body) > MAX_BYTES:
        raise TooLarge(
            "rule_file.too_large",
            _("The file is larger than %(most)s bytes.") % {"most": MAX_BYTES},
            remedy=_("Split it into several files."),
        )
    try:
        text = request.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            "rule_file.encoding",
            _("Byte %(at)s is not UTF-8.") % {"at": error.start},
            remedy=_("Save the file as UTF-8."),
        ) from None
    if "\x00" in text:
        raise BadRequest("rule_file.encoding", _("The file has a NUL character."), remedy=_("Save the file as UTF-8."))
    return text


@router.delete("/rule-files/{name}", response={204: None})
def delete_rule_file(request: HttpRequest, name: str) -> Status[None]:
    """Remove a rule file; its alerts are resolved."""
    actions.delete_rule_file(actor=_actor(request), name=name)
    return Status(204, None)


class RuleOut(Schema):
    """A rule in force and how its last evaluation went."""

    id: UUID
    file: str
    group: str
    kind: str
    name: str
    line: int
    expr: str
    for_: str = Field(alias="for")
    keep_firing_for: str
    labels: dict[str, str]
    annotations: dict[str, str]
    health: str
    last_error: str
    evaluated_at: datetime | None
    duration_seconds: float | None
    group_missed_iterations: int
    firing: int
    pending: int


class RuleList(Schema):
    """Rules in the order of their files."""

    items: list[RuleOut]
    count: int


def _rule(rule: Rule) -> dict[str, Any]:
    group = cast("RuleGroup", rule.group)  # reads.rules gives none without
    return {
        "id": rule.pk,
        "file": group.file.name,
        "group": group.name,
        "kind": rule.kind,
        "name": rule.name,
        "line": rule.line,
        "expr": rule.expr,
        "for": format_seconds(rule.for_seconds),
        "keep_firing_for": format_seconds(rule.keep_firing_for_seconds),
        "labels": rule.labels,
        "annotations": rule.annotations,
        "health": rule.health,
        "last_error": rule.last_error,
        "evaluated_at": rule.evaluated_at,
        "duration_seconds": rule.duration_seconds,
        "group_missed_iterations": group.missed_iterations,
        "firing": rule.firing,  # type: ignore[attr-defined]  # annotated by reads.rules
        "pending": rule.pending,  # type: ignore[attr-defined]  # annotated by reads.rules
    }


@router.get("/rules", response=RuleList, by_alias=True)
def list_rules(
    request: HttpRequest, kind: str | None = None, health: str | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List rules with their health; ``kind`` alert or record, ``health`` ok, err or unknown."""
    check_anywhere(_actor(request), "alerting.view")
    limit, offset = _page(limit, offset)
    rows = reads.rules(kind=kind, health=health)
    return {"items": [_rule(row) for row in rows[offset : offset + limit]], "count": rows.count()}


class ResourceOut(Schema):
    """A resource an alert is about."""

    id: UUID
    kind: str
    name: str


class AlertOut(Schema):
    """One occurrence of an alert. The value is text, as it may be NaN or infinite.

    ``suppressed``: silenced, inhibited, explained or "" (its notices are not held); ``suppressed_by``: Refs of why.
    """

    id: UUID
    name: str
    state: str
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    value: str
    active_at: datetime
    fired_at: datetime | None
    resolved_at: datetime | None
    fingerprint: str
    group_id: UUID | None
    rule_id: UUID
    acknowledged_at: datetime | None
    acknowledged_by: str
    suppressed: str
    suppressed_by: list[str]
    resources: list[ResourceOut]


class AlertList(Schema):
    """Alerts, newest first."""

    items: list[AlertOut]
    count: int


def _state(value: str | None, allowed: list[str]) -> None:
    if value is not None and value not in allowed:
        raise Invalid(
            "alerting.state",
            _("There is no such state."),
            field="state",
            value=value,
            remedy=_("Known states: %(states)s.") % {"states": ", ".join(allowed)},
        )


@router.get("/alerts", response=AlertList)
def list_alerts(request: HttpRequest, state: str | None = None, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List alerts; without ``state`` (pending, firing, resolved) those active now."""
    actor = _actor(request)
    check_anywhere(actor, "alerting.view")
    _state(state, list(AlertStateChoice.values))
    limit, offset = _page(limit, offset)
    rows = reads.alerts(actor=actor, state=state)
    return {"items": [reads.alert_row(row) for row in page_of(rows, offset, limit)], "count": rows.count()}


class Note(Body):
    """What somebody wants to say with an acknowledgement."""

    note: str = Field(default="", max_length=2000)


@router.post("/alerts/{alert_id}/acknowledge", response=AlertOut)
def acknowledge_alert(request: HttpRequest, alert_id: UUID, body: Note | None = None) -> dict[str, Any]:
    """Say that somebody has seen the alert."""
    note = body.note if body else ""
    return reads.alert_row(actions.acknowledge_alert(actor=_actor(request), alert_id=alert_id, note=note))


class AlertGroupOut(Schema):
    """Alerts that are told together.

    ``held_by``: why none of them is told since ``held_at``; ``explains``: alerts of other groups it keeps quiet.
    A list holds the first ``alerts`` of each group alone, firing ones first, then the newest; one group holds all.
    """

    id: UUID
    key: str
    labels: dict[str, str]
    state: str
    severity: str
    firing: int
    started_at: datetime
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    acknowledged_until: datetime | None
    told_at: datetime | None
    held_at: datetime | None
    held_by: str
    explains: int
    alert_count: int
    alerts: list[AlertOut]


class AlertGroupList(Schema):
    """Groups, newest first."""

    items: list[AlertGroupOut]
    count: int


def _whole(group: AlertGroup) -> dict[str, Any]:
    members = list(group.alerts.all())
    return _group(group, members, Counter(alert.state for alert in members))


def _group(group: AlertGroup, alerts: Iterable[Alert], counts: Counter[str]) -> dict[str, Any]:
    return {
        "id": group.pk,
        "key": group.key,
        "labels": group.labels,
        "state": group.state,
        "severity": group.severity,
        "firing": counts[AlertStateChoice.FIRING],
        "started_at": group.started_at,
        "opened_at": group.opened_at,
        "closed_at": group.closed_at,
        "acknowledged_at": group.acknowledged_at,
        "acknowledged_by": group.acknowledged_by_name,
        "acknowledged_until": group.acknowledged_until,
        "told_at": group.told_at,
        "held_at": group.held_at,
        "held_by": group.held_by if group.held_at else "",
        "explains": group.explains,
        "alert_count": counts.total(),
        "alerts": [reads.alert_row(alert) for alert in alerts],
    }


@router.get("/alert-groups", response=AlertGroupList)
def list_groups(request: HttpRequest, state: str | None = None, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List groups of alerts with the first of their alerts; ``state`` open or closed."""
    actor = _actor(request)
    check_anywhere(actor, "alerting.view")
    _state(state, list(GroupState.values))
    limit, offset = _page(limit, offset)
    rows = reads.visible_groups(actor).order_by("-opened_at", "id")
    if state is not None:
        rows = rows.filter(state=state)
    shown = page_of(rows, offset, limit)
    ids = [row.pk for row in shown]
    first, counts = reads.first_alerts(ids, ALERTS_SHOWN), reads.alert_counts(ids)
    return {"items": [_group(row, first[row.pk], counts[row.pk]) for row in shown], "count": rows.count()}


@router.get("/alert-groups/{group_id}", response=AlertGroupOut)
def get_group(request: HttpRequest, group_id: UUID) -> dict[str, Any]:
    """One group with its alerts."""
    actor = _actor(request)
    check_anywhere(actor, "alerting.view")
    group = reads.groups(actor=actor).filter(pk=group_id).first()
    if group is None:
        raise NotFound("alert_group.unknown", _("There is no such group of alerts."))
    return _whole(group)


class Acknowledgement(Note):
    """``for_seconds``: reminders begin again after that time; left out, they stop until the group closes."""

    for_seconds: float | None = None


@router.post("/alert-groups/{group_id}/acknowledge", response=AlertGroupOut)
def acknowledge_group(request: HttpRequest, group_id: UUID, body: Acknowledgement | None = None) -> dict[str, Any]:
    """Say that somebody has seen the group: it is not repeated."""
    said = body or Acknowledgement()
    return _whole(
        actions.acknowledge_group(
            actor=_actor(request), group_id=group_id, note=said.note, for_seconds=said.for_seconds
        )
    )


@router.delete("/alert-groups/{group_id}/acknowledge", response=AlertGroupOut)
def unacknowledge_group(request: HttpRequest, group_id: UUID) -> dict[str, Any]:
    """Take the acknowledgement back: the group is repeated again."""
    return _whole(actions.unacknowledge_group(actor=_actor(request), group_id=group_id))


class ChannelIn(Body):
    """A channel to create or change; without ``secret`` it keeps the one it has."""

    kind: str = Field(default="webhook", max_length=40)
    settings: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    secret: str | None = Field(default=None, min_length=1, max_length=1000)


class NewChannelIn(ChannelIn):
    """A channel to create."""

    name: str = Field(min_length=1, max_length=120)


class ChannelOut(Schema):
    """A channel; whether it has a secret, never the secret. Keys in addresses and headers are masked.

    Settings given back as they are shown stay what they are.
    """

    id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    enabled: bool
    has_secret: bool
    failures: int
    last_error: str
    last_sent_at: datetime | None


class ChannelList(Schema):
    """Channels by name."""

    items: list[ChannelOut]
    count: int


def _channel(row: Channel, known: set[str]) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "kind": row.kind,
        "settings": actions.shown_settings(row),
        "enabled": row.enabled,
        "has_secret": actions.secret_name(row) in known,
        "failures": row.failures,
        "last_error": row.last_error,
        "last_sent_at": row.last_sent_at,
    }


def _one_channel(row: Channel) -> dict[str, Any]:
    return _channel(row, set(secrets.names()))


@router.get("/channels", response=ChannelList)
def list_channels(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List channels."""
    check(_actor(request), "alerting.edit")
    limit, offset = _page(limit, offset)
    known = set(secrets.names())
    rows = Channel.objects.order_by("name")
    return {"items": [_channel(row, known) for row in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/channels", response={201: ChannelOut})
def create_channel(request: HttpRequest, body: NewChannelIn) -> Status[dict[str, Any]]:
    """Create a channel."""
    row = actions.create_channel(
        actor=_actor(request),
        name=body.name,
        kind=body.kind,
        settings=body.settings,
        enabled=body.enabled,
        secret=body.secret,
    )
    return Status(201, _one_channel(row))


@router.get("/channels/{name}", response=ChannelOut)
def get_channel(request: HttpRequest, name: str) -> dict[str, Any]:
    """One channel."""
    check(_actor(request), "alerting.edit")
    return _one_channel(_find_channel(name))


def _find_channel(name: str) -> Channel:
    row = Channel.objects.filter(name=name).first()
    if row is None:
        raise actions.unknown_channel(name)
    return row


@router.put("/channels/{name}", response=ChannelOut)
def put_channel(request: HttpRequest, name: str, body: ChannelIn) -> dict[str, Any]:
    """Create or change a channel. Another host, port or address drops the kept secret unless it is given anew."""
    return _one_channel(
        actions.put_channel(
            actor=_actor(request),
            name=name,
            kind=body.kind,
            settings=body.settings,
            enabled=body.enabled,
            secret=body.secret,
        )
    )


@router.delete("/channels/{name}", response={204: None})
def delete_channel(request: HttpRequest, name: str) -> Status[None]:
    """Remove a channel and its secret."""
    actions.delete_channel(actor=_actor(request), name=name)
    return Status(204, None)


class TestOut(Schema):
    """What became of a test message."""

    delivered: bool
    detail: str


@router.post("/channels/{name}/test", response=TestOut)
def test_channel(request: HttpRequest, name: str) -> dict[str, Any]:
    """Send a test message now and say what became of it."""
    actor = _actor(request)
    check(actor, "alerting.edit")
    outcome = send_test(actor=actor, channel=_find_channel(name))
    return {"delivered": outcome.delivered, "detail": outcome.detail}


class NotificationOut(Schema):
    """One message to one channel."""

    id: UUID
    channel: str
    group_id: UUID
    group_key: str
    status: str
    reason: str
    state: str
    attempts: int
    detail: str
    created_at: datetime
    finished_at: datetime | None


class NotificationList(Schema):
    """Notifications, newest first."""

    items: list[NotificationOut]
    count: int


@router.get("/notifications", response=NotificationList)
def list_notifications(
    request: HttpRequest, group: UUID | None = None, state: str | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List what was told, or is to be told."""
    actor = _actor(request)
    check_anywhere(actor, "alerting.view")
    limit, offset = _page(limit, offset)
    rows = reads.notifications(actor=actor, group=group, state=state)
    items = [
        {
            "id": row.pk,
            "channel": row.channel.name,
            "group_id": row.group_id,
            "group_key": row.group.key,
            "status": row.status,
            "reason": row.reason,
            "state": row.state,
            "attempts": row.attempts,
            "detail": row.detail,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
        }
        for row in page_of(rows, offset, limit)
    ]
    return {"items": items, "count": rows.count()}
