"""What is checked of the database: schema behind and ahead, settings, clocks, jobs, the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone, translation

from tongchou.core import database_checks
from tongchou.core.checks import Surroundings
from tongchou.core.models import Job, JobState

HERE = Surroundings(in_server=True, running=True)
STOPPED = Surroundings(in_server=False, running=False)
POSTGRESQL = {
    "server_version_num": "150004",
    "server_encoding": "UTF8",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
}
pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """The words are compared in English, whatever language a test before left on."""
    with translation.override("en"):
        yield


def test_a_database_of_this_release_is_well() -> None:
    assert database_checks.migrations(HERE).status == "ok"
    assert database_checks.jobs(HERE).status in ("ok", "warn")  # nobody holds a duty in a test
    assert database_checks.ledger(HERE).status == "ok"
    answer = database_checks.database(STOPPED)
    assert answer.status == "ok" or "fsync" in str(answer.detail)  # the tests' PostgreSQL does not sync
    assert database_checks.database_clock(HERE).status == ("skip" if connection.vendor == "sqlite" else "ok")


def test_a_migration_that_is_missing_or_unknown() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('core', '9999_later', %s)", [timezone.now()]
        )
        found = database_checks.migrations(HERE)
        assert found.status == "warn"
        assert "core.9999_later" in str(found.detail)
        cursor.execute("DELETE FROM django_migrations WHERE name = '9999_later'")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'usage'")
    found = database_checks.migrations(HERE)
    assert found.status == "warn"
    assert "usage.0001_initial" in str(found.detail)
    assert "tongchou migrate" in str(found.remedy)


def test_jobs_that_failed_or_wait_too_long() -> None:
    row = Job.objects.create(name="a.b", run_at=timezone.now() - timedelta(hours=1))
    assert "overdue" in str(database_checks.jobs(HERE).detail)
    assert database_checks.jobs(STOPPED).status == "skip", "a stopped server runs nothing"
    Job.objects.filter(pk=row.pk).update(state=JobState.DEAD)
    found = database_checks.jobs(STOPPED)
    assert found.status == "warn"
    assert "failed for good" in str(found.detail)


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({}, "ok", "PostgreSQL 15.4"),
        ({"server_version_num": "130010"}, "fail", "PostgreSQL 14"),
        ({"server_encoding": "SQL_ASCII"}, "fail", "UTF8"),
        ({"fsync": "off"}, "warn", "power cut"),
        ({"synchronous_commit": "off"}, "warn", "power cut"),
        ({"max_connections": "20"}, "warn", "max_connections"),
    ],
)
def test_postgresqls_settings_are_judged(change: dict[str, str], status: str, word: str) -> None:
    found = database_checks.judge_postgresql({**POSTGRESQL, **change}, threads=4)
    assert found.status == status
    assert word in f"{found.detail} {found.remedy}"


@pytest.mark.parametrize(("seconds", "status"), [(0.2, "ok"), (-2.0, "warn"), (60.0, "fail")])
def test_two_clocks_apart(seconds: float, status: str) -> None:
    assert database_checks.judge_offset(seconds).status == status


def test_the_ledger_falls_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_checks, "MOST_UNSEALED", -1)
    assert database_checks.ledger(HERE).status == "warn"
