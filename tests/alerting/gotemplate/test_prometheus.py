"""What Prometheus's documentation and its template tests promise of the functions in rule files."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.gotemplate.builtins import BUILTINS, LAZY
from tongchou.alerting.gotemplate.errors import ExecutionError, LimitError, ParseError, TemplateError
from tongchou.alerting.gotemplate.execute import Limits, execute
from tongchou.alerting.gotemplate.parse import parse
from tongchou.alerting.gotemplate.prometheus import functions
from tongchou.alerting.gotemplate.values import Sample, StringMap

VECTOR = [
    Sample(StringMap(__name__="metric", instance="b", __value__="x"), 21.0),
    Sample(StringMap(__name__="metric", instance="a"), 11.0),
]


def run(text: str, data: object = None, *, vector: list[Sample] | None = None, **kwargs: Any) -> str:
    found = VECTOR if vector is None else vector
    bound = functions(lambda _query: found, "http://testhost:9090/path/prefix", 1435065584.128)
    names = {*bound, *BUILTINS, *LAZY}
    variables = kwargs.pop("variables", {})
    return execute(parse(text, names, list(variables)), data, bound, variables, **kwargs)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("plain text", "plain text"),
        ("{{ 1 }}", "1"),
        ('{{ "<b>" }}', "<b>"),
        ('{{define "x"}}{{.arg0}} {{.arg1}}{{end}}{{template "x" (args 1 "2")}}', "1 2"),
        ('{{ query "metric" | first | value }}', "21"),
        ('{{ query "metric{instance=\'b\'}" | first | label "instance" }}', "b"),
        ('{{ query "metric" | first | strvalue }}', "x"),
        ('{{ query "metric" | first | label "foo" }}', ""),
        ('{{ $x := query "metric" | first }}{{ $x.Labels.foo }}', ""),
        ('{{ range query "metric" | sortByLabel "instance" }}{{.Labels.instance}}:{{.Value}}: {{end}}', "a:11: b:21: "),
        ('{{ "foo.example.com" | stripPort }}', "foo.example.com"),
        ('{{ "foo.example.com:12345" | stripPort }}', "foo.example.com"),
        ('{{ "192.0.2.1:12345" | stripPort }}', "192.0.2.1"),
        ('{{ "2001:0DB8::1" | stripPort }}', "2001:0DB8::1"),
        ('{{ "[2001:0DB8::1]:12345" | stripPort }}', "2001:0DB8::1"),
        ('{{ "[2001:0DB8::1]::12345" | stripPort }}', "[2001:0DB8::1]::12345"),
        ('{{ "foo.example.com" | stripDomain }}', "foo"),
        ('{{ "foo.example.com:12345" | stripDomain }}', "foo:12345"),
        ('{{ "192.0.2.1:12345" | stripDomain }}', "192.0.2.1:12345"),
        ('{{ "2001:0DB8::1" | stripDomain }}', "2001:0DB8::1"),
        ('{{ "[2001:0DB8::1]:12345" | stripDomain }}', "[2001:0DB8::1]:12345"),
        ("{{ .Foo }}", "<no value>"),
        ('{{ reReplaceAll "(a)b" "x$1" "ab" }}', "xa"),
        ('{{ reReplaceAll "(?P<first>a)(b)" "${2}${first}$9$$" "ab" }}', "ba$"),
        ("{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}", "-22.22%:0%"),
        ("{{ 0.1234567 | humanizePercentage }}:{{ 1.23456 | humanizePercentage }}", "12.35%:123.5%"),
        ('{{ "0.1234567" | humanizePercentage }}', "12.35%"),
        ("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ "1435065584.128" | humanizeTimestamp }}', "2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ (1435065584.128 | toTime).Format "2006" }}', "2015"),
        ('{{ (toTime 1435065584).Format "Mon, 02 Jan 2006 15:04:05 MST" }}', "Tue, 23 Jun 2015 13:19:44 UTC"),
        ("{{ now | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        ('{{ "aa bb CC" | title }}', "Aa Bb CC"),
        ('{{ "aa bb CC" | toUpper }}', "AA BB CC"),
        ('{{ "aA bB CC" | toLower }}', "aa bb cc"),
        ('{{ match "a+" "aa" }} {{ match "a+" "b" }}', "true false"),
        ('{{ graphLink "up" }}', "/graph?g0.expr=up&g0.tab=0"),
        ('{{ tableLink "up == 0" }}', "/graph?g0.expr=up+%3D%3D+0&g0.tab=1"),
        ('{{ define "a" }}x{{ end }}{{ $name := "a"}}{{ tmpl $name . }}', "x"),
        ("{{ pathPrefix }} {{ externalURL }}", "/path/prefix http://testhost:9090/path/prefix"),
        ('{{ printf "%0.2f" (parseDuration "1h2m10ms") }}', "3720.01"),
        ('{{ "<b>" | safeHtml }}', "<b>"),
    ],
)
def test_yields_what_prometheus_yields(text: str, output: str) -> None:
    assert run(text) == output


@pytest.mark.parametrize(
    ("function", "values", "output"),
    [
        ("humanize", [0.0, 1.0, 1234567.0, 0.12], "0:1:1.235M:120m:"),
        ("humanize", ["0.0", "1.0", "1234567.0", ".12"], "0:1:1.235M:120m:"),
        ("humanize", [0, -1, 1, 1234567, 2**63 - 1], "0:-1:1:1.235M:9.223E:"),
        ("humanize1024", [0.0, 1.0, 1048576.0, 0.12], "0:1:1Mi:0.12:"),
        ("humanize1024", [0, -1, 1, 1234567, 2**63 - 1, 2**64 - 1], "0:-1:1:1.177Mi:8Ei:16Ei:"),
        (
            "humanizeDuration",
            [0, 1, 60, 3600, 86400, 86400 + 3600, -(86400 * 2 + 3600 * 3 + 60 * 4 + 5), 899.99],
            "0s:1s:1m 0s:1h 0m 0s:1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s:",
        ),
        (
            "humanizeDuration",
            [0.1, 0.0001, 0.12345, 60.1, 60.5, 1.2345, 12.345],
            "100ms:100us:123.5ms:1m 0s:1m 0s:1.234s:12.35s:",
        ),
        ("humanizeDuration", ["0", "60", ".1"], "0s:1m 0s:100ms:"),
        ("humanizePercentage", [0, -1, 1, 1234567, 2**63 - 1], "0%:-100%:100%:1.235e+08%:9.223e+20%:"),
        (
            "humanizeTimestamp",
            [0, -1, 1, 1234567, 9223372036],
            (
                "1970-01-01 00:00:00 +0000 UTC:1969-12-31 23:59:59 +0000 UTC:1970-01-01 00:00:01 +0000 UTC:"
                "1970-01-15 06:56:07 +0000 UTC:2262-04-11 23:47:16 +0000 UTC:"
            ),
        ),
        *[
            (name, [math.inf, -math.inf, math.nan], "+Inf:-Inf:NaN:")
            for name in ("humanize", "humanize1024", "humanizeDuration", "humanizeTimestamp")
        ],
    ],
)
def test_humanizes_as_prometheus_does(function: str, values: list[object], output: str) -> None:
    assert run(f"{{{{ range . }}}}{{{{ {function} . }}}}:{{{{ end }}}}", values) == output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{", "unclosed action"),
        ("{{\u00a0}}", "unrecognized character in action: U+00A0"),
        ("{{ nosuchfunction 1 }}", 'function "nosuchfunction" not defined'),
        ("{{ $x }}", 'undefined variable "$x"'),
        ("{{ if true }}", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ('{{ "a }}', "unterminated quoted string"),
        ("{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ 1a }}", "bad number syntax"),
        ("{{/* x }}", "unclosed comment"),
        ("{{ if }}x{{ end }}", "missing value for if"),
        ("{{ (1 }}", 'unexpected "}}" in parenthesized pipeline'),
        ('{{ $x := 1 }}{{ define "a" }}{{ $x }}{{ end }}', 'undefined variable "$x"'),
    ],
)
def test_refuses_at_parse_with_gos_words(text: str, message: str) -> None:
    with pytest.raises(ParseError) as refused:
        run(text)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{{ query "missing" | first }}', "error calling first: first() called on vector with no elements"),
        ('{{ (query "missing").banana }}', "can't evaluate field banana in type"),
        ('{{ humanize "one" }}', 'strconv.ParseFloat: parsing "one": invalid syntax'),
        ("{{ humanizeTimestamp 9223372036854775807 }}", "cannot be represented as a nanoseconds timestamp"),
        ("{{ toUpper 1 }}", "wrong type for value; expected string; got int"),
        ("{{ gt 1.5 1 }}", "incompatible types for comparison"),
        ('{{ template "nowhere" }}', 'template "nowhere" not defined'),
        ("{{ index . 9 }}", "index of untyped nil"),
        ("{{ 1 2 }}", "can't give argument to non-function int"),
        ("{{ range 5 }}x{{ end }}", "range can't iterate over int"),
        ('{{ reReplaceAll "(" "" "" }}', "error parsing regexp"),
        ("{{ toUpper }}", "wrong number of args for toUpper"),
        ('{{ parseDuration "5 parsecs" }}', "not a valid duration string"),
    ],
)
def test_fails_at_execution_with_gos_words(text: str, message: str) -> None:
    with pytest.raises(ExecutionError) as failed:
        run(text, vector=[])
    assert message in failed.value.message


def test_tells_the_line_of_a_mistake() -> None:
    with pytest.raises(ParseError) as refused:
        run("one\ntwo {{ 1 }}\n{{- /* a\ncomment */ -}}\nfive {{ nosuch }}")
    assert refused.value.line == 5


def test_a_query_that_cannot_be_answered_fails_the_template() -> None:
    def ask(_text: str) -> list[Sample]:
        raise ValueError("no such function")

    bound = functions(ask, "", 0.0)
    with pytest.raises(ExecutionError, match="error calling query: no such function"):
        execute(parse('{{ query "x(" }}', bound.keys()), None, bound)


BOMBS = {
    "a loop in a loop in a loop": "{{range $}}" * 4 + "x" + "{{end}}" * 4,
    "output": "{{range .}}{{range $}}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{end}}{{end}}",
    "a template that calls itself": '{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}',
    "tmpl that calls itself": '{{define "a"}}{{tmpl "a" .}}{{end}}{{tmpl "a" .}}',
    "doubling text": "{{$x := `aaaaaaaaaaaaaaaa`}}" + "{{$x = print $x $x}}" * 30,
    "doubling structure": "{{$x := args 1 1}}" + "{{$x = args $x $x}}" * 40 + "{{print $x}}",
    "padding": '{{$x := printf "%9999d" 1}}{{range .}}{{$x}}{{end}}',
    "replacement": "{{$x := printf `%9999d` 1}}{{reReplaceAll ` ` $x $x}}",
    "two templates in turn": '{{define "a"}}{{template "b" .}}{{end}}{{define "b"}}{{template "a" .}}{{end}}'
    '{{template "a" .}}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_by_a_limit(name: str) -> None:
    with pytest.raises(LimitError):
        run(BOMBS[name], list(range(200)))


@pytest.mark.parametrize(
    "text", ["{{" + "(" * 500 + "1" + ")" * 500 + "}}", "{{if 1}}" * 500 + "{{end}}" * 500, "x" * 200_000]
)
def test_a_template_too_deep_or_long_is_refused_at_parse(text: str) -> None:
    with pytest.raises(ParseError):
        run(text)


def test_slow_user_expressions_take_linear_time() -> None:
    assert run("{{ match `(a+)+$` . }}", "a" * 20_000 + "b") == "false"


def test_time_is_bounded() -> None:
    with pytest.raises(LimitError, match="longer than"):
        run("{{range .}}{{end}}", list(range(90_000)), limits=Limits(seconds=-1.0))


@given(st.text(alphabet='{}-.|$:=()"`\\ \nabifrangewithendlsx019,/*%', max_size=80))
def test_any_text_is_expanded_or_refused_never_a_crash(text: str) -> None:
    try:
        run(text, {"a": 1})
    except TemplateError:
        pass


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    assert run(text) == text


@given(st.floats())
def test_a_printed_number_reads_back_as_itself(value: float) -> None:
    read = float(run("{{ . }}", value))
    assert read == value or (math.isnan(read) and math.isnan(value))


@given(st.text())
def test_a_quoted_string_parses_back_to_itself(text: str) -> None:
    quoted = run('{{ printf "%q" . }}', text)
    assert run("{{ " + quoted + " }}") == text
