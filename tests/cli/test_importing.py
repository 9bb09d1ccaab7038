"""`tongchou import` against the API itself: what it prints where, its exit codes, and that it does what it showed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client
from typer.testing import CliRunner, Result

from tests.conftest import make_user
from tongchou.cli.main import app
from tongchou.core import tokens
from tongchou.core.access import system
from tongchou.core.models import Role, Team, User
from tongchou.core.models_lists import Batch
from tongchou.inventory.models import Resource

SYSTEM = system("tests")


@pytest.fixture(autouse=True)
def _server(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API in place of the network."""
    inside = Client(raise_request_exception=True)

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        headers = {name: request.headers[name] for name in ("Authorization", "Accept-Language")}
        content_type = request.headers["Content-Type"]
        found = inside.generic(request.method, path, request.content, content_type=content_type, headers=headers)
        return httpx.Response(found.status_code, content=found.content, headers={"Content-Type": found["Content-Type"]})

    whole = httpx.Client

    def client(**more: Any) -> httpx.Client:
        return whole(transport=httpx.MockTransport(answer), **more)

    monkeypatch.setattr(httpx, "Client", client)


def token_of(role: Role, *scopes: str) -> str:
    user = make_user(f"cli-{role.value}", role)
    _row, token = tokens.create(actor=SYSTEM, user=user, name="cli", scopes=list(scopes) or ["all"], expires_at=None)
    return token


def run(*arguments: object, token: str = "", language: str = "en_GB.UTF-8") -> Result:
    environment = {"TONGCHOU_TOKEN": token, "LC_ALL": language}
    return CliRunner().invoke(app, ["import", *map(str, arguments)], env=environment)


def written(folder: Path, text: str, name: str = "file.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_dry_run_says_what_would_be_done_and_the_same_file_does_it(tmp_path: Path) -> None:
    file, token = written(tmp_path, "name,junk\nshop,1\n运维,2\n", encoding="gb18030"), token_of(Role.ADMIN)
    told = run("core.team", file, "--dry-run", token=token)
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("to create 2 (")
    assert "columns left out: junk" in told.stdout
    assert "row " not in told.stderr
    assert not Team.objects.exists()
    told = run("core.team", file, "--encoding", "gb18030", "--json", token=token)
    assert told.exit_code == 0, told.output
    batch = json.loads(told.stdout)
    assert (batch["state"], batch["counts"]["done"]) == ("done", 2)
    assert set(Team.objects.values_list("name", flat=True)) == {"shop", "运维"}
    told = run("core.team", file, token=token)
    assert (told.exit_code, "unchanged 2" in told.stdout) == (0, True)


def test_wrong_rows_are_told_on_stderr_by_number_and_nothing_is_written(tmp_path: Path) -> None:
    file, token = written(tmp_path, "username,role\ngood,viewer\nbad,king\n"), token_of(Role.ADMIN)
    for arguments in ((), ("--dry-run",), ("--json",)):
        told = run("core.user", file, *arguments, token=token)
        assert told.exit_code == 1, told.output
        assert "row 3: role = 'king': There is no role king. Use one of: " in told.stderr
        assert not User.objects.filter(username="good").exists()
        if arguments == ("--json",):
            assert json.loads(told.stdout)["errors"][0]["row"] == 3
    assert "没有名为 king 的角色" in run("core.user", file, token=token, language="zh_CN.UTF-8").stderr
    told = run("core.user", file, "--leave-out", token=token)
    assert (told.exit_code, "nothing was written" in told.stderr) == (1, True)
    assert not User.objects.filter(username="good").exists()


def test_resources_may_leave_refused_rows_out(tmp_path: Path) -> None:
    file, token = written(tmp_path, "kind,name\nhost,a\nhost,\n"), token_of(Role.OPERATOR, "write")
    assert run("inventory.resource", file, token=token).exit_code == 1
    assert not Resource.objects.exists()
    told = run("inventory.resource", file, "--leave-out", token=token)
    assert told.exit_code == 1
    assert "row 3: name" in told.stderr
    assert Resource.objects.get().name == "a"


def test_a_proxy_of_the_environment_is_not_asked_for_the_own_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, inner = [], httpx.Client

    def client(**more: Any) -> httpx.Client:
        seen.append(more["trust_env"])
        return inner(**more)

    monkeypatch.setattr(httpx, "Client", client)
    file, token = written(tmp_path, "kind,name\nhost,a\n"), token_of(Role.OPERATOR)
    assert run("inventory.resource", file, "--dry-run", token=token).exit_code == 0
    assert run("inventory.resource", file, "--dry-run", "--url", "http://elsewhere:8420", token=token).exit_code == 0
    assert seen == [False, True]


def test_what_the_server_does_not_take_is_exit_code_two(tmp_path: Path) -> None:
    token = token_of(Role.VIEWER)
    file = written(tmp_path, "name\nshop\n")
    refused = run("core.team", file, token=token)
    assert (refused.exit_code, "may not do access.manage" in refused.stderr) == (2, True)
    assert run("core.team", file).exit_code == 2
    assert "TONGCHOU_TOKEN" in run("core.team", file).stderr
    assert run("core.team", tmp_path / "none.csv", token=token).exit_code == 2
    assert "core.user" in run("core.nonsense", file, token=token).stderr
    assert run("core.team", written(tmp_path, "x", "x.exe"), token=token).exit_code == 2
    assert run("core.team", file, token="tc_wrong").exit_code == 2
    assert not Batch.objects.exists()
