"""What many deployments, or many differences, can be given at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.changes import drift_actions
from tongchou.changes.models_drift import Drift, DriftState
from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.changes import Change, Input, register
from tongchou.core.problems import Conflict, Invalid

custom.offer("changes.deployment", "changes.edit")
for _kind in ("changes.requirement", "changes.decision", "changes.scorecard"):
    custom.offer(_kind, "changes.edit")


def _read(_actor: Actor, form: Mapping[str, str]) -> dict[str, str]:
    said = {"decision": form.get("decision", ""), "reason": form.get("reason", "").strip()}
    if said["decision"] not in drift_actions.DECISIONS:
        raise Invalid("drift.decision", _("There is no such decision."), field="decision", value=said["decision"])
    if not said["reason"] and said["decision"] != DriftState.OPEN:
        raise Invalid(
            "drift.reason", _("A decision needs a reason."), field="reason", remedy=_("Say why, for who comes next.")
        )
    return said


def _after(row: Drift, said: Any) -> dict[str, str]:
    if row.state == DriftState.CLEARED:
        raise Conflict("drift.gone", _("The last look did not see this difference any more."), value=row.state)
    return {"state": said["decision"], "reason": said["reason"]}


register(
    Change(
        "changes.drift",
        "decide",
        _("Decide"),
        lambda row: {"state": row.state, "reason": row.reason},
        _after,
        lambda actor, row, wanted: drift_actions.decide(
            actor=actor, drift_id=row.pk, decision=wanted["state"], reason=wanted["reason"]
        ),
        drift_actions.may_decide,
        (
            Input(
                "decision",
                _("Decision"),
                "choice",
                required=True,
                choices=lambda _actor: [(each.value, each.label) for each in drift_actions.DECISIONS],
            ),
            Input("reason", _("Reason")),
        ),
        _read,
        permission="changes.edit",
        help=_("It holds until something else is observed."),
    )
)
