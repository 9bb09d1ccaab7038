"""The pages of objectives: what is left in words, no data as no data, the chart's columns."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.translation import override

from tests.alerting.slo.test_rules import SPEC
from tests.web.foreign import SYSTEM, member_of
from tests.web.test_operate import outage  # noqa: F401 - a fixture
from tongchou.alerting.models import Objective
from tongchou.alerting.slo import actions
from tongchou.alerting.slo.budget import budget
from tongchou.alerting.slo.forecast import Forecast
from tongchou.core import people
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.incidents.models import Incident
from tongchou.telemetry.actions import append
from tongchou.telemetry.series import SeriesBlock, labels_of
from tongchou.web.operate_slo import outlook_of, tone_of, words_of

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
    with django_assert_max_num_queries(13):
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


@pytest.mark.usefixtures("outage")
def test_incidents_of_the_service_are_marked_with_what_they_spent(browser, telemetry_db):
    """The fixture's incident is about the service shop: it stands beside shop's burn-down and not beside another's."""
    end = round(datetime.now(UTC).timestamp())
    times = [end - 600 + 5 * at for at in range(121)]
    rows = [
        (labels_of({"__name__": "http_requests_total", "service": "shop", "code": code}), [at * 1000 for at in times],
         [rate * 5 * at for at in range(121)])
        for code, rate in (("200", 9.0), ("503", 1.0))
    ]  # fmt: skip
    append(SeriesBlock.build(rows), actor=system("tests"))
    incident = Incident.objects.get()
    Incident.objects.update(started_at=datetime.fromtimestamp(end - 120, UTC))
    queries = {
        "error_query": SPEC.error_query.replace("orders", "shop"),
        "total_query": SPEC.total_query.replace("orders", "shop"),
    }
    for spec in (dataclasses.replace(SPEC, name="shop", service="shop", **queries), SPEC):
        actions.put_objective(actor=system("tests"), spec=spec)
    client = browser(Role.VIEWER)
    page = client.get("/slos/shop").content.decode()
    assert f"/incidents/{incident.number}" in page
    spent = Decimal(re.search(r'class="num">([0-9.]+) %</td>', page)[1])
    assert 1_800 < spent < 2_200  # 120 errors in two minutes; the 6,000 events of the window allow 6
    assert f"/incidents/{incident.number}" not in client.get("/slos/orders-answers").content.decode()
    assert "the budget is spent" in page
    marks = client.get("/slos/shop/burn-down?start=0&end=1").json()["marks"]
    assert [(mark["at"], mark["title"]) for mark in marks] == [((end - 120) * 1000, incident.name)]
    assert client.get("/slos/orders-answers/burn-down?start=0&end=1").json()["marks"] == []


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        ("empties", 273_600.0, "empty in 3d 4h at the rate of the last 1d 0h"),
        ("lasts", None, "lasts at the rate of the last 1d 0h"),
        ("empty", 0.0, "the budget is spent"),
        ("unknown", None, "too few events in the last 1d 0h for a forecast"),
    ],
)
def test_the_outlook_in_words(state, seconds, words):
    found = dataclasses.asdict(Forecast(state, 86_400, 2.0, seconds))
    with override("en"):
        assert outlook_of(found) == words
        assert outlook_of(None) == ""


def test_words_and_tones():
    assert tone_of(None) == "unknown"
    assert tone_of(dataclasses.asdict(budget(0.999, None, None))) == "unknown"
    assert tone_of(dataclasses.asdict(budget(0.999, 1000, 0.9))) == "warning"
    assert tone_of(dataclasses.asdict(budget(0.999, 10_000, 1))) == "ok"
    short = dataclasses.asdict(budget(0.99, 10_000, 1234))
    assert tone_of(short) == "critical"
    assert "1,134" in words_of(short)


FORM = {
    "name": "orders-answers", "title_en": "Orders <b>are</b> taken", "title_zh": "", "service": "orders",
    "error_query": SPEC.error_query, "total_query": SPEC.total_query, "target": "99.9", "window": "30d",
    "min_events": "100", "min_errors": "3",
}  # fmt: skip


def test_an_objective_is_tried_written_changed_and_deleted(browser, telemetry_db):
    client = browser(Role.ADMIN)
    assert "/slo-form" in client.get("/slos").content.decode()
    tried = client.post("/slo-form", FORM | {"try": "1"})
    assert tried.status_code == 200
    assert "No data in this window" in tried.content.decode()
    assert "ErrorBudgetBurn" in tried.content.decode()
    assert not Objective.objects.exists()
    assert client.post("/slo-form", FORM).headers["Location"] == "/slos/orders-answers"
    row = Objective.objects.get()
    assert (row.target, row.window_seconds, row.title) == (0.999, 30 * 86_400, {"en": "Orders <b>are</b> taken"})
    form = client.get("/slo-form/orders-answers").content.decode()
    assert 'value="99.9"' in form
    assert "<b>are</b>" not in form
    client.post("/slo-form/orders-answers", FORM | {"name": "other", "target": "99.95"})
    row.refresh_from_db()
    assert (row.name, row.target) == ("orders-answers", 0.9995)
    client.post("/slo-form/orders-answers", {"delete": "1"})
    assert not Objective.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("target", "100"), ("target", "x"), ("window", "a month"), ("min_events", "-1"), ("total_query", "sum("),
     ("error_query", "sum(rate(x[$window]))"), ("name", "Orders!"), ("title_en", "")],
)  # fmt: skip
def test_a_mistake_in_the_form_names_its_field_and_keeps_the_rest(browser, field, value):
    answer = browser(Role.ADMIN).post("/slo-form", FORM | {field: value})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert f"<strong>{field.removesuffix('_en')}" in page
    assert 'value="orders"' in page
    assert not Objective.objects.exists()


def test_a_viewer_gets_no_form(browser):
    client = browser(Role.VIEWER)
    assert "slo-form" not in client.get("/slos").content.decode()
    assert client.get("/slo-form").status_code == 403


def test_a_role_in_a_team_tries_no_query_on_the_metrics_of_all(browser, telemetry_db):
    client = browser(member_of(people.create_team(actor=SYSTEM, name="ours"), Role.ADMIN))
    assert client.get("/slo-form").status_code == 403
    assert client.post("/slo-form", FORM | {"try": "1"}).status_code == 403
