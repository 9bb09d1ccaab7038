"""Go's fmt: Sprint, Sprintln and Sprintf for the values of a template, into a bounded buffer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tongchou.alerting.gotemplate.errors import LimitError, Unfit
from tongchou.alerting.gotemplate.values import GoObject, NoValue, Sample, Struct, type_name

MAX_TEXT_CHARACTERS = 65_536
_MAX_WIDTH = 10_000

_VERB = re.compile(r"%([+\-# 0]*)(\*|\d+)?(?:\.(\*|\d*))?(?:\[(\d+)\])?(.)?", re.DOTALL)


class Buffer:
    """Text that refuses to grow beyond ``limit`` characters."""

    def __init__(self, limit: int = MAX_TEXT_CHARACTERS) -> None:
        self._parts: list[str] = []
        self._left = limit
        self._limit = limit

    def write(self, text: str) -> None:
        """Append, or raise LimitError."""
        self._left -= len(text)
        if self._left < 0:
            raise LimitError(f"template output is longer than {self._limit} characters")
        self._parts.append(text)

    def text(self) -> str:
        """Everything written."""
        return "".join(self._parts)


def format_float(value: float, verb: str = "g", precision: int = -1, *, sharp: bool = False) -> str:
    """strconv.FormatFloat; precision -1 is the shortest text that reads back as the same number.

    The shortest %g turns to an exponent below 1e-4 and from 1e6 on (strconv's formatDigits decides with precision 6).
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if precision >= 0:
        return f"{value:{'#' if sharp else ''}.{precision}{verb}}"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    digits, exponent = _shortest(abs(value))
    if verb in "gG":
        verb = ("e" if verb == "g" else "E") if exponent < -4 or exponent >= 6 else "f"
    if verb in "eE":
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}{verb}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    padded = digits.ljust(exponent + 1, "0")
    whole, rest = padded[: exponent + 1], padded[exponent + 1 :]
    return f"{sign}{whole}.{rest}" if rest else sign + whole


def _shortest(value: float) -> tuple[str, int]:
    """The shortest significant digits and the decimal exponent of the first one."""
    if value == 0:
        return "0", 0
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = (whole + rest).lstrip("0")
    leading = len(whole + rest) - len(digits)
    position = len(whole) - 1 - leading + (int(exponent) if exponent else 0)
    return digits.rstrip("0") or "0", position


def write_value(out: Buffer, value: object) -> None:
    """Write ``value`` as %v does."""
    if value is None:
        out.write("<nil>")
    elif isinstance(value, NoValue):
        out.write("<no value>")
    elif isinstance(value, bool):
        out.write("true" if value else "false")
    elif isinstance(value, str):
        out.write(value)
    elif isinstance(value, float):
        out.write(format_float(value))
    elif isinstance(value, int):
        out.write(str(value))
    elif isinstance(value, dict):
        _write_sequence(out, "map[", [(str(key), value[key]) for key in sorted(value, key=str)])
    elif isinstance(value, list):
        _write_sequence(out, "[", [("", item) for item in value])
    elif isinstance(value, Sample):
        _write_sequence(out, "{", [("", value.labels), ("", value.value)])
    elif isinstance(value, Struct):
        _write_sequence(out, "{", [("", item) for item in value.fields.values()])
    elif isinstance(value, GoObject):
        out.write(str(value))
    else:
        raise Unfit(f"can't print {type_name(value)}")


def _write_sequence(out: Buffer, opening: str, items: Sequence[tuple[str, object]]) -> None:
    out.write(opening)
    for index, (key, item) in enumerate(items):
        out.write((" " if index else "") + (key + ":" if key else ""))
        write_value(out, item)
    out.write("}" if opening == "{" else "]")


def sprint(values: Sequence[object]) -> str:
    """fmt.Sprint: a space between two operands when neither is a string."""
    out = Buffer()
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            out.write(" ")
        write_value(out, value)
    return out.text()


def sprintln(values: Sequence[object]) -> str:
    """fmt.Sprintln: spaces always, and a newline."""
    out = Buffer()
    for index, value in enumerate(values):
        if index:
            out.write(" ")
        write_value(out, value)
    out.write("\n")
    return out.text()


def sprintf(form: str, values: Sequence[object]) -> str:
    """fmt.Sprintf, with Go's notes for what does not fit: ``%!d(string=x)``, ``%!s(MISSING)``, ``%!(EXTRA int=1)``."""
    out = Buffer()
    at = used = 0
    indexed = False
    for found in _VERB.finditer(form):
        out.write(form[at : found.start()])
        at = found.end()
        flags, width, precision, index, verb = found.groups()
        if verb is None:
            out.write("%!(NOVERB)")
            continue
        if verb == "%":
            out.write("%")
            continue
        if width == "*":
            width, used = _star(values, used)
        if precision == "*":
            precision, used = _star(values, used)
        if index is not None:
            indexed = True
            used = int(index) - 1
        if not 0 <= used < len(values):
            out.write(f"%!{verb}({'BADINDEX' if index else 'MISSING'})")
            continue
        text = _verb(values[used], verb, flags, -1 if precision is None else int(precision or 0))
        used += 1
        out.write(_pad(text, flags, width, verb))
    out.write(form[at:])
    if used < len(values) and not indexed:
        extra = [f"{type_name(value)}={sprint([value])}" for value in values[used:]]
        out.write(f"%!(EXTRA {', '.join(extra)})")
    return out.text()


def _star(values: Sequence[object], used: int) -> tuple[str, int]:
    if used < len(values) and type(values[used]) is int:
        return str(values[used]), used + 1
    return "0", used + 1


def _pad(text: str, flags: str, width: str | None, verb: str) -> str:
    if not width:
        return text
    size = int(width)
    left = "-" in flags or size < 0
    size = abs(size)
    if size > _MAX_WIDTH:
        return f"%!(BADWIDTH){text}"
    if left:
        return text.ljust(size)
    if "0" in flags and verb not in "sqvT" and text not in ("+Inf", "-Inf", "NaN"):
        sign = text[:1] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(size - len(sign), "0")
    return text.rjust(size)


def _verb(value: object, verb: str, flags: str, precision: int) -> str:
    precision = min(precision, 1000)
    if verb == "T":
        return type_name(value)
    if verb == "v":
        return _default(value, flags, precision)
    if isinstance(value, bool):
        if verb == "t":
            return sprint([value])
    elif isinstance(value, int):
        text = _integer(value, verb, flags)
        if text is not None:
            return text
    elif isinstance(value, float):
        if verb in "eEfFgG":
            return _float(value, verb, flags, precision)
    elif verb in "sq":
        text = value if isinstance(value, str) else sprint([value])
        text = text[:precision] if precision >= 0 else text
        return quote(text) if verb == "q" else text
    elif isinstance(value, str) and verb in "xX":
        encoded = value.encode().hex()
        return encoded.upper() if verb == "X" else encoded
    shown = "<nil>" if value is None else f"{type_name(value)}={sprint([value])}"
    return f"%!{verb}({shown})"


def _default(value: object, flags: str, precision: int) -> str:
    if isinstance(value, float):
        return _signed(format_float(value, "g", precision), flags)
    if isinstance(value, str):
        return quote(value) if "#" in flags else value
    return sprint([value])


def _float(value: float, verb: str, flags: str, precision: int) -> str:
    shape = "f" if verb == "F" else verb
    places = 6 if precision < 0 and (verb in "eEfF" or "#" in flags) else precision
    return _signed(format_float(value, shape, places, sharp="#" in flags), flags)


def _integer(value: int, verb: str, flags: str) -> str | None:
    if verb == "d":
        return _signed(str(value), flags)
    if verb == "c":
        return chr(value) if 0 <= value < 0x110000 else "�"
    if verb == "q":
        return f"'{chr(value)}'" if 0 <= value < 0x110000 else "'�'"
    if verb == "U":
        return f"U+{value:04X}"
    if verb in "xXob":
        return _signed(f"{value:{'#' if '#' in flags else ''}{verb}}", flags)
    return None


def _signed(text: str, flags: str) -> str:
    if text[:1] in ("-", "+"):
        return text
    if "+" in flags and text != "NaN":
        return "+" + text
    return " " + text if " " in flags else text


def quote(text: str) -> str:
    """strconv.Quote: a double-quoted Go string."""
    out = ['"']
    for character in text:
        if character in '"\\':
            out.append("\\" + character)
        elif character in "\a\b\f\n\r\t\v":
            out.append("\\" + "abfnrtv"["\a\b\f\n\r\t\v".index(character)])
        elif character.isprintable():
            out.append(character)
        else:
            code = ord(character)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return "".join([*out, '"'])
