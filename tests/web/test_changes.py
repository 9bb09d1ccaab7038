"""Pages of changes: the form, the way of one change, its calendar, the catalogue; refusals are told on the page."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests.changes.test_control import GOOD
from tests.conftest import make_user
from tongchou.changes import catalogue_actions, control, control_reads
from tongchou.changes.draft import Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeTemplate
from tongchou.core import approvals, people, secrets, settings_store
from tongchou.core.access import system
from tongchou.core.models import Approval, Membership, Role
from tongchou.inventory import actions as inventory
from tongchou.inventory.models import Resource
from tongchou.runbooks import actions as runbooks
from tongchou.runbooks.models import Run

pytestmark = pytest.mark.django_db
TESTS = system("tests")


def form(**more: Any) -> dict[str, Any]:
    now = timezone.localtime(timezone=ZoneInfo("Asia/Shanghai"))  # as people are made
    return {
        "title": "New <kernel>",
        "kind": "normal",
        "resources": "host/web-1",
        "starts_at": (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M"),
        "ends_at": (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"),
        "task-title": ["drain it", "reboot"],
        "backout": "boot the old one",
        "verification": "uname -r",
        "quiet": "on",
        **{f"answer-{name}": answer for name, answer in GOOD.items()},
        **more,
    }


def task(title: str, procedure: str = "", targets: str = "", params: str = "") -> dict[str, list[str]]:
    """The only row of a form."""
    row = {"title": title, "procedure": procedure, "targets": targets, "params": params}
    return {f"task-{name}": [value] for name, value in row.items()}


def agreed(change: Change) -> None:
    """Approved by the platform's own hand, as another person would."""
    change.refresh_from_db()
    row = Approval.objects.get(pk=change.approval_id)
    approvals._decide(row, approvals.ApprovalState.APPROVED, TESTS, "")
    control.decided(approval=row)


def test_from_the_form_to_the_review(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    assert "No change stands in this queue" in client.get("/changes").content.decode()
    assert client.post("/changes/new", form()).status_code == 302
    row = Change.objects.get()
    page = client.get("/changes/1").content.decode()
    assert "New &lt;kernel&gt;" in page
    assert "Not worked out yet." in page
    for act in ("assess", "ask"):
        client.post(f"/changes/1/{act}")
    agreed(row)
    assert "What it says is what was agreed on." in client.get("/changes/1").content.decode()
    client.post("/changes/1/begin")
    told = client.post("/changes/1/finish", follow=True).content.decode()
    assert "Task 1 is not done: drain it." in told
    client.post("/changes/1/task-done", {"position": "1"})
    client.post("/changes/1/task-done", {"position": "2", "state": "skipped", "note": "was up to date"})
    client.post("/changes/1/finish")
    client.post("/changes/1/close", {"outcome": "successful"})
    row.refresh_from_db()
    assert (row.state, row.outcome) == ("closed", "successful")
    assert "CHG-1" in client.get("/changes?state=closed").content.decode()


def test_what_is_missing_is_named_as_the_form_calls_it(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(backout="", **{"answer-tested": ""}))
    page = client.get("/changes/1").content.decode()
    assert '<a class="btn small primary" href="/changes/1/edit">' in page
    told = client.post("/changes/1/ask", follow=True).content.decode()
    assert "This is missing: the way back, Was it tried somewhere else before?" in told


def test_the_moving_part_brings_the_state_in_the_heading_and_its_button(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form())
    moving = client.get("/changes/1?part=live").content.decode()
    assert 'id="change-state" hx-swap-oob="true"' in moving
    assert "/changes/1/edit" in moving.split('id="change-tools" hx-swap-oob="true"')[1]
    page = client.get("/changes/1").content.decode()
    assert "hx-swap-oob" not in page
    assert 'hx-trigger="ledger from:body' in page


def test_a_procedure_is_run_on_what_a_change_touches_in_the_order_of_names(browser: Any) -> None:
    for kind, name in (("host", "web-3"), ("host", "web-1"), ("service", "web-1"), ("host", "web-2")):
        inventory.create_resource(actor=TESTS, kind=kind, name=name)
    steps = "steps:\n  - {name: look, read: {query: up}}\n"
    runbooks.put_procedure(
        actor=TESTS, name="look", text="name: look\ntitle: Look\ngrade: read\nmax_targets: 9\n" + steps
    )
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(resources="host/web-3\nhost/web-1\nhost/web-2", **task("look", "look")))
    row = Change.objects.get()
    client.post("/changes/1/ask")
    agreed(row)
    client.post("/changes/1/begin")
    client.post("/changes/1/task-run", {"position": "1"})
    assert [(each["kind"], each["name"]) for each in Run.objects.get().targets] == [
        ("host", "web-1"),
        ("host", "web-2"),
        ("host", "web-3"),
    ]


def test_a_mistake_keeps_what_was_written(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    page = client.post("/changes/new", form(resources="host/gone"))
    assert page.status_code == 422
    assert "boot the old one" in page.content.decode()
    assert "host/gone" in page.content.decode()
    page = client.post("/changes/new", form(resources="", starts_at="tomorrow"))
    assert page.status_code == 422
    assert not Change.objects.exists()


def test_what_it_says_is_edited_and_shown_as_it_was(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(because="incidents.incident:1"))
    first = Change.objects.get()
    page = client.get("/changes/1/edit").content.decode()
    assert "host/web-1" in page
    assert re.findall(r'name="task-title" maxlength="200" value="([^"]+)"', page) == ["drain it", "reboot"]
    assert client.post("/changes/1/edit", form(title="Newer", because="incidents.incident:1")).status_code == 302
    again = Change.objects.get()
    assert (again.title, again.starts_at, again.answers) == ("Newer", first.starts_at, first.answers)


DRAIN = """name: drain
title: Drain
grade: read
max_targets: 9
parameters:
  how: {type: choice, choices: [gently, at once]}
  release: {type: string, required: false}
  wait: {type: integer, default: 5}
steps:
  - {name: look, read: {query: up}}
"""


def inputs(page: str) -> dict[str, list[str]]:
    """What the rows of tasks hold, as a browser would send it back."""
    page = page.partition('<template id="task-template">')[0]
    areas = {
        name: [html.unescape(each) for each in re.findall(rf'name="task-{name}"[^>]*>([^<]*)</textarea>', page)]
        for name in ("targets", "params")
    }
    selects = re.findall(r'name="task-procedure"[^>]*>(.*?)</select>', page, re.DOTALL)
    return {
        "task-title": [html.unescape(each) for each in re.findall(r'name="task-title"[^>]*? value="(.*?)"', page)],
        "task-procedure": ["".join(re.findall(r"<option selected>(.*?)</option>", each)) for each in selects],
        "task-targets": areas["targets"],
        "task-params": areas["params"],
    }


def drained(title: str = "drain") -> TaskDraft:
    return TaskDraft(title, "drain", {"how": "at once", "release": "1.10"}, ("host/web-1", "web, two"))


def test_a_task_keeps_its_parameters_and_targets_when_something_else_is_edited(browser: Any) -> None:
    runbooks.put_procedure(actor=TESTS, name="drain", text=DRAIN)
    row = control.create(actor=TESTS, draft=Draft(title="Kernel", tasks=[TaskDraft("by hand"), drained()]))
    client = browser(Role.OPERATOR)
    there = inputs(client.get("/changes/1/edit").content.decode())
    assert client.post("/changes/1/edit", {"title": "New kernel", "kind": "normal", **there}).status_code == 302
    tasks = [(each.title, each.params, each.targets) for each in row.tasks.order_by("position")]
    assert tasks == [
        ("by hand", {}, []),
        ("drain", {"how": "at once", "release": "1.10"}, ["host/web-1", "web, two"]),
    ]


def test_an_entry_of_the_catalogue_that_is_saved_as_it_was_stays_agreed_on(browser: Any) -> None:
    runbooks.put_procedure(actor=TESTS, name="drain", text=DRAIN)
    said = {"name": "drain", "title": "Drain", "backout": "none", "kinds": [], "team": None, "description": ""}
    limits = {"max_resources": 3, "max_minutes": 30, "verification": "", "backout_procedure": ""}
    entry = catalogue_actions.put_template(actor=TESTS, **said, **limits, tasks=[drained()], covers_runs=True)
    before = control_reads.hash_of_template(entry)
    client = browser(Role.OPERATOR)
    there = inputs(client.get("/changes/catalogue/drain").content.decode())
    post = {"title": "Drain", "backout": "none", "max_resources": "3", "max_minutes": "30", "covers_runs": "on"}
    assert client.post("/changes/catalogue/drain", {**post, **there}).status_code == 302
    entry.refresh_from_db()
    assert entry.tasks == [drained().as_json()]
    assert control_reads.hash_of_template(entry) == before


def test_tasks_are_written_with_parameters_and_targets_in_the_order_of_the_rows(browser: Any) -> None:
    runbooks.put_procedure(actor=TESTS, name="drain", text=DRAIN)
    for name in ("web-1", "web-2"):
        inventory.create_resource(actor=TESTS, kind="host", name=name)
    rows = {
        "task-title": ["", "drain the second", "", "look"],
        "task-procedure": ["", "drain", "", ""],
        "task-targets": ["", "web-2\n web-1 \n", "", ""],
        "task-params": ["", "how: gently\nwait: 7", "", ""],
    }
    assert browser(Role.OPERATOR).post("/changes/new", form(**rows)).status_code == 302
    first, second = Change.objects.get().tasks.order_by("position")
    assert (first.params, first.targets, second.title) == ({"how": "gently", "wait": 7}, ["web-2", "web-1"], "look")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ("", "The parameter how is missing."),
        ("how: now", "The parameter how does not fit"),
        ("how: gently\nspeed: 3", "The procedure has no parameter speed."),
        ("how: gently\nrelease: 1.10", "put in quotes"),
        ("how", "Parameters are a mapping."),
        ("how: [", "This is no YAML."),
    ],
)
def test_a_parameter_that_does_not_fit_is_named_with_its_row_and_nothing_written_is_lost(
    browser: Any, params: str, says: str
) -> None:
    runbooks.put_procedure(actor=TESTS, name="drain", text=DRAIN)
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    rows = {"task-title": ["look", "<drain>"], "task-procedure": ["", "drain"], "task-params": ["", params]}
    answer = browser(Role.OPERATOR).post("/changes/new", form(**rows))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert says in page
    assert "<code>tasks[1].params</code>" in page
    assert re.search(r'id="task-1-params"[^>]*aria-invalid="true"', page)
    there = inputs(page)
    assert (there["task-title"][:2], there["task-params"][1]) == (["look", "<drain>"], params)
    assert not Change.objects.exists()


def test_parameters_without_a_procedure_are_refused(browser: Any) -> None:
    page = browser(Role.OPERATOR).post("/changes/new", form(resources="", **task("look", params="how: gently")))
    assert page.status_code == 422
    assert "<code>tasks[0].procedure</code>" in page.content.decode()


def test_the_page_shows_what_a_task_is_run_with_and_on_and_no_secret(browser: Any) -> None:
    takes = "  how: {type: choice, choices: [gently, at once]}\n"
    text = DRAIN.replace(takes, takes + "  api_token: {type: string, default: none}\n")
    runbooks.put_procedure(actor=TESTS, name="drain", text=text)
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    params = {"how": "at once", "api_token": "s3cret"}
    task = TaskDraft("drain", "drain", params, ("web-1",))
    control.create(actor=TESTS, draft=Draft(title="Kernel", tasks=[task]))
    page = browser(Role.VIEWER).get("/changes/1").content.decode()
    assert "how=<b>at once</b>" in page
    assert re.search(r'<span class="sr-only">Target </span>web-1<', page)
    assert "s3cret" not in page
    assert "/changes/1/runs/1" not in page  # asks the metrics: who may request runs


def test_what_a_run_would_do_is_folded_out_and_says_whether_it_was_agreed_on(browser: Any) -> None:
    settings_store.put(actor=TESTS, key="execution.enabled", value=True)
    settings_store.put(actor=TESTS, key="execution.targets", value=["*"])
    step = '  - {name: note, http: {method: PUT, url: "https://lb.test/${target.name}/${params.how}",'
    step += ' headers: {Authorization: "Bearer ${secret.lb}"}}}\n'
    text = DRAIN.replace("grade: read", "grade: reversible").replace("  - {name: look, read: {query: up}}\n", step)
    secrets.put(actor=TESTS, name="lb", value="s3cret")
    runbooks.put_procedure(actor=TESTS, name="drain", text=text)
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(**task("drain", "drain", params="how: gently")))
    assert 'hx-get="/changes/1/runs/1?part=plan"' in client.get("/changes/1").content.decode()
    planned = client.get("/changes/1/runs/1?part=plan").content.decode()
    assert "https://lb.test/web-1/gently" in planned
    assert "Bearer ${secret.lb}" in planned
    assert "s3cret" not in planned
    assert "consent was asked for" not in planned
    client.post("/changes/1/ask")
    assert Approval.objects.get().scope["covers"] == ["drain: web-1 (how=gently)"]
    assert "It is exactly what was planned" in client.get("/changes/1/runs/1").content.decode()
    runbooks.put_procedure(actor=TESTS, name="drain", text=text.replace("PUT", "DELETE"))
    assert "It is not what was planned" in client.get("/changes/1/runs/1").content.decode()
    assert client.get("/changes/1/runs/7").status_code == 404
    approver = browser(Role.APPROVER)
    assert 'href="/changes/1"' in approver.get("/approvals").content.decode().partition("how=gently")[2]


def test_an_emergency_begins_without_consent_by_a_reason(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(kind="emergency", resources=""))
    assert "Begin without consent" in client.get("/changes/1").content.decode()
    client.post("/changes/1/begin", {"reason": "the shop is down"})
    assert "the shop is down" in client.get("/changes/1?part=live").content.decode()


def test_the_calendar_marks_what_collides(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    assert "No change is planned" in client.get("/changes/calendar").content.decode()
    for _each in range(2):
        client.post("/changes/new", form())
    for number in (1, 2):
        client.post(f"/changes/{number}/assess")
    page = client.get("/changes/calendar?days=7").content.decode()
    assert page.count("bar plain clash") == 2
    assert client.get("/changes/calendar?from=not-a-day&days=9").status_code == 200


def test_the_catalogue_is_agreed_on_once(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "The catalogue is empty" in client.get("/changes/catalogue").content.decode()
    entry = {
        "title": "Reboot a host",
        "kinds": "host",
        "max_resources": "1",
        "max_minutes": "30",
        "task-title": "reboot",
    }
    assert client.post("/changes/catalogue/new", entry).status_code == 422  # no way back
    assert client.post("/changes/catalogue/new", entry | {"backout": "none is needed"}).status_code == 302
    row = ChangeTemplate.objects.get()
    assert row.name == "reboot-a-host"
    assert "not agreed on as it reads now" in client.get("/changes/catalogue").content.decode()
    client.post(f"/changes/catalogue/{row.name}/ask")
    approval = Approval.objects.get()
    approvals._decide(approval, approvals.ApprovalState.APPROVED, TESTS, "")
    catalogue_actions.decided(approval=approval)
    assert "?template=reboot-a-host" in client.get("/changes/catalogue").content.decode()
    assert "Reboot a host" in client.get("/changes/new?template=reboot-a-host").content.decode()
    client.post(f"/changes/catalogue/{row.name}/retire")
    assert "The catalogue is empty" in client.get("/changes/catalogue").content.decode()


def test_lists_cost_the_same_for_many(browser: Any, django_assert_max_num_queries: Any) -> None:
    client = browser(Role.OPERATOR)
    for _each in range(12):
        client.post("/changes/new", form(resources=""))
    with django_assert_max_num_queries(30):
        assert "CHG-12" in client.get("/changes").content.decode()
    with django_assert_max_num_queries(60):
        client.get("/changes/1")


def test_what_lapsed_is_asked_for_again_where_it_says_so(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form())
    client.post("/changes/1/ask")
    agreed(Change.objects.get())
    assert "Ask for consent again" not in client.get("/changes/1").content.decode()
    Approval.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    page = client.get("/changes/1").content.decode()
    assert "Ask for consent again</button>" in page
    assert page.count("Consent ran out") == 2
    client.post("/changes/1/ask")
    assert Change.objects.get().state == "authorize"


def test_what_one_may_not_see_is_not_named_and_stays(browser: Any) -> None:
    team = people.create_team(actor=TESTS, name="ours")
    mine = inventory.create_resource(actor=TESTS, kind="host", name="web-1", owner=team)
    hidden = inventory.create_resource(actor=TESTS, kind="host", name="secret-1")
    felt = inventory.create_resource(actor=TESTS, kind="service", name="secret-2")
    inventory.relate(actor=TESTS, from_resource=felt, to_resource=mine, type="depends_on")
    inventory.place_hold(actor=TESTS, resource=hidden, kind="maintenance", reason="secret-3")
    client = browser(Role.OPERATOR)
    client.post("/changes/new", form(resources="host/web-1\nhost/secret-1", team="ours"))
    client.post("/changes/1/assess")
    page = client.get("/changes/1").content.decode()
    assert all(f"secret-{each}" in page for each in (1, 2, 3))
    user = make_user("of-ours", None)
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    client = browser(user)
    page = client.get("/changes/1").content.decode()
    assert "secret-" not in page
    assert "and 1 resource that you may not see" in page
    assert "secret-" not in client.get("/changes/1/edit").content.decode()
    client.post("/changes/1/edit", form(title="Newer kernel", team="ours"))
    row = Change.objects.get()
    assert (row.title, set(row.touched.values_list("resource", flat=True))) == ("Newer kernel", {mine.pk, hidden.pk})


def test_a_collision_that_came_after_the_reason_is_marked_and_the_approver_reads_both(browser: Any) -> None:
    inventory.create_resource(actor=TESTS, kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    for _each in range(2):
        client.post("/changes/new", form(assignee=""))
    client.post("/changes/1/assess")
    client.post("/changes/2/assess")
    client.post("/changes/2/accept", {"reason": "CHG-1 is only a cable"})
    inventory.place_hold(actor=TESTS, resource=Resource.objects.get(), kind="maintenance", reason="it smokes")
    client.post("/changes/2/ask")
    page = client.get("/changes/2").content.decode()
    assert page.count("came after the reason below") == 1
    assert "why it may be done in spite of its collisions" in page
    client.post("/changes/2/accept", {"reason": "both are known"})
    client.post("/changes/2/ask")
    page = browser(Role.APPROVER).get(f"/approvals?id={Approval.objects.get().pk}").content.decode()
    for each in ("the same resource: CHG-1", "a hold: it smokes", "both are known", "Collides with"):
        assert each in page
