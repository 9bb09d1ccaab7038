from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest
import time_machine
from django.db import OperationalError

from tongchou.core import jobs, secrets, settings_store
from tongchou.core.access import system
from tongchou.core.backup import actions
from tongchou.core.models import Event, Job, JobState
from tongchou.core.models_backups import Backup, BackupState

pytestmark = pytest.mark.django_db
PHRASE = "correct horse battery staple"


def test_only_an_administrator_gets_at_backups(api_as, approver_actor, admin_user) -> None:
    row = Backup.objects.create(reason="manual", requested_by_name="x", state=BackupState.DONE, path="/nowhere")
    one = f"/api/v1/backups/{row.pk}"
    for api in (api_as(approver_actor), api_as(admin_user, ["read", "write", "approve", "ingest"])):
        assert api.get("/api/v1/backups").status_code == 403
        assert api.get(one).status_code == 403
        assert api.get(f"{one}/content").status_code == 403
        assert api.post("/api/v1/backups", {}).status_code == 403
        assert api.post(f"{one}/verify").status_code == 403
    assert Backup.objects.count() == 1


def test_one_at_a_time_and_a_passphrase_is_kept_only_until_it_is_made(api) -> None:
    answer = api.post("/api/v1/backups", {"passphrase": PHRASE})
    assert answer.status_code == 202
    row = Backup.objects.get()
    assert row.encrypted
    assert row.with_keys
    assert secrets.reveal(row.key_name) == PHRASE
    assert PHRASE not in str(answer.content)
    assert PHRASE not in str(list(Event.objects.values_list("payload", flat=True)))
    again = api.post("/api/v1/backups", {})
    assert again.status_code == 409
    assert again.json()["code"] == "backup.under_way"
    assert api.post("/api/v1/backups", {"passphrase": "short"}).status_code == 422


def test_a_folder_that_cannot_be_written_fails_with_its_reason(api, settings, tmp_path: Path) -> None:
    settings.BACKUP_FOLDER = tmp_path / "file" / "in"
    (tmp_path / "file").write_text("not a folder")
    api.post("/api/v1/backups", {"passphrase": PHRASE})
    row = Backup.objects.get()
    actions.run({"backup": str(row.pk)})
    row.refresh_from_db()
    assert row.state == BackupState.FAILED
    assert row.problem["code"] == "backup.not_written"
    assert row.problem["remedy"]
    assert secrets.names() == []
    assert Event.objects.filter(verb="backup.failed").count() == 1


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection to 10.0.0.5 failed: password=hunter22 refused"),
        OperationalError("database is locked: password=hunter22"),
        ValueError("no way to export a column of type Tuple; token=hunter22"),
    ],
    ids=lambda error: type(error).__module__,
)
def test_whatever_breaks_a_backup_ends_it_with_its_reason_and_without_its_passphrase(
    api, settings, monkeypatch, tmp_path: Path, error: Exception
) -> None:
    settings.BACKUP_FOLDER = tmp_path

    def broken(*_given, **_named):
        raise error

    monkeypatch.setattr(actions, "build", broken)
    assert api.post("/api/v1/backups", {"passphrase": PHRASE}).status_code == 202
    jobs.run_due()
    told = api.get(f"/api/v1/backups/{Backup.objects.get().pk}").json()
    assert told["state"] == "failed"
    assert told["finished_at"]
    assert told["problem"]["code"] == "backup.broken_off"
    assert type(error).__name__ in told["problem"]["detail"]
    assert str(error).split("=")[0] in told["problem"]["detail"]
    assert told["problem"]["remedy"]
    assert secrets.names() == []
    assert Event.objects.get(verb="backup.failed").payload["code"] == "backup.broken_off"
    job = Job.objects.get(name=actions.RUN_JOB)
    assert job.state == JobState.DEAD
    assert "hunter22" not in str(told) + job.error + str(list(Event.objects.values_list("payload", flat=True)))
    assert api.post("/api/v1/backups", {}).status_code == 202, "the next one is not refused"


def test_the_failure_is_written_down_once_a_database_that_was_gone_is_back(api, settings, monkeypatch) -> None:
    settings.BACKUP_FOLDER = Path("/proc/nowhere")
    monkeypatch.setattr(actions, "_AGAIN_SECONDS", 0.01)
    write, gone = actions._write_failed, [2]

    def at_first_not(*given):
        if gone[0]:
            gone[0] -= 1
            raise OperationalError("the server is restarting")
        write(*given)

    monkeypatch.setattr(actions, "_write_failed", at_first_not)
    api.post("/api/v1/backups", {"passphrase": PHRASE})
    jobs.run_due()
    assert Backup.objects.get().state == BackupState.FAILED
    assert secrets.names() == []


def test_the_schedule_asks_once_and_old_scheduled_ones_go(api, settings, tmp_path: Path) -> None:
    settings.DEFAULT_USER_TIME_ZONE = "UTC"
    system_actor = system("tests")
    with time_machine.travel(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC), tick=False) as clock:
        settings_store.put(actor=system_actor, key="backup.times", value="02:30")
        assert not actions.start_due(), "the time of the day it was set had passed already"
        clock.move_to(dt.datetime(2026, 3, 2, 2, 31, tzinfo=dt.UTC))
        assert actions.start_due()
        assert not actions.start_due()
    settings_store.put(actor=system_actor, key="backup.keep_daily", value=2)
    settings_store.put(actor=system_actor, key="backup.keep_weekly", value=0)
    settings_store.put(actor=system_actor, key="backup.keep_monthly", value=0)
    for day in range(1, 6):
        for reason in ("scheduled", "manual"):
            path = tmp_path / f"{reason}{day}"
            path.write_text("x")
            at = dt.datetime(2026, 1, day, tzinfo=dt.UTC)
            Backup.objects.create(
                reason=reason, requested_by_name="x", state=BackupState.DONE, path=str(path), created_at=at
            )
    assert actions.let_go(actor=system_actor) == 3
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["manual1", "manual2", "manual3", "manual4", "manual5", "scheduled4", "scheduled5"]
    assert Event.objects.filter(verb="backup.pruned").count() == 3
