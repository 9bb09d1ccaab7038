"""Whether an option meets its requirement, criterion by criterion, with the reason. "Not stated" is never met. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.utils.translation import gettext_lazy as _

from tongchou.changes.availability import downtime_minutes
from tongchou.changes.stated import plain
from tongchou.core.problems import Text


@dataclass(frozen=True)
class Wanted:
    """What the requirement asks of every option."""

    slo_percent: Decimal | None = None
    wanted_on: date | None = None
    budget: Decimal | None = None
    currency: str = ""
    budget_months: int = 12


@dataclass(frozen=True)
class Offered:
    """What an option states."""

    availability: float | None = None
    lead_days: int | None = None
    capex: Decimal | None = None
    opex_monthly: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True)
class Verdict:
    """`met`: None where it cannot be told; `reason` says with which figures."""

    criterion: str  # slo | date | budget
    met: bool | None
    reason: Text


def judge(wanted: Wanted, offered: Offered, today: date) -> list[Verdict]:
    """Return a verdict for everything the requirement asks; nothing for what it does not ask."""
    found = (_slo(wanted, offered), _date(wanted, offered, today), _budget(wanted, offered))
    return [each for each in found if each is not None]


def meets(verdicts: list[Verdict]) -> bool | None:
    """Whether all is met: False when something is not, None when something cannot be told or nothing was asked."""
    if any(each.met is False for each in verdicts):
        return False
    return None if not verdicts or any(each.met is None for each in verdicts) else True


def _slo(wanted: Wanted, offered: Offered) -> Verdict | None:
    if wanted.slo_percent is None:
        return None
    if offered.availability is None:
        return Verdict("slo", None, _("The availability of this option is not computed."))
    allowed = downtime_minutes(float(wanted.slo_percent) / 100)
    minutes = downtime_minutes(offered.availability)
    facts: Mapping[str, object] = {
        "target": plain(wanted.slo_percent),
        "minutes": f"{minutes:,.1f}",
        "allowed": f"{allowed:,.1f}",
    }
    if minutes <= allowed + 1e-9:
        return Verdict("slo", True, _("%(minutes)s min a year down; %(target)s %% allows %(allowed)s.") % facts)
    return Verdict("slo", False, _("%(minutes)s min a year down; %(target)s %% allows only %(allowed)s.") % facts)


def _date(wanted: Wanted, offered: Offered, today: date) -> Verdict | None:
    if wanted.wanted_on is None:
        return None
    if offered.lead_days is None:
        return Verdict("date", None, _("The lead time is not stated."))
    ready = today + timedelta(days=offered.lead_days)
    facts = {"ready": ready.isoformat(), "wanted": wanted.wanted_on.isoformat()}
    if ready <= wanted.wanted_on:
        return Verdict("date", True, _("Begun today it is there on %(ready)s, wanted by %(wanted)s.") % facts)
    return Verdict("date", False, _("Begun today it is there on %(ready)s, but wanted by %(wanted)s.") % facts)


def cost(offered: Offered, months: int) -> Decimal | None:
    """What is bought and `months` of running; None while one of both is not stated."""
    if offered.capex is None or offered.opex_monthly is None:
        return None
    return offered.capex + offered.opex_monthly * months


def _budget(wanted: Wanted, offered: Offered) -> Verdict | None:
    if wanted.budget is None:
        return None
    total = cost(offered, wanted.budget_months)
    if total is None:
        return Verdict("budget", None, _("Purchase or running costs are not stated."))
    if offered.currency != wanted.currency:
        facts = {"one": offered.currency, "other": wanted.currency}
        return Verdict("budget", None, _("It is in %(one)s, the budget in %(other)s: not comparable.") % facts)
    facts = {
        "total": f"{total:,.2f} {wanted.currency}",
        "months": str(wanted.budget_months),
        "budget": f"{wanted.budget:,.2f} {wanted.currency}",
    }
    if total <= wanted.budget:
        return Verdict(
            "budget", True, _("%(total)s with %(months)s months of running; the budget is %(budget)s.") % facts
        )
    return Verdict(
        "budget", False, _("%(total)s with %(months)s months of running; the budget is only %(budget)s.") % facts
    )
