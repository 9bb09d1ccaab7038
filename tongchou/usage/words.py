"""What a loss is called in a sentence for managers, and why there is none. In the language spoken now."""

from __future__ import annotations

from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from tongchou.usage.models import Impact

REASONS: dict[str, str | Promise] = {
    "no_metric": gettext_lazy("No metric says what is earned: set usage.revenue."),
    "history_short": gettext_lazy(
        "The history is too short: %(found)s earlier days have samples at this time of day, %(wanted)s are needed."
    ),
    "actual_missing": gettext_lazy("Only %(percent)s %% of the time has samples of the revenue."),
    "nothing_expected": gettext_lazy("At this time of day nothing is earned."),
}


def amount(value: Decimal | None, currency: str) -> str:
    """An amount with its currency, without hundredths from a thousand on."""
    if value is None:
        return "–"
    return f"{value:,.0f} {currency}" if abs(value) >= 1000 else f"{value:,.2f} {currency}"


def reason(row: Impact) -> str:
    """Why there is no figure; "" when there is one."""
    if not row.reason:
        return ""
    text = str(REASONS.get(row.reason, row.reason))
    return text % row.inputs.get("facts", {}) if "%(" in text else text


def sentence(row: Impact) -> str:
    """One sentence for managers."""
    if row.lost is None or row.low is None or row.high is None:
        return _("What this cost cannot be computed. %(reason)s") % {"reason": reason(row)}
    facts = {
        "lost": amount(row.lost, row.currency),
        "low": amount(row.low, row.currency),
        "high": amount(row.high, row.currency),
    }
    if row.low <= 0:
        text = _("No loss stands out from the ordinary ups and downs of revenue (%(low)s to %(high)s).") % facts
    else:
        text = _("About %(lost)s of revenue was lost (in 8 of 10 cases %(low)s to %(high)s).") % facts
    if row.caught_up:
        text += " " + _("%(amount)s was caught up afterwards.") % {"amount": amount(row.caught_up, row.currency)}
    if not row.final:
        text += " " + _("The figure is not final yet.")
    return text


def sentences(row: Impact) -> dict[str, str]:
    """The sentence in both languages, by en and zh."""
    found = {}
    for key, language in (("en", "en"), ("zh", "zh-hans")):
        with override(language):
            found[key] = sentence(row)
    return found
