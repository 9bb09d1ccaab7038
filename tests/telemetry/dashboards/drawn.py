"""Hypothesis strategies: any definition of a dashboard, as its JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tongchou.core.problems import Problem
from tongchou.telemetry.dashboards import words
from tongchou.telemetry.dashboards.definition import (
    Definition,
    Name,
    Panel,
    Query,
    Row,
    Threshold,
    Variable,
    placed,
)

PROPERTY = settings(deadline=None, suppress_health_check=list(HealthCheck))  # the machine may be busy
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
NUMBER = st.one_of(st.none(), st.integers(-1000, 1000).map(float), st.floats(-1e9, 1e9, width=32))
NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,12}\Z").filter(lambda name: not name.startswith("__"))


@st.composite
def thresholds(draw: Any) -> tuple[Threshold, ...]:
    values = sorted(draw(st.sets(st.integers(-100, 100), max_size=4)))
    tones = st.sampled_from(words.TONES)
    first = [Threshold(None, draw(tones))] if draw(st.booleans()) else []
    return (*first, *(Threshold(float(at), draw(tones)) for at in values))


@st.composite
def names(draw: Any) -> tuple[Name, ...]:
    pairs = draw(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), max_size=3))
    tones = st.sampled_from(("", *words.TONES))
    return tuple(Name(float(low), float(low + more), draw(TEXT), draw(tones)) for low, more in pairs)


@st.composite
def panels(draw: Any, id_: int, kinds: tuple[str, ...] = words.PANEL_KINDS) -> Panel:
    kind = draw(st.sampled_from(kinds))
    least, most = draw(NUMBER), draw(NUMBER)
    if least is not None and most is not None and least >= most:
        most = None
    x = draw(st.integers(0, 23))
    query = st.builds(Query, TEXT, TEXT, st.booleans(), st.booleans())
    return Panel(
        id=id_,
        kind=kind,
        title=draw(TEXT),
        description=draw(TEXT),
        x=x,
        y=draw(st.integers(0, 40)),
        w=draw(st.integers(1, 24 - x)),
        h=draw(st.integers(1, 20)),
        queries=tuple(draw(st.lists(query, max_size=3))),
        unit=draw(st.sampled_from(words.UNITS)),
        decimals=draw(st.one_of(st.none(), st.integers(0, 10))),
        min=least,
        max=most,
        thresholds=draw(thresholds()),
        names=draw(names()),
        draw=draw(st.sampled_from(words.DRAWN)),
        stack=draw(st.booleans()),
        reduce=draw(st.sampled_from(words.REDUCED)),
        text=draw(TEXT),
    )


@st.composite
def variables(draw: Any, name: str) -> Variable:
    kind = draw(st.sampled_from(words.VARIABLE_KINDS))
    query = draw(st.sampled_from(("30s, 5m, 1h", "1d"))) if kind == "interval" else draw(TEXT)
    return Variable(
        name=name,
        kind=kind,
        label=draw(TEXT),
        query=query,
        regex=draw(TEXT),
        sort=draw(st.sampled_from(words.SORTS)),
        multi=draw(st.booleans()),
        all=draw(st.booleans()),
        all_value=draw(TEXT),
        value=tuple(draw(st.lists(st.one_of(TEXT, st.just(words.ALL)), max_size=3))),
        hide=draw(st.booleans()),
    )


@st.composite
def definitions(draw: Any) -> Definition:
    rows, at = [], 1
    for _row in range(draw(st.integers(0, 3))):
        made = []
        for _panel in range(draw(st.integers(0, 4))):
            made.append(draw(panels(at)))
            at += 1
        rows.append(placed(Row(draw(TEXT), draw(st.booleans()), tuple(made))))
    found = draw(st.lists(NAMES, max_size=3, unique=True))
    return Definition(
        rows=tuple(rows),
        variables=tuple(draw(variables(name)) for name in found),
        range=draw(st.sampled_from(words.RANGES)),
        refresh_seconds=draw(st.sampled_from((0, 5, 30, 300, 3600))),
        marks=draw(st.booleans()),
    )


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=20,
)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the Problem it raises."""
    try:
        return call()
    except Problem as problem:
        return problem
