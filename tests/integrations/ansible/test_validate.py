"""What a completed step lacks is said before anybody approves it; where it goes is part of what is approved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.translation import override

from tests.integrations.ansible.conftest import Ansible
from tongchou.integrations.ansible import launch
from tongchou.integrations.ansible.runner import ANSIBLE_STEP

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0aHIbQh1XgQyV4ZrWkrR5d7QfpwGkBR0Q8u5y2wAbc"
WEB = {"name": "web-1", "ansible_host": "10.0.0.7", "ansible_user": "ops", "host_key": f"{KEY} ops@web"}
PING = {"tasks": [{"ping": None}], "ssh_key": "${secret.k}"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(launch, "installed", lambda: True)
    with override("en"):
        yield


def test_where_it_goes_comes_from_the_target() -> None:
    assert Ansible(WEB).step(**PING)["inventory"] == {
        "name": "web-1",
        "address": "10.0.0.7",
        "port": 22,
        "connection": "ssh",
        "user": "ops",
        "host_key": KEY,
    }
    assert Ansible({"name": "db:9100"}).step(**PING)["inventory"]["name"] == "db_9100"
    assert Ansible(WEB).problems(**PING) == []


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"ansible_host": "{{ lookup('pipe','id') }}"}, "ansible_host"),
        ({"ansible_host": "-oProxyCommand=id"}, "ansible_host"),
        ({"ansible_user": "-oProxyCommand=id"}, "ansible_user"),
        ({"ansible_user": "a b"}, "ansible_user"),
        ({"ansible_port": "22x"}, "ansible_port"),
        ({"ansible_port": 70000}, "ansible_port"),
        ({"ansible_connection": "docker"}, "ansible_connection"),
        ({"ansible_connection": "local"}, "ansible.local"),
        ({"ansible_python_interpreter": "id;"}, "ansible_python_interpreter"),
        ({"host_key": "* ssh-rsa"}, "host_key"),
        ({"host_key": ""}, "accept_new"),
    ],
)
def test_an_attribute_is_never_an_option_or_a_template(attributes: dict[str, Any], says: str) -> None:
    problems = Ansible({**WEB, **attributes}).problems(**PING)
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"ssh_key": "${secret.k}"}, "either"),
        ({**PING, "playbook": "x.yml"}, "either"),
        ({"tasks": [{"ping": None}]}, "ssh_key"),
        ({**PING, "tasks": [{"script": "x"}]}, "script"),
        ({**PING, "extra_vars": {"ansible_connection": "local"}}, "ansible_connection"),
        ({**PING, "groups": ["a b"]}, "a b"),
        ({"playbook": "x.yml", "ssh_key": "${secret.k}"}, "ansible.project"),
    ],
)
def test_what_is_wrong_is_said(step: dict[str, Any], says: str) -> None:
    assert any(says in problem for problem in Ansible(WEB).problems(**step))


def test_without_a_target_there_is_nothing_to_act_on() -> None:
    assert any("target" in problem for problem in Ansible({}).problems(**PING))


def test_only_what_says_so_is_repeated_or_harmless() -> None:
    assert (ANSIBLE_STEP.alters({}), ANSIBLE_STEP.repeatable({})) == (True, False)
    assert ANSIBLE_STEP.repeatable({"idempotent": True})
    assert (ANSIBLE_STEP.alters({"check_only": True}), ANSIBLE_STEP.repeatable({"check_only": True})) == (False, True)
