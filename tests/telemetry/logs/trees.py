"""Random search trees, as `parse` can make them."""

from __future__ import annotations

from hypothesis import strategies as st

from tongchou.telemetry.logs.query import And, Compare, Equal, Exists, Matches, Not, Or, Pattern, Phrase, Word

WORDS = st.sampled_from(
    [
        "order",
        "ORDER",
        "placed",
        "refused",
        "connection",
        "订单",
        "42",
        "e",
        "a_b",
        "pla*d",
        "10%",
        "x-y",
        "100",
        "*",
        "\\",
        "it's",
        "a=b",
    ]
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            "order placed",
            "connection refused",
            "",
            " ",
            '"',
            "\\",
            "%",
            "_",
            "'",
            "单 失",
            "a\nb",
            "100",
            "true",
            "eu-west",
        ]
    ),
    st.text("ab%_\\'\" 订1", max_size=4),
)
NAMES = st.sampled_from(
    ["service", "code", "http.status", "msg", "ok", "user.name", "zone", "request-id", "missing", "deep.er.x"]
)
SOURCES = st.sampled_from(
    [
        "ord.r",
        "^{",
        "re[fg]used",
        "placed$",
        "[0-9]{2,}",
        "a/b",
        "\\d+",
        "",
        "订.",
        "true",
        "^1",
        "(a|b)*c",
        "x{0}",
        "\\\\",
        "'",
        "%",
    ]
)
NUMBERS = st.sampled_from(["0", "1", "42", "-1", "1.5", "200", "1e3", "500"])
PATTERNS = st.builds(Pattern, SOURCES, st.booleans())
TERMS = st.one_of(
    st.builds(Word, WORDS),
    st.builds(Phrase, TEXTS),
    PATTERNS,
    st.builds(Equal, NAMES, st.one_of(TEXTS, NUMBERS)),
    st.builds(Equal, NAMES, st.sampled_from(["s*p", "*2*", "sh*", "*0", "4*2", "tr*"]), st.just(True)),
    st.builds(Compare, NAMES, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS),
    st.builds(Matches, NAMES, PATTERNS),
    st.builds(Exists, NAMES),
)


def _several(kind, nodes):
    parts = st.lists(nodes.filter(lambda node: not isinstance(node, kind)), min_size=2, max_size=3)
    return parts.map(lambda found: kind(tuple(found)))


TREES = st.recursive(
    TERMS, lambda nodes: st.one_of(_several(And, nodes), _several(Or, nodes), st.builds(Not, nodes)), max_leaves=6
)
