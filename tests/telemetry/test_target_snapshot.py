"""What the process that scrapes knows of its targets, read by one that does not."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tongchou.telemetry import target_health, target_snapshot
from tongchou.telemetry.models import ScrapeSnapshot
from tongchou.telemetry.target_health import TargetHealth
from tongchou.wire.exposition import Meta

pytestmark = [pytest.mark.django_db, pytest.mark.both_stores]


@pytest.fixture
def scraped(monkeypatch):
    """A target in the memory of this process, and a way to be a process without it."""
    monkeypatch.setattr(target_health, "_health", {})
    monkeypatch.setattr(target_health, "_metadata", {})
    found = TargetHealth(
        uuid4(), uuid4(), "http://a/metrics", {"job": "a"}, 15.0, 10.0, "down", 1000, 0.5, 0, "refused"
    )
    target_health.note(found)
    target_health.note_metadata({"m": Meta("gauge", "a metric", "")})

    def elsewhere():
        monkeypatch.setattr(target_health, "_health", {})
        monkeypatch.setattr(target_health, "_metadata", {})

    return found, elsewhere


def test_another_process_reads_it_only_where_the_store_is_shared(telemetry_db, telemetry_kind, scraped):
    found, elsewhere = scraped
    target_snapshot.save()
    assert target_snapshot.targets() == [found]
    elsewhere()
    shared = telemetry_kind == "server"
    assert target_snapshot.targets() == ([found] if shared else [])
    assert target_snapshot.metadata() == ({"m": Meta("gauge", "a metric", "")} if shared else {})
    assert ScrapeSnapshot.objects.count() == (1 if shared else 0)


def test_what_nobody_writes_down_any_more_is_not_shown(telemetry_db, scraped):
    _found, elsewhere = scraped
    target_snapshot.save()
    elsewhere()
    for row in ScrapeSnapshot.objects.all():
        row.at -= timedelta(seconds=target_snapshot.OLD_SECONDS + 1)
        row.save()
    assert target_snapshot.targets() == []
