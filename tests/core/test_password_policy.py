"""Passwords: length, leaked ones, the last ones; every limit is a setting and every refusal says which."""

from __future__ import annotations

import pytest

from tests.conftest import PASSWORD, make_user
from tongchou.core import people, settings_store
from tongchou.core.access import Actor, system
from tongchou.core.models import OldPassword, Role, User
from tongchou.core.problems import Invalid

SYSTEM = system("tests")


def refused(user: User, password: str) -> str:
    with pytest.raises(Invalid) as caught:
        people.set_password(actor=SYSTEM, user=user, password=password)
    assert caught.value.field == "password"
    assert password not in str(caught.value.as_dict())
    return str(caught.value.detail)


def test_the_length_is_a_setting(db: None) -> None:
    amy = make_user("amy", Role.VIEWER)
    assert "10" in refused(amy, "kq8-zv2!x")
    settings_store.put(actor=SYSTEM, key="sign_in.password_min_length", value=20)
    assert "20" in refused(amy, "kq8-zv2!x-rather-ok")
    people.set_password(actor=SYSTEM, user=amy, password="kq8-zv2!x-rather-long")
    for wrong in (7, 129, True, "12"):
        with pytest.raises(Invalid):
            settings_store.put(actor=SYSTEM, key="sign_in.password_min_length", value=wrong)


def test_a_leaked_password_is_refused_unless_the_setting_is_off(db: None) -> None:
    amy = make_user("amy", Role.VIEWER)
    refused(amy, "password123456")
    settings_store.put(actor=SYSTEM, key="sign_in.password_refuse_common", value=False)
    people.set_password(actor=SYSTEM, user=amy, password="password123456")


def test_the_last_passwords_are_not_taken_again(db: None) -> None:
    settings_store.put(actor=SYSTEM, key="sign_in.password_reuse", value=2)
    amy = make_user("amy", Role.VIEWER)
    assert "2" in refused(amy, PASSWORD)  # the present one
    people.set_password(actor=SYSTEM, user=amy, password="the second of them")
    refused(amy, PASSWORD)
    people.set_password(actor=SYSTEM, user=amy, password="the third of them")
    people.set_password(actor=SYSTEM, user=amy, password=PASSWORD)  # two ago: allowed again
    assert OldPassword.objects.filter(user=amy).count() == 3
    assert not OldPassword.objects.filter(hash__contains=PASSWORD).exists()


def test_an_account_without_a_password_gets_none(admin_actor: Actor) -> None:
    robot = people.create_user(actor=SYSTEM, username="robot", password=None, role=Role.VIEWER, is_service=True)
    with pytest.raises(Invalid) as caught:
        people.set_password(actor=admin_actor, user=robot, password="a long enough one")
    assert caught.value.code == "user.no_password"
    robot.refresh_from_db()
    assert not robot.has_usable_password()
