"""The platform's own rules: sound, about metrics there are, installed once, kept as people leave them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from tongchou.alerting import actions, self_rules
from tongchou.alerting.models import RuleFile
from tongchou.core import meters
from tongchou.core.access import system
from tongchou.telemetry.backend import Telemetry

SYSTEM = system("first-start")
ROOT = Path(__file__).resolve().parents[2]


def expressions() -> dict[str, str]:
    told = yaml.safe_load(self_rules.SHIPPED.read_text())
    return {rule["alert"]: rule["expr"] for group in told["groups"] for rule in group["rules"]}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_takes_the_file() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(self_rules.SHIPPED)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(expressions())} rules found" in done.stdout


@pytest.mark.django_db
def test_every_metric_that_rules_and_the_grafana_dashboard_ask_for_is_told(telemetry_db: Telemetry) -> None:
    meters.REQUESTS.observe("pages", "2xx", seconds=0.1)
    told = Client(REMOTE_ADDR="127.0.0.1").get("/metrics").content.decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told, re.MULTILINE))
    ends = {"histogram": ("_bucket", "_sum", "_count")}
    known = {name + end for name, kind in kinds.items() for end in ends.get(kind, ("",))}
    dashboard = (ROOT / "deploy" / "grafana-dashboard.json").read_text()
    asked = set(
        re.findall(r"\b((?:tongchou|process|node)_[a-z_A-Z0-9]+)\b", " ".join(expressions().values()) + dashboard)
    )
    assert len(asked) > 20
    assert asked - known == set()


@pytest.mark.django_db
def test_it_is_installed_once_and_stays_as_people_leave_it(monkeypatch: Any, tmp_path: Path) -> None:
    assert self_rules.ensure(actor=SYSTEM)
    assert not self_rules.ensure(actor=SYSTEM), "nothing to do at the next start"
    newer = tmp_path / "newer.yml"
    newer.write_text(self_rules.SHIPPED.read_text().replace("< 0.05", "< 0.04"))
    monkeypatch.setattr(self_rules, "SHIPPED", newer)
    assert self_rules.ensure(actor=SYSTEM), "a release changes what nobody changed"
    assert "< 0.04" in RuleFile.objects.get().text
    own = RuleFile.objects.get().text.replace("< 0.04", "< 0.5")
    actions.put_rule_file(actor=SYSTEM, name=self_rules.NAME, text=own)
    newest = tmp_path / "newest.yml"
    newest.write_text(newer.read_text().replace("< 0.04", "< 0.03"))
    monkeypatch.setattr(self_rules, "SHIPPED", newest)
    assert not self_rules.ensure(actor=SYSTEM)
    assert "< 0.5" in RuleFile.objects.get().text, "a person's change stays"
    actions.delete_rule_file(actor=SYSTEM, name=self_rules.NAME)
    assert not self_rules.ensure(actor=SYSTEM)
    assert not RuleFile.objects.exists(), "what a person deleted stays away"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_alert_is_explained(language: str) -> None:
    page = (ROOT / "docs" / language / "operations.md").read_text()
    assert [name for name in expressions() if f"`{name}`" not in page] == []
