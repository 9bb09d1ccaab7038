from __future__ import annotations

from uuid import uuid4

import pytest

from tongchou.core.access import system
from tongchou.telemetry import target_health
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def one_target():
    health = target_health.TargetHealth(
        uuid4(),
        uuid4(),
        "http://a:1/metrics",
        {"job": "a"},
        15.0,
        10.0,
        "down",
        1_790_000_000_000,
        0.5,
        0,
        "connect: no",
    )
    target_health.note(health)
    yield health
    target_health.forget([health.endpoint_id])


def test_targets_tell_why_they_are_down(api, one_target):
    body = api.get("/api/v1/targets", state="down").json()
    assert body["count"] == 1
    assert body["items"][0]["last_error"] == "connect: no"
    assert body["items"][0]["last_scrape"].startswith("2026-")
    assert api.get("/api/v1/targets", state="up").json() == {"items": [], "count": 0}


def test_storage_and_cardinality(api, telemetry_db):
    now = telemetry_db.clock()
    rows = [(labels_of({"__name__": "up", "i": str(i)}), [now], [1.0]) for i in range(3)]
    append(SeriesBlock.build(rows), actor=system("tests"))
    storage = api.get("/api/v1/telemetry/storage").json()
    assert (storage["series"], storage["samples"], storage["days"]) == (3, 3, 1)
    assert storage["first_day"] == storage["last_day"]
    made_of = api.get("/api/v1/telemetry/cardinality", limit=1).json()
    assert made_of == {"series": 3, "metrics": [{"name": "up", "count": 3}], "labels": [{"name": "i", "count": 3}]}
