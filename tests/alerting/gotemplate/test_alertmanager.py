"""Notification templates: Alertmanager's functions and the methods of its labels."""

from __future__ import annotations

import datetime as dt

import pytest

from tongchou.alerting.gotemplate.alertmanager import KV, NotifiedAlert, alert_struct, alerts_list, functions
from tongchou.alerting.gotemplate.builtins import BUILTINS, LAZY
from tongchou.alerting.gotemplate.execute import execute
from tongchou.alerting.gotemplate.parse import parse
from tongchou.alerting.gotemplate.values import Struct

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)


def run(text: str) -> str:
    bound = functions(NOW)
    alert = NotifiedAlert(
        status="firing",
        labels={"job": "api", "alertname": "Down", "env": "prod"},
        annotations={"summary": "it is down"},
        starts_at=NOW - dt.timedelta(minutes=90),
        ends_at=None,
        generator_url="http://here/",
        fingerprint="0123456789abcdef",
    )
    data = Struct("template.Data", {"Alerts": alerts_list([alert_struct(alert)]), "CommonLabels": KV(alert.labels)})
    return execute(parse(text, {*bound, *BUILTINS, *LAZY}), data, bound)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }};{{ end }}", "alertname=Down;env=prod;job=api;"),
        ('{{ .CommonLabels.Values | join "," }}', "Down,prod,api"),
        ('{{ (.CommonLabels.Remove (stringSlice "job" "env")).Names | join "," }}', "alertname"),
        ("{{ len .Alerts.Firing }}/{{ len .Alerts.Resolved }}", "1/0"),
        ("{{ range .Alerts }}{{ .Labels.alertname }}{{ .Annotations.summary }}{{ end }}", "Downit is down"),
        ('{{ range .Alerts }}{{ date "15:04" .StartsAt }}{{ end }}', "03:36"),
        (
            '{{ range .Alerts }}{{ .StartsAt | tz "Asia/Shanghai" | date "2006-01-02 15:04 -0700" }}{{ end }}',
            "2026-03-04 11:36 +0800",
        ),
        ("{{ range .Alerts }}{{ since .StartsAt }}{{ end }}", "1h30m0s"),
        ("{{ range .Alerts }}{{ since .StartsAt | humanizeDuration }}{{ end }}", "1h 30m 0s"),
        ("{{ .CommonLabels.nothing }}", ""),
        ('{{ "  a " | trimSpace }}{{ "x" | toUpper }}{{ "a+b%20c" | urlUnescape }}', "aXa b c"),
        ('{{ toJson "a\\"b" }}', '"a\\"b"'),
    ],
)
def test_yields_what_alertmanager_yields(text: str, output: str) -> None:
    assert run(text) == output
