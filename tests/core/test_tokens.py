from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from tongchou.core import people, tokens
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import ApiToken, Event, Membership, Role, User
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotSignedIn

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _fresh_rate_limits() -> None:
    cache.clear()


def make(user: User, **more: Any) -> tuple[ApiToken, str]:
    return tokens.create(
        actor=system("tests"), **{"user": user, "name": "t", "scopes": ["read"], "expires_at": None, **more}
    )


def test_a_token_is_stored_hashed_and_never_told_again(admin_user: User) -> None:
    row, token = make(admin_user)
    assert token.startswith("tc_")
    assert token not in str(ApiToken.objects.values().get(pk=row.pk))
    assert all(token not in str(each) for each in Event.objects.values())
    assert tokens.actor_for_authorization(f"Bearer {token}").scopes == ("read",)
    basic = base64.b64encode(f"anything:{token}".encode()).decode()
    assert tokens.actor_for_authorization(f"Basic {basic}").kind == "token"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer tc_nope", "Basic !!!", "Basic dGNf", "Digest tc_x", "bearer \x00"]
)
def test_what_is_no_valid_token_is_refused(header: str) -> None:
    with pytest.raises(NotSignedIn):
        tokens.actor_for_authorization(header)


def test_expired_revoked_and_deactivated_tokens_end_at_once(admin_user: User) -> None:
    other = people.create_user(actor=system("tests"), username="other", password=None, role=Role.VIEWER)
    expired, expired_token = make(other)
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked, revoked_token = make(other)
    tokens.revoke(actor=system("tests"), token=revoked)
    _row, left_token = make(other)
    people.set_active(actor=system("tests"), user=other, active=False)
    for token in (expired_token, revoked_token, left_token):
        with pytest.raises(NotSignedIn):
            tokens.actor_for_authorization(f"Bearer {token}")


def test_a_narrow_token_cannot_make_itself_a_wide_one(admin_user: User) -> None:
    row, _token = make(admin_user)
    with pytest.raises(AccessDenied):
        tokens.create(
            actor=actor_for_user(admin_user, token=row), user=admin_user, name="wide", scopes=["all"], expires_at=None
        )


def test_making_a_token_for_somebody_else_needs_an_administrator(operator_actor: Actor, admin_user: User) -> None:
    with pytest.raises(AccessDenied):
        tokens.create(actor=operator_actor, user=admin_user, name="x", scopes=["all"], expires_at=None)


def test_scopes_must_be_known(admin_user: User) -> None:
    for scopes in ([], ["everything"]):
        with pytest.raises(Invalid) as caught:
            make(admin_user, scopes=scopes)
        assert caught.value.field == "scopes"


def test_the_last_administrator_stays_one(admin_user: User) -> None:
    with pytest.raises(Conflict):
        people.set_role(actor=system("tests"), user=admin_user, role=Role.VIEWER)
    with pytest.raises(Conflict):
        people.set_active(actor=system("tests"), user=admin_user, active=False)
    assert Membership.objects.get(user=admin_user).role == Role.ADMIN
    admin_user.refresh_from_db()
    assert admin_user.is_active


def test_a_service_account_is_not_the_administrator_that_is_left(admin_user: User) -> None:
    robot = people.create_user(actor=system("tests"), username="robot", password=None, role=Role.ADMIN)
    User.objects.filter(pk=robot.pk).update(is_service=True)
    with pytest.raises(Conflict):
        people.set_role(actor=system("tests"), user=admin_user, role=Role.VIEWER)
    with pytest.raises(Conflict):
        people.set_active(actor=system("tests"), user=admin_user, active=False)


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_demote_each_other_at_once_leave_one(admin_user: User) -> None:
    other = people.create_user(actor=system("tests"), username="other", password=None, role=Role.ADMIN)
    together = threading.Barrier(2, timeout=20)

    def demote(user: User) -> str:
        try:
            together.wait()
            with transaction.atomic():
                people.set_role(actor=system("tests"), user=user, role=Role.VIEWER)
                time.sleep(0.3)  # the other one decides before this is committed
        except Conflict as refused:
            return refused.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(demote, (admin_user, other)))
    assert told == ["done", "user.last_admin"]
    assert Membership.objects.filter(team=None, role=Role.ADMIN).count() == 1


def test_a_weak_password_is_refused_with_the_field() -> None:
    with pytest.raises(Invalid) as caught:
        people.create_user(actor=system("tests"), username="weak", password="12345", role=None)
    assert caught.value.field == "password"
    assert caught.value.value is None, "a password is never repeated in an error"


def test_a_name_is_taken_once() -> None:
    people.create_user(actor=system("tests"), username="taken", password=None, role=None)
    with pytest.raises(Conflict):
        people.create_user(actor=system("tests"), username="taken", password=None, role=None)


def test_failed_sign_ins_are_in_the_ledger_without_the_password_and_lock_the_name(
    client: Client, admin_user: User, settings: Any
) -> None:
    typed = "not-the-password-91"
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post("/accounts/login/", {"login": "admin", "password": typed})
    locked = client.post("/accounts/login/", {"login": "admin", "password": "correct horse battery"})
    assert locked.status_code == 429
    failures = Event.objects.filter(verb="user.sign_in_failed")
    assert failures.count() >= settings.AXES_FAILURE_LIMIT
    assert all(typed not in str(each.payload) for each in failures)


def test_one_name_is_tried_only_so_often_from_all_addresses_together(db: None, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # twenty slow ones take ten seconds
    name = "tried-from-everywhere"
    people.create_user(actor=system("tests"), username=name, password="correct horse battery", role=None)
    for turn in range(20):
        Client(REMOTE_ADDR=f"192.0.2.{turn}").post("/accounts/login/", {"login": name, "password": "wrong-91"})
    body = {"login": name, "password": "correct horse battery"}
    assert Client(REMOTE_ADDR="198.51.100.1").post("/accounts/login/", body).status_code != 302
    cache.clear()
    assert Client(REMOTE_ADDR="198.51.100.1").post("/accounts/login/", body).status_code == 302


def test_a_narrow_token_ends_itself_but_no_other_token_of_its_person(admin_user: User) -> None:
    other, _token = make(admin_user)
    for scope in ("read", "ingest", "approve"):
        row, _token = make(admin_user, scopes=[scope])
        actor = actor_for_user(admin_user, token=row)
        with pytest.raises(AccessDenied):
            tokens.revoke(actor=actor, token=other)
        tokens.revoke(actor=actor, token=row)
        row.refresh_from_db()
        assert row.revoked_at is not None
    other.refresh_from_db()
    assert other.revoked_at is None
    wide, _token = make(admin_user, scopes=["write"])
    tokens.revoke(actor=actor_for_user(admin_user, token=wide), token=other)
    other.refresh_from_db()
    assert other.revoked_at is not None


def test_a_narrow_token_cannot_change_its_persons_preferences(admin_user: User) -> None:
    row, _token = make(admin_user)
    with pytest.raises(AccessDenied):
        people.set_preferences(actor=actor_for_user(admin_user, token=row), user=admin_user, theme="dark")
    wide, _token = make(admin_user, scopes=["write"])
    for actor in (actor_for_user(admin_user, token=wide), actor_for_user(admin_user)):
        people.set_preferences(actor=actor, user=admin_user, theme="light")


def test_a_token_used_again_costs_one_query_and_what_changed_counts_at_once(
    admin_user: User, django_assert_num_queries: Any
) -> None:
    other = people.create_user(actor=system("tests"), username="other", password=None, role=Role.VIEWER)
    row, token = make(other)
    header = f"Bearer {token}"
    assert tokens.actor_for_authorization(header).global_role == Role.VIEWER
    with django_assert_num_queries(1):
        tokens.actor_for_authorization(header)
    Membership.objects.filter(user=other).update(role=Role.OPERATOR)
    assert tokens.actor_for_authorization(header).global_role == Role.OPERATOR
    ApiToken.objects.filter(pk=row.pk).update(scopes=["ingest"])
    assert tokens.actor_for_authorization(header).scopes == ("ingest",)
    Membership.objects.filter(user=other).delete()
    assert tokens.actor_for_authorization(header).global_role is None
    User.objects.filter(pk=other.pk).update(is_active=False)
    with pytest.raises(NotSignedIn):
        tokens.actor_for_authorization(header)
    User.objects.filter(pk=other.pk).update(is_active=True)
    assert tokens.actor_for_authorization(header).user_id == other.pk
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() + timedelta(milliseconds=200))
    assert tokens.actor_for_authorization(header).user_id == other.pk
    time.sleep(0.25)
    with pytest.raises(NotSignedIn):
        tokens.actor_for_authorization(header)


def test_a_role_that_was_held_for_a_moment_is_not_remembered_for_the_time_before(
    admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = people.create_user(actor=system("tests"), username="other", password=None, role=Role.VIEWER)
    _row, token = make(other, scopes=["all"])
    header = f"Bearer {token}"
    held = Membership.objects.filter(user=other, team=None)
    with monkeypatch.context() as patch:

        def meanwhile(user: User, **more: Any) -> Actor:
            held.update(role=Role.ADMIN)
            return actor_for_user(user, **more)

        patch.setattr(tokens, "actor_for_user", meanwhile)
        assert tokens.actor_for_authorization(header).global_role == Role.ADMIN
    held.update(role=Role.VIEWER)
    assert tokens.actor_for_authorization(header).global_role == Role.VIEWER
