from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tongchou.core import jobs as core_jobs
from tongchou.core.access import Actor, system
from tongchou.core.models import Event, Job, Team
from tongchou.core.problems import AccessDenied, Invalid, Unavailable
from tongchou.inventory import actions, jobs, reads, sources
from tongchou.inventory.connections import SeenUse
from tongchou.inventory.graph import load_graph
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Identity,
    Relation,
    Resource,
    ResourceState,
    Sighting,
    SourceConfig,
)
from tongchou.inventory.models_queues import QueueItem
from tongchou.inventory.models_seen import Use
from tongchou.inventory.observation import (
    Observation,
    ObservedEndpoint,
    ObservedRelation,
    ObservedResource,
    service_key,
)
from tongchou.inventory.uses import note_uses

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
ACTOR = system("tests")


class Fake:
    """A source that sees what the test says, or breaks as the test says."""

    kind = "fake"
    title = "Fake"
    settings_schema: Mapping[str, Any] = {}
    precedence = 100
    interval_seconds = 60.0

    def __init__(self) -> None:
        self.sees: Observation | BaseException = Observation()
        self.looks = 0

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        if "bad" in settings:
            raise Invalid("fake.bad", "bad", field="settings.bad")
        return dict(settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        self.looks += 1
        if isinstance(self.sees, BaseException):
            raise self.sees
        return self.sees


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(sources, "source_kinds", lambda: {"fake": made})
    return made


@pytest.fixture
def config(fake: Fake) -> SourceConfig:
    wanted = sources.Wanted(kind="fake", missing_after=2, grace_seconds=0)
    return sources.configure_source(actor=ACTOR, name="sd", wanted=wanted)


@pytest.fixture
def sync(fake: Fake, config: SourceConfig) -> Callable[[Observation], Any]:
    def run(seen: Observation) -> Any:
        fake.sees = seen
        return sources.run_source(actor=ACTOR, source=config)

    return run


def thing(name: str, kind: str = "instance", **facts: Any) -> ObservedResource:
    return ObservedResource(kind, name, (f"k:{name}",), **facts)


SHOP = Observation(
    (
        thing("web-1", attributes={"version": "1"}, labels={"env": "prod"}, owner="shop"),
        thing("db-1", "database", attributes={"version": "16"}),
        ObservedResource("service", "web", (service_key("web"),)),
    ),
    (
        ObservedRelation("part_of", (("k:web-1", service_key("web")),)),
        ObservedRelation("stores_in", ((service_key("web"), "name:db-1"),)),
    ),
    (
        ObservedEndpoint(
            "k:web-1",
            "http://10.0.0.1:8000/metrics",
            {"job": "shop", "instance": "10.0.0.1:8000", "service": "web"},
            interval_seconds=1.0,
            timeout_seconds=0.5,
        ),
    ),
)


def mine() -> list[str]:
    return [verb for verb in Event.objects.order_by("pk").values_list("verb", flat=True) if "." in verb]


def test_a_sync_records_everything_seen(sync: Any) -> None:
    Team.objects.create(name="shop")
    sync(SHOP)
    web = Resource.objects.get(name="web-1")
    assert (web.owner.name if web.owner else None, web.labels) == ("shop", {"env": "prod"})
    assert reads.attributes_of(web) == {"version": "1"}
    graph = load_graph()
    service, db = (Resource.objects.get(name=name) for name in ("web", "db-1"))
    assert graph.downstream(service.pk) == {web.pk: 1, db.pk: 1}
    assert [(row.url, row.interval_seconds) for row in reads.metric_endpoints()] == [
        ("http://10.0.0.1:8000/metrics", 1.0)
    ]
    # relations among what the same sync creates come with it
    assert mine()[-4:] == ["resource.created", "resource.created", "resource.created", "source.synced"]


def test_seen_again_writes_no_event_and_nothing_but_the_sources_own_row(sync: Any, config: SourceConfig) -> None:
    sync(SHOP)
    events = Event.objects.count()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        sync(SHOP)
    assert Event.objects.count() == events
    writes = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    own = ("inventory_sourceconfig", "inventory_sourcerun", "inventory_sighting")
    assert [sql for sql in writes if not any(table in sql for table in own)] == []
    assert len(writes) == 3


def test_last_seen_moves_at_most_once_a_minute(sync: Any) -> None:
    sync(SHOP)
    first = set(Sighting.objects.values_list("last_seen", flat=True))
    sync(SHOP)
    assert set(Sighting.objects.values_list("last_seen", flat=True)) == first
    Sighting.objects.update(last_seen=timezone.now() - timedelta(seconds=61))
    sync(SHOP)
    assert min(Sighting.objects.values_list("last_seen", flat=True)) > timezone.now() - timedelta(seconds=10)


def test_a_changed_value_is_one_event_with_old_and_new(sync: Any) -> None:
    sync(SHOP)
    db = thing("db-1", "database", attributes={"version": "17", "port": 5432})
    sync(Observation((SHOP.resources[0], db, SHOP.resources[2]), SHOP.relations, SHOP.endpoints))
    event = Event.objects.filter(verb="resource.changed").get()
    assert event.payload["changes"] == {"port": [None, 5432], "version": ["16", "17"]}
    assert AttributeValue.objects.get(name="version", resource__name="db-1").value == "17"


@pytest.mark.parametrize(
    "broken",
    [
        Unavailable("x.down", "down", remedy="switch it on"),
        Invalid("x.garbage", "garbage", field="[3].targets", remedy="mend it"),
        TimeoutError("hangs"),
        KeyError("a fault of ours"),
    ],
    ids=["down", "garbage", "hangs", "fault"],
)
def test_a_failed_look_loses_nothing_and_is_told_once_with_a_remedy(
    sync: Any, fake: Fake, config: SourceConfig, broken: Exception
) -> None:
    sync(SHOP)
    before = [model.objects.count() for model in (Resource, Relation, Endpoint, AttributeValue, Identity)]
    fake.sees = broken
    for _ in range(5):
        with pytest.raises((Unavailable, Invalid)):
            sources.run_source(actor=ACTOR, source=config)
    config.refresh_from_db()
    assert config.last_error
    assert config.last_remedy
    assert [model.objects.count() for model in (Resource, Relation, Endpoint, AttributeValue, Identity)] == before
    assert Resource.objects.filter(state=ResourceState.TOMBSTONE).count() == 0
    assert mine().count("source.failed") == 1
    sync(SHOP)
    config.refresh_from_db()
    assert config.last_error == ""
    assert mine().count("source.recovered") == 1


def test_an_empty_answer_loses_nothing(sync: Any, config: SourceConfig) -> None:
    sync(SHOP)
    for _ in range(5):
        sync(Observation())
    assert Resource.objects.filter(state=ResourceState.ACTIVE).count() == 3
    assert Endpoint.objects.count() == 1
    config.refresh_from_db()
    assert config.last_result["notes"] == [{"code": "nothing_listed", "params": {"count": 3}}]


def test_what_cannot_be_written_fails_whole(sync: Any) -> None:
    sync(SHOP)
    bad = Observation((*SHOP.resources, thing("x" * 300)))
    with pytest.raises(Invalid) as refusal:
        sync(bad)
    assert refusal.value.field == "resources[3].name"
    assert Resource.objects.count() == 3


def test_long_unseen_becomes_a_tombstone_and_comes_back_as_the_same(sync: Any) -> None:
    sync(SHOP)
    web = Resource.objects.get(name="web-1")
    rest = Observation(SHOP.resources[1:], SHOP.relations[1:])
    sync(rest)
    web.refresh_from_db()
    assert web.state == ResourceState.ACTIVE
    assert Sighting.objects.get(resource=web).missed == 1
    sync(rest)
    web.refresh_from_db()
    assert web.state == ResourceState.TOMBSTONE
    assert reads.metric_endpoints() == []
    assert web.pk not in load_graph()
    sync(SHOP)
    web.refresh_from_db()
    assert (web.state, web.gone_at) == (ResourceState.ACTIVE, None)
    assert len(reads.metric_endpoints()) == 1
    assert load_graph().downstream(Resource.objects.get(name="web").pk)[web.pk] == 1
    about = Event.objects.filter(abouts__ref=f"inventory.resource:{web.pk}").order_by("pk")
    assert [e.verb for e in about] == [
        "resource.created",
        "resource.gone",
        "relation.removed",
        "resource.returned",
        "relation.added",
    ]


def test_a_resource_two_sources_see_goes_only_when_both_gave_it_up(fake: Fake, sync: Any) -> None:
    wanted = sources.Wanted(kind="fake", missing_after=1, grace_seconds=0)
    other = sources.configure_source(actor=ACTOR, name="other", wanted=wanted)
    sync(SHOP)
    sources.apply_sync(actor=ACTOR, source=other, observation=SHOP)
    assert Resource.objects.count() == 3
    sources.apply_sync(actor=ACTOR, source=other, observation=Observation(SHOP.resources[1:]))
    assert Resource.objects.get(name="web-1").state == ResourceState.ACTIVE
    for _ in range(2):
        sync(Observation(SHOP.resources[1:]))
    assert Resource.objects.get(name="web-1").state == ResourceState.TOMBSTONE


def test_a_persons_word_survives_every_sync(sync: Any, operator_actor: Actor) -> None:
    Team.objects.create(name="shop")
    people = Team.objects.create(name="people")
    sync(SHOP)
    web = Resource.objects.get(name="web-1")
    actions.update_resource(
        actor=operator_actor, resource=web, name="front", owner=people, labels={"env": "test", "mine": "x"}
    )
    actions.set_attributes(actor=operator_actor, resource=web, values={"version": "forced"})
    plan = sync(SHOP)
    assert not plan.changes_something
    web.refresh_from_db()
    assert (web.name, web.owner, web.labels) == ("front", people, {"env": "test", "mine": "x"})
    assert reads.attributes_of(web) == {"version": "forced"}


def test_a_dry_run_tells_and_writes_nothing(fake: Fake, config: SourceConfig) -> None:
    fake.sees = SHOP
    with CaptureQueriesContext(connection) as queries:
        plan = sources.dry_run(actor=ACTOR, source=config)
    assert len(plan.created) == 3
    assert len(plan.relations_added) == 2
    assert not [q for q in queries if not q["sql"].startswith("SELECT")]


def test_a_thousand_resources_cost_no_more_queries_to_compare_than_ten(sync: Any) -> None:
    def observation(count: int, version: str) -> Observation:
        return Observation(
            tuple(thing(f"i{i}", attributes={"version": version}) for i in range(count)),
            tuple(ObservedRelation("calls", ((f"k:i{i}", f"k:i{i + 1}"),)) for i in range(count - 1)),
        )

    def selects(seen: Observation) -> int:
        with CaptureQueriesContext(connection) as queries:
            sync(seen)
        return sum(1 for q in queries if q["sql"].startswith("SELECT"))

    sync(observation(10, "1"))
    small = selects(observation(10, "2"))
    sync(observation(1000, "2"))
    assert selects(observation(1000, "3")) <= small
    with CaptureQueriesContext(connection) as queries:
        sync(observation(1000, "3"))
    assert len(queries) <= 20


def test_deleting_a_source_keeps_what_others_see_and_erases_nothing(
    sync: Any, fake: Fake, config: SourceConfig
) -> None:
    other = sources.configure_source(actor=ACTOR, name="other", wanted=sources.Wanted(kind="fake"))
    sync(SHOP)
    sources.apply_sync(actor=ACTOR, source=other, observation=Observation(SHOP.resources[:1]))
    sources.delete_source(actor=ACTOR, source=config)
    states = dict(Resource.objects.values_list("name", "state"))
    assert states == {"web-1": "active", "db-1": "tombstone", "web": "tombstone"}
    assert Endpoint.objects.count() == 0
    assert not Relation.objects.filter(valid_to__isnull=True).exists()
    assert Relation.objects.count() == 2
    assert AttributeValue.objects.filter(source="sd").exists()


def test_deleting_a_source_lets_go_of_what_it_saw_in_use(sync: Any, config: SourceConfig) -> None:
    for name in ("web", "db-1"):
        actions.create_resource(actor=ACTOR, kind="service", name=name)
    uses = (
        SeenUse((service_key("web"),), (service_key("db-1"),)),
        SeenUse((service_key("web"),), ("addr:10.9.9.9:1",)),
    )
    sync(Observation((thing("web-1"),), uses=uses))
    note_uses(actor=ACTOR, source="other/seen", uses=uses, now=timezone.now())
    assert Relation.objects.filter(valid_to=None).count() == 2
    sources.delete_source(actor=ACTOR, source=config)
    assert [*Relation.objects.filter(valid_to=None).values_list("source", flat=True)] == ["other/seen"]
    assert set(Use.objects.values_list("source", flat=True)) == {"other/seen"}
    peers = QueueItem.objects.filter(queue="unrecorded", key__startswith="peer:")
    assert [row.facts["job"] for row in peers] == ["other/seen"]


def test_the_first_sync_follows_at_once_and_a_due_one_by_interval(fake: Fake, config: SourceConfig) -> None:
    fake.sees = SHOP
    assert core_jobs.run_due() == 1
    assert fake.looks == 1
    jobs.sync_due()
    assert not Job.objects.filter(state="queued").exists()
    SourceConfig.objects.update(last_run_at=timezone.now() - timedelta(seconds=61))
    for _ in range(2):
        jobs.sync_due()
    assert core_jobs.run_due() == 1
    assert fake.looks == 2
    SourceConfig.objects.update(enabled=False, last_run_at=None)
    jobs.sync_due()
    assert core_jobs.run_due() == 0


def test_a_failing_source_does_not_leave_a_dead_job(fake: Fake, config: SourceConfig) -> None:
    fake.sees = Unavailable("x.down", "down")
    core_jobs.run_due()
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    config.refresh_from_db()
    assert config.last_error


def test_configuring_the_same_again_is_no_event(fake: Fake, config: SourceConfig) -> None:
    before = Event.objects.count()
    sources.configure_source(actor=ACTOR, name="sd", wanted=sources.Wanted(kind="fake"))
    assert Event.objects.count() == before
    sources.configure_source(actor=ACTOR, name="sd", wanted=sources.Wanted(interval_seconds=30))
    assert mine()[-1] == "source.configured"


@pytest.mark.parametrize(
    ("name", "wanted", "field"),
    [
        ("x", {"kind": "nope"}, "kind"),
        ("sd", {"kind": "other"}, "kind"),
        ("manual", {"kind": "fake"}, "name"),
        ("a/b", {"kind": "fake"}, "name"),
        ("x", {"kind": "fake", "interval_seconds": 0.5}, "interval_seconds"),
        ("x", {"kind": "fake", "precedence": 1000}, "precedence"),
        ("x", {"kind": "fake", "settings": {"bad": 1}}, "settings.bad"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_by_field(
    fake: Fake, config: SourceConfig, monkeypatch: pytest.MonkeyPatch, name: str, wanted: dict[str, Any], field: str
) -> None:
    other = Fake()
    other.kind = "other"
    monkeypatch.setattr(sources, "source_kinds", lambda: {"fake": fake, "other": other})
    with pytest.raises(Invalid) as refusal:
        sources.configure_source(actor=ACTOR, name=name, wanted=sources.Wanted(**wanted))
    assert refusal.value.field == field
    assert SourceConfig.objects.count() == 1


def test_only_an_administrator_manages_sources(fake: Fake, config: SourceConfig, approver_actor: Actor) -> None:
    for attempt in (
        lambda: sources.configure_source(actor=approver_actor, name="x", wanted=sources.Wanted(kind="fake")),
        lambda: sources.run_source(actor=approver_actor, source=config),
        lambda: sources.dry_run(actor=approver_actor, source=config),
        lambda: sources.delete_source(actor=approver_actor, source=config),
    ):
        with pytest.raises(AccessDenied):
            attempt()
    assert fake.looks == 0


def interfere(monkeypatch: pytest.MonkeyPatch, write: Callable[[], Any], times: int = 1) -> list[int]:
    """Let somebody write between the comparison and our write, the first `times` times; return a list of comparisons."""
    real, compared = sources.reconcile, []

    def compare(*args: Any, **kwargs: Any) -> Any:
        plan = real(*args, **kwargs)
        compared.append(len(plan.created))
        if len(compared) <= times:
            write()
        return plan

    monkeypatch.setattr(sources, "reconcile", compare)
    return compared


def test_a_person_who_writes_meanwhile_makes_the_sync_compare_anew(
    config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = interfere(monkeypatch, lambda: actions.create_resource(actor=ACTOR, kind="service", name="web"))
    sources.apply_sync(actor=ACTOR, source=config, observation=SHOP)
    assert compared == [3, 2]
    web = Resource.objects.get(name="web")
    assert set(web.sightings.values_list("source", flat=True)) == {"manual", "sd"}


def test_two_sources_that_first_see_the_same_make_one_resource(
    config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sources.configure_source(actor=ACTOR, name="other", wanted=sources.Wanted(kind="fake"))
    same = Observation((thing("web-1"),))
    running: list[bool] = []

    def other_source() -> None:
        if not running:
            running.append(True)
            sources.apply_sync(actor=ACTOR, source=other, observation=same)

    compared = interfere(monkeypatch, other_source)
    sources.apply_sync(actor=ACTOR, source=config, observation=SHOP)
    assert compared == [3, 1, 2]
    assert Resource.objects.count() == 3
    assert Sighting.objects.filter(resource__name="web-1").count() == 2


def test_a_sync_that_is_overtaken_again_and_again_ends_all_the_same(
    config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter("abcdef")
    busy = lambda: actions.create_resource(actor=ACTOR, kind="host", name=next(names))  # noqa: E731
    compared = interfere(monkeypatch, busy, times=2)
    sources.apply_sync(actor=ACTOR, source=config, observation=SHOP)
    assert compared == [3, 3, 3]
    assert Resource.objects.filter(source="sd").count() == 3


def test_a_big_sync_is_written_in_parts_and_what_a_stop_leaves_is_found_by_the_next(
    config: SourceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART", 10)
    names = [f"i{i}" for i in range(35)]
    seen = Observation(
        tuple(thing(name) for name in names),
        tuple(ObservedRelation("calls", ((f"k:{a}", f"k:{b}"),)) for a, b in itertools.pairwise(names)),
    )
    real, parts = sources.write, []

    def stop(*args: Any, **kwargs: Any) -> Any:
        parts.append(args)
        if len(parts) == 3:
            raise OSError("power cut")
        return real(*args, **kwargs)

    monkeypatch.setattr(sources, "write", stop)
    with pytest.raises(OSError, match="power cut"):
        sources.apply_sync(actor=ACTOR, source=config, observation=seen)
    assert Resource.objects.count() == 20
    assert not Event.objects.filter(verb="source.synced").exists()
    plan = sources.apply_sync(actor=ACTOR, source=config, observation=seen)
    assert len(plan.created) == 15
    assert (Resource.objects.count(), Relation.objects.count(), Sighting.objects.count()) == (35, 34, 35)
    assert Event.objects.filter(verb="resource.created").count() == 35
    assert not sources.apply_sync(actor=ACTOR, source=config, observation=seen).changes_something


def test_the_same_seen_again_is_not_even_compared_until_somebody_writes(
    sync: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Team.objects.create(name="shop")
    sync(SHOP)
    compared = interfere(monkeypatch, lambda: None)
    sync(SHOP)
    sync(SHOP)
    assert len(compared) == 1
    actions.create_resource(actor=ACTOR, kind="host", name="x")
    sync(SHOP)
    assert len(compared) == 2


def test_an_owner_that_a_person_cleared_is_not_filled_by_the_next_look(sync: Callable[[Observation], Any]) -> None:
    red = Team.objects.create(name="red")
    seen = Observation((ObservedResource("host", "h1", ("h1",), owner="red"),))
    sync(seen)
    row = Resource.objects.get(name="h1")
    assert row.owner == red
    actions.update_resource(actor=ACTOR, resource=row, clear_owner=True)
    plan = sync(seen)
    row.refresh_from_db()
    assert (row.owner, row.owner_source, plan.changes_something) == (None, "manual", False)
    actions.update_resource(actor=ACTOR, resource=row, owner=red)
    row.refresh_from_db()
    assert row.owner == red


def test_a_source_may_be_strong_in_one_attribute_and_weak_in_the_others(fake: Fake) -> None:
    def look(name: str, owner: str, **attributes: str) -> None:
        config = SourceConfig.objects.get(name=name)
        seen = Observation((ObservedResource("host", f"{name}-h1", ("h1",), attributes, owner=owner),))
        sources.apply_sync(actor=ACTOR, source=config, observation=seen)

    red, blue = Team.objects.create(name="red"), Team.objects.create(name="blue")
    for name, precedence in (("weak", 10), ("strong", 20)):
        sources.configure_source(actor=ACTOR, name=name, wanted=sources.Wanted(kind="fake", precedence=precedence))
    for name, team in (("weak", red), ("strong", blue)):
        look(name, team.name, os=name, serial=name)
    row = Resource.objects.get()
    assert (row.name, row.owner, row.attributes) == ("strong-h1", blue, {"os": "strong", "serial": "strong"})
    special = {"serial": 30, "owner": 30}
    sources.configure_source(actor=ACTOR, name="weak", wanted=sources.Wanted(attribute_precedence=special))
    told = Event.objects.filter(verb="source.configured").latest("pk").payload
    assert told["changes"] == {"attribute_precedence": [{}, special]}
    jobs.derive_again({"source": "weak"})
    look("weak", "red", os="weak", serial="weak")
    look("strong", "blue", os="strong", serial="strong")
    row.refresh_from_db()
    assert (row.name, row.owner, row.attributes) == ("strong-h1", red, {"os": "strong", "serial": "weak"})
    assert {view.name: view.source for view in reads.detail(row).attributes} == {"os": "strong", "serial": "weak"}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"attribute_precedence": {"os": 0}}, "attribute_precedence.os"),
        ({"attribute_precedence": {"os": 1000}}, "attribute_precedence.os"),
        ({"attribute_precedence": {"os": True}}, "attribute_precedence.os"),
        ({"attribute_precedence": {"os": 1.5}}, "attribute_precedence.os"),
        ({"attribute_precedence": {"a b": 5}}, "attribute_precedence.a b"),
        ({"attribute_precedence": {f"a{n}": 5 for n in range(201)}}, "attribute_precedence"),
        ({"precedence": 1000}, "precedence"),
        ({"missing_after": 0}, "missing_after"),
        ({"missing_after": 1.5}, "missing_after"),
        ({"grace_seconds": -1}, "grace_seconds"),
    ],
)
def test_a_weight_or_a_patience_that_cannot_be_names_its_field(
    config: SourceConfig, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        sources.configure_source(actor=ACTOR, name=config.name, wanted=sources.Wanted(**wanted))
    assert refused.value.field == field
