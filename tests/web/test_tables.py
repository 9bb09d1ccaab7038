"""Lists as everyday tools: filters in the address, order, columns, saved views, export; none shows more than one may see."""

from __future__ import annotations

import io
import json
from typing import Any

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_user
from tests.web.foreign import MARKER, member_of, plant
from tongchou.core import people
from tongchou.core.access import actor_for_user, system
from tongchou.core.lists import views
from tongchou.core.lists.tables import tables
from tongchou.core.models import Event, Role
from tongchou.core.models_lists import ListPreference, SavedView
from tongchou.incidents.models import Incident
from tongchou.inventory import actions
from tongchou.inventory.models import Resource
from tongchou.web.tables.look import look_of

SYSTEM = system("tests")
KIND = "inventory.resource"


def names(response: Any) -> list[str]:
    return [each["row"].name for each in response.context["rows"]]


@pytest.fixture
def three(db: None) -> None:
    shop = people.create_team(actor=SYSTEM, name="shop")
    actions.create_resource(actor=SYSTEM, kind="host", name="web-1", owner=shop, labels={"env": "prod", "tier": "a"})
    actions.create_resource(actor=SYSTEM, kind="host", name="web-2", labels={"env": "test"})
    actions.create_resource(actor=SYSTEM, kind="database", name="orders", owner=shop)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=web", ["web-1", "web-2"]),
        ("name.is=web-1", ["web-1"]),
        ("name.not=web-1", ["orders", "web-2"]),
        ("kind=host&kind=database", ["orders", "web-1", "web-2"]),
        ("kind.not=host", ["orders"]),
        ("owner.empty=1", ["web-2"]),
        ("owner.empty=0", ["orders", "web-1"]),
        ("owner=-", ["web-2"]),
        ("owner=shop&kind=host", ["web-1"]),
        ("label=env%3Dprod", ["web-1"]),
        ("label=env,tier", ["web-1"]),
        ("label.not=env%3Dprod", ["orders", "web-2"]),
        ("created=1h", ["orders", "web-1", "web-2"]),
        ("created.to=1d", []),
        ("created.from=2000-01-01&created.to=2000-01-02", []),
        ("state=tombstone", []),
        ("q=web&sort=-name", ["web-2", "web-1"]),
    ],
)
def test_an_address_says_what_is_shown(query: str, found: list[str], browser: Any, three: None) -> None:
    assert names(browser(Role.VIEWER).get(f"/resources?{query}")) == found


def test_a_chip_takes_its_own_condition_away_and_no_other(browser: Any, three: None) -> None:
    response = browser(Role.VIEWER).get("/resources?name=web&kind=host&q=1")
    chips = {each["name"]: each["url"] for each in response.context["chips"]}
    assert set(chips) == {"name", "kind", "state", "q"}
    assert "kind=host" in chips["name"]
    assert "name=" not in chips["name"]
    assert "state=all" in chips["state"]


def test_what_cannot_be_read_is_told_and_narrows_nothing(browser: Any, three: None) -> None:
    response = browser(Role.VIEWER).get("/resources?created.from=yesterday&nonsense=1")
    assert len(names(response)) == 3
    assert "created.from" in response.content.decode()
    assert "2026-03-01" in response.content.decode()


def test_a_column_without_an_index_says_so_and_does_not_sort(browser: Any, three: None) -> None:
    response = browser(Role.VIEWER).get("/resources?sort=owner")
    assert names(response) == ["orders", "web-1", "web-2"]
    heads = {each["column"].name: each for each in response.context["head"]}
    assert heads["owner"]["url"] == ""
    assert heads["name"]["aria"] == "ascending"
    assert "it cannot be sorted" in response.content.decode()


def test_columns_are_kept_for_one_person_in_their_order(browser: Any, three: None) -> None:
    client, other = browser(Role.VIEWER), browser(Role.VIEWER)
    body = {"column": ["kind", "name", "status", "bogus"], "rows": "25", "query": "state=active"}
    assert client.post(f"/lists/{KIND}/columns", body).headers["Location"] == "/resources?state=active"
    shown = [each["column"].name for each in client.get("/resources").context["head"]]
    assert shown == ["kind", "name", "status"]
    assert ListPreference.objects.get(user=client.user).rows == 25
    assert "owner" in [each["column"].name for each in other.get("/resources").context["head"]]
    by_address = client.get("/resources?columns=name,label").context["head"]
    assert [each["column"].name for each in by_address] == ["name", "label"]
    client.post(f"/lists/{KIND}/columns", {"reset": "1"})
    assert "owner" in [each["column"].name for each in client.get("/resources").context["head"]]
    assert client.post(f"/lists/{KIND}/columns", {"rows": "7"}).status_code == 422


def test_a_view_is_kept_opened_by_default_copied_deleted_and_brought_back(browser: Any, three: None) -> None:
    client = browser(Role.VIEWER)
    made = client.post(
        f"/lists/{KIND}/views", {"name": "hosts", "query": "kind=host&sort=-name", "shared": "everybody"}
    )
    row = SavedView.objects.get()
    assert made.headers["Location"] == f"/resources?kind=host&sort=-name&view={row.pk}"
    assert names(client.get(made.headers["Location"])) == ["web-2", "web-1"]
    client.post(f"/lists/{KIND}/views/{row.pk}/default")
    assert client.get("/resources").headers["Location"] == made.headers["Location"]
    assert len(names(client.get("/resources?view=none"))) == 3
    assert client.post(f"/lists/{KIND}/views", {"name": "hosts", "query": ""}).status_code == 409
    other = browser(Role.OPERATOR)
    assert other.get(f"/resources?view={row.pk}").headers["Location"] == made.headers["Location"]
    assert other.post(f"/lists/{KIND}/views/{row.pk}/change", {"name": "mine"}).status_code == 403
    other.post(f"/lists/{KIND}/views/{row.pk}/copy")
    assert SavedView.objects.get(owner=other.user).shared == "nobody"
    admin = browser(Role.ADMIN)
    admin.post(f"/lists/{KIND}/views/{row.pk}/change", {"name": "all hosts"})
    row.refresh_from_db()
    assert row.name == "all hosts"
    gone = client.post(f"/lists/{KIND}/views/{row.pk}/delete").headers["Location"]
    assert "Undo" in client.get(gone).content.decode()
    assert client.get("/resources").status_code == 200
    client.post(f"/lists/{KIND}/views/{row.pk}/restore")
    assert client.get("/resources").headers["Location"] == made.headers["Location"]
    verbs = [each.verb for each in Event.objects.filter(verb__startswith="view.").order_by("pk")]
    assert verbs == ["view.saved", "view.saved", "view.changed", "view.deleted", "view.restored"]


def test_a_private_view_is_nobody_elses_and_a_teams_view_is_the_teams(db: None) -> None:
    ours = people.create_team(actor=SYSTEM, name="ours")
    member = actor_for_user(member_of(ours, Role.OPERATOR))
    colleague = actor_for_user(member_of(ours, Role.VIEWER, "colleague"))
    stranger = actor_for_user(make_user("stranger", Role.VIEWER))
    views.save(actor=member, kind=KIND, name="mine", query="kind=host")
    views.save(actor=member, kind=KIND, name="the team's", query="kind=host", shared="team", team=ours)
    views.save(actor=member, kind=KIND, name="everybody's", query="", shared="everybody")
    assert [each.name for each in views.views_for(member)] == ["everybody's", "mine", "the team's"]
    assert [each.name for each in views.views_for(colleague)] == ["everybody's", "the team's"]
    assert [each.name for each in views.views_for(stranger)] == ["everybody's"]


@pytest.mark.parametrize("format_", ["csv", "xlsx", "json"])
def test_every_table_is_exported_and_tells_a_stranger_nothing(format_: str, browser: Any) -> None:
    foreign = plant()
    ours = people.create_team(actor=SYSTEM, name="ours")
    stranger = browser(member_of(ours, Role.APPROVER))
    told = []
    for table in tables():
        address = f"/api/v1/export/{table.kind}?format={format_}"
        answer = browser(Role.ADMIN).get(address)
        assert answer.status_code == 200, table.kind
        other = stranger.get(address)
        assert other.status_code in (200, 403)
        if other.status_code == 200 and MARKER.encode() in other.content:
            told.append(table.kind)
    assert told == []
    assert foreign.resource.pk


def test_an_export_is_written_to_the_ledger(browser: Any, three: None) -> None:
    browser(Role.VIEWER).get("/resources?format=csv&kind=host")
    event = Event.objects.get(verb="list.exported")
    assert event.payload["rows"] == 2
    assert event.payload["kind"] == KIND
    assert event.payload["filter"] == {"kind": "host", "state": "active"}


def test_a_workbook_has_real_types_and_no_formula(browser: Any) -> None:
    Resource.objects.create(kind="host", name="=1+1", source="t")
    content = browser(Role.VIEWER).get("/resources?format=xlsx&all_columns=1").content
    sheet = openpyxl.load_workbook(io.BytesIO(content))["resource"]
    head = [cell.value for cell in sheet[1]]
    name, created = sheet[2][head.index("name")], sheet[2][head.index("created")]
    assert (name.value, name.data_type) == ("=1+1", "s")
    assert created.is_date


def test_json_holds_what_the_filter_shows(browser: Any, three: None) -> None:
    client = browser(Role.VIEWER)
    rows = json.loads(client.get(f"/api/v1/export/{KIND}?format=json&columns=name,label&kind=host").content)
    assert rows[0] == {"name": "web-1", "label": {"env": "prod", "tier": "a"}}
    wrong = client.get(f"/api/v1/export/{KIND}?knd=host").json()
    assert wrong["field"] == "knd"
    assert "kind" in wrong["remedy"]
    assert client.get("/api/v1/export/inventory.resource?created.from=x").status_code == 422
    assert client.get("/api/v1/export/nothing.here").status_code == 404


def test_lists_ask_a_fixed_number_of_questions(browser: Any) -> None:
    client = browser(Role.ADMIN)

    def questions(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            client.get(path, headers={"HX-Request": "true"})
        return len(seen)

    def incidents(first: int, last: int) -> None:
        Incident.objects.bulk_create(
            [Incident(number=n, title=f"i{n}", started_at=timezone.now()) for n in range(first, last)]
        )

    incidents(1, 3)
    few = questions("/incidents")
    incidents(3, 60)
    assert questions("/incidents") == few
    assert few <= 14


@pytest.mark.parametrize("kind", [table.kind for table in tables()])
def test_every_table_has_a_page_that_opens(kind: str, browser: Any) -> None:
    look = look_of(kind)
    if look is not None:
        assert (
            browser(Role.ADMIN)
            .get(f"{look.address}?columns={','.join(each.name for each in look.columns())}")
            .status_code
            == 200
        )


def test_every_look_shows_columns_its_table_has(db: None) -> None:
    for table in tables():
        look = look_of(table.kind)
        if look is None:
            continue
        known = {each.name for each in look.columns()}
        assert look.main in known
        assert set(look.cells) <= known, table.kind
