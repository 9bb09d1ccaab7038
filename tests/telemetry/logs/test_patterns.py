"""The miner of templates and the comparison of before and during: what must hold for any lines."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.telemetry.logs.novelty import LogLine, grew, novel, phrase_of, text_of
from tongchou.telemetry.logs.patterns import MAX_PATTERNS, MAX_SIBLINGS, WILD, Miner, mask

STATEMENTS = (
    "connection from {n} closed after {n} ms",
    "order {id} stored in {n} ms",
    "user {id} logged in from {ip}",
    "payment of order {id} refused: card expired",
    "cache miss for {path}",
    "pool exhausted, {n} waiting",
)
seeds = st.integers(0, 10**6)


def said(rng: random.Random, statement: str) -> str:
    """A line of a statement, with values of its own."""
    return statement.format(
        n=rng.randint(0, 10**6),
        id=f"{rng.getrandbits(128):032x}",
        ip=".".join(str(rng.randint(1, 254)) for _ in range(4)),
        path="/" + "/".join(rng.choice("abc") * 3 for _ in range(3)),
    )


@given(seeds)
@settings(deadline=None)
def test_lines_of_one_statement_are_one_pattern_and_of_two_are_two(seed: int) -> None:
    rng = random.Random(seed)
    miner = Miner()
    of: dict[str, set[int]] = {}
    for _line in range(200):
        statement = rng.choice(STATEMENTS)
        group = miner.add(said(rng, statement))
        assert group is not None
        of.setdefault(statement, set()).add(group.id)
    assert all(len(ids) == 1 for ids in of.values())
    assert len({next(iter(ids)) for ids in of.values()}) == len(of)
    assert sum(group.count for group in miner.groups) == 200


@given(st.lists(st.text(max_size=200), max_size=60))
@settings(deadline=None)
def test_no_text_breaks_it_and_every_line_is_counted(lines: list[str]) -> None:
    miner = Miner(max_patterns=20)
    for line in lines:
        miner.add(line)
    assert sum(group.count for group in miner.groups) + miner.other == miner.lines == len(lines)
    assert len(miner.groups) <= 20


@given(st.lists(st.text(alphabet="ab 1/.", max_size=30), max_size=40))
@settings(deadline=None)
def test_the_same_lines_give_the_same_patterns(lines: list[str]) -> None:
    first, second = Miner(), Miner()
    assert [getattr(first.add(line), "id", None) for line in lines] == [
        getattr(second.add(line), "id", None) for line in lines
    ]
    assert [group.template for group in first.groups] == [group.template for group in second.groups]


@pytest.mark.parametrize(
    "value",
    ["42", "3.5ms", "10.0.0.1:8080", "0xdeadbeef", "2026-03-02T10:00:00.123Z", "/var/log/app/x.log",
     "6f1ed002-ab5a-4d3e-9f01-3c1f0a9b7e55", "9f86d081884c7d65", "fe80:0:0:1:2"],
)  # fmt: skip
def test_values_are_masked(value: str) -> None:
    assert mask(f"took {value} then") == f"took {WILD} then"


@pytest.mark.parametrize("word", ["retry", "http", "a.b.c", "deadbeef", "face", "orders-service"])
def test_words_are_not(word: str) -> None:
    assert mask(f"the {word} then") == f"the {word} then"


def lines_of(
    rng: random.Random, statements: tuple[str, ...], count: int, start: int, level: str = "error"
) -> list[LogLine]:
    """Lines of some statements, a second apart."""
    return [LogLine("orders", (start + i) * 10**9, level, said(rng, rng.choice(statements))) for i in range(count)]


@given(seeds, st.integers(1, 50))
@settings(deadline=None)
def test_only_the_new_statement_is_new(seed: int, count: int) -> None:
    rng = random.Random(seed)
    old = lines_of(rng, STATEMENTS[:4], 200, 0) + [
        LogLine("orders", 0, "error", said(rng, statement)) for statement in STATEMENTS[:4]
    ]
    during = lines_of(rng, STATEMENTS[:4], 30, 1000) + lines_of(rng, STATEMENTS[5:], count, 1000)
    (found,) = novel(old, during, before_seconds=1000, during_seconds=300)
    assert (found.template, found.count, found.new) == (f"pool exhausted, {WILD} waiting", count, True)
    assert found.phrase in found.example


@given(seeds)
@settings(deadline=None)
def test_the_same_as_before_is_nothing_new(seed: int) -> None:
    rng = random.Random(seed)
    before = lines_of(rng, STATEMENTS, 300, 0)
    during = lines_of(rng, STATEMENTS, 60, 1000)
    assert [each for each in novel(before, during, before_seconds=300, during_seconds=60) if not each.new] == []


@given(seeds)
@settings(deadline=None)
def test_the_order_of_lines_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    before, during = lines_of(rng, STATEMENTS[:3], 60, 0), lines_of(rng, STATEMENTS, 40, 1000)
    plain = novel(before, during, before_seconds=60, during_seconds=40)
    rng.shuffle(before)
    rng.shuffle(during)
    assert novel(before, during, before_seconds=60, during_seconds=40) == plain


def test_without_lines_before_nothing_is_new() -> None:
    assert novel([], lines_of(random.Random(1), STATEMENTS, 20, 0), before_seconds=60, during_seconds=60) == []


def test_a_pattern_of_another_source_is_no_excuse() -> None:
    before = [LogLine("cart", 1, "error", "pool exhausted, 3 waiting")]
    during = [LogLine("orders", 2, "error", "pool exhausted, 9 waiting")]
    (found,) = novel(before, during, before_seconds=60, during_seconds=60)
    assert (found.key, found.new) == ("orders", True)


@given(st.integers(0, 1000), st.floats(0, 1000), st.integers(0, 500))
@settings(deadline=None)
def test_more_lines_are_never_less_of_a_growth(count: int, expected: float, more: int) -> None:
    assert grew(count + more, expected) >= grew(count, expected)
    assert grew(count, expected + more) <= grew(count, expected)


def test_of_a_json_line_the_message_and_what_went_wrong() -> None:
    body = json.dumps(
        {"ts": "2026", "level": "error", "msg": "request failed", "status": 503, "detail": "no server left"}
    )
    assert text_of(body) == f"request failed {WILD} no server left"
    nested = json.dumps({"msg": "request failed", "detail": json.dumps({"status": 503, "detail": "payments: timeout"})})
    assert text_of(nested) == f"request failed {WILD} payments: timeout"
    assert text_of('{"a": 1}') == '{"a": 1}'
    assert text_of("{broken") == "{broken"


def test_the_phrase_to_search_is_the_longest_run_of_words() -> None:
    assert phrase_of(f"order {WILD} refused: card expired {WILD} x") == "refused: card expired"
    assert phrase_of(f"{WILD} ok") == ""


def test_too_many_patterns_are_counted_as_other() -> None:
    rng = random.Random(1)
    miner = Miner()
    for number in range(MAX_PATTERNS + 50):
        miner.add(" ".join("".join(rng.choices("bcdfghjklm", k=6)) for _ in range(1 + number % 7)))
    assert len(miner.groups) <= MAX_PATTERNS


def test_free_text_is_not_compared_with_ever_more_patterns() -> None:
    rng = random.Random(3)
    words = ["".join(rng.choice("abcdefghij") for _each in range(6)) for _word in range(3_000)]
    miner = Miner()
    for _line in range(1_000):
        miner.add("query failed " + " ".join(rng.choices(words, k=14)))
    assert len(miner.groups) == MAX_SIBLINGS
    assert sum(group.count for group in miner.groups) + miner.other == 1_000
    assert miner.add("pool exhausted") is not None  # others still find their place
