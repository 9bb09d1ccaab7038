"""May it be deployed? Every reason for and against, and the answer. Pure.

A refusal is one of: a freeze, the absence of a maintenance window where one is wanted, a hold, a spent error budget, a
missing change. What is not known (a service that is not in the inventory, a budget without data) is a warning, never a
yes by silence nor a no by accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.refs import is_ref

DENY, WARN, INFO = "deny", "warn", "info"
INCIDENT = "incidents.incident:"  # how the Ref of an incident begins


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of a deployment. Shares are of an objective's error budget, 0 to 1."""

    name: str = ""
    needs_change: bool = False
    needs_window: bool = False
    least_budget: float = 0.0
    warn_budget: float = 0.25


@dataclass(frozen=True, slots=True)
class Stop:
    """A freeze or a hold: its Ref, what it is called, until when (None: nobody knows)."""

    ref: str
    name: str
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """An objective of the service: the share of its budget that is left without windows of changes; None: no data."""

    ref: str
    name: str
    left: float | None
    burning: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gate looks at.

    `under`: changes agreed on and under way that touch the service; `broke_glass`: emergencies without consent.
    """

    known: bool
    rule: Rule
    freezes: Sequence[Stop] = ()
    holds: Sequence[Stop] = ()
    has_windows: bool = False
    in_window: bool = False
    budgets: Sequence[BudgetLeft] = ()
    under: Sequence[Stop] = ()
    broke_glass: Sequence[Stop] = ()
    next_window: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: `weight` deny, warn or info."""

    code: str
    weight: str
    params: Mapping[str, Any] = field(default_factory=dict)
    ref: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is kept and answered."""
        return {"code": self.code, "weight": self.weight, "params": dict(self.params), "ref": self.ref}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. `overridden`: there are reasons against it, and an emergency overrides them."""

    allowed: bool
    overridden: bool
    reasons: list[Reason]
    rule: str


def decide(facts: Facts) -> Verdict:
    """Return the answer with every reason, those against first."""
    found = [*_of_time(facts), *_of_holds(facts), *_of_budget(facts), *_of_change(facts)]
    if not facts.known:
        found.append(Reason("unknown_service", WARN))
    against = [each for each in found if each.weight == DENY]
    overridden = bool(against and facts.broke_glass)
    if overridden:
        found += [Reason("broke_glass", INFO, {"name": each.name}, each.ref) for each in facts.broke_glass]
    order = (DENY, WARN, INFO)
    reasons = sorted(found, key=lambda each: order.index(each.weight))
    return Verdict(not against or overridden, overridden, reasons, facts.rule.name)


def _of_time(facts: Facts) -> list[Reason]:
    found = [Reason("freeze", DENY, {"name": each.name, "until": _at(each.until)}, each.ref) for each in facts.freezes]
    if facts.rule.needs_window:
        if not facts.has_windows:
            found.append(Reason("no_windows", WARN))
        elif not facts.in_window:
            found.append(Reason("outside_window", DENY, {"next": _at(facts.next_window)}))
    return found


def _of_holds(facts: Facts) -> list[Reason]:
    """A hold that a change under way placed itself does not stop it."""
    own = {each.ref for each in (*facts.under, *facts.broke_glass)}
    return [
        Reason("hold", DENY, {"name": each.name, "until": _at(each.until), **_by(each)}, each.ref)
        for each in facts.holds
        if each.by not in own
    ]


def _by(stop: Stop) -> dict[str, str]:
    """The Ref of what placed a hold; nothing when a person did."""
    return {"by": stop.by} if is_ref(stop.by) else {}


def _of_budget(facts: Facts) -> list[Reason]:
    found = []
    for each in facts.budgets:
        if each.left is None:
            found.append(Reason("budget_unknown", WARN, {"name": each.name}, each.ref))
            continue
        params = {"name": each.name, "left_percent": round(each.left * 100, 1)}
        if each.left < facts.rule.least_budget or each.left <= 0:
            found.append(Reason("budget_spent", DENY, params, each.ref))
        elif each.left < facts.rule.warn_budget:
            found.append(Reason("budget_low", WARN, params, each.ref))
        if each.burning:
            found.append(Reason("burning", DENY, {"name": each.name}, each.ref))
    return found


def _of_change(facts: Facts) -> list[Reason]:
    if facts.under:
        return [Reason("under_change", INFO, {"name": each.name}, each.ref) for each in facts.under]
    return [Reason("no_change", DENY)] if facts.rule.needs_change else []


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


# --- in words -------------------------------------------------------------------------------------------------------

_WORDS: dict[str, str | Promise] = {
    "freeze": _("A freeze is in force: %(name)s."),
    "no_windows": _("A maintenance window is wanted, and there is none for this service."),
    "outside_window": _("It is outside of the service's maintenance windows."),
    "hold": _("It is on hold: %(name)s."),
    "budget_unknown": _("Nobody knows what is left of the error budget of %(name)s: no data."),
    "budget_spent": _("The error budget of %(name)s is at %(left_percent)s %%."),
    "budget_low": _("Only %(left_percent)s %% of the error budget of %(name)s are left."),
    "burning": _("%(name)s burns its error budget fast enough to page somebody."),
    "under_change": _("%(name)s is being carried out on it."),
    "no_change": _("A change that is agreed on and under way is wanted, and none touches this service."),
    "unknown_service": _("The inventory does not know this service: only freezes of everything were looked at."),
    "broke_glass": _("%(name)s broke the glass: it is overridden, and reviewed afterwards."),
}
REMEDIES: dict[str, str | Promise] = {
    "freeze": _("Wait, or have an emergency change."),
    "outside_window": _("Wait for the next window, or have an emergency change."),
    "hold": _("Ask who placed it; it is lifted on the page of the resource."),
    "budget_spent": _("Make it reliable first, or have an emergency change."),
    "burning": _("Find out what burns it first."),
    "no_change": _("Make a change, have it agreed on, and begin it."),
}


def in_words(reason: Mapping[str, Any]) -> str:
    """Return a reason as a sentence in the language spoken now."""
    text = _WORDS.get(str(reason["code"]))
    return str(text) % reason["params"] if text else str(reason["code"])


def because_of(reason: Reason) -> str:
    """Return the Ref of what a reason points at: of a hold what placed it, an incident for example."""
    return str(reason.params.get("by") or reason.ref)


def remedy_of(reason: Mapping[str, Any]) -> str:
    """Return what to do about a reason; "" when it is no obstacle."""
    if str(reason["params"].get("by", "")).startswith(INCIDENT):
        return str(_("It is lifted when the incident is mitigated; a fix goes in by an emergency change."))
    return str(REMEDIES.get(str(reason["code"]), ""))
