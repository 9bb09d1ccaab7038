"""Baselines as values: what is watched, what differs from what is expected, what differs between two hosts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes import baseline

NAMES = st.sampled_from(["/etc/motd", "sshd", "root", "vm.swappiness"])
VALUES = st.one_of(
    st.just("absent"), st.sampled_from(["1", "2"]), st.fixed_dictionaries({"mode": st.sampled_from("ab")})
)
CONTENT = st.dictionaries(st.sampled_from(["files", "sysctl", "packages"]), st.dictionaries(NAMES, VALUES))


@settings(max_examples=80)
@given(CONTENT, CONTENT)
def test_a_host_is_like_itself_and_two_differ_the_same_from_both_sides(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert baseline.differences(one, one) == []
    assert baseline.between(one, one) == []
    there = baseline.between(one, other)
    assert [(path, right, left) for path, left, right in there] == baseline.between(other, one)


def test_only_what_is_expected_is_compared() -> None:
    expected = {
        "files": {"/etc/motd": {"mode": "0644"}, "/gone": "absent", "/there": {"mode": "0600"}},
        "packages": {"nginx": "present", "telnet": "absent", "curl": "7.88"},
        "services": {"ssh.service": {"active": True}},
        "listening": {"tcp/22": True},
    }
    observed = {
        "files": {"/etc/motd": {"mode": "0644", "sha256": "a"}, "/gone": {"mode": "0644"}, "/there": "absent"},
        "packages": {"nginx": "1.2", "telnet": "0.17", "curl": "7.90", "vim": "9"},
        "services": {"ssh.service": {"active": False, "enabled": True}},
        "listening": {"tcp/22": True, "tcp/80": True},
    }
    assert baseline.differences(expected, observed) == [
        ("files /gone", "absent", "present"),
        ("files /there", "present", "absent"),
        ("packages curl", "7.88", "7.90"),
        ("packages telnet", "absent", "0.17"),
        ("services ssh.service active", "yes", "no"),
    ]


def test_of_what_was_collected_only_what_is_watched_is_kept() -> None:
    content = {"files": {"/a": {"mode": "1"}}, "packages": {"nginx": "1", "vim": "9"}, "listening": {"tcp/22": True}}
    watch = {"files": ["/a", "/b"], "packages": ["ng*", "telnet"], "listening": True}
    assert baseline.narrowed(content, watch) == {
        "files": {"/a": {"mode": "1"}, "/b": "absent"},
        "packages": {"nginx": "1", "telnet": "absent"},
        "listening": {"tcp/22": True},
    }


@pytest.mark.parametrize(
    "watch",
    [
        {}, [], {"files": "/etc/motd"}, {"files": ["etc/motd"]}, {"files": ["/etc/../shadow"]}, {"nonsense": ["a"]},
        {"files": ["/{{ lookup('pipe', 'id') }}"]}, {"sysctl": ["-w x=1"]}, {"sysctl": ["a b"]}, {"packages": ["a;b"]},
        {"listening": "yes"}, {"files": [f"/{n}" for n in range(201)]},
    ],
)  # fmt: skip
def test_what_cannot_be_watched(watch: Any) -> None:
    assert baseline.watch_problem(watch)


def test_what_can_be_watched_and_expected() -> None:
    watch = {"files": ["/etc/motd"], "packages": ["*"], "sysctl": ["vm.swappiness"], "listening": True}
    assert baseline.watch_problem(watch) == ""
    assert baseline.content_problem({"files": {"/etc/motd": {"mode": "0644"}}, "packages": {"vim": "absent"}}) == ""
    for wrong in (
        [],
        {"odd": {}},
        {"files": {"/a": {"odd": 1}}},
        {"files": {"/a": "0644"}},
        {"sysctl": {"a": {"b": 1}}},
    ):
        assert baseline.content_problem(wrong)
