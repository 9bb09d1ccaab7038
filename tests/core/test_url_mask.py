"""What is shown of a webhook's address: enough to know it, nothing that opens it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core import url_mask as mask

KEYS = st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789_-", min_size=16, max_size=60)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://chat.example.org/hooks/ops", "https://chat.example.org/hooks/ops"),
        ("https://oapi.example.org/robot/send?access_token=abc", "https://oapi.example.org/robot/send?access_token=••••"),
        ("https://qy.example.org/cgi-bin/webhook/send?key=1-2&x", "https://qy.example.org/cgi-bin/webhook/send?key=••••&••••"),
        ("https://hooks.example.org/services/T0/B0/abcdefghijklmnopqrstuvwx", "https://hooks.example.org/services/T0/B0/••••"),
        ("https://api.example.org/bot110201543:AAHdqTcvCH1vGWJxfSeo/sendMessage", "https://api.example.org/••••/sendMessage"),
        ("http://[::1]:9000/a#frag", "http://[::1]:9000/a"),
        ("https://user:pass@h.example.org/", "https://h.example.org/"),
    ],
)  # fmt: skip
def test_keys_in_an_address_are_masked(address: str, shown: str) -> None:
    assert mask.url(address) == shown
    assert mask.url(shown) == shown


@given(KEYS, KEYS)
def test_no_key_is_shown_nor_said(one: str, other: str) -> None:
    address = f"https://h.example.org/x/{one}?token={other}"
    said = f"redirect: answered 302 to https://h.example.org/x/{one}?token={other}"
    for text in (mask.url(address), mask.text(said, address)):
        assert one not in text
        assert other not in text


def test_headers_that_open_something_are_masked() -> None:
    kept = {"url": "https://h.example.org/", "timeout_seconds": 5.0, "headers": {"X-Api-Key": "k", "X-Team": "ops"}}
    assert mask.settings(kept)["headers"] == {"X-Api-Key": mask.MASK, "X-Team": "ops"}
