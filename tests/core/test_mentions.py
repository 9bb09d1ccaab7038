"""Names in text: found where people write them, not in code, addresses or links; the pieces are the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import mentions


def test_names_are_found_where_people_write_them() -> None:
    text = (
        "@anna and @{Team Blue}, see (@ben.k): `@code` a@mail.example [@linked](https://example.org)\n\n    @indented\n"
    )
    assert mentions.names(text) == ["anna", "Team Blue", "ben.k"]
    assert mentions.names("@zhang看一下, @{张三}看一下。请@li.") == ["zhang", "张三", "li"]
    assert mentions.names("```\n@no\n```\n@yes") == ["yes"]
    assert mentions.names("nobody@ @ @{} @-") == []


def test_a_name_is_written_so_that_it_is_found() -> None:
    for name in ("anna", "a.b-c", "Team Blue", "张三", "x@y.example"):
        assert mentions.names(f"hello {mentions.written(name)}, look") == [name]


def test_nouns_are_found_as_whole_words() -> None:
    found = [
        each.value for each in mentions.pieces("INC-7 IMP-3, XINC-7 INC-07 INC-7a INC-12-3") if each.kind == "noun"
    ]
    assert found == ["INC-7", "IMP-3"]


@given(st.text(alphabet="@{}ab INC-7.\n张", max_size=60))
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(each.text for each in mentions.pieces(text)) == text
