"""The same rule files and templates given to Prometheus's own promtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.alerting.test_rulefile import FULL
from tongchou.alerting.actions import check_expression
from tongchou.alerting.expand import Surroundings, expand
from tongchou.alerting.gotemplate.values import Sample, StringMap
from tongchou.alerting.rulefile import Rejected, parse_rule_file

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)

FILES = {
    "full": FULL.replace("    query_offset: 1m\n", "")
    .replace("    labels: {team: shop}\n", "")
    .replace("        keep_firing_for: 1h30m\n", ""),
    "empty": "groups: []\n",
    "aliases": "groups:\n- name: a\n  rules: &r\n  - alert: A\n    expr: vector(1)\n- name: b\n  rules: *r\n",
    "record and alert": "groups:\n- name: a\n  rules:\n  - {record: x, alert: y, expr: '1'}\n",
    "neither": "groups:\n- name: a\n  rules:\n  - expr: '1'\n",
    "no expr": "groups:\n- name: a\n  rules:\n  - alert: A\n",
    "bad expr": "groups:\n- name: a\n  rules:\n  - {alert: A, expr: 'sum('}\n",
    "two groups of one name": "groups:\n- {name: a, rules: []}\n- {name: a, rules: []}\n",
    "no group name": "groups:\n- rules: []\n",
    "unknown field": "groups:\n- {name: a, intervall: 5s}\n",
    "bad duration": "groups:\n- {name: a, interval: 5 s}\n",
    "bad metric name": "groups:\n- name: a\n  rules:\n  - {record: 'a{b}', expr: '1'}\n",
    "for in a recording rule": "groups:\n- name: a\n  rules:\n  - {record: a, expr: '1', for: 5m}\n",
    "zero for in a recording rule": "groups:\n- name: a\n  rules:\n  - {record: a, expr: '1', for: 0s}\n",
    "metric name as label": "groups:\n- name: a\n  rules:\n  - {alert: a, expr: '1', labels: {__name__: c}}\n",
    "numbers as labels": "groups:\n- name: a\n  rules:\n  - {alert: a, expr: '1', labels: {a: 1, b: true, c: 1.50}}\n",
    "unknown function": "groups:\n- name: a\n  rules:\n  - {alert: a, expr: '1', annotations: {a: '{{ nosuch }}'}}\n",
    "unknown variable": "groups:\n- name: a\n  rules:\n  - {alert: a, expr: '1', annotations: {a: '{{ $nosuch }}'}}\n",
    "unclosed action": "groups:\n- name: a\n  rules:\n  - {alert: a, expr: '1', annotations: {a: '{{ 1'}}\n",
    "key twice": "groups:\n- name: a\n  name: b\n",
}


@pytest.mark.parametrize("name", FILES)
def test_promtool_and_we_take_the_same_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(FILES[name])
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    ours = True
    try:
        parse_rule_file(FILES[name], check_expression)
    except Rejected:
        ours = False
    assert ours == (done.returncode == 0), done.stdout + done.stderr


TEMPLATES = [
    "plain",
    "{{ $labels.job }} {{ .Labels.instance }} {{ $labels.none }}|",
    '{{ $value }} {{ .Value }} {{ printf "%.2f" $value }} {{ printf "%8.3e|%-8v|%08.2f|%+d" $value $value $value 3 }}',
    "{{ $value | humanize }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }}",
    "{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp $value }}",
    '{{ range $i, $e := (args "a" 1 2.5) }}{{ $i }}={{ $e }};{{ end }}',
    '{{ with $x := $labels.job }}{{ $x | title | printf "%s!" }}{{ end }}',
    "{{ if gt $value 100.0 }}big{{ else if gt $value 10.0 }}middle{{ else }}small{{ end }}",
    '{{ if and (eq $labels.job "api") (ne $labels.instance "") }}yes{{ end }}{{ or "" 0 "x" }}',
    "{{- /* comment */ -}} a  {{- 1 -}}  b",
    '{{ reReplaceAll "(.*):(\\\\d+)" "$2-${1}" $labels.instance }}',
    '{{ match "^a.*1$" $labels.instance }} {{ $labels.instance | stripPort }} {{ toUpper $labels.job }}',
    '{{ graphLink "up == 0" }} {{ tableLink "a{b=\\"c\\"}" }}',
    '{{ define "t" }}<{{ .arg0 }}|{{ .arg1 }}>{{ end }}{{ template "t" (args 1 "two") }}',
    '{{ len $labels.job }} {{ index $labels "job" }} {{ slice $labels.job 1 2 }}',
    "{{ html \"<a href='x'>&\\\"\" }} {{ js \"it's </b>\" }} {{ urlquery \"a b&c/d?é\" }}",
    '{{ print 1 2 "x" "y" 3 4 }}|{{ println "a" 1 }}|{{ print 1.5 nil true }}',
    '{{ printf "%q %x %T %v %s %d" "a\\n\\"é" "hi" 1.5 true 5 "x" }}',
    '{{ printf "%d %d" 1 }} {{ printf "%d" 1 2 }} {{ printf "%!" }} {{ printf "%z %c %U %o %b" 1 65 65 8 5 }}',
    '{{ printf "%t %v %5t|%6.2f|%-6d|%06d|% d|%x|%X" true false true 3.14159 42 42 42 255 255 }}',
    "{{ 1234567.0 }} {{ 123456.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e21 }} {{ 1e-7 }} {{ 100000000 }} {{ 2.50 }}",
    '{{ printf "%g %g %.3g %.10g %e %G %#g" 1e6 123456789.0 1234.5 3.0 0.0 1e-10 1.0 }}',
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }} {{ $labels }}",
    "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}",
    "{{ gt $value 1 }}",
    '{{ humanize "one" }}',
    '{{ template "none" }}',
    "{{ index $labels 1 }}",
    "{{ toUpper 5 }}",
    "{{ .Nothing }}",
    '{{ (toTime 1435065584.128).Format "Mon Jan _2 15:04:05 2006 .000 -0700 Z07:00 3:04PM 01/02/06" }}',
    "{{ (toTime 1435065584.128).Year }} {{ (toTime 1435065584.128).Unix }} {{ toTime 0 }}",
    "{{ 0x1F }} {{ 'a' }} {{ 1_000 }} {{ .5 }} {{ 010 }} {{ 0b101 }}",
    '{{ range (query "up") }}{{ .Labels.job }}{{ .Value }}{{ break }}{{ end }}',
    '{{ query "up" | first | value }} {{ query "up" | first | label "job" }} {{ query "nothing" | len }}',
    '{{ query "nothing" | first }}',
    '{{ range query "nothing" }}x{{ else }}none{{ end }} {{ with query "up" }}{{ . | first | value }}{{ end }}',
    '{{ eq 1 2 1 }} {{ lt "a" "b" }} {{ not 0 }} {{ le 1.0 1.0 }} {{ ge 2 3 }}',
]  # fmt: skip
VALUE = 12345.678


def ours(text: str) -> str:
    labels = {"job": "api", "instance": "a:1", "__name__": "up"}

    def query(expr: str) -> list[Sample]:
        return [Sample(StringMap(labels), VALUE)] if expr == "up" else []

    around = Surroundings(query, "", 0.0, {})
    return expand(text, labels, VALUE, around.functions(), around)


@pytest.mark.parametrize("text", TEMPLATES)
def test_promtool_expands_a_template_to_the_same_text(text: str, tmp_path: Path) -> None:
    rule = {"alert": "A", "expr": "up", "annotations": {"text": text}}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    expected = ours(text)
    if expected.startswith("<error expanding template: "):
        expected = "<error"  # the reason's wording has positions; that it fails is what must agree
    check = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": 'up{job="api", instance="a:1"}', "values": str(VALUE)}],
                "alert_rule_test": [
                    {
                        "eval_time": "0m",
                        "alertname": "A",
                        "exp_alerts": [
                            {"exp_labels": {"job": "api", "instance": "a:1"}, "exp_annotations": {"text": expected}}
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(check, allow_unicode=True))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    if expected == "<error":
        assert "<error expanding template" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr
