"""A playbook project against real hosts: shown, run in batches, found as drift; killed in the middle of a batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.ansible.conftest import put_setting
from tests.integrations.ansible.namespaces import Hosts, hosts  # noqa: F401  # a fixture
from tests.runbooks.test_kill import Worker, until
from tongchou.changes import playbook_actions
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_playbooks import Playbook, PlaybookCheck, PlaybookHost
from tongchou.changes.playbook_actions import Draft
from tongchou.core import approvals, jobs, ledger, secrets
from tongchou.core.access import Actor, system
from tongchou.core.models import Approval, Event
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runs
from tongchou.runbooks.models import Run

pytestmark = pytest.mark.django_db(transaction=True)
TESTS = system("tests")
TOKEN = "canary-5f2c-token"
GREET = """
- hosts: all
  gather_facts: false
  tasks:
    - {name: greet, copy: {content: "hello from {{ tongchou_name }}, {{ token }}\\n", dest: /srv/motd}}
"""
SLOW = """
- hosts: all
  gather_facts: false
  tasks:
    - {name: note, shell: "echo x >> /srv/log"}
    - {name: slow, shell: "[ -e /srv/fast ] || sleep 300"}
"""


def made(hosts: Hosts, folder: Path, text: str, *names: str, **said: Any) -> Playbook:  # noqa: F811  # pytest's way
    """A project of these hosts: its folder in an allowed root, its secrets, execution allowed."""
    folder.mkdir(parents=True)
    (folder / "site.yml").write_text(text)
    hosts.record(*names)
    secrets.put(actor=TESTS, name="deploy-key", value=(hosts.folder / "user").read_text())
    secrets.put(actor=TESTS, name="app-token", value=TOKEN)
    put_setting("ansible.project_roots", [str(folder.parent)])
    put_setting("execution.enabled", True)
    put_setting("execution.targets", ["kind=host"])
    draft = Draft(
        str(folder), "site.yml", "kind=host", extra_vars={"token": "${secret.app-token}"}, ssh_key="deploy-key",
        batches=(1, "100%"), forks=10, **said,
    )  # fmt: skip
    return playbook_actions.put(actor=TESTS, name="site", draft=draft, owner=None)


def checked(project: Playbook, *, drift: bool = False) -> PlaybookCheck:
    check = playbook_actions.ask_check(actor=TESTS, row=project, drift=drift)
    jobs.run_due()
    check.refresh_from_db()
    assert check.state == "done", check.problem
    return check


def states(rows: Any) -> dict[str, str]:
    return dict(rows.values_list("name", "state"))


def asked(check: PlaybookCheck, actor: Actor) -> Run:
    run = playbook_actions.request_run(actor=actor, check_id=check.pk, reason="new motd")
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == "awaiting_approval", run.outcome
    return run


def approve(run: Run, actor: Actor) -> None:
    approvals.approve(actor=actor, approval=Approval.objects.get(pk=run.approval_id))


@pytest.mark.parametrize(
    "names", [("web-1", "web-2"), pytest.param(("web-1", "web-2", "web-3"), marks=pytest.mark.soak)]
)
def test_shown_run_in_batches_found_as_drift_and_gone(
    names: tuple[str, ...],
    tools: None,
    hosts: Hosts,  # noqa: F811  # pytest's way
    tmp_path: Path,
    operator_actor: Actor,
    approver_actor: Actor,
) -> None:
    long = len(names) > 2
    project = made(hosts, tmp_path / "projects" / "site", GREET, *names, drift_after=2 if long else 1)
    check = checked(project)
    assert set(states(check.hosts).values()) == {"changed"}
    plan = check.hosts.get(name="web-2")
    assert "+hello from web-2" in plan.diff
    assert TOKEN not in str([check.setup, plan.diff, plan.tasks])
    assert hosts.sh("web-1", "ls /srv") == ""

    run = asked(check, operator_actor)
    approve(run, approver_actor)
    jobs.run_due()
    run.refresh_from_db()
    assert run.state == "succeeded", run.outcome
    assert [step.name for step in run.steps.order_by("position")] == ["batch 1", "batch 2"]
    assert states(PlaybookHost.objects.filter(run=run)) == dict.fromkeys(names, "changed")
    assert hosts.sh("web-2", "cat /srv/motd") == f"hello from web-2, {TOKEN}\n"
    (event,) = ledger.events(about=ref(Resource.objects.get(name="web-2")), verbs=["playbook.host_changed"])
    assert (event.payload["changed"], event.payload["project"]) == (1, "site")
    assert TOKEN not in str(list(Event.objects.values_list("payload", flat=True)))

    hosts.sh("web-2", "echo by hand > /srv/motd")
    if long:
        checked(project, drift=True)
        assert not Drift.objects.filter(state="open").exists()
    found = checked(project, drift=True)
    assert states(found.hosts) == {name: "changed" if name == "web-2" else "ok" for name in names}
    row = Drift.objects.get(state="open")
    assert (row.resource, row.path) == (Resource.objects.get(name="web-2"), "/srv/motd")
    assert (row.expected, row.observed) == ("hello from web-2, ••••\n", "by hand\n")
    if long:
        hosts.sh("web-2", f"echo 'hello from web-2, {TOKEN}' > /srv/motd")
        checked(project, drift=True)
        row.refresh_from_db()
        assert row.state == "cleared"


@pytest.mark.soak
def test_killed_in_the_middle_of_a_batch_it_asks_and_no_finished_host_is_run_again(
    tools: None,
    hosts: Hosts,  # noqa: F811  # pytest's way
    tmp_path: Path,
    settings: Any,
    operator_actor: Actor,
    approver_actor: Actor,
) -> None:
    settings.DATA = Path(os.environ["TONGCHOU_DATA"])  # where the worker has its keys, too
    project = made(hosts, tmp_path / "projects" / "site", SLOW, "web-1", "web-2", "web-3", timeout_seconds=600)
    hosts.sh("web-1", "touch /srv/fast")
    check = checked(project)
    PlaybookHost.objects.filter(of_check=check).update(state="changed")  # a command shows nothing in check mode
    kept = {row.name: {"state": row.state, "diff": row.diff} for row in check.hosts.all()}
    digest = playbook_actions.playbook.content_hash(check.setup, kept)
    PlaybookCheck.objects.filter(pk=check.pk).update(content_sha256=digest)
    run = asked(check, operator_actor)
    metrics = tmp_path / "metrics.json"
    metrics.write_text("{}")
    with Worker(metrics) as worker:
        worker.start()
        approve(run, approver_actor)
        until(lambda: "x" in hosts.sh("web-3", "cat /srv/log 2>/dev/null || true"))
        worker.kill()
        assert states(PlaybookHost.objects.filter(run=run)) == {
            "web-1": "changed",
            "web-2": "running",
            "web-3": "running",
        }
        Run.objects.filter(pk=run.pk).update(claimed_until=None)  # what the end of its node does
        worker.start()
        until(lambda: Run.objects.get(pk=run.pk).state == "waiting")
        until(lambda: states(PlaybookHost.objects.filter(run=run))["web-2"] == "cut_off")
        for name in ("web-2", "web-3"):
            hosts.sh(name, "touch /srv/fast")
        runs.answer(actor=operator_actor, run=run, position=1, answer="repeat")
        until(lambda: Run.objects.get(pk=run.pk).state == "succeeded")
    assert states(PlaybookHost.objects.filter(run=run)) == dict.fromkeys(("web-1", "web-2", "web-3"), "changed")
    assert hosts.sh("web-1", "cat /srv/log").split() == ["x"]
    assert hosts.sh("web-2", "cat /srv/log").split() == ["x", "x"]
