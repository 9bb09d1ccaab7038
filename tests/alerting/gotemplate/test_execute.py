"""The language itself, beside what Go's text/template documentation says."""

from __future__ import annotations

import pytest

from tests.alerting.gotemplate.test_prometheus import run
from tongchou.alerting.gotemplate.values import StringMap, Struct

DATA = Struct(
    "data",
    {
        "Labels": StringMap(job="api", instance="a:1"),
        "List": [1, 2, 3],
        "Map": {"x": 1, "a": "two"},
        "Empty": [],
        "Zero": 0,
        "Text": "héllo",
        "True": True,
    },
)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("a {{- 1 -}} b", "a1b"),
        ("a {{/* nothing */}} b", "a  b"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{-3}}", "-3"),
        ("{{23 -}} < {{- 45}}", "23<45"),
        ("{{if .Zero}}a{{else if .Empty}}b{{else if .True}}c{{else}}d{{end}}", "c"),
        ("{{if not .Zero}}yes{{end}}", "yes"),
        ("{{with .Labels.job}}{{.}}{{end}}{{with .Labels.none}}x{{else}}-{{end}}", "api-"),
        ("{{with .Zero}}a{{else with .Text}}{{.}}{{end}}", "héllo"),
        ("{{with $l := .Labels}}{{$l.instance}}{{end}}", "a:1"),
        ("{{range .List}}{{.}},{{end}}", "1,2,3,"),
        ("{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}", "0=1 1=2 2=3 "),
        ("{{range $k, $v := .Map}}{{$k}}={{$v}} {{end}}", "a=two x=1 "),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .List}}{{if eq . 2}}{{continue}}{{end}}{{.}}{{end}}", "13"),
        ("{{range .List}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}", "1"),
        ("{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "3"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("{{range .List}}{{$.Labels.job}} {{end}}", "api api api "),
        ("{{.Labels}}", "map[instance:a:1 job:api]"),
        ("{{.List}} {{.True}} {{.Map}}", "[1 2 3] true map[a:two x:1]"),
        ('{{index .List 1}} {{index .Map "a"}} {{index .Labels "none"}}', "2 two "),
        ('{{index .Map "none"}}', "<no value>"),
        ("{{len .List}} {{len .Text}} {{len .Labels}}", "3 6 2"),
        ("{{slice .List 1 2}} {{slice `abcdef` 2}}", "[2] cdef"),
        ("{{and 1 0 2}} {{or 0 `` `x`}}", "0 x"),
        ("{{or true (index .List 99)}}", "true"),
        ("{{and false (index .List 99)}}", "false"),
        (
            "{{eq 1 1}} {{eq 1 2 3 1}} {{ne `a` `b`}} {{lt 1 2}} {{le 2 2}} {{gt 1.5 1.0}} {{ge `b` `a`}}",
            "true " * 6 + "true",
        ),
        ("{{eq .Labels.none ``}}", "true"),
        ("{{print 1 2 `x` 3}}|{{println `a` 1}}", "1 2x3|a 1\n"),
        ('{{html `<a href="x">\'&`}}', "&lt;a href=&#34;x&#34;&gt;&#39;&amp;"),
        ("{{js `it's <b>`}}", "it\\'s \\u003Cb\\u003E"),
        ("{{urlquery `a b&c/d`}}", "a+b%26c%2Fd"),
        ('{{block "name" .Text}}[{{.}}]{{end}}{{template "name" 5}}', "[héllo][5]"),
        ('{{define "a"}}{{.}}{{end}}{{template "a" .Labels.job}}{{template "a"}}', "api<no value>"),
        ("{{(index .List 0) | printf `%03d`}}", "001"),
        ("{{1 | printf `%d-%d` 2}}", "2-1"),
        ("{{`raw \\n`}}{{\"tab\\t\\u00e9\\x41\"}}{{'a'}}", "raw \\ntab\téA97"),
        ("{{0x10}} {{0b11}} {{0o17}} {{1_000}} {{1e3}} {{.5}}", "16 3 15 1000 1000 0.5"),
        ("{{1234567.0}} {{123456.0}} {{0.0001}} {{0.00001}} {{100000000.0}}", "1.234567e+06 123456 0.0001 1e-05 1e+08"),
        ("{{print nil}}", "<nil>"),
        ("{{true}} {{false}}", "true false"),
        ("{{$.Zero}}", "0"),
    ],
)
def test_yields_what_go_yields(text: str, output: str) -> None:
    assert run(text, DATA) == output


@pytest.mark.parametrize(
    ("call", "output"),
    [
        ('printf "%d|%5d|%-5d|%05d|%+d" 42 42 42 42 42', "42|   42|42   |00042|+42"),
        ('printf "%x %X %o %b %c %U" 255 255 8 5 65 65', "ff FF 10 101 A U+0041"),
        (
            'printf "%f %.2f %8.3f %e %g %G" 1.5 1.555 3.14159 12345.678 0.00001 1e-7',
            "1.500000 1.55    3.142 1.234568e+04 1e-05 1E-07",
        ),
        ('printf "%.4g %.3g %.10g" 1234567.0 0.00012345 3.0', "1.235e+06 0.000123 3"),
        ('printf "%s %10s|%-10s|%.2s" "a" "b" "c" "def"', "a          b|c         |de"),
        ('printf "%q %v %T %t" "a\\"b" "v" 1.5 true', '"a\\"b" v float64 true'),
        ('printf "%d" "x"', "%!d(string=x)"),
        ('printf "%d %d" 1', "1 %!d(MISSING)"),
        ('printf "%d" 1 2', "1%!(EXTRA int=2)"),
        ('printf "100%%"', "100%"),
        ('printf "%[2]d %[1]d" 1 2', "2 1"),
        ('printf "%*d" 5 42', "   42"),
        ('printf "%z" 1', "%!z(int=1)"),
        ('printf "%"', "%!(NOVERB)"),
        ('printf "%v" 1e21', "1e+21"),
        ('printf "%6.1f%%" 99.95', " 100.0%"),
    ],
)
def test_formats_as_fmt_does(call: str, output: str) -> None:
    assert run("{{ " + call + " }}") == output


def test_fields_reach_data_only_never_python() -> None:
    for name in ("__class__", "__init__", "fields", "go_field", "keys"):
        with pytest.raises(ValueError, match="can't evaluate field"):
            run("{{ ." + name + " }}", DATA)
    assert run("{{ .Labels.__class__ }}", DATA) == ""
