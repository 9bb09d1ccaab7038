"""Rule files: what Prometheus takes is taken, what it refuses is refused, with place and line."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.actions import check_expression
from tongchou.alerting.rulefile import GroupSpec, Mistake, Rejected, parse_rule_file


def read(text: str) -> list[GroupSpec]:
    return parse_rule_file(text, check_expression)


def mistakes(text: str) -> list[Mistake]:
    with pytest.raises(Rejected) as refused:
        read(text)
    return refused.value.mistakes


FULL = """\
# the comment counts as a line
groups:
  - name: shop
    interval: 30s
    query_offset: 1m
    limit: 10
    labels: {team: shop}
    rules:
      - record: job:requests:rate5m
        expr: sum by (job) (rate(http_requests_total[5m]))
        labels:
          source: tongchou
      - alert: HighErrors
        expr: |
          sum(rate(http_errors_total[5m]))
            / sum(rate(http_requests_total[5m])) > 0.05
        for: 5m
        keep_firing_for: 1h30m
        labels: {severity: page, team: platform}
        annotations:
          summary: "{{ $labels.job }}: {{ $value | humanizePercentage }}"
          runbook_url: https://runbooks.example.org/high-errors
"""


def test_reads_every_field() -> None:
    (group,) = read(FULL)
    assert (group.name, group.interval_seconds, group.query_offset_seconds, group.limit) == ("shop", 30.0, 60.0, 10)
    record, alert = group.rules
    assert (record.kind, record.name, record.line) == ("record", "job:requests:rate5m", 9)
    assert record.labels == {"team": "shop", "source": "tongchou"}
    assert (alert.kind, alert.for_seconds, alert.keep_firing_for_seconds, alert.line) == ("alert", 300.0, 5400.0, 13)
    assert alert.labels == {"team": "platform", "severity": "page"}
    assert alert.expr.startswith("sum(rate")


@pytest.mark.parametrize(
    "text",
    [
        "groups: []",
        "groups:\n- name: a",
        "groups:\n- name: a\n  rules: []",
        "groups:\n- name: a\n  rules:\n  - alert: X y z\n    expr: 1\n    for: 0\n",
        "groups:\n- name: a\n  rules:\n  - record: a\n    expr: 1\n    for: 0s\n",
        "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: vector(1)\n    labels: {severity: 1, on: true}\n",
        "groups:\n- name: a\n  rules: &r\n  - alert: A\n    expr: vector(1)\n- name: b\n  rules: *r\n",
        "groups:\n- &g\n  name: a\n  interval: 1m\n  rules: []\n- <<: *g\n  name: b\n",
        ('groups:\n- name: a\n  rules:\n  - alert: A\n    expr: absent(up{job=~"a|b"}) or vector(0) unless on() x\n'
        "    annotations: {d: '{{ range query \"up\" }}{{ .Labels.instance }}{{ end }} {{ with $externalURL }}{{ . }}{{ end }}'}\n"),
    ],
)  # fmt: skip
def test_takes_what_promtool_takes(text: str) -> None:
    read(text)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null", "~", "{}", "groups:", "groups: null", "\n\n{}"])
def test_a_file_that_says_nothing_is_refused_for_it_would_remove_every_rule(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(text)
    assert [mistake.code for mistake in refused.value.mistakes] == ["rule_file.empty"]
    assert "groups: []" in str(refused.value.mistakes[0].remedy)


@pytest.mark.parametrize(
    ("text", "code", "field", "line"),
    [
        ("groups:\n- name: a\n  rules:\n  - alert: A\n", "expr", "groups[0].rules[0].expr", 4),
        ("groups:\n- name: a\n  rules:\n  - expr: 1\n", "rule_name", "groups[0].rules[0]", 4),
        (
            "groups:\n- name: a\n  rules:\n  - expr: 1\n    record: x\n    alert: B\n",
            "record_and_alert",
            "groups[0].rules[0]",
            6,
        ),
        ("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 'sum('\n", "expr", "groups[0].rules[0].expr", 5),
        ("groups:\n- name: a\n- name: a\n", "duplicate_group", "groups[1].name", 3),
        ("groups:\n- rules: []\n", "group_name", "groups[0].name", 2),
        ("groups:\n- name: a\n  intervall: 5s\n", "unknown_field", "groups[0].intervall", 3),
        ("group:\n- name: a\n", "unknown_field", "group", 1),
        ("groups:\n- name: a\n  interval: 5 s\n", "duration", "groups[0].interval", 3),
        ("groups:\n- name: a\n  query_offset: -5s\n", "duration", "groups[0].query_offset", 3),
        ("groups:\n- name: a\n  limit: many\n", "limit", "groups[0].limit", 3),
        ("groups:\n- name: a\n  name: b\n", "duplicate_key", "groups[0].name", 3),
        (
            "groups:\n- name: a\n  rules:\n  - record: 'up{a=\"b\"}'\n    expr: 1\n",
            "metric_name",
            "groups[0].rules[0].record",
            4,
        ),
        (
            "groups:\n- name: a\n  rules:\n  - record: x\n    expr: 1\n    for: 5m\n",
            "recording_field",
            "groups[0].rules[0].for",
            6,
        ),
        (
            "groups:\n- name: a\n  rules:\n  - record: x\n    expr: 1\n    annotations: {a: b}\n",
            "recording_field",
            "groups[0].rules[0].annotations",
            6,
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    labels:\n      '': x\n",
            "label_name",
            "groups[0].rules[0].labels.",
            7,
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    labels: {__name__: x}\n",
            "label_name",
            "groups[0].rules[0].labels.__name__",
            6,
        ),
        (
            (
                "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    annotations:\n      d: |\n        fine\n"
                "        {{ nosuch }}\n"
            ),
            "template",
            "groups[0].rules[0].annotations.d",
            9,
        ),
        (
            "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: 1\n    annotations:\n      d: '{{ $label.x }}'\n",
            "template",
            "groups[0].rules[0].annotations.d",
            7,
        ),
        ("groups: 5\n", "type", "groups", 1),
        ("- groups\n", "type", "", 1),
        ("groups:\n- name: a\n  rules:\n  - alert: [x]\n    expr: 1\n", "type", "groups[0].rules[0].alert", 4),
        ("groups:\n- name: a\n   rules: []\n", "yaml", "", 3),
        ("groups: *nothing\n", "yaml", "", 1),
        ("groups: []\n---\ngroups: []\n", "yaml", "", 2),
        ("groups: \x01\n", "yaml", "", 1),
    ],
)
def test_refuses_with_place_and_line(text: str, code: str, field: str, line: int) -> None:
    first = mistakes(text)[0]
    assert (first.code, first.field, first.line) == (f"rule_file.{code}", field, line)


def test_tells_all_mistakes_in_the_order_of_the_text() -> None:
    text = FULL.replace("[5m]))\n        labels", "[5m)\n        labels").replace("for: 5m", "for: soon")
    found = mistakes(text)
    assert [(each.code, each.line) for each in found] == [("rule_file.expr", 10), ("rule_file.duration", 17)]
    assert all(str(each.remedy) for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "{a: " * 5_000,
        "a: &a [x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n",
        "- " * 5_000,
        "x: &x [*x]",
        "?" * 1000,
    ],
)
def test_hostile_yaml_is_refused_not_suffered(text: str) -> None:
    assert mistakes(text)


def test_too_many_rules_by_aliases_are_refused() -> None:
    rule = "groups:\n- &g\n  name: a\n  rules: [" + "&r {alert: A, expr: '1'}, " + "*r, " * 4000 + "]\n" + "- *g\n" * 50
    assert any(each.code == "rule_file.too_many_rules" for each in mistakes(rule))


def test_a_file_over_the_limit_is_refused() -> None:
    assert mistakes("#" * 1_000_001)[0].code == "rule_file.too_large"


names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).filter(lambda t: "{{" not in t)
alert_rules = st.fixed_dictionaries(
    {
        "alert": st.text("abcdefghij ", min_size=1).filter(str.strip),
        "expr": st.sampled_from(["up == 0", "vector(1)", "sum(x) > 2"]),
    },
    optional={
        "for": st.sampled_from(["5s", "1m30s", "0", "250ms", "1d2h"]),
        "keep_firing_for": st.sampled_from(["5s", "0s"]),
        "labels": st.dictionaries(names.filter(lambda name: name != "__name__"), texts),
        "annotations": st.dictionaries(names, texts),
    },
)


@given(st.lists(alert_rules, max_size=5))
def test_what_yaml_writes_is_read_back(rules: list[dict[str, object]]) -> None:
    (group,) = read(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}, allow_unicode=True))
    assert [rule.name for rule in group.rules] == [rule["alert"] for rule in rules]
    assert [dict(rule.labels) for rule in group.rules] == [rule.get("labels", {}) for rule in rules]
    assert [dict(rule.annotations) for rule in group.rules] == [rule.get("annotations", {}) for rule in rules]


@given(st.text(alphabet="groups:- name\n  []{}rules'\"&*alert#|>!?expr1", max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: list[Mistake] = []
    try:
        read(text)
    except Rejected as refused:
        found = refused.mistakes
    assert all(each.line >= 1 for each in found)


def test_names_may_be_any_text_as_in_prometheus_3() -> None:
    text = (
        "groups:\n- name: a\n  rules:\n  - record: http.server/rate\n    expr: '{\"http.server\"}'\n"
        "  - alert: A\n    expr: '1'\n    labels: {k8s.pod: x}\n    annotations: {größe: y}\n"
    )
    rules = read(text)[0].rules
    assert (rules[0].name, rules[1].labels) == ("http.server/rate", {"k8s.pod": "x"})
