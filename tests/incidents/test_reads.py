"""What people read of an incident: timeline pages, suspects and joins in their language, bounded queries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone, translation

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core import ledger
from tongchou.core.access import Actor, system
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.incidents import actions, reads, reasons
from tongchou.incidents.models import Incident
from tongchou.incidents.suspects import WEIGHTS

pytestmark = pytest.mark.both_databases
TESTS = system("tests")


@pytest.fixture
def incident(db: None) -> Incident:
    shop = Shop()
    scene.deployed(shop.orders, timezone.now() - timedelta(minutes=2))
    scene.opened("TargetDown", shop.primary)
    scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    return scene.only_incident()


def test_the_timeline_holds_alerts_changes_and_notes_newest_first(incident: Incident, operator_actor: Actor) -> None:
    actions.add_note(actor=operator_actor, incident=incident, text="looking")
    entries = reads.timeline_page(incident).items
    assert entries[0].text == "looking"
    assert [entry.at for entry in entries] == sorted((entry.at for entry in entries), reverse=True)
    assert {"alert", "incident", "note", "change"} <= {entry.kind for entry in entries}
    assert len({entry.event_id for entry in entries}) == len(entries)


def test_pages_of_the_timeline_join_without_gap_or_double(incident: Incident, operator_actor: Actor) -> None:
    at = timezone.now() + timedelta(seconds=1)
    with transaction.atomic():
        for number in range(25):  # many at one instant: the id decides
            ledger.record(
                actor=TESTS, verb="incident.noted", subject=ref(incident), payload={"text": f"n{number}"}, at=at
            )
    whole = [entry.event_id for entry in reads.timeline_page(incident, limit=500).items]
    paged: list[int] = []
    cursor: str | None = None
    while True:
        page = reads.timeline_page(incident, cursor=cursor, limit=7)
        paged += [entry.event_id for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole


@pytest.mark.parametrize("cursor", ["x", "_", "2026-01-01_1", "2026-01-01T00:00:00+00:00_x", "9" * 300])
def test_a_cursor_that_is_not_ours_is_refused(incident: Incident, cursor: str) -> None:
    with pytest.raises(Invalid):
        reads.timeline_page(incident, cursor=cursor)


def test_an_event_of_a_run_about_the_incident_is_on_its_timeline(incident: Incident) -> None:
    with transaction.atomic():
        ledger.record(
            actor=TESTS,
            verb="run.succeeded",
            subject="runbooks.run:1",
            about=[ref(incident)],
            payload={"procedure": "p"},
        )
    assert reads.timeline_page(incident).items[0].kind == "run"


def test_join_reasons_name_who_needs_whom(incident: Incident) -> None:
    with translation.override("en"):
        said = [reads.join_reason(link) for link in reads.groups(incident)]
    assert any("orders needs database-primary" in text for text in said)
    with translation.override("en"):
        joined = [e.text for e in reads.timeline_page(incident).items if e.verb == "incident.group_attached"]
    assert "orders needs database-primary" in joined[0]


@pytest.mark.parametrize("code", sorted(WEIGHTS))
def test_every_weight_has_a_sentence_that_only_asks_for_facts_it_gets(code: str) -> None:
    assert code in reasons.SUSPECT_TEXTS


def test_an_unknown_reason_or_a_missing_fact_shows_the_code(db: None) -> None:
    assert reasons.text("of_a_later_release", {}) == "of_a_later_release"
    assert reasons.text("explains", {"count": 1}) == "explains"
    assert reasons.text("target_down", {"at": "yesterday"}) == "target_down"


def test_zero_seconds_read_like_a_sentence() -> None:
    with translation.override("en"):
        assert reasons.text("went_wrong_first", {"seconds": 0}) == "It went wrong first."
        assert "7 s after" in reasons.text("went_wrong_first", {"seconds": 7})


def test_what_is_not_there_is_not_found(db: None, viewer_actor: Actor) -> None:
    with pytest.raises(NotFound):
        reads.get(viewer_actor, Incident().pk)


def test_suspects_and_groups_cost_the_same_queries_whatever_their_number(
    incident: Incident, django_assert_num_queries: Any
) -> None:
    group = incident.groups.order_by("joined_at").first().group  # type: ignore[union-attr]  # it has groups
    for number in range(20):
        scene.alert(group, f"More{number}", at=timezone.now())
    with django_assert_num_queries(2):
        reads.suspects(incident)
    with django_assert_num_queries(2):
        links = reads.groups(incident)
        assert sum(len(link.group.alerts.all()) for link in links) == 22
    with django_assert_num_queries(1):
        [row.resource.owner for row in reads.affected(incident)]
    with django_assert_num_queries(2):
        reads.timeline_page(incident)


def test_the_count_of_open_incidents(incident: Incident, viewer_actor: Actor) -> None:
    assert reads.open_count(viewer_actor) == 1
    Incident.objects.update(state="resolved")
    assert reads.open_count(viewer_actor) == 0
