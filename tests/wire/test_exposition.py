from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.wire.exposition import ExpositionError, format_of, parse, parse_series


def read(text, form="text"):
    return [(dict(parse_series(series)), value, ts) for series, value, ts in parse(text.encode(), form).samples]


def test_it_reads_the_text_format():
    text = (
        "# HELP http_requests_total The total\\nnumber.\n"
        "# TYPE http_requests_total counter\n"
        'http_requests_total{method="post",code="200"} 1027 1395066363000\n'
        "# a comment, and an empty line\n\n"
        'msdos_file{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find:\\n\\"x\\"}",} 1.458255915e9\n'
        "metric_without_labels 12.47\n"
        '  spaced   {  a = "b" , } \t -Inf\t-3982045\n'
        "nothing NaN"
    )
    got = read(text)
    assert got[0] == ({"__name__": "http_requests_total", "method": "post", "code": "200"}, 1027.0, 1395066363000)
    assert got[1][0] == {"__name__": "msdos_file", "path": "C:\\DIR\\FILE.TXT", "error": 'Cannot find:\n"x"}'}
    assert got[2] == ({"__name__": "metric_without_labels"}, 12.47, None)
    assert got[3] == ({"__name__": "spaced", "a": "b"}, -math.inf, -3982045)
    assert math.isnan(got[4][1])
    meta = parse(text.encode()).metadata["http_requests_total"]
    assert (meta.type, meta.help) == ("counter", "The total\nnumber.")


def test_it_reads_openmetrics_with_exemplars_units_and_seconds():
    text = (
        "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds help\n"
        'foo_seconds_total{a="b"} 17.0 1520879607.789 # {id="counter-test"} 5\n'
        "foo_seconds_created 1520872607.123\n"
        'bucket{le="0.1"} 8 # {} 0.054\n'
        "# EOF\n"
    )
    got = read(text, "openmetrics")
    assert got[0] == ({"__name__": "foo_seconds_total", "a": "b"}, 17.0, 1520879607789)
    assert [each[1] for each in got] == [17.0, 1520872607.123, 8.0]
    assert parse(text.encode(), "openmetrics").metadata["foo_seconds"].unit == "seconds"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a 1\nb\n", 2),
        ("a 1\n\nb{ 1", 3),
        ('a{b="c} 1', 1),
        ("a 1_000", 1),
        ("a 0x", 1),
        ("a 1 2.5", 1),
        ("a 1 2 3", 1),
        ("a 1 # {} 1", 1),
        ("1a 1", 1),
        ("<html>", 1),
        ("a 1\n# TYPE a nonsense", 2),
        ("a 1 99999999999999999999", 1),
    ],
)
def test_errors_in_the_text_format_name_the_line(text, line):
    with pytest.raises(ExpositionError) as caught:
        parse(text.encode())
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a 1\n", 2),
        ("a 1\n\n# EOF\n", 2),
        ("a 1\n# EOF\nb 1\n", 3),
        ("# hello\n# EOF\n", 1),
        ("a 1 nan\n# EOF\n", 1),
    ],
)
def test_errors_in_openmetrics_name_the_line(text, line):
    with pytest.raises(ExpositionError) as caught:
        parse(text.encode(), "openmetrics")
    assert caught.value.line == line


@pytest.mark.parametrize("series", ['a{b="c" d="e"}', "a{b}", 'a{"b"="c"}', 'a{b="c",,}', 'a{b="c"}}', "{}"])
def test_bad_labels_are_refused(series):
    with pytest.raises(ExpositionError):
        parse_series(series)


def test_not_utf8_names_the_line():
    with pytest.raises(ExpositionError, match="line 2"):
        parse(b'a 1\nb{c="\xff"} 1\n')


def test_the_number_of_samples_is_bounded():
    with pytest.raises(ExpositionError, match="line 4"):
        parse(b"a 1\n" * 10, max_samples=3)


def test_content_types():
    assert format_of("text/plain; version=0.0.4; charset=utf-8") == "text"
    assert format_of("") == "text"
    assert format_of("application/openmetrics-text; version=1.0.0") == "openmetrics"
    with pytest.raises(ExpositionError, match="text/html"):
        format_of("text/html")


values = st.text(max_size=12)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)


def escape(value):
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@given(st.dictionaries(names, values, max_size=4), st.floats(), st.none() | st.integers(-(2**53), 2**53))
def test_what_is_written_is_read(labels, value, ts):
    inside = ",".join(f'{name}="{escape(text)}"' for name, text in labels.items())
    line = f"metric{{{inside}}} {value!r}" + ("" if ts is None else f" {ts}")
    [(series, got, time)] = parse(line.encode("utf-8", "strict")).samples
    assert dict(parse_series(series)) == {"__name__": "metric", **labels}
    assert got == value or (math.isnan(got) and math.isnan(value))
    assert time == ts


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    for form in ("text", "openmetrics"):
        try:
            found = parse(text.encode("utf-8", "surrogatepass"), form)
            for series, _value, _ts in found.samples:
                parse_series(series)
        except ExpositionError:
            continue


def test_a_long_hostile_line_takes_linear_time():
    with pytest.raises(ExpositionError):
        parse(b"a{" + b'b="' * 200_000)
    with pytest.raises(ExpositionError):
        parse(b"a " + b" " * 500_000 + b"x y z w")


pieces = st.lists(
    st.sampled_from([*'a{}="# \t\r\\_5', "a", 'b{c="d e"}', " 5", " 1_0", " NaN", "# EOF", ' 7 # {x="y"} 1'])
)


@given(st.lists(pieces.map("".join), max_size=5), st.sampled_from(["text", "openmetrics"]))
def test_what_is_known_is_read_as_what_is_not(lines, form):
    def read(body, **more):
        try:
            found = parse(body, form, **more)
        except ExpositionError as error:
            return str(error)
        return [(series, repr(value), ts) for series, value, ts in found.samples], found.metadata

    whole = "\n".join(['b{c="d e"} 5', "a\t5 1", *lines, "# EOF"]).encode()
    series = set()
    for line in lines:  # those that a scrape may have remembered
        one = read(line.encode())
        if isinstance(one, tuple):
            series |= {each[0] for each in one[0]}
    assert read(whole, known=series | {"a", 'b{c="d e"}'}) == read(whole)
