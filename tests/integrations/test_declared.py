"""What a ledger outside says is declared: where the world differs, it waits in the queue "differs"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.utils import timezone

from tests.integrations import laws
from tongchou.inventory import refresh, sources
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.models_queues import QueueItem, QueueName
from tongchou.inventory.observation import Observation, ObservedResource
from tongchou.inventory.sources import source_kinds

pytestmark = pytest.mark.django_db

DEVICES = "Name,Status,Role,Manufacturer,Type,Serial number,Site,ID,Asset tag\nhv-1,Active,server,Dell,R640,SN-000042,ams1,11,A-1\n"
INSTANCE = {"attributes": {"id": "i-0a1", "instance_type": "t3.small"}}
STATE = {
    "version": 4,
    "lineage": "x",
    "resources": [{"mode": "managed", "type": "aws_instance", "name": "web", "instances": [INSTANCE]}],
}


@pytest.mark.parametrize(
    "kind, settings, file, seen, attribute",
    [
        (
            "excel",
            {"keys": {"SN": "serial"}, "attributes": {"Tag": "asset_tag"}},
            laws.document(b"name,SN,Tag\nhv-1,SN-000042,A-1\n", "cmdb.csv"),
            ("device", "serial:sn-000042"),
            "asset_tag",
        ),
        (
            "netbox",
            {},
            laws.document(DEVICES.encode(), "netbox_devices.csv"),
            ("device", "serial:sn-000042"),
            "asset_tag",
        ),
        ("terraform", {}, laws.document(json.dumps(STATE).encode(), "x.tfstate"), ("vm", "aws:i-0a1"), "instance_type"),
    ],
)
def test_what_it_says_is_held_against_what_is_observed(
    kind: str, settings: Mapping[str, Any], file: Any, seen: tuple[str, str], attribute: str
) -> None:
    book = laws.configured(kind, dict(settings))
    sources.run_source(actor=laws.ACTOR, source=book, document=file)
    eyes = SourceConfig.objects.create(name="eyes", kind="x", precedence=50)
    found = ObservedResource(seen[0], "hv-1", (seen[1],), {attribute: "A-2"})
    sources.apply_sync(actor=laws.ACTOR, source=eyes, observation=Observation((found,)))
    refresh.refresh(timezone.now())
    item = QueueItem.objects.get(queue=QueueName.DIFFERS)
    assert (item.key, item.facts["declared_by"], item.facts["observed_by"]) == (attribute, "it", "eyes")
    assert not QueueItem.objects.filter(queue=QueueName.UNRECORDED).exists()


def test_the_docs_name_those_that_declare() -> None:
    assert {kind for kind, each in source_kinds().items() if getattr(each, "declares", False)} == {
        "excel", "http_sd", "netbox", "people", "terraform",
    }  # fmt: skip
