"""Sends a message as a mail: one connection a message, a deadline over all of it, TLS checked."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.alerting.ports import Message, Outcome
from tongchou.core import http
from tongchou.core.inbox_mail import Letter
from tongchou.core.problems import Invalid, Text
from tongchou.integrations.smtp.compose import compose, compose_letter, one_line

DEFAULT_TIMEOUT_SECONDS = 15.0
MAX_TIMEOUT_SECONDS = 40.0
MAX_RECIPIENTS = 50
PORTS = {"starttls": 587, "tls": 465, "none": 25}
LANGUAGES = ("zh-hans", "en")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?")
_KEYS = frozenset({"host", "port", "security", "username", "from", "to", "language", "timeout_seconds"})


class SmtpChannel:
    """Kind ``smtp``. The secret is the password.

    Settings: host, port, security (starttls, tls, none), username, from, to (a list), language, timeout_seconds.
    """

    kind = "smtp"

    def check(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with defaults filled in; raises Invalid."""
        if unknown := sorted(set(settings) - _KEYS):
            raise Invalid(
                "channel.settings",
                _("Unknown setting %(name)s.") % {"name": unknown[0]},
                field=f"settings.{unknown[0]}",
                remedy=_("Mail has host, port, security, username, from, to, language and timeout_seconds."),
            )
        security = settings.get("security", "starttls")
        to = settings.get("to")
        port = settings.get("port", PORTS.get(str(security), 0))
        timeout = settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS)
        username = settings.get("username", "")
        language = settings.get("language", "en")
        fits: list[tuple[str, bool, object]] = [
            ("host", _text_like(_HOST, settings.get("host")), settings.get("host")),
            ("security", security in PORTS, security),
            ("port", isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536, port),
            ("username", isinstance(username, str) and username.isprintable() and len(username) <= 200, username),
            ("username", not username or security != "none", username),
            ("from", _text_like(_ADDRESS, settings.get("from")), settings.get("from")),
            (
                "to",
                isinstance(to, list)
                and 0 < len(to) <= MAX_RECIPIENTS
                and all(_text_like(_ADDRESS, each) for each in to),
                to,
            ),
            ("language", language in LANGUAGES, language),
            (
                "timeout_seconds",
                isinstance(timeout, int | float)
                and not isinstance(timeout, bool)
                and 0 < timeout <= MAX_TIMEOUT_SECONDS,
                timeout,
            ),
        ]
        for name, fit, value in fits:
            if not fit:
                raise Invalid(
                    f"channel.{name}",
                    _("This value of %(name)s does not fit.") % {"name": name},
                    field=f"settings.{name}",
                    value=value,
                    remedy=_(
                        "E.g. host mail.example.org, security starttls, from ops@example.org, to a list of addresses, "
                        "language zh-hans or en. A username needs starttls or tls."
                    ),
                )
        return {
            "host": settings["host"],
            "port": port,
            "security": security,
            "username": username,
            "from": settings["from"],
            "to": list(dict.fromkeys(to or [])),
            "language": language,
            "timeout_seconds": float(timeout),
        }

    def shown(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All of them: the password is no setting."""
        return dict(settings)

    def secret_help(self) -> Text | None:
        """What the secret is for."""
        return _("The password of the username at the mail server.")

    def send(self, settings: Mapping[str, Any], secret: str | None, message: Message) -> Outcome:
        """One mail to all recipients; refused by some of them is delivered, and said so."""
        seconds = float(settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS))
        mail = compose(message, sender=settings["from"], to=settings["to"], language=settings["language"])
        return self._send(settings, secret, mail, seconds)

    def mail(self, settings: Mapping[str, Any], secret: str | None, letter: Letter) -> Outcome:
        """One mail to the letter's person, whoever the channel otherwise writes to."""
        if not _text_like(_ADDRESS, letter.to):
            return Outcome(False, "not a mail address", retry=False)
        seconds = float(settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS))
        mail = compose_letter(letter, sender=settings["from"])
        return self._send({**settings, "to": [letter.to]}, secret, mail, seconds)

    def _send(self, settings: Mapping[str, Any], secret: str | None, mail: EmailMessage, seconds: float) -> Outcome:
        if settings["username"] and not secret:
            return Outcome(False, "no password is set for the username", retry=False)
        try:
            refused = _deliver(settings, secret, mail.as_bytes(), seconds)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _said in error.recipients.values()]
            return Outcome(False, f"every recipient was refused: {codes}", retry=any(code < 500 for code in codes))
        except smtplib.SMTPResponseException as error:
            said = one_line(
                error.smtp_error.decode("utf-8", "replace")
                if isinstance(error.smtp_error, bytes)
                else str(error.smtp_error)
            )
            return Outcome(False, f"SMTP {error.smtp_code} {said[:200]}", retry=not 500 <= error.smtp_code < 600)
        except smtplib.SMTPNotSupportedError as error:
            return Outcome(False, one_line(str(error))[:300], retry=False)
        except ssl.SSLError as error:
            return Outcome(False, f"tls: {one_line(str(error))[:300]}")
        except (smtplib.SMTPException, OSError) as error:
            return Outcome(False, f"{type(error).__name__}: {one_line(str(error))[:300]}")
        if refused:
            return Outcome(True, f"accepted, but refused for {', '.join(sorted(refused))}"[:900])
        return Outcome(True, "accepted")


def _text_like(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


class _Guarded:
    """Opens connections for smtplib: to an address the guard lets through, and ended when the deadline passes."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.socket: socket.socket | None = None

    def connect(self, host: str, port: int) -> socket.socket:
        try:
            found = http.permitted(host, port)
        except http.HttpError as error:
            raise OSError(error.detail) from error
        left = max(0.1, self.deadline - time.monotonic())
        failed: OSError = OSError(f"{host} has no address")
        for address in found:
            try:
                self.socket = socket.create_connection((address, port), left / len(found))
            except OSError as error:
                failed = error
                continue
            self.socket.settimeout(left)
            return self.socket
        raise failed

    def end(self) -> None:
        """Make whatever waits on the connection fail: a server that drips answers must not hold a worker."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself


class _Smtp(smtplib.SMTP):
    def __init__(self, guarded: _Guarded, context: ssl.SSLContext | None, name: str) -> None:
        self._guarded, self._context, self._name = guarded, context, name
        super().__init__(timeout=max(0.1, guarded.deadline - time.monotonic()), local_hostname="tongchou.local")

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # smtplib's own hook
        plain = self._guarded.connect(host, port)
        if self._context is None:
            return plain
        wrapped = self._context.wrap_socket(plain, server_hostname=self._name)
        self._guarded.socket = wrapped
        return wrapped


def _deliver(settings: Mapping[str, Any], secret: str | None, mail: bytes, seconds: float) -> set[str]:
    """The recipients that were refused; raises what smtplib raises."""
    guarded = _Guarded(time.monotonic() + seconds)
    context = ssl.create_default_context() if settings["security"] != "none" else None
    watch = threading.Timer(seconds, guarded.end)
    watch.daemon = True
    watch.start()
    host = settings["host"]
    client = _Smtp(guarded, context if settings["security"] == "tls" else None, host)
    try:
        client.connect(host, settings["port"])
        if settings["security"] == "starttls":
            client._host = host  # type: ignore[attr-defined]  # noqa: SLF001  # what starttls checks the certificate against
            client.starttls(context=context)
            guarded.socket = client.sock
        if settings["username"] and secret:
            client.login(settings["username"], secret)
        return set(client.sendmail(settings["from"], settings["to"], mail))
    finally:
        watch.cancel()
        client.close()


CHANNEL = SmtpChannel()
