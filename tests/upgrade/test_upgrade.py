"""The data folder of each kept release under the present code: everything still works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.served import Served
from tests.slices.test_restore import command
from tests.upgrade.unpacked import LONG, RELEASES, unpack
from tongchou import __version__

pytestmark = pytest.mark.slice


@pytest.fixture(scope="module", params=sorted(RELEASES))
def upgraded(request: Any, tmp_path_factory: Any) -> Iterator[tuple[Served, dict[str, Any]]]:
    data, expected = unpack(request.param, tmp_path_factory.mktemp("upgrade"))
    waiting = command(data, "migrate", "--plan").split()
    assert "core.0002_custom_fields" in waiting
    told = command(data, "migrate")
    assert f"{len(waiting)} migrations" in told
    assert list(data.glob(f"before-{__version__}-*.sqlite3")), "the database was copied first"
    assert "nothing to apply" in command(data, "migrate", "--plan")
    served = Served(data, **LONG).start()
    yield served, expected
    served.stop()


def test_people_tokens_and_passwords_work(upgraded: tuple[Served, dict[str, Any]]) -> None:
    served, expected = upgraded
    assert expected["version"] != __version__
    assert httpx.get(f"{served.url}/healthz", timeout=60).json()["version"] == __version__
    with served.client(expected["token"]) as client:
        assert client.get("/api/v1/me").json()["name"] == "olga"
    with served.client() as client:
        names = sorted(each["username"] for each in client.get("/api/v1/users").json()["items"])
        assert names == expected["users"]
    with httpx.Client(base_url=served.url, follow_redirects=True, timeout=60) as browser:
        page = browser.get("/accounts/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        body = {"login": "vera", "password": expected["password"], "csrfmiddlewaretoken": token.group(1)}
        answer = browser.post("/accounts/login/", data=body, headers={"Referer": served.url})
        assert answer.status_code == 200
        for path in ("/", "/incidents", "/alerts", "/runs", "/resources", "/events", "/procedures", "/logs"):
            answer = browser.get(path)
            assert answer.status_code == 200, path
            assert "/accounts/login" not in str(answer.url), path


def test_what_was_recorded_is_there(upgraded: tuple[Served, dict[str, Any]]) -> None:
    served, expected = upgraded
    with served.client() as client:
        incidents = {each["number"]: each["title"] for each in client.get("/api/v1/incidents").json()["items"]}
        assert incidents[expected["incident"]["number"]] == expected["incident"]["title"]
        run = client.get(f"/api/v1/runs/{expected['run']}").json()
        assert run["procedure"] == expected["procedure"]
        assert client.get(f"/api/v1/rule-files/{expected['rule_file']}").status_code == 200
        served.wait(lambda: client.get("/api/v1/alerts").json()["items"], what="the alert of its rule")
        names = [each["name"] for each in client.get("/api/v1/resources").json()["items"]]
        assert expected["resource"] in names
        assert client.get("/api/v1/ledger/verify").json()["findings"] == []
        secrets = [each["name"] for each in client.get("/api/v1/secrets").json()["items"]]
        assert expected["secret"] in secrets
    script = f"import django; django.setup(); from tongchou.core import secrets; print(secrets.reveal('{expected['secret']}'))"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")}
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, "TONGCHOU_DATA": str(served.data), "DJANGO_SETTINGS_MODULE": "tongchou.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout.strip() == "of no use to anybody", told.stderr


def test_samples_and_lines_are_equal(upgraded: tuple[Served, dict[str, Any]]) -> None:
    served, expected = upgraded
    samples, lines = expected["samples"], expected["lines"]
    with served.client() as client:

        def ask(query: str) -> float:
            given = {"query": query, "time": samples["at"] + 1}
            result = client.get("/prometheus/api/v1/query", params=given).json()["data"]["result"]
            return float(result[0]["value"][1])

        metric = samples["metric"]
        assert ask(f"count({metric})") == samples["series"]
        assert ask(f"sum(count_over_time({metric}[2h]))") == samples["series"] * samples["points"]
        assert ask(f"sum(sum_over_time({metric}[2h]))") == pytest.approx(samples["sum"], rel=1e-9)
        given = {
            "query": f"service:{lines['service']}", "limit": 5000,
            "start": f"{lines['from']}", "end": f"{lines['to']}",
        }  # fmt: skip
        found = client.get("/api/v1/logs", params=given)
        assert found.status_code == 200, found.text
        assert len(found.json()["items"]) == lines["count"]


def test_what_is_new_can_be_written_beside_the_old(upgraded: tuple[Served, dict[str, Any]], tmp_path: Path) -> None:
    served, _expected = upgraded
    with served.client() as client:
        assert client.post("/api/v1/users", json={"username": "newcomer", "role": "viewer"}).status_code == 201
        assert client.post("/api/v1/resources", json={"kind": "service", "name": "new"}).status_code == 201
