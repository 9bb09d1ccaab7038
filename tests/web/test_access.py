"""Every page has a door: anonymous people are sent to sign in, and nobody opens what their role does not include."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from tests.web.conftest import HTML
from tests.web.foreign import MARKER, SYSTEM, Foreign, member_of, plant
from tongchou.core import people, search
from tongchou.core.access import PERMISSIONS, RANK, actor_for_user
from tongchou.core.models import Event, Role
from tongchou.core.refs import ref
from tongchou.incidents.models import AffectedResource, Incident, Recurrence
from tongchou.inventory import actions as inventory
from tongchou.web.counts import menu_counts
from tongchou.web.shell import menu
from tongchou.web.urls import urlpatterns

UUID = "00000000-0000-4000-8000-000000000001"
SAMPLES = {"stamp": "000000000000", "number": 1, "name": "sample", "act": "none"}
PUBLIC = {"echarts", "favicon", "language", "theme"}


def kwargs_of(pattern: URLPattern) -> dict[str, Any]:
    return {name: SAMPLES.get(name, UUID) for name in pattern.pattern.converters}


def address(pattern: URLPattern) -> str:
    return reverse(f"web:{pattern.name}", kwargs=kwargs_of(pattern))


PATTERNS = pytest.mark.parametrize("pattern", urlpatterns, ids=lambda each: each.name)


@PATTERNS
def test_every_view_names_its_permission(pattern: URLPattern) -> None:
    assert hasattr(pattern.callback, "permission"), "decorate the view with gate.page or gate.public"
    permission = pattern.callback.permission
    assert permission is None if pattern.name in PUBLIC else permission == "" or permission in PERMISSIONS


@PATTERNS
def test_anonymous_people_are_sent_to_sign_in(pattern: URLPattern, db: None) -> None:
    client = Client(headers=HTML)
    for method in (client.get, client.post):
        response = method(address(pattern))
        if pattern.name in PUBLIC:
            assert response.status_code in (200, 204, 302, 404, 405)
            assert "/accounts/login" not in response.headers.get("Location", "")
        elif pattern.name == "live":
            assert response.status_code == 401
        else:
            assert response.status_code == 302
            assert response.headers["Location"].startswith("/accounts/login/?next=")


@PATTERNS
def test_a_script_without_a_session_gets_401_and_not_a_login_page(pattern: URLPattern, db: None) -> None:
    if pattern.name in PUBLIC:
        return
    response = Client(headers={"HX-Request": "true"}).get(address(pattern))
    assert response.status_code == 401


@PATTERNS
@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_role_opens_what_it_includes_and_nothing_else(pattern: URLPattern, role: Role, browser: Any) -> None:
    if pattern.name == "live":
        return  # a stream; tests/web/test_live.py
    client = browser(role)
    permission = pattern.callback.permission
    least = PERMISSIONS.get(permission) if permission else None
    response = client.get(address(pattern))
    if least is not None and RANK[role] < RANK[least]:
        assert response.status_code == 403
        assert "access.denied" in response.content.decode()
    else:
        assert response.status_code in (200, 204, 302, 404, 405, 409, 422, 503)  # 409, 503: no store in this test


def test_someone_without_any_role_sees_no_page_but_their_own(browser: Any, db: None) -> None:
    client = browser(Role.VIEWER)
    client.user.memberships.all().delete()
    assert client.get("/account").status_code == 200
    assert client.get("/incidents").status_code == 403
    assert "data-key" not in client.get("/account").content.decode()


def test_a_post_without_the_csrf_token_is_refused_with_a_remedy(browser: Any) -> None:
    client = browser(Role.ADMIN)
    strict = Client(headers=HTML, enforce_csrf_checks=True)
    strict.cookies = client.cookies
    response = strict.post("/account", {"language": "en"})
    assert response.status_code == 403


# --- a role in a team opens what the team owns, and nothing else ----------------------------------------------------


def addresses(foreign: Foreign) -> list[str]:
    """Every address of the app: with the foreign team's ids wherever one is wanted, and in each of its forms."""
    ids = {
        "resource_id": foreign.resource.pk,
        "group_id": foreign.group.pk,
        "approval_id": foreign.approval.pk,
        "run_id": foreign.run.pk,
        "artefact_id": foreign.artefact.pk,
        "rollout_id": foreign.rollout.pk,
        "number": foreign.incident.number,
        "name": "restart",
    }
    found = ["/shell/counts"]
    for pattern in urlpatterns:
        if pattern.name in PUBLIC or pattern.name in ("live", "event"):
            continue
        kwargs = kwargs_of(pattern)
        found.append(reverse(f"web:{pattern.name}", kwargs={name: ids.get(name, kwargs[name]) for name in kwargs}))
    found += [reverse("web:event", args=[each]) for each in Event.objects.values_list("pk", flat=True)]
    words = f"q=zanzi&incident=7&id={foreign.approval.pk}&about={ref(foreign.resource)}"
    forms = ["part=live", f"show=all&state=open&{words}", "part=timeline&state=decided", "format=csv&state=all"]
    return [f"{each}{form}" for each in found for form in ("", *(f"?{form}" for form in forms))]


# an approver opens what the other two open
FEWER = [pytest.param(each, marks=pytest.mark.soak) for each in (Role.VIEWER, Role.OPERATOR)]


@pytest.mark.parametrize("role", [Role.APPROVER, *FEWER])
def test_a_member_of_a_team_that_owns_nothing_never_reads_of_another_team(role: Role, browser: Any) -> None:
    foreign = plant()
    ours = people.create_team(actor=SYSTEM, name="ours")
    client = browser(member_of(ours, role))
    told = []
    for each in addresses(foreign):
        response = client.get(each)
        if MARKER in response.content.decode() + response.headers.get("Location", ""):
            told.append(each)
    for each in sorted({each.partition("?")[0] for each in addresses(foreign)}):
        if not each.startswith("/account"):
            response = client.post(each, {"incident": "7", "targets": "", "text": "name: x", "do": "approve"})
            if MARKER in response.content.decode():
                told.append(f"POST {each}")
    assert told == []
    assert client.get("/").status_code == 200
    assert client.get("/shell/counts").status_code == 200
    shown = {each["name"] for stage in menu(actor_for_user(client.user)) for each in stage["entries"]}
    assert not shown & {"approvals", "explore", "logs", "events"}


def test_the_word_is_read_by_those_who_may(browser: Any) -> None:
    """Without this the test above could pass because nothing was planted."""
    foreign = plant()
    event = Event.objects.get(verb="run.failed")
    paths = ["/", "/map?show=all", "/resources", f"/resources/{foreign.resource.pk}", "/incidents", "/incidents/7"]
    paths += ["/postmortems?state=draft", "/postmortems/7", "/improvements", "/improvements/7"]
    paths += ["/runs", f"/runs/{foreign.run.pk}", "/search?q=zanzi", "/deployments"]
    paths += ["/alerts", f"/alerts/groups/{foreign.group.pk}"]
    paths += ["/requirements", "/requirements/7", "/decisions", "/decisions/7", "/scorecards", "/scorecards/7"]
    ledger_pages = ["/events", f"/events/{event.pk}"]
    for who in (Role.VIEWER, member_of(foreign.team, Role.VIEWER, "owner")):
        client = browser(who)
        silent = [path for path in paths if MARKER not in client.get(path).content.decode()]
        assert silent == []
        inbox = client.get("/approvals").content.decode()
        assert (MARKER in inbox) == (who is Role.VIEWER)  # a role in a team: what was asked by oneself or asks the team
        shut = [path for path in ledger_pages if client.get(path).status_code == 403]
        assert shut == ([] if who is Role.VIEWER else ledger_pages)


def test_a_relation_to_another_teams_resource_is_not_told(browser: Any) -> None:
    foreign = plant()
    ours = people.create_team(actor=SYSTEM, name="ours")
    own = inventory.create_resource(actor=SYSTEM, kind="service", name="harbour", owner=ours)
    inventory.relate(actor=SYSTEM, from_resource=own, to_resource=foreign.service, type="calls")
    search.follow()
    client = browser(member_of(ours, Role.VIEWER))
    for path in (f"/resources/{own.pk}", "/map", "/map?show=all", "/", "/search?q=harbour"):
        text = client.get(path).content.decode()
        assert MARKER not in text, path
        assert "harbour" in text or path == "/map?show=all", path
    assert MARKER in browser(Role.VIEWER).get(f"/resources/{own.pk}").content.decode()


def test_the_room_names_no_earlier_incident_of_another_team(browser: Any) -> None:
    earlier = plant().incident
    ours = people.create_team(actor=SYSTEM, name="ours")
    own = inventory.create_resource(actor=SYSTEM, kind="service", name="harbour", owner=ours)
    later = Incident.objects.create(number=4711, title="again", severity="major", started_at=timezone.now())
    AffectedResource.objects.create(incident=later, resource=own, role="symptom")
    Recurrence.objects.create(incident=later, earlier=earlier, reason_code="same_chain", reopened=["IMP-77"])
    path = f"/incidents/{later.number}?part=postmortem"
    seen = browser(Role.VIEWER).get(path).content.decode()
    assert earlier.name in seen
    assert "IMP-77" in seen
    page = browser(member_of(ours, Role.OPERATOR)).get(path)
    assert page.status_code == 200
    assert earlier.name not in page.content.decode()
    assert "IMP-77" not in page.content.decode()


def test_the_menu_counts_what_its_reader_may_see(browser: Any) -> None:
    foreign = plant()
    ours = people.create_team(actor=SYSTEM, name="ours")
    stranger, owner = member_of(ours, Role.OPERATOR), member_of(foreign.team, Role.OPERATOR, "owner")
    assert menu_counts(actor_for_user(stranger)) == dict.fromkeys(
        ("drift", "incidents", "improvements", "alerts", "runs"), 0
    )
    assert menu_counts(actor_for_user(owner)) == dict.fromkeys(
        ("drift", "incidents", "improvements", "alerts", "runs"), 1
    )
    assert menu_counts(SYSTEM) == dict.fromkeys(
        ("approvals", "drift", "incidents", "improvements", "alerts", "runs"), 1
    )
