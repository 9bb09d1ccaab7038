from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import http
from tongchou.core.problems import Invalid
from tongchou.integrations.snmp import source as snmp
from tongchou.integrations.sweep import source as sweep
from tongchou.inventory import ranges
from tongchou.inventory.sources import source_kinds


def refused(listed: list[str], most: int = 1024) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        ranges.addresses(listed, most=most)
    assert refusal.value.remedy
    return refusal.value


def test_addresses_come_once_in_order_without_network_and_broadcast() -> None:
    assert ranges.addresses(["10.0.0.9", "10.0.0.0/30", "10.0.0.2/31", "2001:db8::/127"], most=100) == [
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "2001:db8::", "2001:db8::1",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(24, 32)), min_size=1, max_size=5))
def test_nothing_is_asked_that_no_range_lists(found: list[tuple[int, int]]) -> None:
    networks = [ip_network((start, length), strict=False) for start, length in found]
    try:
        asked = ranges.addresses([str(each) for each in networks], most=2000)
    except Invalid:  # one of them reaches this host, or nobody
        assert any(http.refusal("", each) for network in networks for each in network)
        return
    assert asked
    assert all(any(ip_address(each) in network for network in networks) for each in asked)


@pytest.mark.parametrize(
    "listed", [[], ["10.0.0.0/8"], ["10.0.0.0/22", "10.1.0.0/32"], ["::/0"], ["here"], ["10.0.0.1-9"]]
)
def test_what_is_no_range_and_what_is_too_wide_is_refused_before_it_is_counted_out(listed: list[str]) -> None:
    assert refused(listed).field.startswith("settings.ranges")


@pytest.mark.parametrize("one", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "100.100.100.200", "224.0.0.1",
                                 "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"])  # fmt: skip
def test_this_host_and_metadata_are_asked_only_where_the_environment_lists_them(one: str, settings: Any) -> None:
    assert refused(["10.0.0.1", one]).value == str(ip_address(one))
    settings.HTTP_ALLOW = [one]
    assert ranges.addresses([one], most=1) == [str(ip_address(one))]
    settings.HTTP_DENY = [one]
    assert refused([one]).code == "ranges.refused"


@pytest.mark.parametrize("kind, most", [("snmp", snmp.MAX_ADDRESSES), ("sweep", sweep.MAX_ADDRESSES)])
def test_the_form_states_the_limit_in_the_readers_language(kind: str, most: int) -> None:
    text = source_kinds()[kind].settings_schema["properties"]["ranges"]["description"]
    with override("en"):
        english = str(text)
    with override("zh-hans"):
        assert str(text) != english
        assert f"{most:,}" in str(text)
    assert f"{most:,}" in english
