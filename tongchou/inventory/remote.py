"""Asks JSON APIs for what there is: GET only, through core.http, all of a look within one deadline and stated sizes."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from tongchou.core import http, secrets
from tongchou.core.problems import Invalid, Problem, TooLarge, Unavailable

MAX_ANSWER_BYTES = 32_000_000
# reasons (the last part of a problem's code) for which no other path of the server will answer either
FATAL = frozenset({"connect", "tls", "refused", "budget", "url"})
LOOK_SECONDS = 240.0  # of all requests of one look: the job that looks is given 300
REMOTE_SETTINGS: dict[str, Any] = {
    "url": {
        "type": "string",
        "title": "URL",
        "format": "uri",
        "description": _("the address, without a path of the API"),
    },
    "token_secret": {"type": "string", "maxLength": 120, "description": _("name of the secret that holds the token")},
    "ca_certificate": {
        "type": "string",
        "maxLength": 100_000,
        "description": _("certificates (PEM) of the authority that signed the server's, where it is a private one"),
    },
    "timeout_seconds": {
        "type": "number",
        "minimum": 0.1,
        "maximum": 120,
        "default": 20,
        "description": _("how long one answer may take"),
    },
}


def tls(settings: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return what to trust; None for the system's authorities. Raises Invalid for what is no certificate."""
    text = settings.get("ca_certificate")
    if not text:
        return None
    try:
        return ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise Invalid(
            "source.certificate",
            _("This is no certificate in PEM."),
            field="settings.ca_certificate",
            remedy=_("Paste all of it, from BEGIN CERTIFICATE to END CERTIFICATE."),
        ) from error


def ends_look(problem: Problem) -> bool:
    """Tell whether what was refused of one path would be refused of every other one."""
    return problem.code.rpartition(".")[2] in FATAL


class Remote:
    """One look at one server. Not for several threads. The token goes to that server only: redirects are refused."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        purpose: str,
        scheme: str = "Bearer",
        context: ssl.SSLContext | None = None,
        url: str = "",
        token: str = "",
    ) -> None:
        self.url = (url or settings["url"]).rstrip("/")
        self._purpose = purpose
        self._timeout_seconds = float(settings.get("timeout_seconds") or 20.0)
        self._tls = context or tls(settings)
        self._until = time.monotonic() + LOOK_SECONDS
        self._headers = {"Accept": "application/json"}
        if settings.get("token_secret"):
            token = secrets.reveal(settings["token_secret"])
        if token:
            self._headers["Authorization"] = f"{scheme} {token.strip()}"

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> Any:
        """Return the JSON of a path. Raises Unavailable, TooLarge or Invalid with a remedy; never quotes an answer."""
        url = f"{self.url}{path}"
        left = self._until - time.monotonic()
        if left <= 0:
            raise self._unavailable("budget", path, _("the whole look took over %(s)s s") % {"s": f"{LOOK_SECONDS:g}"})
        try:
            answer = http.fetch(
                "GET",
                f"{url}?{urlencode(parameters)}" if parameters else url,
                purpose=self._purpose,
                headers=self._headers,
                timeout_seconds=min(self._timeout_seconds, left),
                max_bytes=MAX_ANSWER_BYTES,
                tls=self._tls,
            )
        except http.HttpError as error:
            if error.reason == "too_large":
                raise TooLarge(
                    f"{self._purpose}.too_large",
                    _("One answer is over %(most)s bytes.") % {"most": f"{MAX_ANSWER_BYTES:,}"},
                    field="settings.url",
                    value=url,
                    remedy=_("Make the source ask for less; nothing known was changed."),
                ) from error
            raise self._unavailable(error.reason, path, error.detail) from error
        if answer.status != 200:
            raise self._status(answer.status, path)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._unavailable("json", path, _("the answer is no JSON")) from error

    def _status(self, status: int, path: str) -> Problem:
        if status in (401, 403):
            return Unavailable(
                f"{self._purpose}.denied",
                _("%(url)s answered %(status)s: the token does not open it.")
                % {"url": f"{self.url}{path}", "status": status},
                field="settings.token_secret",
                remedy=_("Store a token that may read this under the secret's name; nothing known was changed."),
            )
        return self._unavailable("status", path, _("it answered %(status)s instead of 200") % {"status": status})

    def _unavailable(self, reason: str, path: str, why: Any) -> Unavailable:
        return Unavailable(
            f"{self._purpose}.{reason}",
            _("%(url)s could not be read: %(detail)s") % {"url": f"{self.url}{path}", "detail": why},
            field="settings.url",
            value=self.url,
            remedy=_("Check that the address answers from this host; nothing known was changed."),
        )
