"""The list of resources: filters, order, paging by place, export; and one resource in detail."""

from __future__ import annotations

import csv
import io
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tongchou.core.access import system
from tongchou.core.lists.export import guarded
from tongchou.core.models import Event, Membership, Role
from tongchou.inventory import actions
from tongchou.inventory.models import Resource


def rows(count: int, kind: str = "host") -> list[Resource]:
    return Resource.objects.bulk_create(
        [Resource(kind=kind, name=f"{kind}-{n:05}", source="tests", labels={"n": str(n)}) for n in range(count)]
    )


def names(response: Any) -> list[str]:
    return [each["row"].name for each in response.context["rows"]]


@pytest.mark.parametrize("sort", ["name", "-name", "kind", "-kind"])
def test_paging_by_place_shows_every_row_once_in_order(browser: Any, sort: str) -> None:
    rows(70)
    rows(60, "database")
    client = browser(Role.VIEWER)
    seen: list[str] = []
    after = ""
    for _page in range(10):
        response = client.get("/resources", {"sort": sort, "after": after})
        seen += names(response)
        after = response.context["after"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 130
    key = (lambda name: name) if "name" in sort else (lambda name: (name.split("-")[0], name))
    assert seen == sorted(seen, key=key, reverse=sort.startswith("-"))


def test_a_broken_place_starts_from_the_beginning(browser: Any) -> None:
    rows(3)
    client = browser(Role.VIEWER)
    for after in ("nonsense", "[]", '["a"]', '["a", "b"]', "{}", '["a", 5]'):
        assert len(names(client.get("/resources", {"after": after}))) == 3


def test_filters_narrow_and_an_empty_answer_says_what_to_do(browser: Any) -> None:
    rows(3)
    rows(2, "database")
    client = browser(Role.VIEWER)
    assert names(client.get("/resources", {"kind": "database"})) == ["database-00000", "database-00001"]
    assert names(client.get("/resources", {"q": "00002"})) == ["host-00002"]
    nothing = client.get("/resources", {"q": "zzz"})
    assert "Clear the filter" in nothing.content.decode()
    partial = client.get("/resources", {"q": "00002"}, headers={"HX-Request": "true"})
    assert b"<html" not in partial.content


def test_a_page_of_the_list_asks_a_fixed_number_of_questions(browser: Any) -> None:
    client = browser(Role.VIEWER)

    def questions() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get("/resources", headers={"HX-Request": "true"})
        return len(seen)

    rows(2)
    few = questions()
    rows(400, "database")
    assert questions() == few
    assert few <= 16


def test_names_are_escaped_wherever_they_stand(browser: Any) -> None:
    evil = "<script>alert(1)</script>"
    row = actions.create_resource(actor=system("tests"), kind="host", name=evil, labels={"note": evil})
    client = browser(Role.VIEWER)
    for path in ("/resources", f"/resources/{row.pk}", "/map?show=all", "/events"):
        assert evil not in client.get(path).content.decode(), path


def test_the_export_holds_every_row_for_excel_and_no_formula(browser: Any) -> None:
    for name in ("=1+1", "+1", "-1", "@x", "普通"):
        Resource.objects.create(kind="host", name=name, source="tests")
    response = browser(Role.VIEWER).get("/resources", {"format": "csv"})
    text = response.content.decode("utf-8")
    assert text.startswith("\ufeff")
    assert response.headers["Content-Disposition"].startswith("attachment;")
    found = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert sorted(row["name"] for row in found) == sorted(["'=1+1", "'+1", "'-1", "'@x", "普通"])


@pytest.mark.parametrize(("cell", "safe"), [("=x", "'=x"), ("\tx", "'\tx"), ("a=b", "a=b"), (-5, "'-5"), ("", "")])
def test_a_cell_is_never_a_formula(cell: object, safe: str) -> None:
    assert guarded(cell) == safe


def test_what_another_team_owns_is_not_shown(browser: Any, db: None) -> None:
    from tongchou.core import people

    ours = people.create_team(actor=system("tests"), name="ours")
    theirs = people.create_team(actor=system("tests"), name="theirs")
    mine = Resource.objects.create(kind="host", name="mine", source="t", owner=ours)
    other = Resource.objects.create(kind="host", name="other", source="t", owner=theirs)
    client = browser(Role.VIEWER)
    client.user.memberships.all().delete()
    Membership.objects.create(user=client.user, team=ours, role=Role.VIEWER)
    assert names(client.get("/resources")) == ["mine"]
    assert client.get(f"/resources/{mine.pk}").status_code == 200
    assert client.get(f"/resources/{other.pk}").status_code == 404
    assert "other" not in client.get("/search?q=other").content.decode()


def test_the_detail_shows_whose_word_each_attribute_is(browser: Any) -> None:
    row = actions.create_resource(actor=system("tests"), kind="host", name="web-1", attributes={"cores": 8})
    other = actions.create_resource(actor=system("tests"), kind="service", name="shop")
    actions.relate(actor=system("tests"), from_resource=other, to_resource=row, type="runs_on")
    text = browser(Role.VIEWER).get(f"/resources/{row.pk}").content.decode()
    for word in ("cores", "8", "manual", "shop", "carries"):
        assert word in text


def test_a_hold_is_placed_and_lifted_and_both_are_in_the_ledger(browser: Any) -> None:
    row = actions.create_resource(actor=system("tests"), kind="host", name="web-1")
    client = browser(Role.OPERATOR)
    client.post(f"/resources/{row.pk}/hold", {"kind": "maintenance", "reason": "new disk", "hours": "2"})
    text = client.get(f"/resources/{row.pk}").content.decode()
    assert "new disk" in text
    hold = row.holds.get()
    client.post(f"/resources/{row.pk}/hold", {"lift": str(hold.pk)})
    assert list(Event.objects.filter(verb__startswith="hold.").values_list("verb", flat=True)) == [
        "hold.placed",
        "hold.lifted",
    ]
    assert client.post(f"/resources/{row.pk}/hold", {"lift": str(uuid.uuid4())}).status_code == 404


@pytest.mark.parametrize("hours", ["²", "2,5", "2h", "0", "-1", "nan", "inf", "1e9", "721", "两"])
def test_a_hold_whose_length_is_no_number_is_refused_and_never_without_end(browser: Any, hours: str) -> None:
    row = actions.create_resource(actor=system("tests"), kind="host", name="h1")
    answer = browser(Role.OPERATOR).post(f"/resources/{row.pk}/hold", {"reason": "new disk", "hours": hours})
    assert answer.status_code == 422
    assert "For how many hours" in answer.content.decode()
    assert not row.holds.exists()


def test_a_hold_lasts_as_long_as_is_said_and_without_a_length_until_it_is_lifted(browser: Any) -> None:
    row = actions.create_resource(actor=system("tests"), kind="host", name="h1")
    client = browser(Role.OPERATOR)
    for hours in ("2.5", ""):
        client.post(f"/resources/{row.pk}/hold", {"reason": "new disk", "hours": hours})
    timed, open_ = row.holds.order_by("opened_at")
    assert round((timed.until - timed.opened_at).total_seconds() / 60) == 150
    assert open_.until is None


def test_a_viewer_can_neither_hold_nor_retire(browser: Any) -> None:
    row = actions.create_resource(actor=system("tests"), kind="host", name="web-1")
    client = browser(Role.VIEWER)
    assert client.post(f"/resources/{row.pk}/hold", {"reason": "x"}).status_code == 403
    assert client.post(f"/resources/{row.pk}/retire").status_code == 403
    assert "Mark as gone" not in client.get(f"/resources/{row.pk}").content.decode()
