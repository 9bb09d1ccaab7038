from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tongchou.core.access import Actor, system
from tongchou.core.models import Event, Job, Team
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions, reads
from tongchou.inventory.models import Endpoint, Hold, Relation, Resource, ResourceState, SourceConfig

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def verbs(noun: Any = None) -> list[str]:
    found = Event.objects.all() if noun is None else Event.objects.filter(abouts__ref=ref(noun))
    skip = ("user.", "token.", "membership.", "team.")
    return [event.verb for event in found.order_by("pk") if not event.verb.startswith(skip)]


@pytest.fixture
def web(operator_actor: Actor) -> Resource:
    return actions.create_resource(
        actor=operator_actor, kind="service", name="web", labels={"env": "prod"}, attributes={"tier": 1}
    )


def test_a_created_resource_has_labels_attributes_an_identity_and_an_event(web: Resource) -> None:
    detail = reads.detail(web)
    assert detail.keys == ["service:web"]
    assert web.labels == {"env": "prod"}
    assert [(view.name, view.value, view.source) for view in detail.attributes] == [("tier", 1, "manual")]
    assert [sighting.source for sighting in detail.sightings] == ["manual"]
    assert verbs(web) == ["resource.created"]


def test_the_same_identity_twice_is_refused(web: Resource, operator_actor: Actor) -> None:
    with pytest.raises(Conflict) as refusal:
        actions.create_resource(actor=operator_actor, kind="service", name="web")
    assert refusal.value.code == "inventory.exists"
    assert Resource.objects.count() == 1


def test_creating_what_is_gone_brings_the_same_resource_back(web: Resource, operator_actor: Actor) -> None:
    actions.retire_resource(actor=operator_actor, resource=web, reason="replaced")
    again = actions.create_resource(actor=operator_actor, kind="service", name="web")
    assert (again.pk, again.state, again.gone_at) == (web.pk, ResourceState.ACTIVE, None)
    assert again.labels == {"env": "prod"}
    assert verbs(web) == ["resource.created", "resource.gone", "resource.returned"]


def test_only_what_differs_is_an_event(web: Resource, operator_actor: Actor) -> None:
    team = Team.objects.create(name="core")
    actions.update_resource(actor=operator_actor, resource=web, name="web", labels={"env": "prod"})
    assert verbs(web) == ["resource.created"]
    row = actions.update_resource(
        actor=operator_actor, resource=web, name="www", owner=team, labels={"env": None, "zone": "a"}
    )
    assert (row.name, row.owner, row.labels) == ("www", team, {"zone": "a"})
    event = Event.objects.filter(verb="resource.changed").get()
    assert event.payload["changes"] == {
        "name": ["web", "www"],
        "owner": [None, "core"],
        "label env": ["prod", None],
        "label zone": [None, "a"],
    }


def test_attributes_keep_every_sources_word_and_show_the_strongest(web: Resource, operator_actor: Actor) -> None:
    SourceConfig.objects.create(name="weak", kind="x", precedence=10)
    SourceConfig.objects.create(name="strong", kind="x", precedence=20)
    for source, value in (("weak", "1"), ("strong", "2"), ("weak", "3")):
        actions.set_attributes(actor=operator_actor, resource=web, values={"version": value}, source=source)
    view = next(v for v in reads.detail(web).attributes if v.name == "version")
    assert (view.value, view.source) == ("2", "strong")
    assert [(said.source, said.value) for said in view.conflicts] == [("weak", "3")]
    changes = [e.payload["changes"] for e in Event.objects.filter(verb="resource.changed").order_by("pk")]
    assert changes == [{"version": [None, "1"]}, {"version": ["1", "2"]}]  # a weaker word in the shadow is no event
    actions.set_attributes(actor=operator_actor, resource=web, values={"version": None}, source="strong")
    assert reads.attributes_of(web)["version"] == "3"


def test_retiring_twice_tells_it_once(web: Resource, operator_actor: Actor) -> None:
    for _ in range(2):
        actions.retire_resource(actor=operator_actor, resource=web)
    for _ in range(2):
        actions.restore_resource(actor=operator_actor, resource=web)
    assert verbs(web) == ["resource.created", "resource.gone", "resource.returned"]


def test_a_relation_is_opened_once_and_closed_once(web: Resource, operator_actor: Actor) -> None:
    db = actions.create_resource(actor=operator_actor, kind="database", name="db")
    first = actions.relate(actor=operator_actor, from_resource=web, to_resource=db, type="stores_in")
    again = actions.relate(actor=operator_actor, from_resource=web, to_resource=db, type="stores_in")
    assert first.pk == again.pk
    for _ in range(2):
        actions.unrelate(actor=operator_actor, relation=first)
    third = actions.relate(actor=operator_actor, from_resource=web, to_resource=db, type="stores_in")
    assert Relation.objects.count() == 2
    assert third.pk != first.pk
    assert verbs(db) == ["resource.created", "relation.added", "relation.removed", "relation.added"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"type": "likes"}, "type"), ({"confidence": 0.0}, "confidence"), ({"confidence": 1.1}, "confidence")],
)
def test_a_relation_that_makes_no_sense_is_refused(
    web: Resource, operator_actor: Actor, wrong: dict[str, Any], field: str
) -> None:
    db = actions.create_resource(actor=operator_actor, kind="database", name="db")
    with pytest.raises(Invalid) as refusal:
        actions.relate(actor=operator_actor, from_resource=web, to_resource=db, **{"type": "calls", **wrong})
    assert refusal.value.field == field
    with pytest.raises(Invalid) as refusal:
        actions.relate(actor=operator_actor, from_resource=web, to_resource=web, type="calls")
    assert refusal.value.code == "inventory.self_relation"


def test_a_hold_is_in_force_until_its_end_or_until_lifted(web: Resource, operator_actor: Actor) -> None:
    until = timezone.now() + timedelta(hours=1)
    timed = actions.place_hold(actor=operator_actor, resource=web, kind="maintenance", reason="disk", until=until)
    open_ = actions.place_hold(
        actor=operator_actor, resource=web, kind="incident", reason="fire", opened_by="incidents.incident:1"
    )
    assert set(reads.active_holds([web.pk])) == {timed, open_}
    assert list(reads.active_holds([web.pk], at=until + timedelta(seconds=1))) == [open_]
    assert list(reads.active_holds([web.pk], kind="incident")) == [open_]
    for _ in range(2):
        actions.lift_hold(actor=operator_actor, hold=open_, reason="out")
    assert list(reads.active_holds([web.pk])) == [timed]
    assert reads.held_resources() == {web.pk}
    assert verbs(web) == ["resource.created", "hold.placed", "hold.placed", "hold.lifted"]
    assert Event.objects.filter(verb="hold.placed", abouts__ref="incidents.incident:1").count() == 1


@pytest.mark.parametrize("wrong", [{"until": timezone.now() - timedelta(hours=1)}, {"reason": "  "}, {"kind": "No!"}])
def test_a_hold_needs_a_reason_and_a_future(web: Resource, operator_actor: Actor, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        actions.place_hold(actor=operator_actor, resource=web, **{"kind": "freeze", "reason": "why", **wrong})
    assert not Hold.objects.exists()


def test_an_endpoint_is_registered_once_and_changed_in_place(web: Resource, operator_actor: Actor) -> None:
    def register(**changes: Any) -> Endpoint:
        facts = {"url": "http://10.0.0.1/metrics", "labels": {"job": "web", "instance": "a"}, **changes}
        return actions.register_endpoint(actor=operator_actor, resource=web, **facts)

    first = register()
    assert register().pk == first.pk
    assert verbs(first) == ["endpoint.registered"]
    changed = register(interval_seconds=1.0, timeout_seconds=0.5)
    assert (changed.pk, changed.interval_seconds) == (first.pk, 1.0)
    assert [row.url for row in reads.metric_endpoints()] == ["http://10.0.0.1/metrics"]
    actions.set_endpoint_enabled(actor=operator_actor, endpoint=changed, enabled=False)
    assert reads.metric_endpoints() == []
    assert verbs(first) == ["endpoint.registered", "endpoint.registered", "endpoint.disabled"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "ftp://x/"}, "url"),
        ({"url": "http://user:pw@x/"}, "url"),
        ({"url": "http://x:99999/"}, "url"),
        ({"interval_seconds": 0.1}, "interval_seconds"),
        ({"timeout_seconds": 20.0}, "timeout_seconds"),
        ({"labels": {"1a": "x"}}, "labels.1a"),
    ],
)
def test_an_endpoint_that_cannot_be_read_is_refused(
    web: Resource, operator_actor: Actor, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        actions.register_endpoint(
            actor=operator_actor, resource=web, **{"url": "http://x/metrics", "labels": {}, **wrong}
        )
    assert refusal.value.field == field
    assert refusal.value.remedy


def test_a_viewer_writes_nothing(web: Resource, viewer_actor: Actor) -> None:
    attempts = (
        lambda: actions.create_resource(actor=viewer_actor, kind="host", name="x"),
        lambda: actions.update_resource(actor=viewer_actor, resource=web, name="x"),
        lambda: actions.set_attributes(actor=viewer_actor, resource=web, values={"a": 1}),
        lambda: actions.retire_resource(actor=viewer_actor, resource=web),
        lambda: actions.restore_resource(actor=viewer_actor, resource=web),
        lambda: actions.place_hold(actor=viewer_actor, resource=web, kind="x", reason="x"),
        lambda: actions.register_endpoint(actor=viewer_actor, resource=web, url="http://x/", labels={}),
    )
    before = Event.objects.count()
    for attempt in attempts:
        with pytest.raises(AccessDenied):
            attempt()
    assert Event.objects.count() == before


def test_a_service_is_found_or_made_by_name(web: Resource) -> None:
    assert actions.service(actor=system("tests"), name="web") == web
    made = actions.service(actor=system("tests"), name="orders")
    assert (made.kind, made.name) == ("service", "orders")
    assert actions.service(actor=system("tests"), name="orders") == made


def test_the_platform_knows_itself_and_its_host_from_the_first_start() -> None:
    for _ in range(2):
        actions.ensure_default_sources(actor=system("first-start"), own_url="http://127.0.0.1:8420")
    own = Resource.objects.get(kind="service", name="tongchou")
    assert [row.url for row in reads.metric_endpoints()] == ["http://127.0.0.1:8420/metrics"]
    assert reads.resources_for_labels({"job": "tongchou", "instance": "127.0.0.1:8420"}) == [own]
    assert list(SourceConfig.objects.values_list("name", "kind", "enabled")) == [("this-host", "host", True)]
    assert Job.objects.filter(name="inventory.sync").count() == 1
    actions.ensure_default_sources(actor=system("first-start"), own_url="http://127.0.0.1:9000/")
    assert [row.url for row in reads.metric_endpoints()] == ["http://127.0.0.1:9000/metrics"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "Load Balancer"}, "kind"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 254}, "name"),
        ({"labels": {"a b": "x"}}, "labels.a b"),
        ({"labels": {"a": "x" * 1001}}, "labels.a"),
        ({"attributes": {"a": float("nan")}}, "attributes.a"),
        ({"attributes": {"a": "x" * 20_000}}, "attributes.a"),
        ({"keys": ("x" * 256,)}, "keys"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_field(operator_actor: Actor, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        actions.create_resource(actor=operator_actor, **{"kind": "host", "name": "x", **wrong})
    assert refusal.value.field == field
    assert not Resource.objects.exists()


def test_get_resource_names_what_is_missing(web: Resource) -> None:
    assert actions.get_resource(web.pk) == web
    with pytest.raises(NotFound):
        actions.get_resource(ref_id := type(web.pk)(int=0))
    assert ref_id.int == 0
