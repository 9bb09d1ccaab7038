"""What a database that refuses is told as, and what the log keeps of a request."""

from __future__ import annotations

import logging
import re
import shutil
from collections import namedtuple
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from tongchou.api import core
from tongchou.core import log_lines
from tongchou.core.models import User
from tongchou.middleware import LITTLE_ROOM_BYTES, problem_of_database

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("said", "free", "status", "code"),
    [
        ("database or disk is full", 10**12, 507, "database.full"),
        ("could not extend file: No space left on device", 10**12, 507, "database.full"),
        ("disk I/O error", LITTLE_ROOM_BYTES - 1, 507, "database.full"),
        ("disk I/O error", LITTLE_ROOM_BYTES, 503, "database.disk"),
        ("database is locked", 0, 503, "database.unavailable"),
        ("remaining connection slots are full of others", 10**12, 503, "database.unavailable"),
    ],
)
def test_only_a_full_disk_is_told_as_one(
    said: str, free: int, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 10**12 - free, free))
    problem = problem_of_database(OperationalError(said))
    assert (problem.status, problem.code) == (status, code)
    assert problem.remedy


@pytest.mark.parametrize(
    ("given", "kept"), [("deploy-2026.11_28", True), ("short", False), ("x" * 81, False), ("a b c d e f\tg", False)]
)
def test_a_request_keeps_the_id_its_caller_gave_when_it_fits(given: str, kept: bool) -> None:
    answer = Client(headers={"X-Request-ID": given}).get("/healthz")
    assert (answer.headers["X-Request-ID"] == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,80}", answer.headers["X-Request-ID"])


def test_every_request_has_one_line_with_who_what_and_how_long(
    api: Any, admin_user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tongchou.access")
    assert api.get("/api/v1/me", token="hunter2").status_code == 200
    (line,) = [each for each in caplog.records if each.name == "tongchou.access"]
    told = line.__dict__
    assert (told["method"], told["status"], told["actor_id"]) == ("GET", 200, str(admin_user.pk))
    assert told["duration_seconds"] >= 0
    assert "hunter2" not in line.getMessage(), "the query is not logged"
    caplog.clear()
    Client().get("/healthz")
    assert [each for each in caplog.records if each.name == "tongchou.access"] == [], "what watches is not logged"


def test_lines_of_a_request_carry_its_id(api: Any, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(core, "actor_of", lambda request: seen.append(dict(log_lines.context())) or request.actor)
    answer = api.get("/api/v1/me")
    assert seen == [{"request_id": answer.headers["X-Request-ID"], "path": "/api/v1/me"}]
