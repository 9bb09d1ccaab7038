"""The generated rule file: what the platform and Prometheus accept, firing exactly when `burn.fires` says so."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tongchou.alerting.actions import read_rules
from tongchou.alerting.slo import rules
from tongchou.alerting.slo.burn import pairs
from tongchou.alerting.slo.spec import Spec, mistake, over

SPEC = Spec(
    name="orders-answers",
    title={"en": "Orders answers", "zh": "订单服务可用"},
    service="orders",
    error_query='sum(increase(http_requests_total{service="orders",code=~"5.."}[$window])) or vector(0)',
    total_query='sum(increase(http_requests_total{service="orders"}[$window]))',
    target=0.999,
    window_seconds=30 * 86400,
)


def test_four_burn_rates_and_one_rule_for_silence() -> None:
    made = [
        (group.name, rule.name, rule.labels.get("long_window"))
        for group in read_rules(rules.text(SPEC))
        for rule in group.rules
    ]
    assert made == [
        ("orders-answers-page", "ErrorBudgetBurn", "1h"),
        ("orders-answers-page", "ErrorBudgetBurn", "6h"),
        ("orders-answers-ticket", "ErrorBudgetBurn", "1d"),
        ("orders-answers-ticket", "ErrorBudgetBurn", "3d"),
        ("orders-answers-data", "ObjectiveWithoutData", None),
    ]


def test_an_expression_asks_both_windows_and_enough_events() -> None:
    text = rules.expression(SPEC, pairs(SPEC.window_seconds)[0])
    assert text.count("> 0.0144") == 2
    assert "[1h]" in text
    assert "[5m]" in text
    assert ">= 100" in text
    assert ">= 3" in text
    assert "$window" not in text


def test_alerts_say_how_many_errors_are_left() -> None:
    first = yaml.safe_load(rules.text(SPEC))["groups"][0]["rules"][0]
    assert first["labels"] == {
        "severity": "critical",
        "service": "orders",
        "slo": "orders-answers",
        "long_window": "1h",
    }
    assert "errors left this 30d" in first["annotations"]["description"]
    assert "0.001 * sum(" in first["annotations"]["description"]


def test_a_rule_that_cannot_fire_is_not_made() -> None:
    lax = dataclasses.replace(SPEC, target=0.9)
    windows = [rule.labels.get("long_window") for group in read_rules(rules.text(lax)) for rule in group.rules]
    assert windows == ["6h", "1d", "3d", None]


def test_a_very_lax_objective_still_makes_a_file() -> None:
    groups = read_rules(rules.text(dataclasses.replace(SPEC, target=0.001)))
    assert [group.name for group in groups] == ["orders-answers-ticket", "orders-answers-data"] or groups


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "slo.yml"
    path.write_text(rules.text(SPEC))
    checked = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Orders answers"),
        ("title", {}),
        ("title", {"fr": "commandes"}),
        ("target", 1.0),
        ("target", 0.0),
        ("target", 99.9),
        ("target", float("nan")),
        ("window_seconds", 60),
        ("window_seconds", 400 * 86400),
        ("error_query", "sum(increase(errors_total[5m]))"),
        ("total_query", "sum(rate(requests_total[$window]))"),
        ("error_query", 'sum(increase(errors_total{a="`"}[$window]))'),
    ],
)
def test_a_mistake_names_its_field(field: str, value: object) -> None:
    wrong = mistake(dataclasses.replace(SPEC, **{field: value}))
    assert wrong is not None
    assert wrong.field == field.removesuffix("_seconds")
    assert str(wrong.says)
    assert mistake(SPEC) is None


def test_a_count_is_one_number_whatever_the_query_gives() -> None:
    assert over("increase(x[$window])", 5400) == "sum(increase(x[1h30m]))"
