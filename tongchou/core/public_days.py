"""Public holidays and the weekends that are worked in exchange, by country. Data: the holidays library, offline."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import holidays
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid

FIRST_YEAR, LAST_YEAR = 1970, 2100


def countries() -> list[str]:
    """Return the ISO codes of the countries there are."""
    return sorted(code for code in holidays.list_supported_countries() if len(code) == 2)


def check_country(code: str) -> str:
    """Return the code; raises Invalid on field `country` for one whose days nobody knows. "" is no country."""
    if code and code not in countries():
        raise Invalid(
            "calendar.country",
            _("The public holidays of this country are not known."),
            field="country",
            value=code,
            remedy=_("Use a code of two letters such as CN or DE, or none and enter the days yourself."),
        )
    return code


@lru_cache(maxsize=512)
def _year(country: str, year: int) -> Any:
    language = "zh_CN" if country == "CN" else None
    return holidays.country_holidays(country, years=year, language=language)


def day_off(country: str, day: date) -> str | None:
    """Return the name of the public holiday (or the day off that a worked weekend gives) on a day, else None."""
    if not country or not FIRST_YEAR <= day.year <= LAST_YEAR:
        return None
    # the year's own table is asked, never another one: a table that is asked for a day outside it grows
    return _year(country, day.year).get(day)  # type: ignore[no-any-return]  # the library is untyped here


def worked_weekend(country: str, day: date) -> bool:
    """Tell whether a day of the weekend is worked in exchange for a day off (China: 调休)."""
    if not country or not FIRST_YEAR <= day.year <= LAST_YEAR:
        return False
    return day in getattr(_year(country, day.year), "weekend_workdays", ())


def settled(country: str, year: int) -> bool:
    """Tell whether the exchange of weekends of a year is known.

    China's State Council publishes it in November of the year before; until it has come with an update, the holidays
    themselves are known and the exchanges are not. Other countries have none that change by decree.
    """
    return country != "CN" or any(day.year == year for day in _year(country, year).weekend_workdays)
