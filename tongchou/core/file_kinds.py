"""What a file is, by its own bytes: its name and what the sender said count for nothing. Pure."""

from __future__ import annotations

import re
import struct
import unicodedata
from dataclasses import dataclass

HEAD_BYTES = 65_536
MAX_PIXELS = 50_000_000  # a picture that says it is larger is not shown on a page
MAX_NAME = 150
OCTETS = "application/octet-stream"
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
)
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # JPEG markers that carry a size
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+')


@dataclass(frozen=True, slots=True)
class Sort:
    """A content type, and whether a page may show the file as a picture."""

    content_type: str
    inline: bool


def sort_of(head: bytes, *, whole: bool) -> Sort:
    """Return what the first HEAD_BYTES of a file say; `whole`: they are all of it."""
    found = next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), "")
    if not found and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found = "image/webp"
    if found in PICTURES:
        size = dimensions(head, found)
        return Sort(found, size is not None and 0 < size[0] * size[1] <= MAX_PIXELS)
    if found:
        return Sort(found, False)
    return Sort("text/plain" if _is_text(head, whole) else OCTETS, False)


def _is_text(head: bytes, whole: bool) -> bool:
    for cut in range(1 if whole else 4):  # the last character may be cut in two
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return bool(text) and all(each >= " " or each in "\t\n\r\f" for each in text)
    return False


def dimensions(head: bytes, content_type: str) -> tuple[int, int] | None:
    """Return width and height in pixels that a picture's header states; None when it states none."""
    try:
        if content_type == "image/png":
            return struct.unpack(">II", head[16:24]) if head[12:16] == b"IHDR" else None
        if content_type == "image/gif":
            return struct.unpack("<HH", head[6:10])
        if content_type == "image/webp":
            return _webp(head)
        return _jpeg(head)
    except (struct.error, IndexError):
        return None


def _webp(head: bytes) -> tuple[int, int] | None:
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = struct.unpack("<I", head[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def clean_name(name: str) -> str:
    """Return a file name without folders, control and steering characters, at most MAX_NAME long, never empty."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    cleaned = _UNSAFE.sub("_", last).strip(" .")
    if len(cleaned) > MAX_NAME:
        stem, dot, ending = cleaned.rpartition(".")
        ending = (dot + ending)[:20] if stem else ""
        cleaned = cleaned[: MAX_NAME - len(ending)] + ending
    return cleaned or "file"
