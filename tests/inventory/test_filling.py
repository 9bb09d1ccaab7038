"""Sources fill custom fields: typed, by precedence, under a person's word; what does not fit loses nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations import laws
from tongchou.core import custom_fields, field_definitions
from tongchou.core.access import Actor
from tongchou.core.field_definitions import Draft
from tongchou.core.models import Event
from tongchou.core.models_fields import FieldDefinition, FieldType
from tongchou.inventory import filling, jobs, sources
from tongchou.inventory.apply import derive
from tongchou.inventory.models import Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.recorded import weights

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
KIND = "inventory.resource"


def field(name: str, type_: FieldType = FieldType.TEXT, **more: Any) -> FieldDefinition:
    draft = Draft(label={"en": name.title()}, **more)
    return field_definitions.create(actor=laws.ACTOR, kind=KIND, name=name, type_=type_.value, draft=draft)


def source(name: str, precedence: int = 50) -> SourceConfig:
    return SourceConfig.objects.create(name=name, kind="x", precedence=precedence)


def says(config: SourceConfig, *, complete: bool = True, **attributes: Any) -> Any:
    found = ObservedResource("host", "web", ("serial:web-1",), attributes)
    seen = Observation((found,), complete=complete)
    return sources.apply_sync(actor=laws.ACTOR, source=config, observation=seen)


def values() -> dict[str, Any]:
    return dict(Resource.objects.get(name="web").custom)


def test_the_stronger_source_fills_it_and_a_persons_word_outweighs_both(operator_actor: Actor) -> None:
    field("tier", max_length=5)
    field("door", subkinds=("rack",))
    weak, strong = source("weak"), source("strong", 80)
    says(weak, tier="low", door="north")
    assert values() == {"tier": "low"}, "a field of another kind stays empty"
    says(strong, tier="gold")
    assert values() == {"tier": "gold"}
    changed = Event.objects.get(verb=custom_fields.CHANGED)
    assert (changed.payload["old"], changed.payload["new"]) == ({"tier": "low"}, {"tier": "gold"})
    says(weak, tier="mid")
    assert values() == {"tier": "gold"}
    row = custom_fields.set_values(actor=operator_actor, row=Resource.objects.get(name="web"), values={"tier": "mine"})
    says(strong, tier="gold2")
    says(strong, tier="mine")
    says(strong, tier="gold3")
    assert values() == {"tier": "mine"}, "said by a source, too, it is a person's word still"
    custom_fields.set_values(actor=operator_actor, row=row, values={"tier": None})
    derive([row.pk], weights())
    assert values() == {"tier": "gold3"}, "emptied, the word is taken back"
    says(strong)
    assert values() == {"tier": "mid"}
    says(weak)
    assert values() == {}


def test_what_does_not_fit_is_a_note_and_loses_nothing_else() -> None:
    field("cores", FieldType.INTEGER, maximum=64)
    field("spare", FieldType.BOOLEAN)
    field("until", FieldType.DATE)
    field("asset", unique=True)
    one = source("one")
    found = [
        ObservedResource(
            "host", "web", ("web",), {"cores": "many", "spare": "yes", "until": "2027-01-31", "asset": 4711}
        ),
        ObservedResource("host", "db", ("db",), {"cores": 8, "spare": "perhaps", "asset": "4711", "os": "linux"}),
    ]
    plan = sources.apply_sync(actor=laws.ACTOR, source=one, observation=Observation(tuple(found)))
    assert values() == {"spare": True, "until": "2027-01-31"}
    other = Resource.objects.get(name="db")
    assert (other.custom, other.attributes["os"]) == ({"cores": 8, "asset": "4711"}, "linux")
    assert sorted((each.params["name"], each.params["attribute"]) for each in plan.conflicts) == [
        ("db", "spare"), ("web", "asset"), ("web", "cores"),
    ]  # fmt: skip
    told = SourceConfig.objects.get(name="one").last_result["notes"]
    assert len(told) == 3
    assert not sources.apply_sync(actor=laws.ACTOR, source=one, observation=Observation(tuple(found))).changes_something


def test_what_is_as_it_was_is_not_written_and_values_nobody_speaks_of_are_not_read() -> None:
    field("tier")
    field("asset", unique=True)
    says(source("one"), tier="gold")
    assert values() == {"tier": "gold"}
    with CaptureQueriesContext(connection) as asked:
        entries, notes = filling.fill([Resource.objects.get(name="web").pk], weights(), {})
    texts = [each["sql"] for each in asked]
    assert (entries, notes) == ([], [])
    assert not [text for text in texts if text.startswith("UPDATE")]
    assert not [text for text in texts if "asset" in text.partition("WHERE")[2] and "inventory_resource" in text]


def test_a_field_that_is_defined_later_is_filled_with_what_was_said() -> None:
    says(source("one"), tier="gold")
    of = field("tier")
    jobs.fill_new_field(Event.objects.get(verb="custom_field.created", subject__endswith=str(of.pk)))
    assert values() == {"tier": "gold"}


CSV = b"name,SN,Tier\nweb,SN-000042,gold\n"
STATE = {"version": 4, "lineage": "x", "resources": [{"mode": "managed", "type": "aws_instance", "name": "web",
         "instances": [{"attributes": {"id": "i-0a1", "tags": {"Name": "web", "tier": "gold"}}}]}]}  # fmt: skip
NETBOX = (
    "Name,Status,Role,Manufacturer,Type,Serial number,Site,ID,tier\nweb,Active,server,Dell,R640,SN42,ams1,11,gold\n"
)


@pytest.mark.parametrize(
    "kind, settings, file",
    [
        ("excel", {"keys": {"SN": "serial"}, "attributes": {"Tier": "tier"}}, laws.document(CSV, "cmdb.csv")),
        ("terraform", {"tags": ["tier"]}, laws.document(json.dumps(STATE).encode(), "x.tfstate")),
        ("netbox", {"custom_fields": ["tier"]}, laws.document(NETBOX.encode(), "netbox_devices.csv")),
    ],
)
def test_sheets_netbox_and_terraform_fill_them(kind: str, settings: dict[str, Any], file: Any) -> None:
    field("tier")
    config = laws.configured(kind, settings)
    sources.run_source(actor=laws.ACTOR, source=config, document=file)
    assert values() == {"tier": "gold"}


WORD = st.sampled_from([None, "a", "b"])


@given(st.lists(st.tuples(st.sampled_from(["person", "source"]), WORD), max_size=8))
def test_the_last_word_of_a_person_stands_and_else_that_of_the_sources(steps: list[tuple[str, str | None]]) -> None:
    custom: dict[str, Any] = {}
    said: dict[str, Any] = {}
    word: str | None = None
    for who, value in steps:
        if who == "source":
            word = value
        elif value is None:
            custom.pop("f", None)
        elif custom.get("f") != value:  # the same value is no word of its own
            custom["f"] = value
        stood, theirs = custom.get("f"), custom.get("f") == said.get("f")
        custom, said = filling.decide(custom, said, {"f": word})
        assert custom.get("f") == (word if stood is None or theirs else stood)
        assert (custom, said) == filling.decide(custom, said, {"f": word}), "once is as good as twice"
