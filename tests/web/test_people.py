"""People, tokens, settings, one's own account, the ledger page, the shell's language and theme."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.web.conftest import HTML
from tongchou.core import seal, settings_store
from tongchou.core.access import system
from tongchou.core.models import ApiToken, Event, Role, Team, User


def test_an_administrator_makes_a_person_who_can_sign_in(browser: Any) -> None:
    client = browser(Role.ADMIN)
    body = {"username": "amy", "password": PASSWORD, "role": "operator", "display_name": "Amy"}
    assert client.post("/people/create", body).status_code == 302
    fresh = Client(headers=HTML)
    assert fresh.post("/accounts/login/", {"login": "amy", "password": PASSWORD}).status_code == 302
    assert "Amy" in fresh.get("/account").content.decode()


def test_a_refused_person_keeps_the_form_and_never_the_password(browser: Any) -> None:
    client = browser(Role.ADMIN)
    response = client.post("/people/create", {"username": "amy", "password": "short", "role": "viewer"})
    text = response.content.decode()
    assert response.status_code == 422
    assert 'value="amy"' in text
    assert 'value="short"' not in text
    assert not User.objects.filter(username="amy").exists()


def test_roles_teams_and_the_last_administrator(browser: Any) -> None:
    client = browser(Role.ADMIN)
    other = browser(Role.VIEWER).user
    client.post("/people/team", {"name": "shop"})
    team = Team.objects.get()
    client.post("/people/role", {"user": str(other.pk), "role": "approver", "team": str(team.pk)})
    assert other.memberships.get(team=team).role == "approver"
    assert client.post("/people/role", {"user": str(client.user.pk), "role": ""}).status_code == 409
    client.post("/people/active", {"user": str(other.pk), "active": "0"})
    other.refresh_from_db()
    assert not other.is_active
    for broken in ({"user": "x"}, {"user": str(team.pk)}, {"user": str(other.pk), "team": "x"}):
        assert client.post("/people/role", broken).status_code == 404


def test_a_token_is_shown_once_on_the_answer_itself_and_revoked(browser: Any) -> None:
    client = browser(Role.ADMIN)
    response = client.post("/account/tokens", {"name": "ci", "scopes": ["read"], "days": "30"})
    row = ApiToken.objects.get()
    text = response.content.decode()
    shown = text.partition('id="new-token">')[2].partition("<")[0]
    assert shown.startswith(row.prefix)
    assert response.headers["Cache-Control"] == "no-store"
    assert shown not in client.get("/account").content.decode()
    api = Client(headers={"Authorization": f"Bearer {shown}"})
    assert api.get("/api/v1/me").status_code == 200
    client.post(f"/account/tokens/{row.pk}/revoke")
    assert api.get("/api/v1/me").status_code == 401
    assert client.post("/account/tokens", {"name": "ci", "days": "30"}).status_code == 422


@pytest.mark.parametrize("days", ["", "0", "-1", "3661", "²", "٣", "1e3", "soon", "9" * 5000])
def test_a_token_whose_days_are_wrong_is_refused_and_never_eternal(browser: Any, days: str) -> None:
    client = browser(Role.ADMIN)
    token = {"name": "ci", "scopes": ["read"], "days": days}
    assert client.post("/account/tokens", token).status_code == 422
    response = client.post("/people/tokens", {**token, "user": str(client.user.pk)})
    assert (response.status_code, response.context["problem"].field) == (422, "days")
    assert not ApiToken.objects.exists()


def test_a_role_nobody_knows_is_refused_and_the_old_one_stays(browser: Any) -> None:
    client, other = browser(Role.ADMIN), browser(Role.OPERATOR).user
    response = client.post("/people/role", {"user": str(other.pk), "role": "emperor"})
    assert (response.status_code, response.context["problem"].field) == (422, "role")
    assert other.memberships.get(team=None).role == "operator"
    assert client.post("/people/create", {"username": "amy", "password": PASSWORD, "role": "x"}).status_code == 422
    assert client.post("/people/role", {"user": str(other.pk), "role": ""}).status_code == 302
    assert not other.memberships.exists()


def test_a_nul_in_a_field_or_an_address_is_refused(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert client.post("/people/team", {"name": "a\0b"}).status_code == 422
    assert client.post("/account/tokens", {"name": "a\0b", "scopes": ["read"]}).status_code == 422
    assert client.get("/events", {"actor": "\0"}).status_code == 422
    assert client.get("/events/%00").status_code == 404
    assert not Team.objects.exists()
    User.objects.filter(pk=client.user.pk).update(time_zone="Asia")
    assert client.get("/events").status_code == 200


def test_one_cannot_revoke_another_persons_token_from_ones_account(browser: Any) -> None:
    admin = browser(Role.ADMIN)
    admin.post("/account/tokens", {"name": "ci", "scopes": ["read"]})
    row = ApiToken.objects.get()
    assert browser(Role.OPERATOR).post(f"/account/tokens/{row.pk}/revoke").status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


def test_preferences_are_kept_and_nonsense_is_refused(browser: Any) -> None:
    client = browser(Role.VIEWER)
    client.post("/account", {"language": "zh-hans", "time_zone": "Europe/Berlin", "theme": "dark", "display_name": "V"})
    user = User.objects.get(pk=client.user.pk)
    assert (user.language, user.time_zone, user.theme) == ("zh-hans", "Europe/Berlin", "dark")
    text = client.get("/account").content.decode()
    assert 'data-theme="dark"' in text
    assert 'lang="zh-CN"' in text
    for wrong in (
        {"time_zone": "Mars/Base"},
        {"time_zone": "Asia"},
        {"time_zone": "../x"},
        {"language": "tlh"},
        {"theme": "pink"},
    ):
        assert client.post("/account", wrong).status_code == 422
    assert client.get("/account").status_code == 200


def test_a_password_is_changed_by_who_knows_the_old_one(browser: Any) -> None:
    client = browser(Role.VIEWER)
    new = "another horse battery"
    assert client.post("/account/password", {"old": "no", "new": new, "again": new}).status_code == 422
    assert client.post("/account/password", {"old": PASSWORD, "new": new, "again": "x"}).status_code == 422
    assert client.post("/account/password", {"old": PASSWORD, "new": new, "again": new}).status_code == 302
    assert client.get("/account").status_code == 200  # this session stays
    assert User.objects.get(pk=client.user.pk).check_password(new)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_language_is_kept_for_strangers_and_never_redirects_away(language: str, db: None) -> None:
    client = Client(headers=HTML)
    response = client.post("/shell/language", {"language": language, "next": "https://elsewhere.example/"})
    assert response.headers["Location"] == "/"
    text = client.get("/accounts/login/").content.decode()
    assert ("登录" in text) == (language == "zh-hans")
    assert client.post("/shell/language", {"language": "xx"}).status_code == 302
    assert client.post("/shell/theme", {"theme": "pink"}).status_code == 204


def test_settings_are_typed_and_their_history_is_in_the_ledger(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert client.post("/settings", {"key": "execution.enabled", "value": "true"}).status_code == 302
    assert settings_store.get("execution.enabled") is True
    broken = client.post("/settings", {"key": "execution.targets", "value": "[1"})
    assert broken.status_code == 422
    assert "[1" in broken.content.decode()
    assert client.post("/settings", {"key": "no.such", "value": "1"}).status_code == 404
    assert browser(Role.VIEWER).post("/settings", {"key": "execution.enabled", "value": "false"}).status_code == 403
    assert "execution.enabled" in client.get("/events?verb=setting.").content.decode()


def test_a_list_of_texts_is_edited_one_a_line_and_a_changed_setting_is_marked(browser: Any) -> None:
    client = browser(Role.ADMIN)
    before = {row["setting"].key: row for row in client.get("/settings").context["rows"]}
    assert not before["execution.targets"]["changed"]
    sent = {"key": "execution.targets", "value": "orders-1\r\nkind=host,role=web\r\n\r\n"}
    assert client.post("/settings", sent).status_code == 302
    assert settings_store.get("execution.targets") == ["orders-1", "kind=host,role=web"]
    after = {row["setting"].key: row for row in client.get("/settings").context["rows"]}
    assert after["execution.targets"]["changed"]
    assert after["execution.targets"]["text"] == "orders-1\nkind=host,role=web"
    assert client.post("/settings", {"key": "execution.targets", "value": '["*"]'}).status_code == 302
    assert settings_store.get("execution.targets") == ["*"]
    assert client.post("/settings", {"key": "execution.targets", "value": ""}).status_code == 302
    assert settings_store.get("execution.targets") == []


def test_the_ledger_is_filtered_paged_and_shows_its_seals(browser: Any) -> None:
    client = browser(Role.VIEWER)
    for n in range(60):
        settings_store.put(actor=system(f"robot-{n % 2}"), key="incidents.reopen_minutes", value=n + 1)
    seal.seal_pending()
    first = client.get("/events", {"verb": "setting.changed", "actor": "robot-1"})
    assert len(first.context["rows"]) == 30
    page = client.get("/events", {"verb": "setting."})
    rest = client.get("/events", {"verb": "setting.", "before": page.context["next"]})
    ids = [row["event"].pk for row in (*page.context["rows"], *rest.context["rows"])]
    assert len(ids) == len(set(ids)) == 60
    event = Event.objects.order_by("-pk").first()
    assert event is not None
    detail = client.get(f"/events/{event.pk}").content.decode()
    assert event.seal.hash in detail
    assert "incidents.reopen_minutes" in detail
    assert client.get("/events/999999999").status_code == 404
    for nonsense in ({"since": "soon"}, {"before": "x"}, {"before": "9" * 30}, {"about": "nonsense"}):
        assert client.get("/events", nonsense).status_code == 200
    for time in ("2026-13-40T00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00"):
        assert client.get("/events", {"since": time}).status_code == 200
        assert client.get("/events", {"until": time}).status_code == 200
    for number in ("9223372036854775807", "9223372036854775808", "9" * 23):
        assert client.get(f"/events/{number}").status_code == 404


def test_the_palette_finds_only_what_one_may_open(browser: Any) -> None:
    admin, viewer = browser(Role.ADMIN), browser(Role.VIEWER)

    def pages(client: Client) -> set[str]:
        return {item["url"] for group in client.get("/search").json()["groups"] for item in group["items"]}

    assert "/people" in pages(admin)
    assert "/people" not in pages(viewer)
    assert "/incidents" in pages(viewer)
