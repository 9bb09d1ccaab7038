"""Tasks in a step act on the target alone and in check mode not at all: what could reach further is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.ansible.inline import problems

FINE: list[dict[str, Any]] = [
    {"name": "install", "apt": {"name": "nginx", "state": "present"}, "become": True, "notify": ...},
    {"ansible.builtin.copy": {"content": "{{ text }}", "dest": "/etc/x", "mode": "0644"}, "when": "x is defined"},
    {"copy": {"src": "/etc/a", "dest": "/etc/b", "remote_src": True}},
    {"command": "psql -c 'query'", "register": "out", "changed_when": "'1' in out.stdout", "check_mode": True},
    {"shell": "echo {{ item }}", "loop": ["a", "b"], "environment": {"X": "1"}},
    {"file": {"src": "/a", "dest": "/b", "state": "link"}},
    {"block": [{"ping": None}], "rescue": [{"debug": {"msg": "{{ ansible_failed_result.msg }}"}}], "become": True},
    {"systemd": "name=nginx state=restarted"},
    {"shell": "python3 -c 'import os; print({{ n }})'"},
    {"stat": {"path": "/etc/a"}, "register": "found", "failed_when": "not found.stat.exists"},
    {"debug": {"msg": "{{ found | selectattr('stat.exists') | list }} is a file"}},
    {"uri": {"url": "http://x", "method": "POST", "body": {"a": 1}, "body_format": "json"}},
    {"name": "query the database", "debug": {"msg": "x"}},
]
for each in FINE:
    each.pop("notify", None)


@pytest.mark.parametrize("task", FINE)
def test_ordinary_tasks_are_fine(task: dict[str, Any]) -> None:
    assert problems([task]) == []


@pytest.mark.parametrize(
    "task",
    [
        {"copy": {"src": "/data/keys/secrets.key", "dest": "/tmp/x"}},
        {"copy": {"src": "/data/keys/secrets.key", "dest": "/tmp/x", "remote_src": "{{ false }}"}},
        {"copy": "src=/data/keys/secrets.key dest=/tmp/x"},
        {"copy": {"dest": "/tmp/x"}, "args": {"src": "/data/keys/secrets.key"}},
        {"copy": "{{ {'src': '/data/keys/secrets.key'} }}"},
        {"file": {"path": "/x"}, "args": "{{ {} }}"},
        {"uri": {"url": "http://x", "src": "/data/keys/secrets.key"}},
        {"template": {"src": "/etc/passwd", "dest": "/tmp/x"}},
        {"script": "/tmp/x"},
        {"fetch": {"src": "/etc/shadow", "dest": "/tmp/x"}},
        {"include_vars": "/data/keys/x"},
        {"include_tasks": "/tmp/x.yml"},
        {"import_role": {"name": "x"}},
        {"add_host": {"name": "other"}},
        {"set_fact": {"x": 1}},
        {"local_action": "command id"},
        {"ansible.builtin.unarchive": {"src": "x"}},
        {"community.general.anything": {}},
        {"command": "id", "delegate_to": "localhost"},
        {"command": "id", "connection": "local"},
        {"command": "id", "check_mode": False},
        {"command": "id", "check_mode": "{{ false }}"},
        {"command": "id", "with_pipe": "id"},
        {"command": "id", "with_file": "/etc/passwd"},
        {"command": "id", "vars": {"ansible_connection": "local"}},
        {"command": "id", "vars": {"x": {"ansible_host": "127.0.0.1"}}},
        {"command": "id", "vars": {"{{ 'ansible_' ~ 'connection' }}": "local"}},
        {"command": "id", "register": "ansible_connection"},
        {"debug": {"msg": "{{ lookup('file', '/data/keys/secrets.key') }}"}},
        {"debug": {"msg": "{{ query('pipe', 'id') }}"}},
        {"debug": {"msg": "{{ q  ('pipe', 'id') }}"}},
        {"debug": {"msg": "{% set l = lookup %}{{ l('pipe', 'id') }}"}},
        {"debug": {"msg": "{%- include 'x' %}"}},
        {"debug": {"msg": "{{ '/etc/*' | fileglob }}"}},
        {"debug": {"var": "lookup('pipe', 'id')"}},
        {"assert": {"that": ["lookup('pipe', 'id')"]}},
        {"command": "id", "when": "lookup('pipe', 'id')"},
        {"command": "id", "until": "(lookup)('pipe', 'id')"},
        {"command": "id", "loop": "{{ query('lines', 'id') }}"},
        {"debug": None, "args": {"var": "(lookup)('pipe', 'id')"}},
        {"assert": None, "args": {"that": ["(lookup)('pipe', 'id')"]}},
        {"ansible.legacy.debug": {"var": "(lookup)('pipe', 'id')"}},
        {"ansible.builtin.assert": {"that": "(lookup)('pipe', 'id')"}},
        {
            "debug": {
                "msg": "#jinja2:variable_start_string:'[%', variable_end_string:'%]'\n[% (lookup)('pipe', 'id') %]"
            }
        },
        {"debug": {"msg": "{{ ansible_become_password | reverse }}"}},
        {"debug": {"var": "vars"}},
        {"debug": {"msg": "{{ hostvars | to_json | b64encode }}"}},
        {"debug": {"msg": "{{ '/data/keys/*' | fileglob }}"}},
        {"debug": {"msg": "{{ '$HOME' | expandvars }}"}},
        {"command": "id", "when": "'/data/keys/secrets.key' is exists"},
        {"command": "id", "when": "'/data/keys' is not ansible.builtin.directory"},
        {"debug": {"msg": "{{ ['/data/keys'] | select('exists') }}"}},
        {"uri": {"url": "http://x", "body_format": "form-multipart", "body": {"f": {"filename": "/data/keys/x"}}}},
        {"uri": {"url": "http://x", "body_format": "{{ 'form-multipart' }}"}},
        {"block": [{"command": "id", "delegate_to": "x"}]},
        {"block": [{"command": "id"}], "delegate_to": "x"},
        {"command": "id", "shell": "id"},
        {"name": "nothing"},
        "command: id",
        {"block": []},
    ],
)
def test_what_reaches_further_is_refused(task: Any) -> None:
    assert problems([task]) != []
    assert task == {"block": []} or problems([{"block": [{"ping": None}, task]}]) != []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    )
)
def test_anything_is_judged_and_nothing_raises(value: Any) -> None:
    assert all(isinstance(each, str) and each for each in problems(value))
    assert all(isinstance(each, str) for each in problems([{"debug": value, "vars": value, "args": value}]))
