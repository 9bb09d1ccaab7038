"""The log: JSON or text, with its context, without secrets."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import jobs, ledger, log_lines
from tongchou.core.access import system
from tongchou.core.models import Event, Job

SECRETS = {
    "Authorization: Bearer tc_s3cr3tS3cr3tS3cr3tS3cr3t9": "tc_s3cr3tS3cr3tS3cr3tS3cr3t9",
    "{'Authorization': 'Basic aHVudGVyOmh1bnRlcg=='}": "aHVudGVyOmh1bnRlcg",
    "headers [(b'authorization', b'Basic c2VjcmV0')]": "c2VjcmV0",
    "sent Bearer abc.def.ghi123 to it": "abc.def.ghi123",
    "postgresql://app:hunter2@db:5432/app refused": "hunter2",
    "https://user:pa@ss@host/path": "pa@ss",
    'body {"password": "hun\\"ter2", "x": 1}': "ter2",
    "smtp_password=hunter2 next": "hunter2",
    "POST https://example.org/robot/send?access_token=abcd1234&x=1": "abcd1234",
    "POST https://example.org/hook?key=abcd-1234": "abcd-1234",
    "Cookie: tongchou_session=abcdef0123; csrftoken=x": "abcdef0123",
    "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----": "MIIabc",
    "made tc_AbCdEfGhIjKlMnOpQrStUvWxYz012345 for you": "AbCdEfGhIjKlMnOp",
}
HARMLESS = [
    "token tc_abcd1234: the time of its use could not be written",
    "core.secret:1b2c3d4e-1111-4222-8333-444444444444 was changed",
    "job core.tidy 12 failed (try 1 of 5)",
    "basic authentication is not offered",
    "GET /api/v1/secrets 200 0.0100s admin",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS.items())
def test_a_planted_secret_never_reaches_the_log(text: str, secret: str) -> None:
    assert secret not in log_lines.masked(text)
    assert log_lines.HIDDEN in log_lines.masked(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert log_lines.masked(text) == text


PIECES = st.sampled_from(
    [
        *SECRETS, *HARMLESS, "PassWord", "pwd", "SECRET", "api-key", "Key", "=", ": ", "?sig=", "&code=", "//", "://a:b@c", "tc_",
        "-----BEGIN ", "RSA PRIVATE KEY-----", "Bearer ", "BASIC ", "aHVudGVyOmh1bnRlcg==", "paſſword", "to\u212aen", "統", "x", " ", "\n",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
def test_looking_for_words_first_hides_what_every_search_would(text: str) -> None:
    wanted = text
    for pattern, instead, _marks in log_lines._SECRETS:
        wanted = pattern.sub(instead, wanted)
    assert log_lines.masked(text) == wanted


def test_a_huge_message_is_cut() -> None:
    assert len(log_lines.masked("x" * 5_000_000)) < 20_000


@pytest.fixture
def written() -> Iterator[Any]:
    """Return a function (form, level) -> (logger, what it wrote), through the real configuration."""
    before = list(logging.getLogger().handlers), logging.getLogger().level
    names = []

    def make(form: str) -> tuple[logging.Logger, io.StringIO]:
        stream = io.StringIO()
        told = log_lines.configuration(
            form=form, level="INFO", root_level="WARNING", of_loggers={"tongchou.quiet": "ERROR"}
        )
        told["handlers"]["stderr"]["stream"] = stream
        logging.config.dictConfig(told)
        names.append("tongchou.probe")
        return logging.getLogger("tongchou.probe"), stream

    yield make
    logging.getLogger().handlers[:], logging.getLogger().level = before


def test_a_json_line_says_who_and_what_it_is_about(written: Any) -> None:
    logger, stream = written("json")
    with log_lines.about(request_id="abcd1234", path="/api/v1/me", actor_id=""):
        logger.info("asked with password=%s", "hunter2", extra={"status": 200, "odd": "not shown"})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "tongchou.probe",
        "message": "asked with password=***",
        "status": 200,
        "path": "/api/v1/me",
        "request_id": "abcd1234",
    }


def test_a_traceback_is_one_field_and_holds_no_secret(written: Any) -> None:
    logger, stream = written("json")
    try:
        raise ValueError("postgresql://u:hunter2@db/x refused")
    except ValueError:
        logger.exception("it broke")
    (text,) = stream.getvalue().splitlines()
    line = json.loads(text)
    assert "ValueError" in line["traceback"]
    assert "hunter2" not in text


def test_a_line_of_text_cannot_be_forged_by_a_line_break(written: Any) -> None:
    logger, stream = written("line")
    with log_lines.about(request_id="abcd1234"):
        logger.info("first\n2026-01-01 INFO root forged")
    (text,) = stream.getvalue().splitlines()
    assert text.endswith("first\\n2026-01-01 INFO root forged request_id=abcd1234")


def test_levels_are_set_for_each_logger(written: Any) -> None:
    _logger, stream = written("line")
    logging.getLogger("tongchou.quiet").warning("unheard")
    logging.getLogger("elsewhere").info("unheard too")
    logging.getLogger("uvicorn.error").warning("heard")
    assert [text.split()[-1] for text in stream.getvalue().splitlines()] == ["heard"]
    assert log_lines.levels("a.b=debug, c=WARNING") == {"a.b": "DEBUG", "c": "WARNING"}
    with pytest.raises(ValueError, match=r"TONGCHOU_LOG_LEVELS.*a\.b"):
        log_lines.levels("a.b=loud")
    with pytest.raises(ValueError, match="TONGCHOU_LOG_FORMAT"):
        log_lines.configuration(form="xml", level="INFO", root_level="INFO", of_loggers={})


def test_arguments_that_do_not_fit_are_still_a_line(written: Any) -> None:
    logger, stream = written("json")
    logger.log(logging.INFO, *("two %s %s", "one"))
    assert "two %s %s" in json.loads(stream.getvalue())["message"]


@pytest.mark.django_db
def test_a_job_carries_its_id_and_the_correlation_of_its_event() -> None:
    seen: list[dict[str, str]] = []
    jobs.job("tests.log_lines")(lambda _payload: seen.append(dict(log_lines.context())))
    event = ledger.record(actor=system("tests"), verb="tests.done", subject="core.user:x", correlation_id="c-17")
    assert isinstance(event, Event)
    row = jobs.enqueue("tests.log_lines", {}, event=event)
    Job.objects.exclude(pk=row.pk).delete()
    jobs.run_due()
    assert seen == [{"job_id": str(row.pk), "correlation_id": "c-17"}]
    assert dict(log_lines.context()) == {}
