"""Kinds and relation types that people define: there at once, everywhere; renamed, retired, deleted without loss."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Api
from tongchou.core import custom_fields, field_choices, field_definitions, search
from tongchou.core.access import Actor, system
from tongchou.core.field_definitions import Draft
from tongchou.core.field_types import FieldDef
from tongchou.core.lists import conditions, imports, reading, views
from tongchou.core.lists.importers import importer_of
from tongchou.core.lists.tables import table
from tongchou.core.models import Event
from tongchou.core.models_fields import FieldDefinition, FieldType
from tongchou.core.problems import AccessDenied, Conflict, Invalid, Problem
from tongchou.inventory import actions, kind_actions, kinds, queues
from tongchou.inventory.given import subscriptions
from tongchou.inventory.graph import Edge, Graph, Node, load_graph
from tongchou.inventory.kind_actions import KindDraft, RelationDraft
from tongchou.inventory.models import KindDefinition, Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.sources import _as_named_now, apply_sync
from tongchou.inventory.tables import of_kind
from tongchou.inventory.weakness import weak_points
from tongchou.web import design, field_forms

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SYSTEM = system("tests")
KIND = "inventory.resource"


def define(name: str = "badge_reader", **more: Any) -> KindDefinition:
    draft = KindDraft({"en": "Badge reader", "zh": "门禁读卡器"}, icon="scan-line", group="security", **more)
    return kind_actions.create_kind(actor=SYSTEM, name=name, draft=draft)


def field(name: str, type_: FieldType = FieldType.TEXT, **more: Any) -> FieldDefinition:
    draft = Draft(label={"en": name.title()}, subkinds=("badge_reader",), **more)
    return field_definitions.create(actor=SYSTEM, kind=KIND, name=name, type_=type_.value, draft=draft)


def all_fields(kind: str) -> list[FieldDef]:
    return [*kinds.fields(kind), *custom_fields.fields_of(KIND, kind)]


def test_a_defined_kind_is_known_at_once_with_inherited_and_own_fields() -> None:
    define(parent="device")
    field("door", required=True)
    kind = kinds.kind("badge_reader")
    assert (str(kind.title), kind.group, kind.defined) in {
        ("Badge reader", "security", True),
        ("门禁读卡器", "security", True),
    }
    names = [each.name for each in all_fields("badge_reader")]
    assert names[0] == "status"
    assert names[-1] == "door"
    assert "badge_reader" in kinds.with_heirs("device")
    assert Event.objects.get(verb="kind.created").payload["name"] == "badge_reader"


def test_a_field_of_a_parent_is_one_of_its_heirs() -> None:
    define()
    define("door_reader", parent="badge_reader")
    field("door", required=True)
    row = actions.create_resource(actor=SYSTEM, kind="door_reader", name="R1")
    assert [each.name for each in all_fields(row.kind)] == ["door"]
    assert field_definitions.usage(KIND)["door"] == (0, 1)


@pytest.mark.parametrize(
    ("name", "draft", "wrong"),
    [
        ("host", {}, "name"),
        ("Bad Name", {}, "name"),
        ("x", {"label": {}}, "label"),
        ("x", {"icon": "no-such-icon"}, "icon"),
        ("x", {"tier": 99}, "tier"),
        ("x", {"group": "nowhere"}, "group"),
        ("x", {"parent": "nothing"}, "parent"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_with_its_field(name: str, draft: dict[str, Any], wrong: str) -> None:
    with pytest.raises((Invalid, Conflict)) as refusal:
        kind_actions.create_kind(actor=SYSTEM, name=name, draft=KindDraft(**{"label": {"en": "X"}, **draft}))
    assert refusal.value.field == wrong
    assert refusal.value.remedy


def test_an_heir_of_a_service_counts_as_one_and_an_heir_of_a_part_as_a_part(api: Api) -> None:
    define("batch_service", parent="service")
    define("nightly_service", parent="batch_service")
    define("tape", parent="disk")
    made = {
        name: actions.create_resource(actor=SYSTEM, kind=kind, name=name)
        for name, kind in (
            ("orders", "batch_service"),
            ("bills", "nightly_service"),
            ("t1", "tape"),
            ("web", "service"),
        )
    }
    assert set(queues.unrelated().values_list("name", flat=True)) == {"orders", "bills", "web"}
    assert set(queues.unowned().values_list("name", flat=True)) == {"orders", "bills", "web"}
    host = actions.create_resource(actor=SYSTEM, kind="host", name="h1")
    actions.relate(actor=SYSTEM, from_resource=made["orders"], to_resource=host, type="runs_on")
    assert set(queues.unrelated().values_list("name", flat=True)) == {"bills", "web"}
    [weak] = weak_points(load_graph())
    assert (weak.resource, weak.services) == (host.pk, (made["orders"].pk,))
    nodes, _hidden = design.choose(load_graph(), everything=False, most=10)
    assert {node.name for node in nodes} == {"orders", "bills", "web"}
    assert {node["name"] for node in api.get("/api/v1/map").json()["nodes"]} == {"orders", "bills", "web"}
    assert {node["name"] for node in api.get("/api/v1/map", kind="service").json()["nodes"]} == {"web"}
    two = [Node(made[name].pk, "tape", name) for name in ("t1", "web")]
    whole = Node(made["orders"].pk, "batch_service", "orders")
    parts = Graph([*two, whole], [Edge(each.id, whole.id, "part_of") for each in two])
    assert {each.resource for each in weak_points(parts)} == {each.id for each in two}  # it needs each of them


def test_the_lack_of_relations_costs_one_query_however_many_kinds(django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        define(f"service_{number}", parent="service")
        actions.create_resource(actor=SYSTEM, kind=f"service_{number}", name="x")
    kinds.forget()
    with django_assert_max_num_queries(4):  # what people defined, three; the resources
        assert queues.unrelated().count() == 5


def test_nobody_inherits_from_an_heir_and_only_administrators_define(operator_actor: Actor) -> None:
    first = define()
    define("door_reader", parent="badge_reader")
    with pytest.raises(Invalid):
        draft = kind_actions.draft_of(first)
        kind_actions.change_kind(actor=SYSTEM, row=first, draft=KindDraft(draft.label, parent="door_reader"))
    with pytest.raises(AccessDenied):
        kind_actions.create_kind(actor=operator_actor, name="x", draft=KindDraft({"en": "X"}))


def test_renaming_keeps_resources_fields_heirs_relations_and_the_words_of_sources() -> None:
    row = define()
    field("door")
    define("door_reader", parent="badge_reader")
    kind_actions.create_relation_type(
        actor=SYSTEM,
        name="opens",
        draft=RelationDraft({"en": "opens"}, {"en": "is opened by"}, from_kinds=("badge_reader",)),
    )
    there = actions.create_resource(actor=SYSTEM, kind="badge_reader", name="R1")
    Resource.objects.filter(pk=there.pk).update(custom={"door": "north"})
    kind_actions.change_kind(actor=SYSTEM, row=row, draft=kind_actions.draft_of(row), name="card_reader")
    there.refresh_from_db()
    assert there.kind == "card_reader"
    assert [each.name for each in all_fields("card_reader")] == ["door"]
    assert kinds.kind("door_reader").parent == "card_reader"
    opens = kinds.relation("opens")
    assert opens is not None
    assert opens.from_kinds == ("card_reader",)
    with pytest.raises(Conflict):
        actions.create_resource(actor=SYSTEM, kind="badge_reader", name="R1")
    source = SourceConfig.objects.create(name="scan", kind="host")
    seen = _as_named_now(Observation((ObservedResource("badge_reader", "R2", ("r2",)),)))
    apply_sync(actor=SYSTEM, source=source, observation=seen)
    assert Resource.objects.get(name="R2").kind == "card_reader"
    with pytest.raises(Conflict):
        define("badge_reader")


def test_a_kind_in_use_is_retired_not_deleted() -> None:
    row = define()
    actions.create_resource(actor=SYSTEM, kind="badge_reader", name="R1")
    with pytest.raises(Conflict) as refusal:
        kind_actions.delete_kind(actor=SYSTEM, row=row)
    assert refusal.value.extra["uses"] == {"resources": 1}
    kind_actions.retire_kind(actor=SYSTEM, row=row)
    with pytest.raises(Invalid) as refused:
        actions.create_resource(actor=SYSTEM, kind="badge_reader", name="R2")
    assert refused.value.code == "inventory.kind_retired"
    assert kinds.listed("badge_reader") is not None
    assert "badge_reader" not in {each.name for each in kinds.every(retired=False)}
    kind_actions.restore_kind(actor=SYSTEM, row=row)
    assert actions.create_resource(actor=SYSTEM, kind="badge_reader", name="R2").kind == "badge_reader"
    unused = define("unused")
    kind_actions.delete_kind(actor=SYSTEM, row=unused)
    assert kinds.listed("unused") is None


def test_failure_flows_along_a_defined_relation_as_it_says() -> None:
    draft = RelationDraft(
        {"en": "feeds"}, {"en": "is fed by"}, needed="from", cardinality="many-to-one", to_kinds=("host",)
    )
    made = kind_actions.create_relation_type(actor=SYSTEM, name="feeds", draft=draft)
    first, second = (actions.create_resource(actor=SYSTEM, kind="host", name=name) for name in "ab")
    third = actions.create_resource(actor=SYSTEM, kind="rack", name="c")
    actions.relate(actor=SYSTEM, from_resource=first, to_resource=second, type="feeds")
    assert list(load_graph().downstream(second.pk)) == [first.pk]
    with pytest.raises(Invalid):
        actions.relate(actor=SYSTEM, from_resource=first, to_resource=third, type="feeds")
    kind_actions.change_relation_type(
        actor=SYSTEM, row=made, draft=RelationDraft({"en": "feeds"}, {"en": "is fed by"}, needed="none")
    )
    assert not load_graph().downstream(second.pk)
    with pytest.raises(Conflict):
        kind_actions.delete_relation_type(actor=SYSTEM, row=made)
    kind_actions.retire_relation_type(actor=SYSTEM, row=made)
    with pytest.raises(Invalid):
        actions.relate(actor=SYSTEM, from_resource=second, to_resource=first, type="feeds")


def test_another_process_sees_a_definition_once_its_copy_is_old() -> None:
    define()
    kinds.assume_none(0)  # a process that read before
    assert kinds.listed("badge_reader") is not None


def test_a_resource_of_a_defined_kind_is_searched_for_by_its_titles() -> None:
    define()
    actions.create_resource(actor=SYSTEM, kind="badge_reader", name="North gate")
    search.follow()
    for word in ("badge", "门禁读卡器", "north gate"):
        assert [hit.title for hit in search.find(SYSTEM, word)] == ["North gate"], word


RAW = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8),
    st.sampled_from(
        ["12", "-1", "9.5", "yes", "2026-03-01", "2026-03-01T08:00:00Z", "gold", "https://a.example", "{}"]
    ),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(type_=st.sampled_from([each for each in FieldType if "object" not in each]), text=RAW, required=st.booleans())
def test_form_import_and_api_agree_on_a_defined_field(api: Api, type_: FieldType, text: str, required: bool) -> None:
    for model in (Resource, FieldDefinition, KindDefinition):
        model.objects.all().delete()
    define()
    more: dict[str, Any] = {"required": required}
    if type_ in (FieldType.SELECT, FieldType.MULTI_SELECT):
        if not field_choices.ChoiceSet.objects.filter(name="tiers").exists():
            choices = [{"value": "gold", "en": "Gold", "zh": ""}]
            field_choices.create(actor=SYSTEM, name="tiers", label={}, choices=choices)
        more["choice_set"] = "tiers"
    field("door", type_, **more)
    post = QueryDict(mutable=True)
    post.update({"cf-door": text, "cf-there": "door"})

    def by_form() -> Any:
        row = actions.create_resource(actor=SYSTEM, kind="badge_reader", name="form")
        return field_forms.save(SYSTEM, row, post, new=True).custom.get("door")

    try:
        form = ("taken", by_form())
    except Problem:
        form = ("refused", None)
    cell = text.replace('"', '""')
    sheet = reading.read("r.csv", f'kind,name,cf.door\nbadge_reader,file,"{cell}"\n'.encode(), "utf-8")
    batch = imports.dry_run(actor=SYSTEM, kind=KIND, sheet=sheet, file_name="r.csv")
    (line,) = batch.rows.all()
    if line.plan == "refused":
        assert form[0] == "refused"
        return
    of = importer_of(KIND)
    assert of is not None
    assert of.create(SYSTEM, line.after).custom.get("door") == form[1]
    assert form[0] == "taken"
    body = {"kind": "badge_reader", "name": "api", "custom": {} if form[1] is None else {"door": form[1]}}
    answer = api.post("/api/v1/resources", body)
    assert (answer.status_code == 201) == (form[0] == "taken"), answer.content


def test_a_thousand_rows_of_a_defined_kind_are_imported() -> None:
    define()
    field("door", required=True)
    lines = "\n".join(f"badge_reader,R{n},door {n}" for n in range(1000))
    sheet = reading.read("r.csv", f"kind,name,cf.door\n{lines}\n".encode(), "")
    batch = imports.dry_run(actor=SYSTEM, kind=KIND, sheet=sheet, file_name="r.csv")
    assert set(batch.rows.values_list("plan", flat=True)) == {"create"}
    first = batch.rows.order_by("number")[0]
    assert first.after["cf.door"] == "door 0"


def test_the_api_defines_changes_retires_and_tells_fields(api: Api) -> None:
    body = {
        "name": "badge_reader",
        "label": {"en": "Badge reader", "zh": "读卡器"},
        "group": "security",
        "parent": "device",
    }
    made = api.post("/api/v1/kinds", body)
    assert made.status_code == 201, made.content
    assert json.loads(made.content)["fields"][0]["name"] == "status"
    assert api.post("/api/v1/kinds", body).status_code == 409
    changed = api.put("/api/v1/kinds/badge_reader", {"label": {"en": "Reader"}, "name": "reader"})
    assert json.loads(changed.content)["label"] == {"en": "Reader", "zh": "Reader"}
    assert json.loads(api.get("/api/v1/kinds/reader").content)["count"] == 0
    assert api.get("/api/v1/kinds/badge_reader").status_code == 404
    assert json.loads(api.post("/api/v1/kinds/reader/retire").content)["retired"] is True
    assert "reader" not in [each["name"] for each in json.loads(api.get("/api/v1/kinds").content)["items"]]
    assert json.loads(api.post("/api/v1/kinds/reader/restore").content)["retired"] is False
    assert api.put("/api/v1/kinds/host", {"label": {"en": "X"}}).status_code == 404
    assert api.delete("/api/v1/kinds/reader").status_code == 204
    of = {"name": "opens", "label": {"en": "opens"}, "reverse_label": {"en": "is opened by"}, "needed": "none"}
    assert api.post("/api/v1/relation-types", of).status_code == 201
    assert "opens" in [each["name"] for each in json.loads(api.get("/api/v1/relation-types").content)["items"]]
    assert api.post("/api/v1/relation-types/opens/retire").status_code == 200
    assert api.post("/api/v1/relation-types/opens/restore").status_code == 200
    assert api.put("/api/v1/relation-types/opens", {**of, "needed": "up"} | {}).status_code == 422
    assert api.delete("/api/v1/relation-types/opens").status_code == 204


def test_views_columns_and_subscriptions_follow_a_renamed_kind(operator_actor: Actor) -> None:
    row = define()
    mine = [
        views.save(actor=operator_actor, kind=kind, name=str(place), query=query)
        for place, (kind, query) in enumerate(
            [
                (KIND, "kind=host,badge_reader&sort=-name&cf.door=badge_reader"),
                (KIND, "kind.not=badge_reader&kind=%20host"),
                ("inventory.queueitem", "kind=badge_reader&state=open"),
                (KIND, "q=badge_reader&kind=badge_reader_2"),
            ]
        )
    ]
    views.delete(actor=operator_actor, view=mine[2])
    views.prefer(
        actor=operator_actor, wanted=of_kind("badge_reader"), rows=100, memory=views.of_subkind(KIND, row.name)
    )
    told = subscriptions.create(
        actor=SYSTEM, name="cmdb", wanted=subscriptions.Wanted(url="https://cmdb.example.org/", kinds=["badge_reader"])
    )
    kind_actions.change_kind(actor=SYSTEM, row=row, draft=kind_actions.draft_of(row), name="card_reader")
    for each in (*mine, told):
        each.refresh_from_db()
    assert [each.query for each in mine] == [
        "kind=host%2Ccard_reader&sort=-name&cf.door=badge_reader",
        "kind.not=card_reader&kind=+host",
        "kind=card_reader&state=open",
        "q=badge_reader&kind=badge_reader_2",
    ]
    assert Event.objects.filter(verb="view.changed").count() == 3
    assert views.preference(operator_actor, views.of_subkind(KIND, "card_reader")).rows == 100
    assert told.kinds == ["card_reader"]


WORD = st.text("abc,&=%.+ é", max_size=6)


@given(st.lists(st.tuples(st.sampled_from(["kind", "kind.not", "q", "kinds"]), WORD), max_size=4))
def test_what_has_no_new_name_stays_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    query = urlencode(pairs)
    assert views.followed(query, "kind", {"never-there": "x"}) == query
    there = f"{query}&kind.is=old"
    assert parse_qsl(views.followed(there, "kind", {"old": "new"}), keep_blank_values=True)[-1] == ("kind.is", "new")


def test_a_replaced_choice_is_followed_and_a_deleted_field_is_told(client: Any, operator_actor: Actor) -> None:
    define()
    levels = [{"value": "a", "en": "A", "zh": ""}, {"value": "b", "en": "B", "zh": ""}]
    level = field_choices.create(actor=SYSTEM, name="levels", label={"en": "Levels"}, choices=levels)
    of = field("level", FieldType.SELECT, choice_set="levels")
    view = views.save(actor=operator_actor, kind=KIND, name="top", query="cf.level=a&sort=name")
    field_choices.change(actor=SYSTEM, row=level, label=level.label, choices=levels[1:], replace={"a": "b"})
    view.refresh_from_db()
    assert view.query == "cf.level=b&sort=name"
    asked = dict(QueryDict(view.query).lists())
    assert not conditions.read(table(KIND), asked).wrong
    field_definitions.delete(actor=SYSTEM, row=of)
    (wrong,) = conditions.read(table(KIND), asked).wrong
    assert (wrong.code, wrong.field, bool(wrong.remedy)) == ("table.field_gone", "cf.level", True)
