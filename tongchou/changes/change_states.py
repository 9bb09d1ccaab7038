"""The way of a change: which state follows which, by kind. Pure.

The states and what is skipped are ServiceNow's: a standard change skips Assess and Authorize, an emergency Assess.
"""

from __future__ import annotations

from tongchou.changes.models_control import ChangeKind, ChangeState

S = ChangeState
WAYS: dict[ChangeKind, tuple[ChangeState, ...]] = {
    ChangeKind.STANDARD: (S.NEW, S.SCHEDULED, S.IMPLEMENT, S.REVIEW, S.CLOSED),
    ChangeKind.NORMAL: (S.NEW, S.ASSESS, S.AUTHORIZE, S.SCHEDULED, S.IMPLEMENT, S.REVIEW, S.CLOSED),
    ChangeKind.EMERGENCY: (S.NEW, S.AUTHORIZE, S.SCHEDULED, S.IMPLEMENT, S.REVIEW, S.CLOSED),
}
# a change may be withdrawn until the work has begun; from then on it is finished with an outcome
WITHDRAWABLE = frozenset({S.NEW, S.ASSESS, S.AUTHORIZE, S.SCHEDULED})
# what it says may be edited; beyond NEW and ASSESS an edit takes consent back
EDITABLE = frozenset({S.NEW, S.ASSESS, S.AUTHORIZE, S.SCHEDULED})
# what others must not collide with
PLANNED = frozenset({S.ASSESS, S.AUTHORIZE, S.SCHEDULED, S.IMPLEMENT})
OVER = frozenset({S.CLOSED, S.CANCELLED})


def way(kind: str) -> tuple[ChangeState, ...]:
    """Return the states of a kind in order, without Cancelled."""
    return WAYS[ChangeKind(kind)]


def back_to(kind: str) -> ChangeState:
    """Return where an edit or a refusal takes a change: to Assess where its kind has that, else to New."""
    return S.ASSESS if S.ASSESS in way(kind) else S.NEW


def passed(kind: str, state: str, wanted: ChangeState) -> bool:
    """Tell whether a change in `state` has been in `wanted`, or is: for the line of steps that a page draws."""
    states = way(kind)
    return state in states and wanted in states and states.index(wanted) <= states.index(ChangeState(state))
