"""The pages of the IP plan and of racks: what is used and free, taking the next free, mounting what fits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inventory.made import make
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions
from tongchou.inventory.models import Relation, Resource
from tongchou.web import plan_ip, plan_racks
from tongchou.web.templatetags.ui import big

SYSTEM = system("tests")


@pytest.mark.django_db
def test_the_plan_is_a_tree_with_what_is_free_between(browser: Any) -> None:
    top = make("prefix", "dc", prefix="10.0.0.0/16", role="data centre", prefix_status="container")
    make("prefix", "lan", prefix="10.0.1.0/24")
    make("prefix", "six", prefix="2001:db8::/32")
    make("ip_address", "gw", address="10.0.1.1/24")
    page = browser(Role.VIEWER).get("/ip")
    lines = [(each.depth, each.view.cidr if each.view else each.text) for each in page.context["lines"]]
    assert lines == [
        (0, "10.0.0.0/16"),
        (1, "10.0.0.0 – 10.0.0.255"),
        (1, "10.0.1.0/24"),
        (1, "10.0.2.0 – 10.0.255.255"),
        (0, "2001:db8::/32"),
    ]
    text = page.content.decode()
    assert "data centre" in text
    assert "Divide it" not in text  # a viewer takes nothing
    assert "Divide it" in browser(Role.OPERATOR).get("/ip").content.decode()
    assert [each.view.cidr for each in browser(Role.VIEWER).get("/ip?q=data").context["lines"]] == ["10.0.0.0/16"]
    assert "容器" in browser(Role.VIEWER, "zh-hans").get(f"/ip/prefixes/{top.pk}").content.decode()
    found = browser(Role.VIEWER).get("/ip?q=10.0.1.1", follow=True)
    assert [view.cidr for view in found.context["found"][0].chain] == ["10.0.0.0/16", "10.0.1.0/24"]


@pytest.mark.django_db
def test_the_next_free_address_and_prefix_are_taken_and_given_back(browser: Any) -> None:
    lan = make("prefix", "lan", prefix="10.0.1.0/29")
    make("host", "web", address="10.0.1.1")
    client, url = browser(Role.OPERATOR), f"/ip/prefixes/{lan.pk}"
    page = client.get(url)
    assert page.context["next_address"] == "10.0.1.2"
    assert [each["state"] for each in page.context["cells"]] == ["kept", "seen", *["free"] * 5, "kept"]
    page = client.post(url, {"do": "address", "dns_name": "db.example"}, follow=True)
    assert "10.0.1.2/29 is yours." in page.content.decode()
    assert "db.example" in page.content.decode()
    assert client.post(url, {"do": "prefix", "length": "30", "role": "lab"}).status_code == 302
    assert [each.view.cidr for each in client.get(url).context["inside"]] == ["10.0.1.4/30"]
    refused = client.post(url, {"do": "address", "address": "10.0.1.2"})
    assert (refused.status_code, refused.context["problem"].code) == (409, "ip.taken")
    taken = Resource.objects.get(kind="ip_address")
    client.post(url, {"do": "release", "address_id": str(taken.pk)})
    assert client.get(url).context["next_address"] == "10.0.1.2"
    assert browser(Role.VIEWER).post(url, {"do": "address"}).status_code == 403


@pytest.mark.django_db
def test_an_address_is_found_in_any_notation_and_by_the_palette(browser: Any) -> None:
    make("prefix", "lan", prefix="10.0.1.0/24")
    gateway = make("ip_address", "gw", address="10.0.1.1/24")
    client = browser(Role.VIEWER)
    assert "no address and no prefix" in client.get("/ip/find?q=web").content.decode()
    assert "free" in client.get("/ip/find?q=10.0.1.77").content.decode()
    groups = client.get("/search?q=10.0.1.1/255.255.255.0").json()["groups"]
    (mine,) = [each for each in groups if each["title"] == "IP plan"]
    assert mine["items"][0]["url"] == f"/resources/{gateway.pk}"
    assert mine["items"][1]["title"] == "10.0.1.1/32 ⊂ 10.0.1.0/24"


@pytest.mark.django_db
def test_troubles_and_vlans_have_their_pages(browser: Any) -> None:
    client = browser(Role.VIEWER)
    for url in ("/ip", "/ip/troubles", "/ip/vlans", "/ip/find", "/racks"):
        assert client.get(url).status_code == 200  # of nothing
    for name in ("a", "b"):
        make("ip_address", name, address="10.0.1.1/24")
        make("vlan", name, vid=10, group="office")
    make("vlan", "c", vid=11)
    make("prefix", "lan", prefix="10.0.2.0/24", vlan=11)
    rows = client.get("/ip/troubles").context["rows"]
    assert [each["trouble"].sort for each in rows] == ["duplicate_address", "outside", "outside"]
    assert len(client.get("/ip/troubles?sort=outside").context["rows"]) == 2
    groups = client.get("/ip/vlans").context["groups"]
    assert [(group, [each.vid for each in rows]) for group, rows in groups] == [("", [11]), ("office", [10, 10])]
    assert all(each.twice for each in groups[1][1])
    assert [each.name for each in groups[0][1][0].prefixes] == ["lan"]


@pytest.mark.django_db
def test_a_rack_shows_both_faces_and_takes_what_fits(browser: Any) -> None:
    rack = make("rack", "r1", rack_units=4, power_capacity_watts=1000)
    server, panel = make("device", "srv", u_height=2, power_draw_watts=500), make("device", "panel", full_depth=False)
    client, url = browser(Role.OPERATOR), f"/racks/{rack.pk}"
    client.post(url, {"do": "mount", "resource": str(server.pk), "position": "2"})
    client.post(url, {"do": "mount", "resource": str(panel.pk), "face": "rear"})
    page = client.get(url)
    front, rear = (face["slots"] for face in page.context["faces"])
    assert [(slot.start, slot.span, slot.mount.name if slot.mount else None) for slot in front] == [
        (1, 2, None),
        (3, 4, "srv"),
        (7, 2, None),
    ]
    assert [slot.mount.name for slot in rear if slot.mount] == ["srv", "panel"]
    assert [slot.behind for slot in rear if slot.mount] == [True, False]
    refused = client.post(url, {"do": "mount", "resource": str(panel.pk), "position": "3"})
    assert (refused.status_code, refused.context["problem"].code) == (409, "rack.clash")
    assert client.post(url, {"do": "mount", "resource": str(panel.pk), "position": "x"}).status_code == 422
    assert "50" in client.get("/racks").content.decode()
    client.post(url, {"do": "unmount", "resource": str(server.pk)})
    assert not Relation.objects.filter(from_resource=server, valid_to__isnull=True).exists()
    assert browser(Role.VIEWER).post(url, {"do": "mount", "resource": str(server.pk)}).status_code == 403
    assert client.get(f"/racks/{server.pk}").status_code == 404


@pytest.mark.django_db
def test_units_that_count_from_the_top_are_drawn_so(browser: Any) -> None:
    rack, strip = make("rack", "r1", rack_units=2, descending_units=True), make("device", "srv", rack_position=1)
    actions.relate(actor=SYSTEM, from_resource=strip, to_resource=rack, type="mounted_in")
    (front, _rear) = browser(Role.VIEWER).get(f"/racks/{rack.pk}").context["faces"]
    assert [(slot.start, bool(slot.mount)) for slot in front["slots"]] == [(1, True), (3, False)]


def test_counts_of_all_addresses_are_short() -> None:
    assert [big(65_534), big(2**96), big(2**96 - 1)] == ["65,534", "2^96", "≈ 7.92e+28"]


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "kind"), [("/ip", "prefix"), ("/racks", "rack")])
def test_more_than_a_page_is_leafed_through(
    browser: Any, monkeypatch: pytest.MonkeyPatch, address: str, kind: str
) -> None:
    monkeypatch.setattr(plan_ip, "PAGE", 2)
    monkeypatch.setattr(plan_racks, "PAGE", 2)
    for number in range(5):
        make(kind, f"one-{number}", **({"prefix": f"10.{number}.0.0/16"} if kind == "prefix" else {"rack_units": 4}))
    client = browser(Role.VIEWER)

    def shown(query: str) -> list[str]:
        page = client.get(address + query)
        if kind == "prefix":
            return [each.view.row.name for each in page.context["lines"]]
        return [each.row.name for each in page.context["rows"]]

    assert shown("") == shown("?page=x") == ["one-0", "one-1"]
    assert shown("?page=2") == ["one-2", "one-3"]
    assert shown("?page=3") == shown("?page=9") == ["one-4"]
    middle = client.get(f"{address}?q=one&page=2").content.decode()
    assert "q=one&amp;page=1" in middle
    assert "q=one&amp;page=3" in middle


@pytest.mark.django_db
def test_what_is_free_between_is_told_on_every_page(browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for cidr in (
        "10.0.0.0/16",
        "10.0.0.0/24",
        "10.0.2.0/24",
        "10.0.2.64/26",
        "10.0.9.0/24",
        "10.0.9.0/25",
        "10.2.0.0/16",
    ):
        make("prefix", cidr, prefix=cidr)
    client = browser(Role.VIEWER)

    def lines(page: int) -> list[tuple[int, str]]:
        found = client.get(f"/ip?page={page}").context["lines"]
        return [(each.depth, each.view.cidr if each.view else each.text) for each in found]

    whole = lines(1)
    assert whole == [
        (0, "10.0.0.0/16"),
        (1, "10.0.0.0/24"),
        (1, "10.0.1.0 – 10.0.1.255"),
        (1, "10.0.2.0/24"),
        (2, "10.0.2.0 – 10.0.2.63"),
        (2, "10.0.2.64/26"),
        (2, "10.0.2.128 – 10.0.2.255"),
        (1, "10.0.3.0 – 10.0.8.255"),
        (1, "10.0.9.0/24"),
        (2, "10.0.9.0/25"),
        (2, "10.0.9.128 – 10.0.9.255"),
        (1, "10.0.10.0 – 10.0.255.255"),
        (0, "10.2.0.0/16"),
    ]
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(plan_ip, "PAGE", size)
        assert [line for page in range(1, -(-7 // size) + 1) for line in lines(page)] == whole
