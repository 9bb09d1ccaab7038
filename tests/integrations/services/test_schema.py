"""What is told of tables: any difference is in the fingerprint, what is told one by one is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.services.schema import COUNT, FINGERPRINT, MAX_TEXT, MOST_TABLES, attributes, column

NAMES = st.text("abc.", min_size=1, max_size=5)
TABLES = st.dictionaries(NAMES, st.lists(st.text("abc ", max_size=8), max_size=3), max_size=5)


@given(TABLES, TABLES)
def test_the_fingerprint_is_the_same_exactly_when_the_tables_are(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    def told(tables: dict[str, list[str]]) -> dict[str, str]:
        return {name: "; ".join(lines) for name, lines in tables.items()}

    assert (attributes(one)[FINGERPRINT] == attributes(other)[FINGERPRINT]) == (told(one) == told(other))
    assert attributes(one) == attributes(dict(reversed(one.items())))


def test_many_tables_and_long_ones_are_bounded_and_still_told_from_others() -> None:
    tables = {f"public.t{number:05}": ["id int"] for number in range(MOST_TABLES + 300)}
    found = attributes(tables)
    assert (len(found), found[COUNT]) == (MOST_TABLES + 3, MOST_TABLES + 300)
    beyond = attributes({**tables, "public.t00450": ["id bigint"]})
    assert [name for name in found if found[name] != beyond[name]] == [FINGERPRINT, "table/_others"]
    wide = [f"column_{number} text" for number in range(400)]
    texts = [str(attributes({"x": lines})["table/x"]) for lines in (wide, [*wide, "one_more text"])]
    assert texts[0] != texts[1]
    assert max(map(len, texts)) <= MAX_TEXT
    assert max(len(name) for name in attributes({"s" * 64 + "." + "t" * 64: ["id int"]})) <= 120


def test_a_default_may_be_anything_so_only_its_hash_is_told() -> None:
    told = column("token", "text", null=True, default="'s3cr3t-canary'")
    assert "canary" not in told
    assert told != column("token", "text", null=True, default="'other'")
    assert column("id", "int", null=False, more="auto_increment") == "id int not null auto_increment"


def test_tables_of_any_name_stay_apart() -> None:
    found = attributes({"public.订单": ["id int"], "public.客户": ["id int"], "public.__": ["id int"]})
    told = {name: text for name, text in found.items() if name.startswith("table/")}
    assert len(told) == 3
    assert all(name.isascii() for name in told)
    assert "(public.订单); id int" in told.values()
