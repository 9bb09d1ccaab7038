"""Checks that a delivery is from who holds the secret, is unaltered, and is not an old one played again. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re

SIGNATURE_HEADER = "X-Tongchou-Signature"
TIMESTAMP_HEADER = "X-Tongchou-Timestamp"
TOLERANCE_SECONDS = 300
_TIMESTAMP = re.compile(r"\A[0-9]{1,12}\Z", re.ASCII)


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header: sha256=<hex of HMAC-SHA256 over "<timestamp>.<body>">."""
    signed = str(timestamp).encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def fault(secret: str, timestamp: str, signature: str, body: bytes, *, now_seconds: float) -> str | None:
    """Return None when the delivery is genuine and fresh, else "missing", "timestamp" (form or age) or "signature".

    A time is at most 300 s away from ours, either way. Several signatures may stand in the header, separated by
    commas or spaces, so that a sender can change its secret without a gap. Compared in constant time.
    """
    if not timestamp or not signature:
        return "missing"
    if not _TIMESTAMP.match(timestamp):
        return "timestamp"
    expected = sign(secret, int(timestamp), body).encode()
    given = [each.encode("utf-8", "replace") for each in signature.replace(",", " ").split()[:5]]
    matches = [hmac.compare_digest(each, expected) for each in given]  # all of them, whichever matches
    if not any(matches):
        return "signature"
    return None if abs(now_seconds - int(timestamp)) <= TOLERANCE_SECONDS else "timestamp"
