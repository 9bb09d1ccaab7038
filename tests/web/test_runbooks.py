"""The pages of runs: what a run would change, how its steps hang together, the transcript, and the emergency stop."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import make_user
from tests.runbooks.conftest import make_resource
from tests.runbooks.declared import Declared
from tongchou.core import approvals, jobs, registry, secrets, settings_store
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Approval, Membership, Role, Team
from tongchou.core.people import create_user
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions, observe
from tongchou.runbooks.models import Run

TESTS = system("tests")
TEXT = """
name: apply
title: {en: Apply the playbook, zh: 应用 playbook}
grade: reversible
lock: web
rate_limit: {runs: 9, per: 1h}
batch: {size: 2, parallel: true}
max_targets: 3
parameters:
  forks: {type: integer, min: 1, max: 9, default: 3, unit: forks}
  tags: {type: list, default: [web]}
  where: {type: resource, kind: host, required: false}
steps:
  - name: apply
    when: {query: up, is: empty}
    play: {play: web.yml, password: "${secret.control}"}
    retry: {times: 2, wait_seconds: 0}
    on_failure:
      - {name: back, play: {play: back.yml}}
  - name: both
    parallel:
      left: [{name: l, play: {play: left.yml}}]
      right: [{name: r, play: {play: right.yml}}]
"""


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Declared:
    """A kind of step that shows what it would change."""
    found = Declared()
    ports = (*registry._ports(), found)
    monkeypatch.setattr(registry, "_ports", lambda: ports)
    monkeypatch.setattr(observe.reads, "instant_vector", lambda _query, _at=None: [])
    settings.HTTP_ALLOW = ["127.0.0.1"]
    return found


@pytest.fixture
def prepared(db: None, declared: Declared) -> Run:
    """A run that waits for its approval, with its previews."""
    make_resource("web-1", kind="host")
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    secrets.put(actor=TESTS, name="control", value="hunter2-hunter2")
    row = actions.put_procedure(actor=TESTS, name="apply", text=TEXT)
    asker = actor_for_user(make_user("asker", Role.OPERATOR))
    run = actions.request_run(actor=asker, procedure=row, params={}, targets=["web-1"])
    jobs.run_due()
    return run


def page(client: Any, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return str(answer.content.decode())


def test_the_form_has_a_field_for_each_type_with_its_unit_and_limits(browser: Any, prepared: Run) -> None:
    client = browser(Role.OPERATOR)
    text = page(client, "/procedures/apply")
    assert 'type="number" step="1" min="1" max="9"' in text
    assert "forks" in text
    assert '<textarea class="textarea" id="param-tags"' in text
    given = {"targets": "web-1", "param-forks": "4", "param-tags": "a\nb", "param-where": "web-1"}
    plan = client.post("/procedures/apply/plan", given).content.decode()
    assert "shows what it would change before the approval" in plan
    client.post("/procedures/apply/plan", {**given, "param-where": "nobody"})
    refused = client.post("/procedures/apply/plan", {**given, "param-where": "nobody"}).content.decode()
    assert "nobody" in refused


def test_what_a_run_would_change_is_on_the_page_of_the_approval_and_of_the_run(browser: Any, prepared: Run) -> None:
    client = browser(Role.APPROVER)
    for path in (f"/approvals?id={Approval.objects.get().pk}", f"/runs/{prepared.pk}"):
        text = page(client, path)
        assert '<span class="add">+b</span>' in text
        assert '<span class="del">-a</span>' in text
        assert "hunter2" not in text


def test_history_and_transcript_tell_how_a_run_ended(browser: Any, prepared: Run, approver_actor: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "No run has ended yet" in page(client, "/procedures/apply")
    approvals.approve(actor=approver_actor, approval=Approval.objects.get())
    Run.objects.filter(pk=prepared.pk).update(state="running", started_at=prepared.created_at)
    actions.cancel(actor=TESTS, run=Run.objects.get())
    Run.objects.filter(pk=prepared.pk).update(state="succeeded", finished_at=prepared.created_at)
    text = page(client, "/procedures/apply")
    assert "100 %" in text
    assert "asker" in text
    answer = client.get(f"/runs/{prepared.pk}/transcript")
    assert answer["Content-Disposition"].startswith('attachment; filename="apply-')
    transcript = answer.content.decode()
    assert "run.previewed" in transcript
    assert "| +b" in transcript
    assert client.get(f"/runs/{prepared.pk}/transcript?format=json").json()["run"]["procedure"] == "apply"


def test_the_emergency_stop_is_a_button_a_banner_and_an_act_of_an_approver(browser: Any, prepared: Run) -> None:
    operator = browser(Role.OPERATOR)
    assert 'name="do" value="stop"' in page(operator, "/runs")
    assert operator.post("/execution", {"do": "stop", "reason": "smoke in the rack"}).status_code == 302
    text = page(operator, "/")
    assert "smoke in the rack" in text
    assert 'value="lift"' not in text
    assert operator.post("/execution", {"do": "lift"}).status_code == 403
    approver = browser(Role.APPROVER)
    assert 'value="lift"' in page(approver, "/runs")
    assert approver.post("/execution", {"do": "lift"}).status_code == 302
    assert "smoke in the rack" not in page(approver, "/resources")


def test_a_lock_of_a_run_one_may_not_see_is_another_runs(browser: Any, declared: Declared) -> None:
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    own = Team.objects.create(name="own")
    user = create_user(actor=TESTS, username="teamster", password="correct horse battery", role=None)
    Membership.objects.create(user=user, team=own, role=Role.OPERATOR)
    text = "{name: l, title: Secretive, grade: reversible, lock: shared, steps: [{name: a, ask: {question: 'ok?'}}]}"
    row = actions.put_procedure(actor=TESTS, name="l", text=text)
    runs = []
    for name, owner in (("theirs", None), ("ours", own)):
        resource = make_resource(name)
        Resource.objects.filter(pk=resource.pk).update(owner=owner)
        runs.append(actions.request_run(actor=TESTS, procedure=row, params={}, targets=[name]))
    Run.objects.filter(pk=runs[0].pk).update(state="running")
    Run.objects.filter(pk=runs[1].pk).update(state="queued")
    page = browser(Role.OPERATOR).get(f"/runs/{runs[1].pk}").content.decode()
    assert f"/runs/{runs[0].pk}" in page
    page = browser(user).get(f"/runs/{runs[1].pk}").content.decode()
    assert "which another run has" in page
    assert str(runs[0].pk) not in page


def test_who_tries_a_run_again_is_told_whether_others_are_asked_first(
    browser: Any, prepared: Run, approver_actor: Any
) -> None:
    client = browser(Role.OPERATOR)
    approvals.approve(actor=approver_actor, approval=Approval.objects.get())
    Run.objects.filter(pk=prepared.pk).update(state="failed", finished_at=prepared.created_at)
    assert "others are asked first" not in page(client, f"/runs/{prepared.pk}")
    approvals.end(actor=TESTS, rows=Approval.objects.all(), because="CHG-1")
    assert "others are asked first" in page(client, f"/runs/{prepared.pk}")
