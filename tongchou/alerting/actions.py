"""What people do to alerting: put and delete rule files, acknowledge, keep channels."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import groups as alert_groups
from tongchou.alerting import ports, tell
from tongchou.alerting.models import (
    Alert,
    AlertGroup,
    AlertStateChoice,
    Channel,
    GroupState,
    NotificationState,
    Rule,
    RuleFile,
    RuleGroup,
)
from tongchou.alerting.rulefile import GroupSpec, Rejected, RuleSpec, parse_rule_file
from tongchou.core import ledger, secrets
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import ref
from tongchou.core.registry import implementations
from tongchou.telemetry.promql.parse import parse as parse_promql

MAX_ACKNOWLEDGED_SECONDS = 30 * 86_400
DESTINATION = ("host", "port", "url")  # the settings of any kind of channel that say where it sends
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


def check_expression(text: str) -> None:
    """Raise ValueError with the parser's sentence when ``text`` is not PromQL."""
    try:
        parse_promql(text)
    except Problem as error:
        raise ValueError(str(error.detail)) from None


def read_rules(text: str) -> list[GroupSpec]:
    """The groups of a rule file; raises Invalid with the first mistake and, under ``errors``, all of them."""
    try:
        return parse_rule_file(text, check_expression)
    except Rejected as error:
        mistakes = error.mistakes
    first = mistakes[0]
    raise Invalid(
        first.code,
        _("Line %(line)s: %(message)s") % {"line": first.line, "message": first.message},
        field=first.field or None,
        value=first.value or None,
        remedy=first.remedy or None,
        title=_("The rule file was not taken; the rules in force stay."),
        extra={
            "line": first.line,
            "errors": [
                {
                    "code": each.code,
                    "field": each.field,
                    "line": each.line,
                    "detail": str(each.message),
                    "value": each.value,
                    "remedy": str(each.remedy),
                }
                for each in mistakes
            ],
        },
    )


def put_rule_file(*, actor: Actor, name: str, text: str) -> RuleFile:
    """Take a rule file as a whole, in place of the one with that name; the same text again changes nothing.

    A rule keeps its state when its group, kind, name and labels stay, whatever else changes, as in Prometheus; alerts
    of rules that are gone are resolved. Event alerting.rule_file_changed.
    """
    check(actor, "alerting.edit")
    if not _FILE_NAME.fullmatch(name):
        raise Invalid(
            "rule_file.name",
            _("A rule file's name has letters, digits, dot, dash and underscore only."),
            field="name",
            value=name,
            remedy=_("Rename it, e.g. shop.yml."),
        )
    groups = read_rules(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    with transaction.atomic():
        row, created = RuleFile.objects.select_for_update().get_or_create(
            name=name, defaults={"text": text, "digest": digest, "updated_by_name": actor.name}
        )
        if not created and row.digest == digest:
            return row
        before = "" if created else row.digest
        row.text, row.digest, row.updated_at, row.updated_by_name = text, digest, timezone.now(), actor.name
        row.save()
        gone = _replace_rules(row, groups)
        alert_groups.resolve_rules(actor=actor, rules=gone, reason="rule_removed")
        ledger.record(
            actor=actor,
            verb="alerting.rule_file_changed",
            subject=ref(row),
            payload={
                "name": name,
                "digest": digest,
                "previous_digest": before,
                "groups": len(groups),
                "rules": sum(len(group.rules) for group in groups),
                "removed_rules": len(gone),
            },
        )
    return row


def delete_rule_file(*, actor: Actor, name: str) -> None:
    """Remove a rule file; its alerts are resolved, their history stays. Event alerting.rule_file_deleted."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        row = RuleFile.objects.select_for_update().filter(name=name).first()
        if row is None:
            raise unknown_file(name)
        gone = _replace_rules(row, [])
        alert_groups.resolve_rules(actor=actor, rules=gone, reason="rule_removed")
        ledger.record(
            actor=actor,
            verb="alerting.rule_file_deleted",
            subject=ref(row),
            payload={"name": name, "digest": row.digest},
        )
        row.delete()


def unknown_file(name: str) -> NotFound:
    """The refusal for a rule file that is not there."""
    return NotFound(
        "rule_file.unknown", _("There is no rule file named %(name)s.") % {"name": name}, field="name", value=name
    )


RuleKey = tuple[str, str, str, str, int]


def _rule_key(group: str, rule: Rule | RuleSpec, seen: dict[tuple[str, str, str, str], int]) -> RuleKey:
    base = (group, rule.kind, rule.name, repr(sorted(rule.labels.items())))
    seen[base] += 1
    return (*base, seen[base])


def _replace_rules(row: RuleFile, specs: list[GroupSpec]) -> list[Rule]:
    """Make the file's groups and rules those of ``specs``; returns the retired rules. A fixed number of queries."""
    old_groups = {group.name: group for group in row.groups.all()}
    old_rules: dict[RuleKey, Rule] = {}
    seen: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for rule in (
        Rule.objects.filter(group__file=row, retired_at__isnull=True).select_related("group").order_by("position")
    ):
        old_rules[_rule_key(rule.group.name if rule.group else "", rule, seen)] = rule
    groups: list[RuleGroup] = []
    for position, spec in enumerate(specs):
        group = old_groups.get(spec.name) or RuleGroup(file=row, name=spec.name)
        group.position, group.interval_seconds, group.limit = position, spec.interval_seconds, spec.limit
        group.query_offset_seconds = spec.query_offset_seconds
        groups.append(group)
    RuleGroup.objects.bulk_create(
        groups,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["position", "interval_seconds", "limit", "query_offset_seconds"],
    )
    rules: list[Rule] = []
    seen.clear()
    for group, spec in zip(groups, specs, strict=True):
        for position, wanted in enumerate(spec.rules):
            kept: Rule | None = old_rules.pop(_rule_key(spec.name, wanted, seen), None)
            rule = kept or Rule(kind=wanted.kind, name=wanted.name)
            rule.group, rule.position, rule.line, rule.expr = group, position, wanted.line, wanted.expr
            rule.for_seconds, rule.keep_firing_for_seconds = wanted.for_seconds, wanted.keep_firing_for_seconds
            rule.labels, rule.annotations = dict(wanted.labels), dict(wanted.annotations)
            rules.append(rule)
    Rule.objects.bulk_create(
        rules,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=[
            "group",
            "position",
            "line",
            "expr",
            "for_seconds",
            "keep_firing_for_seconds",
            "labels",
            "annotations",
        ],
        batch_size=500,
    )
    gone = list(old_rules.values())
    now = timezone.now()
    Rule.objects.filter(pk__in=[rule.pk for rule in gone]).update(retired_at=now, group=None)
    row.groups.exclude(pk__in=[group.pk for group in groups]).delete()
    return gone


def _open_group(actor: Actor, group_id: UUID) -> AlertGroup:
    """The open group, locked; raises NotFound, AccessDenied, Conflict."""
    group = AlertGroup.objects.select_for_update().filter(pk=group_id).first()
    if group is None:
        raise NotFound("alert_group.unknown", _("There is no such group of alerts."))
    check(actor, "alerting.respond", team=group.team_id)
    if group.state != GroupState.OPEN:
        raise Conflict("alert_group.closed", _("This group of alerts is closed."))
    return group


def acknowledge_group(*, actor: Actor, group_id: UUID, note: str = "", for_seconds: float | None = None) -> AlertGroup:
    """Say that somebody has seen an open group; the first one counts. Event alert.group_acknowledged.

    ``for_seconds``: reminders begin again after that time (``settle`` takes the word back); None: never by itself.
    """
    if for_seconds is not None and not 60 <= for_seconds <= MAX_ACKNOWLEDGED_SECONDS:
        raise Invalid(
            "alert_group.for_seconds",
            _("A number of seconds between %(least)s and %(most)s is wanted.")
            % {"least": 60, "most": MAX_ACKNOWLEDGED_SECONDS},
            field="for_seconds",
            value=for_seconds,
            remedy=_("Leave it out to acknowledge the group until it closes."),
        )
    with transaction.atomic():
        group = _open_group(actor, group_id)
        now = timezone.now()
        if group.acknowledged_at is not None and (group.acknowledged_until is None or group.acknowledged_until > now):
            return group
        group.acknowledged_at, group.acknowledged_by_name = now, actor.name
        group.acknowledged_until = None if for_seconds is None else now + timedelta(seconds=for_seconds)
        group.save(update_fields=["acknowledged_at", "acknowledged_by_name", "acknowledged_until"])
        ledger.record(
            actor=actor,
            verb="alert.group_acknowledged",
            subject=ref(group),
            payload={
                "key": group.key,
                "note": note[:2000],
                "until": group.acknowledged_until.isoformat() if group.acknowledged_until else None,
            },
            dedupe_key=f"alert.group_acknowledged:{group.pk}:{now.isoformat()}",
        )
    return group


def unacknowledge_group(*, actor: Actor, group_id: UUID, note: str = "") -> AlertGroup:
    """Take an acknowledgement back: reminders begin again. Event alert.group_unacknowledged, when there was one."""
    with transaction.atomic():
        group = _open_group(actor, group_id)
        if group.acknowledged_at is None:
            return group
        payload = {"key": group.key, "note": note[:2000], "of": group.acknowledged_by_name, "expired": False}
        group.acknowledged_at, group.acknowledged_until, group.acknowledged_by_name = None, None, ""
        group.save(update_fields=["acknowledged_at", "acknowledged_until", "acknowledged_by_name"])
        ledger.record(actor=actor, verb="alert.group_unacknowledged", subject=ref(group), payload=payload)
        tell.wake_settle()
    return group


def acknowledge_alert(*, actor: Actor, alert_id: UUID, note: str = "") -> Alert:
    """Say that somebody has seen a firing alert; the first one counts. Event alert.acknowledged."""
    with transaction.atomic():
        alert = Alert.objects.select_for_update(of=("self",)).select_related("group").filter(pk=alert_id).first()
        if alert is None:
            raise NotFound("alert.unknown", _("There is no such alert."))
        check(actor, "alerting.respond", team=alert.group.team_id if alert.group else None)
        if alert.state != AlertStateChoice.FIRING:
            raise Conflict("alert.not_firing", _("This alert does not fire."))
        if alert.acknowledged_at is not None:
            return alert
        alert.acknowledged_at, alert.acknowledged_by_name = timezone.now(), actor.name
        alert.save(update_fields=["acknowledged_at", "acknowledged_by_name"])
        ledger.record(
            actor=actor,
            verb="alert.acknowledged",
            subject=ref(alert),
            about=[ref(alert.group)] if alert.group else [],
            payload={"alertname": alert.name, "note": note[:2000]},
            dedupe_key=f"alert.acknowledged:{alert.pk}",
        )
    return alert


def secret_name(channel: Channel) -> str:
    """The name under which core.secrets keeps the channel's secret."""
    return f"channel:{channel.pk}"


def channel_kind(kind: str) -> ports.Channel:
    """The integration that serves ``kind``; raises Invalid naming those there are."""
    found = {each.kind: each for each in implementations(ports.Channel)}  # type: ignore[type-abstract]  # a Protocol as key
    if kind not in found:
        raise Invalid(
            "channel.kind",
            _("No integration serves channels of the kind %(kind)s.") % {"kind": kind},
            field="kind",
            value=kind,
            remedy=_("Known kinds: %(kinds)s.") % {"kinds": ", ".join(sorted(found))},
        )
    return found[kind]


def put_channel(
    *, actor: Actor, name: str, kind: str, settings: Mapping[str, Any], enabled: bool = True, secret: str | None = None
) -> Channel:
    """Create or change the channel named ``name``; ``secret`` None keeps the one it has, unless it would go elsewhere.

    A setting given back as it is shown (masked) stays what it is. When kind, host, port or address change, the kept
    secret is dropped and masked settings are not filled in: whoever may edit a channel may not have its secret sent to
    a place of their own. Event alerting.channel_changed.
    """
    check(actor, "alerting.edit")
    name = name.strip()
    if not name or len(name) > 120:
        raise Invalid("channel.name", _("A channel's name has 1 to 120 characters."), field="name", value=name)
    serves = channel_kind(kind)
    before = Channel.objects.filter(name=name, kind=kind).first()
    kept = serves.check(settings if before is None else _unmasked(settings, before.settings, serves))
    if before is not None and _goes_to(kept) != _goes_to(before.settings):
        kept = serves.check(settings)
    with transaction.atomic():
        channel, created = Channel.objects.select_for_update().get_or_create(
            name=name, defaults={"kind": kind, "settings": kept, "enabled": enabled}
        )
        changed = created or (channel.kind, channel.settings, channel.enabled) != (kind, kept, enabled)
        moved = not created and (channel.kind, _goes_to(channel.settings)) != (kind, _goes_to(kept))
        dropped = moved and not secret and secret_name(channel) in secrets.names()
        if dropped:
            secrets.delete(actor=_keeper(actor), name=secret_name(channel))
        if secret:
            # Whoever may edit channels may set their secret; the secret itself is never shown to anyone.
            secrets.put(actor=_keeper(actor), name=secret_name(channel), value=secret)
            changed = True
        if not changed:
            return channel
        channel.kind, channel.settings, channel.enabled = kind, kept, enabled
        channel.failures, channel.busy_until = 0, None
        channel.save()
        channel.notifications.filter(state=NotificationState.QUEUED).update(next_try_at=timezone.now())
        if enabled:
            tell.wake(channel.pk)
        ledger.record(
            actor=actor,
            verb="alerting.channel_changed",
            subject=ref(channel),
            payload={
                "name": name,
                "kind": kind,
                "enabled": enabled,
                "created": created,
                "secret_changed": bool(secret),
                "secret_dropped": dropped,
            },
        )
    return channel


def _goes_to(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """Where a channel's messages, and with them its secret, go."""
    return tuple(settings.get(name) for name in DESTINATION)


def shown_settings(channel: Channel) -> dict[str, Any]:
    """The channel's settings as people may see them; nothing of them when no integration serves its kind any more."""
    try:
        return channel_kind(channel.kind).shown(channel.settings)
    except Invalid:
        return {}


def _unmasked(given: Mapping[str, Any], kept: Mapping[str, Any], kind: ports.Channel) -> dict[str, Any]:
    """The settings as given, but those that are what is shown of the kept ones are the kept ones."""
    shown = kind.shown(kept)
    return {name: kept[name] if name in shown and shown[name] == value else value for name, value in given.items()}


def create_channel(
    *, actor: Actor, name: str, kind: str, settings: Mapping[str, Any], enabled: bool = True, secret: str | None = None
) -> Channel:
    """Like put_channel, but refuses a name that is taken."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        if Channel.objects.filter(name=name.strip()).exists():
            raise Conflict(
                "channel.exists",
                _("There is a channel named %(name)s already.") % {"name": name.strip()},
                field="name",
                value=name,
                remedy=_("Choose another name, or change that channel with PUT."),
            )
        return put_channel(actor=actor, name=name, kind=kind, settings=settings, enabled=enabled, secret=secret)


def _keeper(actor: Actor) -> Actor:
    return Actor("system", f"channels, for {actor.name}"[:150], user_id=actor.user_id)


def delete_channel(*, actor: Actor, name: str) -> None:
    """Remove a channel and its secret; what it has not told yet is not told. Event alerting.channel_deleted."""
    check(actor, "alerting.edit")
    with transaction.atomic():
        channel = Channel.objects.select_for_update().filter(name=name).first()
        if channel is None:
            raise unknown_channel(name)
        if secret_name(channel) in secrets.names():
            secrets.delete(actor=_keeper(actor), name=secret_name(channel))
        ledger.record(
            actor=actor,
            verb="alerting.channel_deleted",
            subject=ref(channel),
            payload={"name": name, "kind": channel.kind},
        )
        channel.delete()


def unknown_channel(name: str) -> NotFound:
    """The refusal for a channel that is not there."""
    return NotFound(
        "channel.unknown", _("There is no channel named %(name)s.") % {"name": name}, field="name", value=name
    )


def scoped(teams: list[UUID] | None, prefix: str = "") -> Q:
    """The condition that hides what no team of the actor owns; None sees all."""
    return Q() if teams is None else Q(**{f"{prefix}team__in": teams})
