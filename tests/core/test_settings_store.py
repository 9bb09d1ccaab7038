from __future__ import annotations

import pytest

from tongchou.core import settings_store
from tongchou.core.access import Actor
from tongchou.core.models import Event, SettingChange
from tongchou.core.problems import AccessDenied, Invalid, NotFound

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
settings_store.register("test.flag", bool, False, "A flag of the tests.")
settings_store.register("test.count", int, 3, "A count.", validate=lambda v: None if v >= 0 else "Not below zero.")


def test_the_newest_row_counts_and_the_history_stays(admin_actor: Actor) -> None:
    assert settings_store.get("test.flag") is False
    settings_store.put(actor=admin_actor, key="test.flag", value=True)
    settings_store.put(actor=admin_actor, key="test.flag", value=False)
    assert settings_store.get("test.flag") is False
    assert list(SettingChange.objects.order_by("pk").values_list("value", flat=True)) == [True, False]
    changed = Event.objects.filter(verb="setting.changed").order_by("pk").last()
    assert changed is not None
    assert changed.payload == {"key": "test.flag", "old": True, "new": False}


@pytest.mark.parametrize(
    ("key", "value"),
    [("test.flag", "yes"), ("test.flag", 1), ("test.count", True), ("test.count", -1), ("test.count", "3")],
)
def test_a_value_of_the_wrong_type_or_range_is_refused(admin_actor: Actor, key: str, value: object) -> None:
    with pytest.raises(Invalid):
        settings_store.put(actor=admin_actor, key=key, value=value)
    assert not SettingChange.objects.exists()


def test_an_unknown_key_is_refused(admin_actor: Actor) -> None:
    with pytest.raises(NotFound):
        settings_store.put(actor=admin_actor, key="test.nope", value=1)


def test_only_an_administrator_changes_settings(operator_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        settings_store.put(actor=operator_actor, key="test.flag", value=True)


def test_a_setting_with_an_action_of_its_own_is_changed_by_that_action_only(admin_actor: Actor) -> None:
    with pytest.raises(Invalid) as refused:
        settings_store.put(actor=admin_actor, key="execution.stopped", value=True)
    assert refused.value.code == "setting.elsewhere"
    assert "/api/v1/execution/stop" in str(refused.value.remedy)
    assert settings_store.get("execution.stopped") is False
