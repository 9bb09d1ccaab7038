"""Writing the ranking down: replaced as a whole, told when the first three change, newest evidence wins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core import ledger
from tongchou.core.access import Actor, system
from tongchou.core.models import Job
from tongchou.core.refs import ref
from tongchou.incidents import actions, ranking, reads
from tongchou.incidents.models import Incident
from tongchou.incidents.suspects import Evidence

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")


@pytest.fixture
def shop() -> Shop:
    return Shop()


def told(incident: Incident) -> list[list[str]]:
    """The tops that events told of, oldest first."""
    events = ledger.events(about=ref(incident), verbs=["incident.suspects_ranked"])
    return [[each["title"] for each in event.payload["top"]] for event in reversed(events)]


def bad_release(shop: Shop) -> Incident:
    """Orders errs 30 s after its release; storefront follows; search was released too and has nothing to do with it."""
    now = timezone.now()
    scene.deployed(shop.search, now - timedelta(seconds=45))
    scene.deployed(shop.orders, now - timedelta(seconds=60), "2", shop.orders_1)
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(seconds=30))
    scene.opened("ErrorRatioHigh", shop.storefront, at=now - timedelta(seconds=20))
    scene.run_jobs()
    return scene.only_incident()


def test_a_bad_release_leads_with_its_reasons_in_both_languages(shop: Shop) -> None:
    incident = bad_release(shop)
    first, second, *rest = reads.suspects(incident)
    assert (first.kind, first.name, first.ref) == ("event", "orders 1 → 2", "changes.deployment:orders-2")
    assert set(first.about) == {ref(shop.orders), ref(shop.orders_1)}
    assert first.score == pytest.approx(sum(reason.weight for reason in first.reasons), abs=0.06)
    assert second.resource_kind in {"service", "instance"}
    assert "search 1 → 2" not in [each.name for each in (first, second, *rest[:1])]
    with translation.override("en"):
        english = [reason.text for reason in reads.suspects(incident)[0].reasons]
    assert any("30 s before" in text for text in english)
    assert not [text for text in english if "%(" in text]


def test_what_the_release_changed_and_fails_is_marked_as_the_cause(shop: Shop) -> None:
    roles = {row.resource.name: row.role for row in reads.affected(bad_release(shop))}
    assert roles == {"orders": "cause", "orders-1": "cause", "storefront": "symptom"}


def test_a_dead_primary_leads_over_its_victims(shop: Shop) -> None:
    now = timezone.now()
    scene.opened("TargetDown", shop.primary, shop.database, at=now - timedelta(seconds=30))
    scene.opened("ErrorRatioHigh", shop.orders_1, shop.orders, at=now - timedelta(seconds=26))
    scene.opened("ErrorRatioHigh", shop.storefront, at=now - timedelta(seconds=24))
    scene.run_jobs()
    assert reads.suspects(scene.only_incident())[0].ref == ref(shop.primary)


def test_the_same_evidence_again_tells_nothing_new(shop: Shop) -> None:
    incident = bad_release(shop)
    before = told(incident)
    for _ in range(3):
        ranking.recompute_suspects(actor=TESTS, incident_id=incident.pk)
    assert told(incident) == before
    assert [row.rank for row in incident.suspects.all()] == list(range(1, incident.suspects.count() + 1))


def test_a_late_delivery_of_a_release_changes_the_first_place(shop: Shop) -> None:
    now = timezone.now()
    scene.opened("ErrorRatioHigh", shop.orders, at=now - timedelta(seconds=30))
    scene.run_jobs()
    incident = scene.only_incident()
    assert reads.suspects(incident)[0].ref == ref(shop.orders)
    scene.deployed(shop.orders, now - timedelta(seconds=60))
    scene.run_jobs()
    assert reads.suspects(incident)[0].kind == "event"
    assert [top[0] for top in told(incident)] == ["orders", "orders 1 → 2"]


def test_many_pieces_of_evidence_at_once_share_one_run(shop: Shop) -> None:
    incident = bad_release(shop)
    for number in range(5):
        scene.deployed(shop.orders, timezone.now() - timedelta(minutes=number), f"v{number}")
    scene.jobs.run_due()
    assert Job.objects.filter(name=actions.RANK_JOB, state="queued", payload__incident_id=str(incident.pk)).count() == 1


def test_older_evidence_never_replaces_newer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = bad_release(shop)
    before = list(incident.suspects.values_list("ref", flat=True))
    gather = ranking.evidence.gather

    def slow(*args: Any, **more: Any) -> Any:
        Incident.objects.update(ranked_at=timezone.now() + timedelta(seconds=1))  # another one was faster
        case = gather(*args, **more)
        return type(case)(Evidence(list(case.evidence.symptoms)[:1]), {}, case.symptoms, {})

    monkeypatch.setattr(ranking.evidence, "gather", slow)
    ranking.recompute_suspects(actor=TESTS, incident_id=incident.pk)
    assert list(incident.suspects.values_list("ref", flat=True)) == before


def test_a_resolved_incident_keeps_the_ranking_it_was_resolved_with(shop: Shop, operator_actor: Actor) -> None:
    incident = bad_release(shop)
    before = list(incident.suspects.values_list("ref", "score"))
    actions.resolve(actor=operator_actor, incident=incident, comment="x", force=True)
    incident.suspects.filter(rank=2).delete()
    assert ranking.recompute_suspects(actor=TESTS, incident_id=incident.pk) == []
    assert list(incident.suspects.values_list("ref", "score")) == [before[0], *before[2:]]


def test_a_change_wakes_only_incidents_it_may_explain(shop: Shop) -> None:
    bad_release(shop)
    assert ranking.new_change(actor=TESTS, at=timezone.now()) == 1
    assert ranking.new_change(actor=TESTS, at=timezone.now() - timedelta(hours=3)) == 0
    assert ranking.new_change(actor=TESTS, at=timezone.now() + timedelta(hours=3)) == 0


def test_an_incident_about_nothing_known_has_no_suspects() -> None:
    scene.opened("OrdersStopped", service="ghost")
    scene.run_jobs()
    incident = scene.only_incident()
    assert incident.suspects.count() == 0
    assert incident.ranked_at is not None
    assert told(incident) == []
