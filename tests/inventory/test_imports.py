"""What a file may say of resources besides their words: the keys by which sources know them, too."""

from __future__ import annotations

import pytest

from tongchou.core.access import Actor, system
from tongchou.core.lists import batches, imports, reading
from tongchou.core.models_lists import Batch, BatchRow
from tongchou.inventory import actions, sources
from tongchou.inventory.models import Identity, Resource, SourceConfig
from tongchou.inventory.observation import Observation, ObservedResource

pytestmark = pytest.mark.django_db
SHEET = "kind,name,keys\nhost,a,serial: ABC-123 ; fqdn:A.example.org.\nhost,b,\n"


def imported(actor: Actor, text: str) -> list[BatchRow]:
    batch = imports.dry_run(
        actor=actor, kind="inventory.resource", sheet=reading.read("hosts.csv", text.encode()), file_name="h"
    )
    if any(row.plan != "refused" for row in BatchRow.objects.filter(batch=batch)):
        batches.start(actor=actor, batch=batch)
        batches.work(batch.pk)
    return list(BatchRow.objects.filter(batch=Batch.objects.get(pk=batch.pk)).order_by("number"))


def test_what_a_source_sees_by_a_stated_key_is_the_imported_one(operator_actor: Actor) -> None:
    imported(operator_actor, SHEET)
    eyes = SourceConfig.objects.create(name="eyes", kind="x")
    seen = ObservedResource("host", "localhost", ("serial:abc-123",), {"os": "Debian 12"})
    sources.apply_sync(actor=system("tests"), source=eyes, observation=Observation((seen,)))
    row = Resource.objects.get(name="a")
    assert (row.attributes, Resource.objects.count()) == ({"os": "Debian 12"}, 2)
    assert set(row.identities.values_list("key", flat=True)) == {"serial:abc-123", "fqdn:a.example.org"}


def test_the_same_keys_again_change_nothing_and_those_of_something_else_are_refused(operator_actor: Actor) -> None:
    imported(operator_actor, SHEET)
    known = Identity.objects.count()
    assert [row.plan for row in imported(operator_actor, SHEET)] == ["unchanged", "unchanged"]
    actions.create_resource(actor=operator_actor, kind="host", name="c", keys=("serial:other-1",))
    for name in ("b", "new"):  # one that is there without the key, and none
        [row] = imported(operator_actor, f"kind,name,keys\nhost,{name},serial:OTHER-1\n")
        assert (row.plan, row.error["field"], row.error["value"]) == ("refused", "keys", "serial:other-1")
    assert Identity.objects.count() == known + 1


@pytest.mark.parametrize("text", ["ABC123", "serial:0000000", "mac:nothing", "asset:17", "fqdn:localhost"])
def test_a_key_that_identifies_nothing_is_refused(text: str, operator_actor: Actor) -> None:
    [row] = imported(operator_actor, f"kind,name,keys\nhost,a,{text}\n")
    assert (row.plan, row.error["field"], row.error["value"]) == ("refused", "keys", text)
