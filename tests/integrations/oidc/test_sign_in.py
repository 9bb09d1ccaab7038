"""Single sign-on against a real provider (glewlwyd): groups, roles that come and go, and every way to cheat."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.test import Client

from tests.conftest import PASSWORD, make_user
from tests.integrations.oidc.provider import PASSWORD as THEIRS
from tests.integrations.oidc.provider import Provider
from tongchou.core import people, secrets, settings_store
from tongchou.core.access import system
from tongchou.core.models import Event, Membership, Role, User
from tongchou.core.problems import Invalid
from tongchou.integrations.oidc import protocol

SYSTEM = system("tests")
pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
START = "/accounts/oidc/oidc/login/"


@pytest.fixture(autouse=True)
def _set_up(provider: Provider, settings: Any, db: None) -> None:
    cache.clear()
    settings.HTTP_ALLOW = ["localhost", "127.0.0.0/8", "::1"]
    people.create_team(actor=SYSTEM, name="shop")
    secrets.put(actor=SYSTEM, name="oidc-client-secret", value=provider.client_secret)
    for key, value in {
        "oidc.issuer": provider.issuer,
        "oidc.client_id": provider.client_id,
        "oidc.allow_new_people": True,
        "oidc.group_roles": ["ops = operator", "leads = approver", "shop-dev = operator @ shop"],
    }.items():
        settings_store.put(actor=SYSTEM, key=key, value=value)


def browser() -> Client:
    return Client(headers={"Accept": "text/html"})


def at_provider(provider: Provider, where: str, username: str) -> str:
    """Sign in at the provider by its own API, agree, and return where it sends the browser back to."""
    with httpx.Client(timeout=10) as there:
        assert there.get(where).status_code == 302  # to its login page
        signed = there.post(f"{provider.url}/api/auth", json={"username": username, "password": THEIRS})
        assert signed.status_code == 200
        there.headers["Cookie"] = signed.headers["Set-Cookie"].partition(";")[0]
        granted = there.put(f"{provider.url}/api/auth/grant/{provider.client_id}", json={"scope": "openid"})
        assert granted.status_code == 200
        back = there.get(f"{where}&g_continue=").headers["Location"]
    assert back.startswith("http://testserver/accounts/oidc/oidc/login/callback/"), back
    return back.removeprefix("http://testserver")


def sign_in(provider: Provider, username: str, client: Client | None = None, query: str = "") -> Any:
    client = client or browser()
    out = client.get(START + query)
    assert out.status_code == 302, out.content.decode()[:1000]
    return client.get(at_provider(provider, out.headers["Location"], username))


def roles_of(username: str) -> dict[str | None, str]:
    held = Membership.objects.filter(user__username=username).select_related("team")
    return {each.team.name if each.team else None: each.role for each in held}


def reason() -> str:
    event = Event.objects.filter(verb="user.sign_in_refused").order_by("-pk").first()
    assert event is not None
    return str(event.payload["reason"])


def test_state_nonce_and_pkce_are_sent_and_wishes_of_the_address_are_not(provider: Provider) -> None:
    out = browser().get(START + "?scope=admin&auth_params=prompt%3Dnone&next=https://elsewhere.example/")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(out.headers["Location"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["nonce"]) >= 32
    assert len(asked["state"]) >= 16
    assert set(asked["scope"].split()) == {"openid", "profile"}
    assert "prompt" not in asked


def test_a_new_person_gets_the_roles_of_their_groups_and_loses_them(provider: Provider) -> None:
    provider.person("amy", ["ops", "shop-dev", "other"])
    client = browser()
    assert sign_in(provider, "amy", client).status_code == 302
    assert client.get("/account").status_code == 200
    assert roles_of("amy") == {None: "operator", "shop": "operator"}
    amy = User.objects.get(username="amy")
    assert (amy.origin, amy.has_usable_password(), amy.display_name) == ("oidc", False, "Amy")
    row = Membership.objects.get(user=amy, team=None)
    assert (row.source, row.source_group) == ("oidc", "ops")
    signed = Event.objects.filter(verb="user.signed_in").last()
    assert signed is not None
    assert signed.payload["method"] == "oidc"
    provider.person("amy", ["leads"])
    assert sign_in(provider, "amy").status_code == 302
    assert roles_of("amy") == {None: "approver"}
    provider.person("amy", [])
    sign_in(provider, "amy", client)
    assert roles_of("amy") == {}
    assert client.get("/incidents").status_code == 403
    assert User.objects.filter(username="amy").count() == 1
    changes = Event.objects.filter(verb="user.role_changed").values_list("payload", flat=True)
    assert {each["source"] for each in changes} == {"oidc"}
    kept = json.dumps(list(SocialAccount.objects.values_list("extra_data", flat=True)))
    assert "token" not in kept


def test_a_role_given_here_stays(provider: Provider) -> None:
    provider.person("bob", ["ops"])
    sign_in(provider, "bob")
    people.set_role(actor=SYSTEM, user=User.objects.get(username="bob"), role=Role.APPROVER)
    provider.person("bob", [])
    sign_in(provider, "bob")
    assert roles_of("bob") == {None: "approver"}


def test_nobody_new_comes_in_when_that_is_off_and_a_taken_name_is_not_taken_over(provider: Provider) -> None:
    make_user("carol", Role.ADMIN)
    provider.person("carol", ["ops"])
    response = sign_in(provider, "carol")
    assert response.status_code == 403
    assert "oidc.name_taken" in response.content.decode()
    assert not SocialAccount.objects.exists()
    settings_store.put(actor=SYSTEM, key="oidc.allow_new_people", value=False)
    provider.person("dave", ["ops"])
    response = sign_in(provider, "dave")
    assert (response.status_code, "oidc.no_account" in response.content.decode()) == (403, True)
    assert not User.objects.filter(username="dave").exists()
    assert roles_of("carol") == {None: "admin"}


def test_an_account_is_connected_by_hand_and_disconnected(provider: Provider) -> None:
    make_user("erin", Role.VIEWER)
    provider.person("erin", ["ops"])
    client = browser()
    client.post("/accounts/login/", {"login": "erin", "password": PASSWORD})
    response = sign_in(provider, "erin", client, "?process=connect")
    assert response.headers["Location"] == "/accounts/reauthenticate/"  # connecting guards the account: asked again
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    row = SocialAccount.objects.get()
    assert row.user.username == "erin"
    fresh = browser()
    assert sign_in(provider, "erin", fresh).status_code == 302
    assert fresh.get("/account").context["person"].username == "erin"
    assert roles_of("erin") == {None: "viewer"}  # given here; the group changes nothing
    assert client.post(f"/account/sign-on/{row.pk}/disconnect").status_code == 302
    assert not SocialAccount.objects.exists()
    assert {"user.linked", "user.unlinked"} <= set(Event.objects.values_list("verb", flat=True))
    assert sign_in(provider, "erin").status_code == 403


@pytest.mark.parametrize("cheat", ["state", "no state", "another browser", "code", "again", "error"])
def test_a_tampered_way_back_is_refused(provider: Provider, cheat: str) -> None:
    provider.person("amy", ["ops"])
    client = browser()
    back = at_provider(provider, client.get(START).headers["Location"], "amy")
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    if cheat == "state":
        query["state"] = query["state"][::-1]
    elif cheat == "no state":
        del query["state"]
    elif cheat == "another browser":
        client = browser()
    elif cheat == "code":
        query["code"] = "x" * len(query["code"])
    elif cheat == "error":
        query["error"] = "access_denied"
    elif cheat == "again":
        client.get(urlsplit(back).path, query)
        client.post("/accounts/logout/")
    response = client.get(urlsplit(back).path, query)
    assert response.status_code == 403, cheat
    assert client.get("/account").status_code == 302
    assert reason()
    assert query["code"] not in json.dumps(list(Event.objects.values_list("payload", flat=True)))


def test_a_code_without_its_verifier_is_worth_nothing(provider: Provider) -> None:
    """PKCE is really asked for by the provider, so the sign-ins above have really used it."""
    provider.person("amy", ["ops"])
    back = at_provider(provider, browser().get(START).headers["Location"], "amy")
    code = parse_qs(urlsplit(back).query)["code"][0]
    body = {"grant_type": "authorization_code", "code": code}
    body["redirect_uri"] = "http://testserver/accounts/oidc/oidc/login/callback/"
    auth = (provider.client_id, provider.client_secret)
    refused = httpx.post(f"{provider.issuer}/token", data=body, auth=auth, timeout=10)
    assert refused.status_code in (400, 403), refused.text
    assert "access_token" not in refused.text


def test_a_provider_that_names_another_issuer_is_refused(provider: Provider) -> None:
    settings_store.put(actor=SYSTEM, key="oidc.issuer", value=provider.issuer.replace("localhost", "127.0.0.1"))
    response = browser().get(START)
    assert response.status_code == 503
    assert "names the issuer" in reason()


@pytest.mark.parametrize("break_", ["nonce", "audience", "issuer", "signature", "unsigned"])
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    provider: Provider, break_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.person("amy", ["ops"])
    real = protocol.Protocol._proven

    def proven(self: Any, app: Any, text: str) -> Any:
        head, body, signature = text.split(".")
        if break_ == "nonce":
            self.nonce = "another"
        elif break_ == "audience":
            app.client_id = "another"
        elif break_ == "issuer":
            app.settings["issuer"] += "/"
        elif break_ == "signature":
            claims = json.loads(base64.urlsafe_b64decode(body + "=="))
            body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "root"}).encode()).decode().rstrip("=")
        elif break_ == "unsigned":
            head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"x"}').decode().rstrip("=")
            signature = ""
        return real(self, app, f"{head}.{body}.{signature}")

    monkeypatch.setattr(protocol.Protocol, "_proven", proven)
    response = sign_in(provider, "amy")
    assert response.status_code == 403
    assert "oidc.not_proven" in response.content.decode()
    assert not User.objects.filter(username="amy").exists()
    assert "OAuth2Error" in reason()


def test_an_issuer_on_loopback_needs_leave_and_a_dead_one_is_told_in_time(provider: Provider, settings: Any) -> None:
    settings.HTTP_ALLOW = []
    assert browser().get(START).status_code == 503
    assert "TONGCHOU_HTTP_ALLOW" in reason()
    settings.HTTP_ALLOW = ["localhost"]
    settings_store.put(actor=SYSTEM, key="oidc.issuer", value="http://localhost:9/dead")
    response = browser().get(START)
    assert (response.status_code, "oidc.unreachable" in response.content.decode()) == (503, True)


def test_only_single_sign_on_leaves_a_break_glass_administrator(provider: Provider) -> None:
    make_user("root", Role.ADMIN)
    make_user("amy-local", Role.OPERATOR)
    with pytest.raises(Invalid):
        settings_store.put(actor=SYSTEM, key="oidc.only", value=True)  # nobody could break the glass
    settings_store.put(actor=SYSTEM, key="sign_in.break_glass", value=["root"])
    settings_store.put(actor=SYSTEM, key="oidc.only", value=True)
    with pytest.raises(Invalid):
        settings_store.put(actor=SYSTEM, key="sign_in.break_glass", value=["amy-local"])
    texts = []
    for name in ("amy-local", "nobody-such"):
        client = browser()
        response = client.post("/accounts/login/", {"login": name, "password": PASSWORD})
        assert response.status_code == 200
        texts.append(response.context["form"].non_field_errors())
        assert client.get("/account").status_code == 302
    assert texts[0] == texts[1]  # nothing tells whose name is known
    client = browser()
    assert client.post("/accounts/login/", {"login": "root", "password": PASSWORD}).status_code == 302
    assert client.get("/account").status_code == 200
    assert Event.objects.filter(verb="user.broke_glass").count() == 1
    assert 'id="single-sign-on"' in browser().get("/accounts/login/").content.decode()
    provider.person("amy", ["ops"])
    assert sign_in(provider, "amy").status_code == 302
    assert Event.objects.filter(verb="user.broke_glass").count() == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("oidc.issuer", "http://id.example.org/"),
        ("oidc.issuer", "ftp://id.example.org/"),
        ("oidc.issuer", "https://user:pw@id.example.org/"),
        ("oidc.group_roles", ["ops = emperor"]),
        ("oidc.group_roles", ["ops"]),
        ("oidc.group_roles", ["ops = viewer @ ghosts"]),
        ("oidc.scopes", ["two words"]),
    ],
)
def test_a_setting_that_cannot_work_is_refused(key: str, value: Any) -> None:
    with pytest.raises(Invalid):
        settings_store.put(actor=SYSTEM, key=key, value=value)
