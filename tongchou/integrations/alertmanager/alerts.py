"""GET /alerts, /alerts/groups, /receivers and /status: what fires and whether anybody is told, as Alertmanager says it.

Pending alerts are not in it, as Prometheus sends none. What is explained by something that is down is "suppressed" and
names the alerts of the explaining group in ``inhibitedBy``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import re2
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou import __version__
from tongchou.alerting import matchers as matching
from tongchou.alerting import reads
from tongchou.alerting.models import Alert, AlertStateChoice, Channel, Suppressed
from tongchou.core.access import Actor, check_anywhere
from tongchou.core.problems import BadRequest
from tongchou.integrations.alertmanager.answer import api, not_allowed, text_of
from tongchou.telemetry.series import Matcher, full_match

MAX_ALERTS = 10_000
# Alertmanager forgets an alert that is not sent again; ours are looked at again long before this.
LASTS = timedelta(minutes=5)
STARTED_AT = timezone.now()


@api
def alerts(request: HttpRequest, actor: Actor) -> HttpResponse:
    """What fires: with ``filter``, ``receiver`` and the flags active, silenced, inhibited, unprocessed."""
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET")
    return JsonResponse(_chosen(request, actor), safe=False)


@api
def groups(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The same by group and receiver."""
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET")
    rows = _rows(request, actor)
    # By row: alerts of two rules may have the same labels, hence the same fingerprint.
    shown = dict(zip((row.pk for row in rows), _shown(rows), strict=True))
    found, all_receivers = [], _receivers()
    for _key, members in groupby(sorted(rows, key=lambda row: str(row.group_id)), key=lambda row: row.group_id):
        kept = list(members)
        if kept[0].group is not None:
            each = {"labels": kept[0].group.labels, "alerts": [shown[row.pk] for row in kept]}
            found += [each | {"receiver": receiver} for receiver in all_receivers]
    return JsonResponse(found, safe=False)


@api
def receivers(request: HttpRequest, actor: Actor) -> HttpResponse:
    """The enabled channels: every alert goes to all of them."""
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET")
    check_anywhere(actor, "alerting.view")
    return JsonResponse(_receivers(), safe=False)


@api
def status(request: HttpRequest, actor: Actor) -> HttpResponse:
    """What clients ask to know what they talk to; there is no configuration file to show."""
    if request.method not in ("GET", "HEAD"):
        return not_allowed("GET")
    check_anywhere(actor, "alerting.view")
    version = dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "")
    return JsonResponse(
        {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": "# Tongchou keeps its channels and settings in its own API.\n"},
            "uptime": text_of(STARTED_AT),
            "versionInfo": version | {"version": f"tongchou-{__version__}"},
        }
    )


def _receivers() -> list[dict[str, str]]:
    return [{"name": name} for name in Channel.objects.filter(enabled=True).values_list("name", flat=True)]


def _chosen(request: HttpRequest, actor: Actor) -> list[dict[str, Any]]:
    return _shown(_rows(request, actor))


def _rows(request: HttpRequest, actor: Actor) -> list[Alert]:
    """Firing alerts that the filter matches and the flags let through."""
    check_anywhere(actor, "alerting.view")
    wanted = [each for text in request.GET.getlist("filter") for each in matching.parse_filter(text)]
    if not _receiver_wanted(request.GET.get("receiver", "")):
        return []
    hidden = {
        state
        for flag, states in {
            "active": {"active"},
            "unprocessed": {"unprocessed"},
            "silenced": {Suppressed.SILENCED.value, Suppressed.HELD.value},
            "inhibited": {Suppressed.INHIBITED.value, Suppressed.EXPLAINED.value},
        }.items()
        if not _flag(request, flag)
        for state in states
    }
    rows = reads.alerts(actor=actor, state=AlertStateChoice.FIRING)[:MAX_ALERTS]
    return [row for row in rows if _kind(row) not in hidden and _matched(wanted, row)]


def _matched(wanted: list[Matcher], row: Alert) -> bool:
    return matching.matches(wanted, row.labels)


def _receiver_wanted(pattern: str) -> bool:
    if not pattern:
        return True
    try:
        found = full_match(pattern)
    except re2.error as error:
        raise BadRequest("alerts.receiver", str(error), field="receiver", value=pattern) from None
    return any(found(each["name"]) for each in _receivers())


def _flag(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "true").lower()
    if text not in ("true", "false"):
        raise BadRequest("alerts.flag", _("%(name)s is true or false.") % {"name": name}, field=name, value=text)
    return text == "true"


def _kind(row: Alert) -> str:
    if row.suppressed:
        return row.suppressed
    return "active" if row.group is not None and row.group.settled_at is not None else "unprocessed"


def _shown(rows: list[Alert]) -> list[dict[str, Any]]:
    now, names = timezone.now(), _receivers()
    inhibiting = _fingerprints(ref for row in rows for ref in row.suppressed_by)
    return [
        {
            "annotations": row.annotations,
            "endsAt": text_of(now + LASTS),
            "fingerprint": row.fingerprint,
            "generatorURL": f"{settings.PUBLIC_URL}/alerts/groups/{row.group_id}",
            "labels": row.labels,
            "receivers": names,
            "startsAt": text_of(row.fired_at or row.active_at),
            "status": {
                "state": "suppressed" if row.suppressed else _kind(row),
                "silencedBy": [_key(ref) for ref in row.suppressed_by if ref.startswith("alerting.silence:")],
                "inhibitedBy": sorted({mark for ref in row.suppressed_by for mark in inhibiting.get(ref, ())}),
                "mutedBy": [],
            },
            "updatedAt": text_of(max(row.released_at or row.active_at, row.told_at or row.active_at)),
        }
        for row in rows
    ]


def _key(ref: str) -> str:
    return ref.partition(":")[2]


def _fingerprints(refs: Iterable[str]) -> dict[str, list[str]]:
    """Ref of an alert or a group -> fingerprints of the alerts it means. Two queries at most."""
    named = set(refs)
    alert_ids = [UUID(_key(ref)) for ref in named if ref.startswith("alerting.alert:")]
    group_ids = [UUID(_key(ref)) for ref in named if ref.startswith("alerting.alertgroup:")]
    found: dict[str, list[str]] = {}
    if alert_ids:
        for pk, mark in Alert.objects.filter(pk__in=alert_ids).values_list("pk", "fingerprint"):
            found[f"alerting.alert:{pk}"] = [mark]
    if group_ids:
        members = Alert.objects.filter(group__in=group_ids, state=AlertStateChoice.FIRING)
        for pk, mark in members.values_list("group_id", "fingerprint"):
            found.setdefault(f"alerting.alertgroup:{pk}", []).append(mark)
    return found
