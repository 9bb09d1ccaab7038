"""The IP plan and racks through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inventory.made import make
from tongchou.core import people
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Role
from tongchou.inventory import actions

pytestmark = pytest.mark.django_db
ACTOR = system("tests")


def test_a_prefix_tells_what_is_used_and_gives_what_is_free(api: Any) -> None:
    top, low = (
        make("prefix", "dc", prefix="10.0.0.0/16", role="data centre"),
        make("prefix", "lan", prefix="10.0.1.0/24"),
    )
    make("ip_address", "gw", address="10.0.1.1/24")
    make("host", "web", address="10.0.1.2")
    first, second = api.get("/api/v1/ip/prefixes").json()["items"]
    assert (first["prefix"], first["depth"], first["used"], first["usable"]) == ("10.0.0.0/16", 0, "256", "65534")
    assert (second["prefix"], second["depth"], second["used"], second["used_percent"]) == ("10.0.1.0/24", 1, "2", 0.7)
    found = api.get(f"/api/v1/ip/prefixes/{top.pk}").json()
    assert [each["prefix"] for each in found["prefixes"]] == ["10.0.1.0/24"]
    assert found["free_prefixes"][:2] == ["10.0.0.0/24", "10.0.2.0/23"]
    found = api.get(f"/api/v1/ip/prefixes/{low.pk}").json()
    assert [each["prefix"] for each in found["chain"]] == ["10.0.0.0/16"]
    assert [each["use"] for each in api.get(f"/api/v1/ip/prefixes/{low.pk}/addresses").json()["items"]] == [
        "address",
        "seen",
    ]
    assert api.get(f"/api/v1/ip/prefixes/{low.pk}/next-free").json() == {"address": "10.0.1.3"}
    assert api.get(f"/api/v1/ip/prefixes/{top.pk}/next-free", length=24).json() == {"prefix": "10.0.0.0/24"}
    made = api.post(f"/api/v1/ip/prefixes/{low.pk}/addresses", {"dns_name": "db.example"})
    assert (made.status_code, made.json()["address"]) == (201, "10.0.1.3/24")
    made_prefix = api.post(f"/api/v1/ip/prefixes/{top.pk}/prefixes", {"length": 24, "role": "lab"})
    assert (made_prefix.status_code, made_prefix.json()["prefix"]) == (201, "10.0.0.0/24")
    assert api.post(f"/api/v1/ip/{made.json()['id']}/release", {"reason": "test over"}).json()["state"] == "tombstone"
    assert api.get(f"/api/v1/ip/prefixes/{low.pk}/next-free").json() == {"address": "10.0.1.3"}
    refused = api.post(f"/api/v1/ip/prefixes/{low.pk}/addresses", {"address": "10.0.1.1"})
    assert (refused.status_code, refused.json()["code"]) == (409, "ip.taken")


def test_prefixes_are_filtered_by_vrf_site_vlan_and_text(api: Any) -> None:
    site, vlan = make("site", "sha"), make("vlan", "office", vid=100)
    lan = make("prefix", "lan", prefix="10.0.1.0/24", role="office")
    make("prefix", "blue", prefix="10.0.0.0/8", vrf="blue")
    make("prefix", "six", prefix="2001:db8::/32", vlan=100)
    actions.relate(actor=ACTOR, from_resource=lan, to_resource=site, type="located_in")
    actions.relate(actor=ACTOR, from_resource=lan, to_resource=vlan, type="uses")

    def found(**wanted: Any) -> list[str]:
        return [each["prefix"] for each in api.get("/api/v1/ip/prefixes", **wanted).json()["items"]]

    assert found(vrf="") == ["10.0.1.0/24", "2001:db8::/32"]
    assert found(vrf="blue") == ["10.0.0.0/8"]
    assert found(site="sha") == found(q="offic") == ["10.0.1.0/24"]
    assert found(vlan=100) == ["10.0.1.0/24", "2001:db8::/32"]
    assert found(family=6) == ["2001:db8::/32"]
    assert found(within=str(lan.pk)) == []
    assert api.get("/api/v1/ip/prefixes", within=str(site.pk)).status_code == 404


def test_an_address_in_any_notation_is_found_with_its_chain(api: Any) -> None:
    make("prefix", "dc", prefix="10.0.0.0/16")
    make("prefix", "six", prefix="2001:db8::/32")
    make("ip_address", "gw", address="10.0.1.1/24")
    for q in ("10.0.1.1", "10.0.1.1/24", "10.0.1.1/255.255.255.0", " 10.0.1.1 "):
        (line,) = api.get("/api/v1/ip/find", q=q).json()["items"]
        assert ([each["prefix"] for each in line["chain"]], line["resources"][0]["address"]) == (
            ["10.0.0.0/16"],
            "10.0.1.1",
        )
    (line,) = api.get("/api/v1/ip/find", q="2001:DB8:0:0::7").json()["items"]
    assert (line["address"], line["chain"][0]["prefix"]) == ("2001:db8::7/128", "2001:db8::/32")
    assert api.get("/api/v1/ip/find", q="10.0.0.0/16").json()["items"][0]["resources"][0]["use"] == "prefix"
    refused = api.get("/api/v1/ip/find", q="web-1")
    assert (refused.status_code, refused.json()["field"]) == (422, "q")


def test_what_is_stated_twice_or_outside_or_unplanned_is_told(api: Any) -> None:
    for name in ("one", "two"):
        make("prefix", name, prefix="10.0.0.0/24")
        make("ip_address", name, address="10.0.0.5/24")
        make("ip_address", f"vip {name}", address="10.0.0.9/24", address_role="vip")
    make("ip_address", "far", address="192.0.2.1/24")
    make("ip_address", "blue", address="10.0.0.5/24", vrf="blue")
    make("host", "web", address="10.0.0.7")
    found = api.get("/api/v1/ip/troubles").json()["items"]
    assert [(each["trouble"], each["vrf"], each["address"], len(each["resources"])) for each in found] == [
        ("duplicate_prefix", "", "10.0.0.0/24", 2),
        ("duplicate_address", "", "10.0.0.5", 2),
        ("outside", "", "192.0.2.1", 1),
        ("outside", "blue", "10.0.0.5", 1),
        ("unplanned", "", "10.0.0.7", 1),
    ]


def test_of_what_others_own_only_the_count_is_told(api_as: Any) -> None:
    mine, other = (people.create_team(actor=ACTOR, name=name) for name in ("mine", "other"))
    user = people.create_user(actor=ACTOR, username="u", password="correct horse battery", role=None)
    people.set_role(actor=ACTOR, user=user, role=Role.OPERATOR, team=mine)
    lan = actions.create_resource(
        actor=ACTOR, kind="prefix", name="lan", owner=mine, attributes={"prefix": "10.0.0.0/24"}
    )
    actions.create_resource(actor=ACTOR, kind="prefix", name="dc", owner=other, attributes={"prefix": "10.0.0.0/8"})
    actions.create_resource(
        actor=ACTOR, kind="ip_address", name="a", owner=other, attributes={"address": "10.0.0.1/24"}
    )
    seen = api_as(actor_for_user(user))
    (row,) = seen.get("/api/v1/ip/prefixes").json()["items"]
    assert (row["prefix"], row["used"]) == ("10.0.0.0/24", "1")
    assert seen.get(f"/api/v1/ip/prefixes/{lan.pk}/addresses").json()["count"] == 0
    assert seen.get(f"/api/v1/ip/prefixes/{lan.pk}").json()["chain"] == []
    assert seen.get("/api/v1/ip/find", q="10.0.0.1").json()["items"][0]["resources"] == []
    assert seen.post(f"/api/v1/ip/prefixes/{lan.pk}/addresses", {}).json()["address"] == "10.0.0.2/24"


def test_racks_tell_space_and_mount_where_it_fits(api: Any) -> None:
    rack = make("rack", "r1", rack_units=4, power_capacity_watts=1000)
    one, two = make("device", "one", u_height=2, power_draw_watts=250), make("switch", "two")
    url = f"/api/v1/racks/{rack.pk}"
    assert api.get(f"{url}/next-free", height=2).json()["positions"] == [1.0, 2.0, 3.0]
    made = api.post(f"{url}/mounts", {"resource_id": str(one.pk), "position": 2})
    assert (made.status_code, made.json()["position"]) == (201, 2.0)
    assert api.post(f"{url}/mounts", {"resource_id": str(two.pk)}).json()["position"] == 1.0
    refused = api.post(f"{url}/mounts", {"resource_id": str(two.pk), "position": 3})
    assert (refused.status_code, refused.json()["code"]) == (409, "rack.clash")
    found = api.get(url).json()
    assert (found["units_taken"], found["taken_percent"], found["power_percent"]) == (3.0, 75.0, 25.0)
    assert found["free"] == [{"position": 4.0, "height": 1.0}]
    assert [each["name"] for each in found["mounts"]] == ["two", "one"]
    (row,) = api.get("/api/v1/racks", q="R1").json()["items"]
    assert row["units"] == 4
    assert api.post(f"/api/v1/resources/{one.pk}/unmount").status_code == 200
    assert api.get(url).json()["units_taken"] == 1.0
    assert api.get(f"/api/v1/racks/{one.pk}").status_code == 404
