"""What can be done to many alert groups, or many silences, at once."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.alerting import actions
from tongchou.alerting.models import AlertGroup, GroupState, Silence, SilenceState
from tongchou.alerting.silences import expire_silence
from tongchou.core import nouns
from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, register
from tongchou.core.problems import Conflict

RESPOND = "alerting.respond"


def _acknowledged(row: AlertGroup, said: dict[str, str]) -> dict[str, Any]:
    if row.state != GroupState.OPEN:
        raise Conflict("alert_group.closed", _("Only an open group is acknowledged."), value=row.state)
    return {"acknowledged": True}


def _acknowledge(actor: Actor, row: AlertGroup, wanted: dict[str, Any]) -> None:
    if wanted["acknowledged"]:
        actions.acknowledge_group(actor=actor, group_id=row.pk)
    else:
        actions.unacknowledge_group(actor=actor, group_id=row.pk)


register(
    Change(
        "alerting.alertgroup",
        "acknowledge",
        _("Acknowledge"),
        lambda row: {"acknowledged": row.acknowledged_at is not None},
        _acknowledged,
        _acknowledge,
        nouns.check_change,
        reversible=True,
        permission=RESPOND,
    )
)


def _expired(row: Silence, _said: Any) -> dict[str, str]:
    if row.state_at(timezone.now()) == SilenceState.EXPIRED:
        raise Conflict("silence.expired", _("It has ended already."))
    return {"state": SilenceState.EXPIRED.value}


register(
    Change(
        "alerting.silence",
        "expire",
        _("End now"),
        lambda row: {"state": row.state_at(timezone.now()).value},
        _expired,
        lambda actor, row, _wanted: expire_silence(actor=actor, silence_id=row.pk),
        nouns.check_change,
        permission=RESPOND,
    )
)
custom.offer("alerting.objective", "alerting.edit")
