"""How a delivery of each format is proven: by a signature over the raw body, or by a token. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from tongchou.changes.models import SenderFormat
from tongchou.integrations.deployments.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER
from tongchou.integrations.deployments.signature import fault as plain_fault

TOKEN_HEADER = "X-Tongchou-Token"  # noqa: S105  # the name of a header
GITHUB_HEADER = "X-Hub-Signature-256"
GITLAB_HEADER = "X-Gitlab-Token"
MAX_TOKEN = 4096


def fault(
    kind: str, secret: str, headers: Mapping[str, str], token: str, raw: bytes, *, now_seconds: float
) -> str | None:
    """Return None when a delivery is genuine, else "timestamp" or "signature". Compared in constant time.

    `token` is the one in the address, for tools that cannot set a header. GitHub's and the plain format's signatures
    cover the body; a token covers nothing, so that TLS must.
    """
    if kind == SenderFormat.PLAIN:
        wrong = plain_fault(
            secret, headers.get(TIMESTAMP_HEADER, ""), headers.get(SIGNATURE_HEADER, ""), raw, now_seconds=now_seconds
        )
        return "timestamp" if wrong == "timestamp" else ("signature" if wrong else None)
    if kind == SenderFormat.GITHUB:
        expected = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        return None if _same(headers.get(GITHUB_HEADER, ""), expected) else "signature"
    if kind == SenderFormat.GITLAB:
        return None if _same(headers.get(GITLAB_HEADER, ""), secret) else "signature"
    scheme, _space, bearer = headers.get("Authorization", "").partition(" ")
    given = headers.get(TOKEN_HEADER, "") or (bearer.strip() if scheme.lower() == "bearer" else "") or token
    return None if _same(given, secret) else "signature"


def _same(given: str, expected: str) -> bool:
    """Digests are compared, so that neither a length nor a letter outside ASCII tells anything."""
    one = hashlib.sha256(given[:MAX_TOKEN].encode("utf-8", "replace")).digest()
    other = hashlib.sha256(expected.encode("utf-8", "replace")).digest()
    return hmac.compare_digest(one, other)
