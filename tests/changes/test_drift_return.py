"""The change that puts back what was observed: one at a time, with what it was and what it is."""

from __future__ import annotations

import pytest
from django.utils import translation

from tests.changes.observing import TESTS, eyes, looked, resource, thing
from tests.conftest import make_user
from tongchou.changes import control, drift_return
from tongchou.changes.models_control import Change
from tongchou.changes.models_drift import Drift
from tongchou.core import people
from tongchou.core.access import actor_for_user
from tongchou.core.models import Role
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def test_it_says_what_it_was_and_is_once_until_that_change_is_over() -> None:
    source = eyes()
    looked(source, thing("web-1", kernel="6.1"))
    team = people.create_team(actor=TESTS, name="shop")
    inventory.update_resource(actor=TESTS, resource=resource("web-1"), owner=team)
    looked(source, thing("web-1", kernel="6.2"))
    boss, row = actor_for_user(make_user("boss", Role.ADMIN)), Drift.objects.get()
    with translation.override("en"):
        first = drift_return.open_change(actor=boss, row=row)
    assert drift_return.open_change(actor=boss, row=row) == first
    assert (first.team, first.because, first.state) == (team, ref(row), "new")
    assert [each.title for each in first.tasks.all()] == ["Put it back: 6.1"]
    assert first.backout == "Leave it as it is: 6.2"
    control.cancel(actor=boss, change=first, reason="not now")
    assert drift_return.open_change(actor=boss, row=row) != first
    assert Change.objects.count() == 2
