"""The signature: only who holds the secret, only what was signed, only now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.integrations.deployments.signature import TOLERANCE_SECONDS, fault, sign

secrets = st.text(min_size=1, max_size=40)
times = st.integers(0, 10**11)


@given(secrets, times, st.binary(max_size=200), st.integers(-TOLERANCE_SECONDS, TOLERANCE_SECONDS))
def test_what_was_signed_just_now_is_genuine(secret: str, at: int, body: bytes, off: int) -> None:
    assert fault(secret, str(at), sign(secret, at, body), body, now_seconds=at + off) is None


@given(secrets, secrets, times, st.binary(max_size=200), st.binary(max_size=200), times)
def test_another_secret_body_or_time_is_no_signature(
    secret: str, other: str, at: int, body: bytes, altered: bytes, later: int
) -> None:
    signature = sign(secret, at, body)
    if other != secret:
        assert fault(other, str(at), signature, body, now_seconds=at) == "signature"
    if altered != body:
        assert fault(secret, str(at), signature, altered, now_seconds=at) == "signature"
    if later != at:
        assert fault(secret, str(later), signature, body, now_seconds=later) == "signature"


@given(times, st.integers(TOLERANCE_SECONDS + 1, 10**9))
def test_an_old_or_future_delivery_is_refused_though_genuine(at: int, off: int) -> None:
    for now in (at + off, at - off):
        assert fault("s", str(at), sign("s", at, b""), b"", now_seconds=now) == "timestamp"


@given(st.text(max_size=30), st.text(max_size=80))
def test_any_headers_are_survived(timestamp: str, signature: str) -> None:
    assert fault("secret", timestamp, signature, b"{}", now_seconds=1.0) in {"missing", "timestamp", "signature"}


@pytest.mark.parametrize("timestamp", ["1e3", "-5", "+5", " 5", "5 ", "５", "0x5", "5.0", "9" * 13])
def test_a_time_is_plain_digits(timestamp: str) -> None:
    assert fault("s", timestamp, sign("s", 5, b""), b"", now_seconds=5) == "timestamp"


def test_one_of_several_signatures_is_enough() -> None:
    both = f"{sign('old', 5, b'x')}, {sign('new', 5, b'x')}"
    assert fault("new", "5", both, b"x", now_seconds=5) is None
    assert fault("third", "5", both, b"x", now_seconds=5) == "signature"
