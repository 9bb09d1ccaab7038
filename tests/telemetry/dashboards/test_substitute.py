"""Values put into PromQL stay values: whatever they hold, the tree is the one the author wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.dashboards.drawn import PROPERTY, outcome
from tongchou.core.problems import Invalid, Problem
from tongchou.telemetry.dashboards.definition import Variable
from tongchou.telemetry.dashboards.substitute import FORMATS, Chosen, Scope, logs, names_in, plain, promql
from tongchou.telemetry.logs.query import parse as parse_logs
from tongchou.telemetry.promql.parse import Selector, parse
from tongchou.telemetry.series import full_match

VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
NASTY = st.one_of(VALUE, st.text(st.sampled_from("ab\"'`\\|.*+?()[]{}^$\n#,=~ "), min_size=1, max_size=12))
SPELLINGS = st.sampled_from(("$x", "${x}", "[[x]]"))


def scope(
    *values: str, multi: bool = False, every: bool = False, all_value: str = "", own: tuple[str, ...] = ()
) -> Scope:
    variable = Variable("x", multi=multi, all=every, all_value=all_value)
    return Scope({"x": Chosen(variable, values, every=every, own=frozenset(own))})


def matcher(query: str) -> tuple[str, str, str]:
    tree = parse(query)
    assert isinstance(tree, Selector)
    found = tree.matcher_sets[0][-1]
    return found.name, found.op, found.value


@PROPERTY
@given(NASTY, SPELLINGS, st.sampled_from("\"'"))
def test_one_value_is_compared_as_it_is(value: str, spelling: str, mark: str) -> None:
    assert matcher(promql(f"up{{a={mark}{spelling}{mark}}}", scope(value))) == ("a", "=", value)
    assert matcher(promql(f"up{{a={mark}{spelling}{mark}}}", scope(value, multi=True))) == ("a", "=", value)
    assert matcher(promql(f"up{{a!={mark}<{spelling}>{mark}}}", scope(value))) == ("a", "!=", f"<{value}>")


@PROPERTY
@given(
    st.lists(NASTY, min_size=1, max_size=4, unique=True), NASTY, st.sampled_from(("$x", "${x}", "[[x]]", "${x:regex}"))
)
def test_of_several_values_each_fits_and_no_other_does(values: list[str], other: str, spelling: str) -> None:
    name, op, pattern = matcher(promql(f'up{{a=~"{spelling}"}}', scope(*values, multi=True)))
    assert (name, op) == ("a", "=~")
    assert all(full_match(pattern)(value) for value in values)
    assert bool(full_match(pattern)(other)) == (other in values)


@PROPERTY
@given(
    st.lists(NASTY, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from(("", *FORMATS, "sql")),
    st.sampled_from("\"'`"),
)
def test_no_value_leaves_its_string(values: list[str], multi: bool, wanted: str, mark: str) -> None:
    place = f"${{x:{wanted}}}" if wanted else "$x"
    query = f"label_replace(up{{a={mark}b{mark}}}, {mark}c{mark}, {mark}{place}{mark}, {mark}d{mark}, {mark}{mark})"
    filled = outcome(lambda: promql(query, scope(*values, multi=multi)))
    if isinstance(filled, Problem):
        assert filled.field == "$x"
        return
    if mark == "`":  # the parser reads escapes in raw strings, which Prometheus does not: it cannot judge here
        assert filled.count("`") == query.count("`")
        return
    tree = parse(filled)
    assert (type(tree).__name__, len(tree.args)) == ("Call", 5)  # type: ignore[union-attr]


@PROPERTY
@given(st.lists(NASTY, min_size=1, max_size=3), st.sampled_from(("", *FORMATS)))
def test_outside_of_strings_only_words_numbers_and_durations_go_in(values: list[str], wanted: str) -> None:
    place = f"${{x:{wanted}}}" if wanted else "$x"
    filled = outcome(lambda: promql(f"up > {place}", scope(*values)))
    if isinstance(filled, Problem):
        assert filled.field == "$x"
        assert filled.remedy
        return
    assert all(each.isascii() for each in filled)
    assert not set("{}()[]#\"'`") & set(filled) or wanted in ("glob", "json", "doublequote", "singlequote", "regex")


def test_what_a_value_is_called_stays_in_its_place_too() -> None:
    called = Scope({"x": Chosen(Variable("x"), ("a",), texts=("a} or secret{b",))})
    with pytest.raises(Invalid):
        promql("up_${x:text}", called)
    own = Scope({"x": Chosen(Variable("x"), ("a",), texts=("up or down",), own=frozenset(("a",)))})
    assert promql("${x:text}", own) == "up or down"


def test_what_the_dashboard_itself_writes_goes_in_anywhere() -> None:
    assert promql("up{$x}", scope('job="a"', own=('job="a"',))) == 'up{job="a"}'
    with pytest.raises(Invalid) as raised:
        promql("up{$x}", scope('job="a"'))
    assert '=~"$x"' in str(raised.value.remedy)


def test_words_numbers_durations_and_lists() -> None:
    assert promql("topk($x, up)", scope("5")) == "topk(5, up)"
    assert promql("rate(a[${x}])", scope("5m")) == "rate(a[5m])"
    assert promql("rate(a[[[x]]])", scope("5m")) == "rate(a[5m])"
    assert promql("up > $x", scope("-1.5e+3")) == "up > -1.5e+3"
    assert promql("sum by (${x:csv}) (up)", scope("job", "instance", multi=True)) == "sum by (job,instance) (up)"
    with pytest.raises(Invalid) as raised:
        promql("sum by ($x) (up)", scope("job", "instance", multi=True))
    assert "${x:csv}" in str(raised.value.remedy)
    with pytest.raises(Invalid) as raised:
        promql('up{a="$x"}', scope("a", "b", multi=True))
    assert '=~"$x"' in str(raised.value.remedy)


def test_every_option_uses_the_pattern_that_is_given_for_it() -> None:
    assert promql('up{a=~"$x"}', scope("a", "b", every=True)) == 'up{a=~"(a|b)"}'
    assert promql('up{a=~"$x"}', scope("a", "b", every=True, all_value=".+")) == 'up{a=~".+"}'
    assert matcher(promql('up{a=~"$x"}', scope("a", every=True, all_value='a"b')))[2] == 'a"b'
    assert promql('up{a=~"$x"}', scope(".*")) == 'up{a=~".*"}'  # one value, never several: a pattern, as in Grafana


def test_times_that_every_dashboard_has() -> None:
    now = Scope({}, 1_000_000, 4_600_000, 30_000, 15_000)
    assert promql("rate(a[$__rate_interval])", now) == "rate(a[60s])"
    assert (
        promql("rate(a[$__interval]) + increase(a[$__range]) + $__range_s", now)
        == "rate(a[30s]) + increase(a[3600s]) + 3600"
    )
    assert promql("a > $__interval_ms", Scope(interval_ms=500)) == "a > 500"
    assert promql("rate(a[$__rate_interval])", Scope(interval_ms=120_000)) == "rate(a[135s])"


def test_what_is_no_variable_is_refused_where_it_can_only_be_one() -> None:
    assert promql('label_replace(up, "a", "$1", "b", "(.*)")', Scope()) == 'label_replace(up, "a", "$1", "b", "(.*)")'
    assert promql('up{a=~"b$"}', Scope()) == 'up{a=~"b$"}'
    assert promql("up # $nothing", Scope()) == "up # $nothing"
    for query in ("up > $y", 'up{a=~"$y"}', "rate(a[$__auto])", 'up{a="${__user}"}'):
        with pytest.raises(Invalid):
            promql(query, Scope())


def test_titles_name_what_is_chosen() -> None:
    variable = Variable("x", multi=True, all=True)
    assert plain("of $x, $y, ${x:csv}", Scope({"x": Chosen(variable, ("a", "b"), ("A", "B"))})) == "of A + B, $y, A + B"
    assert plain("$x", Scope({"x": Chosen(variable, ("a", "b"), every=True)})) == "All"


@PROPERTY
@given(st.lists(NASTY.filter(str.isprintable), min_size=1, max_size=3))
def test_a_log_search_stays_the_search_it_is(values: list[str]) -> None:
    filled = logs('error service:$x "${x}"', scope(*values, multi=True))
    assert type(parse_logs(filled)) is type(parse_logs("error service:a b"))


def test_places_are_found() -> None:
    assert names_in('$a ${b:regex} [[c:csv]] ${d.text} $1 "$" $$e') == {"a", "b", "c", "d", "e"}
