"""The access review: every role held, from where, whether used; a role that changes must be reviewed again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import make_user
from tongchou.core import access_review, people
from tongchou.core.access import Actor, system
from tongchou.core.models import ApiToken, Event, Membership, Origin, Role, User
from tongchou.core.problems import AccessDenied, Conflict

SYSTEM = system("tests")
pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_line_says_what_an_auditor_asks(django_assert_num_queries: Any) -> None:
    for number in range(5):
        make_user(f"amy-{number}", Role.OPERATOR)
    old = User.objects.get(username="amy-0")
    long_ago = timezone.now() - timedelta(days=200)
    User.objects.filter(pk=old.pk).update(date_joined=long_ago, last_login=long_ago)
    ApiToken.objects.create(user=User.objects.get(username="amy-1"), name="t", digest="d", last_used_at=timezone.now())
    rows = list(access_review.rows())
    with django_assert_num_queries(4):  # last use, live tokens, second factors, the setting
        lines = access_review.lines(rows)
    assert [each.unused for each in lines] == [True, False, False, False, False]
    assert (lines[1].live_tokens, lines[1].last_token is not None) == (1, True)
    assert lines[0].membership.source == Origin.LOCAL


def test_confirming_is_written_down_and_a_changed_role_must_be_confirmed_again(
    admin_actor: Actor, viewer_actor: Actor
) -> None:
    row = Membership.objects.get(user_id=viewer_actor.user_id)
    with pytest.raises(AccessDenied):
        access_review.confirm(actor=viewer_actor, membership=row)
    access_review.confirm(actor=admin_actor, membership=row)
    row.refresh_from_db()
    assert (row.reviewed_by_name, row.reviewed_at is not None) == (admin_actor.name, True)
    event = Event.objects.get(verb="access.confirmed")
    assert (event.actor_name, event.payload["role"]) == (admin_actor.name, "viewer")
    people.set_role(actor=admin_actor, user=row.user, role=Role.OPERATOR)
    row.refresh_from_db()
    assert row.reviewed_at is None


def test_nobody_confirms_their_own_role_and_the_last_administrator_stays(admin_actor: Actor) -> None:
    own = Membership.objects.get(user_id=admin_actor.user_id)
    with pytest.raises(Conflict):
        access_review.confirm(actor=admin_actor, membership=own)
    with pytest.raises(Conflict):
        access_review.withdraw(actor=admin_actor, membership=own)
    assert Membership.objects.filter(pk=own.pk).exists()


def test_withdrawing_takes_a_local_role_and_not_one_a_group_gives(admin_actor: Actor, viewer_actor: Actor) -> None:
    row = Membership.objects.select_related("user").get(user_id=viewer_actor.user_id)
    Membership.objects.filter(pk=row.pk).update(source="ldap", source_group="cn=ops")
    with pytest.raises(Conflict) as caught:
        access_review.withdraw(actor=admin_actor, membership=access_review.find(row.pk))
    assert "cn=ops" in str(caught.value.detail)
    Membership.objects.filter(pk=row.pk).update(source="local")
    access_review.withdraw(actor=admin_actor, membership=access_review.find(row.pk))
    assert not Membership.objects.filter(user=row.user).exists()
    assert Event.objects.filter(verb__in=["access.withdrawn", "user.role_changed"]).count() == 2
