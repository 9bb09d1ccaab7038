"""The pages and the API of build servers: added, tested, switched off, removed; the token goes in and never comes out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integrations.jenkins.conftest import TOKEN, jenkins  # noqa: F401  # a fixture
from tests.integrations.jenkins.stub import Jenkins
from tongchou.changes.models_builds import BuildServer
from tongchou.core.models import Role

pytestmark = pytest.mark.django_db
PAGE = "/deployments/build-servers"


def test_a_server_is_added_tested_switched_off_and_removed(browser: Any, jenkins: Jenkins) -> None:  # noqa: F811  # pytest's way
    client = browser(Role.ADMIN)
    assert "No build server yet" in client.get(PAGE).content.decode()
    form = {"name": "ci", "url": jenkins.url, "user": "ops", "token": TOKEN, "sender": "jenkins"}
    assert client.post(PAGE, form).headers["Location"] == f"{PAGE}/ci"
    tested = client.post(f"{PAGE}/ci/test", follow=True).content.decode()
    assert "2.516.3" in tested
    assert "Ops Robot" in tested
    for page in (PAGE, f"{PAGE}/ci"):
        assert TOKEN not in client.get(page).content.decode()
    assert client.post(PAGE, form).status_code == 409
    client.post(f"{PAGE}/ci", {"url": jenkins.url, "user": "ops", "sender": ""})
    row = BuildServer.objects.get()
    assert (row.enabled, row.sender, row.version) == (False, None, "2.516.3")
    client.post(f"{PAGE}/ci/remove")
    assert not BuildServer.objects.exists()


def test_what_goes_wrong_is_said_on_the_page(browser: Any, jenkins: Jenkins) -> None:  # noqa: F811  # pytest's way
    client = browser(Role.ADMIN)
    refused = client.post(PAGE, {"name": "ci", "url": "ftp://x"})
    assert refused.status_code == 422
    assert 'value="ftp://x"' in refused.content.decode()
    client.post(PAGE, {"name": "ci", "url": jenkins.url, "user": "ops", "token": "wrong"})
    page = client.post(f"{PAGE}/ci/test")
    assert "401" in page.content.decode()
    assert BuildServer.objects.get().failing_since is not None
    jenkins.no_jenkins = True
    jenkins.users["ops"] = "wrong"
    assert "X-Jenkins" in client.post(f"{PAGE}/ci/test").content.decode()


def test_others_look_and_change_nothing(browser: Any, jenkins: Jenkins) -> None:  # noqa: F811  # pytest's way
    browser(Role.ADMIN).post(PAGE, {"name": "ci", "url": jenkins.url})
    viewer = browser(Role.VIEWER)
    assert "ci" in viewer.get(PAGE).content.decode()
    assert "API token" not in viewer.get(f"{PAGE}/ci").content.decode()
    for address in (PAGE, f"{PAGE}/ci", f"{PAGE}/ci/test", f"{PAGE}/ci/remove"):
        assert viewer.post(address, {"name": "x", "url": jenkins.url}).status_code == 403


def test_the_api(api: Any, jenkins: Jenkins) -> None:  # noqa: F811  # pytest's way
    base = "/api/v1/build-servers"
    made = api.put(f"{base}/ci", {"url": jenkins.url, "user": "ops", "token": TOKEN})
    assert made.status_code == 200
    assert TOKEN not in made.content.decode()
    assert api.post(f"{base}/ci/test", {}).json() | {"detail": "", "remedy": ""} == {
        "answers": True, "version": "2.516.3", "known_as": "Ops Robot", "detail": "", "remedy": "",
    }  # fmt: skip
    (row,) = api.get(base).json()["items"]
    assert (row["version"], row["known_as"], row["sender"]) == ("2.516.3", "Ops Robot", None)
    moved = api.put(f"{base}/ci", {"url": "http://elsewhere.example"})
    assert (moved.status_code, moved.json()["code"]) == (422, "build_server.token")
    jenkins.stop()
    down = api.post(f"{base}/ci/test", {})
    assert (down.status_code, down.json()["answers"], "connect" in down.json()["detail"]) == (200, False, True)
    assert api.delete(f"{base}/ci").status_code == 204
    assert api.get(f"{base}/ci").status_code == 404
