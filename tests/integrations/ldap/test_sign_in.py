"""Signing in with the password of a real directory (slapd): groups, TLS, a dead server, names that would cheat."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from tests.conftest import PASSWORD as LOCAL
from tests.conftest import make_user
from tests.integrations.ldap.directory import ADMIN, GROUPS, PASSWORD, PEOPLE, Slapd
from tongchou.core import people, settings_store
from tongchou.core.access import system
from tongchou.core.models import Event, Membership, Role, User
from tongchou.integrations.ldap import config

SYSTEM = system("tests")
pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
BACKEND = "tongchou.integrations.ldap.backend.LdapBackend"


@pytest.fixture(autouse=True)
def said(slapd: Slapd, settings: Any) -> dict[str, Any]:
    """The environment of an installation with this directory, over StartTLS."""
    cache.clear()
    settings.LDAP = {
        "uri": slapd.uri,
        "start_tls": True,
        "ca_file": str(slapd.ca_file),
        "bind_dn": ADMIN,
        "bind_password_file": str(slapd.secret_file),
        "user_base": PEOPLE,
        "user_filter": "(uid=%(user)s)",
        "username_attribute": "uid",
        "group_base": GROUPS,
        "group_filter": "(objectClass=groupOfNames)",
        "group_type": "member",
        "timeout_seconds": 2.0,
    }
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, BACKEND]
    return dict(settings.LDAP)


def sign_in(name: str, password: str = PASSWORD) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.post("/accounts/login/", {"login": name, "password": password})
    return client


def inside(client: Client) -> bool:
    return bool(client.get("/account").status_code == 200)


def roles_of(name: str) -> dict[str | None, str]:
    held = Membership.objects.filter(user__username=name).select_related("team")
    return {each.team.name if each.team else None: each.role for each in held}


def test_a_person_of_the_directory_gets_the_roles_of_their_groups_and_loses_them(slapd: Slapd) -> None:
    people.create_team(actor=SYSTEM, name="shop")
    lines = ["ops = operator", f"cn=Leads,{GROUPS} = approver @ shop"]
    settings_store.put(actor=SYSTEM, key="ldap.group_roles", value=lines)
    amy, bob = slapd.person("amy"), slapd.person("bob")
    slapd.group("ops", amy, bob)
    slapd.group("leads", amy)
    assert inside(sign_in("Amy"))  # the directory does not tell A from a; the account has the directory's spelling
    assert roles_of("amy") == {None: "operator", "shop": "approver"}
    user = User.objects.get(username="amy")
    assert (user.origin, user.has_usable_password(), user.display_name) == ("ldap", False, "Amy")
    event = Event.objects.filter(verb="user.signed_in").last()
    assert event is not None
    assert event.payload["method"] == "ldap"
    slapd.group("ops", bob)
    slapd.group("leads", bob)
    assert inside(sign_in("amy"))
    assert roles_of("amy") == {}
    assert not inside(sign_in("amy", "a wrong password"))
    assert not inside(sign_in("nobody-there"))
    assert User.objects.count() == 1
    assert PASSWORD not in str(list(Event.objects.values_list("payload", flat=True)))


def test_a_local_account_is_never_signed_in_by_the_directory(slapd: Slapd) -> None:
    slapd.person("root")
    make_user("root", Role.ADMIN)
    assert not inside(sign_in("root", PASSWORD))
    assert not inside(sign_in("ROOT", PASSWORD))
    assert inside(sign_in("root", LOCAL))
    assert User.objects.count() == 1


def test_somebody_kept_out_or_new_when_that_is_off_stays_out(slapd: Slapd) -> None:
    make_user("root", Role.ADMIN)
    slapd.person("carol")
    settings_store.put(actor=SYSTEM, key="ldap.allow_new_people", value=False)
    assert not inside(sign_in("carol"))
    settings_store.put(actor=SYSTEM, key="ldap.allow_new_people", value=True)
    assert inside(sign_in("carol"))
    people.set_active(actor=SYSTEM, user=User.objects.get(username="carol"), active=False)
    assert not inside(sign_in("carol"))


@pytest.mark.parametrize("name", ["*", "amy)(uid=*", "a*", "amy\\2a", "amy)(|(uid=*))", "uid=amy,ou=people", ""])
def test_a_name_that_would_change_the_search_finds_nobody(slapd: Slapd, name: str) -> None:
    slapd.person("amy")
    assert not inside(sign_in(name))
    assert not User.objects.exists()


def test_an_empty_password_is_no_anonymous_bind(slapd: Slapd) -> None:
    slapd.person("amy")
    assert not inside(sign_in("amy", ""))


def test_nested_groups_are_followed_when_asked_for(slapd: Slapd, settings: Any, said: dict[str, Any]) -> None:
    inner = slapd.group("inner", slapd.person("dave"))
    slapd.group("outer", inner)
    settings_store.put(actor=SYSTEM, key="ldap.group_roles", value=["outer = operator"])
    assert inside(sign_in("dave"))
    assert roles_of("dave") == {}
    settings.LDAP = {**said, "group_type": "ad-nested"}
    sign_in("dave")
    assert roles_of("dave") == {None: "operator"}


def test_ldaps_is_spoken_and_an_unknown_certificate_is_refused(
    slapd: Slapd, settings: Any, said: dict[str, Any], tmp_path: Path
) -> None:
    slapd.person("amy")
    settings.LDAP = {**said, "uri": slapd.tls_uri, "start_tls": False}
    assert inside(sign_in("amy"))
    for uri, start in ((slapd.tls_uri, False), (slapd.uri, True)):
        settings.LDAP = {**said, "uri": uri, "start_tls": start, "ca_file": ""}
        assert not inside(sign_in("amy"))
    reasons = Event.objects.filter(verb="user.sign_in_refused").values_list("payload", flat=True)
    assert [each["reason"] for each in reasons if "the directory failed" in each["reason"]]


def test_a_dead_or_silent_directory_costs_bounded_time_and_local_people_come_in(
    slapd: Slapd, settings: Any, said: dict[str, Any]
) -> None:
    make_user("root", Role.ADMIN)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        for port in (9, silent.getsockname()[1]):
            settings.LDAP = {**said, "uri": f"ldap://127.0.0.1:{port}"}
            began = time.monotonic()
            assert not inside(sign_in("amy"))
            assert time.monotonic() - began < 15
            assert inside(sign_in("root", LOCAL))
    assert Event.objects.filter(
        verb="user.sign_in_refused", payload__reason__startswith="the directory failed"
    ).exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"group_type": "magic"}, "TONGCHOU_LDAP_GROUP_TYPE"),
        ({"user_filter": "(uid=amy)"}, "TONGCHOU_LDAP_USER_FILTER"),
        ({"user_base": ""}, "TONGCHOU_LDAP_USER_BASE"),
        ({"bind_password_file": "/no/such/file"}, "TONGCHOU_LDAP_BIND_PASSWORD_FILE"),
        ({"ca_file": "/no/such/file"}, "TONGCHOU_LDAP_CA_FILE"),
    ],
)
def test_what_is_written_wrong_is_named(said: dict[str, Any], change: dict[str, str], named: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=named):
        config.load({**said, **change})


def test_without_the_extra_the_setting_names_the_remedy(tmp_path: Path) -> None:
    """A fresh interpreter that cannot find the library, as in an installation without the extra."""
    code = (
        "import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'django_auth_ldap' else real(name, *a);"
        "import tongchou.settings"
    )
    environment = {**os.environ, "TONGCHOU_DATA": str(tmp_path), "TONGCHOU_LDAP_URI": "ldaps://ldap.example.org"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "requirements-ldap.txt" in done.stderr
