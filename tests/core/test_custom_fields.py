"""Custom fields: what is kept is what was said, what is found is what is there, on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, date
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_user
from tongchou.core import custom_fields, field_choices, field_definitions
from tongchou.core.access import Actor, actor_for_user
from tongchou.core.custom_fields import (
    cell,
    clean,
    custom_text,
    display,
    fields_of,
    filter_rows,
    parse_cell,
    set_values,
)
from tongchou.core.field_definitions import Draft
from tongchou.core.field_filters import operators
from tongchou.core.field_types import Choice, FieldDef, localized
from tongchou.core.models import Event, Membership, Role, Team
from tongchou.core.models_fields import FieldType, FilterLogic
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound, TooLarge
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]

KIND = "inventory.resource"
CHOICES = (
    Choice("gold", {"en": "Gold", "zh": "金"}, "yellow"),
    Choice("in", {"en": "In", "zh": "入"}),
    Choice("b c", {"en": "B", "zh": "乙"}, "blue"),
)
# No letters whose case folds beyond Latin: the databases differ there, and the docs promise Latin letters only.
WORDS = st.text(st.sampled_from("abAB01 _%\\'\"$.{}[]:,=+-@中文 \t"), max_size=12)


def field(type_: FieldType, name: str = "in", **more: Any) -> FieldDef:
    if "select" in type_.value:
        more["choices"] = CHOICES
    if "object" in type_.value:
        more["object_kind"] = KIND
    return FieldDef(uuid4(), KIND, name, type_, {"en": name}, **more)


def define(actor: Actor, name: str, type_: str, **more: Any) -> None:
    draft = Draft(**{"label": {"en": name.title(), "zh": f"字段{name}"}, **more})
    field_definitions.create(actor=actor, kind=KIND, name=name, type_=type_, draft=draft)


def resource(name: str = "web-1", kind: str = "host", **more: Any) -> Resource:
    return Resource.objects.create(kind=kind, name=name, source="test", **more)


REFS = [f"{KIND}:{UUID(int=each)}" for each in range(1, 5)]
NUMBERS = st.integers(-(10**9), 10**9).map(lambda each: each / 1000)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
RAW: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: WORDS.map(lambda text: text.replace("\t", " ")),
    FieldType.LONG_TEXT: st.lists(WORDS, max_size=3).map("\r\n".join),
    FieldType.URL: st.sampled_from(["https://a.example/x?y=1#z", "http://a.example:80/;a=b", "ssh://10.0.0.1"]),
    FieldType.INTEGER: st.integers(-50, 50) | st.integers(-(2**53) + 1, 2**53 - 1),
    FieldType.DECIMAL: NUMBERS | st.sampled_from([0, -0.0, "1e-7", "12.50", 123456789012345]),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.DATE: st.dates().map(date.isoformat),
    FieldType.DATE_TIME: st.datetimes(timezones=st.just(UTC)),
    FieldType.JSON: JSONS,
    FieldType.SELECT: st.sampled_from([each.value for each in CHOICES]),
    FieldType.MULTI_SELECT: st.lists(st.sampled_from([each.value for each in CHOICES]), max_size=4),
    FieldType.OBJECT: st.sampled_from(REFS),
    FieldType.MULTI_OBJECT: st.lists(st.sampled_from(REFS), max_size=4),
}
NAMES = ["in", "gt", "contains", "0_a", "isnull", "name"]


def kept(type_: FieldType, raw: Any) -> Any:
    found = custom_fields.clean_by([field(type_)], {"in": raw}, partial=True)
    return found["in"]


@pytest.mark.parametrize("type_", list(FieldType))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_cell_reads_back_as_the_value_and_cleaning_twice_changes_nothing(type_: FieldType, data: Any) -> None:
    value = kept(type_, data.draw(RAW[type_]))
    assert parse_cell(field(type_), cell(field(type_), value)) == value
    assert kept(type_, value) == value


def naive(operator: str, have: Any, asked: Any) -> bool:
    several = isinstance(have, list)
    if operator in ("empty", "not_empty"):
        return (have is None) == (operator == "empty")
    if operator == "is_not":
        return bool(have != asked)
    if have is None:
        return False
    if operator == "any_of":
        return any(each in have for each in asked) if several else have in asked
    if operator == "contains":
        return asked in have if several else asked.lower() in have.lower()
    if operator == "range":
        return bool(asked[0] <= have <= asked[1])
    compare = {"is": "__eq__", "lt": "__lt__", "lte": "__le__", "gt": "__gt__", "gte": "__ge__"}[operator]
    return bool(getattr(have, compare)(asked))


@pytest.mark.parametrize("type_", list(FieldType))
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_filter_finds_what_a_plain_loop_finds(type_: FieldType, data: Any) -> None:
    Resource.objects.all().delete()
    name = data.draw(st.sampled_from(NAMES))
    one = field(type_, name)
    values = [kept(type_, raw) for raw in data.draw(st.lists(RAW[type_], min_size=1, max_size=6))]
    rows = {}
    for place, value in enumerate([None, *values]):
        rows[resource(f"r{place}", custom={} if value is None else {name: value, "other": value}).pk] = value
    there = [each for each in values if each is not None]
    some = st.sampled_from(there) if there else RAW[type_].map(lambda raw: kept(type_, raw)).filter(bool)
    for operator in operators(one):
        asked: Any = None
        if operator in ("any_of", "range"):
            pair = [data.draw(some), data.draw(some)]
            asked = [item for each in pair for item in each] if isinstance(pair[0], list) else sorted(pair)
        elif operator == "contains":
            whole = data.draw(some)
            asked = whole[0] if isinstance(whole, list) else whole[: data.draw(st.integers(1, 4))].swapcase()
        elif operator not in ("empty", "not_empty"):
            asked = data.draw(some)
        found = set(filter_rows(Resource.objects.all(), one, operator, asked).values_list("pk", flat=True))
        assert found == {pk for pk, have in rows.items() if naive(operator, have, asked)}, (operator, asked)


def test_a_filter_says_what_it_cannot_be_asked() -> None:
    rows = Resource.objects.all()
    with pytest.raises(Invalid, match="filter") as refused:
        filter_rows(rows, field(FieldType.INTEGER), "gt", "many")
    assert (refused.value.field, refused.value.value) == ("custom.in", "many")
    with pytest.raises(Invalid):
        filter_rows(rows, field(FieldType.TEXT, filter_logic=FilterLogic.EXACT), "contains", "a")
    with pytest.raises(Invalid):
        filter_rows(rows, field(FieldType.TEXT, filter_logic=FilterLogic.DISABLED), "is", "a")
    with pytest.raises(Invalid):
        filter_rows(rows, field(FieldType.DATE), "range", "2026-01-01")


@pytest.mark.parametrize(
    "type_, value, rules",
    [
        ("text", "two\nlines", {}),
        ("text", "nul\x00", {}),
        ("text", "x" * 11, {"max_length": 10}),
        ("text", "abc", {"pattern": "[0-9]+"}),
        ("text", 5, {}),
        ("integer", 1.5, {}),
        ("integer", True, {}),
        ("integer", 2**53, {}),
        ("integer", 9, {"maximum": 8}),
        ("integer", float("inf"), {}),
        ("decimal", "NaN", {}),
        ("decimal", 0.1 + 0.2, {}),
        ("decimal", 0.5, {"minimum": 1}),
        ("boolean", 1, {}),
        ("date", "2026-02-30", {}),
        ("datetime", "2026-02-03T04:05:06", {}),
        ("datetime", "0001-01-01T00:00:00+14:00", {}),
        ("url", "javascript:alert(1)", {}),
        ("url", "https://user:secret@a.example/", {}),
        ("url", "https://[", {}),
        ("json", float("nan"), {}),
        ("json", {"a": "\x00"}, {}),
        ("json", ["x" * 20000], {}),
    ],
)
def test_what_does_not_fit_is_refused_with_field_and_remedy(
    admin_actor: Actor, type_: str, value: Any, rules: dict[str, Any]
) -> None:
    define(admin_actor, "it", type_, **rules)
    with pytest.raises(Invalid) as refused:
        clean(KIND, {"it": value})
    assert refused.value.field == "custom.it"
    assert refused.value.remedy


def test_unknown_fields_are_all_named(admin_actor: Actor) -> None:
    define(admin_actor, "it", "text")
    define(admin_actor, "only", "text", subkinds=("database",))
    with pytest.raises(Invalid) as refused:
        clean(KIND, {"it": "x", "nope": 1, "only": "y"}, subkind="host")
    assert refused.value.extra["unknown"] == ["nope", "only"]
    assert "it" in str(refused.value.remedy)


def test_a_new_row_gets_defaults_and_must_have_what_is_required(admin_actor: Actor) -> None:
    define(admin_actor, "tier", "integer", default=3)
    define(admin_actor, "rack", "text", required=True)
    assert clean(KIND, {"rack": " A3 "}) == {"tier": 3, "rack": "A3"}
    assert clean(KIND, {"tier": None}, partial=True) == {"tier": None}
    for values in ({}, {"rack": ""}):
        with pytest.raises(Invalid) as refused:
            clean(KIND, values)
        assert refused.value.field == "custom.rack"
    with pytest.raises(Invalid):
        clean(KIND, {"rack": None}, partial=True)


def test_changing_values_is_one_event_with_old_and_new(admin_actor: Actor) -> None:
    define(admin_actor, "rack", "text")
    define(admin_actor, "tier", "integer")
    row = resource()
    set_values(actor=admin_actor, row=row, values={"rack": "A3", "tier": 1})
    set_values(actor=admin_actor, row=row, values={"rack": "A4", "tier": 1})
    set_values(actor=admin_actor, row=row, values={"rack": "A4"})
    row.refresh_from_db()
    assert row.custom == {"rack": "A4", "tier": 1}
    told = [each.payload for each in Event.objects.filter(verb="custom_fields.changed").order_by("pk")]
    assert [(each["old"], each["new"]) for each in told] == [
        ({"rack": None, "tier": None}, {"rack": "A3", "tier": 1}),
        ({"rack": "A3"}, {"rack": "A4"}),
    ]
    assert Event.objects.filter(verb="custom_fields.changed", subject=ref(row)).count() == 2
    set_values(actor=admin_actor, row=row, values={"rack": None})
    assert Resource.objects.get(pk=row.pk).custom == {"tier": 1}


def test_a_refusal_changes_nothing(admin_actor: Actor, viewer_actor: Actor) -> None:
    define(admin_actor, "rack", "text")
    define(admin_actor, "tier", "integer")
    row = set_values(actor=admin_actor, row=resource(), values={"rack": "A3"})
    with pytest.raises(Invalid):
        set_values(actor=admin_actor, row=row, values={"rack": "A9", "tier": "x"})
    with pytest.raises(AccessDenied):
        set_values(actor=viewer_actor, row=row, values={"rack": "A9"})
    assert Resource.objects.get(pk=row.pk).custom == {"rack": "A3"}
    assert Event.objects.filter(verb="custom_fields.changed").count() == 1


def test_a_writer_with_an_old_copy_loses_nobody_elses_value(admin_actor: Actor) -> None:
    define(admin_actor, "rack", "text")
    define(admin_actor, "tier", "integer")
    row = resource()
    stale = Resource.objects.get(pk=row.pk)
    set_values(actor=admin_actor, row=row, values={"rack": "A3"})
    set_values(actor=admin_actor, row=stale, values={"tier": 2})
    assert Resource.objects.get(pk=row.pk).custom == {"rack": "A3", "tier": 2}


def test_all_values_of_a_row_together_have_a_limit(admin_actor: Actor) -> None:
    for each in range(5):
        define(admin_actor, f"long{each}", "long_text")
    row = resource()
    with pytest.raises(TooLarge):
        set_values(actor=admin_actor, row=row, values={f"long{each}": "中" * 6000 for each in range(5)})
    assert Resource.objects.get(pk=row.pk).custom == {}


def test_things_pointed_at_must_be_there_and_seen(admin_actor: Actor) -> None:
    define(admin_actor, "twin", "object", object_kind=KIND)
    define(admin_actor, "near", "multi_object", object_kind=KIND)
    ours, theirs = Team.objects.create(name="ours"), Team.objects.create(name="theirs")
    mine, other = resource("mine", owner=ours), resource("other", owner=theirs)
    user = make_user("teamed", None)
    Membership.objects.create(user=user, team=ours, role=Role.OPERATOR)
    teamed = actor_for_user(user)
    for target in (ref(other), f"{KIND}:{uuid4()}"):
        with pytest.raises(Invalid) as refused:
            set_values(actor=teamed, row=mine, values={"near": [ref(mine), target]})
        assert (refused.value.field, refused.value.value) == ("custom.near", target)
    set_values(actor=admin_actor, row=mine, values={"near": [ref(other), ref(mine)], "twin": ref(other)})
    fields = fields_of(KIND)
    with translation.override("en"):
        names = custom_fields.object_names(teamed, fields, [mine.custom])
        near = next(each for each in fields if each.name == "near")
        assert display(near, mine.custom["near"], names) == "gone, or not yours to see, mine"
        Resource.objects.filter(pk=other.pk).delete()
        names = custom_fields.object_names(admin_actor, fields, [mine.custom])
        assert display(near, mine.custom["near"], names) == "gone, mine"
    set_values(actor=teamed, row=mine, values={"twin": mine.custom["twin"], "near": [ref(mine)]})


@pytest.mark.django_db(transaction=True)
def test_a_unique_value_is_given_once_even_by_two_at_a_time(admin_actor: Actor) -> None:
    define(admin_actor, "serial", "text", unique=True)
    rows = [resource(f"r{each}") for each in range(2)]
    for attempt in range(5):
        ready, outcomes = threading.Barrier(2), []

        def claim(row: Resource, ready: Any = ready, outcomes: Any = outcomes, value: str = f"S{attempt}") -> None:
            try:
                ready.wait(10)
                set_values(actor=admin_actor, row=row, values={"serial": value})
                outcomes.append("taken")
            except Conflict as conflict:
                outcomes.append(conflict.field)
            finally:
                connection.close()

        threads = [threading.Thread(target=claim, args=(row,)) for row in rows]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(outcomes) == ["custom.serial", "taken"]
        holders = filter_rows(Resource.objects.all(), fields_of(KIND)[0], "is", f"S{attempt}")
        assert holders.count() == 1


def test_definitions_are_kept_in_memory_until_somebody_changes_one(
    admin_actor: Actor, django_assert_num_queries: Any
) -> None:
    assert fields_of(KIND) == []
    define(admin_actor, "zz", "text", weight=5)
    define(admin_actor, "aa", "text", subkinds=("database",))
    assert [each.name for each in fields_of(KIND)] == ["zz", "aa"]
    with django_assert_num_queries(1):
        assert [each.name for each in fields_of(KIND, "host")] == ["zz"]
    field_definitions.delete(actor=admin_actor, row=field_definitions.get(KIND, "zz"))
    assert [each.name for each in fields_of(KIND)] == ["aa"]
    assert fields_of("incidents.incident") == []


def test_values_are_shown_in_the_language_spoken(admin_actor: Actor) -> None:
    field_choices.create(
        actor=admin_actor,
        name="tiers",
        label={},
        choices=[{"value": "gold", "en": "Gold", "zh": "金"}, {"value": "tin", "en": "", "zh": ""}],
    )
    define(admin_actor, "tier", "multi_select", choice_set="tiers")
    row = set_values(actor=admin_actor, row=resource(), values={"tier": ["tin", "gold"]})
    assert row.custom == {"tier": ["gold", "tin"]}
    (tier,) = fields_of(KIND)
    with translation.override("zh-hans"):
        assert (tier.title, display(tier, row.custom["tier"])) == ("字段tier", "金, tin")
        assert display(field(FieldType.BOOLEAN), True) == "是"
    with translation.override("en"):
        assert (tier.title, display(tier, row.custom["tier"])) == ("Tier", "Gold, tin")
        assert display(field(FieldType.DECIMAL), 1e-7) == "0.0000001"
    with timezone.override("Asia/Shanghai"):
        assert display(field(FieldType.DATE_TIME), "2026-03-03T08:00:00Z") == "2026-03-03 16:00"
        assert parse_cell(field(FieldType.DATE_TIME), "2026-03-03 16:00") == "2026-03-03T08:00:00Z"
    assert custom_text(row).split("\n") == ["gold", "Gold", "金", "tin"]


def test_only_a_noun_with_the_column_has_fields(admin_actor: Actor) -> None:
    for kind, error in (("alerting.silence", Invalid), ("core.nothing", NotFound)):
        with pytest.raises(error):
            field_definitions.create(
                actor=admin_actor, kind=kind, name="a", type_="text", draft=Draft(label={"en": "A"})
            )
    assert localized({}, "x") == "x"
