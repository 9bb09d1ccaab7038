"""What ClickHouse says when it refuses, as Problems that say what to do; the same for every way to reach it."""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Problem, StorageFull, Unavailable

_ERROR_CODE = re.compile(r"Code:\s*(\d+)")
_TIMEOUT_EXCEEDED, _CANCELLED, _MEMORY_LIMIT, _NO_SPACE = 159, 394, 241, 243
_SIGN_IN = {192, 193, 194, 516}  # unknown user, wrong password, password required, authentication failed
_NOT_ALLOWED = 497


def timed_out(seconds: float) -> Problem:
    """The query did not end within its time."""
    return Unavailable(
        "telemetry.timeout",
        _("The query was stopped after %(seconds).0f s.") % {"seconds": seconds},
        remedy=raised_by("TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS"),
    )


def raised_by(setting: str) -> str:
    """What to do about a limit that a setting raises."""
    return _("Ask for a shorter range or fewer series, or raise %(setting)s.") % {"setting": setting}


def problem_of(text: str) -> Problem:
    """The engine's error text as a Problem that says what to do."""
    found = _ERROR_CODE.search(text)
    code = int(found.group(1)) if found else 0
    if code == _NO_SPACE or "No space left on device" in text:
        return StorageFull(
            "telemetry.storage_full",
            _("The disk of the telemetry store is full; nothing that was acknowledged is lost."),
            remedy=_("Free space or shorten the retention; writing goes on by itself."),
        )
    if code in (_TIMEOUT_EXCEEDED, _CANCELLED):
        return Unavailable(
            "telemetry.timeout",
            _("The query took longer than allowed and was stopped."),
            remedy=raised_by("TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS"),
        )
    if code == _MEMORY_LIMIT:
        return Invalid(
            "telemetry.limit_exceeded",
            _("The query needs more memory than allowed."),
            remedy=raised_by("TONGCHOU_TELEMETRY_MAX_QUERY_BYTES"),
        )
    if code in _SIGN_IN:
        return Unavailable(
            "telemetry.store_sign_in",
            _("ClickHouse does not know this user or password."),
            remedy=_("Correct user and password in TONGCHOU_CLICKHOUSE_URL."),
        )
    if code == _NOT_ALLOWED:
        return Unavailable(
            "telemetry.store_access",
            _("The ClickHouse user may not do this: %(text)s") % {"text": text[:300]},
            remedy=_("Grant it CREATE, ALTER, DROP, INSERT and SELECT on the database TONGCHOU_TELEMETRY_DATABASE."),
        )
    return Unavailable("telemetry.store_failed", _("The telemetry store refused: %(text)s") % {"text": text[:500]})
