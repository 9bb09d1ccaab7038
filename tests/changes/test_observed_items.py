"""What sources see modified is one item each: explained, adopted or reverted, and gone when it is as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.changes.observing import TESTS, eyes, looked, port, read, resource, sees, thing
from tests.changes.test_control import agree, draft, people
from tests.conftest import make_user
from tongchou.changes import control, control_work, drift_actions, observed_items, observed_reading
from tongchou.changes.drift_actions import Rule
from tongchou.changes.models_control import Change
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_observed import ObservedPlace
from tongchou.core import seal, settings_store
from tongchou.core.access import actor_for_user
from tongchou.core.models import Event, Role
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import SourceConfig

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def source() -> SourceConfig:
    """One that saw a host with a port."""
    return seen_before()


def seen_before() -> SourceConfig:
    found = eyes()
    looked(found, thing("web-1", kernel="6.1", cpu_count=4), port("web-1", 22, "sshd"))
    assert not Drift.objects.exists()
    return found


def web(kernel: str = "6.1", **more: Any) -> Any:
    return thing("web-1", kernel=kernel, **{"cpu_count": 4, **more})


def ssh() -> Any:
    return port("web-1", 22, "sshd")


def item() -> Drift:
    return Drift.objects.get()


def told() -> list[str]:
    return list(Event.objects.filter(verb__startswith="drift.").order_by("pk").values_list("verb", flat=True))


def test_a_fact_that_a_source_sees_changed_is_to_be_explained_and_goes_when_it_is_as_it_was(
    source: SourceConfig,
) -> None:
    looked(source, web("6.2"), ssh())
    row = item()
    assert (row.what, row.path, row.expected, row.observed) == ("fact", "kernel", "6.1", "6.2")
    assert (row.state, row.resource, row.source_name, row.source_ref) == (
        "open", resource("web-1"), "eyes", ref(source),
    )  # fmt: skip
    looked(source, web("6.3"), ssh())
    assert (item().expected, item().observed, item().state) == ("6.1", "6.3", "open")
    looked(source, web("6.1"), ssh())
    assert item().state == "cleared"
    assert told() == ["drift.opened", "drift.cleared"]
    looked(source, web("6.4"), ssh())
    assert (item().state, item().expected, item().observed, item().returned) == ("open", "6.1", "6.4", 1)


def test_what_is_no_fact_or_is_said_for_the_first_time_or_by_a_person_is_no_modification(
    source: SourceConfig,
) -> None:
    looked(source, web(uptime=1), ssh())
    looked(source, web(uptime=2, os="Debian 12"), ssh())
    inventory.set_attributes(actor=TESTS, resource=resource("web-1"), values={"cpu_count": 8})
    inventory.set_attributes(actor=TESTS, resource=resource("web-1"), values={"cpu_count": None})
    looked(eyes("others", precedence=500), web("6.1-other words"))
    declared = eyes("sheet", precedence=600, declares=True)
    looked(declared, web("7.0"))
    looked(declared, web("7.1"))
    assert not Drift.objects.exists()


def test_a_setting_adds_attributes_takes_them_away_and_switches_off(source: SourceConfig) -> None:
    settings_store.put(actor=TESTS, key="changes.observed_attributes", value=["host.uptime", "-host.kernel"])
    looked(source, web(uptime=1), ssh())
    looked(source, web("6.2", uptime=2), ssh())
    assert item().path == "uptime"
    settings_store.put(actor=TESTS, key="changes.observed_facts", value=False)
    looked(source, web("6.3", uptime=3, cpu_count=8), ssh())
    assert item().observed == "2"


def test_a_port_that_was_not_listened_on_before(source: SourceConfig) -> None:
    looked(source, web(), ssh(), port("web-1", 8443), port("web-1", 40_000, "agent"))
    row = item()
    assert (row.what, row.path, row.expected, row.observed) == (
        "listener", "listener tcp/8443 (nginx)", "", "nginx @ 0.0.0.0",
    )  # fmt: skip
    assert (row.resource, row.state) == (resource("web-1"), "open")
    looked(source, web(), ssh())
    assert item().state == "cleared"
    looked(source, web(), ssh(), port("web-1", 8443))
    assert (item().state, item().returned) == ("open", 1)
    drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="adopt", reason="the new site")
    looked(source, web(), ssh())
    looked(source, web(), ssh(), port("web-1", 8443))
    assert item().state == "cleared"  # it was adopted: that it comes back is how it shall be


def test_who_listens_where_is_a_fact_of_the_port(source: SourceConfig) -> None:
    looked(source, web(), port("web-1", 22, "sshd", addresses=["0.0.0.0", "::"]))
    assert (item().path, item().expected, item().observed) == (
        "listener tcp/22 (sshd) addresses", "0.0.0.0", "0.0.0.0, ::",
    )  # fmt: skip


def test_the_first_look_at_the_ports_of_a_host_is_no_news_and_a_known_port_may_come_back() -> None:
    source = eyes()
    looked(source, web())
    looked(source, web(), ssh(), port("web-1", 80))
    looked(source, web(), ssh())
    looked(source, web(), ssh(), port("web-1", 80))
    assert not Drift.objects.exists()
    settings_store.put(actor=TESTS, key="changes.observed_high_ports", value=True)
    looked(source, web(), ssh(), port("web-1", 40_000, "agent"))
    assert item().path == "listener tcp/40000 (agent)"
    settings_store.put(actor=TESTS, key="changes.observed_listeners", value=False)
    looked(source, web(), ssh(), port("web-1", 81))
    assert Drift.objects.count() == 1


def test_tables_that_are_created_altered_or_dropped() -> None:
    source = eyes()

    def shop(mark: str, **tables: str) -> Any:
        return thing("shop-db", "database", schema_fingerprint=mark, **{f"table/{n}": v for n, v in tables.items()})

    looked(source, thing("shop-db", "database", version="15"))
    looked(source, shop("1", **{"public.orders": "id bigint", "public.old": "id int"}))
    assert not Drift.objects.exists()  # the first sight of the schema
    looked(source, shop("2", **{"public.orders": "id bigint; note text", "public.new": "id int"}))
    rows = {row.path: (row.what, row.expected, row.observed) for row in Drift.objects.all()}
    assert rows == {
        "schema public.orders": ("schema", "id bigint", "id bigint; note text"),
        "schema public.new": ("schema", "", "id int"),
        "schema public.old": ("schema", "id int", ""),
    }
    assert Drift.objects.get(path="schema public.orders").diff == "+note text"
    looked(source, shop("1", **{"public.orders": "id bigint", "public.old": "id int"}))
    assert set(Drift.objects.values_list("state", flat=True)) == {"cleared"}
    assert resource("shop-db").attributes == {"schema_fingerprint": "1"}  # lists carry no tables
    settings_store.put(actor=TESTS, key="changes.observed_schemas", value=False)
    looked(source, shop("3", **{"public.orders": "id int"}))
    assert not Drift.objects.exclude(state="cleared").exists()


# --- explained, adopted, reverted -------------------------------------------------------------------------------------


@time_machine.travel(NOON - timedelta(hours=1), tick=True)
def test_an_approved_change_explains_what_happens_in_its_window_and_that_is_expected_from_then_on() -> None:
    source = seen_before()
    asks, agrees = people()
    row = control.create(actor=asks, draft=draft([resource("web-1")]))
    change = agree(control.ask(actor=asks, change=row), agrees)
    with time_machine.travel(NOON, tick=True):
        control_work.begin(actor=asks, change=change)
        looked(source, web("6.2"), ssh(), port("web-1", 8443))
    assert {(row.path, row.state, row.change_ref) for row in Drift.objects.all()} == {
        ("kernel", "with_change", ref(change)), ("listener tcp/8443 (nginx)", "with_change", ref(change)),
    }  # fmt: skip
    with time_machine.travel(NOON + timedelta(hours=3), tick=True):
        looked(source, web("6.1"), ssh(), port("web-1", 8443))
        row = Drift.objects.get(path="kernel")
        assert (row.state, row.expected, row.observed) == ("open", "6.2", "6.1")
        looked(source, web("6.2"), ssh(), port("web-1", 8443))
        assert Drift.objects.get(path="kernel").state == "cleared"


@time_machine.travel(NOON - timedelta(hours=1), tick=True)
def test_a_look_that_comes_once_a_day_may_have_missed_the_change() -> None:
    source = seen_before()
    SourceConfig.objects.update(interval_seconds=86_400)
    asks, agrees = people()
    row = control.create(actor=asks, draft=draft([resource("web-1")]))
    change = agree(control.ask(actor=asks, change=row), agrees)
    with time_machine.travel(NOON, tick=True):
        control_work.begin(actor=asks, change=change)
    with time_machine.travel(NOON + timedelta(hours=20), tick=True):
        looked(source, web("6.2"), ssh())
    assert (item().state, item().change_ref) == ("with_change", ref(change))


def test_adopted_is_as_expected_until_something_else_is_seen(source: SourceConfig) -> None:
    looked(source, web("6.2"), ssh())
    drift_actions.decide(actor=TESTS, drift_id=item().pk, decision="adopt", reason="urgent fix")
    looked(source, web("6.2", cpu_count=4), ssh())
    assert item().state == "adopt"
    looked(source, web("6.1"), ssh())
    assert (item().state, item().expected, item().observed) == ("open", "6.2", "6.1")
    looked(source, web("6.2"), ssh())
    assert item().state == "cleared"


def test_adopting_can_be_taken_back_until_something_else_is_seen(source: SourceConfig) -> None:
    looked(source, web("6.2"), ssh())
    for decision in ("adopt", "open"):
        drift_actions.decide(actor=TESTS, drift_id=item().pk, decision=decision, reason="because")
    looked(source, web("6.1"), ssh())
    assert item().state == "cleared"


def test_to_revert_opens_one_change_and_the_look_that_sees_it_done_clears(source: SourceConfig) -> None:
    boss = actor_for_user(make_user("boss", Role.ADMIN))
    looked(source, web("6.2"), ssh())
    for _again in range(2):
        drift_actions.decide(actor=boss, drift_id=item().pk, decision="revert", reason="not ours")
    change = Change.objects.get()
    assert (item().state, item().change_ref, change.origin) == ("revert", ref(change), ref(item()))
    assert [each.resource for each in change.touched.all()] == [resource("web-1")]
    assert "6.1" in change.description
    assert "6.2" in change.description
    looked(source, web("6.1"), ssh())
    assert item().state == "cleared"


def test_a_rule_ignores_what_is_observed(source: SourceConfig) -> None:
    drift_actions.put_ignore(actor=TESTS, rule=Rule(reason="always", resource="web-*", path="kernel"))
    looked(source, web("6.2"), ssh())
    assert item().state == "ignored"


# --- many at once -----------------------------------------------------------------------------------------------------


def test_what_touches_many_the_same_way_is_told_once_in_words() -> None:
    source, names = eyes(), [f"web-{number:02}" for number in range(12)]
    looked(source, *(thing(name, kernel="6.1", os="12") for name in names))
    sees(source, *(thing(name, kernel="6.2" if name != "web-03" else "6.3", os="12") for name in names))
    read()
    row = item()
    assert (row.path, row.touched, row.resource, row.subject, row.state) == ("kernel", 12, None, "eyes", "open")
    assert (row.expected, row.observed) == ("6.1 (12)", "6.2 (11); 6.3 (1)")
    assert "web-03 kernel: 6.1 → 6.3" in row.diff.splitlines()
    drift_actions.decide(actor=TESTS, drift_id=row.pk, decision="revert", reason="not ours")
    assert Change.objects.get().touched.count() == 12


def test_what_has_an_item_goes_on_with_it_among_many() -> None:
    source, names = eyes(), [f"web-{number:02}" for number in range(12)]
    looked(source, *(thing(name, kernel="6.1") for name in names))
    looked(source, *(thing(name, kernel="6.2" if name == "web-03" else "6.1") for name in names))
    looked(source, *(thing(name, kernel="6.9") for name in names))
    own = Drift.objects.get(resource=resource("web-03"))
    assert (own.expected, own.observed) == ("6.1", "6.9")
    assert Drift.objects.get(resource=None).touched == 11


def test_a_resource_gets_a_bounded_number_of_items_a_look(source: SourceConfig) -> None:
    ports = [port("web-1", 1000 + number, f"p{number}") for number in range(10)]
    settings_store.put(actor=TESTS, key="changes.observed_attributes", value=["host.*"])
    looked(source, web(**{f"a{n}": 1 for n in range(30)}), ssh())
    looked(source, web(**{f"a{n}": 2 for n in range(30)}), ssh(), *ports)
    rows = Drift.objects.filter(resource=resource("web-1"))
    assert rows.count() == 22  # twenty, and one for what is left of each sort
    assert sorted(rows.filter(touched__gt=1).values_list("what", "touched")) == [("fact", 10), ("listener", 10)]


def test_ports_of_a_machine_that_opens_many_are_told_once(source: SourceConfig) -> None:
    looked(source, web(), ssh(), *(port("web-1", 1000 + number, f"p{number}") for number in range(11)))
    assert (item().what, item().touched, item().resource) == ("listener", 11, resource("web-1"))


def test_the_queries_do_not_grow_with_what_is_seen() -> None:
    """But for the job of each follower of each event that is told, which the ledger promises one by one."""

    def run(count: int, name: str) -> int:
        source, names = eyes(name), [f"{name}-{number:03}" for number in range(count)]
        settings_store.put(actor=TESTS, key="changes.observed_most", value=1000)
        looked(source, *(thing(each, kernel="6.1") for each in names))
        sees(source, *(thing(each, kernel="6.2") for each in names))
        while seal.seal_pending():
            continue
        with CaptureQueriesContext(connection) as found:
            observed_items.read_on()
        assert Drift.objects.filter(source_name=name, state="open").count() == count
        asked = [each["sql"] for each in found.captured_queries]
        return len([each for each in asked if "core_job" not in each and "SAVEPOINT" not in each])

    assert run(3, "few") == run(30, "some") <= 30


# --- nothing is lost, nothing is noted twice --------------------------------------------------------------------------


def test_a_crash_between_the_ledger_and_the_item_repeats_the_look(
    source: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sees(source, web("6.2"), ssh())
    place = ObservedPlace.objects.get()

    def dies(_look: Any) -> None:
        note(_look)
        raise SystemExit("killed")

    note = observed_items.note
    monkeypatch.setattr(observed_items, "note", dies)
    with pytest.raises(SystemExit), transaction.atomic():
        read()
    assert not Drift.objects.exists()
    assert (ObservedPlace.objects.get().month, ObservedPlace.objects.get().position) == (place.month, place.position)
    monkeypatch.setattr(observed_items, "note", note)
    sees(source, web("6.3"), ssh())
    read()
    assert (item().expected, item().observed) == ("6.1", "6.3")


def test_read_once_more_from_the_beginning_nothing_is_noted_twice(source: SourceConfig) -> None:
    looked(source, web("6.2"), ssh(), port("web-1", 8443))
    looked(source, web("6.1"), ssh(), port("web-1", 8443))
    names = [f"db-{number:02}" for number in range(12)]
    looked(eyes("more"), *(thing(name, kernel="1") for name in names))
    looked(SourceConfig.objects.get(name="more"), *(thing(name, kernel="2") for name in names))
    before, verbs = sorted(Drift.objects.values_list("key", "state", "returned", "consecutive")), told()
    ObservedPlace.objects.update(month="", position=-1)
    read()
    assert sorted(Drift.objects.values_list("key", "state", "returned", "consecutive")) == before
    assert told() == verbs


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_order_and_the_repetition_there_and_back_clears_and_is_one(
    source: SourceConfig, data: st.DataObject
) -> None:
    with transaction.atomic():
        values = data.draw(st.lists(st.sampled_from(["6.2", "6.3", "6.1"]), min_size=1, max_size=5))
        for each in values:
            sees(source, web(each), ssh())
        synced = list(Event.objects.filter(verb="source.synced").order_by("pk"))
        wants = observed_reading.wanted()
        repeated = data.draw(st.lists(st.sampled_from(synced), max_size=4))
        for event in data.draw(st.permutations([*synced, *repeated])):
            look = observed_reading.look_of(event, wants)
            if look is not None and look.modifications:
                observed_items.note(look)
        open_ = [(row.expected, row.observed) for row in Drift.objects.exclude(state="cleared")]
        assert open_ == ([("6.1", values[-1])] if values[-1] != "6.1" else [])
        transaction.set_rollback(True)


def test_a_place_that_finds_nothing_goes_on_to_the_head_of_the_ledger(source: SourceConfig) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="db-1")
    read()
    place, sealed = ObservedPlace.objects.get(), seal.Segment.objects.get()
    assert (place.month, place.position) == (sealed.month, sealed.count - 1)
