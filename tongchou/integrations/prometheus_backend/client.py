"""Requests to the server that the settings name, and what its failures mean to whoever waits for an answer.

A server that does not answer is asked again a few seconds later, not by every panel and rule in between.
"""

from __future__ import annotations

import base64
import re
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core import http
from tongchou.core.problems import Problem, Unavailable

MAX_ANSWER_BYTES = 256 * 1024 * 1024
REST_SECONDS = 5.0  # after no answer at all, everybody is refused at once for so long
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_USERINFO = re.compile(r"//[^/?#]*@")
_UNREACHABLE = frozenset(("timeout", "connect", "tls"))


class TooLarge(Exception):
    """The answer is more than one request may bring: ask for less at a time."""


class NotSpoken(Exception):
    """The server does not know this request."""


@lru_cache(maxsize=4)
def _tls(ca_file: Path | None, certificate_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    if certificate_file is not None:
        context.load_cert_chain(certificate_file, key_file)
    return context


def _secret(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


class Client:
    """Asks the server of TONGCHOU_PROMETHEUS_URL. Thread-safe; the settings are read at each request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent: tuple[str, float, str] = ("", 0.0, "")  # (server, asked again from when on, what was wrong)

    def get(self, path: str, parameters: Sequence[tuple[str, str]], *, timeout_seconds: float) -> bytes:
        """The body of a GET. Raises NotSpoken, TooLarge, Unavailable."""
        return self._ask("GET", f"{path}?{urlencode(parameters)}", {}, None, timeout_seconds)

    def post(self, path: str, parameters: Sequence[tuple[str, str]], *, timeout_seconds: float) -> bytes:
        """The body of a POST of a form. Raises as `get`."""
        return self._ask("POST", path, FORM, urlencode(parameters).encode(), timeout_seconds)

    def post_bytes(self, path: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float) -> bytes:
        """The body of a POST of bytes. Raises as `get`."""
        return self._ask("POST", path, headers, body, timeout_seconds)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout_seconds: float
    ) -> bytes:
        with self._lock:
            server, until, why = self._silent
        if server == settings.PROMETHEUS_URL and time.monotonic() < until:
            raise unavailable(why)
        wait = min(timeout_seconds, settings.PROMETHEUS_TIMEOUT_SECONDS)
        try:
            answer = http.fetch(
                method,
                settings.PROMETHEUS_URL + path,
                purpose="prometheus",
                headers={**headers, **self._credentials()},
                body=body,
                timeout_seconds=wait,
                max_bytes=MAX_ANSWER_BYTES,
                tls=_tls(
                    settings.PROMETHEUS_CA_FILE, settings.PROMETHEUS_CERTIFICATE_FILE, settings.PROMETHEUS_KEY_FILE
                ),
            )
        except http.HttpError as error:
            if error.reason == "too_large":
                raise TooLarge from None
            # A short wait of one caller is no proof that the server is dead.
            if error.reason in _UNREACHABLE and (error.reason != "timeout" or wait >= REST_SECONDS):
                with self._lock:
                    self._silent = settings.PROMETHEUS_URL, time.monotonic() + REST_SECONDS, error.detail
            raise unavailable(error.detail) from error
        except OSError as error:  # a file of the settings that cannot be read (ssl.SSLError is one, too)
            raise unavailable(str(error)) from error
        return _body(answer)

    def _credentials(self) -> dict[str, str]:
        if settings.PROMETHEUS_TOKEN_FILE is not None:
            return {"Authorization": f"Bearer {_secret(settings.PROMETHEUS_TOKEN_FILE)}"}
        if settings.PROMETHEUS_USER:
            password = _secret(settings.PROMETHEUS_PASSWORD_FILE) if settings.PROMETHEUS_PASSWORD_FILE else ""
            pair = base64.b64encode(f"{settings.PROMETHEUS_USER}:{password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def _body(answer: http.Response) -> bytes:
    if answer.status // 100 == 2:
        return answer.body
    text = answer.body[:500].decode(errors="replace").strip()
    if answer.status in (401, 403):
        raise unavailable(
            f"{answer.status} {text}", _("Correct the user, password or token of TONGCHOU_PROMETHEUS_URL.")
        )
    # Of a rate (429) or a queue (503) that is at its limit smaller questions would only be more.
    if answer.status not in (429, 503) and ("limit" in text or "too many" in text):
        raise TooLarge
    if answer.status in (400, 404, 405, 501):
        raise NotSpoken(text)
    raise unavailable(f"{answer.status} {text}")


def shown(url: str) -> str:
    """The address for people who ask for metrics: a name and password in it are refused, and are not theirs to see."""
    return _USERINFO.sub("//", url)


def unavailable(detail: str, remedy: Any = None) -> Problem:
    """The Problem of a server that gives no usable answer."""
    return Unavailable(
        "telemetry.remote_failed",
        _("The metrics server %(url)s gives no answer: %(detail)s")
        % {"url": shown(settings.PROMETHEUS_URL), "detail": detail[:500]},
        remedy=remedy or _("See whether it runs and TONGCHOU_PROMETHEUS_URL is right; `tongchou doctor` asks it."),
    )


def data_of(body: bytes) -> Any:
    """The `data` of an answer of Prometheus's API. Raises Unavailable for anything else."""
    try:
        answer = msgspec.json.decode(body)
        return answer["data"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise unavailable(f"not an answer of Prometheus's API: {body[:200]!r}") from None
