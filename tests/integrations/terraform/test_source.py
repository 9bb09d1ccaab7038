from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tongchou.core import settings_store
from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.integrations.terraform import state
from tongchou.integrations.terraform.source import SOURCE
from tongchou.integrations.terraform.types import LINKS, TYPES
from tongchou.inventory import documents, sources
from tongchou.inventory.models import Resource
from tongchou.inventory.ports import DocumentSource

CANARY = "canary-4f1c"


def resource(type_: str, name: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    listed = [{"schema_version": 1, "private": CANARY, **each} for each in instances]
    provider = f'provider["registry.terraform.io/hashicorp/{type_.partition("_")[0]}"]'
    return {"mode": "managed", "type": type_, "name": name, "provider": provider, "instances": listed, **more}


def a_state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": 7,
        "lineage": "57326de1-1d5b-2974-a6f7-4f754df50360",
        "outputs": {"password": {"value": CANARY, "type": "string", "sensitive": True}},
        "resources": list(resources),
        "check_results": None,
    }


ARN = "arn:aws:ec2:eu-west-1:123456789012"
SHOP = a_state(
    resource(
        "aws_instance",
        "web",
        *(
            {
                "index_key": index,
                "attributes": {
                    "id": f"i-0{index}",
                    "arn": f"{ARN}:instance/i-0{index}",
                    "ami": "ami-1",
                    "instance_type": "t3.small",
                    "availability_zone": "eu-west-1a",
                    "private_ip": f"10.0.1.{index}",
                    "subnet_id": "subnet-1",
                    "tags": {"Name": f"web-{index}", "team": "shop"},
                    "user_data": CANARY,
                    "password_data": CANARY,
                },
                "sensitive_attributes": [],
            }
            for index in range(2)
        ),
        each="list",
    ),
    resource(
        "aws_subnet",
        "a",
        {"attributes": {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.1.0/24", "tags": {"Name": "a"}}},
        module="module.net",
    ),
    resource("aws_vpc", "main", {"attributes": {"id": "vpc-1", "cidr_block": "10.0.0.0/16"}}),
    resource("aws_ebs_volume", "data", {"attributes": {"id": "vol-1", "size": 20, "type": "gp3"}}),
    resource(
        "aws_volume_attachment",
        "data",
        {"attributes": {"id": "vai-1", "instance_id": "i-00", "volume_id": "vol-1", "device_name": "/dev/sdf"}},
    ),
    resource(
        "aws_db_instance",
        "orders",
        {
            "attributes": {
                "id": "db-XYZ",
                "arn": "arn:aws:rds:eu-west-1:123456789012:db:orders",
                "identifier": "orders",
                "engine": "postgres",
                "engine_version": "16.3",
                "allocated_storage": 100,
                "username": CANARY,
                "password": CANARY,
                "endpoint": f"{CANARY}:5432",
            },
            "sensitive_attributes": [
                [{"type": "get_attr", "value": "password"}],
                [{"type": "get_attr", "value": "endpoint"}, {"type": "index", "value": {"value": 0}}],
            ],
        },
    ),
    resource("aws_iam_access_key", "ci", {"attributes": {"id": CANARY, "secret": CANARY, "name": CANARY}}),
    resource("random_password", "db", {"attributes": {"id": "none", "result": CANARY}}),
    resource(
        "aws_ssm_parameter", "gone", {"attributes": {"id": CANARY, "arn": f"{ARN}:parameter/x"}, "deposed": "00000001"}
    ),
    {**resource("aws_ami", "read", {"attributes": {"id": "ami-1", "arn": CANARY}}), "mode": "data"},
)


def seen(content: Any, **more: Any) -> Any:
    return state.observed(content, source="it", **more)


def test_it_is_a_source_that_reads_files() -> None:
    assert isinstance(SOURCE, DocumentSource)
    assert sources.source_kinds()["terraform"] is SOURCE


def test_what_a_state_says_exists() -> None:
    found = seen(SHOP, owner_tag="team")
    things = laws.by_name(found)
    assert sorted(things) == [
        ("aws_iam_access_key", "aws_iam_access_key.ci"),
        ("database", "orders"),
        ("network", "aws_vpc.main"),
        ("subnet", "a"),
        ("vm", "web-0"),
        ("vm", "web-1"),
        ("volume", "aws_ebs_volume.data"),
    ]
    web = things["vm", "web-0"]
    assert web.keys == (
        "aws:i-00",
        f"aws:{ARN}:instance/i-00",
        "terraform:57326de1-1d5b-2974-a6f7-4f754df50360:aws_instance.web[0]",
    )
    assert web.attributes == {
        "terraform": "aws_instance.web[0]",
        "provider": "aws",
        "image": "ami-1",
        "instance_type": "t3.small",
        "zone": "eu-west-1a",
        "address": "10.0.1.0",
    }
    assert (web.labels, web.owner) == ({"Name": "web-0", "team": "shop"}, "shop")
    assert things["subnet", "a"].attributes["terraform"] == "module.net.aws_subnet.a"
    assert things["volume", "aws_ebs_volume.data"].attributes["size_bytes"] == 20 * 1024**3
    assert laws.edges(found) == {
        ("web-0", "uses", "a"),
        ("web-1", "uses", "a"),
        ("a", "uses", "aws_vpc.main"),
        ("web-0", "stores_in", "aws_ebs_volume.data"),
    }


def test_nothing_sensitive_is_read() -> None:
    assert CANARY not in repr(seen(SHOP))


@given(st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_a_state_says_nothing(chance: random.Random) -> None:
    mixed = copy.deepcopy(SHOP)
    chance.shuffle(mixed["resources"])
    for each in mixed["resources"]:
        chance.shuffle(each["instances"])
    assert laws.same(seen(mixed), seen(SHOP))


def test_types_without_a_description_can_be_left_out() -> None:
    assert not [each for each in seen(SHOP, others=False).resources if each.kind.startswith("aws_")]


@pytest.mark.parametrize(
    "type_, attributes, key",
    [
        ("azurerm_linux_virtual_machine", {"id": "/subscriptions/S/resourceGroups/RG/x"}, "azure:subscriptions/s/resourcegroups/rg/x"),
        ("google_compute_instance", {"self_link": "https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/n"}, "gcp:projects/p/zones/z/instances/n"),
        ("alicloud_instance", {"id": "i-bp1"}, "alicloud:i-bp1"),
        ("tencentcloud_instance", {"id": "ins-1"}, "tencentcloud:ins-1"),
        ("huaweicloud_compute_instance", {"id": "4a0f"}, "huaweicloud:4a0f"),
        ("kubernetes_deployment", {"metadata": [{"name": "web", "namespace": "shop", "uid": "6d0c"}]}, "kubernetes-uid:6d0c"),
        ("libvirt_domain", {"id": "6695eb01-f6a4-8304-79aa-97f2502e193f"}, "uuid:6695eb01-f6a4-8304-79aa-97f2502e193f"),
    ],
)  # fmt: skip
def test_things_are_known_as_their_cloud_knows_them(type_: str, attributes: dict[str, Any], key: str) -> None:
    (one,) = seen(a_state(resource(type_, "x", {"attributes": attributes}))).resources
    assert one.keys[0] == key
    assert one.kind == TYPES[type_].kind


def test_googles_machines_run_on_their_subnets_and_store_on_their_disks() -> None:
    vm = {
        "self_link": "https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/n",
        "name": "n",
        "boot_disk": [{"source": "https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d", "x": CANARY}],
        "network_interface": [
            {"subnetwork": "https://www.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/s"}
        ],
    }
    disk = {"id": "projects/p/zones/z/disks/d", "name": "d", "size": 10}
    found = seen(
        a_state(
            resource("google_compute_instance", "n", {"attributes": vm}),
            resource("google_compute_disk", "d", {"attributes": disk}),
        )
    )
    assert laws.edges(found) == {
        ("n", "stores_in", "d"),
        ("n", "uses", "gcp:projects/p/regions/r/subnetworks/s"),
    }


def test_no_type_is_both_a_thing_and_a_link() -> None:
    assert not TYPES.keys() & LINKS.keys()


@pytest.mark.parametrize(
    "content, field",
    [
        ([], "$"),
        ({"hello": 1}, "$"),
        ({"format_version": "1.0", "version": 4, "values": {}}, "$"),
        ({"version": 3, "modules": []}, "version"),
        ({"version": 4, "resources": {}}, "resources"),
        ({"version": 4, "resources": ["x"]}, "resources[0]"),
        ({"version": 4, "resources": [{"instances": 1}]}, "resources[0]"),
    ],
)
def test_what_is_no_state_is_refused_by_name(content: Any, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        seen(content)
    assert refusal.value.field == field
    assert refusal.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
@settings(max_examples=50, deadline=None)
def test_no_state_breaks_the_reader(attributes: Any, hidden: Any, index: Any) -> None:
    one = {"attributes": attributes, "sensitive_attributes": hidden, "index_key": index}
    try:
        laws.by_name(seen(a_state(resource("aws_instance", "x", one), {"mode": "managed", "instances": [one]})))
    except Problem:
        pass


@pytest.mark.django_db
def test_a_state_that_is_handed_over_settles_and_leaks_nothing() -> None:
    config = laws.configured("terraform")
    assert sources.waits(config)
    plan = laws.settles(config, laws.document(SHOP, "terraform.tfstate"))
    assert len(plan.created) == 7
    assert CANARY not in laws.everything_recorded()
    shrunk = a_state(*SHOP["resources"][1:])
    gone = sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(shrunk))
    assert len(gone.gone) == 2
    assert set(Resource.objects.filter(state="tombstone").values_list("name", flat=True)) == {"web-0", "web-1"}


@pytest.mark.django_db
def test_a_state_that_was_cut_off_touches_nothing() -> None:
    config = laws.configured("terraform")
    body = json.dumps(SHOP).encode()
    sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(body))
    with pytest.raises(Invalid) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config, document=laws.document(body[: len(body) // 2]))
    assert refusal.value.code == "source.json"
    assert Resource.objects.filter(state="active").count() == 7


@pytest.mark.django_db
def test_a_real_state_is_read_from_an_allowed_folder_and_what_terraform_forgot_to_hide_stays_hidden(
    tmp_path: Path,
) -> None:
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        pytest.skip("no terraform and no tofu on this machine")
    (tmp_path / "main.tf").write_text(
        'resource "terraform_data" "web" {\n  count = 2\n  input = "web-${count.index}"\n}\n'
        f'variable "secret" {{\n  sensitive = true\n  default = "{CANARY}"\n}}\n'
        'resource "terraform_data" "hidden" {\n  input = var.secret\n}\n'
    )
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    for command in (["init", "-input=false"], ["apply", "-auto-approve", "-input=false"]):
        done = subprocess.run([program, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    path = tmp_path / "terraform.tfstate"
    assert path.read_text().count(CANARY) == 2  # `output` says it again, and is not marked
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(tmp_path)])
    plan = laws.settles(laws.configured("terraform", {"path": str(path)}))
    assert sorted(new.name for new in plan.created) == [
        "terraform_data.hidden",
        "terraform_data.web[0]",
        "terraform_data.web[1]",
    ]
    assert CANARY not in laws.everything_recorded()


@pytest.mark.django_db
def test_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    config = laws.configured("terraform", {"path": "/etc/hostname"})
    with pytest.raises(Invalid) as refusal:
        sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.field == "settings.path"
    missing = laws.configured("terraform", {"path": str(tmp_path / "none")}, name="other")
    settings_store.put(actor=laws.ACTOR, key=documents.FOLDERS, value=[str(tmp_path)])
    with pytest.raises(Unavailable):
        sources.run_source(actor=laws.ACTOR, source=missing)
