"""The pages and the API of Ansible projects: made, checked, asked for, followed; in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from tests.changes.playing import TESTS, Player, install, project
from tongchou.changes import playbook_actions
from tongchou.changes.models_playbooks import Playbook, PlaybookCheck
from tongchou.core import jobs
from tongchou.core.models import Role
from tongchou.runbooks.models import Run

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {
    "name": "mine", "folder": "/srv/projects/site", "playbook": "site.yml", "hosts": "kind=host", "batches": "1, 50%",
    "max_fail_percent": "0", "forks": "5", "timeout_seconds": "900", "check_every_seconds": "0", "drift_after": "2",
    "tolerance_seconds": "0", "extra_vars": "a: 1",
}  # fmt: skip


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    return install(monkeypatch)


def test_made_checked_and_asked_for(browser: Any, player: Player) -> None:
    project(2, name="other")
    person = browser(Role.OPERATOR)
    assert person.post(reverse("web:playbook-new"), {**FORM, "batches": "none"}).status_code == 422
    assert person.post(reverse("web:playbook-new"), {**FORM, "extra_vars": "- a"}).status_code == 422
    assert person.post(reverse("web:playbook-new"), FORM).status_code == 302
    row = Playbook.objects.get(name="mine")
    assert (row.batches, row.extra_vars) == ([1, "50%"], {"a": 1})
    edited = {**FORM, "title": "Mine", "version": str(row.version)}
    assert person.post(reverse("web:playbook-edit", args=["mine"]), edited).status_code == 302
    assert "Mine" in person.get(reverse("web:playbooks")).content.decode()
    player.wrong = {"w-2": "<i>there</i>"}
    answer = person.post(reverse("web:playbook-act", args=["mine", "check"]))
    jobs.run_due()
    plan = person.get(answer["Location"]).content.decode()
    assert "1 host would change" in plan
    assert "-&lt;i&gt;there" in plan
    assert "会改变" in browser(Role.VIEWER, "zh-hans").get(answer["Location"]).content.decode()
    asked = person.post(answer["Location"], {"reason": "because"})
    run = Run.objects.get()
    assert asked["Location"] == reverse("web:playbook-run", args=[run.pk])
    assert "w-2" in person.get(asked["Location"] + "?part=live").content.decode()
    assert "mine" in person.get(reverse("web:playbook", args=["mine"])).content.decode()
    assert person.post(reverse("web:playbook-act", args=["mine", "retire"])).status_code == 302
    assert person.post(reverse("web:playbook-act", args=["mine", "check"])).status_code == 409


def test_an_empty_list_says_what_to_do_and_a_viewer_makes_nothing(browser: Any, player: Player) -> None:
    viewer = browser(Role.VIEWER)
    assert "No Ansible project yet" in viewer.get(reverse("web:playbooks")).content.decode()
    assert viewer.post(reverse("web:playbook-new"), FORM).status_code == 403


def test_the_api_from_project_to_run(api: Any, player: Player) -> None:
    project(2, name="other")
    said = {"folder": "/srv/projects/site", "playbook": "site.yml", "hosts": "kind=host", "batches": [1, "50%"]}
    assert api.put("/api/v1/playbooks/mine", {**said, "folder": "/etc"}).json()["code"] == "playbook.outside"
    made = api.put("/api/v1/playbooks/mine", said).json()
    assert (made["batches"], made["owner"], made["retired"]) == ([1, "50%"], None, False)
    assert api.get("/api/v1/playbooks").json()["count"] == 2
    player.wrong = {"w-1": "a"}
    check = api.post("/api/v1/playbooks/mine/checks", {}).json()
    jobs.run_due()
    found = api.get(f"/api/v1/playbook-checks/{check['id']}").json()
    assert [(each["name"], each["state"]) for each in found["hosts"]] == [("w-1", "changed"), ("w-2", "ok")]
    assert set(found["inventory"]["_meta"]["hostvars"]) == {"w-1", "w-2"}
    assert api.get("/api/v1/playbooks/mine/checks").json()["count"] == 1
    run = api.post(f"/api/v1/playbook-checks/{check['id']}/run", {"reason": "because"})
    assert run.status_code == 201
    hosts = api.get(f"/api/v1/playbook-runs/{run.json()['run']}/hosts").json()["items"]
    assert [(each["name"], each["batch"], each["state"]) for each in hosts] == [("w-1", 1, "waiting")]
    assert api.delete("/api/v1/playbooks/mine").status_code == 204
    assert api.get("/api/v1/playbooks/mine").json()["retired"] is True


def test_old_checks_go(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playbook_actions, "KEPT_CHECKS", 2)
    row = project(1)
    for _turn in range(4):
        playbook_actions.ask_check(actor=TESTS, row=row)
        jobs.run_due()
    assert PlaybookCheck.objects.count() == 2


def test_a_viewer_asks_for_no_run(browser: Any, player: Player) -> None:
    player.wrong = {"w-1": "a"}
    check = playbook_actions.ask_check(actor=TESTS, row=project(1))
    jobs.run_due()
    url = reverse("web:playbook-check", args=[check.pk])
    viewer = browser(Role.VIEWER)
    assert "Ask for this run" not in viewer.get(url).content.decode()
    assert viewer.post(url, {"reason": "because"}).status_code == 403
    assert not Run.objects.exists()
