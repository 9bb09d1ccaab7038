"""Reading of bodies and query strings: what no database can keep is refused here, before any view sees it."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from ninja.parser import Parser

from tongchou.core.problems import BadRequest, Invalid, TooLarge
from tongchou.middleware import is_storable
from tongchou.wire.gzip_body import OverLimitError, ungzip
from tongchou.wire.protobuf import MalformedError

MOST_UNPACKED_BYTES = 8_000_000


def _place(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    shown = name if is_storable(name) else ascii(name)
    return f"{path}.{shown}" if path else shown


def _check_text(text: str, path: str) -> None:
    if not is_storable(text):
        raise Invalid(
            "api.text",
            _("The text has a NUL character or half of a surrogate pair; neither is text."),
            field=path or None,
            remedy=_("Leave the character out."),
        )


def check_storable(value: Any, path: str = "") -> None:
    """Raise Invalid for NUL, lone surrogates (keys and values) and numbers that are not finite, naming the place.

    The text itself is not repeated: it may be a secret.
    """
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for key, each in value.items():
            _check_text(key, _place(path, key))
            check_storable(each, _place(path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            check_storable(each, _place(path, number))
    elif isinstance(value, float) and not isfinite(value):
        raise Invalid(
            "api.number",
            _("The number is not finite."),
            field=path or None,
            value=value,
            remedy=_("Send a number that fits 64-bit floating point."),
        )


def _unpacked(body: bytes) -> bytes:
    try:
        return ungzip(body, MOST_UNPACKED_BYTES)
    except OverLimitError:
        raise TooLarge(
            "api.too_large",
            _("The body is over %(most)s bytes.") % {"most": f"{MOST_UNPACKED_BYTES:,}"},
            remedy=_("Send it in parts."),
        ) from None
    except MalformedError as error:
        raise BadRequest(
            "api.gzip", _("The body cannot be read: %(error)s") % {"error": error}, field="Content-Encoding"
        ) from None


class StrictParser(Parser):
    """JSON as ninja reads it, without what cannot be stored."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the JSON of the body, also out of gzip; raises ValueError for what is not JSON.

        Raises Invalid for what cannot be stored, TooLarge for gzip that holds too much.
        """
        packed = request.headers.get("Content-Encoding", "").strip().lower() == "gzip"
        body = json.loads(_unpacked(request.body)) if packed else super().parse_body(request)
        check_storable(body)
        return body

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the parameters; raises Invalid for text that cannot be stored. Uploaded files pass as they are."""
        for name, values in data.lists():
            for value in values:
                if isinstance(value, str):
                    _check_text(value, _place("", name))
        return super().parse_querydict(data, list_fields, request)
