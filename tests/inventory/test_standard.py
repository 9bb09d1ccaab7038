"""Standard fields: what people may state, alike by form, API and import; what sources say is taken and told."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongchou.core.access import Actor, system
from tongchou.core.custom_fields import parse_cell
from tongchou.core.field_types import FieldDef, Unfit, read
from tongchou.core.lists import batches, imports, reading
from tongchou.core.models_fields import FieldType
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.inventory import actions, kinds, merge, notes, reads, standard
from tongchou.inventory.apply import derive
from tongchou.inventory.catalogue.everything import KINDS
from tongchou.inventory.models import AttributeValue, Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedRelation, ObservedResource
from tongchou.inventory.recorded import weights
from tongchou.inventory.sources import apply_sync
from tongchou.web import field_forms

pytestmark = [pytest.mark.django_db]
SYSTEM = system("tests")
FIELDS: dict[str, FieldDef] = {}
for _kind in KINDS.values():
    for _field in _kind.fields:
        FIELDS.setdefault(f"{_field.type}{_field.pattern}{bool(_field.minimum is not None)}", _field)

TYPED = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
    st.integers(-5, 70_000).map(str),
    st.sampled_from(["true", "no", "2026-03-01", "2026-03-01T08:00:00Z", "12.5", "AA:bb:cc:00:11:22", "10.0.0.0/8"]),
    st.sampled_from(["https://example.org/x", "active", "solid state", '{"a": [1]}', "EUR", " ", "-", "1e3"]),
)


def verdict(run: Any) -> tuple[str, Any]:
    """What was taken, or the field that was refused."""
    try:
        return "taken", run()
    except Problem as problem:
        return "refused", problem.field
    except Unfit:
        return "refused", "?"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(sorted(FIELDS.values(), key=lambda each: each.name)), text=TYPED)
def test_form_and_import_and_api_take_the_same_of_a_field(field: FieldDef, text: str) -> None:
    post = QueryDict(mutable=True)
    post.update({f"at-{field.name}": text, "at-there": field.name})
    kind = next(each.name for each in KINDS.values() if field.name in {one.name for one in each.fields})
    form = verdict(lambda: standard.stated(kind, field_forms.posted([field], post))[field.name])
    cell = verdict(lambda: standard.stated(kind, {field.name: parse_cell(field, text)})[field.name])
    assert form == cell
    if form[0] == "taken":  # what was read is what the API takes, unchanged
        assert verdict(lambda: standard.stated(kind, {field.name: form[1]})[field.name]) == form
        assert form[1] is None or read(field, form[1]) == form[1]


def test_what_people_state_must_fit_and_what_is_no_field_is_kept(operator_actor: Actor) -> None:
    with pytest.raises(Invalid) as refusal:
        actions.create_resource(actor=operator_actor, kind="rack", name="A1", attributes={"rack_units": "many"})
    assert (refusal.value.field, refusal.value.value) == ("attributes.rack_units", "many")
    assert refusal.value.remedy
    with pytest.raises(Invalid) as refusal:
        actions.create_resource(actor=operator_actor, kind="vlan", name="office")
    assert refusal.value.field == "attributes.vid"
    row = actions.create_resource(
        actor=operator_actor, kind="rack", name="A1", attributes={"rack_units": 42.0, "painted": {"by": "me"}}
    )
    assert row.attributes == {"rack_units": 42, "painted": {"by": "me"}}
    row = actions.set_attributes(actor=operator_actor, resource=row, values={"rack_units": None})
    assert row.attributes == {"painted": {"by": "me"}}


def test_a_required_field_is_not_emptied_by_hand(operator_actor: Actor) -> None:
    row = actions.create_resource(actor=operator_actor, kind="vlan", name="office", attributes={"vid": 7})
    with pytest.raises(Invalid):
        actions.set_attributes(actor=operator_actor, resource=row, values={"vid": None})
    assert reads.attributes_of(row) == {"vid": 7}


@pytest.mark.both_databases
def test_attributes_on_the_resource_are_what_the_strongest_source_says() -> None:
    row = actions.create_resource(actor=SYSTEM, kind="host", name="h", attributes={"memory_bytes": 8})
    SourceConfig.objects.create(name="weak", kind="host", precedence=10)
    actions.set_attributes(actor=SYSTEM, resource=row, source="weak", values={"memory_bytes": 4, "os": "Debian"})
    row.refresh_from_db()
    assert row.attributes == {"memory_bytes": 8, "os": "Debian"} == reads.attributes_of(row)
    actions.set_attributes(actor=SYSTEM, resource=row, values={"memory_bytes": None})
    row.refresh_from_db()
    assert row.attributes == {"memory_bytes": 4, "os": "Debian"} == reads.attributes_of(row)


SAID = st.dictionaries(
    st.sampled_from(["os", "memory_bytes", "note"]),
    st.one_of(st.none(), st.integers(0, 3), st.just("x" * 1100)),
    max_size=3,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(st.tuples(st.sampled_from(["a", "b"]), SAID), max_size=4))
def test_deriving_anew_finds_nothing_to_mend(said: list[tuple[str, dict[str, Any]]]) -> None:
    Resource.objects.all().delete()
    SourceConfig.objects.all().delete()
    for name, weight in (("a", 50), ("b", 60)):
        SourceConfig.objects.create(name=name, kind="host", precedence=weight)
    for source, values in said:
        kept = {key: value for key, value in values.items() if value is not None}
        seen = Observation((ObservedResource("host", "h", ("machine-id:1",), kept),))
        apply_sync(actor=SYSTEM, source=SourceConfig.objects.get(name=source), observation=seen)
    assert derive(Resource.objects.values_list("pk", flat=True), weights()) == 0
    for row in Resource.objects.all():
        effective = {name: value for name, value in reads.attributes_of(row).items() if value != "x" * 1100}
        assert row.attributes == effective


def test_merged_resources_have_the_attributes_that_count_of_both() -> None:
    kept = actions.create_resource(actor=SYSTEM, kind="host", name="a", attributes={"os": "Debian"})
    gone = actions.create_resource(actor=SYSTEM, kind="host", name="b", attributes={"kernel": "6"})
    made = merge.merge_resources(actor=SYSTEM, kept=kept, absorbed=gone)
    kept.refresh_from_db()
    assert kept.attributes == {"kernel": "6", "os": "Debian"} == reads.attributes_of(kept)
    merge.undo_merge(actor=SYSTEM, merge=made)
    assert derive(Resource.objects.values_list("pk", flat=True), weights()) == 0


def test_what_a_source_says_is_taken_and_told_when_it_does_not_fit() -> None:
    source = SourceConfig.objects.create(name="scan", kind="host")
    seen = Observation(
        (
            ObservedResource("rack", "A1", ("rack:A1",), {"rack_units": "forty-two"}),
            ObservedResource("contract", "C1", ("contract:C1",)),
            ObservedResource("rack", "A2", ("rack:A2",)),
            ObservedResource("device", "D1", ("device:D1",)),
        ),
        (
            ObservedRelation("covered_by", (("contract:C1", "rack:A1"),)),
            ObservedRelation("mounted_in", (("device:D1", "rack:A1"),)),
            ObservedRelation("mounted_in", (("device:D1", "rack:A2"),)),
        ),
    )
    plan = apply_sync(actor=SYSTEM, source=source, observation=seen)
    assert Resource.objects.get(name="A1").attributes == {"rack_units": "forty-two"}
    codes = sorted(each.code for each in plan.conflicts)
    assert codes == ["relation_ends", "relation_many", "relation_many", "unfit"]
    source.refresh_from_db()
    told = [notes.text(each) for each in source.last_result["notes"]]
    assert any("rack_units" in each and "forty-two" in each for each in told)
    again = apply_sync(actor=SYSTEM, source=source, observation=seen)
    assert not again.changes_something


def test_people_keep_to_the_ends_and_the_number_a_relation_allows(operator_actor: Actor) -> None:
    def make(kind: str, name: str) -> Resource:
        return actions.create_resource(actor=operator_actor, kind=kind, name=name)

    device, first, second, contract = (
        make("device", "D1"),
        make("rack", "A1"),
        make("rack", "A2"),
        make("contract", "C"),
    )

    def state(a: Resource, b: Resource, type_: str) -> Any:
        return actions.relate(actor=operator_actor, from_resource=a, to_resource=b, type=type_)

    with pytest.raises(Invalid) as refusal:
        state(device, contract, "mounted_in")
    assert refusal.value.field == "to"
    relation = state(device, first, "mounted_in")
    assert state(device, first, "mounted_in").pk == relation.pk
    with pytest.raises(Conflict) as conflict:
        state(device, second, "mounted_in")
    assert "A1" in str(conflict.value.detail)
    actions.unrelate(actor=operator_actor, relation=relation)
    assert state(device, second, "mounted_in").pk
    # a source may say otherwise
    scanned = actions.relate(
        actor=operator_actor, from_resource=device, to_resource=first, type="mounted_in", source="scan"
    )
    assert scanned.pk


def test_an_import_takes_fields_of_the_kind_and_refuses_what_does_not_fit(operator_actor: Actor) -> None:
    title = next(each.title for each in kinds.fields("rack") if each.name == "serial")
    text = (
        f"kind,name,at.rack_units,at.vid,{title}\n"
        "rack,A1,42,,S-1\nrack,A2,many,,\nvlan,office,,7,\nvlan,lab,,,\nvlan,hall,9,8,\n"
    )
    sheet = reading.read("r.csv", text.encode(), "")
    batch = imports.dry_run(actor=operator_actor, kind="inventory.resource", sheet=sheet, file_name="r.csv")
    rows = {row.label: row for row in batch.rows.all()}
    errors = {label.split(" ")[-1]: row.error.get("field") for label, row in rows.items() if row.error}
    assert sorted(errors.values()) == ["at.rack_units", "attributes.rack_units", "attributes.vid"]
    batches.start(actor=operator_actor, batch=batch)
    assert Resource.objects.get(name="A1").attributes == {"rack_units": 42, "serial": "S-1"}
    assert Resource.objects.get(name="office").attributes == {"vid": 7}
    assert AttributeValue.objects.get(name="vid").source == "manual"
    assert timezone.now() >= AttributeValue.objects.get(name="vid").changed_at


def test_every_type_of_field_is_among_the_tested() -> None:
    assert {each.type for each in FIELDS.values()} >= set(FieldType) - {
        FieldType.OBJECT,
        FieldType.MULTI_OBJECT,
        FieldType.MULTI_SELECT,
    }
    assert kinds.field_named("serial") is not None
