"""A secret is found in every spelling, at every depth."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tongchou.runbooks.mask import MASK, mask

secret = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40)


@given(secret, st.text(max_size=20), st.text(max_size=20))
def test_no_spelling_of_a_secret_survives(value: str, before: str, after: str) -> None:
    spellings = [value, quote(value, safe=""), json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()]
    tree = {"a": [before + spelling + after for spelling in spellings], before + value: {"deep": (value,)}}
    shown = mask(tree, [value])
    texts = [*shown["a"], *shown, *(text for item in shown.values() if isinstance(item, dict) for text in item["deep"])]
    for text in texts:
        for spelling in spellings:
            if spelling not in MASK:
                assert spelling not in text.replace(MASK, "")


def test_values_under_telling_keys_are_masked_without_knowing_them() -> None:
    shown = mask({"token": "abc", "user": "ann", "nested": [{"db_password": "x", "Api-Key": "y", "n": 1}]}, [])
    assert shown == {"token": MASK, "user": "ann", "nested": [{"db_password": MASK, "Api-Key": MASK, "n": 1}]}


def test_a_longer_secret_is_masked_before_a_shorter_one_inside_it() -> None:
    assert mask("abcd-efgh", ["abcd", "abcd-efgh"]) == MASK


def test_what_is_no_secret_stays() -> None:
    tree = {"status": 200, "ok": True, "none": None, "text": "fine", "list": [1.5]}
    assert mask(tree, ["hunter2"]) == tree
