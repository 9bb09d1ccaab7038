"""The thirteen types of custom fields: what a value may be, how it is kept, written in a cell and read back. Pure.

A value is kept as JSON: texts, numbers and booleans as such, a date as "2026-03-01", a time as "2026-03-01T08:00:00Z"
(UTC, to the second: so they sort as text), a choice by its value, a thing by its Ref, several as a list, each once.
No value is None: an empty text and an empty list are no value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import re2
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from tongchou.core.models_fields import FieldEditable, FieldType, FieldVisible, FilterLogic
from tongchou.core.problems import Text
from tongchou.core.refs import parse

MAX_TEXT = 1_000
MAX_LONG_TEXT = 20_000
MAX_URL = 2_000
MAX_ITEMS = 100
MAX_JSON_BYTES = 16_384
MAX_JSON_DEPTH = 20
MAX_INTEGER = 2**53 - 1  # what every JSON reader keeps exactly
DIGITS = 15  # what a double keeps exactly, so that both databases compare alike
DECIMAL_PLACES = 10
SEPARATOR = ";"
SCHEMES = ("http", "https", "ftp", "sftp", "ssh")

TEXTS = (FieldType.TEXT, FieldType.LONG_TEXT, FieldType.URL)
NUMBERS = (FieldType.INTEGER, FieldType.DECIMAL)
TIMES = (FieldType.DATE, FieldType.DATE_TIME)
SELECTS = (FieldType.SELECT, FieldType.MULTI_SELECT)
OBJECTS = (FieldType.OBJECT, FieldType.MULTI_OBJECT)
SEVERAL = (FieldType.MULTI_SELECT, FieldType.MULTI_OBJECT)
UNIQUE_TYPES = (*TEXTS, *NUMBERS, *TIMES, FieldType.SELECT, FieldType.OBJECT)

YES = frozenset({"true", "yes", "y", "1", "on", "是"})
NO = frozenset({"false", "no", "n", "0", "off", "否"})


def localized(texts: Mapping[str, Any], fallback: str = "") -> str:
    """Return the text of {"en": ..., "zh": ...} in the language spoken now; any text before none."""
    wanted = "zh" if (get_language() or "").startswith("zh") else "en"
    return str(texts.get(wanted) or next((text for text in texts.values() if text), fallback))


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a select field; `label` is {"en": ..., "zh": ...}, `colour` a name of COLOURS or ""."""

    value: str
    label: Mapping[str, Text]
    colour: str = ""

    @property
    def title(self) -> str:
        """Its label in the language spoken now."""
        return localized(self.label, self.value)


@dataclass(frozen=True, slots=True)
class FieldDef:
    """A field as readers use it; of a custom one the same facts as its FieldDefinition, with its choices.

    `column`: the JSON column of its noun that holds the values. `unit` stands after a number and in a column's head.
    """

    id: UUID
    kind: str
    name: str
    type: FieldType
    label: Mapping[str, Text]
    subkinds: tuple[str, ...] = ()
    description: Mapping[str, Text] | None = None
    group: Mapping[str, Text] | None = None
    weight: int = 100
    required: bool = False
    unique: bool = False
    default: Any = None
    minimum: float | int | None = None
    maximum: float | int | None = None
    pattern: str = ""
    max_length: int | None = None
    choices: tuple[Choice, ...] = ()
    object_kind: str = ""
    filter_logic: FilterLogic = FilterLogic.LOOSE
    visible: FieldVisible = FieldVisible.ALWAYS
    editable: FieldEditable = FieldEditable.YES
    cloneable: bool = True
    unit: Text = ""
    column: str = "custom"

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def title(self) -> str:
        """Its label in the language spoken now."""
        return localized(self.label, self.name)

    @property
    def help(self) -> str:
        """Its description in the language spoken now; "" without one."""
        return localized(self.description or {})

    @property
    def heading(self) -> str:
        """Its group in the language spoken now; "" without one."""
        return localized(self.group or {})

    @property
    def key(self) -> str:
        """Where a Problem and a form find it."""
        return f"{self.column}.{self.name}"


class Unfit(Exception):
    """A value that a field cannot take: what is wrong, and what would do."""

    def __init__(self, detail: Text, remedy: Text) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


# --- reading: one function a type; each returns what is kept, or raises Unfit -----------------------------------------


def _text(field: FieldDef, value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit(_("This is a text."), _("Put it in quotes."))
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    lines = field.type is FieldType.LONG_TEXT
    if any((ord(char) < 32 and not (lines and char in "\n\t")) or 0xD800 <= ord(char) < 0xE000 for char in text):
        raise Unfit(
            _("A text holds no control characters.") if lines else _("This is a text of one line."),
            _("Take the line breaks and control characters out."),
        )
    return text


def _fits_text(field: FieldDef, text: str) -> None:
    most = field.max_length or {FieldType.LONG_TEXT: MAX_LONG_TEXT, FieldType.URL: MAX_URL}.get(field.type, MAX_TEXT)
    if len(text) > most:
        raise Unfit(
            _("This is a text of at most %(most)s characters.") % {"most": most},
            _("It has %(length)s; shorten it.") % {"length": len(text)},
        )
    if field.pattern and re2.fullmatch(field.pattern, text) is None:
        raise Unfit(
            _("This does not match the pattern %(pattern)s.") % {"pattern": field.pattern},
            _("Write it as the pattern says; it is matched against the whole text."),
        )


def _url(field: FieldDef, value: Any) -> str:
    text = _text(field, value)
    wrong = Unfit(
        _("This is not a web address."),
        _("Write it like https://wiki.example.com/page; allowed are %(schemes)s.") % {"schemes": ", ".join(SCHEMES)},
    )
    try:
        parts = urlsplit(text)
        secret = parts.password is not None
        host = parts.hostname
    except ValueError:
        raise wrong from None
    if not text:
        return text
    if parts.scheme.lower() not in SCHEMES or not host or any(char.isspace() for char in text):
        raise wrong
    if secret:
        raise Unfit(_("A web address here holds no password."), _("Leave the password out; store it as a secret."))
    return text


def _integer(field: FieldDef, value: Any) -> int:
    wrong = Unfit(_("This is a whole number."), _("Write digits only, for example 42."))
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise wrong
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        raise wrong from None
    if whole != value:
        raise wrong
    if abs(whole) > MAX_INTEGER:
        raise Unfit(
            _("A whole number lies between %(least)s and %(most)s.") % {"least": -MAX_INTEGER, "most": MAX_INTEGER},
            _("Keep longer numbers as a text."),
        )
    return whole


def _decimal(field: FieldDef, value: Any) -> float:
    wrong = Unfit(_("This is a number."), _("Write it like 12.5."))
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise wrong
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise wrong from None
    if not number.is_finite():
        raise wrong
    digits = number.normalize().as_tuple()
    exponent = int(digits.exponent)
    if len(digits.digits) > DIGITS or exponent < -DECIMAL_PLACES or len(digits.digits) + exponent > DIGITS:
        raise Unfit(
            _("A number has at most %(digits)s digits, %(places)s of them after the point.")
            % {"digits": DIGITS, "places": DECIMAL_PLACES},
            _("Round it."),
        )
    return float(number) or 0.0  # never -0.0


def _fits_number(field: FieldDef, number: float) -> None:
    if field.minimum is not None and number < field.minimum:
        raise Unfit(_("This is at least %(least)s.") % {"least": f"{field.minimum:g}"}, _("Enter a larger number."))
    if field.maximum is not None and number > field.maximum:
        raise Unfit(_("This is at most %(most)s.") % {"most": f"{field.maximum:g}"}, _("Enter a smaller number."))


def _boolean(field: FieldDef, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit(_("This is true or false."), _("Write true or false, without quotes."))
    return value


def _date(field: FieldDef, value: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    try:
        return date.fromisoformat(str(value).strip().removesuffix(" 00:00:00").removesuffix("T00:00:00")).isoformat()
    except ValueError:
        raise Unfit(_("This is not a date."), _("Write it like 2026-03-01.")) from None


def _datetime(field: FieldDef, value: Any) -> str:
    wrong = Unfit(_("This is not a time with its zone."), _("Write it like 2026-03-03T08:00:00Z."))
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        if at.tzinfo is None:
            raise wrong
        return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        raise wrong from None


def _depth(value: Any, left: int = MAX_JSON_DEPTH) -> bool:
    """Whether a JSON value nests no deeper than `left`, and has no text that PostgreSQL cannot keep."""
    if left < 0:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and _depth(key, left) and _depth(each, left - 1) for key, each in value.items())
    if isinstance(value, list):
        return all(_depth(each, left - 1) for each in value)
    return not isinstance(value, str) or not any(char == "\0" or 0xD800 <= ord(char) < 0xE000 for char in value)


def _json(field: FieldDef, value: Any) -> Any:
    if not _depth(value):
        raise Unfit(
            _("This JSON nests too deep or holds characters that cannot be kept."),
            _("At most %(depth)s levels, no NUL characters.") % {"depth": MAX_JSON_DEPTH},
        )
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        raise Unfit(_("This is not JSON."), _("Numbers are finite; keys are texts.")) from None
    if size > MAX_JSON_BYTES:
        raise Unfit(
            _("This JSON is over %(most)s bytes.") % {"most": MAX_JSON_BYTES}, _("Keep large documents elsewhere.")
        )
    return value


def _choice(field: FieldDef, value: Any) -> str:
    values = [each.value for each in field.choices]
    if value not in values:
        raise Unfit(
            _("This is not one of the choices."),
            _("Use one of: %(choices)s.") % {"choices": ", ".join(values[:50])},
        )
    return str(value)


def _object(field: FieldDef, value: Any) -> str:
    try:
        found = parse(str(value))
        if f"{found.room}.{found.noun}" != field.object_kind or str(UUID(found.id)) != found.id:
            raise ValueError
    except ValueError:
        raise Unfit(
            _("This does not point at a thing of this sort."),
            _("Write its ref, like %(kind)s:01234567-89ab-cdef-0123-456789abcdef.") % {"kind": field.object_kind},
        ) from None
    return str(value)


def _several(one: Callable[[FieldDef, Any], str]) -> Callable[[FieldDef, Any], list[str]]:
    def read_all(field: FieldDef, value: Any) -> list[str]:
        if not isinstance(value, list | tuple):
            raise Unfit(_("This is a list."), _("Write a list, even of one."))
        if len(value) > MAX_ITEMS:
            raise Unfit(_("This list has over %(most)s entries.") % {"most": MAX_ITEMS}, _("Take some out."))
        found = list(dict.fromkeys(one(field, each) for each in value))
        if field.choices:
            order = [each.value for each in field.choices]
            found.sort(key=order.index)
        return found

    return read_all


_READ: dict[FieldType, Callable[[FieldDef, Any], Any]] = {
    FieldType.TEXT: _text,
    FieldType.LONG_TEXT: _text,
    FieldType.INTEGER: _integer,
    FieldType.DECIMAL: _decimal,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.DATE_TIME: _datetime,
    FieldType.URL: _url,
    FieldType.JSON: _json,
    FieldType.SELECT: _choice,
    FieldType.MULTI_SELECT: _several(_choice),
    FieldType.OBJECT: _object,
    FieldType.MULTI_OBJECT: _several(_object),
}


def read(field: FieldDef, value: Any, *, limits: bool = True) -> Any:
    """Return the value as it is kept, None for no value; Unfit says why it cannot be taken.

    Without `limits` only the type is looked at (a filter may ask for what could not be entered).
    """
    if value is None or value in ("", [], ()):
        return None
    found = _READ[field.type](field, value)
    if found in ("", []) and field.type is not FieldType.JSON:
        return None
    if limits and field.type in TEXTS:
        _fits_text(field, found)
    if limits and field.type in NUMBERS:
        _fits_number(field, found)
    return found


# --- cells: how a value stands in CSV, XLSX and a form ----------------------------------------------------------------


def number_text(value: float | int) -> str:
    """Write a number without an exponent and without a useless ".0"."""
    if isinstance(value, int):
        return str(value)
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def write(field: FieldDef, value: Any) -> str:
    """Return the text of a kept value, so that `read_text` gives the value again; "" for none."""
    if value is None:
        return ""
    if field.type is FieldType.JSON:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, list):
        return f"{SEPARATOR} ".join(str(each) for each in value)
    return str(value)


def read_text(field: FieldDef, text: str) -> Any:
    """Turn the text of a cell or a form into something `read` takes; Unfit for what is not of the type.

    A time without its zone is one of the time zone in force.
    """
    bare = text.strip()
    if not bare:
        return None
    if field.type in NUMBERS:
        try:
            return Decimal(bare)
        except InvalidOperation:
            raise Unfit(_("This is a number."), _("Write it like 12.5.")) from None
    if field.type is FieldType.BOOLEAN:
        if bare.casefold() in YES | NO:
            return bare.casefold() in YES
        raise Unfit(_("This is yes or no."), _("Write true or false."))
    if field.type is FieldType.JSON:
        try:
            return json.loads(bare)
        except (ValueError, RecursionError):
            raise Unfit(_("This is not JSON."), _('Write it like {"rack": "A3"}.')) from None
    if field.type in SEVERAL:
        return [each.strip() for each in bare.split(SEPARATOR) if each.strip()]
    if field.type is FieldType.DATE_TIME:
        try:
            at = datetime.fromisoformat(bare)
        except ValueError:
            return bare
        return timezone.make_aware(at) if at.tzinfo is None else at
    return text if field.type is FieldType.LONG_TEXT else bare
