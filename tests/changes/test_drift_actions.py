"""Drift in the database: looks, decisions, rules, the ledger's word about the resource, who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.conftest import make_user
from tongchou.changes import drift_actions, drift_reads
from tongchou.changes.drift import Found, Look
from tongchou.changes.drift_actions import Origin, Rule
from tongchou.changes.models_control import Change, ChangeResource
from tongchou.changes.models_drift import Drift, DriftSource
from tongchou.core import ledger, people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Event, Membership, Role
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")
START = datetime(2026, 3, 2, tzinfo=UTC)
ORIGIN = Origin(DriftSource.PLAYBOOK, "changes.playbook:1", "site")


@pytest.fixture
def web() -> Resource:
    return inventory.create_resource(actor=TESTS, kind="host", name="web-1")


def look(minute: int, found: list[Found], *, looked: Any = None, needed: int = 1, origin: Origin = ORIGIN) -> Any:
    when = Look(START + timedelta(minutes=minute), needed)
    return drift_actions.observe(actor=TESTS, origin=origin, found=found, looked=looked, look=when)


def motd(web: Resource | None = None, observed: str = "b", subject: str = "web-1") -> Found:
    return Found(subject, "/etc/motd", "a", observed, "-a\n+b", web.pk if web else None)


def verbs(about: str) -> list[str]:
    return [event.verb for event in ledger.events(about=about) if event.verb.startswith("drift.")][::-1]


def test_it_opens_after_n_looks_and_goes_with_the_first_that_does_not_see_it(web: Resource) -> None:
    assert look(0, [motd(web)], needed=2).opened == 0
    assert drift_reads.unexplained(TESTS).count() == 0
    assert look(1, [motd(web)], needed=2).opened == 1
    row = drift_reads.unexplained(TESTS).get()
    assert (row.resource, row.consecutive, row.first_seen_at, row.diff) == (web, 2, START, "-a\n+b")
    assert look(2, [motd(web)], needed=2).opened == 0
    assert look(3, [], needed=2).cleared == 1
    row.refresh_from_db()
    assert (row.state, row.cleared_at) == ("cleared", START + timedelta(minutes=3))
    assert verbs(ref(web)) == ["drift.opened", "drift.cleared"]
    assert look(4, [motd(web)]).opened == 1
    row.refresh_from_db()
    assert (row.state, row.returned, row.first_seen_at) == ("open", 1, START + timedelta(minutes=4))


def test_what_never_opened_goes_without_a_word(web: Resource) -> None:
    look(0, [motd(web)], needed=3)
    look(1, [], needed=3)
    assert not Event.objects.filter(verb__startswith="drift.").exists()
    assert Drift.objects.get().state == "cleared"


def test_a_host_that_did_not_answer_keeps_what_is_known_of_it(web: Resource) -> None:
    look(0, [motd(web), motd(subject="web-2")])
    look(1, [], looked={"web-2"})
    assert {row.subject: row.state for row in Drift.objects.all()} == {"web-1": "open", "web-2": "cleared"}


def test_sources_do_not_clear_each_other(web: Resource) -> None:
    look(0, [motd(web)])
    look(1, [], origin=Origin(DriftSource.BASELINE, "changes.baseline:1", "web"))
    assert Drift.objects.get().state == "open"


def test_a_decision_needs_a_reason_and_holds_until_something_else_is_seen(web: Resource) -> None:
    look(0, [motd(web)])
    row = Drift.objects.get()
    with pytest.raises(Invalid):
        drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="adopt", reason=" ")
    with pytest.raises(Invalid):
        drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="cleared", reason="x")
    with pytest.raises(NotFound):
        drift_actions.decide(actor=TESTS, drift_id=uuid4(), decision="adopt", reason="x")
    drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="revert", reason="by hand")
    look(1, [motd(web)])
    row.refresh_from_db()
    assert (row.state, row.reason, row.decided_by_name) == ("revert", "by hand", "tests")
    look(2, [motd(web, "c")])
    row.refresh_from_db()
    assert (row.state, row.reason, row.decided_by_name) == ("open", "", "")
    look(3, [])
    with pytest.raises(Conflict):
        drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="adopt", reason="x")
    assert verbs(ref(web)) == ["drift.opened", "drift.decided", "drift.opened", "drift.cleared"]


def test_ignored_until_a_day_at_most_a_year_away(web: Resource) -> None:
    look(0, [motd(web)])
    row, now = Drift.objects.get(), timezone.now()
    for until in (now - timedelta(days=1), now + timedelta(days=400)):
        with pytest.raises(Invalid):
            drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="ignored", reason="x", until=until)
    drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="ignored", reason="x", until=now + timedelta(days=1))
    row.refresh_from_db()
    assert row.state == "ignored"


def test_a_rule_ignores_from_the_next_look_and_its_removal_opens_at_once(web: Resource) -> None:
    look(0, [motd(web)])
    for rule in (Rule(reason="", path="/etc/*"), Rule(reason="x"), Rule(reason="x", path="*", source_kind="odd")):
        with pytest.raises(Invalid):
            drift_actions.put_ignore(actor=TESTS, rule=rule)
    rule = drift_actions.put_ignore(actor=TESTS, rule=Rule(reason="banner of the day", resource="web-*", path="/etc/*"))
    look(1, [motd(web)])
    row = Drift.objects.get()
    assert (row.state, row.ignored_by) == ("ignored", rule)
    with pytest.raises(Conflict):
        drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="ignored", reason="x")
    assert [each.item_count for each in drift_reads.rules(TESTS)] == [1]  # type: ignore[attr-defined]  # annotated
    drift_actions.remove_ignore(actor=TESTS, rule_id=rule.pk)
    row.refresh_from_db()
    assert (row.state, row.ignored_by) == ("open", None)


def test_a_change_being_carried_out_explains_it_and_its_end_does_not(web: Resource) -> None:
    change = Change.objects.create(number=1, title="new motd", requested_by_name="ops", state="implement")
    ChangeResource.objects.create(change=change, resource=web)
    assert look(0, [motd(web)]).opened == 1
    Change.objects.update(began_at=START)
    assert look(1, [motd(web)]).explained == 1
    row = Drift.objects.get()
    assert (row.state, row.change_ref) == ("with_change", ref(change))
    Change.objects.update(finished_at=START + timedelta(minutes=2), state="review")
    assert look(3, [motd(web)]).opened == 0  # within the tolerance: looks come later than what they see
    assert look(13, [motd(web)]).opened == 1
    assert verbs(ref(change)) == ["drift.explained"]


def test_texts_are_bounded_and_so_is_their_number(web: Resource) -> None:
    long = "x" * 100_000
    told = look(0, [Found("web-1", f"/{number}", long, long, long) for number in range(drift_actions.MAX_FOUND + 5)])
    assert (told.differing, told.left_out) == (drift_actions.MAX_FOUND, 5)
    row = Drift.objects.order_by("path")[0]
    assert (len(row.expected), len(row.diff)) == (8_000, 20_000)


def test_a_look_costs_the_same_queries_however_many_it_saw(web: Resource, django_assert_max_num_queries: Any) -> None:
    found = [Found("web-1", f"/{number}", "a", "b", "", web.pk) for number in range(60)]
    for minute in range(2):  # an event and its jobs come with the one that opens it alone
        with django_assert_max_num_queries(25):
            look(minute, found, needed=9)


def test_a_team_sees_and_decides_about_its_own(web: Resource) -> None:
    team = people.create_team(actor=TESTS, name="ours")
    theirs = inventory.create_resource(actor=TESTS, kind="host", name="db-1", owner=team)
    look(0, [motd(web), motd(theirs, subject="db-1")])
    user = make_user("member", None)
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    actor: Actor = actor_for_user(user)
    assert [row.subject for row in drift_reads.items(actor)] == ["db-1"]
    mine, other = Drift.objects.get(subject="db-1"), Drift.objects.get(subject="web-1")
    drift_actions.decide(actor=actor, drift_id=mine.pk, decision="adopt", reason="ok")
    with pytest.raises(AccessDenied):
        drift_actions.decide(actor=actor, drift_id=other.pk, decision="adopt", reason="ok")
    with pytest.raises(NotFound):
        drift_reads.item(actor, other.pk)
    with pytest.raises(AccessDenied):
        drift_actions.put_ignore(actor=actor, rule=Rule(reason="x", path="*"))
