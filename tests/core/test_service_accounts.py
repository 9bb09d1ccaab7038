"""Service accounts: an owner, tokens that are rotated with an overlap, one switch that ends them together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.test import RequestFactory
from django.utils import timezone

from tests.conftest import make_user
from tongchou.core import people, service_accounts, tokens
from tongchou.core.access import Actor, system
from tongchou.core.models import ApiToken, Event, Role, User
from tongchou.core.problems import AccessDenied, Invalid, NotFound, NotSignedIn

SYSTEM = system("tests")
pytestmark = pytest.mark.django_db


def robot(**more: object) -> User:
    owner = make_user("owner", Role.OPERATOR)
    make_user("root", Role.ADMIN)
    given = {"username": "robot", "role": Role.OPERATOR, "owner": owner, "team": None, "purpose": "deploys", **more}
    return service_accounts.create(actor=SYSTEM, **given)  # type: ignore[arg-type]  # a test's keywords


def test_it_has_an_owner_and_cannot_sign_in() -> None:
    account = robot()
    assert (account.is_service, account.has_usable_password(), str(account.owner)) == (True, False, "owner")
    request = RequestFactory().post("/accounts/login/")
    assert authenticate(request, username="robot", password="") is None
    assert Event.objects.filter(verb="service_account.described").count() == 1
    with pytest.raises(NotFound):
        service_accounts.find(account.owner.pk)  # type: ignore[union-attr]  # asserted above


@pytest.mark.parametrize("owner", ["nobody", "kept out", "another robot"])
def test_an_owner_is_a_person_who_may_sign_in(owner: str) -> None:
    account = robot()
    person = {"nobody": None, "another robot": account, "kept out": make_user("late", Role.VIEWER)}[owner]
    if owner == "kept out":
        people.set_active(actor=SYSTEM, user=person, active=False)  # type: ignore[arg-type]  # a person in this case
        person.refresh_from_db()  # type: ignore[union-attr]  # a person in this case
    with pytest.raises(Invalid) as caught:
        service_accounts.create(actor=SYSTEM, username="two", role=None, owner=person, team=None)
    assert caught.value.field == "owner"
    assert not User.objects.filter(username="two").exists()


@pytest.mark.both_databases
def test_a_token_is_rotated_with_an_overlap() -> None:
    account = robot()
    expires = timezone.now() + timedelta(days=90)
    old, old_text = tokens.create(actor=SYSTEM, user=account, name="ci", scopes=["write"], expires_at=expires)
    new, new_text = tokens.rotate(actor=SYSTEM, token=old, overlap=timedelta(hours=1))
    assert (new.name, new.scopes, new.user_id) == ("ci", ["write"], account.pk)
    assert abs((new.expires_at - expires).total_seconds()) < 5  # type: ignore[operator]  # it has a term
    for text in (old_text, new_text):
        assert tokens.actor_for_authorization(f"Bearer {text}").user_id == account.pk
    old.refresh_from_db()
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=1)  # type: ignore[operator]  # set
    ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    with pytest.raises(NotSignedIn):
        tokens.actor_for_authorization(f"Bearer {old_text}")
    with pytest.raises(Invalid):
        tokens.rotate(actor=SYSTEM, token=old, overlap=timedelta(0))
    assert ApiToken.objects.count() == 2
    assert new_text not in str(list(Event.objects.values_list("payload", flat=True)))


def test_no_one_but_the_owner_of_a_token_and_an_administrator_rotates_it(viewer_actor: Actor) -> None:
    old, _text = tokens.create(actor=SYSTEM, user=robot(), name="ci", scopes=["read"], expires_at=None)
    with pytest.raises(AccessDenied):
        tokens.rotate(actor=viewer_actor, token=old, overlap=timedelta(0))
    with pytest.raises(Invalid):
        tokens.rotate(actor=SYSTEM, token=old, overlap=timedelta(days=31))
    old.refresh_from_db()
    assert (old.rotated_to, old.expires_at) == (None, None)


def test_disabling_ends_every_token_together() -> None:
    account = robot()
    texts = [tokens.create(actor=SYSTEM, user=account, name=name, scopes=["read"], expires_at=None)[1] for name in "ab"]
    people.set_active(actor=SYSTEM, user=account, active=False)
    people.set_active(actor=SYSTEM, user=account, active=True)  # revoked is for good
    for text in texts:
        with pytest.raises(NotSignedIn):
            tokens.actor_for_authorization(f"Bearer {text}")
