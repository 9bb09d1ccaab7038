"""Refusals with a name, a place and a remedy; the API renders them as RFC 9457, the pages as an error page."""

from __future__ import annotations

import re
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise
_CREDENTIALS = re.compile(r"(://)[^/\s]{1,1000}@")  # of a URL: an address that is refused is told without its password


class Problem(Exception):
    """A refusal the caller can act on.

    `code` is a stable machine name ("rule_file.syntax"), `field` the place in the input ("groups[0].rules[1].expr"),
    `value` what stood there (never a secret), `remedy` what to do now.
    """

    status: int = 400
    default_title: Text = _("Bad request")

    def __init__(
        self,
        code: str,
        detail: Text,
        *,
        field: str | None = None,
        value: object = None,
        remedy: Text | None = None,
        title: Text | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.value = None if value is None else _CREDENTIALS.sub(r"\1***@", str(value)[:10_000])[:500]
        self.remedy = remedy
        self.title = title or self.default_title
        self.extra = extra or {}

    def __str__(self) -> str:
        place = f" [{self.field}]" if self.field else ""
        return f"{self.code}{place}: {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """Return the RFC 9457 members; optional ones only when present."""
        body: dict[str, Any] = {
            "type": f"urn:tongchou:problem:{self.code}",
            "title": str(self.title),
            "status": self.status,
            "code": self.code,
            "detail": str(self.detail),
        }
        for name in ("field", "value", "remedy"):
            found = getattr(self, name)
            if found is not None:
                body[name] = str(found)
        body.update(self.extra)
        return body


class Invalid(Problem):
    """The input has the right form and a wrong content."""

    status = 422
    default_title = _("Invalid input")


class BadRequest(Problem):
    """The input cannot be read at all."""

    status = 400


class NotSignedIn(Problem):
    """Nobody is signed in, or the token is unknown, expired or revoked."""

    status = 401
    default_title = _("Not signed in")


class AccessDenied(Problem):
    """The actor may not do this."""

    status = 403
    default_title = _("Access denied")


class NotFound(Problem):
    """No such thing, or the actor may not know of it."""

    status = 404
    default_title = _("Not found")


class Conflict(Problem):
    """The state of the noun does not allow this now."""

    status = 409
    default_title = _("Conflict")


class TooLarge(Problem):
    """The input is over a stated limit."""

    status = 413
    default_title = _("Too large")


class UnsupportedMedia(Problem):
    """The content type or encoding is not one we speak."""

    status = 415
    default_title = _("Unsupported media type")


class TooMany(Problem):
    """A rate or count limit is reached; try again later."""

    status = 429
    default_title = _("Too many requests")


class Unavailable(Problem):
    """We cannot do it now; the same call may succeed later."""

    status = 503
    default_title = _("Unavailable")


class StorageFull(Problem):
    """The disk is full; nothing acknowledged was lost, the call may be repeated."""

    status = 507
    default_title = _("Storage full")
