"""How what people state is read: texts, numbers, money, rows. Every refusal names its field. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Text

MAX_TEXT = 20_000
MAX_ROWS = 50
MONEY, AMOUNT = (Decimal("1e15"), 2), (Decimal("1e12"), 3)  # below it, with so many decimals
_CURRENCY = re.compile(r"\A[A-Z]{3}\Z")


def refuse(field: str, value: object, detail: Text, remedy: Text | None = None) -> Invalid:
    """Return the refusal of one field."""
    return Invalid("design.invalid", detail, field=field, value=value, remedy=remedy)


def text(value: object, field: str, *, most: int = MAX_TEXT, wanted: bool = False) -> str:
    """Return a text without blanks around it."""
    found = str(value or "").replace("\r\n", "\n").strip()
    if wanted and not found:
        raise refuse(field, "", _("This may not be empty."), _("Fill it in."))
    if len(found) > most:
        raise refuse(field, found[:80], _("At most %(most)s characters.") % {"most": most})
    return found


def decimal(value: object, field: str, limits: tuple[Decimal, int] = AMOUNT) -> Decimal | None:
    """Return a number from 0 on, None of nothing; a number, or a text that writes one."""
    if value is None or value == "":
        return None
    most, places = limits
    try:
        found = Decimal(str(value).strip().replace(",", ""))
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite() or not 0 <= found < most:
        raise refuse(field, value, _("A number from 0 on is wanted."), _("Write it like 1200.50."))
    if found != round(found, places):
        raise refuse(field, value, _("At most %(n)s decimals.") % {"n": places})
    return round(found, places)


def whole(value: object, field: str, least: int = 0, most: int = 1_000_000) -> int | None:
    """Return a whole number within its limits, None of nothing."""
    found = decimal(value, field)
    if found is None:
        return None
    if found != int(found) or not least <= found <= most:
        raise refuse(
            field,
            value,
            _("A whole number from %(least)s to %(most)s is wanted.") % {"least": least, "most": most},
        )
    return int(found)


def currency(value: object, field: str, *, wanted: bool) -> str:
    """Return the code of a currency; it is wanted where there is an amount."""
    found = str(value or "").strip().upper()
    if not found and not wanted:
        return ""
    if not _CURRENCY.match(found):
        raise refuse(
            field, value or "", _("An amount has a currency."), _("Write its three letters, such as CNY or EUR.")
        )
    return found


def rows(value: object, field: str, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return rows with these keys; unknown keys are refused, empty rows left out."""
    if not isinstance(value, list | tuple) or len(value) > MAX_ROWS:
        raise refuse(field, None, _("At most %(most)s rows.") % {"most": MAX_ROWS})
    found = []
    for number, row in enumerate(value):
        if not isinstance(row, Mapping) or set(row) - set(names):
            raise refuse(
                f"{field}[{number}]", None, _("A row has these fields: %(names)s.") % {"names": ", ".join(names)}
            )
        if any(each not in (None, "") for each in row.values()):
            found.append(row)
    return found


def plain(value: Decimal | None) -> str:
    """Return a number as a text without an exponent or zeros at its end."""
    if value is None:
        return ""
    said = f"{value:f}"
    return said.rstrip("0").rstrip(".") if "." in said else said
