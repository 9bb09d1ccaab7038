"""How the log is written: who and what a line is about, as text or JSON, and never a secret.

The context is kept in contextvars, so that a line written deep inside a request or a job carries its request, its
person and its job.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

MOST_CHARACTERS = 16_000  # of one message or one traceback; what is longer is cut
HIDDEN = "***"
FIELDS = ("request_id", "actor_id", "path", "job_id", "correlation_id")
_context: ContextVar[Mapping[str, str]] = ContextVar("tongchou_log_context", default={})  # noqa: B039  # never changed in place

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-"
_WORDS = (
    r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|"
    r"cookie|session|signature"
)
# (pattern, what stands there instead, what a lower-case ASCII text holds one of where the pattern can match)
_SECRETS: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        HIDDEN,
        ("-----begin ",),
    ),
    (
        re.compile(
            r"(authorization[\"']?\s{0,3}[=:,]\s{0,3}(?-i:b)?[\"']?)(?:(?:bearer|basic|digest|token)\s+)?[^\s\"',}\)]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
        ("authorization",),
    ),
    (
        re.compile(r"\b(bearer|basic)\s+(?=\S*[\d=])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE),
        rf"\1 {HIDDEN}",
        ("bearer", "basic"),
    ),
    (re.compile(r"\btc_[A-Za-z0-9_-]{20,}"), f"tc_{HIDDEN}", ("tc_",)),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^/\s'\"]{1,300}@"), rf"\1{HIDDEN}@", ("://",)),
    (re.compile(r"([?&](?:key|sign|sig|code|auth)=)[^&\s'\"]+", re.IGNORECASE), rf"\1{HIDDEN}", ("?", "&")),
    (
        re.compile(
            rf"([\"']?[\w.-]{{0,60}}(?:{_WORDS})[\w.-]{{0,60}}[\"']?\s{{0,3}}[=:]\s{{0,3}})"
            rf"(?!{_UUID}|\*\*\*|[\"']\*\*\*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&}})\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
        ("pass", "pwd", "secret", "token", "key", "credential", "cookie", "session", "signature"),
    ),
)


def masked(text: str) -> str:
    """Return the text without what looks like a credential: authorizations, tokens, passwords, keys, URLs' users."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]} ... ({len(text)} characters)"
    # Every request writes a line and most hold nothing: seven searches cost twenty times as much as a look for words.
    lower = text.lower() if text.isascii() else None  # other letters may count as ASCII ones: 'ſ' as 's'
    for pattern, instead, marks in _SECRETS:
        if lower is None or any(mark in lower for mark in marks):
            text = pattern.sub(instead, text)
    return text


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Let every line that is written inside carry these of FIELDS; empty ones are left out."""
    token = _context.set({**_context.get(), **{name: text for name, text in fields.items() if text}})
    try:
        yield
    finally:
        _context.reset(token)


def context() -> Mapping[str, str]:
    """Return what lines written now carry."""
    return _context.get()


class ContextFilter(logging.Filter):
    """Adds the context to a record and takes secrets out of its message, its traceback and its extra texts."""

    _plain = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place; every record passes."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit the message: still a line
            text = f"{record.msg!s} {record.args!r}"
        record.msg, record.args = masked(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._plain.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = masked(record.exc_text)
        if record.stack_info:
            record.stack_info = masked(record.stack_info)
        for name in ("method", "status", "duration_seconds", *FIELDS):
            value = record.__dict__.get(name)
            if isinstance(value, str):
                record.__dict__[name] = masked(value)
        for name, told in _context.get().items():
            record.__dict__.setdefault(name, masked(told))
        return True


class Json(JsonFormatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, then what is known of the context."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Choose the fields: ours only, so that an odd `extra` cannot add or hide one."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.getMessage()
        for name in (
            "method",
            "path",
            "status",
            "duration_seconds",
            "request_id",
            "actor_id",
            "job_id",
            "correlation_id",
        ):
            if record.__dict__.get(name) is not None:
                log_data[name] = record.__dict__[name]
        if record.exc_text:
            log_data["traceback"] = record.exc_text


class Line(logging.Formatter):
    """One line of text: time, level, logger, message, then the context as name=value; no line break inside."""

    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        r"""Return the first line; line breaks of the message are written as \\n so that nobody forges a second one."""
        known = " ".join(
            f"{name}={record.__dict__[name]}"
            for name in ("request_id", "job_id", "correlation_id")
            if record.__dict__.get(name)
        )
        text = super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")
        return f"{text} {known}" if known else text


def levels(text: str) -> dict[str, str]:
    """Read TONGCHOU_LOG_LEVELS ("tongchou.core.jobs=DEBUG, uvicorn=WARNING"); ValueError names what is wrong."""
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _equals, level = (each.strip() for each in part.partition("="))
        if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            raise ValueError(
                f"TONGCHOU_LOG_LEVELS: {part!r} is not logger=LEVEL (DEBUG, INFO, WARNING, ERROR, CRITICAL)"
            )
        found[name] = level.upper()
    return found


def configuration(*, form: str, level: str, root_level: str, of_loggers: Mapping[str, str]) -> dict[str, Any]:
    """Return the logging configuration for `form` "line" or "json". Anything else is a ValueError."""
    if form not in ("line", "json"):
        raise ValueError(f"TONGCHOU_LOG_FORMAT is {form!r}: use line or json")
    formatter = "tongchou.core.log_lines.Json" if form == "json" else "tongchou.core.log_lines.Line"
    loggers = {"tongchou": {"level": level}, "uvicorn": {"level": root_level}}
    # What the ClickHouse client meets on its way becomes a Problem of ours, which is logged.
    loggers |= {name: {"level": "CRITICAL"} for name in ("clickhouse_connect", "urllib3")}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": "tongchou.core.log_lines.ContextFilter"}},
        "formatters": {"chosen": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["context"]}},
        "root": {"handlers": ["stderr"], "level": root_level},
        "loggers": {
            **{name: dict(each) for name, each in loggers.items()},
            **{name: {"level": each} for name, each in of_loggers.items()},
        },
    }
