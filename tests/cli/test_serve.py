from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.served import Served

pytestmark = pytest.mark.slice


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """From nothing, as on the first day; the test may stop it."""
    one = Served(tmp_path / "data", prepared=False)
    yield one.start()
    if one.process is not None and one.process.poll() is None:
        one.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For those that only ask."""
    one = Served(tmp_path_factory.mktemp("serve") / "data", prepared=False)
    yield one.start()
    one.stop()


def test_it_serves_shows_login_and_token_once_and_stops_cleanly(served: Served) -> None:
    assert httpx.get(f"{served.url}/healthz", timeout=30).json()["status"] == "ok"
    assert httpx.get(f"{served.url}/readyz", timeout=30).json() == {"status": "ok", "failing": {}}
    shown = re.search(r"(tc_\S+)", served.log.read_text())
    assert shown
    with served.client(shown.group(1)) as client:
        assert client.get("/api/v1/me").json()["role"] == "admin"
    assert served.stop() == 0
    served.start()
    assert served.log.read_text().count("Shown once") == 1, "the password is shown at the first start only"


def test_files_of_the_data_folder_are_for_its_owner_only(running: Served) -> None:
    for path in [running.data, *(running.data / "keys").iterdir(), running.data.with_name("data.token")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_second_server_on_the_same_folder_refuses_and_says_why(running: Served) -> None:
    second = Served(running.data)
    second.log = running.data.with_name("second.log")
    process = second.spawn()
    assert process.wait(60) == 1
    told = second.log.read_text()
    assert "in use by another server" in told
    assert "TONGCHOU_DATA" in told
    assert httpx.get(f"{running.url}/healthz", timeout=30).status_code == 200, "the first one goes on"


def test_its_own_metrics_are_prometheus_text(running: Served) -> None:
    answer = httpx.get(f"{running.url}/metrics", timeout=30)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "process_resident_memory_bytes" in answer.text
    for line in answer.text.splitlines():
        assert re.match(r"^(# |[a-z_:0-9]+(\{[^}]*\})? [-+0-9.eEinfNa]+$)", line, re.IGNORECASE), line


def test_a_client_cannot_write_its_own_address(running: Served) -> None:
    assert httpx.get(f"{running.url}/metrics", timeout=30, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    with httpx.Client(base_url=running.url, timeout=30) as client:
        client.get("/accounts/login/")
        codes = []
        for turn in range(8):
            headers = {"X-Forwarded-For": f"192.0.2.{turn}", "X-CSRFToken": client.cookies["csrftoken"]}
            body = {"login": "admin", "password": "wrong-91"}
            codes.append(client.post("/accounts/login/", data=body, headers=headers).status_code)
    assert codes == [200] * 7 + [429], "each guess counts for the one address they all come from"


def test_after_kill_9_nothing_acknowledged_is_lost(served: Served) -> None:
    for round_ in range(3):
        with served.client() as client:
            made = [
                client.post("/api/v1/users", json={"username": f"u{round_}-{i}", "role": "viewer"}).json()["username"]
                for i in range(10)
            ]
        served.kill()
        served.start()
        with served.client() as client:
            found = {each["username"] for each in client.get("/api/v1/users", params={"limit": 500}).json()["items"]}
            verbs = [
                each["payload"]["username"]
                for each in client.get("/api/v1/events", params={"verb": "user.created", "limit": 500}).json()["items"]
            ]
        assert set(made) <= found
        assert set(made) <= set(verbs)
        assert len(verbs) == len(set(verbs))


def test_the_api_docs_load_nothing_from_elsewhere(running: Served) -> None:
    assert httpx.get(f"{running.url}/api/v1/docs", timeout=30).status_code in (302, 401)
    with running.client() as client:
        page = client.get("/api/v1/docs").raise_for_status().text
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//", page) == []
        assert client.get("/api/v1/openapi.json").json()["info"]["title"].startswith("Tongchou")
