"""Whether the work on a change may begin now, or a step of it be done; every reason against it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes.conflicts import MOST_SHOWN
from tongchou.changes.models_control import ChangeKind, ChangeState


@dataclass(frozen=True, slots=True)
class Facts:
    """A change at a moment. `conflicts`: (kind, name) of collisions that nobody accepted.

    `ran_out`: when consent to what it says ended, where that is all it lacks.
    """

    kind: str
    state: str
    starts_at: datetime | None
    ends_at: datetime | None
    agreed: bool
    broke_glass: bool
    conflicts: tuple[tuple[str, str], ...] = ()
    ran_out: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason, and what to do about it."""

    code: str
    text: str | Promise
    remedy: str | Promise


def refusals(facts: Facts, now: datetime) -> list[Refusal]:
    """Return every reason why the work may not begin at `now`; empty when it may.

    An emergency that broke the glass needs neither consent nor an end to collisions; its state and window count.
    """
    found = []
    if facts.state != ChangeState.SCHEDULED:
        found.append(Refusal("state", _("It is not scheduled."), _("Have it approved first.")))
    if facts.starts_at is None or facts.ends_at is None:
        found.append(Refusal("no_window", _("It has no window."), _("Say when it is done.")))
    elif now < facts.starts_at:
        text = _("Its window begins at %(time)s.") % {"time": _local(facts.starts_at)}
        found.append(Refusal("early", text, _("Wait, or move the window, which asks for consent again.")))
    elif now >= facts.ends_at:
        text = _("Its window ended at %(time)s.") % {"time": _local(facts.ends_at)}
        found.append(Refusal("over", text, _("Move the window, which asks for consent again.")))
    if facts.kind == ChangeKind.EMERGENCY and facts.broke_glass:
        return found
    if not facts.agreed:
        ran_out = facts.ran_out and _("Consent ran out at %(time)s.") % {"time": _local(facts.ran_out)}
        lost = ran_out or _("What it says now is not what was agreed on.")
        found.append(Refusal("not_agreed", lost, _("Ask for consent again.")))
    for kind, name in facts.conflicts[:MOST_SHOWN]:
        text = _("It collides with %(name)s (%(kind)s).") % {"name": name or kind, "kind": kind}
        found.append(Refusal(f"conflict_{kind}", text, _("Wait, move the window, or say why it may be done.")))
    if len(facts.conflicts) > MOST_SHOWN:
        text = _("It has %(n)s more collisions.") % {"n": len(facts.conflicts) - MOST_SHOWN}
        found.append(Refusal("conflict_more", text, _("Wait, move the window, or say why it may be done.")))
    return found


def _local(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M %Z")
