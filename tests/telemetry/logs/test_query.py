from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.telemetry.logs.trees import TREES
from tongchou.telemetry.logs.condition import condition
from tongchou.telemetry.logs.query import (
    EVERYTHING,
    And,
    BadQuery,
    Compare,
    Equal,
    Exists,
    Matches,
    Not,
    Or,
    Pattern,
    Phrase,
    Word,
    format_query,
    parse,
)

A, B, C = Word("a"), Word("b"), Word("c")
SYNTAX = st.text('ab:"/\\()-*<>=. ANDORT\n\t1e', max_size=40)


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ("a b", And((A, B))),
        ("a AND b c", And((A, B, C))),
        ("a OR b c", Or((A, And((B, C))))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("NOT a b", And((Not(A), B))),
        ("-a -b", And((Not(A), Not(B)))),
        ("NOT (a b)", Not(And((A, B)))),
        ("((a) (b c))", And((A, B, C))),
        ('"con \\"x\\"\\n"', Phrase('con "x"\n')),
        (r"/a\/b\d/i", Pattern(r"a/b\d", any_case=True)),
        ("level:error", Equal("level", "error")),
        ('msg:"a b"', Equal("msg", "a b")),
        ('msg:""', Equal("msg", "")),
        ("http.status:>=500", Compare("http.status", ">=", "500")),
        ("path:/^.cart/", Matches("path", Pattern("^.cart"))),
        ("order_id:*", Exists("order_id")),
        ("service:shop*", Equal("service", "shop*", glob=True)),
        ("time*", Word("time*")),
        ("12:30:01", Word("12:30:01")),
        ("a-b", Word("a-b")),
        ("-", Word("-")),
        ("and or not", And((Word("and"), Word("or"), Word("not")))),
        ("订单 失败", And((Word("订单"), Word("失败")))),
    ],
)
def test_the_language(query, tree):
    assert parse(query) == tree
    assert parse(format_query(tree)) == tree


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("a (b", 2),
        ("a)", 1),
        ("a OR", 4),
        ("OR a", 0),
        ("a AND AND b", 6),
        ('x "abc', 2),
        ("x /abc", 2),
        ("x /a(b/", 2),
        ("code:>=x", 7),
        ("code:", 5),
        ("code: 5", 5),
        ("()", 1),
        ("NOT", 3),
        ("a \x00", 2),
        ("(" * 60 + "a" + ")" * 60, 40),
        ("a" * 10_001, 10_000),
    ],
)
def test_a_query_that_cannot_be_read_says_where(query, position):
    with pytest.raises(BadQuery) as raised:
        parse(query)
    assert raised.value.extra["position"] == position
    assert str(position + 1) in str(raised.value.detail)


def test_a_query_of_very_many_terms_is_refused():
    with pytest.raises(BadQuery):
        parse("a " * 201)


@given(TREES)
@settings(max_examples=400, deadline=None)
def test_a_tree_is_the_same_after_it_was_written_and_read(tree):
    assert parse(format_query(tree)) == tree


def _read(text):
    try:
        return parse(text), None
    except BadQuery as refused:
        return None, refused


@given(st.one_of(SYNTAX, st.text(max_size=60)))
@settings(max_examples=800, deadline=None)
@example("\ud800")
@example("-" * 100)
@example("NOT " * 100)
@example("a:" * 30)
def test_any_text_is_read_or_refused_with_a_place(text):
    tree, refused = _read(text)
    if refused is not None:
        assert 0 <= refused.as_dict()["position"] <= len(text)
        return
    assert parse(format_query(tree)) == tree
    quotes = condition(tree).replace("''", "").count("'")
    assert quotes % 2 == 0
