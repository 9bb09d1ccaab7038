"""Sessions: what a browser is called, how a session was begun, who may end which."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from tests.conftest import make_user
from tongchou.core import people, sessions, settings_store
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import ApiToken, Event, Role, User
from tongchou.core.problems import AccessDenied

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
SYSTEM = system("tests")


def session_of(user: User) -> UserSession:
    store = SessionStore()
    store.create()
    return UserSession.objects.create(user=user, ip="192.0.2.7", session_key=store.session_key, user_agent=CHROME)


def test_a_browser_is_called_by_what_people_know() -> None:
    assert sessions.device_of(CHROME) == "Chrome 131 · Linux"
    assert sessions.device_of(CHROME.replace("Safari/", "Edg/131.0 Safari/")) == "Edge 131 · Linux"
    assert sessions.device_of("curl/8.5.0") == "curl/8.5.0"
    assert sessions.device_of("") == "?"


@pytest.mark.parametrize(
    ("records", "backend", "method"),
    [
        ([{"method": "password"}], "", "password"),
        ([{"method": "password"}, {"method": "mfa", "type": "totp"}], "", "password+totp"),
        ([{"method": "mfa", "type": "webauthn"}], "", "passkey"),
        ([{"method": "socialaccount"}], "", "oidc"),
        ([{"method": "password"}], "tongchou.integrations.ldap.backend.LdapBackend", "ldap"),
        ([{"method": "password"}, {"method": "password", "reauthenticated": True}], "", "password"),
        ([], "", ""),
    ],
)
def test_the_method_is_read_from_the_records(records: list[dict[str, Any]], backend: str, method: str) -> None:
    assert sessions.method_of(records, backend) == method


@pytest.mark.both_databases
def test_sessions_end_one_by_one_or_all_but_one(admin_actor: Actor, viewer_actor: Actor) -> None:
    viewer = User.objects.get(pk=viewer_actor.user_id)
    first, second, third = (session_of(viewer) for _ in range(3))
    with pytest.raises(AccessDenied):
        sessions.end(actor=actor_for_user(make_user("other", Role.OPERATOR)), session=first)
    sessions.end(actor=admin_actor, session=first)
    assert not SessionStore().exists(first.session_key)
    assert sessions.end_all(actor=viewer_actor, user=viewer, keep=second.session_key) == 1
    assert UserSession.objects.get().pk == second.pk
    ended = Event.objects.filter(verb="session.ended")
    assert {each.payload["device"] for each in ended} == {"Chrome 131 · Linux"}
    assert third.session_key not in str([each.payload for each in ended])


def test_keeping_out_and_a_new_password_end_sessions(admin_actor: Actor, viewer_actor: Actor) -> None:
    viewer = User.objects.get(pk=viewer_actor.user_id)
    session_of(viewer)
    people.set_password(actor=admin_actor, user=viewer, password="a rather long one", must_change=True)
    assert not UserSession.objects.exists()
    viewer.refresh_from_db()
    assert viewer.must_change_password
    session_of(viewer)
    people.set_active(actor=admin_actor, user=viewer, active=False)
    assert not UserSession.objects.exists()


def test_a_second_factor_is_owed_by_the_roles_of_the_setting_after_the_grace(db: None) -> None:
    amy, bob = make_user("amy", Role.APPROVER), make_user("bob", Role.VIEWER)
    assert sessions.second_factor_due(amy) is None
    settings_store.put(actor=SYSTEM, key="sign_in.second_factor_roles", value=["approver", "admin"])
    due = sessions.second_factor_due(amy)
    assert due is not None
    assert due <= timezone.now()
    assert sessions.second_factor_due(bob) is None
    settings_store.put(actor=SYSTEM, key="sign_in.second_factor_grace_days", value=3)
    later = sessions.second_factor_due(amy)
    assert later is not None
    assert timedelta(days=2, hours=23) < later - timezone.now() <= timedelta(days=3)
    Authenticator.objects.create(user=amy, type="recovery_codes", data={})
    assert sessions.second_factor_due(amy) is not None  # codes alone are no second factor
    Authenticator.objects.create(user=amy, type="totp", data={})
    assert sessions.second_factor_due(amy) is None


def test_a_password_grows_old_only_when_the_setting_says_so(db: None) -> None:
    amy = make_user("amy", Role.VIEWER)
    User.objects.filter(pk=amy.pk).update(password_changed_at=timezone.now() - timedelta(days=100))
    amy.refresh_from_db()
    assert not sessions.owes_password(amy, 0)
    assert not sessions.owes_password(amy, 101)
    assert sessions.owes_password(amy, 99)
    assert not ApiToken.objects.exists()
