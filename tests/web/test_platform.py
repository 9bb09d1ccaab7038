"""The page of the platform's own charts, and Grafana's copy of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tongchou.alerting import self_rules
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.telemetry.promql.parse import parse
from tongchou.web import platform_panels

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_for_grafana_is_the_page() -> None:
    """Write it anew from platform_panels.grafana() when this fails."""
    assert json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text()) == platform_panels.grafana()
    for panel in platform_panels.PANELS:
        parse(panel.query)


@pytest.mark.django_db
def test_the_page_has_its_charts_and_says_whether_rules_watch_them(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "nothing alerts on these figures" in client.get("/admin/platform").content.decode()
    self_rules.ensure(actor=system("tests"))
    text = client.get("/admin/platform").content.decode()
    assert text.count("data-chart ") == len(platform_panels.PANELS)
    assert "/alerts/rule-files/tongchou-self.yml" in text
    assert client.get("/admin/platform?format=grafana").json()["uid"] == "tongchou-self"
    assert browser(Role.VIEWER).get("/admin/platform").status_code == 403
