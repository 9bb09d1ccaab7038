"""Channels under `tongchou doctor`."""

from __future__ import annotations

import pytest
from django.utils import translation

from tongchou.alerting import actions, health_checks
from tongchou.alerting.models import Channel
from tongchou.core.access import system
from tongchou.core.checks import Surroundings

HERE = Surroundings(in_server=True, running=True)
RULES = "groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]"
pytestmark = pytest.mark.django_db


def test_a_channel_that_fails_is_named_and_its_answer_is_not() -> None:
    assert health_checks.channels(HERE).status == "ok"
    Channel.objects.create(name="night shift", kind="webhook", failures=3, last_error="401 for token=abc")
    found = health_checks.channels(HERE)
    assert found.status == "warn"
    assert "night shift" in str(found.detail)
    assert "abc" not in f"{found.detail}{found.remedy}"
    Channel.objects.update(enabled=False)
    assert health_checks.channels(HERE).status == "ok"


def test_rules_that_nobody_is_told_of() -> None:
    actions.put_rule_file(actor=system("tests"), name="a.yml", text=RULES)
    with translation.override("en"):
        assert "no channel" in str(health_checks.channels(HERE).detail)
