"""The shop's rule file and procedures are what the platform and Prometheus accept."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tongchou.demo.rules import PROCEDURES, procedure, quick_rule_file, rule_file
from tongchou.runbooks.procedure import parse

BY_HAND = ("scale-in-storefront",)  # nobody needs to be woken because there is too much of something


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("text", [rule_file(), quick_rule_file()], ids=["shipped", "quick"])
def test_promtool_accepts_the_rules(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(text)
    checked = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_quick_rules_differ_only_in_durations() -> None:
    shipped, quick = rule_file(), quick_rule_file()
    blank = re.compile(r"(for: |interval: |\[)\d+[sm]")
    assert blank.sub(r"\1", shipped) == blank.sub(r"\1", quick)
    rules = [rule for group in yaml.safe_load(quick)["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(rules) >= 15
    assert {rule["for"] for rule in rules} == {"5s"}
    assert {group["interval"] for group in yaml.safe_load(quick)["groups"]} == {"1s"}
    assert "[1m]" not in quick
    assert "[5m] offset" in quick  # yesterday is as long ago as ever


@pytest.mark.parametrize("name", PROCEDURES)
def test_procedures_parse_and_answer_to_an_alert_of_the_rule_file(name: str) -> None:
    definition = parse(procedure(name))
    alerts = {
        rule["alert"] for group in yaml.safe_load(rule_file())["groups"] for rule in group["rules"] if "alert" in rule
    }
    assert definition.name == name
    assert definition.grade == "reversible"
    assert definition.max_targets == 1
    wanted = {one for match in definition.matches for one in match["alertname"]}
    assert wanted or name in BY_HAND
    assert wanted <= alerts
    assert set(definition.secrets) <= {"shop-control"}
    assert all(definition.title[language] for language in ("en", "zh"))


def test_every_runbook_url_leads_to_a_procedure_that_is_shipped() -> None:
    rules = [rule for group in yaml.safe_load(rule_file())["groups"] for rule in group["rules"]]
    urls = [rule["annotations"]["runbook_url"] for rule in rules if "runbook_url" in rule.get("annotations", {})]
    assert sorted(set(urls)) == sorted(f"/procedures/{name}" for name in PROCEDURES if name not in BY_HAND)
