"""Gzip with a cap: a small body must not become a large one in memory."""

from __future__ import annotations

import zlib

from tongchou.wire.protobuf import MalformedError

_GZIP = 31  # zlib's window bits for the gzip format
_CHUNK = 256 * 1024


class OverLimitError(ValueError):
    """The uncompressed body is over the limit."""


def ungzip(body: bytes, limit_bytes: int) -> bytes:
    """The body inside one or more gzip members. Raises MalformedError, or OverLimitError before more is allocated."""
    out = bytearray()
    rest = body
    while rest:
        reader = zlib.decompressobj(_GZIP)
        try:
            piece = rest
            while True:
                out += reader.decompress(piece, _CHUNK)
                if len(out) > limit_bytes:
                    raise OverLimitError(f"more than {limit_bytes} bytes after gzip")
                piece = reader.unconsumed_tail
                if reader.eof or not piece:
                    break
        except zlib.error as error:
            raise MalformedError(f"not gzip: {error}") from None
        if not reader.eof:
            raise MalformedError("the gzip body ends too early")
        rest = reader.unused_data
    return bytes(out)
