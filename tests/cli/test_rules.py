"""`tongchou rules` beside promtool on the same files: the same verdict, whatever is expected."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tongchou.cli.main import app

PROMTOOL = shutil.which("promtool")
RULES = """groups:
- name: second
  interval: 7s
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
  - alert: InstanceDown
    expr: up == 0
    for: 5m
    keep_firing_for: 2m
    labels: {severity: page, job: "{{ $labels.job }}!"}
    annotations: {summary: "{{ $labels.instance }} down", value: "{{ $value }} of {{ $externalLabels.region }} at {{ $externalURL }}"}
- name: first
  rules:
  - record: doubled
    expr: job:up:sum * 2
"""
CASE = """rule_files: ["rul*.yml"]
evaluation_interval: 1m
group_eval_order: [second, first]
tests:
- name: down and up again
  interval: 1m
  external_labels: {region: eu}
  external_url: https://ops.example.com
  input_series:
  - series: 'up{job="a", instance="one"}'
    values: '0x9 1x20'
  - series: 'up{job="b", instance="two"}'
    values: '1+0x6 _ stale 0x3 NaN 0x9'
  alert_rule_test:
  - eval_time: 5m30s
    alertname: InstanceDown
    exp_alerts:
    - exp_labels: {severity: page, instance: one, job: "a!"}
      exp_annotations: {summary: one down, value: "0 of eu at https://ops.example.com"}
  - eval_time: 4m
    alertname: InstanceDown
  - eval_time: 11m
    alertname: InstanceDown
    exp_alerts:
    - exp_labels: {severity: page, instance: one, job: "a!"}
      exp_annotations: {summary: one down, value: "0 of eu at https://ops.example.com"}
  - eval_time: 12m
    alertname: InstanceDown
    exp_alerts:
  promql_expr_test:
  - expr: doubled
    eval_time: 4m
    exp_samples:
    - {labels: 'doubled{job="a"}', value: 0}
    - {labels: 'doubled{job="b"}', value: 2}
  - expr: count_over_time(ALERTS{alertstate="firing"}[20m])
    eval_time: 20m
    exp_samples:
    - {labels: '{alertname="InstanceDown", instance="one", job="a!", severity="page", alertstate="firing"}', value: 7}
    - {labels: '{alertname="InstanceDown", instance="two", job="b!", severity="page", alertstate="firing"}', value: 2}
  - expr: 6 * 7
    eval_time: 3m
    exp_samples: [{labels: '{}', value: 4.2e+1}]
  - expr: nothing
    eval_time: 1m
"""
# What is changed in the files, and whether they are still right then.
CHANGES = [
    ("", "", True),
    ("value: 2}", "value: 3}", False),
    ("- {labels: 'doubled{job=\"a\"}', value: 0}", "", False),
    ("eval_time: 4m\n    alertname", "eval_time: 7m\n    alertname", False),
    ("eval_time: 12m", "eval_time: 11m59s", False),
    ("exp_annotations: {summary: one down", "exp_annotations: {summary: two down", False),
    ("severity: page, instance: one", "severity: 1, instance: one", False),
    ("group_eval_order: [second, first]", "group_eval_order: [first, second]", True),
    ("group_eval_order: [second, first]", "group_eval_order: [second, second]", False),
    ("evaluation_interval: 1m", "evaluation_interval: 5m", False),
    ("evaluation_interval: 1m\n", "", True),
    ("expr: 6 * 7", "expr: 6 *", False),
    ("expr: nothing", "expr: '{__name__=~\"nothing|up\"}'", False),
    ("'0x9 1x20'", "'0x9 1y20'", False),
    ("rul*.yml", "other.yml", False),
    ("alertname: InstanceDown\n    exp_alerts:\n  promql", "alertname: NoSuchAlert\n    exp_alerts:\n  promql", True),
    ("  external_url: https://ops.example.com\n", "  external_uri: https://ops.example.com\n", False),
    ("eval_time: 3m", "eval_time: 3 minutes", False),
    (
        "{labels: 'doubled{job=\"b\"}', value: 2}",
        "{labels: 'doubled{job=\"b\"}', value: 2}\n    - {labels: 'doubled{job=\"b\"}', value: 2}",
        False,
    ),
    ("'0x9 1x20'", '"0x9\\n1x20"', False),
    ("expr: nothing", "expr: nothing @ -5 or nothing @ 1e12", True),
    ("expr: nothing", "expr: nothing offset 1e20", False),
]


def write(folder: Path, case: str, rules: str = RULES) -> Path:
    (folder / "rules.yml").write_text(rules)
    (folder / "case.yml").write_text(case)
    return folder / "case.yml"


@pytest.mark.parametrize(("old", "new", "good"), CHANGES, ids=range(len(CHANGES)))
def test_the_verdict_is_that_of_promtool(tmp_path: Path, old: str, new: str, good: bool) -> None:
    if PROMTOOL is None:
        pytest.skip("no promtool on this machine (apt-get install prometheus)")
    assert old in CASE
    file = write(tmp_path, CASE.replace(old, new, 1))
    theirs = subprocess.run([PROMTOOL, "test", "rules", file], capture_output=True, text=True, timeout=60)
    ours = CliRunner().invoke(app, ["rules", "test", str(file)])
    assert (ours.exit_code == 0) == (theirs.returncode == 0) == good, f"{ours.output}\n{theirs.stdout}{theirs.stderr}"
    assert ("SUCCESS" in ours.output) == good


@pytest.mark.parametrize(
    ("value", "fuzzy", "good"),
    [
        ("2.9999999999999996", "true", True),
        ("3.0000000000000004", "true", True),
        ("3.0000000000000004", "false", False),
        ("2.9999999999999987", "true", False),
        ("3.0000000000000013", "true", False),
    ],
)
def test_fuzzy_comparison_takes_the_neighbours_of_a_number(tmp_path: Path, value: str, fuzzy: str, good: bool) -> None:
    """As promtool's own examples of it; Debian's promtool is older than fuzzy_compare."""
    case = f"""fuzzy_compare: {fuzzy}
tests:
- input_series: [{{series: m, values: {value}}}]
  promql_expr_test:
  - {{expr: m, eval_time: 0, exp_samples: [{{labels: m, value: 3}}]}}
"""
    ours = CliRunner().invoke(app, ["rules", "test", str(write(tmp_path, case))])
    assert (ours.exit_code == 0) == good, ours.output


def test_a_failure_says_what_was_expected_and_what_came(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["rules", "test", str(write(tmp_path, CASE.replace("value: 2}", "value: 3}")))])
    assert told.exit_code == 1
    assert "down and up again: expr: 'doubled', time: 4m" in told.output
    assert 'exp: [doubled{job="a"} 0.0, doubled{job="b"} 3.0]' in told.output
    assert 'got: [doubled{job="a"} 0.0, doubled{job="b"} 2.0]' in told.output


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("tests: {", "not YAML"),
        ("tests: [{input_series: [{series: 'up{', values: '1'}]}]", "input_series[0]"),
        ("tests: [{input_series: [{series: up, values: '1x99999999999'}]}]", "not a count"),
        ("tests: [{input_series: [{series: up, values: '{{schema:1}}'}]}]", "native histograms"),
        ("tests: [{promql_expr_test: [{expr: up, eval_time: 1000000y}]}]", "out of range"),
        ("evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: up, eval_time: 1y}]}]", "1000000"),
        ("evaluation_interval: 0s\ntests: []", "evaluation_interval"),
        ("tests: [{promql_expr_test: [{expr: up, eval_time: 1s, exp_samples: [{labels: '{', value: x}]}]}]", "exp_samples"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused_in_words(tmp_path: Path, case: str, word: str) -> None:
    told = CliRunner().invoke(app, ["rules", "test", str(write(tmp_path, case))])
    assert told.exit_code == 1
    assert word in told.output
    assert "Traceback" not in told.output


def test_a_rule_that_fails_fails_its_test(tmp_path: Path) -> None:
    rules = (
        'groups: [{name: g, rules: [{record: r, expr: "label_replace(vector(1), \\"a\\", \\"\\", \\"b\\", \\"(\\")"}]}]'
    )
    case = "rule_files: [rules.yml]\ntests: [{promql_expr_test: [{expr: up, eval_time: 1m}]}]"
    told = CliRunner().invoke(app, ["rules", "test", str(write(tmp_path, case, rules))])
    assert told.exit_code == 1
    assert "rule: r, time: 0s" in told.output


def test_check_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(RULES)
    bad.write_text(RULES.replace("sum by (job) (up)", "sum by (job) (up").replace("for: 5m", "for: 5 minutes"))
    fine = CliRunner().invoke(app, ["rules", "check", str(good)])
    assert (fine.exit_code, "3 rules found" in fine.output) == (0, True)
    bad.write_text(bad.read_text().replace("up == 0", "up offset 1e20 == 0"))
    told = CliRunner().invoke(app, ["rules", "check", str(good), str(bad)])
    assert told.exit_code == 1
    assert "    6: groups[0].rules[0].expr: " in told.output
    assert "    9: groups[0].rules[1].for: " in told.output
    assert "duration out of range" in told.output
