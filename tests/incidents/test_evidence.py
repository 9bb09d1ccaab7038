"""Gathering evidence: gaps of `up`, symptoms, changes that count and those that answered the incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core import ledger
from tongchou.core.access import system
from tongchou.core.refs import ref
from tongchou.incidents import measured
from tongchou.incidents.evidence import Case, gather, outages_in
from tongchou.incidents.models import Incident, Suspect
from tongchou.inventory import actions as inventory
from tongchou.telemetry import actions as telemetry
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.log_reads import at_ns
from tongchou.telemetry.series import SeriesBlock
from tongchou.wire.log_stream import Entry, Stream

pytestmark = pytest.mark.both_databases
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TESTS = system("tests")


@given(st.lists(st.booleans(), min_size=2, max_size=120), st.sampled_from([1.0, 2.0, 7.5]))
def test_gaps_cover_exactly_the_steps_at_which_up_was_zero(down: list[bool], step: float) -> None:
    end = START + timedelta(seconds=step * (len(down) - 1))
    times = [round((START.timestamp() + step * i) * 1000) for i, each in enumerate(down) if each]
    gaps = outages_in(times, START, end, step)
    for i, each in enumerate(down):
        at = START + timedelta(seconds=step * i)
        inside = [gap for gap in gaps if gap[0] <= at and (gap[1] is None or at < gap[1])]
        assert len(inside) == int(each)
    assert [gap[2] for gap in gaps[:1]] == [down[0]] * len(gaps[:1])
    assert (bool(gaps) and gaps[-1][1] is None) == down[-1]


def test_no_zero_no_gap() -> None:
    assert outages_in([], START, START + timedelta(minutes=1), 1.0) == []


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


def case_of(incident: Incident) -> Case:
    """The evidence as it is now."""
    return gather(incident, look_back=timedelta(hours=1), now=timezone.now())


def opened(shop: Shop, began: datetime) -> Incident:
    """An incident about orders."""
    group = scene.opened("ErrorRatioHigh", shop.orders, at=began)
    scene.run_jobs()
    return Incident.objects.get(groups__group=group)


def test_changes_near_the_incident_and_every_deployment_count(shop: Shop) -> None:
    now = timezone.now()
    incident = opened(shop, now)
    scene.deployed(shop.search, now - timedelta(minutes=3))
    scene.deployed(shop.database, now - timedelta(minutes=4))
    scene.deployed(shop.orders, now - timedelta(hours=2), "too-old")
    with transaction.atomic():
        for each in (shop.primary, shop.search):
            payload = {"name": each.name, "changes": {"config": ["a", "b"]}}
            ledger.record(actor=TESTS, verb="resource.changed", subject=ref(each), payload=payload)
    changes = {change.title: change for change in case_of(incident).evidence.changes}
    assert set(changes) == {"search 1 → 2", "database 1 → 2", "database-primary: config a → b"}
    assert changes["database 1 → 2"].version_changed
    assert changes["database-primary: config a → b"].kind == "config"


def test_the_start_and_the_end_of_one_release_are_one_change_that_began_at_its_start(shop: Shop) -> None:
    now = timezone.now()
    incident = opened(shop, now)
    scene.deployed(shop.orders, now - timedelta(seconds=50))
    with transaction.atomic():
        ledger.record(
            actor=TESTS,
            verb="deployment.started",
            subject="changes.deployment:orders-2",
            about=[ref(shop.orders)],
            payload={"title": "orders 1 → 2", "started_at": (now - timedelta(seconds=50)).isoformat()},
            at=now - timedelta(seconds=50),
        )
    (change,) = case_of(incident).evidence.changes
    assert change.at == now - timedelta(seconds=50)
    assert change.ref == "changes.deployment:orders-2"


def test_a_version_that_a_release_brought_is_not_a_second_change(shop: Shop) -> None:
    now = timezone.now()
    incident = opened(shop, now)
    scene.deployed(shop.orders, now - timedelta(seconds=50), "2", shop.orders_1)
    with transaction.atomic():
        for changes in (
            {"version": ["1", "2"], "pid": [7, 8]},
            {"version": ["1", "2"], "config": [1, 2]},
            {"version": [2, 3]},
        ):
            payload = {"name": "orders-1", "changes": changes}
            ledger.record(actor=TESTS, verb="resource.changed", subject=ref(shop.orders_1), payload=payload)
    titles = {change.title for change in case_of(incident).evidence.changes}
    assert titles == {"orders 1 → 2", "orders-1: config 1 → 2, version 1 → 2", "orders-1: version 2 → 3"}


def test_what_answered_the_incident_is_no_suspect(shop: Shop) -> None:
    incident = opened(shop, timezone.now())
    with transaction.atomic():
        ledger.record(
            actor=TESTS,
            verb="run.started",
            subject=f"runbooks.run:{UUID(int=1)}",
            about=[ref(incident), ref(shop.orders)],
            payload={"procedure": "roll-back"},
            at=timezone.now() - timedelta(minutes=1),
        )
    assert case_of(incident).evidence.changes == []


def test_the_record_counts_earlier_releases_and_those_that_led_a_ranking(shop: Shop) -> None:
    now = timezone.now()
    for number in range(3):
        event = scene.deployed(shop.orders, now - timedelta(days=number + 1), f"old-{number}")
    other = Incident.objects.create(number=99, title="earlier", state="resolved", started_at=now)
    Suspect.objects.create(
        incident=other, rank=1, ref=event.subject, kind="event", title="x", score=1, event_id=event.pk
    )
    incident = opened(shop, now)
    scene.deployed(shop.orders, now - timedelta(minutes=1), "new")
    (change,) = case_of(incident).evidence.changes
    assert change.past == (3, 1)


def test_evidence_costs_the_same_queries_whatever_the_number_of_alerts(
    shop: Shop, django_assert_max_num_queries: object
) -> None:
    now = timezone.now()
    incident = opened(shop, now)
    group = incident.groups.get().group
    for number in range(30):
        each = scene.resource("instance", f"orders-extra-{number}")
        inventory.relate(actor=TESTS, from_resource=each, to_resource=shop.orders, type="part_of")
        scene.alert(group, "ErrorRatioHigh", each, at=now, instance=f"i{number}")
        scene.deployed(shop.orders, now - timedelta(minutes=number), f"v{number}", each)
    with django_assert_max_num_queries(14):  # type: ignore[operator]  # pytest-django's fixture is a callable
        case = case_of(incident)
    assert len(case.symptoms) == 31
    assert len(case.evidence.changes) == 30


def up(target: str, values: list[float], end: datetime) -> SeriesBlock:
    """`up` of a target, one sample a second, the last one at `end`."""
    last_ms = int(end.timestamp() * 1000)
    times = np.arange(last_ms - 1000 * (len(values) - 1), last_ms + 1, 1000, dtype=np.int64)
    labels = (("__name__", "up"), ("instance", target), ("job", "shop"))
    return SeriesBlock([labels], np.array([0, len(values)], np.int64), times, np.array(values, np.float64))


def test_a_target_that_stopped_answering_is_seen_in_up(shop: Shop, telemetry_db: Telemetry) -> None:
    now = timezone.now().replace(microsecond=0)
    for each, target in ((shop.primary, "db.a+b:1"), (shop.orders_1, "orders:1")):
        labels = {"job": "shop", "instance": target}
        inventory.register_endpoint(actor=TESTS, resource=each, url=f"http://{each.name}/metrics", labels=labels)
    telemetry.append(up("db.a+b:1", [1.0] * 60 + [0.0] * 20, now), actor=TESTS)
    telemetry.append(up("orders:1", [1.0] * 80, now), actor=TESTS)
    telemetry.append(up("db-a+b:1", [0.0] * 80, now), actor=TESTS)
    incident = opened(shop, now - timedelta(seconds=15))
    (outage,) = gather(incident, look_back=timedelta(hours=1), now=now).evidence.outages
    assert outage.resource == shop.primary.pk
    assert outage.until is None
    assert not outage.from_start
    assert abs((outage.since - (now - timedelta(seconds=19))).total_seconds()) <= 3


def test_telemetry_that_is_not_open_is_done_without(shop: Shop) -> None:
    labels = {"job": "shop", "instance": "x:1"}
    inventory.register_endpoint(actor=TESTS, resource=shop.orders, url="http://x/metrics", labels=labels)
    assert case_of(opened(shop, timezone.now())).evidence.outages == []


def series(name: str, target: str, values: list[float], end: datetime, **labels: str) -> SeriesBlock:
    """A series of a target, one sample every ten seconds, the last one at `end`."""
    last_ms = int(end.timestamp() * 1000)
    times = np.arange(last_ms - 10_000 * (len(values) - 1), last_ms + 1, 10_000, dtype=np.int64)
    pairs = tuple(sorted({"__name__": name, "instance": target, "job": "shop", **labels}.items()))
    return SeriesBlock([pairs], np.array([0, len(values)], np.int64), times, np.array(values, np.float64))


def test_a_shift_a_log_line_and_the_baselines_reach_the_ranking(shop: Shop, telemetry_db: Telemetry) -> None:
    now = timezone.now().replace(microsecond=0)
    labels = {"job": "shop", "instance": "orders:1"}
    inventory.register_endpoint(actor=TESTS, resource=shop.orders_1, url="http://x/metrics", labels=labels)
    noise = [0.5 * ((7 * i) % 11) for i in range(280)]
    memory = [60e6 + 1e5 * each for each in noise[:260]] + [400e6] * 20
    telemetry.append(series("process_resident_memory_bytes", "orders:1", memory, now), actor=TESTS)
    telemetry.append(series("process_open_fds", "orders:1", noise, now), actor=TESTS)
    for at, level, text in ((now - timedelta(minutes=20), "info", "stored"), (now, "error", "out of memory")):
        body = f'{{"level": "{level}", "msg": "{text}"}}'.encode()
        _rows, done = telemetry_db.logs.take([Stream([("instance", "orders:1")], [Entry(at_ns(at), body)])])
        done.result(60)
    incident = opened(shop, now - timedelta(seconds=100))
    found = gather(incident, look_back=timedelta(hours=1), now=now + timedelta(seconds=1))
    (shift,) = found.evidence.shifts
    assert (shift.resource, shift.kind, shift.unit) == (shop.orders_1.pk, "memory", "bytes")
    assert shift.facts["query"].startswith("process_resident_memory_bytes{")
    (pattern,) = found.evidence.patterns
    assert (pattern.resource, pattern.template, pattern.new) == (shop.orders_1.pk, "out of memory", True)
    assert found.baselines["largest_z"][0]["name"] == "orders-1"
    assert found.looked["metrics"]["series"] == 2
    assert found.looked["logs"]["lines"] == 1


def test_the_nearest_targets_are_looked_at_first_and_the_rest_is_said(
    shop: Shop, telemetry_db: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "MAX_TARGETS", 1)
    for each in (shop.orders_1, shop.primary, shop.standby):
        labels = {"job": "shop", "instance": f"{each.name}:1"}
        inventory.register_endpoint(actor=TESTS, resource=each, url=f"http://{each.name}/metrics", labels=labels)
    now = timezone.now()
    looked = gather(opened(shop, now), look_back=timedelta(hours=1), now=now).looked["metrics"]
    assert (looked["targets"], looked["targets_known"]) == (1, 3)
