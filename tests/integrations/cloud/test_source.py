from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tests.integrations.cloud import exports
from tongchou.core.problems import Invalid, Problem
from tongchou.integrations.cloud.source import FORMATS, SOURCE, recognised
from tongchou.inventory import sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import Resource
from tongchou.inventory.ports import DocumentSource

EXPORTS = pytest.mark.parametrize("name", sorted(exports.ALL))


def read(*contents: Any, **more: Any) -> Any:
    body = "\n".join(json.dumps(each) for each in contents).encode()
    return SOURCE.read(SOURCE.validate(more), Document("x.json", body), source="it")


def test_it_is_a_source_that_reads_files() -> None:
    assert isinstance(SOURCE, DocumentSource)


def test_every_form_is_among_the_examples() -> None:
    assert {recognised(each).command for each in exports.ALL.values()} == {each.command for each in FORMATS}


@EXPORTS
def test_every_export_says_something_legal_and_nothing_secret(name: str) -> None:
    seen = read(exports.ALL[name], owner_tag="team")
    assert laws.by_name(seen)
    assert seen.complete
    assert exports.CANARY not in repr(seen)


@EXPORTS
@given(chance=st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_order_says_nothing(name: str, chance: random.Random) -> None:
    def mix(found: Any) -> Any:
        if isinstance(found, list):
            mixed = [mix(each) for each in found]
            chance.shuffle(mixed)
            return mixed
        return {key: mix(each) for key, each in found.items()} if isinstance(found, dict) else found

    assert laws.same(read(mix(exports.ALL[name])), read(exports.ALL[name]))


def test_aws() -> None:
    seen = read(
        exports.AWS_INSTANCES, exports.AWS_VOLUMES, exports.AWS_SUBNETS, exports.AWS_VPCS, exports.AWS_LBS,
        exports.AWS_CLASSIC, exports.AWS_DATABASES, owner_tag="team",
    )  # fmt: skip
    things = laws.by_name(seen)
    web = things["vm", "web-1"]
    assert (web.keys, web.owner) == (("aws:i-0a1",), "shop")
    assert web.attributes == {
        "provider": "aws",
        "account": "123456789012",
        "instance_type": "m5.large",
        "image": "ami-1",
        "power_state": "running",
        "zone": "eu-west-1a",
        "region": "eu-west-1",
        "address": "10.0.1.5",
        "public_ip": "203.0.113.5",
        "fqdn": "ip-10-0-1-5.eu-west-1.compute.internal",
        "architecture": "x86_64",
        "os": "Linux/UNIX",
        "cpu_count": 2,
    }
    assert things["volume", "vol-1"].attributes["size_bytes"] == 20 * 1024**3
    orders = things["database", "orders"].attributes
    assert (orders["engine"], orders["version"], orders["port"]) == ("postgres", "16.3", 5432)
    assert orders["address"] == "orders.x.eu-west-1.rds.amazonaws.com"
    assert laws.edges(seen) == {
        ("web-1", "uses", "subnet-1"),
        ("web-1", "stores_in", "vol-1"),
        ("subnet-1", "uses", "vpc-1"),
        ("front", "uses", "subnet-1"),
        ("old", "uses", "subnet-1"),
        ("old", "calls", "web-1"),
        ("orders", "uses", "vpc-1"),
        ("orders", "replicates_to", "orders-copy"),
    }


def test_a_snapshot_of_aws_config_says_the_same_of_the_same() -> None:
    seen = read(exports.AWS_CONFIG)
    things = laws.by_name(seen)
    assert sorted(things) == [("vm", "web-1"), ("volume", "data")]
    assert things["vm", "web-1"].keys[0] == "aws:i-0a1"
    assert things["vm", "web-1"].attributes["instance_type"] == "m5.large"
    assert laws.edges(seen) == {("web-1", "stores_in", "data"), ("web-1", "uses", "aws:subnet-1")}


def test_azures_ids_are_one_whatever_their_case() -> None:
    seen = read(exports.AZURE_VMS, exports.AZURE_RESOURCES)
    things = laws.by_name(seen)
    assert sorted(things) == [("interface", "nic-1"), ("vm", "web-1"), ("volume", "os-1")]
    assert things["vm", "web-1"].attributes["address"] == "10.1.0.5"  # the first one, as Azure lists them
    assert things["vm", "web-1"].attributes["private_ips"] == ["10.1.0.4", "10.1.0.5"]
    assert things["vm", "web-1"].attributes["resource_group"] == "shop"
    assert laws.edges(seen) == {("web-1", "stores_in", "os-1"), ("nic-1", "part_of", "web-1")}


def test_google_instances_and_assets_meet() -> None:
    seen = read(exports.GCP_INSTANCES, exports.GCP_ASSETS)
    things = laws.by_name(seen)
    assert sorted(things) == [("bucket", "shop-backups"), ("vm", "web-1"), ("volume", "web-1")]
    assert things["vm", "web-1"].attributes["region"] == "europe-west1"
    assert things["volume", "web-1"].attributes == {
        "provider": "gcp", "account": "shop", "zone": "europe-west1-b", "region": "europe-west1",
        "size_bytes": 10 * 1024**3, "type": "pd-ssd",
    }  # fmt: skip
    assert {each.ends[0] for each in seen.relations} == {
        ("gcp:projects/shop/zones/europe-west1-b/instances/web-1", "gcp:projects/shop/zones/europe-west1-b/disks/web-1"),
        ("gcp:projects/shop/zones/europe-west1-b/instances/web-1", "gcp:projects/shop/regions/europe-west1/subnetworks/default"),
    }  # fmt: skip


def test_google_says_engine_and_version_in_one_word() -> None:
    (one,) = read(
        [{"kind": "sql#instance", "selfLink": "x/projects/p/instances/o", "name": "o", "databaseVersion": "MYSQL_8_0"}]
    ).resources
    assert (one.attributes["engine"], one.attributes["version"]) == ("mysql", "8.0")


def test_alibaba() -> None:
    seen = read(exports.ALIBABA_INSTANCES, exports.ALIBABA_DATABASES)
    web = laws.by_name(seen)["vm", "web-1"]
    assert web.keys == ("alicloud:i-bp1", "uuid:51d1353b-22bf-4567-a176-8b3e12e43135")
    assert web.attributes["memory_bytes"] == 8192 * 1024**2
    assert web.attributes["public_ips"] == ["203.0.113.9"]
    assert ("orders", "replicates_to", "orders-copy") in laws.edges(seen)


def test_tencent_with_and_without_the_wrapping_of_its_api() -> None:
    seen = read(exports.TENCENT_INSTANCES)
    assert laws.same(seen, read({"Response": exports.TENCENT_INSTANCES}))
    assert laws.edges(seen) == {
        ("web-1", "uses", "tencentcloud:subnet-x"),
        ("web-1", "stores_in", "disk-1"),
    }
    assert laws.by_name(seen)["vm", "web-1"].attributes["region"] == "ap-guangzhou"


def test_huawei() -> None:
    (server,) = read(exports.HUAWEI_SERVERS, owner_tag="team").resources
    assert server.keys[1] == "uuid:4f4b3dfa-eb70-47cf-a60a-998a53bd598a"
    assert (server.owner, server.attributes["public_ips"]) == ("shop", ["203.0.113.3"])
    assert server.attributes["memory_bytes"] == 1024**3


def test_the_order_in_which_addresses_are_listed_says_nothing() -> None:
    cards = [{"name": name, "networkIP": at} for name, at in (("nic1", "10.0.0.2"), ("nic0", "10.0.0.9"))]
    for listed in (cards, cards[::-1]):
        seen = read([{**exports.GCP_INSTANCES[0], "networkInterfaces": listed}])
        assert said(seen, "vm", "web-1", "address", "private_ips") == ("10.0.0.9", ["10.0.0.2", "10.0.0.9"])
        inner = {"PrivateIpAddresses": [each["networkIP"] for each in listed]}
        seen = read({"TotalCount": 1, "InstanceSet": [{**exports.TENCENT_INSTANCES["InstanceSet"][0], **inner}]})
        assert said(seen, "vm", "web-1", "address") == ("10.0.0.2",)


def said(seen: Any, kind: str, name: str, *attributes: str) -> tuple[Any, ...]:
    found = laws.by_name(seen)[kind, name].attributes
    return tuple(found.get(each) for each in attributes)


SERVER = ("engine", "version", "address", "port", "memory_bytes")


def test_all_that_alibaba_exports_is_one_picture() -> None:
    seen = read(*(value for name, value in exports.ALL.items() if name.startswith("ALIBABA")), owner_tag="team")
    assert laws.edges(seen) == {
        ("web-1", "uses", "apps"),
        ("web-1", "stores_in", "data"),
        ("apps", "uses", "prod"),
        ("front", "uses", "apps"),
        ("orders", "uses", "apps"),
        ("orders", "replicates_to", "orders-copy"),
        ("sessions", "uses", "apps"),
    }
    assert said(seen, "volume", "data", "size_bytes", "type", "encrypted") == (40 * 1024**3, "cloud_essd", True)
    assert said(seen, "network", "prod", "prefix", "prefixes") == ("172.16.0.0/12", ["10.8.0.0/16", "172.16.0.0/12"])
    assert said(seen, "subnet", "apps", "prefix", "zone") == ("172.16.0.0/24", "cn-hangzhou-g")
    assert said(seen, "load_balancer", "front", "address", "scheme") == ("172.16.0.9", "intranet")
    assert said(seen, "cache", "sessions", *SERVER, "private_ip") == (
        "redis", "7.0", "r-bp1.redis.rds.aliyuncs.com", 6379, 1024**3, "172.16.0.20",
    )  # fmt: skip
    assert laws.by_name(seen)["cache", "sessions"].owner == "shop"


def test_all_that_tencent_exports_is_one_picture() -> None:
    seen = read(*(value for name, value in exports.ALL.items() if name.startswith("TENCENT")), owner_tag="team")
    assert laws.edges(seen) >= {
        ("web-1", "uses", "apps"),
        ("apps", "uses", "prod"),
        ("front", "uses", "apps"),
        ("orders", "uses", "apps"),
        ("orders", "replicates_to", "orders-copy"),
        ("sessions", "uses", "apps"),
    }
    (disk,) = [each for each in seen.resources if each.kind == "volume" and each.name == "root"]
    assert disk.keys == ("tencentcloud:disk-1",)  # the one that its machine names
    assert said(seen, "subnet", "apps", "prefix", "prefixes") == ("10.0.0.0/24", ["10.0.0.0/24", "2001:db8:1::/64"])
    assert said(seen, "network", "prod", "prefixes") == (["10.0.0.0/16", "192.168.1.0/24"],)
    assert said(seen, "load_balancer", "front", "address", "region") == ("10.0.0.30", "ap-guangzhou")
    assert said(seen, "database", "orders", *SERVER) == ("mysql", "8.0", "10.0.0.40", 3306, 4000 * 1024**2)
    assert said(seen, "cache", "sessions", *SERVER) == ("redis", "5.0", "10.0.0.50", 6379, 1024**3)
    assert {each.owner for each in seen.resources if each.name in ("orders", "sessions", "front")} == {"shop"}


def test_all_that_huawei_exports_is_one_picture() -> None:
    seen = read(*(value for name, value in exports.ALL.items() if name.startswith("HUAWEI")), owner_tag="team")
    assert laws.edges(seen) == {
        ("ecs-2ecf", "uses", "prod"),
        ("ecs-2ecf", "stores_in", "root"),
        ("apps", "uses", "prod"),
        ("front", "uses", "prod"),
        ("orders", "uses", "apps"),
        ("orders", "replicates_to", "orders-copy"),
        ("sessions", "uses", "apps"),
    }
    assert said(seen, "subnet", "apps", "prefix", "gateway") == ("192.168.1.0/24", "192.168.1.1")
    assert said(seen, "load_balancer", "front", "address", "public_ips") == ("192.168.1.30", ["203.0.113.30"])
    assert said(seen, "database", "orders", *SERVER) == ("mysql", "8.0", "192.168.1.40", 3306, 4 * 1024**3)
    assert said(seen, "cache", "sessions", *SERVER) == ("redis", "6.0", "192.168.1.50", 6379, 1024**3)
    assert {each.owner for each in seen.resources if each.name in ("orders", "sessions", "front")} == {"shop"}


@pytest.mark.parametrize(
    "document",
    [
        {**exports.ALIBABA_CACHES, "TotalCount": 31},
        {**exports.TENCENT_CACHES, "TotalCount": 21},
        {"Response": {**exports.TENCENT_DATABASES, "TotalCount": 21}},
        {**exports.HUAWEI_DATABASES, "total_count": 101},
        {**exports.HUAWEI_CACHES, "instance_num": 11},
        {**exports.HUAWEI_LBS, "page_info": {"next_marker": "x", "current_count": 1}},
        {**exports.AWS_INSTANCES, "NextToken": "x"},
        {**exports.ALIBABA_INSTANCES, "TotalCount": 200},
        {**exports.TENCENT_INSTANCES, "TotalCount": 2},
        {**exports.HUAWEI_SERVERS, "count": 30},
    ],
)
def test_of_one_page_of_several_absence_proves_nothing(document: Any) -> None:
    seen = read(document)
    assert not seen.complete
    assert seen.warnings


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        1,
        "x",
        {"Instances": 1},
        {"Items": [{"id": 1}]},
        {"instances": []},
        [{"id": "/x"}],
        {"version": 4, "resources": []},
    ],
)
def test_another_file_is_refused_with_what_would_do(content: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        read(content)
    assert refusal.value.code == "cloud.format"
    assert "aws ec2 describe-instances" in str(refusal.value.remedy)


@given(st.sampled_from(sorted(exports.ALL)), st.data())
@settings(max_examples=150, deadline=None)
def test_no_export_breaks_the_reader(name: str, data: Any) -> None:
    """Any one place of any export replaced by anything: still legal, or refused."""
    broken = copy.deepcopy(exports.ALL[name])
    place = broken
    for _ in range(data.draw(st.integers(1, 6))):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(
                st.none() | st.integers() | st.text(max_size=300) | st.just([]) | st.just({}) | st.just([1])
            )
            break
        place = place[key]
    try:
        laws.by_name(read(broken))
    except Problem:
        pass


@pytest.mark.django_db
@EXPORTS
def test_an_export_settles(name: str) -> None:
    config = laws.configured("cloud")
    laws.settles(config, laws.document(exports.ALL[name]))
    assert exports.CANARY not in laws.everything_recorded()


@pytest.mark.django_db
def test_a_machine_of_a_state_and_of_its_cloud_is_one() -> None:
    state = {
        "version": 4, "lineage": "x",
        "resources": [{"mode": "managed", "type": "aws_instance", "name": "web", "instances": [
            {"attributes": {"id": "i-0a1", "instance_type": "t3.small", "tags": {"Name": "web-1"}}}]}],
    }  # fmt: skip
    made = laws.configured("terraform", name="state")
    sources.run_source(actor=laws.ACTOR, source=made, document=laws.document(state))
    cloud = laws.configured("cloud", name="aws")
    sources.run_source(actor=laws.ACTOR, source=cloud, document=laws.document(exports.AWS_INSTANCES))
    web = Resource.objects.get()
    assert dict(web.attribute_values.filter(name="instance_type").values_list("source", "value")) == {
        "state": "t3.small", "aws": "m5.large",
    }  # fmt: skip
