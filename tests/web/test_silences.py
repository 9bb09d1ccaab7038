"""The page of silences: preview before creation, prefilled from a group, ended and extended."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.alerting.test_settle import NOW, clock, fire, nothing_is_down  # noqa: F401 - fixtures: the clock stands still
from tongchou.alerting import settle
from tongchou.alerting.models import AlertGroup, Silence
from tongchou.core.models import Role

pytestmark = pytest.mark.django_db


def test_from_a_group_over_the_preview_to_a_silence_and_its_end(browser: Any) -> None:
    fire("orders")
    client = browser(Role.OPERATOR)
    group = AlertGroup.objects.get()
    assert "?matchers=service%3D%22orders%22" in client.get(f"/alerts/groups/{group.pk}").content.decode()
    shown = client.get("/alerts/silences/preview", {"matchers": 'service="orders"'}).content.decode()
    assert "Matches 1 alert now." in shown
    assert "matchers.syntax" not in shown
    assert 'role="alert"' in client.get("/alerts/silences/preview", {"matchers": "("}).content.decode()
    made = client.post(
        "/alerts/silences/new", {"matchers": 'service="orders"', "lasts": "90m", "starts_in": "", "comment": "work <b>"}
    )
    assert made.status_code == 302
    settle.settle(timezone.now())
    page = client.get("/alerts/silences").content.decode()
    assert "work &lt;b&gt;" in page
    assert "service=&quot;orders&quot;" in client.get(f"/alerts/groups/{group.pk}").content.decode()
    row = Silence.objects.get()
    assert (row.ends_at - row.starts_at).total_seconds() == 5400
    assert client.post(f"/alerts/silences/{row.pk}/extend", {"longer": "1d"}).status_code == 302
    row.refresh_from_db()
    assert (row.ends_at - row.starts_at).total_seconds() == 5400 + 86_400
    assert client.post(f"/alerts/silences/{row.pk}/expire").status_code == 302
    row.refresh_from_db()
    assert row.expired_at == NOW


def test_a_mistake_keeps_what_was_written(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    refused = client.post("/alerts/silences/new", {"matchers": "service=orders", "lasts": "2h", "comment": " "})
    assert refused.status_code == 422
    assert "service=orders" in refused.content.decode()
    form = {"matchers": "service=orders", "lasts": "two hours", "comment": "work"}
    unread = client.post("/alerts/silences/new", form)
    assert unread.status_code == 422
    assert "two hours" in unread.content.decode()
    assert not Silence.objects.exists()


def test_a_planned_silence_starts_later(browser: Any) -> None:
    form = {"matchers": "service=orders", "lasts": "2h", "starts_in": "1d", "comment": "planned"}
    assert browser(Role.OPERATOR).post("/alerts/silences/new", form).status_code == 302
    row = Silence.objects.get()
    assert (row.starts_at - NOW).total_seconds() == 86_400
    assert (row.ends_at - row.starts_at).total_seconds() == 7200


def test_a_viewer_sees_silences_and_makes_none(browser: Any) -> None:
    client = browser(Role.VIEWER)
    assert "silence-create" not in client.get("/alerts/silences").content.decode()
    assert client.post("/alerts/silences/new", {}).status_code == 403
