"""The body of a notification: Alertmanager's webhook format, version 4."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tongchou.alerting.ports import AlertMessage, Message
from tongchou.wire.go_time import rfc3339


def _alert(alert: AlertMessage) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": rfc3339(alert.ends_at),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def common(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all mappings have."""
    found: dict[str, str] | None = None
    for each in mappings:
        found = dict(each) if found is None else {k: v for k, v in found.items() if each.get(k) == v}
    return found or {}


def encode(message: Message) -> bytes:
    """The JSON body, UTF-8."""
    body = {
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": message.truncated,
        "status": message.status,
        "receiver": message.receiver,
        "groupLabels": dict(message.group_labels),
        "commonLabels": common(alert.labels for alert in message.alerts),
        "commonAnnotations": common(alert.annotations for alert in message.alerts),
        "externalURL": message.external_url,
        "alerts": [_alert(alert) for alert in message.alerts],
    }
    if message.explained:
        # Ours, beside Alertmanager's: groups that are not told because of this one.
        body["explained"] = [{"groupKey": each.group_key, "alerts": each.alerts} for each in message.explained]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
