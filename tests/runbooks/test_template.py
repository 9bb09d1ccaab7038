"""Values are data: whatever they contain, they change neither host nor path nor query nor header."""

from __future__ import annotations

import string
from urllib.parse import unquote, urlsplit

import promql_parser
import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from tongchou.runbooks import template
from tongchou.runbooks.template import Name, TemplateError, Values

TYPES = {"text": "string", "number": "integer", "window": "duration"}
printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60)
nasty = st.one_of(
    printable,
    st.sampled_from(
        [
            "../../admin",
            "..",
            ".",
            "a/b",
            "a?b=c",
            "a#b",
            "a@evil.example",
            "%2e%2e",
            'x"} or up{job="',
            "x\\",
            "\\",
            "`",
            ".*",
            "${secret.token}",
            "$${secret.token}",
            "$$${params.text}",
            "${params.text}",
            "//evil.example/",
        ]
    ),
)


def values(text: object, **more: object) -> Values:
    return Values(
        {"text": text, "number": -3, "window": "5m"}, {"url": "http://ctl:8080/api/", "host": "db-1", **more}, 7
    )


@given(nasty)
def test_a_value_in_a_url_stays_in_its_place(value: str) -> None:
    try:
        url = template.url("${target.url}/x/${params.text}/y?q=${params.text}", values(value))
    except TemplateError:
        assert value in ("", ".", "..") or unquote(value) in ("", ".", "..")
        return
    split = urlsplit(url)
    assert (split.scheme, split.netloc, split.fragment) == ("http", "ctl:8080", "")
    parts = split.path.split("/")
    assert parts[:3] == ["", "api", "x"]
    assert (len(parts), unquote(parts[3]), parts[4]) == (5, value, "y")
    assert split.query.startswith("q=")
    assert unquote(split.query[2:]) == value
    assert "&" not in split.query


@given(nasty)
def test_a_value_in_a_query_is_one_label_value(value: str) -> None:
    query = template.query("up{job=\"${params.text}\",env!='${params.text}'}", values(value), TYPES)
    matchers = promql_parser.parse(query).matchers.matchers
    assert [(each.name, str(each.op), each.value) for each in matchers] == [
        ("job", str(promql_parser.MatchOp.Equal), value),
        ("env", str(promql_parser.MatchOp.NotEqual), value),
    ]


@given(printable)
def test_a_value_behind_a_regular_matcher_matches_itself_only(value: str) -> None:
    query = template.query('up{job=~"${params.text}"}', values(value), TYPES)
    (matcher,) = promql_parser.parse(query).matchers.matchers

    assert re2.fullmatch(matcher.value, value) is not None
    if value:
        assert re2.fullmatch(matcher.value, value[1:]) is None


@given(nasty)
def test_a_value_in_a_header_never_becomes_a_secret(value: str) -> None:
    kept = template.header("Bearer ${secret.token} for ${params.text}", values(value))
    assert template.reveal(kept, {"token": "s3cret"}) == f"Bearer s3cret for {value}"


@given(nasty, st.one_of(st.integers(), st.booleans(), st.lists(st.integers(), max_size=3)))
def test_a_value_in_a_body_is_that_value(value: str, other: object) -> None:
    body = {"a": ["${params.text}", "is ${params.text}!"], "b": "${target.thing}", "n": 1}
    assert template.body(body, values(value, thing=other)) == {"a": [value, f"is {value}!"], "b": other, "n": 1}


@given(st.text(alphabet="${}secrtpaam.x-$", max_size=30))
def test_what_is_written_as_literal_comes_back(value: str) -> None:
    assert "".join(str(part) for part in template.parse(template.literal(value))) == value


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x7fb"])
def test_control_characters_go_into_no_header_url_or_query(value: str) -> None:
    for render in (
        lambda: template.header("x ${params.text}", values(value)),
        lambda: template.url("http://h/${params.text}", values(value)),
        lambda: template.query('up{a="${params.text}"}', values(value), TYPES),
    ):
        with pytest.raises(TemplateError):
            render()
    with pytest.raises(TemplateError):
        template.reveal("${secret.token}", {"token": value})


@pytest.mark.parametrize(
    "base",
    [
        "evil",
        "ftp://h",
        "http://",
        "http://u:p@h",
        "http://h/?q=",
        "http://h/#f",
        "http://h:99999",
        "javascript:x",
        "http://h\\x",
        "http://a b",
        7,
        ["http://h"],
    ],
)
def test_an_attribute_that_is_no_base_url_is_refused(base: object) -> None:
    with pytest.raises(TemplateError):
        template.url("${target.url}/x", values("v", url=base))


@pytest.mark.parametrize(
    ("host", "netloc"), [("db-1", "db-1"), ("10.0.0.1:9000", "10.0.0.1:9000"), ("::1", "[::1]"), ("a.b.c", "a.b.c")]
)
def test_a_target_may_choose_the_host(host: str, netloc: str) -> None:
    assert urlsplit(template.url("http://${target.host}/x", values("v", host=host))).netloc == netloc


@pytest.mark.parametrize("host", ["a/b", "a@b", "a?b", "", "a b", "a..b", "-a", "fe80::1%eth0", "[::1]:80/x"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(TemplateError):
        template.url("http://${target.host}/x", values("v", host=host))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("${params.unknown}", "text"),
        ("${env.HOME}", "text"),
        ("${params.text", "text"),
        ("${}", "body"),
        ("${incident.title}", "text"),
        ("${secret.token}", "body"),
        ("http://h/${secret.token}", "url"),
        ('up{a="${secret.token}"}', "query"),
        ("${params.text}/x", "url"),
        ("http://${params.text}/x", "url"),
        ("http://u@h/x", "url"),
        ("http://h/x#y", "url"),
        ("${target.url}x", "url"),
        ("/relative", "url"),
        ("file:///etc/passwd", "url"),
        ("http://h/a b", "url"),
        ("up{a=${params.text}}", "query"),
        ("up{a=`${params.text}`}", "query"),
        ("up # ${params.text}", "query"),
        ('up{a="\\${params.text}"}', "query"),
        ('up{a="x', "query"),
        ("a\nb", "header"),
    ],
)
def test_a_template_that_could_go_wrong_is_refused_before_anything_runs(text: str, place: template.Place) -> None:
    with pytest.raises(TemplateError):
        template.check(text, place, TYPES)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("$${params.unknown}", "text"),
        ("costs $5", "text"),
        ("${target.anything}", "text"),
        ("${target.control_url}", "url"),
        ("https://h:8443/a/${params.text}?b=${params.number}", "url"),
        ("rate(x[${params.window}]) > ${params.number}", "query"),
        ("up{a=~'${params.text}.*'} # done", "query"),
        ("Bearer ${secret.shop-control}", "header"),
    ],
)
def test_a_sound_template_passes(text: str, place: template.Place) -> None:
    template.check(text, place, TYPES)


def test_a_name_without_a_value_is_an_error_and_not_an_empty_text() -> None:
    for name in ("${target.gone}", "${incident.number}"):
        with pytest.raises(TemplateError):
            template.text(name, Values({}, {}, None))


def test_a_key_is_no_template() -> None:
    with pytest.raises(TemplateError):
        template.check({"${params.text}": 1}, "body", TYPES)


@given(st.text(string.printable, max_size=80))
def test_parsing_any_text_gives_parts_or_a_template_error(text: str) -> None:
    try:
        parts = template.parse(text)
    except TemplateError:
        return
    again = "".join(str(part) if isinstance(part, Name) else template.literal(part) for part in parts)
    assert template.parse(again) == parts


@given(st.text(max_size=40))
def test_numbers_and_durations_outside_quotes_keep_the_query_whole(value: str) -> None:
    assume("\n" not in value)
    query = template.query("rate(x[${params.window}]) > ${params.number}", values(value), TYPES)
    assert query == "rate(x[5m]) > -3"
