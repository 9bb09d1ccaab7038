"""The pages of objectives: what is left in words, no data as no data, the chart's columns."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from tests.alerting.slo.test_rules import SPEC
from tongchou.alerting.models import Objective
from tongchou.alerting.slo import actions
from tongchou.alerting.slo.budget import budget
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.web.operate_slo import tone_of, words_of

pytestmark = pytest.mark.django_db


def test_without_objectives_the_page_says_what_to_do(browser):
    assert "No objectives yet" in browser(Role.VIEWER).get("/slos").content.decode()


def test_the_list_says_how_many_errors_are_left(browser):
    actions.put_objective(actor=system("tests"), spec=SPEC)
    client = browser(Role.VIEWER)
    assert "Not measured yet" in client.get("/slos").content.decode()
    measured = {"budget": dataclasses.asdict(budget(0.999, 1_000_000, 400)), "burns": []}
    Objective.objects.update(measured=measured, measured_at=datetime.now(UTC))
    page = client.get("/slos?part=live").content.decode()
    assert "600 errors left" in page
    assert "60.0 %" in page


def test_the_number_of_queries_does_not_grow_with_the_objectives(browser, django_assert_max_num_queries):
    client = browser(Role.VIEWER)
    for number in range(12):
        actions.put_objective(actor=system("tests"), spec=dataclasses.replace(SPEC, name=f"objective-{number}"))
    with django_assert_max_num_queries(12):
        assert client.get("/slos").status_code == 200


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_one_objective_without_data_is_not_met(browser, telemetry_db, language):
    actions.put_objective(actor=system("tests"), spec=SPEC)
    client = browser(Role.VIEWER, language)
    page = client.get("/slos/orders-answers").content.decode()
    assert ("No data in this window" if language == "en" else "这个窗口没有数据") in page
    assert "14.4×" in page
    columns = client.get("/slos/orders-answers/burn-down?start=0&end=1").json()
    assert columns["series"] == []
    assert client.get("/slos/unknown").status_code == 404


def test_words_and_tones():
    assert tone_of(None) == "unknown"
    assert tone_of(dataclasses.asdict(budget(0.999, None, None))) == "unknown"
    assert tone_of(dataclasses.asdict(budget(0.999, 1000, 0.9))) == "warning"
    assert tone_of(dataclasses.asdict(budget(0.999, 10_000, 1))) == "ok"
    short = dataclasses.asdict(budget(0.99, 10_000, 1234))
    assert tone_of(short) == "critical"
    assert "1,134" in words_of(short)
