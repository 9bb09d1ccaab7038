"""Sends a message to a URL; anything but 2xx is a failed try."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from tongchou.alerting.ports import Message, Outcome
from tongchou.core import http
from tongchou.core import url_mask as mask
from tongchou.core.problems import Invalid, Text
from tongchou.core.webhook_signature import headers
from tongchou.integrations.webhook.body import encode

DEFAULT_TIMEOUT_SECONDS = 5.0
MAX_TIMEOUT_SECONDS = 20.0
MAX_ANSWER_BYTES = 64_000
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
_OURS = frozenset({"content-type", "content-length", "host", "user-agent"})


class WebhookChannel:
    """Kind ``webhook``. Settings: url, timeout_seconds, headers (a mapping; not for secrets)."""

    kind = "webhook"

    def check(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with defaults filled in; raises Invalid."""
        unknown = sorted(set(settings) - {"url", "timeout_seconds", "headers"})
        if unknown:
            raise Invalid(
                "channel.settings",
                _("Unknown setting %(name)s.") % {"name": unknown[0]},
                field=f"settings.{unknown[0]}",
                remedy=_("A webhook has url, timeout_seconds and headers."),
            )
        url = settings.get("url")
        parts = urlsplit(url) if isinstance(url, str) else None
        fits = parts is not None and parts.scheme in ("http", "https") and parts.hostname and len(str(url)) <= 2000
        if not fits or mask.MASK in str(url):  # a masked address that was changed: its key is not known any more
            raise Invalid(
                "channel.url",
                _("A webhook needs an http or https URL."),
                field="settings.url",
                value=url,
                remedy=_("Give the full address, e.g. https://chat.example.org/hooks/ops."),
            )
        timeout = settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MAX_TIMEOUT_SECONDS:
            raise Invalid(
                "channel.timeout",
                _("The timeout is a number of seconds up to %(most)s.") % {"most": MAX_TIMEOUT_SECONDS},
                field="settings.timeout_seconds",
                value=timeout,
            )
        return {"url": url, "timeout_seconds": float(timeout), "headers": _headers(settings.get("headers", {}))}

    def shown(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """With the keys in the address and in headers masked."""
        return mask.settings(settings)

    def secret_help(self) -> Text | None:
        """What the secret is for."""
        return _("Signs every message (Standard Webhooks): whsec_ and base64, or any text.")

    def send(self, settings: Mapping[str, Any], secret: str | None, message: Message) -> Outcome:
        """One POST. A 4xx that will not change (but 408, 409, 425, 429) is not tried again."""
        body = encode(message)
        sent = {"Content-Type": "application/json", **settings.get("headers", {})}
        sent["webhook-id"] = message.id
        if secret:
            try:
                sent.update(headers(secret, message.id, int(time.time()), body))
            except ValueError as error:
                return Outcome(False, f"secret: {error}", retry=False)
        try:
            answer = http.fetch(
                "POST",
                settings["url"],
                purpose="alerting webhook",
                headers=sent,
                body=body,
                timeout_seconds=settings.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS),
                max_bytes=MAX_ANSWER_BYTES,
            )
        except http.HttpError as error:
            return Outcome(False, mask.text(f"{error.reason}: {error.detail}", settings["url"]))
        if 200 <= answer.status < 300:
            return Outcome(True, f"HTTP {answer.status}")
        known = [secret, *settings.get("headers", {}).values()]
        said = mask.words(answer.body.decode("utf-8", errors="replace").strip(), known)[:200]
        retry = answer.status >= 500 or answer.status in (408, 409, 425, 429)
        return Outcome(False, mask.text(f"HTTP {answer.status} {said}".strip(), settings["url"]), retry=retry)


def _headers(given: object) -> dict[str, str]:
    fits = isinstance(given, Mapping) and all(
        isinstance(name, str)
        and isinstance(value, str)
        and _HEADER_NAME.fullmatch(name)
        and name.lower() not in _OURS
        and not name.lower().startswith("webhook-")
        and value.isprintable()
        and value.isascii()
        for name, value in given.items()
    )
    if not fits or not isinstance(given, Mapping):
        raise Invalid(
            "channel.headers",
            _("Headers are a mapping of names to printable ASCII text, none of those we set ourselves."),
            field="settings.headers",
        )
    return {str(name): str(value) for name, value in given.items()}


CHANNEL = WebhookChannel()
