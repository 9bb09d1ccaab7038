"""`tongchou inventory` against the API itself: what it prints where, and its exit codes."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from django.test import Client
from typer.testing import CliRunner, Result

from tests.conftest import make_user
from tongchou.cli.main import app
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions

SYSTEM = system("tests")


@pytest.fixture(autouse=True)
def _server(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API in place of the network."""
    inside = Client(raise_request_exception=True)

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {name: request.headers[name] for name in ("Authorization", "Accept-Language")}
        found = inside.get(request.url.raw_path.decode(), headers=headers)
        return httpx.Response(found.status_code, content=found.content, headers={"Content-Type": found["Content-Type"]})

    whole = httpx.Client

    def client(**more: Any) -> httpx.Client:
        return whole(transport=httpx.MockTransport(answer), **more)

    monkeypatch.setattr(httpx, "Client", client)
    actions.create_resource(
        actor=SYSTEM, kind="host", name="web-1.example.org", labels={"env": "prod"}, attributes={"ip": "10.0.0.1"}
    )
    actions.create_resource(actor=SYSTEM, kind="host", name="db-1.example.org", attributes={"ip": "10.0.0.2"})


def token() -> str:
    user = make_user("cli", Role.VIEWER)
    return tokens.create(actor=SYSTEM, user=user, name="cli", scopes=["read"], expires_at=None)[1]


def run(*arguments: str, token: str = "", language: str = "en_GB.UTF-8") -> Result:
    environment = {"TONGCHOU_TOKEN": token, "LC_ALL": language}
    return CliRunner().invoke(app, ["inventory", *arguments], env=environment)


def test_ansible_calls_it_with_list_or_host() -> None:
    key = token()
    listed = json.loads(run("ansible", "--list", token=key).stdout)
    assert listed["kind_host"]["hosts"] == ["db-1.example.org", "web-1.example.org"]
    host = json.loads(run("ansible", "--host", "db-1.example.org", token=key).stdout)
    assert host == listed["_meta"]["hostvars"]["db-1.example.org"]
    assert json.loads(run("ansible", "--host", "nobody", token=key).stdout) == {}


def test_texts_are_printed_as_they_are() -> None:
    key = token()
    assert "10.0.0.1\tweb-1.example.org\n" in run("hosts", "--label", "env=prod", token=key).stdout
    assert "db-1" not in run("hosts", "--label", "env=prod", token=key).stdout
    assert "host-record=db-1.example.org,10.0.0.2,3600\n" in run("dnsmasq", token=key).stdout
    assert "web-1 IN A 10.0.0.1\n" in run("zone", "example.org", token=key).stdout
    assert "1.0.0 IN PTR web-1.example.org.\n" in run("zone", "10.in-addr.arpa", token=key).stdout
    assert run("netbox", token=key).stdout.startswith("name,role,manufacturer,")


def test_a_refusal_goes_to_stderr_with_its_remedy() -> None:
    refused = run("zone", "not a zone", token=token())
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "This is no name of a zone." in refused.stderr
    assert "example.org" in refused.stderr
    nobody = run("hosts")
    assert nobody.exit_code == 2
    assert "TONGCHOU_TOKEN" in nobody.stderr
    assert "令牌" in run("hosts", language="zh_CN.UTF-8").stderr
