"""Devices over SNMP, against real agents of net-snmp: walks of a switch and a router, and what an agent itself finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integrations import laws
from tests.integrations.snmp.conftest import AUTH, COMMUNITY, PRIV, Agents
from tests.integrations.snmp.walks import ROUTER, SERVER, SWITCH
from tongchou.core.problems import Invalid, NotFound, Unavailable
from tongchou.integrations.snmp import source as module
from tongchou.integrations.snmp.source import SOURCE
from tongchou.inventory import sources
from tongchou.inventory.models import Relation, Resource, SourceConfig
from tongchou.inventory.models_ip import AddressEntry

pytestmark = pytest.mark.django_db
Wait = Callable[[Callable[[], bool]], None]
ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


def configured(agents: Agents, **settings: Any) -> SourceConfig:
    usual = {"ranges": [ONE, TWO, THREE], "port": agents.port, "timeout_seconds": 0.5, "retries": 0}
    return laws.configured("snmp", {**usual, "community_secret": "community", **settings}, name="net")


def ready(agents: Agents, until: Wait, count: int) -> None:
    """Wait for so many agents to answer."""
    config = SourceConfig(name="probe", kind="snmp", settings=configured(agents).settings)

    def answer() -> bool:
        try:
            return sum(each.kind != "interface" for each in sources.look(config).resources) == count
        except Unavailable:
            return False

    until(answer)


@pytest.fixture
def net(agents: Agents, until: Wait) -> Agents:
    for address, walk in ((ONE, SWITCH), (TWO, ROUTER), (THREE, SERVER)):
        agents.start(address, walk)
    ready(agents, until, 3)
    return agents


def test_a_switch_a_router_and_a_server_tell_what_they_are(net: Agents) -> None:
    seen = sources.look(configured(net))
    things = laws.by_name(seen)
    assert seen.complete
    switch = things["switch", "sw1.example.net"]
    assert switch.keys == (
        "serial:foc2444l0aa", "fqdn:sw1.example.net", "lldp:0a:00:00:00:01:00", "bridge:0a:00:00:00:01:00",
    )  # fmt: skip
    assert switch.attributes == {
        "manufacturer": "Cisco Systems, Inc.", "model": "C9300-48P", "serial": "FOC2444L0AA", "firmware": "17.1(2r)",
        "os_version": "17.09.04a", "description": "Cisco IOS Software [Cupertino]", "object_id": "1.3.6.1.4.1.9.1.2494",
        "location": "Hall 2, row C", "management_address": ONE, "ports": 2, "vlans": ["1 default", "10 office"],
    }  # fmt: skip
    assert things["interface", "sw1.example.net Gi1/0/1"].attributes == {
        "mac": "0a:00:00:00:01:01", "enabled": True, "up": True, "mtu": 1500, "speed_mbps": 1000, "vlan": 1,
        "description": "to the router",
    }  # fmt: skip
    assert things["interface", "sw1.example.net Vl10"].attributes["addresses"] == ["10.9.0.2"]
    assert things["interface", "r1 ge-0/0/0"].attributes["addresses"] == ["2001:db8::1"]
    assert things["interface", "r1 ge-0/0/0"].attributes["speed_mbps"] == 10_000
    assert things["host", "web"].keys == (f"snmp:net:{THREE}",)
    assert {name for kind, name in things if kind == "interface"} == {
        "sw1.example.net Gi1/0/1", "sw1.example.net Gi1/0/2", "sw1.example.net Vl10", "r1 ge-0/0/0", "web ens3",
    }  # fmt: skip


def test_it_settles_links_each_pair_once_and_feeds_the_plan_of_addresses(net: Agents) -> None:
    laws.settles(configured(net))
    links = Relation.objects.filter(type="connected_to", valid_to__isnull=True)
    assert [(each.from_resource.name, each.to_resource.name, each.origin, each.confidence) for each in links] == [
        ("sw1.example.net Gi1/0/1", "r1 ge-0/0/0", "observed", 0.9)
    ]
    assert AddressEntry.objects.filter(resource__name="sw1.example.net Vl10", use="seen").exists()
    assert ("sw1.example.net Gi1/0/2", "part_of", "sw1.example.net") in laws.recorded_edges()


def test_a_link_stays_when_one_of_its_ends_is_silent_once(net: Agents, until: Wait) -> None:
    config = configured(net)
    config.missing_after = 3
    config.save()
    sources.run_source(actor=laws.ACTOR, source=config)
    before = laws.recorded_edges()
    for gone, walk in ((ONE, SWITCH), (TWO, ROUTER)):
        net.stop(gone)
        plan = sources.run_source(actor=laws.ACTOR, source=config)
        assert (plan.unseen, plan.gone) == (4 if gone == ONE else 2, [])
        assert laws.recorded_edges() == before
        net.start(gone, walk)
        ready(net, until, 3)
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something


@pytest.mark.parametrize(
    "access",
    [
        {"user": "ops", "auth_secret": "auth", "priv_secret": "priv"},
        {"user": "old", "auth": "SHA", "auth_secret": "auth"},
    ],
)
def test_version_3_tells_the_same(net: Agents, access: dict[str, Any]) -> None:
    of_2c = sources.look(configured(net))
    assert laws.same(of_2c, sources.look(configured(net, version="3", **access)))


def test_an_agent_tells_what_it_finds_of_this_machine(agents: Agents, until: Wait) -> None:
    agents.start(ONE, more="sysName itself.example.org\nsysLocation here")
    ready(agents, until, 1)
    seen = sources.look(configured(agents))
    host = laws.by_name(seen)["host", "itself.example.org"]
    assert host.keys[0] == "fqdn:itself.example.org"
    assert host.attributes["location"] == "here"
    assert seen.complete
    laws.settles(configured(agents))


def test_what_opens_it_is_shown_nowhere(net: Agents, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for version in ({}, {"version": "3", "user": "ops", "auth_secret": "auth", "priv_secret": "priv"}):
        config = configured(net, **version)
        sources.run_source(actor=laws.ACTOR, source=config)
        shown = f"{laws.everything_recorded()}{caplog.text}{module._access(SOURCE.validate(config.settings))!r}"
        assert not any(secret in shown for secret in (COMMUNITY, AUTH, PRIV))
    with pytest.raises(Unavailable) as refusal:
        sources.run_source(actor=laws.ACTOR, source=configured(net, community_secret="wrong"))
    assert "another-passphrase" not in f"{refusal.value!r}{laws.everything_recorded()}"


def test_a_device_that_refuses_makes_the_look_a_part_and_when_all_do_nothing_is_touched(net: Agents) -> None:
    refusing = {"version": "3", "user": "ops", "auth_secret": "wrong", "priv_secret": "priv"}
    with pytest.raises(Unavailable) as refusal:
        sources.look(configured(net, **refusing))
    assert (refusal.value.code, refusal.value.field) == ("snmp.denied", "settings.auth_secret")
    with pytest.raises(Unavailable) as refusal:
        sources.look(configured(net, community_secret="wrong"))
    assert refusal.value.code == "snmp.silent"
    assert refusal.value.remedy


def test_a_device_that_falls_silent_in_the_middle_is_not_half_recorded(
    net: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(net)
    sources.run_source(actor=laws.ACTOR, source=config)
    read = module.session._Device._walk

    async def stops(self: Any, column: Any) -> Any:
        if self.address == TWO and column[-3:] == (1, 1, 18):
            net.stop(TWO)
        return await read(self, column)

    monkeypatch.setattr(module.session._Device, "_walk", stops)
    seen = sources.look(config)
    assert not seen.complete
    assert ("router", "r1") not in laws.by_name(seen)
    plan = sources.apply_sync(actor=laws.ACTOR, source=config, observation=seen)
    assert not plan.changes_something
    assert Resource.objects.get(name="r1").state == "active"


def test_addresses_that_are_silent_cost_the_time_of_one(agents: Agents) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        sources.look(configured(agents, ranges=["127.1.0.0/24"], concurrency=128))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "settings, field",
    [
        ({"ranges": []}, "ranges"),
        ({"ranges": ["10.0.0.0/8"]}, "ranges"),
        ({"ranges": ["169.254.169.254"]}, "ranges"),
        ({"ranges": ["10.0.0.1"]}, "community_secret"),
        ({"ranges": ["10.0.0.1"], "version": "3", "auth_secret": "auth"}, "user"),
        ({"ranges": ["10.0.0.1"], "version": "3", "user": "ops"}, "auth_secret"),
        ({"ranges": ["10.0.0.1"], "version": "1", "community_secret": "community"}, "version"),
        ({"ranges": ["10.0.0.1"], "community_secret": "community", "port": 0}, "port"),
    ],
)
def test_settings_that_will_not_do_are_refused_before_anything_is_asked(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        SOURCE.validate(settings)
    assert refusal.value.field == f"settings.{field}"
    assert refusal.value.remedy


def test_a_secret_that_is_missing_or_too_short_is_told(agents: Agents) -> None:
    with pytest.raises(NotFound):
        sources.look(configured(agents, community_secret="nobody"))
    module.secrets.put(actor=laws.ACTOR, name="short", value="1234567")
    with pytest.raises(Invalid) as refusal:
        sources.look(configured(agents, version="3", user="ops", auth_secret="short"))
    assert refusal.value.field == "settings.auth_secret"
    assert "1234567" not in repr(refusal.value)


def test_without_the_library_the_source_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "session", None)
    with pytest.raises(Unavailable) as refusal:
        SOURCE.fetch(SOURCE.validate({"ranges": ["10.0.0.1"], "community_secret": "community"}), source="net")
    assert refusal.value.code == "snmp.library"
