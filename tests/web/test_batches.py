"""The pages of changing many rows and of importing: what is shown, who may, what helps."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tongchou.core.access import system
from tongchou.core.models import Role, Team, User
from tongchou.core.models_lists import Batch
from tongchou.inventory import actions
from tongchou.inventory.models import Resource

SYSTEM = system("tests")
KIND = "inventory.resource"


def upload(text: str, name: str = "r.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def test_rows_are_chosen_shown_changed_and_put_back(browser: Any) -> None:
    rows = [actions.create_resource(actor=SYSTEM, kind="host", name=f"web-{n}") for n in range(3)]
    client = browser(Role.OPERATOR)
    page = client.get("/resources").content.decode()
    assert "data-pick-all" in page
    assert 'id="list-change-labels"' in page
    form = {"change": "labels", "set-add": "env=prod", "row": [str(rows[0].pk), str(rows[2].pk)], "query": ""}
    shown = client.post(f"/lists/{KIND}/change", form).headers["Location"]
    text = client.get(shown).content.decode()
    assert "Change 2 rows" in text
    assert "web-2" in text
    assert "web-1" not in text
    client.post(f"{shown}/run")
    assert [Resource.objects.get(pk=row.pk).labels for row in rows] == [{"env": "prod"}, {}, {"env": "prod"}]
    done = client.get(shown).content.decode()
    assert "Undo" in done
    assert client.post(f"{shown}/run").status_code == 409
    client.post(f"{shown}/undo")
    assert {str(row.labels) for row in Resource.objects.all()} == {"{}"}
    other = browser(Role.OPERATOR)
    assert other.get(shown).status_code == 404
    everything = client.post(f"/lists/{KIND}/change", {"change": "retire", "all": "1", "query": "name=web-1"})
    assert "Change 1 row" in client.get(everything.headers["Location"]).content.decode()
    client.post(f"{everything.headers['Location']}/drop")
    assert Resource.objects.filter(state="active").count() == 3


def test_a_viewer_is_offered_nothing_and_changes_nothing(browser: Any) -> None:
    row = actions.create_resource(actor=SYSTEM, kind="host", name="web-1")
    client = browser(Role.VIEWER)
    text = client.get("/resources").content.decode()
    assert "data-pick-all" not in text
    assert "/import" not in text
    made = client.post(f"/lists/{KIND}/change", {"change": "retire", "row": str(row.pk)}).headers["Location"]
    assert "refused" in client.get(made).content.decode()
    client.post(f"{made}/run")
    row.refresh_from_db()
    assert row.state == "active"
    assert client.get(f"/lists/{KIND}/import").status_code == 403


def test_a_file_is_matched_shown_done_and_undone(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "GB18030" in client.get(f"/lists/{KIND}/import").content.decode()
    matching = client.post(f"/lists/{KIND}/import", {"file": upload("Art,name,owner\nhost,=web,\nhost,bad,nobody\n")})
    page = matching.headers["Location"]
    assert "leave out" in client.get(page).content.decode()
    unmatched = client.post(page, {"column-1": "name", "column-2": "owner"})
    assert unmatched.status_code == 422
    assert "kind" in unmatched.content.decode()
    planned = client.post(page, {"column-0": "kind", "column-1": "name", "column-2": "owner"}).headers["Location"]
    text = client.get(planned).content.decode()
    assert "To create" in text
    assert "There is no team of this name." in text
    errors = client.get(f"{planned}?format=csv").content.decode()
    assert errors.splitlines()[1].startswith("3,")
    assert "nobody" in errors
    client.post(f"{planned}/run")
    assert Resource.objects.get().name == "=web"
    client.post(f"{planned}/undo")
    assert Resource.objects.get().state == "tombstone"
    assert "sheet" not in Batch.objects.order_by("created_at").first().values


@pytest.mark.parametrize(("name", "text", "status"), [("x.exe", "a", 415), ("x.json", "{}", 422), ("x.csv", "", 422)])
def test_a_file_that_cannot_be_read_says_why_on_the_page(name: str, text: str, status: int, browser: Any) -> None:
    client = browser(Role.OPERATOR)
    answer = client.post(f"/lists/{KIND}/import", {"file": upload(text or "\n", name)})
    assert answer.status_code == status
    assert 'role="alert"' in answer.content.decode()


def test_the_api_imports_changes_and_undoes(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    address = f"/api/v1/imports?kind={KIND}&name=r.csv"
    planned = client.post(address, "kind,name\nhost,a\nhost,\n", content_type="text/csv").json()
    assert planned["counts"]["create"] == 1
    assert planned["errors"][0]["row"] == 3
    assert planned["state"] == "planned"
    assert client.post(f"/api/v1/batches/{planned['id']}/run").json()["counts"]["done"] == 1
    strict = client.post(f"{address}&dry_run=false&strict=true", "kind,name\nhost,b\nhost,\n", content_type="text/csv")
    assert strict.status_code == 409
    body = {"kind": KIND, "change": "labels", "values": {"add": "env=prod"}, "filter": {"name": "a"}, "dry_run": False}
    done = client.post("/api/v1/bulk", body, content_type="application/json").json()
    assert done["counts"]["done"] == 1
    assert Resource.objects.get(name="a").labels == {"env": "prod"}
    assert client.post(f"/api/v1/batches/{done['id']}/undo").json()["counts"]["undone"] == 1
    assert Resource.objects.get(name="a").labels == {}
    assert {each["name"] for each in client.get(f"/api/v1/bulk/{KIND}").json()["items"]} >= {
        "owner",
        "labels",
        "retire",
    }
    offered = {each["kind"] for each in client.get("/api/v1/imports").json()["items"]}
    assert {KIND, "incidents.improvement"} <= offered
    assert not {"core.user", "core.team"} & offered


def test_people_are_imported_on_their_page_all_or_none(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert "/lists/core.user/import" in client.get("/people").content.decode()
    page = client.get("/lists/core.user/import").content.decode()
    assert "All rows are written or none" in page
    assert "has no password" in page
    template = client.get("/lists/core.user/import?template=csv")
    assert template.content.decode("utf-8-sig") == "username,display_name,role,teams,active,service\r\n"
    refused = client.post("/lists/core.user/import", {"file": upload("username,password\na,b\n")})
    assert refused.status_code == 422
    assert "Passwords are never read" in refused.content.decode()
    matching = client.post("/lists/core.user/import", {"file": upload("username,role\na,viewer\nb,king\n")})
    columns = {"column-0": "username", "column-1": "role"}
    planned = client.post(matching.headers["Location"], columns).headers["Location"]
    text = client.get(planned).content.decode()
    assert "some are refused" in text
    assert f'{planned}/run"' not in text
    assert client.post(f"{planned}/run").status_code == 409
    matching = client.post("/lists/core.user/import", {"file": upload("username,role\na,viewer\nb,admin\n")})
    planned = client.post(matching.headers["Location"], columns).headers["Location"]
    digest = Batch.objects.get(pk=planned.rpartition("/")[2]).values["digest"]
    assert f'name="digest" value="{digest}"' in client.get(planned).content.decode()
    assert client.post(f"{planned}/run", {"digest": "0" * 64}).status_code == 409
    assert not User.objects.filter(username="a").exists()
    client.post(f"{planned}/run", {"digest": digest})
    assert User.objects.get(username="b").memberships.get().role == "admin"
    client.post(f"{planned}/undo")
    assert not User.objects.filter(username__in="ab", is_active=True).exists()
    for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER):
        other = browser(role)
        assert other.get("/lists/core.user/import").status_code == 403
        assert other.get("/lists/core.team/import?template=csv").status_code == 403
        assert other.post("/lists/core.user/import", {"file": upload("username\nx\n")}).status_code == 403


def test_an_empty_list_says_which_columns_a_file_may_have(browser: Any) -> None:
    page = browser(Role.OPERATOR).get("/improvements").content.decode()
    assert "Or import a file with these columns:" in page
    assert "<code>no_check_reason</code>" in page
    assert "/lists/incidents.improvement/import?template=csv" in page
    assert "Or import a file" not in browser(Role.VIEWER).get("/improvements").content.decode()


def test_the_api_binds_the_run_to_the_dry_run_and_writes_all_or_none(browser: Any) -> None:
    client = browser(Role.ADMIN)
    address = "/api/v1/imports?kind=core.team&name=t.csv"
    planned = client.post(address, "name\nshop\n", content_type="text/csv").json()
    assert len(planned["sha256"]) == 64
    run = f"/api/v1/batches/{planned['id']}/run"
    assert client.post(f"{run}?digest={'0' * 64}").status_code == 409
    assert client.post(f"{run}?digest={planned['digest']}").json()["counts"]["done"] == 1
    bad = client.post(f"{address}&dry_run=false", "name\nops\n \nx,y\n", content_type="text/csv")
    assert bad.status_code in (409, 422)
    assert client.post(f"{address}&encoding=klingon", "name\nops\n", content_type="text/csv").status_code == 422
    assert list(Team.objects.values_list("name", flat=True)) == ["shop"]
