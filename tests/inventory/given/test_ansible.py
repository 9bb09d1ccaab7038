"""The documents themselves; that Ansible reads them is in tests/integrations/ansible/test_given.py."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.inventory.given.ansible import UNSAFE, document, plain
from tongchou.inventory.given.gathered import Given, without_secrets

VALUES = st.recursive(
    st.text(max_size=20)
    | st.sampled_from(["{{ lookup('pipe', 'id') }}", "{% for %}", "a{#"])
    | st.integers()
    | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def made(name: str, kind: str = "host", **more: Any) -> Given:
    return Given(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}.{name}{sorted(more)}"), kind, name, "active", **more)


def bare_templates(value: Any) -> list[str]:
    """Every text that Ansible would take for a template: not inside a marked one."""
    if isinstance(value, str):
        return [value] if re.search(r"\{\{|\{%|\{#", value) else []
    if isinstance(value, dict):
        if set(value) == {UNSAFE}:
            return []
        return [found for pair in value.items() for each in pair for found in bare_templates(each)]
    return [found for each in value for found in bare_templates(each)] if isinstance(value, list) else []


def test_groups_are_by_kind_label_site_owner_and_service() -> None:
    found = document(
        [
            made("web-1", labels={"env": "prod"}, site="fra", owner="shop", services=("orders",)),
            made("web-2", labels={"env": "test"}),
        ]
    )
    assert found["kind_host"] == {"hosts": ["web-1", "web-2"]}
    for group in ("label_env_prod", "site_fra", "owner_shop", "service_orders"):
        assert found[group] == {"hosts": ["web-1"]}
    assert set(found["all"]["children"]) == set(found) - {"all", "_meta"} | {"ungrouped"}


def test_values_that_would_be_written_alike_make_two_groups() -> None:
    found = document([made("a", labels={"tier": "a-b"}), made("b", labels={"tier": "a.b"})])
    groups = [name for name in found if name.startswith("label_tier")]
    assert len(groups) == 2
    assert sorted(found[each]["hosts"] for each in groups) == [["a"], ["b"]]


def test_things_of_one_name_are_two_hosts() -> None:
    found = document([made("a", "host"), made("a", "vm")])
    assert len(found["_meta"]["hostvars"]) == 2
    assert {each["tongchou_kind"] for each in found["_meta"]["hostvars"].values()} == {"host", "vm"}


def test_where_a_host_is_comes_from_its_attributes_checked() -> None:
    told = {"ansible_host": "10.0.0.9", "ansible_port": "2222", "ansible_user": "ops", "address": "10.0.0.1"}
    found = document([made("a", attributes=told)])["_meta"]["hostvars"]["a"]
    assert (found["ansible_host"], found["ansible_port"], found["ansible_user"]) == ("10.0.0.9", 2222, "ops")
    wild = {
        "ansible_host": "{{ lookup('pipe', 'id') }}", "ansible_port": 70000, "ansible_user": "a b",
        "ansible_connection": "local", "ansible_ssh_common_args": "-o ProxyCommand=id", "ansible_become_pass": "x",
        "primary_ip": "10.0.0.2/24",
    }  # fmt: skip
    found = document([made("a", attributes=wild)])["_meta"]["hostvars"]["a"]
    assert {name for name in found if name.startswith("ansible_")} == {"ansible_host"}
    assert found["ansible_host"] == "10.0.0.2"
    assert found["tongchou_attributes"] == {"primary_ip": "10.0.0.2/24"}


def test_what_opens_something_is_left_out_at_any_depth() -> None:
    told = {"db_password": "canary", "os": "debian", "api": {"Token": "canary", "list": [{"secretKey": "canary"}, 1]}}
    found = without_secrets(told)
    assert "canary" not in repr(found)
    assert found == {"os": "debian", "api": {"list": [{}, 1]}}


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost", "-o ProxyCommand", "a[0:9]", "{{ x }}", "数据库"])
def test_names_are_made_safe(name: str) -> None:
    found = document([made(name)])
    (host,) = found["_meta"]["hostvars"]
    assert re.fullmatch(r"[\w][\w.-]*", host)
    assert host not in ("all", "ungrouped", "localhost")


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_no_value_is_left_as_a_template(value: Any) -> None:
    found = plain(value)
    assert bare_templates(json.loads(json.dumps(found))) == []


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8)), max_size=6))
@settings(max_examples=40, deadline=None)
def test_every_host_is_in_a_group_for_each_of_its_labels_and_all_names_are_legal(pairs: list[tuple[str, str]]) -> None:
    things = [made(f"h{number}", labels={name: value}) for number, (name, value) in enumerate(pairs)]
    found = document(things)
    for group in set(found) - {"_meta", "all"}:
        assert re.fullmatch(r"\w+", group)
    for number, pair in enumerate(pairs):
        mine = {name for name in found if name.startswith("label_") and f"h{number}" in found[name]["hosts"]}
        assert len(mine) == 1
        assert set(found[mine.pop()]["hosts"]) == {f"h{at}" for at, other in enumerate(pairs) if other == pair}
