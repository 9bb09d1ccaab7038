from __future__ import annotations

import dataclasses
import shutil
from collections import namedtuple
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from tongchou.core import jobs, ledger, retention, seal, settings_store, storage
from tongchou.core.access import system
from tongchou.core.models import Event, EventAbout, Job, JobState, Segment
from tongchou.core.models_backups import StorageReading
from tongchou.core.problems import AccessDenied, StorageFull

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
ACTOR = system("tests")


def test_old_done_jobs_go_and_others_stay() -> None:
    now = timezone.now()
    for age, state in ((10, JobState.DONE), (1, JobState.DONE), (10, JobState.DEAD), (10, JobState.QUEUED)):
        row = jobs.enqueue("x", {}, run_at=now)
        Job.objects.filter(pk=row.pk).update(state=state, finished_at=now - timedelta(days=age))
    found = retention.find("jobs")
    moment, preview = retention.preview(found, actor=ACTOR)
    assert moment is not None
    assert preview.rows == 1
    assert Job.objects.count() == 4, "a preview deletes nothing"
    assert retention.run(actor=ACTOR)["jobs"] == 1
    assert Job.objects.count() == 3
    assert Event.objects.filter(verb="retention.pruned").count() == 1


def sealed_month(month: str, about: str = "x.y:1") -> Segment:
    with transaction.atomic():
        for _turn in range(5):
            ledger.record(actor=ACTOR, verb="test.happened", subject="x.y:0", about=[about])
    seal.seal_pending(now=timezone.now().replace(year=int(month[:4]), month=int(month[5:]), day=15))
    return Segment.objects.get(month=month)


def test_whole_months_go_in_steps_heads_stay_and_what_is_open_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "_holders", {"ledger": [lambda refs: {"x.y:open"} & set(refs)]})
    first, second = sealed_month("2020-01"), sealed_month("2020-02", about="x.y:open")
    sealed_month("2020-03")
    assert retention.run(actor=ACTOR) == {}, "the ledger is kept for good unless somebody says otherwise"
    settings_store.put(actor=ACTOR, key="retention.ledger_days", value=200)
    _moment, preview = retention.preview(retention.find("ledger"), actor=ACTOR)
    assert (preview.rows, preview.held) == (10, 5)
    assert retention.run(actor=ACTOR)["ledger"] == 10
    assert not EventAbout.objects.filter(event__seal__segment=first).exists()
    assert second.seals.count() == 5
    assert Segment.objects.count() >= 3
    assert seal.verify() == [], "what is left is still proven"
    assert Event.objects.filter(verb="ledger.pruned").count() == 2


def test_only_who_may_see_storage_looks_and_only_who_may_edit_prunes(viewer_actor, operator_actor) -> None:
    retention.preview(retention.find("jobs"), actor=viewer_actor)
    with pytest.raises(AccessDenied):
        retention.run(actor=operator_actor)


@pytest.mark.parametrize("error", [OperationalError("disk I/O error"), InterfaceError("connection already closed")])
def test_a_class_whose_rows_cannot_be_deleted_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def broken(_before: object, _limit: int) -> int:
        raise error

    first = dataclasses.replace(
        retention.find("alerts"), name="a-first", days_setting="retention.alerts_days", prune=broken
    )
    monkeypatch.setitem(retention._classes, "a-first", first)
    row = jobs.enqueue("x", {})
    Job.objects.filter(pk=row.pk).update(state=JobState.DONE, finished_at=timezone.now() - timedelta(days=10))
    assert retention.classes()[0] is first
    assert retention.run(actor=ACTOR) == {"jobs": 1}
    assert f"retention of a-first: {error}" in caplog.text


def test_growth_and_days_left_come_from_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    assert storage.figures().why_not, "no reading: not computable, and it says why"
    for day in range(10):
        at = now - timedelta(days=9 - day)
        StorageReading.objects.create(at=at, name="database", bytes=1_000_000 * (day + 1))
    settings_store.put(actor=ACTOR, key="storage.budget_mb", value=10_000)
    found = storage.figures()
    assert found.growth is not None
    assert found.growth.median == pytest.approx(1_000_000, rel=1e-6)
    assert found.to_budget is not None
    assert found.to_budget.expected == pytest.approx((10_000_000_000 - found.total) / 1_000_000, rel=0.01)
    assert not found.warn
    settings_store.put(actor=ACTOR, key="storage.budget_mb", value=1)
    assert storage.figures().warn
    storage.measure()
    storage.measure()
    assert Event.objects.filter(verb="storage.short").count() == 1, "told once a day"


def test_bulk_data_is_refused_before_the_disk_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    Usage = namedtuple("Usage", "total used free")
    storage.room.forget()
    storage.check_room(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**11, 10**11 - 10**8, 10**8))
    storage.room.forget()
    with pytest.raises(StorageFull) as refused:
        storage.check_room(tmp_path)
    assert refused.value.code == "storage.reserve"
    assert refused.value.remedy
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**11, 0, 10**11))
    storage.room.forget()
    storage.check_room(tmp_path)
