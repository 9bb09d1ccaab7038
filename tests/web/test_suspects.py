"""The page that says why suspects rank where they do: what it draws, for whom, and how much it asks the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents import scene
from tests.incidents.scene import Shop
from tests.web.foreign import member_of
from tongchou.core import people
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.incidents.models import Incident, Suspect
from tongchou.inventory.models import Resource
from tongchou.web.operate_suspects import BAR_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, bars, extent, spark

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
points = st.lists(st.floats(-45, 45).map(lambda each: round(each, 1)), max_size=12)


@given(points)
def test_each_bar_begins_where_the_one_before_ended(each: list[float]) -> None:
    low, high = extent(each)
    assert low <= 0 <= high
    drawn = bars(each, 2.0)
    at = 0.0
    for value, bar in zip(each, drawn, strict=True):
        assert bar.takes == (value < 0)
        assert bar.x == pytest.approx(2 * min(at, at + value), abs=0.06)
        assert bar.width == pytest.approx(max(1.0, 2 * abs(value)), abs=0.06)
        at += value


@given(st.lists(st.none() | st.floats(-1e9, 1e9), min_size=1, max_size=90))
def test_a_curve_stays_inside_its_drawing_and_breaks_at_gaps(values: list[float | None]) -> None:
    facts = {
        "points": values,
        "start": START.isoformat(),
        "step": 10,
        "at": (START + timedelta(seconds=30)).isoformat(),
    }
    drawn = spark(facts, "bytes", START)
    if all(each is None for each in values):
        assert drawn is None
        return
    assert drawn is not None
    for piece in drawn.pieces:
        for pair in piece.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= SPARK_WIDTH
            assert 0 <= y <= SPARK_HEIGHT


@pytest.fixture
def incident(db: None) -> Incident:
    """A release of orders and errors, with a shift and a log line on the first resource."""
    shop = Shop()
    now = timezone.now()
    scene.deployed(shop.orders, now - timedelta(seconds=60), "2", shop.orders_1)
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(seconds=30))
    scene.opened("ErrorRatioHigh", shop.storefront, at=now - timedelta(seconds=20))
    scene.run_jobs()
    found = scene.only_incident()
    row = Suspect.objects.get(incident=found, rank=2)
    at = (now - timedelta(seconds=40)).isoformat()
    row.reasons = [
        {
            "code": "shift_memory",
            "weight": 8.0,
            "params": {"what": "memory", "before": 61e6, "after": 402e6, "unit": "bytes", "direction": 1, "lead": 40},
            "facts": {"points": [1, None, 3, 4], "start": (now - timedelta(minutes=5)).isoformat(), "step": 100, "at": at, "query": "process_resident_memory_bytes{}"},
        },
        {
            "code": "new_error_lines",
            "weight": 10.0,
            "params": {"template": "pool exhausted", "level": "error", "count": 3, "usual": 0.0},
            "facts": {"line": "<b>pool</b> exhausted", "line_id": "1-1", "search": '"pool exhausted"', "at": at},
        },
    ]  # fmt: skip
    row.save()
    Incident.objects.update(
        ranking={
            "looked": {
                "metrics": {"series": 312, "targets": 9, "targets_known": 12, "quantities": 80, "shifted": 4, "seconds": 0.4,
                            "notes": ["series_capped"], "earlier": ["86400"], "base_from": at, "scan_from": at, "until": at},
                "logs": {"lines": 1204, "lines_before": 900, "found": 1, "seconds": 0.1, "notes": ["lines_capped"]},
                "resources": 9, "changes": 2,
            },
            "baselines": {"latest_change": [], "largest_z": [{"ref": "x:y", "name": "orders-1", "rank": 1, "z": 12.5}]},
        }
    )  # fmt: skip
    return found


def test_it_shows_points_facts_order_limits_and_baselines(incident: Incident, browser: Any) -> None:
    text = browser(Role.VIEWER).get(f"/incidents/{incident.number}/suspects").content.decode()
    assert "rose from 61 MB to 402 MB, starting 40 s before the first symptom" in text
    assert "<polyline" in text
    assert "&lt;b&gt;pool&lt;/b&gt; exhausted" in text
    assert "312 series of 9 targets read in 0.4 s" in text
    assert "3 farther targets" in text
    assert "series beyond the limit of one read" in text
    assert "12.5 σ" in text
    assert "points behind the first" in text
    assert "points ahead of the next" in text


def test_it_reads_in_chinese(incident: Incident, browser: Any) -> None:
    text = browser(Role.VIEWER, "zh-hans").get(f"/incidents/{incident.number}/suspects").content.decode()
    assert "从 61 MB 升到 402 MB，始于首个症状前 40 秒" in text
    assert "简单方法会怎么说" in text


def test_the_live_part_is_the_body_alone(incident: Incident, browser: Any) -> None:
    text = browser(Role.VIEWER).get(f"/incidents/{incident.number}/suspects?part=live").content.decode()
    assert "<html" not in text
    assert "why-rows" in text


def test_without_a_ranking_it_says_what_to_do(db: None, browser: Any) -> None:
    Incident.objects.create(number=1, title="x", started_at=timezone.now())
    assert "evidence is being gathered" in browser(Role.VIEWER).get("/incidents/1/suspects").content.decode()
    Incident.objects.update(ranked_at=timezone.now())
    assert "Give the alerts labels" in browser(Role.VIEWER).get("/incidents/1/suspects").content.decode()
    assert browser(Role.VIEWER).get("/incidents/9/suspects").status_code == 404


def test_the_bars_share_one_scale(incident: Incident, browser: Any) -> None:
    client = browser(Role.VIEWER)
    response = client.get(f"/incidents/{incident.number}/suspects")
    rows = [row for each in [*response.context["suspects"], *response.context["bare"]] for row in each["rows"]]
    assert max(row["x"] + row["bar"].width for row in rows) == pytest.approx(BAR_WIDTH, abs=1.5)
    assert min(row["x"] for row in rows) >= -0.1


def test_a_role_in_a_team_sees_points_but_neither_curves_nor_lines(incident: Incident, browser: Any) -> None:
    team = people.create_team(actor=system("tests"), name="shop")
    Resource.objects.filter(name__startswith="orders").update(owner=team)
    text = browser(member_of(team, Role.VIEWER)).get(f"/incidents/{incident.number}/suspects").content.decode()
    assert "rose from 61 MB to 402 MB" in text
    assert "need the right to see telemetry everywhere" in text
    assert "<polyline" not in text.partition("<main")[2].partition("</main>")[0]  # icons of the frame have some, too
    assert "pool&lt;/b&gt;" not in text


def test_the_page_asks_the_database_a_fixed_number_of_times(
    incident: Incident, browser: Any, django_assert_max_num_queries: Any
) -> None:
    client = browser(Role.VIEWER)
    client.get(f"/incidents/{incident.number}/suspects")
    with django_assert_max_num_queries(20):
        client.get(f"/incidents/{incident.number}/suspects")
