"""Baselines in use: looked at, taken from a golden host, drift and its end; pages and API in both languages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.changes.playing import TESTS, Player, install
from tests.conftest import make_user
from tests.web.conftest import browser  # noqa: F401  # a fixture
from tongchou.changes import baseline_actions, baseline_reads
from tongchou.changes.baseline_actions import Draft
from tongchou.changes.models_baselines import Baseline, Snapshot
from tongchou.changes.models_drift import Drift
from tongchou.core import jobs, people
from tongchou.core.access import actor_for_user
from tongchou.core.models import Membership, Role
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db(transaction=True)
WATCH = {"files": ["/etc/motd"], "sysctl": ["vm.swappiness"]}
GOOD = {"files": {"/etc/motd": {"mode": "0644", "sha256": "a" * 64}}, "sysctl": {"vm.swappiness": "10"}}
BAD = {"files": {"/etc/motd": {"mode": "0666", "sha256": "a" * 64}}, "sysctl": {"vm.swappiness": "10"}}


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Player:
    player = install(monkeypatch)
    monkeypatch.setattr(baseline_actions, "playbooks", lambda: player)
    player.looks = {"w-1": GOOD, "w-2": BAD}
    return player


def made(**said: Any) -> Baseline:
    for number in (1, 2):
        if not Resource.objects.filter(name=f"w-{number}").exists():
            inventory.create_resource(actor=TESTS, kind="host", name=f"w-{number}")
    draft = Draft(**{"hosts": "kind=host", "watch": WATCH, "drift_after": 1, **said})
    return baseline_actions.put(actor=TESTS, name="web", draft=draft, owner=None)


def looked(row: Baseline) -> Baseline:
    baseline_actions.ask_look(actor=TESTS, row=row)
    jobs.run_due()
    row.refresh_from_db()
    return row


def golden(name: str = "w-1") -> Resource:
    return Resource.objects.get(name=name)


def test_taken_from_a_golden_host_the_others_are_compared_with_it(player: Player) -> None:
    row = looked(made())
    assert not Drift.objects.exists()
    with pytest.raises(NotFound):
        baseline_actions.take(actor=TESTS, row=row, resource_id=row.pk)
    row = baseline_actions.take(actor=TESTS, row=row, resource_id=golden().pk)
    assert (row.expected, row.taken_from) == (GOOD, golden())
    assert [each.differences for each in baseline_reads.hosts(row)] == [[], [("files /etc/motd mode", "0644", "0666")]]
    left, right, found = baseline_reads.between(row, golden().pk, golden("w-2").pk)
    assert (left.resource.name, right.resource.name) == ("w-1", "w-2")
    assert found == [("files /etc/motd mode", "0644", "0666")]
    looked(row)
    item = Drift.objects.get()
    assert (item.state, item.resource, item.path) == ("open", golden("w-2"), "files /etc/motd mode")
    player.looks.pop("w-2")
    looked(row)
    item.refresh_from_db()
    assert (item.state, Snapshot.objects.get(resource=golden("w-2")).problem) == ("open", "refused")
    player.looks["w-2"] = GOOD
    looked(row)
    item.refresh_from_db()
    assert item.state == "cleared"


def test_looks_are_made_when_their_time_has_come(player: Player) -> None:
    made(check_every_seconds=300)
    assert baseline_actions.look_due() == 0
    Baseline.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))
    assert baseline_actions.look_due() == 1
    jobs.run_due()
    assert Snapshot.objects.count() == 2


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("watch", {"watch": {"files": ["relative"]}}),
        ("expected", {"expected": {"odd": {}}}),
        ("showable", {"showable": ("motd",)}),
        ("hosts", {"hosts": ""}),
        ("check_every_seconds", {"check_every_seconds": 5}),
        ("drift_after", {"drift_after": 0}),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(player: Player, field: str, said: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        made(**said)
    assert refused.value.field == field


def test_out_of_use_nothing_is_looked_at_and_a_stale_change_is_refused(player: Player) -> None:
    row = made()
    baseline_actions.retire(actor=TESTS, row=row)
    row.refresh_from_db()
    with pytest.raises(Conflict):
        baseline_actions.ask_look(actor=TESTS, row=row)
    with pytest.raises(Conflict):
        baseline_actions.put(actor=TESTS, name="web", draft=Draft("kind=host", WATCH), owner=None, version=9)


def test_a_team_has_its_own(player: Player) -> None:
    team = people.create_team(actor=TESTS, name="ours")
    user = make_user("member", None)
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    actor = actor_for_user(user)
    made()
    mine = baseline_actions.put(actor=actor, name="ours", draft=Draft("kind=host", WATCH), owner=team)
    assert list(baseline_reads.visible(actor)) == [mine]
    with pytest.raises(AccessDenied):
        baseline_actions.put(actor=actor, name="web", draft=Draft("kind=host", WATCH), owner=team)


def test_the_pages(browser: Any, player: Player) -> None:  # noqa: F811  # pytest's way
    person = browser(Role.OPERATOR)
    assert "No baseline yet" in person.get(reverse("web:baselines")).content.decode()
    form = {"name": "web", "hosts": "kind=host", "watch": "files: [/etc/motd]", "check_every_seconds": "0"}
    form |= {"drift_after": "1", "tolerance_seconds": "0", "expected": "", "showable": ""}
    made()
    assert person.post(reverse("web:baseline-new"), {**form, "name": "b", "watch": "- a"}).status_code == 422
    assert person.post(reverse("web:baseline-new"), {**form, "name": "b"}).status_code == 302
    act = reverse("web:baseline-act", args=["web", "look"])
    assert person.post(act).status_code == 302
    jobs.run_due()
    take = reverse("web:baseline-act", args=["web", "take"])
    assert person.post(take, {"resource": str(golden().pk)}).status_code == 302
    assert browser(Role.VIEWER).post(take, {"resource": str(golden().pk)}).status_code == 403
    page = person.get(reverse("web:baseline", args=["web"])).content.decode()
    assert "files /etc/motd mode" in page
    pair = f"?one={golden().pk}&other={golden('w-2').pk}"
    assert "0666" in person.get(reverse("web:baseline", args=["web"]) + pair).content.decode()
    assert "基线" in browser(Role.VIEWER, "zh-hans").get(reverse("web:baseline", args=["web"]) + pair).content.decode()
    edit = {**form, "title": "Web", "version": str(Baseline.objects.get(name="web").version)}
    assert person.post(reverse("web:baseline-edit", args=["web"]), edit).status_code == 302
    assert person.post(reverse("web:baseline-act", args=["web", "retire"])).status_code == 302


def test_the_api(api: Any, player: Player) -> None:
    made()
    said = {"hosts": "kind=host", "watch": WATCH, "drift_after": 1}
    assert api.put("/api/v1/baselines/web", {**said, "watch": {"odd": []}}).json()["code"] == "baseline.watch"
    assert api.put("/api/v1/baselines/web", said).json()["version"] == 2
    assert api.post("/api/v1/baselines/web/look", {}).status_code == 202
    jobs.run_due()
    taken = api.post("/api/v1/baselines/web/golden", {"resource_id": str(golden().pk)}).json()
    assert taken["expected"] == GOOD
    first, second = api.get("/api/v1/baselines/web/hosts").json()["items"]
    assert (first["differences"], second["differences"][0]["observed"]) == ([], "0666")
    other = api.get("/api/v1/baselines/web/compare", one=str(golden().pk), other=str(golden("w-2").pk)).json()
    assert other["differences"] == [{"path": "files /etc/motd mode", "one": "0644", "other": "0666"}]
    assert api.get("/api/v1/baselines").json()["count"] == 1
    assert api.delete("/api/v1/baselines/web").status_code == 204
